use std::time::Duration;

use dev_vault::{DevVault, Dialect, Fault, GitlabToken, On};
use serde_json::{Value, json};

use crate::support::{AUDIENCE, ISSUER, METHODS, ROLE, Ran, Run, World};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

fn each_dialect(test: impl Fn(&World, Dialect)) {
    for dialect in Dialect::ALL {
        test(&World::with(DevVault::builder().dialect(dialect)), dialect);
    }
}

fn denied(ran: Ran, world: &World, words: &[&str], hint: &[&str]) {
    let ran = ran.refused(world, 77, "denied", words, hint);
    assert_eq!(world.vault.minted().len(), 0, "{ran:?}");
    world.assert_nothing_left(&ran);
}

fn approle(world: &World, settings: Value) {
    world.vault.write(&format!("auth/approle/role/{ROLE}"), settings);
}

#[test]
fn a_wrong_secret_id_or_role_id_names_both_and_how_to_make_a_new_one() {
    each_dialect(|world, dialect| {
        let run = world.command_as("secret-id", EXOSCALE);
        let unknown = "11111111-2222-3333-4444-555555555555";
        denied(
            run.env("VAULT_SECRET_ID", unknown).run(),
            world,
            &["auth/approle/login"],
            &["VAULT_SECRET_ID", "secret-id"],
        );
        let run = world.command_as("secret-id", EXOSCALE).env("VAULT_ROLE_ID", unknown);
        let hint = if dialect == Dialect::Vault1_8 { "is not a role ID of auth/approle" } else { "VAULT_ROLE_ID" };
        denied(run.run(), world, &["auth/approle/login"], &[hint]);
        assert_eq!(world.count("auth/approle/login"), 2, "a refused login is not repeated: {dialect}");
    });
}

#[test]
fn a_secret_id_that_is_used_up_is_refused_like_a_wrong_one() {
    each_dialect(|world, _| {
        let run = world.command_as("secret-id", EXOSCALE);
        run.run().ok();
        let ran = run.run();
        ran.refused(world, 77, "denied", &["auth/approle/login"], &["used up", "vault write -f auth/approle/role/"]);
    });
}

#[test]
fn five_wrong_secret_ids_lock_the_role_and_the_hint_says_so() {
    for dialect in [Dialect::Vault1_16, Dialect::OpenBao] {
        let world = World::with(DevVault::builder().dialect(dialect));
        for _ in 0..5 {
            let body = json!({ "role_id": world.role_id, "secret_id": "wrong" });
            let answer = world.vault.request("POST", "auth/approle/login", None, &[], Some(&body));
            assert_eq!(answer.status, 400);
        }
        let ran = world.command_as("secret-id", EXOSCALE).run();
        denied(
            ran,
            &world,
            &["403", "permission denied"],
            &["after five wrong secret IDs, for 15 minutes", "--auth-mount"],
        );
    }
}

#[test]
fn a_runner_outside_the_bound_network_is_told_so() {
    each_dialect(|world, _| {
        approle(world, json!({ "secret_id_bound_cidrs": ["10.0.0.0/8"] }));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        let hint = ["secret_id_bound_cidrs", "HashiCorp Vault has spent the secret ID anyway, OpenBao has not"];
        denied(ran, world, &["CIDR restrictions on the role"], &hint);
        approle(world, json!({ "secret_id_bound_cidrs": [], "token_bound_cidrs": ["10.0.0.0/8"] }));
        let ran = world.command_as("secret-id", EXOSCALE).run();
        // The login succeeds; the token is good for nothing here, not even for its own end.
        let words = ["the login succeeded", "permission denied", "exoscale/apikey"];
        let ran = ran.refused(world, 77, "denied", &words, &["token_bound_cidrs of the login's role"]);
        assert_eq!(world.vault.minted().len(), 0, "{ran:?}");
    });
}

#[test]
fn the_network_of_a_secret_id_counts_like_that_of_its_role() {
    each_dialect(|world, _| {
        let bound = json!({ "cidr_list": ["10.0.0.0/8"] });
        let answer = world.vault.write(&format!("auth/approle/role/{ROLE}/secret-id"), bound);
        let secret_id = answer["data"]["secret_id"].as_str().unwrap();
        let run = world.command_as("secret-id", EXOSCALE).env("VAULT_SECRET_ID", secret_id);
        denied(run.run(), world, &["CIDR restrictions on the secret ID"], &["secret_id_bound_cidrs"]);
    });
}

