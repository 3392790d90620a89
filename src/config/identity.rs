//! The job's identity: the secret of the method that a run logs in with, and what belongs to it.
//!
//! The first method whose inputs are set is used, and its failure is the failure of the run. A secret is read only
//! after its method has been chosen.

use std::path::Path;

use super::iam;
use super::id_token::{Offer, OfferWay, find_audience, find_id_token, find_offer, setup_hint};
use super::method::{Inputs, choose, detect, find, find_beside, wanted};
use super::name::{check_role, parse_path, resolve_placeholders};
use super::source::{Layers, SecretSource};
use super::stored::stored_token;
use crate::claims::Claims;
use crate::cli;
use crate::error::{Error, Kind, Result, sanitized};
use crate::http::address::Address;
use crate::http::transport::{ClientCertificate, Connection};
use crate::identity::{AuthMethod, AwsSigner, Circumstances, Companion, Identity, Input, Login, ProofSource};
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::secret::Secret;
use crate::variables as var;

/// Chooses the way and reads its inputs. The second value is the job's ID token, for placeholders, whatever the way.
pub(super) fn resolve_login(
    flags: &cli::LoginFlags,
    connection: Option<&Connection>,
    layers: &Layers<'_>,
) -> Result<(Login, Option<Claims>)> {
    let mut found = find(flags, layers)?;
    let named = wanted(flags, layers)?;
    let method = match named {
        Some(method) => method,
        None => detect(&mut found, layers)?,
    };
    // Nothing but the missing name tells a generator token from a plain one that a role ID happens to be set beside.
    let perhaps_generator = named.is_none()
        && method.needs().proof == ProofSource::VaultToken
        && found.get(Input::Token).is_some()
        && found.get(Input::RoleId).is_some();
    let job_files = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| folder.value);
    let id_token_variable = found.get(Input::IdToken).and_then(SecretSource::variable).map(str::to_owned);
    let reader = Reader { layers, connection, method, job_files, id_token_variable };
    let has_id_token = found.get(Input::IdToken).is_some();
    // Read whatever the way, for its claims; that it cannot be read matters only where it is the proof.
    let id_token = found.take(Input::IdToken).map(|source| reader.read(source, Input::IdToken)).transpose();
    // What the CI system offers is no proof of anything else.
    let offer = found.offer.take().filter(|_| method.needs().proof == ProofSource::IdToken);
    let is_offer = offer.is_some();
    let id_token = match offer {
        Some(offer) => reader.read_offer(offer).map(Some),
        None => id_token,
    };
    let claims = id_token.as_ref().ok().and_then(|token| Claims::from_token(&token.as_ref()?.value));
    let role = match found.role.take() {
        Some(role) => Some(resolve_placeholders(role, claims.as_ref(), layers)?),
        None => method.needs().role.map(|name| layers.variable(name)).transpose()?.flatten(),
    };
    if let Some(role) = &role {
        check_role(role, "role of the login")?;
    }
    let file = found.get(Input::ServiceAccountToken).and_then(SecretSource::file).map(Path::to_owned);
    let proof = reader.read_proof(&mut found, id_token, role.is_some(), flags)?;
    let creation_path = reader.creation_path(flags)?;
    match &claims {
        _ if method.needs().proof != ProofSource::IdToken => {}
        Some(claims) => check_named_audience(claims, &proof.secret.origin, flags, layers)?,
        None => {
            let setup =
                setup_hint(layers)?.unwrap_or_else(|| "GitLab makes one for a job with `id_tokens:`".to_owned());
            return Err(Error::new(Kind::Input, format!("the ID token in {} is not a JWT", proof.secret.origin))
                .hint(format!("a JWT is three parts joined by dots; {setup}")));
        }
    }
    let key = layers.job_token.as_ref().filter(|_| is_offer).and_then(|token| token.key.as_ref());
    let beside = Circumstances {
        role_id: proof.role_id,
        claims: claims.clone(),
        key: key.map(Secret::duplicate),
        creation_path,
        child: flags.child_token,
        file,
        signer: proof.signer,
    };
    let WithOrigin { value: secret, origin } = proof.secret;
    let identity = method.identity(secret, beside).ok_or_else(|| missing(method, Input::RoleId.variable()))?;
    let mount = login_mount(method, flags, layers)?;
    // Beside an ID token it is that one's.
    let ignored_path = if has_id_token { None } else { ignored_path(method, flags, layers)? };
    let role_origin = role.as_ref().map_or(Origin::Default, |role| role.origin.clone());
    let role = role.map(|role| role.value);
    let renew = layers.switch(flags.renew, var::of_flag("--renew"), |file| file.renew_generator)?;
    Ok((Login { identity, mount, ignored_path, role, role_origin, origin, renew, perhaps_generator }, claims))
}

