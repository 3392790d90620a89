//! `auth/token/roles/<name>`, and what a token that is made by one of them is.

use std::time::Duration;

use serde_json::json;

use crate::core::Core;
use crate::core::login::policies;
use crate::core::request::{Operation, Request};
use crate::core::response::{Failure, Outcome, Response};
use crate::core::token::Token;

/// A token role.
#[derive(Debug, Clone)]
pub(crate) struct TokenRole {
    name: String,
    allowed_policies: Vec<String>,
    orphan: bool,
    pub(super) period: Duration,
    explicit_max_ttl: Duration,
    renewable: bool,
}

impl Core {
    pub(super) fn token_role_api(&mut self, request: &Request, name: &str) -> Outcome {
        let key = (request.namespace.clone(), name.to_owned());
        if request.operation.is_write() {
            let data = &request.data;
            let role = TokenRole {
                name: name.to_owned(),
                allowed_policies: data.list("allowed_policies")?.unwrap_or_default(),
                orphan: data.boolean("orphan")?.unwrap_or_default(),
                period: data.duration("token_period")?.unwrap_or_default(),
                explicit_max_ttl: data.duration("token_explicit_max_ttl")?.unwrap_or_default(),
                renewable: data.boolean("renewable")?.unwrap_or(true),
            };
            self.token_roles.insert(key, role);
            return Ok(None);
        }
        match request.operation {
            Operation::Read => Ok(self.token_roles.get(&key).map(|role| {
                Response::data(json!({
                    "name": name,
                    "allowed_policies": role.allowed_policies,
                    "orphan": role.orphan,
                    "token_period": role.period.as_secs(),
                    "token_explicit_max_ttl": role.explicit_max_ttl.as_secs(),
                    "renewable": role.renewable,
                }))
            })),
            _ => Err(Failure::unsupported_operation()),
        }
    }

    pub(super) fn token_role(&self, request: &Request, name: &str) -> Result<TokenRole, Failure> {
        let key = (request.namespace.clone(), name.to_owned());
        self.token_roles.get(&key).cloned().ok_or_else(|| Failure::bad_request(format!("unknown role {name}")))
    }
}

impl TokenRole {
    /// The policies of a token that asks for these. One that asks for none gets all that the role allows.
    pub(super) fn policies(&self, wish: &[String], no_default: bool) -> Result<Option<Vec<String>>, Failure> {
        if self.allowed_policies.is_empty() {
            return Ok(None);
        }
        let is_allowed = |name: &&String| *name == "default" || self.allowed_policies.contains(name);
        if !wish.iter().all(|name| is_allowed(&name)) {
            let quoted = |names: &[String]| format!("{names:?}").replace("\", \"", "\" \"");
            let allowed = policies(&self.allowed_policies, no_default);
            return Err(Failure::bad_request(format!(
                "token policies ({}) must be subset of the role's allowed policies ({})",
                quoted(wish),
                quoted(&allowed)
            )));
        }
        Ok(Some(policies(if wish.is_empty() { &self.allowed_policies } else { wish }, no_default)))
    }

    /// What the role says of the token, whatever was asked for.
    pub(super) fn shape(&self, token: &mut Token) {
        token.role.clone_from(&self.name);
        if self.orphan {
            token.parent = None;
        }
        if !self.period.is_zero() {
            token.period = self.period;
        }
        if !self.explicit_max_ttl.is_zero() {
            token.explicit_max_ttl = self.explicit_max_ttl;
        }
        token.renewable &= self.renewable;
    }
}
