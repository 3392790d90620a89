//! Vault's answers as types: the envelope, the parts of it that we read, and the error list.
//!
//! Unknown fields are ignored, as new versions add some; a duplicate key or anything behind the JSON is refused.
//! Security: serde's own errors quote the value that they stumble over, so they are dropped where they arise.

use serde::de::{Deserializer, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::mint::Data;
use crate::secret::Secret;

/// The envelope of every success.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// Vault gives each of its answers one.
    #[serde(deserialize_with = "null_is_default")]
    pub request_id: String,
    /// Empty when there is no lease.
    #[serde(deserialize_with = "null_is_default")]
    pub lease_id: String,
    /// Whether the lease can be renewed.
    #[serde(deserialize_with = "null_is_default")]
    pub renewable: bool,
    /// Seconds; zero when there is no lease.
    #[serde(deserialize_with = "null_is_default")]
    pub lease_duration: u64,
    /// What the backend says.
    pub data: Option<Data>,
    /// The token of a login.
    pub auth: Option<Auth>,
    /// Present when the answer is wrapped.
    pub wrap_info: Option<WrapInfo>,
    /// For people.
    #[serde(deserialize_with = "null_is_default")]
    pub warnings: Vec<String>,
    /// Of `sys/health`, which has no envelope: the server's version.
    #[serde(deserialize_with = "null_is_default")]
    pub version: String,
    /// Likewise: HashiCorp's Vault has this field in every edition, and OpenBao has not.
    pub performance_standby: Option<bool>,
}

impl Envelope {
    /// The warnings by which Vault says that a TTL is longer than the engine or the mount allows.
    pub fn cap_warnings(&self) -> impl Iterator<Item = &str> {
        let is_of_a_cap = |text: &&str| text.contains("exceeded the effective max_ttl");
        self.warnings.iter().map(String::as_str).filter(is_of_a_cap)
    }
}

/// The `wrap_info` block of a wrapped answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WrapInfo {
    /// The wrapping token.
    pub token: Option<Secret>,
}

/// The `auth` block of a login.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// Empty when a second factor is asked for.
    pub client_token: Option<Secret>,
    /// By it the token can be named without being shown.
    #[serde(deserialize_with = "null_is_default")]
    pub accessor: String,
    /// Seconds; zero means no end.
    #[serde(deserialize_with = "null_is_default")]
    pub lease_duration: u64,
    /// `service` or `batch`.
    #[serde(deserialize_with = "null_is_default")]
    pub token_type: String,
    /// Zero means no limit; absent before Vault 1.10.
    #[serde(deserialize_with = "null_is_default")]
    pub num_uses: u64,
    /// What the token may do; `root` is everything.
    #[serde(deserialize_with = "null_is_default")]
    pub policies: Vec<String>,
    /// What the login method says of the login.
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: Metadata,
    /// Present when a second factor is asked for.
    pub mfa_requirement: Option<IgnoredAny>,
}

/// What we read of a login's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The AppRole that logged in. AppRole writes it last: no metadata of a secret ID replaces it.
    pub role_name: Option<String>,
}

/// The answer of a failure.
#[derive(Debug, Deserialize)]
pub struct ErrorResponse {
    /// One text a cause; may be empty.
    pub errors: Vec<String>,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads an answer; `None` when it is not one whole JSON object of the right form. (serde would take a list for a
/// struct as well.)
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

/// The body of a write: texts by name, secret or not. Written into one buffer that does not grow.
#[must_use]
pub fn object(pairs: &[(&str, &str)]) -> Secret {
    struct Body<'a>(&'a [(&'a str, &'a str)]);
    impl Serialize for Body<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().copied())
        }
    }
    let longest: usize = pairs.iter().map(|(name, value)| name.len() + value.len() * 2 + 8).sum();
    let mut bytes = Vec::with_capacity(longest + 2);
    // Texts by text always serialize, into memory that is there.
    let _ = serde_json::to_writer(&mut bytes, &Body(pairs));
    Secret::new(String::from_utf8(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_with_fields_of_later_versions() {
        let text = r#"{"request_id":"x","lease_id":"exo/1","renewable":true,"lease_duration":900,"data":{"a":"b","n":3,"z":null,"o":{"p":[1]}},
            "wrap_info":null,"warnings":null,"auth":null,"mount_type":"exoscale","later":1}"#;
        let envelope: Envelope = parse(text.as_bytes()).unwrap();
        assert_eq!((envelope.lease_id.as_str(), envelope.lease_duration, envelope.renewable), ("exo/1", 900, true));
        assert!(envelope.wrap_info.is_none() && envelope.auth.is_none() && envelope.warnings.is_empty());
        let mut data = envelope.data.unwrap();
        assert_eq!(data.take_text("a").unwrap().expose(), "b");
        assert!(data.take_text("n").is_none());
    }

    #[test]
    fn what_is_not_one_whole_envelope_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "\"x\"",
            "{} {}",
            "{}x",
            "\u{feff}{}",
            r#"{"lease_id":"a","lease_id":"b"}"#,
            r#"{"data":{"k":"a","k":"b"}}"#,
            r#"{"lease_duration":-1}"#,
            r#"{"lease_duration":1e300}"#,
            r#"{"lease_duration":"3600"}"#,
            r#"{"data":{"k":"\ud800"}}"#,
            &format!("{{\"data\":{}", "[".repeat(200_000)),
        ] {
            assert!(parse::<Envelope>(text.as_bytes()).is_none(), "{}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn a_body_escapes_what_json_needs_escaped() {
        assert_eq!(object(&[("role_id", "a\"b"), ("x", "y")]).expose(), r#"{"role_id":"a\"b","x":"y"}"#);
    }
}
