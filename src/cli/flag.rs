//! The flags of each command and their choices, as clap types.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `ci-creds completions`.
#[derive(Args)]
#[command(about = super::COMPLETIONS)]
pub struct Completions {
    /// The shell that will read it
    pub shell: Shell,
}

/// `ci-creds exoscale`.
#[derive(Args)]
#[command(about = super::EXOSCALE)]
pub struct Exoscale {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: Engine,
    /// Also export EXOSCALE_ZONE; with --sos, the zone of the storage
    #[arg(long, value_name = "ZONE", help_heading = "Credential")]
    pub zone: Option<String>,
    /// For the object storage by AWS tools: the key as AWS_ACCESS_KEY_ID, and the zone's S3 endpoint
    #[arg(long, help_heading = "Credential")]
    pub sos: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub output: Output,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: Login,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: Connection,
}

/// `ci-creds aws`.
#[derive(Args)]
#[command(about = super::AWS)]
pub struct Aws {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub engine: Engine,
    /// The engine's path: `sts` for temporary credentials, `creds` for an IAM user
    #[arg(long, value_enum, value_name = "PATH", help_heading = "Credential")]
    pub via: Option<Via>,
    /// How long STS credentials shall live: seconds, or 20m, 1h
    #[arg(long, value_name = "DURATION", help_heading = "Credential")]
    pub ttl: Option<String>,
    /// The role to assume, when the Vault role allows more than one
    #[arg(long, value_name = "ARN", help_heading = "Credential")]
    pub role_arn: Option<String>,
    /// The session's name in CloudTrail
    #[arg(long, value_name = "NAME", help_heading = "Credential")]
    pub session_name: Option<String>,
    /// Also export AWS_REGION and AWS_DEFAULT_REGION
    #[arg(long, value_name = "REGION", help_heading = "Credential")]
    pub region: Option<String>,
    /// Wait until AWS knows the key of a new IAM user, 30 s at most
    #[arg(long, help_heading = "Credential")]
    pub wait_ready: bool,
    /// Leave AWS_PROFILE and AWS_DEFAULT_PROFILE as they are
    #[arg(long, help_heading = "Output")]
    pub keep_profile: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub output: Output,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: Login,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: Connection,
}

/// `ci-creds cache`.
#[derive(Args)]
#[command(about = super::CACHE)]
pub struct Cache {
    /// What to do with it [default: show it]
    #[command(subcommand)]
    pub action: Option<CacheAction>,
}

/// What to do with the cache.
#[derive(Subcommand)]
pub enum CacheAction {
    /// Give the leases back, and remove what is kept for this login
    Clear(Clear),
}

/// `ci-creds cache clear`.
#[derive(Args)]
pub struct Clear {
    /// Remove what other logins keep too, and what Vault did not take back; those leases end by themselves
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: Login,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: Connection,
}

/// Which credential.
#[derive(Args)]
#[command(next_help_heading = "Credential")]
pub struct Engine {
    /// The engine's role; may hold placeholders such as {project_id}-{environment}
    #[arg(short, long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Where the engine is mounted [default: the provider's name]
    #[arg(short, long, value_name = "MOUNT")]
    pub mount: Option<String>,
}

/// How it is handed over.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// What to print [default: shell]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print only a line that sources a private file, which removes itself
    #[arg(long)]
    pub via_file: bool,
    /// Keep the credential, and what a single-use secret bought, for the next calls of this job
    #[arg(long, conflicts_with = "no_cache")]
    pub cache: bool,
    /// Neither look for a kept credential nor keep one [default: only --format process keeps]
    #[arg(long)]
    pub no_cache: bool,
    /// Edit this credentials file in place of a private one; with --format file, which it implies
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The name of the profile or account in the file [default: ci-creds]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Print the credential even on a terminal or into a job's log
    #[arg(long)]
    pub reveal: bool,
    /// Say on stderr where each value came from, and what lies behind an error
    #[arg(short, long)]
    pub verbose: bool,
}

