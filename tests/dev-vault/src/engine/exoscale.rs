//! The Exoscale secrets engine (plugin 0.4): `GET <mount>/apikey/:role` mints an API key.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::{Backend, Call, is_role_name};
use crate::clock::unix_nanos;
use crate::core::request::{Operation, Upstream};
use crate::core::response::{Failure, Outcome, Renewal, Response, Secret};
use crate::random;

#[derive(Debug, Default)]
pub(crate) struct Exoscale {
    root: Option<Root>,
    lease: (Duration, Duration),
    roles: BTreeMap<String, Role>,
}

#[derive(Debug)]
struct Root {
    key: String,
    zone: String,
    name_prefix: String,
}

#[derive(Debug, Clone)]
struct Role {
    ttl: Duration,
    max_ttl: Duration,
    renewable: bool,
    /// `Some` makes IAM keys ("v3"); otherwise legacy access keys ("v2").
    iam_role: Option<String>,
    legacy: BTreeMap<&'static str, Vec<String>>,
}

impl Default for Role {
    fn default() -> Self {
        Self { ttl: Duration::ZERO, max_ttl: Duration::ZERO, renewable: true, iam_role: None, legacy: BTreeMap::new() }
    }
}

impl Backend for Exoscale {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.path.split_once('/') {
            Some(("config", "root")) => self.config_root(call),
            Some(("config", "lease")) => self.config_lease(call),
            Some(("role", "")) if call.operation() == Operation::List => Ok(Response::keys(self.roles.keys().cloned())),
            Some(("role", name)) if is_role_name(name, "") => self.role(call, name),
            Some(("apikey", name)) if is_role_name(name, "") => match call.operation() {
                Operation::Read => self.mint(call, name),
                _ => Err(Failure::unsupported_operation()),
            },
            _ => Err(Failure::unsupported_path()),
        }
    }
}

impl Exoscale {
    fn config_root(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let (key, secret) = (call.data().text("root_api_key")?, call.data().text("root_api_secret")?);
                if key.is_empty() || secret.is_empty() {
                    return Err(Failure::internal("missing root API root_api_key or root_api_secret"));
                }
                call.ledger.secret(secret);
                self.root = Some(Root {
                    key: call.ledger.secret(key),
                    zone: call.data().text("zone")?,
                    name_prefix: call.data().text("api_key_name_prefix")?,
                });
                Ok(None)
            }
            Operation::Read => Ok(self.root.as_ref().map(|root| {
                Response::data(json!({
                    "root_api_key": root.key, "zone": root.zone, "api_key_name_prefix": root.name_prefix,
                }))
            })),
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn config_lease(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let wish = |name| Ok::<_, Failure>(call.data().duration(name)?.unwrap_or_default());
                self.lease = (wish("ttl")?, wish("max_ttl")?);
                Ok(None)
            }
            Operation::Read => {
                Ok(Some(Response::data(json!({ "ttl": self.lease.0.as_secs(), "max_ttl": self.lease.1.as_secs() }))))
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn role(&mut self, call: &mut Call<'_>, name: &str) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let role = self.roles.get(name).cloned().unwrap_or_default().updated(call)?;
                self.roles.insert(name.to_owned(), role);
                Ok(None)
            }
            Operation::Read => Ok(self.roles.get(name).map(|role| {
                let mut data = json!({
                    "ttl": role.ttl.as_secs(), "max_ttl": role.max_ttl.as_secs(), "renewable": role.renewable,
                });
                match &role.iam_role {
                    Some(iam_role) => data["iam-role-id"] = json!(iam_role),
                    None => ["operations", "resources", "tags"]
                        .iter()
                        .for_each(|field| data[*field] = json!(role.legacy.get(field))),
                }
                Response::data(data)
            })),
            Operation::Delete => {
                self.roles.remove(name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn mint(&self, call: &mut Call<'_>, name: &str) -> Outcome {
        let role = self.roles.get(name).ok_or_else(|| Failure::bad_request(format!("role \"{name}\" not found")))?;
        let Some(root) = &self.root else {
            return Err(Failure::internal(
                "Exoscale secret engine not configured\nhint: vault path-help exoscale/config/root # (replace \
                 \"exoscale\" by your mount point)",
            ));
        };
        if let Some(failure) = call.upstream() {
            let reason = match failure {
                Upstream::Throttled => "too many requests",
                Upstream::Fails(reason) => reason,
            };
            let what =
                if role.iam_role.is_some() { "failed to create api key" } else { "unable to create a new API key" };
            return Err(Failure::internal(format!("{what}: {reason}")));
        }
        let prefix = if root.name_prefix.is_empty() { String::new() } else { format!("{}-", root.name_prefix) };
        let suffix = if role.iam_role.is_some() { "" } else { "-deprecated" };
        let key_name = format!("vault-{prefix}{name}-{}-{}{suffix}", call.display_name, unix_nanos(call.now));
        let key = format!("EXO{}", random::hex(26));
        let secret = call.ledger.secret(random::base64url(43));
        call.ledger.mint(&call.request.path, &key);
        let (ttl, max_ttl) = role.lifetime(self.lease);
        Ok(Some(Response {
            secret: Some(Secret {
                access_key: key.clone(),
                ttl,
                max_ttl,
                renewable: role.renewable,
                renewal: Renewal::FullOrNothing,
            }),
            ..Response::data(json!({ "name": key_name, "api_key": key, "api_secret": secret }))
        }))
    }
}

impl Role {
    fn updated(mut self, call: &Call<'_>) -> Result<Self, Failure> {
        let data = call.data();
        for field in ["operations", "resources", "tags"] {
            if let Some(list) = data.list(field)? {
                self.legacy.insert(field, list);
            }
        }
        self.iam_role = data.string("iam-role")?.filter(|role| !role.is_empty());
        self.ttl = data.duration("ttl")?.unwrap_or(self.ttl);
        self.max_ttl = data.duration("max_ttl")?.unwrap_or(self.max_ttl);
        self.renewable = data.boolean("renewable")?.unwrap_or(self.renewable);
        if !self.max_ttl.is_zero() && self.ttl.is_zero() {
            return Err(Failure::internal("ttl must be sepcified if max_ttl is specified"));
        }
        if self.iam_role.is_some() && !self.legacy.is_empty() {
            return Err(Failure::internal(
                "iam-role cannot be used in conjunction with the deprecated fields: operations, resources or tags",
            ));
        }
        Ok(self)
    }

    /// `config/lease` is a default for legacy keys only. Zero means the mount's own.
    fn lifetime(&self, config: (Duration, Duration)) -> (Duration, Duration) {
        let or_config = |own: Duration, config| if own.is_zero() && self.iam_role.is_none() { config } else { own };
        (or_config(self.ttl, config.0), or_config(self.max_ttl, config.1))
    }
}
