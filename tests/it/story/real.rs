//! A real server as a story's ground: a namespace of its own, with engines that lend. What lives in it is told by its
//! leases, its tokens' accessors, and what is left of secrets for one use.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use dev_vault::{LiveLease, LiveToken};
use serde_json::{Value, json};

use super::eye::{Moment, read_cache, time};
use super::person::{ID_TOKEN, Person};
use super::plot::{Random, Request};
use crate::real_server::operator::Operator;
use crate::real_server::server::Server;
use crate::real_server::site::{KEY, SESSION, Site, id_token, mount_lender, prepare_logins};
use crate::support::{Run, text};

/// The role and the policy of every story.
const NAME: &str = "story";

/// All of them name the lease.
pub const REQUESTS: [Request; 3] = [
    Request { path: "aws/sts/365-dev", line: "aws --role 365-dev --format json", process: false, revocable: false },
    Request {
        path: "aws/creds/user",
        line: "aws --role user --via creds --format json",
        process: false,
        revocable: true,
    },
    Request {
        path: "exoscale/apikey/gitlab-ci-runner",
        line: "exoscale --role gitlab-ci-runner --format json",
        process: false,
        revocable: true,
    },
];

pub struct Real {
    server: &'static Server,
    site: Site<'static>,
    /// What opens the namespace, while it is closed.
    key: Option<String>,
    /// Every lease that was ever seen.
    seen: RefCell<BTreeSet<String>>,
    /// What was seen before it was closed.
    last: RefCell<Option<Moment>>,
}

impl Real {
    pub fn start(name: &str, random: &mut Random) -> Option<(Self, String)> {
        let server = Server::shared()?;
        // It lives as long as the server that all share.
        let operator: &'static Operator = Box::leak(Box::new(server.operator.make_namespace(name)));
        prepare_logins(operator);
        // Five wrong secret IDs, of whomever, would lock the role for everybody.
        operator.write("sys/auth/approle/tune", &json!({ "user_lockout_config": { "lockout_disable": true } }));
        let may_revoke = random.one_in(2);
        let mut policy = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\n\
             path \"aws/*\" { capabilities = [\"read\"] }\n"
            .to_owned();
        if may_revoke {
            policy += "path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        }
        // Over plain HTTP: the server's certificate is younger than a clock that lags behind.
        let site = Site::at(operator.address, operator, NAME, &policy);
        let (login, key) = (random.pick(&["15m", "70m"]), random.pick(&["10m", "30m", "3h"]));
        let role =
            json!({ "token_policies": [NAME], "token_ttl": login, "secret_id_num_uses": 1, "secret_id_ttl": "48h" });
        operator.write(&format!("auth/approle/role/{NAME}"), &role);
        for mount in ["aws", "exoscale"] {
            mount_lender(operator, mount);
        }
        let session =
            json!({ "access_key": SESSION.0, "secret_key": SESSION.1, "session_token": SESSION.2, "ttl": key });
        operator.write(REQUESTS[0].path, &session);
        let user = json!({ "access_key": "AKIARZKVVYOZ7ODGRLVU", "secret_key": SESSION.1, "ttl": key });
        operator.write(REQUESTS[1].path, &user);
        operator.write(REQUESTS[2].path, &json!({ "api_key": KEY.0, "api_secret": KEY.1, "ttl": key }));
        let set_up = format!("a login lives {login}, a key {key}; the policy revokes: {may_revoke}");
        Some((Self { server, site, key: None, seen: RefCell::default(), last: RefCell::default() }, set_up))
    }

    pub fn operator(&self) -> &'static Operator {
        self.site.operator
    }

    pub fn command(&self, line: &str) -> Run {
        self.site.command(line).env("VAULT_NAMESPACE", self.operator().namespace.trim_end_matches('/'))
    }

    pub fn home(&self) -> PathBuf {
        self.site.folder().to_owned()
    }

    pub fn close(&mut self) {
        let path = format!("sys/namespaces/api-lock/lock/{}", self.operator().namespace.trim_end_matches('/'));
        self.key = Some(text(&self.server.operator.write(&path, &Value::Null)["data"]["unlock_key"]));
    }

    pub fn open(&mut self) {
        let path = format!("sys/namespaces/api-lock/unlock/{}", self.operator().namespace.trim_end_matches('/'));
        self.server.operator.write(&path, &json!({ "unlock_key": self.key.take() }));
    }

