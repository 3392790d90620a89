//! The secrets engine: one credential out of it, and none left behind when something fails.
//!
//! The read that makes a credential is never repeated blindly: what an unclear answer may have made is taken back
//! first, by revoking the token that asked for it. What Vault itself does not know of is a [`Stray`].

use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{Session, unnamed_approle};
use crate::config::Plan;
use crate::credential::{Credential, Lease};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::Identity;
use crate::provider::shape::Field;
use crate::secret::Secret;
use crate::stray::Stray;
use crate::time::{MARGIN, earlier, expiry, render_time};
use crate::vault::client::{Exchange, Vault, Written};
use crate::vault::outcome::{Outcome, Refusal};
use crate::vault::wire::Envelope;

/// A read that brought no credential, and what it may have left.
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) leftover: Leftover,
    /// Whether a new read could go better, once the leftover is gone.
    pub(crate) transient: bool,
    /// Whether Vault does not know the token, or not any more.
    pub(crate) token_gone: bool,
    /// What may live on in the cloud, and no lease ends.
    pub(crate) stray: Option<Box<Stray>>,
}

impl Failed {
    /// Nothing was made.
    fn clean(error: Error) -> Self {
        Self { error, leftover: Leftover::Nothing, transient: false, token_gone: false, stray: None }
    }
}

/// What a failed read may have left behind.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// Nothing: Vault refused, or never saw the request.
    Nothing,
    /// Perhaps a lease, whose id nobody told us.
    Unknown,
    /// This lease, of a credential that can be taken back or not.
    Lease { id: Option<String>, revocable: bool },
}

/// Asks the engine once.
pub(crate) async fn obtain(
    vault: &Vault<'_>,
    session: &Session,
    plan: &Plan,
    host: &Host,
) -> Result<Credential, Failed> {
    if session.uses == 1 {
        return Err(Failed::clean(
            Error::new(
                Kind::Config,
                format!(
                    "the token of this login is good for one request: a credential from {} would come back revoked",
                    plan.mint.path
                ),
            )
            .hint("set token_num_uses of the role to 0, or to 3 and more"),
        ));
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
            build(exchange.sent, *envelope, session, plan, host)
        }
        Outcome::Refused(refusal) => {
            Err(Failed { token_gone: refusal.is_token_gone(), ..Failed::clean(describe(&refusal, plan)) })
        }
        // Our own token takes with it whatever it may have made.
        Outcome::NotProcessed { error, .. } if exchange.declined && !session.own => Err(Failed::clean(
            error.also(format!("if Vault acted all the same, each read left a lease under {path}, until it expires")),
        )),
        Outcome::NotProcessed { error, .. } | Outcome::Final(error) => Err(Failed::clean(error)),
        Outcome::Ambiguous { error, transient, cut_off } => {
            let stray = cut_off.then(|| Box::new(Stray::of(plan, exchange.sent)));
            Err(Failed { leftover: Leftover::Unknown, transient, stray, ..Failed::clean(error) })
        }
    }
}

/// Reads, or writes when there are parameters, as people do by hand; and the other way when the policy grants only
/// that: a refusal made nothing. A token with counted uses is not spent on a second try.
async fn ask(vault: &Vault<'_>, session: &Session, plan: &Plan) -> Exchange {
    let write_first = plan.mint.writable && !plan.mint.parameters.is_empty();
    let (first, other) =
        if write_first { (Written::AsWrite, Written::AsRead) } else { (Written::AsRead, Written::AsWrite) };
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
) -> Result<Credential, Failed> {
    let lease_id = Some(envelope.lease_id).filter(|id| !id.is_empty());
    let failed = |error, id| Failed { leftover: Leftover::Lease { id, revocable: true }, ..Failed::clean(error) };
    if lease_id.as_ref().is_some_and(|id| !is_lease_id(id)) {
        let error = Error::new(
            Kind::Data,
            format!("the lease id in the answer of {} has a character that no lease id has", plan.mint.path),
        );
        return Err(failed(error, None));
    }
    let said_so = !envelope.request_id.is_empty();
    let parsed = match plan.shape.parse_data(&plan.mint.path, &mut envelope.data.unwrap_or_default().0) {
        Ok(parsed) => parsed,
        // Vault's own answer without a lease left none: an engine of another kind, or STS of Vault 1.13.0.
        Err(error) if lease_id.is_none() && said_so => return Err(Failed::clean(error)),
        Err(error) => return Err(failed(error, lease_id)),
    };
    let revocable =
        !plan.shape.irrevocable.is_some_and(|name| parsed.values.iter().any(|(field, _)| field.name == name));
    let of_the_lease =
        earlier(expiry(sent, envelope.lease_duration), parsed.seconds.and_then(|seconds| expiry(sent, seconds)));
    // A lease dies with the token that asked for it. What cannot be taken back does not. A child is still renewed.
    let of_the_token = session.expires_at.filter(|_| revocable && !plan.login.identity.facts().child);
    let expires_at = earlier(of_the_lease, of_the_token);
    warn_of_a_short_token(of_the_lease, of_the_token, host);
    let lease = Lease { id: lease_id, renewable: envelope.renewable, expires_at, revocable };
    Ok(assemble(plan, parsed.values, lease))
}