#[test]
fn a_login_mount_that_is_not_there_names_the_flag_that_names_it() {
    each_dialect(|world, dialect| {
        let text = if dialect == Dialect::Vault1_8 { "missing client token" } else { "permission denied" };
        let line = format!("{EXOSCALE} --auth-mount nope");
        let words: &[&str] = &["auth/nope/login", text];
        denied(world.command_as("secret-id", &line).run(), world, words, &["--auth-mount"]);
        denied(world.command_as("id-token", &line).run(), world, words, &["--auth-mount", "VAULT_AUTH_PATH"]);
    });
}

#[test]
fn a_generator_token_that_may_not_generate_is_shown_the_policy_that_it_needs() {
    each_dialect(|world, _| {
        let path = format!("auth/approle/role/{ROLE}/secret-id");
        let run = world.command_as("generator-token", EXOSCALE).env("VAULT_TOKEN", &world.token("exoscale"));
        let line = format!("path \"{path}\" {{ capabilities = [\"update\"] }}");
        denied(run.run(), world, &[&path, "VAULT_TOKEN"], &[&line]);

        let text = "path \"auth/approle/role/+/secret-id\" { capabilities = [\"update\"] }";
        world.vault.write("sys/policies/acl/generator", json!({ "policy": text }));
        let run = world.command_as("generator-token", EXOSCALE).env("VAULT_APPROLE_ROLE", "nope");
        let ran = run.run().refused(world, 78, "config", &["no AppRole nope at auth/approle"], &["VAULT_APPROLE_ROLE"]);
        world.assert_nothing_left(&ran);

        approle(world, json!({ "bind_secret_id": false, "token_bound_cidrs": ["127.0.0.1/32"] }));
        let ran = world.command_as("generator-token", EXOSCALE).run();
        denied(ran, world, &["bind_secret_id is not set"], &["bind_secret_id"]);
    });
}

#[test]
fn a_second_factor_is_something_that_a_job_does_not_have() {
    let world = World::start();
    let factor = json!({ "any": [{ "type": "totp", "id": "5a1b", "uses_passcode": true, "name": "" }] });
    let auth = json!({
        "client_token": "", "accessor": "", "policies": null, "lease_duration": 0, "renewable": false,
        "mfa_requirement": { "mfa_request_id": "d0c9", "mfa_constraints": { "totp": factor } }, "num_uses": 0,
    });
    let answer = json!({
        "request_id": "1f", "lease_id": "", "renewable": false, "lease_duration": 0, "data": null, "wrap_info": null,
        "warnings": ["A login request was issued that is subject to MFA validation."], "auth": auth,
    });
    for method in ["secret-id", "id-token"] {
        world.vault.inject(On::write("/login"), Fault::answer(dev_vault::Reply::json(200, &answer)));
        let ran = world.command_as(method, EXOSCALE).run();
        denied(ran, &world, &["second factor"], &["login-enforcement"]);
    }
}

