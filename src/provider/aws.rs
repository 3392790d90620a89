//! AWS, by Vault's `aws` engine or OpenBao's plugin: `<mount>/sts/<role>` and `<mount>/creds/<role>`.
//!
//! Both paths do the same for roles of today. Which fields come depends on the version: STS answers have
//! `security_token` (to 1.15, OpenBao), `session_token` (from 1.16) or both; an IAM user's are null or absent;
//! Vault 1.13.0 answers STS without a lease and with `data.ttl`.

use super::{Characters, CredentialsFile, Field, Made, Mint, Provider, Syntax};

/// The cloud. botocore believes `AWS_SECURITY_TOKEN` before `AWS_SESSION_TOKEN`, fails on a profile that does not
/// exist even when keys are set, and takes a stale `AWS_CREDENTIAL_EXPIRATION` at its word.
pub static AWS: Provider = Provider {
    name: "aws",
    command: "aws",
    title: "AWS",
    fields: &[
        Field {
            name: "access_key",
            keys: &["access_key"],
            variable: Some("AWS_ACCESS_KEY_ID"),
            process: Some("AccessKeyId"),
            key: Some("aws_access_key_id"),
            characters: Characters { prefix: "", others: "", lower: false, least: 16, most: 128 },
            required: true,
            public: true,
        },
        Field {
            name: "secret_key",
            keys: &["secret_key"],
            variable: Some("AWS_SECRET_ACCESS_KEY"),
            process: Some("SecretAccessKey"),
            key: Some("aws_secret_access_key"),
            characters: Characters { prefix: "", others: "/+=_.-", lower: true, least: 1, most: 8192 },
            required: true,
            public: false,
        },
        Field {
            name: "session_token",
            keys: &["session_token", "security_token"],
            variable: Some("AWS_SESSION_TOKEN"),
            process: Some("SessionToken"),
            key: Some("aws_session_token"),
            characters: Characters { prefix: "", others: "/+=_.-", lower: true, least: 1, most: 8192 },
            required: false,
            public: false,
        },
        Field {
            name: "arn",
            keys: &["arn"],
            variable: None,
            process: None,
            key: None,
            characters: Characters { prefix: "arn:", others: ":/+=,.@_-", lower: true, least: 1, most: 2048 },
            required: false,
            public: true,
        },
    ],
    aliases: &["AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"],
    irrevocable: Some("session_token"),
    expiration: Some("AWS_CREDENTIAL_EXPIRATION"),
    emptied: &EMPTIED,
    profiles: &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"],
    file: FILE,
    // `vault-WHO-ROLE-TIME-…`, unless the engine's username_template says otherwise.
    made: Made { what: "an IAM user", list: "aws iam list-users" },
};

/// What every SDK takes for unset when it is empty.
pub(super) const EMPTIED: [&str; 3] = ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];

/// What every SDK reads, and by which variables it finds it.
pub(super) const FILE: CredentialsFile = CredentialsFile {
    name: "credentials",
    syntax: Syntax::Profiles,
    path_variable: "AWS_SHARED_CREDENTIALS_FILE",
    profile_variable: "AWS_PROFILE",
};

/// Which of the engine's two paths is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `sts/<role>`: temporary credentials.
    Sts,
    /// `creds/<role>`: whatever the role makes, usually an IAM user.
    Creds,
}

/// What the user asked the engine for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Seconds; capped by Vault without a word, ignored for IAM users.
    pub ttl: Option<u64>,
    /// Which of the role's ARNs to assume.
    pub role_arn: Option<String>,
    /// The session's name (Vault 1.8 and later).
    pub session_name: Option<String>,
}

/// The read or write that makes a credential.
#[must_use]
pub fn mint(mount: &str, via: Path, role: &str, wishes: &Wishes) -> Mint {
    let segment = match via {
        Path::Sts => "sts",
        Path::Creds => "creds",
    };
    let parameters = [
        ("ttl", wishes.ttl.map(|seconds| format!("{seconds}s"))),
        ("role_arn", wishes.role_arn.clone()),
        ("role_session_name", wishes.session_name.clone()),
    ];
    Mint {
        path: format!("{mount}/{segment}/{role}"),
        roles: format!("{mount}/roles"),
        parameters: parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        writable: true,
        temporary: via == Path::Sts,
    }
}
