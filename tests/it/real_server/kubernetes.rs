//! Logins by service account token on a real server, whose cluster is a stand-in that verifies signatures and audiences.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dev_vault::{ClientCa, GitlabToken, KubernetesApi};
use serde_json::json;

use super::server::Server;
use super::site::{Site, id_token};
use super::{EXOSCALE, POLICY, refused};
use crate::support::{Run, exports};

const UID: &str = "6a1b0d4e-5f3c-4c1e-9a7e-3f8f5b1d2c90";
const REVIEWER: &str = "reviewer-of-the-test";

/// What the kubelet writes for the service account `ci/deploy`.
fn token(audience: &str) -> GitlabToken {
    let names = ["namespace_id", "namespace_path", "project_id", "project_path", "ref", "sha", "user_login"];
    let token = names.into_iter().fold(GitlabToken::new(), GitlabToken::without);
    token.issuer("https://kubernetes.default.svc").audiences(&[audience]).subject("system:serviceaccount:ci:deploy").claim(
        "kubernetes.io",
        json!({ "namespace": "ci", "pod": { "name": "runner-1", "uid": "p" }, "serviceaccount": { "name": "deploy", "uid": UID } }),
    )
}

/// A job whose token is in a file as the kubelet's are: everybody in the pod can read it.
fn job(site: &Site<'_>, line: &str, token: &str) -> Run {
    let path = site.folder().join("token");
    fs::write(&path, format!("{token}\n")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("its mode");
    let run = site.command(&format!("{EXOSCALE} --auth kubernetes {line}"));
    run.arg("--service-account-token-file").arg(&path.display().to_string())
}

fn configure(site: &Site<'_>, mount: &str, api: &str) {
    site.operator.write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" }));
    let config = json!({ "kubernetes_host": api, "token_reviewer_jwt": REVIEWER, "disable_local_ca_jwt": true,
        "kubernetes_ca_cert": ClientCa::new("cluster").root_pem() });
    site.operator.write(&format!("auth/{mount}/config"), &config);
    let role = |name: &str, account: &str, namespace: &str| {
        let mut role = json!({ "bound_service_account_names": [account], "bound_service_account_namespaces": [namespace],
            "audience": "vault", "token_policies": [mount], "token_ttl": "15m" });
        if name == "any-audience" {
            role.as_object_mut().expect("an object").remove("audience");
        }
        site.operator.write(&format!("auth/{mount}/role/{name}"), &role);
    };
    role("deploy", "deploy", "ci");
    role("any-audience", "deploy", "ci");
    role("other-account", "other", "ci");
    role("other-namespace", "deploy", "other");
}

// check: 3
#[test]
fn a_service_account_logs_in_on_a_real_server_and_each_refusal_names_what_to_change() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "kubernetes", POLICY);
    let api = KubernetesApi::start(REVIEWER, UID);
    configure(&site, "kubernetes", &api.url());
    let good = token("vault").sign();
    let ran = job(&site, "--auth-role deploy -v", &good).run();
    assert!(ran.stderr.contains("login: service account token at auth/kubernetes"), "{ran:?}");
    assert!(!ran.stderr.contains("other users"), "a pod's token is readable by everybody in it: {ran:?}");
    assert!(!ran.stderr.contains(&good[good.len() - 40..]), "{ran:?}");
    assert!(exports(&ran.ok()).contains_key("EXOSCALE_API_KEY"));
    assert_eq!(api.reviews(), 1);
    let default = token("https://kubernetes.default.svc").sign();
    job(&site, "--auth-role any-audience", &default).run().ok();

    let denied = (77, "denied");
    let four =
        ["permission denied", "four causes", "kubernetes_host", "system:auth-delegator", "deleted or created again"];
    for (token, role, words) in [
        (good.clone(), "nope", &["invalid role name", "there is no role nope"][..]),
        (default, "deploy", &["audience", "the token's aud is https://kubernetes.default.svc", "serviceAccountToken"]),
        (
            token("vault").expires_in(-4000).not_before_in(-8000).issued_in(-8000).sign(),
            "deploy",
            &["expired", "the kubelet writes"],
        ),
        (
            good.clone(),
            "other-account",
            &["service account name not authorized", "the token's sub is system:serviceaccount:ci:deploy"],
        ),
        (good.clone(), "other-namespace", &["namespace not authorized", "bound_service_account_namespaces"]),
        (token("vault").sign_with_other_key(), "deploy", &four),
        (
            token("vault")
                .claim(
                    "kubernetes.io",
                    json!({ "namespace": "ci", "serviceaccount": { "name": "deploy", "uid": "old" } }),
                )
                .sign(),
            "deploy",
            &four,
        ),
    ] {
        let ran = job(&site, &format!("--auth-role {role} --retries 5 -v"), &token).run();
        assert_eq!(ran.stderr.matches("POST auth/kubernetes/login").count(), 1, "{ran:?}");
        refused(ran, denied, words);
    }
    for status in [401, 403, 500] {
        api.answer(status);
        refused(job(&site, "--auth-role deploy", &good).run(), denied, &four);
    }
    api.answer(201);
    let run = job(&site, "--auth-role any-audience", &id_token().sign());
    refused(run.run(), (66, "input"), &["decoding", "for the ID token of a CI system, pass --auth id-token"]);
    for (mount, code, words) in [
        ("nope", denied, "four causes"),
        ("approle", (78, "config"), "auth/approle is an AppRole mount"),
        ("gitlab", (78, "config"), "auth/gitlab is a mount of the JWT method"),
    ] {
        let run = job(&site, &format!("--auth-role deploy --auth-mount {mount}"), &good);
        refused(run.run(), code, &[words]);
    }
    site.operator.write("sys/auth/bare", &json!({ "type": "kubernetes" }));
    let role = json!({ "bound_service_account_names": ["deploy"], "bound_service_account_namespaces": ["ci"] });
    site.operator.write("auth/bare/role/deploy", &role);
    let run = job(&site, "--auth-role deploy --auth-mount bare --retries 5", &good);
    refused(run.run(), (78, "config"), &["could not load backend configuration", "vault write auth/bare/config"]);
    let run = job(&site, "", &good);
    refused(run.run(), (66, "input"), &["--auth-role is not set, and the method kubernetes needs it"]);
    // The API server is not there.
    site.operator.write(
        "auth/kubernetes/config",
        &json!({ "kubernetes_host": "http://127.0.0.1:1",
        "token_reviewer_jwt": REVIEWER, "disable_local_ca_jwt": true,
        "kubernetes_ca_cert": ClientCa::new("cluster").root_pem() }),
    );
    refused(job(&site, "--auth-role deploy", &good).run(), denied, &four);
}

