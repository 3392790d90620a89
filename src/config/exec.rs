//! What `ci-creds exec` does: which credentials the command gets, for how long, and what else is in its environment.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use super::cache::{CachePlace, resolve_place};
use super::id_token::{named_variable, private_variables};
use super::output::{Output, private_folder};
use super::plan::{Access, CredentialPlan, ENDLESS, Maker, Plan};
use super::secret::{find_sections, resolve_sections};
use super::serve::{Serve, resolve_serve};
use super::source::Layers;
use super::state::{StatePlace, resolve_state};
use super::token_request::TokenRequest;
use super::web_identity::{self, WebIdentityPlan};
use super::web_role;
use super::{resolve_access_by, resolve_wanted};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::http::address::Address;
use crate::http::transport::Connection;
use crate::identity::{Login, Spend};
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::provider::cloud::{Cloud, Setting};
use crate::provider::role::WebIdentityRequest;
use crate::time::parse_duration;
use crate::variables as var;

/// A run of a command.
#[derive(Debug)]
pub(crate) struct Exec {
    /// What is asked of Vault.
    pub task: Task,
    /// Whether the command gets the Vault token, and the variables beside it.
    pub vault: Option<Vec<(&'static str, String)>>,
    /// How long the credentials must last, counted from now, and who says so. `None` when nobody knows.
    pub want: Option<WithOrigin<Duration>>,
    /// How long the login lives when nobody renews it, and whether the user insists on that.
    pub leash: Option<Leash>,
    /// Where what is made is noted for `ci-creds revoke`, when it is.
    pub state: Option<StatePlace>,
    /// Where an earlier call of this job may have cached the login of a secret for one use: exec looks there when Vault
    /// refuses that secret.
    pub cache: Option<CachePlace>,
    /// How the AWS credential, which is read last, is served. `None`: it is in the environment as the others are.
    pub serve: Option<Serve>,
    /// Whether the command gets SIGTERM before a credential expires.
    pub ends_on_expiry: bool,
    /// Whether the exit code tells of what was not revoked.
    pub strict_revoke: bool,
    /// Whether to say what is done.
    pub verbose: bool,
    /// The variables of this job's ID token, which the command does not get.
    pub id_token_variables: Vec<String>,
    /// The command, its arguments behind it.
    pub command: Vec<OsString>,
}

/// A login, and what is read by it.
#[derive(Debug)]
pub(crate) enum Task {
    /// One credential, and others after it.
    Read(Box<Plan>, Vec<CredentialPlan>),
    /// The login alone.
    LogIn(Box<Access>),
}

impl Exec {
    /// Keeps the request of the ID token for a later login: the token lasts for minutes, and the command may run for hours.
    pub(crate) fn repeat_later(&mut self, request: Option<TokenRequest>) {
        if let (Task::Read(plan, _), Some(_)) = (&mut self.task, &self.serve) {
            plan.token_request = request;
        }
    }
}

impl Task {
    /// How Vault is reached.
    pub(crate) fn connection_mut(&mut self) -> &mut Connection {
        match self {
            Self::Read(plan, _) => &mut plan.connection,
            Self::LogIn(access) => &mut access.connection,
        }
    }

    /// How Vault is reached.
    #[must_use]
    pub(crate) fn connection(&self) -> &Connection {
        match self {
            Self::Read(plan, _) => &plan.connection,
            Self::LogIn(access) => &access.connection,
        }
    }

    /// The job's identity.
    #[must_use]
    pub(crate) fn login(&self) -> &Login {
        match self {
            Self::Read(plan, _) => &plan.login,
            Self::LogIn(access) => &access.login,
        }
    }
}

/// The leash: how long a login lives that nobody renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leash {
    /// So long.
    pub length: Duration,
    /// Whether a flag asks for it, so that a login which knows none is an error.
    pub demanded: bool,
}

/// The leash of a job.
const LEASH: Duration = Duration::from_secs(300);
/// A shorter one would end with a slow server or a busy machine.
const SHORTEST_LEASH: Duration = Duration::from_secs(30);

