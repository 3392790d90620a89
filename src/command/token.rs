//! `ci-creds token renew`: one renewal of the Vault token that somebody made for the job.

use crate::auth::{self, Period};
use crate::config::Access;
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt};
use crate::secret::Secret;
use crate::time::render_duration;
use crate::vault::client::Vault;

use super::{finish, start_runtime};

/// Renews the token and says when it ends.
///
/// # Errors
/// [`Kind::Config`] for a login without such a token, and for a token that cannot be renewed.
pub(crate) fn run(mut access: Access, verbose: bool, host: &Host) -> Result<()> {
    access.connection.read_roots(host)?;
    let vault = Vault::new(&access.connection, host)?;
    if verbose {
        vault.tell_requests();
    }
    let text = start_runtime(host)?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        match interrupt.race(renew(&vault, &access, host)).await {
            Ok(text) => text,
            Err(signal) => Err(Error::new(signal, "a signal ended the run: the token may have been renewed")),
        }
    })?;
    finish(text, host)
}

async fn renew(vault: &Vault<'_>, access: &Access, host: &Host) -> Result<String> {
    let token = supplied(access)?;
    let origin = access.login.origin.to_string();
    let before = auth::look_up(vault, &origin, token).await?;
    let after = auth::renew(vault, &origin, token, before).await?;
    after.concerns(&origin, host.now()).into_iter().for_each(|text| host.warn(text));
    let period = match after.period {
        Period::Of(period) => format!(", and has a period of {}", render_duration(period)),
        Period::Absent | Period::Untold => String::new(),
    };
    Ok(format!("the token (from {origin}) was renewed: it {}{period}\n", after.render_end()))
}

/// The token that is renewed or replaced.
///
/// # Errors
/// [`Kind::Config`] when the job logs in with something else.
pub(super) fn supplied(access: &Access) -> Result<&Secret> {
    access.login.identity.supplied_token().ok_or_else(|| {
        Error::new(
            Kind::Config,
            format!("the login is by {}, and not by a stored Vault token", access.login.describe()),
        )
        .hint("set VAULT_TOKEN, and pass --auth token if other inputs are set")
    })
}
