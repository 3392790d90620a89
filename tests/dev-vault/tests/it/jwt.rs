//! JWT logins: the checks, and their order.

use std::time::{Duration, SystemTime};

use dev_vault::{DevVault, Dialect, GitlabKeys, GitlabToken};
use serde_json::json;

use crate::setup::{Team, text};

fn refusal(jwt: &str, role: serde_json::Value, dialect: Dialect) -> String {
    let team = Team::new(dialect);
    if role != json!({}) {
        team.jwt_role("ci", role);
    }
    let response = team.jwt_login(jwt);
    if response.status == 200 { "welcome".to_owned() } else { format!("{} {}", response.status, response.error()) }
}

fn standard(jwt: &str) -> String {
    refusal(jwt, json!({}), Dialect::Vault1_16)
}

#[test]
fn the_right_token_is_let_in() {
    assert_eq!(standard(&GitlabToken::new().sign()), "welcome");
}

#[test]
fn a_forged_token_is_not() {
    let text = "400 error validating token: error verifying token signature: \
                no known key successfully validated the token signature";
    assert_eq!(standard(&GitlabToken::new().sign_with_other_key()), text);
    let mut changed: Vec<String> = GitlabToken::new().sign().split('.').map(str::to_owned).collect();
    changed[1] = GitlabToken::new().project_id("1").sign().split('.').nth(1).unwrap().to_owned();
    assert_eq!(standard(&changed.join(".")), text);
}

#[test]
fn any_algorithm_is_taken_unless_the_mount_names_its_own() {
    assert_eq!(standard(&GitlabToken::new().sign_rs384()), "welcome");
    let team = Team::new(Dialect::OpenBao);
    team.vault.write(
        "auth/ci/gitlab/config",
        json!({
            "jwt_validation_pubkeys": GitlabToken::public_key_pem(), "default_role": "ci",
            "jwt_supported_algs": ["RS256"],
        }),
    );
    let text =
        "error validating token: invalid algorithm (alg) header parameter: token signed with unexpected algorithm";
    assert_eq!(team.jwt_login(&GitlabToken::new().sign_rs384()).error(), text);
    assert_eq!(team.jwt_login(&GitlabToken::new().sign()).status, 200);
}

#[test]
fn the_clock_may_be_off_by_a_minute() {
    let expired = "400 error validating token: invalid expiration time (exp) claim: token is expired";
    assert_eq!(standard(&GitlabToken::new().expires_in(-55).sign()), "welcome");
    assert_eq!(standard(&GitlabToken::new().expires_in(-65).sign()), expired);
    assert_eq!(standard(&GitlabToken::new().not_before_in(55).sign()), "welcome");
    let early = "400 error validating token: invalid not before (nbf) claim: token not yet valid";
    assert_eq!(standard(&GitlabToken::new().not_before_in(65).sign()), early);
    let future = "400 error validating token: invalid issued at (iat) claim: token issued in the future";
    assert_eq!(standard(&GitlabToken::new().issued_in(65).sign()), future);
}

#[test]
fn a_token_ages_with_the_servers_clock() {
    let team = Team::new(Dialect::Vault1_16);
    let jwt = GitlabToken::new().sign();
    team.vault.advance(Duration::from_secs(3_670));
    assert_eq!(team.jwt_login(&jwt).status, 400);
    assert_eq!(team.jwt_login(&GitlabToken::new().at(team.vault.now()).sign()).status, 200);
    let _: SystemTime = team.vault.now();
}

#[test]
fn without_any_time_a_token_is_refused_and_without_exp_it_has_some_leeway() {
    let timeless = GitlabToken::new().without("exp").without("nbf").without("iat").sign();
    let text =
        "400 error validating token: no issued at (iat), not before (nbf), or expiration time (exp) claims in token";
    assert_eq!(standard(&timeless), text);
    let young = GitlabToken::new().without("exp").issued_in(-200).not_before_in(-200);
    assert_eq!(standard(&young.sign()), "welcome", "150 seconds and the skew");
    let old = GitlabToken::new().without("exp").issued_in(-215).not_before_in(-215);
    assert_ne!(standard(&old.sign()), "welcome");
}