/// Who the job is.
#[derive(Args)]
#[command(next_help_heading = "Login")]
pub struct Login {
    /// How to log in [default: the first whose inputs are present, in this order]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub auth: Option<Method>,
    /// Where the login is mounted [default: approle or jwt]
    #[arg(long, value_name = "MOUNT")]
    pub auth_mount: Option<String>,
    /// The role of the login: the AppRole's name, or the JWT role
    #[arg(long, value_name = "ROLE")]
    pub auth_role: Option<String>,
    /// The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]
    #[arg(long, value_name = "NAME")]
    pub id_token_env: Option<String>,
    /// The file that holds the GitLab ID token
    #[arg(long, value_name = "PATH")]
    pub id_token_file: Option<PathBuf>,
    /// Send the ID token although its audience is the URL of another host
    #[arg(long)]
    pub any_audience: bool,
    /// The file that holds the AppRole's role id
    #[arg(long, value_name = "PATH")]
    pub role_id_file: Option<PathBuf>,
    /// The file that holds the secret id
    #[arg(long, value_name = "PATH")]
    pub secret_id_file: Option<PathBuf>,
    /// The file that holds the wrapping token
    #[arg(long, value_name = "PATH")]
    pub wrapping_token_file: Option<PathBuf>,
    /// The file that holds the Vault token
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    /// Ask with a child of the Vault token, so that a key whose answer was lost can be taken back
    #[arg(long)]
    pub child_token: bool,
    /// The creation path that a wrapping token must have [default: the AppRole's secret-id]
    #[arg(long, value_name = "PATH")]
    pub creation_path: Option<String>,
}

/// How Vault is reached.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Vault's address, for example `https://vault.example.com:8200`
    #[arg(short, long, value_name = "URL")]
    pub address: Option<String>,
    /// The namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The PEM file of the CA that signed Vault's certificate, instead of the system's roots
    #[arg(long, value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// A folder of such files
    #[arg(long, value_name = "PATH")]
    pub ca_path: Option<PathBuf>,
    /// The PEM file of our own certificate
    #[arg(long, value_name = "PATH")]
    pub client_cert: Option<PathBuf>,
    /// The PEM file of its key
    #[arg(long, value_name = "PATH")]
    pub client_key: Option<PathBuf>,
    /// The name that Vault's certificate must have
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// A proxy for https, reached by CONNECT
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// A host and port that a standby may send us to once
    #[arg(long, value_name = "HOST:PORT")]
    pub redirect_host: Vec<String>,
    /// Allow http:// to a host that is not this machine: everybody on the way can read the token
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Do not check the certificate of a server on this machine
    #[arg(long)]
    pub insecure_skip_verify: bool,
    /// The deadline of a connection attempt [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub connect_timeout: Option<String>,
    /// The deadline of one request, but for the read that makes the credential [default: 20s]
    #[arg(long, value_name = "DURATION")]
    pub request_timeout: Option<String>,
    /// The deadline of the whole run [default: 90s, 45s with --format process]
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How often a request that was certainly not processed is sent again [default: 2]
    #[arg(long, value_name = "N")]
    pub retries: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

/// What is printed. The names follow `aws configure export-credentials`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// POSIX shell exports, for eval
    #[value(alias = "env")]
    Shell,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// One JSON object with everything that is known
    Json,
    /// KEY=VALUE lines without quotes
    #[value(alias = "env-no-export")]
    Dotenv,
    /// The JSON of the AWS SDKs' credential_process
    Process,
    /// Variables for the later steps of a GitHub Actions job
    Github,
    /// A private credentials file, and the shell exports that point to it
    File,
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Ways to log in, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// A wrapping token that holds a secret id, and the role id
    WrappingToken,
    /// A secret id and the role id
    SecretId,
    /// A token that may only create one-time secret ids, and the role id
    GeneratorToken,
    /// A GitLab ID token
    IdToken,
    /// A Vault token
    Token,
}

/// The AWS engine's two paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Temporary credentials
    Sts,
    /// The role's own type: an IAM user
    Creds,
}
