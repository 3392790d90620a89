//! A listener that is no Vault, and remembers who came: where redirected requests stray to, or another service.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::aside::Aside;
use crate::fault::Reply;
use crate::http::Answer;
use crate::journal::Recorded;
use crate::tls::Tls;

/// Records everything and answers `200 {}`, or what it was told to.
pub struct Sink(Aside);

impl Sink {
    /// Starts listening on loopback.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(tls: Tls) -> Self {
        Self(Aside::start(tls, |_, _| Answer::new(200, "application/json", "{}\n")))
    }

    /// Gives the first of these to the first request, and so on; the last one to all that follow.
    ///
    /// # Panics
    /// When there is none, or no loopback port can be had.
    #[must_use]
    pub fn answering(tls: Tls, replies: Vec<Reply>) -> Self {
        let last = replies.len().checked_sub(1).expect("at least one answer");
        Self(Aside::start(tls, move |tally, _| replies[tally.earlier().min(last)].0.clone()))
    }

    /// Ends TLS in front of a server of plain HTTP, as a load balancer does: whatever the client proved is lost.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn in_front_of(server: SocketAddr) -> Self {
        Self(Aside::start(Tls::Valid, move |_, request| {
            pass_on(server, request).unwrap_or_else(|_| Answer::new(502, "text/html", "<html>"))
        }))
    }

    /// `http://127.0.0.1:port` or `https://…`.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// The CA to trust, with TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.0.ca_pem()
    }

    /// How many connections came.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections()
    }

    /// What they asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.requests()
    }

    /// Waits until so many requests came in. `false`: the time was up first.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.0.wait_for_requests(count, timeout)
    }
}

/// The server's short answer to the same request on a connection of its own.
fn pass_on(server: SocketAddr, request: &Recorded) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    let length = request.body.len();
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nX-Vault-Request: true\r\nContent-Length: {length}\r\n\r\n",
        request.method, request.path
    );
    stream.write_all(&[head.as_bytes(), &request.body].concat())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(ErrorKind::InvalidData)?;
    Ok(Answer::new(status, "application/json", body))
}
