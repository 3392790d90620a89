//! The flags of `ci-creds doctor`: those of the run that it examines, and how the diagnosis is printed.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};

use super::access::AccessFlags;
use super::flag::{CredentialFlags, EngineFlags, settings_of_all_clouds};
use super::secret::{ProviderWord, SecretMapping, SecretSelection, split_providers};
use crate::provider::CLOUDS;

/// What `doctor` is for, in the list of commands and at the head of its own help.
pub(super) const DOCTOR: &str = "Find out which step of a run fails, and what to change";

/// `ci-creds doctor`.
pub struct DoctorFlags {
    /// Which credential the run reads, if it reads one.
    pub wanted: Option<CredentialFlags>,
    /// Which secrets of other engines it reads, if it reads such.
    pub secrets: Option<SecretSelection>,
    /// How the diagnosis is printed.
    pub format: DoctorFormat,
    /// Whether it is printed for a ticket.
    pub report: bool,
    /// Whether that has host names and addresses in it.
    pub with_names: bool,
    /// Who the job is, and how Vault is reached.
    pub access: AccessFlags,
}

/// How a diagnosis is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// A line for each step
    #[default]
    Text,
    /// One JSON document, as docs/doctor.schema.json describes it
    Json,
}

#[derive(Args)]
struct Provider {
    /// Whose credential the run reads; behind secret, the names of sections [default: none, only the login is examined]
    #[arg(value_name = "PROVIDER", value_parser = ProviderWord)]
    provider: Vec<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
struct DiagnosisFlags {
    /// How to print the diagnosis
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t, hide_possible_values = true)]
    format: DoctorFormat,
    /// Print Markdown for a ticket, without host names and addresses
    #[arg(long, conflicts_with = "format")]
    report: bool,
    /// Leave host names and addresses in the report
    #[arg(long, requires = "report", hide_short_help = true)]
    with_names: bool,
}

impl DoctorFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let command = DiagnosisFlags::augment_args(Provider::augment_args(command));
        let command = EngineFlags::augment_args(command).args(settings_of_all_clouds(&["path"]));
        let command = SecretMapping::augment_hidden(command);
        AccessFlags::augment_args(command).about(DOCTOR)
    }

    /// Those of a run with these flags.
    pub(super) fn of_run(wanted: Option<CredentialFlags>, access: AccessFlags) -> Self {
        let (format, secrets) = (DoctorFormat::Text, None);
        Self { wanted, secrets, format, report: false, with_names: false, access }
    }

    pub(super) fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let Provider { provider } = Provider::from_arg_matches_mut(matches)?;
        let DiagnosisFlags { format, report, with_names } = DiagnosisFlags::from_arg_matches_mut(matches)?;
        let second = provider.get(1).cloned();
        let (clouds, names) = split_providers(provider)?;
        if let Some(second) = second.filter(|_| !clouds.is_empty()) {
            let mut error = clap::Error::new(ErrorKind::UnknownArgument);
            error.insert(ContextKind::InvalidArg, ContextValue::String(second));
            return Err(error);
        }
        let cloud = CLOUDS.into_iter().find(|cloud| clouds.iter().any(|name| name == cloud.command));
        // First: `--path` is a setting of Scaleway's as well, and who reads it as its own takes it out.
        let wanted = cloud.map(|cloud| CredentialFlags::from_arg_matches(cloud, matches)).transpose()?;
        let mapping = SecretMapping::from_arg_matches_mut(matches)?;
        Ok(Self {
            wanted,
            secrets: names.map(|names| SecretSelection { names, mapping }),
            format,
            report,
            with_names,
            access: AccessFlags::from_arg_matches_mut(matches)?,
        })
    }
}
