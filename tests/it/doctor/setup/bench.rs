//! One set-up in the making: the operator's side of it, the job's variables and flags, and the ID token.

use std::any::Any;
use std::collections::BTreeMap;

use dev_vault::{DevVault, GitlabToken};
use serde_json::{Value, json};

use crate::real_server::operator::Operator;
use crate::real_server::site::{Site, id_token};
use crate::support::{Ran, Run, leak, text};

pub struct Bench<'a> {
    pub site: Site<'a>,
    pub operator: &'a Operator,
    pub double: Option<&'a DevVault>,
    /// Of the roles of the login and of the policy.
    pub name: String,
    /// Without `doctor`.
    pub run: Run,
    pub token: GitlabToken,
    pub sign: fn(&GitlabToken) -> String,
    /// Where the job logs in.
    pub mount: String,
    /// What the job's variables and flags hold where nothing is broken.
    pub spare: BTreeMap<String, String>,
    signs: bool,
    kept: Vec<Box<dyn Any>>,
}

impl<'a> Bench<'a> {
    pub fn new(site: Site<'a>, double: Option<&'a DevVault>, name: &str, method: &'static str, line: &str) -> Self {
        let operator = site.operator;
        let run = site.job(method, line);
        let mut spare: BTreeMap<_, _> = run.variables().clone();
        for pair in run.arguments.windows(2).filter(|pair| pair[0].starts_with("--")) {
            spare.insert(pair[0].clone(), pair[1].clone());
        }
        let mount = if method == "id-token" { "gitlab" } else { "approle" };
        spare.insert("--auth-mount".into(), mount.into());
        Self {
            site,
            operator,
            double,
            name: name.to_owned(),
            run,
            token: good_token(double),
            sign: GitlabToken::sign,
            mount: mount.to_owned(),
            spare,
            signs: method == "id-token",
            kept: Vec::new(),
        }
    }

    /// One that fits the role.
    pub fn fresh_token(&self) -> GitlabToken {
        good_token(self.double)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.signs &= name != "VAULT_ID_TOKEN";
        self.run = self.run.clone().env(name, value);
    }

    pub fn unset(&mut self, name: &str) {
        self.signs &= name != "VAULT_ID_TOKEN";
        self.run = self.run.clone().without(name);
    }

    /// What whoever owns the job knows: the value that belongs into this variable.
    pub fn supply(&mut self, name: &str, value: &str) {
        self.spare.insert(name.to_owned(), value.to_owned());
    }

