//! What fails before a server answers: causes that no table of refusals has.

use crate::error::Kind;
use crate::vault::refusal::{RefusalTable, Row, Says};

/// The table.
pub(super) const WAY: &RefusalTable =
    &RefusalTable { of: "The way to the server", rows: &ROWS, docs: "docs/troubleshooting.md" };

const ROWS: [Row; 8] = [
    Row {
        id: "way-refused",
        says: Says::Text(&["connection refused"]),
        kind: Kind::Unavailable,
        cause: "cannot reach {host}: connection refused",
        change: "check the host and the port in VAULT_ADDR, and that a server listens there; curl -v $VAULT_ADDR/v1/sys/health \
            on this runner shows the same",
    },
    Row {
        id: "way-no-answer",
        says: Says::Text(&["i/o timeout", "no connection in time"]),
        kind: Kind::Unavailable,
        cause: "cannot reach {host}: no connection in time",
        change: "check VAULT_ADDR, and that the network and the firewall let this runner reach it; a proxy is set with \
            VAULT_PROXY_ADDR",
    },
    Row {
        id: "way-no-route",
        says: Says::Text(&["no route to host", "network is unreachable"]),
        kind: Kind::Unavailable,
        cause: "cannot reach {host}: no route",
        change: "check VAULT_ADDR, and the network of this runner",
    },
    Row {
        id: "way-no-address",
        says: Says::Text(&["no such host"]),
        kind: Kind::Unavailable,
        cause: "there is no address for {host}",
        change: "check the spelling of the host in VAULT_ADDR, and that this runner's DNS knows it",
    },
    Row {
        id: "way-no-tls",
        says: Says::Text(&["server gave HTTP response to HTTPS client"]),
        kind: Kind::Protocol,
        cause: "{host} does not speak TLS",
        change: "check the port in VAULT_ADDR; for a Vault without TLS the address begins with http://",
    },
    Row {
        id: "way-unknown-ca",
        says: Says::Text(&["certificate signed by unknown authority"]),
        kind: Kind::Protocol,
        cause: "the certificate of {host} is signed by an unknown CA",
        change: "pass the CA's certificate with --ca-file, or set VAULT_CACERT",
    },
    Row {
        id: "way-no-login",
        says: Says::Text(&["nothing to log in with"]),
        kind: Kind::Config,
        cause: "nothing to log in with: {looked}",
        change: "in GitLab, give the job `id_tokens: {VAULT_ID_TOKEN: {aud: https://vault.example.com}}`; in another job, set \
            VAULT_TOKEN, or VAULT_ROLE_ID with VAULT_SECRET_ID",
    },
    Row {
        id: "way-kv-path",
        says: Says::Text(&["Invalid path for a versioned K/V secrets engine"]),
        kind: Kind::Config,
        cause: "{path} is not a path of a KV engine of version 2",
        change: "put data/ behind the mount: ci-creds secret --path secret/data/ci --env VAR=FIELD",
    },
];
