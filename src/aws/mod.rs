//! AWS itself: a role that takes the job's ID token, an ID token of the runner's own AWS identity, whether AWS knows a new key,
//! and the runner's own credentials. Signs the requests to STS.
//!
//! The table of what Vault's engine answers is [`crate::provider::aws`].

pub(crate) mod assume;
pub(crate) mod exchange;
pub(crate) mod ready;
mod refusal;
pub(crate) mod runner;
mod signature;
pub mod sts;
pub(crate) mod web_token;

use crate::vault::refusal::RefusalTable;

pub(crate) use refusal::{Repeat, repeat};

/// The tables, for `ci-creds explain`.
pub(crate) const TABLES: [RefusalTable; 3] = [
    RefusalTable { of: "AWS without Vault", rows: &refusal::WEB_IDENTITY, docs: "docs/aws-without-vault.md" },
    RefusalTable { of: "A second role of AWS", rows: &refusal::ASSUME, docs: "docs/aws-without-vault.md" },
    RefusalTable { of: "An ID token of AWS", rows: &web_token::WEB_TOKEN, docs: "docs/authentication.md" },
];
