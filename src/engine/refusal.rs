//! What a secrets engine's refusals mean, and what to change.

use super::secret;
use crate::auth::unnamed_approle;
use crate::config::Plan;
use crate::error::{Error, Kind};
use crate::provider::CLOUDS;
use crate::provider::cloud::Cloud;
use crate::vault::refusal::{Refusal, RefusalTable, Row, Says, explain, find};

/// The error of a refused read.
pub(crate) fn describe(refusal: &Refusal, plan: &Plan) -> Error {
    if plan.shape.is_found_by_path() {
        return secret::describe(refusal, plan);
    }
    let denied = refusal.is_denied_by_policy();
    if denied && plan.login.perhaps_generator {
        return unnamed_approle(&plan.login, &plan.mint.path, &refusal.because());
    }
    let table = match plan.login.identity.plain_token() {
        Some(_) => &OF_A_TOKEN[..],
        None => &OF_A_LOGIN,
    };
    let table = if find(table, refusal).is_some() { table } else { &REFUSALS };
    let error = explain(table, refusal, &|name| match name {
        "login" => plan.login.describe(),
        "origin" => plan.login.origin.to_string(),
        "path" => plan.mint.path.clone(),
        "mount" => mount(plan).into(),
        "knob" => knob(plan),
        "role" => plan.role_origin.to_string(),
        "roles" => plan.mint.roles.clone(),
        "title" => plan.shape.title.to_string(),
        _ => capabilities(plan).into(),
    });
    match too_long(plan).filter(|_| !refusal.is_token_gone()) {
        Some((mount, added)) => {
            let other = error.change().unwrap_or_default().to_owned();
            error.hint(format!(
                "if the mount is {mount}, set --mount {mount}: ci-creds adds {added} itself; if not: {other}"
            ))
        }
        None => error,
    }
}

/// The mount that was meant, where the one that was said ends with what is added to it.
fn too_long(plan: &Plan) -> Option<(&str, &str)> {
    let said = mount(plan);
    let added = plan.mint.path.strip_prefix(said)?.trim_start_matches('/').split('/').next()?;
    let meant = said.strip_suffix(added)?.strip_suffix('/')?;
    (!meant.is_empty()).then_some((meant, added))
}

/// Where the run expects the engine's mount.
pub(crate) fn mount(plan: &Plan) -> &str {
    plan.mint.roles.rsplit_once('/').map_or(&plan.mint.roles, |(mount, _)| mount)
}

/// What names the mount of the engine.
fn knob(plan: &Plan) -> String {
    let cloud = CLOUDS.into_iter().find(|cloud| cloud.command == plan.shape.name);
    let mount = cloud.and_then(Cloud::engine_variables).map(|(_, mount)| mount);
    mount.map_or_else(|| "--mount".into(), |mount| format!("--mount or {mount}"))
}

fn capabilities(plan: &Plan) -> &'static str {
    if plan.mint.writable { "\"read\", \"update\"" } else { "\"read\"" }
}

/// Every table of a read, for the page of an error.
pub(crate) const TABLES: [RefusalTable; 3] = [
    RefusalTable { of: "The read of a credential with a Vault token", rows: &OF_A_TOKEN, docs: "docs/vault-setup.md" },
    RefusalTable { of: "The read of a credential behind a login", rows: &OF_A_LOGIN, docs: "docs/vault-setup.md" },
    RefusalTable { of: "The read of a credential", rows: &REFUSALS, docs: "docs/vault-setup.md" },
];

/// Of a token that the user supplies, before [`REFUSALS`]. A wrapping token looks like any other one, and has one policy
/// that allows nothing but to unwrap it.
const OF_A_TOKEN: [Row; 1] = [Row {
    id: "engine-policy-of-token",
    says: Says::PolicyDenies,
    kind: Kind::Denied,
    cause: "the policy of the token (from {origin}) does not allow {path} ({because}); the role comes from {role}",
    change: "check --role and {knob}; if they are right, its policy needs path \"{path}\" { capabilities = [{capabilities}] }; if \
        it is a wrapping token, it is spent now: set VAULT_WRAPPING_TOKEN to a new one",
}];

