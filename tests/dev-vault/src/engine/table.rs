//! Engines of which nothing is known here but a table: how they are asked, what they answer, and whether they lend it.
//!
//! The fields are those of the engines' own documentation and source. Behind them is no cloud: every role that was written
//! to `roles/` makes credentials.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Backend, Call};
use crate::core::fields::plain;
use crate::core::request::Operation;
use crate::core::response::{Failure, Outcome, Renewal, Response, Secret};
use crate::random;

/// How an engine is asked for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Read,
    Write,
    Either,
}

/// What an engine serves at one path, behind which the role stands.
#[derive(Debug)]
struct Row {
    kind: &'static str,
    path: &'static str,
    /// What stands behind the role.
    behind: &'static str,
    asked: Asked,
    /// What a write must bring.
    needs: &'static str,
    fields: &'static [&'static str],
    leased: bool,
    renewable: bool,
}

const fn lent(kind: &'static str, asked: Asked, fields: &'static [&'static str]) -> Row {
    Row { kind, path: "creds/", behind: "", asked, needs: "", fields, leased: true, renewable: true }
}

const ROWS: [Row; 14] = [
    lent("database", Asked::Read, &["username", "password"]),
    Row { path: "static-creds/", leased: false, ..lent("database", Asked::Read, &["username", "password", "ttl"]) },
    lent("rabbitmq", Asked::Read, &["username", "password"]),
    Row {
        renewable: false,
        needs: "kubernetes_namespace",
        ..lent(
            "kubernetes",
            Asked::Write,
            &["service_account_name", "service_account_namespace", "service_account_token"],
        )
    },
    lent("consul", Asked::Read, &["token", "accessor", "local"]),
    lent("nomad", Asked::Read, &["secret_id", "accessor_id"]),
    lent("azure", Asked::Read, &["client_id", "client_secret"]),
    lent("terraform", Asked::Either, &["token", "token_id"]),
    Row {
        path: "roleset/",
        behind: "/token",
        leased: false,
        ..lent("gcp", Asked::Either, &["token", "token_ttl", "expires_at_seconds"])
    },
    Row {
        path: "roleset/",
        behind: "/key",
        ..lent("gcp", Asked::Either, &["private_key_data", "key_algorithm", "key_type"])
    },
    Row {
        path: "issue/",
        needs: "common_name",
        leased: false,
        ..lent(
            "pki",
            Asked::Write,
            &["certificate", "issuing_ca", "private_key", "serial_number", "expiration", "ca_chain"],
        )
    },
    Row {
        path: "sign/",
        needs: "public_key",
        leased: false,
        ..lent("ssh", Asked::Write, &["signed_key", "serial_number"])
    },
    Row { needs: "ip", renewable: false, ..lent("ssh", Asked::Write, &["key", "key_type", "username", "ip", "port"]) },
    Row { path: "code/", leased: false, ..lent("totp", Asked::Read, &["code"]) },
];

/// One of them, mounted.
#[derive(Debug)]
pub(crate) struct Table {
    kind: &'static str,
    roles: BTreeSet<String>,
}

impl Table {
    /// None for an engine that is not in the table.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        let row = ROWS.iter().find(|row| row.kind == kind)?;
        Some(Self { kind: row.kind, roles: BTreeSet::new() })
    }
}

impl Backend for Table {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let is_write = call.operation().is_write();
        if call.operation() == Operation::List && call.path.trim_end_matches('/') == "roles" {
            return Ok(Response::keys(self.roles.iter().cloned()));
        }
        if let Some(role) = call.path.strip_prefix("roles/") {
            if is_write {
                self.roles.insert(role.to_owned());
                return Ok(None);
            }
            return Ok(self.roles.contains(role).then(|| Response::data(json!({}))));
        }
        let found = ROWS.iter().filter(|row| row.kind == self.kind).find_map(|row| {
            let role = call.path.strip_prefix(row.path)?.strip_suffix(row.behind)?;
            (!role.contains('/')).then_some((row, role))
        });
        let Some((row, role)) = found else { return Err(Failure::unsupported_path()) };
        let fits = match call.operation() {
            Operation::Read => row.asked != Asked::Write,
            Operation::Create | Operation::Update => row.asked != Asked::Read,
            _ => false,
        };
        if !fits {
            return Err(Failure::unsupported_operation());
        }
        if !self.roles.contains(role) {
            return Err(Failure::bad_request(format!("unknown role: {role}")));
        }
        if !row.needs.is_empty() && !call.data().has(row.needs) {
            return Err(Failure::bad_request(format!("the {} field is required", row.needs)));
        }
        let mut data = Map::new();
        for field in row.fields {
            data.insert((*field).to_owned(), value(field, role, call));
        }
        let access_key = random::hex(24);
        let response = Response::data(Value::Object(data));
        if !row.leased {
            return Ok(Some(response));
        }
        call.ledger.mint(&call.request.path, &access_key);
        let (ttl, renewal) = (Duration::from_secs(600), Renewal::Capped);
        let secret = Secret { access_key, ttl, max_ttl: Duration::from_secs(1200), renewable: row.renewable, renewal };
        Ok(Some(Response { secret: Some(secret), ..response }))
    }
}

/// The value of a field. What a caller sent comes back where the engine sends it back.
fn value(field: &str, role: &str, call: &mut Call<'_>) -> Value {
    let pem = |name: &str, text: &str| format!("-----BEGIN {name}-----\n{text}\n-----END {name}-----");
    match field {
        "ttl" | "token_ttl" => json!(3599),
        "expires_at_seconds" | "expiration" => {
            let now = call.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            json!(now.as_secs() + 3599)
        }
        "local" => json!(false),
        "port" => json!(22),
        "key_type" => json!("otp"),
        "username" => json!(format!("v-{}-{role}", call.display_name)),
        "service_account_name" | "accessor" | "accessor_id" | "client_id" | "token_id" | "serial_number" => {
            json!(random::hex(16))
        }
        "service_account_namespace" => call.data().value("kubernetes_namespace").cloned().unwrap_or_default(),
        "ip" => json!(call.data().value("ip").map(plain).unwrap_or_default()),
        "certificate" | "issuing_ca" => json!(pem("CERTIFICATE", &random::base64url(60))),
        "ca_chain" => json!([pem("CERTIFICATE", &random::base64url(60))]),
        "private_key" => {
            let key = call.ledger.secret(random::base64url(60));
            json!(pem("RSA PRIVATE KEY", &key))
        }
        _ => json!(call.ledger.secret(random::base64url(43))),
    }
}
