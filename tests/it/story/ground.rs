//! Where a story is played: on the double, which tells everything and goes wrong on demand, or on a real server, which tells
//! what its API does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dev_vault::Recorded;
use serde_json::json;

use super::eye::Moment;
use super::person::Person;
use super::plot::{Call, End, REQUESTS, Random, Request, Step};
use super::real::{self, Real};
use crate::support::{METHODS, ROLE, Run, World};

/// The sections of a run that fails at the second one.
pub const SECTIONS: &str = "sections.toml";

/// Where KV has the key of Scaleway, and its secret.
pub const STORED: &str = "secret/data/scw";
pub const STORED_SECRET: &str = "7c1f0a52-93be-4d68-a1f4-0e5d2b8c6f39";

const TWO_SECTIONS: &str = "[secret.db]\npath = \"database/creds/app\"\nenv = { PGUSER = \"username\" }\n\
    [secret.nowhere]\npath = \"database/creds/nobody\"\nenv = { N = \"username\" }\n";

pub enum Ground {
    Double(Box<World>),
    Real(Box<Real>),
}

impl Ground {
    /// The double, and what was drawn for it.
    pub fn double(random: &mut Random) -> (Self, String) {
        let world = World::start();
        let minutes = |random: &mut Random| format!("{}m", random.pick(&[4, 15, 15, 70]));
        let (login, key, sts) = (minutes(random), minutes(random), random.pick(&["15m", "1h", "3h"]));
        let may_revoke = random.one_in(2);
        let approle =
            json!({ "token_policies": ["job"], "token_ttl": login, "secret_id_num_uses": 1, "secret_id_ttl": "48h" });
        world.vault.write(&format!("auth/approle/role/{ROLE}"), approle);
        let iam = json!({ "iam-role": "ci", "ttl": key, "max_ttl": key, "renewable": true });
        world.vault.write(&format!("exoscale/role/{ROLE}"), iam);
        let arn = "arn:aws:iam::123123123123:role/ci";
        let role = json!({ "credential_type": "assumed_role", "role_arns": [arn], "default_sts_ttl": sts, "max_sts_ttl": sts });
        world.vault.write("aws/roles/365-dev", role);
        world.vault.write("sys/mounts/database", json!({ "type": "database" }));
        world.vault.write("database/roles/app", json!({ "db_name": "x" }));
        world.vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
        let stored = json!({ "access_key": "SCWQ7RT2ZK9XW4M1B8ND", "secret_key": STORED_SECRET });
        world.vault.write(STORED, json!({ "data": stored }));
        let read = ["exoscale/apikey/*", "aws/*", "database/creds/*", STORED];
        let mut policy = read.map(|path| format!("path \"{path}\" {{ capabilities = [\"read\"] }}\n")).concat();
        if may_revoke {
            policy += "path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        }
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        world.file(SECTIONS, TWO_SECTIONS);
        let set_up =
            format!("a login lives {login}, an Exoscale key {key}, STS {sts}; the policy revokes: {may_revoke}");
        (Self::Double(Box::new(world)), set_up)
    }

    /// A namespace of the real server that all tests share; none where there is no server.
    pub fn real(name: &str, random: &mut Random) -> Option<(Self, String)> {
        let (real, set_up) = Real::start(name, random)?;
        Some((Self::Real(Box::new(real)), set_up))
    }

    /// What a real server cannot do becomes what it can: it has one clock, nothing goes wrong on the way to it, and it does
    /// not tell what it was asked.
    pub fn fit(&self, step: Step) -> Step {
        match (self, step) {
            (Self::Double(_), step) => step,
            (Self::Real(_), Step::Pass(_)) => Step::List,
            (Self::Real(_), Step::Command { .. }) => Step::List,
            (Self::Real(_), Step::Replace(who, identity)) => Step::Replace(who, self.identity(identity)),
            (Self::Real(_), Step::Clear { who, all, .. }) => Step::Clear { who, all, mishap: None },
            (Self::Real(_), Step::Call(call)) => {
                let end = match call.end {
                    // Over TLS, a request of a test's build takes some ten milliseconds.
                    End::AtRequest { kill, requests, .. } => End::After { kill, micros: 12_000 * requests as u64 },
                    end => end,
                };
                Step::Call(Call { mishap: None, end, ..call })
            }
            (Self::Real(_), step) => step,
        }
    }

    /// One of the requests, by its place.
    pub fn request(&self, place: usize) -> &'static Request {
        match self {
            Self::Double(_) => &REQUESTS[place],
            Self::Real(_) => &real::REQUESTS[place % real::REQUESTS.len()],
        }
    }

    /// An identity that can come here: what stands beside the double for the other ones cannot be asked by a real server.
    pub fn identity(&self, drawn: &'static str) -> &'static str {
        let is_known = METHODS.contains(&drawn);
        if is_known || !self.is_real() { drawn } else { "id-token" }
    }

    /// How long a call asks a server that does not serve.
    pub fn patience(&self) -> &'static str {
        match self {
            Self::Double(_) => " --connect-timeout 1s --timeout 6s",
            Self::Real(_) => " --connect-timeout 1s --timeout 3s",
        }
    }

    pub fn invite(&self, number: usize, method: &'static str) -> Person {
        match self {
            Self::Double(world) => Person::new(world, number, method),
            Self::Real(real) => real.invite(number, method),
        }
    }

    pub fn look(&self, people: &[Person], lag: Duration) -> Moment {
        match self {
            Self::Double(world) => Moment::of(world, people, lag),
            Self::Real(real) => real.look(people, lag),
        }
    }

    /// What the operator does to a login's token.
    pub fn end_login(&self, accessor: &str) {
        let body = json!({ "accessor": accessor });
        match self {
            Self::Double(world) => drop(world.vault.write("auth/token/revoke-accessor", body)),
            Self::Real(real) => drop(real.operator().write("auth/token/revoke-accessor", &body)),
        }
    }

    pub fn end_lease(&self, id: &str) {
        match self {
            Self::Double(world) => drop(world.vault.write("sys/leases/revoke", json!({ "lease_id": id }))),
            Self::Real(real) => {
                drop(real.operator().write("sys/leases/revoke", &json!({ "lease_id": id, "sync": true })));
            }
        }
    }

    /// Nobody is served, until somebody opens it again.
    pub fn close(&mut self) {
        match self {
            Self::Double(world) => drop(world.vault.write("sys/seal", json!({}))),
            Self::Real(real) => real.close(),
        }
    }

    pub fn open(&mut self) {
        match self {
            Self::Double(world) => world.vault.unseal(),
            Self::Real(real) => real.open(),
        }
    }

    pub fn command(&self, line: &str) -> Run {
        match self {
            Self::Double(world) => world.command(line),
            Self::Real(real) => real.command(line),
        }
    }

    pub fn home(&self) -> PathBuf {
        match self {
            Self::Double(world) => world.home(),
            Self::Real(real) => real.home(),
        }
    }

    /// What was asked so far; a real server does not tell.
    pub fn requests(&self) -> Vec<Recorded> {
        match self {
            Self::Double(world) => world.vault.requests(),
            Self::Real(_) => Vec::new(),
        }
    }

    pub fn secrets(&self) -> BTreeSet<String> {
        match self {
            Self::Double(world) => world.vault.secrets(),
            Self::Real(_) => real::secrets(),
        }
    }

    /// Whether the engine gives everybody the same key, and only the lease is one's own.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }
}