/// Decides everything about a run of a command.
///
/// # Errors
/// As [`super::resolve_fetch`].
pub(crate) fn resolve_exec(mut flags: cli::ExecFlags, volume: cli::Volume, layers: &Layers<'_>) -> Result<Exec> {
    check_wanted(&flags.wanted, flags.stray_setting)?;
    let want = resolve_want(&flags, layers)?;
    for one in &flags.wanted {
        if let Some(request) = web_role::find_request(one, layers)? {
            return resolve_without_vault(request, flags, (volume, want), layers);
        }
    }
    let leash = resolve_leash(&flags, layers)?;
    let (Access { connection, login }, claims) = resolve_access_by(&flags.access, false, layers)?;
    let serve = resolve_serve(&mut flags, layers)?;
    let state = resolve_state(flags.state, layers)?;
    let cache = match &state {
        _ if login.identity.facts().spends == Spend::Nothing => None,
        Some(state) => Some(state.cache.clone()),
        None => Some(resolve_place(layers)?),
    };
    let vault = flags.vault.then(|| vault_variables(&connection, &flags.access.connection, layers)).transpose()?;
    let resolve = |one: &cli::CredentialFlags| resolve_wanted(one, true, (&login, claims.as_ref()), layers);
    let clouds = flags.wanted.iter().map(resolve).collect::<Result<Vec<_>>>()?;
    let secrets = match flags.secrets.is_empty() {
        true => Vec::new(),
        false => resolve_sections(find_sections(&flags.secrets, layers)?, claims.as_ref(), layers)?,
    };
    let has_files = secrets.iter().any(|one| one.shape.fields.iter().any(|field| field.file));
    let folder = has_files.then(|| private_folder(layers)).transpose()?;
    let reads = clouds.len() + secrets.len();
    // What is served is read last.
    let mut wanted = secrets.into_iter().chain(clouds);
    let id_token_variables = match login.identity.claims() {
        Some(_) => private_variables(&flags.access.login, layers)?,
        None => named_variable(&flags.access.login, layers)?.map(|name| name.value).into_iter().collect(),
    };
    let task = match wanted.next() {
        Some(first) => {
            let output = Output::of_a_command(volume, first.keep_profile, folder);
            let mut plan = Plan::new(connection, login, first, None, output);
            plan.reads = if serve.is_some() { ENDLESS } else { reads as u64 };
            Task::Read(Box::new(plan), wanted.collect())
        }
        None => Task::LogIn(Box::new(Access { connection, login })),
    };
    let ends_on_expiry = flags.on_expiry.as_deref() == Some("term");
    let (strict_revoke, verbose, command) = (flags.strict_revoke, volume.verbose, flags.command);
    Ok(Exec {
        task,
        vault,
        want,
        leash,
        state,
        cache,
        serve,
        ends_on_expiry,
        strict_revoke,
        verbose,
        id_token_variables,
        command,
    })
}

/// A run of a command with a credential that needs no Vault: nothing is renewed, and nothing can be revoked.
fn resolve_without_vault(
    request: WebIdentityRequest,
    mut flags: cli::ExecFlags,
    (volume, want): (cli::Volume, Option<WithOrigin<Duration>>),
    layers: &Layers<'_>,
) -> Result<Exec> {
    let refused =
        [("another credential", flags.wanted.len() + flags.secrets.len() > 1), ("the Vault token", flags.vault)];
    if let Some((what, _)) = refused.into_iter().find(|(_, said)| *said) {
        return Err(Error::new(Kind::Usage, format!("--via web-identity needs no Vault, and {what} needs one"))
            .hint("run one ci-creds exec inside the other, or drop one of them"));
    }
    let serve = resolve_serve(&mut flags, layers)?;
    let [wanted] = flags.wanted.as_slice() else {
        return Err(Error::new(Kind::Internal, "a credential without Vault is not the only one"));
    };
    let asked = (wanted, &flags.access);
    let WebIdentityPlan { sts, access: Access { connection, login }, wanted } =
        web_identity::resolve(request, asked, false, layers)?;
    let output = Output::of_a_command(volume, wanted.keep_profile, None);
    let plan = Plan { maker: Maker::Sts(Box::new(sts)), ..Plan::new(connection, login, wanted, None, output) };
    Ok(Exec {
        task: Task::Read(Box::new(plan), Vec::new()),
        vault: None,
        want,
        leash: None,
        cache: None,
        state: None,
        serve,
        ends_on_expiry: flags.on_expiry.as_deref() == Some("term"),
        strict_revoke: false,
        verbose: volume.verbose,
        id_token_variables: private_variables(&flags.access.login, layers)?,
        command: flags.command,
    })
}

/// Checks the flags of several clouds' credentials.
pub(super) fn check_wanted(
    wanted: &[cli::CredentialFlags],
    stray_setting: Option<(&'static Setting, &'static Cloud)>,
) -> Result<()> {
    if let Some((setting, cloud)) = stray_setting {
        let text =
            format!("{} is for {}, and no credential of {} is asked for", setting.flag, cloud.command, cloud.command);
        return Err(
            Error::new(Kind::Usage, text).hint(format!("ci-creds exec {} …, or drop {}", cloud.command, setting.flag))
        );
    }
    let variables: Vec<_> =
        wanted.iter().filter_map(|one| one.cloud.engine_variables()).map(|(_, mount)| mount).collect();
    let engine = wanted.first().map(|one| &one.engine).filter(|_| variables.is_empty());
    let given = engine.map(|engine| [("--role", engine.role.is_some()), ("--mount", engine.mount.is_some())]);
    if let Some((flag, _)) = given.into_iter().flatten().find(|(_, given)| *given) {
        return Err(Error::new(Kind::Usage, format!("{flag} is for an engine, and a stored key has a path"))
            .hint(format!("drop {flag}")));
    }
    if variables.len() > 1 && wanted.iter().any(|one| one.engine.mount.is_some()) {
        return Err(Error::new(Kind::Usage, "--mount names the mount of one engine, and more than one is asked")
            .hint(format!("set {}, or `mount` in the configuration file", variables.join(" and "))));
    }
    Ok(())
}

