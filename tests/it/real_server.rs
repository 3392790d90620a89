mod adapter;
mod after_script;
mod certificate;
mod chaos;
mod cluster;
mod component;
pub(crate) mod daemon;
mod database;
mod engine;
mod exec;
mod identity;
mod interrupted;
mod kubernetes;
mod lease;
mod login;
mod namespace;
pub mod operator;
mod policy;
mod scaleway;
mod section;
pub mod server;
pub mod site;
mod slow;
mod standby;
mod state;
mod terraform;
mod token;
mod wrapping;

use dev_vault::{DevVault, Dialect};
use serde_json::json;

use crate::support::{METHODS, ROLE, Ran, exports};
use operator::Operator;
use server::Server;
use site::{KEY, SESSION, Site, id_token, prepare};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const POLICY: &str =
    "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/sts/*\" { capabilities = [\"read\"] }";

#[test]
fn a_real_server_answers_as_the_double_does() {
    let Some(server) = Server::shared() else { return };
    hold(&Site::on(server, ROLE, POLICY));
}

#[test]
fn the_double_answers_as_a_real_server_would() {
    for dialect in Dialect::ALL {
        let vault = DevVault::start(dialect);
        let operator = Operator::new(vault.socket_address(), vault.root_token());
        prepare(&operator);
        hold(&Site::at(operator.address, &operator, ROLE, POLICY));
    }
}

/// What must be true of every server, set up by nothing but its own API.
fn hold(site: &Site<'_>) {
    every_identity_gets_both_credentials(site);
    a_spent_wrapping_token_is_reported_as_possible_theft(site);
    a_rewrapped_token_is_never_unwrapped(site);
    refusals_are_told_apart(site);
}

fn every_identity_gets_both_credentials(site: &Site<'_>) {
    for method in METHODS {
        let set = exports(&site.job(method, EXOSCALE).run().ok());
        assert_eq!((set["EXOSCALE_API_KEY"].as_str(), set["EXOSCALE_API_SECRET"].as_str()), KEY, "{method}");
        let set = exports(&site.job(method, "aws --role 365-dev").run().ok());
        let values = (&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"], &set["AWS_SESSION_TOKEN"]);
        assert_eq!((values.0.as_str(), values.1.as_str(), values.2.as_str()), SESSION, "{method}");
    }
}

fn a_spent_wrapping_token_is_reported_as_possible_theft(site: &Site<'_>) {
    let run = site.job("wrapping-token", EXOSCALE);
    run.run().ok();
    refused(run.run(), (79, "spent"), &["already used, or tampered with", "audit log"]);
    let run = site.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &site.token(ROLE));
    refused(run.run(), (79, "spent"), &["is not valid"]);
}

fn a_rewrapped_token_is_never_unwrapped(site: &Site<'_>) {
    let rewrapped = site.operator.wrap("sys/wrapping/wrap", &json!({ "secret_id": site.secret_id() }));
    let run = site.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &rewrapped);
    let words = ["SECURITY", "made by sys/wrapping/wrap", "was not unwrapped", "incident"];
    refused(run.run(), (79, "spent"), &words);
    let (status, _) = site.operator.send("POST", "sys/wrapping/lookup", &[], &json!({ "token": rewrapped }));
    assert_eq!(status, 200, "the token was spent");
}

fn refusals_are_told_apart(site: &Site<'_>) {
    let wrong = "11111111-2222-3333-4444-555555555555";
    let run = site.job("secret-id", EXOSCALE).env("VAULT_SECRET_ID", wrong);
    refused(run.run(), (77, "denied"), &["auth/approle/login", "VAULT_SECRET_ID"]);
    let ran = site.job("token", "exoscale --role x --mount elsewhere").run();
    refused(ran, (77, "denied"), &["policy", "path \"elsewhere/apikey/x\" { capabilities = [\"read\"] }"]);
    let run = site.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().audience("https://other").sign());
    refused(run.run(), (77, "denied"), &["audience", "the token's aud is https://other"]);
    let run = site.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().sign_with_other_key());
    refused(run.run(), (77, "denied"), &["signature", "jwks_url"]);
    let run = site.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().project_id("999").sign());
    refused(run.run(), (77, "denied"), &["bound_claims", "project_id is 999"]);
    let run = site.job("id-token", EXOSCALE).env("VAULT_AUTH_ROLE", "nope");
    refused(run.run(), (77, "denied"), &["no role nope at auth/gitlab"]);
    let ran = site.job("secret-id", &format!("{EXOSCALE} --auth-mount nope")).run();
    refused(ran, (77, "denied"), &["auth/nope/login", "--auth-mount"]);
}

fn refused(ran: Ran, (code, kind): (i32, &str), words: &[&str]) {
    let ran = ran.failed(code, kind);
    ran.assert_marker(code);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
}
