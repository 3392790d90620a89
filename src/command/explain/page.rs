//! The pages: plain text, 80 columns.

use std::fmt::Write;

use super::search::Explanation;
use super::table::{Cause, causes, tables};
use crate::error::{Kind, printable};
use crate::vault::refusal::{Says, fill};

const WIDTH: usize = 80;

/// The page of a kind: what it means, and each cause that a table has for it.
pub(super) fn of_kind(kind: Kind) -> String {
    let mut page = format!("{}: exit code {}\n\n{}", kind.name(), kind.code(), wrapped(kind.meaning(), 2));
    let has_causes = causes().any(|cause| cause.row.kind == kind);
    if has_causes {
        page.push_str("\nCauses that a server tells, and the change for each:\n");
    }
    for table in tables() {
        let mut rows: Vec<_> = table.rows.iter().filter(|row| row.kind == kind).collect();
        rows.dedup_by_key(|row| row.id);
        if rows.is_empty() {
            continue;
        }
        put(&mut page, format_args!("\n{} ({})\n", table.of, table.docs));
        for row in rows {
            put(&mut page, format_args!("  {}\n{}", row.id, wrapped(&filled(row.change, &|_| None), 6)));
        }
    }
    if has_causes {
        page.push_str("\nci-creds explain NAME prints the page of one cause.\n");
    }
    let anchor = if kind.is_signal() { "signals" } else { kind.name() };
    put(&mut page, format_args!("\nRead on: docs/errors.md#{anchor}\n"));
    page
}

/// The page of an exit code that `ci-creds exec` has beside those of its command.
pub(super) fn of_exec(code: u8) -> String {
    let meaning = match code {
        125 => "ci-creds exec failed before the command started. The word behind error[ names the kind.",
        126 => "The command of ci-creds exec cannot be executed.",
        _ => "The command of ci-creds exec was not found.",
    };
    format!("exec: exit code {code}\n\n{}\nRead on: docs/exec.md#exit-codes\n", wrapped(meaning, 2))
}

/// The pages of the rows that were found, each with its own heading.
pub(super) fn of_explanations(found: &[Explanation]) -> String {
    let mut page = String::new();
    if found.len() > 1 {
        put(
            &mut page,
            format_args!(
                "A server says this for {} causes. ci-creds doctor finds the request that fails.\n\n",
                found.len()
            ),
        );
    }
    let pages: Vec<_> = found.iter().map(of_explanation).collect();
    page.push_str(&pages.join("\n"));
    page
}

fn of_explanation(Explanation { cause: Cause { table, row }, values }: &Explanation) -> String {
    let value = |name: &str| values.get(name).map(|value| printable(value));
    let mut page = format!("{}: exit code {} ({})\n\n", row.id, row.kind.code(), row.kind.name());
    put(&mut page, format_args!("{}:\n{}\n", table.of, wrapped(&filled(row.cause, &value), 2)));
    if let Some(texts) = texts(row.says) {
        put(&mut page, format_args!("The server says:\n{}\n", wrapped(&texts, 2)));
    }
    put(&mut page, format_args!("Change:\n{}\n", wrapped(&filled(row.change, &value), 2)));
    put(&mut page, format_args!("What {} means:\n{}\n", row.kind.name(), wrapped(row.kind.meaning(), 2)));
    put(&mut page, format_args!("Read on: {}, docs/errors.md#{}\n", table.docs, row.kind.name()));
    page
}

/// What a server says when the row is meant.
fn texts(says: Says) -> Option<String> {
    let quoted = |texts: &[&str]| texts.iter().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", or ");
    Some(match says {
        Says::Text(texts) => quoted(texts),
        Says::Whole(text) => quoted(&[text]),
        Says::Status(statuses) => {
            let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
            format!("status {}", statuses.join(" or "))
        }
        Says::PolicyDenies => "status 403, \"1 error occurred: permission denied\"".into(),
        Says::TokenDenied | Says::TokenGone => "status 403, \"permission denied\"".into(),
        Says::WrappingTokenInvalid => "\"wrapping token is not valid or does not exist\"".into(),
        Says::NoSuchLogin => "status 404, or \"missing client token\"".into(),
        Says::Anything => return None,
    })
}

/// A template with the values that are known, and a name in capitals for each other one.
fn filled(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    fill(template, &|name| match (value(name), name) {
        (Some(value), _) => value,
        (None, "because") => "the server's own text".into(),
        (None, "said" | "form") => String::new(),
        (None, "address") => "VAULT_ADDR".into(),
        (None, "setting") => "VAULT_NAMESPACE or --namespace".into(),
        (None, "named") => "VAULT_APPROLE_ROLE=NAME".into(),
        (None, "knob") => "--mount".into(),
        (None, "variable") => "VAULT_ID_TOKEN".into(),
        (None, "capabilities") => "\"read\"".into(),
        (None, "claims") => "in this job CLAIM is VALUE".into(),
        (None, name) => name.to_uppercase(),
    })
}

/// A text as lines of at most 80 columns, each behind so many blanks. A clause stays on one line where it can: it may be a
/// command to copy. A word is never broken.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let end = ["; ", ": ", ". "].iter().filter_map(|mark| rest.find(mark)).min().map_or(rest.len(), |at| at + 2);
        let (clause, behind) = rest.split_at(end);
        let clause = clause.trim_end();
        let words: Vec<_> = if indent + clause.len() > WIDTH { clause.split(' ').collect() } else { vec![clause] };
        for word in words {
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(word),
                Some(line) if indent + line.len() + 1 + word.len() <= WIDTH => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        rest = behind;
    }
    lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

/// Appends to a text in memory, which cannot fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}
