//! Flags, environment and file become a [`Plan`]: what this run does, fully decided, nothing left open.
//!
//! Everything that can be wrong without asking Vault is found here, before the first request.

pub mod address;
mod connection;
mod file;
mod identity;
mod name;
mod source;
mod trust;

use std::path::PathBuf;
use std::time::Duration;

use crate::claims::Claims;
use crate::cli::{self, Format, Via};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::provider::{Mint, Provider, aws, exoscale};
use crate::render;
use crate::variables as var;

pub use connection::{Connection, Proxy, Roots};
pub use identity::{Identity, Login};
pub use name::PLACEHOLDERS;
pub use source::Origin;
use source::{Layers, Sourced};

/// What a run that fetches a credential does.
#[derive(Debug)]
pub struct Plan {
    /// How Vault is reached.
    pub connection: Connection,
    /// Who the job is.
    pub login: Login,
    /// Whose credential.
    pub provider: &'static Provider,
    /// The engine's role, its placeholders filled.
    pub role: String,
    /// Where the role came from.
    pub role_origin: Origin,
    /// The request that makes the credential.
    pub mint: Mint,
    /// Variables to export beside the credential.
    pub companions: Vec<(&'static str, String)>,
    /// How it is handed over.
    pub output: Output,
}

/// How a credential is handed over.
#[derive(Debug)]
pub struct Output {
    /// The format.
    pub format: Format,
    /// How it reaches the caller.
    pub delivery: Delivery,
    /// Whether to say where each value came from.
    pub verbose: bool,
    /// Whether `AWS_PROFILE` and the like stay.
    pub keep_profile: bool,
}

/// The way from us to the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The text itself on stdout.
    Stdout,
    /// A private file below this folder, and the line that sources it on stdout.
    SourcedFile(PathBuf),
    /// A masked summary: a person is looking.
    Summary,
}

/// The parts of a command line that every provider has.
struct Asked<'a> {
    provider: &'static Provider,
    engine: &'a cli::Engine,
    output: &'a cli::Output,
    login: &'a cli::Login,
    connection: &'a cli::Connection,
    keep_profile: bool,
}

/// Decides everything about `ci-creds exoscale`.
///
/// # Errors
/// Whatever is wrong before the first request: [`Kind::Usage`], [`Kind::Config`], [`Kind::Input`].
pub fn resolve_exoscale(flags: &cli::Exoscale, host: &Host) -> Result<Plan> {
    let asked = Asked {
        provider: &exoscale::EXOSCALE,
        engine: &flags.engine,
        output: &flags.output,
        login: &flags.login,
        connection: &flags.connection,
        keep_profile: false,
    };
    let variables = (var::CI_CREDS_EXOSCALE_ROLE, var::CI_CREDS_EXOSCALE_MOUNT);
    resolve(
        &asked,
        host,
        variables,
        |file| (file.exoscale.role.as_deref(), file.exoscale.mount.as_deref()),
        |mount, role, layers| {
            let zone = layers.text(("--zone", flags.zone.as_deref()), &[], |file| file.exoscale.zone.as_deref())?;
            let companions = match zone {
                Some(zone) => vec![("EXOSCALE_ZONE", checked_place(zone, "zone")?)],
                None => Vec::new(),
            };
            Ok((exoscale::mint(mount, role), companions))
        },
    )
}

/// Decides everything about `ci-creds aws`.
///
/// # Errors
/// As [`resolve_exoscale`].
pub fn resolve_aws(flags: &cli::Aws, host: &Host) -> Result<Plan> {
    let asked = Asked {
        provider: &aws::AWS,
        engine: &flags.engine,
        output: &flags.output,
        login: &flags.login,
        connection: &flags.connection,
        keep_profile: flags.keep_profile,
    };
    let variables = (var::CI_CREDS_AWS_ROLE, var::CI_CREDS_AWS_MOUNT);
    resolve(
        &asked,
        host,
        variables,
        |file| (file.aws.role.as_deref(), file.aws.mount.as_deref()),
        |mount, role, layers| {
            let via = resolve_via(flags, layers)?;
            let region = layers.text(("--region", flags.region.as_deref()), &[], |file| file.aws.region.as_deref())?;
            let mut companions = Vec::new();
            if let Some(region) = region {
                let region = checked_place(region, "region")?;
                // aws-cli 1 and boto3 read the one, the other SDKs the other.
                companions.extend([("AWS_REGION", region.clone()), ("AWS_DEFAULT_REGION", region)]);
            }
            Ok((aws::mint(mount, via, role, &resolve_wishes(flags, layers)?), companions))
        },
    )
}

