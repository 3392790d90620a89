//! The commands as a table, one row each. What clap is told of a command, what comes of its flags, and whether a shell
//! may be waiting for its output all follow from the row.

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, FromArgMatches, Subcommand};

use super::access::{AccessFlags, ConnectionFlags};
use super::doctor::{DOCTOR, DoctorFlags};
use super::exec::{EXEC, ExecFlags};
use super::flag::{
    CACHE, COMPLETIONS, CacheAction, CacheFlags, ClearFlags, CompletionsFlags, CredentialFlags, FetchFlags, REVOKE,
    RevokeFlags, WHOAMI, WhoamiFlags,
};
use super::help;
use super::policy::{POLICY, PolicyFlags};
use super::secret::{SECRET, SecretFlags, SecretSelection};
use super::token::{RenewFlags, RotateFlags, TOKEN, TokenAction, TokenCall};
use super::vault_token::VaultTokenFlags;
use crate::provider::CLOUDS;
use crate::provider::cloud::Cloud;

/// What to do.
pub enum Command {
    /// `ci-creds exoscale`, `ci-creds aws`.
    Fetch(FetchFlags),
    /// `ci-creds secret`.
    Secret(SecretFlags),
    /// `ci-creds token` alone.
    VaultToken(Box<VaultTokenFlags>),
    /// `ci-creds revoke`.
    Revoke(RevokeFlags),
    /// `ci-creds exec`.
    Exec(ExecFlags),
    /// `ci-creds doctor`.
    Doctor(Box<DoctorFlags>),
    /// `ci-creds cache`.
    Cache(CacheFlags),
    /// `ci-creds token renew`, `ci-creds token rotate`.
    Token(TokenAction),
    /// `ci-creds whoami`.
    Whoami(WhoamiFlags),
    /// `ci-creds policy`.
    Policy(PolicyFlags),
    /// `ci-creds explain`, and the words of the text.
    Explain(Vec<String>),
    /// `ci-creds completions`.
    Completions(CompletionsFlags),
    /// `ci-creds man`, and the command whose page it prints.
    Man(Option<String>),
}

impl Command {
    /// What it has to know first.
    pub(crate) fn prerequisite(&self) -> Prerequisite<'_> {
        match self {
            Self::Fetch(FetchFlags { access, wanted, .. }) => Prerequisite::Login(access, Some(wanted)),
            Self::Exec(ExecFlags { access, wanted, .. }) => Prerequisite::Login(access, wanted.first()),
            Self::Doctor(flags) => Prerequisite::Login(&flags.access, flags.wanted.as_ref()),
            Self::VaultToken(flags) => Prerequisite::Login(&flags.access, None),
            Self::Secret(SecretFlags { access, .. })
            | Self::Revoke(RevokeFlags { access, .. })
            | Self::Cache(CacheFlags { action: Some(CacheAction::Clear(ClearFlags { access, .. })) })
            | Self::Whoami(WhoamiFlags { access, .. }) => Prerequisite::Login(access, None),
            // They take the token that is stored, or describe a login that another run will make.
            Self::Token(TokenAction::Renew(RenewFlags { access }))
            | Self::Token(TokenAction::Rotate(RotateFlags { access, .. }))
            | Self::Policy(PolicyFlags { access, .. }) => Prerequisite::Files(&access.connection),
            Self::Cache(CacheFlags { action: None }) | Self::Explain(_) | Self::Completions(_) | Self::Man(_) => {
                Prerequisite::Nothing
            }
        }
    }

    /// The flags of the diagnosis of a run: a command that fetches a credential or secrets, or one that runs another with
    /// the first credential that it names. `None` of every other command.
    pub(crate) fn into_doctor_flags(self) -> Option<DoctorFlags> {
        match self {
            Self::Fetch(FetchFlags { wanted, access, .. }) => Some(DoctorFlags::of_run(Some(wanted), access)),
            Self::Secret(SecretFlags { wanted, access, .. }) => {
                Some(DoctorFlags { secrets: Some(wanted), ..DoctorFlags::of_run(None, access) })
            }
            Self::Exec(ExecFlags { wanted, secrets: names, access, .. }) => {
                let wanted = wanted.into_iter().next();
                let is_secret = wanted.is_none() && !names.is_empty();
                let secrets = is_secret.then(|| SecretSelection { names, ..SecretSelection::default() });
                Some(DoctorFlags { secrets, ..DoctorFlags::of_run(wanted, access) })
            }
            _ => None,
        }
    }
}

