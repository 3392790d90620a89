//! The diagnosis as Markdown, to be pasted into a ticket: no secret, and no host name or address unless they are wanted.

use std::net::IpAddr;

use super::{Check, Diagnosis, Mark};
use crate::error::printable;

/// What stands in the place of a host name or an address.
const WITHHELD: &str = "[withheld]";

/// A table of the steps, and below it what to change. `private` are the names that the reader must not see; `None`, if he
/// may see all.
pub(crate) fn render(diagnosis: &Diagnosis, private: Option<&[String]>) -> String {
    let mut text = format!("### ci-creds doctor {}\n\n", env!("CARGO_PKG_VERSION"));
    text.push_str("| step | result | found |\n|---|---|---|\n");
    for check in &diagnosis.checks {
        let found = cell(&withhold(&check.text, private));
        text.push_str(&format!("| `{}` | {} | {found} |\n", check.topic.name(), word(check.mark)));
    }
    diagnosis.checks.iter().for_each(|check| change(check, private, &mut text));
    match diagnosis.first_failure().and_then(|check| Some((check, check.kind?))) {
        Some((check, kind)) => text.push_str(&format!(
            "\nThe run fails at `{}` (`{}`, exit code {}).",
            check.topic.name(),
            kind.name(),
            kind.code()
        )),
        None => text.push_str(&format!("\n{}", diagnosis.verdict())),
    }
    text.push_str(diagnosis.remainder());
    text.push('\n');
    text
}

fn change(check: &Check, private: Option<&[String]>, text: &mut String) {
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

/// Security: the known names, and whatever else could be one: what a server says has names in it that nobody told us. A
/// word too many is a smaller loss than a name.
fn withhold(text: &str, private: Option<&[String]>) -> String {
    let Some(private) = private else { return text.to_owned() };
    let known = private.iter().fold(text.to_owned(), |text, word| withhold_word(&text, word));
    let mut shown = String::with_capacity(known.len());
    let mut rest = known.as_str();
    while let Some(start) = rest.find(is_of_a_host) {
        let (before, from) = rest.split_at(start);
        let length = from.find(|c| !is_of_a_host(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(length);
        shown.push_str(before);
        let trimmed = word.trim_end_matches(['.', ':']);
        let hides = is_host(trimmed, &shown);
        shown.push_str(if hides { WITHHELD } else { trimmed });
        shown.push_str(&word[trimmed.len()..]);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// A name of several labels stands in texts in any case; another one may be a word of ours.
fn withhold_word(text: &str, word: &str) -> String {
    if !word.contains('.') {
        return text.replace(word, WITHHELD);
    }
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for (start, found) in lower.match_indices(&word) {
        shown.push_str(&text[end..start]);
        shown.push_str(WITHHELD);
        end = start + found.len();
    }
    shown.push_str(&text[end..]);
    shown
}

const fn is_of_a_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_')
}

/// Endings of files, which are not those of hosts.
const FILES: [&str; 10] = ["toml", "yml", "yaml", "json", "pem", "crt", "key", "md", "sock", "txt"];

/// Whether a word is a host, or could be one: the host of a URL, an IP address, a name of several labels. `before` stands
/// before it.
fn is_host(word: &str, before: &str) -> bool {
    let (host, port) = word.rsplit_once(':').map_or((word, None), |(host, port)| (host, Some(port)));
    let has_port = port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if word.ends_with(EXAMPLE) || host.ends_with(EXAMPLE) {
        return false;
    }
    if before.ends_with("://") || word.parse::<IpAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return !word.is_empty();
    }
    let labels: Vec<_> = if has_port { host } else { word }.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    let is_label = |label: &&str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    labels.len() > 1
        && labels.iter().all(is_label)
        && last.len() > 1
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !FILES.contains(&last)
        && !before.ends_with(['/', '~', '$', '{'])
}

/// Our own examples.
const EXAMPLE: &str = "example.com";

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
        let text = render(&diagnosis, Some(&private));
        assert!(text.contains("| `address` | **warning** | [withheld] \\| \\<b\\> [withheld] |\n"), "{text}");
        assert!(text.contains("```text\nask [withheld]\n```") && !text.contains("corp"), "{text}");
        assert!(render(&diagnosis, None).contains("vault.corp:8200"));
    }

    #[test]
    fn what_could_be_the_name_of_a_host_is_withheld_although_nobody_named_it() {
        let private = ["vault".to_owned()];
        for (text, shown) in [
            (
                "issuer \"https://git.corp.internal\" is not \"https://GIT.corp\"",
                "issuer \"https://[withheld]\" is not \"https://[withheld]\"",
            ),
            ("lookup git.corp.internal on 10.0.0.53:53: no such host", "lookup [withheld] on [withheld]: no such host"),
            ("valid for Git.Corp.internal, not a.b.corp.", "valid for [withheld], not [withheld]."),
            ("http://gitlab/-/jwks, [2001:db8::1]:443", "http://[withheld]/-/jwks, [[withheld]]:443"),
            (
                "aws/sts/365-dev at 15:36:00Z, config.toml, Vault 1.13.0, /etc/a.service",
                "aws/sts/365-dev at 15:36:00Z, config.toml, Vault 1.13.0, /etc/a.service",
            ),
            ("https://vault.example.com:8200", "https://[withheld].example.com:8200"),
        ] {
            assert_eq!(withhold(text, Some(&private)), shown);
        }
    }
}
