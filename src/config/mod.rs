//! Flags, environment and file become a [`Plan`]: what this run does, fully decided, nothing left open.
//!
//! Everything that can be wrong without asking Vault is found here, before the first request.

pub mod address;
mod cache;
mod connection;
mod file;
mod identity;
pub mod name;
mod output;
mod proxy;
mod readiness;
mod source;
mod stored;
mod trust;

use std::borrow::Cow;
use std::time::Duration;

use crate::claims::Claims;
use crate::cli::{self, Format, Via};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::transport::Connection;
use crate::identity::{Identity, Login};
use crate::mint::Mint;
use crate::origin::Origin;
use crate::provider::shape::Shape;
use crate::provider::{aws, exoscale};
use crate::render;
use crate::variables as var;

use crate::origin::Sourced;
pub use cache::Place;
pub(crate) use connection::{REQUEST, RETRIES};
pub use name::PLACEHOLDERS;
pub(crate) use output::unusable;
pub use output::{Delivery, Output};
pub(crate) use readiness::QUESTION;
pub use readiness::Readiness;
use source::Layers;

/// What a run that fetches a credential does.
#[derive(Debug)]
pub struct Plan {
    /// How Vault is reached.
    pub connection: Connection,
    /// Who the job is.
    pub login: Login,
    /// What the credential consists of.
    pub shape: Cow<'static, Shape>,
    /// The engine's role, its placeholders filled.
    pub role: String,
    /// Where the role came from.
    pub role_origin: Origin,
    /// The request that makes the credential.
    pub mint: Mint,
    /// Variables to export beside the credential.
    pub companions: Vec<(&'static str, String)>,
    /// Where credentials are kept between calls, when this one may be.
    pub cache: Option<Place>,
    /// Where a new key is tried before it is handed over, when somebody asked for that.
    pub readiness: Option<Readiness>,
    /// How it is handed over.
    pub output: Output,
}

/// Where Vault is and who the caller is: what it takes to give something back.
#[derive(Debug)]
pub struct Access {
    /// How Vault is reached.
    pub connection: Connection,
    /// Who the job is.
    pub login: Login,
}

/// Decides where the cache lies, for `ci-creds cache`.
///
/// # Errors
/// [`Kind::Config`] for a variable that GitLab does not know.
pub fn resolve_place(host: &Host) -> Result<Place> {
    cache::resolve_place(&Layers { host, files: &file::Files::default() })
}

/// Decides who gives back what is kept, for `ci-creds cache clear`.
///
/// # Errors
/// As [`resolve_exoscale`].
pub fn resolve_access(login: &cli::Login, connection: &cli::Connection, host: &Host) -> Result<Access> {
    let files = file::read_files(host, connection.config.as_deref())?;
    resolve_access_by(login, connection, false, &Layers { host, files: &files }).map(|(access, _)| access)
}

fn resolve_access_by(
    login: &cli::Login,
    connection: &cli::Connection,
    process: bool,
    layers: &Layers<'_>,
) -> Result<(Access, Option<Claims>)> {
    let any_audience = login.any_audience;
    let connection = connection::resolve_connection(connection, process, layers)?;
    let listed = trust::check_origin(&connection, layers.files)?;
    let (login, claims) = identity::resolve_login(login, layers)?;
    // An address on the administrator's list needs no audience.
    if let (Identity::IdToken { claims, .. }, false) = (&login.identity, listed || any_audience) {
        trust::check_audience(&connection, claims)?;
    }
    Ok((Access { connection, login }, claims))
}

/// The parts of a command line that every provider has.
struct Asked<'a> {
    shape: Cow<'static, Shape>,
    engine: &'a cli::Engine,
    output: &'a cli::Output,
    login: &'a cli::Login,
    connection: &'a cli::Connection,
    keep_profile: bool,
}

