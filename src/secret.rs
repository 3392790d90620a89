//! A value that must not be seen: tokens, secret IDs, ID tokens, cloud keys.
//!
//! It is overwritten when dropped, prints as `[secret]`, cannot be cloned, compared or displayed, and has one
//! way out, [`Secret::expose`], which is easy to search for.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret text. Made where it is read, exposed where it is written, and nowhere in between.
///
/// ```
/// let secret = ci_creds::secret::Secret::new("hvs.CAESIJ".to_owned());
/// assert_eq!(format!("{secret:?}"), "[secret]");
/// ```
///
/// There is no `Display`, so it cannot slip into a message:
///
/// ```compile_fail
/// let secret = ci_creds::secret::Secret::new("hvs.CAESIJ".to_owned());
/// format!("{secret}");
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller keeps no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Only for the request that carries it, the check of its characters, and the writer.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second holder of the same secret, said out loud because it is a second copy in memory.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret::new("hvs.x".into()))), "Some([secret])");
    }
}
