//! The operator's side of a server that is reached by nothing but HTTP, and a real one in its development mode.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::text;

/// Longer than any answer of a server on this machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who may do everything.
pub struct Operator {
    pub address: SocketAddr,
    pub token: String,
}

impl Operator {
    /// Any request as root; its status and JSON.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} /v1/{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Vault-Token: {}\r\nContent-Length: {}\r\n\
             {headers}\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // In chunks or not, an answer of Vault's is one object.
        let json = body.find('{').zip(body.rfind('}')).map(|(begin, end)| unchunked(head, &body[begin..=end]));
        (status, json.map_or(Value::Null, |json| serde_json::from_str(&json).expect("JSON")))
    }

    fn demand(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Value {
        let (status, answer) = self.send(method, path, headers, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub fn write(&self, path: &str, body: &Value) -> Value {
        self.demand("POST", path, &[], body)
    }

    pub fn read(&self, path: &str) -> Value {
        self.demand("GET", path, &[], &Value::Null)
    }

    /// Writes, and gives the wrapping token that holds the answer.
    pub fn wrap(&self, path: &str, body: &Value) -> String {
        text(&self.demand("POST", path, &[("X-Vault-Wrap-TTL", "60s")], body)["wrap_info"]["token"])
    }
}

/// Vault sends an answer of more than two kilobytes in chunks, whose sizes stand between the bytes.
fn unchunked(head: &str, body: &str) -> String {
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.lines().filter(|line| usize::from_str_radix(line.trim(), 16).is_err()).collect();
    }
    body.to_owned()
}

/// `vault server -dev` or `bao server -dev`, ended with the value.
pub struct DevServer {
    pub operator: Operator,
    process: Child,
}

impl DevServer {
    pub fn start(binary: &Path, folder: &Path) -> Self {
        // Free a moment ago; the server has no way to choose one and tell.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let token = format!("root-of-the-test-{}", std::process::id());
        let mut process = Command::new(binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={token}"))
            .arg(format!("-dev-listen-address={address}"))
            .env_clear()
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let started = lines.by_ref().map_while(Result::ok).any(|line| line.contains("server started"));
        // What it goes on to say must be taken, or it would be stopped by its own full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let server = Self { operator: Operator { address, token }, process };
        assert!(started, "{} ended before it had started", binary.display());
        server
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
