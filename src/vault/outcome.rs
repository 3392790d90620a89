//! What an exchange came to: the type that everybody decides by.
//!
//! Four outcomes: *not processed* (Vault certainly did not act), *ambiguous* (it may have), *processed* (it did,
//! or it refused), *final* (the same request can only fail the same way). Which answer is which is decided in `answer`.

use super::refusal::Refusal;
use super::step::Step;
use super::wire::Envelope;
use crate::error::Error;

/// What an exchange came to.
#[derive(Debug)]
pub enum Outcome {
    /// Vault did not act on the request: it can be sent again.
    NotProcessed {
        /// What to say when it is not.
        error: Error,
        /// How long the server wants us to wait, in its own spelling.
        retry_after: Option<String>,
    },
    /// Vault may have acted on it.
    Ambiguous {
        /// What to say.
        error: Error,
        /// Whether the same request could go better: not when a whole answer came that is not Vault's.
        transient: bool,
        /// Whether Vault may have been cut off in the middle of its work. It cancels a request whose client is gone, or
        /// that takes too long, and then registers no lease for what its engine has made in the cloud.
        cut_off: bool,
    },
    /// Vault acted on it, and this is its answer.
    Done(Box<Envelope>),
    /// Vault refused, and did nothing.
    Refused(Refusal),
    /// The same request can only fail the same way.
    Final(Error),
}

impl Outcome {
    /// An answer that is nobody's Vault. Whoever gave it may stand before a Vault that has done its work, which matters
    /// where that makes something.
    pub(super) fn foreign(step: Step, error: Error) -> Self {
        match step {
            Step::Mint => Self::unusable(error),
            _ => Self::Final(error),
        }
    }

    /// A whole answer that cannot be used. Vault may have acted, and the same request can only end the same way.
    pub(super) fn unusable(error: Error) -> Self {
        Self::Ambiguous { error, transient: false, cut_off: false }
    }
}
