//! Vault's core: from a parsed HTTP request to an answer. One request at a time; the order of the checks is Vault's.
//!
//! It does no I/O, and it does not know that faults exist.

mod envelope;
pub(crate) mod fields;
mod hcl;
pub(crate) mod lease;
mod leasing;
mod login;
pub(crate) mod mount;
pub(crate) mod policy;
mod quota;
pub(crate) mod request;
pub(crate) mod response;
mod route;
pub(crate) mod standby;
mod sys;
pub(crate) mod token;
mod token_api;
mod token_role;
mod wrapping;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub(crate) use envelope::JSON;

use crate::dialect::Dialect;
use crate::engine::kv::Storage;
use crate::engine::{Ledger, Options};
use crate::http::Answer;
use crate::random;
use lease::{Lease, Leases};
use mount::{Handler, Namespace};
use quota::Quotas;
use request::{HttpRequest, Operation, Request, Staged, percent_decode};
use response::{Failure, Outcome};
use standby::Standby;
use token::{Token, TokenStore};
use token_role::TokenRole;

pub(crate) struct Core {
    pub(crate) dialect: Dialect,
    pub(crate) options: Options,
    pub(crate) ledger: Ledger,
    /// The time of the request at hand.
    now: SystemTime,
    started: SystemTime,
    namespaces: BTreeMap<String, Namespace>,
    tokens: TokenStore,
    /// By namespace and name.
    token_roles: BTreeMap<(String, String), TokenRole>,
    leases: Leases,
    /// Per token id.
    cubbyholes: BTreeMap<String, Storage>,
    /// By mount accessor and alias.
    entities: BTreeMap<(String, String), String>,
    quotas: Quotas,
    sealed: bool,
    /// What this node is when it does not lead.
    pub(crate) standby: Option<Standby>,
    cluster: (String, String),
    root_token: String,
}

impl Core {
    pub(crate) fn new(dialect: Dialect, options: Options, now: SystemTime) -> Self {
        let mut tokens = TokenStore::new(dialect);
        let mut root = Token::new("auth/token/root", vec!["root".to_owned()], now);
        root.display_name = "root".to_owned();
        let root = tokens.insert(root, None);
        let mut ledger = Ledger::default();
        ledger.secret(root.id.clone());
        Self {
            dialect,
            options,
            ledger,
            now,
            started: now,
            namespaces: BTreeMap::from([(String::new(), Namespace::new("root"))]),
            tokens,
            token_roles: BTreeMap::new(),
            leases: Leases::default(),
            cubbyholes: BTreeMap::new(),
            entities: BTreeMap::new(),
            quotas: Quotas::default(),
            sealed: false,
            standby: None,
            cluster: (format!("vault-cluster-{}", random::hex(8)), random::uuid()),
            root_token: root.id,
        }
    }

    pub(crate) fn root_token(&self) -> &str {
        &self.root_token
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.leases.all()
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.live(self.now)
    }

