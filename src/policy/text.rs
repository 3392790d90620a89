//! What the formats share: comments, and what they say.

use super::plan::PolicyPlan;
use crate::identity::{SecretIdMaker, SetUp};

/// The lines as comments, each folded at 80 columns.
pub(super) fn comment(lines: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for line in lines {
        let mut column = 0;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let is_first = column == 0;
            if is_first || column + 1 + word.len() > 80 {
                text.push_str(if is_first { "# " } else { "\n#   " });
                column = if is_first { 2 } else { 4 };
            } else {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += word.len();
        }
        text.push_str(if column == 0 { "#\n" } else { "\n" });
    }
    text
}

/// What stands at the head of each format: what it is, what to fill in below it, what it cannot give.
pub(super) fn head(plan: &PolicyPlan, about: &str, below: &str) -> String {
    let mut lines = vec![format!("{about} Made by ci-creds policy.")];
    lines.extend(plan.gaps_in(below).map(|gap| format!("Replace {}: {}.", gap.name, gap.meaning)));
    lines.extend(plan.limits.iter().map(|limit| format!("Note: {limit}.")));
    comment(lines)
}

/// What must be there before.
pub(super) fn mounts(plan: &PolicyPlan) -> String {
    let mount = &plan.mount;
    match plan.set_up {
        SetUp::Token => "The engine must be mounted.".into(),
        SetUp::JwtRole => format!(
            "The engine and auth/{mount} must be mounted, and auth/{mount} must have the bound_issuer {}.",
            plan.binding.issuer
        ),
        SetUp::AppRole(_) => {
            format!("The engine and auth/{mount} must be mounted.")
        }
    }
}

/// How often a secret ID is good, and for how long.
pub(super) fn secret_id_note(plan: &PolicyPlan) -> String {
    match plan.set_up {
        SetUp::AppRole(SecretIdMaker::Operator) => {
            "Each secret ID is good for one login. For one that stays in a variable of the CI system, set \
             secret_id_num_uses to 0 and secret_id_ttl to the time until you replace it."
        }
        _ => "Each secret ID is good for one login within ten minutes.",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_folded_and_every_line_of_it_is_one() {
        let long = "word ".repeat(40);
        let text = comment(["short".to_owned(), long, String::new()]);
        assert!(text.lines().all(|line| line.starts_with('#') && line.len() <= 80), "{text}");
        assert_eq!(text.matches("word").count(), 40);
        assert!(text.starts_with("# short\n# word") && text.ends_with("\n#\n"), "{text}");
    }
}
