//! What is served now, and whether its successor is being read: what the endpoint and the rotation share.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::credential::{Credential, Life};
use crate::endpoint::EndpointAnswer;
use crate::error::{Error, printable};
use crate::host::Host;
use crate::render;

/// The credential that is served, with its values.
pub(crate) struct Current<'a> {
    host: &'a Host,
    credential: RefCell<Credential>,
    /// Why there is no newer one.
    failure: RefCell<String>,
    /// Wakes the rotation when somebody was told that there is none.
    missed: Notify,
    reading: Cell<bool>,
    /// Wakes who waits for the end of a read.
    read: Notify,
}

impl<'a> Current<'a> {
    /// Serves this one from now on.
    pub(crate) fn new(credential: Credential, host: &'a Host) -> Self {
        let failure = format!("the credential of {} has expired, and a new one is being read", credential.path);
        Self {
            host,
            credential: RefCell::new(credential),
            failure: RefCell::new(failure),
            missed: Notify::new(),
            reading: Cell::new(false),
            read: Notify::new(),
        }
    }

    /// What a request is answered: the credential while it lives, and never one that has expired, which the SDKs for Go and
    /// JavaScript would use.
    pub(crate) fn answer(&self) -> EndpointAnswer {
        let credential = self.credential.borrow();
        if credential.lease.expires_at.is_none_or(|end| end > self.host.now()) {
            match render::container_document(&credential) {
                Ok(document) => return EndpointAnswer::Credential(document),
                Err(error) => return EndpointAnswer::Failure(render::container_failure(error.message())),
            }
        }
        self.missed.notify_one();
        EndpointAnswer::Failure(render::container_failure(&self.failure.borrow()))
    }

    /// Waits until no read is under way.
    pub(crate) async fn is_settled(&self) {
        while self.reading.get() {
            self.read.notified().await;
        }
    }

    /// Waits until somebody was told that there is none.
    pub(super) async fn is_missed(&self) {
        self.missed.notified().await;
    }

    pub(super) fn begin_read(&self) {
        self.reading.set(true);
    }

    pub(super) fn end_read(&self) {
        self.reading.set(false);
        self.read.notify_one();
    }

    pub(super) fn replace(&self, credential: Credential) {
        self.credential.replace(credential);
    }

    /// Renewals have moved its end.
    pub(super) fn extend(&self, end: Timestamp) {
        self.credential.borrow_mut().lease.expires_at = Some(end);
    }

    pub(super) fn note_failure(&self, path: &str, error: &Error) {
        let hint = error.change().map(|hint| format!("; {hint}")).unwrap_or_default();
        *self.failure.borrow_mut() = printable(&format!("no new credential of {path}: {}{hint}", error.message()));
    }

    /// Its lease's id, what ends it, and when.
    pub(super) fn lease(&self) -> (Option<String>, Life, Option<Timestamp>) {
        let lease = &self.credential.borrow().lease;
        (lease.id.clone(), lease.life, lease.expires_at)
    }
}
