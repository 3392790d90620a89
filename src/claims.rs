//! What a job's ID token says of the job, for placeholders and hints.
//!
//! Unverified on purpose: the job holds its own token, and Vault verifies it. No decision about
//! access is made here, and no claim is sent anywhere.

mod placeholder;

use serde_json::{Map, Value};

use crate::error::sanitized;
use crate::secret::Secret;

pub use placeholder::{CLAIM, PLACEHOLDERS, may_be_a_variable};

/// What a JWT says that it is signed with, such as `RS256`.
#[must_use]
pub fn read_algorithm(token: &Secret) -> Option<String> {
    jsonwebtoken::decode_header(token.expose()).ok().map(|header| format!("{:?}", header.alg))
}

/// The claims of an ID token.
#[derive(Clone, Debug, Default)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the claims of a JWT; `None` when it is none.
    #[must_use]
    pub fn from_token(token: &Secret) -> Option<Self> {
        let decoded = jsonwebtoken::dangerous::insecure_decode::<Map<String, Value>>(token.expose()).ok()?;
        Some(Self(decoded.claims))
    }

    /// Claims from their JSON, for tests.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// A claim as text: GitLab writes ids as strings, but `runner_id` as a number.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A claim by the name that a role binds it by: a key, or a JSON pointer if it begins with a slash. A name from a
    /// message of Vault's is found too, without the characters that no message repeats.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        if let Some(pointer) = name.strip_prefix('/') {
            let (first, rest) =
                pointer.split_once('/').map_or((pointer, ""), |(first, _)| (first, &pointer[first.len()..]));
            return self.0.get(first)?.pointer(rest);
        }
        self.0.get(name).or_else(|| self.0.iter().find(|(key, _)| sanitized(key) == name).map(|(_, value)| value))
    }

    /// The names of all claims, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The audiences: a text, or a list of texts.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        match self.0.get("aud") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect(),
            _ => Vec::new(),
        }
    }

    /// A time claim (`exp`, `nbf`, `iat`), in seconds since 1970.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_whatever_their_type() {
        let claims = Claims::from_json(r#"{"aud":["a","b"],"runner_id":7,"ref_protected":"true","exp":9}"#).unwrap();
        assert_eq!(claims.audiences(), ["a", "b"]);
        assert_eq!(claims.text("runner_id").as_deref(), Some("7"));
        assert_eq!(claims.text("aud"), None);
        assert_eq!(claims.seconds("exp"), Some(9));
        assert_eq!(Claims::from_json(r#"{"aud":"a"}"#).unwrap().audiences(), ["a"]);
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "a", "a.b.c", "eyJ.eyJ.x"] {
            assert!(Claims::from_token(&Secret::new(text.into())).is_none(), "{text}");
        }
    }
}
