//! Where a value came from, as messages name it. It knows no layer and no order: those are [`crate::config`]'s.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by name.
    Flag(&'static str),
    /// A variable, by name.
    Variable(String),
    /// A configuration file.
    File(PathBuf),
    /// A service of the machine.
    Service(&'static str),
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// What a user changes to change the value, which has the name `key` in a file: `BAO_ADDR`, `--address`,
    /// `address in PATH`.
    #[must_use]
    pub fn setting(&self, key: &str) -> String {
        match self {
            Self::File(path) => format!("{key} in {}", path.display()),
            Self::Flag(_) | Self::Variable(_) | Self::Service(_) | Self::Default => self.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Service(name) => formatter.write_str(name),
            Self::Variable(name) => formatter.write_str(name),
            Self::File(path) => path.display().fmt(formatter),
            Self::Default => formatter.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug)]
pub struct WithOrigin<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> WithOrigin<T> {
    /// A default that the user did not set.
    #[must_use]
    pub fn default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// The same origin for what the value was turned into.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> WithOrigin<U> {
        WithOrigin { value: change(self.value), origin: self.origin }
    }
}
