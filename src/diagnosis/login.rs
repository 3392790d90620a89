//! The mount and the role of the login, asked without the proof; and the login itself, where it spends nothing.

use std::collections::BTreeSet;

use super::{Check, Mark, Note, Topic};
use crate::auth::{self, Session, Sign, Trial, describe_refusal, is_nowhere};
use crate::error::{Error, sanitized};
use crate::identity::{Identity, Login};
use crate::secret::Secret;
use crate::time::render_time;
use crate::vault::client::Vault;
use crate::vault::client::reading::Reading;
use crate::vault::refusal::Refusal;

/// What was found of mount and role.
pub(crate) struct LoginProbe {
    /// The two steps.
    pub(crate) checks: [Check; 2],
    /// A token that the question brought, where a role wants no proof: it must be revoked.
    pub(crate) token: Option<Secret>,
}

/// Asks mount and role without the proof.
pub(crate) async fn probe(vault: &Vault<'_>, login: &Login) -> LoginProbe {
    let Some(trial) = auth::trial(login) else {
        let why = if auth::supplied(login).is_some() { NO_LOGIN } else { "only the login itself tells" };
        let skip = |topic| Check::skip(topic, why);
        return LoginProbe { checks: [skip(Topic::AuthMount), skip(Topic::AuthRole)], token: None };
    };
    let mount =
        || Check::good(Topic::AuthMount, format!("auth/{} is a mount of the method {}", login.mount, trial.method));
    let role = || Check::good(Topic::AuthRole, trial.role.as_str());
    let refusal = match vault.probe_login(&login.mount, &trial.body).await {
        Reading::Refusal(refusal) => refusal,
        Reading::Answer(envelope) => {
            let token = envelope.auth.and_then(|auth| auth.client_token);
            return LoginProbe { checks: [mount(), role()], token };
        }
        Reading::Error(error) => {
            let checks = [Check::failure(Topic::AuthMount, &error), Check::blocked(Topic::AuthRole, Topic::AuthMount)];
            return LoginProbe { checks, token: None };
        }
    };
    let fails = |topic| match describe_refusal(login, &refusal) {
        // What the server says of another method explains the failure.
        Some(error) if vault.namespace().is_none() && (topic == Topic::AuthRole || is_nowhere(&refusal)) => {
            Check::failure(topic, &error).noting(Note {
                mark: Mark::Warning,
                text: "no namespace is set; OpenBao and Vault Enterprise can have some".into(),
                change: Some(
                    "if an operator made the mount in one, set VAULT_NAMESPACE, or --namespace, to its path".into(),
                ),
            })
        }
        Some(error) => Check::failure(topic, &error),
        None => Check::skip(topic, refusal.because()),
    };
    let checks = match (trial.sign)(&refusal) {
        Sign::Both => [mount(), role()],
        Sign::Mount => [mount(), Check::skip(Topic::AuthRole, "only the proof tells whether the role is right")],
        // Newer servers name both halves of an AppRole, and only one was sent.
        Sign::WrongRole if refusal.is_secret_id_invalid() => {
            let one = Refusal { reason: "invalid role ID".into(), ..refusal.clone() };
            let told = describe_refusal(login, &one).and_then(|error| error.change().map(str::to_owned));
            [mount(), Check { change: told, ..fails(Topic::AuthRole) }]
        }
        Sign::WrongRole => [mount(), fails(Topic::AuthRole)],
        Sign::WrongMount => [fails(Topic::AuthMount), Check::blocked(Topic::AuthRole, Topic::AuthMount)],
    };
    LoginProbe { checks, token: None }
}

/// A login that was tried.
pub(crate) struct LogIn {
    /// The step.
    pub(crate) check: Check,
    /// What it brought.
    pub(crate) session: Option<Session>,
}

/// Of several bound claims that do not fit, Vault names one at random: so often the login is tried to hear of all.
const TRIES: usize = 8;

/// Of an AppRole whose mount and role ID are right.
const PROVEN: &str = "; mount and role ID are right, so a run that is refused has a secret ID that is wrong, expired, used up or \
    bound to other addresses";

/// Of a token that somebody else got.
const NO_LOGIN: &str = "a Vault token needs no login";

