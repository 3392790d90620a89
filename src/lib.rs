//! `ci-creds`: from a CI job's identity to a short-lived cloud credential, by way of Vault.
//!
//! The flow, on one page:
//!
//! ```text
//! arguments ─► cli ─┐
//! variables ────────┼─► config ─► Plan ─► auth ─► vault ─► provider ─► Credential ─► render ─► host
//! file ─────────────┘
//! ```
//!
//! `config` decides everything before the first request; `vault` speaks to the server; `provider` and `render`
//! are pure; `host` is the only door to the process. [`run`] is all that `main` calls.

mod app;
pub mod auth;
pub mod claims;
pub mod cli;
pub mod config;
pub mod credential;
mod engine;
pub mod error;
pub mod host;
pub mod http;
pub mod provider;
pub mod render;
pub mod secret;
pub mod variables;
pub mod vault;

pub use app::{failure_text, run};