/// What a command has to know before any of its flags means something.
pub(crate) enum Prerequisite<'a> {
    /// Nothing.
    Nothing,
    /// The configuration files.
    Files(&'a ConnectionFlags),
    /// The configuration files, and the ID token of the job: the command logs in, to read this credential or none.
    Login(&'a AccessFlags, Option<&'a CredentialFlags>),
}

/// A command.
#[derive(Clone, Copy)]
pub(super) struct CommandRow {
    pub(super) name: &'static str,
    /// What it is for: in the list of commands, and at the head of its own help.
    about: &'static str,
    pub(super) output: CommandOutput,
    /// Adds its flags. By a plain function, because clap calls it only for the command that is on the line.
    flags: fn(clap::Command) -> clap::Command,
    parse: fn(&CommandRow, &mut ArgMatches) -> Result<Command, clap::Error>,
}

/// What a command prints.
#[derive(Clone, Copy)]
pub(super) enum CommandOutput {
    /// This cloud's credential: a shell may evaluate it, and must fail when we do.
    Credential(&'static Cloud),
    /// Secrets of other engines, likewise.
    Secret,
    /// A Vault token, likewise.
    Token,
    /// A text to read.
    Text,
    /// What another command prints, which runs with the credential.
    Command,
}

/// The rows of `help` and `version` are there to be listed: who parses a line puts the flag in their place.
const OTHERS: &[CommandRow] = &[
    CommandRow {
        name: super::secret::NAME,
        about: SECRET,
        output: CommandOutput::Secret,
        flags: |command| SecretFlags::augment_args(command).after_help(help::SECRET),
        parse: |_, matches| SecretFlags::from_arg_matches_mut(matches).map(Command::Secret),
    },
    CommandRow {
        name: "exec",
        about: EXEC,
        output: CommandOutput::Command,
        flags: |command| ExecFlags::augment_args(command).after_help(help::EXEC),
        parse: |_, matches| ExecFlags::from_arg_matches_mut(matches).map(Command::Exec),
    },
    CommandRow {
        name: "doctor",
        about: DOCTOR,
        output: CommandOutput::Text,
        flags: |command| DoctorFlags::augment_args(command).after_help(help::DOCTOR),
        parse: |_, matches| DoctorFlags::from_arg_matches_mut(matches).map(|flags| Command::Doctor(Box::new(flags))),
    },
    CommandRow {
        name: "revoke",
        about: REVOKE,
        output: CommandOutput::Text,
        flags: |command| RevokeFlags::augment_args(command).after_help(help::REVOKE),
        parse: |_, matches| RevokeFlags::from_arg_matches_mut(matches).map(Command::Revoke),
    },
    CommandRow {
        name: "cache",
        about: CACHE,
        output: CommandOutput::Text,
        flags: |command| CacheFlags::augment_args(command).after_help(help::CACHE),
        parse: |_, matches| CacheFlags::from_arg_matches_mut(matches).map(Command::Cache),
    },
    CommandRow {
        name: "token",
        about: TOKEN,
        output: CommandOutput::Token,
        flags: |command| VaultTokenFlags::augment_args(TokenCall::augment_args(command)).after_help(help::TOKEN),
        parse: |_, matches| match TokenCall::from_arg_matches_mut(matches)? {
            TokenCall { action: Some(action) } => Ok(Command::Token(action)),
            TokenCall { action: None } => {
                VaultTokenFlags::from_arg_matches_mut(matches).map(Box::new).map(Command::VaultToken)
            }
        },
    },
    CommandRow {
        name: "whoami",
        about: WHOAMI,
        output: CommandOutput::Text,
        flags: |command| WhoamiFlags::augment_args(command).after_help(help::WHOAMI),
        parse: |_, matches| WhoamiFlags::from_arg_matches_mut(matches).map(Command::Whoami),
    },
    CommandRow {
        name: "policy",
        about: POLICY,
        output: CommandOutput::Text,
        flags: |command| PolicyFlags::augment_args(command).after_help(help::POLICY),
        parse: |_, matches| PolicyFlags::from_arg_matches_mut(matches).map(Command::Policy),
    },
    CommandRow {
        name: "explain",
        about: "Explain an exit code or an error",
        output: CommandOutput::Text,
        flags: |command| command.arg(words()).after_help(help::EXPLAIN),
        parse: |_, matches| {
            let words = matches.get_many("text").into_iter().flatten().cloned();
            Ok(Command::Explain(words.collect()))
        },
    },
    CommandRow {
        name: "completions",
        about: COMPLETIONS,
        output: CommandOutput::Text,
        flags: |command| CompletionsFlags::augment_args(command).after_help(help::COMPLETIONS),
        parse: |_, matches| CompletionsFlags::from_arg_matches_mut(matches).map(Command::Completions),
    },
    CommandRow {
        name: "man",
        about: "Print a manual page",
        output: CommandOutput::Text,
        flags: |command| command.arg(page()).after_help(help::MAN),
        parse: |_, matches| Ok(Command::Man(matches.get_one("page").cloned())),
    },
    CommandRow {
        name: "help",
        about: "Print the help of a command",
        output: CommandOutput::Text,
        flags: |command| command.arg(commands()).after_help(help::HELP),
        parse: |_, _| Err(clap::Error::new(ErrorKind::DisplayHelp)),
    },
    CommandRow {
        name: "version",
        about: "Print the version",
        output: CommandOutput::Text,
        flags: |command| command.after_help(help::VERSION),
        parse: |_, _| Err(clap::Error::new(ErrorKind::DisplayVersion)),
    },
];

impl CommandRow {
    /// What clap is told of it.
    pub(super) fn definition(&self) -> clap::Command {
        (self.flags)(clap::Command::new(self.name).about(self.about))
    }

