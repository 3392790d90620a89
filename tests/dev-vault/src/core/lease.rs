//! Leases: what was lent, to which token, until when. The engines do the lending and the taking back.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::core::response::{Failure, Lifetime, Renewal};

#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) id: String,
    /// `""` for root, otherwise with a trailing slash.
    pub(crate) namespace: String,
    /// The request path, mount included.
    pub(crate) path: String,
    /// The owner; `None` for an orphan batch token, whose leases Vault does not index.
    pub(crate) token: Option<String>,
    pub(crate) accessor: String,
    pub(crate) access_key: String,
    pub(crate) issued: SystemTime,
    pub(crate) expires: SystemTime,
    pub(crate) last_renewal: Option<SystemTime>,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) renewable: bool,
    pub(crate) renewal: Renewal,
    /// Waiting in the revocation queue: no longer usable, not yet taken back.
    pub(crate) queued: bool,
}

impl Lease {
    pub(crate) fn remaining(&self, now: SystemTime) -> Duration {
        self.expires.duration_since(now).unwrap_or_default()
    }

    /// Extends the lease; the warnings of a clamp.
    pub(crate) fn renew(
        &mut self,
        increment: Duration,
        defaults: (Duration, Duration),
        now: SystemTime,
    ) -> Result<Vec<String>, Failure> {
        if !self.renewable {
            return Err(Failure::bad_request("lease is not renewable"));
        }
        let lifetime = Lifetime {
            increment,
            ttl: self.ttl,
            period: Duration::ZERO,
            max_ttl: self.max_ttl,
            explicit_max_ttl: Duration::ZERO,
            default_ttl: defaults.0,
            mount_max_ttl: defaults.1,
            started: self.issued,
        };
        let (ttl, warnings) =
            lifetime.calculate(now).map_err(|_| Failure::bad_request("past the max TTL, cannot renew"))?;
        self.last_renewal = Some(now);
        match self.renewal {
            Renewal::FullOrNothing if increment.is_zero() && ttl < self.ttl => return Ok(Vec::new()),
            // The core counts by the increment, whatever the plugin says, and keeps what it came to: a renewal without one
            // is held against that.
            Renewal::FullOrNothing if ttl >= increment && !increment.is_zero() => self.ttl = ttl,
            Renewal::FullOrNothing | Renewal::Capped => {}
        }
        self.expires = now + ttl;
        Ok(warnings)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Leases {
    leases: BTreeMap<String, Lease>,
}

impl Leases {
    pub(crate) fn insert(&mut self, lease: Lease) {
        self.leases.insert(lease.id.clone(), lease);
    }

    /// A lease that still counts; one in the revocation queue does not.
    pub(crate) fn get(&self, id: &str) -> Option<&Lease> {
        self.leases.get(id).filter(|lease| !lease.queued)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Lease> {
        self.leases.get_mut(id).filter(|lease| !lease.queued)
    }

    pub(crate) fn queue(&mut self, id: &str) {
        if let Some(lease) = self.leases.get_mut(id) {
            lease.queued = true;
        }
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Lease> {
        self.leases.remove(id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values()
    }

    fn ids(&self, wanted: impl Fn(&Lease) -> bool) -> Vec<String> {
        self.leases.values().filter(|lease| wanted(lease)).map(|lease| lease.id.clone()).collect()
    }

    pub(crate) fn owned_by(&self, token: &str) -> Vec<String> {
        self.ids(|lease| lease.token.as_deref() == Some(token))
    }

    pub(crate) fn expired(&self, now: SystemTime) -> Vec<String> {
        self.ids(|lease| !lease.queued && lease.expires <= now)
    }

    pub(crate) fn queued(&self) -> Vec<String> {
        self.ids(|lease| lease.queued)
    }

    pub(crate) fn under(&self, prefix: &str) -> Vec<String> {
        self.ids(|lease| lease.id.starts_with(prefix))
    }
}