/// Logs in, where that spends nothing. `proven`: mount and role are right.
pub(crate) async fn log_in(vault: &Vault<'_>, login: &Login, proven: bool) -> LogIn {
    if let Some((path, token)) = auth::generation(login) {
        return LogIn { check: examine_generation(vault, login, &path, token).await, session: None };
    }
    let skip = |why: &str| LogIn { check: Check::skip(Topic::Login, why), session: None };
    match auth::trial(login) {
        None if login.identity.facts().child => return skip("not tried: the run makes a child of the token"),
        None if auth::supplied(login).is_some() => return skip(NO_LOGIN),
        Some(Trial { untried: Some(why), .. }) => {
            let rest = match &login.identity {
                Identity::SecretId { .. } if proven => PROVEN,
                _ => "",
            };
            return skip(&format!("not tried: {why}{rest}"));
        }
        None | Some(_) => {}
    }
    let error = match auth::login(vault, login).await {
        Ok(session) => {
            let until = session.expires_at.map(|end| format!(", until {}", render_time(end))).unwrap_or_default();
            let text = format!("the {} was accepted{until}", login.describe());
            return LogIn { check: Check::good(Topic::Login, text), session: Some(session) };
        }
        Err(failure) => failure.error,
    };
    let mut check = Check::failure(Topic::Login, &error);
    if let Some(change) = auth::change_behind_a_right_role(login, &error).filter(|_| proven) {
        check.change = Some(change);
    }
    if let Some(claims) = login.identity.claims()
        && let Some(first) = find_claim(&error)
    {
        let others = find_other_claims(vault, login, &first).await;
        for claim in &others {
            let (value, change) = auth::describe_claim(claim, claims);
            let text = format!("the claim {claim} does not fit either: in this job it is {value}");
            check = check.noting(Note { mark: Mark::Failure, text, change });
        }
    }
    LogIn { check, session: None }
}

/// Asks whether the token may make what the run logs in with. Nothing is made.
async fn examine_generation(vault: &Vault<'_>, login: &Login, path: &str, token: &Secret) -> Check {
    let untried = "not tried: it would make a secret ID";
    match vault.read_capabilities(&[path], token).await {
        Reading::Answer(found) => {
            let granted = found.get(path).into_iter().flatten();
            let granted: Vec<_> = granted.filter(|one| *one != "deny").map(|one| sanitized(one)).collect();
            if granted.iter().any(|one| one == "root" || one == "update") {
                return Check::skip(Topic::Login, format!("{untried}; the token may make one at {path}"));
            }
            // What the run would be refused with.
            let refusal = Refusal { status: 403, reason: "1 error occurred: permission denied".into() };
            Check::failure(Topic::Login, &auth::describe_generation(login, &refusal))
        }
        Reading::Refusal(refusal) if refusal.is_token_gone() => {
            Check::failure(Topic::Login, &auth::describe_generation(login, &refusal))
        }
        Reading::Refusal(refusal) => {
            let text = format!("{untried}; the token may not ask what it may do ({})", refusal.because());
            Check::skip(Topic::Login, text)
        }
        Reading::Error(error) => Check::failure(Topic::Login, &error),
    }
}

/// The bound claim that a refusal names.
fn find_claim(error: &Error) -> Option<String> {
    let text = error.message();
    if !text.contains("error validating claims") {
        return None;
    }
    let (_, rest) = text.split_once("claim ")?;
    let rest = rest.trim_start_matches('"');
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-/.".contains(*c)).collect();
    (!name.is_empty()).then_some(name)
}

async fn find_other_claims(vault: &Vault<'_>, login: &Login, first: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for _ in 1..TRIES {
        match auth::login(vault, login).await {
            Err(failure) => found.extend(find_claim(&failure.error).filter(|claim| claim != first)),
            // Somebody has mended the role meanwhile.
            Ok(session) => {
                vault.revoke_self(&session.token).await;
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_claim_that_a_refusal_names_is_found() {
        let found = |reason: &str| find_claim(&Error::new(Kind::Denied, reason));
        let mismatch = "error validating claims: claim project_id does not match any associated bound claim values";
        assert_eq!(found(mismatch).as_deref(), Some("project_id"));
        assert_eq!(found("error validating claims: claim /user/id is missing").as_deref(), Some("/user/id"));
        assert_eq!(found("claim user_email not found in token"), None);
    }
}
