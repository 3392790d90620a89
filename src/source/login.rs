//! Logs in, with the cache: the login of a single-use secret serves every call of its job, and its entry says what
//! became of the secret.

use crate::auth::{self, Session};
use crate::cache::LoginEnd;
use crate::custody::{Custody, Writer};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::{Login, Spend};
use crate::time::render_time;
use crate::vault::client::Vault;

/// What is known of an earlier login with the same secret.
#[derive(Clone, Copy, Default)]
pub(super) struct PriorLogin {
    /// Whether the calls of this job are to keep it.
    pub(super) cached: bool,
    /// Whether Vault did not know the one that was kept.
    pub(super) lost: bool,
}

/// Logs in, and notes for the job's other calls what became of a secret for one use.
pub(super) async fn log_in(
    vault: &Vault<'_>,
    login: &Login,
    prior: PriorLogin,
    custody: &mut Custody<'_>,
    host: &Host,
) -> Result<Session> {
    let paused = custody.writer().and_then(|writer| writer.cache.login_paused(host));
    if let Some(until) = paused {
        let text =
            format!("Vault refused the {} before; it is not sent again until {}", login.describe(), render_time(until));
        return Err(explain(Error::new(Kind::Denied, text), login, prior, custody, host));
    }
    let auth::LoginFailure { error, spent } = match custody.race(auth::login(vault, login)).await? {
        Ok(session) => return Ok(session),
        Err(failed) => failed,
    };
    let refused = error.kind() == Kind::Denied;
    let error = explain(error, login, prior, custody, host);
    match custody.writer() {
        Some(Writer { cache, lock }) if spent => cache.end_login(Some(lock), host),
        Some(Writer { cache, lock }) if refused => cache.pause_login(lock, host),
        _ => {}
    }
    Err(error)
}

/// The login failed. If that is because the secret was for one use, what this job did with it says more than Vault.
fn explain(error: Error, login: &Login, prior: PriorLogin, custody: &Custody<'_>, host: &Host) -> Error {
    if !matches!(error.kind(), Kind::Spent | Kind::Denied) {
        return error;
    }
    if prior.lost {
        return error.also("the login that this job had for it is no longer known to Vault").hint(
            "it was revoked, or Vault was restored: see Vault's audit log; the job needs a new secret, or an ID token",
        );
    }
    let Some(Writer { cache, .. }) = custody.writer() else {
        let in_vain = prior.cached && !login.identity.facts().repeatable;
        return if in_vain { kept_in_vain(error) } else { error };
    };
    match cache.login_ended(host) {
        Some(LoginEnd::Expired(end)) => error
            .also(format!("the login that this job had for it expired at {}", render_time(end)))
            .hint("raise token_ttl and token_max_ttl of the AppRole above the length of the job, or use an ID token"),
        Some(LoginEnd::Used(when)) => error
            .also(format!("an earlier call of this job used it at {}, and its login is gone", render_time(when)))
            .hint("give the job a new secret; if that call failed, fix the error that it reported first"),
        None => error,
    }
}

/// Keeps what a single-use secret bought. Any other login is made anew: its token would be older than the
/// credential, and end it early.
pub(super) fn keep(spent: Spend, session: &Session, custody: &Custody<'_>, host: &Host) -> bool {
    let keep = |Writer { cache, lock }: Writer<'_>| cache.keep_login(lock, session, host);
    spent != Spend::Nothing && custody.writer().is_some_and(keep)
}

fn kept_in_vain(error: Error) -> Error {
    error.also("the cache cannot be used here, so an earlier call of this job may have spent it").hint(
        "-v says why; XDG_RUNTIME_DIR can name a private folder for it. If no earlier call used it, someone else used it: \
        read Vault's audit log",
    )
}