    /// Sets or replaces a flag.
    pub fn flag(&mut self, name: &str, value: &str) {
        match self.run.arguments.iter().position(|word| word == name) {
            Some(place) if value.is_empty() => {
                self.run.arguments.remove(place);
            }
            Some(place) => self.run.arguments[place + 1] = value.to_owned(),
            None => self
                .run
                .arguments
                .extend([name, value].iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned())),
        }
    }

    /// Takes a flag with a value away.
    pub fn drop_flag(&mut self, name: &str) {
        if let Some(place) = self.run.arguments.iter().position(|word| word == name) {
            self.run.arguments.drain(place..=place + 1);
        }
    }

    /// A changed ID token.
    pub fn claim(&mut self, change: impl FnOnce(GitlabToken) -> GitlabToken) {
        self.token = change(self.token.clone());
    }

    /// Lives as long as the row.
    pub fn keep<T: 'static>(&mut self, one: T) {
        self.kept.push(Box::new(one));
    }

    /// The path of the role that the job logs in with.
    pub fn role(&self) -> String {
        format!("auth/{}/role/{}", self.mount, self.name)
    }

    /// Writes fields of the role of an ID token, and leaves the rest as it is.
    pub fn write_role(&self, fields: &Value) {
        let known = self.operator.read(&self.role())["data"].clone();
        let mut body = json!({});
        if self.mount != "approle" {
            for name in ["role_type", "user_claim", "bound_claims_type"] {
                body[name] = known[name].clone();
            }
        }
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.operator.write(&self.role(), &body);
    }

    /// Writes a field of the configuration of the login's mount, whose write replaces all of it.
    pub fn write_config(&self, name: &str, value: &Value) {
        let path = format!("auth/{}/config", self.mount);
        let known = self.operator.read(&path)["data"].clone();
        let kept = ["bound_issuer", "default_role", "jwt_validation_pubkeys", "jwks_url", "jwt_supported_algs"];
        let mut body: serde_json::Map<_, _> =
            kept.into_iter().map(|field| (field.to_owned(), known[field].clone())).collect();
        body.retain(|_, value| !value.is_null());
        body.insert(name.to_owned(), value.clone());
        self.operator.write(&path, &Value::Object(body));
    }

    /// A mount of the JWT method for this row alone, with a role.
    pub fn own_mount(&mut self, config: &Value) {
        let role = self.operator.read(&self.role())["data"].clone();
        self.mount = format!("jwt-{}", self.name);
        self.operator.write(&format!("sys/auth/{}", self.mount), &json!({ "type": "jwt" }));
        if !config.is_null() {
            self.operator.write(&format!("auth/{}/config", self.mount), config);
        }
        let role: serde_json::Map<_, _> =
            ["role_type", "user_claim", "bound_audiences", "bound_claims", "token_policies"]
                .into_iter()
                .map(|name| (name.to_owned(), role[name].clone()))
                .collect();
        self.operator.write(&self.role(), &Value::Object(role));
        self.set("VAULT_AUTH_PATH", &self.mount.clone());
        self.supply("VAULT_AUTH_PATH", &self.mount.clone());
    }

    pub fn write_policy(&self, policy: &str) {
        self.operator.write(&format!("sys/policies/acl/{}", self.name), &json!({ "policy": policy }));
    }

    pub fn policy(&self) -> String {
        text(&self.operator.read(&format!("sys/policies/acl/{}", self.name))["data"]["policy"])
    }

    pub fn new_token(&self, fields: &Value) -> String {
        let mut body = json!({ "policies": [self.name], "ttl": "10m" });
        for (name, value) in fields.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        text(&self.operator.write("auth/token/create", &body)["auth"]["client_token"])
    }

    fn ready(&self) -> Run {
        let run = self.run.clone();
        if self.signs { run.env("VAULT_ID_TOKEN", &(self.sign)(&self.token)) } else { run }
    }

    pub fn doctor(&self) -> Ran {
        let mut run = self.ready();
        run.arguments.insert(0, "doctor".into());
        run.arg("--format").arg("json").run()
    }

    pub fn run_it(&self) -> Ran {
        self.ready().run()
    }

    /// What VAULT_ID_TOKEN is in a job that is not broken.
    pub fn sign_again(&mut self) {
        self.signs = true;
    }

    /// The server's own counts: tokens with the uses that are left of them, leases, secret IDs, keys in the cloud.
    pub fn count(&self) -> (BTreeMap<String, u64>, usize, usize, usize) {
        if let Some(vault) = self.double
            && self.operator.send("GET", "sys/health", &[], &Value::Null).0 != 200
        {
            let tokens = vault.live_tokens().into_iter().map(|token| (token.id, token.uses)).collect();
            return (tokens, vault.live_leases().len(), 0, vault.minted().values().sum());
        }
        let tokens: Box<dyn Iterator<Item = _>> = match self.double {
            Some(vault) => Box::new(vault.live_tokens().into_iter().map(|token| (token.id, token.uses))),
            None => Box::new(
                self.accessors().into_iter().filter_map(|accessor| Some((accessor.clone(), self.uses(&accessor)?))),
            ),
        };
        let tokens: BTreeMap<_, _> = tokens.collect();
        assert!(!tokens.is_empty() || self.double.is_none(), "root is there");
        let lists =
            ["auth/approle/login".to_owned(), format!("auth/{}/login", self.mount), "aws/sts/365-dev".to_owned()];
        let leases = match self.double {
            Some(vault) => vault.live_leases().len(),
            None => lists.iter().map(|path| self.operator.list(&format!("sys/leases/lookup/{path}")).len()).sum(),
        };
        let secret_ids = self.operator.list(&format!("auth/approle/role/{}/secret-id", self.name)).len();
        let keys = self.double.map_or(0, |vault| vault.minted().values().sum());
        (tokens, leases, secret_ids, keys)
    }

    fn uses(&self, accessor: &str) -> Option<u64> {
        let body = json!({ "accessor": accessor });
        let (status, found) = self.operator.send("POST", "auth/token/lookup-accessor", &[], &body);
        (status == 200).then(|| found["data"]["num_uses"].as_u64().unwrap_or_default())
    }

    fn accessors(&self) -> Vec<String> {
        match self.double {
            Some(vault) => vault.live_tokens().into_iter().map(|token| token.accessor).collect(),
            None => self.operator.list("auth/token/accessors"),
        }
    }

    /// Revokes what the row has made: the counts of the next one are short.
    pub fn sweep(&self) {
        let root = self.double.map(DevVault::root_token);
        let live = self.double.map(DevVault::live_tokens).unwrap_or_default();
        let others = live.into_iter().filter(|token| Some(&token.id) != root.as_ref()).map(|token| token.accessor);
        let all = if self.double.is_some() { others.collect() } else { self.accessors() };
        for accessor in all {
            self.operator.send("POST", "auth/token/revoke-accessor", &[], &json!({ "accessor": accessor }));
        }
    }

    /// A secret of the job in a text.
    pub fn find_secret(&self, told: &str) -> Option<String> {
        const SECRET: [&str; 5] =
            ["VAULT_TOKEN", "VAULT_SECRET_ID", "VAULT_WRAPPING_TOKEN", "VAULT_ID_TOKEN", "AWS_SECURITY_TOKEN"];
        let run = self.ready();
        let values: Vec<_> =
            SECRET.iter().filter_map(|name| run.variables().get(*name)).filter(|value| value.len() > 20).collect();
        leak::find(values.into_iter().map(String::as_str), told).map(str::to_owned)
    }
}

fn good_token(double: Option<&DevVault>) -> GitlabToken {
    id_token().environment("dev").at(double.map_or_else(std::time::SystemTime::now, DevVault::now))
}
