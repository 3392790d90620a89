//! Tokens: uses, ages, families, and what a policy lets them do.

use std::time::Duration;

use dev_vault::Dialect;
use serde_json::json;

use crate::setup::{Team, text};

#[test]
fn denied_requests_cost_a_use_too() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.made_token(json!({ "policies": "ci", "num_uses": 3 }));
    assert_eq!(team.client.get("exoscale/role/ci", &token).status, 403);
    assert_eq!(team.client.get("nowhere", &token).status, 403);
    let left = team.client.get("auth/token/lookup-self", &token);
    assert_eq!(left.json()["data"]["num_uses"], -1, "the lookup itself is the last use");
    let spent = team.client.get("auth/token/lookup-self", &token);
    assert_eq!((spent.status, spent.error()), (403, "permission denied".to_owned()));
}

#[test]
fn a_login_with_a_token_beside_it_costs_that_token_nothing() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.made_token(json!({ "policies": "ci", "num_uses": 1 }));
    let body = json!({ "role_id": team.role_id(), "secret_id": team.secret_id(json!({})) });
    assert_eq!(team.client.put("auth/approle/login", &token, &body).status, 200);
    assert_eq!(team.client.get("auth/token/lookup-self", &token).status, 200);
}

#[test]
fn bearer_is_as_good_as_the_header_and_loses_against_it() {
    let team = Team::new(Dialect::Vault1_16);
    let bearer = format!("Bearer {}", team.token());
    let send = |headers: &[(&str, &str)]| team.client.send("GET", "/v1/auth/token/lookup-self", headers, None).status;
    assert_eq!(send(&[("Authorization", &bearer)]), 200);
    assert_eq!(send(&[("Authorization", &bearer), ("X-Vault-Token", "s.nope")]), 403);
}

#[test]
fn renewal_may_shorten_and_ends_at_the_maximum() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let renew = |increment: &str| {
        let answer = team.client.put("auth/token/renew-self", &token, &json!({ "increment": increment })).json();
        (answer["auth"]["lease_duration"].as_u64(), !answer["warnings"].is_null())
    };
    assert_eq!(renew("10m"), (Some(600), false));
    team.vault.advance(Duration::from_secs(540));
    assert_eq!(renew("50m"), (Some(3_000), false));
    team.vault.advance(Duration::from_secs(660));
    let (capped, warned) = renew("50m");
    assert!(capped.is_some_and(|ttl| (2_398..=2_400).contains(&ttl)) && warned, "{capped:?}");
}

#[test]
fn past_its_maximum_a_token_is_gone() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    team.vault.advance(Duration::from_secs(899));
    assert_eq!(team.client.get("auth/token/lookup-self", &token).status, 200);
    team.vault.advance(Duration::from_secs(2));
    assert_eq!(team.client.get("auth/token/lookup-self", &token).status, 403);
}

#[test]
fn what_cannot_be_renewed_says_why() {
    let team = Team::new(Dialect::Vault1_16);
    let renew = |token: &str| team.client.put("auth/token/renew-self", token, &json!({})).error();
    assert_eq!(
        renew(&team.made_token(json!({ "policies": "ci", "ttl": "1h", "renewable": false }))),
        "lease is not renewable"
    );
    assert_eq!(renew(&team.made_token(json!({ "policies": "ci", "type": "batch" }))), "batch tokens cannot be renewed");
    assert_eq!(renew(&team.vault.root_token()), "invalid lease ID");
}

#[test]
fn revoking_a_parent_revokes_its_children() {
    let team = Team::new(Dialect::OpenBao);
    let parent = team.made_token(json!({ "policies": "root", "ttl": "1h" }));
    let child = |fields| {
        let answer = team.client.put("auth/token/create", &parent, &fields).json();
        text(&answer["auth"]["client_token"])
    };
    let (child, orphan) = (child(json!({ "ttl": "1h" })), child(json!({ "ttl": "1h", "no_parent": true })));
    assert_eq!(team.client.put("auth/token/revoke-self", &parent, &json!({})).status, 204);
    assert_eq!(team.client.get("auth/token/lookup-self", &child).status, 403);
    assert_eq!(team.client.get("auth/token/lookup-self", &orphan).status, 200);
}