    /// Answers a request at a time.
    pub(crate) fn handle(&mut self, http: &HttpRequest, staged: Staged, now: SystemTime) -> Answer {
        self.advance_to(now);
        let mut answer = match self.consult_index(http) {
            Ok(()) => self.answer(http, staged),
            Err(failure) => envelope::failure(&failure, false),
        };
        if self.standby.is_some() && answer.status < 300 && !Self::is_public_sys(http.head.raw_path()) {
            answer.headers.set("X-Vault-Index", standby::INDEX);
        }
        if self.dialect == Dialect::OpenBao {
            answer.headers.set("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
        } else if let Some(namespace) = http.head.headers.get("x-vault-namespace") {
            answer.headers.set("X-Vault-Namespace", namespace);
        }
        self.settle();
        answer
    }

    /// Lets time pass: what has expired dies, and the minute's clean-up runs.
    pub(crate) fn advance_to(&mut self, now: SystemTime) {
        self.now = now;
        for id in self.tokens.expired(now) {
            self.revoke_token(&id);
        }
        for id in self.leases.expired(now) {
            self.take_back(&id);
        }
        let age = now.duration_since(self.started).unwrap_or_default();
        let tick = self.started + Duration::from_secs(age.as_secs() / 60 * 60);
        for mount in self.namespaces.values_mut().flat_map(|namespace| namespace.mounts.values_mut()) {
            if let Handler::Backend(backend) = &mut mount.handler {
                backend.tidy(tick);
            }
        }
        self.settle();
    }

    /// Works off the revocation queue, unless it is held.
    fn settle(&mut self) {
        if !self.options.hold_revocations {
            self.run_revocations();
        }
    }

    fn answer(&mut self, http: &HttpRequest, staged: Staged) -> Answer {
        let path = percent_decode(http.head.raw_path());
        if let Some(clean) = cleaned(&path) {
            let query = http.head.raw_query().map(|query| format!("?{query}")).unwrap_or_default();
            return envelope::moved(&http.head.method, &format!("{clean}{query}"), self.dialect);
        }
        let Some(path) = path.strip_prefix("/v1/") else { return envelope::not_found_page(self.dialect) };
        if path.chars().any(char::is_control) {
            return Answer::new(400, JSON, "");
        }
        if let Err(failure) = self.check_request_header(http) {
            return envelope::failure(&failure, false);
        }
        let mut limits = Vec::new();
        let mut answer = match self.admit(http, path, &mut limits) {
            Err(failure) => envelope::failure(&failure, false),
            Ok((_, path)) if Self::is_public_sys(&path) => self.public_sys(&http.head, &path),
            Ok((_, path)) if self.sends_to_the_leader(http, &path) => standby::redirect(http),
            Ok(location) => match Request::parse(http, location, staged, self.dialect) {
                Ok(request) => self.logical(&request),
                Err(failure) => envelope::failure(&failure, false),
            },
        };
        for (name, value) in limits {
            answer.headers.set(name, value);
        }
        answer
    }

    fn check_request_header(&self, http: &HttpRequest) -> Result<(), Failure> {
        let values: Vec<&str> = http.head.headers.all("x-vault-request").collect();
        if self.options.require_request_header && values != ["true"] {
            return Err(Failure::response(412, "missing \"X-Vault-Request\" header"));
        }
        Ok(())
    }

    /// Finds the namespace and asks the quotas.
    fn admit(
        &mut self,
        http: &HttpRequest,
        path: &str,
        limits: &mut Vec<(&'static str, String)>,
    ) -> Result<(String, String), Failure> {
        let header = http.head.headers.get("x-vault-namespace").unwrap_or_default();
        let (mut namespace, path) = self.resolve_namespace(header, path)?;
        if let Some(own) = self.namespace_of_the_token(http, &path) {
            namespace = own;
        }
        self.check_namespace(&namespace)?;
        if !self.sealed {
            *limits = self.quotas.admit(path.trim_end_matches('/'), http.remote, self.now)?;
        }
        Ok((namespace, path))
    }

    /// Vault Community ignores the header; `OpenBao` also reads a namespace from the path.
    fn resolve_namespace(&self, header: &str, path: &str) -> Result<(String, String), Failure> {
        if !self.dialect.has_namespaces() {
            return Ok((String::new(), path.to_owned()));
        }
        let header = header.trim_matches('/');
        let mut namespace = if header.is_empty() || header == "root" { String::new() } else { format!("{header}/") };
        if !self.namespaces.contains_key(&namespace) {
            return Err(Failure::response(404, "namespace not found"));
        }
        let mut path = path;
        while let Some((first, rest)) = path.split_once('/') {
            let child = format!("{namespace}{first}/");
            if !self.namespaces.contains_key(&child) {
                break;
            }
            (namespace, path) = (child, rest);
        }
        Ok((namespace, path.to_owned()))
    }

    /// `OpenBao` finds what a token does with itself in the token's own namespace, whichever the request names.
    fn namespace_of_the_token(&self, http: &HttpRequest, path: &str) -> Option<String> {
        const SELF: [&str; 4] =
            ["sys/wrapping/unwrap", "auth/token/lookup-self", "auth/token/renew-self", "auth/token/revoke-self"];
        let token = self.tokens.get(&request::token(&http.head.headers)?, self.now)?;
        let is_open = self.namespaces.get(&token.namespace).is_some_and(|namespace| !namespace.sealed);
        (self.dialect.has_namespaces() && SELF.contains(&path) && is_open).then(|| token.namespace.clone())
    }

    /// Neither locked nor sealed, nor within one that is.
    fn check_namespace(&self, name: &str) -> Result<(), Failure> {
        for (path, namespace) in self.namespaces.iter().filter(|(path, _)| name.starts_with(path.as_str())) {
            if namespace.sealed {
                return Err(Failure::response(503, "namespace is sealed"));
            }
            if namespace.locked {
                let text = "API access to this namespace has been locked by an administrator";
                return Err(Failure::response(503, format!("{text} - \"{path}\" must be unlocked to gain access.")));
            }
        }
        Ok(())
    }

    /// A request that is not one of the special `sys/` routes.
    fn logical(&mut self, request: &Request) -> Answer {
        let is_login = self.is_unauthenticated(request);
        let request_id = random::uuid();
        let outcome = self.dispatch(request, is_login).and_then(|outcome| self.wrap(request, outcome, &request_id));
        let mount_type = self.mount_type(request).unwrap_or_default();
        let mount_type = if request.path.ends_with("/login") { String::new() } else { mount_type };
        match outcome {
            Ok(Some(mut response)) => {
                self.warn_unrecognized(request, &mut response);
                let request_id = if response.wrap_info.is_some() { "" } else { &request_id };
                envelope::success(&response, request_id, &mount_type, self.dialect)
            }
            Ok(None) if matches!(request.operation, Operation::Read | Operation::List | Operation::Scan) => {
                envelope::failure(&Failure::empty(404), true)
            }
            Ok(None) => Answer::new(204, JSON, ""),
            Err(failure) => envelope::failure(&failure, !is_login),
        }
    }

    fn warn_unrecognized(&self, request: &Request, response: &mut response::Response) {
        let ignored = request.data.unrecognized();
        let is_error = response.status.is_some_and(|status| status >= 400);
        let says_something = response.verbatim.is_none() && response.wrap_info.is_none();
        if self.dialect.is_modern() && says_something && !is_error && !ignored.is_empty() {
            let text = format!("Endpoint ignored these unrecognized parameters: [{}]", ignored.join(" "));
            response.warnings.push(text);
        }
    }

    fn dispatch(&mut self, request: &Request, is_login: bool) -> Outcome {
        if self.sealed {
            let with_token = request.token.is_some() && self.dialect == Dialect::Vault1_8;
            let prefix = if with_token { "error performing token check: " } else { "" };
            return Err(Failure::response(503, format!("{prefix}Vault is sealed")));
        }
        self.validate_wrapping_token(request)?;
        if request.path.ends_with('/') && request.operation.is_write() {
            return Err(Failure::bad_request("cannot write to a path ending in '/'"));
        }
        if is_login {
            return self.route(request, None);
        }
        self.authenticated(request)
    }
}

/// The path that Go's `ServeMux` would redirect to, when it is another one.
fn cleaned(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    let clean = format!("/{}{slash}", segments.join("/"));
    (clean != path).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn unclean_paths_are_redirected() {
        assert_eq!(cleaned("/v1/exoscale//apikey/x").as_deref(), Some("/v1/exoscale/apikey/x"));
        assert_eq!(cleaned("/v1/a/../b/").as_deref(), Some("/v1/b/"));
        assert_eq!(cleaned("/v1/a/b/"), None);
    }
}
