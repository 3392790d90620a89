//! AWS itself, asked by us: whether it knows a new key yet, and how such a question is signed.
//!
//! The table of what Vault's engine answers is [`crate::provider::aws`].

pub(crate) mod ready;
mod signature;
pub mod sts;
