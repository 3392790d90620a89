//! Namespaces of OpenBao, each with logins and engines of its own.

use serde_json::json;

use super::operator::Operator;
use super::server::Server;
use super::site::{KEY, Site, prepare};
use super::{EXOSCALE, POLICY, refused};
use crate::support::{METHODS, ROLE, exports, tool};

/// A namespace with all that a job needs in it; none where the server knows no namespaces.
pub(super) fn make(server: &Server, name: &str) -> Option<Operator> {
    if server.operator.send("LIST", "sys/namespaces", &[], &json!(null)).1["errors"][0].is_string() {
        tool::miss("bao", "is a server without namespaces");
        return None;
    }
    let operator = server.operator.make_namespace(name);
    prepare(&operator);
    Some(operator)
}

#[test]
fn every_identity_works_in_a_namespace_however_its_name_is_written() {
    let Some(server) = Server::shared() else { return };
    let Some(operator) = make(server, "team") else { return };
    let site = Site::within(server, &operator, ROLE, POLICY);
    for method in METHODS {
        for name in ["team", "team/", "/team", "/team/"] {
            let set = exports(&site.job(method, EXOSCALE).env("VAULT_NAMESPACE", name).run().ok());
            assert_eq!((set["EXOSCALE_API_KEY"].as_str(), set["EXOSCALE_API_SECRET"].as_str()), KEY, "{method} {name}");
        }
        site.job(method, &format!("{EXOSCALE} --namespace team")).run().ok();
    }
}

#[test]
fn a_namespace_in_a_namespace_is_named_by_its_path() {
    let Some(server) = Server::shared() else { return };
    let Some(parent) = make(server, "parent") else { return };
    let child = parent.make_namespace("child");
    prepare(&child);
    let site = Site::within(server, &child, ROLE, POLICY);
    for method in METHODS {
        site.job(method, EXOSCALE).env("VAULT_NAMESPACE", "parent/child").run().ok();
        // Nothing of the child's is known to its parent.
        let ran = site.job(method, EXOSCALE).env("VAULT_NAMESPACE", "parent").run();
        assert!(ran.code != 0 && !ran.stdout.contains(KEY.0), "{method}: {ran:?}");
    }
}

// check: 21
#[test]
fn a_wrapping_token_of_another_namespace_of_a_real_server_is_told_before_it_is_spent() {
    let Some(server) = Server::shared() else { return };
    let (Some(here), Some(there)) = (make(server, "here"), make(server, "there")) else { return };
    let root = Site::on(server, "outside", POLICY);
    let site = Site::within(server, &here, ROLE, POLICY);
    Site::within(server, &there, ROLE, POLICY);
    for (site, own, asked_in, words) in [
        (&site, Some("here"), None, "VAULT_NAMESPACE is not set"),
        (&site, Some("here"), Some("there"), "the run asks in the namespace there, whose id is"),
        (&root, None, Some("there"), "was made outside of every namespace"),
    ] {
        let run = |namespace: Option<&str>, token: &str| {
            let run = site.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", token);
            match namespace {
                Some(name) => run.env("VAULT_NAMESPACE", name),
                None => run.without("VAULT_NAMESPACE"),
            }
        };
        let token = site.wrapped();
        refused(run(asked_in, &token).run(), (78, "config"), &[words, "was not unwrapped", "VAULT_NAMESPACE"]);
        run(own, &token).run().ok();
    }
}

#[test]
fn a_namespace_that_a_real_server_does_not_have_is_named_to_every_identity_and_nothing_is_spent() {
    let Some(server) = Server::shared() else { return };
    let Some(operator) = make(server, "known") else { return };
    let site = Site::within(server, &operator, ROLE, POLICY);
    for method in METHODS {
        let run = site.job(method, EXOSCALE);
        let ran = run.clone().env("VAULT_NAMESPACE", "unknown").run();
        refused(ran, (78, "config"), &["has no namespace unknown", "404: namespace not found", "VAULT_NAMESPACE"]);
        run.env("VAULT_NAMESPACE", "known").run().ok();
    }
}
