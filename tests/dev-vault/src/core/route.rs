//! Who may pass, and to which mount: token check, ACL, existence check, routing.

use crate::cidr::Cidr;
use crate::core::Core;
use crate::core::mount::Handler;
use crate::core::policy::{self, Capability, Policy, Rule};
use crate::core::request::{Operation, Request};
use crate::core::response::{Failure, Outcome, Response};
use crate::core::token::{Token, Uses};
use crate::dialect::Dialect;
use crate::engine::Call;

/// Paths that need `sudo` besides the operation's own capability.
const SUDO: [&str; 5] =
    ["sys/auth/", "sys/seal", "sys/leases/revoke-prefix/", "sys/leases/lookup/", "auth/token/accessors/"];

impl Core {
    /// Login paths of mounts, and the few `sys/` routes that need no token.
    pub(super) fn is_unauthenticated(&self, request: &Request) -> bool {
        let is_baos = ["sys/wrapping/pubkey", "sys/internal/ui/mounts"].contains(&request.path.as_str());
        if request.path == "sys/wrapping/lookup"
            || request.path.starts_with("sys/internal/ui/mounts/")
            || self.dialect == Dialect::OpenBao && is_baos
        {
            return true;
        }
        let mount = self.namespaces.get(&request.namespace).and_then(|namespace| namespace.mount_of(&request.path));
        mount.is_some_and(|(path, mount)| match &mount.handler {
            Handler::Backend(backend) => backend.is_login(request.path.strip_prefix(path).unwrap_or_default()),
            _ => false,
        })
    }

    pub(super) fn mount_type(&self, request: &Request) -> Option<String> {
        let (_, mount) = self.namespaces.get(&request.namespace)?.mount_of(&request.path)?;
        Some(mount.kind.clone())
    }

    fn no_token(&self) -> Failure {
        match self.dialect {
            Dialect::Vault1_8 => Failure::bad_request("missing client token"),
            _ => Failure::permission_denied(),
        }
    }

    /// A request that needs a token. Its use is spent whether the ACL allows the request or not.
    pub(super) fn authenticated(&mut self, request: &Request) -> Outcome {
        let id = request.token.as_ref().ok_or_else(|| self.no_token())?;
        let token = self.tokens.get(id, self.now).cloned().ok_or_else(Failure::permission_denied)?;
        if self.namespaces.get(&token.namespace).is_some_and(|namespace| namespace.sealed) {
            let text = "error performing token check: failed to read entry: Vault is sealed";
            return Err(Failure::response(503, text));
        }
        if !Cidr::any_contains(&token.bound_cidrs, request.remote) {
            return Err(Failure::permission_denied());
        }
        let allowed = request.help || self.allows(&token, request);
        self.tokens.spend(id, self.now);
        let outcome = match allowed {
            true if request.help => self.help(request),
            true => self.route(request, Some(&token)),
            false => Err(Failure::acl_denied()),
        };
        let is_last_use = self.tokens.get_tainted(id).is_some_and(|token| token.uses == Uses::Pending);
        if is_last_use {
            self.revoke_token(id);
        }
        outcome
    }

    fn allows(&self, token: &Token, request: &Request) -> bool {
        let Some(path) = acl_path(token, &request.namespace, &request.path) else { return false };
        if token.is_root() {
            return true;
        }
        let mut rule = self.rule(token, &path);
        if request.operation == Operation::List && rule.is_none() {
            rule = self.rule(token, path.trim_end_matches('/'));
        }
        let Some(rule) = rule else { return false };
        let wanted = self.effective(request).capability();
        let needs_sudo =
            SUDO.iter().any(|sudo| request.path == *sudo || request.path.starts_with(sudo) && sudo.ends_with('/'));
        rule.capabilities.contains(&wanted)
            && (!needs_sudo || rule.capabilities.contains(&Capability::Sudo))
            && wrapping_in_range(&rule, request)
    }

    /// A write is a create when the backend says that nothing is there yet.
    fn effective(&self, request: &Request) -> Operation {
        let mount = self.namespaces.get(&request.namespace).and_then(|namespace| namespace.mount_of(&request.path));
        let exists =
            mount.and_then(|(path, mount)| match &mount.handler {
                Handler::Backend(backend) => backend.exists(request.path.strip_prefix(path)?),
                Handler::Cubbyhole => {
                    let cubbyhole = self.cubbyholes.get(request.token.as_ref()?);
                    Some(cubbyhole.is_some_and(|storage| {
                        storage.get(request.path.strip_prefix(path).unwrap_or_default()).is_some()
                    }))
                }
                Handler::System | Handler::Token => None,
            });
        match (request.operation, exists) {
            (Operation::Update, Some(false)) => Operation::Create,
            (operation, _) => operation,
        }
    }

    fn rule(&self, token: &Token, path: &str) -> Option<Rule> {
        policy::decide(self.policies_of(token), path)
    }

    fn policies_of<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a Policy> {
        let known = self.namespaces.get(&token.namespace).map(|namespace| &namespace.policies);
        token.policies.iter().filter_map(move |name| known?.get(name))
    }

