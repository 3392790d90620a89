//! The flags of `ci-creds policy`: those of the run that the text is for, and what only the text needs.

use clap::builder::PossibleValue;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};

use super::access::AccessFlags;
use super::exec::CloudFlags;
use super::flag::{CredentialFlags, EngineFlags, settings_of_all_clouds};
use super::secret::{ProviderWord, SecretMapping, SecretSelection, split_providers};
use crate::policy::format::{OperatorCli, PolicyFormat};
use crate::provider::cloud::{Cloud, Setting};

/// What `policy` is for, in the list of commands and at the head of its own help.
pub(super) const POLICY: &str = "Print the least policy and the login role of a run";

/// `ci-creds policy`.
pub struct PolicyFlags {
    /// Which credentials the run reads.
    pub wanted: Vec<CredentialFlags>,
    /// Which secrets of other engines.
    pub secrets: Option<SecretSelection>,
    /// A cloud's setting that was given for none of the clouds that were named.
    pub stray_setting: Option<(&'static Setting, &'static Cloud)>,
    /// How long the login lives.
    pub ttl: Option<String>,
    /// What is printed.
    pub format: PolicyFormat,
    /// The program that the script calls.
    pub cli: OperatorCli,
    /// The policy's name.
    pub name: Option<String>,
    /// Claims of the job's ID token, each as `NAME=VALUE`.
    pub claims: Vec<String>,
    /// Whether the policy covers every value of the placeholders.
    pub every_value: bool,
    /// Who the job is. Of the connection, the namespace and the configuration file count.
    pub access: AccessFlags,
}

#[derive(Args)]
struct PolicyProviders {
    /// Whose credentials the run reads; behind secret, the names of sections
    #[arg(value_name = "PROVIDER", required = true, num_args = 1.., value_parser = ProviderWord)]
    providers: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
struct TextFlags {
    /// What to print [default: commands]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Option<PolicyFormat>,
    /// The program that the script calls [default: vault]
    #[arg(long, value_enum, value_name = "PROGRAM", hide_short_help = true)]
    cli: Option<OperatorCli>,
    /// The policy's name [default: ci-creds- and the login's role]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    name: Option<String>,
    /// A claim of the job's ID token, where no ID token is set: aud, iss, project_id, ref_protected
    #[arg(long, value_name = "NAME=VALUE")]
    claim: Vec<String>,
    /// Cover every value of the placeholders behind {project_id}, by a * at the end of the path
    #[arg(long, hide_short_help = true)]
    every_value: bool,
    /// How long the login lives, and the credentials [default: 1h]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
}

impl PolicyFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let command = TextFlags::augment_args(PolicyProviders::augment_args(command));
        let command = EngineFlags::augment_args(command).args(settings_of_all_clouds(&["ttl", "path"]));
        let command = SecretMapping::augment_hidden(command);
        AccessFlags::augment_args(command).about(POLICY)
    }

    pub(super) fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let PolicyProviders { providers } = PolicyProviders::from_arg_matches_mut(matches)?;
        let (providers, names) = split_providers(providers)?;
        // First: `--ttl` and `--path` are settings of clouds as well, and who reads them as its own takes them out.
        let CloudFlags { wanted, stray_setting } = CloudFlags::from_arg_matches(&providers, matches)?;
        let TextFlags { format, cli, name, claim, every_value, ttl } = TextFlags::from_arg_matches_mut(matches)?;
        let mapping = SecretMapping::from_arg_matches_mut(matches)?;
        // Both a stored key and a secret have a path.
        let stray_setting = stray_setting.filter(|(setting, _)| names.is_none() || setting.key() != "path");
        Ok(Self {
            wanted,
            secrets: names.map(|names| SecretSelection { names, mapping }),
            stray_setting,
            ttl,
            format: format.unwrap_or_default(),
            cli: cli.unwrap_or_default(),
            name,
            claims: claim,
            every_value,
            access: AccessFlags::from_arg_matches_mut(matches)?,
        })
    }
}

impl ValueEnum for PolicyFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = self.facts();
        Some(PossibleValue::new(name).help(help))
    }
}

impl ValueEnum for OperatorCli {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
