//! The flags of `ci-creds secret`: the names of sections, or a path and where its fields go.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::access::AccessFlags;
use super::flag::{OutputFlags, StateFlags};
use crate::provider::CLOUDS;
use crate::render::format::Format;

/// What `secret` is for, in the list of commands and at the head of its own help.
pub(super) const SECRET: &str = "Fetch secrets of any other engine and print them for the shell";

/// Its name.
pub(super) const NAME: &str = "secret";

/// `ci-creds secret`.
pub struct SecretFlags {
    /// Which secrets.
    pub wanted: SecretSelection,
    /// How they are delivered.
    pub output: OutputFlags,
    /// Who the job is, and how Vault is reached.
    pub access: AccessFlags,
}

/// Which secrets.
#[derive(Default)]
pub struct SecretSelection {
    /// Sections of the configuration file.
    pub names: Vec<String>,
    /// A path and where its fields go.
    pub mapping: SecretMapping,
}

#[derive(Args)]
#[command(next_help_heading = "Secret")]
struct SectionNames {
    /// Sections of the configuration file: db for [secret.db]
    #[arg(value_name = "NAME", conflicts_with = "path")]
    names: Vec<String>,
}

/// A path and where its fields go.
#[derive(Args, Default)]
#[command(next_help_heading = "Secret")]
pub struct SecretMapping {
    /// The path to read, without a section: database/creds/app
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// A variable, and the field that it gets: PGUSER=username
    #[arg(long, value_name = "VAR=FIELD", requires = "path")]
    pub env: Vec<String>,
    /// A variable with the path of a private file, which gets the field
    #[arg(long, value_name = "VAR=FIELD", requires = "path")]
    pub file: Vec<String>,
    /// A parameter of the engine; makes the request a write
    #[arg(long, value_name = "NAME=VALUE", requires = "path")]
    pub set: Vec<String>,
    /// Write, without a parameter
    #[arg(long, requires = "path", hide_short_help = true)]
    pub write: bool,
    /// The version of the KV engine: 1 or 2
    #[arg(long, value_name = "N", value_parser = ["1", "2"], requires = "path", hide_short_help = true)]
    pub kv: Option<String>,
    /// A variable to unset
    #[arg(long, value_name = "VAR", requires = "path", hide_short_help = true)]
    pub unset: Vec<String>,
    /// The field that says when the secret expires
    #[arg(long, value_name = "FIELD", requires = "path", hide_short_help = true)]
    pub expires: Option<String>,
}

impl SecretMapping {
    /// The flags for a command that is about any provider. `-h` leaves them out.
    pub(super) fn augment_hidden(command: Command) -> Command {
        let flags = ["path", "env", "file", "set", "write", "kv", "unset", "expires"];
        let hide = |command: Command, name| command.mut_arg(name, |flag| flag.hide_short_help(true));
        flags.into_iter().fold(Self::augment_args(command), hide)
    }
}

/// A cloud, the word `secret`, or the name of a section behind that: which of them, [`split_providers`] tells.
#[derive(Clone)]
pub(super) struct ProviderWord;

impl TypedValueParser for ProviderWord {
    type Value = String;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        value.to_str().map(str::to_owned).ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = CLOUDS.into_iter().map(|cloud| cloud.command).chain([NAME]);
        Some(Box::new(names.map(PossibleValue::new)))
    }
}

/// The clouds that are named, and the names of sections behind the word `secret`, if that is there.
pub(super) fn split_providers(mut words: Vec<String>) -> Result<(Vec<String>, Option<Vec<String>>), clap::Error> {
    let place = words.iter().position(|word| word == NAME);
    let names = place.map(|place| words.split_off(place).split_off(1));
    let is_cloud = |word: &&String| CLOUDS.into_iter().any(|cloud| cloud.command == word.as_str());
    let Some(unknown) = words.iter().find(|word| !is_cloud(word)) else { return Ok((words, names)) };
    let mut error = clap::Error::new(ErrorKind::InvalidValue);
    let choices = CLOUDS.into_iter().map(|cloud| cloud.command).chain([NAME]).map(str::to_owned);
    error.insert(ContextKind::InvalidArg, ContextValue::String("[PROVIDER]...".to_owned()));
    error.insert(ContextKind::InvalidValue, ContextValue::String(unknown.clone()));
    error.insert(ContextKind::ValidValue, ContextValue::Strings(choices.collect()));
    Err(error)
}

/// Those of [`OutputFlags`] that are not for a cloud's credentials file, and not for the cache.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub(super) struct PlainOutput {
    /// What to print [default: shell]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Print only a line that sources a private file, which removes itself
    #[arg(long, hide_short_help = true)]
    via_file: bool,
    #[command(flatten)]
    state: StateFlags,
    /// Print it even on a terminal or into a job's log
    #[arg(long)]
    reveal: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
struct CacheChoice {
    /// Cache the secret, if it expires, and the login of a single-use secret, for the next calls of this job
    #[arg(long, conflicts_with = "no_cache", hide_short_help = true)]
    cache: bool,
    /// Neither read nor write the cache [default]
    #[arg(long, hide_short_help = true)]
    no_cache: bool,
}

impl PlainOutput {
    pub(super) fn into_output(self, cache: bool, no_cache: bool) -> OutputFlags {
        let Self { format, via_file, state, reveal } = self;
        let (file, profile, replace_profile) = (None, None, false);
        OutputFlags { format, via_file, cache, no_cache, state, file, profile, replace_profile, reveal }
    }
}

impl SecretFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let command = SecretMapping::augment_args(SectionNames::augment_args(command));
        let command = CacheChoice::augment_args(PlainOutput::augment_args(command));
        // Each of these would put its own description in the command's place.
        AccessFlags::augment_args(command).about(SECRET)
    }

    pub(super) fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let CacheChoice { cache, no_cache } = CacheChoice::from_arg_matches_mut(matches)?;
        let SectionNames { names } = SectionNames::from_arg_matches_mut(matches)?;
        Ok(Self {
            wanted: SecretSelection { names, mapping: SecretMapping::from_arg_matches_mut(matches)? },
            output: PlainOutput::from_arg_matches_mut(matches)?.into_output(cache, no_cache),
            access: AccessFlags::from_arg_matches_mut(matches)?,
        })
    }
}
