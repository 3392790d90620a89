//! What an operator sets up in Vault for a run: the least policy of the job's token, and the role that the job logs in
//! by, as HCL, as a script or as Terraform. Pure: a [`PolicyPlan`] goes in, a text comes out. No text has a secret.

pub(crate) mod format;
mod hcl;
mod plan;
mod right;
mod script;
mod terraform;
mod text;

use format::PolicyFormat;
pub(crate) use plan::{Binding, EngineRead, Gap, PolicyPlan};

/// The text in this format, which ends with a line break.
#[must_use]
pub(crate) fn render(plan: &PolicyPlan, format: PolicyFormat) -> String {
    match format {
        PolicyFormat::Hcl => hcl::render(plan),
        PolicyFormat::Commands => script::render(plan),
        PolicyFormat::Terraform => terraform::render(plan),
    }
}
