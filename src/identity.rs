//! Who the job is: the methods to log in, what each of them takes, and the proof that comes of it.
//!
//! Plain data and three tables: [`Input::facts`], where a secret comes from; [`AuthMethod::needs`], what a method makes of them;
//! [`Identity::facts`], what every room has to know of the proof. [`crate::cli`] and [`crate::config`] read the first two,
//! [`crate::auth`] logs in with the proof.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::claims::Claims;
use crate::origin::Origin;
use crate::secret::Secret;
use crate::variables as var;

/// The login: how, where, and as what.
#[derive(Debug)]
pub struct Login {
    /// The proof.
    pub identity: Identity,
    /// Where the login is mounted: `approle`, `jwt`, `gitlab`. Empty where the proof itself is shown and nobody logs in.
    pub mount: String,
    /// The role of the login: the AppRole's name or the JWT role.
    pub role: Option<String>,
    /// Where that role came from.
    pub role_origin: Origin,
    /// Where the secret came from, for messages.
    pub origin: Origin,
    /// Whether the generator token is renewed before it is used.
    pub renew: bool,
    /// A plain token beside which a role ID is set: it may be a generator token without the name of its AppRole.
    pub perhaps_generator: bool,
}

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

/// What was said beside the secret.
#[derive(Debug, Default)]
pub struct Circumstances {
    /// The role ID.
    pub role_id: Option<Secret>,
    /// What the ID token says.
    pub claims: Option<Claims>,
    /// What the ID token was requested with.
    pub key: Option<Secret>,
    /// The creation path that a wrapping token must have.
    pub creation_path: Option<String>,
    /// Whether to work on a child of the token.
    pub child: bool,
    /// The file of the service account token, which is read again at each login.
    pub file: Option<PathBuf>,
    /// What signs the AWS login.
    pub signer: Option<AwsSigner>,
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

    /// The proof. `None` where something is missing that the method needs.
    #[must_use]
    pub fn identity(self, secret: Secret, beside: Circumstances) -> Option<Identity> {
        let Circumstances { role_id, claims, key, creation_path, child, file, signer } = beside;
        Some(match self {
            Self::WrappingToken => Identity::WrappingToken { token: secret, role_id, creation_path },
            Self::SecretId => match role_id {
                Some(role_id) => Identity::SecretId { role_id, secret_id: secret },
                // Of an AppRole without secret IDs, the role ID is all that there is.
                None => Identity::RoleId { role_id: secret },
            },
            Self::GeneratorToken => Identity::GeneratorToken { token: secret, role_id: role_id? },
            Self::IdToken => Identity::IdToken { token: secret, claims: claims?, key },
            Self::Token => Identity::Token { token: secret, child },
            Self::Kubernetes => Identity::Kubernetes { token: secret, file },
            Self::Certificate => Identity::Certificate { key: secret },
            Self::Aws => Identity::Aws(Box::new(signer?)),
        })
    }
}

/// What proves who the job is.
#[derive(Debug)]
pub enum Identity {
    /// A single-use token that holds a secret ID or a login.
    WrappingToken {
        /// The token.
        token: Secret,
        /// Needed for a secret ID, not for a login.
        role_id: Option<Secret>,
        /// The creation path that the user demands in place of the AppRole's own.
        creation_path: Option<String>,
    },
    /// The two halves of an AppRole.
    SecretId {
        /// The public half.
        role_id: Secret,
        /// The secret half.
        secret_id: Secret,
    },
    /// The role ID of an AppRole that asks for no secret ID (`bind_secret_id=false`).
    RoleId {
        /// The proof: it alone logs in, from an address that the role allows.
        role_id: Secret,
    },
    /// A token that may only create one-time secret IDs of one AppRole; the role is in [`Login::role`].
    GeneratorToken {
        /// The token.
        token: Secret,
        /// The role ID, which the runner knows.
        role_id: Secret,
    },
    /// An ID token of the CI system.
    IdToken {
        /// The token.
        token: Secret,
        /// What it says, for hints.
        claims: Claims,
        /// What a token of this run alone was requested with. The other calls of the job have it too, so it encrypts what
        /// they share.
        key: Option<Secret>,
    },
    /// A Vault token that somebody else got.
    Token {
        /// The token.
        token: Secret,
        /// Whether to work on a child of it.
        child: bool,
    },
    /// The token of a Kubernetes service account.
    Kubernetes {
        /// The token, as it was when the run began.
        token: Secret,
        /// Its file: the kubelet writes a new token into it before the old one expires.
        file: Option<PathBuf>,
    },
    /// The client certificate of the connection.
    Certificate {
        /// Its key. TLS proves it; it is never sent.
        key: Secret,
    },
    /// The runner's own AWS credentials.
    Aws(Box<AwsSigner>),
}

/// What signs the request by which STS tells Vault who the runner is.
#[derive(Debug)]
pub struct AwsSigner {
    /// Where the credentials come from.
    pub source: AwsSource,
    /// The credentials. Blank until they are fetched, where they are not in the environment.
    pub keys: AwsKeys,
    /// The value of `X-Vault-AWS-IAM-Server-ID`, which binds the request to one Vault.
    pub server_id: Option<String>,
    /// The region of STS that Vault asks; the global one without it.
    pub region: Option<String>,
}

/// Where the runner's AWS credentials come from.
#[derive(Debug)]
pub enum AwsSource {
    /// The environment.
    Environment,
    /// The endpoint of a container: ECS, or EKS Pod Identity.
    Container {
        /// Its URL.
        url: String,
        /// What it wants in `Authorization`.
        authorization: Option<Secret>,
    },
    /// The instance metadata service, version 2.
    Instance {
        /// Its URL, without a path.
        url: String,
    },
}

