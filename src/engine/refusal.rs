//! What a secrets engine's refusals mean, and what to change.

use crate::auth::unnamed_approle;
use crate::config::Plan;
use crate::error::{Error, Kind};
use crate::identity::Identity;
use crate::vault::refusal::{Refusal, Row, Says, explain};

/// The error of a refused read.
pub(crate) fn describe(refusal: &Refusal, plan: &Plan) -> Error {
    let denied = refusal.is_denied_by_policy();
    if denied && plan.login.perhaps_generator {
        return unnamed_approle(&plan.login, &plan.mint.path, &refusal.because());
    }
    let error = explain(&REFUSALS, refusal, &|name| match name {
        "login" => plan.login.describe(),
        "path" => plan.mint.path.clone(),
        "role" => plan.role_origin.to_string(),
        "roles" => plan.mint.roles.clone(),
        "title" => plan.shape.title.to_string(),
        _ => capabilities(plan).into(),
    });
    // A wrapping token looks like any other one, and has one policy that allows nothing but to unwrap it.
    match plan.login.identity {
        Identity::Token { .. } if denied => error.hint(format!(
            "check --role and --mount; if they are right, its policy needs path \"{}\" {{ capabilities = [{}] }}; \
            if it is a wrapping token, it is spent now: set VAULT_WRAPPING_TOKEN to a new one",
            plan.mint.path,
            capabilities(plan)
        )),
        _ => error,
    }
}

fn capabilities(plan: &Plan) -> &'static str {
    if plan.mint.writable { "\"read\", \"update\"" } else { "\"read\"" }
}

/// Of the read, or the write, that makes a credential.
const REFUSALS: [Row; 11] = [
    Row {
        says: Says::PolicyDenies,
        kind: Kind::Denied,
        cause: "the policy of the {login} does not allow {path} ({because}); the role comes from {role}",
        change: "add to the policy: path \"{path}\" { capabilities = [{capabilities}] }; or pass another --role or --mount",
    },
    Row {
        says: Says::TokenDenied,
        kind: Kind::Denied,
        cause: "the {login} is not valid for {path} ({because})",
        change: "the token has expired, was revoked, is bound to other addresses, or is of another namespace; a token that only makes secret IDs also \
            needs VAULT_ROLE_ID and VAULT_APPROLE_ROLE",
    },
    Row {
        says: Says::Text(&["one use left"]),
        kind: Kind::Config,
        cause: "the token had one use left: the credential of {path} was revoked at once ({because})",
        change: "set token_num_uses of the login's role to 0, or to 3 and more",
    },
    Row {
        says: Says::Text(&["not configured"]),
        kind: Kind::Config,
        cause: "the engine behind {path} is not configured ({because})",
        change: "an operator must configure its cloud credentials; or pass another mount with --mount",
    },
    missing(Says::Status(&[404])),
    missing(Says::Text(&["not found", "unsupported path"])),
    Row {
        says: Says::Status(&[405]),
        kind: Kind::Config,
        cause: "{path} does not support this request ({because})",
        change: "check that the mount is an {title} engine (--mount)",
    },
    Row {
        says: Says::Text(&["greater than or equal to 900"]),
        kind: Kind::Denied,
        cause: "{path} was refused: STS credentials live for at least 15m ({because})",
        change: "pass --ttl 15m or more; without --ttl, default_sts_ttl of the Vault role applies",
    },
    Row {
        says: Says::Text(&["role_arn"]),
        kind: Kind::Denied,
        cause: "{path} needs another role ARN ({because})",
        change: "pass --role-arn ARN, one of role_arns of the Vault role: vault read {roles}/NAME shows them",
    },
    Row {
        says: Says::Text(&["for field"]),
        kind: Kind::Usage,
        cause: "{path} does not take a parameter ({because})",
        change: "check --ttl",
    },
    Row {
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "{path} was refused ({because}); the role comes from {role}",
        change: "the engine or the cloud refuses: vault read {roles}/NAME shows the role, and Vault's log the reason",
    },
];

const fn missing(says: Says) -> Row {
    Row {
        says,
        kind: Kind::Config,
        cause: "there is no {path} ({because}); the role comes from {role}",
        change: "check --role and --mount: vault secrets list shows the mounts, vault list {roles} the roles",
    }
}
