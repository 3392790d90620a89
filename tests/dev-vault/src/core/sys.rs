//! `sys/...`: mounts, policies, namespaces, health and seal. Leases, wrapping and quotas have their own files.

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::unix;
use crate::core::fields::{Object, parse_bool};
use crate::core::mount::{Handler, Mount, Namespace};
use crate::core::policy::Policy;
use crate::core::request::{Operation, Request};
use crate::core::response::{Failure, Outcome, Response};
use crate::core::standby::LEADER;
use crate::core::token::Token;
use crate::core::{Core, JSON, envelope};
use crate::dialect::Dialect;
use crate::http::{Answer, Head};
use crate::random;

impl Core {
    pub(super) fn sys(&mut self, request: &Request, path: &str, caller: Option<&Token>) -> Outcome {
        if let Some(verb) = path.strip_prefix("wrapping/") {
            return self.sys_wrapping(request, verb);
        }
        if let Some(mount) = path.strip_prefix("internal/ui/mounts/") {
            return self.preflight(request, mount);
        }
        if path == "internal/ui/mounts" {
            return Ok(Some(self.visible_mounts(request)));
        }
        let Some(caller) = caller else { return Err(Failure::permission_denied()) };
        if Self::is_lease_route(path, request.operation, self.dialect) {
            return self.sys_leases(request, path);
        }
        let (area, rest) = path.split_once('/').unwrap_or((path, ""));
        match area {
            "leases" => self.sys_leases(request, rest),
            "capabilities-self" if request.operation.is_write() => self.capabilities_self(request, caller),
            "quotas" => self.quotas.handle(rest, request.operation, &request.data),
            "mounts" => self.sys_mounts(request, rest, false),
            "auth" => self.sys_mounts(request, rest, true),
            "policies" => match rest.split_once('/') {
                Some(("acl", name)) => self.sys_policy(request, name),
                _ => Err(Failure::unsupported_path()),
            },
            "policy" => self.sys_policy(request, rest),
            "namespaces" if self.dialect.has_namespaces() => self.sys_namespace(request, rest),
            "locked-users" if self.dialect.is_modern() && request.operation == Operation::Read => {
                Ok(Some(self.locked_users()))
            }
            "seal" if request.operation.is_write() => {
                self.sealed = true;
                Ok(None)
            }
            "seal" | "capabilities-self" => Err(Failure::unsupported_operation()),
            _ => Err(Failure::unsupported_path()),
        }
    }

    pub(crate) fn unseal(&mut self) {
        self.sealed = false;
    }

