//! The flags of each command and their choices, as clap types.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum};

use crate::ci::JobToken;
use crate::identity::{AuthMethod, Input};
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Heading, Location, Setting, Value};
use crate::render::format::Format;

/// What the command is for: in the list of commands, and at the head of its own help.
pub(super) const CACHE: &str = "List cached credentials: identity, role, expiry";
/// Likewise.
pub(super) const COMPLETIONS: &str = "Print the completion script of a shell";

/// How much is said on stderr.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Volume {
    /// Print requests, origins of values and causes on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// `ci-creds completions`.
#[derive(Args)]
#[command(about = COMPLETIONS)]
pub struct CompletionsFlags {
    /// The shell that will read it
    pub shell: Shell,
}

/// One cloud's credential, as it stands on the command line.
pub struct CredentialFlags {
    /// The cloud.
    pub cloud: &'static Cloud,
    /// Which credential.
    pub engine: EngineFlags,
    /// The cloud's own settings that were given. The text of a switch is empty.
    pub settings: Vec<(&'static Setting, String)>,
}

impl CredentialFlags {
    pub(super) fn from_arg_matches(cloud: &'static Cloud, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &&'static Setting| {
            let text = match setting.value {
                Value::Switch => matches.get_flag(setting.key()).then(String::new),
                Value::List(_) => matches
                    .get_many::<String>(setting.key())
                    .map(|texts| texts.map(String::as_str).collect::<Vec<_>>().join(" ")),
                Value::Text(_) | Value::Choice(..) => matches.get_one::<String>(setting.key()).cloned(),
            };
            text.map(|text| (*setting, text))
        };
        let settings = cloud.settings.iter().filter_map(given).collect();
        let of_the_engine = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
        let engine = EngineFlags { role: of_the_engine("role"), mount: of_the_engine("mount") };
        Ok(Self { cloud, engine, settings })
    }

    /// The text of a setting that was given on the command line.
    #[must_use]
    pub fn said(&self, setting: &Setting) -> Option<&str> {
        self.settings.iter().find(|(given, _)| given.flag == setting.flag).map(|(_, text)| text.as_str())
    }
}

/// A command that fetches a cloud's credential. Its own settings are the cloud's table; the rest is the same for all.
pub struct FetchFlags {
    /// Which credential.
    pub wanted: CredentialFlags,
    /// How it is delivered.
    pub output: OutputFlags,
    /// The job's identity.
    pub login: LoginFlags,
    /// How Vault is reached.
    pub connection: ConnectionFlags,
}

impl FetchFlags {
    /// The flags of a cloud's command, in the order of the help.
    pub(super) fn augment_args(cloud: &'static Cloud, command: Command) -> Command {
        let of = |heading| cloud.settings.iter().filter(move |setting| setting.heading == heading);
        let command = match cloud.location {
            Location::Role { .. } => EngineFlags::augment_args(command),
            Location::Path(_) => command,
        };
        let command = command.args(of(Heading::Credential).map(|setting| argument(setting)));
        let command = command.args(of(Heading::Output).map(|setting| argument(setting)));
        // Each of these would put its own description in the command's place.
        ConnectionFlags::augment_args(LoginFlags::augment_args(OutputFlags::augment_args(command))).about(cloud.about)
    }

    pub(super) fn from_arg_matches(cloud: &'static Cloud, matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            wanted: CredentialFlags::from_arg_matches(cloud, matches)?,
            output: OutputFlags::from_arg_matches(matches)?,
            login: LoginFlags::from_arg_matches(matches)?,
            connection: ConnectionFlags::from_arg_matches(matches)?,
        })
    }
}

/// The settings of all clouds, each once, for a command that takes several clouds. `--ttl` is that command's own.
pub(super) fn settings_of_all_clouds() -> Vec<Arg> {
    let mut known = vec!["ttl"];
    let mut settings = Vec::new();
    for setting in CLOUDS.into_iter().flat_map(|cloud| cloud.settings) {
        if !known.contains(&setting.key()) {
            known.push(setting.key());
            settings.push(argument(setting).help_heading("Credential").hide_short_help(true));
        }
    }
    settings
}

pub(super) fn argument(setting: &Setting) -> Arg {
    let heading = match setting.heading {
        Heading::Credential => "Credential",
        Heading::Output => "Output",
    };
    let argument = Arg::new(setting.key()).long(setting.key()).help(setting.help).help_heading(heading);
    let argument = argument.hide_short_help(!setting.common);
    match setting.value {
        Value::Switch => argument.action(ArgAction::SetTrue),
        Value::Text(name) => argument.value_name(name),
        Value::List(name) => argument.value_name(name).action(ArgAction::Append),
        Value::Choice(name, choices) => {
            let values = choices.iter().map(|(value, help)| PossibleValue::new(*value).help(*help));
            argument.value_name(name).value_parser(PossibleValuesParser::new(values))
        }
    }
}

