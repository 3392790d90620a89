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

/// The region: the user's, or else that of the secret.
fn place<'a>(plan: &'a Plan, values: &'a [(Field, Secret)]) -> Option<&'a str> {
    let field = plan.shape.fields.iter().find(|field| field.name == "region")?;
    let said = plan.companions.iter().find(|(name, _)| Some(*name) == field.variable.as_deref());
    let read = || values.iter().find(|(known, _)| known.name == field.name).map(|(_, value)| value.expose());
    said.map(|(_, text)| text.as_str()).or_else(read)
}

/// The credential that the plan asked for, of these values.
pub(crate) fn assemble(plan: &Plan, values: Vec<(Field, Secret)>, lease: Lease) -> Credential {
    let mut companions = plan.companions.clone();
    if let Some(stored) = &plan.shape.stored {
        let more = place(plan, &values).map(|region| (stored.place)(region)).unwrap_or_default();
        let is_new = |(name, _): &(&str, String)| plan.companions.iter().all(|(known, _)| known != name);
        companions.extend(more.into_iter().filter(is_new));
    }
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
