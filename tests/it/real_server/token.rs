//! The stored token on a real server and on the double: what renews it, and a rotation that is killed after each request.

use std::process::Stdio;
use std::sync::Arc;

use dev_vault::{DevVault, Dialect, Gate, Gitlab, GitlabVariable, Tls};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::operator::Operator;
use super::server::Server;
use super::site::{Site, prepare};
use crate::support::trap::Trap;
use crate::support::{Run, text};

/// The AppRole, the token role and the policy of these tests.
const NAME: &str = "handover";
/// The policy, until each scene has its own.
const POLICY: &str = "path \"secret/none\" { capabilities = [\"read\"] }";
const GITLAB_TOKEN: &str = "glpat-wT5mQ9xVb2Kd8RzLcH4n";
const ROTATE: &str =
    "token rotate --token-role handover --gitlab-variable VAULT_TOKEN --gitlab-token-env ROTATOR --grace 0s";

// check: 16
#[test]
fn a_stored_token_is_kept_alive_and_replaced_on_a_real_server() {
    let Some(server) = Server::shared() else { return };
    hold(&Site::on(server, NAME, POLICY), server.operator.clone());
}

// check: 16
#[test]
fn the_double_keeps_and_replaces_a_stored_token_as_a_real_server_does() {
    for dialect in [Dialect::Vault1_16, Dialect::OpenBao] {
        let vault = DevVault::start(dialect);
        let operator = Operator::new(vault.socket_address(), vault.root_token());
        prepare(&operator);
        hold(&Site::at(operator.address, &operator, NAME, POLICY), operator.clone());
    }
}

fn hold(site: &Site<'_>, operator: Operator) {
    let policy = format!(
        "path \"auth/approle/role/{NAME}/secret-id\" {{ capabilities = [\"update\"] }}\n\
         path \"auth/token/create/{NAME}\" {{ capabilities = [\"update\"] }}"
    );
    operator.write(&format!("sys/policies/acl/{NAME}"), &json!({ "policy": policy }));
    let role = json!({ "allowed_policies": [NAME], "orphan": true, "token_period": "72h", "renewable": true });
    operator.write(&format!("auth/token/roles/{NAME}"), &role);
    let gitlab = Gitlab::start(Tls::Off, Vec::new());
    gitlab.admit(GITLAB_TOKEN, true, true);
    let scene = Scene { site, operator, gitlab };
    scene.a_renewal_sets_the_whole_period_and_shortens_nothing();
    scene.what_cannot_be_renewed_is_told();
    scene.a_token_makes_its_own_successor_by_the_role_and_no_other_one();
    scene.a_rotation_that_is_killed_leaves_a_stored_token_that_works();
}

struct Scene<'a> {
    site: &'a Site<'a>,
    operator: Operator,
    gitlab: Gitlab,
}

