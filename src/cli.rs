//! The command line as clap types, and nothing else: no value is looked up, checked or combined here.
//!
//! The only file that names clap. No flag takes a secret: flags name a variable or a file. Values keep the text
//! that was typed, so that [`crate::config`] can say where each of them came from.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Kind, Result};

/// Short-lived cloud credentials from HashiCorp Vault or OpenBao, for CI jobs.
#[derive(Parser)]
#[command(
    name = "ci-creds",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "In a CI job:  eval $(ci-creds exoscale --role deploy || echo false)",
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
pub enum Command {
    /// `ci-creds exoscale`.
    Exoscale(Exoscale),
    /// `ci-creds aws`.
    Aws(Aws),
    /// `ci-creds cache`.
    Cache(Cache),
    /// `ci-creds completions`.
    Completions(Completions),
    /// `ci-creds man`.
    Man,
}

// What each command is for: in the list of commands, and at the head of its own help.
const EXOSCALE: &str = "Fetch an Exoscale API key and print it for the shell";
const AWS: &str = "Fetch AWS credentials and print them for the shell";
const CACHE: &str = "Show what is kept for the next calls: who, which role, until when";
const COMPLETIONS: &str = "Print the completion script of a shell";

/// What `derive(Subcommand)` would write, but that a command's flags are made when it is the one on the line: those of
/// all commands would be a third of the instructions of a run that finds its credential in the cache.
impl Subcommand for Command {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let named = |name: &'static str, about: &'static str| clap::Command::new(name).about(about);
        command.subcommands([
            named("exoscale", EXOSCALE).defer(Exoscale::augment_args),
            named("aws", AWS).defer(Aws::augment_args),
            named("cache", CACHE).defer(Cache::augment_args),
            named("completions", COMPLETIONS).defer(Completions::augment_args),
            named("man", "Print the manual page"),
        ])
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        matches!(name, "exoscale" | "aws" | "cache" | "completions" | "man")
    }
}

impl FromArgMatches for Command {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("exoscale", matches)) => Exoscale::from_arg_matches(matches).map(Self::Exoscale),
            Some(("aws", matches)) => Aws::from_arg_matches(matches).map(Self::Aws),
            Some(("cache", matches)) => Cache::from_arg_matches(matches).map(Self::Cache),
            Some(("completions", matches)) => Completions::from_arg_matches(matches).map(Self::Completions),
            Some(("man", _)) => Ok(Self::Man),
            _ => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `ci-creds completions`.
#[derive(Args)]
#[command(about = COMPLETIONS)]
pub struct Completions {
    /// The shell that will read it
    pub shell: Shell,
}

/// `ci-creds exoscale`.
#[derive(Args)]
#[command(about = EXOSCALE)]
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
#[command(about = AWS)]
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
#[command(about = CACHE)]
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
    /// The creation path that a wrapping token must have [default: the AppRole's secret-id or login]
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
    /// The deadline of one request [default: 20s, 60s for the read that makes the credential]
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

/// What parsing ended in, when it did not end in a command to run.
pub enum Stop {
    /// `--help` or `--version`: a text for stdout.
    Text(String),
    /// A mistake on the command line.
    Mistake(Error),
}

/// Parses the arguments, the program's name first.
///
/// # Errors
/// [`Stop::Mistake`] without repeating any value: what was typed might be a secret.
pub fn parse_arguments(arguments: &[OsString]) -> Result<Cli, Stop> {
    if let Some(error) = find_secret_argument(arguments) {
        return Err(Stop::Mistake(error));
    }
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments);
    // Nothing parses a second time: taking the definition apart would cost a twentieth of the whole run.
    std::mem::forget(command);
    matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches)).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Mistake(
            Error::new(Kind::Usage, "nothing to do").hint("ci-creds exoscale, ci-creds aws, or ci-creds --help"),
        ),
        _ => Stop::Mistake(describe_mistake(&error)),
    })
}

/// The completion script of a shell. It is made from these types by a test, and checked in: a program that is run
/// a hundred times an hour need not carry the generator.
#[must_use]
pub fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../completions/ci-creds.bash"),
        Shell::Elvish => include_str!("../completions/ci-creds.elv"),
        Shell::Fish => include_str!("../completions/ci-creds.fish"),
        Shell::Powershell => include_str!("../completions/_ci-creds.ps1"),
        Shell::Zsh => include_str!("../completions/_ci-creds"),
    }
}

/// The manual page, in roff; made as the completions are.
pub const MANUAL: &str = include_str!("../completions/ci-creds.1");

/// What a command line that may be wrong is meant to print: enough to make an `eval` fail.
#[derive(Debug, PartialEq, Eq)]
pub struct Intent {
    /// The command, as [`crate::provider::Provider::command`] has it, when it is one that prints a credential.
    pub command: Option<&'static str>,
    /// The format.
    pub format: Format,
    /// Whether stored profiles stay.
    pub keep_profile: bool,
}

