//! Clap's errors as messages of `ci-creds`.

use std::ffi::OsString;

use clap::ValueEnum;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command::{CommandOutput, CommandRow, rows};
use super::flag::Shell;
use super::secret;
use super::word::own_words;
use crate::error::{Error, Kind};
use crate::provider::CLOUDS;
use crate::typo::{is_repeatable, nearest, quoted};

/// clap's finding in our form. `arguments` begin with the program and the command.
pub(super) fn describe(error: &clap::Error, arguments: &[OsString]) -> Error {
    let finding = Finding { error, arguments };
    match error.kind() {
        ErrorKind::MissingSubcommand => nothing_to_do(),
        ErrorKind::InvalidSubcommand => finding.unknown_command(),
        ErrorKind::UnknownArgument => match finding.flag() {
            Some(flag) => finding.unknown_flag(&flag),
            None => finding.surplus(&finding.text(ContextKind::InvalidArg)),
        },
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => finding.bad_value(),
        ErrorKind::ArgumentConflict => finding.conflict(),
        ErrorKind::TooManyValues => {
            let flag = finding.subject();
            usage(format!("{flag} takes no value")).hint(format!("write {flag} alone, without = and a value"))
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => finding.no_value(),
        ErrorKind::MissingRequiredArgument => {
            let missing = finding.text(ContextKind::InvalidArg);
            let hint = match missing.as_str() {
                _ if finding.runs_a_command() => format!("ci-creds exec {} -- COMMAND", CLOUDS[0].command),
                "<SHELL>" => {
                    let shells = Shell::value_variants().iter().filter_map(ValueEnum::to_possible_value);
                    let calls = shells.map(|shell| format!("{} {}", finding.command_line(), shell.get_name()));
                    calls.collect::<Vec<_>>().join(", ")
                }
                _ => format!("{} --help", finding.command_line()),
            };
            usage(format!("an argument is missing: {missing}")).hint(hint)
        }
        ErrorKind::InvalidUtf8 => usage("an argument is not valid UTF-8").hint("write it in ASCII letters"),
        _ => usage("the arguments cannot be used").hint("ci-creds --help"),
    }
}

/// A command line without a command.
pub(super) fn nothing_to_do() -> Error {
    usage("nothing to do: no command was given").hint(format!("{}, or ci-creds --help", fetches(", ")))
}

/// A flag whose value is empty: what a shell makes of a variable that is not set.
pub(super) fn empty(flag: &str) -> Error {
    usage(format!("{flag} is empty"))
        .hint(format!("pass a value with {flag}, or drop it; check that the variable in it is set"))
}

/// A long flag with one dash, as `vault` and other programs of Go write it: `-format=json`. To clap it is `-f` with a value.
pub(super) fn find_single_dash(arguments: &[OsString]) -> Option<Error> {
    let mut words = own_words(arguments).iter().skip(1).filter_map(|word| word.to_str()?.strip_prefix('-'));
    words.find_map(|word| {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let is_word = name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        // clap's own, which do the same with one dash.
        if !is_word || name.starts_with('-') || ["help", "version"].contains(&name) {
            return None;
        }
        let error = clap::Error::new(ErrorKind::UnknownArgument);
        let finding = Finding { error: &error, arguments };
        let flag = format!("--{name}");
        if !finding.own_flags().contains(&flag) {
            // `-raws` is a role. No role has an equals sign.
            return value.map(|_| finding.unknown_flag(&flag));
        }
        let value = value.map(|value| if is_repeatable(value) { value } else { "VALUE" });
        let value = value.map(|value| format!("={value}")).unwrap_or_default();
        Some(usage(format!("there is no flag -{name}")).hint(format!("flags have two dashes here: {flag}{value}")))
    })
}

/// The commands that fetch a credential.
fn fetches(separator: &str) -> String {
    CLOUDS.map(|cloud| format!("ci-creds {}", cloud.command)).join(separator)
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, message)
}

/// What other tools call a flag of ours.
const OTHER_NAMES: [(&str, &str); 24] = [
    ("--addr", "--address"),
    ("--url", "--address"),
    ("--vault-addr", "--address"),
    ("--vault-url", "--address"),
    ("--server", "--address"),
    ("--ca-cert", "--ca-file"),
    ("--cacert", "--ca-file"),
    ("--tls-skip-verify", "--insecure-skip-verify"),
    ("--insecure", "--insecure-skip-verify"),
    ("--skip-verify", "--insecure-skip-verify"),
    ("--output", "--format"),
    ("--shell", "--format"),
    ("--json", "--format"),
    ("--path", "--mount"),
    ("--engine", "--mount"),
    ("--role-name", "--role"),
    ("--lease", "--ttl"),
    ("--duration", "--ttl"),
    ("--expiry", "--ttl"),
    ("--lifetime", "--ttl"),
    ("--method", "--auth"),
    ("--auth-method", "--auth"),
    ("--auth-path", "--auth-mount"),
    ("--debug", "--verbose"),
];

