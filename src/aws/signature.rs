//! AWS Signature Version 4, as far as a request to STS needs it: in a header, over a whole body.
//!
//! Pure: it reads no clock and sends nothing. AWS's own crate would bring 34 others. Source of the rules: "Create a
//! signed AWS API request" in AWS's IAM User Guide; AWS's published vectors are the tests.

use std::fmt::Write;

use jiff::Timestamp;
use ring::{digest, hmac};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::time::render_time;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed. Path and query stand as they are sent: encoded, and the query sorted by name.
#[derive(Debug)]
pub(super) struct CanonicalRequest<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The `Host` header: with a port only where it is not the scheme's own.
    pub host: &'a str,
    /// The path, beginning with a slash.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The other headers that are signed, in small letters. `Content-Type` has to be among them where it is sent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body; usually a form.
    pub body: &'a str,
}

/// Where and when the signature is valid: for some minutes, in this region, with this service.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The region: `eu-central-1`.
    pub region: &'a str,
    /// The service: `sts`.
    pub service: &'a str,
    /// The wall clock; AWS refuses a signature that is more than five minutes off.
    pub time: Timestamp,
}

/// Signs a request with an access key, and gives the two headers that it lacks: the time and the signature. The secret
/// key is in neither.
#[must_use]
pub(super) fn sign(
    request: &CanonicalRequest<'_>,
    scope: &Scope<'_>,
    key: &str,
    secret: &Secret,
) -> [(&'static str, String); 2] {
    let time = render_time(scope.time).replace(['-', ':'], "");
    let date = time.split('T').next().unwrap_or_default();
    let CanonicalRequest { method, host, path, query, headers, body } = request;
    let mut all = [*headers, &[("host", *host), ("x-amz-date", time.as_str())]].concat();
    all.sort_unstable();
    // Security: the session token is among them.
    let headers = Zeroizing::new(all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect::<String>());
    let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical =
        Zeroizing::new(format!("{method}\n{path}\n{query}\n{}\n{names}\n{}", headers.as_str(), sha256(body)));
    let credential = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("{ALGORITHM}\n{time}\n{credential}\n{}", sha256(&canonical));
    // Security: the key that signs is good for one day, region and service; the secret key itself is overwritten.
    let secret = Zeroizing::new(format!("AWS4{}", secret.expose()));
    let first = hmac(secret.as_bytes(), date);
    let derived =
        [scope.region, scope.service, "aws4_request"].iter().fold(first, |key, part| hmac(key.as_ref(), part));
    let signature = hex(hmac(derived.as_ref(), &text).as_ref());
    let authorization =
        format!("{ALGORITHM} Credential={key}/{credential}, SignedHeaders={names}, Signature={signature}");
    [("x-amz-date", time), ("authorization", authorization)]
}

fn hmac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's published vectors all have this key and this time.
    fn authorization(request: &CanonicalRequest<'_>, service: &str) -> String {
        let scope = Scope { region: "us-east-1", service, time: "2015-08-30T12:36:00Z".parse().unwrap() };
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into());
        let [date, (name, value)] = sign(request, &scope, "AKIDEXAMPLE", &secret);
        assert_eq!((date, name), (("x-amz-date", "20150830T123600Z".to_owned()), "authorization"));
        value
    }

    const VANILLA: CanonicalRequest<'_> =
        CanonicalRequest { method: "GET", host: "example.amazonaws.com", path: "/", query: "", headers: &[], body: "" };

    #[test]
    fn the_vectors_that_aws_publishes_are_signed_as_published() {
        let cases = [
            // get-vanilla
            (VANILLA, "service", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            // post-x-www-form-urlencoded
            (
                CanonicalRequest {
                    method: "POST",
                    headers: &[("content-type", "application/x-www-form-urlencoded")],
                    body: "Param1=value1",
                    ..VANILLA
                },
                "service",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            // The example of the documentation: IAM's ListUsers.
            (
                CanonicalRequest {
                    host: "iam.amazonaws.com",
                    query: "Action=ListUsers&Version=2010-05-08",
                    headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
                    ..VANILLA
                },
                "iam",
                "content-type;host;x-amz-date",
                "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ];
        for (request, service, names, signature) in cases {
            assert_eq!(
                authorization(&request, service),
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, \
                    SignedHeaders={names}, Signature={signature}"
                )
            );
        }
    }

    #[test]
    fn the_signature_is_over_the_host_and_the_body() {
        let plain = authorization(&VANILLA, "service");
        for other in
            [CanonicalRequest { host: "evil.example.com", ..VANILLA }, CanonicalRequest { body: "x", ..VANILLA }]
        {
            assert_ne!(authorization(&other, "service"), plain);
        }
    }

    #[test]
    fn parts_of_a_second_do_not_stand_in_the_time() {
        let scope = Scope { region: "r", service: "s", time: "2026-11-21T05:04:03.999Z".parse().unwrap() };
        let [(_, time), _] = sign(&VANILLA, &scope, "AKIDEXAMPLE", &Secret::new("x".into()));
        assert_eq!(time, "20261121T050403Z");
    }
}
