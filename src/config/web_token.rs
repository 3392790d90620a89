//! The ID token in a file, for AWS's SDKs: what `--format web-identity` needs, before the file is made.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::provider::role::WebIdentityRequest;
use crate::time::render_duration;

/// How long the ID token lives at least. botocore asks for a new session while less than 15 minutes of the old one are left,
/// and with a token that has expired no SDK gets one.
const SHORTEST: Duration = Duration::from_secs(900);

/// Refuses flags that the format cannot pass on: the SDKs ask STS by themselves, without these limits.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn check_request(request: Option<&WebIdentityRequest>, output: &cli::OutputFlags) -> Result<()> {
    let Some(request) = request else {
        return Err(unfit("--format web-identity hands over the ID token itself, and needs --via web-identity")
            .hint("ci-creds aws --via web-identity --role-arn ARN --format web-identity"));
    };
    if output.cache {
        return Err(unfit("--format web-identity makes no credential, so --cache has nothing to keep")
            .hint("drop --cache: the SDKs keep their session themselves"));
    }
    let limits = [
        ("a second role (--assume)", request.second.is_some()),
        ("the lifetime (--ttl)", request.ttl.is_some()),
        ("a policy (--policy-file)", request.policy_file.is_some()),
        ("a policy (--policy-arn)", !request.policy_arns.is_empty()),
        ("the FIPS endpoint (--fips)", request.fips),
    ];
    match limits.into_iter().find(|(_, said)| *said) {
        Some((what, _)) => {
            Err(unfit(format!("the SDKs ask STS themselves with --format web-identity, and do not know {what}"))
                .hint("use --format shell or --format file, or drop that setting"))
        }
        None => Ok(()),
    }
}

/// Checks that the ID token lives long enough for a session.
///
/// # Errors
/// [`Kind::Config`].
pub(super) fn check_life(login: &Login, now: Timestamp) -> Result<()> {
    let end = login.identity.claims().and_then(|claims| claims.seconds("exp"));
    let left = end.map(|end| u64::try_from(end.saturating_sub(now.as_second())).unwrap_or_default());
    let told = match left.map(Duration::from_secs) {
        Some(left) if left >= SHORTEST => return Ok(()),
        Some(Duration::ZERO) => "has expired".to_owned(),
        Some(left) => format!("expires in {}", render_duration(left)),
        None => "does not say when it expires".to_owned(),
    };
    Err(unfit(format!(
        "the ID token (from {}) {told}, and --format web-identity needs 15m: the SDKs show it to AWS again",
        login.origin
    ))
    .hint("use --format shell or --format file: ci-creds shows the token to AWS once, and the session lives for --ttl"))
}

fn unfit(message: impl Into<String>) -> Error {
    Error::new(Kind::Config, message)
}
