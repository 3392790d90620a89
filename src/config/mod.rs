//! Flags, environment and file become a [`Plan`]: what this run does, fully decided, nothing left open.
//!
//! Everything that can be wrong without asking Vault is found here, before the first request.

mod address;
mod aws_endpoint;
mod cache;
mod choice;
mod connection;
mod demand;
mod exec;
mod file;
mod gitlab;
mod iam;
mod id_token;
mod identity;
mod input;
mod job;
mod key;
mod method;
pub mod name;
mod output;
mod plan;
mod policy;
mod private;
mod profile;
mod proxy;
mod readiness;
mod secret;
mod section;
mod serve;
mod settings;
mod source;
mod state;
mod stored;
mod surrounding;
mod survey;
mod token;
mod token_request;
mod trust;
mod vault_token;
mod web_identity;
mod web_role;
mod web_token;

use crate::claims::Claims;
use crate::cli::{self};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::Login;
use crate::provider::cloud::{Cloud, EngineRequest, Location, Setting};
use crate::provider::shape::Shape;
use crate::render::format::Format;
use crate::variables as var;
use std::borrow::Cow;

use jiff::Timestamp;

use crate::origin::WithOrigin;
pub(crate) use cache::CachePlace;
use choice::{EnginePlace, choose};
use demand::Demand;
pub(crate) use exec::{Exec, Leash, Task, removed_variables, resolve_exec};
pub(crate) use gitlab::{Owner, VariablePlan};
pub(crate) use output::Delivery;
pub(crate) use output::unusable;
pub(crate) use plan::{Access, CredentialPlan, ENDLESS, Maker, Plan, StsPlan, TokenWish};
pub(crate) use policy::resolve_policy;
pub use profile::find_profiles;
pub(crate) use readiness::QUESTION;
pub(crate) use readiness::Readiness;
pub(crate) use secret::{owned_shape, resolve_secret};
pub(crate) use serve::Serve;
pub use settings::keys;
pub(crate) use source::Layers;
pub(crate) use state::StatePlace;
pub(crate) use surrounding::{Concern, Surroundings};
pub(crate) use survey::{Known, Survey, survey};
pub(crate) use token::{Rotate, resolve_rotate};
pub(crate) use token_request::{ANSWER, StsTarget, TokenRequest, TokenTarget, resolve_token_request};
pub(crate) use vault_token::resolve_token;
use web_identity::WebIdentityPlan;

/// Decides where the cache lies, for `ci-creds cache`.
///
/// # Errors
/// [`Kind::Config`] for a variable that GitLab does not know.
pub(crate) fn resolve_place(host: &Host) -> Result<CachePlace> {
    cache::resolve_place(&Layers::bare(host))
}

/// Decides where the cache and the job's state lie, for `ci-creds revoke` and `ci-creds cache clear`.
///
/// # Errors
/// As [`resolve_place`].
pub(crate) fn resolve_state_place(host: &Host) -> Result<StatePlace> {
    state::resolve_state_place(&Layers::bare(host), false)
}

/// Decides who the job is and how Vault is reached, for a command that fetches nothing.
///
/// # Errors
/// As [`resolve_fetch`].
pub(crate) fn resolve_access(access: &cli::AccessFlags, layers: &Layers<'_>) -> Result<Access> {
    resolve_access_by(access, false, layers).map(|(access, _)| access)
}

fn resolve_access_by(flags: &cli::AccessFlags, process: bool, layers: &Layers<'_>) -> Result<(Access, Option<Claims>)> {
    let connection = connection::resolve_connection(&flags.connection, process, layers)?;
    let listed = trust::check_origin(&connection, &layers.files)?;
    let (login, claims) = identity::resolve_login(&flags.login, Some(&connection), layers)?;
    // An address on the administrator's list needs no audience.
    if let (Some(claims), false) = (login.identity.claims(), listed || flags.login.any_audience) {
        trust::check_audience(&connection, claims)?;
    }
    Ok((Access { connection, login }, claims))
}

