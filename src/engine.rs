//! Reads one credential from the secrets engine, and leaves none behind if something fails.
//!
//! The read that makes a credential is never repeated blindly: after an unclear answer, what it may have made is
//! revoked first, with the token that asked for it. A key that Vault does not know of is a [`Stray`].

pub(crate) mod refusal;
mod result;
mod secret;
mod token;

/// The tables of refusals, for `ci-creds explain`.
pub(crate) const TABLES: [RefusalTable; 4] = {
    let [token, login, others] = refusal::TABLES;
    [token, login, others, secret::TABLE]
};

use std::time::Duration;

use jiff::Timestamp;

use crate::auth::Session;
use crate::config::{Delivery, ENDLESS, Plan};
use crate::credential::{Credential, Lease, Life};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::lease::{CLEARLY_SHORTER, Leftover, warn_of_a_short_token};
use crate::mint::Data;
use crate::provider::mapping::{parse_data as parse_secret, parse_stored};
use crate::provider::shape::EngineData;
use crate::stray::Stray;
use crate::time::{earlier, end_of, expiry, render_duration, render_time};
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;
use crate::vault::refusal::RefusalTable;
use crate::vault::request::Form;
use crate::vault::wire::Envelope;

pub(crate) use result::{Failure, assemble};

/// Asks the engine once.
pub(crate) async fn obtain(
    vault: &Vault<'_>,
    session: &Session,
    plan: &Plan,
    host: &Host,
) -> Result<Credential, Failure> {
    if session.uses != 0 && session.uses <= plan.reads {
        return Err(Failure::clean(too_few_uses(session, plan)));
    }
    if let Some(wish) = plan.token {
        return token::obtain(vault, session, plan, wish, host).await;
    }
    let exchange = ask(vault, session, plan).await;
    let path = &plan.mint.path;
    match exchange.outcome {
        Outcome::Done(envelope) => {
            if exchange.declined {
                host.warn(format!(
                    "{path} was read twice, because the first answer said that Vault had not acted; if it had, a second \
                    credential lives until its lease or its token expires"
                ));
            }
            warn_of_a_capped_lease(&envelope, vault, plan, host);
            build(exchange.sent, *envelope, session, plan, host)
        }
        Outcome::Refused(refusal) => {
            let error = refusal::describe(&refusal, plan);
            Err(Failure { token_gone: refusal.is_token_gone(), ..Failure::clean(error) })
        }
        // Our own token takes with it whatever it may have made.
        Outcome::NotProcessed { error, .. } if exchange.declined && !session.own => Err(Failure::clean(
            error.also(format!("if Vault acted anyway, each read left a lease under {path}, until it expires")),
        )),
        Outcome::NotProcessed { error, .. } | Outcome::Final(error) => Err(Failure::clean(error)),
        Outcome::Ambiguous { error, .. } if plan.mint.stored => Err(Failure::clean(error)),
        Outcome::Ambiguous { error, transient, cut_off } => {
            let stray = cut_off.then(|| Box::new(Stray::of(plan, exchange.sent)));
            Err(Failure { leftover: Leftover::Unknown, transient, stray, ..Failure::clean(error) })
        }
    }
}

/// A credential that is made with the last use of its token comes back revoked.
pub(crate) fn too_few_uses(session: &Session, plan: &Plan) -> Error {
    let text = match (session.uses, plan.reads) {
        (uses, ENDLESS) => {
            let text = format!(
                "the token of this login is good for {uses} requests, and --serve reads a new credential each time before \
                 one expires"
            );
            return Error::new(Kind::Config, text).hint("write token_num_uses=0 to the role of the login");
        }
        (_, 1) => format!(
            "the token of this login is limited to one request: Vault would revoke the credential from {} at once",
            plan.mint.path
        ),
        (uses, reads) => {
            format!(
                "the token of this login is limited to {uses} requests: Vault would revoke {reads} credentials at once"
            )
        }
    };
    let least = plan.reads + 2;
    Error::new(Kind::Config, text).hint(format!("write token_num_uses=0 to the role of the login, or {least} and more"))
}

/// Reads, or writes when there are parameters, as people do by hand; and the other way when the policy grants only
/// that: a refusal made nothing. A token with counted uses is not spent on a second try.
async fn ask(vault: &Vault<'_>, session: &Session, plan: &Plan) -> Exchange {
    if plan.mint.body.is_some() {
        return vault.mint(&plan.mint, Form::AsWrite, &session.token).await;
    }
    let write_first = plan.mint.writable && !plan.mint.parameters.is_empty();
    let (first, other) = if write_first { (Form::AsWrite, Form::AsRead) } else { (Form::AsRead, Form::AsWrite) };
    let exchange = vault.mint(&plan.mint, first, &session.token).await;
    match &exchange.outcome {
        Outcome::Refused(refusal) if plan.mint.writable && session.uses == 0 && refusal.is_denied_by_policy() => {
            vault.mint(&plan.mint, other, &session.token).await
        }
        _ => exchange,
    }
}

