//! Leases: they belong to a token, and die with it.

use std::time::Duration;

use dev_vault::{DevVault, Dialect, Fault, On};
use serde_json::{Value, json};

use crate::setup::{Team, text};

fn lend(team: &Team, token: &str) -> Value {
    let response = team.client.get("exoscale/apikey/ci", token);
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()
}

#[test]
fn a_lease_dies_with_its_token() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let answer = lend(&team, &token);
    let [lease] = &team.vault.live_leases()[..] else { panic!("one lease") };
    assert_eq!(
        (json!(lease.id), json!(lease.access_key)),
        (answer["lease_id"].clone(), answer["data"]["api_key"].clone())
    );
    let accessor = &team.client.get("auth/token/lookup-self", &token).json()["data"]["accessor"];
    assert_eq!(json!(lease.accessor), *accessor);
    team.client.put("auth/token/revoke-self", &token, &json!({}));
    assert!(team.vault.live_leases().is_empty());
    assert!(team.vault.live_keys().is_empty());
    assert_eq!(team.vault.minted()["exoscale/apikey/ci"], 1, "what was minted stays counted");
}

#[test]
fn a_token_that_expires_takes_its_leases_along() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.made_token(json!({ "policies": "ci", "ttl": "1m" }));
    lend(&team, &token);
    team.vault.advance(Duration::from_secs(61));
    assert!(team.vault.live_leases().is_empty());
}

#[test]
fn held_revocations_leave_the_key_alive_until_they_run() {
    let team = Team::with(DevVault::builder().hold_revocations().start());
    let token = team.token();
    let id = lend(&team, &token)["lease_id"].clone();
    team.client.put("auth/token/revoke-self", &token, &json!({}));
    assert!(team.vault.live_leases()[0].queued);
    assert_eq!(team.vault.live_keys().len(), 1);
    let renew = team.client.put("sys/leases/renew", &team.vault.root_token(), &json!({ "lease_id": id }));
    assert_eq!(renew.error(), "lease not found");
    team.vault.run_revocations();
    assert!(team.vault.live_leases().is_empty() && team.vault.live_keys().is_empty());
}

#[test]
fn sts_keys_outlive_their_lease() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    team.client.put("aws/sts/deploy", &token, &json!({}));
    team.client.put("auth/token/revoke-self", &token, &json!({}));
    assert!(team.vault.live_leases().is_empty());
    assert_eq!(team.vault.live_keys().len(), 1);
}

#[test]
fn the_last_use_of_a_token_gets_no_leased_credentials() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.made_token(json!({ "policies": "ci", "num_uses": 1 }));
    let response = team.client.get("exoscale/apikey/ci", &token);
    assert!(response.error().starts_with("Secret cannot be returned; token had one use left"));
    assert!(team.vault.live_leases().is_empty() && team.vault.live_keys().is_empty());
    assert_eq!(team.vault.minted()["exoscale/apikey/ci"], 1, "it was made, and taken back");
}

#[test]
fn an_exoscale_lease_is_renewed_in_full_or_not_at_all() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let id = lend(&team, &token)["lease_id"].clone();
    let renew = || team.client.put("sys/leases/renew", &token, &json!({ "lease_id": id })).json();
    team.vault.advance(Duration::from_secs(600));
    assert_eq!(renew()["lease_duration"], 900);
    assert_eq!(team.client.put("auth/token/renew-self", &token, &json!({ "increment": "1h" })).status, 200);
    team.vault.advance(Duration::from_secs(295));
    assert_eq!(renew()["lease_duration"], 900, "900 more still fit");
    team.vault.advance(Duration::from_secs(60));
    let refused = renew();
    assert!(refused["warnings"].is_null());
    let left = refused["lease_duration"].as_u64().unwrap();
    assert!((838..=840).contains(&left), "900 would not fit any more, 840 remain: {left}");
}

// Vault 1.8 and OpenBao 2.7.2 with plugin 0.4.3: the plugin does not look at the increment, and Vault's core counts by it.
#[test]
fn an_exoscale_lease_takes_the_wish_and_is_held_against_it_by_a_renewal_without_one() {
    let team = Team::new(Dialect::Vault1_16);
    let token = team.token();
    let id = lend(&team, &token)["lease_id"].clone();
    let renew = |body: serde_json::Value| team.client.put("sys/leases/renew", &token, &body).json();
    let wish = |increment: &str| renew(json!({ "lease_id": id, "increment": increment }));
    assert_eq!(wish("60s")["lease_duration"], 60);
    assert_eq!(renew(json!({ "lease_id": id }))["lease_duration"], 60, "the short life sticks");
    assert_eq!((&wish("15m")["lease_duration"], &wish("16m")["lease_duration"]), (&json!(900), &json!(960)));
    let capped = wish("100h");
    assert!((1_790..=1_800).contains(&capped["lease_duration"].as_u64().unwrap()), "{capped}");
    assert!(text(&capped["warnings"][0]).contains("exceeded the effective max_ttl"), "{capped}");
    let shortened = renew(json!({ "lease_id": id }))["lease_duration"].as_u64().unwrap();
    assert!((950..=960).contains(&shortened), "{shortened}");
}

