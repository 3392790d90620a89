//! In which namespace a wrapping token was made, and whether the run asks in that one.
//!
//! OpenBao finds a wrapping token in its own namespace, whichever one a request names: an unwrap in a wrong one succeeds,
//! the login behind it fails, and what was in the token is lost. A lookup does not name the namespace. Its id ends the
//! token, and every other one that is made there.

use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;

/// Asks where the run is, unless neither the run nor the token names a namespace. Spends nothing.
///
/// # Errors
/// [`Kind::Config`] when the token was made elsewhere.
pub(super) async fn check(vault: &Vault<'_>, login: &Login, token: &Secret) -> Result<()> {
    let made_in = namespace_id(token);
    if made_in.is_none() && vault.namespace().is_none() {
        return Ok(());
    }
    // Who does not answer so cannot tell: an older Vault, and a standby of OpenBao's, which makes no token and says 500.
    let Outcome::Done(envelope) = vault.lookup_namespace(token).await.outcome else { return Ok(()) };
    let Some(answered) = envelope.wrap_info.and_then(|info| info.token) else { return Ok(()) };
    let asked_in = namespace_id(&answered);
    if made_in == asked_in { Ok(()) } else { Err(elsewhere(login, vault, made_in, asked_in)) }
}

/// What stands behind the second dot of a service token: `s.….ID`, `hvs.….ID`. The root namespace has none.
fn namespace_id(token: &Secret) -> Option<&str> {
    let mut parts = token.expose().splitn(3, '.');
    let kind = parts.next()?;
    let id = parts.nth(1)?;
    (matches!(kind, "s" | "hvs") && !id.is_empty()).then_some(id)
}

fn elsewhere(login: &Login, vault: &Vault<'_>, made_in: Option<&str>, asked_in: Option<&str>) -> Error {
    let setting = vault.namespace_setting();
    let asks = match (vault.namespace(), asked_in) {
        (None, _) => "VAULT_NAMESPACE is not set".to_owned(),
        (Some(name), Some(id)) => format!("the run asks in the namespace {name}, whose id is {id}"),
        (Some(name), None) => format!("the run asks in the namespace {name}"),
    };
    let (made, change) = match made_in {
        Some(id) => (
            format!("in the namespace with the id {id}"),
            format!(
                "set {setting} to the namespace with the id {id}: an operator sees it with vault \
                namespace lookup NAME"
            ),
        ),
        None => (
            "outside of every namespace".to_owned(),
            format!("remove {setting}, or have the token made in that namespace"),
        ),
    };
    Error::new(
        Kind::Config,
        format!("the wrapping token (from {}) was made {made}, and {asks}; the token was not unwrapped", login.origin),
    )
    .hint(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_namespace_stands_behind_the_second_dot_of_a_service_token() {
        for (token, id) in [
            ("s.axVvhjuIaI653ODMiJctlMir.Vnnyo1", Some("Vnnyo1")),
            ("hvs.CAESIJ1aBcDeFgHi-_k.Vnnyo1", Some("Vnnyo1")),
            ("s.axVvhjuIaI653ODMiJctlMir", None),
            ("hvs.CAESIJ1aBcDeFgHi", None),
            ("s.axVvhjuIaI653ODMiJctlMir.", None),
            // A wrapping token in the form of a JWT, and what is no token.
            ("eyJhbGciOi.eyJ0eXBl.c2ln", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(namespace_id(&Secret::new(token.into())), id, "{token}");
        }
    }
}