impl Scene<'_> {
    fn create(&self, path: &str, body: &Value) -> String {
        text(&self.operator.write(&format!("auth/token/{path}"), body)["auth"]["client_token"])
    }

    /// What a token says of itself; none if it is not alive.
    fn look_up(&self, token: &str) -> Option<Value> {
        let own = Operator { token: token.into(), ..self.operator.clone() };
        let (status, answer) = own.send("GET", "auth/token/lookup-self", &[], &Value::Null);
        (status == 200).then(|| answer["data"].clone())
    }

    fn ttl(&self, token: &str) -> u64 {
        self.look_up(token).expect("alive")["ttl"].as_u64().expect("seconds")
    }

    fn job(&self, line: &str, token: &str) -> Run {
        let run = self.site.command(line).env("VAULT_ROLE_ID", &self.site.role_id()).env("VAULT_TOKEN", token);
        let run = run.env("VAULT_APPROLE_ROLE", NAME).env("ROTATOR", GITLAB_TOKEN).env("CI_PROJECT_ID", "365");
        run.env("CI_API_V4_URL", &self.gitlab.api())
    }

    fn a_renewal_sets_the_whole_period_and_shortens_nothing(&self) {
        let periodic = self.create(&format!("create/{NAME}"), &json!({}));
        let ran = self.job("token renew", &periodic).run();
        assert!(ran.stdout.contains("has a period of 72h"), "{ran:?}");
        ran.ok();
        assert!(self.ttl(&periodic) > 71 * 3600);
        // Longer than what this server gives to who asks for nothing, and shorter.
        for hours in [100, 700] {
            let plain = self.create("create-orphan", &json!({ "policies": [NAME], "ttl": format!("{hours}h") }));
            self.job("token renew", &plain).run().ok();
            let left = self.ttl(&plain);
            assert!(((hours - 1) * 3600..=hours * 3600).contains(&left), "{hours}: {left}");
        }
        // A run that renews its generator token does the same.
        let run = self.job("exoscale --role nobody --renew", &periodic).run();
        assert!(!run.stderr.contains("was not renewed"), "{run:?}");
    }

    fn what_cannot_be_renewed_is_told(&self) {
        for (body, words) in [
            (json!({ "policies": [NAME], "type": "batch", "ttl": "1h" }), "is a batch token"),
            (json!({ "policies": [NAME], "renewable": false, "ttl": "1h" }), "was made with renewable=false"),
        ] {
            let token = self.create("create-orphan", &body);
            let ran = self.job("token renew", &token).run().failed(78, "config");
            assert!(ran.stderr.contains(words), "{ran:?}");
        }
        let capped = json!({ "policies": [NAME], "period": "1h", "explicit_max_ttl": "2h" });
        let ran = self.job("token renew", &self.create("create-orphan", &capped)).run();
        assert!(ran.stderr.contains("for good, because explicit_max_ttl ends it then"), "{ran:?}");
        let ran = self.job("token renew", &self.create("create", &json!({ "policies": [NAME], "period": "1h" }))).run();
        assert!(ran.stderr.contains("is a child of another token"), "{ran:?}");
    }

    fn a_token_makes_its_own_successor_by_the_role_and_no_other_one(&self) {
        let old = self.create(&format!("create/{NAME}"), &json!({}));
        let own = Operator { token: old.clone(), ..self.operator.clone() };
        let (status, answer) = own.send("POST", &format!("auth/token/create/{NAME}"), &[], &json!({}));
        assert_eq!(status, 200, "{answer}");
        let new = text(&answer["auth"]["client_token"]);
        self.operator.write("auth/token/revoke", &json!({ "token": old }));
        let told = self.look_up(&new).expect("an orphan outlives the old one");
        assert_eq!((&told["orphan"], &told["role"], &told["renewable"]), (&json!(true), &json!(NAME), &json!(true)));
        // What the role says of its period is told by a renewal alone, whatever that asks for.
        assert_eq!((&told["period"], &told["creation_ttl"]), (&Value::Null, &json!(259_200)));
        let own = Operator { token: new, ..self.operator.clone() };
        let renewed = own.write("auth/token/renew-self", &json!({ "increment": "600s" }));
        assert_eq!(renewed["auth"]["lease_duration"], json!(259_200));
        for (path, body) in [
            ("create", json!({})),
            ("create-orphan", json!({})),
            ("create/nope", json!({})),
            (&format!("create/{NAME}"), json!({ "policies": ["root"] })),
        ] {
            let (status, answer) = own.send("POST", &format!("auth/token/{path}"), &[], &body);
            assert!(status == 403 || status == 400, "{path}: {status} {answer}");
        }
        // What the program is told of a role that is not there.
        let may_all = "path \"auth/token/create/*\" { capabilities = [\"update\"] }";
        self.operator.write("sys/policies/acl/anyrole", &json!({ "policy": may_all }));
        let token = self.create("create-orphan", &json!({ "policies": ["anyrole"], "ttl": "1h" }));
        self.gitlab.store(vec![GitlabVariable::of_project("VAULT_TOKEN", &token)]);
        let line = ROTATE.replace("--token-role handover", "--token-role nope");
        let ran = self.job(&line, &token).run().failed(78, "config");
        assert!(ran.stderr.contains("there is no token role nope (400: unknown role nope)"), "{ran:?}");
    }

    /// After each request, when the server has done its work and the answer is not there yet.
    fn a_rotation_that_is_killed_leaves_a_stored_token_that_works(&self) {
        let mut killed = 0;
        for number in 1.. {
            let old = self.create(&format!("create/{NAME}"), &json!({}));
            self.gitlab.store(vec![GitlabVariable::of_project("VAULT_TOKEN", &old)]);
            let trap = Arc::new(Trap::new(number, Signal::KILL));
            let gate = |to| {
                let trap = Arc::clone(&trap);
                Gate::start(to, move |_| trap.answered())
            };
            let (vault, gitlab) = (gate(self.operator.address), gate(self.gitlab.socket_address()));
            let run = self.job(ROTATE, &old).env("VAULT_ADDR", &vault.address());
            let run = run.env("CI_API_V4_URL", &format!("{}/api/v4", gitlab.address()));
            let mut child = run.to_command().stdout(Stdio::null()).spawn().expect("a child");
            trap.arm(&child);
            let ended = child.wait().expect("its end");
            let stored = self.gitlab.variables()[0].value.clone();
            let told =
                self.look_up(&stored).unwrap_or_else(|| panic!("after request {number} the stored token is dead"));
            assert_eq!(told["role"], json!(NAME), "after request {number}");
            let own = Operator { token: stored.clone(), ..self.operator.clone() };
            let (status, answer) = own.send("POST", &format!("auth/approle/role/{NAME}/secret-id"), &[], &json!({}));
            assert_eq!(status, 200, "after request {number}: {answer}");
            if ended.success() {
                assert!(stored != old && self.look_up(&old).is_none());
                break;
            }
            killed += 1;
        }
        // Two lookups, three requests to GitLab, the making, the check, and the revocation.
        assert_eq!(killed, 8);
    }
}
