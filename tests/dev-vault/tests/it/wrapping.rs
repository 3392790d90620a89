//! Response wrapping: one use, whatever it is used for.

use std::time::Duration;

use dev_vault::{Dialect, Fault, On};
use serde_json::{Value, json};

use crate::setup::{SECRET_ID, Team, text};

const NOT_VALID: &str = "wrapping token is not valid or does not exist";

fn unwrap(team: &Team, token: &str) -> (u16, String) {
    let response = team.client.put("sys/wrapping/unwrap", token, &Value::Null);
    (response.status, response.error())
}

fn wrapped(team: &Team) -> String {
    team.vault.write_wrapped(SECRET_ID, json!({}), "60s")
}

#[test]
fn unwrapping_gives_the_answer_as_it_was_once() {
    let team = Team::new(Dialect::Vault1_16);
    let token = wrapped(&team);
    let response = team.client.put("sys/wrapping/unwrap", &token, &Value::Null);
    assert_eq!(response.status, 200);
    assert!(!response.body.ends_with('\n'));
    let answer = response.json();
    assert_eq!(team.approle_login(&text(&answer["data"]["secret_id"])).status, 200);
    assert!(!text(&answer["request_id"]).is_empty(), "the request id of the wrapped answer");
    assert_eq!(unwrap(&team, &token), (400, NOT_VALID.to_owned()));
}

#[test]
fn a_lookup_spends_nothing_and_needs_no_token() {
    let team = Team::new(Dialect::Vault1_16);
    let token = wrapped(&team);
    for _ in 0..3 {
        let data = team.client.put("sys/wrapping/lookup", "", &json!({ "token": token })).json()["data"].clone();
        assert_eq!((&data["creation_path"], &data["creation_ttl"]), (&json!(SECRET_ID), &json!(60)));
    }
    assert_eq!(team.client.get("sys/wrapping/lookup", &token).status, 200, "by header too");
    let beside = team.client.put("sys/wrapping/lookup", "s.nonsense", &json!({ "token": token }));
    assert_eq!(beside.status, 200, "a bad token beside it does not matter");
    assert_eq!(unwrap(&team, &token).0, 200);
}

#[test]
fn the_body_form_needs_a_caller_and_leaves_the_token_alone_without_one() {
    for (dialect, expected) in [(Dialect::Vault1_8, 400), (Dialect::Vault1_16, 403), (Dialect::OpenBao, 403)] {
        let team = Team::new(dialect);
        let token = wrapped(&team);
        let body = json!({ "token": token });
        assert_eq!(team.client.put("sys/wrapping/unwrap", "", &body).status, expected, "{dialect}");
        assert_eq!(team.client.put("sys/wrapping/unwrap", &team.token(), &body).status, 200, "{dialect}");
        assert_eq!(unwrap(&team, &token), (400, NOT_VALID.to_owned()), "{dialect}");
        assert!(team.vault.live_tokens().iter().all(|token| !token.wrapping), "{dialect}: nothing is left of it");
    }
}

#[test]
fn a_bad_token_is_told_apart_from_none_and_from_nonsense() {
    for (dialect, status) in [(Dialect::Vault1_8, 500), (Dialect::Vault1_16, 403), (Dialect::OpenBao, 403)] {
        let team = Team::new(dialect);
        let refusal = |token: &str, body: Value| {
            let response = team.client.put("sys/wrapping/unwrap", token, &body);
            (response.status, response.error())
        };
        let family = |text: &str| (status, format!("error validating wrapping token: {text}"));
        let caller = team.token();
        assert_eq!(refusal(&caller, json!({ "token": 7 })), family("could not decode token in request body"));
        assert_eq!(refusal(&caller, json!({ "token": "" })), family("empty token in request body"));
        assert_eq!(refusal("", json!({})), family("token is empty"));
        assert_eq!(refusal(&caller, json!({})), (400, NOT_VALID.to_owned()), "an ordinary token");
        let nonsense = refusal("aaaa.bbbb.cccc", json!({}));
        if dialect == Dialect::OpenBao {
            assert_eq!(nonsense, (400, NOT_VALID.to_owned()));
        } else {
            assert!(nonsense.1.contains("could not be parsed"), "{nonsense:?}");
        }
    }
}

#[test]
fn a_damaged_signed_token_is_denied_before_it_is_looked_for() {
    let team = Team::new(Dialect::Vault1_16);
    let mut token = wrapped(&team);
    token.replace_range(token.len() - 1.., if token.ends_with('A') { "B" } else { "A" });
    assert_eq!(unwrap(&team, &token), (403, "permission denied".to_owned()));
}

#[test]
fn losing_the_race_is_an_internal_error_in_the_body_form() {
    let team = Team::new(Dialect::Vault1_16);
    let token = wrapped(&team);
    team.vault.inject(On::write("/unwrap"), Fault::lost_race());
    let response = team.client.put("sys/wrapping/unwrap", &team.token(), &json!({ "token": token }));
    assert_eq!(response.status, 500);
    let text = "1 error occurred:\n\t* error decrementing wrapping token's use-count: ";
    assert!(response.error().starts_with(text), "{}", response.error());
    let token = wrapped(&team);
    team.vault.inject(On::write("/unwrap"), Fault::lost_race());
    assert_eq!(unwrap(&team, &token), (403, "permission denied".to_owned()), "and a denial in the header form");
    assert_eq!(unwrap(&team, &token), (400, NOT_VALID.to_owned()));
}

