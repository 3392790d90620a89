//! The successor of a token that lies in a variable: made by a token role with the old token, and checked before anybody
//! relies on it.

use jiff::Timestamp;

use super::standing::{Standing, look_up};
use super::token::revoke_supplied;
use crate::error::{Error, Kind, Result};
use crate::identity::Login;
use crate::secret::Secret;
use crate::time::{end_of, render_duration, render_time};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::{Refusal, Row, Says, explain};

/// A token that was just made. From here until it is stored, nobody else knows it.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// The token.
    pub token: Secret,
    /// By it the token can be named without being shown.
    pub accessor: String,
    /// When it ends if nobody renews it.
    expires_at: Option<Timestamp>,
    /// The path that made it, for messages.
    path: String,
}

impl Replacement {
    /// Makes it, once: one whose answer is lost is known to nobody, and a second try would leave two.
    ///
    /// # Errors
    /// [`Kind::Config`] and [`Kind::Denied`] when Vault refuses; [`Kind::Leak`] when it may have made one.
    pub(crate) async fn make(vault: &Vault<'_>, login: &Login, old: (&Secret, &Standing), role: &str) -> Result<Self> {
        let (token, standing) = old;
        let path = format!("auth/token/create/{role}");
        let lost = |error: Error| {
            let life = render_duration(standing.life());
            error
                .with_kind(Kind::Leak)
                .also(format!(
                    "a token of {path} may be left that nobody knows: it expires when its period ends, after {life} if it \
                    is like the old one; the variable still holds the old token"
                ))
                .hint("run ci-creds token rotate again")
        };
        let exchange = vault.create_by_role(role, token).await;
        let envelope = match exchange.outcome {
            Outcome::Done(envelope) => *envelope,
            Outcome::Refused(refusal) => return Err(describe(&refusal, login, role)),
            Outcome::Ambiguous { error, .. } => return Err(lost(error)),
            Outcome::NotProcessed { error, .. } | Outcome::Final(error) => return Err(error),
        };
        let made = envelope.auth.and_then(|auth| Some((auth.client_token?, auth.accessor, auth.lease_duration)));
        let Some((token, accessor, seconds)) = made.filter(|(token, ..)| is_sound(token)) else {
            return Err(lost(Error::new(Kind::Data, format!("the answer to {path} has no token"))));
        };
        Ok(Self { token, accessor, expires_at: end_of(exchange.sent, seconds), path })
    }

    /// Asks Vault what it is, and whether it can take the old one's place. No secret ID is made for that.
    ///
    /// # Errors
    /// [`Kind::Config`] when the role makes tokens that cannot take its place; when it cannot be looked up.
    pub(crate) async fn check(&self, vault: &Vault<'_>, login: &Login, old: &Standing) -> Result<Standing> {
        let new = look_up(vault, &self.path, &self.token).await?;
        let missing = old.policies.iter().find(|policy| !new.policies.contains(policy));
        let problem = match () {
            () if new.batch => {
                Some("is a batch token, which can be neither renewed nor revoked: set token_type=service".into())
            }
            () if !new.orphan => Some("is a child of the old one and would end with it: set orphan=true".into()),
            () if new.uses > 0 => Some("has a limited number of uses: set token_num_uses=0".into()),
            () => missing.map(|policy| format!("lacks the policy {}: add it to allowed_policies", vault.quote(policy))),
        };
        if let Some(problem) = problem {
            let path = &self.path;
            let role = path.rsplit('/').next().unwrap_or_default();
            return Err(Error::new(Kind::Config, format!("the token that {path} makes {problem}"))
                .hint(format!("vault write auth/token/roles/{role} with the setting above")));
        }
        if let Some(policy) = new.policies.iter().find(|policy| !old.policies.contains(policy)) {
            vault.warn(format!(
                "the new token has a policy that the old one did not have: {}; allowed_policies of the token role says so",
                vault.quote(policy)
            ));
        }
        self.check_purpose(vault, login).await?;
        Ok(new)
    }

