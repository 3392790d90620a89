//! A request after HTTP and before a backend: operation, path and data in Vault's terms.

use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};

use crate::core::fields::{Fields, Object, parse_duration};
use crate::core::policy::Capability;
use crate::core::response::Failure;
use crate::dialect::Dialect;
use crate::http::{Head, Headers};

/// A request as the connection read it.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) remote: IpAddr,
    /// What the client showed in the TLS handshake: its certificate and what stands above it.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// What a test's script has arranged to happen inside the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Staged {
    /// Between check and use, another client takes the single use.
    pub(crate) rival: bool,
    pub(crate) upstream: Option<Upstream>,
    /// The client went away while the engine waited for its cloud.
    pub(crate) abandoned: bool,
}

/// How the cloud behind an engine fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Upstream {
    Throttled,
    Fails(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Read,
    Update,
    Delete,
    List,
    Patch,
    /// A list of everything below a path, which `OpenBao` alone has.
    Scan,
}

impl Operation {
    pub(crate) fn capability(self) -> Capability {
        match self {
            Self::Create => Capability::Create,
            Self::Read => Capability::Read,
            Self::Update => Capability::Update,
            Self::Delete => Capability::Delete,
            Self::List => Capability::List,
            Self::Patch => Capability::Patch,
            Self::Scan => Capability::Scan,
        }
    }

    pub(crate) fn is_write(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch)
    }

    fn of(head: &Head, query: &Object, dialect: Dialect) -> Result<Self, Failure> {
        match head.method.as_str() {
            "GET" if query.get("list").is_some_and(|value| value == "true") => Ok(Self::List),
            "SCAN" if dialect == Dialect::OpenBao => Ok(Self::Scan),
            "GET" => Ok(Self::Read),
            "POST" | "PUT" => Ok(Self::Update),
            "DELETE" => Ok(Self::Delete),
            "LIST" => Ok(Self::List),
            "PATCH" if content_type(&head.headers) == "application/merge-patch+json" => Ok(Self::Patch),
            "PATCH" => Err(Failure::empty(415)),
            _ => Err(Failure::empty(405)),
        }
    }
}

/// What a backend gets to see.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// Whether it asks for the help of the path, and for nothing that the path does.
    pub(crate) help: bool,
    /// `""` for root, otherwise with a trailing slash.
    pub(crate) namespace: String,
    /// Without `/v1/` and without the namespace.
    pub(crate) path: String,
    pub(crate) data: Fields,
    pub(crate) token: Option<String>,
    pub(crate) wrap_ttl: Option<Duration>,
    pub(crate) remote: IpAddr,
    /// As [`HttpRequest::certificates`].
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) staged: Staged,
}

impl Request {
    /// Reads method, body and headers; `path` is decoded and without the namespace.
    pub(crate) fn parse(
        http: &HttpRequest,
        (namespace, mut path): (String, String),
        staged: Staged,
        dialect: Dialect,
    ) -> Result<Self, Failure> {
        let mut query = parse_form(http.head.raw_query().unwrap_or_default());
        let operation = Operation::of(&http.head, &query, dialect)?;
        let asks_for_help = query.remove("help").is_some_and(|value| value != "");
        let help = operation == Operation::Read && asks_for_help;
        let data = if operation.is_write() {
            parse_body(http, dialect)?
        } else {
            query.remove("list");
            query
        };
        if matches!(operation, Operation::List | Operation::Scan) && !path.ends_with('/') {
            path.push('/');
        }
        check_mfa_header(&http.head.headers)?;
        Ok(Self {
            operation,
            help,
            namespace,
            path,
            data: Fields::new(data, dialect),
            token: token(&http.head.headers),
            wrap_ttl: wrap_ttl(&http.head.headers)?,
            remote: http.remote,
            certificates: http.certificates.clone(),
            staged,
        })
    }
}

fn content_type(headers: &Headers) -> &str {
    headers.get("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

pub(crate) fn token(headers: &Headers) -> Option<String> {
    let bearer = || headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    headers.get("x-vault-token").filter(|token| !token.is_empty()).or_else(bearer).map(str::to_owned)
}

fn wrap_ttl(headers: &Headers) -> Result<Option<Duration>, Failure> {
    let Some(text) = headers.get("x-vault-wrap-ttl").filter(|text| !text.is_empty()) else { return Ok(None) };
    let refuse = |reason: &str| Failure::bad_request(format!("error parsing X-Vault-Wrap-TTL header: {reason}"));
    if text.starts_with('-') {
        return Err(refuse("requested wrap ttl cannot be negative"));
    }
    let ttl = parse_duration(text).map_err(|reason| refuse(&reason))?;
    Ok((!ttl.is_zero()).then_some(ttl))
}

fn check_mfa_header(headers: &Headers) -> Result<(), Failure> {
    for value in headers.all("x-vault-mfa") {
        let (name, code) = value.split_once(':').map_or((value, None), |(name, code)| (name, Some(code)));
        let reason = match (name, code) {
            ("", _) => "missing method name or ID",
            (_, Some("")) => "missing method value",
            _ => continue,
        };
        let text = "failed to parse X-Vault-MFA header: invalid data in header \"X-Vault-MFA\"";
        return Err(Failure::bad_request(format!("{text}; {reason}")));
    }
    Ok(())
}

fn parse_body(http: &HttpRequest, dialect: Dialect) -> Result<Object, Failure> {
    let text = http.body.trim_ascii_start();
    if content_type(&http.head.headers) == "application/x-www-form-urlencoded"
        && !matches!(text.first(), Some(b'{' | b'['))
    {
        let mut form = parse_form(&String::from_utf8_lossy(text));
        for value in form.values_mut() {
            if let Value::Array(items) = value {
                let joined: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                *value = Value::String(joined.join(","));
            }
        }
        return Ok(form);
    }
    if text.is_empty() {
        return Ok(Map::new());
    }
    let refuse = |reason: &str| match dialect {
        Dialect::OpenBao => Err(Failure::bad_request(format!("failed to decode JSON input: {reason}"))),
        _ => Err(Failure::bad_request("error parsing JSON")),
    };
    let value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return refuse(&error.to_string()),
    };
    if dialect == Dialect::OpenBao && strings(&value) > MOST_STRINGS {
        let reason = "exceeded maximum number of strings";
        return Err(Failure::bad_request(format!("refused JSON input due to high complexity: {reason}")));
    }
    let kind = match value {
        Value::Object(data) => return Ok(data),
        Value::Null => return Ok(Map::new()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    refuse(&format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
}

/// So many strings may a body have in `OpenBao`, names among them.
const MOST_STRINGS: usize = 1_000;

fn strings(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(strings).sum(),
        Value::Object(fields) => fields.values().map(|value| 1 + strings(value)).sum(),
        _ => 0,
    }
}

/// A query or a form; repeated keys make a list.
fn parse_form(text: &str) -> Object {
    let mut fields = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        let (key, value) = (decode(key), Value::String(decode(value)));
        match fields.get_mut(&key) {
            None => {
                fields.insert(key, value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    fields
}

/// Decodes what is percent-encoded, and takes each other byte as `plain` says. `None` for what is neither.
pub(crate) fn decode_strictly(text: &str, plain: impl Fn(u8) -> Option<u8>) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => plain(byte)?,
        });
    }
    String::from_utf8(bytes).ok()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
