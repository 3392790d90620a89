//! A small HTTP server beside Vault: it records every request and lets a closure answer. Faults meet it as they meet the
//! double.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::connection::{Shared, serve};
use crate::fault::{Fault, On};
use crate::http::Answer;
use crate::journal::{Journal, Recorded};
use crate::listener::{Listener, Pool};
use crate::lock;
use crate::script::Script;
use crate::tls::{Certificates, Issuer, Tls};

/// What such a server has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    journal: Arc<Journal>,
    address: OnceLock<SocketAddr>,
}

impl Tally {
    /// The port; known before the first connection.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.get().expect("the server has started")
    }

    /// How many requests came before the one that is answered.
    pub(crate) fn earlier(&self) -> usize {
        self.journal.requests().len().saturating_sub(1)
    }
}

pub(crate) struct Aside {
    shared: Arc<Shared>,
    certificates: Option<Certificates>,
    listener: Listener,
}

impl Aside {
    pub(crate) fn start(tls: Tls, answer: impl Fn(&Tally, &Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::lossy(tls, move |tally, request| Some(answer(tally, request)))
    }

    /// As [`Aside::start`]; where there is no answer, the connection is closed.
    pub(crate) fn lossy(
        tls: Tls,
        answer: impl Fn(&Tally, &Recorded) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let certificates = Certificates::new(tls, Issuer::default(), false).expect("certificates can be made");
        let tally = Arc::new(Tally::default());
        let (told, is_tls) = (Arc::clone(&tally), certificates.is_some());
        let pool = Arc::new(Pool::default());
        let shared = Arc::new(Shared {
            service: Box::new(move |request, _, _| {
                let body = request.body.clone();
                let recorded = Recorded { complete: true, body, ..Recorded::new(0, is_tls, &request.head) };
                answer(&told, &recorded)
            }),
            clock: Clock::default(),
            journal: Arc::clone(&tally.journal),
            script: Mutex::new(Script::default()),
            tls: certificates.as_ref().map(|certificates| Arc::clone(&certificates.config)),
            pool: Arc::clone(&pool),
        });
        let served = Arc::clone(&shared);
        let listener = Listener::start(pool, None, move |socket, number| serve(&served, socket, number))
            .expect("a loopback port can be had");
        tally.address.get_or_init(|| listener.address);
        Self { shared, certificates, listener }
    }

    /// Arms a fault.
    pub(crate) fn inject(&self, on: On, fault: Fault) {
        lock(&self.shared.script).arm(on, fault);
    }

    /// Forgets the faults that are armed.
    pub(crate) fn clear_faults(&self) {
        lock(&self.shared.script).clear();
    }

    pub(crate) fn address(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.address)
    }

    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.certificates.as_ref().map(|certificates| certificates.ca_pem.as_str())
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.requests()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.journal.connections()
    }

    pub(crate) fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.shared.journal.wait_for(count, timeout)
    }
}
