//! What a run that lasts has noted in the state of its job: `ci-creds exec`, which makes more while its command runs and
//! revokes all of it at the end.

use std::cell::RefCell;

use jiff::Timestamp;

use super::job::{JobState, Noting};
use crate::auth::Session;
use crate::credential::{Lease, Life};
use crate::error::{Error, Kind, Result};
use crate::host::Host;

/// The notes of one run.
pub(crate) struct JobRecord<'a> {
    state: &'a JobState,
    /// Whether nothing may be made that cannot be noted.
    required: bool,
    host: &'a Host,
    begun: Timestamp,
    ids: RefCell<Vec<String>>,
    /// The note of what is being made.
    pending: RefCell<Option<String>>,
}

impl<'a> JobRecord<'a> {
    /// Goes on with what was noted since the run began.
    pub(crate) fn new(
        state: &'a JobState,
        required: bool,
        (ids, begun): (Vec<String>, Timestamp),
        host: &'a Host,
    ) -> Self {
        Self { state, required, host, begun, ids: RefCell::new(ids), pending: RefCell::default() }
    }

    /// Notes that this session is about to make a credential. Returns what to tell if that cannot be noted and need not be.
    ///
    /// # Errors
    /// That `ci-creds revoke` has ended the job since the run began; that it cannot be noted, where it must.
    pub(crate) async fn begin(&self, path: &str, session: &Session) -> Result<Option<String>> {
        let id = self.host.draw_word()?;
        match self.state.note(&id, path, &renewed(session), None, self.host).await {
            Ok(Noting::Late(when)) if when >= self.begun => {
                self.state.forget(&[id], true, self.host).await;
                Err(over())
            }
            Ok(_) => {
                self.ids.borrow_mut().push(id.clone());
                self.pending.replace(Some(id));
                Ok(None)
            }
            Err(problem) if self.required => Err(Error::new(Kind::Create, format!("the state of the job {problem}"))),
            Err(problem) => Ok(Some(format!("ci-creds revoke will not know the next credential of {path}: {problem}"))),
        }
    }

    /// Notes what it made.
    ///
    /// # Errors
    /// That `ci-creds revoke` has ended the job meanwhile.
    pub(crate) async fn complete(&self, path: &str, session: &Session, made: &Lease) -> Result<()> {
        let Some(id) = self.pending.take() else { return Ok(()) };
        // A note that cannot be written leaves the one before it, which names the login.
        match self.state.note(&id, path, &renewed(session), Some(&renewed_lease(made)), self.host).await {
            Ok(Noting::Over) => Err(over()),
            _ => Ok(()),
        }
    }

    /// Drops all notes: what they tell of is revoked.
    pub(crate) async fn forget(self) {
        self.state.forget(&self.ids.into_inner(), true, self.host).await;
    }
}

fn over() -> Error {
    Error::new(Kind::Output, "ci-creds revoke has revoked this job's logins since this run began")
}

/// A session that is renewed for as long as its run lasts: nobody who reads the note knows when it expires.
pub(crate) fn renewed(session: &Session) -> Session {
    Session { expires_at: None, ..session.duplicate() }
}

/// The same of a lease.
pub(crate) fn renewed_lease(lease: &Lease) -> Lease {
    Lease { expires_at: lease.expires_at.filter(|_| lease.life != Life::Leased), ..lease.clone() }
}
