//! Vault 1.8: how the recorded server was set up, and what was done on it between the exchanges.

use std::collections::BTreeMap;
use std::time::Duration;

use dev_vault::{DevVault, Dialect, GitlabKeys};
use serde_json::{Value, json};

use crate::replay::{Replay, text};

pub const RECORDING: &str = include_str!("../data/vault-1.8.json");
const ROOT: &str = "s.6aQweHqYdYC2Bisc0sHvBZJN";
const GENERATOR: &str = "s.w3uQXN3NJkottWuLF9eKGf0g";
const SECRET_ID: &str = "auth/approle/role/gitlab-ci-runner/secret-id";

/// A double that stands where the recorded server stood before the first exchange.
pub fn start() -> Replay {
    let mut replay = Replay::start(Dialect::Vault1_8, 1_795_178_505);
    set_up(&replay.vault, &replay.keys);
    replay.learn(ROOT, replay.vault.root_token());
    let generator = json!({ "policies": "gitlab-ci-runner-secrets", "no_default_policy": true });
    let generator = replay.vault.write("auth/token/create", generator);
    replay.learn(GENERATOR, text(&generator["auth"]["client_token"]));
    for (role, recorded) in [
        ("gitlab-ci-runner", "73880bf1-e8ef-4434-bcb8-3de831cad6ed"),
        ("batch", "dcea9aa6-c4d4-96e4-2fc7-29100cdec904"),
    ] {
        let role_id = replay.vault.read(&format!("auth/approle/role/{role}/role-id"));
        replay.learn(recorded, text(&role_id["data"]["role_id"]));
    }
    replay
}

/// What was done on the recorded server between the exchanges: tokens made, time passed, quotas set.
pub fn before(replay: &mut Replay, name: &str) {
    match name {
        "wrapping.lookup.expired" => {
            let token = replay.vault.write_wrapped(SECRET_ID, json!({}), "1s");
            replay.learn("s.tzCA4zWjn0HFGF1o7HLDvF1a", token);
            replay.vault.advance(Duration::from_millis(2_100));
        }
        "wrapping.spent_by_other_request" => {
            let token = replay.vault.write_wrapped(SECRET_ID, json!({}), "60s");
            replay.learn("s.0ufFkPCl1Ias7eArDIiFVWzF", token);
        }
        "wrapping.login" => {
            let secret_id = replay.vault.write(SECRET_ID, json!({}));
            replay.learn("a7019c7a-62b2-d111-204c-f3fd8b894ccc", text(&secret_id["data"]["secret_id"]));
        }
        // Two seconds pass before the renewal, and they are two in whole ones too.
        "jwt.login" => replay.begin_to_count(),
        "token.lookup_self" => replay.pass_to(2_500),
        "lease.renew.expired" => replay.vault.advance(Duration::from_secs(6)),
        "token.one_use_left" => {
            let token = json!({ "policies": "exoscale-create-apikey", "num_uses": 1 });
            let token = replay.vault.write("auth/token/create", token);
            replay.learn("s.SD7qZ9Us39P3CeOcmm9x9BRy", text(&token["auth"]["client_token"]));
        }
        "approle.login.batch" => {
            let secret_id = replay.vault.write("auth/approle/role/batch/secret-id", json!({}));
            replay.learn("cf8f8766-bd79-38fd-9c4e-7c915cb7203c", text(&secret_id["data"]["secret_id"]));
        }
        "quota.exceeded" => {
            replay.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
            replay
                .vault
                .write("sys/quotas/rate-limit/login", json!({ "path": "auth/gitlab", "rate": 1, "interval": "60s" }));
            let _ = replay.vault.request("POST", "auth/gitlab/login", None, &[], Some(&json!({})));
            replay.vault.advance(Duration::from_millis(1));
        }
        "quota.exceeded.no_headers" => {
            replay.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": false }));
        }
        "sealed.login" => {
            replay.vault.delete("sys/quotas/rate-limit/login");
            replay.vault.write("sys/seal", json!({}));
        }
        _ => {}
    }
}

