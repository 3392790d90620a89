//! What somebody typed in the place of something else: whether a message can repeat it, and what was meant.
//!
//! Pure. A message goes into the job's log, so a text is repeated only when it has the form of a name.

/// The longest text that a message repeats. Vault's own secrets are longer.
const LONGEST: usize = 24;

/// Whether a message can repeat the text: a short name or number in lower case, as flags, formats, durations and roles
/// are. A secret of a program's making mixes letters and digits, or is longer.
#[must_use]
pub fn is_repeatable(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.{}".contains(&byte);
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
    let changes = |part: &[u8]| part.windows(2).filter(|pair| is_letter(&pair[0]) != is_letter(&pair[1])).count();
    let mixed = |part: &str| changes(part.as_bytes()) > 3;
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(sound)
        && !text.split(['-', '_', '.']).any(mixed)
        && !looks_like_a_token(text)
}

/// The text in quotes for a message, or `other` where it cannot be repeated.
#[must_use]
pub fn quoted(text: &str, other: &str) -> String {
    if is_repeatable(text) { format!("\"{text}\"") } else { other.to_owned() }
}

/// The known word that was meant: the one that is nearest, if it is near.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    if !(2..=LONGEST).contains(&typed.len()) {
        return None;
    }
    let distance = |word: &str| strsim::damerau_levenshtein(&typed, &word.replace('_', "-"));
    let near = known.into_iter().map(|word| (distance(word), word));
    // One slip in four letters: `adress`, `exosclae`, `fromat`. More of them make another word of it.
    let near = near.filter(|(distance, word)| *distance <= typed.len().max(word.len()).div_ceil(4));
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Whether it has the form of one of Vault's tokens, or of a JWT.
#[must_use]
pub fn looks_like_a_token(value: &str) -> bool {
    let word = |text: &str, least: usize| {
        text.len() >= least && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let long_prefix = ["hvs.", "hvb.", "hvr.", "bvs.", "bvb."].iter().any(|prefix| value.starts_with(prefix));
    let short_prefix = ["s.", "b.", "r."].iter().find_map(|prefix| value.strip_prefix(prefix));
    long_prefix
        || short_prefix.is_some_and(|rest| word(rest, 20))
        || (value.starts_with("eyJ") && value.contains('.') && word(value, 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_repeated_and_what_may_be_a_secret_is_not() {
        for text in ["yaml", "1hour", "exosclae", "365-dev", "{projectid}", "deploy", "role-arn", "k8s", "eu-central-1"]
        {
            assert!(is_repeatable(text), "{text}");
        }
        for text in [
            "",
            "Sw0rdfish",
            "a b",
            "$(id)",
            "s3cr3tp4ss",
            "hvs.x",
            "db02de05-fa39-4855-059b-67221c5c2f63",
            "8f14e45fceea167a5a36dedd",
            "EXO1216fe31ae170c1d03",
            "a\u{1b}[2J",
            "averylongnameofarolethatisone",
        ] {
            assert!(!is_repeatable(text), "{text}");
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        let commands = ["exoscale", "aws", "cache", "completions", "man", "help", "version"];
        for (typed, meant) in [
            ("exosclae", Some("exoscale")),
            ("exoscal", Some("exoscale")),
            ("AWS", Some("aws")),
            ("asw", Some("aws")),
            ("completion", Some("completions")),
            ("gcp", None),
            ("azure", None),
            ("exec", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, commands), meant, "{typed}");
        }
        assert_eq!(nearest("projectid", ["project_id", "project_path"]), Some("project_id"));
        assert_eq!(nearest("region", ["creation-path", "namespace", "reveal", "role"]), None);
        assert_eq!(nearest("rolle", ["role-arn", "role"]), Some("role"));
    }

    #[test]
    fn ordinary_values_do_not_look_like_tokens() {
        for value in ["deploy", "s.deploy", "{project_id}-{environment}", "arn:aws:iam::1:role/eyJ", "b.example.com"] {
            assert!(!looks_like_a_token(value), "{value}");
        }
    }
}
