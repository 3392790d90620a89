//! The flags of `ci-creds token renew` and `ci-creds token rotate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::access::AccessFlags;

/// What the command is for: in the list of commands, and at the head of its own help.
pub(super) const TOKEN: &str = "Print a short-lived Vault token, or renew or replace a stored one";

/// `ci-creds token`.
#[derive(Args)]
#[command(about = TOKEN)]
pub struct TokenCall {
    /// What to do with it
    #[command(subcommand)]
    pub action: Option<TokenAction>,
}

/// What to do with the stored token.
#[derive(Subcommand)]
pub enum TokenAction {
    /// Renew the token in use and print when it expires
    Renew(RenewFlags),
    /// Replace the token in a CI/CD variable of GitLab by a new one
    Rotate(RotateFlags),
}

/// `ci-creds token renew`.
#[derive(Args)]
#[command(after_help = super::help::TOKEN_RENEW)]
pub struct RenewFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessFlags,
}

/// `ci-creds token rotate`.
#[derive(Args)]
#[command(after_help = super::help::TOKEN_ROTATE)]
pub struct RotateFlags {
    /// The token role that makes the new token
    #[arg(long, value_name = "ROLE", required = true)]
    pub token_role: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub variable: VariableFlags,
    /// Revoke the old token after this time; 0s revokes it immediately [default: it lives until it expires]
    #[arg(long, value_name = "DURATION")]
    pub grace: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: AccessFlags,
}

/// Which variable of GitLab, and by which token it may be written.
#[derive(Args)]
#[command(next_help_heading = "GitLab")]
pub struct VariableFlags {
    /// The CI/CD variable that holds the token
    #[arg(long, value_name = "NAME", required = true)]
    pub gitlab_variable: String,
    /// The variable's environment scope, if it has more than one
    #[arg(long, value_name = "SCOPE")]
    pub environment_scope: Option<String>,
    /// The group that has the variable: its number or path [default: the project in CI_PROJECT_ID]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// The variable that holds GitLab's access token: role Maintainer, scope api
    #[arg(long, value_name = "NAME", conflicts_with = "gitlab_token_file")]
    pub gitlab_token_env: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "PATH")]
    pub gitlab_token_file: Option<PathBuf>,
}
