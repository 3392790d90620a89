//! `sts:GetWebIdentityToken`: STS signs an ID token for the runner's own AWS identity, for one audience. The form that is
//! posted, and the token in the answer.
//!
//! Pure. Source: botocore's model of STS. The global endpoint does not have the action, and AWS accepts these tokens for none
//! of its roles.

use jiff::Timestamp;

use super::assume::{body, element};
use crate::error::{Error, Kind, sanitized};
use crate::identity::AwsKeys;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain};

/// The action.
pub(crate) const GET_WEB_IDENTITY_TOKEN: &str = "GetWebIdentityToken";
/// Every JWT mount takes it without `jwt_supported_algs`; the other one that AWS has is ES384.
const ALGORITHM: &str = "RS256";
/// AWS's own default, in seconds. The token is used at once.
const LIFE: i64 = 300;
/// The shortest that AWS takes.
const SHORTEST: i64 = 60;

/// The form that asks for a token. A token lives no longer than the session that asks for it, or AWS refuses.
#[must_use]
pub(crate) fn form(audience: &str, keys: &AwsKeys, now: Timestamp) -> Secret {
    let left = keys.expires_at.map_or(LIFE, |end| end.duration_since(now).as_secs());
    let fields = vec![
        ("Audience.member.1", audience.to_owned()),
        ("DurationSeconds", left.clamp(SHORTEST, LIFE).to_string()),
        ("SigningAlgorithm", ALGORITHM.to_owned()),
    ];
    body(GET_WEB_IDENTITY_TOKEN, &fields, None)
}

/// The token in an answer. `None`: it is no such answer.
#[must_use]
pub(crate) fn parse_token(body: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(body).ok()?;
    let token = element(element(text, "GetWebIdentityTokenResult")?, "WebIdentityToken")?;
    (!token.is_empty()).then(|| Secret::new(token.to_owned()))
}

/// What a refusal means.
pub(crate) fn describe(refusal: &Refusal, audience: &str, region: &str, origin: &Origin) -> Error {
    explain(&WEB_TOKEN, refusal, &|name| match name {
        "origin" => origin.to_string(),
        "aud" => sanitized(audience),
        _ => region.to_owned(),
    })
}

/// What AWS says, and what to change.
pub(super) const WEB_TOKEN: [Row; 11] = [
    TOKEN.config(
        "sts-id-token-disabled",
        Says::Text(&["OutboundWebIdentityFederationDisabled"]),
        "the account of these credentials must enable outbound federation: aws iam enable-outbound-web-identity-federation",
    ),
    TOKEN.refused(
        "sts-id-token-denied",
        Says::Text(&["AccessDenied"]),
        "the policy of this AWS identity lacks \"Effect\": \"Allow\", \"Action\": \"sts:GetWebIdentityToken\", \"Resource\": \"*\"; \
        where it has that, its conditions must allow sts:IdentityTokenAudience {aud}, sts:SigningAlgorithm RS256 and \
        sts:DurationSeconds 300",
    ),
    TOKEN.refused(
        "sts-id-token-session-ends",
        Says::Text(&["SessionDurationEscalation"]),
        "the session of these credentials ends within five minutes, and an ID token may not outlive it: get new ones",
    ),
    TOKEN.config(
        "sts-id-token-too-large",
        Says::Text(&["JWTPayloadSizeExceeded"]),
        "the tags of the role and of its session are in the token: remove some",
    ),
    TOKEN.refused(
        "sts-id-token-signature",
        Says::Text(&["SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"]),
        "AWS_SECRET_ACCESS_KEY does not belong to the access key, the clock of this runner is five minutes off, or {region} is \
        not the region of the endpoint: --sts-region",
    ),
    TOKEN.refused(
        "sts-id-token-credentials",
        Says::Text(&["InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId", "ExpiredToken"]),
        "AWS does not know these credentials, or they have expired: get new ones",
    ),
    TOKEN.config(
        "sts-id-token-region",
        Says::Text(&["RegionDisabledException", "InvalidAction"]),
        "STS signs no ID token in {region} for this account: --sts-region must name a region that it has enabled",
    ),
    TOKEN.config(
        "sts-id-token-audience",
        Says::Text(&["ValidationError", "InvalidParameterValue"]),
        "AWS takes an audience of 1000 characters at most: --id-token-audience",
    ),
    Row {
        id: "sts-id-token-throttled",
        says: Says::Text(&["Throttl", "RequestLimitExceeded", "TooManyRequests"]),
        kind: Kind::Temporary,
        cause: TOKEN.0,
        change: "AWS limits the rate of requests: run it again later, or allow more time with --timeout",
    },
    Row {
        id: "sts-id-token-failed",
        says: Says::Status(&[408, 429, 500, 502, 503, 504]),
        kind: Kind::Unavailable,
        cause: TOKEN.0,
        change: "run it again later",
    },
    TOKEN.refused(
        "sts-id-token-other",
        Says::Anything,
        "check --sts-region, and that the endpoint is STS: AWS_ENDPOINT_URL_STS must not be set to another server",
    ),
];

