//! The AWS auth method, type `iam`: configuration, roles, `login`; and the STS behind it, which knows two principals.
//!
//! It checks what Vault checks of the request in the body, and what STS checks of its signature.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac};
use serde_json::{Value, json};

use super::{Backend, Call, is_role_name, token_params};
use crate::clock::unix;
use crate::core::fields::Object;
use crate::core::request::Operation;
use crate::core::response::{Failure, Grant, Outcome, Response, TokenParams};

/// Whom the STS of the double knows.
#[derive(Clone, Copy, Debug)]
pub struct AwsPrincipal {
    /// The access key's ID.
    pub id: &'static str,
    /// The secret key.
    pub secret: &'static str,
    /// The session token, of temporary credentials.
    pub session: Option<&'static str>,
    /// As `GetCallerIdentity` tells it.
    pub arn: &'static str,
}

/// A user with a key of its own.
pub const AWS_USER: AwsPrincipal = AwsPrincipal {
    id: "AKIAIOSFODNN7RUNNER1",
    secret: "q9+Yb2/LoginUserSecretKeyOfTheDouble0000",
    session: None,
    arn: "arn:aws:iam::123456789012:user/ci",
};

/// A session of a role.
pub const AWS_SESSION: AwsPrincipal = AwsPrincipal {
    id: "ASIAIOSFODNN7RUNNER2",
    secret: "Zk4+Wm7/LoginRoleSecretKeyOfTheDouble000",
    session: Some("IQoJb3JpZ2luX2VjEDoubleSessionTokenOfTheRunner+/=="),
    arn: "arn:aws:sts::123456789012:assumed-role/ci-runner/job-17",
};

const HEADER: &str = "X-Vault-AWS-IAM-Server-ID";
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// STS takes a signature of this age, and no older one.
const SKEW: u64 = 15 * 60;
/// What Vault lets through of AWS's own headers.
const ALLOWED: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

#[derive(Debug, Default)]
pub(crate) struct AwsLogin {
    server_id: String,
    region: String,
    unreachable: bool,
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Clone, Default)]
struct Role {
    principals: Vec<String>,
    token: TokenParams,
}

/// The headers of the request in the body, by their names in small letters.
type Signed = BTreeMap<String, String>;

impl Backend for AwsLogin {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (head, name) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (head, name, call.operation()) {
            ("login", "", Operation::Create | Operation::Update) => self.login(call),
            ("config", "client", Operation::Create | Operation::Update) => {
                let data = call.data();
                self.server_id = data.string("iam_server_id_header_value")?.unwrap_or_default();
                self.region = data.string("sts_region")?.unwrap_or_default();
                let endpoint = data.string("sts_endpoint")?.unwrap_or_default();
                self.unreachable = endpoint.contains("127.0.0.1:1");
                Ok(None)
            }
            ("role", name, Operation::Create | Operation::Update) if is_role_name(name, "") => {
                let data = call.data();
                data.value("auth_type");
                let principals = data.list("bound_iam_principal_arn")?.unwrap_or_default();
                let token = token_params(data, TokenParams::default())?;
                self.roles.insert(name.to_lowercase(), Role { principals, token });
                Ok(None)
            }
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn is_login(&self, path: &str) -> bool {
        path == "login"
    }
}

impl AwsLogin {
    fn login(&self, call: &mut Call<'_>) -> Outcome {
        let refuse = |text: &str| Failure::bad_request(text);
        let field = |name: &str| call.data().text(name);
        let (method, url) = (field("iam_http_request_method")?, field("iam_request_url")?);
        let (body, headers, name) = (field("iam_request_body")?, field("iam_request_headers")?, field("role")?);
        if [&method, &url, &body, &headers].iter().any(|text| text.is_empty()) {
            return Err(refuse("didn't supply required authentication values"));
        }
        if method != "POST" {
            return Err(refuse("invalid iam_http_request_method; currently only 'POST' is supported"));
        }
        let decode = |text: &str, name: &str| {
            let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            bytes.ok_or_else(|| refuse(&format!("failed to base64 decode {name}")))
        };
        let url = decode(&url, "iam_request_url")?;
        if url.contains('?') {
            return Err(refuse("invalid request"));
        }
        if decode(&body, "iam_request_body")? != BODY {
            return Err(refuse("iam request body is invalid"));
        }
        let headers = parse_headers(&decode(&headers, "iam_request_headers")?)
            .ok_or_else(|| refuse("error parsing iam_request_headers"))?;
        let signature = headers.get("authorization").map(|text| part(text, "Signature=").to_owned());
        for secret in signature.into_iter().chain(headers.get("x-amz-security-token").cloned()) {
            call.ledger.secret(secret);
        }
        if let Some(other) = headers.keys().find(|name| name.starts_with("x-amz-") && !ALLOWED.contains(&name.as_str()))
        {
            return Err(refuse(&format!("invalid request header: {other}")));
        }
        self.check_server_id(&headers)
            .map_err(|problem| refuse(&format!("error validating {HEADER} header: {problem}")))?;
        let role = self.roles.get(&name.to_lowercase());
        let role = role.ok_or_else(|| refuse(&format!("entry for role {name} not found")))?;
        if self.unreachable {
            return Err(refuse(
                "error making upstream request: error making request: POST https://127.0.0.1:1/ giving up after 4 \
                 attempt(s): Post \"https://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused",
            ));
        }
        let region = if self.region.is_empty() { "us-east-1" } else { &self.region };
        let principal = ask_sts(&url, &headers, region, unix(call.now)).map_err(|(code, message)| {
            refuse(&format!(
                "error making upstream request: received error code 403 from STS: <ErrorResponse \
                 xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
                 <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n</ErrorResponse>\n"
            ))
        })?;
        let plain = bare_role(principal.arn);
        if !role.principals.iter().any(|bound| *bound == plain || bound == principal.arn) {
            let text = format!("IAM Principal \"{}\" does not belong to the role \"{name}\"", principal.arn);
            return Err(refuse(&text));
        }
        let mut metadata = Object::new();
        metadata.insert("account_id".to_owned(), json!("123456789012"));
        metadata.insert("auth_type".to_owned(), json!("iam"));
        let alias = principal.arn.to_owned();
        let grant = Grant { params: role.token.clone(), metadata, display_name: alias.clone(), alias };
        Ok(Some(Response { grant: Some(grant), ..Response::default() }))
    }