/// Gives the child of a plain token the life of the lease that it asked for, and not more: the lease dies with it.
pub(crate) async fn outlive(
    vault: &Vault<'_>,
    session: &mut Session,
    mut credential: Credential,
    host: &Host,
) -> Result<Credential, Failed> {
    let Lease { id: Some(id), expires_at: end, revocable: true, .. } = &credential.lease else { return Ok(credential) };
    if let Some(end) = end {
        let left = Duration::try_from(end.duration_since(host.now())).unwrap_or_default() + MARGIN;
        // Whole seconds: the rest of one shall not be lost.
        let exchange = vault.renew_self(&session.token, Duration::from_secs(left.as_secs() + 1)).await;
        let life = renewed(exchange.outcome).map_err(|error| Failed {
            leftover: Leftover::Lease { id: Some(id.clone()), revocable: true },
            ..Failed::clean(error)
        })?;
        session.expires_at = expiry(exchange.sent, life);
    }
    warn_of_a_short_token(*end, session.expires_at, host);
    credential.lease.expires_at = earlier(*end, session.expires_at);
    Ok(credential)
}

/// How many seconds a token lives, by the answer of its renewal.
fn renewed(outcome: Outcome) -> Result<u64> {
    let path = "auth/token/renew-self";
    let what = "the child of the token was not renewed, and the credential would end with it";
    match outcome {
        Outcome::Done(envelope) => {
            let life = envelope.auth.map(|auth| auth.lease_duration).filter(|life| *life > 0);
            life.ok_or_else(|| Error::new(Kind::Data, format!("the answer of {path} has no lease_duration; {what}")))
        }
        Outcome::Refused(refusal) => {
            Err(Error::new(Kind::Denied, format!("{what} ({})", refusal.because())).hint(format!(
                "the token's policy needs: path \"{path}\" {{ capabilities = [\"update\"] }}, which the default policy \
                has; or drop --child-token"
            )))
        }
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            Err(error.also(what))
        }
    }
}

/// Ends a credential with the token that asked for it and is not ours, as Vault would. A token that may not be looked up
/// is taken for one that lives on.
pub(crate) async fn end_with(vault: &Vault<'_>, token: &Secret, credential: &mut Credential, host: &Host) {
    if !credential.lease.revocable {
        return;
    }
    let exchange = vault.lookup_self(token).await;
    let Outcome::Done(envelope) = exchange.outcome else { return };
    let seconds = envelope.data.and_then(|data| data.number("ttl")).unwrap_or_default();
    let end = expiry(exchange.sent, seconds);
    warn_of_a_short_token(credential.lease.expires_at, end, host);
    credential.lease.expires_at = earlier(credential.lease.expires_at, end);
}

/// The credential that the plan asked for, of these values.
pub(crate) fn assemble(plan: &Plan, values: Vec<(Field, Secret)>, lease: Lease) -> Credential {
    let mut companions = plan.companions.clone();
    if let (false, Some(variable), Some(end)) = (lease.revocable, plan.shape.expiration, lease.expires_at) {
        companions.push((variable, render_time(end)));
    }
    Credential {
        shape: plan.shape.clone(),
        role: plan.role.clone(),
        path: plan.mint.path.clone(),
        values,
        companions,
        lease,
        keep_profile: plan.output.keep_profile,
    }
}

