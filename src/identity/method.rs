//! The methods to log in, and the secrets that they take: two tables.

use crate::variables as var;

/// A secret that a method takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An ID token.
    IdToken,
    /// The public half of an AppRole.
    RoleId,
    /// The secret half of an AppRole.
    SecretId,
    /// A wrapping token.
    WrappingToken,
    /// A Vault token.
    Token,
    /// The token of a Kubernetes service account.
    ServiceAccountToken,
}

/// Where a secret comes from: a variable, or a file that a flag, a key of the configuration file or the variable's `_FILE`
/// twin names. The row of a new one.
#[derive(Clone, Copy, Debug)]
pub struct InputFacts {
    /// What messages call it.
    pub name: &'static str,
    /// The variable.
    pub variable: &'static str,
    /// The flag, with its dashes. The key of the configuration file has none.
    pub flag: &'static str,
    /// The flag's line in the help.
    pub help: &'static str,
}

impl Input {
    /// Every secret, in the order of the help.
    pub const ALL: [Self; 6] =
        [Self::IdToken, Self::RoleId, Self::SecretId, Self::WrappingToken, Self::Token, Self::ServiceAccountToken];

    /// The table.
    #[must_use]
    pub const fn facts(self) -> InputFacts {
        match self {
            Self::IdToken => InputFacts {
                name: "ID token",
                variable: var::VAULT_ID_TOKEN,
                flag: "--id-token-file",
                help: "The file that holds the ID token",
            },
            Self::RoleId => InputFacts {
                name: "role ID",
                variable: var::VAULT_ROLE_ID,
                flag: "--role-id-file",
                help: "The file that holds the AppRole's role ID",
            },
            Self::SecretId => InputFacts {
                name: "secret ID",
                variable: var::VAULT_SECRET_ID,
                flag: "--secret-id-file",
                help: "The file that holds the secret ID",
            },
            Self::WrappingToken => InputFacts {
                name: "wrapping token",
                variable: var::VAULT_WRAPPING_TOKEN,
                flag: "--wrapping-token-file",
                help: "The file that holds the wrapping token",
            },
            Self::Token => InputFacts {
                name: "Vault token",
                variable: var::VAULT_TOKEN,
                flag: "--token-file",
                help: "The file that holds the Vault token",
            },
            Self::ServiceAccountToken => InputFacts {
                name: "service account token",
                variable: var::VAULT_SERVICE_ACCOUNT_TOKEN,
                flag: "--service-account-token-file",
                help: "The file that holds the Kubernetes service account token [default: the pod's own]",
            },
        }
    }

    /// What messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The variable that holds it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        self.facts().variable
    }

    /// Its key in a configuration file, and its name on the command line without the dashes.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.facts().flag.trim_start_matches('-')
    }
}

/// The methods, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// A wrapping token that holds a secret ID or a login.
    WrappingToken,
    /// The two halves of an AppRole.
    SecretId,
    /// A token that may only create one-time secret IDs.
    GeneratorToken,
    /// An ID token of the CI system.
    IdToken,
    /// A Vault token.
    Token,
    /// The token of a Kubernetes service account.
    Kubernetes,
    /// The client certificate of the connection.
    Certificate,
    /// The runner's own AWS credentials.
    Aws,
}

/// What a method takes, and where its login is: the row of a new one.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The name that `--auth` takes.
    pub name: &'static str,
    /// Its line in the help.
    pub help: &'static str,
    /// Where the proof of who the job is comes from.
    pub proof: ProofSource,
    /// Whether it is used if its inputs are set and nobody names it. A pod has a token and a machine has credentials
    /// whatever the job is for.
    pub by_itself: bool,
    /// What belongs to it.
    pub companion: Companion,
    /// The variable that names the role of the login.
    pub role: Option<&'static str>,
    /// Whether there is no login without that role.
    pub role_required: bool,
    /// The default mount of the login.
    pub mount: &'static str,
    /// Another variable than the common one that names the mount.
    pub mount_variable: Option<&'static str>,
    /// What an operator makes for it in Vault; `None` where `ci-creds policy` does not know it.
    pub set_up: Option<SetUp>,
}

/// Where the proof of a method comes from. `src/config/identity.rs` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofSource {
    /// A secret in a variable or a file.
    Secret(Input),
    /// The same, or what the CI system offers.
    IdToken,
    /// The same, or what `vault login` left.
    VaultToken,
    /// The connection.
    ClientCertificate,
    /// The runner's environment, its container or its instance.
    AwsCredentials,
}

