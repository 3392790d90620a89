//! One file of the cache, as bytes: a line that everybody may read, and what only the caller's key opens.
//!
//! Pure: bytes in, bytes out. The line says whose and what for and until when, for `ci-creds cache`; it is sealed
//! together with the rest, so that an entry under another name, or with another end, does not open.

use jiff::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::scope::{Door, Keys, Target};
use crate::credential::Life;
use crate::secret::Secret;

/// The line. Every member is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The form of the file. Another form is no entry of ours.
    pub version: u32,
    /// Who logged in.
    pub door: Door,
    /// What for; nothing when it is the login itself that is kept.
    pub target: Option<Target>,
    /// When it was asked for.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// Until when no new one is asked for, after Vault gave none.
    pub pause: Option<Timestamp>,
}

/// The form that this version writes.
pub const VERSION: u32 = 1;

/// A kept credential.
#[derive(Serialize, Deserialize)]
pub struct CredentialEntry {
    /// The values, by the names of the provider's fields.
    pub values: Vec<(String, PlainSecret)>,
    /// The lease's id.
    pub lease: Option<String>,
    /// Whether Vault would renew it.
    pub renewable: bool,
    /// Whether it can be taken back.
    pub revocable: bool,
    /// Whether the cloud was seen to know its key.
    pub known: bool,
    /// The login that asked for it, when it was ours: what takes the lease back.
    pub login: Option<LoginEntry>,
}

impl CredentialEntry {
    /// What ends it. One that nothing ends is not kept.
    pub(super) fn life(&self) -> Life {
        if self.revocable { Life::Leased } else { Life::Expiring }
    }
}

/// A kept login.
#[derive(Serialize, Deserialize)]
pub struct LoginEntry {
    /// The token.
    pub token: PlainSecret,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Whether it is a batch token.
    pub batch: bool,
    /// How many requests it is good for; zero is no limit.
    pub uses: u64,
}

/// A secret on its way into the sealed part or out of it. Nothing else writes one.
#[derive(Deserialize)]
pub struct PlainSecret(pub Secret);

impl Serialize for PlainSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// What seals the entry of one target, or of the login itself, and opens it.
pub struct Seal(LessSafeKey);

impl Seal {
    /// Derives it. `None` never comes: the key has the cipher's length.
    #[must_use]
    pub fn new(keys: &Keys, target: Option<&Target>) -> Option<Self> {
        let bytes = keys.sealing_key(target);
        UnboundKey::new(&CHACHA20_POLY1305, bytes.as_ref()).ok().map(LessSafeKey::new).map(Self)
    }

    /// Writes an entry. `None` when the system has no randomness or the entry is too large: then nothing is kept.
    #[must_use]
    pub fn seal(&self, label: &Label, content: &impl Serialize) -> Option<Vec<u8>> {
        // In one buffer that does not grow: a growing one would leave copies behind.
        let mut sealed = Zeroizing::new(Vec::with_capacity(LARGEST));
        serde_json::to_writer(&mut *sealed, content).ok()?;
        let mut line = serde_json::to_vec(label).ok()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let key = &self.0;
        let tag =
            key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&line), &mut sealed).ok()?;
        line.push(b'\n');
        line.extend_from_slice(&nonce);
        line.extend_from_slice(&sealed);
        line.extend_from_slice(tag.as_ref());
        (line.len() <= LARGEST).then_some(line)
    }

    /// Opens an entry; `None` when it is none, is another one's, or is not as it was written.
    #[must_use]
    pub fn open<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<(Label, T)> {
        let label = label(bytes)?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(line), &mut sealed).ok()?;
        let content = serde_json::from_slice(opened).ok()?;
        Some((label, content))
    }
}

/// What a host reads at most.
const LARGEST: usize = 64 << 10;

/// Reads the line alone; `None` for what is no entry. Security: nothing holds it to be true before [`Seal::open`].
#[must_use]
pub fn label(bytes: &[u8]) -> Option<Label> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    serde_json::from_slice(&bytes[..end]).ok().filter(|label: &Label| label.version == VERSION)
}
