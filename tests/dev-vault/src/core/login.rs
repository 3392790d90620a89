//! From a backend's grant to a token and its `auth` block.

use std::time::Duration;

use serde_json::Value;

use crate::core::Core;
use crate::core::mount::Namespace;
use crate::core::request::Request;
use crate::core::response::{Auth, Failure, Grant, Lifetime, Response};
use crate::core::token::{Token, Uses};
use crate::random;

impl Core {
    pub(super) fn log_in(
        &mut self,
        request: &Request,
        mount_path: &str,
        grant: Grant,
        response: &mut Response,
    ) -> Result<(), Failure> {
        let Some(namespace) = self.namespaces.get(&request.namespace) else { return Err(Failure::empty(404)) };
        let mount = &namespace.mounts[mount_path];
        let params = &grant.params;
        let lifetime = Lifetime {
            increment: Duration::ZERO,
            ttl: params.ttl,
            period: params.period,
            max_ttl: params.max_ttl,
            explicit_max_ttl: params.explicit_max_ttl,
            default_ttl: mount.default_ttl,
            mount_max_ttl: mount.max_ttl,
            started: self.now,
        };
        let (ttl, warnings) = lifetime.calculate(self.now)?;
        response.warnings.extend(warnings);
        let entity = (mount.accessor.clone(), grant.alias.clone());
        let suffix = namespace.suffix();
        let entity_id = self.entities.entry(entity).or_insert_with(|| format!("{}{suffix}", random::uuid())).clone();

        let mut token = Token::new(&request.path, policies(&params.policies, params.no_default_policy), self.now);
        // A mount of a namespace is named in full.
        let source = match request.namespace.as_str() {
            "" => mount_path.trim_start_matches("auth/").replace('/', "-"),
            namespace => format!("{namespace}{mount_path}").replace('/', "-"),
        };
        token.display_name = format!("{source}{}", grant.display_name).trim_end_matches('-').to_owned();
        token.namespace.clone_from(&request.namespace);
        token.batch = params.batch;
        token.metadata = Some(grant.metadata);
        token.entity_id = entity_id;
        token.max_ttl = params.max_ttl;
        token.explicit_max_ttl = params.explicit_max_ttl;
        token.period = params.period;
        token.renewable = !params.batch;
        token.bound_cidrs.clone_from(&params.bound_cidrs);
        if params.num_uses > 0 {
            token.uses = Uses::Left(params.num_uses);
        }
        // A renewal starts from the role's own TTL, not from what was granted now.
        let token = Token { ttl: params.ttl, ..token.lives_for(ttl) };
        let token = self.keep_token(token);
        response.auth = Some(self.auth_block(&token, ttl));
        Ok(())
    }

    /// Stores a new token and remembers its id as a secret.
    pub(super) fn keep_token(&mut self, token: Token) -> Token {
        let namespace_id = self.namespaces.get(&token.namespace).and_then(Namespace::named_id).map(str::to_owned);
        let token = self.tokens.insert(token, namespace_id.as_deref());
        self.ledger.secret(token.id.clone());
        token
    }

    pub(super) fn auth_block(&self, token: &Token, ttl: Duration) -> Auth {
        let uses = match token.uses {
            Uses::Left(left) => left,
            Uses::Unlimited | Uses::Pending => 0,
        };
        Auth {
            client_token: token.id.clone(),
            accessor: token.accessor.clone(),
            policies: token.policies.clone(),
            token_policies: token.policies.clone(),
            metadata: token.metadata.clone(),
            lease_duration: ttl.as_secs(),
            renewable: token.renewable,
            entity_id: token.entity_id.clone(),
            token_type: token.kind(),
            orphan: token.parent.is_none(),
            mfa_requirement: self.dialect.is_modern().then_some(Value::Null),
            num_uses: self.dialect.is_modern().then_some(uses),
        }
    }
}

/// Sorted, lower-cased, without doubles, and with `default` unless it is not wanted.
pub(super) fn policies(wanted: &[String], no_default: bool) -> Vec<String> {
    let mut policies: Vec<String> = wanted.iter().map(|name| name.to_lowercase()).collect();
    if !no_default && !policies.iter().any(|name| name == "root") {
        policies.push("default".to_owned());
    }
    policies.sort();
    policies.dedup();
    policies
}