/// The job's ID token, as the identity of a job at another server than Vault: no mount and no role belongs to it.
///
/// # Errors
/// [`Kind::Input`] where the job has none, or what it has is none; [`Kind::Config`] for another audience than the user names.
pub(super) fn resolve_id_token(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Login> {
    if let Some(method) = wanted(flags, layers)?.filter(|method| *method != AuthMethod::IdToken) {
        let text = format!("AWS without Vault takes the job's ID token, and not the method {}", method.needs().name);
        return Err(Error::new(Kind::Usage, text).hint("--auth id-token, or drop --auth"));
    }
    let given = find_id_token(flags, layers)?;
    let offer = if given.is_some() { None } else { find_offer(flags, layers)? };
    let job_files = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| folder.value);
    let reader = Reader { layers, connection: None, method: AuthMethod::IdToken, job_files, id_token_variable: None };
    let is_offer = offer.is_some();
    let token = match (given, offer) {
        (Some(source), _) => reader.read(source, Input::IdToken)?,
        (None, Some(offer)) => reader.read_offer(offer)?,
        (None, None) => {
            let error = Error::new(Kind::Input, "the job has no ID token for AWS: VAULT_ID_TOKEN is not set");
            let in_gitlab = "in GitLab, give the job `id_tokens: {AWS_ID_TOKEN: {aud: sts.amazonaws.com}}`, and pass \
                --id-token-env AWS_ID_TOKEN";
            return Err(error.hint(setup_hint(layers)?.unwrap_or_else(|| in_gitlab.to_owned())));
        }
    };
    let claims = Claims::from_token(&token.value)
        .ok_or_else(|| Error::new(Kind::Input, format!("the ID token in {} is not a JWT", token.origin)))?;
    check_named_audience(&claims, &token.origin, flags, layers)?;
    let key = layers.job_token.as_ref().filter(|_| is_offer).and_then(|token| token.key.as_ref());
    let key = key.map(Secret::duplicate);
    Ok(Login {
        identity: Identity::IdToken { token: token.value, claims, key },
        mount: String::new(),
        ignored_path: None,
        role: None,
        role_origin: Origin::Default,
        origin: token.origin,
        renew: false,
        perhaps_generator: false,
    })
}

/// How a job logs in, for who sets that up: what is needed without a secret.
pub(super) struct LoginOutline {
    pub(super) method: AuthMethod,
    pub(super) mount: String,
    /// The role of the login, its placeholders open.
    pub(super) role: Option<WithOrigin<String>>,
    /// What the ID token says, where one is set.
    pub(super) claims: Option<Claims>,
}

/// Chooses the method as a run does, and an ID token if nothing is set. A Vault token is the operator's own where a role of the
/// login is named, or a claim: `binds`. Of the secrets it reads the ID token alone, for
/// its claims; it runs no token helper.
pub(super) fn resolve_outline(flags: &cli::LoginFlags, binds: bool, layers: &Layers<'_>) -> Result<LoginOutline> {
    let mut found = find_beside(find_id_token(flags, layers).unwrap_or_default(), flags, layers)?;
    let method = match wanted(flags, layers)? {
        Some(method) => method,
        None => match choose(&found, layers)? {
            Some(AuthMethod::Token) if binds || found.role.is_some() => AuthMethod::IdToken,
            method => method.unwrap_or(AuthMethod::IdToken),
        },
    };
    let job_files = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| folder.value);
    let mut claims = None;
    if let Some(source) = found.take(Input::IdToken) {
        match source.read(layers.host, Input::IdToken, job_files.as_deref()) {
            Ok(token) => claims = Claims::from_token(&token.value),
            Err(error) => layers.host.warn(format!("the ID token is not used: {}", error.message())),
        }
    }
    let role = match found.role.take() {
        Some(role) => Some(role),
        None => method.needs().role.map(|name| layers.variable(name)).transpose()?.flatten(),
    };
    Ok(LoginOutline { method, mount: login_mount(method, flags, layers)?, role, claims })
}

