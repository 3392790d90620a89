//! What the text is made of, fully decided.

use std::time::Duration;

use super::format::OperatorCli;
use crate::identity::SetUp;

/// What an operator sets up.
#[derive(Debug)]
pub(crate) struct PolicyPlan {
    /// The name of the job's policy.
    pub name: String,
    /// What the job reads.
    pub reads: Vec<EngineRead>,
    /// What is made for the login.
    pub set_up: SetUp,
    /// Where the login is mounted.
    pub mount: String,
    /// The role of the login.
    pub role: String,
    /// Whether the run works on a child of its token.
    pub child: bool,
    /// The namespace of everything.
    pub namespace: Option<String>,
    /// Which ID tokens the role of the login takes.
    pub binding: Binding,
    /// How long the login lives.
    pub ttl: Duration,
    /// The program that the script calls.
    pub cli: OperatorCli,
    /// What nobody said, each with the name that stands in its place.
    pub gaps: Vec<Gap>,
    /// What the run asks for and no policy gives.
    pub limits: Vec<String>,
}

/// A credential that the job reads.
#[derive(Debug)]
pub(crate) struct EngineRead {
    /// The path of the policy.
    pub path: String,
    /// Whether the run writes: it has parameters.
    pub writes: bool,
    /// Whether a lease ends it, so that it can be renewed and revoked.
    pub leased: bool,
    /// Whether the value is stored, and the read makes nothing.
    pub stored: bool,
    /// What to know of the path.
    pub note: Option<String>,
}

/// Which ID tokens a role takes.
#[derive(Debug, Default)]
pub(crate) struct Binding {
    /// `bound_audiences`.
    pub audiences: Vec<String>,
    /// The issuer, which the mount's configuration holds.
    pub issuer: String,
    /// The claim that names the job to Vault.
    pub user_claim: String,
    /// `bound_claims`.
    pub claims: Vec<(String, String)>,
}

/// A name in capitals that stands for a value that nobody said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The name: `AUDIENCE`.
    pub name: String,
    /// What to put in its place.
    pub meaning: String,
}

impl PolicyPlan {
    /// What is to be filled in of a text.
    pub(crate) fn gaps_in(&self, text: &str) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(move |gap| text.contains(&gap.name))
    }

    /// Whether the job's token is its own: it can end it, and keep it on a leash.
    #[must_use]
    pub(super) fn owns_its_token(&self) -> bool {
        self.set_up != SetUp::Token || self.child
    }

    /// The path at which secret IDs are made.
    #[must_use]
    pub(super) fn secret_id_path(&self) -> String {
        format!("auth/{}/role/{}/secret-id", self.mount, self.role)
    }
}
