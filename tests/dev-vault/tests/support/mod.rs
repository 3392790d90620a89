//! A client for the tests of the double: it writes requests byte by byte and reads answers without opinions.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dev_vault::DevVault;
use serde_json::Value;

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The first string of the error envelope.
    pub fn error(&self) -> String {
        self.json()["errors"][0].as_str().unwrap_or_default().to_owned()
    }

    /// Reads one answer; `None` when the connection ended before it did.
    pub fn read(stream: &mut impl Read) -> Option<Self> {
        let mut response = Self::read_head(stream)?;
        let status = response.status;
        let mut body = Vec::new();
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&line(stream)?, 16).ok()?;
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk).ok()?;
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = response.header("content-length") {
            body = vec![0; length.parse().ok()?];
            stream.read_exact(&mut body).ok()?;
        } else if status != 204 && status != 202 {
            stream.read_to_end(&mut body).ok()?;
        }
        response.body = String::from_utf8(body).ok()?;
        Some(response)
    }

    fn read_head(stream: &mut impl Read) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).ok()?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(a, b)| (a.to_owned(), b.to_owned()));
        Some(Self { status, headers: headers.collect(), body: String::new() })
    }
}

fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(String::from_utf8(line).ok()?.trim().to_owned())
}

/// One request as bytes.
pub fn encode(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Vec<u8> {
    let mut raw = format!("{method} {path} HTTP/1.1\r\nHost: vault\r\n");
    for (name, value) in headers {
        raw.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        raw.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    raw.push_str("\r\n");
    raw.push_str(body.unwrap_or_default());
    raw.into_bytes()
}

/// A plain connection per request.
pub struct Client {
    address: SocketAddr,
}

impl Client {
    pub fn new(vault: &DevVault) -> Self {
        Self { address: vault.socket_address() }
    }

    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// `None`: no answer.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Option<Response> {
        let mut stream = self.connect();
        stream.write_all(&encode(method, path, headers, body)).ok()?;
        // The answer to HEAD announces a body that does not come.
        if method == "HEAD" { Response::read_head(&mut stream) } else { Response::read(&mut stream) }
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Response {
        self.try_send(method, path, headers, body).expect("an answer")
    }

    /// `GET /v1/<path>` with a token.
    pub fn get(&self, path: &str, token: &str) -> Response {
        self.send("GET", &format!("/v1/{path}"), &[("X-Vault-Token", token)], None)
    }

    /// `PUT /v1/<path>` with a token, or without one when it is empty.
    pub fn put(&self, path: &str, token: &str, body: &Value) -> Response {
        let headers = [("X-Vault-Token", token)];
        let headers = if token.is_empty() { &headers[..0] } else { &headers[..] };
        self.send("PUT", &format!("/v1/{path}"), headers, Some(&body.to_string()))
    }
}

/// Waits for what another thread is about to note.
pub fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}
