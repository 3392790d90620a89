//! A refusal, and the form of a table of refusals: what Vault says, what it means, and what to change. Each login and each
//! engine has one.
//!
//! The same rows serve a failed run and a diagnosis. Which request was refused is not known here.

use crate::error::{Error, Kind};

/// How Vault begins the error of a backend, or of the policy of a valid token.
const ONE_ERROR: &str = "1 error occurred";

/// A refusal: status and reason.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Vault's first error, sanitized; may be empty.
    pub reason: String,
}

impl Refusal {
    /// Whether the policy of a valid token refuses, or the token itself is not valid: both are "permission denied".
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.status == 403
    }

    /// Vault counts the errors when the policy of a valid token refuses: "1 error occurred: permission denied", and in
    /// Enterprise with the Sentinel policy that did.
    #[must_use]
    pub fn is_denied_by_policy(&self) -> bool {
        let counted = self.reason.starts_with(ONE_ERROR) || self.reason.contains(" errors occurred: ");
        self.is_denied() && counted && !self.is_token_gone()
    }

    /// The token is unknown, expired or revoked: a bare "permission denied", and from Vault 1.17 on "2 errors occurred:
    /// permission denied invalid token". Any other text says nothing of the token: what it made may live.
    #[must_use]
    pub fn is_token_gone(&self) -> bool {
        self.is_denied() && (self.reason == "permission denied" || self.reason.ends_with(" invalid token"))
    }

    /// Vault up to 1.9 asks for a token where none should be needed: there is no login at that path.
    #[must_use]
    pub fn wants_a_token(&self) -> bool {
        self.status == 400 && self.reason == "missing client token"
    }

    /// The one text that Vault has for a wrapping token that is spent, expired or was never valid.
    #[must_use]
    pub fn is_wrapping_token_invalid(&self) -> bool {
        self.status == 400 && self.reason.contains("wrapping token is not valid or does not exist")
    }

    /// AppRole's words for a secret ID that is spent, expired or was never valid.
    #[must_use]
    pub fn is_secret_id_invalid(&self) -> bool {
        self.status == 400 && ["invalid secret id", "invalid role or secret ID"].contains(&self.reason.as_str())
    }

    /// The token is of a kind that is not renewed: batch, root, or made so.
    #[must_use]
    pub(crate) fn is_without_renewal(&self) -> bool {
        const TEXTS: [&str; 3] = ["batch tokens cannot be renewed", "lease is not renewable", "invalid lease ID"];
        self.status == 400 && TEXTS.contains(&self.reason.as_str())
    }

    /// The reason in brackets, for the end of a message.
    #[must_use]
    pub fn because(&self) -> String {
        let reason = self.reason.strip_prefix(ONE_ERROR).unwrap_or(&self.reason).trim_start_matches(": ");
        if reason.is_empty() { format!("status {}", self.status) } else { format!("{}: {reason}", self.status) }
    }
}

/// One row: the first one that fits tells the cause and the change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The name of the row in `ci-creds explain` and in a diagnosis. It never changes: `jwt-audience`.
    pub id: &'static str,
    /// What Vault says.
    pub says: Says,
    /// What kind of failure it is.
    pub kind: Kind,
    /// What failed, on which path, where the value came from. `{name}` stands for a value of the run.
    pub cause: &'static str,
    /// The exact flag, variable or policy line to change.
    pub change: &'static str,
}

/// The cause that most rows of a table share.
pub(crate) struct CommonCause(pub(crate) &'static str);

impl CommonCause {
    /// What is refused.
    pub(crate) const fn refused(&self, id: &'static str, says: Says, change: &'static str) -> Row {
        Row { id, says, kind: Kind::Denied, cause: self.0, change }
    }

    /// What is refused because a setting is wrong, here or at Vault.
    pub(crate) const fn config(&self, id: &'static str, says: Says, change: &'static str) -> Row {
        Row { id, says, kind: Kind::Config, cause: self.0, change }
    }
}

/// A table, as a page tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusalTable {
    /// What is refused, as a heading.
    pub of: &'static str,
    /// The rows, in the order in which they are tried.
    pub rows: &'static [Row],
    /// The page of docs/ that tells more.
    pub docs: &'static str,
}

/// What Vault says, in a form that all its versions share.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// One of these statuses, whatever the text.
    Status(&'static [u16]),
    /// One of these texts, at any place of its first error.
    Text(&'static [&'static str]),
    /// This text and no more.
    Whole(&'static str),
    /// The policy of a valid token refuses: [`Refusal::is_denied_by_policy`].
    PolicyDenies,
    /// The token is not valid, or none is expected at this path: [`Refusal::is_denied`], [`Refusal::wants_a_token`].
    TokenDenied,
    /// The token is unknown, expired or revoked: [`Refusal::is_token_gone`].
    TokenGone,
    /// The wrapping token is spent, expired or was never valid: [`Refusal::is_wrapping_token_invalid`].
    WrappingTokenInvalid,
    /// There is nothing at this path that takes a login.
    NoSuchLogin,
    /// Anything else.
    Anything,
}

