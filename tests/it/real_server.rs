mod operator;

use std::path::Path;

use dev_vault::{DevVault, Dialect, GitlabToken};
use serde_json::json;

use crate::support::{AUDIENCE, ISSUER, METHODS, ROLE, Ran, Run, exports, text};
use operator::{DevServer, Operator};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const KEY: (&str, &str) = ("EXO1216fe31ae170c1d03", "sjEjWthov-naql9vmlDT_apgZ6ZEU8WqkZ_example");
const SESSION: (&str, &str, &str) =
    ("ASIARZKVVYOZ7ODGRLVU", "8+8UdWu4/nv0wJalrXUtnFEMI/K7MDENGbPxRf", "FQoGZXIvYXdzEBYaD/example==");

#[test]
fn a_real_server_answers_as_the_double_does() {
    const VARIABLE: &str = "CI_CREDS_TEST_VAULT";
    let Some(binary) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        println!("skipped: {VARIABLE} names no vault or bao binary");
        return;
    };
    let folder = tempfile::Builder::new().prefix("real.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = DevServer::start(Path::new(&binary), folder.path());
    hold(&server.operator, folder.path());
}

#[test]
fn the_double_answers_as_a_real_server_would() {
    for dialect in Dialect::ALL {
        let vault = DevVault::start(dialect);
        let folder = tempfile::Builder::new().prefix("real.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        hold(&Operator { address: vault.socket_address(), token: vault.root_token() }, folder.path());
    }
}

/// What must be true of every server, set up by nothing but its own API.
fn hold(operator: &Operator, folder: &Path) {
    set_up(operator);
    let site = Site { operator, folder };
    site.every_identity_gets_both_credentials();
    site.a_spent_wrapping_token_is_reported_as_possible_theft();
    site.a_rewrapped_token_is_never_unwrapped();
    site.refusals_are_told_apart();
}

/// AppRole, JWT, and two KV mounts that stand in for the engines: a real one would need a cloud behind it.
fn set_up(operator: &Operator) {
    let policy =
        "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/sts/*\" { capabilities = [\"read\"] }";
    operator.write("sys/policies/acl/job", &json!({ "policy": policy }));
    let generate = format!("path \"auth/approle/role/{ROLE}/secret-id\" {{ capabilities = [\"update\"] }}");
    operator.write("sys/policies/acl/generator", &json!({ "policy": generate }));
    operator.write("sys/auth/approle", &json!({ "type": "approle" }));
    let role =
        json!({ "token_policies": ["job"], "token_ttl": "15m", "secret_id_num_uses": 1, "secret_id_ttl": "10m" });
    operator.write(&format!("auth/approle/role/{ROLE}"), &role);
    operator.write("sys/auth/gitlab", &json!({ "type": "jwt" }));
    let keys = json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER, "default_role": ROLE });
    operator.write("auth/gitlab/config", &keys);
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [AUDIENCE],
        "bound_claims": { "project_id": "365" }, "token_policies": ["job"], "token_ttl": "15m",
    });
    operator.write(&format!("auth/gitlab/role/{ROLE}"), &role);
    for mount in ["exoscale", "aws"] {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": "1" } }));
    }
    let key = json!({ "api_key": KEY.0, "api_secret": KEY.1, "name": "vault-ci" });
    operator.write(&format!("exoscale/apikey/{ROLE}"), &key);
    let session = json!({ "access_key": SESSION.0, "secret_key": SESSION.1, "session_token": SESSION.2 });
    operator.write("aws/sts/365-dev", &session);
}

struct Site<'a> {
    operator: &'a Operator,
    folder: &'a Path,
}

