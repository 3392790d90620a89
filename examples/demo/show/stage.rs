//! The Vault behind the scenes, set up as the articles set theirs up, and the record of each scene.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dev_vault::{DevVault, Dialect, GitlabToken, Tls};
use serde_json::{Value, json};

use super::job::{Job, Log};
use super::page::Page;

/// The AppRole and the Exoscale role.
pub(crate) const ROLE: &str = "gitlab-ci-runner";

const GITLAB: &str = "https://gitlab.example.com";

/// In the folder that the jobs run in.
const CA_FILE: &str = "vault-ca.pem";

/// A Vault, and a folder for the jobs.
pub(crate) struct Stage {
    pub(crate) vault: DevVault,
    pub(crate) role_id: String,
    pub(crate) requests_in_all: usize,
    tool: PathBuf,
    folder: tempfile::TempDir,
    /// The ids of the leases of the scenes before.
    leases: BTreeSet<String>,
}

impl Stage {
    pub(crate) fn set(tool: &Path) -> Self {
        let vault = DevVault::builder().dialect(Dialect::Vault1_16).tls(Tls::Valid).start();
        set_up_exoscale(&vault);
        set_up_aws(&vault);
        let folder = tempfile::tempdir().expect("a folder for the jobs");
        std::fs::write(folder.path().join(CA_FILE), vault.ca_pem()).expect("the CA's file");
        let role_id = text(&vault.read(&format!("auth/approle/role/{ROLE}/role-id"))["data"]["role_id"]);
        let tool = tool.parent().unwrap_or(tool).to_owned();
        Self { vault, role_id, requests_in_all: 0, tool, folder, leases: BTreeSet::new() }
    }

    /// A token that may only create secret ids of the role.
    pub(crate) fn generator_token(&self) -> String {
        let made =
            self.vault.write("auth/token/create", json!({ "policies": ["gitlab-ci-runner-secrets"], "ttl": "768h" }));
        text(&made["auth"]["client_token"])
    }

    /// A wrapping token that holds a fresh secret id.
    pub(crate) fn wrapping_token(&self) -> String {
        self.vault.write_wrapped(&format!("auth/approle/role/{ROLE}/secret-id"), json!({}), "60s")
    }

    /// What GitLab gives to a job of project 365 that deploys to dev.
    pub(crate) fn id_token(&self) -> String {
        let token = GitlabToken::new().issuer(GITLAB).audience("https://vault.example.com").at(self.vault.now());
        token.project_id("365").environment("dev").sign()
    }

    /// Unwraps the token as a thief would.
    pub(crate) fn steal(&self, token: &str) {
        let answer = self.vault.request("POST", "sys/wrapping/unwrap", Some(token), &[], None);
        assert_eq!(answer.status, 200, "a fresh wrapping token can be unwrapped");
    }

    /// The variables that every job is given.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [("VAULT_ADDR", self.vault.address()), ("VAULT_CACERT", CA_FILE.to_owned())]
    }

    /// Runs the job and shows its log, and what it has then. An error when the log holds a secret.
    pub(crate) fn play(&mut self, job: &Job, page: &mut Page) -> Result<Log, String> {
        self.vault.forget_requests();
        let variables = self.variables();
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let log = job.run(&self.tool, self.folder.path(), &variables);
        page.job_log(&log);
        // A key's ID is no secret, and the jobs print it.
        let ids = ["EXOSCALE_API_KEY", "AWS_ACCESS_KEY_ID"].map(|name| log.variable(name).unwrap_or_default());
        let is_told =
            |secret: &String| secret.len() > 7 && !ids.contains(&secret.as_str()) && log.text.contains(secret.as_str());
        match self.vault.secrets().iter().find(|secret| is_told(secret)) {
            None => Ok(log),
            Some(_) => Err("a secret stands in the log".into()),
        }
    }

    /// Shows what Vault saw and what is alive, and holds it against what the scene tells.
    pub(crate) fn end(&mut self, page: &mut Page, requests: usize, leases: usize) -> Result<(), String> {
        let seen = self.vault.requests();
        let mut new = self.vault.live_leases();
        new.retain(|lease| !self.leases.contains(&lease.id));
        page.vault_saw(&seen, &new, self.vault.now());
        if seen.len() != requests {
            return Err(format!("{} requests in place of {requests}", seen.len()));
        }
        if new.len() != leases {
            return Err(format!("{} new leases in place of {leases}", new.len()));
        }
        self.requests_in_all += seen.len();
        self.leases.extend(new.into_iter().map(|lease| lease.id));
        Ok(())
    }
}

fn set_up_exoscale(vault: &DevVault) {
    policy(
        vault,
        "exoscale-create-apikey",
        &format!("path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}"),
    );
    policy(
        vault,
        "gitlab-ci-runner-secrets",
        &format!("path \"auth/approle/role/{ROLE}/secret-id\" {{ capabilities = [\"update\"] }}"),
    );
    vault.write("sys/auth/approle", json!({ "type": "approle" }));
    let role = json!({ "token_policies": ["exoscale-create-apikey"], "token_ttl": "15m", "token_max_ttl": "30m",
        "secret_id_num_uses": 1, "secret_id_ttl": "1m" });
    vault.write(&format!("auth/approle/role/{ROLE}"), role);
    vault.write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
    let root = json!({ "root_api_key": "EXO0000000000000000root", "root_api_secret": "root-secret-of-the-demo", "zone": "de-muc-1" });
    vault.write("exoscale/config/root", root);
    for role in [ROLE, "production"] {
        vault.write(&format!("exoscale/role/{role}"), json!({ "iam-role": "ci", "ttl": "15m", "max_ttl": "30m" }));
    }
}

fn set_up_aws(vault: &DevVault) {
    policy(
        vault,
        "gitlab-projects-aws-assumed-role",
        "path \"aws/sts/365-dev\" { capabilities = [\"create\", \"update\"] }",
    );
    vault.write("sys/auth/gitlab", json!({ "type": "jwt" }));
    let config = json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": GITLAB, "default_role": "aws" });
    vault.write("auth/gitlab/config", config);
    let role = json!({ "role_type": "jwt", "user_claim": "project_path", "bound_audiences": ["https://vault.example.com"],
        "bound_claims": { "project_id": "365" }, "token_policies": ["gitlab-projects-aws-assumed-role"],
        "token_ttl": "1h" });
    vault.write("auth/gitlab/role/aws", role);
    vault.write("sys/mounts/aws", json!({ "type": "aws" }));
    let root = json!({ "access_key": "AKIAROOTROOTROOTROOT", "secret_key": "root-secret-of-the-aws-engine", "region": "us-east-1" });
    vault.write("aws/config/root", root);
    let arn = "arn:aws:iam::123123123123:role/gitlab-service-role";
    vault.write("aws/roles/365-dev", json!({ "credential_type": "assumed_role", "role_arns": [arn] }));
}

fn policy(vault: &DevVault, name: &str, rules: &str) {
    vault.write(&format!("sys/policies/acl/{name}"), json!({ "policy": rules }));
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
