//! `sts:GetCallerIdentity`: the one request by which an access key shows that AWS knows it. No policy can be missing
//! for it, and it changes nothing.
//!
//! Pure: where the request goes, what it says, and what an answer means for the key. A server's text never leaves
//! this module but for its error code.

use jiff::Timestamp;

use super::signature::{CanonicalRequest, Scope, sign};
use crate::identity::AwsKeys;
use crate::secret::Secret;

/// The form that is posted.
pub(crate) const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// The element around a success, which a captive portal's `200` does not have.
const SUCCESS: &[u8] = b"<GetCallerIdentityResponse";
/// The region whose name a signature for the global endpoint has.
const GLOBAL: &str = "us-east-1";

/// How the names of AWS's regions outside the commercial partition and GovCloud begin, and the domain of each: from
/// botocore's `partitions.json`.
const DOMAINS: [(&str, &str); 7] = [
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("", "amazonaws.com"),
];

/// The URL of STS in a region, or of the global one, and the region that a request to it is signed for.
#[must_use]
pub fn endpoint(region: Option<&str>) -> (String, String) {
    let Some(region) = region else { return ("https://sts.amazonaws.com".into(), GLOBAL.into()) };
    let domain =
        DOMAINS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("amazonaws.com", |(_, name)| name);
    (format!("https://sts.{region}.{domain}"), region.into())
}

/// The headers of the request, as a `POST` of [`BODY`] to `/`.
#[must_use]
pub fn headers(host: &str, region: &str, time: Timestamp, key: &str, secret: &Secret) -> Vec<(&'static str, String)> {
    let form = [("content-type", FORM)];
    let request = CanonicalRequest { method: "POST", host, path: "/", query: "", headers: &form, body: BODY };
    let [date, authorization] = sign(&request, &Scope { region, service: "sts", time }, key, secret);
    vec![("content-type", FORM.into()), ("host", host.into()), date, authorization]
}

/// The headers of the same request as Vault's AWS method takes them: `host` is that of [`endpoint`], and a server ID binds
/// the request to one Vault.
#[must_use]
pub fn login_headers(
    host: &str,
    region: &str,
    time: Timestamp,
    keys: &AwsKeys,
    server_id: Option<&str>,
) -> Vec<(&'static str, String)> {
    let length = BODY.len().to_string();
    let mut own = vec![("content-length", length.as_str()), ("content-type", FORM)];
    own.extend(keys.session.as_ref().map(|token| ("x-amz-security-token", token.expose())));
    own.extend(server_id.map(|id| ("x-vault-aws-iam-server-id", id)));
    let request = CanonicalRequest { method: "POST", host, path: "/", query: "", headers: &own, body: BODY };
    let signed = sign(&request, &Scope { region, service: "sts", time }, &keys.id, &keys.secret);
    let own = own.iter().map(|(name, value)| (*name, (*value).to_owned()));
    own.chain([("host", host.to_owned())]).chain(signed).collect()
}

/// What an answer says of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// AWS knows it: it says whose it is, or that this user may not ask.
    Known,
    /// AWS does not know it yet.
    Unknown,
    /// The signature is not right: of a key whose secret is not known there yet, or by a wrong clock.
    Mismatch,
    /// The signature is too old or too new: only a clock can be wrong.
    Expired,
    /// Nothing: AWS is throttling or broken.
    Busy,
    /// Not an answer of STS, or one that the same request will get again.
    Other,
}

/// Reads an answer, whatever it is: the verdict, and AWS's error code for messages.
#[must_use]
pub fn judge(status: u16, body: &[u8]) -> (Verdict, Option<String>) {
    let code = parse_error_code(body);
    let verdict = match (status, code.as_deref().unwrap_or_default()) {
        (200, _) if body.windows(SUCCESS.len()).any(|part| part == SUCCESS) => Verdict::Known,
        // AWS looks at the signature before it looks at policies: who is denied is known.
        (403, "AccessDenied" | "AccessDeniedException") => Verdict::Known,
        (400..500, "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException") => Verdict::Unknown,
        (400..500, "SignatureDoesNotMatch" | "InvalidSignatureException") => Verdict::Mismatch,
        (400..500, "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture") => Verdict::Expired,
        (408 | 429 | 500..600, _)
        | (400..500, "Throttling" | "ThrottlingException" | "ThrottledException" | "RequestLimitExceeded") => {
            Verdict::Busy
        }
        _ => Verdict::Other,
    };
    (verdict, code)
}

