//! Who calls: an identity with a secret that nobody else has.

use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::{ROLE, Run, World, text};

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
}

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
            _ => {
                let secret = token("job");
                (secret.clone(), run.env("VAULT_TOKEN", &secret))
            }
        };
        Self { number, method, token: secret.clone(), secret, ends, run }
    }
}
