//! `ci-creds policy`: prints what an operator sets up for a run. It sends no request.

use super::finish;
use crate::error::Result;
use crate::host::Host;
use crate::policy::format::PolicyFormat;
use crate::policy::{PolicyPlan, render};

/// Prints the text, and on stderr what is to be filled in and what it cannot give.
///
/// # Errors
/// [`crate::error::Kind::Output`].
pub(crate) fn run(plan: &PolicyPlan, format: PolicyFormat, quiet: bool, host: &Host) -> Result<()> {
    let text = render(plan, format);
    let gaps: Vec<_> = plan.gaps_in(&text).map(|gap| gap.name.as_str()).collect();
    plan.limits.iter().for_each(|limit| host.warn(limit.clone()));
    if !gaps.is_empty() {
        host.warn(format!("replace what is not known before you apply it: {}", gaps.join(", ")));
    }
    if quiet {
        let _ = host.take_warnings();
    }
    finish(text, host)
}