impl ProofSource {
    /// The secret that a user can set for it.
    #[must_use]
    pub const fn input(self) -> Option<Input> {
        match self {
            Self::Secret(input) => Some(input),
            Self::IdToken => Some(Input::IdToken),
            Self::VaultToken => Some(Input::Token),
            Self::ClientCertificate | Self::AwsCredentials => None,
        }
    }
}

/// What an operator makes in Vault for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// A JWT role.
    JwtRole,
    /// An AppRole, and whoever makes its secret IDs.
    AppRole(SecretIdMaker),
    /// A token.
    Token,
}

/// Who makes the secret IDs of an AppRole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretIdMaker {
    /// The operator, or a tool of the operator's.
    Operator,
    /// Whoever starts the job, and hands each of them out in a wrapping token.
    Wrapper,
    /// The job, with a generator token.
    Generator,
}

/// Whether a role ID belongs to the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Companion {
    /// It does not.
    None,
    /// It may: only Vault can tell what the secret holds.
    RoleIdIfPresent,
    /// It does.
    RoleId,
}

impl AuthMethod {
    /// Every method, in the order in which they are looked for.
    pub const ALL: [Self; 8] = [
        Self::WrappingToken,
        Self::SecretId,
        Self::GeneratorToken,
        Self::IdToken,
        Self::Token,
        Self::Kubernetes,
        Self::Certificate,
        Self::Aws,
    ];

    /// The table.
    #[must_use]
    pub const fn needs(self) -> Needs {
        let approle = Needs {
            name: "",
            help: "",
            proof: ProofSource::Secret(Input::SecretId),
            by_itself: true,
            companion: Companion::RoleId,
            role: Some(var::VAULT_APPROLE_ROLE),
            role_required: false,
            mount: "approle",
            mount_variable: None,
            set_up: Some(SetUp::AppRole(SecretIdMaker::Operator)),
        };
        match self {
            Self::WrappingToken => Needs {
                name: "wrapping-token",
                help: "A wrapping token that holds a secret ID, and the role ID",
                proof: ProofSource::Secret(Input::WrappingToken),
                companion: Companion::RoleIdIfPresent,
                set_up: Some(SetUp::AppRole(SecretIdMaker::Wrapper)),
                ..approle
            },
            Self::SecretId => Needs { name: "secret-id", help: "A secret ID and the role ID", ..approle },
            Self::GeneratorToken => Needs {
                name: "generator-token",
                help: "A token that may only create one-time secret IDs, and the role ID",
                proof: ProofSource::Secret(Input::Token),
                role_required: true,
                set_up: Some(SetUp::AppRole(SecretIdMaker::Generator)),
                ..approle
            },
            Self::IdToken => Needs {
                name: "id-token",
                help: "The ID token of the CI job",
                proof: ProofSource::IdToken,
                companion: Companion::None,
                role: Some(var::VAULT_AUTH_ROLE),
                mount: "jwt",
                mount_variable: Some(var::VAULT_AUTH_PATH),
                set_up: Some(SetUp::JwtRole),
                ..approle
            },
            Self::Token => Needs {
                name: "token",
                help: "A Vault token",
                proof: ProofSource::VaultToken,
                companion: Companion::None,
                role: None,
                set_up: Some(SetUp::Token),
                ..approle
            },
            Self::Kubernetes => Needs {
                name: "kubernetes",
                help: "The token of a Kubernetes service account",
                proof: ProofSource::Secret(Input::ServiceAccountToken),
                by_itself: false,
                companion: Companion::None,
                role: None,
                role_required: true,
                mount: "kubernetes",
                set_up: None,
                ..approle
            },
            Self::Certificate => Needs {
                name: "cert",
                help: "The client certificate of the connection",
                proof: ProofSource::ClientCertificate,
                by_itself: false,
                companion: Companion::None,
                role: None,
                role_required: true,
                mount: "cert",
                set_up: None,
                ..approle
            },
            Self::Aws => Needs {
                name: "aws",
                help: "The runner's own AWS credentials, by a signed request that Vault sends to STS",
                proof: ProofSource::AwsCredentials,
                by_itself: false,
                companion: Companion::None,
                role: None,
                mount: "aws",
                set_up: None,
                ..approle
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_child_of_ours_inherits_an_input() {
        for input in Input::ALL {
            assert!(var::SECRETS.contains(&input.variable()), "{} is not in SECRETS", input.variable());
        }
    }
}
