//! The AppRole auth method: roles and `login`. Secret ids are made in `secret_id`.
//!
//! The order inside `login` is Vault's and matters: a use is gone before the address is looked at.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::secret_id::{SecretId, texts};
use super::{Backend, Call, is_role_name, token_params};
use crate::cidr::Cidr;
use crate::core::request::Operation;
use crate::core::response::{Failure, Grant, Outcome, Response, TokenParams};
use crate::dialect::Dialect;
use crate::random;

/// Vault's user lockout: so many failures within the window lock the role id for as long.
const LOCKOUT_THRESHOLD: u32 = 5;
const LOCKOUT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone)]
pub(super) struct Role {
    role_id: String,
    pub(super) bind_secret_id: bool,
    pub(super) secret_id_bound_cidrs: Vec<Cidr>,
    pub(super) secret_id_num_uses: u64,
    pub(super) secret_id_ttl: Duration,
    pub(super) secret_ids: Vec<SecretId>,
    token: TokenParams,
    failures: Failures,
}

/// Failed logins with a known role id.
#[derive(Debug, Clone, Default)]
struct Failures {
    count: u32,
    last: Option<SystemTime>,
}

impl Failures {
    fn add(&mut self, now: SystemTime) {
        if self.is_stale(now) {
            self.count = 0;
        }
        self.count += 1;
        self.last = Some(now);
    }

    fn locks(&self, now: SystemTime) -> bool {
        self.count >= LOCKOUT_THRESHOLD && !self.is_stale(now)
    }

    fn is_stale(&self, now: SystemTime) -> bool {
        self.last.is_none_or(|last| now >= last + LOCKOUT)
    }
}

#[derive(Debug, Default)]
pub(crate) struct AppRole {
    roles: BTreeMap<String, Role>,
}

