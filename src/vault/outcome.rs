//! What an exchange came to: the type that everybody decides by.
//!
//! Four outcomes: *not processed* (Vault certainly did not act), *ambiguous* (it may have), *processed* (it did,
//! or it refused), *final* (the same request can only fail the same way). Which answer is which is decided in `answer`.

use std::time::Duration;

use super::refusal::Refusal;
use super::step::Step;
use super::wire::Envelope;
use crate::error::Error;

/// What an exchange came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Vault did not act on the request: it can be sent again.
    NotProcessed {
        /// What to say when it is not.
        error: Error,
        /// How long the server wants us to wait, in its own spelling.
        retry_after: Option<String>,
        /// How long to go on asking.
        patience: Patience,
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

/// How long to go on asking a server that did not act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As often as `--retries` allows: the request was lost, or the reason may be permanent.
    Counted,
    /// As long as the run has time: the server will act later. A proxy or a Vault Agent can say the same before a Vault
    /// that has acted.
    Run,
    /// The same, from a Vault that is sealed: one that is makes nothing, whoever stands before it.
    Sealed,
    /// As long as the run has time, in Vault's own words for this very request: it counted the request and did not look at it.
    Certain,
}

impl Outcome {
    pub(super) fn not_processed(error: Error, retry_after: Option<String>, patience: Patience) -> Self {
        Self::NotProcessed { error, retry_after, patience }
    }

    /// Tells how often a server was asked that never took the request.
    pub(super) fn after(self, times: u32, waited: Duration) -> Self {
        match self {
            Self::NotProcessed { error, retry_after, patience } if patience != Patience::Counted && times > 1 => {
                let error = error.also(format!("ci-creds tried {times} times in {} s", waited.as_secs()));
                Self::not_processed(error, retry_after, patience)
            }
            other => other,
        }
    }

    /// An answer that is not from Vault. Its sender may be in front of a Vault that has done its work, which matters
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