    /// The command of a line that clap has taken apart by this definition.
    pub(super) fn parse(&self, matches: &mut ArgMatches) -> Result<Command, clap::Error> {
        (self.parse)(self, matches)
    }

    /// Its flags, and those of the commands below it.
    pub(super) fn all_flags(&self) -> Vec<clap::Arg> {
        let command = self.definition();
        let inner = command.get_subcommands().flat_map(clap::Command::get_arguments);
        command.get_arguments().chain(inner).cloned().collect()
    }
}

/// The table.
pub(super) fn rows() -> impl Iterator<Item = CommandRow> {
    CLOUDS.into_iter().map(fetch).chain(OTHERS.iter().copied())
}

/// What `explain` takes.
fn words() -> Arg {
    Arg::new("text")
        .value_name("TEXT")
        .num_args(1..)
        .required(true)
        .help("An exit code, a kind, or an error that was printed; - reads it from stdin")
}

/// What `man` takes.
fn page() -> Arg {
    let names = PossibleValuesParser::new(rows().map(|row| row.name));
    Arg::new("page").value_name("COMMAND").value_parser(names).help("The command [default: all of them]")
}

/// What `help` takes.
fn commands() -> Arg {
    let names = PossibleValuesParser::new(rows().map(|row| row.name));
    Arg::new("command").value_name("COMMAND").num_args(0..).value_parser(names).help("The command [default: all]")
}

fn fetch(cloud: &'static Cloud) -> CommandRow {
    CommandRow {
        name: cloud.command,
        about: cloud.about,
        output: CommandOutput::Credential(cloud),
        flags: |command| match cloud_of(command.get_name()) {
            Some(cloud) => FetchFlags::augment_args(cloud, command).after_help(help::of_cloud(cloud)),
            None => command,
        },
        parse: |row, matches| match row.output {
            CommandOutput::Credential(cloud) => FetchFlags::from_arg_matches_mut(cloud, matches).map(Command::Fetch),
            CommandOutput::Secret | CommandOutput::Token | CommandOutput::Text | CommandOutput::Command => {
                Err(clap::Error::new(ErrorKind::MissingSubcommand))
            }
        },
    }
}

fn cloud_of(command: &str) -> Option<&'static Cloud> {
    CLOUDS.into_iter().find(|cloud| cloud.command == command)
}

/// What `derive(Subcommand)` would write, but that a command's flags are made when it is the one on the line: `--version`
/// and the list of the commands need none of them.
impl Subcommand for Command {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        command.subcommands(rows().map(|row| clap::Command::new(row.name).about(row.about).defer(row.flags)))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        rows().any(|row| row.name == name)
    }
}

impl FromArgMatches for Command {
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(ErrorKind::MissingSubcommand);
        let (name, mut matches) = matches.remove_subcommand().ok_or_else(missing)?;
        let row = rows().find(|row| row.name == name).ok_or_else(missing)?;
        row.parse(&mut matches)
    }

    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
