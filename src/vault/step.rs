//! The requests that a run makes, named by their effect, and which may be sent again if it is unknown whether Vault
//! processed them.

use super::deadline::Phase;

/// The requests that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `sys/wrapping/lookup`: reads, spends nothing.
    LookupWrapping,
    /// The same, answered inside a wrapping token, which is never opened: where it is made is all that it tells.
    LookupNamespace,
    /// `sys/wrapping/unwrap`: spends the wrapping token before it answers.
    Unwrap,
    /// Makes one half of what a login takes, which is idle without the other.
    Prepare,
    /// `auth/<mount>/login` with what may be good for one login.
    LoginOnce,
    /// `auth/<mount>/login` with what is good until it expires.
    Login,
    /// `auth/token/create`: a child of a token that is not ours, which ends with it.
    CreateChild,
    /// `auth/token/create/<role>`: a token that nothing ends but its own time. One whose answer was lost is nobody's.
    CreateByRole,
    /// `sys/capabilities-self`: reads.
    Capabilities,
    /// `auth/token/renew-self`, with the increment that the token shall live for.
    RenewSelf,
    /// `auth/token/renew-self` while a command runs: who asks has a rule of his own for sending it again.
    KeepLogin,
    /// `sys/leases/renew`, likewise.
    RenewLease,
    /// The read that makes a credential.
    Mint,
    /// The read of a secret that is stored: it makes nothing.
    ReadSecret,
    /// `auth/token/lookup-self`: reads. It is good to know, and not worth a second request.
    LookupSelf,
    /// A question of the diagnosis: it makes nothing, and is asked once.
    Diagnose,
    /// `auth/token/revoke-self`.
    RevokeSelf,
    /// `sys/leases/revoke`, answered when the engine has revoked it.
    RevokeLease,
    /// The same with `sync` off: answered at once, and Vault tries again until its engine has done it.
    QueueRevocation,
}

/// What may be done if it is unknown whether Vault acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Send it again: doing it twice does no harm, or at most leaves something idle until its end.
    Yes,
    /// Ask whether the token is still unspent, and send it again only then.
    AfterLookup,
    /// Revoke what may have been made, and only then start over.
    AfterCleanUp,
    /// Never: the secret may be spent, the answer can be done without, or another request follows.
    No,
}

impl Step {
    /// What it does, for a person who waits for it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LookupWrapping => "look up the wrapping token",
            Self::LookupNamespace => "look up the namespace of the wrapping token",
            Self::Unwrap => "unwrap the wrapping token",
            Self::Prepare => "make a secret ID",
            Self::LoginOnce | Self::Login => "log in",
            Self::CreateChild => "create a child token",
            Self::CreateByRole => "create a token",
            Self::Capabilities => "ask what the token may do",
            Self::RenewSelf | Self::KeepLogin => "renew the token",
            Self::RenewLease => "renew the lease",
            Self::Mint => "read the credential",
            Self::ReadSecret => "read the secret",
            Self::LookupSelf => "look up the token",
            Self::Diagnose => "diagnose",
            Self::RevokeSelf => "revoke the token",
            Self::RevokeLease => "revoke the lease",
            Self::QueueRevocation => "queue the revocation of the lease",
        }
    }

    /// Whether Vault has nothing to say when it did what it was asked.
    pub(super) fn may_be_silent(self) -> bool {
        matches!(self, Self::RevokeSelf | Self::RevokeLease | Self::QueueRevocation)
    }

    /// What it is for, which says how long it may take.
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Mint => Phase::Mint,
            Self::RevokeSelf | Self::RevokeLease | Self::QueueRevocation => Phase::CleanUp,
            _ => Phase::Run,
        }
    }

    /// The table. After *not processed*, every step may be sent again, inside the run's budget.
    #[must_use]
    pub(crate) fn when_ambiguous(self) -> Again {
        match self {
            Self::LookupWrapping
            | Self::LookupNamespace
            | Self::Prepare
            | Self::CreateChild
            | Self::Capabilities
            | Self::RenewSelf
            | Self::KeepLogin
            | Self::RenewLease
            | Self::Login
            | Self::ReadSecret
            | Self::RevokeSelf
            | Self::QueueRevocation => Again::Yes,
            Self::Unwrap => Again::AfterLookup,
            Self::Mint => Again::AfterCleanUp,
            Self::LoginOnce | Self::CreateByRole | Self::LookupSelf | Self::Diagnose | Self::RevokeLease => Again::No,
        }
    }
}

#[cfg(test)]
pub(super) const STEPS: [Step; 19] = [
    Step::LookupWrapping,
    Step::LookupNamespace,
    Step::Unwrap,
    Step::Prepare,
    Step::LoginOnce,
    Step::Login,
    Step::CreateChild,
    Step::CreateByRole,
    Step::Capabilities,
    Step::RenewSelf,
    Step::KeepLogin,
    Step::RenewLease,
    Step::Mint,
    Step::ReadSecret,
    Step::LookupSelf,
    Step::Diagnose,
    Step::RevokeSelf,
    Step::RevokeLease,
    Step::QueueRevocation,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_its_place_in_the_table() {
        let again = STEPS.map(Step::when_ambiguous);
        let expected = [
            Again::Yes,
            Again::Yes,
            Again::AfterLookup,
            Again::Yes,
            Again::No,
            Again::Yes,
            Again::Yes,
            Again::No,
            Again::Yes,
            Again::Yes,
            Again::Yes,
            Again::Yes,
            Again::AfterCleanUp,
            Again::Yes,
            Again::No,
            Again::No,
            Again::Yes,
            Again::No,
            Again::Yes,
        ];
        assert_eq!(again, expected);
    }
}
