//! Where redirected requests stray to: a listener that is no Vault, and remembers who came.

use crate::aside::Aside;
use crate::http::Answer;
use crate::journal::Recorded;
use crate::tls::Tls;

/// Records everything and answers `200 {}`.
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
}