/// Reads what the chosen way needs.
struct Reader<'a> {
    layers: &'a Layers<'a>,
    /// How Vault is reached: its client certificate can be the proof.
    connection: Option<&'a Connection>,
    method: AuthMethod,
    /// The folder beside which GitLab puts its own file variables.
    job_files: Option<String>,
    /// The variable that holds the ID token, whatever it is called.
    id_token_variable: Option<String>,
}

/// The secret that proves who the job is, and what belongs to it.
struct Proof {
    secret: WithOrigin<Secret>,
    role_id: Option<Secret>,
    signer: Option<AwsSigner>,
}

impl Reader<'_> {
    fn read(&self, source: SecretSource, input: Input) -> Result<WithOrigin<Secret>> {
        source.read(self.layers.host, input, self.job_files.as_deref())
    }

    fn read_offer(&self, offer: Offer) -> Result<WithOrigin<Secret>> {
        match (offer.way, &self.layers.job_token) {
            (OfferWay::Source(source), _) => self.read(source, Input::IdToken),
            (OfferWay::Request, Some(requested)) => Ok(requested.duplicate().token),
            (OfferWay::Request, None) => {
                Err(Error::new(Kind::Input, "this command requests no ID token from the CI system")
                    .hint("set the identity that it needs, such as VAULT_TOKEN"))
            }
        }
    }

    fn demand(&self, found: &mut Inputs, input: Input) -> Result<WithOrigin<Secret>> {
        found.take(input).map_or_else(|| Err(missing(self.method, input.variable())), |source| self.read(source, input))
    }

    fn read_proof(
        &self,
        found: &mut Inputs,
        id_token: Result<Option<WithOrigin<Secret>>>,
        role_is_named: bool,
        flags: &cli::LoginFlags,
    ) -> Result<Proof> {
        let needs = self.method.needs();
        let mut role_id = None;
        if needs.companion == Companion::RoleId {
            role_id = Some(self.demand(found, Input::RoleId)?);
        }
        // Only by --auth: a role ID that a runner has for other methods must not log in by itself.
        let alone = needs.proof == ProofSource::Secret(Input::SecretId) && found.get(Input::SecretId).is_none();
        if let Some(secret) = role_id.take_if(|_| alone) {
            return Ok(Proof { secret, role_id: None, signer: None });
        }
        let mut signer = None;
        let secret = match needs.proof {
            ProofSource::Secret(input) => self.demand(found, input)?,
            ProofSource::IdToken => id_token?.ok_or_else(|| missing(self.method, Input::IdToken.variable()))?,
            ProofSource::VaultToken => self.token(found, Input::Token)?,
            ProofSource::ClientCertificate => self.client_key()?,
            ProofSource::AwsCredentials => {
                let found = iam::resolve_signer(flags, self.layers)?;
                signer = Some(found.signer);
                // The secret itself stays with the signer: it may have to be fetched first.
                WithOrigin { value: Secret::new(String::new()), origin: found.origin }
            }
        };
        if needs.companion == Companion::RoleIdIfPresent {
            role_id = found.take(Input::RoleId).map(|source| self.read(source, Input::RoleId)).transpose()?;
        }
        if needs.role_required && !role_is_named {
            return Err(missing(self.method, needs.role.unwrap_or(ROLE_FLAG)));
        }
        Ok(Proof { secret, role_id: role_id.map(|id| id.value), signer })
    }

    /// The key of the client certificate, which TLS proves.
    fn client_key(&self) -> Result<WithOrigin<Secret>> {
        let Some(connection) = self.connection else {
            return Err(Error::new(Kind::Config, "the method cert needs the connection, whose settings are wrong"));
        };
        if !matches!(&connection.address, Address::Tcp(server) if server.tls) {
            let text = format!(
                "the address (from {}) is not https://, and the method cert logs in by TLS",
                connection.address_origin
            );
            let change = format!("set {} to the address with https://", connection.address_setting);
            return Err(Error::new(Kind::Config, text).hint(change));
        }
        let Some(ClientCertificate { key, origin, .. }) = &connection.identity else {
            return Err(Error::new(Kind::Input, "VAULT_CLIENT_CERT is not set, and the method cert needs it")
                .hint("set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY, or --client-cert PATH and --client-key PATH"));
        };
        Ok(WithOrigin { value: key.duplicate(), origin: origin.clone() })
    }

    fn creation_path(&self, flags: &cli::LoginFlags) -> Result<Option<String>> {
        if self.method.needs().proof != ProofSource::Secret(Input::WrappingToken) {
            return Ok(None);
        }
        let flag = ("--creation-path", flags.creation_path.as_deref());
        let path = self.layers.text(flag, var::of_flag(flag.0), |file| file.creation_path.as_deref())?;
        Ok(path.map(|path| parse_path(path, "creation path")).transpose()?.map(|path| path.value))
    }

    fn token(&self, found: &mut Inputs, input: Input) -> Result<WithOrigin<Secret>> {
        match (found.take(input), found.stored.take()) {
            (Some(source), _) => self.read(source, input),
            (None, Some(stored)) => Ok(stored),
            (None, None) => stored_token(self.layers, self.id_token_variable.as_deref())?
                .ok_or_else(|| missing(self.method, input.variable())),
        }
    }
}