/// Of the token of a login, before [`REFUSALS`]: it was good when the login ended.
const OF_A_LOGIN: [Row; 1] = [Row {
    id: "engine-token-of-login",
    says: Says::TokenGone,
    kind: Kind::Denied,
    cause: "the login succeeded, and its token, of the {login}, is not valid for {path} ({because})",
    change: "token_bound_cidrs of the login's role must allow the address of this runner; or the token was revoked or has \
        expired since, or is of another namespace",
}];

/// Of the read, or the write, that makes a credential. Vault checks the policy before it looks for the mount, so a wrong
/// mount is refused as a missing policy is.
const REFUSALS: [Row; 13] = [
    Row {
        id: "engine-policy",
        says: Says::PolicyDenies,
        kind: Kind::Denied,
        cause: "the policy of the {login} does not allow {path} ({because}); the role comes from {role}",
        change: "if {mount} is the mount of the {title} engine, add to the policy: path \"{path}\" { capabilities = \
            [{capabilities}] }; if not, set {knob}; or pass another --role",
    },
    Row {
        id: "engine-token",
        says: Says::TokenDenied,
        kind: Kind::Denied,
        cause: "the {login} is not valid for {path} ({because})",
        change: "the token has expired, was revoked, has used up its uses, is bound to other addresses, or is of another namespace; a token that only makes secret IDs also \
            needs VAULT_ROLE_ID and VAULT_APPROLE_ROLE",
    },
    Row {
        id: "engine-one-use",
        says: Says::Text(&["one use left"]),
        kind: Kind::Config,
        cause: "the token had one use left: the credential of {path} was revoked at once ({because})",
        change: "set token_num_uses of the login's role to 0, or to 3 and more",
    },
    Row {
        id: "engine-no-configuration",
        says: Says::Text(&["not configured"]),
        kind: Kind::Config,
        cause: "the engine behind {path} is not configured ({because})",
        change: "an operator must configure its cloud credentials; or pass another mount with --mount",
    },
    Row {
        id: "engine-no-mount",
        says: Says::Text(&["no handler for route"]),
        kind: Kind::Config,
        cause: "nothing is mounted at {mount} for {path} ({because})",
        change: "set {knob} to the mount of the {title} engine: vault secrets list shows the mounts",
    },
    Row {
        id: "engine-no-path",
        says: Says::Text(&["unsupported path"]),
        kind: Kind::Config,
        cause: "the engine at {mount} has no path such as {path} ({because})",
        change: "set {knob} to the mount of an {title} engine: vault secrets list shows the types",
    },
    missing("engine-not-there", Says::Status(&[404])),
    missing("engine-no-role", Says::Text(&["not found"])),
    Row {
        id: "engine-method",
        says: Says::Status(&[405]),
        kind: Kind::Config,
        cause: "{path} does not support this request ({because})",
        change: "check that the mount is an {title} engine (--mount)",
    },
    Row {
        id: "engine-short-ttl",
        says: Says::Text(&["greater than or equal to 900"]),
        kind: Kind::Denied,
        cause: "{path} was refused: STS credentials live for at least 15m ({because})",
        change: "pass --ttl 15m or more; without --ttl, default_sts_ttl of the Vault role applies",
    },
    Row {
        id: "engine-role-arn",
        says: Says::Text(&["role_arn"]),
        kind: Kind::Denied,
        cause: "{path} needs another role ARN ({because})",
        change: "pass --role-arn ARN, one of role_arns of the Vault role: vault read {roles}/NAME shows them",
    },
    Row {
        id: "engine-parameter",
        says: Says::Text(&["for field"]),
        kind: Kind::Usage,
        cause: "{path} does not take a parameter ({because})",
        change: "check --ttl",
    },
    Row {
        id: "engine-other",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "{path} was refused ({because}); the role comes from {role}",
        change: "the engine or the cloud refuses: vault read {roles}/NAME shows the role, and Vault's log the reason",
    },
];

const fn missing(id: &'static str, says: Says) -> Row {
    Row {
        id,
        says,
        kind: Kind::Config,
        cause: "there is no {path} ({because}); the role comes from {role}",
        change: "check --role and --mount: vault secrets list shows the mounts, vault list {roles} the roles",
    }
}