#[test]
fn the_token_of_a_pod_is_read_from_its_own_place_and_never_chosen_by_itself() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "pod", POLICY);
    // No test runs in a pod: the place is told.
    let ran = site.command(&format!("{EXOSCALE} --auth kubernetes --auth-role deploy")).run();
    let place = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    refused(ran, (66, "input"), &[place, "(from the pod) does not exist", "--service-account-token-file names"]);
    let run = job(&site, "--auth-role deploy", &token("vault").sign());
    let mut by_itself = run.clone();
    by_itself.arguments.retain(|word| !["--auth", "kubernetes"].contains(&word.as_str()));
    refused(by_itself.run(), (78, "config"), &["nothing to log in with"]);
}

#[test]
fn a_call_logs_in_with_the_token_that_the_kubelet_wrote_last() {
    let Some(server) = Server::shared() else { return };
    let policy = format!("{POLICY}\npath \"rotating/*\" {{ capabilities = [\"read\"] }}");
    let site = Site::on(server, "rotating", &policy);
    let api = KubernetesApi::start(REVIEWER, UID);
    configure(&site, "rotating", &api.url());
    let run = job(&site, "--auth-role deploy --auth-mount rotating --cache", &token("vault").sign());
    let first = run.run().ok();
    assert_eq!(run.run().ok(), first, "the same token finds what is cached");
    assert_eq!(api.reviews(), 1);
    let run = job(&site, "--auth-role deploy --auth-mount rotating --cache", &token("vault").sign());
    run.run().ok();
    assert_eq!(api.reviews(), 2, "another token is another caller, and logs in");
}
