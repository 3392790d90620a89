//! Logins by client certificate on a real server: every refusal by its text, and what a login brings.

use std::fs;

use dev_vault::{ClientCa, ClientIdentity, KeyUsage, Sink};
use serde_json::json;

use super::server::Server;
use super::site::Site;
use super::{EXOSCALE, POLICY, refused};
use crate::support::{Run, exports};

const YEARS: (i32, i32) = (2020, 2090);

/// A job with this certificate, in files of its own.
fn with_certificate(site: &Site<'_>, line: &str, identity: &ClientIdentity, name: &str) -> Run {
    let file = |end: &str, text: &str| {
        let path = site.folder().join(format!("{name}.{end}"));
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let run = site.command(&format!("{EXOSCALE} --auth cert {line}"));
    run.env("VAULT_CLIENT_CERT", &file("pem", &identity.cert_pem))
        .env("VAULT_CLIENT_KEY", &file("key", &identity.key_pem))
}

// check: 3
#[test]
fn a_client_certificate_logs_in_on_a_real_server_and_each_refusal_names_what_to_change() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "certificates", POLICY);
    let (ca, foreign) = (ClientCa::new("CA of the jobs"), ClientCa::new("CA of somebody else"));
    site.operator.write("sys/auth/cert", &json!({ "type": "cert" }));
    let role = |name: &str, allowed: &str| {
        let role = json!({ "certificate": ca.root_pem(), "allowed_common_names": allowed,
            "token_policies": ["certificates"], "token_ttl": "15m" });
        site.operator.write(&format!("auth/cert/certs/{name}"), &role);
    };
    role("deploy", "job.test");
    // In the order of the list it is before the other one, and would be taken without a name.
    role("aaa", "other.test");
    let good = ca.issue("job.test", KeyUsage::Client, YEARS, true);
    for (identity, name) in [(&good, "good"), (&ca.issue("job.test", KeyUsage::None, YEARS, true), "no-usage")] {
        let ran = with_certificate(&site, "--auth-role deploy -v", identity, name).run();
        assert!(ran.stderr.contains("login: client certificate at auth/cert (from VAULT_CLIENT_KEY)"), "{ran:?}");
        assert!(!ran.stderr.contains("PRIVATE KEY"), "{ran:?}");
        assert!(exports(&ran.ok()).contains_key("EXOSCALE_API_KEY"), "{name}");
    }

    let (client, server_only) = (KeyUsage::Client, KeyUsage::Server);
    let denied = (77, "denied");
    for (identity, role, words) in [
        (
            good.clone(),
            "nope",
            ["invalid certificate or no client certificate supplied", "there is no role nope at auth/cert"],
        ),
        (
            foreign.issue("job.test", client, YEARS, true),
            "deploy",
            ["invalid certificate", "another CA than that of the role"],
        ),
        (ca.issue("job.test", client, YEARS, false), "deploy", ["invalid certificate", "and then its intermediates"]),
        (
            ca.issue("else.test", client, YEARS, true),
            "deploy",
            ["no chain matching all constraints", "allowed_common_names"],
        ),
        (good.clone(), "aaa", ["no chain matching all constraints", "do not fit the role aaa"]),
        (
            ca.issue("job.test", client, (2020, 2021), true),
            "deploy",
            ["expired or is not yet valid", "renew the client certificate"],
        ),
        (
            ca.issue("job.test", client, (2089, 2090), true),
            "deploy",
            ["expired or is not yet valid", "the clock of Vault"],
        ),
        (
            ca.issue("job.test", server_only, YEARS, true),
            "deploy",
            ["incompatible key usage", "extendedKeyUsage=clientAuth"],
        ),
    ] {
        let run = with_certificate(&site, &format!("--auth-role {role} --retries 5 -v"), &identity, "refused");
        let ran = run.run();
        // None of it is sent again, the 500s neither.
        assert_eq!(ran.stderr.matches("POST auth/cert/login").count(), 1, "{ran:?}");
        refused(ran, denied, &words);
    }

    // What is missing or wrong here is told before the first request.
    let run = with_certificate(&site, "", &good, "good");
    refused(run.run(), (66, "input"), &["--auth-role is not set, and the method cert needs it", "CI_CREDS_AUTH_ROLE"]);
    let run = with_certificate(&site, "--auth-role deploy", &good, "good");
    let without = run.clone().without("VAULT_CLIENT_CERT").without("VAULT_CLIENT_KEY");
    refused(without.run(), (66, "input"), &["VAULT_CLIENT_CERT is not set", "--client-cert PATH"]);
    let plain = run.clone().env("VAULT_ADDR", &format!("http://{}", site.operator.address));
    refused(plain.run(), (78, "config"), &["is not https://", "VAULT_ADDR"]);
    let mut by_itself = run.clone();
    by_itself.arguments.retain(|word| !["--auth", "cert"].contains(&word.as_str()));
    refused(by_itself.run(), (78, "config"), &["nothing to log in with"]);
    let mut elsewhere = run.clone();
    elsewhere.arguments.extend(["--auth-mount", "approle"].map(str::to_owned));
    refused(elsewhere.run(), (78, "config"), &["auth/approle is the mount of another method"]);
    let mut nowhere = run;
    nowhere.arguments.extend(["--auth-mount", "nope"].map(str::to_owned));
    refused(nowhere.run(), denied, &["check that the TLS certificate method is mounted at auth/nope"]);
}

