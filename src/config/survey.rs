//! What a run with these flags and variables would do, as far as that can be decided: for `ci-creds doctor`, which goes on
//! behind a mistake. Every mistake is collected that would end the run before its first request.

use super::output::{Delivery, Output};
use super::plan::{Access, CredentialPlan, Maker, Plan};
use super::private::find_private_names;
use super::secret::{resolve_sections, select_sections};
use super::source::Layers;
use super::surrounding::{Surroundings, survey_surroundings};
use super::web_identity::{self, WebIdentityPlan};
use super::web_role;
use super::{connection, identity, resolve_wanted, trust};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::transport::{Connection, Roots};
use crate::identity::Login;
use crate::origin::WithOrigin;
use crate::provider::role::WebIdentityRequest;
use crate::render::format::Format;
use crate::typo::looks_like_a_token;
use crate::variables as var;

/// What is known of a run.
pub(crate) struct Survey {
    /// How far the run is decided.
    pub(crate) known: Known,
    /// The values that were set, in the order in which they are used.
    pub(crate) settings: Vec<SettingRow>,
    /// Everything that ends the run before its first request, the first one first.
    pub(crate) mistakes: Vec<Error>,
    /// What is around the run.
    pub(crate) surroundings: Surroundings,
    /// Names of hosts, which a report withholds.
    pub(crate) private: Vec<String>,
}

/// How far a run is decided.
pub(crate) enum Known {
    /// Not even which server may be asked.
    Nothing,
    /// The server. Nothing secret is to be sent there.
    Server(Box<Connection>),
    /// The server and the login.
    Access(Box<Access>),
    /// All of it.
    Plan(Box<Plan>),
}

impl Known {
    /// How Vault is reached.
    #[must_use]
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Nothing => None,
            Self::Server(connection) => Some(connection),
            Self::Access(access) => Some(&access.connection),
            Self::Plan(plan) => Some(&plan.connection),
        }
    }

    /// Who the job is.
    #[must_use]
    pub(crate) fn login(&self) -> Option<&Login> {
        match self {
            Self::Nothing | Self::Server(_) => None,
            Self::Access(access) => Some(&access.login),
            Self::Plan(plan) => Some(&plan.login),
        }
    }

    /// What is read.
    #[must_use]
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Plan(plan) => Some(plan),
            _ => None,
        }
    }
}

/// A value that was set. It holds no secret.
pub(crate) struct SettingRow {
    /// What it is.
    pub(crate) name: &'static str,
    /// The value, or what is told in its place.
    pub(crate) value: String,
    /// Where it came from.
    pub(crate) origin: String,
}

