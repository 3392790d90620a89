//! Backends: what can be mounted. One file per engine or auth method; the core routes to them.
//!
//! A backend sees its own storage and the `Call`; it makes no token and no lease, it only asks for them.

pub(crate) mod approle;
pub(crate) mod aws;
pub(crate) mod aws_login;
mod aws_role;
pub(crate) mod certificate;
pub(crate) mod exoscale;
pub(crate) mod jwt;
mod jwt_claims;
pub(crate) mod jwt_keys;
pub(crate) mod kv;
mod secret_id;
pub(crate) mod service_account;
pub(crate) mod table;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use crate::cidr::Cidr;
use crate::core::fields::Fields;
use crate::core::lease::Lease;
use crate::core::request::{Operation, Request, Upstream};
use crate::core::response::{Failure, Outcome, TokenParams};
use crate::dialect::Dialect;

/// A request on its way through a backend.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Request,
    /// The path below the mount.
    pub(crate) path: &'a str,
    pub(crate) now: SystemTime,
    /// Since when this node has heard nothing of its leader, where it answers from what it has.
    pub(crate) unheard_since: Option<SystemTime>,
    pub(crate) dialect: Dialect,
    /// The caller's display name, as engines put it into key names.
    pub(crate) display_name: &'a str,
    pub(crate) default_ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) options: &'a Options,
}

impl Call<'_> {
    pub(crate) fn data(&self) -> &Fields {
        &self.request.data
    }

    pub(crate) fn operation(&self) -> Operation {
        self.request.operation
    }

    /// How the cloud behind the engine fails this time, if it does.
    pub(crate) fn upstream(&self) -> Option<&Upstream> {
        self.request.staged.upstream.as_ref()
    }
}

/// Deviations that an operator, not a version, decides about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Vault 1.13.0 and 1.13.1 gave STS credentials without a lease.
    pub(crate) leaseless_sts: bool,
    /// Refuse requests without `X-Vault-Request: true`, as Agent and Proxy can.
    pub(crate) require_request_header: bool,
    /// Keep revocations of a dead token's leases in the queue until told.
    pub(crate) hold_revocations: bool,
}

/// What was ever made or entrusted: the memory behind the oracles.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) secrets: BTreeSet<String>,
    /// Request path and access key of every credential, in order.
    pub(crate) minted: Vec<(String, String)>,
    /// Access keys that work at the cloud.
    pub(crate) live_keys: BTreeSet<String>,
}

impl Ledger {
    /// Remembers a secret for leak scans and hands it back.
    pub(crate) fn secret(&mut self, secret: String) -> String {
        if !secret.is_empty() {
            self.secrets.insert(secret.clone());
        }
        secret
    }

    pub(crate) fn mint(&mut self, path: &str, access_key: &str) {
        self.minted.push((path.to_owned(), access_key.to_owned()));
        self.live_keys.insert(access_key.to_owned());
        self.secrets.insert(access_key.to_owned());
    }
}

/// An engine or an auth method.
pub(crate) trait Backend: Send {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome;

    /// Paths below the mount that need no token.
    fn is_login(&self, _path: &str) -> bool {
        false
    }

    /// The existence check: whether a write to this path would be a create. `None`: always an update.
    fn exists(&self, _path: &str) -> Option<bool> {
        None
    }

    /// Takes a credential back. An error leaves the lease alive.
    fn revoke(&mut self, lease: &Lease, ledger: &mut Ledger, upstream: Option<&Upstream>) -> Result<(), String> {
        if let Some(Upstream::Fails(reason)) = upstream {
            return Err(reason.clone());
        }
        ledger.live_keys.remove(&lease.access_key);
        Ok(())
    }

    /// The callers that failed too often, by the names that the mount knows them by.
    fn locked_aliases(&self, _now: SystemTime) -> Vec<String> {
        Vec::new()
    }

    /// The once-a-minute clean-up, at the given tick.
    fn tidy(&mut self, _tick: SystemTime) {}
}

/// Reads the `token_*` parameters, and their older names without the prefix.
pub(crate) fn token_params(data: &Fields, previous: TokenParams) -> Result<TokenParams, Failure> {
    let mut params = previous;
    let list = |name: &str, old: &str| Ok::<_, Failure>(data.list(name)?.or(data.list(old)?));
    let duration = |name: &str, old: &str| Ok::<_, Failure>(data.duration(name)?.or(data.duration(old)?));
    if let Some(policies) = list("token_policies", "policies")? {
        params.policies = policies;
    }
    if let Some(blocks) = list("token_bound_cidrs", "bound_cidrs")? {
        params.bound_cidrs = Cidr::parse_all(&blocks).ok_or_else(|| Failure::bad_request("error parsing address"))?;
    }
    for (slot, name, old) in [
        (&mut params.ttl, "token_ttl", "ttl"),
        (&mut params.max_ttl, "token_max_ttl", "max_ttl"),
        (&mut params.period, "token_period", "period"),
        (&mut params.explicit_max_ttl, "token_explicit_max_ttl", "explicit_max_ttl"),
    ] {
        if let Some(value) = duration(name, old)? {
            *slot = value;
        }
    }
    if !params.max_ttl.is_zero() && params.ttl > params.max_ttl {
        return Err(Failure::bad_request("'token_ttl' cannot be greater than 'token_max_ttl'"));
    }
    if let Some(uses) = data.integer("token_num_uses")?.or(data.integer("num_uses")?) {
        params.num_uses =
            u64::try_from(uses).map_err(|_| Failure::bad_request("'token_num_uses' cannot be negative"))?;
    }
    if let Some(flag) = data.boolean("token_no_default_policy")? {
        params.no_default_policy = flag;
    }
    match data.string("token_type")?.as_deref() {
        None => {}
        Some("" | "default" | "service" | "default-service") => params.batch = false,
        Some("batch" | "default-batch") => params.batch = true,
        Some(other) => return Err(Failure::bad_request(format!("invalid 'token_type' value \"{other}\""))),
    }
    if params.batch && (params.num_uses != 0 || !params.period.is_zero()) {
        return Err(Failure::bad_request(
            "'token_type' cannot be 'batch' or 'default_batch' when set to generate tokens with limited use count",
        ));
    }
    Ok(params)
}

/// Whether Vault has a route for a role of this name.
pub(crate) fn is_role_name(name: &str, extra: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c);
    let inner = |c: char| word(c) || c == '-' || c == '.';
    name.starts_with(word) && name.ends_with(word) && name.chars().all(inner)
}
