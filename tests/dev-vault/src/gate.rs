//! A gate in front of any server: it passes each request on, and tells the test when the server has answered and the
//! client has not heard of it yet.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::aside::Aside;
use crate::http::{Answer, Headers};
use crate::journal::Recorded;
use crate::tls::Tls;

/// A running gate.
pub struct Gate(Aside);

impl Gate {
    /// Passes plain HTTP on to this address. `answered` is called with each request, after the server has answered it and
    /// before the client gets that answer.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(to: SocketAddr, answered: impl Fn(&Recorded) + Send + Sync + 'static) -> Self {
        Self(Aside::lossy(Tls::Off, move |_, request| {
            let answer = pass(to, request).ok();
            answered(request);
            answer
        }))
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// What came through, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.requests()
    }
}

fn pass(to: SocketAddr, request: &Recorded) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let mut head = format!("{} {}{query} HTTP/1.0\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let end = raw.windows(4).position(|part| part == b"\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    let mut headers = Headers::default();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !["connection", "content-length", "date"].contains(&name.to_lowercase().as_str()) {
            headers.push(name, value);
        }
    }
    Ok(Answer { status, headers, body: raw[end + 4..].to_vec() })
}