    fn check_server_id(&self, headers: &Signed) -> Result<(), String> {
        if self.server_id.is_empty() {
            return Ok(());
        }
        let sent = headers.get(&HEADER.to_lowercase()).ok_or_else(|| format!("missing header \"{HEADER}\""))?;
        if *sent != self.server_id {
            return Err(format!("expected \"{}\" but got \"{sent}\"", self.server_id));
        }
        let names = part(headers.get("authorization").map_or("", String::as_str), "SignedHeaders=");
        match names.split(';').any(|name| name.eq_ignore_ascii_case(HEADER)) {
            true => Ok(()),
            false => Err("vault header wasn't signed".to_owned()),
        }
    }
}

/// An assumed role's ARN as roles are bound by it: without the session, and without a path.
pub(crate) fn bare_role(arn: &str) -> String {
    match arn.split_once(":assumed-role/").and_then(|(before, rest)| Some((before, rest.split_once('/')?.0))) {
        Some((before, role)) => format!("{}:role/{role}", before.replace(":sts:", ":iam:")),
        None => arn.to_owned(),
    }
}

fn parse_headers(text: &str) -> Option<Signed> {
    let Value::Object(map) = serde_json::from_str(text).ok()? else { return None };
    let one = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Array(list) => list.first()?.as_str().map(str::to_owned),
        _ => None,
    };
    map.into_iter().map(|(name, value)| Some((name.to_lowercase(), one(value)?))).collect()
}

/// What stands behind this name in an `Authorization` header.
fn part<'a>(authorization: &'a str, name: &str) -> &'a str {
    let rest = authorization.split_once(name).map_or("", |(_, rest)| rest);
    rest.split(',').next().unwrap_or_default().trim()
}

/// The principal that signed, as STS finds it; else its error code and message.
fn ask_sts(url: &str, headers: &Signed, region: &str, now: i64) -> Result<AwsPrincipal, (&'static str, String)> {
    verify_signature(url.trim_start_matches("https://").trim_end_matches('/'), headers, region, now, BODY)
}

/// The same for any form that is posted to this host.
pub(crate) fn verify_signature(
    host: &str,
    headers: &Signed,
    region: &str,
    now: i64,
    body: &str,
) -> Result<AwsPrincipal, (&'static str, String)> {
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let authorization = header("authorization");
    let incomplete = || ("IncompleteSignature", format!("'{authorization}' not a valid key=value pair"));
    let credential = part(authorization, "Credential=");
    let (id, scope) = credential.split_once('/').ok_or_else(incomplete)?;
    let principal = [AWS_USER, AWS_SESSION].into_iter().find(|known| known.id == id);
    let invalid = || ("InvalidClientTokenId", "The security token included in the request is invalid.".to_owned());
    let principal = principal.ok_or_else(invalid)?;
    if headers.get("x-amz-security-token").map(String::as_str) != principal.session {
        return Err(invalid());
    }
    let time = header("x-amz-date");
    let date = time.split('T').next().unwrap_or_default();
    let wanted = format!("{date}/{region}/sts/aws4_request");
    let mismatch = |what: &str| ("SignatureDoesNotMatch", what.to_owned());
    if scope != wanted {
        return Err(mismatch(&format!("Credential should be scoped to a valid region, not {scope}.")));
    }
    let age = parse_time(time).map(|signed| signed.abs_diff(now));
    if age.is_none_or(|age| age > SKEW) {
        return Err(mismatch("Signature expired"));
    }
    let names = part(authorization, "SignedHeaders=");
    let must = ["host", "x-amz-date"].into_iter().chain(principal.session.map(|_| "x-amz-security-token"));
    if must.into_iter().any(|name| !names.split(';').any(|signed| signed == name)) {
        return Err(mismatch("a header is not signed"));
    }
    let canonical: String = names
        .split(';')
        .map(|name| match (name, headers.get(name)) {
            ("host", None) => format!("host:{host}\n"),
            (name, value) => format!("{name}:{}\n", value.map_or("", |value| value.trim())),
        })
        .collect();
    let canonical = format!("POST\n/\n\n{canonical}\n{names}\n{}", sha256(body));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{wanted}\n{}", sha256(&canonical));
    let first = sign(format!("AWS4{}", principal.secret).as_bytes(), date);
    let key = [region, "sts", "aws4_request"].iter().fold(first, |key, part| sign(&key, part));
    match hex(&sign(&key, &text)) == part(authorization, "Signature=") {
        true => Ok(principal),
        // As AWS's message: it repeats what should have been signed.
        false => Err(mismatch(&format!(
            "The request signature we calculated does not match the signature you provided. The Canonical String for \
             this request should have been '{canonical}'"
        ))),
    }
}

fn parse_time(text: &str) -> Option<i64> {
    let digits: Vec<i64> = [(0, 4), (4, 6), (6, 8), (9, 11), (11, 13), (13, 15)]
        .into_iter()
        .map(|(from, to)| text.get(from..to)?.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, day, hour, minute, second] = digits[..] else { return None };
    // Days since 1970, by Howard Hinnant's `days_from_civil`.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
