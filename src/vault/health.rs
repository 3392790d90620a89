//! What a server says of itself at `sys/health`, which needs no token.

use serde::Deserialize;

use super::echo::Secrets;
use super::{failure, wire};
use crate::error::{Error, sanitized};
use crate::http::{Peer, Reply};

/// The answer of `sys/health`.
#[derive(Debug, Deserialize)]
pub(crate) struct Health {
    /// Whether there is anything in its storage.
    pub(crate) initialized: bool,
    /// Whether its storage is locked.
    pub(crate) sealed: bool,
    /// Whether another node is the active one.
    #[serde(default)]
    pub(crate) standby: bool,
    /// A field of Vault's; OpenBao has none.
    performance_standby: Option<bool>,
    #[serde(default)]
    version: String,
}

impl Health {
    /// Vault or OpenBao, and its version.
    pub(crate) fn product(&self) -> String {
        let name = if self.performance_standby.is_some() { "HashiCorp Vault" } else { "OpenBao" };
        format!("{name} {}", sanitized(&self.version))
    }
}

/// What stood at `sys/health`.
pub(crate) enum HealthAnswer {
    /// A server that says how it is.
    Health(Health),
    /// A server, or what is before it, that does not answer this question, with this status.
    None(u16),
    /// What speaks TLS, asked in plain http.
    SpeaksTls(Error),
    /// What is not Vault.
    Foreign(Error),
}

/// Reads it. `peer` is the server, as messages name it.
pub(crate) fn read_health(reply: &Reply, peer: &Peer) -> HealthAnswer {
    let foreign = || failure::not_vault(reply, peer, &Secrets::default());
    if failure::wants_tls(reply) {
        return HealthAnswer::SpeaksTls(foreign());
    }
    match wire::parse(&reply.body) {
        Some(health) if reply.json => HealthAnswer::Health(health),
        _ if reply.json => HealthAnswer::None(reply.status),
        _ if reply.status == 400 || reply.status == 403 || reply.status == 404 || reply.status == 405 => {
            HealthAnswer::None(reply.status)
        }
        _ => HealthAnswer::Foreign(foreign()),
    }
}
