//! The command line as clap types, and nothing else: no value is looked up, checked or combined here.
//!
//! The only folder that names clap. No flag takes a secret: flags name a variable or a file. Values keep the text
//! that was typed, so that [`crate::config`] can say where each of them came from.

mod command;
mod flag;
mod mistake;
mod word;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};

use crate::error::{Error, Kind, Result};

pub use command::Command;
pub use flag::{
    CacheAction, CacheFlags, ClearFlags, CompletionsFlags, ConnectionFlags, EngineFlags, FetchFlags, LoginFlags,
    OutputFlags, RevokeFlags, Shell,
};
pub(crate) use word::looks_like_a_token;
pub(crate) use word::{Intent, guess_intent};

/// Short-lived cloud credentials from HashiCorp Vault or OpenBao, for CI jobs.
#[derive(Parser)]
#[command(
    name = "ci-creds",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "In a CI job:  eval $(ci-creds exoscale --role deploy || echo false)",
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What parsing ended in, when it did not end in a command to run.
pub enum Stop {
    /// `--help` or `--version`: a text for stdout.
    Text(String),
    /// A mistake on the command line.
    Mistake(Error),
}

/// Parses the arguments, the program's name first.
///
/// # Errors
/// [`Stop::Mistake`] without repeating any value: what was typed might be a secret.
pub fn parse_arguments(arguments: &[OsString]) -> Result<Cli, Stop> {
    if let Some(error) = word::find_secret(arguments) {
        return Err(Stop::Mistake(error));
    }
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments);
    // Nothing parses a second time: taking the definition apart would cost a twentieth of the whole run.
    std::mem::forget(command);
    if let Some(flag) = matches.as_ref().ok().and_then(word::find_empty) {
        return Err(Stop::Mistake(mistake::empty(&flag)));
    }
    matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Mistake(
            Error::new(Kind::Usage, "nothing to do").hint("ci-creds exoscale, ci-creds aws, or ci-creds --help"),
        ),
        _ => Stop::Mistake(mistake::describe(&error, arguments)),
    })
}

/// The completion script of a shell. It is made from these types by a test, and checked in: a program that is run
/// a hundred times an hour need not carry the generator.
#[must_use]
pub fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../../completions/ci-creds.bash"),
        Shell::Elvish => include_str!("../../completions/ci-creds.elv"),
        Shell::Fish => include_str!("../../completions/ci-creds.fish"),
        Shell::Powershell => include_str!("../../completions/_ci-creds.ps1"),
        Shell::Zsh => include_str!("../../completions/_ci-creds"),
    }
}

/// The manual page, in roff; made as the completions are.
pub const MANUAL: &str = include_str!("../../completions/ci-creds.1");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::format::Format;

    fn parse(line: &str) -> Result<Cli, String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse_arguments(&arguments).map_err(|stop| match stop {
            Stop::Text(text) => text,
            Stop::Mistake(error) => error.render(false),
        })
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_of_the_aws_cli_are_accepted_for_formats() {
        for (name, format) in [("env", Format::Shell), ("env-no-export", Format::Dotenv), ("process", Format::Process)]
        {
            let Ok(Cli { command: Command::Fetch(aws) }) = parse(&format!("ci-creds aws --format {name}")) else {
                panic!("{name} is refused")
            };
            assert_eq!(aws.output.format, Some(format));
        }
    }

    #[test]
    fn a_mistake_names_the_flag_and_never_the_value() {
        let cases = [
            ("ci-creds aws --bogus=Sw0rdfish", "there is no flag --bogus"),
            ("ci-creds aws --fromat json", "there is no flag --fromat"),
            ("ci-creds aws Sw0rdfish", "an argument stands where none is taken"),
            ("ci-creds aws --format Sw0rdfish", "--format does not take that value"),
            ("ci-creds aws --role", "--role"),
            ("ci-creds Sw0rdfish", "no such command"),
            ("ci-creds aws --secret-id Sw0rdfish", "--secret-id does not exist"),
            ("ci-creds aws --token=Sw0rdfish", "--token does not exist"),
            ("ci-creds aws --role=hvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws -rhvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws --role s.Sw0rdfishSw0rdfishSw0rd", "looks like a token"),
            ("ci-creds aws eyJSw0rdfish.Sw0rdfishSw0rdfish", "looks like a token"),
            ("ci-creds aws --role=", "--role is empty"),
            ("ci-creds aws -r=", "--role is empty"),
            ("ci-creds aws --ca-file=", "--ca-file is empty"),
            ("ci-creds cache clear --namespace=", "--namespace is empty"),
            ("ci-creds", "nothing to do"),
        ];
        for (line, expected) in cases {
            let Err(text) = parse(line) else { panic!("{line} is accepted") };
            assert!(text.starts_with("ci-creds: error[usage]: "), "{line}: {text}");
            assert!(text.contains(expected), "{line}: {text}");
            assert!(!text.contains("Sw0rdfish"), "{line}: {text}");
        }
    }
}
