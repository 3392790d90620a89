//! The failures of a server as rows, and what a namespace is refused with.

use crate::error::Kind;
use crate::vault::refusal::{RefusalTable, Row, Says};

/// Every table of a failed request, for the page of an error.
pub(crate) const TABLES: [RefusalTable; 2] = [
    RefusalTable { of: "A namespace", rows: &NAMESPACES, docs: "docs/configuration.md" },
    RefusalTable { of: "A server that does not serve", rows: &FAILURES, docs: "docs/troubleshooting.md" },
];

/// Whose failure it is, in words: a table like those of refusals. [`super::classify`] decides which row it is, since more than
/// the text counts.
pub(crate) const FAILURES: [Row; 18] = [
    SEALED,
    NOT_ACTIVE,
    NO_ACTIVE_NODE,
    NAMESPACE_SEALED,
    NAMESPACE_LOCKED,
    BEHIND,
    QUOTA,
    STANDBY,
    LEADERLESS,
    NOT_INITIALISED,
    BAD_GATEWAY,
    NO_LEASE,
    FAILED,
    NO_PATH,
    PROXY_LIMIT,
    PROXY_FAILED,
    SPEAKS_TLS,
    NOT_VAULT,
];

pub(super) const SEALED: Row = not_serving("vault-sealed", &["Vault is sealed"], ACTIVE_NODE);
pub(super) const NOT_ACTIVE: Row = not_serving("vault-not-active", &["node is not active"], ACTIVE_NODE);
pub(super) const NO_ACTIVE_NODE: Row =
    not_serving("vault-no-active-node", &["no active Vault instance found"], ACTIVE_NODE);
pub(super) const NAMESPACE_SEALED: Row =
    not_serving("namespace-sealed", &["namespace is sealed"], "an operator must unseal the namespace");
pub(super) const NAMESPACE_LOCKED: Row = not_serving(
    "namespace-locked",
    &["API access to this namespace has been locked by an administrator"],
    "an administrator must unlock the namespace",
);
pub(super) const BEHIND: Row = Row {
    id: "vault-behind",
    says: Says::Status(&[412]),
    kind: Kind::Temporary,
    cause: "{host} does not have the newest state yet ({status})",
    change: "re-run the job",
};
pub(super) const QUOTA: Row = Row {
    id: "vault-quota",
    says: Says::Text(&["rate limit quota exceeded", "lease count quota exceeded"]),
    kind: Kind::Temporary,
    cause: "{host} limits the rate of requests to {path} (429){said}",
    change: "re-run the job later, or raise the quota for this path: vault read sys/quotas/rate-limit/NAME",
};
pub(super) const STANDBY: Row = Row {
    id: "vault-standby",
    says: Says::Status(&[472, 473]),
    kind: Kind::Unavailable,
    cause: "{host} is a standby ({status})",
    change: "point {address} to the active node",
};
pub(super) const LEADERLESS: Row = Row {
    id: "vault-leaderless",
    says: Says::Text(&[NO_LEADER]),
    kind: Kind::Unavailable,
    cause: "{host} is a standby, and knows no leader (500){said}",
    change: "re-run the job when the cluster has a leader: vault status",
};
pub(super) const NOT_INITIALISED: Row = Row {
    id: "vault-not-initialised",
    says: Says::Status(&[501]),
    kind: Kind::Unavailable,
    cause: "{host} is not initialised (501)",
    change: "check that {address} is the address of the right cluster; a new one: vault operator init",
};
pub(super) const BAD_GATEWAY: Row = Row {
    id: "vault-cloud-failed",
    says: Says::Status(&[502]),
    kind: Kind::Unavailable,
    cause: "{host} got no answer from what is behind it (502){said}",
    change: "the cloud may be throttling Vault: re-run the job later",
};
pub(super) const NO_LEASE: Row = Row {
    id: "vault-no-lease",
    says: Says::Text(&["internal error"]),
    kind: Kind::Unavailable,
    cause: "{host} failed on {path} (500){said}; if it is a standby of OpenBao, it cannot register a lease: point {address} to \
        the active node",
    change: "Vault's own log says more",
};
pub(super) const FAILED: Row = Row {
    id: "vault-failed",
    says: Says::Status(&[500, 503]),
    kind: Kind::Unavailable,
    cause: "{host} failed on {path} ({status}){said}",
    change: "Vault's own log says more",
};
pub(super) const NO_PATH: Row = Row {
    id: "proxy-no-path",
    says: Says::Status(&[404, 405]),
    kind: Kind::Config,
    cause: "there is no {path} (status {status})",
    change: "check --role and --mount; is a proxy in between?",
};
pub(super) const PROXY_LIMIT: Row = Row {
    id: "proxy-limit",
    says: Says::Status(&[429]),
    kind: Kind::Temporary,
    cause: "a proxy before {host} limits the rate of requests (429)",
    change: "re-run the job later",
};
pub(super) const PROXY_FAILED: Row = Row {
    id: "proxy-failed",
    says: Says::Status(&[504]),
    kind: Kind::Unavailable,
    cause: "a proxy or load balancer before {host} answers {status}, not Vault",
    change: "is Vault running behind it?",
};
pub(super) const SPEAKS_TLS: Row = Row {
    id: "address-without-tls",
    says: Says::Text(&WANTS_TLS),
    kind: Kind::Protocol,
    cause: "{host} speaks TLS, and the address begins with http://",
    change: "set {address} to the same address with https://",
};
pub(super) const NOT_VAULT: Row = Row {
    id: "not-vault",
    says: Says::Anything,
    kind: Kind::Protocol,
    cause: "the answer from {host} is not from Vault: status {status}, {content}",
    change: "check for a proxy or a login page in between, and that {address} is the address of the API",
};

const fn not_serving(id: &'static str, says: &'static [&'static str], change: &'static str) -> Row {
    Row { id, says: Says::Text(says), kind: Kind::Unavailable, cause: "{host} does not serve (503){said}", change }
}

/// Of any request in a namespace.
pub(crate) const NAMESPACES: [Row; 2] = [
    Row {
        id: "namespace-unknown",
        says: Says::Whole("namespace not found"),
        kind: Kind::Config,
        cause: "{host} has no namespace {namespace} ({because})",
        change: "check {setting}, which is the whole path: team/prod",
    },
    Row {
        id: "namespace-unsupported",
        says: Says::Text(&["namespaces feature not enabled"]),
        kind: Kind::Config,
        cause: "{host} has no namespaces, and the namespace {namespace} is set ({because})",
        change: "remove {setting}: only OpenBao and Vault Enterprise have namespaces",
    },
];

/// What a standby answers with 500 while its cluster chooses a leader.
pub(super) const NO_LEADER: &str = "local node not active but active cluster node not found";

/// How Go, and so Vault, and nginx answer plain http on a TLS port.
pub(super) const WANTS_TLS: [&str; 2] =
    ["sent an HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

const ACTIVE_NODE: &str = "unseal Vault, or point {address} to the active node";
