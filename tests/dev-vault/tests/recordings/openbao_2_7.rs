//! OpenBao 2.7.2: how the recorded server was set up, what was done on it between the exchanges, and which exchanges the
//! double does not play.

use std::collections::BTreeMap;
use std::time::Duration;

use dev_vault::{DevVault, Dialect, GitlabKeys};
use serde_json::{Value, json};

use crate::replay::{Replay, text};

pub const RECORDING: &str = include_str!("../data/openbao-2.7.json");

/// Exchanges that the double answers otherwise, and why that stays.
pub const NOT_PLAYED: [(&str, &str); 10] = [
    ("body.bad_json", "the words of Go's tokenizer for a body that no JSON library writes"),
    ("kubernetes.login.nothing", "the double has no Kubernetes method, and ci-creds does not speak it"),
    ("kubernetes.login.no_jwt", "the same"),
    ("kubernetes.login.unknown_role", "the same"),
    ("cert.login.none", "the double has no certificate method, and ci-creds does not speak it"),
    ("ui_mounts", "versions and checksums of plugins, and mounts that the double has not; ci-creds never asks"),
    ("ui_mounts.one", "the same"),
    ("inline.read", "a login within a request makes no lease, so ci-creds has no use for it"),
    ("inline.leased", "the same"),
    ("inline.refused", "the same"),
];

const SECRET_ID: &str = "auth/approle/role/gitlab-ci-runner/secret-id";
const ROOT: &str = "s.qFXgUiev4fslv3yctodAajLq";
/// The role ids of the recording by their roles.
const ROLE_IDS: [(&str, &str); 6] = [
    ("gitlab-ci-runner", "2307a2e9-fed5-be0a-ff08-b1c5bb8ea264"),
    ("batch", "04a1ebf0-c8d7-2fc5-ef9a-146e23a36b5c"),
    ("cidr", "a57ec743-f3f3-4d7c-9ca3-27d7b0d41f6e"),
    ("short", "694d9dfd-983f-2300-2568-38f3cbc8a6c2"),
    ("token-cidr", "be49ed27-7be6-2b89-02dd-826661f61a49"),
    ("locked", "18e3efd9-4e57-3c5b-7265-5bbeddd00f5c"),
];

/// A double that stands where the recorded server stood before the first exchange.
pub fn start() -> Replay {
    let mut replay = Replay::start(Dialect::OpenBao, 1_795_884_284);
    set_up(&replay.vault, &replay.keys);
    replay.learn(ROOT, replay.vault.root_token());
    for (role, recorded) in ROLE_IDS {
        let role_id = replay.vault.read(&format!("auth/approle/role/{role}/role-id"));
        replay.learn(recorded, text(&role_id["data"]["role_id"]));
    }
    replay.token("s.cY9Iita2JbdEYXLFcWO8j9sK", json!({ "policies": "generator", "no_default_policy": true }));
    replay.token("s.qNI4H2sHy70L1Eoxkf1w92fq", json!({ "policies": "default", "ttl": "15m" }));
    replay
}

impl Replay {
    /// A token that the operator made.
    fn token(&mut self, recorded: &str, request: Value) {
        let answer = self.vault.write("auth/token/create", request);
        self.learn(recorded, text(&answer["auth"]["client_token"]));
    }

    fn secret_id(&mut self, recorded: &str, role: &str, request: Value) {
        let answer = self.vault.write(&format!("auth/approle/role/{role}/secret-id"), request);
        self.learn(recorded, text(&answer["data"]["secret_id"]));
    }

    fn wrapped(&mut self, recorded: &str, ttl: &str) {
        let token = self.vault.write_wrapped(SECRET_ID, json!({}), ttl);
        self.learn(recorded, token);
    }

    fn pass(&self, milliseconds: u64) {
        self.vault.advance(Duration::from_millis(milliseconds));
    }

    /// What an operator writes in a namespace.
    fn within(&self, namespace: &str, path: &str, headers: &[(&str, &str)], request: &Value) -> Value {
        let mut headers = headers.to_vec();
        headers.push(("X-Vault-Namespace", namespace));
        let method = if request.is_null() { "GET" } else { "POST" };
        let body = Some(request).filter(|request| !request.is_null());
        let answer = self.vault.request(method, path, Some(&self.vault.root_token()), &headers, body);
        assert!(answer.status < 300, "{path}: {:?}", answer.errors());
        answer.json()
    }

