//! Replays the recorded exchanges with a real Vault 1.8 against the double, every one of them and in order.
//!
//! Secrets and ids of the recording are mapped to fresh ones as they appear. What a server draws at random or reads
//! from a clock is compared by shape; everything else must be equal.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dev_vault::{DevVault, Dialect, GitlabKeys, GitlabToken};
use serde_json::{Value, json};
use support::{Client, Response};

const RECORDINGS: &str = include_str!("data/vault-1.8.json");
const ROOT: &str = "s.6aQweHqYdYC2Bisc0sHvBZJN";
const GENERATOR: &str = "s.w3uQXN3NJkottWuLF9eKGf0g";

#[test]
fn every_recorded_exchange_is_answered_as_vault_1_8_did() {
    let document: Value = serde_json::from_str(RECORDINGS).unwrap();
    let exchanges = document["exchanges"].as_array().unwrap();
    assert_eq!(exchanges.len(), 105);

    let mut replay = Replay::new();
    let mut differences = Vec::new();
    let mut names = BTreeSet::new();
    for exchange in exchanges {
        let name = exchange["name"].as_str().unwrap();
        names.insert(name);
        replay.before(name);
        let response = replay.send(&exchange["request"]);
        for difference in replay.compare(&exchange["response"], &response) {
            differences.push(format!("{name}: {difference}"));
        }
    }
    assert_eq!(names.len(), 105, "every exchange has its own name");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert_eq!(replay.vault.requests().len(), 105, "the set-up is not among the requests");
}

struct Replay {
    vault: DevVault,
    _keys: GitlabKeys,
    client: Client,
    /// From a recorded secret or id to ours.
    fresh: BTreeMap<String, String>,
}

