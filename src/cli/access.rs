//! The flags of every command that has to do with a login: who the job is, and how Vault is reached.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};

use crate::identity::{AuthMethod, Input};

/// Who the job is, and how Vault is reached.
#[derive(Args, Default)]
pub struct AccessFlags {
    /// The job's identity.
    #[command(flatten)]
    pub login: LoginFlags,
    /// How Vault is reached.
    #[command(flatten)]
    pub connection: ConnectionFlags,
}

/// The job's identity. The files of the secrets are the table of [`Input`]; the rest is here.
#[derive(Default)]
pub struct LoginFlags {
    /// The method.
    pub auth: Option<AuthMethod>,
    /// Where the login is mounted.
    pub auth_mount: Option<String>,
    /// The role of the login.
    pub auth_role: Option<String>,
    /// The variable that holds the ID token.
    pub id_token_env: Option<String>,
    /// Which CI system the ID token comes from.
    pub id_token_from: Option<String>,
    /// The audience that is requested for it.
    pub id_token_audience: Option<String>,
    /// Whether the audience of the ID token may name another host.
    pub any_audience: bool,
    /// Whether to work on a child of the Vault token.
    pub child_token: bool,
    /// The creation path that a wrapping token must have.
    pub creation_path: Option<String>,
    /// Whether the generator token is renewed before it is used.
    pub renew: bool,
    /// The server ID of an AWS login.
    pub iam_server_id: Option<String>,
    /// The region of STS of an AWS login.
    pub sts_region: Option<String>,
    files: Vec<(Input, PathBuf)>,
}

impl LoginFlags {
    /// The file that the flag of an input names.
    #[must_use]
    pub fn file(&self, input: Input) -> Option<&Path> {
        self.files.iter().find(|(given, _)| *given == input).map(|(_, path)| path.as_path())
    }
}