#[test]
fn an_id_token_that_is_not_believed_is_told_what_it_says_and_what_to_change() {
    type Case = (fn(GitlabToken) -> String, &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 8] = [
        (
            |token| token.audience("https://other").sign(),
            &["audience"],
            &[
                "aud is https://other",
                "id_tokens: {VAULT_ID_TOKEN: {aud: AUDIENCE}}",
                "vault read -field=bound_audiences auth/gitlab/role/",
            ],
        ),
        (|token| token.without("aud").sign(), &["audience"], &["aud is nothing", "bound_audiences"]),
        (|token| token.issuer("https://evil").sign(), &["issuer"], &["iss is https://evil", "bound_issuer"]),
        (|token| token.sign_with_other_key(), &["signature"], &[ISSUER, "jwks_url"]),
        (
            |token| token.project_id("999").sign(),
            &["project_id", "bound claim"],
            &["project_id is 999", "bound_claims"],
        ),
        (|token| token.without("project_id").sign(), &["missing"], &["project_id is nothing"]),
        (
            |token| token.issued_in(-7_200).not_before_in(-7_200).expires_in(-3_600).sign(),
            &["expired"],
            &["expired during the job"],
        ),
        (|token| token.not_before_in(600).sign(), &["not yet valid"], &["the token is valid from", "ahead"]),
    ];
    each_dialect(|world, _| {
        for (make, words, hint) in &cases {
            let jwt = make(world.id_token());
            let run = world.command_as("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &jwt);
            let ran = run.run();
            assert!(!ran.stderr.contains(&jwt), "{}", ran.stderr);
            denied(ran, world, words, hint);
        }
    });
}

#[test]
fn an_algorithm_that_the_mount_does_not_take_names_the_setting_that_would() {
    each_dialect(|world, _| {
        let run = world.command_as("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &world.id_token().sign_rs384());
        run.run().ok();
        let keys = json!({
            "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER, "default_role": ROLE,
            "jwt_supported_algs": ["RS256"],
        });
        world.vault.write("auth/gitlab/config", keys);
        let ran = run.run();
        ran.refused(world, 77, "denied", &["unexpected algorithm"], &["auth/gitlab/config", "jwt_supported_algs=RS"]);
    });
}

fn as_jwt(world: &World) -> Run {
    world.command_as("id-token", EXOSCALE)
}

#[test]
fn a_jwt_role_that_does_not_let_us_in_is_named() {
    each_dialect(|world, dialect| {
        denied(
            as_jwt(world).env("VAULT_AUTH_ROLE", "nope").run(),
            world,
            &["could not be found"],
            &["no role nope at auth/gitlab", "VAULT_AUTH_ROLE"],
        );
        let keys = json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER });
        world.vault.write("auth/gitlab/config", keys);
        denied(as_jwt(world).run(), world, &["missing role"], &["default_role", "--auth-role", "VAULT_AUTH_ROLE"]);

        let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_claims": { "project_id": "365" } });
        world.vault.write("auth/gitlab/role/unbound", role);
        let list = world.id_token().audiences(&[AUDIENCE]).sign();
        let run = as_jwt(world).env("VAULT_AUTH_ROLE", "unbound").env("VAULT_ID_TOKEN", &list);
        let hint = format!("auth/gitlab/role/unbound role_type=jwt bound_audiences={AUDIENCE}");
        denied(run.run(), world, &["no audiences bound"], &[&hint]);

        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_subject": "somebody else", "bound_audiences": [AUDIENCE],
        });
        world.vault.write("auth/gitlab/role/subject", role);
        let run = as_jwt(world).env("VAULT_AUTH_ROLE", "subject");
        denied(run.run(), world, &["subject"], &["sub is project_path:", "bound_subject", "bound_claims_type=glob"]);

        let role = json!({ "role_type": "oidc", "user_claim": "sub", "allowed_redirect_uris": ["http://x"] });
        world.vault.write("auth/gitlab/role/browser", role);
        let run = as_jwt(world).env("VAULT_AUTH_ROLE", "browser");
        denied(run.run(), world, &["oidc role_type"], &["vault write auth/gitlab/role/browser role_type=jwt"]);

        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "token_bound_cidrs": ["10.0.0.0/8"],
        });
        world.vault.write("auth/gitlab/role/network", role);
        let run = as_jwt(world).env("VAULT_AUTH_ROLE", "network");
        denied(run.run(), world, &["permission denied"], &["bound_cidrs"]);
        assert_eq!(world.count("auth/gitlab/login"), 6, "a refused login is not repeated: {dialect}");
    });
}

#[test]
fn keys_that_vault_cannot_fetch_are_said_to_be_out_of_its_reach() {
    each_dialect(|world, dialect| {
        let mut keys = json!({ "jwks_url": "http://127.0.0.1:1/keys", "default_role": ROLE });
        if dialect == Dialect::OpenBao {
            keys["skip_jwks_validation"] = true.into();
        }
        world.vault.write("auth/gitlab/config", keys);
        let ran = as_jwt(world).run();
        let ran = ran.refused(world, 69, "unavailable", &["fetching keys"], &["re-run the job later", "jwks_url"]);
        world.assert_nothing_left(&ran);
    });
}

