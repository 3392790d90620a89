//! Lending, renewing and taking back: leases in their relation to tokens and engines, and `sys/leases`.

use std::time::Duration;

use serde_json::json;

use crate::clock::rfc3339;
use crate::core::Core;
use crate::core::lease::Lease;
use crate::core::mount::{Handler, Namespace};
use crate::core::request::{Operation, Request, Upstream};
use crate::core::response::{Failure, LeaseInfo, Lifetime, Outcome, Response, Secret};
use crate::core::token::{Token, Uses};
use crate::dialect::Dialect;
use crate::random;

const ONE_USE_LEFT: &str =
    "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.";

impl Core {
    /// Registers a fresh secret under the token that asked for it.
    pub(super) fn lend(
        &mut self,
        request: &Request,
        caller: &Token,
        (default_ttl, mount_max_ttl): (Duration, Duration),
        secret: Secret,
        response: &mut Response,
    ) -> Result<(), Failure> {
        let lifetime = Lifetime {
            increment: Duration::ZERO,
            ttl: secret.ttl,
            period: Duration::ZERO,
            max_ttl: secret.max_ttl,
            explicit_max_ttl: Duration::ZERO,
            default_ttl,
            mount_max_ttl,
            started: self.now,
        };
        let (ttl, warnings) = lifetime.calculate(self.now)?;
        response.warnings.extend(warnings);
        let suffix = self.namespaces.get(&request.namespace).map(Namespace::suffix).unwrap_or_default();
        let mut lease = Lease {
            id: format!("{}/{}{suffix}", request.path, random::base62(24)),
            namespace: request.namespace.clone(),
            path: request.path.clone(),
            token: Some(caller.id.clone()).filter(|_| !caller.batch || caller.parent.is_some()),
            accessor: caller.accessor.clone(),
            access_key: secret.access_key,
            issued: self.now,
            expires: self.now + ttl,
            last_renewal: None,
            ttl,
            max_ttl: secret.max_ttl,
            renewable: secret.renewable,
            renewal: secret.renewal,
            queued: false,
        };
        let mut duration = ttl;
        if let (true, Some(end)) = (caller.batch, caller.expires) {
            lease.expires = lease.expires.min(end);
            duration = ttl.min(Duration::from_secs(caller.remaining(self.now).as_secs_f64().ceil() as u64));
        }
        response.lease = LeaseInfo { id: lease.id.clone(), renewable: lease.renewable, duration };
        let id = lease.id.clone();
        self.leases.insert(lease);
        let is_last_use = self.tokens.get_tainted(&caller.id).is_some_and(|token| token.uses == Uses::Pending);
        if is_last_use {
            self.take_back(&id);
            return Err(Failure::bad_request(ONE_USE_LEFT));
        }
        Ok(())
    }

    /// A token dies: its children die with it, and their leases are queued for revocation.
    pub(super) fn revoke_token(&mut self, id: &str) {
        for dead in self.tokens.remove_tree(id) {
            self.cubbyholes.remove(&dead);
            for lease in self.leases.owned_by(&dead) {
                self.leases.queue(&lease);
            }
        }
    }

    /// Takes back what is in the revocation queue.
    pub(crate) fn run_revocations(&mut self) {
        for id in self.leases.queued() {
            self.take_back(&id);
        }
    }

    /// Revokes one lease at its engine; a lease without a mount just ends.
    pub(super) fn take_back(&mut self, id: &str) {
        if let Some(lease) = self.leases.remove(id) {
            let refused = self.revoke_at_engine(&lease, None);
            debug_assert!(refused.is_ok(), "an engine refuses only when a script says so");
        }
    }

    fn revoke_at_engine(&mut self, lease: &Lease, upstream: Option<&Upstream>) -> Result<(), String> {
        let namespace = self.namespaces.get_mut(&lease.namespace);
        let fits = |mount: &String| lease.path.starts_with(mount.as_str());
        let mount = namespace.and_then(|namespace| {
            namespace.mounts.iter_mut().filter(|(path, _)| fits(path)).max_by_key(|(path, _)| path.len())
        });
        match mount.map(|(_, mount)| &mut mount.handler) {
            Some(Handler::Backend(backend)) => backend.revoke(lease, &mut self.ledger, upstream),
            _ => Ok(()),
        }
    }

