//! A role of AWS that the job assumes with its own ID token, as a user says it.

use std::time::Duration;

use crate::origin::WithOrigin;

/// What a user says of the role.
#[derive(Debug)]
pub(crate) struct WebIdentityRequest {
    /// The role that trusts the issuer of the ID token. `None`: nobody names one.
    pub(crate) role: Option<WithOrigin<String>>,
    /// The session's name, its placeholders open.
    pub(crate) session_name: Option<WithOrigin<String>>,
    /// How long the credentials live.
    pub(crate) ttl: Option<WithOrigin<Duration>>,
    /// The file of a policy that limits the session.
    pub(crate) policy_file: Option<WithOrigin<String>>,
    /// Managed policies that limit the session.
    pub(crate) policy_arns: Vec<String>,
    /// The region of STS, and of the job's tools.
    pub(crate) region: Option<WithOrigin<String>>,
    /// Whether the endpoint is a FIPS one.
    pub(crate) fips: bool,
    /// Variables to export beside the credential.
    pub(crate) companions: Vec<(&'static str, String)>,
    /// The role that is assumed with the session of the first one.
    pub(crate) second: Option<SecondRole>,
}

/// A role that is assumed with the session of another one.
#[derive(Debug)]
pub(crate) struct SecondRole {
    pub(crate) arn: WithOrigin<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) source_identity: Option<String>,
}
