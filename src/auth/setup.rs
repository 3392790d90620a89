//! What a server refuses to an operator who sets a login up. No run sends these requests: the page of an error tells of them.

use crate::error::Kind;
use crate::vault::refusal::{Row, Says};

/// Of `auth/<mount>/config` and `auth/<mount>/role/<role>`.
pub(super) const REFUSALS: [Row; 4] = [
    refused(
        "setup-keys-url",
        &["error checking jwks URL"],
        "Vault cannot read jwks_url: for GitLab it is https://HOST/oauth/discovery/keys, and Vault must reach that host through \
        its own network",
    ),
    refused(
        "setup-issuer",
        &["did not match the returned issuer"],
        "oidc_discovery_url must be the issuer that its own answer names, to the letter: the text has both",
    ),
    refused(
        "setup-unbound",
        &["must have at least one bound constraint"],
        "set bound_audiences, bound_subject, bound_claims or token_bound_cidrs of the role: without one, every token of the \
        issuer could log in",
    ),
    refused("setup-ttl", &["cannot be greater than"], "set token_max_ttl of the role to token_ttl or more"),
];

const fn refused(id: &'static str, says: &'static [&'static str], change: &'static str) -> Row {
    Row {
        id,
        says: Says::Text(says),
        kind: Kind::Config,
        cause: "the set-up of the login was refused ({because})",
        change,
    }
}