#[test]
fn any_other_request_spends_it_but_a_login_does_not() {
    let team = Team::new(Dialect::Vault1_16);
    let token = wrapped(&team);
    let body = json!({ "role_id": team.role_id(), "secret_id": team.secret_id(json!({})) });
    assert_eq!(team.client.put("auth/approle/login", &token, &body).status, 200);
    assert_eq!(team.client.get("exoscale/apikey/ci", &token).status, 403);
    assert_eq!(unwrap(&team, &token).0, 400);
}

#[test]
fn it_dies_of_age() {
    let team = Team::new(Dialect::OpenBao);
    let token = wrapped(&team);
    team.vault.advance(Duration::from_secs(60));
    assert_eq!(unwrap(&team, &token), (400, NOT_VALID.to_owned()));
}

#[test]
fn rewrapping_keeps_the_path_and_ends_the_old_token() {
    let team = Team::new(Dialect::Vault1_16);
    let old = wrapped(&team);
    let answer = team.client.put("sys/wrapping/rewrap", &team.vault.root_token(), &json!({ "token": old })).json();
    assert_eq!(answer["request_id"], "");
    assert_eq!(answer["wrap_info"]["creation_path"], SECRET_ID);
    assert_eq!(unwrap(&team, &old).0, 400);
    assert_eq!(unwrap(&team, &text(&answer["wrap_info"]["token"])).0, 200);
    let header_form = team.client.put("sys/wrapping/rewrap", &wrapped(&team), &Value::Null);
    assert_eq!(header_form.status, 403, "its own policy does not allow it");
}

#[test]
fn wrapping_needs_the_header_and_shows_in_the_path() {
    let team = Team::new(Dialect::Vault1_16);
    let body = json!({ "secret_id": "x" });
    let response = team.client.put("sys/wrapping/wrap", &team.token(), &body);
    assert_eq!((response.status, response.error()), (400, "endpoint requires response wrapping to be used".to_owned()));
    let token = team.vault.write_wrapped("sys/wrapping/wrap", body, "60s");
    let data = team.client.put("sys/wrapping/lookup", "", &json!({ "token": token })).json()["data"].clone();
    assert_eq!(data["creation_path"], "sys/wrapping/wrap");
}

#[test]
fn nothing_and_errors_are_not_wrapped_and_the_ttl_must_be_sensible() {
    let team = Team::new(Dialect::Vault1_16);
    let root = team.vault.root_token();
    let send = |path: &str, ttl: &str| {
        let headers = [("X-Vault-Token", root.as_str()), ("X-Vault-Wrap-TTL", ttl)];
        team.client.send("GET", path, &headers, None)
    };
    assert_eq!(send("/v1/exoscale/apikey/nope", "60s").error(), "role \"nope\" not found");
    assert!(send("/v1/exoscale/role/ci", "0").json()["wrap_info"].is_null());
    let negative = "error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative";
    assert_eq!(send("/v1/exoscale/role/ci", "-1s").error(), negative);
    let deleted = [("X-Vault-Token", root.as_str()), ("X-Vault-Wrap-TTL", "60s")];
    assert_eq!(team.client.send("DELETE", "/v1/exoscale/role/ci", &deleted, None).status, 204);
}

#[test]
fn a_policy_can_demand_wrapping() {
    let team = Team::new(Dialect::Vault1_16);
    let policy = format!(
        r#"path "{SECRET_ID}" {{ capabilities = ["update"] min_wrapping_ttl = "30s" max_wrapping_ttl = "90s" }}"#
    );
    team.vault.write("sys/policies/acl/generator", json!({ "policy": policy }));
    let token = team.made_token(json!({ "policies": "generator" }));
    let status = |ttl: &str| {
        let headers = [("X-Vault-Token", token.as_str()), ("X-Vault-Wrap-TTL", ttl)];
        team.client.send("PUT", &format!("/v1/{SECRET_ID}"), &headers, None).status
    };
    assert_eq!(["0", "10s", "60s", "2m"].map(status), [403, 403, 200, 403]);
}

#[test]
fn a_wrapped_login_names_the_accessor_within() {
    let team = Team::new(Dialect::OpenBao);
    let body = json!({ "role_id": team.role_id(), "secret_id": team.secret_id(json!({})) }).to_string();
    let headers = [("X-Vault-Wrap-TTL", "60s")];
    let outer = team.client.send("PUT", "/v1/auth/approle/login", &headers, Some(&body)).json();
    let token = text(&outer["wrap_info"]["token"]);
    let inner = team.client.put("sys/wrapping/unwrap", &token, &Value::Null).json();
    assert_eq!(inner["auth"]["accessor"], outer["wrap_info"]["wrapped_accessor"]);
}