/// GitLab's own tutorial suggests `token_explicit_max_ttl=60`: the key is gone after a minute, whatever its lease says.
fn warn_of_a_short_token(lease: Option<Timestamp>, token: Option<Timestamp>, host: &Host) {
    let (Some(lease), Some(token)) = (lease, token) else { return };
    if lease.duration_since(token).as_secs() > 60 {
        host.warn(format!(
            "the credential ends with this login's token at {}, before its lease does at {}: raise token_ttl or \
            token_explicit_max_ttl of the login's role",
            render_time(token),
            render_time(lease)
        ));
    }
}

fn is_lease_id(id: &str) -> bool {
    id.len() <= 1024 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.@+~=:".contains(&byte))
}

fn describe(refusal: &Refusal, plan: &Plan) -> Error {
    let path = &plan.mint.path;
    let because = refusal.because();
    let login = plan.login.describe();
    let role = format!("the role comes from {}", plan.role_origin);
    let text = refusal.reason.as_str();
    if plan.login.perhaps_generator && refusal.is_denied_by_policy() {
        return unnamed_approle(&plan.login, path, &because);
    }
    if refusal.is_denied_by_policy() {
        let capability = if plan.mint.writable { "\"read\", \"update\"" } else { "\"read\"" };
        let error = Error::new(
            Kind::Denied,
            format!("the policy of the {login} does not allow {path} ({because}); {role}"),
        )
        .hint(format!(
            "add to the policy: path \"{path}\" {{ capabilities = [{capability}] }}; or name another --role or --mount"
        ));
        // A wrapping token looks like any other one, and has one policy that allows nothing but to unwrap it.
        return match plan.login.identity {
            Identity::Token { .. } => error.hint_too(
                "if it is a wrapping token, set VAULT_WRAPPING_TOKEN to a new one: this request has spent it",
            ),
            _ => error,
        };
    }
    if refusal.is_denied() || refusal.wants_a_token() {
        let error = Error::new(Kind::Denied, format!("the {login} is not valid for {path} ({because})"));
        return error.hint(
            "the token has expired, was revoked, or is of another namespace; a token that only makes secret ids also \
            needs VAULT_ROLE_ID and VAULT_APPROLE_ROLE",
        );
    }
    if text.contains("one use left") {
        return Error::new(
            Kind::Config,
            format!("the token had one use left: the credential of {path} was revoked at once ({because})"),
        )
        .hint("set token_num_uses of the login's role to 0, or to 3 and more");
    }
    if refusal.status == 404 || text.contains("not found") || text.contains("unsupported path") {
        return Error::new(Kind::Config, format!("there is no {path} ({because}); {role}")).hint(format!(
            "check --role and --mount: vault secrets list shows the mounts, vault list {} the roles",
            plan.mint.roles
        ));
    }
    if refusal.status == 405 {
        return Error::new(Kind::Config, format!("{path} takes no such request ({because})"))
            .hint(format!("is the mount an {} engine? name it with --mount", plan.shape.title));
    }
    if text.contains("role_arn") {
        return Error::new(Kind::Denied, format!("{path} needs another role ARN ({because})"))
            .hint("--role-arn ARN, one of role_arns of the Vault role");
    }
    if text.contains("for field") {
        return Error::new(Kind::Usage, format!("{path} does not take a parameter ({because})")).hint("check --ttl");
    }
    Error::new(Kind::Denied, format!("{path} was refused ({because}); {role}"))
        .hint("the engine's own configuration or the cloud refuses: vault read the role, and look into Vault's log")
}

