//! What a refusal of STS means, and what to change.
//!
//! Source: STS's list of errors, and which of them botocore repeats. `{because}` is the code of AWS and the words of it that
//! a row has.

use crate::error::Kind;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says};

/// What of a message is repeated, beside its code.
pub(super) const KNOWN: [&str; 4] = [NO_PROVIDER, AUDIENCE, NO_KEY, TOO_LONG];

const NO_PROVIDER: &str = "No OpenIDConnect provider found";
const AUDIENCE: &str = "Incorrect token audience";
const NO_KEY: &str = "retrieve verification key from your identity provider";
const TOO_LONG: &str = "DurationSeconds exceeds";

/// How often a refusal may be answered with the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    Once,
    /// Until the run has no more time.
    InTime,
}

/// Nothing is used up by a request: the same ID token may be sent again.
pub(crate) fn repeat(refusal: &Refusal) -> Repeat {
    const FOR_A_WHILE: [&str; 7] = [
        "IDPCommunicationError",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestLimitExceeded",
        "TooManyRequestsException",
    ];
    let code = refusal.reason.split(':').next().unwrap_or_default();
    if refusal.status >= 500 || [408, 429].contains(&refusal.status) || FOR_A_WHILE.contains(&code) {
        Repeat::InTime
    } else if refusal.reason.contains(NO_KEY) {
        Repeat::Once
    } else {
        Repeat::Never
    }
}

/// Of the request that shows the ID token.
pub(super) const WEB_IDENTITY: [Row; 14] = [
    SESSION.refused(
        "sts-no-provider",
        Says::Text(&[NO_PROVIDER]),
        "the account of that role needs an IAM identity provider for the issuer of the token: aws iam \
        create-open-id-connect-provider --url {iss} --client-id-list {aud}",
    ),
    SESSION.refused(
        "sts-audience",
        Says::Text(&[AUDIENCE]),
        "the IAM identity provider for {iss} does not have the audience {aud}: aws iam \
        add-client-id-to-open-id-connect-provider, or have the token signed for one that it has: --id-token-audience",
    ),
    Row {
        id: "sts-issuer-keys",
        says: Says::Text(&[NO_KEY]),
        kind: Kind::Unavailable,
        cause: SESSION.0,
        change: "AWS could not read the keys of the issuer: {iss}/.well-known/openid-configuration must be reachable from the \
        internet; run it again",
    },
    SESSION.refused(
        "sts-token-invalid",
        Says::Text(&["InvalidIdentityToken"]),
        "AWS takes an ID token with RS256, RS384, RS512 or ES256, ES384, ES512 and times in whole seconds: check its issuer \
        {iss} and its audience {aud}",
    ),
    SESSION.refused(
        "sts-token-expired",
        Says::Text(&["ExpiredToken"]),
        "the ID token has expired: call ci-creds earlier in the job, or have the CI system sign a new one (--id-token-from)",
    ),
    Row {
        id: "sts-issuer-unreachable",
        says: Says::Text(&["IDPCommunicationError"]),
        kind: Kind::Unavailable,
        cause: SESSION.0,
        change: "AWS could not reach the issuer {iss}: it must be reachable from the internet; run it again",
    },
    SESSION.refused(
        "sts-issuer-rejects",
        Says::Text(&["IDPRejectedClaim"]),
        "the issuer {iss} says that the token is not valid: re-run the job",
    ),
    SESSION.refused(
        "sts-trust",
        Says::Text(&["AccessDenied"]),
        "there is no such role, or its trust policy does not allow sts:AssumeRoleWithWebIdentity for sub {sub} and aud {aud}: \
        aws iam get-role --role-name NAME",
    ),
    SESSION.config(
        "sts-duration",
        Says::Text(&[TOO_LONG]),
        "lower --ttl, or raise MaxSessionDuration of the role: aws iam update-role --max-session-duration SECONDS",
    ),
    SESSION.config(
        "sts-policy",
        Says::Text(&["MalformedPolicyDocument", "PackedPolicyTooLarge"]),
        "correct or shorten the policy of --policy-file, or drop some of --policy-arn",
    ),
    SESSION.config(
        "sts-region-disabled",
        Says::Text(&["RegionDisabledException"]),
        "the account must enable this region for STS, or --region must name one that it has enabled",
    ),
    Row {
        id: "sts-throttled",
        says: Says::Text(&["Throttl", "RequestLimitExceeded", "TooManyRequests"]),
        kind: Kind::Temporary,
        cause: SESSION.0,
        change: "AWS limits the rate of requests: run it again later, or allow more time with --timeout",
    },
    Row {
        id: "sts-failed",
        says: Says::Status(&[408, 429, 500, 502, 503, 504]),
        kind: Kind::Unavailable,
        cause: SESSION.0,
        change: "run it again later",
    },
    SESSION.refused(
        "sts-other",
        Says::Anything,
        "check --role-arn and --region, and that the endpoint is STS: AWS_ENDPOINT_URL_STS must not be set to another server",
    ),
];

