//! The diagnosis as Markdown, to be pasted into a ticket: no secret, and no host name or address unless they are wanted.

use super::{Check, Diagnosis, Mark};
use crate::error::printable;

/// What stands in the place of a host name or an address.
const WITHHELD: &str = "[withheld]";

/// A table of the steps, and below it what to change. `private` are the texts that the reader must not see; empty, if he
/// may see all.
pub(crate) fn render(diagnosis: &Diagnosis, private: &[String]) -> String {
    let mut text = format!("### ci-creds doctor {}\n\n", env!("CARGO_PKG_VERSION"));
    text.push_str("| step | result | found |\n|---|---|---|\n");
    for check in &diagnosis.checks {
        let found = cell(&withhold(&check.text, private));
        text.push_str(&format!("| `{}` | {} | {found} |\n", check.topic.name(), word(check.mark)));
    }
    diagnosis.checks.iter().for_each(|check| change(check, private, &mut text));
    match diagnosis.first_failure().and_then(|check| Some((check, check.kind?))) {
        Some((check, kind)) => text.push_str(&format!(
            "\nThe run fails at `{}` (`{}`, exit code {}).\n",
            check.topic.name(),
            kind.name(),
            kind.code()
        )),
        None => text.push_str(&format!("\n{}\n", diagnosis.verdict())),
    }
    text
}

fn change(check: &Check, private: &[String], text: &mut String) {
    let notes = check.notes.iter().flat_map(|note| std::iter::once(note.text.as_str()).chain(note.change.as_deref()));
    let lines: Vec<_> = check.change.as_deref().into_iter().chain(notes).collect();
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n`{}`:\n\n", check.topic.name()));
    for line in lines {
        text.push_str(&format!("```text\n{}\n```\n", printable(&withhold(line, private)).replace("```", "'''")));
    }
}

const fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "ok",
        Mark::Warning => "**warning**",
        Mark::Failure => "**failed**",
        Mark::Skip => "not examined",
    }
}

fn withhold(text: &str, private: &[String]) -> String {
    private.iter().fold(text.to_owned(), |text, word| text.replace(word.as_str(), WITHHELD))
}

/// Security: a server's words stand in a table of somebody's ticket. No character there is Markdown's.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in printable(text).chars() {
        if "\\|`*_[]<>&#@!~".contains(c) {
            cell.push('\\');
        }
        cell.push(c);
    }
    cell.replace(&format!("\\[{}\\]", "withheld"), WITHHELD)
}

#[cfg(test)]
mod tests {
    use super::super::Topic;
    use super::*;

    #[test]
    fn what_is_private_is_withheld_and_markup_stands_as_it_is() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.add(Check::warning(Topic::Address, "vault.corp:8200 | <b> 10.0.0.1", "ask vault.corp"));
        let private = ["vault.corp:8200", "vault.corp", "10.0.0.1"].map(str::to_owned);
        let text = render(&diagnosis, &private);
        assert!(text.contains("| `address` | **warning** | [withheld] \\| \\<b\\> [withheld] |\n"), "{text}");
        assert!(text.contains("```text\nask [withheld]\n```") && !text.contains("corp"), "{text}");
        assert!(render(&diagnosis, &[]).contains("vault.corp:8200"));
    }
}
