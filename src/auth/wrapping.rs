//! A wrapping token: looked up, checked, unwrapped once, and what was in it used to log in.
//!
//! Security: who intercepts a wrapping token can unwrap it and wrap something of his own in its place. The path
//! that made it cannot be forged, so it must be exactly the one that is expected, before anything is spent. Every AppRole
//! of a mount logs in by the same path, so a wrapped login must also name the expected AppRole.

mod namespace;
mod origin;
mod refusal;

use std::time::Duration;

use jiff::Timestamp;

use super::approle;
use super::session::{LoginFailure, Session, after_spending, revoke, session, settle};
use crate::error::{Error, Kind, Result};
use crate::identity::{Identity, Login, Spend};
use crate::secret::Secret;
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;
use crate::vault::refusal::Refusal;
use crate::vault::step::Step;
use origin::{of_another_approle, suspicious};
use refusal::describe;

pub(super) use refusal::{LOOKUP_REFUSALS, UNWRAP_REFUSALS};

/// What lies in the token, by its creation path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A secret ID: the other half is the role ID.
    SecretId,
    /// A whole login.
    Login,
    /// What the user's own creation path makes: a token or a secret ID.
    Either,
}

/// Looks up, checks, unwraps, logs in.
pub(super) async fn login(
    vault: &Vault<'_>,
    login: &Login,
    token: &Secret,
    role_id: Option<&Secret>,
    expected: Option<&str>,
) -> Result<Session, LoginFailure> {
    let WrappingInfo { creation_path, made, .. } = lookup(vault, login, token).await?;
    namespace::check(vault, login, token).await?;
    let content = check(vault, login, &creation_path, role_id.is_some(), expected)?;
    if content == Content::SecretId && role_id.is_none() {
        return Err(without_role_id().into());
    }
    let exchange = unwrap(vault, login, token).await?;
    let path = "sys/wrapping/unwrap";
    let (sent, mut envelope) = settle(exchange, |refusal| describe(&UNWRAP_REFUSALS, &refusal, login))?;
    if let Some(auth) = &envelope.auth {
        let held_by = auth.metadata.role_name.as_deref().map(|name| vault.quote(name));
        let session = session((made.min(sent), envelope), path).map_err(LoginFailure::after_spending)?;
        if let Err(error) = check_role_name(held_by.as_deref(), &creation_path, login) {
            let became = if revoke(vault, &session).await { "was revoked" } else { "could not be revoked" };
            return Err(LoginFailure::after_spending(error.also(format!("its token {became}"))));
        }
        return Ok(session);
    }
    let secret_id = envelope.data.take().unwrap_or_default().take_text("secret_id");
    let (Some(secret_id), Some(role_id)) = (secret_id, role_id) else {
        return Err(LoginFailure::after_spending(
            Error::new(
                Kind::Spent,
                "the wrapping token was unwrapped and held neither a login nor a secret ID for this role ID",
            )
            .hint("wrap the answer to a request at auth/NAME/role/NAME/secret-id or auth/NAME/login"),
        ));
    };
    approle::login(vault, login, role_id, &secret_id)
        .await
        .map_err(|failed| LoginFailure::after_spending(after_spending(failed.error, Spend::WrappingToken)))
}

/// What lies in the token, by the path that made it, or why it must not be unwrapped.
fn check(
    vault: &Vault<'_>,
    login: &Login,
    creation_path: &str,
    has_role_id: bool,
    expected: Option<&str>,
) -> Result<Content> {
    check_creation_path(creation_path, login, has_role_id, expected).map_err(|path| {
        if expected.is_none() && is_of_an_approle(creation_path) {
            of_another_approle(&vault.quote(creation_path), &path, login)
        } else {
            suspicious(&vault.quote(creation_path), &path, &login_path(login), login)
        }
    })
}

/// Whether a run with this login would unwrap a token that this path made.
pub(super) fn check_origin(vault: &Vault<'_>, login: &Login, creation_path: &str) -> Result<()> {
    let Identity::WrappingToken { role_id, creation_path: expected, .. } = &login.identity else { return Ok(()) };
    match check(vault, login, creation_path, role_id.is_some(), expected.as_deref())? {
        Content::SecretId if role_id.is_none() => Err(without_role_id()),
        _ => Ok(()),
    }
}

fn without_role_id() -> Error {
    Error::new(Kind::Input, "the wrapping token holds a secret ID, and VAULT_ROLE_ID is not set; it was not unwrapped")
        .hint("set VAULT_ROLE_ID, or VAULT_ROLE_ID_FILE, for this job")
}