/// Takes back what a failed run may have left: by the token if it is ours, which ends all its leases, or by the
/// lease.
///
/// # Errors
/// [`Kind::Leak`] saying what may be left and until when.
pub(crate) async fn give_back(vault: &Vault<'_>, session: &Session, leftover: &Leftover, path: &str) -> Result<()> {
    if session.own && !session.batch && is_gone(&vault.revoke_self(&session.token).await.outcome) {
        return Ok(());
    }
    match leftover {
        Leftover::Nothing | Leftover::Lease { revocable: false, .. } => Ok(()),
        Leftover::Lease { id: Some(id), .. }
            if matches!(vault.revoke_lease(id, &session.token).await.outcome, Outcome::Done(_)) =>
        {
            Ok(())
        }
        Leftover::Lease { id: Some(id), .. } => Err(leak(&format!("the lease {id}"), session).hint(format!(
            "vault lease revoke {id}; the policy needs: path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
        ))),
        Leftover::Lease { id: None, .. } | Leftover::Unknown => Err(leak(&format!("a lease under {path}"), session)
            .hint(format!(
                "vault list sys/leases/lookup/{path} shows it; vault lease revoke -prefix {path} ends it, and every \
                other one there"
            ))),
    }
}

/// Ends a login of ours, and all that it asked for. Returns whether that is possible: a batch token knows no end but its
/// own.
///
/// # Errors
/// [`Kind::Leak`] when its token may be left.
pub(crate) async fn end_login(vault: &Vault<'_>, session: &Session) -> Result<bool> {
    if session.batch {
        return Ok(false);
    }
    let outcome = vault.revoke_self(&session.token).await.outcome;
    if is_gone(&outcome) {
        return Ok(true);
    }
    let until = session.expires_at.map(|end| format!(", until {}", render_time(end))).unwrap_or_default();
    let error = Error::new(Kind::Leak, format!("the token of the login may be left{until}"));
    Err(match outcome {
        Outcome::Refused(_) => {
            error.hint("its policy needs: path \"auth/token/revoke-self\" { capabilities = [\"update\"] }")
        }
        _ => error.hint("run it again when Vault can be reached"),
    })
}

fn leak(what: &str, session: &Session) -> Error {
    let until = match session.expires_at {
        Some(end) => format!("until its TTL ends or the token does, at {}", render_time(end)),
        None => "until its TTL ends".into(),
    };
    Error::new(Kind::Leak, format!("{what} may be left, {until}"))
}

/// Whether the token is gone: revoked now, or not known any more. A policy without `revoke-self` leaves it.
fn is_gone(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done(_) => true,
        Outcome::Refused(refusal) => refusal.is_token_gone(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn a_lease_id_has_its_own_characters_and_at_most_1024() {
        for id in ["exoscale/apikey/ci/4OzJ1xW9_-.@+~=:", &"a".repeat(1024)] {
            assert!(is_lease_id(id), "{id}");
        }
        for id in ["a b", "a\nb", "a;b", "a'b", "a$b", "é", &"a".repeat(1025)] {
            assert!(!is_lease_id(id), "{id}");
        }
    }

    #[test]
    fn a_token_is_gone_when_it_was_revoked_or_is_not_known_any_more() {
        let refused = |status, reason: &str| is_gone(&Outcome::Refused(Refusal { status, reason: reason.into() }));
        assert!(is_gone(&Outcome::Done(Box::default())));
        assert!(refused(403, "permission denied"));
        assert!(!refused(403, "1 error occurred: permission denied"));
        assert!(!refused(400, "permission denied") && !refused(404, ""));
        let error = || Error::new(Kind::Unavailable, "x");
        assert!(!is_gone(&Outcome::Ambiguous { error: error(), transient: true, cut_off: false }));
        assert!(!is_gone(&Outcome::NotProcessed { error: error(), retry_after: None }));
        assert!(!is_gone(&Outcome::Final(error())));
    }

    #[test]
    fn a_token_is_called_short_when_it_ends_more_than_a_minute_before_the_lease() {
        let warned = |lease: Option<i64>, token: Option<i64>| {
            let host = Host::fake(Fake::default());
            let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
            warn_of_a_short_token(lease.map(at), token.map(at), &host);
            host.take_warnings().len()
        };
        assert_eq!(warned(Some(1061), Some(1000)), 1);
        for (lease, token) in [(Some(1060), Some(1000)), (Some(1000), Some(5000)), (None, Some(1)), (Some(9999), None)]
        {
            assert_eq!(warned(lease, token), 0, "{lease:?} {token:?}");
        }
    }
}