    fn sys_mounts(&mut self, request: &Request, path: &str, is_auth: bool) -> Outcome {
        let prefix = if is_auth { "auth/" } else { "" };
        let namespace = self.namespaces.get_mut(&request.namespace).ok_or_else(Failure::unsupported_path)?;
        if path.is_empty() {
            let belongs = |mount: &String| mount.starts_with("auth/") == is_auth;
            let listed = namespace.mounts.iter().filter(|(mount, _)| belongs(mount));
            let listed: Object = listed
                .map(|(mount, entry)| (mount.strip_prefix(prefix).unwrap_or(mount).to_owned(), entry.describe()))
                .collect();
            return Ok(Some(Response { repeats_data: true, ..Response::data(Value::Object(listed)) }));
        }
        let (path, tune) = path.strip_suffix("/tune").map_or((path, false), |path| (path, true));
        let full = format!("{prefix}{}/", path.trim_matches('/'));
        let known = namespace.mounts.get_mut(&full);
        match (request.operation, tune) {
            (Operation::Update, false) => {
                namespace.mount(&full, Mount::from_request(&request.data, is_auth)?)?;
                Ok(None)
            }
            (Operation::Update, true) => {
                known
                    .ok_or_else(|| Failure::bad_request("tune of path failed: no mount entry found"))?
                    .tune(&request.data)?;
                Ok(None)
            }
            (Operation::Read, _) => {
                let mount = known.ok_or_else(|| Failure::bad_request(format!("No secret engine mount at {full}")))?;
                let described = mount.describe();
                let mut data = if tune { described["config"].clone() } else { described };
                if tune && self.dialect == Dialect::OpenBao {
                    data["description"] = json!(mount.description);
                    if is_auth {
                        data["token_type"] = json!("default-service");
                    }
                }
                Ok(Some(Response { repeats_data: true, ..Response::data(data) }))
            }
            (Operation::Delete, false) => {
                namespace.mounts.remove(&full);
                for lease in self.leases.under(&full) {
                    self.take_back(&lease);
                }
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn sys_policy(&mut self, request: &Request, name: &str) -> Outcome {
        let namespace = self.namespaces.get_mut(&request.namespace).ok_or_else(Failure::unsupported_path)?;
        let name = name.to_lowercase();
        match request.operation {
            Operation::List | Operation::Read if name.is_empty() => {
                Ok(Response::keys(namespace.policies.keys().cloned()))
            }
            Operation::Update => {
                let text = match request.data.text("policy")? {
                    text if text.is_empty() => request.data.text("rules")?,
                    text => text,
                };
                if text.is_empty() {
                    return Err(Failure::bad_request("'policy' parameter not supplied or empty"));
                }
                let policy = Policy::parse(&text)
                    .map_err(|reason| Failure::bad_request(format!("failed to parse policy: {reason}")))?;
                namespace.policies.insert(name, policy);
                Ok(None)
            }
            Operation::Read => Ok(namespace
                .policies
                .get(&name)
                .map(|policy| Response::data(json!({ "name": name, "policy": policy.text })))),
            Operation::Delete => {
                namespace.policies.remove(&name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn sys_namespace(&mut self, request: &Request, path: &str) -> Outcome {
        if let Some((action, name)) = path.strip_prefix("api-lock/").and_then(|rest| rest.split_once('/')) {
            let full = format!("{}{}/", request.namespace, name.trim_matches('/'));
            let namespace = self.namespaces.get_mut(&full).ok_or_else(Failure::unsupported_path)?;
            namespace.locked = action == "lock";
            return Ok(None);
        }
        if let Some((name, action @ ("seal" | "unseal"))) = path.rsplit_once('/') {
            let full = format!("{}{}/", request.namespace, name.trim_matches('/'));
            let namespace = self.namespaces.get_mut(&full).ok_or_else(Failure::unsupported_path)?;
            namespace.sealed = action == "seal";
            return Ok(None);
        }
        let full = format!("{}{}/", request.namespace, path.trim_matches('/'));
        match request.operation {
            Operation::Update => {
                let namespace =
                    self.namespaces.entry(full.clone()).or_insert_with(|| Namespace::new(&random::base62(6)));
                Ok(Some(Response::data(json!({ "id": namespace.id, "path": full }))))
            }
            Operation::Read => Ok(self
                .namespaces
                .get(&full)
                .map(|namespace| Response::data(json!({ "id": namespace.id, "path": full })))),
            Operation::Delete => {
                self.namespaces.remove(&full);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    /// `sys/internal/ui/mounts/:path`, which the CLI asks before `kv get`. It checks the token itself and spends no use.
    fn preflight(&self, request: &Request, path: &str) -> Outcome {
        let token = request.token.as_ref().and_then(|id| self.tokens.get(id, self.now));
        let token = token.ok_or_else(Failure::permission_denied)?;
        let namespace = self.namespaces.get(&request.namespace);
        let found = namespace.and_then(|namespace| namespace.mount_of(path));
        let found = found.filter(|(mount, _)| token.is_root() || self.may_see(token, mount));
        let Some((path, mount)) = found else {
            let path = path.trim_end_matches('/');
            return Err(Failure::response(
                403,
                format!(
                    "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
                ),
            ));
        };
        let mut data = mount.describe();
        data["path"] = json!(path);
        if mount.is_kv2() {
            data["options"] = json!({ "version": "2" });
        }
        Ok(Some(Response::data(data)))
    }

    /// `sys/internal/ui/mounts`: what a token may see, and nothing to everybody else.
    fn visible_mounts(&self, request: &Request) -> Response {
        let (mut auth, mut secret) = (Object::new(), Object::new());
        let token = request.token.as_ref().and_then(|id| self.tokens.get(id, self.now));
        let namespace = self.namespaces.get(&request.namespace);
        if let (Some(token), Some(namespace)) = (token, namespace) {
            for (path, mount) in &namespace.mounts {
                if token.is_root() || self.may_see(token, path) {
                    let (list, name) = match path.strip_prefix("auth/") {
                        Some(name) => (&mut auth, name),
                        None => (&mut secret, path.as_str()),
                    };
                    list.insert(name.to_owned(), mount.describe());
                }
            }
        }
        Response::data(json!({ "auth": auth, "secret": secret }))
    }

    /// `sys/locked-users`: whom the mounts refuse for having failed too often.
    fn locked_users(&self) -> Response {
        let mut total = 0;
        let mut by_namespace = Vec::new();
        for (path, namespace) in &self.namespaces {
            let mut counts = 0;
            let mut mounts = Vec::new();
            for mount in namespace.mounts.values() {
                let Handler::Backend(backend) = &mount.handler else { continue };
                let aliases = backend.locked_aliases(self.now);
                if !aliases.is_empty() {
                    counts += aliases.len();
                    mounts.push(json!({
                        "mount_accessor": mount.accessor, "counts": aliases.len(), "alias_identifiers": aliases,
                    }));
                }
            }
            total += counts;
            by_namespace.push(json!({
                "namespace_id": namespace.id, "namespace_path": path, "counts": counts, "mount_accessors": mounts,
            }));
        }
        Response::data(json!({ "by_namespace": by_namespace, "total": total }))
    }

    fn may_see(&self, token: &Token, mount: &str) -> bool {
        let policies = self.namespaces.get(&token.namespace).map(|namespace| &namespace.policies);
        let rules = token.policies.iter().filter_map(|name| policies?.get(name)).flat_map(|policy| &policy.rules);
        rules.into_iter().any(|rule| {
            let stem = rule.pattern.split(['*', '+']).next().unwrap_or_default();
            stem.starts_with(mount) || mount.starts_with(stem) && stem.len() < rule.pattern.len()
        })
    }

    pub(super) fn is_public_sys(path: &str) -> bool {
        matches!(path.trim_start_matches("/v1/"), "sys/health" | "sys/seal-status" | "sys/leader")
    }

    /// The routes that are outside the envelope.
    pub(super) fn public_sys(&self, head: &Head, path: &str) -> Answer {
        match (path, head.method.as_str()) {
            ("sys/health", "GET" | "HEAD") => self.health(head.raw_query().unwrap_or_default()),
            ("sys/seal-status", "GET") => Answer::new(200, JSON, text(&self.seal_status())),
            ("sys/leader", "GET") => Answer::new(200, JSON, text(&self.leader())),
            _ => envelope::failure(&Failure::empty(405), false),
        }
    }

    fn health(&self, query: &str) -> Answer {
        let wish = |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        let is_standby = self.standby.is_some();
        let (name, default) = match (self.sealed, is_standby, self.dialect) {
            (true, ..) => ("sealedcode", 503),
            (_, false, _) => ("activecode", 200),
            (_, true, Dialect::OpenBao) => ("standbycode", 429),
            (_, true, _) => ("performancestandbycode", 473),
        };
        let codes =
            ["activecode", "standbycode", "sealedcode", "uninitcode", "drsecondarycode", "performancestandbycode"];
        let flags = ["standbyok", "perfstandbyok"];
        let bad_code = codes.iter().filter_map(|name| wish(name)).any(|(_, code)| code.parse::<u16>().is_err());
        let bad_flag = flags.iter().filter_map(|name| wish(name)).any(|(_, flag)| parse_bool(flag).is_none());
        if bad_code || bad_flag {
            return envelope::failure(&Failure::empty(400), false);
        }
        let status = wish(name).and_then(|(_, code)| code.parse().ok()).unwrap_or(default);
        let is_vault = self.dialect != Dialect::OpenBao;
        let is_new_vault = self.dialect == Dialect::Vault1_16;
        let (mode, recovery) = match (self.sealed, is_standby) {
            (true, _) => ("unknown", "unknown"),
            (_, true) => ("primary", "disabled"),
            _ => ("disabled", "disabled"),
        };
        let body = Health {
            initialized: true,
            sealed: self.sealed,
            standby: self.sealed || is_standby,
            performance_standby: is_vault.then_some(is_standby),
            replication_performance_mode: mode,
            replication_dr_mode: recovery,
            server_time_utc: unix(self.now),
            version: self.dialect.version(),
            enterprise: is_new_vault.then_some(false),
            cluster_name: (!self.sealed).then_some(&self.cluster.0),
            cluster_id: (!self.sealed).then_some(&self.cluster.1),
            echo_duration_ms: is_new_vault.then_some(0),
            clock_skew_ms: is_new_vault.then_some(0),
        };
        Answer::new(status, JSON, text(&body))
    }

    /// `sys/leader`. Only a standby has somebody to name.
    fn leader(&self) -> Value {
        if self.standby.is_none() {
            return json!({
                "ha_enabled": false, "is_self": false, "leader_address": "", "leader_cluster_address": "",
            });
        }
        json!({
            "ha_enabled": true, "is_self": false, "leader_address": LEADER, "leader_cluster_address": LEADER,
            "raft_committed_index": 132, "raft_applied_index": 132,
        })
    }

    fn seal_status(&self) -> SealStatus<'_> {
        SealStatus {
            r#type: "shamir",
            initialized: true,
            sealed: self.sealed,
            t: 1,
            n: 1,
            progress: 0,
            nonce: "",
            version: self.dialect.version(),
            build_date: (self.dialect == Dialect::Vault1_16).then_some("2024-03-25T12:01:32Z"),
            commit_date: (self.dialect == Dialect::OpenBao).then_some("2026-10-26T20:32:27Z"),
            migration: false,
            cluster_name: (!self.sealed).then_some(&self.cluster.0),
            cluster_id: (!self.sealed).then_some(&self.cluster.1),
            recovery_seal: false,
            storage_type: "inmem",
        }
    }
}

fn text(body: &impl Serialize) -> String {
    envelope::escape(&serde_json::to_string(body).expect("a status is JSON")) + "\n"
}

#[derive(Serialize)]
struct Health<'a> {
    initialized: bool,
    sealed: bool,
    standby: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    performance_standby: Option<bool>,
    replication_performance_mode: &'a str,
    replication_dr_mode: &'a str,
    server_time_utc: i64,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enterprise: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo_duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_ms: Option<u64>,
}

#[derive(Serialize)]
struct SealStatus<'a> {
    r#type: &'a str,
    initialized: bool,
    sealed: bool,
    t: u8,
    n: u8,
    progress: u8,
    nonce: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_date: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_date: Option<&'a str>,
    migration: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_name: Option<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<&'a String>,
    recovery_seal: bool,
    storage_type: &'a str,
}