impl Replay {
    fn new() -> Self {
        let vault = DevVault::start(Dialect::Vault1_8);
        let keys = GitlabKeys::start();
        let client = Client::new(&vault);
        set_up(&vault, &keys);
        let mut replay = Self { vault, _keys: keys, client, fresh: BTreeMap::new() };
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

    fn learn(&mut self, recorded: &str, fresh: String) {
        self.fresh.insert(recorded.to_owned(), fresh);
    }

    /// What was done on the recorded server between the exchanges: tokens made, time passed, quotas set.
    fn before(&mut self, name: &str) {
        const SECRET_ID: &str = "auth/approle/role/gitlab-ci-runner/secret-id";
        match name {
            "wrapping.lookup.expired" => {
                let token = self.vault.write_wrapped(SECRET_ID, json!({}), "1s");
                self.learn("s.tzCA4zWjn0HFGF1o7HLDvF1a", token);
                self.vault.advance(Duration::from_millis(2_100));
            }
            "wrapping.spent_by_other_request" => {
                let token = self.vault.write_wrapped(SECRET_ID, json!({}), "60s");
                self.learn("s.0ufFkPCl1Ias7eArDIiFVWzF", token);
            }
            "wrapping.login" => {
                let secret_id = self.vault.write(SECRET_ID, json!({}));
                self.learn("a7019c7a-62b2-d111-204c-f3fd8b894ccc", text(&secret_id["data"]["secret_id"]));
            }
            // At the start of a second, so that the two that pass before the renewal are two in whole seconds too.
            "jwt.login" => {
                let now = self.vault.now().duration_since(std::time::UNIX_EPOCH).unwrap();
                self.vault.advance(Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()));
            }
            "token.lookup_self" => self.vault.advance(Duration::from_millis(2_000)),
            "lease.renew.expired" => self.vault.advance(Duration::from_secs(6)),
            "token.one_use_left" => {
                let token = json!({ "policies": "exoscale-create-apikey", "num_uses": 1 });
                let token = self.vault.write("auth/token/create", token);
                self.learn("s.SD7qZ9Us39P3CeOcmm9x9BRy", text(&token["auth"]["client_token"]));
            }
            "approle.login.batch" => {
                let secret_id = self.vault.write("auth/approle/role/batch/secret-id", json!({}));
                self.learn("cf8f8766-bd79-38fd-9c4e-7c915cb7203c", text(&secret_id["data"]["secret_id"]));
            }
            "quota.exceeded" => {
                self.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true }));
                self.vault.write(
                    "sys/quotas/rate-limit/login",
                    json!({ "path": "auth/gitlab", "rate": 1, "interval": "60s" }),
                );
                let _ = self.vault.request("POST", "auth/gitlab/login", None, &[], Some(&json!({})));
            }
            "quota.exceeded.no_headers" => {
                self.vault.write("sys/quotas/config", json!({ "enable_rate_limit_response_headers": false }));
            }
            "sealed.login" => {
                self.vault.delete("sys/quotas/rate-limit/login");
                self.vault.write("sys/seal", json!({}));
            }
            _ => {}
        }
    }

    fn send(&mut self, request: &Value) -> Response {
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), self.translate(value.as_str().unwrap())))
            .collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = match &request["body"] {
            Value::Null => None,
            Value::String(raw) => Some(raw.clone()),
            body => Some(self.translate_all(body).to_string()),
        };
        let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
        self.client.send(method, path, &headers, body.as_deref())
    }

    fn translate(&self, recorded: &str) -> String {
        if recorded.starts_with("eyJ") {
            return sign_again(recorded);
        }
        self.fresh.get(recorded).cloned().unwrap_or_else(|| recorded.to_owned())
    }

    fn translate_all(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.translate(text)),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), self.translate_all(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// What differs; learns the fresh values on the way.
    fn compare(&mut self, recorded: &Value, response: &Response) -> Vec<String> {
        let mut differences = Vec::new();
        if recorded["status"] != response.status {
            differences.push(format!("status {} instead of {}", response.status, recorded["status"]));
        }
        let headers = recorded["headers"].as_object().unwrap();
        for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
            let ours = response.header(name).unwrap_or("nothing");
            let is_time = name == "retry-after" || name == "x-ratelimit-reset";
            let same = if is_time { ours == "59" || ours == "58" } else { ours == value };
            if !same {
                differences.push(format!("header {name}: {ours} instead of {value}"));
            }
        }
        for name in ["retry-after", "x-ratelimit-limit", "location"] {
            if !headers.contains_key(name) && response.header(name).is_some() {
                differences.push(format!("header {name} should not be there"));
            }
        }
        let is_json = headers["content-type"] == "application/json";
        let ours = match (&recorded["body"], is_json) {
            (Value::String(_), _) | (_, false) => Value::String(response.body.clone()),
            _ => serde_json::from_str(&response.body).unwrap_or_else(|_| Value::String(response.body.clone())),
        };
        self.compare_values("", &recorded["body"], &ours, &mut differences);
        differences
    }

    fn compare_values(&mut self, at: &str, recorded: &Value, ours: &Value, differences: &mut Vec<String>) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                let keys: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
                for key in keys {
                    let path = format!("{at}/{key}");
                    match (recorded.get(key), ours.get(key)) {
                        (Some(recorded), Some(ours)) => self.compare_values(&path, recorded, ours, differences),
                        (None, _) => differences.push(format!("{path} should not be there")),
                        (_, None) => differences.push(format!("{path} is missing")),
                    }
                }
            }
            (Value::String(recorded), Value::String(ours)) => {
                let key = at.rsplit('/').next().unwrap_or_default();
                match shape(key, recorded, ours) {
                    None if self.translate(recorded) != *ours => {
                        differences.push(format!("{at}: {ours:?} instead of {recorded:?}"));
                    }
                    None => {}
                    Some(false) => differences.push(format!("{at}: {ours:?} has not the shape of {recorded:?}")),
                    Some(true) => {
                        let known = self.fresh.entry(recorded.clone()).or_insert_with(|| ours.clone());
                        if known != ours {
                            differences.push(format!("{at}: {ours:?} instead of {known:?}, as before"));
                        }
                    }
                }
            }
            (Value::Number(recorded), Value::Number(ours)) => {
                let key = at.rsplit('/').next().unwrap_or_default();
                let (recorded, ours) = (recorded.as_f64().unwrap(), ours.as_f64().unwrap());
                // Seconds that run: our replay is faster than the recording was.
                let tolerance = match key {
                    "server_time_utc" | "creation_time" => f64::MAX,
                    "ttl" | "lease_duration" => 1.0,
                    _ => 0.0,
                };
                if (recorded - ours).abs() > tolerance {
                    differences.push(format!("{at}: {ours} instead of {recorded}"));
                }
            }
            (recorded, ours) if recorded == ours => {}
            (recorded, ours) => differences.push(format!("{at}: {ours} instead of {recorded}")),
        }
    }
}

