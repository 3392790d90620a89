//! The flags of `ci-creds exec`: those of every cloud's command at once, and how long the credentials live.

use std::ffi::{OsStr, OsString};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::access::AccessFlags;
use super::flag::{CredentialFlags, EngineFlags, StateFlags, settings_of_all_clouds};
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Setting};

/// What `exec` is for, in the list of commands and at the head of its own help.
pub(super) const EXEC: &str = "Run a command with credentials that expire with it";

/// The provider of `exec` that hands over the Vault token itself.
const VAULT: &str = "vault";

/// `ci-creds exec`.
pub struct ExecFlags {
    /// Which credentials.
    pub wanted: Vec<CredentialFlags>,
    /// Secrets of other engines: the names of sections.
    pub secrets: Vec<String>,
    /// Whether the command gets the Vault token.
    pub vault: bool,
    /// A cloud's setting that was given for none of the clouds that were named.
    pub stray_setting: Option<(&'static Setting, &'static Cloud)>,
    /// How long the credentials must last.
    pub ttl: Option<String>,
    /// How long they live when this process cannot end them.
    pub leash: Option<String>,
    /// Whether the exit code tells of what was not revoked.
    pub strict_revoke: bool,
    /// What happens before a credential expires.
    pub on_expiry: Option<String>,
    /// Whether what is made is noted for `ci-creds revoke`.
    pub state: StateFlags,
    /// Whether the AWS credential is served at an endpoint.
    pub serve: bool,
    /// Whether the command's SDKs read AWS's own files beside it.
    pub keep_aws_config: bool,
    /// Who the job is, and how Vault is reached.
    pub access: AccessFlags,
    /// The command, its arguments behind it.
    pub command: Vec<OsString>,
}

#[derive(Args)]
struct Providers {
    /// Whose credentials the command gets; also secret:NAME
    #[arg(value_name = "PROVIDER", required = true, num_args = 1.., value_parser = providers())]
    providers: Vec<String>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true, num_args = 1.., allow_hyphen_values = true)]
    command: Vec<OsString>,
}

#[derive(Args)]
#[command(next_help_heading = "Lifetime")]
struct Lifetime {
    /// How long they must last [default: the rest of the job]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// How long they live on when ci-creds is killed: 30s and more, or off [default: 5m in a job, off elsewhere]
    #[arg(long, value_name = "DURATION")]
    leash: Option<String>,
    /// What to do before a credential expires: warn, or also send SIGTERM to the command [default: warn]
    #[arg(long, value_name = "ACTION", value_parser = ["warn", "term"], conflicts_with = "serve", hide_short_help = true)]
    on_expiry: Option<String>,
    /// Exit with 80 if a revocation failed
    #[arg(long, hide_short_help = true)]
    strict_revoke: bool,
    #[command(flatten)]
    state: StateFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Endpoint")]
struct EndpointFlags {
    /// Serve the AWS credential on 127.0.0.1, and replace it there
    #[arg(long)]
    serve: bool,
    /// Leave AWS_PROFILE and the AWS configuration files to the command; with --serve
    #[arg(long, requires = "serve", hide_short_help = true)]
    keep_aws_config: bool,
}

/// How a secret is named among the providers.
const SECRET: &str = "secret:";

/// A cloud, the Vault token, or a secret by the name of its section.
#[derive(Clone)]
struct ProviderParser(PossibleValuesParser);

impl TypedValueParser for ProviderParser {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        match value.to_str().filter(|text| text.starts_with(SECRET)) {
            Some(text) => Ok(text.to_owned()),
            None => self.0.parse_ref(command, arg, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

fn providers() -> ProviderParser {
    let cloud = |cloud: &'static Cloud| PossibleValue::new(cloud.command);
    let vault = PossibleValue::new(VAULT).help("The Vault token itself, as VAULT_TOKEN");
    ProviderParser(PossibleValuesParser::new(CLOUDS.into_iter().map(cloud).chain([vault])))
}

/// The credentials of the clouds that are named, in the order of their names.
pub(super) struct CloudFlags {
    pub(super) wanted: Vec<CredentialFlags>,
    /// A cloud's setting that was given for none of them.
    pub(super) stray_setting: Option<(&'static Setting, &'static Cloud)>,
}

impl CloudFlags {
    pub(super) fn from_arg_matches(providers: &[String], matches: &ArgMatches) -> Result<Self, clap::Error> {
        let place = |cloud: &Cloud| providers.iter().position(|provider| provider == cloud.command);
        let (mut clouds, others): (Vec<_>, Vec<_>) = CLOUDS.into_iter().partition(|cloud| place(cloud).is_some());
        clouds.sort_by_key(|cloud| place(cloud));
        let wanted: Vec<_> = clouds
            .into_iter()
            .map(|cloud| CredentialFlags::from_arg_matches(cloud, matches))
            .collect::<Result<_, _>>()?;
        let is_known = |setting: &Setting| {
            setting.key() == "ttl"
                || wanted.iter().any(|one| one.cloud.settings.iter().any(|own| own.key() == setting.key()))
        };
        let mut strays = Vec::new();
        for cloud in others {
            let CredentialFlags { settings, .. } = CredentialFlags::from_arg_matches(cloud, matches)?;
            let given = settings.into_iter().map(|(setting, _)| setting);
            strays.extend(given.filter(|setting| !is_known(setting)).map(|setting| (setting, cloud)));
        }
        Ok(Self { wanted, stray_setting: strays.into_iter().next() })
    }
}

impl ExecFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let command =
            EngineFlags::augment_args(Providers::augment_args(command)).args(settings_of_all_clouds(&["ttl"]));
        let command = EndpointFlags::augment_args(Lifetime::augment_args(command));
        AccessFlags::augment_args(command).about(EXEC)
    }

    pub(super) fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let Providers { providers, command } = Providers::from_arg_matches_mut(matches)?;
        // First: `--ttl` is a setting of AWS's as well, and who reads it as its own takes it out.
        let CloudFlags { wanted, stray_setting } = CloudFlags::from_arg_matches(&providers, matches)?;
        let Lifetime { ttl, leash, on_expiry, strict_revoke, state } = Lifetime::from_arg_matches_mut(matches)?;
        let EndpointFlags { serve, keep_aws_config } = EndpointFlags::from_arg_matches_mut(matches)?;
        Ok(Self {
            stray_setting,
            wanted,
            secrets: providers.iter().filter_map(|one| one.strip_prefix(SECRET)).map(str::to_owned).collect(),
            vault: providers.iter().any(|provider| provider == VAULT),
            ttl,
            leash,
            strict_revoke,
            on_expiry,
            state,
            serve,
            keep_aws_config,
            access: AccessFlags::from_arg_matches_mut(matches)?,
            command,
        })
    }
}
