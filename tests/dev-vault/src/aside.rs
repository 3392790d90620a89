//! A small HTTP server beside Vault: it records every request and lets a closure answer.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::Clock;
use crate::http::Answer;
use crate::journal::{Journal, Recorded};
use crate::listener::{Listener, Pool};
use crate::reader::Reader;
use crate::stream::Stream;
use crate::tls::{Certificates, Issuer, Tls};

/// What such a server has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) journal: Journal,
    address: OnceLock<SocketAddr>,
}

impl Tally {
    /// The port; known before the first connection.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.get().expect("the server has started")
    }
}

pub(crate) struct Aside {
    tally: Arc<Tally>,
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
        let config = certificates.as_ref().map(|certificates| Arc::clone(&certificates.config));
        let tally = Arc::new(Tally::default());
        let seen = Arc::clone(&tally);
        let listener = Listener::start(Arc::new(Pool::default()), None, move |socket, number| {
            seen.journal.connected();
            match Stream::open(socket, config.clone()) {
                Ok(stream) => serve(stream, number, &seen, &answer),
                Err(error) => seen.journal.failed_handshake(error.to_string()),
            }
        })
        .expect("a loopback port can be had");
        tally.address.get_or_init(|| listener.address);
        Self { tally, certificates, listener }
    }

    pub(crate) fn address(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.address)
    }

    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.certificates.as_ref().map(|certificates| certificates.ca_pem.as_str())
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.tally.journal.requests()
    }

    pub(crate) fn connections(&self) -> usize {
        self.tally.journal.connections()
    }

    pub(crate) fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.tally.journal.wait_for(count, timeout)
    }
}

fn serve(stream: Stream, number: usize, tally: &Tally, answer: &dyn Fn(&Tally, &Recorded) -> Option<Answer>) {
    let mut reader = Reader::new(stream);
    loop {
        reader.begin();
        let Ok(head) = reader.head() else { break };
        let Ok(body) = reader.body(&head) else { break };
        let request = Recorded {
            complete: true,
            read: reader.taken,
            body,
            ..Recorded::new(number, reader.stream.is_tls(), &head)
        };
        let answer = answer(tally, &request);
        tally.journal.arrived(Recorded { status: answer.as_ref().map(|answer| answer.status), ..request });
        let Some(answer) = answer else { break };
        let raw = answer.encode(&head.method, head.keeps_alive(), Clock::default().now());
        if reader.stream.write_all(&raw).and_then(|()| reader.stream.flush()).is_err() || !head.keeps_alive() {
            break;
        }
    }
    reader.stream.close();
}
