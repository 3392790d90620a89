//! The commands as a table, one row each. What clap is told of a command, what comes of its flags, and whether a shell
//! may be waiting for its output all follow from the row.

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, Subcommand};

use super::flag::{CACHE, COMPLETIONS, CacheFlags, CompletionsFlags, FetchFlags, REVOKE, RevokeFlags};
use crate::provider::CLOUDS;
use crate::provider::cloud::Cloud;

/// What to do.
pub enum Command {
    /// `ci-creds exoscale`, `ci-creds aws`.
    Fetch(FetchFlags),
    /// `ci-creds revoke`.
    Revoke(RevokeFlags),
    /// `ci-creds cache`.
    Cache(CacheFlags),
    /// `ci-creds completions`.
    Completions(CompletionsFlags),
    /// `ci-creds man`.
    Man,
}

/// A command.
pub(super) struct CommandRow {
    pub(super) name: &'static str,
    /// What it is for: in the list of commands, and at the head of its own help.
    about: &'static str,
    pub(super) output: CommandOutput,
    /// Adds its flags. By a plain function, because clap calls it only for the command that is on the line.
    flags: fn(clap::Command) -> clap::Command,
    parse: fn(&CommandRow, &ArgMatches) -> Result<Command, clap::Error>,
}

/// What a command prints.
pub(super) enum CommandOutput {
    /// This cloud's credential: a shell may evaluate it, and must fail when we do.
    Credential(&'static Cloud),
    /// A text to read.
    Text,
}

const OTHERS: [CommandRow; 4] = [
    CommandRow {
        name: "revoke",
        about: REVOKE,
        output: CommandOutput::Text,
        flags: RevokeFlags::augment_args,
        parse: |_, matches| RevokeFlags::from_arg_matches(matches).map(Command::Revoke),
    },
    CommandRow {
        name: "cache",
        about: CACHE,
        output: CommandOutput::Text,
        flags: CacheFlags::augment_args,
        parse: |_, matches| CacheFlags::from_arg_matches(matches).map(Command::Cache),
    },
    CommandRow {
        name: "completions",
        about: COMPLETIONS,
        output: CommandOutput::Text,
        flags: CompletionsFlags::augment_args,
        parse: |_, matches| CompletionsFlags::from_arg_matches(matches).map(Command::Completions),
    },
    CommandRow {
        name: "man",
        about: "Print the manual page",
        output: CommandOutput::Text,
        flags: |command| command,
        parse: |_, _| Ok(Command::Man),
    },
];

/// The table.
pub(super) fn rows() -> impl Iterator<Item = CommandRow> {
    CLOUDS.into_iter().map(fetch).chain(OTHERS)
}

fn fetch(cloud: &'static Cloud) -> CommandRow {
    CommandRow {
        name: cloud.command,
        about: cloud.about,
        output: CommandOutput::Credential(cloud),
        flags: |command| match cloud_of(command.get_name()) {
            Some(cloud) => FetchFlags::augment_args(cloud, command),
            None => command,
        },
        parse: |row, matches| match row.output {
            CommandOutput::Credential(cloud) => FetchFlags::from_arg_matches(cloud, matches).map(Command::Fetch),
            CommandOutput::Text => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
        },
    }
}

fn cloud_of(command: &str) -> Option<&'static Cloud> {
    CLOUDS.into_iter().find(|cloud| cloud.command == command)
}

/// What `derive(Subcommand)` would write, but that a command's flags are made when it is the one on the line: those of
/// all commands would be a third of the instructions of a run that finds its credential in the cache.
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
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let row = rows().find(|row| row.name == name).ok_or_else(missing)?;
        (row.parse)(&row, matches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
