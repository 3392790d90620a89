//! The policy as HCL, which `vault policy write` takes.

use super::plan::PolicyPlan;
use super::right::{self, Right};
use super::text::{comment, head};

/// The job's policy alone: whoever makes its secret IDs must not have it.
pub(super) fn render(plan: &PolicyPlan) -> String {
    let blocks = blocks(&right::of_the_job(plan));
    let mut text = head(plan, "The policy of the job's token.", &blocks);
    if let Some((name, right)) = right::of_the_maker(plan) {
        let line = format!(
            "The {name} token has a policy of its own, which --format commands shows: {} on {}, and nothing of this one.",
            right.capability, right.path
        );
        text.push_str(&comment([line]));
    }
    format!("{text}\n{blocks}")
}

/// The blocks, without a head.
pub(super) fn blocks(rights: &[Right]) -> String {
    rights.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn block(right: &Right) -> String {
    let mut text = comment([right.why.clone()]);
    text.push_str(&format!("path \"{}\" {{\n", right.path));
    let value = format!("[\"{}\"]", right.capability);
    let lines = [("capabilities", value.as_str())].into_iter().chain(right.limits.iter().copied());
    let lines: Vec<_> = lines.collect();
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in lines {
        text.push_str(&format!("  {name:width$} = {value}\n"));
    }
    text.push_str("}\n");
    text
}
