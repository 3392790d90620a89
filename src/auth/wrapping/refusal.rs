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
pub(crate) const LOOKUP_REFUSALS: [Row; 3] = [
    SEALED,
    stolen(
        "wrapping-spent",
        Says::WrappingTokenInvalid,
        "the wrapping token (from {origin}) is not valid: expired, already used, or tampered with",
    ),
    Row {
        id: "wrapping-lookup",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the wrapping token (from {origin}) cannot be looked up ({because})",
        change: "check that this server and this namespace allow sys/wrapping/lookup",
    },
];

/// Of `sys/wrapping/unwrap`, behind a lookup.
pub(crate) const UNWRAP_REFUSALS: [Row; 4] = [
    SEALED,
    stolen("wrapping-stolen", Says::WrappingTokenInvalid, STOLEN_SINCE),
    stolen("wrapping-stolen", Says::TokenGone, STOLEN_SINCE),
    Row {
        id: "wrapping-unwrap",
        says: Says::Anything,
        kind: Kind::Spent,
        cause: "the wrapping token (from {origin}) was not unwrapped ({because})",
        change: "any request with the token spends it: re-run with a new one",
    },
];

/// OpenBao looks for a token in its own namespace, which can be sealed when the one that is asked is not.
const SEALED: Row = Row {
    id: "wrapping-sealed",
    says: Says::Text(&["Vault is sealed"]),
    kind: Kind::Unavailable,
    cause: "the namespace of the wrapping token (from {origin}) is sealed ({because}); the token was not unwrapped",
    change: "an operator must unseal the namespace",
};

const STOLEN_SINCE: &str = "the wrapping token (from {origin}) is not valid: expired, already used, or tampered with; it was \
    valid at the lookup just before";

/// Vault has one text for used, expired and never valid: only the user can tell.
const fn stolen(id: &'static str, says: Says, cause: &'static str) -> Row {
    let change = "if an earlier call of this job used it, pass --cache to both calls; if it is an ordinary token, set VAULT_TOKEN \
        to it; otherwise someone else used it: look for sys/wrapping/unwrap in Vault's audit log, destroy the secret IDs of \
        auth/{mount}/role/{role}, and re-run with a new token";
    Row { id, says, kind: Kind::Spent, cause, change }
}