    /// Whether it may make secret IDs of the AppRole, where one is named.
    async fn check_purpose(&self, vault: &Vault<'_>, login: &Login) -> Result<()> {
        let Some(role) = &login.role else { return Ok(()) };
        let path = format!("auth/{}/role/{role}/secret-id", login.mount);
        let exchange = vault.capabilities_self(&path, &self.token).await;
        let data = match exchange.outcome {
            Outcome::Done(envelope) => envelope.data.unwrap_or_default(),
            Outcome::Refused(refusal) => {
                return Err(Error::new(
                    Kind::Denied,
                    format!("Vault does not say what the new token may do at {path} ({})", refusal.because()),
                )
                .hint("its policy needs: path \"sys/capabilities-self\" { capabilities = [\"update\"] }, which the default policy has"));
            }
            Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
                return Err(error);
            }
        };
        let may = data.list("capabilities");
        if may.iter().any(|capability| ["update", "create", "root"].contains(&capability.as_str())) {
            return Ok(());
        }
        Err(Error::new(Kind::Denied, format!("the new token may not make secret IDs at {path}"))
            .hint(format!("one of the role's policies needs: path \"{path}\" {{ capabilities = [\"update\"] }}")))
    }

    /// Revokes it, because it was not stored, and completes the reason.
    pub(crate) async fn discard(&self, vault: &Vault<'_>, reason: Error) -> Error {
        vault.begin_clean_up();
        match revoke_supplied(vault, &self.token).await {
            Ok(()) => reason.also("the new token was revoked, and the old one is still stored"),
            Err(why) => reason
                .with_kind(Kind::Leak)
                .also(format!(
                    "the old token is still stored, and the new one was not revoked ({why}): {}",
                    self.name()
                ))
                .hint(format!("vault token revoke -accessor {}", self.accessor)),
        }
    }

    /// Its accessor and its end, for messages.
    pub(crate) fn name(&self) -> String {
        let end = self.expires_at.map_or_else(String::new, |end| format!(", which expires at {}", render_time(end)));
        format!("accessor {}{end}", self.accessor)
    }
}

/// Whether a variable of GitLab can hold it: the characters of a masked one, which every token of Vault's has.
fn is_sound(token: &Secret) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=/@:.~-".contains(&byte);
    (8..=8192).contains(&token.expose().len()) && token.expose().bytes().all(fits)
}

fn describe(refusal: &Refusal, login: &Login, role: &str) -> Error {
    explain(&REFUSALS, refusal, &|name| if name == "origin" { login.origin.to_string() } else { role.to_owned() })
}

/// Of `auth/token/create/<role>`.
pub(super) const REFUSALS: [Row; 6] = [
    Row {
        id: "token-role-unknown",
        says: Says::Text(&["unknown role"]),
        kind: Kind::Config,
        cause: "there is no token role {role} ({because})",
        change: "vault write auth/token/roles/{role} allowed_policies=NAME orphan=true token_period=72h",
    },
    Row {
        id: "token-role-batch",
        says: Says::Text(&["batch tokens cannot create", "restricted use token"]),
        kind: Kind::Config,
        cause: "the token (from {origin}) cannot make another one ({because})",
        change: "replace it by hand once, with a periodic orphan token: vault token create -role={role}",
    },
    Row {
        id: "token-role-policies",
        says: Says::Text(&["must be subset"]),
        kind: Kind::Config,
        cause: "the token role {role} does not allow the policies of its token ({because})",
        change: "vault write auth/token/roles/{role} allowed_policies=NAME, with each policy of the old token",
    },
    Row {
        id: "token-role-token-gone",
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) is not valid for auth/token/create/{role} ({because})",
        change: "the token has expired, was revoked, or is of another namespace: store a new one by hand",
    },
    Row {
        id: "token-role-denied",
        says: Says::Status(&[403]),
        kind: Kind::Denied,
        cause: "the token (from {origin}) may not make another one ({because})",
        change: "its policy needs: path \"auth/token/create/{role}\" { capabilities = [\"update\"] }",
    },
    Row {
        id: "token-role-refused",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "no token was made at auth/token/create/{role} ({because})",
        change: "check the role: vault read auth/token/roles/{role}",
    },
];