#[test]
fn issuer_and_subject_and_audience_must_fit() {
    let issuer = GitlabToken::new().issuer("https://evil.example.com");
    assert_eq!(standard(&issuer.sign()), "400 error validating token: invalid issuer (iss) claim");
    let subject = json!({ "bound_subject": "project_path:a/b:ref_type:branch:ref:main" });
    let text = "400 error validating token: invalid subject (sub) claim";
    assert_eq!(refusal(&GitlabToken::new().sign(), subject, Dialect::OpenBao), text);
    let wrong = "400 error validating token: invalid audience (aud) claim: \
                 audience claim does not match any expected audience";
    assert_eq!(standard(&GitlabToken::new().audience("https://other.example.com").sign()), wrong);
    assert_eq!(standard(&GitlabToken::new().without("aud").sign()), wrong);
    let list = GitlabToken::new().audiences(&["https://other.example.com", "https://vault.example.com"]);
    assert_eq!(standard(&list.sign()), "welcome");
}

#[test]
fn an_audience_that_no_role_binds_is_refused_by_openbao_and_as_a_list_by_all() {
    let text = "400 audience claim found in JWT but no audiences bound to the role";
    for dialect in Dialect::ALL {
        let unbound = || json!({ "bound_audiences": [], "bound_claims": { "project_id": "365" } });
        let string = refusal(&GitlabToken::new().sign(), unbound(), dialect);
        assert_eq!(string, if dialect == Dialect::OpenBao { text } else { "welcome" }, "{dialect}");
        let list = GitlabToken::new().audiences(&["https://vault.example.com"]).sign();
        assert_eq!(refusal(&list, unbound(), dialect), text, "{dialect}");
        assert_eq!(refusal(&GitlabToken::new().without("aud").sign(), unbound(), dialect), "welcome", "{dialect}");
    }
}

#[test]
fn bound_claims_are_compared_with_gitlabs_strings() {
    let bound = |claims| json!({ "bound_audiences": "https://vault.example.com", "bound_claims": claims });
    let jwt = GitlabToken::new().ref_protected(true).sign();
    let check = |claims| refusal(&jwt, bound(claims), Dialect::Vault1_16);
    assert_eq!(check(json!({ "ref_protected": "true", "project_id": ["1", "365"] })), "welcome");
    let text = "400 error validating claims: claim \"ref_protected\" does not match any associated bound claim values";
    assert_eq!(check(json!({ "ref_protected": true })), text);
    assert_eq!(check(json!({ "tier": "x" })), "400 error validating claims: claim \"tier\" is missing");
}

#[test]
fn globs_count_only_for_roles_that_ask_for_them() {
    let role = |kind| {
        let claims = json!({ "ref": "release/*" });
        json!({ "bound_audiences": "https://vault.example.com", "bound_claims": claims, "bound_claims_type": kind })
    };
    let jwt = GitlabToken::new().git_ref("release/1.2").sign();
    assert_eq!(refusal(&jwt, role("glob"), Dialect::OpenBao), "welcome");
    assert_ne!(refusal(&jwt, role("string"), Dialect::OpenBao), "welcome");
}

#[test]
fn the_user_claim_must_be_there_and_a_string() {
    let role = |claim| json!({ "bound_audiences": "https://vault.example.com", "user_claim": claim });
    let check = |claim| refusal(&GitlabToken::new().sign(), role(claim), Dialect::Vault1_16);
    assert_eq!(check("nobody"), "400 claim \"nobody\" not found in token");
    assert_eq!(check("runner_id"), "400 claim \"runner_id\" could not be converted to string");
}

#[test]
fn a_claim_that_cannot_be_metadata_stops_the_login() {
    let role = json!({ "bound_audiences": "https://vault.example.com", "claim_mappings": { "groups": "groups" } });
    let jwt = GitlabToken::new().claim("groups", json!(["a"])).sign();
    assert_eq!(refusal(&jwt, role, Dialect::Vault1_16), "400 error converting claim 'groups' to string");
}

#[test]
fn the_role_is_checked_before_the_token_and_the_token_before_the_claims() {
    let team = Team::new(Dialect::Vault1_16);
    let login = |body| team.client.put("auth/ci/gitlab/login", "", &body).error();
    assert_eq!(login(json!({ "role": "Nope", "jwt": "" })), "role \"nope\" could not be found");
    assert_eq!(login(json!({ "role": "CI" })), "missing token");
    let bad_in_every_way = GitlabToken::new().issuer("x").audience("y").expires_in(-999).sign();
    assert!(login(json!({ "jwt": bad_in_every_way })).ends_with("invalid issuer (iss) claim"));
}

