//! AWS itself: a role that takes the job's ID token, whether it knows a new key, and the runner's own credentials. Signs the
//! requests to STS.
//!
//! The table of what Vault's engine answers is [`crate::provider::aws`].

pub(crate) mod assume;
pub(crate) mod exchange;
pub(crate) mod ready;
mod refusal;
pub(crate) mod runner;
mod signature;
pub mod sts;

pub(crate) use refusal::TABLES;
