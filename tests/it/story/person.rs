//! Who calls: an identity with a secret that nobody else has.

use std::any::Any;
use std::time::{Duration, SystemTime};

use serde_json::json;

use dev_vault::{GitlabToken, KubernetesApi, TokenIssuer, TokenWire};

use crate::support::{AUDIENCE, ROLE, Run, World, text};

/// Somebody with a secret of his own.
pub struct Person {
    /// Nobody else's.
    pub number: usize,
    pub method: &'static str,
    pub secret: String,
    /// What a moment calls his token by, if that is what he has.
    pub token: String,
    /// When an ID token ends.
    pub ends: SystemTime,
    pub run: Run,
    /// Who vouches for him.
    #[expect(dead_code, reason = "it answers as long as he is there")]
    pub beside: Beside,
}

/// What stands beside Vault for somebody.
pub type Beside = Option<Box<dyn Any>>;

const REVIEWER: &str = "Rk4vT9-Hc6Lz1xW8mQ2";

/// Longer than every story.
const OUTLIVING: u32 = 48 * 3600;

/// How long an ID token lives, in seconds: a job has it for some hours.
pub const ID_TOKEN: u32 = 4 * 3600;

impl Person {
    /// All secrets but an ID token outlive every story.
    pub fn new(world: &World, number: usize, method: &'static str) -> Self {
        let vault = &world.vault;
        let token = |policy: &str| {
            let answer = vault.write("auth/token/create", json!({ "policies": [policy], "ttl": "48h" }));
            text(&answer["auth"]["client_token"])
        };
        let secret_id = format!("auth/approle/role/{ROLE}/secret-id");
        let run = world.command("").env("CI_JOB_ID", "77").env("VAULT_AUTH_PATH", "gitlab");
        let approle = run.clone().env("VAULT_ROLE_ID", &world.role_id).env("VAULT_APPROLE_ROLE", ROLE);
        let ends = vault.now() + Duration::from_secs(ID_TOKEN.into());
        let mut beside: Beside = None;
        let (secret, run) = match method {
            "wrapping-token" => {
                let secret = vault.write_wrapped(&secret_id, json!({}), "48h");
                (secret.clone(), approle.env("VAULT_WRAPPING_TOKEN", &secret))
            }
            "secret-id" => {
                let secret = text(&vault.write(&secret_id, json!({}))["data"]["secret_id"]);
                (secret.clone(), approle.env("VAULT_SECRET_ID", &secret))
            }
            "generator-token" => {
                let secret = token("generator");
                (secret.clone(), approle.env("VAULT_TOKEN", &secret))
            }
            "id-token" => {
                let job = format!("group/{}", number);
                let secret = world.id_token().project_path(&job).expires_in(ID_TOKEN.into()).sign();
                (secret.clone(), run.env("VAULT_ID_TOKEN", &secret))
            }
            "kubernetes" => {
                let uid = format!("6a1b0d4e-5f3c-4c1e-9a7e-{number:012}");
                let (mount, secret) = (format!("n{number}/k8s"), service_account_token(world, &uid));
                let api = KubernetesApi::start(REVIEWER, &uid);
                vault.write(&format!("sys/auth/{mount}"), json!({ "type": "kubernetes" }));
                let config = json!({ "kubernetes_host": api.url(), "token_reviewer_jwt": REVIEWER });
                vault.write(&format!("auth/{mount}/config"), config);
                let role = json!({ "bound_service_account_names": ["deploy"], "bound_service_account_namespaces": ["ci"],
                    "audience": "vault", "token_policies": ["job"], "token_ttl": "15m" });
                vault.write(&format!("auth/{mount}/role/ci"), role);
                beside = Some(Box::new(api));
                let run = run.without("VAULT_AUTH_PATH").env("CI_CREDS_AUTH", "kubernetes");
                let run = run.env("CI_CREDS_AUTH_MOUNT", &mount).env("CI_CREDS_AUTH_ROLE", "ci");
                (secret.clone(), run.env("VAULT_SERVICE_ACCOUNT_TOKEN", &secret))
            }
            "github" => {
                let proof = format!("proof-of-one-job-0123456789-{number}");
                let token = world.id_token().project_path(&format!("group/{number}")).expires_in(OUTLIVING.into());
                let sign = move |audience: &str| token.clone().audience(audience).sign();
                let issuer = TokenIssuer::start(TokenWire::Github, &proof, Vec::new(), sign);
                let run = run.env("GITHUB_ACTIONS", "true").env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url());
                beside = Some(Box::new(issuer));
                let run = run.env("CI_CREDS_ID_TOKEN_FROM", "github").env("CI_CREDS_ID_TOKEN_AUDIENCE", AUDIENCE);
                (proof.clone(), run.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &proof))
            }
            _ => {
                let secret = token("job");
                (secret.clone(), run.env("VAULT_TOKEN", &secret))
            }
        };
        Self { number, method, token: secret.clone(), secret, ends, run, beside }
    }
}

/// What the kubelet writes for the service account `ci/deploy`.
fn service_account_token(world: &World, uid: &str) -> String {
    let account = json!({ "namespace": "ci", "serviceaccount": { "name": "deploy", "uid": uid } });
    let token = GitlabToken::new().at(world.vault.now()).issuer("https://kubernetes.default.svc");
    let token = token.audiences(&["vault"]).subject("system:serviceaccount:ci:deploy");
    token.claim("kubernetes.io", account).expires_in(OUTLIVING.into()).sign()
}