/// What one command calls what the other one has too.
const COUNTERPARTS: [(&str, &str); 2] = [("--region", "--zone"), ("--zone", "--region")];

/// Our counterpart of a command of `vault`.
const OTHER_COMMANDS: [(&str, &str); 8] = [
    ("read", "ci-creds secret --path PATH --env VAR=FIELD"),
    ("write", "ci-creds secret --path PATH --set NAME=VALUE --env VAR=FIELD"),
    ("kv", "ci-creds secret --path MOUNT/data/NAME --env VAR=FIELD"),
    ("login", "every command logs in by itself; ci-creds whoami shows as whom"),
    ("status", "ci-creds doctor"),
    ("list", "ci-creds cache"),
    ("unwrap", "set VAULT_WRAPPING_TOKEN: every command unwraps it"),
    ("lease", "ci-creds revoke"),
];

/// What people call one of our values.
const OTHER_VALUES: [(&str, &str, &str); 12] = [
    ("--auth", "approle", "secret-id"),
    ("--auth", "app-role", "secret-id"),
    ("--auth", "jwt", "id-token"),
    ("--auth", "oidc", "id-token"),
    ("--auth", "gitlab", "id-token"),
    ("--auth", "wrapped", "wrapping-token"),
    ("--auth", "wrap", "wrapping-token"),
    ("--format", "bash", "shell"),
    ("--format", "sh", "shell"),
    ("--format", "zsh", "shell"),
    ("--format", "export", "shell"),
    ("--format", "pwsh", "powershell"),
];

/// More commands than these are not listed: the flag is one of almost all.
const MOST_PLACES: usize = 6;

/// The other name's own one, in a table of such.
fn ours<'a>(table: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    table.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours)
}

/// clap's finding, and the line that it is about.
struct Finding<'a> {
    error: &'a clap::Error,
    arguments: &'a [OsString],
}