#[test]
fn a_certificate_that_a_load_balancer_keeps_is_told_as_that() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "kept", POLICY);
    site.operator.write("sys/auth/kept", &json!({ "type": "cert" }));
    // It ends TLS, and speaks to Vault without a certificate.
    let balancer = Sink::in_front_of(site.operator.address);
    let ca = site.folder().join("balancer.pem");
    fs::write(&ca, balancer.ca_pem().expect("a CA")).expect("a file");
    let good = ClientCa::new("CA of the jobs").issue("job.test", KeyUsage::Client, YEARS, true);
    let run = with_certificate(&site, "--auth-role deploy --auth-mount kept", &good, "kept");
    let run = run.env("VAULT_ADDR", &balancer.address()).env("VAULT_CACERT", &ca.display().to_string());
    refused(run.run(), (78, "config"), &["no client certificate", "whatever ends TLS in front of Vault"]);
}

#[test]
fn exec_and_revoke_work_with_a_client_certificate() {
    let Some(server) = Server::shared() else { return };
    let policy = format!("{POLICY}\npath \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}");
    let site = Site::on(server, "mutual", &policy);
    let ca = ClientCa::new("CA of the jobs");
    site.operator.write("sys/auth/mutual", &json!({ "type": "cert" }));
    let role = json!({ "certificate": ca.root_pem(), "token_policies": ["mutual"], "token_ttl": "15m" });
    site.operator.write("auth/mutual/certs/deploy", &role);
    let good = ca.issue("job.test", KeyUsage::Client, YEARS, true);
    let mut run = with_certificate(&site, "--auth-role deploy --auth-mount mutual", &good, "mutual");
    run.arguments = ["exec", "exoscale", "--role", crate::support::ROLE, "--auth", "cert", "--auth-role", "deploy"]
        .into_iter()
        .chain(["--auth-mount", "mutual", "--", "sh", "-c", "test -n \"$EXOSCALE_API_KEY\" && echo ran"])
        .map(str::to_owned)
        .collect();
    assert_eq!(run.run().ok(), "ran\n");
    let job = run.env("CI_JOB_ID", "mutual-1");
    let call = |line: &str| {
        let mut run = job.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run.run()
    };
    let login = "--auth cert --auth-role deploy --auth-mount mutual";
    let kept = call(&format!("{EXOSCALE} {login} --cache")).ok();
    assert_eq!(call(&format!("{EXOSCALE} {login} --cache")).ok(), kept);
    let ran = call(&format!("revoke {login}"));
    assert_eq!(ran.code, 0, "{ran:?}");
}