    fn limit(&self, interval: &str) {
        let quota = json!({ "path": "auth/gitlab", "rate": 1, "interval": interval });
        self.vault.write("sys/quotas/rate-limit/login", quota);
        let _ = self.vault.request("POST", "auth/gitlab/login", None, &[], Some(&json!({})));
        self.pass(1);
    }
}

/// What was done on the recorded server between the exchanges: tokens made, time passed, quotas set.
pub fn before(replay: &mut Replay, name: &str) {
    match name {
        "wrapping.unwrap.body" => replay.wrapped("s.g7tXumJqnBLIyrUrpjslgI0a", "60s"),
        "wrapping.unwrap.both_equal" => replay.wrapped("s.JBTb0Mj4IqmLaf74Bm2Klvfz", "60s"),
        "wrapping.unwrap.get" => replay.wrapped("s.trGi48RZISfPjESeARgeAkzN", "60s"),
        "wrapping.lookup.expired" => {
            replay.wrapped("s.PoeTlqEK1Kq2kKpbKqzlrtQQ", "1s");
            replay.pass(1_100);
        }
        "wrapping.rewrap" => replay.wrapped("s.FAuqY1rhlYnbRnXGENKl49aS", "60s"),
        "wrapping.spent_by_other_request" => replay.wrapped("s.h8HEbPtwzniCJioWYMX63zsi", "60s"),
        "wrapping.login" => {
            replay.secret_id("53a009ff-ef46-012d-146e-d3ef03394625", "gitlab-ci-runner", json!({}));
        }
        "quota.exceeded" => {
            replay.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
            replay.limit("60s");
        }
        "quota.exceeded.no_headers" => {
            replay.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": false }));
        }
        "quota.exceeded.second" => {
            replay.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
            replay.limit("1s");
        }
        "sealed.login" => {
            replay.vault.delete("sys/quotas/rate-limit/login");
            replay.vault.write("sys/seal", json!({}));
        }
        name if name.starts_with("namespace.") => before_namespace(replay, name),
        name if name.starts_with("standby.") => before_standby(replay, name),
        name if name.contains("login") || name.starts_with("inline.") => before_login(replay, name),
        _ => before_other(replay, name),
    }
}

fn before_login(replay: &mut Replay, name: &str) {
    match name {
        "approle.login.role_cidr" => replay.secret_id("06fcc51a-08fd-5cad-9516-f7d10865b3cc", "cidr", json!({})),
        "approle.login.secret_id_cidr" => {
            let request = json!({ "cidr_list": "10.1.1.1/32", "num_uses": 2 });
            replay.secret_id("a946893a-8a04-10a7-65f8-304d0964ec0e", "batch", request);
        }
        "approle.login.secret_id_cidr_unlimited" => {
            let request = json!({ "cidr_list": "10.1.1.1/32" });
            replay.secret_id("e32798e9-de3a-9b42-d795-a24c2e6dbfed", "batch", request);
        }
        "approle.login.expired" => {
            replay.secret_id("9915c632-1c2d-7157-8920-eb1d8e2fdd67", "short", json!({}));
            replay.pass(1_100);
        }
        "approle.login.token_cidr" => {
            replay.secret_id("9f0bf797-5cef-9414-e938-fd10f2a14f57", "token-cidr", json!({}));
        }
        "approle.login.wrong_5" => {
            let body = json!({ "role_id": replay.ours(ROLE_IDS[5].1), "secret_id": "wrong" });
            for _ in 2..=4 {
                assert_eq!(replay.vault.request("POST", "auth/approle/login", None, &[], Some(&body)).status, 400);
            }
        }
        "approle.login.locked" => replay.secret_id("3736ffb0-a6d0-4c39-357f-40c02d967488", "locked", json!({})),
        // Two seconds pass before the renewal, and they are two in whole ones too.
        "jwt.login" => replay.begin_to_count(),
        "jwt.login.batch" => replay.pass_to(1_500),
        "jwt.login.unconfigured" => {
            replay.vault.write("sys/auth/fresh", json!({ "type": "jwt" }));
        }
        "jwt.login.keys_unreachable" => {
            let role = json!({
                "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["https://vault.example.com"],
            });
            replay.vault.write("auth/fresh/role/x", role);
        }
        "approle.login.batch" => replay.secret_id("3c6be8c1-6ff6-fbac-1d7e-42f102374bcf", "batch", json!({})),
        _ => {}
    }
}

