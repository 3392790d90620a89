//! Rate-limit quotas: a fixed number of requests per client and interval.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::core::fields::Fields;
use crate::core::request::Operation;
use crate::core::response::{Failure, Outcome, Response};

/// Paths that are never limited.
const EXEMPT: [&str; 3] = ["sys/health", "sys/seal-status", "sys/unseal"];

#[derive(Debug)]
struct Quota {
    rate: u64,
    interval: Duration,
    /// A path or a mount, without trailing slash; empty is everything.
    path: String,
    windows: BTreeMap<IpAddr, (SystemTime, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Quotas {
    quotas: BTreeMap<String, Quota>,
    response_headers: bool,
}

impl Quotas {
    /// Counts a request. The headers of an allowed one, or the refusal.
    pub(crate) fn admit(
        &mut self,
        path: &str,
        remote: IpAddr,
        now: SystemTime,
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let covers = |quota: &Quota| {
            let rest = path.strip_prefix(&quota.path);
            quota.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let quota = self.quotas.values_mut().filter(|quota| covers(quota)).max_by_key(|quota| quota.path.len());
        let (Some(quota), false) = (quota, EXEMPT.contains(&path)) else { return Ok(Vec::new()) };
        let (started, count) = quota.windows.entry(remote).or_insert((now, 0));
        if now >= *started + quota.interval {
            (*started, *count) = (now, 0);
        }
        let allowed = *count < quota.rate;
        *count += u64::from(allowed);
        // Whole seconds, cut off: a client that waits exactly so long comes too early.
        let reset = (*started + quota.interval).duration_since(now).unwrap_or_default().as_secs().to_string();
        let mut headers = Vec::new();
        if self.response_headers {
            headers.push(("X-Ratelimit-Limit", quota.rate.to_string()));
            headers.push(("X-Ratelimit-Remaining", (quota.rate - *count).to_string()));
            headers.push(("X-Ratelimit-Reset", reset.clone()));
        }
        if allowed {
            return Ok(headers);
        }
        if self.response_headers {
            headers.push(("Retry-After", reset));
        }
        let text = format!("request path \"{path}\": rate limit quota exceeded");
        Err(Failure { headers, ..Failure::response(429, text) })
    }

    /// `sys/quotas/...`
    pub(crate) fn handle(&mut self, path: &str, operation: Operation, data: &Fields) -> Outcome {
        match (path.split_once('/').unwrap_or((path, "")), operation) {
            (("config", ""), Operation::Create | Operation::Update) => {
                if let Some(flag) = data.boolean("enable_rate_limit_response_headers")? {
                    self.response_headers = flag;
                }
                Ok(None)
            }
            (("rate-limit", name), Operation::Create | Operation::Update) if !name.is_empty() => {
                let rate = data.integer("rate")?.and_then(|rate| u64::try_from(rate).ok()).unwrap_or_default();
                if rate == 0 {
                    return Err(Failure::bad_request("'rate' is invalid"));
                }
                let interval = data.duration("interval")?.filter(|interval| !interval.is_zero());
                let quota = Quota {
                    rate,
                    interval: interval.unwrap_or(Duration::from_secs(1)),
                    path: data.text("path")?.trim_matches('/').to_owned(),
                    windows: BTreeMap::new(),
                };
                self.quotas.insert(name.to_owned(), quota);
                Ok(None)
            }
            (("rate-limit", name), Operation::Read) => Ok(self.quotas.get(name).map(|quota| {
                Response::data(json!({
                    "name": name, "type": "rate-limit", "path": quota.path, "rate": quota.rate,
                    "interval": quota.interval.as_secs(),
                }))
            })),
            (("rate-limit", name), Operation::Delete) => {
                self.quotas.remove(name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_path()),
        }
    }
}
