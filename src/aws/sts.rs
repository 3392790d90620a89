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
/// What to change where its certificate is not trusted.
pub(crate) const TRUST_HINT: &str = "AWS is checked against the system's roots: add a CA of your own to them; AWS_ENDPOINT_URL_STS names another endpoint";
pub(super) const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
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

/// The partitions by how their regions begin: from botocore's `partitions.json`.
const PARTITIONS: [(&str, &str); 8] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isoe-", "aws-iso-e"),
    ("", "aws"),
];

/// The partition of a region.
#[must_use]
pub(crate) fn partition_of(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, name)| name)
}

/// The endpoint of a role's session: that of a region, or the one that a partition has without any. `fips`: that of the
/// same region whose cryptography is validated; GovCloud has no other.
#[must_use]
pub(crate) fn endpoint_for(partition: &str, region: Option<&str>, fips: bool) -> (String, String) {
    let default = match partition {
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        "aws-eusc" => Some("eusc-de-east-1"),
        "aws-iso" => Some("us-iso-east-1"),
        "aws-iso-b" => Some("us-isob-east-1"),
        "aws-iso-f" => Some("us-isof-south-1"),
        "aws-iso-e" => Some("eu-isoe-west-1"),
        _ if fips => Some(GLOBAL),
        _ => None,
    };
    let (url, signed_for) = endpoint(region.or(default));
    if fips && partition != "aws-us-gov" {
        (url.replacen("//sts.", "//sts-fips.", 1), signed_for)
    } else {
        (url, signed_for)
    }
}

/// Whether this is a name of STS: of the public endpoints, or of an interface endpoint in a VPC.
///
/// Security: who can set a variable could have the ID token sent to a server of his own. Under AWS's domains anybody can have
/// a name, but none of these.
#[must_use]
pub(crate) fn is_sts(host: &str) -> bool {
    parse_name(host).is_some()
}

/// The region that a request to the endpoint of this name is signed for: STS refuses the signature for another one.
/// `None`: the name does not say it.
#[must_use]
pub(crate) fn region_of(host: &str) -> Option<&str> {
    parse_name(host)?
}

/// A name of STS, and the region in it. The global endpoint has one too.
fn parse_name(host: &str) -> Option<Option<&str>> {
    let domains = DOMAINS.iter().map(|(_, domain)| *domain).chain(["api.aws", "api.amazonwebservices.com.cn"]);
    let mut names = domains.filter_map(|domain| Some((domain, host.strip_suffix(domain)?.strip_suffix('.')?)));
    names.find_map(|(domain, name)| match name.split('.').collect::<Vec<_>>().as_slice() {
        ["sts" | "sts-fips"] => Some((domain == "amazonaws.com").then_some(GLOBAL)),
        ["sts" | "sts-fips", region] if is_region(region) => Some(Some(*region)),
        [endpoint, "sts" | "sts-fips", region, "vpce"] if endpoint.starts_with("vpce-") && is_region(region) => {
            Some(Some(*region))
        }
        _ => None,
    })
}

/// `eu-central-1`, and not `s3` or `s3-eu-central-1`, where anybody can have a bucket.
fn is_region(name: &str) -> bool {
    let parts: Vec<_> = name.split('-').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    let is_of = |part: &str, fits: fn(&u8) -> bool| !part.is_empty() && part.as_bytes().iter().all(fits);
    parts.len() >= 3
        && first.len() <= 4
        && parts[..parts.len() - 1].iter().all(|part| is_of(part, u8::is_ascii_lowercase))
        && is_of(last, u8::is_ascii_digit)
}

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

/// The headers of another signed form, as a `POST` to `/`.
#[must_use]
pub(crate) fn form_headers(
    host: &str,
    region: &str,
    time: Timestamp,
    keys: &AwsKeys,
    body: &str,
) -> Vec<(&'static str, String)> {
    let mut own = vec![("content-type", FORM)];
    own.extend(keys.session.as_ref().map(|token| ("x-amz-security-token", token.expose())));
    let request = CanonicalRequest { method: "POST", host, path: "/", query: "", headers: &own, body };
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
    fn a_named_endpoint_says_the_region_of_its_signatures() {
        for (host, region) in [
            ("sts.amazonaws.com", Some("us-east-1")),
            ("sts.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("sts-fips.us-west-2.amazonaws.com", Some("us-west-2")),
            ("sts.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("sts.eu-west-1.api.aws", Some("eu-west-1")),
            ("vpce-0a1b-x.sts.eu-west-3.vpce.amazonaws.com", Some("eu-west-3")),
            ("sts.amazonaws.com.cn", None),
            ("s3.eu-central-1.amazonaws.com", None),
            ("127.0.0.1", None),
            ("sts.invalid", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
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
    fn a_role_is_asked_for_in_the_region_or_the_default_of_its_partition() {
        for (partition, region, fips, url, signed_for) in [
            ("aws", None, false, "https://sts.amazonaws.com", "us-east-1"),
            ("aws", None, true, "https://sts-fips.us-east-1.amazonaws.com", "us-east-1"),
            ("aws", Some("eu-central-1"), false, "https://sts.eu-central-1.amazonaws.com", "eu-central-1"),
            ("aws", Some("us-west-2"), true, "https://sts-fips.us-west-2.amazonaws.com", "us-west-2"),
            ("aws-cn", None, false, "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("aws-us-gov", None, true, "https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("aws-us-gov", Some("us-gov-east-1"), false, "https://sts.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
            ("aws-iso-b", None, false, "https://sts.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
        ] {
            assert_eq!(endpoint_for(partition, region, fips), (url.to_owned(), signed_for.to_owned()), "{partition}");
        }
        for (region, partition) in [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
            assert_eq!(partition_of(region), partition);
        }
    }

    #[test]
    fn no_name_that_somebody_else_can_have_is_sts() {
        for host in [
            "sts.amazonaws.com",
            "sts.eu-central-1.amazonaws.com",
            "sts-fips.us-east-1.amazonaws.com",
            "sts.cn-north-1.amazonaws.com.cn",
            "sts.eu-west-1.api.aws",
            "vpce-0a1b-c2d3.sts.eu-central-1.vpce.amazonaws.com",
        ] {
            assert!(is_sts(host), "{host}");
        }
        for host in [
            "sts.evil.example",
            "amazonaws.com",
            "evil.s3.amazonaws.com",
            "sts.s3.amazonaws.com",
            "sts.s3-eu-west-1.amazonaws.com",
            "vpce-x.sts.s3.vpce.amazonaws.com",
            "abc.execute-api.eu-west-1.amazonaws.com",
            "sts.execute-api.eu-west-1.amazonaws.com",
            "sts.amazonaws.com.evil.example",
            "evilsts.amazonaws.com",
            "x.sts.eu-central-1.amazonaws.com",
            "sts.s3.eu-central-1.vpce.amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
        ] {
            assert!(!is_sts(host), "{host}");
        }
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