fn resolve_via(flags: &cli::Aws, layers: &Layers<'_>) -> Result<aws::Path> {
    match flags.via {
        Some(Via::Sts) => return Ok(aws::Path::Sts),
        Some(Via::Creds) => return Ok(aws::Path::Creds),
        None => {}
    }
    match layers.text(("", None), &[], |file| file.aws.via.as_deref())? {
        None => Ok(aws::Path::Sts),
        Some(text) if text.value == "sts" => Ok(aws::Path::Sts),
        Some(text) if text.value == "creds" => Ok(aws::Path::Creds),
        Some(text) => Err(Error::new(Kind::Config, format!("`via` in {} is neither sts nor creds", text.origin))),
    }
}

fn resolve_wishes(flags: &cli::Aws, layers: &Layers<'_>) -> Result<aws::Wishes> {
    let ttl = layers.text(("--ttl", flags.ttl.as_deref()), &[], |file| file.aws.ttl.as_deref())?;
    let role_arn = layers.text(("--role-arn", flags.role_arn.as_deref()), &[], |file| file.aws.role_arn.as_deref())?;
    let session_name =
        layers.text(("--session-name", flags.session_name.as_deref()), &[], |file| file.aws.session_name.as_deref())?;
    // AWS: an ARN is up to 2048 characters of this set; a session name 2 to 64 of [\w+=,.@-].
    let checked = |text: Sourced<String>, others: &str, longest: usize, what: &str| {
        let sound = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        if !text.value.is_empty() && text.value.len() <= longest && text.value.chars().all(sound) {
            Ok(text.value)
        } else {
            Err(Error::new(
                Kind::Usage,
                format!("the {what} (from {}) has a length or a character that AWS refuses", text.origin),
            ))
        }
    };
    Ok(aws::Wishes {
        ttl: ttl.map(|text| name::parse_duration(&text)).transpose()?.map(|ttl: Duration| ttl.as_secs()),
        role_arn: role_arn.map(|text| checked(text, ":/+=,.@_-", 2048, "role ARN")).transpose()?,
        session_name: session_name.map(|text| checked(text, "+=,.@_-", 64, "session name")).transpose()?,
    })
}

/// A region or zone: what may stand in a shell's text and in a host name.
fn checked_place(place: Sourced<String>, what: &str) -> Result<String> {
    let text = place.value.trim();
    if !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Usage, format!("the {what} (from {}) is not one", place.origin))
        .hint("lower-case letters, digits and hyphens: eu-central-1, ch-gva-2"))
}

type Names = (&'static str, &'static str);

fn resolve(
    asked: &Asked<'_>,
    host: &Host,
    (role_variable, mount_variable): Names,
    in_file: impl Fn(&file::Settings) -> (Option<&str>, Option<&str>),
    request: impl FnOnce(&str, &str, &Layers<'_>) -> Result<(Mint, Vec<(&'static str, String)>)>,
) -> Result<Plan> {
    let format = asked.output.format.unwrap_or(Format::Shell);
    let files = file::read_files(host, asked.connection.config.as_deref())?;
    let layers = Layers { host, files: &files };
    let output = resolve_output(asked, format, &layers)?;
    let connection = connection::resolve_connection(asked.connection, format == Format::Process, &layers)?;
    trust::check_origin(&connection, &files)?;
    let (login, claims) = identity::resolve_login(asked.login, &layers)?;
    if let (Identity::IdToken { claims, .. }, false) = (&login.identity, asked.login.any_audience) {
        trust::check_audience(&connection, claims, &files)?;
    }
    let role = layers
        .text(("--role", asked.engine.role.as_deref()), &[role_variable, var::CI_CREDS_ROLE], |file| in_file(file).0)?;
    let role = resolve_role(role, &login, asked.provider, role_variable, claims.as_ref(), &layers)?;
    let mount = layers
        .text(("--mount", asked.engine.mount.as_deref()), &[mount_variable], |file| in_file(file).1)?
        .unwrap_or_else(|| Sourced::default(asked.provider.name.to_owned()));
    let mount = name::parse_path(mount, "mount of the engine")?;
    let (mint, companions) = request(&mount.value, &role.value, &layers)?;
    Ok(Plan {
        connection,
        login,
        provider: asked.provider,
        role: role.value,
        role_origin: role.origin,
        mint,
        companions,
        output,
    })
}

