//! What one test has of a server: roles under its own name, and the jobs that log in by them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dev_vault::GitlabToken;
use serde_json::json;

use super::operator::Operator;
use super::server::Server;
use crate::support::{AUDIENCE, ISSUER, ROLE, Run, text};

/// What the stand-ins for the clouds' engines give to everybody: the key of Exoscale, and the session of AWS.
pub const KEY: (&str, &str) = ("EXO1216fe31ae170c1d03", "sjEjWthov-naql9vmlDT_apgZ6ZEU8WqkZ_example");
pub const SESSION: (&str, &str, &str) =
    ("ASIARZKVVYOZ7ODGRLVU", "8+8UdWu4/nv0wJalrXUtnFEMI/K7MDENGbPxRf", "FQoGZXIvYXdzEBYaD/example==");

/// What every site shares: the logins, and two KV mounts in the place of the clouds' engines.
pub fn prepare(operator: &Operator) {
    prepare_logins(operator);
    for mount in ["exoscale", "aws"] {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": "1" } }));
    }
    let key = json!({ "api_key": KEY.0, "api_secret": KEY.1, "name": "vault-ci" });
    operator.write(&format!("exoscale/apikey/{ROLE}"), &key);
    let session = json!({ "access_key": SESSION.0, "secret_key": SESSION.1, "session_token": SESSION.2 });
    operator.write("aws/sts/365-dev", &session);
}

/// The logins by AppRole and by GitLab's ID tokens.
pub fn prepare_logins(operator: &Operator) {
    operator.write("sys/auth/approle", &json!({ "type": "approle" }));
    operator.write("sys/auth/gitlab", &json!({ "type": "jwt" }));
    let keys = json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER, "default_role": ROLE });
    operator.write("auth/gitlab/config", &keys);
}

/// Mounts an engine that lends: KV whose every read is a lease. It makes nothing in any cloud, and all else of a lease is
/// real.
pub fn mount_lender(operator: &Operator, mount: &str) {
    let options = json!({ "version": "1", "leased_passthrough": "true" });
    operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": options }));
}

/// What a lender lends for ten minutes at a path: a key of AWS's.
pub fn lend(operator: &Operator, path: &str) {
    let key = json!({ "access_key": "AKIARZKVVYOZ7ODGRLVU", "secret_key": SESSION.1, "ttl": "10m" });
    operator.write(path, &key);
}

pub struct Site<'a> {
    pub operator: &'a Operator,
    name: String,
    address: String,
    ca_file: Option<PathBuf>,
    folder: tempfile::TempDir,
}

impl<'a> Site<'a> {
    /// On a real server, over TLS.
    pub fn on(server: &'a Server, name: &str, policy: &str) -> Self {
        Self::within(server, &server.operator, name, policy)
    }

    /// On a real server, in the operator's namespace.
    pub fn within(server: &Server, operator: &'a Operator, name: &str, policy: &str) -> Self {
        Self::new(operator, name, policy, server.address.clone(), Some(server.ca_file.clone()))
    }

    /// At an address of this machine, over plain HTTP. `name` is that of the AppRole, of the JWT role and of the
    /// policy; `policy` is what a job may do.
    pub fn at(address: SocketAddr, operator: &'a Operator, name: &str, policy: &str) -> Self {
        Self::new(operator, name, policy, format!("http://{address}"), None)
    }

    /// Anywhere.
    pub fn new(operator: &'a Operator, name: &str, policy: &str, address: String, ca_file: Option<PathBuf>) -> Self {
        operator.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
        let generate = format!("path \"auth/approle/role/{name}/secret-id\" {{ capabilities = [\"update\"] }}");
        operator.write(&format!("sys/policies/acl/{name}-generator"), &json!({ "policy": generate }));
        let role =
            json!({ "token_policies": [name], "token_ttl": "15m", "secret_id_num_uses": 1, "secret_id_ttl": "10m" });
        operator.write(&format!("auth/approle/role/{name}"), &role);
        let role = json!({
            "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [AUDIENCE],
            "bound_claims": { "project_id": "365" }, "token_policies": [name], "token_ttl": "15m",
        });
        operator.write(&format!("auth/gitlab/role/{name}"), &role);
        let folder =
            tempfile::Builder::new().prefix("site.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.path(), private).expect("its mode");
        Self { operator, name: name.to_owned(), address, ca_file, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command line without an identity, split at blanks.
    pub fn command(&self, line: &str) -> Run {
        let mut run = Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), self.folder());
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        let folder = self.folder().display().to_string();
        let run = run.env("VAULT_ADDR", &self.address).env("HOME", &folder).env("TMPDIR", &folder);
        match &self.ca_file {
            Some(ca_file) => run.env("VAULT_CACERT", &ca_file.display().to_string()),
            None => run,
        }
    }

    /// A job with a fresh identity of one kind.
    pub fn job(&self, method: &str, line: &str) -> Run {
        let run = self.command(line);
        let with_role_id = |run: Run| run.env("VAULT_ROLE_ID", &self.role_id());
        match method {
            "wrapping-token" => with_role_id(run).env("VAULT_WRAPPING_TOKEN", &self.wrapped()),
            "secret-id" => with_role_id(run).env("VAULT_SECRET_ID", &self.secret_id()),
            "generator-token" => {
                let token = self.token(&format!("{}-generator", self.name));
                with_role_id(run).env("VAULT_TOKEN", &token).env("VAULT_APPROLE_ROLE", &self.name)
            }
            "id-token" => {
                let run = run.env("VAULT_ID_TOKEN", &id_token().sign()).env("VAULT_AUTH_PATH", "gitlab");
                run.env("VAULT_AUTH_ROLE", &self.name)
            }
            "token" => run.env("VAULT_TOKEN", &self.token(&self.name)),
            "child-token" => run.arg("--child-token").env("VAULT_TOKEN", &self.token(&self.name)),
            other => panic!("no way to log in is called {other}"),
        }
    }

    pub fn role_id(&self) -> String {
        text(&self.operator.read(&format!("auth/approle/role/{}/role-id", self.name))["data"]["role_id"])
    }

    pub fn secret_id(&self) -> String {
        let answer = self.operator.write(&format!("auth/approle/role/{}/secret-id", self.name), &json!({}));
        text(&answer["data"]["secret_id"])
    }

    pub fn wrapped(&self) -> String {
        self.operator.wrap(&format!("auth/approle/role/{}/secret-id", self.name), &json!({}))
    }

    pub fn token(&self, policy: &str) -> String {
        let answer = self.operator.write("auth/token/create", &json!({ "policies": [policy], "ttl": "10m" }));
        text(&answer["auth"]["client_token"])
    }
}

/// What GitLab gives a job of the project that the roles are bound to.
pub fn id_token() -> GitlabToken {
    GitlabToken::new().issuer(ISSUER).audience(AUDIENCE).project_id("365")
}
