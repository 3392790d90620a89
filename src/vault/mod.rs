//! Speaking to Vault: one verb for each request ([`request`]) on one connection ([`client`]), what an exchange came to
//! ([`outcome`]), and the types on the wire ([`wire`]). It knows no login and no cloud.

mod answer;
pub mod client;
mod deadline;
mod echo;
mod failure;
pub mod outcome;
pub mod refusal;
pub mod request;
pub mod retry;
pub mod step;
pub mod wire;