#[test]
fn an_expired_token_says_that_it_may_have_expired() {
    each_dialect(|world, _| {
        let run = world.command_as("token", EXOSCALE);
        world.vault.advance(Duration::from_secs(3_601));
        denied(run.run(), world, &["VAULT_TOKEN", "exoscale/apikey"], &["has expired, was revoked"]);
    });
}

#[test]
fn a_secret_id_that_openbao_refuses_for_its_address_is_good_for_another_run() {
    each_dialect(|world, dialect| {
        let run = world.command_as("secret-id", EXOSCALE);
        approle(world, json!({ "secret_id_bound_cidrs": ["10.0.0.0/8"] }));
        denied(run.run(), world, &["CIDR"], &["secret_id_bound_cidrs"]);
        approle(world, json!({ "secret_id_bound_cidrs": [] }));
        assert_eq!(run.run().code, if dialect == Dialect::OpenBao { 0 } else { 77 }, "{dialect}");
    });
}

#[test]
fn an_id_token_that_is_sent_to_an_approle_mount_is_a_wrong_mount_and_not_sent_again() {
    each_dialect(|world, dialect| {
        let run = world.command_as("id-token", &format!("{EXOSCALE} --auth-mount approle"));
        let hint = ["auth/approle is an AppRole mount", "--auth-mount"];
        run.run().refused(world, 78, "config", &["auth/approle/login"], &hint);
        assert_eq!(world.vault.requests().len(), 1, "{dialect}");
    });
}

#[test]
fn a_claim_that_the_role_asks_for_in_vain_is_told_by_the_setting_that_asks_for_it() {
    each_dialect(|world, dialect| {
        for (settings, setting, change) in [
            (json!({ "user_claim": "nope" }), "user_claim", "user_claim=sub"),
            (json!({ "user_claim": "number" }), "user_claim", "user_claim=sub"),
            (json!({ "user_claim": "project_path", "groups_claim": "nope" }), "groups_claim", "groups_claim="),
            (
                json!({ "groups_claim": "", "claim_mappings": { "number": "x" } }),
                "claim_mappings",
                "take number out of claim_mappings",
            ),
            (
                json!({ "claim_mappings": {}, "bound_claims": { "project_id": "9" } }),
                "bound_claims",
                "is 365 (the string",
            ),
            (json!({ "bound_claims": { "team": "red" } }), "bound_claims", "in this job team is blue"),
            (json!({ "bound_claims": { "/user/id": "u-1" } }), "bound_claims", "in this job /user/id is u-9"),
            (json!({ "bound_claims": { "user": "u-9" } }), "bound_claims", "JSON pointer, such as /user/id"),
            (json!({ "bound_claims": { "ref_protected": true } }), "bound_claims", "the string \"true\", with quotes"),
            (json!({ "bound_claims": { "ref": "rel*" } }), "bound_claims", "bound_claims_type=glob"),
            (json!({ "bound_claims": { "user_email": "x" } }), "bound_claims", "a trigger token"),
            (
                json!({ "bound_claims": { "sub": "repo:o/r:*" }, "bound_claims_type": "glob" }),
                "bound_claims",
                "sub is project",
            ),
        ] {
            let mut settings = settings;
            settings["role_type"] = json!("jwt");
            world.vault.write(&format!("auth/gitlab/role/{ROLE}"), settings);
            let token = world.id_token().claim("number", 7).claim("team", "blue").claim("user", json!({ "id": "u-9" }));
            let run = world.command_as("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &token.without("user_email").sign());
            denied(run.run(), world, &["auth/gitlab/login"], &[&format!("{setting} of the role"), change]);
        }
        // A name that is empty: Vault says so with 500, and has done nothing.
        let claims = json!({ "role_type": "jwt", "user_claim": "ref_slug", "bound_claims": { "project_id": "365" } });
        world.vault.write(&format!("auth/gitlab/role/{ROLE}"), claims);
        world.vault.forget_requests();
        let token = world.id_token().claim("ref_slug", json!("")).sign();
        let ran = world.command_as("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &token).run();
        ran.refused(world, 78, "config", &["missing name in alias"], &["user_claim of the role"]);
        assert_eq!(world.vault.requests().len(), 1, "{dialect}");
    });
}

#[test]
fn a_wrong_mount_of_the_engine_is_not_told_as_a_missing_policy_alone() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    let line = "path \"exo/apikey/gitlab-ci-runner\" { capabilities = [\"read\"] }";
    let both = ["if exo is the mount of the Exoscale engine", line, "if not, set --mount or CI_CREDS_EXOSCALE_MOUNT"];
    denied(world.command_as("id-token", &format!("{EXOSCALE} --mount exo")).run(), &world, &["policy"], &both);
    let ran = world.command_as("token", &format!("{EXOSCALE} --mount exo")).run();
    denied(ran, &world, &["policy"], &["check --role and --mount or CI_CREDS_EXOSCALE_MOUNT", line]);
    // A policy that allows every path: Vault tells a mount that is not there, and a path that the engine does not have.
    world.vault.write("sys/policies/acl/all", json!({ "policy": "path \"+/apikey/*\" { capabilities = [\"read\"] }" }));
    world.vault.write(&format!("auth/gitlab/role/{ROLE}"), json!({ "role_type": "jwt", "token_policies": ["all"] }));
    for (mount, words, change) in [
        ("exo", "nothing is mounted at exo", "CI_CREDS_EXOSCALE_MOUNT to the mount of the Exoscale engine"),
        ("aws", "the engine at aws has no path such as aws/apikey", "mount of an Exoscale engine"),
    ] {
        let ran = world.command_as("id-token", &format!("{EXOSCALE} --mount {mount}")).run();
        let ran = ran.refused(&world, 78, "config", &[words], &[change]);
        world.assert_nothing_left(&ran);
    }
}

#[test]
fn a_jwt_mount_without_a_configuration_is_told_as_that() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    world.vault.write("sys/auth/fresh", json!({ "type": "jwt" }));
    let ran = world.command_as("id-token", &format!("{EXOSCALE} --auth-mount fresh --auth-role x")).run();
    ran.refused(&world, 78, "config", &["could not load configuration"], &["vault write auth/fresh/config"]);
}

