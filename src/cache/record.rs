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
    /// The notes, each with the end that nothing puts off.
    ids: RefCell<Vec<(String, Option<Timestamp>)>>,
    /// The note of what is being made, or of what a read may have made whose answer was lost.
    pending: RefCell<Option<String>>,
    /// The note of what somebody else's token may have made.
    unclear: RefCell<Option<String>>,
}

impl<'a> JobRecord<'a> {
    /// Goes on with what was noted since the run began.
    pub(crate) fn new(
        state: &'a JobState,
        required: bool,
        (ids, begun): (Vec<String>, Timestamp),
        host: &'a Host,
    ) -> Self {
        let ids = RefCell::new(ids.into_iter().map(|id| (id, None)).collect());
        Self { state, required, host, begun, ids, pending: RefCell::default(), unclear: RefCell::default() }
    }

    /// Notes that this session is about to make a credential. Returns what to tell if that cannot be noted and need not be.
    ///
    /// However often Vault fails, the state has one note of it: it has room for some hundred.
    ///
    /// # Errors
    /// That `ci-creds revoke` has ended the job since the run began; that it cannot be noted, where it must.
    pub(crate) async fn begin(&self, path: &str, session: &Session) -> Result<Option<String>> {
        let before = self.pending.take();
        let id = match before {
            // The note names the login, which ends all that it made.
            Some(id) if session.own => id,
            before => {
                if let Some(id) = before {
                    self.keep_one_unclear(id).await;
                }
                self.host.draw_word()?
            }
        };
        match self.state.note(&id, path, &renewed(session), None, self.host).await {
            Ok(Noting::Late(when)) if when >= self.begun => {
                self.drop_note(id).await;
                Err(over())
            }
            Ok(_) => {
                self.ids.borrow_mut().retain(|(known, _)| *known != id);
                self.ids.borrow_mut().push((id.clone(), None));
                self.pending.replace(Some(id));
                Ok(None)
            }
            Err(problem) if self.required => Err(Error::new(Kind::Create, format!("the state of the job {problem}"))),
            Err(problem) => Ok(Some(format!("ci-creds revoke will not know the next credential of {path}: {problem}"))),
        }
    }

    /// Notes what it made, and drops the notes of what has expired since.
    ///
    /// # Errors
    /// That `ci-creds revoke` has ended the job meanwhile.
    pub(crate) async fn complete(&self, path: &str, session: &Session, made: &Lease) -> Result<()> {
        let Some(id) = self.pending.take() else { return Ok(()) };
        // A note that cannot be written leaves the one before it, which names the login.
        match self.state.note(&id, path, &renewed(session), Some(&renewed_lease(made)), self.host).await {
            Ok(Noting::Over) => return Err(over()),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
        let now = self.host.now();
        let is_past = |end: &Option<Timestamp>| end.is_some_and(|end| end <= now);
        let past: Vec<_> = self.ids.borrow_mut().extract_if(.., |(_, end)| is_past(end)).map(|(id, _)| id).collect();
        if let Some((_, end)) = self.ids.borrow_mut().iter_mut().find(|(known, _)| *known == id) {
            *end = made.granted_until;
        }
        if !past.is_empty() {
            self.state.forget(&past, true, self.host).await;
        }
        Ok(())
    }

    /// Drops the note of what was to be made: nothing was, or it has ended.
    pub(crate) async fn abandon(&self) {
        if let Some(id) = self.pending.take() {
            self.drop_note(id).await;
        }
    }

    /// One note is enough: it says that there may be a lease that nobody knows.
    async fn keep_one_unclear(&self, id: String) {
        if self.unclear.borrow().is_some() {
            self.drop_note(id).await;
        } else {
            self.unclear.replace(Some(id));
        }
    }

    async fn drop_note(&self, id: String) {
        self.ids.borrow_mut().retain(|(known, _)| *known != id);
        self.state.forget(&[id], true, self.host).await;
    }

    /// Drops all notes: what they tell of is revoked.
    pub(crate) async fn forget(self) {
        let ids: Vec<_> = self.ids.into_inner().into_iter().map(|(id, _)| id).collect();
        self.state.forget(&ids, true, self.host).await;
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
