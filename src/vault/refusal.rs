//! Refusals as tables: what Vault says, what it means, and what to change. One table for each login and each engine.
//!
//! The same rows serve a failed run and a diagnosis. Which request was refused is not known here.

use super::outcome::Refusal;
use crate::error::{Error, Kind};

/// One row: the first one that fits tells the cause and the change.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What Vault says.
    pub says: Says,
    /// What kind of failure it is.
    pub kind: Kind,
    /// What failed, on which path, where the value came from. `{name}` stands for a value of the run.
    pub cause: &'static str,
    /// The exact flag, variable or policy line to change.
    pub change: &'static str,
}

/// What Vault says, in a form that all its versions share.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// One of these statuses, whatever the text.
    Status(&'static [u16]),
    /// One of these texts, at any place of its first error.
    Text(&'static [&'static str]),
    /// The policy of a valid token refuses: [`Refusal::is_denied_by_policy`].
    PolicyDenies,
    /// The token is not valid, or none is expected at this path: [`Refusal::is_denied`], [`Refusal::wants_a_token`].
    TokenDenied,
    /// The token is unknown, expired or revoked: [`Refusal::is_token_gone`].
    TokenGone,
    /// There is nothing at this path that takes a login.
    NoSuchLogin,
    /// Anything else.
    Anything,
}

impl Says {
    fn fits(self, refusal: &Refusal) -> bool {
        match self {
            Self::Status(statuses) => statuses.contains(&refusal.status),
            Self::Text(texts) => texts.iter().any(|text| refusal.reason.contains(text)),
            Self::PolicyDenies => refusal.is_denied_by_policy(),
            Self::TokenDenied => refusal.is_denied() || refusal.wants_a_token(),
            Self::TokenGone => refusal.is_token_gone(),
            Self::NoSuchLogin => refusal.wants_a_token() || refusal.status == 404,
            Self::Anything => true,
        }
    }
}

/// The error of the first row that fits. `value` knows the values of this run by name; `{because}` is Vault's own text.
#[must_use]
pub fn explain(table: &[Row], refusal: &Refusal, value: &dyn Fn(&str) -> String) -> Error {
    let fill = |template: &str| fill(template, &|name| if name == "because" { refusal.because() } else { value(name) });
    match table.iter().find(|row| row.says.fits(refusal)) {
        Some(row) => Error::new(row.kind, fill(row.cause)).hint(fill(row.change)),
        None => Error::new(Kind::Denied, format!("Vault refused ({})", refusal.because())),
    }
}

/// Puts the values in place of `{name}`. Other braces, those of a policy, stay.
fn fill(template: &str, value: &dyn Fn(&str) -> String) -> String {
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

    #[test]
    fn a_name_in_braces_is_a_value_and_the_braces_of_a_policy_stay() {
        let value = |name: &str| name.to_uppercase();
        let policy = "path \"{path}\" { capabilities = [\"read\"] }";
        assert_eq!(fill(policy, &value), "path \"PATH\" { capabilities = [\"read\"] }");
        assert_eq!(fill("{a}{b} {} {c", &value), "AB {} {c");
    }

    #[test]
    fn the_first_row_that_fits_counts() {
        let row = |says, cause| Row { says, kind: Kind::Config, cause, change: "x" };
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
}
