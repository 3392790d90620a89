//! What `ci-creds token rotate` does, fully decided.

use std::time::Duration;

use super::gitlab::{VariablePlan, resolve_variable};
use super::name::check_role;
use super::source::Layers;
use super::{Access, resolve_access_by};
use crate::cli;
use crate::error::Result;
use crate::origin::{Origin, WithOrigin};
use crate::time::parse_duration;

/// What replaces the pipeline's token.
#[derive(Debug)]
pub(crate) struct Rotate {
    /// Vault, and the token that is replaced.
    pub access: Access,
    /// The token role that makes the new one.
    pub token_role: String,
    /// Where it is stored.
    pub variable: VariablePlan,
    /// How long the old one lives on; zero is not at all, and `None` as long as it would anyway.
    pub grace: Option<Duration>,
    /// How long GitLab lets this job run on.
    pub job_left: Option<Duration>,
}

/// Decides everything about a rotation.
///
/// # Errors
/// Whatever is wrong before the first request.
pub(crate) fn resolve_rotate(flags: &cli::RotateFlags, layers: &Layers<'_>) -> Result<Rotate> {
    let token_role = WithOrigin { value: flags.token_role.trim().to_owned(), origin: Origin::Flag("--token-role") };
    check_role(&token_role, "token role")?;
    let variable = resolve_variable(&flags.variable, layers)?;
    let grace = flags.grace.as_deref().map(|text| match text.trim() {
        "0" | "0s" => Ok(Duration::ZERO),
        text => parse_duration(&WithOrigin { value: text.to_owned(), origin: Origin::Flag("--grace") }),
    });
    let (access, _) = resolve_access_by(&flags.access, false, layers)?;
    let job_left = layers.job().left()?.map(|left| left.value);
    Ok(Rotate { access, token_role: token_role.value, variable, grace: grace.transpose()?, job_left })
}