fn before_other(replay: &mut Replay, name: &str) {
    match name {
        "exoscale.read" => replay.pass_to(2_500),
        "exoscale.read.must_be_wrapped" => {
            replay.token("s.m7EIQxcG80VePXGsB8QkKY9m", json!({ "policies": "wrapped-only" }));
        }
        "token.renew_self.not_renewable" => {
            replay.token("s.7e8zGwXxhNT9iLs1WXvpU7qD", json!({ "policies": "default", "renewable": false }));
        }
        "token.lookup_self.expired" => {
            replay.token("s.uzzkJLjZISEhHjZ7jCsdHLrB", json!({ "policies": "default", "ttl": "1s" }));
        }
        // Across a second's end: Vault counts a lease's age in whole ones.
        "lease.renew.increment" => replay.pass_to(3_100),
        "lease.revoke.async" | "lease.revoke.default" => {
            let lease = replay.vault.read("exoscale/apikey/gitlab-ci-runner");
            let recorded = match name {
                "lease.revoke.async" => "exoscale/apikey/gitlab-ci-runner/bOO9c9jCbYQwofh9cgVEFV0U",
                _ => "exoscale/apikey/gitlab-ci-runner/8YPprDE95LK8gf6NL3mIi9c4",
            };
            replay.learn(recorded, text(&lease["lease_id"]));
        }
        "lease.renew.expired" => replay.pass(6_000),
        "token.one_use_left" => {
            replay.token("s.Jn6nbc5205vvxrZaTHuH2kca", json!({ "policies": "exoscale-create-apikey", "num_uses": 1 }));
        }
        "token.create.limited" => {
            replay.token("s.xEcG3ObG1lDBCRb4Lb0JEqNt", json!({ "policies": "creator", "num_uses": 5 }));
        }
        _ => {}
    }
}

fn before_namespace(replay: &mut Replay, name: &str) {
    match name {
        "namespace.secret_id.wrapped" => {
            let request = json!({ "policies": "generator", "no_default_policy": true });
            let answer = replay.within("team", "auth/token/create", &[], &request);
            replay.learn("s.XjU5Sbdw2dwe83nLtD2ypX1u.Vnnyo1", text(&answer["auth"]["client_token"]));
        }
        "namespace.login.forgotten" => {
            let answer = replay.within("team", "auth/approle/role/ci/role-id", &[], &Value::Null);
            replay.learn("fdb1c8ef-1b2e-bca7-62bb-daf1a5cedf23", text(&answer["data"]["role_id"]));
        }
        "namespace.foreign_token" => {
            replay.token("s.XvTxaBHMnZDuRbQwqLUEbvEd", json!({ "policies": "exoscale-create-apikey" }));
        }
        "namespace.locked.read" => {
            replay.vault.write("sys/namespaces/api-lock/lock/team", json!({}));
        }
        "namespace.sealed.read" => {
            replay.vault.write("sys/namespaces/sealable", json!({}));
            let answer = replay.within("sealable", "auth/token/create", &[], &json!({ "policies": "default" }));
            replay.learn("s.76C3y0QSnuKegOK6UHv7Ov83.T14px4", text(&answer["auth"]["client_token"]));
            let wrap = [("X-Vault-Wrap-TTL", "60s")];
            let answer = replay.within("sealable", "sys/wrapping/wrap", &wrap, &json!({ "a": "b" }));
            replay.learn("s.t53rNRrldzfyjGwiAqvnJAxg.T14px4", text(&answer["wrap_info"]["token"]));
            replay.vault.write("sys/namespaces/sealable/seal", json!({}));
        }
        _ => {}
    }
}

fn before_standby(replay: &mut Replay, name: &str) {
    match name {
        // Another cluster, set up alike, of which this node follows a leader.
        "standby.health" => {
            replay.vault.unseal();
            let role_id = replay.ours(ROLE_IDS[0].1).to_owned();
            replay.learn("24d743c5-eb9e-ef56-f14f-2ef0bfb66967", role_id);
            let policies = "exoscale-create-apikey,aws-deploy,default";
            replay.token("s.jDD7N9YHn4R20vdFF77xi7na", json!({ "policies": policies, "ttl": "15m" }));
            let limited = json!({ "policies": policies, "num_uses": 5, "ttl": "15m" });
            replay.token("s.tNCXLmuUA9FJuqbOqm5bMvai", limited);
            replay.token("s.3EXSbCjeg3BIrncMYUVsjmcI", json!({ "policies": "generator" }));
            replay.wrapped("s.4kVooUx7At36L8oy0D47OmyY", "60s");
            replay.pass(4_000);
            replay.vault.stand_by();
        }
        "standby.secret_id" => {
            replay.vault.fall_behind();
            replay.pass(1);
        }
        "standby.approle.login.index" => {
            replay.secret_id("8860408d-d095-ebe1-d6cf-7a6abc9e49a4", "gitlab-ci-runner", json!({}));
        }
        "standby.approle.login.forwarded" => {
            replay.secret_id("b763bc93-2669-e984-7cc6-b6828d34670f", "gitlab-ci-runner", json!({}));
        }
        // By now it has heard of the token.
        "standby.token.revoke_self" => replay.vault.stand_by(),
        _ => {}
    }
}

