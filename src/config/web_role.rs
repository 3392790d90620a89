//! Which role of AWS takes the job's ID token, and for which audience that token is.

use super::choice::{EnginePlace, choose};
use super::source::Layers;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::origin::WithOrigin;
use crate::provider::aws::web_identity::parse_role;
use crate::provider::role::WebIdentityRequest;
use crate::variables as var;

/// What was said of a credential that needs no Vault; `None` for one that comes from Vault.
pub(super) fn find_request(flags: &cli::CredentialFlags, layers: &Layers<'_>) -> Result<Option<WebIdentityRequest>> {
    let Some(decide) = flags.cloud.without_vault else { return Ok(None) };
    let sets_variables = true;
    choose(flags, EnginePlace::default(), sets_variables, layers, decide)
}

/// The audience of an ID token that is requested for such a credential.
pub(super) fn find_audience(flags: &cli::CredentialFlags, layers: &Layers<'_>) -> Result<Option<String>> {
    let Some(request) = find_request(flags, layers)? else { return Ok(None) };
    let role = resolve_role(request.role, layers)?;
    Ok(Some(audience_of(partition(&role.value)).to_owned()))
}

/// The role that a flag or a file names, or the variable of the SDKs.
pub(super) fn resolve_role(role: Option<WithOrigin<String>>, layers: &Layers<'_>) -> Result<WithOrigin<String>> {
    if let Some(role) = role {
        return Ok(role);
    }
    let role = layers.first_variable(&[var::AWS_ROLE_ARN])?.ok_or_else(|| {
        Error::new(
            Kind::Config,
            "the role that takes the ID token is not set (--role-arn, AWS_ROLE_ARN, role-arn under [aws] in the \
            configuration file)",
        )
        .hint("ci-creds aws --via web-identity --role-arn arn:aws:iam::123456789012:role/NAME")
    })?;
    parse_role(role, "--role-arn")
}

/// The second field of an ARN.
pub(super) fn partition(arn: &str) -> &str {
    arn.split(':').nth(1).unwrap_or_default()
}

/// What AWS's own action for GitHub asks for.
pub(super) fn audience_of(partition: &str) -> &'static str {
    if partition == "aws-cn" { "sts.amazonaws.com.cn" } else { "sts.amazonaws.com" }
}
