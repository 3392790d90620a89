//! Which server the double imitates. Differences in *texts* are decided where the text is made; this module only
//! answers the questions that several places ask.

use std::fmt;
use std::str::FromStr;

/// A server and its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Vault 1.8, a dialect of the recordings.
    Vault1_8,
    /// Vault 1.16.
    Vault1_16,
    /// OpenBao 2.7, the other dialect of the recordings.
    OpenBao,
}

impl Dialect {
    /// Every dialect, for tests that run once per server.
    pub const ALL: [Self; 3] = [Self::Vault1_8, Self::Vault1_16, Self::OpenBao];

    /// The name that `FromStr` reads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vault1_8 => "vault-1.8",
            Self::Vault1_16 => "vault-1.16",
            Self::OpenBao => "openbao",
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Vault1_8 => "1.8.0-dev",
            Self::Vault1_16 => "1.16.0-beta1",
            Self::OpenBao => "2.7.2",
        }
    }

    /// Everything that changed between 1.8 and 1.16 is newer for both successors.
    pub(crate) fn is_modern(self) -> bool {
        self != Self::Vault1_8
    }

    /// `hvs.` and `hvb.` tokens; `OpenBao` keeps `s.` and `b.`.
    pub(crate) fn has_signed_tokens(self) -> bool {
        self == Self::Vault1_16
    }

    pub(crate) fn has_namespaces(self) -> bool {
        self == Self::OpenBao
    }

    /// `mount_type` in the envelope.
    pub(crate) fn names_mount_type(self) -> bool {
        self == Self::Vault1_16
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| format!("unknown dialect {name:?}; one of vault-1.8, vault-1.16, openbao"))
    }
}
