//! `auth/token/...`: lookup, renewal, revocation, creation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{rfc3339, unix};
use crate::core::Core;
use crate::core::login::policies;
use crate::core::policy::Capability;
use crate::core::request::{Operation, Request};
use crate::core::response::{Failure, Lifetime, Outcome, Response};
use crate::core::token::{Token, Uses};
use crate::core::token_role::TokenRole;
use crate::engine::kv::SYSTEM_TTL;

impl Core {
    pub(super) fn token_api(&mut self, request: &Request, path: &str, caller: Option<&Token>) -> Outcome {
        let Some(caller) = caller else { return Err(Failure::permission_denied()) };
        let (verb, in_path) = path.split_once('/').unwrap_or((path, ""));
        let named = |field: &str| {
            let given = request.data.text(field)?;
            Ok::<_, Failure>(if given.is_empty() { in_path.to_owned() } else { given })
        };
        match (verb, request.operation.is_write(), request.operation) {
            ("lookup-self", true, _) | ("lookup-self", _, Operation::Read) => Ok(Some(self.describe(&caller.id))),
            ("renew-self", true, _) => self.renew_token(request, &caller.id),
            ("revoke-self", true, _) => self.revoke_live_token(&caller.id),
            ("lookup", true, _) | ("lookup", _, Operation::Read) => {
                let id = named("token")?;
                self.known(&id).map_err(|_| Failure::response(403, "bad token"))?;
                Ok(Some(self.describe(&id)))
            }
            ("renew", true, _) => {
                let id = named("token")?;
                self.known(&id)?;
                self.renew_token(request, &id)
            }
            ("revoke", true, _) => {
                let id = named("token")?;
                self.known(&id)?;
                self.revoke_live_token(&id)
            }
            ("lookup-accessor" | "renew-accessor" | "revoke-accessor", true, _) => {
                let accessor = named("accessor")?;
                let found = self.tokens.by_accessor(&accessor, self.now).map(|token| token.id.clone());
                let id = found.ok_or_else(|| Failure::bad_request("invalid accessor"))?;
                match verb {
                    "lookup-accessor" => Ok(Some(self.describe(&id))),
                    "renew-accessor" => self.renew_token(request, &id),
                    _ => self.revoke_live_token(&id),
                }
            }
            ("create", true, _) if !in_path.is_empty() => {
                let role = self.token_role(request, in_path)?;
                self.create_token(request, caller, false, Some(&role))
            }
            ("create" | "create-orphan", true, _) => self.create_token(request, caller, verb == "create-orphan", None),
            ("roles", ..) if !in_path.is_empty() => self.token_role_api(request, in_path),
            ("lookup-self" | "renew-self" | "revoke-self" | "lookup" | "renew" | "revoke" | "create", ..) => {
                Err(Failure::unsupported_operation())
            }
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn known(&self, id: &str) -> Result<(), Failure> {
        if self.tokens.is_damaged(id) {
            return Err(Failure::response(403, "bad token"));
        }
        self.tokens.get(id, self.now).map(|_| ()).ok_or_else(|| Failure::bad_request("token not found"))
    }

    fn describe(&self, id: &str) -> Response {
        let Some(token) = self.tokens.get_tainted(id) else { return Response::default() };
        let uses = match token.uses {
            Uses::Unlimited => 0,
            Uses::Left(left) => i64::try_from(left).unwrap_or(i64::MAX),
            // What Vault stores while the last use is being made.
            Uses::Pending => -1,
        };
        let mut data = json!({
            "id": token.id,
            "accessor": token.accessor,
            "policies": token.policies,
            "path": token.path,
            "meta": token.metadata,
            "display_name": token.display_name,
            "num_uses": uses,
            "orphan": token.parent.is_none(),
            "creation_time": unix(token.created),
            "creation_ttl": token.creation_ttl.as_secs(),
            "expire_time": token.expires.map(rfc3339),
            "ttl": token.remaining(self.now).as_secs(),
            "explicit_max_ttl": token.explicit_max_ttl.as_secs(),
            "entity_id": token.entity_id,
            "type": token.kind(),
        });
        if token.expires.is_some() {
            data["issue_time"] = json!(rfc3339(token.created));
            data["renewable"] = json!(token.renewable);
        }
        if !token.role.is_empty() {
            data["role"] = json!(token.role);
        } else if !token.period.is_zero() {
            data["period"] = json!(token.period.as_secs());
        }
        if !token.bound_cidrs.is_empty() {
            data["bound_cidrs"] = json!(token.bound_cidrs.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        if !token.namespace.is_empty() {
            data["namespace_path"] = json!(token.namespace);
        }
        if let Some(renewed) = token.last_renewal {
            data["last_renewal"] = json!(rfc3339(renewed));
            data["last_renewal_time"] = json!(unix(renewed));
        }
        Response::data(data)
    }

    fn renew_token(&mut self, request: &Request, id: &str) -> Outcome {
        let increment = request.data.duration("increment")?.unwrap_or_default();
        let now = self.now;
        let Some(token) = self.tokens.get_tainted(id) else { return Err(Failure::bad_request("token not found")) };
        if token.batch {
            return Err(Failure::bad_request("batch tokens cannot be renewed"));
        }
        if token.expires.is_none() {
            return Err(Failure::bad_request("invalid lease ID"));
        }
        if !token.renewable {
            return Err(Failure::bad_request("lease is not renewable"));
        }
        let period = match token.role.as_str() {
            "" => token.period,
            name => {
                self.token_role(request, name)
                    .map_err(|_| {
                        Failure::response(500, format!("original token role {name:?} could not be found, not renewing"))
                    })?
                    .period
            }
        };
        let mount = self.namespaces.get(&token.namespace).and_then(|namespace| namespace.mount_of(&token.path));
        let (default_ttl, mount_max_ttl) =
            mount.map_or((SYSTEM_TTL, SYSTEM_TTL), |(_, mount)| (mount.default_ttl, mount.max_ttl));
        let lifetime = Lifetime {
            increment,
            ttl: token.ttl,
            period,
            max_ttl: token.max_ttl,
            explicit_max_ttl: token.explicit_max_ttl,
            default_ttl,
            mount_max_ttl,
            started: token.created,
        };
        let (ttl, warnings) = lifetime.calculate(now)?;
        if let Some(token) = self.tokens.get_mut(id) {
            token.expires = Some(now + ttl);
            token.last_renewal = Some(now);
        }
        let auth = self.tokens.get_tainted(id).map(|token| self.auth_block(token, ttl));
        Ok(Some(Response { auth, warnings, ..Response::default() }))
    }

    fn revoke_live_token(&mut self, id: &str) -> Outcome {
        if self.tokens.get_tainted(id).is_some_and(|token| token.batch) {
            return Err(Failure::bad_request("batch tokens cannot be revoked"));
        }
        self.revoke_token(id);
        Ok(None)
    }

    fn create_token(&mut self, request: &Request, caller: &Token, orphan: bool, role: Option<&TokenRole>) -> Outcome {
        let data = &request.data;
        if caller.batch {
            return Err(Failure::bad_request("batch tokens cannot create more tokens"));
        }
        if caller.uses != Uses::Unlimited {
            return Err(Failure::bad_request("restricted use token cannot generate child tokens"));
        }
        let may_all = caller.is_root() || self.has_sudo(caller, &request.path);
        let wish_policies = data.list("policies")?.unwrap_or_default();
        let no_default = data.boolean("no_default_policy")?.unwrap_or_default();
        let mut token = Token::new(&request.path, policies(&wish_policies, no_default), self.now);
        let by_role = role.map(|role| role.policies(&wish_policies, no_default)).transpose()?.flatten();
        if let Some(by_role) = by_role {
            token.policies = by_role;
        } else if wish_policies.is_empty() {
            token.policies.clone_from(&caller.policies);
        } else if !may_all && wish_policies.iter().any(|name| name != "default" && !caller.policies.contains(name)) {
            return Err(Failure::bad_request("child policies must be subset of parent"));
        }
        let no_parent = data.boolean("no_parent")?.unwrap_or_default();
        if no_parent && !may_all {
            return Err(Failure::bad_request("root or sudo privileges required to create orphan token"));
        }
        token.parent = (!orphan && !no_parent).then(|| caller.id.clone());
        token.id = data.text("id")?;
        if !token.id.is_empty() && !may_all {
            return Err(Failure::bad_request("root or sudo privileges required to specify token id"));
        }
        let uses = data.integer("num_uses")?.unwrap_or_default();
        let uses = u64::try_from(uses).map_err(|_| Failure::bad_request("number of uses cannot be negative"))?;
        if uses > 0 {
            token.uses = Uses::Left(uses);
        }
        match data.text("type")?.as_str() {
            "" | "service" => {}
            "batch" if uses > 0 => return Err(Failure::bad_request("batch tokens cannot have a use count limit")),
            "batch" => token.batch = true,
            other => return Err(Failure::bad_request(format!("invalid 'type' value \"{other}\""))),
        }
        token.metadata = data.object("meta")?;
        token.display_name = match data.text("display_name")? {
            name if name.is_empty() => "token".to_owned(),
            name => format!("token-{name}"),
        };
        token.namespace.clone_from(&request.namespace);
        token.renewable = !token.batch && data.boolean("renewable")?.unwrap_or(true);
        token.explicit_max_ttl = data.duration("explicit_max_ttl")?.unwrap_or_default();
        token.period = data.duration("period")?.unwrap_or_default();
        if !token.period.is_zero() && !may_all {
            return Err(Failure::bad_request("root or sudo privileges required to create periodic token"));
        }
        token.entity_id.clone_from(&caller.entity_id);
        if let Some(role) = role {
            role.shape(&mut token);
        }
        let ttl = data.duration("ttl")?.or(data.duration("lease")?).unwrap_or_default();
        let (ttl, warnings) = self.created_ttl(&token, ttl)?;
        if ttl.is_zero() {
            token.renewable = false;
        }
        let token = self.keep_token(token.lives_for(ttl));
        let auth = Some(self.auth_block(&token, ttl));
        Ok(Some(Response { auth, warnings, ..Response::default() }))
    }

    /// A root token without a TTL never expires; any other gets the system's.
    fn created_ttl(&self, token: &Token, wish: Duration) -> Result<(Duration, Vec<String>), Failure> {
        if token.is_root() && wish.is_zero() {
            return Ok((Duration::ZERO, Vec::new()));
        }
        let lifetime = Lifetime {
            increment: Duration::ZERO,
            ttl: wish,
            period: token.period,
            max_ttl: Duration::ZERO,
            explicit_max_ttl: token.explicit_max_ttl,
            default_ttl: SYSTEM_TTL,
            mount_max_ttl: SYSTEM_TTL,
            started: self.now,
        };
        lifetime.calculate(self.now)
    }

    fn has_sudo(&self, token: &Token, path: &str) -> bool {
        self.capabilities(token, path).contains(&Capability::Sudo.name())
    }

    /// `sys/capabilities-self`.
    pub(super) fn capabilities_self(&self, request: &Request, caller: &Token) -> Outcome {
        let mut paths = request.data.list("paths")?.unwrap_or_default();
        paths.extend(request.data.list("path")?.unwrap_or_default());
        if paths.is_empty() {
            return Err(Failure::bad_request("paths must be supplied"));
        }
        let mut data = serde_json::Map::new();
        for path in &paths {
            let capabilities = json!(self.capabilities(caller, path.trim_start_matches('/')));
            if paths.len() == 1 {
                data.insert("capabilities".to_owned(), capabilities.clone());
            }
            data.insert(path.clone(), capabilities);
        }
        Ok(Some(Response { repeats_data: true, ..Response::data(Value::Object(data)) }))
    }
}
