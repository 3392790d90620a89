//! What both kinds of credentials files have in common: keys and values, and line ends.

/// What a credentials file holds of a credential: keys and values, in order, none of them blank.
pub(super) type Pairs<'a> = [(&'a str, &'a str)];

/// How the text ends its lines: as its first one.
pub(super) fn line_ending(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}