/// Decides everything about a command that fetches a cloud's credential. `words` are the call, without the program.
///
/// # Errors
/// Whatever is wrong before the first request: [`Kind::Usage`], [`Kind::Config`], [`Kind::Input`].
pub(crate) fn resolve_fetch(
    flags: &cli::FetchFlags,
    volume: cli::Volume,
    words: &[String],
    layers: &Layers<'_>,
) -> Result<Plan> {
    let cloud = flags.wanted.cloud;
    let is_said = |setting: &'static Setting| flags.wanted.said(setting).is_some();
    let shape = cloud.shape(is_said).ok_or_else(|| Error::new(Kind::Internal, "a cloud has no shape"))?;
    let demand = Demand {
        shape: Cow::Borrowed(shape),
        output: &flags.output,
        volume,
        words,
        keep_profile: cloud.keep_profile.is_some_and(is_said),
    };
    let format = format_of(demand.output);
    if format == Format::WebIdentity {
        web_token::check_request(web_role::find_request(&flags.wanted, layers)?.as_ref(), demand.output)?;
    }
    let output = output::resolve_output(&demand, format, layers)?;
    let cache = cache::resolve_cache(&demand, format, layers)?;
    let state = state::resolve_state(flags.output.state, layers)?;
    let process = format == Format::Process;
    if let Some(request) = web_role::find_request(&flags.wanted, layers)? {
        let asked = (&flags.wanted, &flags.access);
        let WebIdentityPlan { sts, access: Access { connection, login }, wanted } =
            web_identity::resolve(request, asked, process, layers)?;
        if format == Format::WebIdentity {
            web_token::check_life(&login, layers.host.now())?;
        }
        // Nothing is noted for `ci-creds revoke`: nothing can be revoked.
        return Ok(Plan { maker: Maker::Sts(Box::new(sts)), ..Plan::new(connection, login, wanted, cache, output) });
    }
    let (Access { connection, login }, claims) = resolve_access_by(&flags.access, process, layers)?;
    let sets_variables = format.facts().sets_variables;
    let wanted = resolve_wanted(&flags.wanted, sets_variables, (&login, claims.as_ref()), layers)?;
    let mut plan = Plan { state, ..Plan::new(connection, login, wanted, cache, output) };
    plan.job_end = find_job_end(layers)?;
    Ok(plan)
}

/// When the job ends at the latest, where its system says so.
fn find_job_end(layers: &Layers<'_>) -> Result<Option<Timestamp>> {
    let left = layers.job().left()?;
    Ok(left.and_then(|left| layers.host.now().checked_add(left.value).ok()))
}

/// Decides which credential is read, and from where.
fn resolve_wanted(
    flags: &cli::CredentialFlags,
    sets_variables: bool,
    (login, claims): (&Login, Option<&Claims>),
    layers: &Layers<'_>,
) -> Result<CredentialPlan> {
    let cloud = flags.cloud;
    let is_said = |setting: &'static Setting| flags.said(setting).is_some();
    let shape = cloud.shape(is_said).ok_or_else(|| Error::new(Kind::Internal, "a cloud has no shape"))?;
    let (mount, role, path) = match cloud.location {
        Location::Role { .. } => {
            let role = resolve_role(find_role(flags, layers)?, login, cloud, shape, claims, layers)?;
            (resolve_mount(flags, shape, layers)?, role, String::new())
        }
        Location::Path(setting) => {
            let path = find_path(flags, setting, layers)?.ok_or_else(|| no_path(setting, cloud, shape))?;
            let WithOrigin { value: path, origin } = name::resolve_secret_path(path, claims, layers)?;
            (String::new(), WithOrigin { value: String::new(), origin }, path)
        }
    };
    let place = EnginePlace { mount: &mount, role: &role.value, path: &path };
    let EngineRequest { mint, companions, wait } = choose(flags, place, sets_variables, layers, cloud.request)?;
    let readiness = wait.map(|wait| readiness::resolve_readiness(wait.region.as_ref(), layers)).transpose()?;
    Ok(CredentialPlan {
        shape: Cow::Borrowed(shape),
        role: role.value,
        role_origin: role.origin,
        mint,
        companions,
        readiness,
        keep_profile: cloud.keep_profile.is_some_and(is_said),
    })
}