/// Reads the intent from arguments that clap has not seen or has refused; `None` when the command prints no
/// credential. A shell that evaluates us must fail even when its line has a typing error.
#[must_use]
pub fn guess_intent(arguments: &[OsString]) -> Option<Intent> {
    let words: Vec<_> = arguments.iter().skip(1).map(|argument| argument.to_string_lossy()).collect();
    if words.iter().any(|word| matches!(word.as_ref(), "--help" | "-h" | "--version" | "-V")) {
        return None;
    }
    let command = words.iter().find(|word| !word.starts_with('-')).map(AsRef::as_ref).unwrap_or_default();
    if matches!(command, "cache" | "completions" | "man") {
        return None;
    }
    let value = words.iter().enumerate().rev().find_map(|(index, word)| match word.as_ref() {
        "--format" | "-f" => words.get(index + 1).map(ToString::to_string),
        word => word
            .strip_prefix("--format=")
            .or_else(|| word.strip_prefix("-f").filter(|rest| !rest.is_empty()))
            .map(|rest| rest.trim_start_matches('=').to_owned()),
    });
    Some(Intent {
        command: match command {
            "exoscale" if words.iter().any(|word| word == "--sos") => Some("exoscale --sos"),
            "exoscale" => Some("exoscale"),
            "aws" => Some("aws"),
            _ => None,
        },
        format: value.and_then(|value| Format::from_str(&value, false).ok()).unwrap_or_else(|| {
            let named = words.iter().any(|word| word == "--file" || word.starts_with("--file="));
            if named { Format::File } else { Format::Shell }
        }),
        keep_profile: words.iter().any(|word| word == "--keep-profile"),
    })
}

/// Flags that other tools have and we refuse, with what to use instead.
const SECRET_FLAGS: [(&str, &str); 8] = [
    ("--token", "set VAULT_TOKEN, or --token-file PATH"),
    ("--secret-id", "set VAULT_SECRET_ID, or --secret-id-file PATH"),
    ("--role-id", "set VAULT_ROLE_ID, or --role-id-file PATH"),
    ("--wrapping-token", "set VAULT_WRAPPING_TOKEN, or --wrapping-token-file PATH"),
    ("--id-token", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--jwt", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--jwt-token", "set VAULT_ID_TOKEN, or name the variable with --id-token-env NAME"),
    ("--password", "there is no login by password"),
];

/// Security: arguments stand in `/proc/<pid>/cmdline` for everybody on the machine to read, and in the job's log.
fn find_secret_argument(arguments: &[OsString]) -> Option<Error> {
    for argument in arguments.iter().skip(1) {
        let text = argument.to_string_lossy();
        let (flag, value) = text.split_once('=').unwrap_or((&text, &text));
        // `-rVALUE`
        let value = value.strip_prefix('-').and_then(|short| short.get(1..)).unwrap_or(value);
        if let Some((flag, instead)) = SECRET_FLAGS.iter().find(|(name, _)| *name == flag) {
            return Some(
                Error::new(Kind::Usage, format!("{flag} does not exist: no secret is taken from the command line"))
                    .hint(*instead),
            );
        }
        if looks_like_a_token(value) {
            return Some(
                Error::new(Kind::Usage, "an argument looks like a token: no secret is taken from the command line")
                    .hint(
                        "everybody on the machine can read it there: revoke it, and give the new one by VAULT_TOKEN, \
                        VAULT_WRAPPING_TOKEN, VAULT_SECRET_ID, VAULT_ID_TOKEN or a file",
                    ),
            );
        }
    }
    None
}

