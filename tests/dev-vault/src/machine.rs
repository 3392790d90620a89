//! What AWS has on a machine: the instance metadata service, version 2, and the credentials endpoint of a container.

use serde_json::json;

use crate::aside::Aside;
use crate::engine::aws_login::AwsPrincipal;
use crate::fault::{Fault, On};
use crate::http::Answer;
use crate::journal::Recorded;
use crate::tls::Tls;

/// The token of the instance metadata service, which every later request must show.
pub const IMDS_TOKEN: &str = "AQAEANdoubleTokenOfImdsV2xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx==";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const CONTAINER: &str = "/v1/credentials";

/// Both services, for one principal.
pub struct Machine(Aside);

impl Machine {
    /// Starts listening on loopback. Without a principal the machine has no role. `authorization` is what the container's
    /// endpoint demands.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(principal: Option<AwsPrincipal>, authorization: &str) -> Self {
        let authorization = authorization.to_owned();
        Self(Aside::start(Tls::Off, move |_, request| answer(principal, &authorization, request)))
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.0.address()
    }

    /// The URL of the container's credentials.
    #[must_use]
    pub fn container_url(&self) -> String {
        format!("{}{CONTAINER}", self.0.address())
    }

    /// Arms a fault.
    pub fn inject(&self, on: On, fault: Fault) {
        self.0.inject(on, fault);
    }

    /// Forgets the faults that are armed.
    pub fn clear_faults(&self) {
        self.0.clear_faults();
    }

    /// What was asked, as `METHOD path`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.0.requests().iter().map(Recorded::line).collect()
    }
}

fn answer(principal: Option<AwsPrincipal>, authorization: &str, request: &Recorded) -> Answer {
    let header = |name: &str| request.headers.get(name).unwrap_or_default();
    let refuse = |status| Answer::new(status, "text/plain", "");
    if request.path == "/latest/api/token" {
        let lifetime: u32 = header("x-aws-ec2-metadata-token-ttl-seconds").parse().unwrap_or_default();
        return match (request.method.as_str(), lifetime) {
            ("PUT", 1..=21_600) => Answer::new(200, "text/plain", IMDS_TOKEN),
            ("PUT", _) => refuse(400),
            _ => refuse(405),
        };
    }
    let Some(principal) = principal else { return refuse(404) };
    let keys = json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": principal.id, "SecretAccessKey": principal.secret,
        "Token": principal.session, "Expiration": "2099-01-01T00:00:00Z",
    });
    match (request.method.as_str(), request.path.strip_prefix(ROLES)) {
        ("GET", None) if request.path == CONTAINER && header("authorization") == authorization => {
            Answer::new(200, "application/json", keys.to_string())
        }
        ("GET", None) if request.path == CONTAINER => refuse(401),
        ("GET", Some(_)) if header("x-aws-ec2-metadata-token") != IMDS_TOKEN => refuse(401),
        ("GET", Some("")) => Answer::new(200, "text/plain", "ci-runner"),
        ("GET", Some("ci-runner")) => Answer::new(200, "text/plain", keys.to_string()),
        _ => refuse(404),
    }
}