/// The engine's role as it was said, its placeholders open.
fn find_role(flags: &cli::CredentialFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<String>>> {
    let cloud = flags.cloud;
    let own = cloud.engine_variables().map(|(role, _)| role);
    let variables: Vec<_> = own.into_iter().chain(var::of_flag("--role").iter().copied()).collect();
    layers.text(("--role", flags.engine.role.as_deref()), &variables, |file| file.text_of(cloud.command, "role"))
}

/// The path of a stored key as it was said, its placeholders open.
fn find_path(
    flags: &cli::CredentialFlags,
    setting: &'static Setting,
    layers: &Layers<'_>,
) -> Result<Option<WithOrigin<String>>> {
    layers.text((setting.flag, flags.said(setting)), setting.variables, |file| {
        file.text_of(flags.cloud.command, setting.key())
    })
}

fn no_path(setting: &Setting, cloud: &Cloud, shape: &Shape) -> Error {
    let (flag, key, variables) = (setting.flag, setting.key(), setting.variables.join(", "));
    Error::new(
        Kind::Config,
        format!(
            "the {key} of the {} key is not set ({flag}, {variables}, or {key} under [{}] in the configuration file)",
            shape.title, cloud.command
        ),
    )
    .hint(format!("ci-creds {} {flag} secret/data/NAME, or set {variables}", shape.command))
}

/// Where the engine is mounted.
fn resolve_mount(flags: &cli::CredentialFlags, shape: &Shape, layers: &Layers<'_>) -> Result<String> {
    let cloud = flags.cloud;
    let own = cloud.engine_variables().map(|(_, mount)| mount);
    let mount = layers
        .text(("--mount", flags.engine.mount.as_deref()), own.as_slice(), |file| file.text_of(cloud.command, "mount"))?
        .unwrap_or_else(|| WithOrigin::default(shape.name.clone().into_owned()));
    name::parse_path(mount, "mount of the engine").map(|mount| mount.value)
}

/// Refuses the format that hands over the ID token itself, for a command whose credential comes from Vault.
fn check_vault_format(format: Format, output: &cli::OutputFlags) -> Result<()> {
    if format == Format::WebIdentity { web_token::check_request(None, output) } else { Ok(()) }
}

fn format_of(output: &cli::OutputFlags) -> Format {
    let implied = if output.file.is_some() { Format::File } else { Format::Shell };
    output.format.unwrap_or(implied)
}

/// The engine's role; if it is not set, the login's: most set-ups give both the same name.
fn resolve_role(
    role: Option<WithOrigin<String>>,
    login: &Login,
    cloud: &Cloud,
    shape: &Shape,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<WithOrigin<String>> {
    let role = match (role, &login.role) {
        (Some(role), _) => name::resolve_placeholders(role, claims, layers)?,
        (None, Some(role)) => WithOrigin { value: role.clone(), origin: login.role_origin.clone() },
        (None, None) => {
            let variable = cloud.engine_variables().map_or("CI_CREDS_ROLE", |(role, _)| role);
            return Err(Error::new(
                Kind::Config,
                format!(
                    "the {} role is not set (--role, {}, CI_CREDS_ROLE, role under [{}] in the configuration file; or \
                    the role of the login: VAULT_APPROLE_ROLE, VAULT_AUTH_ROLE)",
                    shape.title, variable, cloud.command
                ),
            )
            .hint(format!("ci-creds {} --role NAME, or set {variable}", shape.command)));
        }
    };
    name::check_role(&role, "role")?;
    Ok(role)
}
