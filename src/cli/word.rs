//! The words of a command line, before clap has seen them or when it has refused them.

use std::ffi::OsString;

use clap::ValueEnum;
use clap::parser::ValueSource;

use super::command::{Output, rows};
use crate::error::{Error, Kind};
use crate::provider::cloud::Setting;
use crate::provider::shape::Shape;
use crate::render::format::Format;

/// What a command line that may be wrong is meant to print: enough to make an `eval` fail.
#[derive(Debug)]
pub struct Intent {
    /// What the credential would have consisted of, when it is known whose it was to be.
    pub shape: Option<&'static Shape>,
    /// The format.
    pub format: Format,
    /// Whether stored profiles stay.
    pub keep_profile: bool,
}

/// Reads the intent from arguments that clap has not seen or has refused; `None` when the command prints no
/// credential. A shell that evaluates us must fail even when its line has a typing error.
#[must_use]
pub fn guess_intent(arguments: &[OsString]) -> Option<Intent> {
    let words: Vec<_> = arguments.iter().skip(1).map(|argument| argument.to_string_lossy()).collect();
    if words.iter().any(|word| matches!(word.as_ref(), "--help" | "-h" | "--version" | "-V")) {
        return None;
    }
    let command = words.iter().find(|word| !word.starts_with('-')).map(AsRef::as_ref).unwrap_or_default();
    let said = |setting: &Setting| words.iter().any(|word| *word == setting.flag);
    let cloud = match rows().find(|row| row.name == command).map(|row| row.output) {
        Some(Output::Text | Output::Command) => return None,
        Some(Output::Credential(cloud)) => Some(cloud),
        None => None,
    };
    let value = words.iter().enumerate().rev().find_map(|(index, word)| match word.as_ref() {
        "--format" | "-f" => words.get(index + 1).map(ToString::to_string),
        word => word
            .strip_prefix("--format=")
            .or_else(|| word.strip_prefix("-f").filter(|rest| !rest.is_empty()))
            .map(|rest| rest.trim_start_matches('=').to_owned()),
    });
    Some(Intent {
        shape: cloud.and_then(|cloud| cloud.shape(said)),
        format: value.and_then(|value| Format::from_str(&value, false).ok()).unwrap_or_else(|| {
            let named = words.iter().any(|word| word == "--file" || word.starts_with("--file="));
            if named { Format::File } else { Format::Shell }
        }),
        keep_profile: cloud.and_then(|cloud| cloud.keep_profile).is_some_and(said),
    })
}

/// The words of ours: what stands behind `--` is another program's command line.
#[must_use]
pub fn own_words(arguments: &[OsString]) -> &[OsString] {
    arguments.iter().position(|word| word == "--").map_or(arguments, |end| &arguments[..end])
}

/// Whether the line runs another program, as far as can be told before it is parsed.
#[must_use]
pub fn is_exec(arguments: &[OsString]) -> bool {
    let word = own_words(arguments).iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    let output = rows().find(|row| word.is_some_and(|word| word == row.name)).map(|row| row.output);
    matches!(output, Some(Output::Command))
}

/// Flags that other tools have and we refuse, with what to use instead.
const SECRET_FLAGS: [(&str, &str); 8] = [
    ("--token", "set VAULT_TOKEN, or --token-file PATH"),
    ("--secret-id", "set VAULT_SECRET_ID, or --secret-id-file PATH"),
    ("--role-id", "set VAULT_ROLE_ID, or --role-id-file PATH"),
    ("--wrapping-token", "set VAULT_WRAPPING_TOKEN, or --wrapping-token-file PATH"),
    ("--id-token", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--jwt", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--jwt-token", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--password", "there is no login by password"),
];

/// Security: arguments stand in `/proc/<pid>/cmdline` for everybody on the machine to read, and in the job's log.
pub(super) fn find_secret(arguments: &[OsString]) -> Option<Error> {
    for argument in own_words(arguments).iter().skip(1) {
        let text = argument.to_string_lossy();
        let (flag, value) = text.split_once('=').unwrap_or((&text, &text));
        // `-rVALUE`
        let value = value.strip_prefix('-').and_then(|short| short.get(1..)).unwrap_or(value);
        if let Some((flag, instead)) = SECRET_FLAGS.iter().find(|(name, _)| *name == flag) {
            return Some(
                Error::new(Kind::Usage, format!("{flag} does not exist: no secret is taken from the command line"))
                    .hint(*instead),
            );
        }
        if looks_like_a_token(value) {
            return Some(
                Error::new(Kind::Usage, "an argument looks like a token: no secret is taken from the command line")
                    .hint(
                        "everybody on the machine can read it there: revoke it, and give the new one by VAULT_TOKEN, \
                        VAULT_WRAPPING_TOKEN, VAULT_SECRET_ID, VAULT_ID_TOKEN or a file",
                    ),
            );
        }
    }
    None
}

/// The first flag whose value is empty, or blank: what a shell makes of a variable that is not set.
pub(super) fn find_empty(matches: &clap::ArgMatches) -> Option<String> {
    let is_empty = |id: &&str| {
        let values = matches.try_get_raw(id).ok().flatten();
        // An empty argument of another program's is that program's business.
        *id != "command"
            && matches.value_source(id) == Some(ValueSource::CommandLine)
            && values
                .is_some_and(|mut values| values.any(|value| value.to_str().is_some_and(|text| text.trim().is_empty())))
    };
    let empty = matches.ids().map(clap::Id::as_str).find(is_empty).map(|id| format!("--{}", id.replace('_', "-")));
    empty.or_else(|| matches.subcommand().and_then(|(_, inner)| find_empty(inner)))
}

/// Whether it has the form of one of Vault's tokens, or of a JWT.
pub(crate) fn looks_like_a_token(value: &str) -> bool {
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
    fn the_intent_is_read_from_a_line_with_mistakes_too() {
        let guess = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            guess_intent(&arguments).map(|intent| (intent.shape.map(|shape| &*shape.command), intent.format))
        };
        assert_eq!(guess("ci-creds exoscale --bogus"), Some((Some("exoscale"), Format::Shell)));
        assert_eq!(guess("ci-creds exoscale --bogus --sos"), Some((Some("exoscale --sos"), Format::Shell)));
        assert_eq!(guess("ci-creds aws --bogus --format fish"), Some((Some("aws"), Format::Fish)));
        assert_eq!(guess("ci-creds aws --format=process"), Some((Some("aws"), Format::Process)));
        assert_eq!(guess("ci-creds aws -f json --bogus"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds aws -fjson --bogus"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds aws --format nope"), Some((Some("aws"), Format::Shell)));
        assert_eq!(guess("ci-creds aws --bogus --file x"), Some((Some("aws"), Format::File)));
        assert_eq!(guess("ci-creds aws --file=x --format json"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds exoscal"), Some((None, Format::Shell)));
        assert_eq!(guess("ci-creds"), Some((None, Format::Shell)));
        assert_eq!(guess("ci-creds aws --help"), None);
        assert_eq!(guess("ci-creds man"), None);
    }

    #[test]
    fn ordinary_values_do_not_look_like_tokens() {
        for value in ["deploy", "s.deploy", "{project_id}-{environment}", "arn:aws:iam::1:role/eyJ", "b.example.com"] {
            assert!(!looks_like_a_token(value), "{value}");
        }
    }
}