/// What a lookup tells of a wrapping token.
struct WrappingInfo {
    /// The server's words: quoted before they stand in a message.
    creation_path: String,
    /// When it was made, and the login in it, whose life began then and not when it is unwrapped.
    made: Timestamp,
    /// How long it lives, at most.
    life: Duration,
}

/// `sys/wrapping/lookup`: which path made the token, and when. Spends nothing.
async fn lookup(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<WrappingInfo> {
    let (sent, envelope) =
        settle(vault.lookup_wrapping(token).await, |refusal| describe(&LOOKUP_REFUSALS, &refusal, login))?;
    let mut data = envelope.data.unwrap_or_default();
    let made = data.take_text("creation_time").and_then(|time| time.expose().parse().ok()).unwrap_or(sent);
    let life = Duration::from_secs(data.number("creation_ttl").unwrap_or_default());
    let path = data.take_text("creation_path").ok_or_else(|| {
        Error::new(Kind::Data, "the answer to sys/wrapping/lookup has no creation_path; the token was not unwrapped")
    })?;
    let creation_path = path.expose().to_owned();
    Ok(WrappingInfo { creation_path, made: creation(made, life, sent), life })
}

/// Which path made the token, as messages quote it, and when it expires. Spends nothing.
///
/// # Errors
/// As those of a login, before it unwraps.
pub(crate) async fn look_up(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<(String, Option<Timestamp>)> {
    let WrappingInfo { creation_path, made, life } = lookup(vault, login, token).await?;
    Ok((vault.quote(&creation_path), made.checked_add(life).ok().filter(|_| !life.is_zero())))
}

/// What a refused lookup means.
pub(super) fn describe_lookup(refusal: &Refusal, login: &Login) -> Error {
    describe(&LOOKUP_REFUSALS, refusal, login)
}

/// When a token was made that lived for `life` at most, and still did at `sent`. Vault's clock says `made`; what that one
/// is wrong by cannot make the token older than it can be.
fn creation(made: Timestamp, life: Duration, sent: Timestamp) -> Timestamp {
    made.max(sent.checked_sub(life).unwrap_or(Timestamp::MIN)).min(sent)
}

/// Unwraps. When nobody knows whether that happened, a lookup tells, and only an unspent token is sent again: once at
/// least, whatever `--retries` says, for what is lost here cannot be had again.
async fn unwrap(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<Exchange, LoginFailure> {
    let exchange = vault.unwrap(token).await;
    let (error, mut transient) = match exchange.outcome {
        Outcome::Ambiguous { error, transient, .. } => (error, transient),
        Outcome::Refused(refusal) if exchange.doubted && is_spent(&refusal) => {
            let error = Error::new(Kind::Spent, format!("{} answered first that it had not acted", vault.name()));
            return Err(LoginFailure::after_spending(lost(error, login, true)));
        }
        _ => return Ok(exchange),
    };
    let mut is_known_to_be_spent = false;
    for _ in 0..vault.retries(Step::Unwrap).max(1) {
        if !transient {
            break;
        }
        match vault.lookup_wrapping(token).await.outcome {
            Outcome::Done(_) => {}
            outcome => {
                is_known_to_be_spent = matches!(outcome, Outcome::Refused(refusal) if is_spent(&refusal));
                break;
            }
        }
        let again = vault.unwrap(token).await;
        transient = match &again.outcome {
            Outcome::Ambiguous { transient, .. } => *transient,
            // Spent between lookup and this attempt: by an earlier one, which was on its way all the time.
            Outcome::Refused(refusal) if is_spent(refusal) => {
                is_known_to_be_spent = true;
                break;
            }
            _ => return Ok(again),
        };
    }
    Err(LoginFailure::after_spending(lost(error, login, is_known_to_be_spent)))
}

/// The answer of an unwrapping is lost. The token is good where Vault never got the request.
fn lost(error: Error, login: &Login, is_known_to_be_spent: bool) -> Error {
    let (what, change) = if is_known_to_be_spent {
        (
            "is spent, most likely by this request, whose answer was lost",
            "re-run with a new wrapping token; the secret ID in it is unused and expires on its own",
        )
    } else {
        (
            "may be spent: the answer was lost, and Vault could not be asked",
            "re-run the job, which looks the token up before it unwraps it; if it is spent, give the job a new one",
        )
    };
    let origin = &login.origin;
    let text = format!("the wrapping token (from {origin}) was sent to be unwrapped and {what}");
    error.with_kind(Kind::Spent).also(text).hint(change)
}

/// What the token holds, by the path that made it. A wrapped login is expected where the user says so: by its path, or by
/// its AppRole alone. A job with a role ID expects a secret ID, and whoever takes that can wrap a login made with it.
///
/// # Errors
/// The path that it should have been.
fn check_creation_path(
    path: &str,
    login: &Login,
    has_role_id: bool,
    expected: Option<&str>,
) -> Result<Content, String> {
    let mount = &login.mount;
    if let Some(expected) = expected {
        if path == expected {
            return Ok(Content::Either);
        }
        return Err(expected.to_owned());
    }
    if path == login_path(login) && login.role.is_some() && !has_role_id {
        return Ok(Content::Login);
    }
    let role = path.strip_prefix(&format!("auth/{mount}/role/")).and_then(|rest| rest.strip_suffix("/secret-id"));
    let fits = role.is_some_and(|role| match &login.role {
        Some(wanted) => is_same_role(role, wanted),
        None => !role.is_empty() && !role.contains('/'),
    });
    if fits {
        return Ok(Content::SecretId);
    }
    let role = login.role.as_deref().unwrap_or("NAME");
    Err(format!("auth/{mount}/role/{role}/secret-id"))
}

fn login_path(login: &Login) -> String {
    format!("auth/{}/login", login.mount)
}

/// AppRole's names are case-insensitive on the server.
fn is_same_role(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Holds the AppRole that logged in against the one that the job names. Only AppRole says a name: a token that another
/// path made, which the user demanded, has none.
fn check_role_name(held_by: Option<&str>, creation_path: &str, login: &Login) -> Result<()> {
    let Some(wanted) = &login.role else { return Ok(()) };
    let fits = match held_by {
        Some(held_by) => is_same_role(held_by, wanted),
        None => creation_path != login_path(login),
    };
    if fits {
        return Ok(());
    }
    let held_by = held_by.map_or_else(|| "no AppRole".into(), |name| format!("the AppRole {name}"));
    Err(Error::new(
        Kind::Spent,
        format!(
            "SECURITY: the wrapping token (from {}) held a login of {held_by} and not of {wanted}, and was not used",
            login.origin
        ),
    )
    .hint(format!(
        "somebody may have taken the real one and put this in its place: treat it as an incident, destroy the secret \
        IDs of {wanted}, read the audit log. If the login is yours, correct the AppRole (from {})",
        login.role_origin
    )))
}

/// Whether this path makes the secret IDs of an AppRole, whichever that is.
fn is_of_an_approle(path: &str) -> bool {
    let names = path.strip_prefix("auth/").and_then(|path| path.strip_suffix("/secret-id")?.rsplit_once("/role/"));
    names.is_some_and(|(mount, role)| !mount.is_empty() && !role.is_empty() && !role.contains('/'))
}

/// A token that dies between Vault's check and its use is "permission denied" without more.
fn is_spent(refusal: &Refusal) -> bool {
    refusal.is_wrapping_token_invalid() || refusal.is_token_gone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    fn login(role: Option<&str>) -> Login {
        Login {
            identity: Identity::Token { token: Secret::new("x".into()), child: false },
            mount: "ci/approle".into(),
            ignored_path: None,
            role: role.map(str::to_owned),
            role_origin: Origin::Default,
            origin: Origin::Variable("VAULT_WRAPPING_TOKEN".into()),
            renew: false,
            perhaps_generator: false,
        }
    }

    fn check(path: &str, role: Option<&str>, expected: Option<&str>) -> Result<Content, String> {
        check_creation_path(path, &login(role), false, expected)
    }

    #[test]
    fn a_wrapped_login_is_taken_where_it_was_asked_for_only() {
        const LOGIN: &str = "auth/ci/approle/login";
        // The job's role, whether it has a role ID, the creation path that it demands.
        for (role, has_role_id, expected, content) in [
            (Some("deploy"), false, None, Some(Content::Login)),
            (Some("deploy"), true, None, None),
            (None, true, None, None),
            (None, false, None, None),
            (Some("deploy"), true, Some(LOGIN), Some(Content::Either)),
            (None, true, Some(LOGIN), Some(Content::Either)),
            (None, false, Some(LOGIN), Some(Content::Either)),
            (Some("deploy"), false, Some("auth/token/create"), None),
        ] {
            let found = check_creation_path(LOGIN, &login(role), has_role_id, expected);
            assert_eq!(found.ok(), content, "{role:?} {has_role_id} {expected:?}");
        }
    }

    #[test]
    fn a_wrapped_login_must_name_the_approle_that_the_job_names() {
        const LOGIN: &str = "auth/ci/approle/login";
        for (held_by, path, wanted, fits) in [
            (Some("deploy"), LOGIN, Some("deploy"), true),
            (Some("deploy"), LOGIN, Some("Deploy"), true),
            (Some("mallory"), LOGIN, Some("deploy"), false),
            (Some("mallory"), "auth/other/login", Some("deploy"), false),
            (Some(""), LOGIN, Some("deploy"), false),
            (None, LOGIN, Some("deploy"), false),
            (None, "auth/token/create", Some("deploy"), true),
            (Some("mallory"), LOGIN, None, true),
        ] {
            let result = check_role_name(held_by, path, &login(wanted));
            assert_eq!(
                result.map_err(|error| error.kind()).err(),
                (!fits).then_some(Kind::Spent),
                "{held_by:?} {path}"
            );
        }
    }

    #[test]
    fn only_the_appproles_own_paths_are_unwrapped() {
        assert_eq!(check("auth/ci/approle/role/deploy/secret-id", Some("deploy"), None).unwrap(), Content::SecretId);
        assert_eq!(check("auth/ci/approle/role/any/secret-id", None, None).unwrap(), Content::SecretId);
        assert_eq!(check("auth/ci/approle/login", Some("deploy"), None).unwrap(), Content::Login);
        assert_eq!(check("auth/token/create", None, Some("auth/token/create")).unwrap(), Content::Either);
        for path in [
            "sys/wrapping/wrap",
            "cubbyhole/x",
            "auth/ci/approle/role/other/secret-id",
            "auth/ci/approle/role/deploy/secret-id/lookup",
            "auth/ci/approle/role/deploy/secret-idx",
            "auth/approle/role/deploy/secret-id",
            "xauth/ci/approle/role/deploy/secret-id",
            "auth/token/create",
            "",
        ] {
            assert_eq!(
                check(path, Some("deploy"), None).unwrap_err(),
                "auth/ci/approle/role/deploy/secret-id",
                "{path}"
            );
        }
        for path in ["auth/ci/approle/role/a/b/secret-id", "auth/ci/approle/role//secret-id"] {
            assert_eq!(check(path, None, None).unwrap_err(), "auth/ci/approle/role/NAME/secret-id", "{path}");
        }
        assert!(check("auth/ci/approle/login", None, Some("auth/token/create")).is_err());
    }

    #[test]
    fn a_token_is_as_old_as_vault_says_and_no_older_than_it_can_be() {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let minute = Duration::from_secs(60);
        for (made, expected) in [(-20, -20), (-60, -60), (-61, -60), (-90_000, -60), (0, 0), (5, 0), (90_000, 0)] {
            assert_eq!(creation(at(made), minute, at(0)), at(expected), "{made}");
        }
        assert_eq!(creation(at(-20), Duration::ZERO, at(0)), at(0));
        assert_eq!(creation(Timestamp::MIN, Duration::MAX, at(0)), Timestamp::MIN);
    }

    #[test]
    fn a_role_is_the_same_in_any_case_and_without_one_any_single_segment_fits() {
        assert_eq!(check("auth/ci/approle/role/deploy/secret-id", Some("Deploy"), None).unwrap(), Content::SecretId);
        assert!(check("auth/ci/approle/role/deploys/secret-id", Some("Deploy"), None).is_err());
        assert!(check("auth/ci/approle/role/a/b/secret-id", None, None).is_err());
    }

    #[test]
    fn only_a_token_that_is_gone_is_called_stolen() {
        let invalid = "wrapping token is not valid or does not exist";
        let by_policy = "1 error occurred: permission denied";
        let unwrap = |status, reason: &str| {
            describe(&UNWRAP_REFUSALS, &Refusal { status, reason: reason.into() }, &login(None)).render(false)
        };
        for (status, reason) in [(400, invalid), (403, "permission denied")] {
            let text = unwrap(status, reason);
            assert!(text.contains("tampered with") && text.contains("valid at the lookup just before"), "{text}");
        }
        for (status, reason) in [(400, "unsupported operation"), (403, by_policy), (405, "")] {
            let text = unwrap(status, reason);
            assert!(text.contains("was not unwrapped") && !text.contains("tampered with"), "{text}");
        }
        let lookup = |status, reason: &str| {
            describe(&LOOKUP_REFUSALS, &Refusal { status, reason: reason.into() }, &login(None)).kind()
        };
        assert_eq!(lookup(400, invalid), Kind::Spent);
        for (status, reason) in [(400, "bad token"), (403, "permission denied"), (403, invalid)] {
            assert_eq!(lookup(status, reason), Kind::Denied, "{status} {reason}");
        }
    }
}
