//! The mount and the role of the login, asked without the proof; and the login itself, where it spends nothing.

use std::collections::BTreeSet;

use super::{Check, Mark, Note, Topic};
use crate::auth::{self, Session, Sign, Trial, describe_refusal};
use crate::error::Error;
use crate::identity::Login;
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
        Some(error) if vault.namespace().is_none() => Check::failure(topic, &error).noting(Note {
            mark: Mark::Warning,
            text: "no namespace is set; OpenBao and Vault Enterprise can have some".into(),
            change: Some(
                "if an operator made the mount in one, set VAULT_NAMESPACE, or --namespace, to its path".into(),
            ),
        }),
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

/// Of a token that somebody else got.
const NO_LOGIN: &str = "a Vault token needs no login";

/// Logs in, where that spends nothing.
pub(crate) async fn log_in(vault: &Vault<'_>, login: &Login) -> LogIn {
    let skip = |why: &str| LogIn { check: Check::skip(Topic::Login, why), session: None };
    match auth::trial(login) {
        None if login.identity.facts().child => return skip("not tried: the run makes a child of the token"),
        None if auth::supplied(login).is_some() => return skip(NO_LOGIN),
        Some(Trial { untried: Some(why), .. }) => return skip(&format!("not tried: {why}")),
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
