//! The JWT auth method: configuration, roles, `login`. Signatures are `jwt_keys`, claims are `jwt_claims`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::jwt_claims::{Leeway, bound_claims, check_times, claim, display};
use super::jwt_keys::KeySet;
use super::{Backend, Call, is_role_name, token_params};
use crate::cidr::Cidr;
use crate::core::fields::Object;
use crate::core::request::Operation;
use crate::core::response::{Failure, Grant, Outcome, Response, TokenParams};
use crate::dialect::Dialect;

#[derive(Debug, Default)]
pub(crate) struct Jwt {
    config: Option<Config>,
    roles: BTreeMap<String, Role>,
}

#[derive(Debug)]
struct Config {
    keys: KeySet,
    /// As they were written: what a read shows.
    pubkeys: Vec<String>,
    jwks_url: String,
    discovery_url: String,
    bound_issuer: String,
    default_role: String,
    /// None: every one that a key can sign with.
    algorithms: Vec<String>,
}

#[derive(Debug, Clone)]
struct Role {
    oidc: bool,
    bound_audiences: Vec<String>,
    bound_subject: String,
    bound_claims: Object,
    glob: bool,
    user_claim: String,
    groups_claim: String,
    claim_mappings: Object,
    leeway: Leeway,
    token: TokenParams,
}

impl Backend for Jwt {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (head, name) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (head, name, call.operation()) {
            ("login", "", Operation::Create | Operation::Update) => self.login(call),
            ("login", "", _) => Err(Failure::unsupported_operation()),
            // Roles of another language, of which this double has none.
            ("cel", "login", Operation::Create | Operation::Update) if call.dialect == Dialect::OpenBao => {
                let role = call.data().text("role")?;
                Err(Failure::bad_request(format!("role \"{role}\" could not be found")))
            }
            ("config", "", Operation::Create | Operation::Update) => {
                let config = Config::read(call)?;
                let warnings = config.check_keys(call)?;
                self.config = Some(config);
                Ok((!warnings.is_empty()).then(|| Response { warnings, ..Response::default() }))
            }
            ("config", "", Operation::Read) => Ok(self.config.as_ref().map(|config| {
                Response::data(json!({
                    "bound_issuer": config.bound_issuer,
                    "default_role": config.default_role,
                    "jwt_supported_algs": config.algorithms,
                    "jwt_validation_pubkeys": config.pubkeys,
                    "jwks_url": config.jwks_url,
                    "oidc_discovery_url": config.discovery_url,
                }))
            })),
            ("role", "", Operation::List) => Ok(Response::keys(self.roles.keys().cloned())),
            ("role", name, operation) if is_role_name(name, "") => self.role(call, &name.to_lowercase(), operation),
            _ => Err(Failure::unsupported_path()),
        }
    }

    fn is_login(&self, path: &str) -> bool {
        path == "login" || path == "cel/login"
    }

    fn exists(&self, path: &str) -> Option<bool> {
        Some(self.roles.contains_key(&path.strip_prefix("role/")?.to_lowercase()))
    }
}

