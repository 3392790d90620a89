//! HTTP/1.1 messages: header fields, request heads, and answers encoded the way Go's server does.
//!
//! It does no I/O. Requests are read in `reader`; `connection` decides how much of an answer is written.

use std::time::SystemTime;

use serde_json::Value;

use crate::clock::http_date;

/// Go's server switches to chunks when a body outgrows its buffer.
const GO_BUFFER: usize = 2_048;

/// Header fields in the order in which they came; names are compared without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.push(name, value);
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(fields: [(&str, &str); N]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

impl From<&[(&str, &str)]> for Headers {
    fn from(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }
}

/// A request head: everything before the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// The request target exactly as sent.
    pub(crate) target: String,
    pub(crate) minor_version: u8,
    pub(crate) headers: Headers,
}

impl Head {
    pub(crate) fn raw_path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(crate) fn raw_query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        let connection = self.headers.get("connection").unwrap_or_default();
        match self.minor_version {
            0 => connection.eq_ignore_ascii_case("keep-alive"),
            _ => !connection.eq_ignore_ascii_case("close"),
        }
    }
}

/// An answer before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields, without framing.
    pub headers: Headers,
    /// The body, without framing.
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = Headers::from([("Cache-Control", "no-store"), ("Content-Type", content_type)]);
        Self { status, headers, body: body.into() }
    }

    /// An answer of nothing but its status.
    pub(crate) fn bare(status: u16) -> Self {
        Self { status, headers: Headers::from([("Cache-Control", "no-store")]), body: Vec::new() }
    }

    /// The body as JSON; `null` when it is empty.
    ///
    /// # Panics
    /// When the body is neither empty nor JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// The strings of Vault's error envelope.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The bytes on the wire.
    pub(crate) fn encode(&self, method: &str, keep_alive: bool, now: SystemTime) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in self.headers.iter() {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if self.headers.get("date").is_none() {
            bytes.extend_from_slice(format!("Date: {}\r\n", http_date(now)).as_bytes());
        }
        if !keep_alive {
            bytes.extend_from_slice(b"Connection: close\r\n");
        }
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        if bodiless {
            bytes.extend_from_slice(b"\r\n");
        } else if method == "HEAD" || self.body.len() <= GO_BUFFER {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
            if method != "HEAD" {
                bytes.extend_from_slice(&self.body);
            }
        } else {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(GO_BUFFER) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
        bytes
    }
}

pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