#[test]
fn an_exoscale_lease_takes_a_wish_too_and_goes_on_with_it() {
    let team = Team::new(Dialect::OpenBao);
    let token = team.token();
    let id = lend(&team, &token)["lease_id"].clone();
    let renew = |increment: &str| {
        team.client.put("sys/leases/renew", &token, &json!({ "lease_id": id, "increment": increment })).json()
    };
    for (increment, granted) in [("", 900), ("60s", 60), ("", 60), ("15m", 900), ("16m", 960), ("0", 960)] {
        assert_eq!(renew(increment)["lease_duration"], granted, "{increment:?}");
    }
    let capped = renew("48h");
    assert!((1_795..=1_800).contains(&capped["lease_duration"].as_u64().unwrap()), "{capped}");
    assert!(text(&capped["warnings"][0]).starts_with("TTL of \"48h\" exceeded the effective max_ttl of "), "{capped}");
}

#[test]
fn an_exoscale_role_can_forbid_renewal() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("exoscale/role/ci", json!({ "iam-role": "ci", "renewable": false }));
    let token = team.token();
    let answer = lend(&team, &token);
    assert_eq!(answer["renewable"], false);
    let renew = team.client.put("sys/leases/renew", &token, &json!({ "lease_id": answer["lease_id"] }));
    assert_eq!((renew.status, renew.error()), (400, "lease is not renewable".to_owned()));
}

#[test]
fn an_iam_users_lease_takes_the_wish_up_to_the_maximum_with_a_warning() {
    let team = Team::new(Dialect::Vault1_16);
    team.vault.write("aws/config/lease", json!({ "lease": "30m", "lease_max": "1h" }));
    let token = team.token();
    let answer = team.client.get("aws/creds/user", &token).json();
    assert_eq!(answer["lease_duration"], 1_800);
    let renew = |increment: &str| {
        let body = json!({ "lease_id": answer["lease_id"], "increment": increment });
        team.client.put("sys/leases/renew", &token, &body).json()
    };
    assert_eq!(renew("10m")["lease_duration"], 600);
    let capped = renew("2h");
    assert!(capped["lease_duration"].as_u64().unwrap() <= 3_600);
    assert!(text(&capped["warnings"][0]).starts_with("TTL of \"2h\" exceeded the effective max_ttl of "));
}

#[test]
fn a_batch_tokens_lease_ends_with_it_and_is_not_indexed() {
    let team = Team::new(Dialect::Vault1_16);
    team.approle(json!({ "token_type": "batch", "token_ttl": "10m" }));
    let token = team.token();
    let answer = lend(&team, &token);
    assert_eq!(answer["lease_duration"], 600, "the role would give 900");
    assert_eq!(team.vault.live_leases()[0].accessor, "");
    let revoke = team.client.put("auth/token/revoke-self", &token, &json!({}));
    assert_eq!(revoke.error(), "batch tokens cannot be revoked");
    team.vault.advance(Duration::from_secs(601));
    assert!(team.vault.live_leases().is_empty());
}

#[test]
fn revoking_is_synchronous_unless_asked_otherwise_and_forgives_the_unknown() {
    let team = Team::new(Dialect::OpenBao);
    let token = team.token();
    let revoke = |id: &Value, sync: Value| {
        let mut body = json!({ "lease_id": id });
        if !sync.is_null() {
            body["sync"] = sync;
        }
        let response = team.client.put("sys/leases/revoke", &token, &body);
        (response.status, response.header("content-type").map(str::to_owned), response.body)
    };
    let json_type = Some("application/json".to_owned());
    assert_eq!(revoke(&lend(&team, &token)["lease_id"], Value::Null), (204, json_type.clone(), String::new()));
    assert_eq!(revoke(&lend(&team, &token)["lease_id"], json!(false)), (202, json_type.clone(), String::new()));
    assert_eq!(revoke(&json!("exoscale/apikey/ci/nope"), Value::Null), (204, json_type, String::new()));
    assert!(team.vault.live_leases().is_empty());
    assert_eq!(revoke(&json!(""), Value::Null).0, 400);
}

#[test]
fn the_lease_id_can_be_in_the_path() {
    let team = Team::new(Dialect::Vault1_16);
    let id = text(&lend(&team, &team.token())["lease_id"]);
    let by_path = |verb: &str| {
        let path = format!("sys/leases/{verb}/{}", id.replace('/', "%2F"));
        team.client.put(&path, &team.vault.root_token(), &json!({})).status
    };
    assert_eq!(by_path("renew"), 200);
    assert_eq!(by_path("revoke"), 204);
    assert!(team.vault.live_leases().is_empty());
}

#[test]
fn a_revocation_that_the_cloud_refuses_leaves_the_lease() {
    let team = Team::new(Dialect::Vault1_16);
    let id = lend(&team, &team.token())["lease_id"].clone();
    team.vault.inject(On::write("/sys/leases/revoke"), Fault::upstream_fails("unable to revoke the API key: 500"));
    let body = json!({ "lease_id": id, "sync": true });
    let response = team.client.put("sys/leases/revoke", &team.vault.root_token(), &body);
    let text = "failed to revoke entry: resp: (*logical.Response)(nil) err: unable to revoke the API key: 500";
    assert_eq!((response.status, response.error()), (400, text.to_owned()));
    assert_eq!(team.vault.live_leases().len(), 1);
}

#[test]
fn openbao_shows_the_path_of_a_lease() {
    for (dialect, path) in [(Dialect::Vault1_16, Value::Null), (Dialect::OpenBao, json!("exoscale/apikey/ci"))] {
        let team = Team::new(dialect);
        let token = team.token();
        let id = lend(&team, &token)["lease_id"].clone();
        let found = team.client.put("sys/leases/lookup", &token, &json!({ "lease_id": id })).json();
        assert_eq!(found["data"]["path"], path);
        assert_eq!(found["data"]["last_renewal"], Value::Null);
        assert_eq!(team.client.put("sys/leases/lookup", &token, &json!({ "lease_id": "x" })).error(), "invalid lease");
    }
}