/// How long the credentials must last: what the user says, or what is left of a GitLab job.
fn resolve_want(flags: &cli::ExecFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<Duration>>> {
    // Of what is served, it is the life of each credential.
    if let Some(text) = flags.ttl.as_ref().filter(|_| !flags.serve) {
        let text = WithOrigin { value: text.clone(), origin: Origin::Flag("--ttl") };
        return Ok(Some(WithOrigin { value: parse_duration(&text)?, origin: text.origin }));
    }
    layers.job().left()
}

fn resolve_leash(flags: &cli::ExecFlags, layers: &Layers<'_>) -> Result<Option<Leash>> {
    match flags.leash.as_deref().map(str::trim) {
        Some("off") => Ok(None),
        Some(text) => {
            let text = WithOrigin { value: text.to_owned(), origin: Origin::Flag("--leash") };
            let length = parse_duration(&text)?;
            if length < SHORTEST_LEASH {
                return Err(Error::new(Kind::Usage, "--leash is shorter than 30s").hint("--leash 30s, or --leash off"));
            }
            Ok(Some(Leash { length, demanded: true }))
        }
        None => Ok(layers.job().is_in_a_job()?.then_some(Leash { length: LEASH, demanded: false })),
    }
}

/// By what the command finds the Vault that its token is for.
pub(super) fn vault_variables(
    connection: &Connection,
    flag: &cli::ConnectionFlags,
    layers: &Layers<'_>,
) -> Result<Vec<(&'static str, String)>> {
    let address = match &connection.address {
        Address::Tcp(server) => server.base(),
        Address::Unix(path) => format!("unix://{}", path.display()),
    };
    let mut variables = vec![(var::VAULT_ADDR, address)];
    variables.extend(connection.namespace.clone().map(|name| (var::VAULT_NAMESPACE, name)));
    variables.extend(connection.server_name.clone().map(|name| (var::VAULT_TLS_SERVER_NAME, name)));
    for (name, path) in [
        (
            var::VAULT_CACERT,
            layers
                .path(("--ca-file", flag.ca_file.as_deref()), &[var::VAULT_CACERT], |file| file.ca_file.as_deref())?,
        ),
        (
            var::VAULT_CAPATH,
            layers
                .path(("--ca-path", flag.ca_path.as_deref()), &[var::VAULT_CAPATH], |file| file.ca_path.as_deref())?,
        ),
    ] {
        variables.extend(path.and_then(|path| Some((name, path.value.to_str()?.to_owned()))));
    }
    Ok(variables)
}

/// The variables of ours that no command gets: what proves who the job is, and what only we read. Their names, and how the
/// others begin.
#[must_use]
pub(crate) fn removed_variables<'a>(id_token: impl IntoIterator<Item = &'a str>) -> (Vec<String>, Vec<&'static str>) {
    let mut names = Vec::new();
    for name in var::SECRETS.into_iter().chain(id_token).map(Cow::Borrowed) {
        let twin = name.strip_prefix(var::VAULT).map(|rest| format!("{}{rest}", var::BAO));
        for name in std::iter::once(name.into_owned()).chain(twin) {
            names.extend([format!("{name}_FILE"), name]);
        }
    }
    (names, vec![var::OWN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_gets_a_secret_of_ours_under_any_of_its_names() {
        let (names, prefixes) = removed_variables(Some("MY_TOKEN"));
        for name in [
            "VAULT_TOKEN",
            "BAO_TOKEN",
            "VAULT_TOKEN_FILE",
            "BAO_TOKEN_FILE",
            "VAULT_SECRET_ID",
            "BAO_SECRET_ID_FILE",
            "VAULT_WRAPPING_TOKEN",
            "VAULT_ID_TOKEN",
            "VAULT_ROLE_ID",
            "CI_JOB_JWT_V2",
            "MY_TOKEN",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        assert!(!names.iter().any(|name| ["VAULT_ADDR", "VAULT_NAMESPACE"].contains(&name.as_str())));
        assert_eq!(prefixes, ["CI_CREDS_"]);
    }
}