const TOKEN: CommonCause =
    CommonCause("AWS did not sign an ID token for {aud} with the AWS credentials (from {origin}) ({because})");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::{Repeat, repeat};
    use crate::vault::refusal::find;

    #[test]
    fn a_token_is_asked_for_as_long_as_the_session_lasts_and_for_five_minutes_at_most() {
        let now: Timestamp = "2026-11-29T01:02:03Z".parse().unwrap();
        for (end, seconds) in [
            (None, 300),
            (Some("2026-11-29T07:02:03Z"), 300),
            (Some("2026-11-29T01:04:03Z"), 120),
            (Some("2026-11-29T01:02:13Z"), 60),
        ] {
            let keys = AwsKeys { expires_at: end.map(|end| end.parse().unwrap()), ..AwsKeys::blank() };
            let expected = format!(
                "Action=GetWebIdentityToken&Version=2011-06-15&Audience.member.1=https%3A%2F%2Fvault.corp%3A8200\
                 &DurationSeconds={seconds}&SigningAlgorithm=RS256"
            );
            assert_eq!(form("https://vault.corp:8200", &keys, now).expose(), expected, "{end:?}");
        }
    }

    #[test]
    fn the_token_is_read_from_the_answer_to_this_action_alone() {
        let answer = |action: &str, inside: &str| {
            let text =
                format!("<{action}Response xmlns=\"x\"><{action}Result>{inside}</{action}Result></{action}Response>");
            parse_token(text.as_bytes()).map(|token| token.expose().to_owned())
        };
        let token = "<Expiration>2026-11-29T01:07:03Z</Expiration><WebIdentityToken>\n eyJ.a_b-c\n</WebIdentityToken>";
        assert_eq!(answer("GetWebIdentityToken", token).as_deref(), Some("eyJ.a_b-c"));
        for (action, inside) in [
            ("AssumeRole", token),
            ("GetWebIdentityToken", "<WebIdentityToken></WebIdentityToken>"),
            ("GetWebIdentityToken", "<Expiration>2026-11-29T01:07:03Z</Expiration>"),
        ] {
            assert_eq!(answer(action, inside), None, "{action} {inside}");
        }
        assert!(parse_token(b"<html>welcome</html>").is_none() && parse_token(b"\xff").is_none());
    }

    #[test]
    fn every_refusal_of_an_id_token_has_its_row_its_kind_and_its_repeats() {
        for (status, code, id, kind, repeats) in [
            (403, "OutboundWebIdentityFederationDisabledException", "disabled", Kind::Config, Repeat::Never),
            (403, "AccessDenied", "denied", Kind::Denied, Repeat::Never),
            (403, "SessionDurationEscalationException", "session-ends", Kind::Denied, Repeat::Never),
            (400, "JWTPayloadSizeExceededException", "too-large", Kind::Config, Repeat::Never),
            (403, "SignatureDoesNotMatch", "signature", Kind::Denied, Repeat::Never),
            (403, "InvalidClientTokenId", "credentials", Kind::Denied, Repeat::Never),
            (403, "ExpiredToken", "credentials", Kind::Denied, Repeat::Never),
            (403, "RegionDisabledException", "region", Kind::Config, Repeat::Never),
            (400, "InvalidAction", "region", Kind::Config, Repeat::Never),
            (400, "ValidationError", "audience", Kind::Config, Repeat::Never),
            (400, "Throttling", "throttled", Kind::Temporary, Repeat::InTime),
            (503, "ServiceUnavailable", "failed", Kind::Unavailable, Repeat::InTime),
            (404, "", "other", Kind::Denied, Repeat::Never),
        ] {
            let refusal = Refusal { status, reason: code.to_owned() };
            let row = find(&WEB_TOKEN, &refusal).expect("a row");
            let id = format!("sts-id-token-{id}");
            assert_eq!((row.id, row.kind, repeat(&refusal)), (id.as_str(), kind, repeats), "{status} {code}");
        }
    }
}
