//! What is alive in the server: the answers that decide a test.

use std::time::SystemTime;

use crate::core::Core;
use crate::core::token::Uses;

/// A lease that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLease {
    /// The lease id.
    pub id: String,
    /// The request path that made it.
    pub path: String,
    /// The accessor of the token that owns it; empty for a batch token.
    pub accessor: String,
    /// The access key or API key that was lent.
    pub access_key: String,
    /// When it ends.
    pub expires: SystemTime,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Its token is dead and it waits in the revocation queue (see `Builder::hold_revocations`).
    pub queued: bool,
}

/// A token that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveToken {
    /// The token itself.
    pub id: String,
    /// Its accessor; empty for a batch token.
    pub accessor: String,
    /// The request path that made it.
    pub path: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// When it ends; never for root.
    pub expires: Option<SystemTime>,
    /// Whether it wraps an answer.
    pub wrapping: bool,
    /// How many more requests it is good for; 0: as many as there are.
    pub uses: u64,
}

impl Core {
    pub(crate) fn live_leases(&self) -> Vec<LiveLease> {
        let leases = self.leases().map(|lease| LiveLease {
            id: lease.id.clone(),
            path: lease.path.clone(),
            accessor: lease.accessor.clone(),
            access_key: lease.access_key.clone(),
            expires: lease.expires,
            renewable: lease.renewable,
            queued: lease.queued,
        });
        leases.collect()
    }

    pub(crate) fn live_tokens(&self) -> Vec<LiveToken> {
        let tokens = self.tokens().map(|token| LiveToken {
            id: token.id.clone(),
            accessor: token.accessor.clone(),
            path: token.path.clone(),
            policies: token.policies.clone(),
            expires: token.expires,
            wrapping: token.wrapping.is_some(),
            uses: match token.uses {
                Uses::Left(left) => left,
                Uses::Unlimited | Uses::Pending => 0,
            },
        });
        tokens.collect()
    }
}
