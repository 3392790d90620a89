//! Speaking to Vault: one verb each ([`client`]), what an exchange came to ([`outcome`]), and the types on the
//! wire ([`wire`]). It knows no login and no cloud.

pub mod client;
mod echo;
pub mod outcome;
pub mod refusal;
pub mod wire;