/// For a value that no server gives twice: whether ours looks like the recorded one. `None`: it must be equal.
fn shape(key: &str, recorded: &str, ours: &str) -> Option<bool> {
    if recorded.is_empty() || ours.is_empty() {
        return None;
    }
    let same_length = recorded.len() == ours.len();
    let same_prefix = |length: usize| recorded.get(..length) == ours.get(..length);
    let pattern = |text: &str| -> String {
        let class = |c: char| if c.is_ascii_alphanumeric() { 'x' } else { c };
        text.chars().map(class).collect()
    };
    Some(match key {
        "request_id" | "entity_id" | "secret_id" | "secret_id_accessor" | "cluster_id" => {
            pattern(recorded) == pattern(ours)
        }
        "accessor" | "wrapped_accessor" => same_length && pattern(recorded) == pattern(ours),
        "client_token" | "token" | "id" if recorded.starts_with("s.") => same_length && same_prefix(2),
        "client_token" if recorded.starts_with("b.") => same_prefix(7) && ours.len() > 150,
        "lease_id" | "id" => same_length && recorded.rsplit_once('/')?.0 == ours.rsplit_once('/')?.0,
        "api_key" => same_length && same_prefix(3),
        "secret_key" if recorded.ends_with("EXAMPLEKEY") => ours.len() == 40,
        "api_secret" | "secret_key" if recorded.len() >= 40 => same_length,
        "access_key" if same_length && recorded.len() == 20 && !recorded.starts_with("SCW") => {
            // The recorded federation token came from an emulator with one fixed key.
            same_prefix(4) || recorded.ends_with("EXAMPLE")
        }
        "security_token" => ours.len() > 200 && same_prefix(1) || recorded.starts_with("AQo"),
        "name" => digits_apart(recorded) == digits_apart(ours),
        "arn" => digits_apart(recorded) == digits_apart(ours),
        "cluster_name" => same_length && same_prefix("vault-cluster-".len()),
        "creation_time" | "created_time" | "deletion_time" | "expire_time" | "issue_time" | "last_renewal" => {
            ours.len() >= 20 && ours.ends_with('Z') && ours.as_bytes()[10] == b'T'
        }
        _ => return None,
    })
}

/// A name with every long number reduced to its length.
fn digits_apart(name: &str) -> String {
    let parts = name.split('-').map(|part| match part.parse::<u128>() {
        Ok(_) if part.len() >= 4 => format!("<{}>", part.len()),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("-")
}

/// The claims of a recorded token in a token of today's date, signed with our key, or damaged as the recorded one was.
fn sign_again(recorded: &str) -> String {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let payload = recorded.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let recorded_at = 1_795_178_505;
    let mut token = GitlabToken::new();
    for (name, value) in claims.as_object().unwrap() {
        token = match (name.as_str(), value.as_i64()) {
            ("iat", Some(time)) => token.issued_in(time - recorded_at),
            ("nbf", Some(time)) => token.not_before_in(time - recorded_at),
            ("exp", Some(time)) => token.expires_in(time - recorded_at),
            _ => token.claim(name, value.clone()),
        };
    }
    if claims.get("aud").is_none() {
        token = token.without("aud");
    }
    let signed = token.sign();
    if recorded.ends_with("AAAAAAAA") { format!("{}AAAAAAAA", &signed[..signed.len() - 8]) } else { signed }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
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
