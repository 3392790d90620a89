//! Whose a kept credential is and what for: the public part of an entry, and the keys that the secret adds to it.
//!
//! Nothing here is read from outside or written. The names and keys come from the secret that the caller logs in
//! with: who does not have it finds no entry, and could not open one.

use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::transport::Connection;
use crate::identity::{Facts, Identity, Login};
use crate::mint::Mint;
use crate::provider::shape::{Field, Shape};
use crate::secret::Secret;

/// Where, how and as what the caller logs in. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Vault's address.
    pub address: String,
    /// Vault's namespace.
    pub namespace: Option<String>,
    /// The way to log in, by its name in messages.
    pub method: String,
    /// Where that is mounted.
    pub mount: String,
    /// The role of the login.
    pub role: Option<String>,
    /// The creation path that the user demands of a wrapping token.
    pub creation_path: Option<String>,
    /// The job, where the CI system names it.
    pub job: Option<String>,
}

/// Which credential is asked for behind that door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The engine's path, with mount and role.
    pub path: String,
    /// What else the engine is asked.
    pub parameters: Vec<(String, String)>,
}

impl Door {
    /// The door of a login.
    #[must_use]
    pub fn new(connection: &Connection, login: &Login, job: Option<&str>) -> Self {
        Self {
            address: connection.address.to_string(),
            namespace: connection.namespace.clone(),
            method: login.identity.facts().name.to_owned(),
            mount: login.mount.clone(),
            role: login.role.clone(),
            creation_path: login.identity.creation_path().map(str::to_owned),
            job: job.map(str::to_owned),
        }
    }
}

impl Door {
    /// Whether AWS takes the proof itself: there is no login, and nothing that revokes.
    #[must_use]
    pub(crate) fn is_of_sts(&self) -> bool {
        self.mount.is_empty() && self.method != "token"
    }
}

impl Target {
    /// The target of a request.
    #[must_use]
    pub fn new(shape: &Shape, mint: &Mint) -> Self {
        let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let mut parameters: Vec<_> = mint.parameters.iter().map(owned).collect();
        if shape.is_found_by_path() {
            // Another section can read other fields of the same answer.
            parameters.extend(mint.body.iter().map(|body| ("body".to_owned(), body.clone())));
            let field = |field: &Field| (format!("{}={}", field.name, field.file), field.key.clone().into_owned());
            parameters.extend(shape.fields.iter().map(field));
            let expires = shape.mapping.iter().filter_map(|mapping| mapping.expires.as_ref());
            parameters.extend(expires.map(|key| ("expires".to_owned(), key.clone())));
        }
        Self { provider: shape.name.clone().into_owned(), path: mint.path.clone(), parameters }
    }
}

/// What the caller's secret and his door make together. It opens his entries and tells nothing of the secret.
pub struct Keys {
    root: hmac::Key,
    door: String,
    name: String,
}

impl Keys {
    /// Derives them, by HKDF-SHA-256 (RFC 5869), from everything secret that the login takes.
    ///
    /// Security: an entry can be opened with the whole secret only, not with a hash of it that a log might hold.
    #[must_use]
    pub fn new(door: &Door, identity: &Identity) -> Self {
        Self::derive_from(identity, written(door))
    }

    /// The keys of a job's state. Only the job and the secret count: `ci-creds revoke` needs no flag of the calls that it
    /// revokes.
    #[must_use]
    pub(crate) fn of_job(job: Option<&str>, identity: &Identity) -> Self {
        // No door is spelled like that: it is JSON.
        Self::derive_from(identity, format!("job {}", job.unwrap_or_default()))
    }

    fn derive_from(identity: &Identity, door: String) -> Self {
        let Facts { secret: first, companion: second, .. } = identity.facts();
        let second = second.map(Secret::expose).unwrap_or_default();
        // No secret holds a NUL: the reading of them sees to that. Whole blocks of SHA-256, because ring keeps the rest of
        // one on the stack, where nobody overwrites it.
        let length = (first.expose().len() + 1 + second.len()).next_multiple_of(64);
        let mut secret = Zeroizing::new(Vec::with_capacity(length));
        for part in [first.expose(), "\0", second] {
            secret.extend_from_slice(part.as_bytes());
        }
        secret.resize(length, 0);
        let salt = hmac::Key::new(hmac::HMAC_SHA256, b"ci-creds cache 1");
        let extract = hmac::sign(&salt, &secret);
        let root = hmac::Key::new(hmac::HMAC_SHA256, extract.as_ref());
        let mut keys = Self { root, door, name: String::new() };
        keys.name = hexadecimal(&keys.derive("name", "").as_ref()[..16]);
        keys
    }

    /// The name of everything behind this door: 32 hexadecimal digits.
    #[must_use]
    pub fn door_name(&self) -> &str {
        &self.name
    }

    /// The name of one target behind it: 16 hexadecimal digits.
    #[must_use]
    pub fn target_name(&self, target: &Target) -> String {
        hexadecimal(&self.derive("target", &written(target)).as_ref()[..8])
    }

    /// The key that seals an entry, 32 bytes: of one target, or of the login itself.
    pub(super) fn sealing_key(&self, target: Option<&Target>) -> hmac::Tag {
        self.derive("key", &target.map(written).unwrap_or_default())
    }

    /// HKDF's expansion to one block.
    fn derive(&self, purpose: &str, target: &str) -> hmac::Tag {
        hmac::sign(&self.root, format!("{purpose}\0{}\0{target}\x01", self.door).as_bytes())
    }
}

/// One spelling for one meaning: JSON of a struct has its members in the order of the type, and no NUL.
fn written(part: &impl Serialize) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
