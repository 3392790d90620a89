//! The rights that a run needs, one for each request that it sends with its token.

use super::plan::PolicyPlan;
use crate::identity::{SecretIdMaker, SetUp};

/// A right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// The path of the policy.
    pub path: String,
    /// The capability.
    pub capability: &'static str,
    /// Who needs it.
    pub why: String,
    /// Further lines of its block.
    pub limits: &'static [(&'static str, &'static str)],
}

impl Right {
    fn new(path: impl Into<String>, capability: &'static str, why: impl Into<String>) -> Self {
        Self { path: path.into(), capability, why: why.into(), limits: &[] }
    }
}

/// Those of the job's token. The default policy, which has most of them and more, is not counted on: the login leaves it
/// out.
pub(super) fn of_the_job(plan: &PolicyPlan) -> Vec<Right> {
    let mut rights = Vec::new();
    for read in &plan.reads {
        let (capability, what) = match (read.writes, read.stored) {
            (true, _) => ("update", "Makes the credential, by a write: the call has parameters."),
            (false, true) => ("read", "Reads the stored value."),
            (false, false) => ("read", "Makes the credential."),
        };
        let note = read.note.as_deref().map(|note| format!(" {note}")).unwrap_or_default();
        rights.push(Right::new(&read.path, capability, format!("{what}{note}")));
    }
    if plan.child {
        rights.push(Right::new("auth/token/create", "update", "--child-token: makes the child, with these rights."));
    }
    if plan.owns_its_token() {
        let why = "Renews the login: exec keeps it on a leash, so that it ends soon after exec was killed.";
        rights.push(Right::new("auth/token/renew-self", "update", why));
        let why = "Revokes the login and all that it made: exec, revoke, and a run that fails.";
        rights.push(Right::new("auth/token/revoke-self", "update", why));
    }
    if plan.reads.iter().any(|read| read.leased) {
        let why = "Renews the lease: exec, and a job that is longer than it.";
        rights.push(Right::new("sys/leases/renew", "update", why));
        let why = "Revokes the lease at once: exec, revoke.";
        rights.push(Right::new("sys/leases/revoke", "update", why));
    }
    let why = match plan.set_up {
        SetUp::Token if !plan.child => "whoami, doctor, and the cache, which must know when the token expires.",
        _ => "whoami, doctor.",
    };
    rights.push(Right::new("auth/token/lookup-self", "read", why));
    rights.push(Right::new("sys/capabilities-self", "update", "doctor: says which of these rights is missing."));
    rights
}

/// The policy of whoever makes the job's secret IDs, and what its name ends with.
pub(super) fn of_the_maker(plan: &PolicyPlan) -> Option<(&'static str, Right)> {
    let path = plan.secret_id_path();
    match plan.set_up {
        SetUp::AppRole(SecretIdMaker::Generator) => {
            let why = "The generator token makes secret IDs, and can do nothing else.";
            Some(("generator", Right::new(path, "update", why)))
        }
        SetUp::AppRole(SecretIdMaker::Wrapper) => {
            let why = "Whoever starts the job makes its wrapping token, and never sees the secret ID in it.";
            let limits = &[("min_wrapping_ttl", "\"1s\""), ("max_wrapping_ttl", "\"10m\"")];
            Some(("wrapper", Right { limits, ..Right::new(path, "update", why) }))
        }
        SetUp::AppRole(SecretIdMaker::Operator) | SetUp::JwtRole | SetUp::Token => None,
    }
}
