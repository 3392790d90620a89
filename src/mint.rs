//! The request that makes a credential, and the values of its answer: what [`crate::provider`] knows and
//! [`crate::vault`] carries.

use std::time::Duration;

use crate::secret::Secret;

/// The request that makes a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// The path without `/v1/`: `aws/sts/deploy`.
    pub path: String,
    /// Where the engine lists its roles: `aws/roles`.
    pub roles: String,
    /// The parameters, as query of a read or as body of a write.
    pub parameters: Vec<(&'static str, String)>,
    /// Whether the engine takes a write as well as a read, so that a policy may grant only one of them.
    pub writable: bool,
    /// Whether what it makes is temporary, and expires without a lease too.
    pub temporary: bool,
}

impl Mint {
    /// The lifetime to ask for: the parameter `ttl`, in whole seconds.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        let (_, text) = self.parameters.iter().find(|(name, _)| *name == "ttl")?;
        text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
    }
}

/// One value of Vault's `data`, read but not yet checked.
#[derive(Debug)]
pub enum Datum {
    /// A text.
    Text(Secret),
    /// A whole number that is not negative.
    Number(u64),
    /// A truth value.
    Flag(bool),
    /// A list of texts.
    List(Vec<Secret>),
    /// `null`.
    Null,
    /// Anything else: an object, a fraction, a list of something else.
    Other,
}