impl Says {
    /// Whether the text alone tells as much, for somebody who has nothing but the text.
    #[must_use]
    pub(crate) fn fits_text(self, text: &str) -> bool {
        let refusal = |status| Refusal { status, reason: text.to_owned() };
        match self {
            Self::Text(_) | Self::Whole(_) => self.fits(&refusal(0)),
            Self::Status(statuses) => statuses.contains(&403) && refusal(403).is_token_gone(),
            Self::PolicyDenies => refusal(403).is_denied_by_policy() && text.contains("denied"),
            Self::TokenDenied => refusal(403).is_token_gone() || refusal(400).wants_a_token(),
            Self::TokenGone => refusal(403).is_token_gone(),
            Self::WrappingTokenInvalid => refusal(400).is_wrapping_token_invalid(),
            Self::NoSuchLogin => refusal(400).wants_a_token(),
            Self::Anything => false,
        }
    }

    pub(crate) fn fits(self, refusal: &Refusal) -> bool {
        match self {
            Self::Status(statuses) => statuses.contains(&refusal.status),
            Self::Text(texts) => texts.iter().any(|text| refusal.reason.contains(text)),
            Self::Whole(text) => refusal.reason == text,
            Self::PolicyDenies => refusal.is_denied_by_policy(),
            Self::TokenDenied => refusal.is_denied() || refusal.wants_a_token(),
            Self::TokenGone => refusal.is_token_gone(),
            Self::WrappingTokenInvalid => refusal.is_wrapping_token_invalid(),
            Self::NoSuchLogin => refusal.wants_a_token() || refusal.status == 404,
            Self::Anything => true,
        }
    }
}

/// The first row that fits.
#[must_use]
pub(crate) fn find<'a>(table: &'a [Row], refusal: &Refusal) -> Option<&'a Row> {
    table.iter().find(|row| row.says.fits(refusal))
}

/// The error of the first row that fits. `value` knows the values of this run by name; `{because}` is Vault's own text.
#[must_use]
pub(crate) fn explain(table: &[Row], refusal: &Refusal, value: &dyn Fn(&str) -> String) -> Error {
    match find(table, refusal) {
        Some(row) => word(row, &|name| if name == "because" { refusal.because() } else { value(name) }),
        None => Error::new(Kind::Denied, format!("Vault refused ({})", refusal.because())),
    }
}

/// The error of this row.
#[must_use]
pub(crate) fn word(row: &Row, value: &dyn Fn(&str) -> String) -> Error {
    Error::new(row.kind, fill(row.cause, value)).hint(fill(row.change, value))
}

/// Puts the values in place of `{name}`. Other braces, those of a policy, stay.
pub(crate) fn fill(template: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        match behind.split_once('}') {
            Some((name, after)) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                text.push_str(&value(name));
                rest = after;
            }
            _ => {
                text.push('{');
                rest = behind;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::sanitized;

    #[test]
    fn a_name_in_braces_is_a_value_and_the_braces_of_a_policy_stay() {
        let value = |name: &str| name.to_uppercase();
        let policy = "path \"{path}\" { capabilities = [\"read\"] }";
        assert_eq!(fill(policy, &value), "path \"PATH\" { capabilities = [\"read\"] }");
        assert_eq!(fill("{a}{b} {} {c", &value), "AB {} {c");
    }

    #[test]
    fn the_first_row_that_fits_counts() {
        let row = |says, cause| Row { id: "x", says, kind: Kind::Config, cause, change: "x" };
        let table = [
            row(Says::Text(&["one", "two"]), "text: {because}"),
            row(Says::Status(&[404, 405]), "status {name}"),
            row(Says::Anything, "anything"),
        ];
        let explained = |status, reason: &str| {
            let refusal = Refusal { status, reason: reason.into() };
            explain(&table, &refusal, &|name| name.to_owned()).message().to_owned()
        };
        assert_eq!(explained(404, "say two"), "text: 404: say two");
        assert_eq!(explained(405, "x"), "status name");
        assert_eq!(explained(400, "x"), "anything");
    }

    #[test]
    fn a_refusal_is_told_by_status_and_text_together() {
        let refusal = |status, reason: &str| Refusal { status, reason: reason.into() };
        let policy = "1 error occurred: permission denied";
        assert!(refusal(403, policy).is_denied_by_policy());
        let sentinel = "2 errors occurred: egp standard policy root/office-hours resulted in denial. permission denied";
        for reason in [policy, sentinel, "namespaces feature not enabled", "blocked", ""] {
            let by_policy = [policy, sentinel].contains(&reason);
            assert_eq!(refusal(403, reason).is_denied_by_policy(), by_policy, "{reason}");
            assert!(!refusal(403, reason).is_token_gone(), "{reason}");
        }
        for reason in ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "permission denied"] {
            let refusal = refusal(403, &sanitized(reason));
            assert!(refusal.is_token_gone() && !refusal.is_denied_by_policy(), "{reason}");
        }
        assert!(!refusal(400, policy).is_denied_by_policy());
        assert!(!refusal(403, "permission denied").is_denied_by_policy());
        assert!(refusal(403, "permission denied").is_denied() && !refusal(400, "permission denied").is_denied());
        let missing = "missing client token";
        assert!(refusal(400, missing).wants_a_token());
        assert!(!refusal(403, missing).wants_a_token() && !refusal(400, "x").wants_a_token());
        let spent = "wrapping token is not valid or does not exist";
        assert!(refusal(400, spent).is_wrapping_token_invalid());
        assert!(!refusal(403, spent).is_wrapping_token_invalid());
        assert!(!refusal(400, "invalid role ID").is_wrapping_token_invalid());
        assert_eq!(refusal(403, policy).because(), "403: permission denied");
        assert_eq!(refusal(404, "").because(), "status 404");
    }
}
