//! What happened on the wire: connections, handshakes and every request, for a test to read afterwards.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Head, Headers};

/// One request as it came in and what became of it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Counted from 1 over all connections.
    pub sequence: usize,
    /// The connection it came on, counted from 1.
    pub connection: usize,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The method.
    pub method: String,
    /// The path as sent, not decoded.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: Option<String>,
    /// The header fields in order.
    pub headers: Headers,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// How many bytes of it were read, head included.
    pub read: usize,
    /// Whether head and body were read to the end.
    pub complete: bool,
    /// Whether Vault acted on it.
    pub processed: bool,
    /// The status that was written, if any was.
    pub status: Option<u16>,
    /// How many bytes the answer has, head included, if one was made; a fault may have kept some of them back.
    pub answered: usize,
    /// The fault that met it.
    pub fault: Option<&'static str>,
}

impl Recorded {
    pub(crate) fn new(connection: usize, tls: bool, head: &Head) -> Self {
        Self {
            connection,
            tls,
            method: head.method.clone(),
            path: head.raw_path().to_owned(),
            query: head.raw_query().map(str::to_owned),
            headers: head.headers.clone(),
            ..Self::default()
        }
    }

    /// The body as JSON; `null` when it is empty or something else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `METHOD path`, for comparing sequences of requests.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

#[derive(Debug, Default)]
struct Events {
    requests: Vec<Recorded>,
    connections: usize,
    handshakes: usize,
    failed_handshakes: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    events: Mutex<Events>,
    changed: Condvar,
}

impl Journal {
    fn events(&self) -> MutexGuard<'_, Events> {
        crate::lock(&self.events)
    }

    pub(crate) fn connected(&self) {
        self.events().connections += 1;
    }

    pub(crate) fn handshake(&self) {
        self.events().handshakes += 1;
    }

    pub(crate) fn failed_handshake(&self, reason: String) {
        self.events().failed_handshakes.push(reason);
    }

    /// Records a request and gives its place.
    pub(crate) fn arrived(&self, mut request: Recorded) -> usize {
        let mut events = self.events();
        request.sequence = events.requests.len() + 1;
        let sequence = request.sequence;
        events.requests.push(request);
        self.changed.notify_all();
        sequence
    }

    pub(crate) fn update(&self, sequence: usize, change: impl FnOnce(&mut Recorded)) {
        if let Some(request) = self.events().requests.get_mut(sequence - 1) {
            change(request);
        }
        self.changed.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.events().requests.clone()
    }

    pub(crate) fn forget_requests(&self) {
        self.events().requests.clear();
    }

    pub(crate) fn connections(&self) -> usize {
        self.events().connections
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.events().handshakes
    }

    pub(crate) fn failed_handshakes(&self) -> Vec<String> {
        self.events().failed_handshakes.clone()
    }

    /// Waits until so many requests came in. `false`: the time was up first.
    pub(crate) fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut events = self.events();
        while events.requests.len() < count {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            events = self.changed.wait_timeout(events, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }
}
