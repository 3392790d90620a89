//! Namespaces of OpenBao, each with logins and engines of its own.

use serde_json::json;

use super::operator::Operator;
use super::server::Server;
use super::site::{KEY, Site, prepare};
use super::{EXOSCALE, POLICY, refused};
use crate::support::{METHODS, ROLE, exports, tool};

/// A namespace with all that a job needs in it; none where the server knows no namespaces.
fn make(server: &Server, name: &str) -> Option<Operator> {
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
