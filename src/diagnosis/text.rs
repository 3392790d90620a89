//! The diagnosis as lines of 80 columns, in colour or not.

use std::ops::RangeInclusive;

use super::{Check, Diagnosis, Mark};
use crate::error::printable;

/// How the lines look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Whether the terminal reads UTF-8.
    pub(crate) unicode: bool,
    /// Whether marks are in colour.
    pub(crate) colour: bool,
}

/// The width of a line.
const WIDTH: usize = 80;
/// The longest name of a step is 13 characters long.
const NAME: usize = 13;
/// The widths of the column of a detail's name: a claim's name can be longer, and then leaves no room for the values.
const DETAIL: RangeInclusive<usize> = 17..=32;

/// All steps, and what follows for the run.
pub(crate) fn render(diagnosis: &Diagnosis, look: Look) -> String {
    let mut text: String = diagnosis.checks.iter().map(|check| render_check(check, look)).collect();
    let end = match diagnosis.first_failure() {
        Some(check) => {
            let kind = check.kind.map(|kind| format!(" ({}, exit code {})", kind.name(), kind.code()));
            format!("The run fails at {}{}.", check.topic.name(), kind.unwrap_or_default())
        }
        None => diagnosis.verdict(),
    };
    text.push('\n');
    text.push_str(&end);
    text.push_str(diagnosis.remainder());
    text.push('\n');
    text
}

fn render_check(check: &Check, look: Look) -> String {
    let mark = mark(check.mark, look);
    let width = if look.unicode { 1 } else { 4 };
    let indent = width + 1 + NAME + 1;
    let mut text = format!("{mark} {:NAME$} ", check.topic.name());
    wrap(&printable(&check.text), (indent, indent), &mut text);
    render_details(&check.details, &mut text);
    hint(check.change.as_deref(), look, &mut text);
    for note in &check.notes {
        text.push_str(&format!("  {} ", self::mark(note.mark, look)));
        wrap(&printable(&note.text), (3 + width, 3 + width), &mut text);
        hint(note.change.as_deref(), look, &mut text);
    }
    text
}

/// Names, and values that begin and go on in one column. A name that has no room before it has a line of its own.
fn render_details(details: &[(String, String)], text: &mut String) {
    let names: Vec<_> = details.iter().map(|(name, _)| printable(name)).collect();
    let lengths = names.iter().map(|name| name.chars().count()).filter(|length| DETAIL.contains(length));
    let width = lengths.max().unwrap_or(*DETAIL.start());
    let column = 4 + width + 1;
    for (name, (_, value)) in names.iter().zip(details) {
        match name.chars().count() <= width {
            true => text.push_str(&format!("    {name:width$} ")),
            false => {
                text.push_str("    ");
                wrap(name, (4, 4), text);
                text.push_str(&" ".repeat(column));
            }
        }
        wrap(&printable(value), (column, column), text);
    }
}

fn hint(change: Option<&str>, look: Look, text: &mut String) {
    let Some(change) = change else { return };
    text.push_str(if look.colour { "  \x1b[1;36mhint:\x1b[0m " } else { "  hint: " });
    wrap(&printable(change), (8, 8), text);
}

fn mark(mark: Mark, look: Look) -> String {
    let (sign, word, colour) = match mark {
        Mark::Good => ("\u{2713}", "ok", "32"),
        Mark::Warning => ("!", "warn", "1;33"),
        Mark::Failure => ("\u{2717}", "FAIL", "1;31"),
        Mark::Skip => ("\u{2013}", "skip", "2"),
    };
    let sign = if look.unicode { sign.to_owned() } else { format!("{word:4}") };
    if look.colour { format!("\x1b[{colour}m{sign}\x1b[0m") } else { sign }
}

/// Writes a line that has begun with so many characters, broken at blanks, its other lines indented; a word that is longer than a line, anywhere.
fn wrap(line: &str, (begun, indent): (usize, usize), text: &mut String) {
    let mut column = begun;
    let begin_line = |text: &mut String| {
        text.push('\n');
        text.push_str(&" ".repeat(indent));
        indent
    };
    for (index, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH && column > indent {
            column = begin_line(text);
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        for letter in word.chars() {
            if column == WIDTH {
                column = begin_line(text);
            }
            text.push(letter);
            column += 1;
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::Topic;
    use super::*;
    use crate::error::{Error, Kind};

    fn diagnosis() -> Diagnosis {
        let error = Error::new(Kind::Denied, "a ".repeat(60)).hint("b ".repeat(60) + &"c".repeat(90));
        let mut diagnosis = Diagnosis::default();
        diagnosis.add(Check::good(Topic::Address, "fine").with(vec![("name".into(), "value".into())]));
        diagnosis.add(Check::failure(Topic::Login, &error));
        diagnosis.block(&[Topic::Token], Topic::Login);
        diagnosis
    }

    #[test]
    fn no_line_is_longer_than_80_columns() {
        for unicode in [true, false] {
            let text = render(&diagnosis(), Look { unicode, colour: false });
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
    }

    #[test]
    fn the_values_of_a_step_line_up_behind_names_of_any_length() {
        for (names, column) in [
            (["iss", "sub"], 22),
            (["iss", "environment_protected"], 26),
            (["iss", "a_name_of_more_than_thirty_two_letters"], 22),
            (["environment_protected", "a_name_of_more_than_thirty_two_letters"], 26),
        ] {
            let details = names.map(|name| (name.to_owned(), "=".repeat(60))).to_vec();
            let check = Check::good(Topic::Identity, "fine").with(details);
            let text = render_check(&check, Look::default());
            let values: Vec<_> = text.lines().filter_map(|line| line.find('=')).collect();
            assert_eq!(values, [column; 4], "{text}");
            assert!(names.iter().all(|name| text.contains(&format!("    {name}"))), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH && !line.ends_with(' ')), "{text}");
        }
    }

    #[test]
    fn each_mark_has_a_word_for_a_terminal_without_utf_8() {
        let text = render(&diagnosis(), Look::default());
        for line in ["ok   address       fine\n", "FAIL login         a", "skip token         not examined: login"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.is_ascii() && text.ends_with("The run fails at login (denied, exit code 77).\n"), "{text}");
    }
}
