//! `sts:GetWebIdentityToken`: STS signs an ID token for whoever signed the request. It knows every parameter and its limits,
//! and an account whose outbound federation can be off.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::clock::{rfc3339, unix};
use crate::engine::aws_login::{AWS_SESSION, bare_role, verify_signature};
use crate::gitlab::GitlabToken;
use crate::journal::Recorded;
use crate::random;

/// The issuer of the account's tokens. Their key is that of [`GitlabToken`].
pub const AWS_ISSUER: &str = "https://a1d2b0fd-1177-4468-9351-2f00example0.tokens.sts.global.api.aws";
/// The region of the endpoint: a signature for another one is refused.
pub const AWS_REGION: &str = "eu-central-1";
/// A tag of the role: `project`.
pub const AWS_TAG: &str = "web";

/// The account, as far as its tokens depend on it.
pub(crate) struct Account {
    pub(crate) enabled: AtomicBool,
    /// How long the session of the role still lasts, in seconds.
    pub(crate) left: AtomicU64,
}

impl Default for Account {
    fn default() -> Self {
        Self { enabled: AtomicBool::new(true), left: AtomicU64::new(6 * 3600) }
    }
}

/// A refusal: status, code, message.
type Refusal = (u16, &'static str, String);

/// The body of the answer.
pub(crate) fn answer(
    account: &Account,
    request: &Recorded,
    form: &BTreeMap<String, String>,
    now: SystemTime,
    namespace: &str,
) -> Result<String, Refusal> {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let headers = request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let host = request.headers.get("host").unwrap_or_default();
    let signer = verify_signature(host, &headers, AWS_REGION, unix(SystemTime::now()), &body)
        .map_err(|(code, message)| (403, code, message))?;
    let (audiences, seconds) = check(form)?;
    if signer.id != AWS_SESSION.id {
        let text = format!(
            "User: {} is not authorized to perform: sts:GetWebIdentityToken because no identity-based policy allows the \
             sts:GetWebIdentityToken action",
            signer.arn
        );
        return Err((403, "AccessDenied", text));
    }
    if !account.enabled.load(Ordering::SeqCst) {
        let text = "Outbound web identity federation is not enabled for this account.";
        return Err((403, "OutboundWebIdentityFederationDisabledException", text.into()));
    }
    let left = account.left.load(Ordering::SeqCst);
    if seconds > left {
        let text = "The requested token duration would extend the session beyond its original expiration time.";
        return Err((403, "SessionDurationEscalationException", text.into()));
    }
    let expires = now + Duration::from_secs(seconds);
    let claims = json!({
        "iss": AWS_ISSUER, "aud": audiences, "sub": bare_role(signer.arn), "jti": random::uuid(),
        "iat": unix(now), "exp": unix(expires),
        "https://sts.amazonaws.com/": {
            "aws_account": "123456789012", "source_region": AWS_REGION, "org_id": "o-abc1234567",
            "ou_path": "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", "principal_tags": { "project": AWS_TAG },
            "original_session_exp": rfc3339(now + Duration::from_secs(left)), "ec2_role_delivery": "2",
        },
    });
    let token = GitlabToken::of(&claims).without("nbf").sign();
    let action = "GetWebIdentityToken";
    Ok(format!(
        "<{action}Response xmlns=\"{namespace}\">\n  <{action}Result>\n    <Expiration>{}</Expiration>\n    \
         <WebIdentityToken>{token}</WebIdentityToken>\n  </{action}Result>\n  <ResponseMetadata>\n    \
         <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n",
        rfc3339(expires)
    ))
}

/// The audiences and the life that are asked for. From botocore's model of STS.
fn check(form: &BTreeMap<String, String>) -> Result<(Value, u64), Refusal> {
    let invalid = |text: &str| (400, "ValidationError", format!("1 validation error detected: {text}"));
    let mut audiences = Vec::new();
    while let Some(audience) = form.get(&format!("Audience.member.{}", audiences.len() + 1)) {
        if !(1..=1000).contains(&audience.chars().count()) {
            return Err(invalid("Value at 'audience' failed to satisfy constraint"));
        }
        audiences.push(audience.clone());
    }
    if !(1..=10).contains(&audiences.len()) {
        return Err(invalid("Value at 'audience' failed to satisfy constraint: 1 to 10 members"));
    }
    let seconds = match form.get("DurationSeconds").map(|text| text.parse()) {
        None => 300,
        Some(Ok(seconds @ 60..=3600)) => seconds,
        Some(_) => return Err(invalid("Value at 'durationSeconds' failed to satisfy constraint")),
    };
    match form.get("SigningAlgorithm").map(String::as_str) {
        Some("RS256") => {}
        Some("ES384") => return Err((501, "NotImplemented", "this stand-in has no key for ES384".into())),
        _ => return Err(invalid("Value at 'signingAlgorithm' failed to satisfy constraint: [ES384, RS256]")),
    }
    let known = ["Action", "Version", "DurationSeconds", "SigningAlgorithm"];
    let is_known = |name: &str| known.contains(&name) || name.starts_with("Audience.member.");
    if form.keys().filter(|name| name.starts_with("Audience.")).count() != audiences.len()
        || form.keys().any(|name| !is_known(name))
    {
        return Err(invalid("a parameter that nobody here may send"));
    }
    Ok((if audiences.len() == 1 { json!(audiences[0]) } else { json!(audiences) }, seconds))
}
