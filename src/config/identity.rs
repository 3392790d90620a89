//! Who the job is: which of the ways to log in, and with what.
//!
//! Detect first, then commit: the first way whose inputs are present is taken, and its failure is the failure of
//! the run. A secret is read only when its way has been chosen.

use std::path::Path;

use super::file::Settings;
use super::input::Input;
use super::name::{check_role, check_variable_name, parse_path, resolve_placeholders};
use super::source::{Layers, SecretSource};
use super::stored::stored_token;
use crate::claims::Claims;
use crate::cli::{self, Method};
use crate::error::{Error, Kind, Result};
use crate::identity::{Identity, Login};
use crate::origin::Origin;
use crate::origin::Sourced;
use crate::secret::Secret;
use crate::variables as var;

/// The inputs that are present; nothing of them is read yet.
struct Found {
    wrapping_token: Option<SecretSource>,
    secret_id: Option<SecretSource>,
    role_id: Option<SecretSource>,
    id_token: Option<SecretSource>,
    token: Option<SecretSource>,
    /// What `vault login` left; looked for only when nothing else is there, for a helper may have to be asked.
    stored: Option<Sourced<Secret>>,
    role: Option<Sourced<String>>,
}

/// Chooses the way and reads its inputs. The second value is the job's ID token, for placeholders, whatever the way.
pub(super) fn resolve_login(flags: &cli::Login, layers: &Layers<'_>) -> Result<(Login, Option<Claims>)> {
    let mut found = find(flags, layers)?;
    let named = wanted(flags, layers)?;
    let method = match named {
        Some(method) => method,
        None => detect(&mut found, layers)?,
    };
    // Nothing but the missing name tells a generator token from a plain one that a role id happens to be set beside.
    let perhaps_generator =
        named.is_none() && method == Method::Token && found.token.is_some() && found.role_id.is_some();
    let job_files = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| folder.value);
    let id_token_variable = found.id_token.as_ref().and_then(SecretSource::variable).map(str::to_owned);
    let reader = Reader { layers, method, job_files, id_token_variable };
    // Read whatever the way, for its claims; that it cannot be read matters only where it is the proof.
    let id_token = found.id_token.take().map(|source| reader.read(source, Input::IdToken)).transpose();
    let claims = id_token.as_ref().ok().and_then(|token| Claims::from_token(&token.as_ref()?.value));
    let role = match found.role.take() {
        Some(role) => Some(resolve_placeholders(role, claims.as_ref(), layers)?),
        None => login_role(method, layers)?,
    };
    if let Some(role) = &role {
        check_role(role, "role of the login")?;
    }
    let (identity, origin) = match method {
        Method::WrappingToken => reader.wrapping_token(found, flags)?,
        Method::SecretId => reader.secret_id(found)?,
        Method::GeneratorToken => reader.generator_token(found, role.is_some())?,
        Method::IdToken => reader.id_token(id_token?, claims.clone())?,
        Method::Token => reader.token(found, flags)?,
    };
    let mount = login_mount(method, flags, layers)?;
    let role_origin = role.as_ref().map_or(Origin::Default, |role| role.origin.clone());
    let role = role.map(|role| role.value);
    Ok((Login { identity, mount, role, role_origin, origin, perhaps_generator }, claims))
}

/// Reads what the chosen way needs.
struct Reader<'a> {
    layers: &'a Layers<'a>,
    method: Method,
    /// The folder beside which GitLab puts its own file variables.
    job_files: Option<String>,
    /// The variable that holds the ID token, whatever it is called.
    id_token_variable: Option<String>,
}

/// A proof, and where its secret came from.
type Proof = (Identity, Origin);