impl Backend for AppRole {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let segments: Vec<&str> = call.path.split('/').collect();
        match segments.as_slice() {
            ["login"] if call.operation().is_write() => self.login(call),
            // Vault resolves the alias of a login before it looks at the operation.
            ["login"] if call.dialect.is_modern() => Err(undetermined_alias(call.dialect)),
            ["login"] => Err(Failure::unsupported_operation()),
            ["role", ""] if call.operation() == Operation::List => Ok(Response::keys(self.roles.keys().cloned())),
            ["role", name, rest @ ..] if is_role_name(name, "") => self.role_endpoint(call, &name.to_lowercase(), rest),
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn is_login(&self, path: &str) -> bool {
        path == "login"
    }

    fn exists(&self, path: &str) -> Option<bool> {
        let name = path.strip_prefix("role/").filter(|name| !name.contains('/'))?;
        Some(self.roles.contains_key(&name.to_lowercase()))
    }

    fn locked_aliases(&self, now: SystemTime) -> Vec<String> {
        self.roles.values().filter(|role| role.failures.locks(now)).map(|role| role.role_id.clone()).collect()
    }

    fn tidy(&mut self, tick: SystemTime) {
        for role in self.roles.values_mut() {
            role.secret_ids.retain(|secret_id| secret_id.expires.is_none_or(|expires| expires > tick));
        }
    }
}

impl AppRole {
    fn role_endpoint(&mut self, call: &mut Call<'_>, name: &str, rest: &[&str]) -> Outcome {
        let (operation, modern) = (call.operation(), call.dialect.is_modern());
        let unknown = || Failure::response(404, format!("role \"{name}\" does not exist"));
        if rest.is_empty() {
            return self.role(call, name);
        }
        let role = self.roles.get_mut(name);
        match (rest, operation) {
            (["role-id"], Operation::Read) => Ok(role.map(|role| Response::data(json!({ "role_id": role.role_id })))),
            (["role-id"], Operation::Create | Operation::Update) => {
                role.ok_or_else(unknown)?.role_id = call.data().text("role_id")?;
                Ok(None)
            }
            (["secret-id" | "custom-secret-id"], Operation::Create | Operation::Update) => {
                let role = role.ok_or_else(unknown)?;
                let secret_id = SecretId::generate(role, call, rest == ["custom-secret-id"])?;
                let response = secret_id.issued(modern);
                role.secret_ids.push(secret_id);
                Ok(Some(response))
            }
            (["secret-id", ""], Operation::List) => {
                let accessors = role.into_iter().flat_map(|role| &role.secret_ids).map(|id| id.accessor.clone());
                Ok(Response::keys(accessors))
            }
            (["secret-id", "lookup"], Operation::Create | Operation::Update) => {
                let wanted = call.data().text("secret_id")?;
                let role = role.ok_or_else(unknown)?;
                Ok(role.secret_ids.iter().find(|id| id.value == wanted).map(SecretId::describe))
            }
            (["secret-id", "destroy"], Operation::Create | Operation::Update | Operation::Delete) => {
                let wanted = call.data().text("secret_id")?;
                role.ok_or_else(unknown)?.secret_ids.retain(|id| id.value != wanted);
                Ok(None)
            }
            (["secret-id-accessor", "destroy"], Operation::Create | Operation::Update | Operation::Delete) => {
                let wanted = call.data().text("secret_id_accessor")?;
                role.ok_or_else(unknown)?.secret_ids.retain(|id| id.accessor != wanted);
                Ok(None)
            }
            (["role-id" | "secret-id" | "custom-secret-id"] | ["secret-id", "lookup" | "destroy"], _) => {
                Err(Failure::unsupported_operation())
            }
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn role(&mut self, call: &Call<'_>, name: &str) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let role = Role::updated(self.roles.get(name).cloned(), call)?;
                self.roles.insert(name.to_owned(), role);
                Ok(None)
            }
            Operation::Read => Ok(self.roles.get(name).map(Role::describe)),
            Operation::Delete => {
                self.roles.remove(name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn login(&mut self, call: &mut Call<'_>) -> Outcome {
        let role_id = call.data().text("role_id")?.trim().to_owned();
        let secret_id = call.data().text("secret_id")?.trim().to_owned();
        if role_id.is_empty() {
            return Err(if call.dialect.is_modern() {
                undetermined_alias(call.dialect)
            } else {
                Failure::bad_request("missing role_id")
            });
        }
        let unknown_role = if call.dialect.is_modern() { "invalid role or secret ID" } else { "invalid role ID" };
        let (name, role) = self
            .roles
            .iter_mut()
            .find(|(_, role)| role.role_id == role_id)
            .ok_or_else(|| Failure::bad_request(unknown_role))?;
        if call.dialect.is_modern() && role.failures.locks(call.now) {
            return Err(Failure::permission_denied());
        }
        let used = role.use_secret_id(&secret_id, call);
        match &used {
            // Only a wrong secret id counts as a failed guess.
            Err(failure) if failure.errors[0].starts_with("invalid ") => role.failures.add(call.now),
            Err(_) => {}
            Ok(_) => role.failures = Failures::default(),
        }
        let used = used?;
        let mut grant = Grant {
            params: role.token.clone(),
            metadata: json!({ "role_name": name }).as_object().cloned().unwrap_or_default(),
            display_name: String::new(),
            alias: role_id,
        };
        if let Some(secret_id) = used {
            grant.metadata.extend(secret_id.metadata);
            if !secret_id.token_bound_cidrs.is_empty() {
                grant.params.bound_cidrs = secret_id.token_bound_cidrs;
            }
        }
        Ok(Some(Response { grant: Some(grant), ..Response::default() }))
    }
}

fn undetermined_alias(dialect: Dialect) -> Failure {
    Failure::internal(match dialect {
        Dialect::OpenBao => "missing role_id",
        _ => "failed to determine alias name from login request",
    })
}

impl Role {
    fn updated(previous: Option<Self>, call: &Call<'_>) -> Result<Self, Failure> {
        let data = call.data();
        let mut role = previous.unwrap_or_else(|| Self {
            role_id: random::uuid(),
            bind_secret_id: true,
            secret_id_bound_cidrs: Vec::new(),
            secret_id_num_uses: 0,
            secret_id_ttl: Duration::ZERO,
            secret_ids: Vec::new(),
            token: TokenParams::default(),
            failures: Failures::default(),
        });
        data.value("local_secret_ids");
        role.role_id = data.string("role_id")?.unwrap_or(role.role_id);
        role.bind_secret_id = data.boolean("bind_secret_id")?.unwrap_or(role.bind_secret_id);
        if let Some(blocks) = data.list("secret_id_bound_cidrs")?.or(data.list("bound_cidr_list")?) {
            role.secret_id_bound_cidrs =
                Cidr::parse_all(&blocks).ok_or_else(|| Failure::bad_request("invalid CIDR blocks"))?;
        }
        if let Some(uses) = data.integer("secret_id_num_uses")? {
            role.secret_id_num_uses =
                u64::try_from(uses).map_err(|_| Failure::bad_request("secret_id_num_uses cannot be negative"))?;
        }
        role.secret_id_ttl = data.duration("secret_id_ttl")?.unwrap_or(role.secret_id_ttl);
        role.token = token_params(data, role.token)?;
        if !role.bind_secret_id && role.secret_id_bound_cidrs.is_empty() && role.token.bound_cidrs.is_empty() {
            return Err(Failure::internal("at least one constraint should be enabled on the role"));
        }
        Ok(role)
    }

    fn describe(&self) -> Response {
        Response::data(json!({
            "bind_secret_id": self.bind_secret_id,
            "secret_id_bound_cidrs": texts(&self.secret_id_bound_cidrs),
            "secret_id_num_uses": self.secret_id_num_uses,
            "secret_id_ttl": self.secret_id_ttl.as_secs(),
            "token_policies": self.token.policies,
            "token_ttl": self.token.ttl.as_secs(),
            "token_max_ttl": self.token.max_ttl.as_secs(),
            "token_explicit_max_ttl": self.token.explicit_max_ttl.as_secs(),
            "token_period": self.token.period.as_secs(),
            "token_num_uses": self.token.num_uses,
            "token_bound_cidrs": texts(&self.token.bound_cidrs),
            "token_no_default_policy": self.token.no_default_policy,
            "token_type": if self.token.batch { "batch" } else { "default" },
            "local_secret_ids": Value::Bool(false),
        }))
    }

    /// Spends one use of a secret id, then checks the addresses; OpenBao the other way round.
    fn use_secret_id(&mut self, value: &str, call: &Call<'_>) -> Result<Option<SecretId>, Failure> {
        let address = call.request.remote;
        let refused = |rest: &str| Failure::bad_request(format!("source address \"{address}\" unauthorized {rest}"));
        let mut used = None;
        if self.bind_secret_id {
            if value.is_empty() {
                return Err(Failure::bad_request("missing secret_id"));
            }
            // Vault leaves an expired one to its clean-up.
            let lives = |id: &SecretId| {
                let expired = id.expires.is_some_and(|expires| expires <= call.now);
                let news = call.unheard_since.is_some_and(|since| id.created > since);
                !news && (call.dialect != Dialect::OpenBao || !expired)
            };
            let index = self.secret_ids.iter().position(|id| id.value == value && lives(id)).ok_or_else(|| {
                Failure::bad_request(match call.dialect {
                    Dialect::Vault1_8 => "invalid secret id",
                    _ => "invalid role or secret ID",
                })
            })?;
            let secret_id = self.secret_ids[index].clone();
            let in_block = Cidr::any_contains(&secret_id.bound_cidrs, address);
            if secret_id.uses_left == 0 && !in_block {
                return Err(refused("through CIDR restrictions on the secret ID"));
            }
            if call.dialect == Dialect::OpenBao {
                if !in_block {
                    return Err(refused("by CIDR restrictions on the secret ID: %!w(<nil>)"));
                }
                if !Cidr::any_contains(&self.secret_id_bound_cidrs, address) {
                    return Err(refused("by CIDR restrictions on the role: %!w(<nil>)"));
                }
            }
            match secret_id.uses_left {
                0 => {}
                1 => {
                    self.secret_ids.remove(index);
                    // The rival was between our read and our delete: the text repeats the secret, as Vault does.
                    if call.request.staged.rival {
                        return Err(Failure::bad_request(format!("invalid secret_id \"{value}\"")));
                    }
                }
                _ => self.secret_ids[index].uses_left -= 1,
            }
            if !in_block {
                return Err(refused("by CIDR restrictions on the secret ID: %!w(<nil>)"));
            }
            used = Some(secret_id);
        }
        if !Cidr::any_contains(&self.secret_id_bound_cidrs, address) {
            return Err(refused("by CIDR restrictions on the role: %!w(<nil>)"));
        }
        Ok(used)
    }
}
