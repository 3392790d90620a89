//! The operator's side of a server that is reached by nothing but HTTP.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::text;

/// Longer than any answer of a server on this machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who may do everything.
#[derive(Clone)]
pub struct Operator {
    pub address: SocketAddr,
    pub token: String,
    /// What is before every path: nothing, or a namespace's name with a slash.
    pub namespace: String,
    /// The way to a server whose jobs come over TLS, or through what breaks.
    pub socket: Option<PathBuf>,
}

impl Operator {
    pub fn new(address: SocketAddr, token: String) -> Self {
        Self { address, token, namespace: String::new(), socket: None }
    }

    /// By a socket of this machine, in plain HTTP.
    pub fn beside(socket: &Path, address: SocketAddr, token: String) -> Self {
        Self { socket: Some(socket.to_owned()), ..Self::new(address, token) }
    }

    /// Makes a namespace in this one; the operator of it.
    pub fn make_namespace(&self, name: &str) -> Self {
        self.write(&format!("sys/namespaces/{name}"), &Value::Null);
        Self { namespace: format!("{}{name}/", self.namespace), ..self.clone() }
    }

    /// Any request as root; its status and JSON.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        self.try_to_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// As [`Operator::send`], to a server that may be gone.
    ///
    /// # Errors
    /// When it is.
    pub fn try_to_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> std::io::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} /v1/{}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nX-Vault-Token: {}\r\nContent-Length: {}\r\n\
             {headers}\r\n{body}",
            self.namespace,
            self.address,
            self.token,
            body.len()
        );
        let answer = match &self.socket {
            Some(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                ask(stream, &request)?
            }
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                ask(stream, &request)?
            }
        };
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // In chunks or not, an answer of Vault's is one object.
        let json = body.find('{').zip(body.rfind('}')).map(|(begin, end)| unchunked(head, &body[begin..=end]));
        Ok((status, json.map_or(Ok(Value::Null), |json| serde_json::from_str(&json))?))
    }

    fn demand(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Value {
        let (status, answer) = self.send(method, path, headers, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub fn write(&self, path: &str, body: &Value) -> Value {
        self.demand("POST", path, &[], body)
    }

    /// The names under a path; none when there is nothing.
    pub fn list(&self, path: &str) -> Vec<String> {
        let (status, answer) = self.send("LIST", path, &[], &Value::Null);
        assert!(status == 200 || status == 404, "LIST {path}: {status} {answer}");
        answer["data"]["keys"].as_array().into_iter().flatten().map(text).collect()
    }

    pub fn read(&self, path: &str) -> Value {
        self.demand("GET", path, &[], &Value::Null)
    }

    /// Writes, and gives the wrapping token that holds the answer.
    pub fn wrap(&self, path: &str, body: &Value) -> String {
        text(&self.demand("POST", path, &[("X-Vault-Wrap-TTL", "60s")], body)["wrap_info"]["token"])
    }
}

fn ask(mut stream: impl Read + Write, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Vault sends an answer of more than two kilobytes in chunks, whose sizes stand between the bytes.
fn unchunked(head: &str, body: &str) -> String {
    if head.to_lowercase().contains("transfer-encoding: chunked") {
        return body.lines().filter(|line| usize::from_str_radix(line.trim(), 16).is_err()).collect();
    }
    body.to_owned()
}
