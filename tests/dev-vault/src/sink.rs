//! A listener that is no Vault, and remembers who came: where redirected requests stray to, or another service.

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
        Self(Aside::start(tls, move |tally, _| replies[tally.journal.requests().len().min(last)].0.clone()))
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
