//! The formats of `ci-creds policy`, and the programs that its script can call.

/// A format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyFormat {
    /// The policy of the job's token alone.
    Hcl,
    /// A shell script.
    #[default]
    Commands,
    /// Resources of Terraform's vault provider.
    Terraform,
}

impl PolicyFormat {
    /// Every format, in the order of the help.
    pub const ALL: [Self; 3] = [Self::Hcl, Self::Commands, Self::Terraform];

    /// Its name, and its line in the help.
    #[must_use]
    pub const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::Hcl => ("hcl", "The policy of the job's token alone"),
            Self::Commands => ("commands", "A shell script: the policies and the role of the login"),
            Self::Terraform => ("terraform", "The same as resources of the vault provider"),
        }
    }
}

/// The program that the script calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OperatorCli {
    /// HashiCorp's.
    #[default]
    Vault,
    /// OpenBao's.
    Bao,
}

impl OperatorCli {
    /// Every program.
    pub const ALL: [Self; 2] = [Self::Vault, Self::Bao];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Bao => "bao",
        }
    }

    /// The variable that names its namespace.
    #[must_use]
    pub(crate) const fn namespace_variable(self) -> &'static str {
        match self {
            Self::Vault => "VAULT_NAMESPACE",
            Self::Bao => "BAO_NAMESPACE",
        }
    }
}