#[test]
fn a_role_of_another_network_denies_without_a_reason() {
    let role = json!({ "bound_audiences": "https://vault.example.com", "token_bound_cidrs": "10.0.0.0/8" });
    assert_eq!(refusal("x.y.z", role, Dialect::Vault1_16), "403 permission denied");
}

#[test]
fn a_role_needs_a_type_a_user_claim_and_a_bound() {
    let team = Team::new(Dialect::Vault1_16);
    let refusal = |role| {
        let path = "auth/ci/gitlab/role/new";
        team.vault.request("POST", path, Some(&team.vault.root_token()), &[], Some(&role)).errors()
    };
    assert!(refusal(json!({ "user_claim": "sub" }))[0].starts_with("'allowed_redirect_uris' must be set"));
    assert_eq!(refusal(json!({ "role_type": "jwt" })), ["a user claim must be defined on the role"]);
    let unbound = json!({ "role_type": "jwt", "user_claim": "sub" });
    assert_eq!(refusal(unbound), ["must have at least one bound constraint when creating/updating a role"]);
}

#[test]
fn keys_are_fetched_from_the_issuer_by_url_or_discovery() {
    let team = Team::new(Dialect::Vault1_16);
    let keys = GitlabKeys::start();
    for config in [json!({ "jwks_url": keys.jwks_url() }), json!({ "oidc_discovery_url": keys.issuer_url() })] {
        team.vault.write("auth/ci/gitlab/config", config);
        let jwt = GitlabToken::new();
        let login = |jwt: String| team.client.put("auth/ci/gitlab/login", "", &json!({ "jwt": jwt, "role": "ci" }));
        assert_eq!(login(jwt.sign()).status, 200);
        assert!(login(jwt.sign_with_other_key()).error().ends_with("failed to verify id token signature"));
    }
    assert_eq!(keys.fetches(), 6);
}

#[test]
fn an_issuer_that_is_away_is_named_in_the_refusal() {
    let team = Team::new(Dialect::Vault1_16);
    let url = { GitlabKeys::start().jwks_url() };
    team.vault.write("auth/ci/gitlab/config", json!({ "jwks_url": url, "default_role": "ci" }));
    let error = team.jwt_login(&GitlabToken::new().sign()).error();
    assert!(error.starts_with("error validating token: error verifying token signature: fetching keys "), "{error}");
}

#[test]
fn an_unconfigured_mount_says_so() {
    let vault = DevVault::start(Dialect::Vault1_16);
    vault.write("sys/auth/jwt", json!({ "type": "jwt" }));
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_subject": "x" });
    vault.write("auth/jwt/role/ci", role);
    let body = json!({ "role": "ci", "jwt": GitlabToken::new().sign() });
    let answer = vault.request("POST", "auth/jwt/login", None, &[], Some(&body));
    assert_eq!(answer.errors(), ["could not load configuration"]);
}

#[test]
fn the_token_knows_its_project() {
    let team = Team::new(Dialect::Vault1_16);
    let mappings = json!({ "project_id": "project_id", "job_id": "job" });
    team.jwt_role("ci", json!({ "bound_audiences": "https://vault.example.com", "claim_mappings": mappings }));
    let auth = team.jwt_login(&GitlabToken::new().sign()).json()["auth"].clone();
    assert_eq!(auth["metadata"], json!({ "role": "ci", "project_id": "365", "job": "302" }));
    let token = text(&auth["client_token"]);
    let name = team.client.get("auth/token/lookup-self", &token).json()["data"]["display_name"].clone();
    assert_eq!(name, "ci-gitlab-somenamespace/someproject");

    let number = json!({ "runner_id": "runner" });
    team.jwt_role("ci", json!({ "bound_audiences": "https://vault.example.com", "claim_mappings": number }));
    let refused = team.jwt_login(&GitlabToken::new().sign());
    assert_eq!((refused.status, refused.error().as_str()), (400, "error converting claim 'runner_id' to string"));
}
