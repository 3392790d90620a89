//! What nobody can renew and nothing ends sooner, while a command runs: a session of AWS.

use jiff::Timestamp;

use super::term::Term;
use crate::host::Host;
use crate::time::{left_until, render_time};

/// The end of one, and what is to be told of it before, as for a lease.
pub(crate) struct FixedEnd<'a> {
    path: &'a str,
    term: Term,
    host: &'a Host,
}

impl<'a> FixedEnd<'a> {
    /// The credential of this path begins now and expires at `end`.
    pub(crate) fn new(path: &'a str, end: Timestamp, host: &'a Host) -> Self {
        Self { path, term: Term::fixed(end, host.now()), host }
    }

    /// Waits until the end is to be told. Returns the text.
    pub(crate) async fn approach(&self) -> String {
        self.wait_until(self.term.warn_at()).await;
        format!("{}, and the command still runs; nobody can renew it: --ttl asks for a longer one", self.describe())
    }

    /// Waits until a command must be told to end, so that it can still clean up with it. Returns the text.
    pub(crate) async fn run_until_expiry(&self) -> String {
        self.wait_until(self.term.stop_at()).await;
        self.describe()
    }

    fn describe(&self) -> String {
        format!("the credential of {} expires at {}", self.path, render_time(self.term.end))
    }

    async fn wait_until(&self, when: Option<Timestamp>) {
        if let Some(when) = when {
            tokio::time::sleep(left_until(when, self.host.now())).await;
        }
    }
}