fn build(
    sent: Timestamp,
    envelope: Envelope,
    session: &Session,
    plan: &Plan,
    host: &Host,
) -> Result<Credential, Failure> {
    let lease_id = Some(envelope.lease_id).filter(|id| !id.is_empty());
    let failed = |error, id| Failure { leftover: Leftover::Lease { id, life: Life::Leased }, ..Failure::clean(error) };
    if lease_id.as_ref().is_some_and(|id| !is_lease_id(id)) {
        let error = Error::new(
            Kind::Data,
            format!("the lease ID in the answer to {} has an invalid character", plan.mint.path),
        );
        return Err(failed(error, None));
    }
    let said_so = !envelope.request_id.is_empty();
    let parsed = match parse(envelope.data.unwrap_or_default(), plan) {
        Ok(parsed) => parsed,
        // Vault's own answer without a lease left none: an engine of another kind, or STS of Vault 1.13.0.
        Err(error) if lease_id.is_none() && said_so => return Err(Failure::clean(error)),
        Err(error) => return Err(failed(error, lease_id)),
    };
    let irrevocable =
        plan.shape.irrevocable.is_some_and(|name| parsed.values.iter().any(|(field, _)| field.name == name));
    let is_unleased_secret = plan.shape.is_found_by_path() && lease_id.is_none() && said_so;
    // What KV says without a lease is how often to look, not how long the secret lives.
    let leased = if is_unleased_secret { 0 } else { envelope.lease_duration };
    let of_the_data = earlier(parsed.seconds.and_then(|seconds| expiry(sent, seconds)), parsed.end);
    let of_the_lease = earlier(expiry(sent, leased), of_the_data);
    if let Some(end) = parsed.end.filter(|end| *end <= host.now()) {
        let text = format!("the secret of {} expired at {}: it was not used", plan.mint.path, render_time(end));
        let error = Error::new(Kind::Data, text).hint("renew it where it is made, and write the new one to Vault");
        return Err(if is_unleased_secret { Failure::clean(error) } else { failed(error, lease_id) });
    }
    let life = match irrevocable {
        true => Life::Expiring,
        false if is_unleased_secret && of_the_lease.is_some() => Life::Expiring,
        false if lease_id.is_none() && of_the_lease.is_none() && said_so => Life::Static,
        false => Life::Leased,
    };
    if plan.shape.stored.is_some() && life == Life::Static {
        let path = &plan.mint.path;
        host.warn(format!(
            "the {} key of {path} has no expires_at: it is valid until someone deletes it in the cloud",
            plan.shape.title
        ));
    }
    // A lease dies with the token that asked for it. What cannot be taken back does not. A child is still renewed.
    let of_the_token = session.expires_at.filter(|_| life == Life::Leased && !plan.login.identity.facts().child);
    let expires_at = earlier(of_the_lease, of_the_token);
    // Beside a command, a login is renewed that can be; for a job, it is renewed after this.
    let renewed = plan.output.delivery == Delivery::Environment && !session.batch && session.uses == 0;
    if !renewed && plan.wanted_end().is_none() {
        warn_of_a_short_token(of_the_lease, of_the_token, host);
    }
    let granted_until = earlier(end_of(sent, leased), parsed.seconds.and_then(|seconds| end_of(sent, seconds)));
    let lease = Lease { id: lease_id, renewable: envelope.renewable, expires_at, granted_until, life };
    Ok(assemble(plan, parsed.values, lease))
}

/// Takes the values out of the answer: by the table of a cloud, or by the section of a secret.
fn parse(data: Data, plan: &Plan) -> Result<EngineData> {
    let Data(mut data) = data;
    if let Some(stored) = &plan.shape.stored {
        let sets_variables = plan.output.format.facts().sets_variables;
        return parse_stored((&plan.shape, stored), &plan.mint.path, data, &plan.companions, sets_variables);
    }
    let Some(mapping) = &plan.shape.mapping else { return plan.shape.parse_data(&plan.mint.path, &mut data) };
    let lines = plan.output.format.facts().takes_lines && plan.output.delivery != Delivery::Environment;
    parse_secret(&plan.shape, mapping, &plan.mint.path, data, lines)
}

/// Vault shortens a life without refusing. It says so in a warning, STS's own limit not even there.
fn warn_of_a_capped_lease(envelope: &Envelope, vault: &Vault<'_>, plan: &Plan, host: &Host) {
    let path = &plan.mint.path;
    let of_the_data = envelope.data.as_ref().and_then(|data| data.number("ttl"));
    let lives = [Some(envelope.lease_duration), of_the_data].into_iter().flatten().filter(|seconds| *seconds > 0);
    let life = lives.min().map(Duration::from_secs);
    if let (Some(asked), Some(life)) = (plan.mint.ttl(), life)
        && asked.saturating_sub(life) > CLEARLY_SHORTER
    {
        host.warn(format!(
            "--ttl asked for {}, and the credential of {path} expires after {}: max_sts_ttl of the Vault role or max_ttl \
            of the mount limits it",
            render_duration(asked),
            render_duration(life)
        ));
    } else {
        envelope.cap_warnings().for_each(|text| host.warn(vault.render_warning(path, text)));
    }
}

fn is_lease_id(id: &str) -> bool {
    id.len() <= 1024 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.@+~=:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_id_has_its_own_characters_and_at_most_1024() {
        for id in ["exoscale/apikey/ci/4OzJ1xW9_-.@+~=:", &"a".repeat(1024)] {
            assert!(is_lease_id(id), "{id}");
        }
        for id in ["a b", "a\nb", "a;b", "a'b", "a$b", "é", &"a".repeat(1025)] {
            assert!(!is_lease_id(id), "{id}");
        }
    }
}