    /// All secrets but an ID token outlive every story.
    pub fn invite(&self, number: usize, method: &'static str) -> Person {
        let operator = self.operator();
        let token = |policy: &str| {
            let auth = operator.write("auth/token/create", &json!({ "policies": [policy], "ttl": "48h" }));
            (text(&auth["auth"]["client_token"]), text(&auth["auth"]["accessor"]))
        };
        let path = format!("auth/approle/role/{NAME}/secret-id");
        let run = self.command("").env("CI_JOB_ID", "77").env("VAULT_AUTH_PATH", "gitlab");
        let approle = run.clone().env("VAULT_ROLE_ID", &self.site.role_id()).env("VAULT_APPROLE_ROLE", NAME);
        let ends = SystemTime::now() + Duration::from_secs(ID_TOKEN.into());
        let (variable, (secret, token), run) = match method {
            "wrapping-token" => {
                let wrapped = operator.send("POST", &path, &[("X-Vault-Wrap-TTL", "48h")], &json!({})).1;
                ("VAULT_WRAPPING_TOKEN", (text(&wrapped["wrap_info"]["token"]), String::new()), approle)
            }
            "secret-id" => {
                let data = operator.write(&path, &json!({}))["data"].clone();
                ("VAULT_SECRET_ID", (text(&data["secret_id"]), String::new()), approle)
            }
            "generator-token" => ("VAULT_TOKEN", token(&format!("{NAME}-generator")), approle),
            "id-token" => {
                let job = format!("group/{number}");
                let secret = id_token().project_path(&job).expires_in(ID_TOKEN.into()).sign();
                ("VAULT_ID_TOKEN", (secret, String::new()), run.env("VAULT_AUTH_ROLE", NAME))
            }
            _ => ("VAULT_TOKEN", token(NAME), run),
        };
        let run = run.env(variable, &secret);
        Person { number, method, secret, token, ends, run, beside: None }
    }

    pub fn look(&self, people: &[Person], lag: Duration) -> Moment {
        let (files, open) = read_cache(&self.home());
        let now = SystemTime::now();
        if let (Some(last), true) = (&*self.last.borrow(), self.key.is_some()) {
            // Behind a lock nothing can happen but that time goes on.
            let mut moment = Moment { files, open, vault: now, callers: now - lag, ..last.clone() };
            moment.leases.retain(|lease| lease.expires > now);
            return moment;
        }
        let leases: Vec<_> = REQUESTS.iter().flat_map(|request| self.leases(request.path, now)).collect();
        let mut seen = self.seen.borrow_mut();
        seen.extend(leases.iter().map(|lease| lease.id.clone()));
        let moment = Moment {
            files,
            open,
            leases,
            tokens: self.tokens(now),
            unspent: people
                .iter()
                .filter(|person| self.is_unspent(person))
                .map(|person| person.secret.clone())
                .collect(),
            strays: BTreeSet::new(),
            requests: 0,
            made: seen.len(),
            vault: now,
            callers: now - lag,
        };
        self.last.replace(Some(moment.clone()));
        moment
    }

    /// A token that is revoked ends its leases at once, and the server deletes them later.
    fn leases(&self, path: &str, now: SystemTime) -> Vec<LiveLease> {
        let ids = self.operator().list(&format!("sys/leases/lookup/{path}"));
        let leases = ids.into_iter().filter_map(|id| {
            // With the namespace's own id, as the answer of the read has it.
            let found = format!("{path}/{id}");
            let answer = self.operator().send("POST", "sys/leases/lookup", &[], &json!({ "lease_id": found })).1;
            let expires = answer["data"]["expire_time"].as_str().and_then(time)?;
            let id = answer["data"]["id"].as_str().map_or(found, str::to_owned);
            Some(LiveLease {
                access_key: id.clone(),
                id,
                path: path.to_owned(),
                accessor: String::new(),
                expires,
                renewable: true,
                queued: false,
            })
        });
        leases.filter(|lease| lease.expires > now).collect()
    }

    fn tokens(&self, now: SystemTime) -> Vec<LiveToken> {
        let tokens = self.operator().list("auth/token/accessors").into_iter().filter_map(|accessor| {
            let body = json!({ "accessor": accessor });
            let (status, answer) = self.operator().send("POST", "auth/token/lookup-accessor", &[], &body);
            let data = &answer["data"];
            let policies: Vec<_> = data["policies"].as_array().into_iter().flatten().map(text).collect();
            (status == 200).then(|| LiveToken {
                id: accessor.clone(),
                path: text(&data["path"]),
                expires: data["expire_time"].as_str().and_then(time),
                uses: 0,
                wrapping: policies.iter().any(|policy| policy == "response-wrapping"),
                policies,
                accessor,
            })
        });
        tokens.filter(|token| token.expires.is_none_or(|end| end > now)).collect()
    }

    fn is_unspent(&self, person: &Person) -> bool {
        let (path, body) = match person.method {
            "wrapping-token" => ("sys/wrapping/lookup".to_owned(), json!({ "token": person.secret })),
            "secret-id" => {
                (format!("auth/approle/role/{NAME}/secret-id/lookup"), json!({ "secret_id": person.secret }))
            }
            _ => return false,
        };
        self.operator().send("POST", &path, &[], &body).0 == 200
    }
}

/// What the engines give to everybody.
pub fn secrets() -> BTreeSet<String> {
    [KEY.1, SESSION.1, SESSION.2].map(str::to_owned).into()
}
