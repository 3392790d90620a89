//! The flags of each command and their choices, as clap types.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand, ValueEnum};

use crate::identity::{AuthMethod, Input};
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Heading, Setting, Value};
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
    /// Whose credential.
    pub cloud: &'static Cloud,
    /// Which credential.
    pub engine: EngineFlags,
    /// The cloud's own settings that were given. The text of a switch is empty.
    pub settings: Vec<(&'static Setting, String)>,
}

impl CredentialFlags {
    fn from_arg_matches(cloud: &'static Cloud, matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &&'static Setting| {
            let text = match setting.value {
                Value::Switch => matches.get_flag(setting.key()).then(String::new),
                Value::Text(_) | Value::Choice(..) => matches.get_one::<String>(setting.key()).cloned(),
            };
            text.map(|text| (*setting, text))
        };
        let settings = cloud.settings.iter().filter_map(given).collect();
        Ok(Self { cloud, engine: EngineFlags::from_arg_matches(matches)?, settings })
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
    /// How it is handed over.
    pub output: OutputFlags,
    /// Who the job is.
    pub login: LoginFlags,
    /// How Vault is reached.
    pub connection: ConnectionFlags,
}

impl FetchFlags {
    /// The flags of a cloud's command, in the order of the help.
    pub(super) fn augment_args(cloud: &'static Cloud, command: Command) -> Command {
        let of = |heading| cloud.settings.iter().filter(move |setting| setting.heading == heading);
        let command = EngineFlags::augment_args(command).args(of(Heading::Credential).map(|setting| argument(setting)));
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

fn argument(setting: &Setting) -> Arg {
    let heading = match setting.heading {
        Heading::Credential => "Credential",
        Heading::Output => "Output",
    };
    let argument = Arg::new(setting.key()).long(setting.key()).help(setting.help).help_heading(heading);
    let argument = argument.hide_short_help(!setting.common);
    match setting.value {
        Value::Switch => argument.action(ArgAction::SetTrue),
        Value::Text(name) => argument.value_name(name),
        Value::Choice(name, choices) => {
            let values = choices.iter().map(|(value, help)| PossibleValue::new(*value).help(*help));
            argument.value_name(name).value_parser(PossibleValuesParser::new(values))
        }
    }
}

/// Likewise.
pub(super) const EXEC: &str = "Run a command with credentials that expire with it";

/// The provider of `exec` that hands over the Vault token itself.
const VAULT: &str = "vault";

/// `ci-creds exec`.
pub struct ExecFlags {
    /// Which credentials.
    pub wanted: Vec<CredentialFlags>,
    /// Whether the command gets the Vault token.
    pub vault: bool,
    /// A cloud's setting that was given for none of the clouds that were named.
    pub stray_setting: Option<(&'static Setting, &'static Cloud)>,
    /// How long the credentials must last.
    pub ttl: Option<String>,
    /// How long they live when this process cannot end them.
    pub leash: Option<String>,
    /// Whether the exit code tells of what was not revoked.
    pub strict_revoke: bool,
    /// Whether the AWS credential is served at an endpoint.
    pub serve: bool,
    /// Whether the command's SDKs read AWS's own files beside it.
    pub keep_aws_config: bool,
    /// Who the job is.
    pub login: LoginFlags,
    /// How Vault is reached.
    pub connection: ConnectionFlags,
    /// The command, its arguments behind it.
    pub command: Vec<OsString>,
}

#[derive(Args)]
struct Providers {
    /// Whose credentials the command gets
    #[arg(value_name = "PROVIDER", required = true, num_args = 1.., value_parser = providers())]
    providers: Vec<String>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true, num_args = 1.., allow_hyphen_values = true)]
    command: Vec<OsString>,
}

#[derive(Args)]
#[command(next_help_heading = "Lifetime")]
struct Lifetime {
    /// How long the credentials must last [default: what is left of a GitLab job]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// How long they live on when ci-creds is killed: 30s and more, or off [default: 5m in a job, off elsewhere]
    #[arg(long, value_name = "DURATION")]
    leash: Option<String>,
    /// Exit with 80 when a credential that can be revoked was not
    #[arg(long)]
    strict_revoke: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Endpoint")]
struct EndpointFlags {
    /// Serve the AWS credential on 127.0.0.1, and a new one before it expires, for commands that outlast it
    #[arg(long)]
    serve: bool,
    /// Leave AWS_PROFILE and the AWS configuration files to the command; with --serve
    #[arg(long, requires = "serve")]
    keep_aws_config: bool,
}

fn providers() -> PossibleValuesParser {
    let cloud = |cloud: &'static Cloud| PossibleValue::new(cloud.command);
    let vault = PossibleValue::new(VAULT).help("The Vault token itself, as VAULT_TOKEN");
    PossibleValuesParser::new(CLOUDS.into_iter().map(cloud).chain([vault]))
}

impl ExecFlags {
    /// The flags, in the order of the help.
    pub(super) fn augment_args(command: Command) -> Command {
        let mut known = vec!["ttl"];
        let mut settings = Vec::new();
        for setting in CLOUDS.into_iter().flat_map(|cloud| cloud.settings) {
            if !known.contains(&setting.key()) {
                known.push(setting.key());
                settings.push(argument(setting).help_heading("Credential"));
            }
        }
        let command = EngineFlags::augment_args(Providers::augment_args(command)).args(settings);
        let command = EndpointFlags::augment_args(Lifetime::augment_args(command));
        ConnectionFlags::augment_args(LoginFlags::augment_args(command)).about(EXEC)
    }

