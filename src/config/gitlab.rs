//! GitLab's variable that holds the pipeline's token: which one, where its API is, and by which token it may be written.

use std::path::PathBuf;
use std::time::Duration;

use super::connection::read_pem;
use super::job::trimmed_path;
use super::name::check_variable_name;
use super::proxy::resolve_general_proxy;
use super::source::{Layers, SecretSource};
use super::trust;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::address::{Address, parse_server};
use crate::http::transport::{Connection, REQUEST, Roots};
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::variables as var;

/// A variable of GitLab's, and how it is reached.
#[derive(Debug)]
pub(crate) struct VariablePlan {
    /// How GitLab's API is reached. Nothing in it is Vault's: not its CA, not its proxy, no client certificate.
    pub connection: Connection,
    /// GitLab's token.
    pub token: Secret,
    /// Where it came from.
    pub token_origin: Origin,
    /// Whose variable it is.
    pub owner: Owner,
    /// Its name.
    pub key: String,
    /// The environments that it is for, where somebody named them.
    pub scope: Option<String>,
}

/// Whose variable it is.
#[derive(Debug)]
pub(crate) enum Owner {
    /// A project, by its number.
    Project(String),
    /// A group, by its number or its path.
    Group(String),
}

impl VariablePlan {
    /// Reads the system's roots, if no CA is named for GitLab.
    ///
    /// # Errors
    /// [`Kind::Config`] when this system has none.
    pub(crate) fn read_roots(&mut self, host: &Host) -> Result<()> {
        self.connection.read_roots(host).map_err(|error| {
            error.hint("install ca-certificates in the image; the CA that is set for Vault does not cover GitLab")
        })
    }
}

/// The deadline of a connection attempt to GitLab.
const CONNECT: Duration = Duration::from_secs(5);

/// Decides which variable is replaced, and how.
///
/// # Errors
/// [`Kind::Config`] and [`Kind::Input`] for what is missing or insecure, [`Kind::Usage`] for a name that is none.
pub(super) fn resolve_variable(flags: &cli::VariableFlags, layers: &Layers<'_>) -> Result<VariablePlan> {
    let key = WithOrigin { value: flags.gitlab_variable.clone(), origin: Origin::Flag("--gitlab-variable") };
    check_variable_name(&key)?;
    let owner = resolve_owner(flags, layers)?;
    let connection = resolve_connection(layers)?;
    let WithOrigin { value: token, origin: token_origin } = read_token(flags, layers)?;
    let scope = flags.environment_scope.clone();
    Ok(VariablePlan { connection, token, token_origin, owner, key: key.value, scope })
}

fn resolve_owner(flags: &cli::VariableFlags, layers: &Layers<'_>) -> Result<Owner> {
    if let Some(group) = &flags.group {
        let is_part = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if !group.split('/').all(is_part) {
            return Err(Error::new(Kind::Usage, "--group is neither the number nor the path of a group in GitLab")
                .hint("--group 42, or --group team/ops"));
        }
        return Ok(Owner::Group(group.clone()));
    }
    let project = layers.variable(var::CI_PROJECT_ID)?.ok_or_else(|| {
        Error::new(Kind::Config, "the project that has the variable is not set (CI_PROJECT_ID, or --group for a group)")
            .hint("GitLab sets CI_PROJECT_ID in every job; elsewhere set it to the number of the project")
    })?;
    match project.value.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(Owner::Project(project.value)),
        false => Err(Error::new(Kind::Config, format!("{} is not the number of a project", project.origin))),
    }
}

/// Security: two tokens go to this server. `allowed-origins` speaks of it as it does of Vault.
fn resolve_connection(layers: &Layers<'_>) -> Result<Connection> {
    let url = layers.variable(var::CI_API_V4_URL)?.ok_or_else(|| {
        Error::new(Kind::Config, "the address of GitLab's API is not set (CI_API_V4_URL)")
            .hint("GitLab sets it in every job; elsewhere set CI_API_V4_URL=https://gitlab.example.com/api/v4")
    })?;
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("the address of GitLab's API (from {}) {problem}", url.origin))
            .hint("https://gitlab.example.com/api/v4, or http:// for this machine only")
    };
    let server = parse_server(url.value.trim_end_matches('/')).map_err(|problem| wrong(&problem))?;
    if !server.tls && !server.is_loopback() {
        return Err(wrong(&format!(
            "is http:// to {}: anyone on the network path could read the tokens",
            server.authority()
        )));
    }
    let named = layers.variable(var::CI_SERVER_TLS_CA_FILE)?.filter(|_| server.tls);
    let address = Address::Tcp(server);
    let proxy = resolve_general_proxy(&address, layers)?;
    let proxy_and_ca_from_variables = named.is_some() && proxy.is_some();
    let reached = Connection::to_service(address, url.origin.to_string(), REQUEST);
    let roots = match &named {
        Some(path) => {
            let path = WithOrigin { value: PathBuf::from(&path.value), origin: path.origin.clone() };
            let origin = format!("{} (from {})", path.value.display(), path.origin);
            Roots::Pem { text: read_pem(&path, "CA", layers)?, origin }
        }
        None => reached.roots,
    };
    let connection = Connection { roots, proxy, proxy_and_ca_from_variables, connect_timeout: CONNECT, ..reached };
    trust::check_origin(&connection, &layers.files)?;
    Ok(connection)
}

fn read_token(flags: &cli::VariableFlags, layers: &Layers<'_>) -> Result<WithOrigin<Secret>> {
    let source = match (&flags.gitlab_token_file, &flags.gitlab_token_env) {
        (Some(path), _) => {
            SecretSource::File(WithOrigin { value: trimmed_path(path), origin: Origin::Flag("--gitlab-token-file") })
        }
        (None, Some(name)) => {
            let name = WithOrigin { value: name.clone(), origin: Origin::Flag("--gitlab-token-env") };
            check_variable_name(&name)?;
            let found = layers.secret_variable(&name.value)?;
            found.ok_or_else(|| {
                Error::new(Kind::Input, format!("{} (from {}) is not set in this job", name.value, name.origin))
                    .hint("store an access token of the project there: role Maintainer, scope api")
            })?
        }
        (None, None) => {
            return Err(Error::new(Kind::Input, "GitLab's token is not set (--gitlab-token-env, --gitlab-token-file)")
                .hint("name the variable that holds an access token with the role Maintainer and the scope api"));
        }
    };
    let job_files = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| folder.value);
    source.read_as(layers.host, ("GitLab token", &|_| None), job_files.as_deref())
}
