//! What changes for the renewal when a credential, or the login, has a successor: `exec --serve`.

use jiff::Timestamp;

use super::{Held, Renewal, What, hold_credential, hold_login};
use crate::auth::Session;
use crate::config::Leash;
use crate::credential::Credential;

/// A life as its renewals have it.
pub(crate) struct Span {
    /// When it was granted.
    pub(crate) begun: Timestamp,
    /// When it ends: a lease, or the login before it when nothing makes that longer.
    pub(crate) end: Timestamp,
    /// Whether no renewal changes that.
    pub(crate) settled: bool,
}

impl Renewal<'_> {
    /// The credential of this path has a successor before it expires, and with `login` the login has one too: their ends
    /// are not told.
    pub(crate) fn expect_successor(&mut self, path: &str, login: bool) {
        for Held { what, term } in &mut self.held {
            term.told |= match what {
                What::Login => login,
                What::Lease(_, of) | What::Unleased(of) => of == path,
                What::Lender(_) => false,
            };
        }
    }

    /// Holds the successor of a credential beside it.
    pub(crate) fn hold_successor(&mut self, session: &Session, credential: &Credential) {
        let now = self.host.now();
        self.held.retain(|held| matches!(held.what, What::Login) || held.term.end > now);
        self.held.extend(hold_credential(credential, session, None, now));
        self.expect_successor(&credential.path, false);
    }

    /// Holds the successor of a login that Vault does not know any more. The leases of that one ended with it.
    pub(crate) async fn change_login(&mut self, session: &Session, leash: Option<Leash>) {
        let now = self.host.now();
        self.token = session.token.duplicate();
        self.held.retain(|held| matches!(held.what, What::Unleased(_) | What::Lender(_)));
        self.held.extend(hold_login(session, None, now));
        for held in self.held.iter_mut().filter(|held| matches!(held.what, What::Login)) {
            held.term.told = true;
        }
        if let Some(leash) = leash {
            // The login before it took it, or nobody demanded it.
            let _ = self.put_on_leash(session, Leash { demanded: false, ..leash }).await;
        }
    }

    /// The life of a lease that is held, by its id.
    pub(crate) fn span(&self, lease: &str) -> Option<Span> {
        let held = self.held.iter().find(|held| matches!(&held.what, What::Lease(id, _) if id == lease))?;
        let login = self.held.iter().find(|held| matches!(held.what, What::Login));
        let of_the_login = login.filter(|login| login.term.fate.is_some()).map(|login| login.term.end);
        Some(Span {
            begun: held.term.renewed,
            end: of_the_login.map_or(held.term.end, |end| end.min(held.term.end)),
            settled: held.term.fate.is_some(),
        })
    }
}