// check: 5
#[test]
fn an_engine_without_a_configuration_is_told_as_that_and_is_no_leak() {
    each_dialect(|world, dialect| {
        world.vault.write("sys/mounts/fresh", json!({ "type": "exoscale" }));
        world.vault.write("fresh/role/x", json!({ "iam-role": "ci" }));
        let policy = "path \"fresh/apikey/x\" { capabilities = [\"read\"] }";
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        for method in METHODS {
            world.vault.forget_requests();
            let ran = world.command_as(method, "exoscale --role x --mount fresh").run();
            let ran = ran.refused(world, 78, "config", &["fresh/apikey/x is not configured"], &["--mount"]);
            assert_eq!(world.count("fresh/apikey/x"), 1, "{dialect} {method}");
            world.assert_nothing_left(&ran);
        }
    });
}

#[test]
fn a_namespace_that_is_not_there_is_named_to_every_identity_and_nothing_is_spent() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    for method in METHODS {
        world.vault.forget_requests();
        let run = world.command_as(method, EXOSCALE);
        let ran = run.clone().env("VAULT_NAMESPACE", "team/nope").run();
        let words = ["has no namespace team/nope", "404: namespace not found"];
        ran.refused(&world, 78, "config", &words, &["check VAULT_NAMESPACE,"]);
        assert_eq!(world.vault.requests().len(), 1, "{method}");
        run.run().ok();
    }
}

#[test]
fn the_path_of_the_id_token_is_named_where_it_does_not_count() {
    let world = World::start();
    let run = |mount: &str| world.command_as("secret-id", EXOSCALE).env("VAULT_AUTH_PATH", mount);
    run("gitlab").run().ok();
    let refused = run("ci-app").env("VAULT_SECRET_ID", "11111111-2222-3333-4444-555555555555");
    let change = "VAULT_AUTH_PATH=ci-app counts only for an ID token: if the AppRole is there, set \
        CI_CREDS_AUTH_MOUNT=ci-app\n";
    let ran = refused.run();
    assert!(ran.code == 77 && ran.stderr.contains(change), "{ran:?}");
    let named = refused.clone().env("CI_CREDS_AUTH_MOUNT", "approle");
    for run in [named, refused.env("VAULT_ID_TOKEN", &world.id_token().sign())] {
        let ran = run.run();
        assert!(ran.code == 77 && !ran.stderr.contains("VAULT_AUTH_PATH"), "{ran:?}");
    }
}
