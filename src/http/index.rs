//! How far a cluster's storage is, by the newest answer of its nodes: `X-Vault-Index`, of Vault Enterprise and OpenBao.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

/// A node that is behind, and gets it back, must not answer from what it has.
const INDEX: &str = "X-Vault-Index";
/// What such a node does instead; without it, the answer is 412 or 429.
const INCONSISTENT: (&str, &str) = ("X-Vault-Inconsistent", "forward-active-node");
/// Longer than any index: a header that is sent back shall not grow without a bound.
const LONGEST: usize = 1024;

/// The newest index of a run.
#[derive(Default)]
pub(super) struct Index(RefCell<Option<HeaderValue>>);

/// An index of OpenBao's, in base64. The value is a number as text.
#[derive(Deserialize, Serialize)]
struct OpenBao {
    cluster: String,
    value: String,
}

impl Index {
    /// Notes what an answer says.
    pub(super) fn note(&self, headers: &HeaderMap) {
        if let Some(index) = headers.get(INDEX).filter(|index| index.len() <= LONGEST) {
            self.0.replace(Some(index.clone()));
        }
    }

    /// Asks for an answer by a node that is at least as far. `lends`: the answer is a lease.
    ///
    /// A standby of OpenBao's that has caught up answers a read by itself. It makes the key, cannot register its lease,
    /// and answers with 500. An index that no node has reached yet is the one way to have the leader read.
    pub(super) fn demand(&self, lends: bool, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let Some(index) = &*self.0.borrow() else { return request };
        let index = if lends { never_reached(index) } else { None }.unwrap_or_else(|| index.clone());
        request.header(INDEX, index).header(INCONSISTENT.0, INCONSISTENT.1)
    }
}

/// The same cluster's last index. Vault Enterprise signs its own, and registers leases with its leader.
fn never_reached(index: &HeaderValue) -> Option<HeaderValue> {
    let mut index: OpenBao = serde_json::from_slice(&STANDARD.decode(index).ok()?).ok()?;
    index.value.parse::<u64>().ok()?;
    index.value = u64::MAX.to_string();
    HeaderValue::from_str(&STANDARD.encode(serde_json::to_vec(&index).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_index_of_openbaos_has_a_last_one() {
        let last = |text: &[u8]| {
            let index = HeaderValue::from_str(&STANDARD.encode(text)).unwrap();
            never_reached(&index).map(|index| String::from_utf8(STANDARD.decode(index).unwrap()).unwrap())
        };
        assert_eq!(
            last(br#"{"cluster":"e0063094-fd31","value":"132"}"#).as_deref(),
            Some(r#"{"cluster":"e0063094-fd31","value":"18446744073709551615"}"#)
        );
        for other in [&b"v1:cluster:7:7:0a1b2c"[..], br#"{"cluster":"x"}"#, br#"{"cluster":"x","value":"a:7"}"#, b""] {
            assert_eq!(last(other), None);
        }
        assert_eq!(never_reached(&HeaderValue::from_static("not base64")), None);
    }
}
