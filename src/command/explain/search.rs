//! From a pasted text to the rows and kinds that it is about.

use std::collections::BTreeMap;

use super::table::{Cause, causes, tables};
use crate::error::{Kind, sanitized};
use crate::vault::refusal::{Refusal, Row, Says};

/// A row that fits, with the values that the text has for its placeholders.
pub(super) struct Explanation {
    pub(super) cause: Cause,
    pub(super) values: BTreeMap<&'static str, String>,
}

/// The kind of this name or exit code, when the text is nothing else.
pub(super) fn find_kind(text: &str) -> Option<Kind> {
    let name = text.strip_prefix("error[").and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    Kind::ALL.into_iter().find(|kind| kind.name() == name || kind.code().to_string() == name).or_else(|| {
        let signal = name.parse::<u8>().ok()?.checked_sub(128)?;
        (1..=64).contains(&signal).then_some(Kind::Ended(signal))
    })
}

/// The kind that a longer text names, as an error line or as the end of a job.
pub(super) fn find_kind_in(text: &str) -> Option<Kind> {
    let named = text.split("error[").skip(1).find_map(|rest| find_kind(rest.split_once(']')?.0));
    let code = |words: &str| {
        let (_, rest) = text.split_once(words)?;
        find_kind(rest.trim_start_matches([' ', ':']).split(|c: char| !c.is_ascii_digit()).next()?)
    };
    named.or_else(|| ["exit code", "exit status", "(exit"].iter().find_map(|words| code(words)))
}

/// What the text is about: the rows that worded its error lines, or those that fit what a server says in it. A kind stands
/// beside them where no row worded the line, or where what failed was not the whole failure.
pub(super) fn find(text: &str) -> (Vec<Explanation>, Vec<Kind>) {
    let by_id: Vec<_> = causes().filter(|cause| cause.row.id == text).take(1).map(bare).collect();
    if !by_id.is_empty() {
        return (by_id, Vec::new());
    }
    let messages: Vec<_> = text.lines().filter_map(message).collect();
    if messages.is_empty() {
        return (find_by_words(text), Vec::new());
    }
    let (mut found, mut kinds) = (Vec::new(), Vec::new());
    for (kind, message) in messages {
        let explanation = find_by_message(message);
        if explanation.as_ref().is_none_or(|explanation| explanation.cause.row.kind != kind) && !kinds.contains(&kind) {
            kinds.push(kind);
        }
        if let Some(explanation) = explanation {
            push(&mut found, explanation);
        }
    }
    (found, kinds)
}

fn bare(cause: Cause) -> Explanation {
    Explanation { cause, values: BTreeMap::new() }
}

fn push(found: &mut Vec<Explanation>, explanation: Explanation) {
    if !found.iter().any(|known| known.cause.row.id == explanation.cause.row.id) {
        found.push(explanation);
    }
}

/// A line of ours: its kind, and what stands behind `error[KIND]: `.
fn message(line: &str) -> Option<(Kind, &str)> {
    let (_, rest) = line.split_once("error[")?;
    let (kind, message) = rest.split_once("]: ")?;
    Some((find_kind(kind)?, message))
}

/// The row that worded the message: its cause is in it, and its refusal fits what the message quotes. Where one cause is a
/// part of another one, it is the longer one.
fn find_by_message(message: &str) -> Option<Explanation> {
    let is_fit = |cause: &Cause, values: &BTreeMap<&str, String>| {
        let says = cause.row.says;
        match (values.get("because"), values.get("said"), says) {
            (Some(because), ..) => refusals(because).iter().any(|refusal| says.fits(refusal)),
            (None, Some(said), Says::Text(_)) => says.fits_text(said),
            _ => true,
        }
    };
    let all = causes().filter_map(|cause| Some(Explanation { cause, values: read(cause.row.cause, message)? }));
    let fitting: Vec<_> = all.filter(|explanation| is_fit(&explanation.cause, &explanation.values)).collect();
    // Of equal ones the last counts here, and the first in a table.
    fitting.into_iter().rev().max_by_key(|explanation| explanation.cause.row.cause.len())
}

/// What `{because}` stands for, read back. Its words are told without the count of errors.
fn refusals(because: &str) -> Vec<Refusal> {
    let (status, reason) = match because.strip_prefix("status ") {
        Some(status) => (status, ""),
        None => because.split_once(": ").unwrap_or(("", because)),
    };
    let status = status.parse().unwrap_or_default();
    [reason.to_owned(), format!("1 error occurred: {reason}")].map(|reason| Refusal { status, reason }).into()
}

/// The rows, of each table the first, whose text is in these words of a server. Each line counts by itself, joined with the
/// line that counts the errors before it, as `vault` prints them.
fn find_by_words(text: &str) -> Vec<Explanation> {
    let mut words: Vec<String> = Vec::new();
    for line in text.lines().map(|line| sanitized(line.trim_start_matches([' ', '\t', '*']))) {
        match words.last_mut().filter(|last| last.ends_with("occurred:")) {
            Some(count) => *count = format!("{count} {line}"),
            None => words.push(line),
        }
    }
    words.retain(|line| !line.is_empty());
    // Who copies these two words alone has lost the count before them, by which a policy is told from a token.
    let is_denied = words.iter().any(|words| words == "permission denied");
    let (mut policies, mut found) = (Vec::new(), Vec::new());
    for table in tables() {
        let is_policy = |row: &&Row| is_denied && matches!(row.says, Says::PolicyDenies);
        if let Some(row) = table.rows.iter().find(is_policy) {
            push(&mut policies, bare(Cause { table, row }));
        }
        let fits = |row: &&Row| words.iter().any(|words| row.says.fits_text(words));
        if let Some(row) = table.rows.iter().find(fits) {
            push(&mut found, bare(Cause { table, row }));
        }
    }
    // A login that is refused is rarer, and says more.
    let is_of_a_read =
        |found: &Explanation| ["engine-", "secret-"].iter().any(|start| found.cause.row.id.starts_with(start));
    policies.sort_by_key(|found| found.cause.row.id != "engine-policy");
    if is_denied {
        found.sort_by_key(|found| !is_of_a_read(found));
    }
    policies.extend(found);
    policies
}

/// The values of the placeholders of a template in a text that was made of it. `None` when it was not. What stands before
/// and behind does not count: a message can be told inside another one.
fn read(template: &'static str, text: &str) -> Option<BTreeMap<&'static str, String>> {
    let mut values = BTreeMap::new();
    let mut parts = template.split('{');
    let first = parts.next()?;
    let mut rest = if first.is_empty() { text } else { text.split_once(first)?.1 };
    for part in parts {
        let (name, literal) = part.split_once('}')?;
        let value = match literal {
            "" => std::mem::take(&mut rest),
            literal => {
                let (value, behind) = rest.split_once(literal)?;
                rest = behind;
                value
            }
        };
        values.insert(name, value.to_owned());
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_template_are_read_back() {
        let template = "the token (from {origin}) at auth/{mount}/login was refused ({because})";
        let text = "leak; what failed: the token (from X) at auth/a/b/login was refused (400: no); revoked";
        let values = read(template, text).unwrap();
        assert_eq!((&*values["origin"], &*values["mount"], &*values["because"]), ("X", "a/b", "400: no"));
        assert!(read(template, "the token (from X) is not valid").is_none());
        assert_eq!(read("{host} is a standby ({status})", "a:1 is a standby (473)").unwrap()["host"], "a:1");
        assert_eq!(read("{host} failed{said}", "a:1 failed: x").unwrap()["said"], ": x");
    }
}
