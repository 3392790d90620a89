//! How the double behaves, in sentences. What a real server was seen to do is in `recordings`.

mod approle;
mod beside;
mod dialects;
mod engines;
mod faults;
mod jwt;
mod leases;
mod setup;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod transport;
mod wrapping;
