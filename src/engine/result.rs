//! What a read comes to: a credential of the plan, or a failure and what it may have left.

use crate::config::Plan;
use crate::credential::{Credential, Lease, Life};
use crate::error::Error;
use crate::lease::Leftover;
use crate::provider::shape::Field;
use crate::secret::Secret;
use crate::stray::Stray;
use crate::time::render_time;

/// A read that brought no credential, and what it may have left.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) leftover: Leftover,
    /// Whether a new read could go better, once the leftover is gone.
    pub(crate) transient: bool,
    /// Whether Vault does not know the token, or not any more.
    pub(crate) token_gone: bool,
    /// What may live on in the cloud, and no lease ends.
    pub(crate) stray: Option<Box<Stray>>,
}

impl Failure {
    /// Nothing was made.
    pub(crate) fn clean(error: Error) -> Self {
        Self { error, leftover: Leftover::Nothing, transient: false, token_gone: false, stray: None }
    }
}

/// The credential that the plan asked for, of these values.
pub(crate) fn assemble(plan: &Plan, values: Vec<(Field, Secret)>, lease: Lease) -> Credential {
    let mut companions = plan.companions.clone();
    if let (Life::Expiring, Some(variable), Some(end)) = (lease.life, plan.shape.expiration, lease.expires_at) {
        companions.push((variable, render_time(end)));
    }
    Credential {
        shape: plan.shape.clone(),
        role: plan.role.clone(),
        path: plan.mint.path.clone(),
        values,
        companions,
        lease,
        keep_profile: plan.output.keep_profile,
        others: Vec::new(),
    }
}
