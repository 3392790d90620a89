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
    target: Target,
    first: usize,
    count: usize,
}

#[derive(Debug, Clone)]
enum Target {
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
    HangAfter,
    After(Answer),
    CutAnswer { bytes: usize, reset: bool },
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

    /// Between Vault's check and its use of a single-use token or secret id, another client takes it.
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

/// The armed faults.
#[derive(Debug, Default)]
pub(crate) struct Script {
    armed: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    on: On,
    fault: std::sync::Arc<Fault>,
    matches: usize,
}

impl Script {
    pub(crate) fn arm(&mut self, on: On, fault: Fault) {
        self.armed.push(Armed { on, fault: std::sync::Arc::new(fault), matches: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Whether requests must be read byte by byte, because one may have to be cut.
    pub(crate) fn may_cut(&self) -> bool {
        self.armed.iter().any(|armed| matches!(armed.fault.action, Action::CutRequest(_)))
    }

    pub(crate) fn on_connection(&mut self) -> Option<std::sync::Arc<Fault>> {
        self.next(|target| matches!(target, Target::Connection))
    }

    pub(crate) fn on_request(&mut self, method: &str, path: &str) -> Option<std::sync::Arc<Fault>> {
        self.next(|target| match target {
            Target::Connection => false,
            Target::Request { methods, suffix } => {
                (methods.is_empty() || methods.iter().any(|wanted| wanted == method)) && path.ends_with(suffix.as_str())
            }
        })
    }

    /// Counts the match in every armed fault; the oldest one whose turn it is acts. Spent faults are forgotten.
    fn next(&mut self, hits: impl Fn(&Target) -> bool) -> Option<std::sync::Arc<Fault>> {
        let mut found = None;
        for armed in self.armed.iter_mut().filter(|armed| hits(&armed.on.target)) {
            // A fault that waits behind another one is not used up by it.
            let is_due = armed.matches + 1 >= armed.on.first;
            if is_due && found.is_some() {
                continue;
            }
            armed.matches += 1;
            if is_due {
                found = Some(armed.fault.clone());
            }
        }
        self.armed.retain(|armed| armed.matches < armed.on.first.saturating_sub(1).saturating_add(armed.on.count));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(script: &mut Script, method: &str, path: &str, times: usize) -> Vec<Option<&'static str>> {
        (0..times).map(|_| script.on_request(method, path).map(|fault| fault.name)).collect()
    }

    #[test]
    fn a_fault_expires_after_its_count() {
        let mut script = Script::default();
        script.arm(On::write("/login").nth(2), Fault::hang_before());
        assert_eq!(names(&mut script, "GET", "/v1/auth/x/login", 1), [None]);
        assert_eq!(names(&mut script, "PUT", "/v1/auth/x/login", 3), [None, Some("hang_before"), None]);
        assert!(script.armed.is_empty());
    }

    #[test]
    fn faults_on_the_same_request_take_turns_in_order() {
        let mut script = Script::default();
        script.arm(On::any(), Fault::drop_request());
        script.arm(On::any().times(2), Fault::hang_after());
        let expected = [Some("drop_request"), Some("hang_after"), Some("hang_after"), None];
        assert_eq!(names(&mut script, "GET", "/", 4), expected);
    }

    #[test]
    fn every_never_expires() {
        let mut script = Script::default();
        script.arm(On::get("x").every(), Fault::drop_request());
        assert_eq!(names(&mut script, "GET", "/x", 50), [Some("drop_request"); 50]);
    }
}