/// How messages name the role of a login that no variable of its own names.
const ROLE_FLAG: &str = "--auth-role";

/// Security: an audience that the user names is what the token must be for, whoever signed it.
fn check_named_audience(claims: &Claims, origin: &Origin, flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<()> {
    let Some(named) = find_audience(flags, layers)? else { return Ok(()) };
    if claims.audiences().contains(&named.value) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "the ID token (from {origin}) is for {} and not for the audience that {} names: it was not sent",
            sanitized(&claims.audiences().join(", ")),
            named.origin
        ),
    )
    .hint(format!("have a token signed for that audience, or drop {}", named.origin)))
}

fn login_mount(method: AuthMethod, flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<String> {
    let needs = method.needs();
    let common = var::of_flag("--auth-mount").iter().copied();
    let variables: Vec<_> = common.chain(needs.mount_variable).collect();
    let mount = layers
        .text(("--auth-mount", flags.auth_mount.as_deref()), &variables, |file| file.auth_mount.as_deref())?
        .unwrap_or_else(|| WithOrigin::default(needs.mount.to_owned()));
    // `vault auth list` shows `auth/gitlab/` in places; both spellings mean the same mount.
    let mount = mount.map(|mount| mount.trim_matches('/').strip_prefix("auth/").map_or(mount.clone(), str::to_owned));
    parse_path(mount, "mount of the login").map(|mount| mount.value)
}

/// The mount of the ID token's login, where it is set and this login is another one at its default mount. It does not
/// count there: a pipeline sets it for all of its jobs, some of which log in with an ID token.
fn ignored_path(method: AuthMethod, flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<String>> {
    let needs = method.needs();
    let common = var::of_flag("--auth-mount");
    let named =
        layers.text(("--auth-mount", flags.auth_mount.as_deref()), common, |file| file.auth_mount.as_deref())?;
    if named.is_some() || needs.mount_variable.is_some() {
        return Ok(None);
    }
    // What cannot be read is no mount to propose, and harms nothing where it does not count.
    let path = layers.variable(var::VAULT_AUTH_PATH).ok().flatten();
    let path = path.and_then(|path| parse_path(path, "mount of the login").ok()).map(|path| path.value);
    Ok(path.filter(|path| path != needs.mount))
}

fn missing(method: AuthMethod, name: &str) -> Error {
    let way = method.needs().name;
    let error = Error::new(Kind::Input, format!("{name} is not set, and the method {way} needs it"));
    match name {
        var::VAULT_APPROLE_ROLE => error.hint("set VAULT_APPROLE_ROLE to the AppRole's name, or --auth-role NAME"),
        ROLE_FLAG => error.hint(format!("--auth-role NAME, or {}", var::CI_CREDS_AUTH_ROLE)),
        var::VAULT_ID_TOKEN => error.hint(
            "give the job `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`, or name its variable with \
            --id-token-env",
        ),
        _ => error.hint(format!("set {name}, or {name}_FILE, for this job")),
    }
}