/// The text of the first `<Code>`, when it is a name as AWS's are.
fn parse_error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let is_name =
        (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    is_name.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> String {
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    \
            <Type>Sender</Type>\n    <Code>{code}</Code>\n    <Message>x</Message>\n  </Error>\n  \
            <RequestId>1</RequestId>\n</ErrorResponse>\n"
        )
    }

    #[test]
    fn every_answer_has_its_meaning() {
        let cases = [
            (403, "AccessDenied", Verdict::Known),
            (403, "InvalidClientTokenId", Verdict::Unknown),
            (403, "InvalidAccessKeyId", Verdict::Unknown),
            (401, "UnrecognizedClientException", Verdict::Unknown),
            (403, "SignatureDoesNotMatch", Verdict::Mismatch),
            (400, "RequestExpired", Verdict::Expired),
            (403, "RequestTimeTooSkewed", Verdict::Expired),
            (400, "Throttling", Verdict::Busy),
            (429, "", Verdict::Busy),
            (408, "", Verdict::Busy),
            (500, "InternalFailure", Verdict::Busy),
            (503, "ServiceUnavailable", Verdict::Busy),
            // A server that fails is not believed about the key.
            (500, "InvalidClientTokenId", Verdict::Busy),
            (500, "AccessDenied", Verdict::Busy),
            (200, "AccessDenied", Verdict::Other),
            (403, "OptInRequired", Verdict::Other),
            (403, "RegionDisabledException", Verdict::Other),
            (404, "", Verdict::Other),
            (301, "", Verdict::Other),
        ];
        for (status, code, verdict) in cases {
            assert_eq!(judge(status, error(code).as_bytes()).0, verdict, "{status} {code}");
        }
        let success = "<GetCallerIdentityResponse \
            xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"></GetCallerIdentityResponse>";
        assert_eq!(judge(200, success.as_bytes()), (Verdict::Known, None));
        for portal in ["", "<html>welcome</html>", "{}", &error("")] {
            assert_eq!(judge(200, portal.as_bytes()).0, Verdict::Other, "{portal}");
        }
        assert_eq!(judge(500, success.as_bytes()).0, Verdict::Busy);
    }

    #[test]
    fn an_error_code_is_a_name_or_none() {
        let code = |text: &str| judge(403, error(text).as_bytes()).1;
        assert_eq!(code("InvalidClientTokenId").as_deref(), Some("InvalidClientTokenId"));
        assert_eq!(code("Request.Expired").as_deref(), Some("Request.Expired"));
        for text in ["", "a b", "$(id)", "x\u{1b}[2J", "é", "<x>", &"a".repeat(65)] {
            assert_eq!(code(text), None, "{text}");
        }
        for body in ["<Code>Half", "Code", "<html>"] {
            assert_eq!(judge(403, body.as_bytes()), (Verdict::Other, None), "{body}");
        }
        assert_eq!(judge(403, b"\xff<Code>InvalidClientTokenId</Code>"), (Verdict::Other, None));
    }

    #[test]
    fn each_partition_has_its_domain() {
        for (region, url) in [
            (None, "https://sts.amazonaws.com"),
            (Some("eu-central-1"), "https://sts.eu-central-1.amazonaws.com"),
            (Some("us-gov-west-1"), "https://sts.us-gov-west-1.amazonaws.com"),
            (Some("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn"),
            (Some("eusc-de-east-1"), "https://sts.eusc-de-east-1.amazonaws.eu"),
            (Some("us-isob-east-1"), "https://sts.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(endpoint(region), (url.to_owned(), region.unwrap_or("us-east-1").to_owned()));
        }
    }
}