#[derive(Args)]
#[command(next_help_heading = "Login")]
struct MethodFlags {
    /// The authentication method [default: the first one whose inputs are set, in this order]
    #[arg(long, value_enum, value_name = "METHOD", hide_short_help = true)]
    auth: Option<AuthMethod>,
    /// Where the method is mounted [default: approle, jwt, kubernetes, cert or aws]
    #[arg(long, value_name = "MOUNT", hide_short_help = true)]
    auth_mount: Option<String>,
    /// The role of the login: the AppRole's name, or the role of the other methods
    #[arg(long, value_name = "ROLE", hide_short_help = true)]
    auth_role: Option<String>,
    /// The variable that holds the ID token [default: VAULT_ID_TOKEN]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    id_token_env: Option<String>,
    /// Where the ID token comes from: auto, env:NAME, aws or a CI system, such as github [default: auto]
    #[arg(long, value_name = "SOURCE", conflicts_with = "id_token_env", hide_short_help = true)]
    id_token_from: Option<String>,
    /// The audience to request for the ID token [default: the origin of Vault's address]
    #[arg(long, value_name = "AUDIENCE", hide_short_help = true)]
    id_token_audience: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Login")]
struct AudienceFlags {
    /// Send the ID token although its audience is the URL of another host
    #[arg(long, hide_short_help = true)]
    any_audience: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Login")]
struct TokenFlags {
    /// Read with a child of the Vault token, so that a key whose answer was lost can be revoked
    #[arg(long, hide_short_help = true)]
    child_token: bool,
    /// The creation path that a wrapping token must have [default: the AppRole's secret-id]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    creation_path: Option<String>,
    /// Renew the generator token before the login, so that it never expires while jobs run
    #[arg(long, hide_short_help = true)]
    renew: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Login")]
struct AwsLoginFlags {
    /// The header X-Vault-AWS-IAM-Server-ID, which binds an AWS login to one Vault
    #[arg(long, value_name = "ID", hide_short_help = true)]
    iam_server_id: Option<String>,
    /// The region of STS: it checks an AWS login, or signs an ID token [default: the global endpoint, or AWS_REGION]
    #[arg(long, value_name = "REGION", hide_short_help = true)]
    sts_region: Option<String>,
}

/// What `derive(Args)` would write, with the table of [`Input`] in between.
impl Args for LoginFlags {
    fn augment_args(command: Command) -> Command {
        let file = |input: Input| {
            let path = clap::value_parser!(PathBuf);
            let flag = Arg::new(input.key()).long(input.key()).help(input.facts().help);
            flag.value_name("PATH").value_parser(path).hide_short_help(true)
        };
        let (id_token, others): (Vec<_>, Vec<_>) = Input::ALL.into_iter().partition(|input| *input == Input::IdToken);
        let command = MethodFlags::augment_args(command).args(id_token.into_iter().map(file));
        let command = AudienceFlags::augment_args(command).args(others.into_iter().map(file));
        AwsLoginFlags::augment_args(TokenFlags::augment_args(command))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Takes the values out of the matches. The derived reading from a shared reference copies all of them, once for each part.
impl FromArgMatches for LoginFlags {
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        let MethodFlags { auth, auth_mount, auth_role, id_token_env, id_token_from, id_token_audience } =
            MethodFlags::from_arg_matches_mut(matches)?;
        let AudienceFlags { any_audience } = AudienceFlags::from_arg_matches_mut(matches)?;
        let TokenFlags { child_token, creation_path, renew } = TokenFlags::from_arg_matches_mut(matches)?;
        let AwsLoginFlags { iam_server_id, sts_region } = AwsLoginFlags::from_arg_matches_mut(matches)?;
        let file = |input: Input| Some((input, matches.get_one::<PathBuf>(input.key())?.clone()));
        let files = Input::ALL.into_iter().filter_map(file).collect();
        Ok(Self {
            auth,
            auth_mount,
            auth_role,
            id_token_env,
            id_token_from,
            id_token_audience,
            any_audience,
            child_token,
            creation_path,
            renew,
            iam_server_id,
            sts_region,
            files,
        })
    }

    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// How Vault is reached.
#[derive(Args, Default)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionFlags {
    /// Vault's address, for example `https://vault.example.com:8200`
    #[arg(short, long, value_name = "URL", hide_short_help = true)]
    pub address: Option<String>,
    /// The namespace
    #[arg(short, long, value_name = "NAMESPACE", hide_short_help = true)]
    pub namespace: Option<String>,
    /// The PEM file of the CA that signed Vault's certificate, instead of the system's roots
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub ca_file: Option<PathBuf>,
    /// A folder of such files
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub ca_path: Option<PathBuf>,
    /// The PEM file of the client certificate
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub client_cert: Option<PathBuf>,
    /// The PEM file of its key
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// The name that Vault's certificate must have
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// A proxy for https, reached by CONNECT
    #[arg(long, value_name = "URL", hide_short_help = true)]
    pub proxy: Option<String>,
    /// A host and port to which a standby may redirect
    #[arg(long, value_name = "HOST:PORT", hide_short_help = true)]
    pub redirect_host: Vec<String>,
    /// Allow http:// to a host that is not this machine: anyone on the network path can read the token
    #[arg(long, hide_short_help = true)]
    pub allow_plaintext: bool,
    /// Do not check the certificate of a server on this machine
    #[arg(long, hide_short_help = true)]
    pub insecure_skip_verify: bool,
    /// The deadline of a connection attempt [default: 5s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    pub connect_timeout: Option<String>,
    /// The deadline of one request, but for the read that makes the credential [default: 20s]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    pub request_timeout: Option<String>,
    /// The deadline of the whole run [default: 90s, 45s with --format process]
    #[arg(long, value_name = "DURATION", hide_short_help = true)]
    pub timeout: Option<String>,
    /// How often a lost request is sent again, 0 to 10; with 0 nothing is repeated [default: 2]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub retries: Option<String>,
    /// The configuration file
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub config: Option<PathBuf>,
}

/// The names are in the table of [`AuthMethod`].
impl ValueEnum for AuthMethod {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let needs = self.needs();
        Some(PossibleValue::new(needs.name).help(needs.help))
    }
}
