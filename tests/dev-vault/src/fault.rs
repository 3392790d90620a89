//! Faults by script: what goes wrong, on which request, how often.
//!
//! A fault is data. `connection` acts it out; nothing here touches a socket.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::core::request::Upstream;
use crate::http::{Answer, Headers};

/// Which requests a fault meets: a method, the end of a path, and which of the matches.
#[derive(Debug, Clone)]
pub struct On {
    pub(crate) target: Target,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Connection,
    Request { methods: Vec<String>, suffix: String },
}

impl On {
    fn new(target: Target) -> Self {
        Self { target, first: 1, count: 1 }
    }

    fn request(methods: &[&str], suffix: &str) -> Self {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        Self::new(Target::Request { methods, suffix: suffix.to_owned() })
    }

    /// Any request.
    #[must_use]
    pub fn any() -> Self {
        Self::request(&[], "")
    }

    /// A request whose path ends so, whatever its method.
    #[must_use]
    pub fn path(suffix: &str) -> Self {
        Self::request(&[], suffix)
    }

    /// A `GET` whose path ends so.
    #[must_use]
    pub fn get(suffix: &str) -> Self {
        Self::request(&["GET"], suffix)
    }

    /// A `POST` or `PUT`, which are the same to Vault.
    #[must_use]
    pub fn write(suffix: &str) -> Self {
        Self::request(&["POST", "PUT"], suffix)
    }

    /// A request with this method whose path ends so.
    #[must_use]
    pub fn method(method: &str, suffix: &str) -> Self {
        Self::request(&[method], suffix)
    }

    /// A new connection, before TLS and before any request.
    #[must_use]
    pub fn connection() -> Self {
        Self::new(Target::Connection)
    }

    /// Only the n-th match, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        (self.first, self.count) = (n.max(1), 1);
        self
    }

    /// The next `count` matches instead of one.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Every match.
    #[must_use]
    pub fn every(self) -> Self {
        self.times(usize::MAX)
    }
}

/// An answer to give instead of Vault's.
#[derive(Debug, Clone)]
pub struct Reply(pub(crate) Answer);

impl Reply {
    /// An empty JSON answer with this status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Answer::new(status, "application/json", ""))
    }

    /// Vault's error envelope.
    #[must_use]
    pub fn error(status: u16, text: &str) -> Self {
        Self::json(status, &serde_json::json!({ "errors": [text] }))
    }

    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self(Answer::new(status, "application/json", format!("{body}\n")))
    }

    /// A page, as proxies give.
    #[must_use]
    pub fn html(status: u16, body: &str) -> Self {
        Self(Answer::new(status, "text/html", body))
    }

    /// Sets a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.headers.set(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Leaves no header but those set afterwards.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.0.headers = Headers::default();
        self
    }
}

type Transform = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// What goes wrong.
pub struct Fault {
    pub(crate) name: &'static str,
    pub(crate) action: Action,
}

pub(crate) enum Action {
    CloseBeforeHandshake,
    CutRequest(usize),
    Drop,
    HangBefore,
    Instead(Answer),
    RawInstead(Vec<u8>),
    Endless { limit: u64 },
    Stage { rival: bool, upstream: Option<Upstream> },
    Delay(Duration),
    SlowCloud(Duration),
    HangAfter,
    After(Answer),
    CutAnswer { bytes: usize, reset: bool },
    EndIdle { after: Duration, reset: bool },
    BesideTls(Vec<u8>),
    Drip { bytes: usize, interval: Duration },
    Rewrite(Transform),
}

impl Fault {
    fn new(name: &'static str, action: Action) -> Self {
        Self { name, action }
    }

    /// Accepts the connection and closes it before the first byte. For [`On::connection`].
    #[must_use]
    pub fn close_before_handshake() -> Self {
        Self::new("close_before_handshake", Action::CloseBeforeHandshake)
    }

    /// Closes after this many bytes of the request; nothing is processed.
    ///
    /// The request line is always read, for there would be nothing to match otherwise.
    #[must_use]
    pub fn cut_request(bytes: usize) -> Self {
        Self::new("cut_request", Action::CutRequest(bytes))
    }

    /// Reads the whole request and closes; nothing is processed.
    #[must_use]
    pub fn drop_request() -> Self {
        Self::new("drop_request", Action::Drop)
    }

