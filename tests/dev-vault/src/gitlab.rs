//! ID tokens as GitLab issues them, signed with the crate's test key, and the issuer's key endpoint.

use std::sync::OnceLock;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RsaEncoding};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use crate::aside::{Aside, Tally};
use crate::clock::unix;
use crate::http::Answer;
use crate::random;
use crate::tls::Tls;

const KEY_ID: &str = "dev-vault-test-key";
const PUBLIC_KEY: &str = include_str!("../data/test-signing-key.pub.pem");

/// The key that mounts are told to trust.
fn signing_key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| load(include_str!("../data/test-signing-key.pem")))
}

/// The key of a forger.
fn forger_key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| load(include_str!("../data/test-forger-key.pem")))
}

fn load(pem: &str) -> KeyPair {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("the test key is PEM");
    KeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("the test key is RSA")
}

/// An ID token (`id_tokens:`) in the making. It starts as that of a job on a protected branch of project 365.
#[derive(Debug, Clone)]
pub struct GitlabToken {
    claims: Map<String, Value>,
    now: SystemTime,
    issued: i64,
    not_before: i64,
    expires: i64,
    omitted: Vec<String>,
}

impl Default for GitlabToken {
    fn default() -> Self {
        Self::new()
    }
}

impl GitlabToken {
    /// A token that is valid for an hour.
    #[must_use]
    pub fn new() -> Self {
        let claims = json!({
            "iss": "https://git.example.com",
            "aud": "https://vault.example.com",
            "sub": "project_path:somenamespace/someproject:ref_type:branch:ref:main",
            "jti": random::uuid(),
            "namespace_id": "72",
            "namespace_path": "somenamespace",
            "project_id": "365",
            "project_path": "somenamespace/someproject",
            "project_visibility": "private",
            "user_id": "1",
            "user_login": "dev",
            "user_email": "dev@example.com",
            "pipeline_id": "574",
            "pipeline_source": "push",
            "job_id": "302",
            "ref": "main",
            "ref_type": "branch",
            "ref_path": "refs/heads/main",
            "ref_protected": "true",
            "environment": "dev",
            "environment_protected": "false",
            "deployment_tier": "development",
            "runner_id": 1,
            "runner_environment": "self-hosted",
            "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        });
        Self {
            claims: claims.as_object().cloned().unwrap_or_default(),
            now: SystemTime::now(),
            issued: 0,
            not_before: -5,
            expires: 3_600,
            omitted: Vec::new(),
        }
    }

    /// A token of another CI system: these claims and no others, but for the times.
    #[must_use]
    pub fn of(claims: &Value) -> Self {
        Self { claims: claims.as_object().cloned().unwrap_or_default(), ..Self::new() }
    }

    /// The public half of the test key, PEM, for `jwt_validation_pubkeys`.
    #[must_use]
    pub fn public_key_pem() -> &'static str {
        PUBLIC_KEY.split_once("\n\n").map_or(PUBLIC_KEY, |(_, pem)| pem)
    }

    /// Sets any claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.omitted.push(name.to_owned());
        self
    }

    /// `iss`.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", issuer)
    }

    /// `aud` as a string.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", audience)
    }

    /// `aud` as a list.
    #[must_use]
    pub fn audiences(self, audiences: &[&str]) -> Self {
        self.claim("aud", audiences)
    }

    /// `sub`.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// `project_id`, a string of digits.
    #[must_use]
    pub fn project_id(self, id: &str) -> Self {
        self.claim("project_id", id)
    }

    /// `project_path`.
    #[must_use]
    pub fn project_path(self, path: &str) -> Self {
        self.claim("project_path", path)
    }

    /// `environment`.
    #[must_use]
    pub fn environment(self, name: &str) -> Self {
        self.claim("environment", name)
    }

    /// `ref`.
    #[must_use]
    pub fn git_ref(self, name: &str) -> Self {
        self.claim("ref", name)
    }

    /// `ref_protected`, which GitLab writes as a string.
    #[must_use]
    pub fn ref_protected(self, protected: bool) -> Self {
        self.claim("ref_protected", protected.to_string())
    }

    /// The moment that the offsets count from; the real now unless said otherwise.
    #[must_use]
    pub fn at(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

    /// `exp`, in seconds from now.
    #[must_use]
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires = seconds;
        self
    }

    /// `nbf`, in seconds from now.
    #[must_use]
    pub fn not_before_in(mut self, seconds: i64) -> Self {
        self.not_before = seconds;
        self
    }

    /// `iat`, in seconds from now.
    #[must_use]
    pub fn issued_in(mut self, seconds: i64) -> Self {
        self.issued = seconds;
        self
    }

    /// The token, signed with RS256 and the trusted key.
    #[must_use]
    pub fn sign(&self) -> String {
        self.signed("RS256", &RSA_PKCS1_SHA256, signing_key())
    }

    /// The token, signed with a key that no mount trusts, under the trusted key's id.
    #[must_use]
    pub fn sign_with_other_key(&self) -> String {
        self.signed("RS256", &RSA_PKCS1_SHA256, forger_key())
    }

    /// The token, signed with the trusted key and an algorithm that is not RS256.
    #[must_use]
    pub fn sign_rs384(&self) -> String {
        self.signed("RS384", &RSA_PKCS1_SHA384, signing_key())
    }

    fn signed(&self, algorithm: &str, padding: &'static dyn RsaEncoding, key: &KeyPair) -> String {
        let mut claims = self.claims.clone();
        for (name, offset) in [("iat", self.issued), ("nbf", self.not_before), ("exp", self.expires)] {
            claims.entry(name).or_insert_with(|| json!(unix(self.now) + offset));
        }
        claims.retain(|name, _| !self.omitted.contains(name));
        let encode = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let header = encode(&json!({ "alg": algorithm, "kid": KEY_ID, "typ": "JWT" }));
        let message = format!("{header}.{}", encode(&Value::Object(claims)));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("the test key signs");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The issuer's endpoints: OIDC discovery and the JWKS. For mounts with `jwks_url` or `oidc_discovery_url`.
pub struct GitlabKeys {
    server: Aside,
}

impl GitlabKeys {
    /// Starts listening on loopback, in plain HTTP.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start() -> Self {
        let server = Aside::start(Tls::Off, |tally: &Tally, request| {
            let body = match request.path.as_str() {
                "/.well-known/openid-configuration" => {
                    let issuer = format!("http://{}", tally.address());
                    json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/oauth/discovery/keys") })
                }
                "/oauth/discovery/keys" => jwks(),
                _ => return Answer::new(404, "text/plain", "not found\n"),
            };
            Answer::new(200, "application/json", body.to_string())
        });
        Self { server }
    }

    /// For `oidc_discovery_url`.
    #[must_use]
    pub fn issuer_url(&self) -> String {
        self.server.address()
    }

    /// For `jwks_url`.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/oauth/discovery/keys", self.server.address())
    }

    /// How often the keys or the discovery document were fetched.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

fn jwks() -> Value {
    let key = PublicKeyComponents::<Vec<u8>>::from(signing_key().public());
    let number = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({ "keys": [{
        "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": number(&key.n), "e": number(&key.e),
    }] })
}