impl Reader<'_> {
    fn read(&self, source: SecretSource, input: Input) -> Result<Sourced<Secret>> {
        source.read(self.layers.host, input, self.job_files.as_deref())
    }

    fn demand(&self, source: Option<SecretSource>, input: Input, name: &str) -> Result<Sourced<Secret>> {
        source.map_or_else(|| Err(missing(self.method, name)), |source| self.read(source, input))
    }

    fn wrapping_token(&self, found: Found, flags: &cli::Login) -> Result<Proof> {
        let token = self.demand(found.wrapping_token, Input::WrappingToken, var::VAULT_WRAPPING_TOKEN)?;
        let role_id = found.role_id.map(|source| self.read(source, Input::RoleId)).transpose()?.map(|id| id.value);
        let flag = ("--creation-path", flags.creation_path.as_deref());
        let path = self.layers.text(flag, &[var::CI_CREDS_CREATION_PATH], |file| file.creation_path.as_deref())?;
        let creation_path = path.map(|path| parse_path(path, "creation path")).transpose()?.map(|path| path.value);
        Ok((Identity::WrappingToken { token: token.value, role_id, creation_path }, token.origin))
    }

    fn secret_id(&self, found: Found) -> Result<Proof> {
        let role_id = self.demand(found.role_id, Input::RoleId, var::VAULT_ROLE_ID)?;
        // Only by --auth: a role id that a runner has for other ways must not log in by itself.
        let Some(secret_id) = found.secret_id else {
            return Ok((Identity::RoleId { role_id: role_id.value }, role_id.origin));
        };
        let secret_id = self.read(secret_id, Input::SecretId)?;
        Ok((Identity::SecretId { role_id: role_id.value, secret_id: secret_id.value }, secret_id.origin))
    }

    fn generator_token(&self, found: Found, role_is_named: bool) -> Result<Proof> {
        let role_id = self.demand(found.role_id, Input::RoleId, var::VAULT_ROLE_ID)?.value;
        let token = self.demand(found.token, Input::Token, var::VAULT_TOKEN)?;
        if !role_is_named {
            return Err(missing(self.method, var::VAULT_APPROLE_ROLE));
        }
        Ok((Identity::GeneratorToken { token: token.value, role_id }, token.origin))
    }

    fn id_token(&self, token: Option<Sourced<Secret>>, claims: Option<Claims>) -> Result<Proof> {
        let token = token.ok_or_else(|| missing(self.method, var::VAULT_ID_TOKEN))?;
        let Some(claims) = claims else {
            return Err(Error::new(Kind::Input, format!("the ID token in {} is not a JWT", token.origin))
                .hint("three parts joined by dots; GitLab makes it for a job with `id_tokens:`"));
        };
        Ok((Identity::IdToken { token: token.value, claims }, token.origin))
    }

    fn token(&self, found: Found, flags: &cli::Login) -> Result<Proof> {
        let token = match (found.token, found.stored) {
            (Some(source), _) => self.read(source, Input::Token)?,
            (None, Some(stored)) => stored,
            (None, None) => stored_token(self.layers, self.id_token_variable.as_deref())?
                .ok_or_else(|| missing(self.method, var::VAULT_TOKEN))?,
        };
        Ok((Identity::Token { token: token.value, child: flags.child_token }, token.origin))
    }
}

fn wanted(flags: &cli::Login, layers: &Layers<'_>) -> Result<Option<Method>> {
    if flags.auth.is_some() {
        return Ok(flags.auth);
    }
    let Some(text) = layers.text(("", None), &[var::CI_CREDS_AUTH], |file| file.auth.as_deref())? else {
        return Ok(None);
    };
    METHODS.iter().find(|(_, name)| *name == text.value.trim()).map(|(method, _)| Some(*method)).ok_or_else(|| {
        Error::new(Kind::Config, format!("{} names no way to log in", text.origin))
            .hint(format!("one of {}", METHODS.map(|(_, name)| name).join(", ")))
    })
}

/// The ways by the names that `--auth` takes.
const METHODS: [(Method, &str); 5] = [
    (Method::WrappingToken, "wrapping-token"),
    (Method::SecretId, "secret-id"),
    (Method::GeneratorToken, "generator-token"),
    (Method::IdToken, "id-token"),
    (Method::Token, "token"),
];

fn find(flags: &cli::Login, layers: &Layers<'_>) -> Result<Found> {
    type InFile = fn(&Settings) -> Option<&Path>;
    let secret = |flag: &'static str, path: &Option<std::path::PathBuf>, variable, in_file: InFile| {
        layers.find_secret((flag, path.as_deref()), variable, in_file)
    };
    Ok(Found {
        wrapping_token: secret(
            "--wrapping-token-file",
            &flags.wrapping_token_file,
            var::VAULT_WRAPPING_TOKEN,
            |file| file.wrapping_token_file.as_deref(),
        )?,
        secret_id: secret("--secret-id-file", &flags.secret_id_file, var::VAULT_SECRET_ID, |file| {
            file.secret_id_file.as_deref()
        })?,
        role_id: secret("--role-id-file", &flags.role_id_file, var::VAULT_ROLE_ID, |file| {
            file.role_id_file.as_deref()
        })?,
        id_token: find_id_token(flags, layers)?,
        token: secret("--token-file", &flags.token_file, var::VAULT_TOKEN, |file| file.token_file.as_deref())?,
        stored: None,
        role: layers.text(("--auth-role", flags.auth_role.as_deref()), &[var::CI_CREDS_AUTH_ROLE], |file| {
            file.auth_role.as_deref()
        })?,
    })
}

