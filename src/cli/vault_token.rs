//! The flags of `ci-creds token`.

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::access::AccessFlags;
use super::flag::OutputFlags;
use super::secret::PlainOutput;

/// `ci-creds token`.
pub struct VaultTokenFlags {
    /// How long the token lives.
    pub ttl: Option<String>,
    /// For how many requests it is good.
    pub uses: Option<String>,
    /// How it is delivered.
    pub output: OutputFlags,
    /// Who the job is, and how Vault is reached.
    pub access: AccessFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Token")]
struct TokenLimits {
    /// How long the token lives [default: the rest of the job, or 30m]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// For how many requests it is good [default: no limit]
    #[arg(long, value_name = "N")]
    uses: Option<String>,
}

impl VaultTokenFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let command = PlainOutput::augment_args(TokenLimits::augment_args(command));
        // Each of these would put its own description in the command's place.
        AccessFlags::augment_args(command).about(super::token::TOKEN)
    }

    pub(super) fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let TokenLimits { ttl, uses } = TokenLimits::from_arg_matches_mut(matches)?;
        Ok(Self {
            ttl,
            uses,
            output: PlainOutput::from_arg_matches_mut(matches)?.into_output(false, false),
            access: AccessFlags::from_arg_matches_mut(matches)?,
        })
    }
}