/// AWS credentials.
#[derive(Debug)]
pub struct AwsKeys {
    /// The access key's ID, which is no secret.
    pub id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The session token, of temporary ones.
    pub session: Option<Secret>,
    /// When they expire, where that is known.
    pub expires_at: Option<Timestamp>,
}

impl AwsKeys {
    /// None yet.
    #[must_use]
    pub fn blank() -> Self {
        Self { id: String::new(), secret: Secret::new(String::new()), session: None, expires_at: None }
    }

    /// Whether they are still to be fetched.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.id.is_empty()
    }
}

/// What distinguishes one kind of identity from another: the row of a new one.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The name, for messages and for the cache.
    pub name: &'static str,
    /// The secret that proves it, in every call of the job.
    pub secret: &'a Secret,
    /// What belongs to the secret and is only known to the job: the role ID.
    pub companion: Option<&'a Secret>,
    /// What is used up when the login is done.
    pub spends: Spend,
    /// Whether the same inputs are good for another login: an ID token is, and a generator token makes new secret IDs. A
    /// secret ID may be for one use, and a wrapping token is.
    pub repeatable: bool,
    /// Whether the session is a child of a token: it lives as long as a run can, until it is renewed.
    pub child: bool,
}

impl Identity {
    /// The table.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let child = matches!(self, Self::Token { child: true, .. });
        let facts =
            |name, secret, companion, spends, repeatable| Facts { name, secret, companion, spends, repeatable, child };
        match self {
            Self::WrappingToken { token, role_id, .. } => {
                facts("wrapping token", token, role_id.as_ref(), Spend::WrappingToken, false)
            }
            Self::SecretId { role_id, secret_id } => {
                facts("secret ID", secret_id, Some(role_id), Spend::PerhapsSecretId, false)
            }
            Self::RoleId { role_id } => facts("role ID", role_id, None, Spend::Nothing, true),
            Self::GeneratorToken { token, role_id } => {
                facts("generator token", token, Some(role_id), Spend::Nothing, true)
            }
            Self::IdToken { token, key, .. } => {
                facts("ID token", key.as_ref().unwrap_or(token), None, Spend::Nothing, true)
            }
            Self::Token { token, child } => facts("token", token, None, Spend::Nothing, *child),
            Self::Kubernetes { token, .. } => facts("service account token", token, None, Spend::Nothing, true),
            Self::Certificate { key } => facts("client certificate", key, None, Spend::Nothing, true),
            Self::Aws(signer) => facts("AWS credentials", &signer.keys.secret, None, Spend::Nothing, true),
        }
    }

    /// What the ID token says, where one is the proof.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        match self {
            Self::IdToken { claims, .. } => Some(claims),
            _ => None,
        }
    }

    /// The ID token, where one is the proof.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        match self {
            Self::IdToken { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The ID token, where it was requested for this run alone.
    #[must_use]
    pub fn requested_token(&self) -> Option<&Secret> {
        match self {
            Self::IdToken { token, key: Some(_), .. } => Some(token),
            _ => None,
        }
    }

    /// The Vault token that somebody else made for the job, where one is the proof: to be renewed, or replaced.
    #[must_use]
    pub fn supplied_token(&self) -> Option<&Secret> {
        match self {
            Self::GeneratorToken { token, .. } | Self::Token { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The Vault token that is the session itself, or its parent, where nobody logs in.
    #[must_use]
    pub fn plain_token(&self) -> Option<&Secret> {
        match self {
            Self::Token { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The creation path that the user demands of a wrapping token.
    #[must_use]
    pub fn creation_path(&self) -> Option<&str> {
        match self {
            Self::WrappingToken { creation_path, .. } => creation_path.as_deref(),
            _ => None,
        }
    }

    /// What signs the login with AWS credentials.
    pub fn aws_signer_mut(&mut self) -> Option<&mut AwsSigner> {
        match self {
            Self::Aws(signer) => Some(signer),
            _ => None,
        }
    }

    /// Overwrites what the login was made with, once no other one will be: the read can take a minute.
    pub fn forget(&mut self) {
        match self {
            Self::WrappingToken { token: secret, .. }
            | Self::SecretId { secret_id: secret, .. }
            | Self::RoleId { role_id: secret }
            | Self::GeneratorToken { token: secret, .. }
            | Self::IdToken { token: secret, .. }
            | Self::Token { token: secret, .. }
            | Self::Kubernetes { token: secret, .. }
            | Self::Certificate { key: secret } => *secret = Secret::new(String::new()),
            Self::Aws(signer) => signer.keys = AwsKeys::blank(),
        }
    }
}

impl Login {
    /// The same login with another ID token.
    #[must_use]
    pub fn with_id_token(&self, token: Secret, claims: Claims) -> Self {
        Self {
            identity: Identity::IdToken { token, claims, key: None },
            mount: self.mount.clone(),
            role: self.role.clone(),
            role_origin: self.role_origin.clone(),
            origin: self.origin.clone(),
            renew: self.renew,
            perhaps_generator: self.perhaps_generator,
        }
    }

    /// The login in words: `ID token at auth/gitlab`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.identity {
            Identity::Token { .. } => format!("token (from {})", self.origin),
            identity if self.mount.is_empty() => format!("{} (from {})", identity.facts().name, self.origin),
            identity => format!("{} at auth/{} (from {})", identity.facts().name, self.mount, self.origin),
        }
    }
}

/// What a login uses up that a new run would need anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spend {
    /// Nothing: the same inputs log in again.
    Nothing,
    /// A secret ID, if it is single-use; only Vault knows.
    PerhapsSecretId,
    /// A wrapping token.
    WrappingToken,
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
