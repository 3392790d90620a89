//! The secrets that a job is given, and what is often put in their place. Pure: no value is ever part of a message.

use crate::claims::Claims;
use crate::identity::Input;
use crate::secret::Secret;

/// What was put in the place of a secret.
pub(super) struct InputMistake {
    /// Completes "the wrapping token in X …".
    pub(super) problem: &'static str,
    /// What to change.
    pub(super) hint: &'static str,
}

const ALONE: &str = "set it to the value alone: one line, without quotes, a name or a header";
const EMPTY: &str = "check the step that makes it: jq -er and vault read -field=NAME fail if they find nothing";
const ELSEWHERE: &str =
    "a Vault token goes into VAULT_TOKEN, a wrapping token into VAULT_WRAPPING_TOKEN, an ID token into VAULT_ID_TOKEN";

/// Finds out what a text is that cannot be this secret. A role ID, a secret ID and a Vault token can be of a person's
/// own choice, so only what nobody chooses is told of those.
pub(super) fn find_mistake(input: Input, text: &str) -> Option<InputMistake> {
    let mistake = |problem, hint| Some(InputMistake { problem, hint });
    let text = text.trim();
    if ["null", "nil", "<nil>", "none", "undefined"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return mistake("is the word that a program prints when it finds nothing", EMPTY);
    }
    if text.starts_with('[') && text.ends_with(']') || text.chars().all(|c| c == '*') && !text.is_empty() {
        return mistake(
            "is a mask that a log shows in place of a secret",
            "copy the secret itself, not the line of the log",
        );
    }
    let quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if ['"', '\'', '`'].into_iter().any(quoted) {
        return mistake("has quotes around it", "remove the quotes: a CI variable and a file take them as they are");
    }
    if text.starts_with(['{', '<']) {
        return mistake(
            "is a whole document, not the value in it",
            "extract the field with jq -er or vault read -field=NAME",
        );
    }
    if text.starts_with("https://") || text.starts_with("http://") {
        return mistake("is a URL", ALONE);
    }
    if ["/", "~/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        return mistake(
            "is a path",
            "name the file in the variable with _FILE at its end, or by the flag that ends in -file",
        );
    }
    if is_named(text) {
        return mistake("has a name or a header in front of it", ALONE);
    }
    match (input, SecretForm::of(text)) {
        (Input::WrappingToken, SecretForm::Uuid) => mistake(
            "is a UUID: it is a role ID or a secret ID, not a token",
            "set VAULT_SECRET_ID or VAULT_ROLE_ID to it; vault write -wrap-ttl=60s prints a wrapping token",
        ),
        (Input::WrappingToken, SecretForm::OtherToken) => mistake(
            "is a batch or recovery token, not a wrapping token",
            "if it is the job's token, set VAULT_TOKEN to it",
        ),
        (Input::SecretId | Input::RoleId, SecretForm::Token | SecretForm::OtherToken) => {
            mistake("is a token", ELSEWHERE)
        }
        (Input::IdToken | Input::ServiceAccountToken, SecretForm::Token | SecretForm::OtherToken) => {
            mistake("is a Vault token, not a JWT", ELSEWHERE)
        }
        (Input::WrappingToken | Input::SecretId | Input::RoleId | Input::Token, SecretForm::IdToken) => {
            mistake("is an ID token", "set VAULT_ID_TOKEN to it, or name its variable with --id-token-env")
        }
        _ => None,
    }
}

/// What a text is by its form alone.
enum SecretForm {
    Uuid,
    /// A service token; a wrapping token is one.
    Token,
    /// A batch or recovery token.
    OtherToken,
    /// A JWT with an issuer. One that Vault makes of a wrapping token has none.
    IdToken,
    Other,
}

impl SecretForm {
    fn of(text: &str) -> Self {
        let hex = |part: &str, size| part.len() == size && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parts: Vec<_> = text.split('-').collect();
        if parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, size)| hex(part, size)) {
            return Self::Uuid;
        }
        // Vault before 1.10 and OpenBao: a letter and 24 characters, and the namespace's id behind another dot.
        let short = |prefix| {
            let rest = text.strip_prefix(prefix).and_then(|rest| rest.split('.').next());
            rest.is_some_and(|rest| rest.len() >= 24 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        };
        if text.starts_with("hvs.") || short("s.") {
            return Self::Token;
        }
        if ["hvb.", "hvr."].iter().any(|prefix| text.starts_with(prefix)) || short("b.") || short("r.") {
            return Self::OtherToken;
        }
        let claims = text.starts_with("eyJ").then(|| Claims::from_token(&Secret::new(text.to_owned()))).flatten();
        if claims.is_some_and(|claims| claims.text("iss").is_some()) { Self::IdToken } else { Self::Other }
    }
}

