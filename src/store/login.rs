//! The login that a single-use secret bought: kept beside the credentials, for every call of its job.

use jiff::Timestamp;

use super::entry::{self, Exposed, Seal, Token};
use super::{Cache, Label, State, inventory, state};
use crate::auth::{Session, Spent};
use crate::host::{Host, Lock};

impl Cache {
    /// The login that a single-use secret bought, while it lasts.
    ///
    /// A clock that was set back does not take it away: there may be no other one, and Vault knows whether the token is
    /// good. It has no longer life than it had.
    #[must_use]
    pub fn find_login(&self, host: &Host) -> Option<Session> {
        let (label, token) = self.open_login(host)?;
        let now = host.now();
        let life = label.expires.duration_since(label.issued);
        let expires = now.checked_add(life).map_or(label.expires, |end| end.min(label.expires));
        let alive = state(label.issued.min(now), expires, now) != State::Ended;
        alive.then(|| Session { expires_at: Some(expires), ..token.into_session() })
    }

    /// When the kept login ended, if it has: what to say when the secret that bought it is spent.
    #[must_use]
    pub fn login_ended(&self, host: &Host) -> Option<Timestamp> {
        self.login_end(host).filter(|end| *end <= host.now())
    }

    /// When the kept login ends, or ended.
    pub(super) fn login_end(&self, host: &Host) -> Option<Timestamp> {
        self.open_login(host).map(|(label, _)| label.expires)
    }

    fn open_login(&self, host: &Host) -> Option<(Label, Token)> {
        let bytes = self.read(&self.login_file(), host)?;
        Seal::new(&self.keys, None)?.open(&bytes)
    }

    /// Keeps what a single-use secret bought, for every call of this job. Returns whether it is kept.
    pub fn keep_login(&self, _turn: &Lock, session: &Session, host: &Host) -> bool {
        // A token without an end, or with one request, is the caller's alone.
        let Some(expires) = session.expires_at.filter(|_| session.uses != 1) else { return false };
        let label = self.label(None, host.now(), expires);
        Seal::new(&self.keys, None)
            .is_some_and(|seal| self.write(&self.login_file(), &seal, &label, &Token::of(session), host))
    }

    /// Notes that a request was made with a kept login whose requests are counted.
    pub fn count_use(&self, turn: &Lock, session: &Session, host: &Host) {
        match session.uses {
            0 => {}
            1 | 2 => {
                self.folder.remove(&self.login_file());
            }
            uses => {
                self.keep_login(turn, &Session { uses: uses - 1, ..session.duplicate() }, host);
            }
        }
    }

    /// Drops the kept login, which was revoked or which Vault does not know any more, and what ended with it. Needs no
    /// lock: whoever is about to write such an entry learns of its end by himself.
    pub fn drop_login(&self, host: &Host) {
        self.folder.remove(&self.login_file());
        for (name, label) in inventory::labels(&self.folder, host)
            .into_iter()
            .filter(|(name, _)| name.starts_with(self.keys.door_name()))
        {
            let opened = self
                .read(&name, host)
                .and_then(|bytes| Seal::new(&self.keys, label.target.as_ref())?.open::<entry::Credential>(&bytes));
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

impl Token {
    pub(super) fn of(session: &Session) -> Self {
        Self {
            token: Exposed(session.token.duplicate()),
            expires: session.expires_at,
            batch: session.batch,
            uses: session.uses,
        }
    }

    pub(super) fn into_session(self) -> Session {
        Session {
            token: self.token.0,
            own: true,
            expires_at: self.expires,
            batch: self.batch,
            uses: self.uses,
            spent: Spent::Nothing,
        }
    }
}
