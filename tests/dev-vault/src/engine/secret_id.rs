//! Secret ids of an AppRole: their making, their uses, their end.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::Call;
use super::approle::Role;
use crate::cidr::Cidr;
use crate::clock::rfc3339;
use crate::core::fields::Object;
use crate::core::response::{Failure, Response};
use crate::dialect::Dialect;
use crate::random;

#[derive(Debug, Clone)]
pub(super) struct SecretId {
    pub(super) value: String,
    pub(super) accessor: String,
    pub(super) metadata: Object,
    pub(super) bound_cidrs: Vec<Cidr>,
    pub(super) token_bound_cidrs: Vec<Cidr>,
    /// 0 is unlimited.
    pub(super) uses_left: u64,
    ttl: Duration,
    pub(super) created: SystemTime,
    pub(super) expires: Option<SystemTime>,
}

impl SecretId {
    pub(super) fn generate(role: &Role, call: &mut Call<'_>, custom: bool) -> Result<Self, Failure> {
        let data = call.data();
        if !role.bind_secret_id {
            return Err(Failure::bad_request("bind_secret_id is not set on the role"));
        }
        let value = if custom { data.text("secret_id")?.trim().to_owned() } else { random::uuid() };
        if value.is_empty() {
            return Err(Failure::bad_request("missing secret_id"));
        }
        if role.secret_ids.iter().any(|known| known.value == value) {
            return Err(Failure::internal("SecretID is already registered"));
        }
        let uses = match data.integer("num_uses")? {
            None => role.secret_id_num_uses,
            Some(uses) => check_uses(uses, role)?,
        };
        let ttl = data.duration("ttl")?.unwrap_or(role.secret_id_ttl);
        if !role.secret_id_ttl.is_zero() && (ttl.is_zero() || ttl > role.secret_id_ttl) {
            return Err(Failure::bad_request("ttl cannot be longer than the role's secret_id_ttl"));
        }
        let metadata = match data.string("metadata")?.filter(|text| !text.is_empty()) {
            None => Object::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| Failure::bad_request(format!("failed to parse metadata: {error}")))?,
        };
        let blocks = |name: &str| {
            Cidr::parse_all(&data.list(name)?.unwrap_or_default())
                .ok_or_else(|| Failure::bad_request("failed to validate CIDR blocks"))
        };
        let (bound_cidrs, token_bound_cidrs) = (blocks("cidr_list")?, blocks("token_bound_cidrs")?);
        if !Cidr::all_covered(&role.secret_id_bound_cidrs, &bound_cidrs) {
            return Err(Failure::internal(format!(
                "failed to verify subset relationship between CIDR blocks on the role {} and CIDR blocks on the \
                 secret ID {}: %!w(<nil>)",
                go_list(&role.secret_id_bound_cidrs, call.dialect),
                go_list(&bound_cidrs, call.dialect)
            )));
        }
        call.ledger.secret(value.clone());
        Ok(Self {
            value,
            accessor: random::uuid(),
            metadata,
            bound_cidrs,
            token_bound_cidrs,
            uses_left: uses,
            ttl,
            created: call.now,
            expires: (!ttl.is_zero()).then(|| call.now + ttl),
        })
    }

    pub(super) fn issued(&self, modern: bool) -> Response {
        let mut data = json!({
            "secret_id": self.value,
            "secret_id_accessor": self.accessor,
            "secret_id_ttl": self.ttl.as_secs(),
        });
        if modern {
            data["secret_id_num_uses"] = json!(self.uses_left);
        }
        Response::data(data)
    }

    pub(super) fn describe(&self) -> Response {
        Response::data(json!({
            "secret_id_accessor": self.accessor,
            "creation_time": rfc3339(self.created),
            "expiration_time": self.expires.map_or("0001-01-01T00:00:00Z".to_owned(), rfc3339),
            "last_updated_time": rfc3339(self.created),
            "metadata": Value::Object(self.metadata.clone()),
            "cidr_list": texts(&self.bound_cidrs),
            "token_bound_cidrs": texts(&self.token_bound_cidrs),
            "secret_id_num_uses": self.uses_left,
            "secret_id_ttl": self.ttl.as_secs(),
        }))
    }
}

fn check_uses(uses: i64, role: &Role) -> Result<u64, Failure> {
    let uses = u64::try_from(uses).map_err(|_| Failure::bad_request("num_uses cannot be negative"))?;
    if role.secret_id_num_uses > 0 && (uses == 0 || uses > role.secret_id_num_uses) {
        return Err(Failure::bad_request("num_uses cannot be higher than the role's secret_id_num_uses"));
    }
    Ok(uses)
}

pub(super) fn texts(blocks: &[Cidr]) -> Vec<String> {
    blocks.iter().map(ToString::to_string).collect()
}

/// A list as Go prints it with `%v`, or, in `OpenBao`, with `%q`.
fn go_list(blocks: &[Cidr], dialect: Dialect) -> String {
    let items = texts(blocks).into_iter();
    let items: Vec<String> = match dialect {
        Dialect::OpenBao => items.map(|item| format!("\"{item}\"")).collect(),
        _ => items.collect(),
    };
    format!("[{}]", items.join(" "))
}
