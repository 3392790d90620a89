//! What a handler says, before it becomes an envelope: a response, or a failure.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::cidr::Cidr;
use crate::core::fields::Object;

/// `Ok(None)` is "nothing to say": 204, or 404 for a read.
pub(crate) type Outcome = Result<Option<Response>, Failure>;

/// A successful answer of a backend.
#[derive(Debug, Default)]
pub(crate) struct Response {
    /// Only where it differs from 200.
    pub(crate) status: Option<u16>,
    pub(crate) data: Option<Object>,
    /// A login that the core turns into a token.
    pub(crate) grant: Option<Grant>,
    pub(crate) auth: Option<Auth>,
    /// A dynamic secret that the core turns into a lease.
    pub(crate) secret: Option<Secret>,
    pub(crate) lease: LeaseInfo,
    pub(crate) warnings: Vec<String>,
    pub(crate) wrap_info: Option<WrapInfo>,
    /// Some `sys/` routes repeat the keys of `data` at top level.
    pub(crate) repeats_data: bool,
    /// A body that is not the envelope: health, or what was wrapped.
    pub(crate) verbatim: Option<String>,
}

impl Response {
    pub(crate) fn data(data: Value) -> Self {
        let Value::Object(data) = data else { unreachable!("handlers give objects") };
        Self { data: Some(data), ..Self::default() }
    }

    pub(crate) fn verbatim(status: u16, body: String) -> Self {
        Self { status: Some(status), verbatim: Some(body), ..Self::default() }
    }

    pub(crate) fn accepted() -> Self {
        Self { status: Some(202), verbatim: Some(String::new()), ..Self::default() }
    }

    pub(crate) fn keys(keys: impl IntoIterator<Item = String>) -> Option<Self> {
        let keys: Vec<String> = keys.into_iter().collect();
        (!keys.is_empty()).then(|| Self::data(serde_json::json!({ "keys": keys })))
    }
}

/// A refusal, with the status that it has by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) errors: Vec<String>,
    /// A Go error, which authenticated paths wrap as `1 error occurred:`; otherwise an error response.
    pub(crate) wrapped: bool,
    /// `X-RateLimit-*` and `Retry-After`.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Failure {
    /// An error response of a backend: bare on every path.
    pub(crate) fn response(status: u16, text: impl Into<String>) -> Self {
        Self { status, errors: vec![text.into()], wrapped: false, headers: Vec::new() }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::response(400, text)
    }

    /// A Go error of a backend: wrapped on authenticated paths, bare on login paths.
    pub(crate) fn error(status: u16, text: impl Into<String>) -> Self {
        Self { wrapped: true, ..Self::response(status, text) }
    }

    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::error(500, text)
    }

    /// `{"errors":[]}`.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, errors: Vec::new(), wrapped: false, headers: Vec::new() }
    }

    /// Refused before the ACL: no token, or not a live one.
    pub(crate) fn permission_denied() -> Self {
        Self::response(403, "permission denied")
    }

    /// Refused by the ACL.
    pub(crate) fn acl_denied() -> Self {
        Self::error(403, "permission denied")
    }

    pub(crate) fn unsupported_path() -> Self {
        Self::error(404, "unsupported path")
    }

    pub(crate) fn unsupported_operation() -> Self {
        Self::error(405, "unsupported operation")
    }
}

/// The lease fields of the envelope.
#[derive(Debug, Default, Clone)]
pub(crate) struct LeaseInfo {
    pub(crate) id: String,
    pub(crate) renewable: bool,
    pub(crate) duration: Duration,
}

/// A dynamic secret, not yet leased.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) access_key: String,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) renewable: bool,
    pub(crate) renewal: Renewal,
}

/// How an engine extends its leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// To the wished increment or the full TTL, capped by the maximum.
    Capped,
    /// The same for a wished increment; without one to the full TTL, or not at all when the maximum would cut it
    /// (Exoscale).
    FullOrNothing,
}

/// What a login gives: the wish for a token.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    pub(crate) params: TokenParams,
    pub(crate) metadata: Object,
    pub(crate) display_name: String,
    /// The name by which the mount knows the caller; decides the entity.
    pub(crate) alias: String,
}

/// The `token_*` parameters of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenParams {
    pub(crate) policies: Vec<String>,
    pub(crate) ttl: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) num_uses: u64,
    pub(crate) batch: bool,
    pub(crate) bound_cidrs: Vec<Cidr>,
    pub(crate) no_default_policy: bool,
}

/// The `auth` block.
#[derive(Debug, Serialize, Clone)]
pub(crate) struct Auth {
    pub(crate) client_token: String,
    pub(crate) accessor: String,
    pub(crate) policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) token_policies: Vec<String>,
    pub(crate) metadata: Option<Object>,
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
    pub(crate) entity_id: String,
    pub(crate) token_type: &'static str,
    pub(crate) orphan: bool,
    /// From 1.10 on; `Some(null)` there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mfa_requirement: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_uses: Option<u64>,
}

/// The `wrap_info` block.
#[derive(Debug, Serialize, Clone)]
pub(crate) struct WrapInfo {
    pub(crate) token: String,
    pub(crate) accessor: String,
    pub(crate) ttl: u64,
    pub(crate) creation_time: String,
    pub(crate) creation_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) wrapped_accessor: String,
}

/// Vault's `CalculateTTL`: how long, and what to warn about.
pub(crate) struct Lifetime {
    pub(crate) increment: Duration,
    pub(crate) ttl: Duration,
    pub(crate) period: Duration,
    pub(crate) max_ttl: Duration,
    pub(crate) explicit_max_ttl: Duration,
    pub(crate) default_ttl: Duration,
    pub(crate) mount_max_ttl: Duration,
    pub(crate) started: SystemTime,
}

impl Lifetime {
    pub(crate) fn calculate(&self, now: SystemTime) -> Result<(Duration, Vec<String>), Failure> {
        let mut warnings = Vec::new();
        let mut maximum = self.mount_max_ttl;
        for bound in [self.max_ttl, self.explicit_max_ttl] {
            if !bound.is_zero() {
                maximum = maximum.min(bound);
            }
        }
        let first_set = |wishes: &[Duration]| wishes.iter().copied().find(|wish| !wish.is_zero());
        let (wish, bound) = if self.period.is_zero() {
            (first_set(&[self.increment, self.ttl]).unwrap_or(self.default_ttl), Some(maximum))
        } else {
            (self.period.min(maximum), first_set(&[self.explicit_max_ttl]))
        };
        let Some(bound) = bound else { return Ok((wish, warnings)) };
        // Vault counts in whole seconds on both ends.
        let age = Duration::from_secs(crate::clock::unix(now).abs_diff(crate::clock::unix(self.started)));
        let Some(left) = bound.checked_sub(age).filter(|left| !left.is_zero()) else {
            return Err(Failure::internal("past the max TTL, cannot renew"));
        };
        if wish <= left {
            return Ok((wish, warnings));
        }
        warnings.push(format!(
            "TTL of \"{}\" exceeded the effective max_ttl of \"{}\"; TTL value is capped accordingly",
            crate::clock::go_duration(wish),
            crate::clock::go_duration(left)
        ));
        Ok((left, warnings))
    }
}