impl Jwt {
    fn role(&mut self, call: &Call<'_>, name: &str, operation: Operation) -> Outcome {
        match operation {
            Operation::Create | Operation::Update => {
                self.roles.insert(name.to_owned(), Role::updated(self.roles.get(name).cloned(), call)?);
                Ok(None)
            }
            Operation::Read => Ok(self.roles.get(name).map(Role::describe)),
            Operation::Delete => {
                self.roles.remove(name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn login(&self, call: &mut Call<'_>) -> Outcome {
        let refuse = |text: String| Failure::bad_request(text);
        if call.dialect == Dialect::OpenBao && self.config.is_none() {
            return Err(refuse("could not load configuration".to_owned()));
        }
        let wish = call.data().text("role")?;
        // The library takes out what is blank, wherever it stands.
        let token: String = call.data().text("jwt")?.split_whitespace().collect();
        let default_role = self.config.as_ref().map(|config| config.default_role.as_str()).unwrap_or_default();
        let name = if wish.is_empty() { default_role } else { &wish }.to_lowercase();
        if name.is_empty() {
            return Err(refuse("missing role".to_owned()));
        }
        let role = self.roles.get(&name).ok_or_else(|| refuse(format!("role \"{name}\" could not be found")))?;
        if role.oidc {
            return Err(refuse("role with oidc role_type is not allowed".to_owned()));
        }
        if token.is_empty() {
            return Err(refuse("missing token".to_owned()));
        }
        call.ledger.secret(token.clone());
        if !Cidr::any_contains(&role.token.bound_cidrs, call.request.remote) {
            return Err(Failure::permission_denied());
        }
        let config = self.config.as_ref().ok_or_else(|| refuse("could not load configuration".to_owned()))?;
        let claims = config
            .validate(&token, role, call)
            .map_err(|reason| refuse(format!("error validating token: {reason}")))?;
        role.check_unbound_audience(&claims, call.dialect).map_err(refuse)?;
        let (alias, metadata) = role.identity(&claims, &name).map_err(refuse)?;
        bound_claims(&role.bound_claims, role.glob, &claims)
            .map_err(|reason| refuse(format!("error validating claims: {reason}")))?;
        if alias.is_empty() {
            return Err(Failure::internal("missing name in alias"));
        }
        let grant = Grant { params: role.token.clone(), metadata, display_name: alias.clone(), alias };
        Ok(Some(Response { grant: Some(grant), ..Response::default() }))
    }
}

impl Config {
    fn read(call: &Call<'_>) -> Result<Self, Failure> {
        let data = call.data();
        for field in ["oidc_discovery_ca_pem", "jwks_ca_pem", "namespace_in_state"] {
            data.value(field);
        }
        let pubkeys = data.list("jwt_validation_pubkeys")?.unwrap_or_default();
        let (jwks_url, discovery_url) = (data.text("jwks_url")?, data.text("oidc_discovery_url")?);
        let keys = KeySet::from_config(pubkeys.clone(), jwks_url.clone(), discovery_url.clone())
            .map_err(Failure::bad_request)?;
        Ok(Self {
            keys,
            pubkeys,
            jwks_url,
            discovery_url,
            bound_issuer: data.text("bound_issuer")?,
            default_role: data.text("default_role")?,
            algorithms: data.list("jwt_supported_algs")?.unwrap_or_default(),
        })
    }

    /// A JWKS that cannot be fetched is refused at once, or warned of where the operator says so.
    fn check_keys(&self, call: &Call<'_>) -> Result<Vec<String>, Failure> {
        const UNREACHABLE: &str = "error checking jwks URL";
        let skip = call.data().boolean("skip_jwks_validation")?.unwrap_or_default();
        match (&self.keys, call.dialect) {
            (KeySet::Jwks(_), Dialect::OpenBao) if self.keys.fetch().is_err() && skip => {
                Ok(vec![UNREACHABLE.to_owned()])
            }
            (KeySet::Jwks(_), Dialect::OpenBao) if self.keys.fetch().is_err() => Err(Failure::bad_request(UNREACHABLE)),
            _ => Ok(Vec::new()),
        }
    }

    /// The checks of the token itself, in the plugin's order.
    fn validate(&self, token: &str, role: &Role, call: &Call<'_>) -> Result<Object, String> {
        let (algorithm, claims) = self
            .keys
            .verify(token, call.dialect)
            .map_err(|reason| format!("error verifying token signature: {reason}"))?;
        if !self.algorithms.is_empty() && !self.algorithms.contains(&algorithm) {
            return Err("invalid algorithm (alg) header parameter: token signed with unexpected algorithm".to_owned());
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        if !self.bound_issuer.is_empty() && text("iss") != self.bound_issuer {
            return Err("invalid issuer (iss) claim".to_owned());
        }
        if !role.bound_subject.is_empty() && text("sub") != role.bound_subject {
            return Err("invalid subject (sub) claim".to_owned());
        }
        let audiences = audiences(&claims);
        let is_bound = |audience: &String| role.bound_audiences.contains(audience);
        if !role.bound_audiences.is_empty() && !audiences.iter().any(is_bound) {
            return Err("invalid audience (aud) claim: audience claim does not match any expected audience".to_owned());
        }
        check_times(&claims, role.leeway, call.now)?;
        Ok(claims)
    }
}

fn audiences(claims: &Object) -> Vec<String> {
    match claims.get("aud") {
        Some(Value::String(audience)) if !audience.is_empty() => vec![audience.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

impl Role {
    fn updated(previous: Option<Self>, call: &Call<'_>) -> Result<Self, Failure> {
        let data = call.data();
        for field in ["allowed_redirect_uris", "oidc_scopes", "verbose_oidc_logging", "max_age"] {
            data.value(field);
        }
        let mut role = previous.unwrap_or(Self {
            oidc: true,
            bound_audiences: Vec::new(),
            bound_subject: String::new(),
            bound_claims: Object::new(),
            glob: false,
            user_claim: String::new(),
            groups_claim: String::new(),
            claim_mappings: Object::new(),
            leeway: Leeway::default(),
            token: TokenParams::default(),
        });
        match data.string("role_type")?.as_deref() {
            Some("jwt") => role.oidc = false,
            // Also where the role was another one before.
            None | Some("oidc" | "") => role.oidc = true,
            Some(other) => return Err(Failure::bad_request(format!("invalid 'role_type': {other}"))),
        }
        role.bound_audiences = data.list("bound_audiences")?.unwrap_or(role.bound_audiences);
        role.bound_subject = data.string("bound_subject")?.unwrap_or(role.bound_subject);
        role.bound_claims = data.object("bound_claims")?.unwrap_or(role.bound_claims);
        role.user_claim = data.string("user_claim")?.unwrap_or(role.user_claim);
        role.groups_claim = data.string("groups_claim")?.unwrap_or(role.groups_claim);
        role.claim_mappings = data.object("claim_mappings")?.unwrap_or(role.claim_mappings);
        role.leeway.update(data)?;
        match data.string("bound_claims_type")?.as_deref() {
            None | Some("string" | "") => role.glob = false,
            Some("glob") => role.glob = true,
            Some(other) => return Err(Failure::bad_request(format!("invalid 'bound_claims_type': {other}"))),
        }
        role.token = token_params(data, role.token)?;
        if role.user_claim.is_empty() {
            return Err(Failure::bad_request("a user claim must be defined on the role"));
        }
        if role.oidc && !data.has("allowed_redirect_uris") {
            return Err(Failure::bad_request(
                "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified.",
            ));
        }
        let unbound = role.bound_audiences.is_empty()
            && role.bound_subject.is_empty()
            && role.bound_claims.is_empty()
            && role.token.bound_cidrs.is_empty();
        if !role.oidc && unbound {
            return Err(Failure::bad_request("must have at least one bound constraint when creating/updating a role"));
        }
        Ok(role)
    }

    fn describe(&self) -> Response {
        Response::data(json!({
            "role_type": if self.oidc { "oidc" } else { "jwt" },
            "bound_audiences": self.bound_audiences,
            "bound_subject": self.bound_subject,
            "bound_claims": self.bound_claims,
            "bound_claims_type": if self.glob { "glob" } else { "string" },
            "user_claim": self.user_claim,
            "groups_claim": self.groups_claim,
            "claim_mappings": self.claim_mappings,
            "token_policies": self.token.policies,
            "token_ttl": self.token.ttl.as_secs(),
            "token_max_ttl": self.token.max_ttl.as_secs(),
            "token_explicit_max_ttl": self.token.explicit_max_ttl.as_secs(),
            "token_num_uses": self.token.num_uses,
        }))
    }

    /// A list was always refused; a single string only by the newer plugin, which only `OpenBao` has here.
    fn check_unbound_audience(&self, claims: &Object, dialect: Dialect) -> Result<(), String> {
        let is_list = claims.get("aud").is_some_and(Value::is_array);
        let refused = !audiences(claims).is_empty() && (is_list || dialect == Dialect::OpenBao);
        if self.bound_audiences.is_empty() && refused {
            return Err("audience claim found in JWT but no audiences bound to the role".to_owned());
        }
        Ok(())
    }

    /// The caller's name and the metadata of the token.
    fn identity(&self, claims: &Object, role: &str) -> Result<(String, Object), String> {
        let user = claim(claims, &self.user_claim)
            .ok_or_else(|| format!("claim \"{}\" not found in token", self.user_claim))?;
        let user =
            user.as_str().ok_or_else(|| format!("claim \"{}\" could not be converted to string", self.user_claim))?;
        if !self.groups_claim.is_empty() {
            let groups = claim(claims, &self.groups_claim)
                .ok_or_else(|| format!("failed to fetch groups: \"{}\" claim not found in token", self.groups_claim))?;
            if !groups.is_array() && !groups.is_string() {
                return Err(format!(
                    "failed to fetch groups: \"{}\" claim could not be converted to string list",
                    self.groups_claim
                ));
            }
        }
        let mut metadata = Object::new();
        metadata.insert("role".to_owned(), json!(role));
        for (source, target) in &self.claim_mappings {
            if let (Some(value), Some(target)) = (claim(claims, source), target.as_str()) {
                let text = display(value).ok_or_else(|| format!("error converting claim '{source}' to string"))?;
                metadata.insert(target.to_owned(), json!(text));
            }
        }
        Ok((user.to_owned(), metadata))
    }
}