/// The engine's role; where nobody names one, the login's: most set-ups give both the same name.
fn resolve_role(
    role: Option<Sourced<String>>,
    login: &Login,
    provider: &Provider,
    variable: &str,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<Sourced<String>> {
    let role = match (role, &login.role) {
        (Some(role), _) => name::resolve_placeholders(role, claims, layers)?,
        (None, Some(role)) => Sourced { value: role.clone(), origin: login.role_origin.clone() },
        (None, None) => {
            return Err(Error::new(
                Kind::Config,
                format!(
                    "no {} role: --role, {variable}, CI_CREDS_ROLE and the configuration file name none",
                    provider.title
                ),
            )
            .hint(format!("ci-creds {} --role NAME, or set {variable}", provider.name)));
        }
    };
    name::check_role(&role, "role")?;
    Ok(role)
}

fn resolve_output(asked: &Asked<'_>, format: Format, layers: &Layers<'_>) -> Result<Output> {
    if format == Format::Process && asked.provider.fields.iter().all(|field| field.process.is_none()) {
        return Err(Error::new(
            Kind::Usage,
            format!("--format process is for AWS: the SDKs cannot take {} credentials", asked.provider.title),
        )
        .hint("--format shell, or --format json"));
    }
    let delivery = resolve_delivery(asked, format, layers)?;
    Ok(Output { format, delivery, verbose: asked.output.verbose, keep_profile: asked.keep_profile })
}

/// Where the text may go. Nothing is minted for an output that nobody could use, or that everybody could read.
fn resolve_delivery(asked: &Asked<'_>, format: Format, layers: &Layers<'_>) -> Result<Delivery> {
    let stdout = layers.host.stdout();
    let name = asked.provider.name;
    if stdout.terminal && !asked.output.reveal {
        return Ok(Delivery::Summary);
    }
    if stdout.null {
        return Err(Error::new(Kind::Output, "stdout is closed or /dev/null: the credential would be lost")
            .hint(format!("capture it: eval $(ci-creds {name})")));
    }
    if !asked.output.reveal && render::is_evaluated(format) && stdout.shared_with_stderr {
        return Err(Error::new(
            Kind::Usage,
            "stdout and stderr are the same: the credential would stand in the log, or messages in the eval",
        )
        .hint(format!("capture stdout alone: drop the redirection of stderr from the eval around ci-creds {name}")));
    }
    if !asked.output.reveal && stdout.uncaptured && in_a_job(layers)? {
        return Err(Error::new(
            Kind::Usage,
            "nothing captures the output: the credential would stand in the job's log",
        )
        .hint(format!("put it into an eval in the script, around ci-creds {name}; --reveal prints it all the same")));
    }
    let traced = traced(layers)?;
    if !asked.output.via_file && traced.is_none() {
        return Ok(Delivery::Stdout);
    }
    match format {
        Format::Shell | Format::Fish => Ok(Delivery::SourcedFile(private_folder(layers)?)),
        Format::Powershell if asked.output.reveal => Ok(Delivery::Stdout),
        Format::Powershell => Err(Error::new(
            Kind::Usage,
            format!(
                "{} says that this job traces its commands, and PowerShell would print the credential",
                traced.as_deref().unwrap_or("--via-file")
            ),
        )
        .hint("unset it for this job, use --format process, or accept it with --reveal")),
        // No shell evaluates these: a trace shows the command and not what went through the pipe.
        Format::Json | Format::Dotenv | Format::Process => Ok(Delivery::Stdout),
    }
}

fn in_a_job(layers: &Layers<'_>) -> Result<bool> {
    for name in [var::CI, var::GITLAB_CI, var::JENKINS_URL] {
        if layers.variable(name)?.is_some_and(|value| value.value != "false") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The variable by which we know that the caller prints each command that it runs. A plain `set -x` is invisible
/// to a child.
fn traced(layers: &Layers<'_>) -> Result<Option<String>> {
    let says_yes = |text: &str| matches!(text.trim().to_lowercase().as_str(), "true" | "1" | "t" | "yes");
    if layers.variable(var::CI_DEBUG_TRACE)?.is_some_and(|found| says_yes(&found.value)) {
        return Ok(Some(var::CI_DEBUG_TRACE.into()));
    }
    if layers.variable(var::SHELLOPTS)?.is_some_and(|found| found.value.split(':').any(|option| option == "xtrace")) {
        return Ok(Some(var::SHELLOPTS.into()));
    }
    for name in [var::JENKINS_URL, var::FISH_TRACE] {
        if layers.variable(name)?.is_some() {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// The folder for a private file: `TMPDIR`, or `/tmp` where that cannot stand in an unquoted eval, does not exist,
/// or lies in the checkout, from where artifacts and caches are made.
fn private_folder(layers: &Layers<'_>) -> Result<PathBuf> {
    let real = |folder: &str| layers.host.real_path(folder.as_ref());
    let checkout = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| real(&folder.value));
    let usable = |folder: &str| {
        folder.starts_with('/')
            && render::is_plain(folder)
            && !checkout.as_ref().is_some_and(|checkout| real(folder).starts_with(checkout))
            && layers.host.is_folder(folder.as_ref())
    };
    let named = layers.variable(var::TMPDIR)?.map(|folder| folder.value).filter(|folder| usable(folder));
    Ok(named.unwrap_or_else(|| "/tmp".into()).into())
}
