//! What the refusal of a secret's request means, of whichever engine, and what to change.

use crate::config::Plan;
use crate::error::{Error, Kind};
use crate::vault::refusal::{Refusal, RefusalTable, Row, Says, explain};

/// The error of a refused request.
pub(super) fn describe(refusal: &Refusal, plan: &Plan) -> Error {
    let writes = plan.mint.body.is_some();
    let error = explain(&REFUSALS, refusal, &|name| match name {
        "login" => plan.login.describe(),
        "path" => plan.mint.path.clone(),
        "origin" if plan.role.is_empty() => plan.role_origin.to_string(),
        "origin" => format!("[secret.{}] of {}", plan.role, plan.role_origin),
        "capability" => if writes { "update" } else { "read" }.to_owned(),
        "form" => if writes { "a write" } else { "a read" }.to_owned(),
        _ => match writes {
            true => "drop --set, --write, `body` and `method`: the engine takes a read".to_owned(),
            false => "the engine takes a write: --set NAME=VALUE or `body`, or --write or method = \"write\" without \
                      values"
                .to_owned(),
        },
    });
    match (data_path(plan), refusal.status) {
        (Some(path), 403 | 404) if !is_absence(refusal) => {
            error.hint_too(&format!("if it is a KV engine of version 2, the path is {path}"))
        }
        _ => error,
    }
}

/// Whether a KV engine knows the path, and has nothing there any more.
fn is_absence(refusal: &Refusal) -> bool {
    ABSENT.iter().any(|words| refusal.reason.contains(words))
}

/// The path with `data/` behind the mount, where it has none. A mount of several segments is not known here.
fn data_path(plan: &Plan) -> Option<String> {
    let (mount, rest) = plan.mint.path.split_once('/')?;
    let is_kv = plan.mint.body.is_none() && plan.shape.mapping.as_ref().is_none_or(|mapping| mapping.kv != Some(1));
    (is_kv && !rest.split('/').any(|segment| ["data", "creds", "static-creds"].contains(&segment)))
        .then(|| format!("{mount}/data/{rest}"))
}

/// The words of a version without a value.
const ABSENT: [&str; 2] = ["was deleted on", "is destroyed"];

/// The table, for `ci-creds explain`.
pub(super) const TABLE: RefusalTable =
    RefusalTable { of: "The read of a secret of another engine", rows: &REFUSALS, docs: "docs/secrets.md" };

/// Of the request.
const REFUSALS: [Row; 9] = [
    Row {
        id: "secret-policy",
        says: Says::PolicyDenies,
        kind: Kind::Denied,
        cause: "the policy of the {login} does not allow {path} ({because}); the path comes from {origin}",
        change: "add to the policy: path \"{path}\" { capabilities = [\"{capability}\"] }",
    },
    Row {
        id: "secret-token",
        says: Says::TokenDenied,
        kind: Kind::Denied,
        cause: "the {login} is not valid for the secret at {path} ({because})",
        change: "the token has expired, was revoked, has used up its uses, is bound to other addresses, or is of another namespace",
    },
    Row {
        id: "secret-one-use",
        says: Says::Text(&["one use left"]),
        kind: Kind::Config,
        cause: "the token had one use left: the secret at {path} was revoked at once ({because})",
        change: "set token_num_uses of the login's role to 0, or to 3 and more",
    },
    Row {
        id: "secret-no-configuration",
        says: Says::Text(&["not configured"]),
        kind: Kind::Config,
        cause: "the engine of the secret at {path} is not configured ({because})",
        change: "an operator must configure the engine",
    },
    Row {
        id: "secret-deleted",
        says: Says::Text(&ABSENT),
        kind: Kind::Config,
        cause: "there is no secret at {path} ({because})",
        change: "vault kv undelete restores a deleted version, a new write makes another one, and `version` in the section \
            names an older one",
    },
    Row {
        id: "secret-no-role",
        says: Says::Text(&["unknown role", "not found", "unsupported path", "does not exist", "unrecognized role"]),
        kind: Kind::Config,
        cause: "there is no {path} ({because}); the path comes from {origin}",
        change: "check the mount and the role in the path: vault secrets list shows the mounts",
    },
    Row {
        id: "secret-no-path",
        says: Says::Status(&[404]),
        kind: Kind::Config,
        cause: "there is no {path} ({because}); the path comes from {origin}",
        change: "check the path: vault secrets list shows the mounts",
    },
    Row {
        id: "secret-method",
        says: Says::Status(&[405]),
        kind: Kind::Config,
        cause: "{path} does not take {form} ({because})",
        change: "{method}",
    },
    Row {
        id: "secret-other",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "{path} was refused ({because}); the path comes from {origin}",
        change: "the engine refuses: check the parameters, the engine's role, and Vault's log",
    },
];
