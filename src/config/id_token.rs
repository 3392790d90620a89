//! The job's ID token: a variable or file that the user names, or what the CI system offers. Nothing is read or requested.

use super::name::check_variable_name;
use super::source::{Layers, SecretSource};
use crate::ci::{CiSystem, TokenSource};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::identity::Input;
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::variables as var;

/// What the CI system offers where the user gives no token.
pub(super) struct Offer {
    pub(super) system: CiSystem,
    pub(super) way: OfferWay,
    /// Whether the user asks for it by name. If not, everything that he does set comes first.
    pub(super) by_name: bool,
}

/// How that token is had.
pub(super) enum OfferWay {
    Source(SecretSource),
    Request,
}

/// What `--id-token-from` says.
enum Wish {
    Auto,
    Variable(String),
    System(CiSystem),
}

/// The token that the user gives for Vault. `None`: the user gives none.
pub(super) fn find_id_token(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<SecretSource>> {
    find_id_token_for("https://vault.example.com", flags, layers)
}

/// The token that the user gives for a server of this audience. `None`: the user gives none.
pub(super) fn find_id_token_for(
    audience: &str,
    flags: &cli::LoginFlags,
    layers: &Layers<'_>,
) -> Result<Option<SecretSource>> {
    if flags.file(Input::IdToken).is_none()
        && let Some(name) = named_variable(flags, layers)?
    {
        check_variable_name(&name)?;
        let found = layers.secret_variable(&name.value)?;
        // A flag is a promise: without the variable the run fails. A configuration file speaks for every job.
        if found.is_none() && matches!(name.origin, Origin::Flag(_)) {
            let error = format!("{} (from {}) is not set in this job", name.value, name.origin);
            return Err(Error::new(Kind::Input, error)
                .hint(format!("give the job `id_tokens: {{{}: {{aud: {audience}}}}}`", name.value)));
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    let input = Input::IdToken;
    let flag = (input.facts().flag, flags.file(input));
    let found = layers.find_secret(flag, input.variable(), |file| file.file_of(input))?;
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

/// The variable that `--id-token-env` names, or `--id-token-from env:NAME`.
pub(super) fn named_variable(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<String>>> {
    if let (None, Some(WithOrigin { value: Wish::Variable(name), origin })) =
        (&flags.id_token_env, find_wish(flags, layers)?)
    {
        return Ok(Some(WithOrigin { value: name, origin }));
    }
    layers.text(("--id-token-env", flags.id_token_env.as_deref()), &[], |file| file.id_token_env.as_deref())
}

/// The variables that no command gets: those of the token that is used.
pub(super) fn private_variables(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Vec<String>> {
    let named = named_variable(flags, layers)?.map(|name| name.value);
    let system = match &layers.job_token {
        Some(token) => Some(token.system),
        None if named.is_none() && find_id_token(flags, layers)?.is_none() => {
            find_offer(flags, layers)?.map(|offer| offer.system)
        }
        None => None,
    };
    let own = system.map(CiSystem::private_variables).unwrap_or_default();
    Ok(named.into_iter().chain(own.into_iter().map(str::to_owned)).collect())
}

/// What the CI system offers.
///
/// # Errors
/// [`Kind::Input`] when the user names a system that offers nothing here.
pub(super) fn find_offer(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<Offer>> {
    let wish = find_wish(flags, layers)?;
    let here = find_system(layers)?;
    let (system, origin) = match wish {
        Some(WithOrigin { value: Wish::Variable(_), .. }) => return Ok(None),
        Some(WithOrigin { value: Wish::System(system), origin }) => (system, Some(origin)),
        Some(WithOrigin { value: Wish::Auto, .. }) | None => match here {
            Some(system) => (system, None),
            None => return Ok(None),
        },
    };
    // A configuration file speaks for every job.
    if matches!(origin, Some(Origin::File(_))) && system.facts().sign.is_some() && here != Some(system) {
        return Ok(None);
    }
    let facts = system.facts();
    let by_name = origin.is_some();
    let other_audience = by_name || find_audience(flags, layers)?.is_some();
    let is_requested = match facts.request {
        // Of two ways the one that takes an audience, where there is one to take.
        Some(_) if facts.variable.is_some() && !other_audience => false,
        Some(source) => find_missing(source, layers)?.is_none(),
        None => false,
    };
    if is_requested {
        return Ok(Some(Offer { system, way: OfferWay::Request, by_name }));
    }
    let source = match facts.variable {
        Some(name) => layers.secret_variable(name)?,
        None => None,
    };
    match (source, origin) {
        // CircleCI's program is not there: its variable cannot have the audience that was asked for.
        (Some(source), _) if facts.request.is_none() || !other_audience => {
            Ok(Some(Offer { system, way: OfferWay::Source(source), by_name }))
        }
        (_, None) => Ok(None),
        (_, Some(origin)) => Err(no_token(system, &origin, layers)?),
    }
}

/// What to change where the CI system that runs this job offers no token, for hints. `None`: it is GitLab or none.
pub(super) fn setup_hint(layers: &Layers<'_>) -> Result<Option<String>> {
    Ok(find_system(layers)?.filter(|system| *system != CiSystem::Gitlab).map(|system| setup(system, layers)))
}

/// What a job of this system needs to be given a token.
pub(super) fn setup(system: CiSystem, layers: &Layers<'_>) -> String {
    let fork = if system == CiSystem::Github && is_pull_request(layers) {
        "; GitHub gives no ID token to a pull request from a fork"
    } else {
        ""
    };
    format!("in {}, give the job {}{fork}", system.facts().title, system.facts().setup)
}

fn is_pull_request(layers: &Layers<'_>) -> bool {
    layers.variable(var::GITHUB_EVENT_NAME).ok().flatten().is_some_and(|event| event.value == "pull_request")
}

fn no_token(system: CiSystem, origin: &Origin, layers: &Layers<'_>) -> Result<Error> {
    let facts = system.facts();
    let missing = match (facts.request, facts.variable) {
        (Some(source), _) => find_missing(source, layers)?.unwrap_or_default(),
        (None, Some(name)) => format!("{name} is not set"),
        (None, None) => format!("{} has no request for it", facts.title),
    };
    let error = format!("there is no ID token of {} (from {origin}) in this job: {missing}", facts.title);
    Ok(Error::new(Kind::Input, error).hint(setup(system, layers)))
}

/// What a request lacks in this job.
fn find_missing(source: TokenSource, layers: &Layers<'_>) -> Result<Option<String>> {
    match source {
        TokenSource::Http(endpoint) => {
            for name in [endpoint.url, endpoint.token] {
                // Azure leaves `$(System.AccessToken)` as it stands where there is none.
                if layers.variable(name)?.is_none_or(|found| found.value.starts_with("$(")) {
                    return Ok(Some(format!("{name} is not set")));
                }
            }
            Ok(None)
        }
        TokenSource::Program(program) => {
            let missing = || format!("{} is not on PATH", program.name);
            Ok(layers.host.find_tool(program.name).is_none().then(missing))
        }
        // Whether an instance has credentials, only the request for them tells.
        TokenSource::Sts => Ok(None),
    }
}

fn find_wish(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<Wish>>> {
    let flag = ("--id-token-from", flags.id_token_from.as_deref());
    let Some(text) = layers.text(flag, var::of_flag(flag.0), |file| file.id_token_from.as_deref())? else {
        return Ok(None);
    };
    let value = match text.value.split_once(':') {
        Some(("env", name)) => Wish::Variable(name.to_owned()),
        _ if text.value == "auto" => Wish::Auto,
        _ => Wish::System(CiSystem::parse(&text.value).ok_or_else(|| {
            let names: Vec<_> = CiSystem::ALL.map(|system| system.facts().name).into();
            Error::new(Kind::Usage, format!("{} is not a source of ID tokens", text.origin))
                .hint(format!("one of auto, env:NAME, {}", names.join(", ")))
        })?),
    };
    Ok(Some(WithOrigin { value, origin: text.origin }))
}

/// The CI system that runs this job.
pub(super) fn find_system(layers: &Layers<'_>) -> Result<Option<CiSystem>> {
    for system in CiSystem::ALL {
        let Some(sign) = system.facts().sign else { continue };
        if layers.variable(sign)?.is_some_and(|value| value.value != "false") {
            return Ok(Some(system));
        }
    }
    Ok(None)
}

/// The audience that the user names.
pub(super) fn find_audience(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<String>>> {
    let flag = ("--id-token-audience", flags.id_token_audience.as_deref());
    let named = layers.text(flag, var::of_flag(flag.0), |file| file.id_token_audience.as_deref())?;
    if let Some(audience) = &named
        && (audience.value.is_empty()
            || audience.value.len() > LONGEST_AUDIENCE
            || audience.value.starts_with('-')
            || !audience.value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)))
    {
        return Err(Error::new(Kind::Usage, format!("the audience (from {}) cannot be used", audience.origin))
            .hint("use printable ASCII, 1024 characters at most, with no hyphen in front: https://vault.example.com"));
    }
    Ok(named)
}

/// Longer than any that a CI system takes.
const LONGEST_AUDIENCE: usize = 1024;