/// The parts of a plan that each provider decides for itself.
struct Wanted {
    mint: Mint,
    companions: Vec<(&'static str, String)>,
    readiness: Option<Readiness>,
}

/// Decides everything about `ci-creds exoscale`.
///
/// # Errors
/// Whatever is wrong before the first request: [`Kind::Usage`], [`Kind::Config`], [`Kind::Input`].
pub fn resolve_exoscale(flags: &cli::Exoscale, host: &Host) -> Result<Plan> {
    let asked = Asked {
        shape: Cow::Borrowed(if flags.sos { &exoscale::SOS } else { &exoscale::EXOSCALE }),
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
            let zone = resolve_zone(flags, layers)?;
            let companions = match zone {
                Some(zone) if flags.sos => exoscale::storage(&zone),
                Some(zone) => vec![("EXOSCALE_ZONE", zone)],
                None if flags.sos && render::sets_variables(format_of(&flags.output)) => {
                    return Err(Error::new(
                        Kind::Config,
                        "no zone of the object storage: --zone, EXOSCALE_ZONE and the configuration file name none",
                    )
                    .hint("ci-creds exoscale --sos --zone ch-gva-2, or set EXOSCALE_ZONE"));
                }
                None => Vec::new(),
            };
            Ok(Wanted { mint: exoscale::mint(mount, role), companions, readiness: None })
        },
    )
}

/// The zone. What `EXOSCALE_ZONE` says stays as it is, and is asked only for a place of the storage.
fn resolve_zone(flags: &cli::Exoscale, layers: &Layers<'_>) -> Result<Option<String>> {
    let variables: &[&str] = if flags.sos { &[var::EXOSCALE_ZONE] } else { &[] };
    let zone = layers.text(("--zone", flags.zone.as_deref()), variables, |file| file.exoscale.zone.as_deref())?;
    zone.as_ref().map(|zone| checked_place(zone, "zone")).transpose()
}

fn format_of(output: &cli::Output) -> Format {
    let implied = if output.file.is_some() { Format::File } else { Format::Shell };
    output.format.unwrap_or(implied)
}

/// Decides everything about `ci-creds aws`.
///
/// # Errors
/// As [`resolve_exoscale`].
pub fn resolve_aws(flags: &cli::Aws, host: &Host) -> Result<Plan> {
    let asked = Asked {
        shape: Cow::Borrowed(&aws::AWS),
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
            let readiness = readiness::resolve_readiness(flags.wait_ready, region.as_ref(), layers)?;
            let mut companions = Vec::new();
            if let Some(region) = region {
                let region = checked_place(&region, "region")?;
                // aws-cli 1 and boto3 read the one, the other SDKs the other.
                companions.extend([("AWS_REGION", region.clone()), ("AWS_DEFAULT_REGION", region)]);
            }
            let mint = aws::mint(mount, via, role, &resolve_wishes(flags, layers)?);
            Ok(Wanted { mint, companions, readiness })
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
fn checked_place(place: &Sourced<String>, what: &str) -> Result<String> {
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
    request: impl FnOnce(&str, &str, &Layers<'_>) -> Result<Wanted>,
) -> Result<Plan> {
    let format = format_of(asked.output);
    let files = file::read_files(host, asked.connection.config.as_deref())?;
    let layers = Layers { host, files: &files };
    let output = output::resolve_output(asked, format, &layers)?;
    let cache = cache::resolve_cache(asked, format, &layers)?;
    let (Access { connection, login }, claims) =
        resolve_access_by(asked.login, asked.connection, format == Format::Process, &layers)?;
    let role = layers
        .text(("--role", asked.engine.role.as_deref()), &[role_variable, var::CI_CREDS_ROLE], |file| in_file(file).0)?;
    let role = resolve_role(role, &login, &asked.shape, role_variable, claims.as_ref(), &layers)?;
    let mount = layers
        .text(("--mount", asked.engine.mount.as_deref()), &[mount_variable], |file| in_file(file).1)?
        .unwrap_or_else(|| Sourced::default(asked.shape.name.clone().into_owned()));
    let mount = name::parse_path(mount, "mount of the engine")?;
    let Wanted { mint, companions, readiness } = request(&mount.value, &role.value, &layers)?;
    Ok(Plan {
        connection,
        login,
        shape: asked.shape.clone(),
        role: role.value,
        role_origin: role.origin,
        mint,
        companions,
        cache,
        readiness,
        output,
    })
}

/// The engine's role; where nobody names one, the login's: most set-ups give both the same name.
fn resolve_role(
    role: Option<Sourced<String>>,
    login: &Login,
    shape: &Shape,
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
                    shape.title
                ),
            )
            .hint(format!("ci-creds {} --role NAME, or set {variable}", shape.command)));
        }
    };
    name::check_role(&role, "role")?;
    Ok(role)
}
