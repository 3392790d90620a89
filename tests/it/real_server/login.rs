//! Logins that a real server refuses, and what is told of them.

use std::process::Command;

use serde_json::json;

use super::server::Server;
use super::site::{Site, id_token};
use super::{EXOSCALE, POLICY, refused};

#[test]
fn an_id_token_at_an_approle_mount_of_a_real_server_is_a_wrong_mount() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "misled", POLICY);
    let ran = site.job("id-token", &format!("{EXOSCALE} --auth-mount approle")).without("VAULT_AUTH_PATH").run();
    refused(ran, (78, "config"), &["missing role_id", "auth/approle is an AppRole mount", "--auth-mount"]);
}

#[test]
fn a_secret_id_that_a_real_server_refuses_for_its_address_is_good_for_another_run() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "elsewhere", POLICY);
    let run = site.job("secret-id", EXOSCALE);
    let bind = |blocks: &[&str]| {
        site.operator.write("auth/approle/role/elsewhere", &json!({ "secret_id_bound_cidrs": blocks }));
    };
    bind(&["10.9.9.9/32"]);
    refused(run.run(), (77, "denied"), &["CIDR", "secret_id_bound_cidrs", "OpenBao has not"]);
    bind(&[]);
    run.run().ok();
}

#[test]
fn a_claim_that_a_real_role_misses_is_reported_by_the_setting_that_asks_for_it() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "claims", POLICY);
    let path = "auth/gitlab/role/claims";
    let role = site.operator.read(path)["data"].clone();
    for (name, value, code, setting) in [
        ("user_claim", json!("nope"), (77, "denied"), "user_claim"),
        ("user_claim", json!("empty"), (78, "config"), "user_claim"),
        ("user_claim", json!("number"), (77, "denied"), "user_claim"),
        ("groups_claim", json!("nope"), (77, "denied"), "groups_claim"),
        ("claim_mappings", json!({ "number": "x" }), (77, "denied"), "claim_mappings"),
        ("bound_claims", json!({ "project_id": "9" }), (77, "denied"), "bound_claims"),
    ] {
        let mut changed = role.clone();
        changed[name] = value;
        site.operator.write(path, &changed);
        let token = id_token().claim("empty", json!("")).claim("number", json!(7)).sign();
        let ran = site.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &token).run();
        refused(ran, code, &["auth/gitlab/login", &format!("{setting} of the role claims")]);
    }
}

#[test]
fn a_jwt_mount_of_a_real_server_without_a_configuration_is_told_as_that() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "unready", POLICY);
    site.operator.write("sys/auth/unready", &json!({ "type": "jwt" }));
    let ran = site.job("id-token", &format!("{EXOSCALE} --auth-mount unready")).without("VAULT_AUTH_PATH").run();
    refused(ran, (78, "config"), &["could not load configuration", "vault write auth/unready/config"]);
}

#[test]
fn the_command_that_a_hint_names_for_a_lease_needs_the_policy_that_it_names() {
    let Some(server) = Server::shared() else { return };
    let binary = std::env::var("CI_CREDS_TEST_VAULT").expect("the server's own program");
    let site = Site::on(server, "revoker", POLICY);
    for (path, allowed) in [("sys/leases/revoke", false), ("sys/leases/revoke/*", true)] {
        let policy = format!("path \"{path}\" {{ capabilities = [\"update\"] }}");
        site.operator.write("sys/policies/acl/revoker", &json!({ "policy": policy }));
        let mut command = Command::new(&binary);
        command.args(["lease", "revoke", "exoscale/apikey/revoker/none"]).env_clear();
        command.env("BAO_ADDR", format!("http://{}", site.operator.address));
        command.env("VAULT_ADDR", format!("http://{}", site.operator.address));
        command.env("BAO_TOKEN", site.token("revoker")).env("VAULT_TOKEN", site.token("revoker"));
        let output = command.env("HOME", site.folder()).output().expect("it starts");
        assert_eq!(output.status.success(), allowed, "{path}: {output:?}");
    }
}