/// Decides what can be decided. `found`: the layers of a run, or why it has none.
pub(crate) fn survey(flags: &cli::DoctorFlags, found: Result<Layers<'_>>, host: &Host) -> Survey {
    let mut mistakes = Vec::new();
    let (layers, refusal) = match found {
        Ok(layers) => (layers, None),
        // Without the ID token, or without the files themselves.
        Err(refusal) => match note(Layers::read(&flags.access.connection, host), &mut mistakes) {
            Some(layers) => (layers, Some(refusal)),
            None => (Layers::bare(host), None),
        },
    };
    let mut settings: Vec<_> = layers.files.paths().map(|path| row("configuration", path.display(), "file")).collect();
    if let Some(wanted) = &flags.wanted {
        match web_role::find_request(wanted, &layers) {
            Ok(None) => {}
            found => return survey_web_identity(found, (wanted, flags, refusal), settings, &layers),
        }
    }
    let connection = note(connection::resolve_connection(&flags.access.connection, false, &layers), &mut mistakes);
    let connection = connection.and_then(|mut connection| {
        note(connection.read_roots(host), &mut mistakes)?;
        Some(connection)
    });
    settings.extend(connection.iter().flat_map(|connection| describe_connection(connection, flags, &layers)));
    let listed = connection.as_ref().map(|connection| trust::check_origin(connection, &layers.files));
    let listed = listed.and_then(|listed| note(listed, &mut mistakes));
    let is_allowed = listed.is_some() || connection.is_none();
    let login = match refusal {
        Some(refusal) => Err(refusal),
        None => identity::resolve_login(&flags.access.login, connection.as_ref(), &layers),
    };
    let login = note(login, &mut mistakes);
    settings.extend(login.iter().flat_map(|(login, _)| describe_login(login)));
    settings.extend(describe_texts(&login_texts(flags, &layers)));
    let is_meant = match (&connection, &login) {
        (Some(connection), Some((login, _))) if listed != Some(true) && !flags.access.login.any_audience => {
            let claims = login.identity.claims();
            claims.is_none_or(|claims| note(trust::check_audience(connection, claims), &mut mistakes).is_some())
        }
        _ => true,
    };
    let wanted = flags.wanted.as_ref().and_then(|wanted| {
        let (login, claims) = login.as_ref()?;
        note(resolve_wanted(wanted, true, (login, claims.as_ref()), &layers), &mut mistakes)
    });
    let found = flags.secrets.as_ref().and_then(|secrets| {
        let sections = note(select_sections(secrets, &layers), &mut mistakes)?;
        let (_, claims) = login.as_ref()?;
        note(resolve_sections(sections, claims.as_ref(), &layers), &mut mistakes)
    });
    let (wanted, others) = match found {
        Some(mut found) if !found.is_empty() => (Some(found.remove(0)), found),
        _ => (wanted, Vec::new()),
    };
    settings.extend(wanted.iter().chain(&others).flat_map(describe_wanted));
    let surroundings = survey_surroundings(wanted.as_ref(), host);
    let claims = login.as_ref().and_then(|(login, _)| login.identity.claims());
    let private = find_private_names(&flags.access.connection, claims, &layers);
    let known = match (connection, login.map(|(login, _)| login)) {
        (None, _) => Known::Nothing,
        // Security: nothing is sent to an address that the administrator does not allow.
        (Some(_), _) if !is_allowed => Known::Nothing,
        (Some(connection), Some(login)) if is_meant => match wanted {
            Some(wanted) => {
                let reads = 1 + others.len() as u64;
                Known::Plan(Box::new(Plan { others, reads, ..plan(connection, login, wanted) }))
            }
            None => Known::Access(Box::new(Access { connection, login })),
        },
        (Some(connection), _) => Known::Server(Box::new(connection)),
    };
    Survey { known, settings, mistakes, surroundings, private }
}

/// The same of a credential that needs no Vault.
fn survey_web_identity(
    found: Result<Option<WebIdentityRequest>>,
    (wanted, flags, refusal): (&cli::CredentialFlags, &cli::DoctorFlags, Option<Error>),
    mut settings: Vec<SettingRow>,
    layers: &Layers<'_>,
) -> Survey {
    let host = layers.host;
    let asked = (wanted, &flags.access);
    let decide = |request| {
        let mut plan = web_identity::resolve(request, asked, false, layers)?;
        plan.access.connection.read_roots(host)?;
        Ok(plan)
    };
    let decided = match (refusal, found) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(Some(request))) => decide(request),
        (None, Ok(None)) => Err(Error::new(Kind::Internal, "no credential without Vault is asked for")),
        (None, Err(error)) => Err(error),
    };
    let WebIdentityPlan { sts, access: Access { connection, login }, wanted } = match decided {
        Ok(plan) => plan,
        Err(error) => {
            let surroundings = survey_surroundings(None, host);
            let private = find_private_names(&flags.access.connection, None, layers);
            return Survey { known: Known::Nothing, settings, mistakes: vec![error], surroundings, private };
        }
    };
    settings.push(row("STS", &connection.address, &connection.address_origin));
    settings.extend(describe_login(&login).into_iter().filter(|row| row.name == "login"));
    settings.extend(describe_wanted(&wanted));
    let surroundings = survey_surroundings(Some(&wanted), host);
    let private = find_private_names(&flags.access.connection, login.identity.claims(), layers);
    let plan = Plan { maker: Maker::Sts(Box::new(sts)), ..plan(connection, login, wanted) };
    Survey { known: Known::Plan(Box::new(plan)), settings, mistakes: Vec::new(), surroundings, private }
}

fn note<T>(result: Result<T>, mistakes: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| mistakes.push(error)).ok()
}

fn plan(connection: Connection, login: Login, wanted: CredentialPlan) -> Plan {
    let output = Output {
        format: Format::Shell,
        delivery: Delivery::Environment,
        verbose: false,
        quiet: true,
        in_a_job: false,
        keep_profile: wanted.keep_profile,
        folder: None,
    };
    Plan::new(connection, login, wanted, None, output)
}