    pub(super) fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Providers { providers, command } = Providers::from_arg_matches(matches)?;
        let Lifetime { ttl, leash, strict_revoke } = Lifetime::from_arg_matches(matches)?;
        let EndpointFlags { serve, keep_aws_config } = EndpointFlags::from_arg_matches(matches)?;
        let place = |cloud: &Cloud| providers.iter().position(|provider| provider == cloud.command);
        let (mut clouds, others): (Vec<_>, Vec<_>) = CLOUDS.into_iter().partition(|cloud| place(cloud).is_some());
        clouds.sort_by_key(|cloud| place(cloud));
        let wanted: Vec<_> = clouds
            .into_iter()
            .map(|cloud| CredentialFlags::from_arg_matches(cloud, matches))
            .collect::<Result<_, _>>()?;
        let is_known = |setting: &Setting| {
            setting.key() == "ttl"
                || wanted.iter().any(|one| one.cloud.settings.iter().any(|own| own.key() == setting.key()))
        };
        let mut strays = Vec::new();
        for cloud in others {
            let CredentialFlags { settings, .. } = CredentialFlags::from_arg_matches(cloud, matches)?;
            let given = settings.into_iter().map(|(setting, _)| setting);
            strays.extend(given.filter(|setting| !is_known(setting)).map(|setting| (setting, cloud)));
        }
        Ok(Self {
            stray_setting: strays.into_iter().next(),
            wanted,
            vault: providers.iter().any(|provider| provider == VAULT),
            ttl,
            leash,
            strict_revoke,
            serve,
            keep_aws_config,
            login: LoginFlags::from_arg_matches(matches)?,
            connection: ConnectionFlags::from_arg_matches(matches)?,
            command,
        })
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
    /// Revoke the leases that this login can revoke, and remove its entries
    Clear(ClearFlags),
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

/// How it is handed over.
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

/// Who the job is. The files of the secrets are the table of [`Input`]; the rest stands here.
pub struct LoginFlags {
    /// The method.
    pub auth: Option<AuthMethod>,
    /// Where the login is mounted.
    pub auth_mount: Option<String>,
    /// The role of the login.
    pub auth_role: Option<String>,
    /// The variable that holds the ID token.
    pub id_token_env: Option<String>,
    /// Whether the audience of the ID token may name another host.
    pub any_audience: bool,
    /// Whether to work on a child of the Vault token.
    pub child_token: bool,
    /// The creation path that a wrapping token must have.
    pub creation_path: Option<String>,
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
    /// Where the method is mounted [default: approle or jwt]
    #[arg(long, value_name = "MOUNT", hide_short_help = true)]
    auth_mount: Option<String>,
    /// The role of the login: the AppRole's name, or the JWT role
    #[arg(long, value_name = "ROLE", hide_short_help = true)]
    auth_role: Option<String>,
    /// The variable that holds the GitLab ID token [default: VAULT_ID_TOKEN]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    id_token_env: Option<String>,
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
        TokenFlags::augment_args(AudienceFlags::augment_args(command).args(others.into_iter().map(file)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LoginFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let MethodFlags { auth, auth_mount, auth_role, id_token_env } = MethodFlags::from_arg_matches(matches)?;
        let AudienceFlags { any_audience } = AudienceFlags::from_arg_matches(matches)?;
        let TokenFlags { child_token, creation_path } = TokenFlags::from_arg_matches(matches)?;
        let file = |input: Input| Some((input, matches.get_one::<PathBuf>(input.key())?.clone()));
        let files = Input::ALL.into_iter().filter_map(file).collect();
        Ok(Self { auth, auth_mount, auth_role, id_token_env, any_audience, child_token, creation_path, files })
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
    /// Allow http:// to a host that is not this machine: everybody on the way can read the token
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

/// The names stand in the table of [`AuthMethod`].
impl ValueEnum for AuthMethod {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let needs = self.needs();
        Some(PossibleValue::new(needs.name).help(needs.help))
    }
}

/// The names follow `aws configure export-credentials`, and stand in the table of [`Format`].
impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let facts = self.facts();
        Some(PossibleValue::new(facts.name).aliases(facts.alias).help(facts.help))
    }
}