    /// Processes, sends the first bytes of the raw answer (head included), and closes with FIN.
    #[must_use]
    pub fn cut_answer(bytes: usize) -> Self {
        Self::new("cut_answer", Action::CutAnswer { bytes, reset: false })
    }

    /// Processes, sends the first bytes of the raw answer, and closes with RST.
    #[must_use]
    pub fn reset_answer(bytes: usize) -> Self {
        Self::new("reset_answer", Action::CutAnswer { bytes, reset: true })
    }

    /// Processes and answers, and closes when no request has begun for so long. The answer does not say so.
    #[must_use]
    pub fn close_idle(after: Duration) -> Self {
        Self::new("close_idle", Action::EndIdle { after, reset: false })
    }

    /// As [`Fault::close_idle`], with RST.
    #[must_use]
    pub fn reset_idle(after: Duration) -> Self {
        Self::new("reset_idle", Action::EndIdle { after, reset: true })
    }

    /// Processes, and sends these bytes as they are, below TLS, in the answer's place.
    #[must_use]
    pub fn answer_beside_tls(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("answer_beside_tls", Action::BesideTls(bytes.into()))
    }

    /// Reads the request and stays silent; nothing is processed.
    #[must_use]
    pub fn hang_before() -> Self {
        Self::new("hang_before", Action::HangBefore)
    }

    /// Processes and stays silent.
    #[must_use]
    pub fn hang_after() -> Self {
        Self::new("hang_after", Action::HangAfter)
    }

    /// Answers in Vault's place; nothing is processed.
    #[must_use]
    pub fn answer(reply: Reply) -> Self {
        Self::new("answer", Action::Instead(reply.0))
    }

    /// Processes, and answers with something else.
    #[must_use]
    pub fn answer_after(reply: Reply) -> Self {
        Self::new("answer_after", Action::After(reply.0))
    }

    /// Redirects; nothing is processed.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        let reply = Reply::status(status).bare().header("Location", location);
        Self::new("redirect", Action::Instead(reply.0))
    }

    /// Sends these bytes instead of an HTTP answer and closes; nothing is processed.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("raw", Action::RawInstead(bytes.into()))
    }

    /// Processes and sends the answer in pieces of `bytes`, one per `interval`.
    #[must_use]
    pub fn drip(bytes: usize, interval: Duration) -> Self {
        Self::new("drip", Action::Drip { bytes: bytes.max(1), interval })
    }

    /// Processes after a delay.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self::new("delay", Action::Delay(delay))
    }

    /// The cloud behind the engine takes so long to make a key. When the client goes away before the answer, Vault cancels
    /// the request: the cloud has made the key, and there is no lease for it (see `DevVault::keys_without_a_lease`).
    #[must_use]
    pub fn slow_cloud(delay: Duration) -> Self {
        Self::new("slow_cloud", Action::SlowCloud(delay))
    }

    /// Processes and changes the JSON of the answer.
    #[must_use]
    pub fn rewrite(change: Box<dyn Fn(Value) -> Value + Send + Sync>) -> Self {
        Self::rewrite_bytes(Box::new(move |body| {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            format!("{}\n", change(body)).into_bytes()
        }))
    }

    /// Processes and changes the body of the answer.
    #[must_use]
    pub fn rewrite_bytes(change: Transform) -> Self {
        Self::new("rewrite", Action::Rewrite(change))
    }

    /// Sends a JSON string that does not end, in chunks, until the peer closes or `limit` bytes are out; nothing is
    /// processed.
    #[must_use]
    pub fn endless(limit: u64) -> Self {
        Self::new("endless", Action::Endless { limit })
    }

    /// Between Vault's check and its use of a single-use token or secret ID, another client takes it.
    #[must_use]
    pub fn lost_race() -> Self {
        Self::new("lost_race", Action::Stage { rival: true, upstream: None })
    }

    /// The cloud behind the engine throttles it.
    #[must_use]
    pub fn upstream_throttles() -> Self {
        Self::new("upstream_throttles", Action::Stage { rival: false, upstream: Some(Upstream::Throttled) })
    }

    /// The cloud behind the engine refuses, with this text.
    #[must_use]
    pub fn upstream_fails(text: &str) -> Self {
        let upstream = Some(Upstream::Fails(text.to_owned()));
        Self::new("upstream_fails", Action::Stage { rival: false, upstream })
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