fn find_id_token(flags: &cli::Login, layers: &Layers<'_>) -> Result<Option<SecretSource>> {
    if flags.id_token_file.is_none() {
        let named =
            layers.text(("--id-token-env", flags.id_token_env.as_deref()), &[], |file| file.id_token_env.as_deref())?;
        if let Some(name) = named {
            check_variable_name(&name)?;
            let found = layers.find_secret(("", None), &name.value, |_| None)?;
            // A flag is a promise: without the variable the run fails. A configuration file speaks for every job.
            if found.is_none() && matches!(name.origin, Origin::Flag(_)) {
                return Err(Error::new(
                    Kind::Input,
                    format!("{} (from {}) is not set in this job", name.value, name.origin),
                )
                .hint(format!("give the job `id_tokens: {{{}: {{aud: https://vault.example.com}}}}`", name.value)));
            }
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    let file = flags.id_token_file.as_deref();
    let found =
        layers.find_secret(("--id-token-file", file), var::VAULT_ID_TOKEN, |file| file.id_token_file.as_deref())?;
    if found.is_some() {
        return Ok(found);
    }
    for old in [var::CI_JOB_JWT_V2, var::CI_JOB_JWT, var::CI_JOB_JWT_V1] {
        if let Some(text) = layers.variable(old)? {
            layers.host.warn(format!(
                "{old} is used as the ID token; GitLab 17 removed it: give the job `id_tokens: {{VAULT_ID_TOKEN: \
                {{aud: …}}}}`"
            ));
            return Ok(Some(SecretSource::Variable(text.map(Secret::new))));
        }
    }
    Ok(None)
}

/// The first way whose inputs are present. A wrapping token needs no role id when it holds a login, which only a
/// lookup can tell.
fn detect(found: &mut Found, layers: &Layers<'_>) -> Result<Method> {
    let named_approle = found.role.is_some() || layers.variable(var::VAULT_APPROLE_ROLE)?.is_some();
    let methods = [
        (Method::WrappingToken, found.wrapping_token.is_some()),
        (Method::SecretId, found.secret_id.is_some() && found.role_id.is_some()),
        (Method::GeneratorToken, found.token.is_some() && found.role_id.is_some() && named_approle),
        (Method::IdToken, found.id_token.is_some()),
        (Method::Token, found.token.is_some()),
    ];
    if let Some((method, _)) = methods.iter().find(|(_, present)| *present) {
        return Ok(*method);
    }
    found.stored = stored_token(layers, None)?;
    if found.stored.is_some() {
        return Ok(Method::Token);
    }
    let half = match (&found.secret_id, &found.role_id) {
        (Some(_), None) => " (VAULT_SECRET_ID is set, but not VAULT_ROLE_ID)",
        (None, Some(_)) => " (VAULT_ROLE_ID is set, but neither VAULT_SECRET_ID nor VAULT_TOKEN)",
        _ => "",
    };
    Err(Error::new(
        Kind::Config,
        format!(
            "nothing to log in with{half}: looked for VAULT_WRAPPING_TOKEN, VAULT_ROLE_ID with VAULT_SECRET_ID, \
            VAULT_ROLE_ID with VAULT_TOKEN and VAULT_APPROLE_ROLE, VAULT_ID_TOKEN, VAULT_TOKEN, their _FILE twins, a \
            token helper in ~/.vault, ~/.vault-token"
        ),
    )
    .hint("in GitLab, give the job `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`; at a desk, run vault login"))
}

fn login_role(method: Method, layers: &Layers<'_>) -> Result<Option<Sourced<String>>> {
    match method {
        Method::WrappingToken | Method::SecretId | Method::GeneratorToken => layers.variable(var::VAULT_APPROLE_ROLE),
        Method::IdToken => layers.variable(var::VAULT_AUTH_ROLE),
        Method::Token => Ok(None),
    }
}

fn login_mount(method: Method, flags: &cli::Login, layers: &Layers<'_>) -> Result<String> {
    let (variables, default): (&[&str], _) = match method {
        Method::IdToken => (&[var::CI_CREDS_AUTH_MOUNT, var::VAULT_AUTH_PATH], "jwt"),
        _ => (&[var::CI_CREDS_AUTH_MOUNT], "approle"),
    };
    let mount = layers
        .text(("--auth-mount", flags.auth_mount.as_deref()), variables, |file| file.auth_mount.as_deref())?
        .unwrap_or_else(|| Sourced::default(default.to_owned()));
    // `vault auth list` shows `auth/gitlab/` in places; both spellings mean the same mount.
    let mount = mount.map(|mount| mount.trim_matches('/').strip_prefix("auth/").map_or(mount.clone(), str::to_owned));
    parse_path(mount, "mount of the login").map(|mount| mount.value)
}

fn missing(method: Method, name: &str) -> Error {
    let way = METHODS.iter().find(|(known, _)| *known == method).map_or("", |(_, name)| name);
    let error = Error::new(Kind::Input, format!("{name} is not set, and the login by {way} needs it"));
    match name {
        var::VAULT_APPROLE_ROLE => error.hint("set VAULT_APPROLE_ROLE to the AppRole's name, or --auth-role NAME"),
        var::VAULT_ID_TOKEN => error.hint(
            "give the job `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`, or name its variable with \
            --id-token-env",
        ),
        _ => error.hint(format!("set {name}, or {name}_FILE, for this job")),
    }
}
