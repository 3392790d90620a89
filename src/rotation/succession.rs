//! The succession of the credentials that are served: when the next one is read, and what is said of that.

use jiff::Timestamp;

use super::Current;
use super::schedule::Schedule;
use crate::config::Plan;
use crate::credential::Credential;
use crate::error::{Error, printable};
use crate::host::Host;
use crate::time::render_time;

pub(super) struct Succession<'a> {
    plan: &'a Plan,
    host: &'a Host,
    current: &'a Current<'a>,
    pub(super) schedule: Schedule,
}

impl<'a> Succession<'a> {
    pub(super) fn new(plan: &'a Plan, current: &'a Current<'a>, host: &'a Host) -> Self {
        Self { plan, host, current, schedule: Schedule::default() }
    }

    /// What is served now was asked for at `begun`.
    pub(super) fn begin(&mut self, begun: Timestamp) {
        self.schedule.begin(begun, self.current.lease().2);
    }

    /// Serves this one from now on.
    pub(super) fn serve(&mut self, served: Credential) {
        if self.plan.output.verbose {
            let until = served.lease.expires_at.map(render_time).unwrap_or_default();
            self.say(&format!("a new credential of {}, until {until}", served.path));
        }
        self.current.replace(served);
    }

    /// There is no successor yet. That is said once.
    pub(super) fn fail(&mut self, error: &Error) {
        self.schedule.fail(self.host.now(), fastrand::f64());
        if self.schedule.has_failed_once() || self.plan.output.verbose {
            self.say(&self.describe(error, "and ci-creds tries again"));
        }
        self.current.note_failure(&self.plan.mint.path, error);
    }

    /// There will be none.
    pub(super) fn end(&mut self, error: &Error) {
        self.schedule.suspend();
        let hint = error.change().map(|hint| format!("\n  hint: {}", printable(hint))).unwrap_or_default();
        let text = printable(&self.describe(error, "and none follows it"));
        self.host.write_stderr(&format!("ci-creds: {text}{hint}\n"));
        self.current.note_failure(&self.plan.mint.path, error);
    }

    fn describe(&self, error: &Error, then: &str) -> String {
        let end = self.current.lease().2.map(render_time).unwrap_or_default();
        let (path, because) = (&self.plan.mint.path, error.message());
        format!("warning: no new credential of {path}: {because}; the one that is served expires at {end}, {then}")
    }

    pub(super) fn say(&self, text: &str) {
        self.host.write_stderr(&format!("ci-creds: {}\n", printable(text)));
    }
}