/// Of the request for the second role.
pub(super) const ASSUME: [Row; 7] = [
    second(
        "sts-second-trust",
        Says::Text(&["AccessDenied"]),
        Kind::Denied,
        "the policy of {first} must allow sts:AssumeRole on that role, and its trust policy must allow {first}; it may demand \
        --external-id, and --source-identity needs sts:SetSourceIdentity",
    ),
    second(
        "sts-second-duration",
        Says::Text(&[TOO_LONG]),
        Kind::Config,
        "lower --ttl: MaxSessionDuration of that role limits it",
    ),
    second(
        "sts-second-clock",
        Says::Text(&["SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed"]),
        Kind::Config,
        "set the clock of this runner: AWS refuses a signature that is five minutes off",
    ),
    second(
        "sts-second-region-disabled",
        Says::Text(&["RegionDisabledException"]),
        Kind::Config,
        "the account must enable this region for STS, or --region must name one that it has enabled",
    ),
    second(
        "sts-second-throttled",
        Says::Text(&["Throttl", "RequestLimitExceeded", "TooManyRequests"]),
        Kind::Temporary,
        "AWS limits the rate of requests: run it again later, or allow more time with --timeout",
    ),
    second("sts-second-failed", Says::Status(&[408, 429, 500, 502, 503, 504]), Kind::Unavailable, "run it again later"),
    second("sts-second-other", Says::Anything, Kind::Denied, "check --assume, --external-id and --source-identity"),
];

const SESSION: CommonCause =
    CommonCause("AWS did not give a session of {role} for the ID token (from {origin}) ({because})");
const SECOND_CAUSE: &str = "AWS did not let {first} assume {role} ({because})";

const fn second(id: &'static str, says: Says, kind: Kind, change: &'static str) -> Row {
    Row { id, says, kind, cause: SECOND_CAUSE, change }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::refusal::find;

    fn refusal(status: u16, reason: &str) -> Refusal {
        Refusal { status, reason: reason.to_owned() }
    }

    #[test]
    fn every_refusal_has_its_row_its_kind_and_its_repeats() {
        for (status, reason, id, kind, repeats) in [
            (
                400,
                "InvalidIdentityToken: No OpenIDConnect provider found",
                "sts-no-provider",
                Kind::Denied,
                Repeat::Never,
            ),
            (400, "InvalidIdentityToken: Incorrect token audience", "sts-audience", Kind::Denied, Repeat::Never),
            (
                400,
                "InvalidIdentityToken: retrieve verification key from your identity provider",
                "sts-issuer-keys",
                Kind::Unavailable,
                Repeat::Once,
            ),
            (400, "InvalidIdentityToken", "sts-token-invalid", Kind::Denied, Repeat::Never),
            (400, "ExpiredTokenException", "sts-token-expired", Kind::Denied, Repeat::Never),
            (400, "IDPCommunicationError", "sts-issuer-unreachable", Kind::Unavailable, Repeat::InTime),
            (403, "IDPRejectedClaim", "sts-issuer-rejects", Kind::Denied, Repeat::Never),
            (403, "AccessDenied", "sts-trust", Kind::Denied, Repeat::Never),
            (400, "ValidationError: DurationSeconds exceeds", "sts-duration", Kind::Config, Repeat::Never),
            (400, "MalformedPolicyDocument", "sts-policy", Kind::Config, Repeat::Never),
            (400, "PackedPolicyTooLarge", "sts-policy", Kind::Config, Repeat::Never),
            (403, "RegionDisabledException", "sts-region-disabled", Kind::Config, Repeat::Never),
            (400, "Throttling", "sts-throttled", Kind::Temporary, Repeat::InTime),
            (503, "", "sts-failed", Kind::Unavailable, Repeat::InTime),
            (500, "InternalFailure", "sts-failed", Kind::Unavailable, Repeat::InTime),
            (400, "ValidationError", "sts-other", Kind::Denied, Repeat::Never),
            (404, "", "sts-other", Kind::Denied, Repeat::Never),
        ] {
            let refusal = refusal(status, reason);
            let row = find(&WEB_IDENTITY, &refusal).expect("a row");
            assert_eq!((row.id, row.kind, repeat(&refusal)), (id, kind, repeats), "{status} {reason}");
        }
    }
}
