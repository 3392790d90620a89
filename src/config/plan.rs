//! What a run does, fully decided: nothing optional is left open in a plan.

use std::borrow::Cow;

use super::cache::CachePlace;
use super::output::Output;
use super::readiness::Readiness;
use super::state::StatePlace;
use crate::http::transport::Connection;
use crate::identity::Login;
use crate::mint::Mint;
use crate::origin::Origin;
use crate::provider::shape::Shape;

/// What a run that fetches a credential does.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How Vault is reached.
    pub connection: Connection,
    /// Who the job is.
    pub login: Login,
    /// What the credential consists of.
    pub shape: Cow<'static, Shape>,
    /// The engine's role, its placeholders filled.
    pub role: String,
    /// Where the role came from.
    pub role_origin: Origin,
    /// The request that makes the credential.
    pub mint: Mint,
    /// Variables to export beside the credential.
    pub companions: Vec<(&'static str, String)>,
    /// Where credentials are kept between calls, when this one may be.
    pub cache: Option<CachePlace>,
    /// Where what is made is noted for `ci-creds revoke`, when it is.
    pub state: Option<StatePlace>,
    /// Where a new key is tried before it is handed over, when somebody asked for that.
    pub readiness: Option<Readiness>,
    /// How it is handed over.
    pub output: Output,
}

/// Where Vault is and who the caller is: what it takes to give something back.
#[derive(Debug)]
pub(crate) struct Access {
    /// How Vault is reached.
    pub connection: Connection,
    /// Who the job is.
    pub login: Login,
}
