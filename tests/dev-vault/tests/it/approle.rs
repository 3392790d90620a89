//! AppRole: what a login costs, and what locks it.

use std::time::Duration;

use dev_vault::{Dialect, Fault, On};
use serde_json::json;

use crate::setup::{SECRET_ID, Team, text};

#[test]
fn a_login_from_the_wrong_network_burns_the_secret_id() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({ "num_uses": 1, "cidr_list": "10.0.0.0/8" }));
    let text = "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the secret ID: %!w(<nil>)";
    assert_eq!(team.approle_login(&secret_id).error(), text);
    assert_eq!(team.approle_login(&secret_id).error(), "invalid role or secret ID");
}

#[test]
fn an_unlimited_secret_id_survives_the_wrong_network() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({ "cidr_list": "10.0.0.0/8" }));
    let text = "source address \"127.0.0.1\" unauthorized through CIDR restrictions on the secret ID";
    assert_eq!(team.approle_login(&secret_id).error(), text);
    assert_eq!(team.approle_login(&secret_id).error(), text);
}

#[test]
fn a_role_bound_to_another_network_refuses_everyone() {
    let team = Team::new(Dialect::Vault1_16);
    team.approle(json!({ "secret_id_bound_cidrs": "10.0.0.0/8" }));
    let text = "source address \"127.0.0.1\" unauthorized by CIDR restrictions on the role: %!w(<nil>)";
    assert_eq!(team.approle_login(&team.secret_id(json!({}))).error(), text);
    let outside = json!({ "cidr_list": "192.168.0.0/16" });
    let answer = team.vault.request("POST", SECRET_ID, Some(&team.vault.root_token()), &[], Some(&outside));
    assert_eq!(answer.status, 500);
    assert!(answer.errors()[0].ends_with("secret ID [192.168.0.0/16]: %!w(<nil>)\n\n"), "{:?}", answer.errors());
}

#[test]
fn a_secret_id_has_as_many_logins_as_uses() {
    let team = Team::new(Dialect::OpenBao);
    let secret_id = team.secret_id(json!({ "num_uses": 2 }));
    let statuses = [(); 3].map(|()| team.approle_login(&secret_id).status);
    assert_eq!(statuses, [200, 200, 400]);
}

#[test]
fn both_ids_are_trimmed() {
    let team = Team::new(Dialect::Vault1_16);
    let body = json!({
        "role_id": format!(" {}\n", team.role_id()), "secret_id": format!("{}\n", team.secret_id(json!({}))),
    });
    assert_eq!(team.client.put("auth/approle/login", "", &body).status, 200);
}

#[test]
fn an_expired_secret_id_works_until_the_minutes_clean_up() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({ "ttl": "10s" }));
    team.vault.advance(Duration::from_secs(30));
    assert_eq!(team.approle_login(&secret_id).status, 200, "its age is not looked at");
    team.vault.advance(Duration::from_secs(30));
    assert_eq!(team.approle_login(&secret_id).status, 400);
}

#[test]
fn five_wrong_secret_ids_lock_the_role_id_for_a_quarter_of_an_hour() {
    for (dialect, locked) in [(Dialect::Vault1_8, 200), (Dialect::Vault1_16, 403), (Dialect::OpenBao, 403)] {
        let team = Team::new(dialect);
        let good = team.secret_id(json!({}));
        for _ in 0..5 {
            assert_eq!(team.approle_login("wrong").status, 400);
        }
        let response = team.approle_login(&good);
        assert_eq!(response.status, locked, "{dialect}");
        if locked == 403 {
            assert_eq!(response.error(), "permission denied");
        }
        team.vault.advance(Duration::from_secs(15 * 60));
        assert_eq!(team.approle_login(&good).status, 200, "{dialect}");
    }
}

