//! One connection of the double, or of a server beside it: requests in, answers out, and whatever a fault makes of them.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::ServerConfig;

use crate::clock::Clock;
use crate::core::request::{HttpRequest, Staged};
use crate::fault::{Action, Fault};
use crate::http::{Answer, Head};
use crate::journal::{Journal, Recorded};
use crate::listener::Pool;
use crate::lock;
use crate::reader::{ReadError, Reader};
use crate::script::Script;
use crate::stream::{Socket, Stream};

/// What answers a request at a time. Without an answer, the connection is closed.
pub(crate) type Service = Box<dyn Fn(&HttpRequest, Staged, SystemTime) -> Option<Answer> + Send + Sync>;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) service: Service,
    pub(crate) clock: Clock,
    pub(crate) journal: Arc<Journal>,
    pub(crate) script: Mutex<Script>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) pool: Arc<Pool>,
}

impl Shared {
    pub(crate) fn process(&self, request: &HttpRequest, staged: Staged) -> Option<Answer> {
        (self.service)(request, staged, self.clock.now())
    }
}

/// How a connection goes on after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    /// With `close_notify`, where there is TLS.
    Close,
    /// FIN, and on TLS no goodbye.
    Cut,
    Reset,
}

/// Go's answer, and so Vault's, to plain HTTP where TLS is spoken.
const PLAIN_ON_TLS: &str = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Serves a connection to its end.
pub(crate) fn serve(shared: &Shared, mut socket: Socket, number: usize) {
    shared.journal.connected();
    let remote = socket.peer();
    let fault = lock(&shared.script).on_connection();
    if let Some(fault) = fault {
        match &fault.action {
            Action::CloseBeforeHandshake | Action::Drop => return socket.shutdown(),
            Action::HangBefore => return Stream::Plain(socket).wait_for_end(),
            Action::RawInstead(bytes) => {
                let _ = socket.write_all(bytes);
                return socket.shutdown();
            }
            Action::Delay(delay) if shared.pool.stop.sleep(*delay) => return,
            Action::Delay(_) => {}
            _ => panic!("the fault {} cannot meet a connection", fault.name),
        }
    }
    let tls = shared.tls.clone().filter(|_| matches!(socket, Socket::Tcp(_)));
    if tls.is_some() && socket.speaks_text() {
        shared.journal.failed_handshake("plain HTTP on the TLS port".to_owned());
        // Taken off the socket, or the close would be an RST that overtakes the answer.
        let _ = socket.read(&mut [0; 16 << 10]);
        let _ = socket.write_all(PLAIN_ON_TLS.as_bytes());
        return socket.shutdown();
    }
    let stream = match Stream::open(socket, tls) {
        Ok(stream) => stream,
        Err(error) => return shared.journal.failed_handshake(error.to_string()),
    };
    if stream.is_tls() {
        shared.journal.handshake();
    }
    let mut reader = Reader::new(stream);
    let end = loop {
        let exchange = Exchange { shared, number, remote };
        match exchange.run(&mut reader) {
            Ok(Next::Keep) => {}
            Ok(next) => break next,
            // The peer is gone; there is nobody to tell.
            Err(_) => break Next::Cut,
        }
    };
    match end {
        Next::Keep | Next::Close => reader.stream.close(),
        Next::Cut => reader.stream.cut(),
        Next::Reset => {
            shared.pool.release(number);
            reader.stream.reset();
        }
    }
}

struct Exchange<'a> {
    shared: &'a Shared,
    number: usize,
    remote: IpAddr,
}