impl Finding<'_> {
    fn text(&self, kind: ContextKind) -> String {
        match self.error.get(kind) {
            Some(ContextValue::Strings(list)) => list.join(", "),
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        }
    }

    /// The flag that clap names, without its value; `None` for an argument that is none.
    fn flag(&self) -> Option<String> {
        let text = self.text(ContextKind::InvalidArg);
        let name = text.split([' ', '=', '[']).next().unwrap_or_default();
        name.starts_with('-').then(|| name.to_owned())
    }

    fn subject(&self) -> String {
        self.flag().unwrap_or_else(|| "the argument".into())
    }

    fn command(&self) -> Option<CommandRow> {
        let word = self.arguments.get(1)?;
        rows().find(|row| word == row.name)
    }

    /// The command inside it that the line names: `renew` of `token`.
    fn inner(&self) -> Option<clap::Command> {
        let definition = self.command()?.definition();
        let mut words = own_words(self.arguments).iter().skip(2);
        words.find_map(|word| definition.find_subcommand(word)).cloned()
    }

    /// `aws`, `token renew`. Empty without a command.
    fn place(&self) -> String {
        match (self.command(), self.inner()) {
            (Some(row), Some(inner)) => format!("{} {}", row.name, inner.get_name()),
            (Some(row), None) => row.name.to_owned(),
            (None, _) => String::new(),
        }
    }

    /// `ci-creds aws`, for a hint.
    fn command_line(&self) -> String {
        format!("ci-creds {}", self.place()).trim_end().to_owned()
    }

    /// The flags of the command that the line names, with their dashes. Empty without a command.
    fn own_flags(&self) -> Vec<String> {
        let Some(command) = self.inner().or_else(|| Some(self.command()?.definition())) else { return Vec::new() };
        let own = command.get_arguments().filter_map(|own| Some(format!("--{}", own.get_long()?)));
        own.chain(["--verbose", "--quiet", "--help"].map(str::to_owned)).collect()
    }

    /// The value of a flag of the line, for a hint: itself if it can be repeated, or the word.
    fn value_or<'b>(&'b self, flag: &str, word: &'b str) -> &'b str {
        let joined = format!("{flag}=");
        let words = || own_words(self.arguments).iter().filter_map(|word| word.to_str());
        let apart = words().zip(words().skip(1)).find(|(name, _)| *name == flag).map(|(_, value)| value);
        let with_one_dash = &joined[1..];
        let behind = |word: &'b str| word.strip_prefix(&joined).or_else(|| word.strip_prefix(with_one_dash));
        let found = apart.or_else(|| words().find_map(behind));
        found.filter(|value| is_repeatable(value)).unwrap_or(word)
    }

    fn unknown_command(&self) -> Error {
        let typed = self.text(ContextKind::InvalidSubcommand);
        let (place, names) = match self.command() {
            Some(row) => {
                let definition = row.definition();
                let inner = definition.get_subcommands().map(|command| command.get_name().to_owned()).collect();
                (format!("ci-creds {} ", row.name), inner)
            }
            None => ("ci-creds ".to_owned(), rows().map(|row| row.name.to_owned()).collect::<Vec<_>>()),
        };
        let error = usage(match is_repeatable(&typed) {
            true => format!("no such command: \"{typed}\""),
            false => "no such command".to_owned(),
        });
        if let (None, Some(instead)) = (self.command(), ours(&OTHER_COMMANDS, &typed)) {
            return error.hint(instead);
        }
        match nearest(&typed, names.iter().map(String::as_str)) {
            Some(meant) => error.hint(format!("did you mean {place}{meant}?")),
            // Without an inner command it does something too.
            None if self.command().is_some() => error.hint(format!("{}, or {place}{}", place.trim_end(), list(&names))),
            None => error.hint(format!("the commands: {place}{}", list(&names))),
        }
    }

    fn unknown_flag(&self, flag: &str) -> Error {
        let repeated = is_repeatable(flag.trim_start_matches('-'));
        let Some(row) = self.command() else {
            return usage(match repeated {
                true => format!("there is no flag {flag} without a command"),
                false => "there is no such flag".into(),
            })
            .hint(format!("name a command: {}", fetches(" or ")));
        };
        let (place, own) = (self.place(), self.own_flags());
        let has = |flag: &&str| own.iter().any(|own| own == *flag);
        let named = if repeated { format!("there is no flag {flag}") } else { "there is no such flag".into() };
        if let Some(instead) = self.of_a_secret(flag) {
            return usage(format!("{named} for {place}")).hint(instead);
        }
        // Before another command that has it: no role of a cloud is a path.
        if let Some(meant) = ours(&OTHER_NAMES, flag).filter(has) {
            return usage(named).hint(format!("did you mean {meant}?"));
        }
        let others: Vec<_> = places_with(flag).into_iter().filter(|other| *other != place).collect();
        if flag == "--format" && self.runs_a_command() {
            return usage(format!("{named} for {place}: it sets the variables of the command itself"))
                .hint("leave it out; for --format web-identity put ci-creds aws into an eval before the command");
        }
        if !others.is_empty() {
            let error = match others.len() {
                ..=MOST_PLACES => usage(format!("{named} for {place}, only for {}", joined(&others, "and"))),
                _ => usage(format!("{named} for {place}")),
            };
            return match ours(&COUNTERPARTS, flag).filter(has) {
                Some(meant) => error.hint(format!("did you mean {meant}, the flag of {}?", row.name)),
                None => error.hint(format!("leave it out; {} --help lists the flags", self.command_line())),
            };
        }
        // Without the dashes: two letters that all of them share would make any short one near.
        match nearest(flag.trim_start_matches('-'), own.iter().map(|own| own.trim_start_matches('-'))) {
            Some(meant) => usage(named).hint(format!("did you mean --{meant}?")),
            None => usage(named).hint(format!("{} --help lists the flags", self.command_line())),
        }
    }

    /// What `secret` has for a flag of `vault kv get`.
    fn of_a_secret(&self, flag: &str) -> Option<String> {
        let is_secret = self.command().is_some_and(|row| row.name == secret::NAME);
        match flag {
            "--field" if is_secret => Some(format!("--env VAR={}", self.value_or(flag, "FIELD"))),
            "--mount" if is_secret => Some(format!(
                "the mount is part of the path: --path {}/data/{}",
                self.value_or(flag, "MOUNT"),
                self.value_or("--path", "NAME")
            )),
            _ => None,
        }
    }

    /// An argument that is neither a flag nor the value of one.
    fn surplus(&self, typed: &str) -> Error {
        let Some(row) = self.command() else { return usage("there is no such argument").hint("ci-creds --help") };
        let error = usage(format!("{} takes no argument, only flags, and got {}", self.place(), quoted(typed, "one")));
        match row.output {
            CommandOutput::Credential(_) if typed == "exec" => {
                error.hint(format!("ci-creds exec {} -- COMMAND", row.name))
            }
            CommandOutput::Credential(_) if is_repeatable(typed) => {
                error.hint(format!("if it is the role: ci-creds {} --role {typed}", row.name))
            }
            CommandOutput::Credential(_) => error.hint(format!("if it is the role: ci-creds {} --role NAME", row.name)),
            CommandOutput::Secret | CommandOutput::Token | CommandOutput::Text => {
                error.hint(format!("{} --help", self.command_line()))
            }
            CommandOutput::Command => error.hint("put the command after --: ci-creds exec PROVIDER -- COMMAND"),
        }
    }

    fn runs_a_command(&self) -> bool {
        self.command().is_some_and(|row| matches!(row.output, CommandOutput::Command))
    }

    fn bad_value(&self) -> Error {
        let (flag, typed) = (self.subject(), self.text(ContextKind::InvalidValue));
        if typed.is_empty() {
            // clap's word for an empty path, and for a flag at the end of the line, or before another flag.
            return if self.is_empty(&flag) { empty(&flag) } else { self.no_value() };
        }
        let choices = match self.error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(choices)) => choices.as_slice(),
            _ => &[],
        };
        let error = match self.flag() {
            Some(flag) => usage(format!("{flag} does not take {}", quoted(&typed, "that value"))),
            None => usage(format!("{} does not know {}", self.command_line(), quoted(&typed, "that argument"))),
        };
        let other = OTHER_VALUES.iter().find(|(of, other, _)| *of == flag && typed.eq_ignore_ascii_case(other));
        let meant = other.map(|(.., ours)| *ours);
        let meant = meant.or_else(|| nearest(&typed, choices.iter().map(String::as_str)));
        match (meant, choices) {
            (Some(meant), _) => {
                let flag = self.flag().map(|flag| format!("{flag} ")).unwrap_or_default();
                error.hint(format!("did you mean {flag}{meant}? It takes {}", list(choices)))
            }
            (None, []) => error.hint(format!("{} --help", self.command_line())),
            (None, choices) if self.flag().is_none() && self.runs_a_command() => {
                let behind = self.arguments.get(own_words(self.arguments).len() + 1).and_then(|word| word.to_str());
                let choices: Vec<_> = choices.iter().map(String::as_str).chain(["secret:NAME"]).collect();
                let Some(program) = behind else {
                    return error.hint(format!("it takes {}; put the command after --", list(&choices)));
                };
                // aws-vault has the name of a profile in that place.
                let cloud = CLOUDS.into_iter().map(|cloud| cloud.command).find(|command| *command == program);
                let role = if is_repeatable(&typed) { typed.as_str() } else { "NAME" };
                let call = format!("ci-creds exec {} --role {role} -- COMMAND", cloud.unwrap_or("PROVIDER"));
                error.hint(format!("if it is the role: {call}; PROVIDER is {}", list(&choices)))
            }
            (None, choices) => error.hint(format!("it takes {}", list(choices))),
        }
    }

    fn no_value(&self) -> Error {
        let text = self.text(ContextKind::InvalidArg);
        let flag = self.subject();
        let name = text.split_once('<').and_then(|(_, rest)| rest.split('>').next()).unwrap_or("VALUE");
        usage(format!("{flag} needs a value"))
            .hint(format!("{flag} {name}, or {flag}={name} for a value that begins with a hyphen"))
    }

    fn conflict(&self) -> Error {
        let (flag, prior) = (self.subject(), self.text(ContextKind::PriorArg));
        let prior = prior.split([' ', '=', ',']).next().unwrap_or_default();
        if prior == flag {
            return usage(format!("{flag} is given twice")).hint("keep one of them");
        }
        usage(format!("{flag} and {prior} exclude each other")).hint("keep one of them")
    }

    /// Whether the line has an empty value for the flag, rather than none.
    fn is_empty(&self, flag: &str) -> bool {
        let is_apart = |pair: &[OsString]| pair[0].to_str() == Some(flag) && pair[1].is_empty();
        let joined = format!("{flag}=");
        let is_joined = |argument: &OsString| argument.to_str() == Some(joined.as_str());
        self.arguments.windows(2).any(is_apart) || self.arguments.iter().any(is_joined)
    }
}

/// The commands, and those inside of them, that have the flag.
fn places_with(flag: &str) -> Vec<String> {
    rows()
        .flat_map(|row| {
            let definition = row.definition();
            let inner = definition.get_subcommands().filter(|inner| takes(inner, flag));
            let inner = inner.map(|inner| format!("{} {}", row.name, inner.get_name()));
            takes(&definition, flag).then(|| row.name.to_owned()).into_iter().chain(inner).collect::<Vec<_>>()
        })
        .collect()
}

fn takes(command: &clap::Command, flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    command.get_arguments().any(|own| match own.get_short() {
        _ if own.get_long() == Some(name) => true,
        Some(letter) => !flag.starts_with("--") && name.starts_with(letter),
        None => false,
    })
}

/// `a, b or c`.
fn list(names: &[impl AsRef<str>]) -> String {
    joined(names, "or")
}

/// `a, b and c`, with this word.
fn joined(names: &[impl AsRef<str>], word: &str) -> String {
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {word} {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
