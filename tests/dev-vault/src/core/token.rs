//! The token store: who a token is, how many uses it has, when it dies.
//!
//! It knows no lease; `Core::revoke_token` is where a token's death reaches its leases and children.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::cidr::Cidr;
use crate::core::fields::Object;
use crate::dialect::Dialect;
use crate::random;

/// What a wrapping token wraps; the payload itself lies in its cubbyhole.
#[derive(Debug, Clone)]
pub(crate) struct Wrapping {
    pub(crate) creation_path: String,
    pub(crate) ttl: Duration,
}

/// Uses that a token has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    Unlimited,
    Left(u64),
    /// The last use is being made: the token dies with this request.
    Pending,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) accessor: String,
    /// `""` for root, otherwise with a trailing slash.
    pub(crate) namespace: String,
    pub(crate) policies: Vec<String>,
    pub(crate) batch: bool,
    /// The request path that made it.
    pub(crate) path: String,
    /// The token role that made it; Vault asks that one for the period at each renewal.
    pub(crate) role: String,
    pub(crate) display_name: String,
    pub(crate) metadata: Option<Object>,
    pub(crate) entity_id: String,
    pub(crate) parent: Option<String>,
    pub(crate) created: SystemTime,
    pub(crate) creation_ttl: Duration,
    /// `None` never expires.
    pub(crate) expires: Option<SystemTime>,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) last_renewal: Option<SystemTime>,
    pub(crate) renewable: bool,
    pub(crate) uses: Uses,
    pub(crate) bound_cidrs: Vec<Cidr>,
    pub(crate) wrapping: Option<Wrapping>,
}

impl Token {
    pub(crate) fn new(path: &str, policies: Vec<String>, now: SystemTime) -> Self {
        Self {
            id: String::new(),
            accessor: random::base62(24),
            namespace: String::new(),
            policies,
            batch: false,
            path: path.to_owned(),
            role: String::new(),
            display_name: String::new(),
            metadata: None,
            entity_id: String::new(),
            parent: None,
            created: now,
            creation_ttl: Duration::ZERO,
            expires: None,
            ttl: Duration::ZERO,
            max_ttl: Duration::ZERO,
            explicit_max_ttl: Duration::ZERO,
            period: Duration::ZERO,
            last_renewal: None,
            renewable: false,
            uses: Uses::Unlimited,
            bound_cidrs: Vec::new(),
            wrapping: None,
        }
    }

    pub(crate) fn lives_for(mut self, ttl: Duration) -> Self {
        self.creation_ttl = ttl;
        self.ttl = ttl;
        self.expires = (!ttl.is_zero()).then(|| self.created + ttl);
        self
    }

    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|policy| policy == "root")
    }

    pub(crate) fn kind(&self) -> &'static str {
        if self.batch { "batch" } else { "service" }
    }

    pub(crate) fn remaining(&self, now: SystemTime) -> Duration {
        self.expires.and_then(|expires| expires.duration_since(now).ok()).unwrap_or_default()
    }

    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

#[derive(Debug)]
pub(crate) struct TokenStore {
    dialect: Dialect,
    tokens: BTreeMap<String, Token>,
    /// Every id ever given out; a signed token that is not among them was tampered with.
    issued: BTreeSet<String>,
}

impl TokenStore {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, tokens: BTreeMap::new(), issued: BTreeSet::new() }
    }

    /// Gives the token an id, unless it has one, and keeps it.
    pub(crate) fn insert(&mut self, mut token: Token, namespace_id: Option<&str>) -> Token {
        if token.id.is_empty() {
            token.id = self.new_id(&token);
            if let Some(id) = namespace_id {
                token.id = format!("{}.{id}", token.id);
                token.accessor = format!("{}.{id}", token.accessor);
            }
        }
        if token.batch {
            token.accessor = String::new();
        }
        self.issued.insert(token.id.clone());
        self.tokens.insert(token.id.clone(), token.clone());
        token
    }

    fn new_id(&self, token: &Token) -> String {
        match (self.dialect.has_signed_tokens(), token.batch) {
            (true, true) => format!("hvb.AAAAAQ{}", random::base64url(180)),
            (true, false) => format!("hvs.CAES{}", random::base64url(91)),
            (false, true) => format!("b.AAAAAQ{}", random::base64url(180)),
            (false, false) => format!("s.{}", random::base62(24)),
        }
    }

    /// A live token: known, not expired, not at its end.
    pub(crate) fn get(&self, id: &str, now: SystemTime) -> Option<&Token> {
        self.tokens.get(id).filter(|token| !token.is_expired(now) && token.uses != Uses::Pending)
    }

    pub(crate) fn by_accessor(&self, accessor: &str, now: SystemTime) -> Option<&Token> {
        let found = self.tokens.values().find(|token| !token.batch && token.accessor == accessor)?;
        self.get(&found.id, now)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Token> {
        self.tokens.get_mut(id)
    }

    /// Also finds a token whose last use is being made.
    pub(crate) fn get_tainted(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// Spends one use. `false`: there is no such token any more.
    pub(crate) fn spend(&mut self, id: &str, now: SystemTime) -> bool {
        if self.get(id, now).is_none() {
            return false;
        }
        let Some(token) = self.tokens.get_mut(id) else { return false };
        token.uses = match token.uses {
            Uses::Left(0 | 1) => Uses::Pending,
            Uses::Left(left) => Uses::Left(left - 1),
            other => other,
        };
        true
    }

    /// Removes a token and every descendant; their ids, the token's own first.
    pub(crate) fn remove_tree(&mut self, id: &str) -> Vec<String> {
        let mut removed = Vec::new();
        let mut doomed = vec![id.to_owned()];
        while let Some(next) = doomed.pop() {
            if self.tokens.remove(&next).is_some() {
                let children = self.tokens.values().filter(|token| token.parent.as_deref() == Some(next.as_str()));
                doomed.extend(children.map(|token| token.id.clone()));
                removed.push(next);
            }
        }
        removed
    }

    pub(crate) fn expired(&self, now: SystemTime) -> Vec<String> {
        self.tokens.values().filter(|token| token.is_expired(now)).map(|token| token.id.clone()).collect()
    }

    pub(crate) fn live(&self, now: SystemTime) -> impl Iterator<Item = &Token> {
        self.tokens.values().filter(move |token| !token.is_expired(now))
    }

    /// A token of the signed form whose signature does not hold.
    pub(crate) fn is_damaged(&self, id: &str) -> bool {
        self.dialect.has_signed_tokens() && id.starts_with("hvs.") && id.len() > 90 && !self.issued.contains(id)
    }
}