    /// The capabilities of a token on a path, sorted.
    pub(super) fn capabilities(&self, token: &Token, path: &str) -> Vec<&'static str> {
        if token.is_root() {
            return vec!["root"];
        }
        let names: Vec<&str> =
            self.rule(token, path).iter().flat_map(|rule| &rule.capabilities).map(|c| c.name()).collect();
        if names.is_empty() { vec!["deny"] } else { names }
    }

    fn no_route(&self, path: &str) -> Failure {
        let text = match self.dialect {
            Dialect::Vault1_8 => format!("no handler for route '{path}'"),
            _ => format!("no handler for route \"{path}\". route entry not found."),
        };
        Failure::response(404, text)
    }

    /// The help of a path, which every valid token may read: it tells whether there is a mount, and such a path below it.
    fn help(&self, request: &Request) -> Outcome {
        let namespace = self.namespaces.get(&request.namespace);
        let (mount_path, mount) = namespace
            .and_then(|namespace| namespace.mount_of(&request.path))
            .ok_or_else(|| self.no_route(&request.path))?;
        let below = request.path.strip_prefix(mount_path).unwrap_or_default();
        let head = below.split('/').next().unwrap_or_default();
        let (about, heads): (&str, &[&str]) = match mount.kind.as_str() {
            "exoscale" => ("Issue Exoscale API keys", &["apikey", "role", "config"]),
            "aws" => ("Generate AWS credentials from a specific Vault role.", &["creds", "sts", "roles", "config"]),
            _ => ("This path has a backend.", &[]),
        };
        if !heads.is_empty() && !heads.contains(&head) {
            return Err(Failure::unsupported_path());
        }
        let text = format!("Request:        {below}\nMatching Route: ^{head}/(?P<name>.*)$\n\n{about}\n");
        Ok(Some(Response::verbatim(200, serde_json::json!({ "help": text, "see_also": [] }).to_string())))
    }

    /// Hands the request to its mount, and keeps what the mount grants or lends.
    pub(super) fn route(&mut self, request: &Request, caller: Option<&Token>) -> Outcome {
        let namespace = self.namespaces.get(&request.namespace);
        let (mount_path, mount) = namespace
            .and_then(|namespace| namespace.mount_of(&request.path))
            .ok_or_else(|| self.no_route(&request.path))?;
        let below = request.path.strip_prefix(mount_path).unwrap_or_default();
        match &mount.handler {
            Handler::System => {
                let path = below.to_owned();
                self.sys(request, &path, caller)
            }
            Handler::Token => {
                let path = below.to_owned();
                self.token_api(request, &path, caller)
            }
            Handler::Cubbyhole => {
                let storage = self.cubbyholes.entry(request.token.clone().unwrap_or_default()).or_default();
                storage.handle(request.operation, below, request.data.all())
            }
            Handler::Backend(_) => {
                let (mount_path, below) = (mount_path.to_owned(), below.to_owned());
                self.backend(request, caller, &mount_path, &below)
            }
        }
    }

    fn backend(&mut self, request: &Request, caller: Option<&Token>, mount_path: &str, below: &str) -> Outcome {
        let unheard_since = self.unheard_since();
        let mount =
            self.namespaces.get_mut(&request.namespace).and_then(|namespace| namespace.mounts.get_mut(mount_path));
        let Some((Handler::Backend(backend), default_ttl, max_ttl)) =
            mount.map(|mount| (&mut mount.handler, mount.default_ttl, mount.max_ttl))
        else {
            return Err(Failure::unsupported_path());
        };
        let mut call = Call {
            request,
            path: below,
            now: self.now,
            unheard_since,
            dialect: self.dialect,
            display_name: caller.map(|token| token.display_name.as_str()).unwrap_or_default(),
            default_ttl,
            max_ttl,
            ledger: &mut self.ledger,
            options: &self.options,
        };
        let Some(mut response) = backend.handle(&mut call)? else { return Ok(None) };
        if let Some(grant) = response.grant.take() {
            self.log_in(request, mount_path, grant, &mut response)?;
        }
        if let (Some(secret), Some(caller)) = (response.secret.take(), caller) {
            // The context of the request is cancelled: the cloud has made the key, and nobody registers a lease for it.
            if request.staged.abandoned {
                return Err(Failure::internal("context canceled"));
            }
            // The key is made, cannot be kept, and is taken back.
            if self.cannot_lend(caller) {
                self.ledger.live_keys.remove(&secret.access_key);
                return Err(Failure::internal("internal error"));
            }
            self.lend(request, caller, (default_ttl, max_ttl), secret, &mut response)?;
        }
        Ok(Some(response))
    }
}

/// The path as the token's policies name it: relative to the token's namespace.
fn acl_path(token: &Token, namespace: &str, path: &str) -> Option<String> {
    Some(format!("{}{path}", namespace.strip_prefix(&token.namespace)?))
}

/// With a wrapping range in the policy, a request that is not wrapped is denied like any other.
fn wrapping_in_range(rule: &Rule, request: &Request) -> bool {
    let below = rule.min_wrapping_ttl.is_some_and(|minimum| request.wrap_ttl.is_none_or(|ttl| ttl < minimum));
    let above = rule.max_wrapping_ttl.is_some_and(|maximum| request.wrap_ttl.is_none_or(|ttl| ttl > maximum));
    !below && !above
}
