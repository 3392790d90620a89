//! The command line as clap types, and nothing else: no value is looked up, checked or combined here.
//!
//! The only folder that names clap. No flag takes a secret: flags name a variable or a file. Values keep the text
//! that was typed, so that [`crate::config`] can say where each of them came from.

mod access;
mod command;
mod doctor;
mod exec;
mod flag;
mod help;
mod mistake;
mod page;
mod policy;
mod question;
mod secret;
mod token;
mod vault_token;
mod word;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser};

use crate::error::{Error, Result};

pub use access::{AccessFlags, ConnectionFlags, LoginFlags};
pub use command::Command;
pub(crate) use command::Prerequisite;
pub use doctor::{DoctorFlags, DoctorFormat};
pub use exec::ExecFlags;
pub use flag::{
    CacheAction, CacheFlags, ClearFlags, CompletionsFlags, CredentialFlags, EngineFlags, FetchFlags, OutputFlags,
    RevokeFlags, Shell, StateFlags, Volume, WhoamiFlags, WhoamiFormat,
};
pub use policy::PolicyFlags;
pub use question::{Question, parse_question};
pub use secret::{SecretFlags, SecretMapping, SecretSelection};
pub use token::{RenewFlags, RotateFlags, TokenAction, TokenCall, VariableFlags};
pub use vault_token::VaultTokenFlags;
pub use word::is_exec;
pub(crate) use word::{Intent, guess_intent, own_words, words_of};

/// Short-lived cloud credentials from HashiCorp Vault or OpenBao, for CI jobs.
#[derive(Parser)]
#[command(
    name = "ci-creds",
    version,
    long_version = env!("CI_CREDS_VERSION"),
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = help::ALL,
    term_width = 80
)]
pub struct Cli {
    /// How much is said.
    #[command(flatten)]
    pub volume: Volume,
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
/// [`Stop::Mistake`]. It repeats what has the form of a name, and nothing that might be a secret.
pub fn parse_arguments(arguments: &[OsString]) -> Result<Cli, Stop> {
    if let Some(error) = word::find_secret(arguments) {
        return Err(Stop::Mistake(error));
    }
    let arguments = word::command_first(arguments);
    let arguments = &word::flag_for_command(&arguments)[..];
    if let Some(cli) = parse_without_mistake(arguments) {
        return Ok(cli);
    }
    let matches = take_apart(Cli::command(), arguments);
    if let Some(flag) = matches.as_ref().ok().and_then(word::find_empty) {
        return Err(Stop::Mistake(mistake::empty(&flag)));
    }
    matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Mistake(mistake::nothing_to_do()),
        _ => Stop::Mistake(mistake::describe(&error, arguments)),
    })
}

/// Parses a line by the definition of its command alone, which costs half of what all of them do. `None` where there is
/// something to tell: a mistake, or a help, which names the other commands.
fn parse_without_mistake(arguments: &[OsString]) -> Option<Cli> {
    let line = arguments.get(1..)?;
    let row = command::rows().find(|row| line.first().is_some_and(|name| name == row.name))?;
    let matches = take_apart(Volume::augment_args(row.definition()), line);
    let mut matches = matches.ok().filter(|matches| word::find_empty(matches).is_none())?;
    let volume = Volume::from_arg_matches_mut(&mut matches).ok()?;
    Some(Cli { volume, command: row.parse(&mut matches).ok()? })
}

fn take_apart(mut definition: clap::Command, line: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let matches = definition.try_get_matches_from_mut(line);
    // Nothing parses by it again: to drop all its parts would cost a twentieth of the whole run.
    std::mem::forget(definition);
    matches
}

/// The completion script of a shell. It is made from these types by a test, and checked in: a program that is run
/// a hundred times an hour need not carry the generator. Empty if the program was built without it.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let file = match shell {
        Shell::Bash => "ci-creds.bash",
        Shell::Elvish => "ci-creds.elv",
        Shell::Fish => "ci-creds.fish",
        Shell::Powershell => "_ci-creds.ps1",
        Shell::Zsh => "_ci-creds",
    };
    page::read_page(file).unwrap_or_default()
}

