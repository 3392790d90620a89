//! What the refusals of a wrapping token mean, and what to change.

use crate::error::{Error, Kind};
use crate::identity::Login;
use crate::vault::refusal::{Refusal, Row, Says, explain};

/// The error of a refusal, by its table.
pub(super) fn describe(table: &[Row], refusal: &Refusal, login: &Login) -> Error {
    explain(table, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        _ => login.role.clone().unwrap_or_else(|| "NAME".into()),
    })
}

/// Of `sys/wrapping/lookup`.
pub(super) const LOOKUP_REFUSALS: [Row; 3] = [
    SEALED,
    stolen(
        Says::WrappingTokenInvalid,
        "the wrapping token (from {origin}) is not valid: expired, already used, or tampered with",
    ),
    Row {
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the wrapping token (from {origin}) cannot be looked up ({because})",
        change: "is sys/wrapping/lookup open on this server and in this namespace?",
    },
];

/// Of `sys/wrapping/unwrap`, behind a lookup.
pub(super) const UNWRAP_REFUSALS: [Row; 4] = [
    SEALED,
    stolen(Says::WrappingTokenInvalid, STOLEN_SINCE),
    stolen(Says::TokenGone, STOLEN_SINCE),
    Row {
        says: Says::Anything,
        kind: Kind::Spent,
        cause: "the wrapping token (from {origin}) was not unwrapped ({because})",
        change: "any request with the token spends it: re-run with a new one",
    },
];

/// OpenBao looks for a token in its own namespace, which can be sealed when the one that is asked is not.
const SEALED: Row = Row {
    says: Says::Text(&["Vault is sealed"]),
    kind: Kind::Unavailable,
    cause: "the namespace of the wrapping token (from {origin}) is sealed ({because}); the token was not unwrapped",
    change: "an operator must unseal the namespace",
};

const STOLEN_SINCE: &str = "the wrapping token (from {origin}) is not valid: expired, already used, or tampered with; it was \
    valid at the lookup just before";

/// Vault has one text for used, expired and never valid: only the user can tell.
const fn stolen(says: Says, cause: &'static str) -> Row {
    let change = "if an earlier call of this job used it, pass --cache to both; if it is an ordinary token, set VAULT_TOKEN \
        to it; if neither, somebody else did: look for sys/wrapping/unwrap in Vault's audit log, destroy the secret ids of \
        auth/{mount}/role/{role}, and re-run with a new token";
    Row { says, kind: Kind::Spent, cause, change }
}
