//! What `ci-creds token` hands on: for how long, for how many requests, and where its Vault is.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::demand::Demand;
use super::exec::vault_variables;
use super::plan::{Access, CredentialPlan, Plan, TokenWish};
use super::source::Layers;
use super::{check_vault_format, format_of, output, resolve_access_by, state};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::mint::Mint;
use crate::origin::{Origin, WithOrigin};
use crate::provider::token::TOKEN;
use crate::time::parse_duration;

/// Longer than a plan of Terraform takes, and short enough for a log that shows the token.
const LIFE: Duration = Duration::from_secs(1800);

/// Decides everything about a run that hands on a Vault token.
///
/// # Errors
/// As [`super::resolve_fetch`].
pub(crate) fn resolve_token(
    mut flags: cli::VaultTokenFlags,
    volume: cli::Volume,
    words: &[String],
    layers: &Layers<'_>,
) -> Result<Plan> {
    // A token that the user supplies is not ours to revoke. A child of it is.
    flags.access.login.child_token = true;
    let demand = Demand { shape: Cow::Borrowed(&TOKEN), output: &flags.output, volume, words, keep_profile: false };
    let format = format_of(demand.output);
    check_vault_format(format, demand.output)?;
    let output = output::resolve_output(&demand, format, layers)?;
    let state = state::resolve_state(flags.output.state, layers)?;
    let wish = TokenWish { life: resolve_life(&flags, layers)?, uses: resolve_uses(&flags)? };
    let (Access { connection, login }, _) = resolve_access_by(&flags.access, false, layers)?;
    let companions = vault_variables(&connection, &flags.access.connection, layers)?;
    let wanted = CredentialPlan {
        shape: Cow::Borrowed(&TOKEN),
        role: String::new(),
        role_origin: Origin::Default,
        mint: mint(wish),
        companions,
        readiness: None,
        keep_profile: false,
    };
    Ok(Plan { state, token: Some(wish), ..Plan::new(connection, login, wanted, None, output) })
}

/// `vault token create` with the same policies. Without `num_uses`, there is no limit.
fn mint(wish: TokenWish) -> Mint {
    let mut body = Map::new();
    body.insert("display_name".to_owned(), Value::String("ci-creds-token".to_owned()));
    body.insert("explicit_max_ttl".to_owned(), Value::String(format!("{}s", wish.life.as_secs())));
    body.insert("ttl".to_owned(), Value::String(format!("{}s", wish.life.as_secs())));
    if let Some(uses) = wish.uses {
        body.insert("num_uses".to_owned(), Value::Number(uses.into()));
    }
    Mint {
        path: "auth/token/create".to_owned(),
        roles: String::new(),
        parameters: Vec::new(),
        writable: true,
        body: Some(Value::Object(body).to_string()),
        stored: false,
        // It ends with the login's.
        temporary: true,
    }
}

fn resolve_life(flags: &cli::VaultTokenFlags, layers: &Layers<'_>) -> Result<Duration> {
    match &flags.ttl {
        Some(text) => parse_duration(&WithOrigin { value: text.clone(), origin: Origin::Flag("--ttl") }),
        None => Ok(layers.job().left()?.map_or(LIFE, |left| left.value)),
    }
}

fn resolve_uses(flags: &cli::VaultTokenFlags) -> Result<Option<u64>> {
    let Some(text) = flags.uses.as_deref() else { return Ok(None) };
    let uses = text.trim().parse().ok().filter(|uses| (1..=1_000_000).contains(uses));
    uses.map(Some).ok_or_else(|| {
        Error::new(Kind::Usage, "--uses takes a number of requests, 1 at least")
            .hint("--uses 100; without it, there is no limit")
    })
}
