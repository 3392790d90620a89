//! The words of a command line, before clap has seen them or when it has refused them.

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::LazyLock;

use clap::parser::ValueSource;
use clap::{ArgAction, ValueEnum};

use super::command::{CommandOutput, rows};
use crate::error::{Error, Kind};
use crate::provider::cloud::Setting;
use crate::provider::secret::{SecretSection, find_problem};
use crate::provider::shape::Shape;
use crate::provider::token;
use crate::render::format::Format;
use crate::typo::looks_like_a_token;

/// The arguments with the command in front of the flags that stand before it: `ci-creds -v --role deploy aws`.
///
/// Every flag may stand there. To clap it belongs to the command, which alone knows it.
pub(super) fn command_first(arguments: &[OsString]) -> Cow<'_, [OsString]> {
    let Some(at) = find_command(arguments).filter(|at| *at > 1) else { return Cow::Borrowed(arguments) };
    // `cache clear` is two words.
    let is_inner = |word: &OsString| word.to_str().is_some_and(|word| has_inner(&arguments[at], word));
    let end = at + 1 + usize::from(arguments.get(at + 1).is_some_and(is_inner));
    let (program, rest) = (&arguments[..1], &arguments[end..]);
    Cow::Owned([program, &arguments[at..end], &arguments[1..at], rest].concat())
}

/// The call without the program, the command first.
#[must_use]
pub(crate) fn words_of(arguments: &[OsString]) -> Vec<String> {
    command_first(arguments).iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
}

/// `help aws` as `aws --help`, and `version` as `--version`.
pub(super) fn flag_for_command(arguments: &[OsString]) -> Cow<'_, [OsString]> {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str());
    match word(1) {
        Some("help") if !arguments[2..].iter().any(|word| word.to_string_lossy().starts_with('-')) => {
            Cow::Owned([&arguments[..1], &arguments[2..], &["--help".into()]].concat())
        }
        Some("version") if word(2).is_none() => Cow::Owned([&arguments[..1], &["--version".into()]].concat()),
        _ => Cow::Borrowed(arguments),
    }
}

/// Where the command stands, when nothing but flags and their values stand before it.
fn find_command(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = arguments.get(at)?.to_str()?.strip_prefix('-') {
        if ["-help", "h", "-version", "V", "-"].contains(&word) {
            return None;
        }
        let takes_next = match word.strip_prefix('-') {
            Some(long) => FLAGS.iter().any(|flag| flag.get_long() == Some(long) && takes_value(flag)),
            // `-vr ROLE`: the last letter of a group, for the text behind another one is its value.
            None => word
                .char_indices()
                .find(|(_, letter)| is_valued(*letter))
                .is_some_and(|(index, letter)| index + letter.len_utf8() == word.len()),
        };
        at += 1 + usize::from(takes_next);
    }
    rows().any(|row| arguments[at] == row.name).then_some(at)
}

fn is_valued(letter: char) -> bool {
    FLAGS.iter().any(|flag| flag.get_short() == Some(letter) && takes_value(flag))
}

fn takes_value(flag: &clap::Arg) -> bool {
    matches!(flag.get_action(), ArgAction::Set | ArgAction::Append)
}

fn has_inner(command: &OsString, word: &str) -> bool {
    rows().any(|row| command == row.name && row.definition().find_subcommand(word).is_some())
}

/// The flags of every command. Making them all costs a third of a run: most lines begin with the command, and none needs
/// them twice.
static FLAGS: LazyLock<Vec<clap::Arg>> = LazyLock::new(|| rows().flat_map(|row| row.all_flags()).collect());

/// What a command line that may be wrong is meant to print: enough to make an `eval` fail.
#[derive(Debug)]
pub(crate) struct Intent {
    /// What the credential would have consisted of, when it is known whose it was to be.
    pub shape: Option<Cow<'static, Shape>>,
    /// The format.
    pub format: Format,
    /// Whether stored profiles stay.
    pub keep_profile: bool,
}

