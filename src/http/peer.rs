//! Who is called: its name in messages, and what a user can change about it.

use super::transport::Connection;

/// Who is called, for messages.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) host: String,
    /// What a user changes to change its address.
    pub(crate) address: String,
    /// Who named the proxy on the way, if there is one.
    pub(super) proxy: Option<String>,
    /// What a user can change about it. `None`: it is Vault, whose hints stand with the messages.
    pub(super) hints: Option<ServiceHints>,
}

/// What to change about a server that is not Vault, each a whole hint. Vault's variables and flags do not count there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceHints {
    /// Where it does not answer, or somebody else answers in its place.
    pub(crate) reach: &'static str,
    /// Where no trusted CA signed its certificate.
    pub(crate) trust: &'static str,
}

impl Peer {
    /// Vault, as `connection` reaches it.
    pub(crate) fn vault(connection: &Connection) -> Self {
        let proxy = connection.proxy.as_ref().map(|proxy| proxy.origin.to_string());
        Self { host: connection.address.host(), address: connection.address_setting.clone(), proxy, hints: None }
    }

    /// Vault at `host`, whose address is set in `VAULT_ADDR`.
    #[cfg(test)]
    pub(crate) fn named(host: &str) -> Self {
        Self { host: host.into(), address: "VAULT_ADDR".into(), proxy: None, hints: None }
    }

    /// Any other server.
    pub(super) fn service(connection: &Connection, hints: ServiceHints) -> Self {
        Self { hints: Some(hints), ..Self::vault(connection) }
    }

    /// What to change where it cannot be reached, or is not what it should be: about Vault `of_vault`.
    pub(super) fn reach_hint<'a>(&self, of_vault: &'a str) -> &'a str {
        self.hints.map_or(of_vault, |hints| hints.reach)
    }

    /// What to change where its certificate is not trusted: about Vault `of_vault`.
    pub(super) fn trust_hint<'a>(&self, of_vault: &'a str) -> &'a str {
        self.hints.map_or(of_vault, |hints| hints.trust)
    }
}