fn looks_like_a_token(value: &str) -> bool {
    let word = |text: &str, least: usize| {
        text.len() >= least && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    let long_prefix = ["hvs.", "hvb.", "hvr.", "bvs.", "bvb."].iter().any(|prefix| value.starts_with(prefix));
    let short_prefix = ["s.", "b.", "r."].iter().find_map(|prefix| value.strip_prefix(prefix));
    long_prefix
        || short_prefix.is_some_and(|rest| word(rest, 20))
        || (value.starts_with("eyJ") && value.contains('.') && word(value, 20))
}

/// clap's finding in our form. clap's own text repeats what was typed; ours names flags and choices only.
fn describe_mistake(error: &clap::Error) -> Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if text.starts_with('-') => {
            let name = text.split([' ', '=']).next().unwrap_or_default();
            Some(name.to_owned())
        }
        _ => None,
    };
    let strings = |kind| match error.get(kind) {
        Some(ContextValue::Strings(list)) => list.join(", "),
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let subject = flag.clone().unwrap_or_else(|| "an argument".into());
    match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::MissingSubcommand => {
            Error::new(Kind::Usage, "no such command").hint("ci-creds exoscale, aws, cache, completions or man")
        }
        ErrorKind::UnknownArgument => {
            let message = match flag {
                Some(flag) => format!("there is no flag {flag}"),
                None => "an argument stands where none is taken".into(),
            };
            let suggestion = strings(ContextKind::SuggestedArg);
            let hint = if suggestion.is_empty() { "ci-creds --help lists the flags".into() } else { suggestion };
            Error::new(Kind::Usage, message).hint(hint)
        }
        // clap's word for a flag at the end of the line, or before another flag.
        ErrorKind::InvalidValue if strings(ContextKind::InvalidValue).is_empty() => {
            Error::new(Kind::Usage, format!("{subject} needs a value"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let choices = strings(ContextKind::ValidValue);
            let error = Error::new(Kind::Usage, format!("{subject} does not take that value"));
            if choices.is_empty() { error } else { error.hint(format!("one of {choices}")) }
        }
        ErrorKind::ArgumentConflict => {
            Error::new(Kind::Usage, format!("{subject} is given twice, or beside a flag that excludes it"))
        }
        ErrorKind::MissingRequiredArgument => {
            Error::new(Kind::Usage, format!("an argument is missing: {}", strings(ContextKind::InvalidArg)))
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            Error::new(Kind::Usage, format!("{subject} needs a value"))
        }
        ErrorKind::InvalidUtf8 => Error::new(Kind::Usage, "an argument is not valid UTF-8"),
        _ => Error::new(Kind::Usage, "the arguments do not fit").hint("ci-creds --help"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        parse_arguments(&arguments).map_err(|stop| match stop {
            Stop::Text(text) => text,
            Stop::Mistake(error) => error.render(false),
        })
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_of_the_aws_cli_are_accepted_for_formats() {
        for (name, format) in [("env", Format::Shell), ("env-no-export", Format::Dotenv), ("process", Format::Process)]
        {
            let Ok(Cli { command: Command::Aws(aws) }) = parse(&format!("ci-creds aws --format {name}")) else {
                panic!("{name} is refused")
            };
            assert_eq!(aws.output.format, Some(format));
        }
    }

    #[test]
    fn a_mistake_names_the_flag_and_never_the_value() {
        let cases = [
            ("ci-creds aws --bogus=Sw0rdfish", "there is no flag --bogus"),
            ("ci-creds aws --fromat json", "there is no flag --fromat"),
            ("ci-creds aws Sw0rdfish", "an argument stands where none is taken"),
            ("ci-creds aws --format Sw0rdfish", "--format does not take that value"),
            ("ci-creds aws --role", "--role"),
            ("ci-creds Sw0rdfish", "no such command"),
            ("ci-creds aws --secret-id Sw0rdfish", "--secret-id does not exist"),
            ("ci-creds aws --token=Sw0rdfish", "--token does not exist"),
            ("ci-creds aws --role=hvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws -rhvs.Sw0rdfish", "looks like a token"),
            ("ci-creds aws --role s.Sw0rdfishSw0rdfishSw0rd", "looks like a token"),
            ("ci-creds aws eyJSw0rdfish.Sw0rdfishSw0rdfish", "looks like a token"),
            ("ci-creds", "nothing to do"),
        ];
        for (line, expected) in cases {
            let Err(text) = parse(line) else { panic!("{line} is accepted") };
            assert!(text.starts_with("ci-creds: error[usage]: "), "{line}: {text}");
            assert!(text.contains(expected), "{line}: {text}");
            assert!(!text.contains("Sw0rdfish"), "{line}: {text}");
        }
    }

    #[test]
    fn the_intent_is_read_from_a_line_with_mistakes_too() {
        let guess = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            guess_intent(&arguments).map(|intent| (intent.command, intent.format))
        };
        assert_eq!(guess("ci-creds exoscale --bogus"), Some((Some("exoscale"), Format::Shell)));
        assert_eq!(guess("ci-creds exoscale --bogus --sos"), Some((Some("exoscale --sos"), Format::Shell)));
        assert_eq!(guess("ci-creds aws --bogus --format fish"), Some((Some("aws"), Format::Fish)));
        assert_eq!(guess("ci-creds aws --format=process"), Some((Some("aws"), Format::Process)));
        assert_eq!(guess("ci-creds aws -f json --bogus"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds aws -fjson --bogus"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds aws --format nope"), Some((Some("aws"), Format::Shell)));
        assert_eq!(guess("ci-creds aws --bogus --file x"), Some((Some("aws"), Format::File)));
        assert_eq!(guess("ci-creds aws --file=x --format json"), Some((Some("aws"), Format::Json)));
        assert_eq!(guess("ci-creds exoscal"), Some((None, Format::Shell)));
        assert_eq!(guess("ci-creds"), Some((None, Format::Shell)));
        assert_eq!(guess("ci-creds aws --help"), None);
        assert_eq!(guess("ci-creds man"), None);
    }

    #[test]
    fn ordinary_values_do_not_look_like_tokens() {
        for value in ["deploy", "s.deploy", "{project_id}-{environment}", "arn:aws:iam::1:role/eyJ", "b.example.com"] {
            assert!(!looks_like_a_token(value), "{value}");
        }
    }
}
