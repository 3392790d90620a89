//! What a job's ID token says of the job, for placeholders and hints.
//!
//! Unverified on purpose: the job holds its own token, and Vault verifies it. No decision about
//! access is made here, and no claim is sent anywhere.

mod placeholder;

use jiff::Timestamp;
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

    /// A claim as text: GitLab writes ids as strings, but `runner_id` as a number. A name that begins with a slash is a JSON
    /// pointer, as for [`Claims::find`].
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        text_of(self.find_exactly(name)?)
    }

    /// Every claim and its text, in order. What is inside an object has the JSON pointer that a role binds it by for a name.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, Option<String>)> {
        let mut found = Vec::new();
        for (name, value) in &self.0 {
            match value {
                Value::Object(inside) => add_inside(&format!("/{}", escape(name)), inside, &mut found),
                value => found.push((name.clone(), text_of(value))),
            }
        }
        found
    }

    /// A claim by the name that a role binds it by: a key, or a JSON pointer if it begins with a slash. A name from a
    /// message of Vault's is found too, without the characters that no message repeats.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.find_exactly(name).or_else(|| self.find_exactly(&self.name_in_full(name)?))
    }

    fn find_exactly(&self, name: &str) -> Option<&Value> {
        let Some(pointer) = name.strip_prefix('/') else { return self.0.get(name) };
        let (first, rest) =
            pointer.split_once('/').map_or((pointer, ""), |(first, _)| (first, &pointer[first.len()..]));
        self.0.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }

    /// The name of a claim that a message names, with the characters that no message repeats.
    #[must_use]
    pub fn name_in_full(&self, name: &str) -> Option<String> {
        let inside = self.texts().into_iter().map(|(known, _)| known);
        self.0.keys().cloned().chain(inside).find(|known| sanitized(known) == name)
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

    /// The moment from which it is valid: the later one of `nbf` and `iat`.
    #[must_use]
    pub fn valid_from(&self) -> Option<Timestamp> {
        let seconds = ["nbf", "iat"].into_iter().filter_map(|name| self.seconds(name)).max()?;
        Timestamp::from_second(seconds).ok()
    }
}

fn add_inside(pointer: &str, object: &Map<String, Value>, found: &mut Vec<(String, Option<String>)>) {
    for (name, value) in object {
        let pointer = format!("{pointer}/{}", escape(name));
        match value {
            Value::Object(inside) => add_inside(&pointer, inside, found),
            value => found.push((pointer, text_of(value))),
        }
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
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
    fn a_claim_inside_another_one_is_listed_and_found_by_its_json_pointer() {
        let claims = Claims::from_json(r#"{"https://x/":{"a":"1","t":{"b~/c":true,"d":[]}},"sub":"s"}"#).unwrap();
        let texts = claims.texts();
        let listed: Vec<_> = texts.iter().map(|(name, text)| (name.as_str(), text.as_deref())).collect();
        let inside = "/https:~1~1x~1/t/b~0~1c";
        let list = "/https:~1~1x~1/t/d";
        assert_eq!(listed, [("/https:~1~1x~1/a", Some("1")), (inside, Some("true")), (list, None), ("sub", Some("s"))]);
        assert_eq!(claims.find(inside), Some(&Value::Bool(true)));
        // As a message has it, which repeats no tilde.
        assert_eq!(claims.find(&sanitized(inside)), Some(&Value::Bool(true)));
        assert_eq!(claims.name_in_full(&sanitized(inside)).as_deref(), Some(inside));
        assert_eq!(claims.find("/https: 1 1x 1/b"), None);
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "a", "a.b.c", "eyJ.eyJ.x"] {
            assert!(Claims::from_token(&Secret::new(text.into())).is_none(), "{text}");
        }
    }
}