    /// `sys/leases/...`, and `sys/renew` and `sys/revoke`, which Vault keeps as aliases.
    pub(super) fn sys_leases(&mut self, request: &Request, path: &str) -> Outcome {
        let (verb, rest) = path.split_once('/').unwrap_or((path, ""));
        if !request.operation.is_write() {
            return Err(Failure::unsupported_operation());
        }
        let id = match request.data.text("lease_id")? {
            id if id.is_empty() => rest.to_owned(),
            id => id,
        };
        if verb == "revoke-prefix" || verb == "revoke-force" {
            for id in self.leases.under(rest) {
                self.take_back(&id);
            }
            return Ok(None);
        }
        if id.is_empty() {
            return Err(Failure::bad_request("lease_id must be specified"));
        }
        match verb {
            "lookup" => self.lookup_lease(&id),
            "renew" => self.renew_lease(request, &id),
            "revoke" => self.revoke_lease(request, &id),
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn lookup_lease(&self, id: &str) -> Outcome {
        let lease = self.leases.get(id).ok_or_else(|| Failure::bad_request("invalid lease"))?;
        let mut data = json!({
            "id": lease.id,
            "issue_time": rfc3339(lease.issued),
            "expire_time": rfc3339(lease.expires),
            "last_renewal": lease.last_renewal.map(rfc3339),
            "renewable": lease.renewable,
            "ttl": lease.remaining(self.now).as_secs(),
        });
        if self.dialect == Dialect::OpenBao {
            data["path"] = json!(lease.path);
        }
        Ok(Some(Response::data(data)))
    }

    fn renew_lease(&mut self, request: &Request, id: &str) -> Outcome {
        let increment = request.data.duration("increment")?.unwrap_or_default();
        if id.starts_with("auth/token/") {
            return Err(Failure::bad_request("tokens cannot be renewed through this endpoint"));
        }
        let lease = self.leases.get(id).ok_or_else(|| Failure::bad_request("lease not found"))?;
        let mounts = self.namespaces.get(&lease.namespace);
        let mount = mounts.and_then(|namespace| namespace.mount_of(&lease.path));
        let defaults = mount.map(|(_, mount)| (mount.default_ttl, mount.max_ttl)).unwrap_or_default();
        let batch_end = request.token.as_ref().and_then(|id| self.tokens.get(id, self.now)).filter(|t| t.batch);
        let batch_end = batch_end.and_then(|token| token.expires);
        let now = self.now;
        let lease = self.leases.get_mut(id).ok_or_else(|| Failure::bad_request("lease not found"))?;
        let warnings = lease.renew(increment, defaults, now)?;
        if let Some(end) = batch_end {
            lease.expires = lease.expires.min(end);
        }
        // Whole seconds, as they were granted or, when nothing was extended, as they remain.
        let lease = LeaseInfo { id: lease.id.clone(), renewable: lease.renewable, duration: lease.remaining(now) };
        Ok(Some(Response { lease, warnings, ..Response::default() }))
    }

    /// Revoking what is not there succeeds. Without `sync` the server answers before the engine has acted.
    fn revoke_lease(&mut self, request: &Request, id: &str) -> Outcome {
        let sync = request.data.boolean("sync")?.unwrap_or(true);
        if !sync {
            self.leases.queue(id);
            return Ok(Some(Response::accepted()));
        }
        if let Some(lease) = self.leases.get(id).cloned() {
            self.revoke_at_engine(&lease, request.staged.upstream.as_ref()).map_err(|reason| {
                Failure::bad_request(format!("failed to revoke entry: resp: (*logical.Response)(nil) err: {reason}"))
            })?;
            self.leases.remove(id);
        }
        Ok(None)
    }

    pub(super) fn is_lease_route(path: &str, operation: Operation, dialect: Dialect) -> bool {
        let alias = ["renew", "revoke"].iter().any(|verb| path == *verb || path.starts_with(&format!("{verb}/")));
        operation.is_write() && alias && dialect != Dialect::OpenBao
    }
}