fn row(name: &'static str, value: impl ToString, origin: impl ToString) -> SettingRow {
    SettingRow { name, value: value.to_string(), origin: origin.to_string() }
}

/// Security: an address and a proxy can have a password in them; what was read of them is told.
fn describe_connection(connection: &Connection, flags: &cli::DoctorFlags, layers: &Layers<'_>) -> Vec<SettingRow> {
    let mut rows = vec![row("address", &connection.address, &connection.address_origin)];
    rows.extend(describe_texts(&connection_texts(flags, layers)));
    if let Some(proxy) = &connection.proxy {
        rows.push(row("proxy", "its address is not shown", &proxy.origin));
    }
    match &connection.roots {
        Roots::Pem { origin, .. } => rows.push(row("CA", origin, "")),
        Roots::Unchecked => rows.push(row("CA", "none: the certificate is not checked", "--insecure-skip-verify")),
        Roots::System | Roots::None => {}
    }
    rows
}

/// A text, by what it is.
type Texts = Vec<(&'static str, Option<WithOrigin<String>>)>;

fn connection_texts(flags: &cli::DoctorFlags, layers: &Layers<'_>) -> Texts {
    let given = &flags.access.connection;
    let text =
        |flag: &'static str, value: Option<&str>, in_file: &dyn Fn(&super::settings::Settings) -> Option<&str>| {
            layers.text((flag, value), var::of_flag(flag), in_file).ok().flatten()
        };
    vec![
        ("namespace", text("--namespace", given.namespace.as_deref(), &|file| file.namespace.as_deref())),
        (
            "TLS server name",
            text("--tls-server-name", given.tls_server_name.as_deref(), &|file| file.tls_server_name.as_deref()),
        ),
        (
            "request timeout",
            text("--request-timeout", given.request_timeout.as_deref(), &|file| file.request_timeout.as_deref()),
        ),
        ("timeout", text("--timeout", given.timeout.as_deref(), &|file| file.timeout.as_deref())),
    ]
}

fn login_texts(flags: &cli::DoctorFlags, layers: &Layers<'_>) -> Texts {
    let given = &flags.access.login;
    let text =
        |flag: &'static str, value: Option<&str>, in_file: &dyn Fn(&super::settings::Settings) -> Option<&str>| {
            layers.text((flag, value), var::of_flag(flag), in_file).ok().flatten()
        };
    vec![(
        "creation path",
        text("--creation-path", given.creation_path.as_deref(), &|file| file.creation_path.as_deref()),
    )]
}

fn describe_texts(texts: &Texts) -> Vec<SettingRow> {
    let set = texts.iter().filter_map(|(name, found)| Some((name, found.as_ref()?)));
    set.map(|(name, found)| row(name, without_secret(&found.value), &found.origin)).collect()
}

/// Security: a secret in the place of a name is told by its length.
fn without_secret(text: &str) -> String {
    if looks_like_a_token(text) {
        format!("what looks like a token, {} characters", text.len())
    } else {
        text.to_owned()
    }
}

fn describe_login(login: &Login) -> Vec<SettingRow> {
    let facts = login.identity.facts();
    let length = match facts.secret.expose().len() {
        // What is fetched first is not here yet.
        0 => String::new(),
        length => format!(" of {length} characters"),
    };
    let mut rows = vec![row("login", format!("{}{length}", facts.name), &login.origin)];
    if let Some(companion) = facts.companion {
        rows.push(row("role ID", format!("{} characters", companion.expose().len()), ""));
    }
    if login.identity.facts().companion.is_some() || login.role.is_some() || login.identity.claims().is_some() {
        rows.push(row("auth mount", format!("auth/{}", login.mount), ""));
        rows.extend(login.role.as_ref().map(|role| row("auth role", without_secret(role), &login.role_origin)));
    }
    rows
}

fn describe_wanted(wanted: &CredentialPlan) -> Vec<SettingRow> {
    let mut rows = match wanted.shape.is_found_by_path() {
        true => vec![row("path", &wanted.mint.path, &wanted.role_origin)],
        false => {
            vec![row("role", without_secret(&wanted.role), &wanted.role_origin), row("path", &wanted.mint.path, "")]
        }
    };
    rows.extend(wanted.mint.parameters.iter().map(|(name, value)| row(name, value, "")));
    rows
}
