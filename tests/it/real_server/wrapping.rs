//! Wrapping tokens that are not what they should be: what a real server says of them, and that none is spent for
//! nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::server::Server;
use super::site::Site;
use super::{EXOSCALE, POLICY, refused};
use crate::support::Run;

struct Case {
    site: Site<'static>,
    secret_id: String,
}

/// A site of its own whose role may read the stand-in for Exoscale.
fn start(name: &str) -> Option<Case> {
    let server = Server::shared()?;
    let site = Site::on(server, name, POLICY);
    Some(Case { site, secret_id: format!("auth/approle/role/{name}/secret-id") })
}

impl Case {
    /// A job with this wrapping token; none gets as far as the engine.
    fn job(&self, token: &str) -> Run {
        self.site.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", token)
    }

    fn is_unspent(&self, token: &str) -> bool {
        self.site.operator.send("POST", "sys/wrapping/lookup", &[], &json!({ "token": token })).0 == 200
    }
}

#[test]
fn a_wrapping_token_that_is_gone_or_never_was_one_is_told_as_not_valid() {
    let Some(case) = start("gone") else { return };
    let operator = case.site.operator;
    let short = [("X-Vault-Wrap-TTL", "1s")];
    let expired = operator.send("POST", &case.secret_id, &short, &json!({})).1["wrap_info"]["token"].clone();
    let revoked = case.site.wrapped();
    operator.write("auth/token/revoke", &json!({ "token": revoked }));
    let opened = case.site.wrapped();
    operator.write("sys/wrapping/unwrap", &json!({ "token": opened }));
    let ordinary = case.site.token("gone");
    // The one that is to end lives for a second: the server's clock, and nothing that could be waited for.
    std::thread::sleep(Duration::from_millis(1100));
    let expired = expired.as_str().expect("a token");
    let garbled = format!("{}x", case.site.wrapped());
    for token in [expired, &revoked, &opened, &ordinary, &garbled] {
        refused(case.job(token).run(), (79, "spent"), &["is not valid", "audit log"]);
    }
    // Asking did not spend it.
    let (status, _) = operator.send("POST", "auth/token/lookup", &[], &json!({ "token": ordinary }));
    assert_eq!(status, 200);
}

// check: 21
#[test]
fn a_wrapping_token_that_was_not_made_for_this_role_is_never_unwrapped() {
    let Some(case) = start("foreign") else { return };
    let operator = case.site.operator;
    operator.write("auth/approle/role/foreign-other", &json!({ "token_policies": ["foreign"] }));
    let run = |token: &str| case.job(token).env("VAULT_APPROLE_ROLE", "foreign");
    let thief = json!({ "secret_id": case.site.secret_id() });
    for (path, body) in [
        ("sys/wrapping/wrap", &thief),
        ("auth/approle/role/foreign-other/secret-id", &Value::Null),
        ("auth/token/create", &json!({ "policies": ["foreign"] })),
    ] {
        let token = operator.wrap(path, body);
        // A secret ID of another AppRole is more often a wrong name than a theft.
        let (end, word) = if path.contains("foreign-other") {
            ((78, "config"), "VAULT_APPROLE_ROLE")
        } else {
            ((79, "spent"), "SECURITY")
        };
        refused(run(&token).run(), end, &[word, path, "not unwrapped", &case.secret_id]);
        assert!(case.is_unspent(&token), "{path}");
    }
    // Said out loud, another path is fine.
    let token = operator.wrap("auth/token/create", &json!({ "policies": ["foreign"] }));
    case.site.command(EXOSCALE).arg("--creation-path=auth/token/create").env("VAULT_WRAPPING_TOKEN", &token).run().ok();
    let login = json!({ "role_id": case.site.role_id(), "secret_id": case.site.secret_id() });
    let token = operator.wrap("auth/approle/login", &login);
    case.site
        .command(EXOSCALE)
        .arg("--creation-path=auth/approle/login")
        .env("VAULT_WRAPPING_TOKEN", &token)
        .run()
        .ok();
}

#[test]
fn a_wrapped_secret_id_without_its_role_id_is_not_spent() {
    let Some(case) = start("lonely") else { return };
    let token = case.site.wrapped();
    refused(
        case.job(&token).without("VAULT_ROLE_ID").run(),
        (66, "input"),
        &["VAULT_ROLE_ID is not set", "not unwrapped"],
    );
    assert!(case.is_unspent(&token));
    case.job(&token).run().ok();
    assert!(!case.is_unspent(&token));
}

#[test]
fn a_login_that_is_refused_behind_the_unwrap_tells_what_must_be_cured() {
    let Some(case) = start("refused") else { return };
    let role = json!({ "secret_id_bound_cidrs": ["10.9.9.9/32"] });
    case.site.operator.write("auth/approle/role/refused", &role);
    refused(case.job(&case.site.wrapped()).run(), (77, "denied"), &["CIDR", "secret_id_bound_cidrs"]);
}