fn set_up(vault: &DevVault, keys: &GitlabKeys) {
    let policy = |name: &str, text: &str| vault.write(&format!("sys/policies/acl/{name}"), json!({ "policy": text }));
    policy("exoscale-create-apikey", r#"path "exoscale/apikey/*" { capabilities = ["read"] }"#);
    policy("aws-deploy", r#"path "aws/*" { capabilities = ["create", "read", "update"] }"#);
    policy(
        "gitlab-projects-aws-assumed-role",
        r#"path "aws/sts/365-*" { capabilities = ["create", "read", "update"] }"#,
    );
    policy("generator", r#"path "auth/approle/role/gitlab-ci-runner/secret-id" { capabilities = ["update"] }"#);
    policy("creator", r#"path "auth/token/create" { capabilities = ["update"] }"#);
    policy("wrapped-only", r#"path "exoscale/apikey/*" { capabilities = ["read"] min_wrapping_ttl = "1s" }"#);
    policy(
        "scaleway-read",
        r#"path "secret/data/scaleway/*" { capabilities = ["read"] }
           path "kv1/scaleway/*" { capabilities = ["read"] }"#,
    );
    set_up_approle(vault);
    set_up_jwt(vault, keys);
    set_up_engines(vault);
    set_up_namespaces(vault);
}

fn set_up_approle(vault: &DevVault) {
    vault.write("sys/auth/approle", json!({ "type": "approle" }));
    let policies = "exoscale-create-apikey,aws-deploy";
    for (role, parameters) in [
        ("gitlab-ci-runner", json!({ "token_max_ttl": "30m", "secret_id_num_uses": 1, "secret_id_ttl": "10m" })),
        ("batch", json!({ "token_type": "batch" })),
        ("cidr", json!({ "secret_id_bound_cidrs": "10.9.9.9/32", "secret_id_num_uses": 1 })),
        ("no-secret", json!({ "bind_secret_id": false, "secret_id_bound_cidrs": "127.0.0.1/32" })),
        ("short", json!({ "secret_id_ttl": "1s" })),
        ("token-cidr", json!({ "token_bound_cidrs": "10.9.9.9/32" })),
        ("locked", json!({})),
    ] {
        let mut request = json!({ "token_policies": policies, "token_ttl": "15m" });
        request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        vault.write(&format!("auth/approle/role/{role}"), request);
    }
}

fn set_up_jwt(vault: &DevVault, keys: &GitlabKeys) {
    vault.write("sys/auth/gitlab", json!({ "type": "jwt" }));
    vault.write(
        "auth/gitlab/config",
        json!({ "jwks_url": keys.jwks_url(), "bound_issuer": "https://git.example.com", "default_role": "aws" }),
    );
    let mapped = [
        "environment",
        "environment_protected",
        "job_id",
        "namespace_id",
        "namespace_path",
        "pipeline_id",
        "project_id",
        "project_path",
        "ref",
        "ref_protected",
        "ref_type",
        "user_email",
        "user_id",
        "user_login",
    ];
    let mappings: BTreeMap<&str, &str> = mapped.iter().map(|name| (*name, *name)).collect();
    let everything = "aws-deploy,exoscale-create-apikey,scaleway-read";
    let sub = "project_path:other/project:ref_type:branch:ref:main";
    for (role, parameters) in [
        ("aws", json!({ "token_policies": "gitlab-projects-aws-assumed-role" })),
        ("everything", json!({ "token_policies": everything })),
        ("vault-provisioner", json!({ "bound_claims": { "project_id": "1" } })),
        ("unbound-audience", json!({ "bound_audiences": [], "token_policies": "" })),
        ("bound-subject", json!({ "bound_subject": sub })),
        ("missing-bound-claim", json!({ "bound_claims": { "nope": "1" } })),
        ("boolean-bound-claim", json!({ "bound_claims": { "ref_protected": true } })),
        ("missing-user-claim", json!({ "user_claim": "nope" })),
        ("missing-mapping", json!({ "claim_mappings": { "nope": "nope" }, "token_policies": "" })),
        ("number-mapping", json!({ "claim_mappings": { "runner_id": "runner_id" } })),
        ("bound-cidr", json!({ "token_bound_cidrs": "10.9.9.9/32" })),
        ("batch", json!({ "token_type": "batch", "token_ttl": "15m", "token_explicit_max_ttl": 0 })),
        ("few-uses", json!({ "token_num_uses": 1, "token_policies": "exoscale-create-apikey" })),
    ] {
        let mut request = json!({
            "role_type": "jwt", "user_claim": "project_path", "bound_audiences": ["https://vault.example.com"],
            "bound_claims": { "project_id": "365" }, "claim_mappings": mappings, "token_explicit_max_ttl": "600",
            "token_policies": "aws-deploy,exoscale-create-apikey",
        });
        request.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        vault.write(&format!("auth/gitlab/role/{role}"), request);
    }
}

fn set_up_engines(vault: &DevVault) {
    vault.write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
    vault.write("sys/mounts/unconfigured", json!({ "type": "exoscale" }));
    vault.write("unconfigured/role/r", json!({ "operations": "x" }));
    vault.write("exoscale/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "root-secret-1" }));
    for (role, ttl, max_ttl, renewable) in [
        ("gitlab-ci-runner", 900, 1_800, true),
        ("short", 5, 20, true),
        ("fixed", 300, 300, true),
        ("not-renewable", 300, 600, false),
    ] {
        let role_request = json!({ "operations": "x", "ttl": ttl, "max_ttl": max_ttl, "renewable": renewable });
        vault.write(&format!("exoscale/role/{role}"), role_request);
    }
    vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
    let scaleway = json!({
        "access_key": "SCWXXXXXXXXXXXXXXXXX", "secret_key": "7f2b1c9e-0000-4000-8000-000000000001",
        "default_project_id": "11111111-2222-4333-8444-555555555555", "default_region": "fr-par",
        "default_zone": "fr-par-1",
    });
    vault.write("secret/data/scaleway/dev", json!({ "data": scaleway }));
    vault.write("secret/data/scaleway/gone", json!({ "data": { "a": "b" } }));
    vault.delete("secret/data/scaleway/gone");
    vault.write("sys/mounts/kv1", json!({ "type": "kv", "options": { "version": "1" } }));
    vault.write("kv1/scaleway/dev", json!({ "access_key": "SCW1", "secret_key": "s1" }));
    vault.write("kv1/scaleway/ttl", json!({ "access_key": "SCW1", "ttl": "90s" }));
    // OpenBao brings no AWS engine: its place was taken by one that keeps the same answer.
    vault.write("sys/mounts/aws", json!({ "type": "kv", "options": { "version": "1" } }));
    let sts = json!({
        "access_key": "ASIARZKVVYOZ7ODGRLVU", "secret_key": "8+8UdWu4/nv0wJalrXUtnFEMI/K7MDENGbPxRf",
        "security_token": "FQoGZXIvYXdzEBYaD/example==", "ttl": 3600,
    });
    vault.write("aws/sts/365-dev", sts);
}

fn set_up_namespaces(vault: &DevVault) {
    vault.write("sys/namespaces/team", json!({}));
    let root = vault.root_token();
    let write = |path: &str, request: Value| {
        let answer = vault.request("POST", path, Some(&root), &[("X-Vault-Namespace", "team")], Some(&request));
        assert!(answer.status < 300, "{path}: {:?}", answer.errors());
    };
    let read = r#"path "exoscale/apikey/*" { capabilities = ["read"] }"#;
    write("sys/policies/acl/exoscale-create-apikey", json!({ "policy": read }));
    let generate = r#"path "auth/approle/role/ci/secret-id" { capabilities = ["update"] }"#;
    write("sys/policies/acl/generator", json!({ "policy": generate }));
    write("sys/auth/approle", json!({ "type": "approle" }));
    write(
        "auth/approle/role/ci",
        json!({
            "token_policies": "exoscale-create-apikey", "token_ttl": "15m", "secret_id_num_uses": 1,
            "secret_id_ttl": "10m",
        }),
    );
    write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
    write("exoscale/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "root-secret-1" }));
    write("exoscale/role/gitlab-ci-runner", json!({ "operations": "x", "ttl": 900, "max_ttl": 1_800 }));
}