fn set_up(vault: &DevVault, keys: &GitlabKeys) {
    let policy = |name: &str, text: &str| vault.write(&format!("sys/policies/acl/{name}"), json!({ "policy": text }));
    policy("exoscale-create-apikey", r#"path "exoscale/apikey/*" { capabilities = ["read"] }"#);
    policy("aws-deploy", r#"path "aws/*" { capabilities = ["create", "read", "update"] }"#);
    policy("gitlab-projects-aws-assumed-role", r#"path "aws/sts/365-*" { capabilities = ["create", "update"] }"#);
    policy(
        "gitlab-ci-runner-secrets",
        r#"path "auth/approle/role/gitlab-ci-runner/secret-id" { capabilities = ["update"] }"#,
    );
    policy(
        "scaleway-read",
        r#"path "secret/data/scaleway/*" { capabilities = ["read"] }
           path "kv1/scaleway/*" { capabilities = ["read"] }"#,
    );
    set_up_logins(vault, keys);
    set_up_engines(vault);
}

fn set_up_logins(vault: &DevVault, keys: &GitlabKeys) {
    vault.write("sys/auth/approle", json!({ "type": "approle" }));
    vault.write(
        "auth/approle/role/gitlab-ci-runner",
        json!({
            "token_policies": "exoscale-create-apikey,aws-deploy", "token_ttl": "15m", "token_max_ttl": "30m",
            "secret_id_num_uses": 1, "secret_id_ttl": "10m",
        }),
    );
    vault.write(
        "auth/approle/role/batch",
        json!({ "token_policies": "exoscale-create-apikey", "token_ttl": "15m", "token_type": "batch" }),
    );
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
    for (role, policies, project) in [
        ("aws", "gitlab-projects-aws-assumed-role", "365"),
        ("everything", "aws-deploy,exoscale-create-apikey,scaleway-read", "365"),
        ("vault-provisioner", "default", "1"),
    ] {
        vault.write(
            &format!("auth/gitlab/role/{role}"),
            json!({
                "role_type": "jwt", "user_claim": "project_path", "bound_audiences": ["https://vault.example.com"],
                "bound_claims": { "project_id": project }, "claim_mappings": mappings, "token_policies": policies,
                "token_explicit_max_ttl": "600",
            }),
        );
    }
}

fn set_up_engines(vault: &DevVault) {
    vault.write("sys/mounts/exoscale", json!({ "type": "vault-plugin-secrets-exoscale" }));
    vault.write("exoscale/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "root-secret-1" }));
    for (role, ttl, max_ttl) in [("gitlab-ci-runner", 900, 1_800), ("short", 5, 20), ("fixed", 300, 300)] {
        vault.write(&format!("exoscale/role/{role}"), json!({ "operations": "x", "ttl": ttl, "max_ttl": max_ttl }));
    }
    let config = json!({ "default_lease_ttl": "30m", "max_lease_ttl": "1h" });
    vault.write("sys/mounts/aws", json!({ "type": "aws", "config": config }));
    vault.write("aws/config/root", json!({ "access_key": "AKIAROOT", "secret_key": "aws-root-secret" }));
    let arn = "arn:aws:iam::123123123123:role/gitlab-service-role";
    let assumed = |arns: Value| json!({ "credential_type": "assumed_role", "role_arns": arns });
    vault.write("aws/roles/365-dev", assumed(json!([arn])));
    vault.write("aws/roles/two-arns", assumed(json!([arn, format!("{arn}-2")])));
    vault.write("aws/roles/federated", json!({ "credential_type": "federation_token", "policy_document": "{}" }));
    vault.write("aws/roles/iam-user", json!({ "credential_type": "iam_user", "policy_document": "{}" }));
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
}
