//! AWS itself: whether it knows a new key, and the runner's own credentials. Signs the requests to STS.
//!
//! The table of what Vault's engine answers is [`crate::provider::aws`].

pub(crate) mod ready;
pub(crate) mod runner;
mod signature;
pub mod sts;
