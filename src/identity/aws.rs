//! The proof of the runner's AWS credentials: what signs a request, and where its keys come from.

use jiff::Timestamp;

use crate::secret::Secret;

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