/// The manual page of a command, or of the program, in roff; made as the completions are.
#[must_use]
pub fn manual(command: Option<&str>) -> Option<String> {
    let name = command.map_or_else(|| "ci-creds.1".to_owned(), |command| format!("ci-creds-{command}.1"));
    page::read_page(&name)
}

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
            let Ok(Cli { command: Command::Fetch(aws), .. }) = parse(&format!("ci-creds aws --format {name}")) else {
                panic!("{name} is refused")
            };
            assert_eq!(aws.output.format, Some(format));
        }
    }

    #[test]
    fn a_mistake_names_the_flag_and_nothing_that_may_be_secret() {
        let cases = [
            ("ci-creds aws --bogus=Sw0rdfish", "there is no flag --bogus"),
            ("ci-creds aws --fromat json", "there is no flag --fromat"),
            ("ci-creds aws Sw0rdfish", "aws takes no argument, only flags, and got one"),
            ("ci-creds aws --Sw0rdfish", "there is no such flag"),
            ("ci-creds aws --format Sw0rdfish", "--format does not take that value"),
            ("ci-creds aws --role", "--role"),
            ("ci-creds Sw0rdfish", "no such command"),
            ("ci-creds aws --secret-id Sw0rdfish", "there is no --secret-id: ci-creds takes no secret"),
            ("ci-creds aws --token=Sw0rdfish", "there is no --token: ci-creds takes no secret"),
            ("ci-creds aws --role=hvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws -rhvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws --role s.Sw0rdfishSw0rdfishSw0rd", "looks like a token"),
            ("ci-creds aws eyJSw0rdfish.Sw0rdfishSw0rdfish", "looks like a token"),
            ("ci-creds cache Sw0rdfish", "no such command"),
            ("ci-creds help Sw0rdfish", "no such command"),
            ("ci-creds completions Sw0rdfish", "ci-creds completions does not know that argument"),
            ("ci-creds aws --role=", "--role is empty"),
            ("ci-creds aws -r=", "--role is empty"),
            ("ci-creds aws --ca-file=", "--ca-file is empty"),
            ("ci-creds cache clear --namespace=", "--namespace is empty"),
            ("ci-creds", "nothing to do"),
            ("ci-creds -v", "nothing to do"),
        ];
        for (line, expected) in cases {
            let Err(text) = parse(line) else { panic!("{line} is accepted") };
            assert!(text.starts_with("ci-creds: error[usage]: "), "{line}: {text}");
            assert!(text.contains(expected), "{line}: {text}");
            assert!(!text.contains("Sw0rdfish"), "{line}: {text}");
        }
    }

    #[test]
    fn a_mistake_is_repeated_and_a_guess_is_near() {
        let cases = [
            ("ci-creds exosclae", "no such command: \"exosclae\"", "did you mean ci-creds exoscale?"),
            (
                "ci-creds gcp",
                "no such command: \"gcp\"",
                "the commands: ci-creds exoscale, aws, scaleway, secret, exec, doctor, revoke, cache, token, whoami, policy, explain, completions, man, help or version",
            ),
            ("ci-creds cache claer", "no such command: \"claer\"", "did you mean ci-creds cache clear?"),
            ("ci-creds help asw", "no such command: \"asw\"", "did you mean ci-creds aws?"),
            ("ci-creds exoscale --region x", "no flag --region for exoscale, only for aws", "did you mean --zone,"),
            ("ci-creds exoscale --ttl 1h", "no flag --ttl for exoscale, only for aws", "leave it out"),
            ("ci-creds aws --sos", "no flag --sos for aws, only for exoscale", "leave it out"),
            ("ci-creds aws --fromat json", "there is no flag --fromat", "did you mean --format?"),
            ("ci-creds aws --addr x", "there is no flag --addr", "did you mean --address?"),
            ("ci-creds aws --duration 1h", "there is no flag --duration", "did you mean --ttl?"),
            ("ci-creds aws --bogus", "there is no flag --bogus", "ci-creds aws --help lists the flags"),
            ("ci-creds --bogus", "there is no flag --bogus without a command", "name a command: ci-creds"),
            ("ci-creds aws -z", "there is no flag -z", "ci-creds aws --help lists the flags"),
            ("ci-creds exoscale deploy", "and got \"deploy\"", "if it is the role: ci-creds exoscale --role deploy"),
            ("ci-creds aws --format yaml", "--format does not take \"yaml\"", "it takes shell, fish, powershell,"),
            ("ci-creds aws --format jsno", "--format does not take \"jsno\"", "did you mean --format json? It takes"),
            ("ci-creds aws --auth approle", "--auth does not take \"approle\"", "did you mean --auth secret-id?"),
            (
                "ci-creds aws --via stss",
                "--via does not take \"stss\"",
                "did you mean --via sts? It takes sts, creds or web-identity",
            ),
            (
                "ci-creds exec exoscale env",
                "ci-creds exec does not know \"env\"",
                "it takes exoscale, aws, scaleway or vault; put the command after --",
            ),
            ("ci-creds cache list", "no such command: \"list\"", "ci-creds cache, or ci-creds cache clear"),
            ("ci-creds completions bahs", "does not know \"bahs\"", "did you mean bash? It takes bash,"),
            (
                "ci-creds completions",
                "an argument is missing",
                "ci-creds completions bash, ci-creds completions elvish,",
            ),
            ("ci-creds aws --role", "--role needs a value", "--role ROLE"),
            ("ci-creds aws --role a --role b", "--role is given twice", "keep one of them"),
            ("ci-creds aws --cache --no-cache", "--cache and --no-cache exclude each other", "keep one of them"),
            ("ci-creds aws -v -q", "--verbose and --quiet exclude each other", "keep one of them"),
            ("ci-creds aws --reveal=yes", "--reveal takes no value", "write --reveal alone"),
        ];
        for (line, message, hint) in cases {
            let Err(text) = parse(line) else { panic!("{line} is accepted") };
            assert!(text.contains(message) && text.contains(&format!("  hint: {hint}")), "{line}: {text}");
        }
    }

    #[test]
    fn help_and_version_are_commands_too() {
        let text = |line: &str| match parse(line) {
            Err(text) => text,
            Ok(_) => panic!("{line} runs"),
        };
        assert_eq!(text("ci-creds help"), text("ci-creds --help"));
        assert_eq!(text("ci-creds help aws"), text("ci-creds aws --help"));
        assert_eq!(text("ci-creds help cache clear"), text("ci-creds cache clear --help"));
        assert!(text("ci-creds help -h").contains("ci-creds help cache clear"));
        assert_eq!(text("ci-creds version"), text("ci-creds --version"));
        let version = text("ci-creds version");
        assert!(version.starts_with(concat!("ci-creds ", env!("CARGO_PKG_VERSION"))), "{version}");
        assert_eq!(text("ci-creds -V"), concat!("ci-creds ", env!("CARGO_PKG_VERSION"), "\n"));
    }

    #[test]
    fn every_flag_may_stand_before_the_command() {
        let Ok(Cli { volume, command: Command::Fetch(aws) }) = parse("ci-creds -v --role deploy --address x aws -m y")
        else {
            panic!("refused")
        };
        assert!(volume.verbose && aws.wanted.engine.role.as_deref() == Some("deploy"));
        assert_eq!(
            (aws.access.connection.address.as_deref(), aws.wanted.engine.mount.as_deref()),
            (Some("x"), Some("y"))
        );
        assert!(parse("ci-creds -q cache").is_ok_and(|cli| cli.volume.quiet));
        assert!(parse("ci-creds cache clear -q").is_ok_and(|cli| cli.volume.quiet));
        assert!(parse("ci-creds --all -v cache clear").is_ok_and(|cli| cli.volume.verbose));
    }
}
