//! Which method a run logs in with: the inputs that are present, and the first method whose inputs they are. No secret is
//! read here.

use std::path::PathBuf;

use super::id_token::{Offer, OfferWay, find_id_token, find_offer, setup_hint};
use super::source::{Layers, SecretSource};
use super::stored::stored_token;
use crate::ci::CiSystem;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::identity::{AuthMethod, Companion, Input};
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::variables as var;

/// The inputs that are present; nothing of them is read yet.
pub(super) struct Inputs {
    secrets: Vec<(Input, SecretSource)>,
    /// What `vault login` left; looked for only when nothing else is there, for a helper may have to be asked.
    pub(super) stored: Option<WithOrigin<Secret>>,
    pub(super) role: Option<WithOrigin<String>>,
    /// The ID token that the CI system offers; looked for only where the user gives none.
    pub(super) offer: Option<Offer>,
}

impl Inputs {
    pub(super) fn get(&self, input: Input) -> Option<&SecretSource> {
        self.secrets.iter().find(|(found, _)| *found == input).map(|(_, source)| source)
    }

    pub(super) fn take(&mut self, input: Input) -> Option<SecretSource> {
        let place = self.secrets.iter().position(|(found, _)| *found == input)?;
        Some(self.secrets.swap_remove(place).1)
    }
}

pub(super) fn wanted(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<AuthMethod>> {
    if flags.auth.is_some() {
        return Ok(flags.auth);
    }
    let Some(text) = layers.text(("", None), var::of_flag("--auth"), |file| file.auth.as_deref())? else {
        return Ok(None);
    };
    AuthMethod::ALL.into_iter().find(|method| method.needs().name == text.value.trim()).map(Some).ok_or_else(|| {
        Error::new(Kind::Config, format!("{} is not an authentication method", text.origin))
            .hint(format!("one of {}", AuthMethod::ALL.map(|method| method.needs().name).join(", ")))
    })
}

pub(super) fn find(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Inputs> {
    let id_token = find_id_token(flags, layers)?;
    find_beside(id_token, flags, layers)
}

pub(super) fn find_beside(
    id_token: Option<SecretSource>,
    flags: &cli::LoginFlags,
    layers: &Layers<'_>,
) -> Result<Inputs> {
    let mut secrets: Vec<_> = id_token.map(|source| (Input::IdToken, source)).into_iter().collect();
    for input in Input::ALL.into_iter().filter(|input| *input != Input::IdToken) {
        let found = find_input(input, flags, layers)?;
        let source = match input {
            Input::ServiceAccountToken => Some(found.unwrap_or_else(|| SecretSource::File(own_token()))),
            _ => found,
        };
        secrets.extend(source.map(|source| (input, source)));
    }
    let flag = ("--auth-role", flags.auth_role.as_deref());
    let role = layers.text(flag, var::of_flag(flag.0), |file| file.auth_role.as_deref())?;
    let is_given = secrets.iter().any(|(input, _)| *input == Input::IdToken);
    let offer = if is_given { None } else { find_offer(flags, layers)? };
    Ok(Inputs { secrets, stored: None, role, offer })
}

fn find_input(input: Input, flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<SecretSource>> {
    layers.find_secret((input.facts().flag, flags.file(input)), input.variable(), |file| file.file_of(input))
}

/// The token that the kubelet puts into every pod, unless its service account says otherwise.
fn own_token() -> WithOrigin<PathBuf> {
    let path = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount/token");
    WithOrigin { origin: Origin::Service("the pod"), value: path }
}

/// The CI system whose ID token has to be requested for this login.
///
/// # Errors
/// As [`super::resolve_fetch`].
pub(super) fn wants_offer(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<CiSystem>> {
    let found = find(flags, layers)?;
    let Some(Offer { system, way: OfferWay::Request, .. }) = &found.offer else { return Ok(None) };
    let method = match wanted(flags, layers)? {
        Some(method) => Some(method),
        None => choose(&found, layers)?,
    };
    Ok((method == Some(AuthMethod::IdToken)).then_some(*system))
}

/// The first way whose inputs are present, or the CI system's offer. A wrapping token needs no role ID when it holds a
/// login, which only a lookup can tell.
pub(super) fn choose(found: &Inputs, layers: &Layers<'_>) -> Result<Option<AuthMethod>> {
    let named_approle = found.role.is_some() || layers.variable(var::VAULT_APPROLE_ROLE)?.is_some();
    let by_name = found.offer.as_ref().is_some_and(|offer| offer.by_name);
    let is_there = |input: Input| found.get(input).is_some() || by_name && input == Input::IdToken;
    let is_complete = |method: &AuthMethod| {
        let needs = method.needs();
        needs.by_itself
            && needs.proof.input().is_some_and(is_there)
            && (needs.companion != Companion::RoleId || is_there(Input::RoleId))
            && (!needs.role_required || named_approle)
    };
    if let Some(method) = AuthMethod::ALL.into_iter().find(is_complete) {
        return Ok(Some(method));
    }
    // Half an AppRole is a mistake to tell, and not another identity.
    let half = is_there(Input::SecretId) || is_there(Input::RoleId);
    Ok((found.offer.is_some() && !half).then_some(AuthMethod::IdToken))
}

pub(super) fn detect(found: &mut Inputs, layers: &Layers<'_>) -> Result<AuthMethod> {
    if let Some(method) = choose(found, layers)? {
        return Ok(method);
    }
    found.stored = stored_token(layers, None)?;
    if found.stored.is_some() {
        return Ok(AuthMethod::Token);
    }
    let error = nothing_to_log_in_with(found);
    let is_half = found.get(Input::SecretId).is_some() || found.get(Input::RoleId).is_some();
    Err(match setup_hint(layers)? {
        Some(hint) if !is_half => error.hint(hint),
        _ => error,
    })
}

/// What to set, by what is there already: half of an AppRole, or nothing.
fn nothing_to_log_in_with(found: &Inputs) -> Error {
    let error = |text: &str| Error::new(Kind::Config, format!("nothing to log in with: {text}"));
    match (found.get(Input::SecretId), found.get(Input::RoleId)) {
        (Some(_), None) => error("VAULT_SECRET_ID is set, but VAULT_ROLE_ID is not")
            .hint("set VAULT_ROLE_ID for this job; vault read auth/approle/role/NAME/role-id shows it"),
        (None, Some(_)) => {
            error("VAULT_ROLE_ID is set, but none of VAULT_SECRET_ID, VAULT_WRAPPING_TOKEN and VAULT_TOKEN is")
                .hint("set VAULT_SECRET_ID, or one of the other two, for this job; if the AppRole has bind_secret_id=false, pass --auth secret-id")
        }
        _ => {
            let all = AuthMethod::ALL.into_iter().map(AuthMethod::needs).filter(|needs| needs.by_itself);
            let inputs = all.filter_map(|needs| {
                let secret = needs.proof.input()?.variable();
                let companion = if needs.companion == Companion::RoleId { " with VAULT_ROLE_ID" } else { "" };
                let role = if needs.role_required { " and VAULT_APPROLE_ROLE" } else { "" };
                Some(format!("{secret}{companion}{role}"))
            });
            error(&format!(
                "looked for {}, the same with _FILE at the end, a token helper in ~/.vault, and ~/.vault-token",
                inputs.collect::<Vec<_>>().join(", ")
            ))
            .hint(
                "in GitLab, give the job `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`; at a desk, \
                run vault login",
            )
        }
    }
}