/// `ci-creds cache`.
#[derive(Args)]
#[command(about = CACHE)]
pub struct CacheFlags {
    /// What to do with it [default: list it]
    #[command(subcommand)]
    pub action: Option<CacheAction>,
}

/// What to do with the cache.
#[derive(Subcommand)]
pub enum CacheAction {
    /// Revoke every credential and login of this job, as ci-creds revoke does
    Clear(ClearFlags),
}

/// Likewise.
pub(super) const REVOKE: &str = "Revoke every credential and login of this job";

/// `ci-creds revoke`.
#[derive(Args)]
#[command(about = REVOKE)]
pub struct RevokeFlags {
    /// Revoke what this login made in any job, with any role, and at any mount
    #[arg(long)]
    pub all_mine: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: LoginFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: ConnectionFlags,
}

/// Likewise.
pub(super) const WHOAMI: &str = "Print who the job is to Vault";

/// `ci-creds whoami`.
#[derive(Args)]
#[command(about = WHOAMI)]
pub struct WhoamiFlags {
    /// What to print [default: text]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<WhoamiFormat>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: LoginFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: ConnectionFlags,
}

/// What `ci-creds whoami` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhoamiFormat {
    /// Lines to read.
    Text,
    /// One JSON object.
    Json,
}

/// `ci-creds cache clear`.
#[derive(Args)]
#[command(after_help = super::help::CLEAR)]
pub struct ClearFlags {
    /// Also remove the entries of other logins, and those that Vault did not revoke; their leases expire on their own
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub login: LoginFlags,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub connection: ConnectionFlags,
}

/// Which credential.
#[derive(Args)]
#[command(next_help_heading = "Credential")]
pub struct EngineFlags {
    /// The engine's role, such as deploy or {project_id}-dev
    #[arg(short, long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Where the engine is mounted [default: the name of the command]
    #[arg(short, long, value_name = "MOUNT", hide_short_help = true)]
    pub mount: Option<String>,
}

/// Whether what is made is noted for `ci-creds revoke`.
#[derive(Args, Clone, Copy)]
pub struct StateFlags {
    /// Note the lease and the login in an encrypted file, for ci-creds revoke [default: in a job of GitLab]
    #[arg(long, conflicts_with = "no_keep_state", hide_short_help = true)]
    pub keep_state: bool,
    /// Do not note the lease and the login
    #[arg(long, hide_short_help = true)]
    pub no_keep_state: bool,
}

/// How it is delivered.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// What to print [default: shell]
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Print only a line that sources a private file, which removes itself
    #[arg(long, hide_short_help = true)]
    pub via_file: bool,
    /// Cache the credential, and the login of a single-use secret, for the next calls of this job
    #[arg(long, conflicts_with = "no_cache", hide_short_help = true)]
    pub cache: bool,
    /// Neither read nor write the cache [default: only --format process has one]
    #[arg(long, hide_short_help = true)]
    pub no_cache: bool,
    /// See [`StateFlags`].
    #[command(flatten)]
    pub state: StateFlags,
    /// Write the credential into this credentials file
    ///
    /// It is edited in place: other profiles stay. Implies --format file.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The name of the profile or account in the file [default: ci-creds]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub profile: Option<String>,
    /// Remove the keys of the profile that the SDKs would use in place of the credential, such as role_arn; with --file
    #[arg(long, hide_short_help = true)]
    pub replace_profile: bool,
    /// Print it even on a terminal or into a job's log
    #[arg(long)]
    pub reveal: bool,
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
    /// The ID token that was requested for this run; no flag has it.
    pub job_token: Option<JobToken>,
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

impl FromArgMatches for LoginFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let MethodFlags { auth, auth_mount, auth_role, id_token_env, id_token_from, id_token_audience } =
            MethodFlags::from_arg_matches(matches)?;
        let AudienceFlags { any_audience } = AudienceFlags::from_arg_matches(matches)?;
        let TokenFlags { child_token, creation_path, renew } = TokenFlags::from_arg_matches(matches)?;
        let AwsLoginFlags { iam_server_id, sts_region } = AwsLoginFlags::from_arg_matches(matches)?;
        let file = |input: Input| Some((input, matches.get_one::<PathBuf>(input.key())?.clone()));
        let files = Input::ALL.into_iter().filter_map(file).collect();
        Ok(Self {
            auth,
            auth_mount,
            auth_role,
            id_token_env,
            id_token_from,
            id_token_audience,
            job_token: None,
            any_audience,
            child_token,
            creation_path,
            renew,
            iam_server_id,
            sts_region,
            files,
        })
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

/// The names follow `aws configure export-credentials`, and are in the table of [`Format`].
impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let facts = self.facts();
        Some(PossibleValue::new(facts.name).aliases(facts.alias).help(facts.help))
    }
}