impl Site<'_> {
    fn job(&self, method: &str, line: &str) -> Run {
        let mut run = Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), self.folder);
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        let run = run.env("VAULT_ADDR", &format!("http://{}", self.operator.address));
        let role_id = self.operator.read(&format!("auth/approle/role/{ROLE}/role-id"));
        let with_role_id = |run: Run| run.env("VAULT_ROLE_ID", &text(&role_id["data"]["role_id"]));
        match method {
            "wrapping-token" => with_role_id(run).env("VAULT_WRAPPING_TOKEN", &self.wrapped()),
            "secret-id" => with_role_id(run).env("VAULT_SECRET_ID", &self.secret_id()),
            "generator-token" => {
                with_role_id(run).env("VAULT_TOKEN", &self.token("generator")).env("VAULT_APPROLE_ROLE", ROLE)
            }
            "id-token" => run.env("VAULT_ID_TOKEN", &id_token().sign()).env("VAULT_AUTH_PATH", "gitlab"),
            _ => run.env("VAULT_TOKEN", &self.token("job")),
        }
    }

    fn secret_id(&self) -> String {
        let answer = self.operator.write(&format!("auth/approle/role/{ROLE}/secret-id"), &json!({}));
        text(&answer["data"]["secret_id"])
    }

    fn wrapped(&self) -> String {
        self.operator.wrap(&format!("auth/approle/role/{ROLE}/secret-id"), &json!({}))
    }

    fn token(&self, policy: &str) -> String {
        let answer = self.operator.write("auth/token/create", &json!({ "policies": [policy], "ttl": "10m" }));
        text(&answer["auth"]["client_token"])
    }

    fn every_identity_gets_both_credentials(&self) {
        for method in METHODS {
            let set = exports(&self.job(method, EXOSCALE).run().ok());
            assert_eq!((set["EXOSCALE_API_KEY"].as_str(), set["EXOSCALE_API_SECRET"].as_str()), KEY, "{method}");
            let set = exports(&self.job(method, "aws --role 365-dev").run().ok());
            let values = (&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"], &set["AWS_SESSION_TOKEN"]);
            assert_eq!((values.0.as_str(), values.1.as_str(), values.2.as_str()), SESSION, "{method}");
        }
    }

    fn a_spent_wrapping_token_is_reported_as_possible_theft(&self) {
        let run = self.job("wrapping-token", EXOSCALE);
        run.run().ok();
        refused(run.run(), (79, "spent"), &["already used, or tampered with", "audit log"]);
        let run = self.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &self.token("job"));
        refused(run.run(), (79, "spent"), &["is not valid"]);
    }

    fn a_rewrapped_token_is_never_unwrapped(&self) {
        let rewrapped = self.operator.wrap("sys/wrapping/wrap", &json!({ "secret_id": self.secret_id() }));
        let run = self.job("wrapping-token", EXOSCALE).env("VAULT_WRAPPING_TOKEN", &rewrapped);
        let words = ["SECURITY", "made by sys/wrapping/wrap", "was not unwrapped", "incident"];
        refused(run.run(), (79, "spent"), &words);
        let (status, _) = self.operator.send("POST", "sys/wrapping/lookup", &[], &json!({ "token": rewrapped }));
        assert_eq!(status, 200, "the token was spent");
    }

    fn refusals_are_told_apart(&self) {
        let wrong = "11111111-2222-3333-4444-555555555555";
        let run = self.job("secret-id", EXOSCALE).env("VAULT_SECRET_ID", wrong);
        refused(run.run(), (77, "denied"), &["auth/approle/login", "VAULT_SECRET_ID"]);
        let ran = self.job("token", "exoscale --role x --mount elsewhere").run();
        refused(ran, (77, "denied"), &["policy", "path \"elsewhere/apikey/x\" { capabilities = [\"read\"] }"]);
        let run = self.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().audience("https://other").sign());
        refused(run.run(), (77, "denied"), &["audience", "the token's aud is https://other"]);
        let run = self.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().sign_with_other_key());
        refused(run.run(), (77, "denied"), &["signature", "jwks_url"]);
        let run = self.job("id-token", EXOSCALE).env("VAULT_ID_TOKEN", &id_token().project_id("999").sign());
        refused(run.run(), (77, "denied"), &["bound_claims", "project_id is 999"]);
        let run = self.job("id-token", EXOSCALE).env("VAULT_AUTH_ROLE", "nope");
        refused(run.run(), (77, "denied"), &["no role nope at auth/gitlab"]);
        let ran = self.job("secret-id", &format!("{EXOSCALE} --auth-mount nope")).run();
        refused(ran, (77, "denied"), &["auth/nope/login", "--auth-mount"]);
    }
}

fn id_token() -> GitlabToken {
    GitlabToken::new().issuer(ISSUER).audience(AUDIENCE).project_id("365")
}

fn refused(ran: Ran, (code, kind): (i32, &str), words: &[&str]) {
    let ran = ran.failed(code, kind);
    ran.assert_marker(code);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
}