#[test]
fn a_good_login_in_between_starts_the_count_anew() {
    let team = Team::new(Dialect::Vault1_16);
    let good = team.secret_id(json!({}));
    for round in 0..3 {
        for _ in 0..4 {
            team.approle_login("wrong");
        }
        assert_eq!(team.approle_login(&good).status, 200, "round {round}");
    }
}

#[test]
fn a_role_without_bound_secret_ids_needs_none_and_makes_none() {
    let team = Team::new(Dialect::Vault1_16);
    team.approle(json!({ "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.0/8" }));
    assert_eq!(team.approle_login("").status, 200);
    let answer = team.vault.request("POST", SECRET_ID, Some(&team.vault.root_token()), &[], Some(&json!({})));
    assert_eq!((answer.status, answer.errors()), (400, vec!["bind_secret_id is not set on the role".to_owned()]));
}

#[test]
fn the_limits_of_the_role_bind_its_secret_ids() {
    let team = Team::new(Dialect::Vault1_16);
    team.approle(json!({ "secret_id_num_uses": 2, "secret_id_ttl": "10m" }));
    let refusal =
        |body| team.vault.request("POST", SECRET_ID, Some(&team.vault.root_token()), &[], Some(&body)).errors();
    assert_eq!(refusal(json!({ "num_uses": 3 })), ["num_uses cannot be higher than the role's secret_id_num_uses"]);
    assert_eq!(refusal(json!({ "num_uses": -1 })), ["num_uses cannot be negative"]);
    assert_eq!(refusal(json!({ "ttl": "11m" })), ["ttl cannot be longer than the role's secret_id_ttl"]);
    assert_eq!(refusal(json!({ "cidr_list": "x" })), ["failed to validate CIDR blocks"]);
    assert!(refusal(json!({ "metadata": "x" }))[0].starts_with("failed to parse metadata: "));
}

#[test]
fn a_secret_id_carries_its_metadata_and_networks_into_the_token() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({ "metadata": "{\"job\":\"302\"}", "token_bound_cidrs": "10.0.0.0/8" }));
    let auth = team.approle_login(&secret_id).json()["auth"].clone();
    assert_eq!(auth["metadata"], json!({ "role_name": "ci", "job": "302" }));
    let later = team.client.get("auth/token/lookup-self", &text(&auth["client_token"]));
    assert_eq!((later.status, later.error()), (403, "permission denied".to_owned()));
}

#[test]
fn custom_secret_ids_can_be_looked_up_and_destroyed() {
    let team = Team::new(Dialect::OpenBao);
    team.vault.write("auth/approle/role/CI/custom-secret-id", json!({ "secret_id": "chosen-by-us" }));
    let lookup = |id: &str| team.vault.write("auth/approle/role/ci/secret-id/lookup", json!({ "secret_id": id }));
    assert_eq!(lookup("chosen-by-us")["data"]["secret_id_num_uses"], 0);
    assert_eq!(team.approle_login("chosen-by-us").status, 200);
    team.vault.write("auth/approle/role/ci/secret-id/destroy", json!({ "secret_id": "chosen-by-us" }));
    assert!(lookup("chosen-by-us").is_null());
    assert_eq!(team.approle_login("chosen-by-us").status, 400);
}

#[test]
fn a_role_id_can_be_chosen() {
    let team = Team::new(Dialect::Vault1_8);
    team.vault.write("auth/approle/role/ci/role-id", json!({ "role_id": "our-runner" }));
    assert_eq!(team.role_id(), "our-runner");
    assert_eq!(team.approle_login(&team.secret_id(json!({}))).status, 200);
}

#[test]
fn losing_the_race_for_the_last_use_repeats_the_secret() {
    let team = Team::new(Dialect::Vault1_16);
    let secret_id = team.secret_id(json!({ "num_uses": 1 }));
    team.vault.inject(On::write("/login"), Fault::lost_race());
    assert_eq!(team.approle_login(&secret_id).error(), format!("invalid secret_id \"{secret_id}\""));
}
