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

/// A role of a real server with this setting refuses this token: the code, and the words of the change.
type Refused = (&'static str, serde_json::Value, fn(dev_vault::GitlabToken) -> String, i32, &'static [&'static str]);

#[test]
fn a_claim_that_a_real_role_refuses_is_reported_with_its_value_and_the_change() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "claims", POLICY);
    let path = "auth/gitlab/role/claims";
    let role = site.operator.read(path)["data"].clone();
    const USER: &[&str] =
        &["user_claim of the role claims", "vault write auth/gitlab/role/claims role_type=jwt user_claim=sub"];
    let none = ("user_claim", json!("project_path"));
    let table: [Refused; 26] = [
        ("user_claim", json!("nope"), |token| token.sign(), 77, USER),
        ("user_claim", json!("empty"), |token| token.sign(), 78, USER),
        ("user_claim", json!("number"), |token| token.sign(), 77, USER),
        (
            "groups_claim",
            json!("nope"),
            |token| token.sign(),
            77,
            &["auth/gitlab/role/claims role_type=jwt groups_claim="],
        ),
        ("claim_mappings", json!({ "number": "x" }), |token| token.sign(), 77, &["claim_mappings of the role claims"]),
        ("role_type", json!("oidc"), |token| token.sign(), 77, &["auth/gitlab/role/claims role_type=jwt"]),
        (
            "bound_claims",
            json!({ "project_id": "9" }),
            |token| token.sign(),
            77,
            &["in this job project_id is 365 (the string"],
        ),
        ("bound_claims", json!({ "project_id": 365 }), |token| token.sign(), 77, &["the string \"365\", with quotes"]),
        (
            "bound_claims",
            json!({ "ref_protected": true }),
            |token| token.sign(),
            77,
            &["the string \"true\", with quotes"],
        ),
        ("bound_claims", json!({ "flag": "true" }), |token| token.sign(), 77, &["flag is true (the boolean true"]),
        ("bound_claims", json!({ "number": "7" }), |token| token.sign(), 77, &["number is 7 (the number 7"]),
        ("bound_claims", json!({ "team": "red" }), |token| token.sign(), 77, &["in this job team is blue"]),
        ("bound_claims", json!({ "project_path": "some*" }), |token| token.sign(), 77, &["bound_claims_type=glob"]),
        ("bound_claims", json!({ "/user/id": "u-1" }), |token| token.sign(), 77, &["in this job /user/id is u-9"]),
        ("bound_claims", json!({ "user": "u-9" }), |token| token.sign(), 77, &["JSON pointer, such as /user/id"]),
        (
            "bound_claims",
            json!({ "environment": "x" }),
            |token| token.without("environment").sign(),
            77,
            &["`environment:`"],
        ),
        (
            "bound_claims",
            json!({ "sub": "repo:o/r:ref:refs/heads/main" }),
            |token| token.issuer("https://token.actions.githubusercontent.com").subject("repo:o@1/r@2:ref:x").sign(),
            77,
            &["auth/gitlab/config must have bound_issuer="],
        ),
        (
            "bound_claims",
            json!({ "project_path": "us/x" }),
            |token| token.project_path("me/x").claim("job_project_path", "us/x").sign(),
            77,
            &["a pipeline of the fork me/x in us/x", "job_project_path"],
        ),
        ("bound_subject", json!("project_path:some*"), |token| token.sign(), 77, &["bind sub in bound_claims with"]),
        (
            "bound_audiences",
            json!(["https://other"]),
            |token| token.sign(),
            77,
            &[
                "`id_tokens: {VAULT_ID_TOKEN: {aud: AUDIENCE}}`",
                "vault read -field=bound_audiences auth/gitlab/role/claims",
            ],
        ),
        (
            "bound_audiences",
            json!([]),
            |token| token.sign(),
            77,
            &["vault write auth/gitlab/role/claims role_type=jwt bound_audiences="],
        ),
        ("user_claim", none.1.clone(), |token| token.claim("exp", "9999999999").sign(), 77, &["must be numbers"]),
        (
            "user_claim",
            none.1.clone(),
            |token| token.without("iat").without("nbf").without("exp").sign(),
            77,
            &["none of iat, nbf and exp"],
        ),
        (
            "user_claim",
            none.1.clone(),
            |token| token.sign_with_other_key(),
            77,
            &["jwt_validation_pubkeys of auth/gitlab"],
        ),
        ("user_claim", none.1.clone(), |token| token.issued_in(600).sign(), 77, &["the token is valid from", "ahead"]),
        ("token_bound_cidrs", json!(["10.9.9.9/32"]), |token| token.sign(), 77, &["token_bound_cidrs of the role"]),
    ];
    for (name, value, make, code, change) in table {
        site.operator.send("DELETE", path, &[], &serde_json::Value::Null);
        let mut changed = role.clone();
        changed[name] = value.clone();
        if name == "role_type" {
            changed["allowed_redirect_uris"] = json!(["http://localhost"]);
        }
        site.operator.write(path, &changed);
        let token = id_token().claim("empty", "").claim("number", 7).claim("flag", true).claim("team", "blue");
        let token = token.claim("user", json!({ "id": "u-9" }));
        let ran = site.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &make(token)).run();
        let kind = if code == 77 { "denied" } else { "config" };
        refused(ran, (code, kind), &[&["auth/gitlab/login"], change].concat());
    }
}

#[test]
fn a_namespace_a_network_and_a_path_that_a_real_server_refuses_are_told_as_what_they_are() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "places", "path \"*\" { capabilities = [\"read\"] }");
    for name in ["VAULT_NAMESPACE", "BAO_NAMESPACE"] {
        let ran = site.job("id-token", EXOSCALE).env(name, "nope").run();
        refused(ran, (78, "config"), &["has no namespace nope", &format!("check {name},")]);
    }
    for (more, engine, role) in [
        ("", "exoscale is a kv engine, not Exoscale's", "a KV engine has no roles"),
        (
            "--mount exoscale/apikey",
            "the mount of exoscale/apikey/apikey/gitlab-ci-runner is exoscale",
            "hint: --mount exoscale",
        ),
    ] {
        let ran = site.job("id-token", &format!("doctor {EXOSCALE} {more}")).run();
        let lines = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(lines.contains(engine) && lines.contains(role), "{}", ran.stdout);
        assert_eq!(ran.code, 0, "{}", ran.stdout);
    }
    let key = "path \"exoscale/apikey/gitlab-ci-runner\" { capabilities = [\"read\"] }";
    site.operator.write("sys/policies/acl/places", &json!({ "policy": key }));
    let ran = site.job("id-token", &format!("doctor {EXOSCALE} --mount exoscale/apikey")).run();
    assert!(ran.code == 77 && ran.stdout.contains("The run fails at engine-mount"), "{}", ran.stdout);
    let all = "path \"*\" { capabilities = [\"read\"] }";
    site.operator.write("sys/policies/acl/places", &json!({ "policy": all }));
    let ran = site.job("id-token", &format!("{EXOSCALE} --mount exo")).run();
    refused(ran, (78, "config"), &["nothing is mounted at exo", "CI_CREDS_EXOSCALE_MOUNT"]);
    site.operator.write("auth/approle/role/places", &json!({ "token_bound_cidrs": ["10.9.9.9/32"] }));
    let ran = site.job("secret-id", EXOSCALE).run();
    refused(ran, (77, "denied"), &["the login succeeded", "token_bound_cidrs of the login's role"]);
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
