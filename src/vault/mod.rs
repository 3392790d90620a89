//! Speaking to Vault: one verb for each request ([`request`]) on one connection ([`client`]), what an exchange came to
//! ([`outcome`]), and the types on the wire ([`wire`]). It knows no login and no cloud.

mod answer;
pub(crate) mod client;
mod deadline;
mod echo;
pub(crate) mod failure;
pub(crate) mod health;
pub(crate) mod outcome;
pub mod refusal;
pub(crate) mod request;
pub mod retry;
pub(crate) mod step;
pub mod wire;
