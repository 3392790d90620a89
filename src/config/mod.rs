//! Flags, environment and file become a [`Plan`]: what this run does, fully decided, nothing left open.
//!
//! Everything that can be wrong without asking Vault is found here, before the first request.

pub mod address;
mod connection;
mod file;
mod identity;
pub mod name;
mod output;
mod source;
mod stored;
mod trust;

use std::time::Duration;

use crate::claims::Claims;
use crate::cli::{self, Format, Via};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::provider::{Mint, Provider, aws, exoscale};
use crate::variables as var;

pub use connection::{Connection, Proxy, Roots};
pub use identity::{Identity, Login};
pub use name::PLACEHOLDERS;
pub use output::{Delivery, Output};
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
    let output = output::resolve_output(asked, format, &layers)?;
    let connection = connection::resolve_connection(asked.connection, format == Format::Process, &layers)?;
    let listed = trust::check_origin(&connection, &files)?;
    let (login, claims) = identity::resolve_login(asked.login, &layers)?;
    // An address on the administrator's list needs no audience.
    if let (Identity::IdToken { claims, .. }, false) = (&login.identity, listed || asked.login.any_audience) {
        trust::check_audience(&connection, claims)?;
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
