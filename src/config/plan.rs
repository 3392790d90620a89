//! What a run does, fully decided: nothing optional is left open in a plan.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::cache::CachePlace;
use super::output::Output;
use super::readiness::Readiness;
use super::state::StatePlace;
use super::token_request::TokenRequest;
use crate::aws::assume::{FormFields, life};
use crate::http::transport::Connection;
use crate::identity::Login;
use crate::mint::Mint;
use crate::origin::Origin;
use crate::provider::shape::Shape;

/// A login that is good for any number of credentials.
pub(crate) const ENDLESS: u64 = u64::MAX;

/// What a run that fetches a credential does.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Who makes the credential. How that one is reached, as whom and by which request stands in the fields that follow.
    pub maker: Maker,
    /// How the maker is reached.
    pub connection: Connection,
    /// The job's identity, as the maker takes it.
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
    /// Where credentials are cached between calls, if this one may be.
    pub cache: Option<CachePlace>,
    /// Where what is made is noted for `ci-creds revoke`, when it is.
    pub state: Option<StatePlace>,
    /// Where a new key is tried before it is handed over, when somebody asked for that.
    pub readiness: Option<Readiness>,
    /// How it is delivered.
    pub output: Output,
    /// How another ID token is had for a later login, where the CI system gives one by request.
    pub token_request: Option<TokenRequest>,
    /// What is read by the same login after it, and handed over with it.
    pub others: Vec<CredentialPlan>,
    /// What is asked of the token, where the credential is a Vault token.
    pub token: Option<TokenWish>,
    /// How many credentials the login must be good for; [`ENDLESS`] when nobody knows.
    pub reads: u64,
    /// When the job ends at the latest, where credentials shall last until then and nobody renews them later.
    pub job_end: Option<Timestamp>,
}

/// Who makes the credential of a plan.
#[derive(Debug)]
pub(crate) enum Maker {
    /// An engine of Vault, behind a login.
    Vault,
    /// STS of AWS, which takes the ID token itself.
    Sts(Box<StsPlan>),
}

/// What is asked of STS.
#[derive(Debug)]
pub(crate) struct StsPlan {
    /// The `Host` header, which is signed.
    pub authority: String,
    /// The region that a signature is for.
    pub region: String,
    /// The fields of the request that shows the ID token.
    pub first: FormFields,
    /// Those of the request for the second role, where there is one.
    pub second: Option<FormFields>,
    /// What gives a command more sessions than those that an ID token gets until it expires.
    pub remedy: String,
}

impl StsPlan {
    /// A field of the request that shows the ID token; empty where it is not there.
    #[must_use]
    pub(crate) fn field(&self, name: &str) -> &str {
        self.first.iter().find(|(field, _)| *field == name).map_or("", |(_, text)| text)
    }

    /// How long the credentials live, if AWS grants what is asked for.
    #[must_use]
    pub(crate) fn seconds(&self) -> u64 {
        life(self.last())
    }

    /// The request whose session is delivered.
    #[must_use]
    pub(crate) fn last(&self) -> &FormFields {
        self.second.as_ref().unwrap_or(&self.first)
    }
}

/// What is asked of a Vault token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenWish {
    /// How long it lives.
    pub life: Duration,
    /// For how many requests it is good, where there is a limit.
    pub uses: Option<u64>,
}

/// Which credential is read.
#[derive(Debug)]
pub(crate) struct CredentialPlan {
    /// See [`Plan::shape`], as the other ones.
    pub shape: Cow<'static, Shape>,
    /// The engine's role.
    pub role: String,
    /// Where the role came from.
    pub role_origin: Origin,
    /// The request that makes the credential.
    pub mint: Mint,
    /// Variables beside the credential.
    pub companions: Vec<(&'static str, String)>,
    /// Where a new key is tried.
    pub readiness: Option<Readiness>,
    /// Whether `AWS_PROFILE` and the like stay.
    pub keep_profile: bool,
}

impl Plan {
    /// A plan for this credential.
    pub(super) fn new(
        connection: Connection,
        login: Login,
        wanted: CredentialPlan,
        cache: Option<CachePlace>,
        output: Output,
    ) -> Self {
        let CredentialPlan { shape, role, role_origin, mint, companions, readiness, .. } = wanted;
        Self {
            maker: Maker::Vault,
            connection,
            login,
            shape,
            role,
            role_origin,
            mint,
            companions,
            cache,
            state: None,
            readiness,
            output,
            token_request: None,
            others: Vec::new(),
            token: None,
            reads: 1,
            job_end: None,
        }
    }

    /// Until when the credential is renewed at once. A lifetime that somebody asked for is not made longer.
    pub(crate) fn wanted_end(&self) -> Option<Timestamp> {
        self.job_end.filter(|_| !self.mint.asks_for_a_life())
    }

    /// Goes on to another credential, by the same login.
    pub(crate) fn go_on_to(&mut self, wanted: CredentialPlan) {
        let CredentialPlan { shape, role, role_origin, mint, companions, readiness, keep_profile } = wanted;
        (self.shape, self.role, self.role_origin, self.mint) = (shape, role, role_origin, mint);
        (self.companions, self.readiness, self.output.keep_profile) = (companions, readiness, keep_profile);
    }
}

/// Vault's connection and the caller's login: what revoking needs.
#[derive(Debug)]
pub(crate) struct Access {
    /// How Vault is reached.
    pub connection: Connection,
    /// The job's identity.
    pub login: Login,
}
