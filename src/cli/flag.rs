//! The flags of each command and their choices, as clap types.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum};

use super::access::AccessFlags;
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Heading, Location, Setting, Value};
use crate::render::format::Format;

/// What the command is for: in the list of commands, and at the head of its own help.
pub(super) const CACHE: &str = "List cached credentials: identity, role, expiry";
/// Likewise.
pub(super) const COMPLETIONS: &str = "Print the completion script of a shell";

/// How much is said on stderr.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Volume {
    /// Print requests, origins of values and causes on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// `ci-creds completions`.
#[derive(Args)]
#[command(about = COMPLETIONS)]
pub struct CompletionsFlags {
    /// The shell that will read it
    pub shell: Shell,
}

/// One cloud's credential, as it stands on the command line.
pub struct CredentialFlags {
    /// The cloud.
    pub cloud: &'static Cloud,
    /// Which credential.
    pub engine: EngineFlags,
    /// The cloud's own settings that were given. The text of a switch is empty.
    pub settings: Vec<(&'static Setting, String)>,
}

impl CredentialFlags {
    pub(super) fn from_arg_matches(cloud: &'static Cloud, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &&'static Setting| {
            let text = match setting.value {
                Value::Switch => matches.get_flag(setting.key()).then(String::new),
                Value::List(_) => matches
                    .get_many::<String>(setting.key())
                    .map(|texts| texts.map(String::as_str).collect::<Vec<_>>().join(" ")),
                Value::Text(_) | Value::Choice(..) => matches.get_one::<String>(setting.key()).cloned(),
            };
            text.map(|text| (*setting, text))
        };
        let settings = cloud.settings.iter().filter_map(given).collect();
        let of_the_engine = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
        let engine = EngineFlags { role: of_the_engine("role"), mount: of_the_engine("mount") };
        Ok(Self { cloud, engine, settings })
    }

    /// The text of a setting that was given on the command line.
    #[must_use]
    pub fn said(&self, setting: &Setting) -> Option<&str> {
        self.settings.iter().find(|(given, _)| given.flag == setting.flag).map(|(_, text)| text.as_str())
    }
}

/// A command that fetches a cloud's credential. Its own settings are the cloud's table; the rest is the same for all.
pub struct FetchFlags {
    /// Which credential.
    pub wanted: CredentialFlags,
    /// How it is delivered.
    pub output: OutputFlags,
    /// Who the job is, and how Vault is reached.
    pub access: AccessFlags,
}

impl FetchFlags {
    /// The flags of a cloud's command, in the order of the help.
    pub(super) fn augment_args(cloud: &'static Cloud, command: Command) -> Command {
        let of = |heading| cloud.settings.iter().filter(move |setting| setting.heading == heading);
        let command = match cloud.location {
            Location::Role { .. } => EngineFlags::augment_args(command),
            Location::Path(_) => command,
        };
        let command = command.args(of(Heading::Credential).map(|setting| argument(setting)));
        let command = command.args(of(Heading::Output).map(|setting| argument(setting)));
        // Each of these would put its own description in the command's place.
        AccessFlags::augment_args(OutputFlags::augment_args(command)).about(cloud.about)
    }

    pub(super) fn from_arg_matches_mut(cloud: &'static Cloud, matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            wanted: CredentialFlags::from_arg_matches(cloud, matches)?,
            output: OutputFlags::from_arg_matches_mut(matches)?,
            access: AccessFlags::from_arg_matches_mut(matches)?,
        })
    }
}