#[test]
fn a_child_cannot_have_more_than_its_parent() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write(
        "sys/policies/acl/mother",
        json!({ "policy": r#"path "auth/token/create" { capabilities = ["update"] }"# }),
    );
    let mother = team.made_token(json!({ "policies": "mother" }));
    let create = |fields| team.client.put("auth/token/create", &mother, &fields);
    assert_eq!(create(json!({ "policies": ["root"] })).error(), "child policies must be subset of parent");
    let no_parent = create(json!({ "no_parent": true })).error();
    assert_eq!(no_parent, "root or sudo privileges required to create orphan token");
    assert_eq!(create(json!({})).json()["auth"]["policies"], json!(["default", "mother"]));
}

#[test]
fn a_token_can_be_looked_up_and_revoked_by_accessor() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let accessor = text(&team.client.get("auth/token/lookup-self", &token).json()["data"]["accessor"]);
    let found = team.vault.write("auth/token/lookup-accessor", json!({ "accessor": accessor }));
    assert_eq!(found["data"]["id"], token);
    team.vault.write("auth/token/revoke-accessor", json!({ "accessor": accessor }));
    assert_eq!(team.client.get("auth/token/lookup-self", &token).status, 403);
}

#[test]
fn capabilities_are_told_per_path() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let ask = |paths| team.client.put("sys/capabilities-self", &token, &json!({ "paths": paths }));
    let one = ask(json!(["exoscale/apikey/ci"])).json();
    assert_eq!(one["data"], json!({ "exoscale/apikey/ci": ["read"], "capabilities": ["read"] }));
    assert_eq!(one["exoscale/apikey/ci"], json!(["read"]), "and again at top level");
    assert_eq!(ask(json!(["x", "y"])).json()["data"], json!({ "x": ["deny"], "y": ["deny"] }));
    assert_eq!(ask(json!([])).error(), "paths must be supplied");
    let root = team.vault.write("sys/capabilities-self", json!({ "paths": ["x"] }));
    assert_eq!(root["data"]["x"], json!(["root"]));
}

#[test]
fn create_and_update_are_told_apart_where_the_engine_can_tell() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("sys/mounts/kv", json!({ "type": "kv", "options": { "version": "1" } }));
    team.vault.write("sys/policies/acl/creator", json!({ "policy": r#"path "kv/*" { capabilities = ["create"] }"# }));
    let token = team.made_token(json!({ "policies": "creator" }));
    assert_eq!(team.client.put("kv/a", &token, &json!({ "k": "v" })).status, 204);
    assert_eq!(team.client.put("kv/a", &token, &json!({ "k": "w" })).status, 403);
}

#[test]
fn a_cubbyhole_belongs_to_one_token() {
    let team = Team::new(Dialect::Vault1_16);
    let (a, b) = (team.token(), team.token());
    assert_eq!(team.client.put("cubbyhole/x", &a, &json!({ "k": "v" })).status, 204);
    assert_eq!(team.client.get("cubbyhole/x", &a).json()["data"], json!({ "k": "v" }));
    assert_eq!(team.client.get("cubbyhole/x", &b).status, 404);
}

#[test]
fn every_secret_is_remembered_for_leak_scans() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({}));
    let token = text(&team.approle_login(&secret_id).json()["auth"]["client_token"]);
    let wrapped = team.vault.write_wrapped("auth/approle/role/ci/secret-id", json!({}), "60s");
    let exoscale = team.client.get("exoscale/apikey/ci", &token).json()["data"].clone();
    let aws = team.client.get("aws/sts/deploy", &token).json()["data"].clone();
    let given = [secret_id, token, wrapped, team.vault.root_token(), "exo-root-secret".to_owned()];
    let fields = [&exoscale["api_key"], &exoscale["api_secret"], &aws["secret_key"], &aws["session_token"]];
    let secrets = team.vault.secrets();
    for secret in given.into_iter().chain(fields.map(text)) {
        assert!(secrets.contains(&secret), "{secret}");
    }
}