impl Exchange<'_> {
    fn run(&self, reader: &mut Reader<Stream>) -> io::Result<Next> {
        reader.begin();
        let (method, target) = match reader.request_line() {
            Ok(line) => line,
            Err(ReadError::Gone) => return Ok(Next::Close),
            Err(_) => return refuse(reader, 400),
        };
        let path = target.split('?').next().unwrap_or_default();
        let fault = lock(&self.shared.script).on_request(&method, path);
        if let Some(Action::CutRequest(bytes)) = fault.as_deref().map(|fault| &fault.action) {
            let head = Head { method, target, ..Head::default() };
            let sequence = self.record(reader, &head, fault.as_deref(), None);
            reader.take_up_to(*bytes);
            self.shared.journal.update(sequence, |request| request.read = reader.taken);
            return Ok(Next::Cut);
        }
        let head = match reader.head() {
            Ok(head) => head,
            Err(ReadError::Gone) => return Ok(Next::Cut),
            Err(_) => return refuse(reader, 400),
        };
        let body = match reader.body(&head) {
            Ok(body) => body,
            Err(error) => {
                self.record(reader, &head, fault.as_deref(), None);
                return match error {
                    ReadError::Gone => Ok(Next::Cut),
                    ReadError::Malformed => refuse(reader, 400),
                    ReadError::TooLarge => refuse(reader, 413),
                };
            }
        };
        let sequence = self.record(reader, &head, fault.as_deref(), Some(&body));
        let certificates = reader.stream.certificates();
        let request = HttpRequest { head, body, remote: self.remote, certificates };
        self.act(reader, sequence, &request, fault.as_deref())
    }

    fn record(&self, reader: &Reader<Stream>, head: &Head, fault: Option<&Fault>, body: Option<&[u8]>) -> usize {
        let mut request = Recorded::new(self.number, reader.stream.is_tls(), head);
        request.fault = fault.map(|fault| fault.name);
        request.complete = body.is_some();
        request.body = body.unwrap_or_default().to_vec();
        request.read = reader.taken;
        self.shared.journal.arrived(request)
    }

    fn act(
        &self,
        reader: &mut Reader<Stream>,
        sequence: usize,
        request: &HttpRequest,
        fault: Option<&Fault>,
    ) -> io::Result<Next> {
        let mut staged = Staged::default();
        let stream = &mut reader.stream;
        // First the faults that keep the request from Vault.
        match fault.map(|fault| &fault.action) {
            Some(Action::Drop) => return Ok(Next::Cut),
            Some(Action::HangBefore) => {
                stream.wait_for_end();
                return Ok(Next::Cut);
            }
            Some(Action::Instead(answer)) => return self.send(stream, sequence, request, answer),
            Some(Action::RawInstead(bytes)) => {
                stream.write_all(bytes)?;
                stream.flush()?;
                return Ok(Next::Close);
            }
            Some(Action::Endless { limit }) => return endless(stream, *limit),
            Some(Action::Delay(delay)) if self.shared.pool.stop.sleep(*delay) => return Ok(Next::Cut),
            Some(Action::Stage { rival, upstream }) => {
                staged = Staged { rival: *rival, upstream: upstream.clone(), ..staged };
            }
            Some(Action::SlowCloud(delay)) => staged.abandoned = stream.is_left_within(*delay)?,
            _ => {}
        }
        let Some(mut answer) = self.shared.process(request, staged) else { return Ok(Next::Close) };
        self.shared.journal.update(sequence, |request| request.processed = true);
        // Then those that keep the answer from the client.
        match fault.map(|fault| &fault.action) {
            Some(Action::HangAfter) => {
                stream.wait_for_end();
                Ok(Next::Cut)
            }
            Some(Action::After(other)) => self.send(stream, sequence, request, other),
            Some(Action::Rewrite(change)) => {
                answer.body = change(answer.body);
                self.send(stream, sequence, request, &answer)
            }
            Some(Action::CutAnswer { bytes, reset }) => {
                let raw = self.encode(sequence, request, &answer);
                stream.write_all(&raw[..raw.len().min(*bytes)])?;
                stream.flush()?;
                Ok(if *reset { Next::Reset } else { Next::Cut })
            }
            Some(Action::EndIdle { after, reset }) => match self.send(stream, sequence, request, &answer)? {
                Next::Keep if stream.is_idle_for(*after) => Ok(if *reset { Next::Reset } else { Next::Close }),
                next => Ok(next),
            },
            Some(Action::BesideTls(bytes)) => {
                stream.write_below(bytes)?;
                Ok(Next::Cut)
            }
            Some(Action::Drip { bytes, interval }) => {
                for piece in self.encode(sequence, request, &answer).chunks(*bytes) {
                    stream.write_all(piece)?;
                    stream.flush()?;
                    if self.shared.pool.stop.sleep(*interval) {
                        return Ok(Next::Cut);
                    }
                }
                Ok(after(request))
            }
            _ => self.send(stream, sequence, request, &answer),
        }
    }

    /// The raw answer; its status counts as given from here on.
    fn encode(&self, sequence: usize, request: &HttpRequest, answer: &Answer) -> Vec<u8> {
        let raw = answer.encode(&request.head.method, request.head.keeps_alive(), self.shared.clock.now());
        self.shared.journal.update(sequence, |request| {
            request.status = Some(answer.status);
            request.answered = raw.len();
        });
        raw
    }

    fn send(&self, stream: &mut Stream, sequence: usize, request: &HttpRequest, answer: &Answer) -> io::Result<Next> {
        stream.write_all(&self.encode(sequence, request, answer))?;
        stream.flush()?;
        Ok(after(request))
    }
}

fn after(request: &HttpRequest) -> Next {
    if request.head.keeps_alive() { Next::Keep } else { Next::Close }
}

/// Go's answer to what is not HTTP, or too much of it.
fn refuse(reader: &mut Reader<Stream>, status: u16) -> io::Result<Next> {
    let reason = crate::http::reason(status);
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
         {status} {reason}"
    );
    reader.stream.write_all(text.as_bytes())?;
    reader.stream.flush()?;
    Ok(Next::Close)
}

fn endless(stream: &mut Stream, limit: u64) -> io::Result<Next> {
    const CHUNK: usize = 64 << 10;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    stream.write_all(b"9\r\n{\"data\":\"\r\n")?;
    let chunk = format!("{CHUNK:x}\r\n{}\r\n", "a".repeat(CHUNK));
    let mut sent = 0;
    while sent < limit {
        stream.write_all(chunk.as_bytes())?;
        stream.flush()?;
        sent += CHUNK as u64;
    }
    Ok(Next::Cut)
}
