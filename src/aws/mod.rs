//! Asks AWS whether it knows a new key, and signs that request.
//!
//! The table of what Vault's engine answers is [`crate::provider::aws`].

pub(crate) mod ready;
mod signature;
pub mod sts;