/// Reads the intent from arguments that clap has not seen or has refused; `None` when the command prints no
/// credential. A shell that evaluates us must fail even when its line has a typing error.
#[must_use]
pub(crate) fn guess_intent(arguments: &[OsString]) -> Option<Intent> {
    let arguments = command_first(arguments);
    let words: Vec<_> = arguments.iter().skip(1).map(|argument| argument.to_string_lossy()).collect();
    if words.iter().any(|word| matches!(word.as_ref(), "--help" | "-h" | "--version" | "-V")) {
        return None;
    }
    let command = words.iter().find(|word| !word.starts_with('-')).map(AsRef::as_ref).unwrap_or_default();
    let said = |setting: &Setting| words.iter().any(|word| *word == setting.flag);
    let cloud = match rows().find(|row| row.name == command).map(|row| row.output) {
        Some(CommandOutput::Text | CommandOutput::Command) => return None,
        Some(CommandOutput::Credential(cloud)) => Some(cloud),
        // Its inner commands print a text to read.
        Some(CommandOutput::Token) if words.iter().any(|word| ["renew", "rotate"].contains(&word.as_ref())) => {
            return None;
        }
        Some(CommandOutput::Secret | CommandOutput::Token) | None => None,
    };
    let is_secret = command == super::secret::NAME;
    let value = words.iter().enumerate().rev().find_map(|(index, word)| match word.as_ref() {
        "--format" | "-f" => words.get(index + 1).map(ToString::to_string),
        word => word
            .strip_prefix("--format=")
            .or_else(|| word.strip_prefix("-f").filter(|rest| !rest.is_empty()))
            .map(|rest| rest.trim_start_matches('=').to_owned()),
    });
    Some(Intent {
        shape: match command {
            super::secret::NAME => guess_secret(&words).map(Cow::Owned),
            token::NAME => Some(Cow::Borrowed(&token::TOKEN)),
            _ => cloud.and_then(|cloud| cloud.shape(said)).map(Cow::Borrowed),
        },
        format: value.and_then(|value| Format::from_str(&value, false).ok()).unwrap_or_else(|| {
            let named = words.iter().any(|word| word == "--file" || word.starts_with("--file="));
            if named && !is_secret { Format::File } else { Format::Shell }
        }),
        keep_profile: cloud.and_then(|cloud| cloud.keep_profile).is_some_and(said),
    })
}

/// The variables of a secret that flags name. What a section names is known when its file is read.
fn guess_secret(words: &[Cow<'_, str>]) -> Option<Shape> {
    let pairs = words.iter().enumerate().filter_map(|(index, word)| match word.as_ref() {
        "--env" | "--file" | "--unset" => words.get(index + 1).map(AsRef::as_ref),
        word => ["--env=", "--file=", "--unset="].iter().find_map(|flag| word.strip_prefix(flag)),
    });
    let names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
    let names: Vec<_> =
        names.filter(|name| find_problem(name).is_none()).map(|name| (name.to_owned(), String::new())).collect();
    (!names.is_empty()).then(|| SecretSection { variables: names, ..SecretSection::default() }.shape())
}

/// The words of ours: what stands behind `--` is another program's command line.
#[must_use]
pub(crate) fn own_words(arguments: &[OsString]) -> &[OsString] {
    arguments.iter().position(|word| word == "--").map_or(arguments, |end| &arguments[..end])
}

/// Whether the line runs another program, as far as can be told before it is parsed.
#[must_use]
pub fn is_exec(arguments: &[OsString]) -> bool {
    let word = own_words(arguments).iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    let output = rows().find(|row| word.is_some_and(|word| word == row.name)).map(|row| row.output);
    matches!(output, Some(CommandOutput::Command))
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
                Error::new(Kind::Usage, format!("there is no {flag}: ci-creds takes no secret from the command line"))
                    .hint(*instead),
            );
        }
        if looks_like_a_token(value) {
            return Some(
                Error::new(
                    Kind::Usage,
                    "an argument looks like a token: ci-creds takes no secret from the command line",
                )
                .hint(
                    "every user of this machine can read it there: revoke it, and pass the new one by VAULT_TOKEN, \
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intent_is_read_from_a_line_with_mistakes_too() {
        let guess = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let command = |shape: Cow<'static, Shape>| match shape {
                Cow::Borrowed(shape) => &*shape.command,
                Cow::Owned(_) => "owned",
            };
            guess_intent(&arguments).map(|intent| (intent.shape.map(command), intent.format))
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
        assert_eq!(guess("ci-creds help aws"), None);
        assert_eq!(guess("ci-creds --role deploy -v aws --format fish"), Some((Some("aws"), Format::Fish)));
        assert_eq!(guess("ci-creds --format json exoscale --bogus"), Some((Some("exoscale"), Format::Json)));
    }

    #[test]
    fn the_command_is_found_behind_its_flags_and_their_values() {
        let moved = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let words: Vec<_> =
                command_first(&arguments).iter().map(|word| word.to_string_lossy().into_owned()).collect();
            words.join(" ")
        };
        for (line, expected) in [
            ("x -v aws --role a", "x aws -v --role a"),
            ("x --role aws exoscale", "x exoscale --role aws"),
            ("x --role=aws exoscale", "x exoscale --role=aws"),
            ("x -raws exoscale", "x exoscale -raws"),
            ("x -vr aws exoscale", "x exoscale -vr aws"),
            ("x --sos exoscale", "x exoscale --sos"),
            ("x -v cache clear --all", "x cache clear -v --all"),
            ("x --address https://v cache", "x cache --address https://v"),
            ("x aws -v", "x aws -v"),
            ("x -v", "x -v"),
            ("x --help aws", "x --help aws"),
            ("x --bogus aws", "x aws --bogus"),
            ("x --bogus y aws", "x --bogus y aws"),
            ("x -- aws", "x -- aws"),
        ] {
            assert_eq!(moved(line), expected);
        }
    }
}