/// `NAME=value`, `export NAME=value`, `name: value`, `Bearer value`. What fills up base64 is no value.
fn is_named(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    let scheme = text
        .split_once(' ')
        .is_some_and(|(word, _)| ["bearer", "token"].iter().any(|one| word.eq_ignore_ascii_case(one)));
    let word = |text: &str| {
        text.len() > 2
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let variable = |name: &str| word(name) && name.contains('_') || ["TOKEN", "token"].contains(&name);
    scheme
        || text.split_once('=').is_some_and(|(name, value)| variable(name) && !value.trim_matches('=').is_empty())
        || text.split_once(": ").is_some_and(|(name, _)| word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Input; 5] = [Input::WrappingToken, Input::SecretId, Input::RoleId, Input::IdToken, Input::Token];
    const TOKEN: &str = "hvs.CAESIAbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
    const UUID: &str = "db02de05-fa39-4855-059b-67221c5c2f63";
    /// `{"iss":"https://gitlab.example.com"}`
    const ID_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2dpdGxhYi5leGFtcGxlLmNvbSJ9.c2ln";
    /// `{"type":"wrapping","accessor":"x"}`
    const WRAPPED_JWT: &str = "eyJhbGciOiJFUzUxMiJ9.eyJ0eXBlIjoid3JhcHBpbmciLCJhY2Nlc3NvciI6IngifQ.c2ln";

    #[test]
    fn what_is_no_secret_at_all_is_told_of_every_one() {
        for (text, word) in [
            ("null", "nothing"),
            ("None", "nothing"),
            ("<nil>", "nothing"),
            ("[MASKED]", "mask"),
            ("***", "mask"),
            ("\"hvs.x\"", "quotes"),
            ("'db02de05'", "quotes"),
            ("{\"wrap_info\":null}", "document"),
            ("<html>", "document"),
            ("https://vault.example.com", "URL"),
            ("/run/secrets/token", "path"),
            ("~/.vault-token", "path"),
            ("VAULT_TOKEN=hvs.x", "name"),
            ("export VAULT_SECRET_ID=x", "name"),
            ("token=hvs.x", "name"),
            ("wrapping_token: hvs.x", "name"),
            ("X-Vault-Token: hvs.x", "header"),
            ("Bearer hvs.x", "header"),
        ] {
            for input in ALL {
                let found = find_mistake(input, text).unwrap_or_else(|| panic!("{input:?} {text}"));
                assert!(found.problem.contains(word), "{input:?} {text}: {}", found.problem);
            }
        }
    }

    #[test]
    fn one_secret_in_the_place_of_another_is_told_where_its_form_says_so() {
        let mistaken = |text| ALL.into_iter().filter(|input| find_mistake(*input, text).is_some()).collect::<Vec<_>>();
        use Input::{IdToken, RoleId, SecretId, Token, WrappingToken};
        for token in [TOKEN, "s.Qf1s5zigZ4OX6akYjQXJC1jY", "s.Qf1s5zigZ4OX6akYjQXJC1jY.x5f2a"] {
            assert_eq!(mistaken(token), [SecretId, RoleId, IdToken], "{token}");
        }
        for token in ["hvb.AAAAAQ", "b.Qf1s5zigZ4OX6akYjQXJC1jY"] {
            assert_eq!(mistaken(token), [WrappingToken, SecretId, RoleId, IdToken], "{token}");
        }
        assert_eq!(mistaken(UUID), [WrappingToken]);
        assert_eq!(mistaken(ID_TOKEN), [WrappingToken, SecretId, RoleId, Token]);
        assert_eq!(mistaken(WRAPPED_JWT), []);
    }

    #[test]
    fn what_somebody_may_have_chosen_is_taken() {
        for text in
            ["root", "x", "s.deploy", "my-role-id", "aGVsbG8=", "AB_C==", "a:b", "team/ci", "eyJx.eyJy.c2ln", "-"]
        {
            for input in ALL {
                assert!(find_mistake(input, text).is_none(), "{input:?} {text}");
            }
        }
    }
}
