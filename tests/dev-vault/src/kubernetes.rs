//! A cluster's API server, as far as Vault's Kubernetes method asks it: TokenReview.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use crate::aside::Aside;
use crate::dialect::Dialect;
use crate::engine::jwt_keys::KeySet;
use crate::gitlab::GitlabToken;
use crate::http::Answer;
use crate::tls::Tls;

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// The API server. Its service account tokens are signed with the key of [`GitlabToken`].
pub struct KubernetesApi {
    server: Aside,
    /// What it answers to every review, where that is no review.
    status: Arc<AtomicU16>,
}

impl KubernetesApi {
    /// Starts listening on loopback, in plain HTTP. `reviewer` is the token that may ask; `uid` the service account's.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(reviewer: &str, uid: &str) -> Self {
        let (reviewer, uid) = (format!("Bearer {reviewer}"), uid.to_owned());
        let keys = KeySet::from_config(vec![GitlabToken::public_key_pem().to_owned()], String::new(), String::new());
        let keys = keys.expect("the test key");
        let status = Arc::new(AtomicU16::new(201));
        let said = Arc::clone(&status);
        let server = Aside::start(Tls::Off, move |_, request| {
            let status = said.load(Ordering::SeqCst);
            if request.method != "POST" || request.path != REVIEWS {
                return Answer::new(404, "application/json", "{}");
            }
            if request.headers.get("authorization") != Some(&reviewer) {
                return failure(401);
            }
            match status {
                201 => Answer::new(201, "application/json", review(&keys, &request.json(), &uid).to_string()),
                status => failure(status),
            }
        });
        Self { server, status }
    }

    /// For `kubernetes_host`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.address()
    }

    /// From now on every review is answered by this status; 201 reviews again.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// How many reviews were asked for.
    #[must_use]
    pub fn reviews(&self) -> usize {
        self.server.requests().len()
    }
}

fn failure(status: u16) -> Answer {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status });
    Answer::new(status, "application/json", body.to_string())
}

/// Verifies the signature, and intersects the audiences.
fn review(keys: &KeySet, request: &Value, uid: &str) -> Value {
    let spec = &request["spec"];
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let verified = keys.verify(spec["token"].as_str().unwrap_or_default(), Dialect::OpenBao);
    let claims = verified.map(|(_, claims)| Value::Object(claims)).unwrap_or_default();
    let account = &claims["kubernetes.io"]["serviceaccount"];
    let (own, wanted) = (texts(&claims["aud"]), texts(&spec["audiences"]));
    let common: Vec<_> = own.into_iter().filter(|audience| wanted.is_empty() || wanted.contains(audience)).collect();
    let status = if account["uid"] == uid && !common.is_empty() {
        json!({ "authenticated": true, "audiences": common, "user": {
            "username": claims["sub"], "uid": uid, "groups": ["system:serviceaccounts"],
        } })
    } else {
        json!({ "authenticated": false, "error": "invalid bearer token" })
    };
    json!({ "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": spec, "status": status })
}
