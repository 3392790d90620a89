//! The login that a single-use secret bought: kept beside the credentials, for every call of its job.

use jiff::{SignedDuration, Timestamp};

use super::entry::{self, LoginEntry, PlainSecret, Seal};
use super::name::read;
use super::scope::{Door, Keys};
use super::{Cache, Label, State, folder, state};
use crate::auth::Session;
use crate::config::CachePlace;
use crate::host::{Folder, Host, Lock, LockAttempt};
use crate::http::transport::Connection;
use crate::identity::Login;

/// Vault locks an AppRole for everybody after five wrong secret ids within fifteen minutes (`user_lockout`, since 1.13).
const LOCKOUT: SignedDuration = SignedDuration::from_mins(15);

/// What became of a login that is no more: what to say when the secret that bought it is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginEnd {
    /// Its token came to its end.
    Expired(Timestamp),
    /// The secret was used then, and nothing is left of it: a call failed and took it back, or used it up.
    Used(Timestamp),
}

/// Whether an earlier call of this job keeps the login that its single-use secret bought. Looks, and changes nothing.
#[must_use]
pub(crate) fn keeps_login(place: &CachePlace, (connection, login): (&Connection, &Login), host: &Host) -> bool {
    let keys = Keys::new(&Door::new(connection, login, place.job.as_deref()), &login.identity);
    let folders = place.folders.iter().filter_map(|path| host.find_private_folder(path).ok().flatten());
    let kept = |folder: Folder| open_login(&folder, &keys, host);
    folders.filter_map(kept).any(|(label, token)| token.is_some() && host.now() < label.expires)
}

fn open_login(folder: &Folder, keys: &Keys, host: &Host) -> Option<(Label, Option<LoginEntry>)> {
    let bytes = read(folder, keys.door_name(), host)?;
    Seal::new(keys, None)?.open(&bytes)
}

impl Cache {
    /// The login that a single-use secret bought, while it lasts.
    ///
    /// A clock that was set back does not take it away: there may be no other one, and Vault knows whether the token is
    /// good. It has no longer life than it had.
    #[must_use]
    pub(crate) fn find_login(&self, host: &Host) -> Option<Session> {
        let (label, token) = self.open_login(host)?;
        let token = token?;
        let now = host.now();
        let life = label.expires.duration_since(label.issued);
        let expires = now.checked_add(life).map_or(label.expires, |end| end.min(label.expires));
        let alive = state(label.issued.min(now), expires, now) != State::Ended;
        alive.then(|| Session { expires_at: Some(expires), ..token.into_session() })
    }

    /// How the job's login ended, if it had one and it has.
    #[must_use]
    pub(crate) fn login_ended(&self, host: &Host) -> Option<LoginEnd> {
        let (label, token) = self.open_login(host)?;
        ended(&label, token.as_ref(), host.now())
    }

    /// When the kept login ends, or ended.
    pub(super) fn login_end(&self, host: &Host) -> Option<Timestamp> {
        self.open_login(host).map(|(label, _)| label.expires)
    }

    fn open_login(&self, host: &Host) -> Option<(Label, Option<LoginEntry>)> {
        open_login(&self.folder, &self.keys, host)
    }

    /// Keeps what a single-use secret bought, for every call of this job. Returns whether it is kept.
    pub(crate) fn keep_login(&self, _turn: &Lock, session: &Session, host: &Host) -> bool {
        // A token without an end, or with one request, is the caller's alone.
        let Some(expires) = session.expires_at.filter(|_| session.uses != 1) else { return false };
        self.write_login(&self.label(None, host.now(), expires), Some(LoginEntry::of(session)), host)
    }

    fn note_end(&self, host: &Host) -> bool {
        let now = host.now();
        self.write_login(&self.label(None, now, now), None, host)
    }

    fn write_login(&self, label: &Label, token: Option<LoginEntry>, host: &Host) -> bool {
        Seal::new(&self.keys, None).is_some_and(|seal| self.write(&self.login_file(), &seal, label, &token, host))
    }

    /// Notes that Vault refused the secret after this job had used it: it was for one use, and is not to be sent again
    /// for a while.
    pub(crate) fn pause_login(&self, _turn: &Lock, host: &Host) {
        let (now, Some((label, token))) = (host.now(), self.open_login(host)) else { return };
        if ended(&label, token.as_ref(), now).is_some() {
            let pause = now.checked_add(LOCKOUT).ok();
            self.write_login(&Label { pause, ..label }, token, host);
        }
    }

    /// Until when the secret is not to be sent again.
    #[must_use]
    pub(crate) fn login_paused(&self, host: &Host) -> Option<Timestamp> {
        self.open_login(host)?.0.pause.filter(|until| host.now() < *until)
    }

    /// Notes that a request was made with a kept login whose requests are counted.
    pub(crate) fn count_use(&self, turn: &Lock, session: &Session, host: &Host) {
        match session.uses {
            0 => {}
            1 | 2 => {
                self.note_end(host);
            }
            uses => {
                self.keep_login(turn, &Session { uses: uses - 1, ..session.duplicate() }, host);
            }
        }
    }

    /// Notes that the secret was used and that nothing is left of its login: it was revoked, Vault does not know it any
    /// more, or it failed. What ended with it is dropped.
    ///
    /// Where another call has the lock, and `turn` is not ours, nothing is noted: whoever is about to write such an
    /// entry learns of its end by himself.
    pub(crate) fn end_login(&self, turn: Option<&Lock>, host: &Host) {
        let lent = if turn.is_none() { self.folder.try_lock(&self.lock) } else { LockAttempt::Busy };
        let noted = (turn.is_some() || matches!(lent, LockAttempt::Held(_))) && self.note_end(host);
        if !noted {
            self.folder.remove(&self.login_file());
        }
        for (name, label) in
            folder::labels(&self.folder, host).into_iter().filter(|(name, _)| name.starts_with(self.keys.door_name()))
        {
            let opened = self
                .read(&name, host)
                .and_then(|bytes| Seal::new(&self.keys, label.target.as_ref())?.open::<entry::CredentialEntry>(&bytes));
            // STS credentials outlive the login that asked for them.
            if opened.is_some_and(|(_, content)| content.revocable) {
                self.folder.remove(&name);
            }
        }
    }

    fn login_file(&self) -> String {
        self.keys.door_name().to_owned()
    }
}

fn ended(label: &Label, token: Option<&LoginEntry>, now: Timestamp) -> Option<LoginEnd> {
    match token {
        None => Some(LoginEnd::Used(label.expires)),
        Some(_) => (label.expires <= now).then_some(LoginEnd::Expired(label.expires)),
    }
}

impl LoginEntry {
    pub(super) fn of(session: &Session) -> Self {
        Self {
            token: PlainSecret(session.token.duplicate()),
            expires: session.expires_at,
            batch: session.batch,
            uses: session.uses,
        }
    }

    /// A session by the same login.
    pub(super) fn session(&self) -> Session {
        let Self { token: PlainSecret(token), expires, batch, uses } = self;
        Session { token: token.duplicate(), own: true, expires_at: *expires, batch: *batch, uses: *uses }
    }

    pub(super) fn into_session(self) -> Session {
        Session { token: self.token.0, own: true, expires_at: self.expires, batch: self.batch, uses: self.uses }
    }
}
