//! A node that does not lead: what it answers itself, what it has its leader answer, and what it does not know yet.

use std::time::SystemTime;

use crate::core::Core;
use crate::core::request::{self, HttpRequest};
use crate::core::response::Failure;
use crate::core::token::{Token, Uses};
use crate::dialect::Dialect;
use crate::http::Answer;

/// As the real one: {"cluster":"dev","value":"7"}.
pub(crate) const INDEX: &str = "eyJjbHVzdGVyIjoiZGV2IiwidmFsdWUiOiI3In0=";

/// Where the leader says that it is.
pub(crate) const LEADER: &str = "https://127.0.0.1:8200";

/// A standby. It has its leader's answers for everything that it must not do itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standby {
    /// Since when it gets no news from its leader. What came after is not there.
    behind_since: Option<SystemTime>,
    /// It has the leader answer what makes a lease: a performance standby, or `OpenBao` with `disable_standby_reads`.
    has_leases_made: bool,
    /// The request at hand asked to be the leader's as long as this node is behind.
    forwards: bool,
}

impl Standby {
    pub(crate) const PERFORMANCE: Self = Self { behind_since: None, has_leases_made: true, forwards: false };

    pub(crate) fn behind_since(self, since: SystemTime) -> Self {
        Self { behind_since: Some(since), ..self }
    }
}

impl Core {
    /// A standby answers from what it has, unless the request says what it must have: then it has the leader answer, or
    /// refuses.
    pub(super) fn consult_index(&mut self, http: &HttpRequest) -> Result<(), Failure> {
        let Some(standby) = &mut self.standby else { return Ok(()) };
        let header = |name| http.head.headers.get(name);
        let asks = header("x-vault-inconsistent") == Some("forward-active-node");
        standby.forwards = header("x-vault-index").is_some() && asks;
        if standby.behind_since.is_some() && header("x-vault-index").is_some() && !asks {
            return Err(Failure { headers: vec![("Retry-After", "1".into())], ..Failure::empty(429) });
        }
        let token = request::token(&http.head.headers);
        if token.is_some_and(|id| self.tokens.get_tainted(&id).is_some_and(|token| self.is_news(token.created))) {
            return Err(Failure::permission_denied());
        }
        Ok(())
    }

    /// Whether something is too new for this node.
    pub(super) fn is_news(&self, created: SystemTime) -> bool {
        self.unheard_since().is_some_and(|since| created > since)
    }

    /// Since when this node knows nothing of what is made, for the request at hand.
    pub(super) fn unheard_since(&self) -> Option<SystemTime> {
        self.standby.filter(|standby| !standby.forwards)?.behind_since
    }

    /// `OpenBao` reads on standbys too, and a standby can keep no lease. What the leader must do with the token alone,
    /// counting down its uses, is the leader's from the start.
    pub(super) fn cannot_lend(&self, caller: &Token) -> bool {
        let local = self.standby.is_some_and(|standby| !standby.forwards && !standby.has_leases_made);
        local && self.dialect == Dialect::OpenBao && caller.uses == Uses::Unlimited
    }

    /// A write of a client that does not want it forwarded. Logins and lookups are tried here first.
    pub(super) fn sends_to_the_leader(&self, http: &HttpRequest, path: &str) -> bool {
        let refuses = http.head.headers.get("x-vault-no-request-forwarding").is_some();
        let is_write = matches!(http.head.method.as_str(), "POST" | "PUT" | "DELETE");
        let is_tried = path == "sys/wrapping/lookup" || path.ends_with("/login");
        self.standby.is_some() && refuses && is_write && !is_tried
    }
}

/// To the leader. The request was not executed.
pub(super) fn redirect(http: &HttpRequest) -> Answer {
    let mut answer = Answer::bare(307);
    answer.headers.set("Location", format!("{LEADER}{}", http.head.target));
    answer
}