/// The settings of all clouds, each once, for a command that takes any cloud, without those that are its own flags.
pub(super) fn settings_of_all_clouds(own: &[&'static str]) -> Vec<Arg> {
    let mut known = own.to_vec();
    let mut settings = Vec::new();
    for setting in CLOUDS.into_iter().flat_map(|cloud| cloud.settings) {
        if !known.contains(&setting.key()) {
            known.push(setting.key());
            settings.push(argument(setting).help_heading("Credential").hide_short_help(true));
        }
    }
    settings
}

fn argument(setting: &Setting) -> Arg {
    let heading = match setting.heading {
        Heading::Credential => "Credential",
        Heading::Output => "Output",
    };
    let argument = Arg::new(setting.key()).long(setting.key()).help(setting.help).help_heading(heading);
    let argument = argument.hide_short_help(!setting.common);
    match setting.value {
        Value::Switch => argument.action(ArgAction::SetTrue),
        Value::Text(name) => argument.value_name(name),
        Value::List(name) => argument.value_name(name).action(ArgAction::Append),
        Value::Choice(name, choices) => {
            let values = choices.iter().map(|(value, help)| PossibleValue::new(*value).help(*help));
            argument.value_name(name).value_parser(PossibleValuesParser::new(values))
        }
    }
}

/// `ci-creds cache`.
#[derive(Args)]
#[command(about = CACHE)]
pub struct CacheFlags {
    /// What to do with it [default: list it]
    #[command(subcommand)]
    pub action: Option<CacheAction>,
}

/// What to do with the cache.
#[derive(Subcommand)]
pub enum CacheAction {
    /// Revoke every credential and login of this job, as ci-creds revoke does
    Clear(ClearFlags),
}

/// Likewise.
pub(super) const REVOKE: &str = "Revoke every credential and login of this job";

/// `ci-creds revoke`.
#[derive(Args)]
#[command(about = REVOKE)]
pub struct RevokeFlags {
    /// Revoke what this login made in any job, with any role, and at any mount
    #[arg(long)]
    pub all_mine: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessFlags,
}

/// Likewise.
pub(super) const WHOAMI: &str = "Print who the job is to Vault";

/// `ci-creds whoami`.
#[derive(Args)]
#[command(about = WHOAMI)]
pub struct WhoamiFlags {
    /// What to print [default: text]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<WhoamiFormat>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessFlags,
}

/// What `ci-creds whoami` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhoamiFormat {
    /// Lines to read.
    Text,
    /// One JSON object.
    Json,
}

/// `ci-creds cache clear`.
#[derive(Args)]
#[command(after_help = super::help::CLEAR)]
pub struct ClearFlags {
    /// Also remove the entries of other logins, and those that Vault did not revoke; their leases expire on their own
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessFlags,
}

/// Which credential.
#[derive(Args)]
#[command(next_help_heading = "Credential")]
pub struct EngineFlags {
    /// The engine's role, such as deploy or {project_id}-dev
    #[arg(short, long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Where the engine is mounted [default: the name of the command]
    #[arg(short, long, value_name = "MOUNT", hide_short_help = true)]
    pub mount: Option<String>,
}

/// Whether what is made is noted for `ci-creds revoke`.
#[derive(Args, Clone, Copy)]
pub struct StateFlags {
    /// Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]
    #[arg(long, conflicts_with = "no_keep_state", hide_short_help = true)]
    pub keep_state: bool,
    /// Do not note the lease and the login
    #[arg(long, hide_short_help = true)]
    pub no_keep_state: bool,
}

/// How it is delivered.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// What to print [default: shell]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print only a line that sources a private file, which removes itself
    #[arg(long, hide_short_help = true)]
    pub via_file: bool,
    /// Cache the credential, and the login of a single-use secret, for the next calls of this job
    #[arg(long, conflicts_with = "no_cache", hide_short_help = true)]
    pub cache: bool,
    /// Neither read nor write the cache [default: only --format process has one]
    #[arg(long, hide_short_help = true)]
    pub no_cache: bool,
    /// See [`StateFlags`].
    #[command(flatten)]
    pub state: StateFlags,
    /// Write the credential into this credentials file
    ///
    /// It is edited in place: other profiles stay. Implies --format file.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The name of the profile or account in the file [default: ci-creds]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub profile: Option<String>,
    /// Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file
    #[arg(long, hide_short_help = true)]
    pub replace_profile: bool,
    /// Print it even on a terminal or into a job's log
    #[arg(long)]
    pub reveal: bool,
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// The names follow `aws configure export-credentials`, and are in the table of [`Format`].
impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let facts = self.facts();
        Some(PossibleValue::new(facts.name).aliases(facts.alias).help(facts.help))
    }
}
