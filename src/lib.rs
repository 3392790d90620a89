//! `ci-creds`: from a CI job's identity to a short-lived cloud credential, by way of Vault.
//!
//! The flow, on one page:
//!
//! ```text
//! arguments ─► cli ─┐                    ┌────────── chain ──────────┐                ┌── delivery ─┐
//! variables ────────┼─► config ─► Plan ─►│ cache? source: auth engine│─► Credential ─►│ render host │─► the caller
//! file ─────────────┘                    └────── vault ─► http ──────┘                └─────────────┘
//! ```
//!
//! `config` decides everything before the first request. A `command` is one flow. `chain` finds a credential in the `cache`,
//! or has its `source` make one: `auth` logs in and `engine` asks. `custody` holds what is owed until the delivery, `lease`
//! revokes it. `vault` speaks to the server, `http` carries it, `aws` waits until AWS knows a new key, `gitlab` reads
//! and writes the variable that holds a Vault token. `provider` and `render` are pure. While a command runs with a
//! credential, `renewal` renews it, and `revocation` revokes it, or all that a job made; `rotation` reads the next one, and
//! `endpoint` serves it. `diagnosis` examines each step of a run by itself. `delivery` hands the text over. `host` is the
//! only door to the process. [`run`] is all that `main` calls.

mod app;
mod auth;
pub mod aws;
pub mod cache;
mod chain;
mod ci;
pub mod claims;
pub mod cli;
mod command;
pub mod config;
pub mod credential;
mod custody;
mod delivery;
mod diagnosis;
mod endpoint;
mod engine;
pub mod error;
mod gitlab;
pub mod host;
pub mod http;
pub mod identity;
mod job_token;
mod lease;
mod mint;
mod origin;
mod policy;
pub mod provider;
pub mod render;
mod renewal;
mod revocation;
mod rotation;
pub mod secret;
mod source;
mod stray;
pub mod time;
pub mod typo;
pub mod variables;
pub mod vault;

pub use app::{failure_text, run};
pub use cli::is_exec;
