//! What to say of a wrapping token that another path made than the one that the job expects.

use crate::error::{Error, Kind};
use crate::identity::Login;

/// A name that somebody mistyped, or that changed, is far more frequent than a theft. The token is as good as before.
pub(super) fn of_another_approle(made_by: &str, expected: &str, login: &Login) -> Error {
    let role = match &login.role {
        Some(_) => format!("the AppRole comes from {}", login.role_origin),
        None => "the mounts differ".to_owned(),
    };
    Error::new(
        Kind::Config,
        format!(
            "the wrapping token (from {}) was made by {made_by} and this job expects {expected}; {role}; the token was \
            not unwrapped",
            login.origin
        ),
    )
    .hint(
        "correct VAULT_APPROLE_ROLE or --auth-mount. If they are right, somebody may have put this token in place of the \
        real one: treat it as an incident, destroy the secret IDs of the AppRole, read the audit log",
    )
}

/// A path that no AppRole of the job's has. `own_login` is the path by which the job logs in.
pub(super) fn suspicious(made_by: &str, expected: &str, own_login: &str, login: &Login) -> Error {
    let yours = if made_by == own_login {
        format!(
            "If the job gets a wrapped login on purpose, set VAULT_APPROLE_ROLE and no role ID, or pass \
            --creation-path {made_by}"
        )
    } else {
        format!("If the job gets a token of {made_by} on purpose, pass --creation-path {made_by}")
    };
    Error::new(
        Kind::Spent,
        format!(
            "SECURITY: the wrapping token (from {}) was made by {made_by} and not by {expected}; it was \
            not unwrapped",
            login.origin
        ),
    )
    .hint(format!(
        "somebody may have taken the real one and put this in its place: treat it as an incident, destroy the role's \
        secret IDs, read the audit log. {yours}"
    ))
}
