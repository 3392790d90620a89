//! The Vault token that a job hands on: a child of its login's, or the login's own where the policy allows no child.

use std::time::Duration;

use super::result::{Failure, assemble};
use crate::auth::Session;
use crate::config::{Plan, TokenWish};
use crate::credential::{Credential, Lease, Life};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::lease::Leftover;
use crate::provider::shape::Field;
use crate::secret::Secret;
use crate::time::{MARGIN, earlier, expiry};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::Refusal;
use crate::vault::request::Form;

/// The token that is handed on.
pub(super) async fn obtain(
    vault: &Vault<'_>,
    session: &Session,
    plan: &Plan,
    wish: TokenWish,
    host: &Host,
) -> Result<Credential, Failure> {
    let child = plan.login.identity.facts().child;
    // What hangs on a token ends with it. The child of a plain token lives as long as this run, until it is renewed.
    let end = if child { renew(vault, session, wish.life).await.or(session.expires_at) } else { session.expires_at };
    let exchange = vault.mint(&plan.mint, Form::AsWrite, &session.token).await;
    let refusal = match exchange.outcome {
        Outcome::Done(envelope) => {
            let auth = envelope.auth.and_then(|auth| Some((auth.client_token?, auth.lease_duration)));
            let made = auth.filter(|(token, _)| field().characters.check(token.expose()).is_none());
            let Some((token, seconds)) = made else {
                let error = Error::new(Kind::Data, format!("the answer to {} has no token", plan.mint.path))
                    .hint("is a proxy in between?");
                return Err(Failure { leftover: Leftover::Unknown, ..Failure::clean(error) });
            };
            return Ok(deliver(token, earlier(expiry(exchange.sent, seconds), end), plan));
        }
        Outcome::Refused(refusal) => refusal,
        Outcome::NotProcessed { error, .. } | Outcome::Final(error) => return Err(Failure::clean(error)),
        Outcome::Ambiguous { error, transient, .. } => {
            return Err(Failure { leftover: Leftover::Unknown, transient, ..Failure::clean(error) });
        }
    };
    let token_gone = refusal.is_token_gone();
    if !session.own || token_gone || !is_without_child(&refusal) || wish.uses.is_some() {
        return Err(Failure { token_gone, ..Failure::clean(describe(&refusal, wish)) });
    }
    host.warn(format!(
        "the token is that of the login, because its policy allows no child of it ({}): it may revoke itself, and it has no \
        other limit than the login's",
        refusal.because()
    ));
    let end = if child { end } else { renew(vault, session, wish.life).await.or(end) };
    Ok(deliver(session.token.duplicate(), end, plan))
}

fn field() -> Field {
    crate::provider::token::TOKEN.fields[0].clone()
}

/// Lets the session's token live so long from now, shorter or longer. None where Vault does not renew it.
async fn renew(vault: &Vault<'_>, session: &Session, life: Duration) -> Option<jiff::Timestamp> {
    if session.batch || session.uses != 0 || !session.own {
        return None;
    }
    let exchange = vault.renew_self(&session.token, life + MARGIN).await;
    match exchange.outcome {
        Outcome::Done(envelope) => expiry(exchange.sent, envelope.auth?.lease_duration),
        _ => None,
    }
}

fn deliver(token: Secret, end: Option<jiff::Timestamp>, plan: &Plan) -> Credential {
    let lease = Lease { id: None, renewable: false, expires_at: end, granted_until: None, life: Life::Leased };
    assemble(plan, vec![(field(), token)], lease)
}

/// Whether the token cannot have a child, by its policy or its kind.
fn is_without_child(refusal: &Refusal) -> bool {
    let of_its_kind = ["batch tokens cannot create", "restricted use token"];
    refusal.is_denied_by_policy() || of_its_kind.iter().any(|text| refusal.reason.contains(text))
}

fn describe(refusal: &Refusal, wish: TokenWish) -> Error {
    let error = Error::new(Kind::Denied, format!("no child of the login's token was made ({})", refusal.because()));
    let policy = "path \"auth/token/create\" { capabilities = [\"update\"] }";
    match wish.uses {
        Some(_) if is_without_child(refusal) => {
            error.hint(format!("--uses needs a child: add {policy}, or drop --uses"))
        }
        _ => error.hint(format!("add to the policy: {policy}")),
    }
}
