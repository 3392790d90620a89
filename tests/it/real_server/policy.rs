//! `ci-creds policy` on a real server: what it prints is all that a run needs, and no line of it can be left out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::adapter::Adapter;
use super::database::Database;
use super::operator::Operator;
use super::server::{Server, binary};
use super::site::{Site, id_token};
use crate::support::{Ran, Run, exports};

const METHODS: [&str; 6] = ["wrapping-token", "secret-id", "generator-token", "id-token", "token", "child-token"];
const WANTED: &str = "aws --via creds --mount cloud --role {project_id}dev";
const LEASE: &str = "the credential of cloud/creds/365dev";

/// A use of the rights, and whether it works: for a method, with what the script hands out.
type Use<'a> = (&'static str, fn(&Desk<'a>, &str, &str) -> bool);

/// An operator's desk beside a namespace in which the engine and the logins are mounted, and nothing else is set up.
struct Desk<'a> {
    operator: &'a Operator,
    site: Site<'a>,
    namespace: String,
    /// What a command printed that is good for more than one job.
    printed: RefCell<BTreeMap<String, String>>,
}

impl<'a> Desk<'a> {
    fn new(server: &Server, database: &Database, operator: &'a Operator) -> Self {
        Database::mount(operator, "cloud", 1, database.address);
        operator.write("cloud/roles/365dev", &Database::role(0));
        // Its own roles and policies are not used here.
        let elsewhere = "path \"x\" { capabilities = [\"read\"] }";
        let site = Site::at(Adapter::start(server.operator.address).address, operator, "elsewhere", elsewhere);
        Self {
            operator,
            site,
            namespace: operator.namespace.trim_end_matches('/').to_owned(),
            printed: RefCell::default(),
        }
    }

    /// What is printed for a job with this identity.
    fn print(&self, method: &str, format: &str) -> String {
        let auth = if method == "child-token" { "token --child-token" } else { method };
        let mount = if method == "id-token" { "gitlab" } else { "approle" };
        let line = format!(
            "policy {WANTED} --auth {auth} --auth-mount {mount} --auth-role {method} --name {method} --cli {} --format \
             {format} --namespace {}",
            self.cli(),
            self.namespace
        );
        let ran = self.site.command(&line).env("VAULT_ID_TOKEN", &id_token().sign()).run();
        let limits = if method == "token" { 2 } else { 1 };
        assert!(ran.stderr.lines().count() <= limits, "{ran:?}");
        ran.ok()
    }

    fn cli(&self) -> String {
        binary().expect("a server").file_name().expect("its name").to_string_lossy().into_owned()
    }

    /// Runs a script as this token.
    fn sh(&self, script: &str, token: &str) -> String {
        let binary = binary().expect("a server");
        let path = format!("{}:/usr/bin:/bin", binary.parent().expect("a folder").display());
        let mut command = Command::new("sh");
        command.args(["-c", script]).env_clear().env("PATH", path).env("HOME", self.site.folder());
        for name in ["BAO", "VAULT"] {
            command.env(format!("{name}_ADDR"), format!("http://{}", self.operator.address));
            command.env(format!("{name}_TOKEN"), token).env(format!("{name}_NAMESPACE"), &self.namespace);
        }
        Ran::of(command).ok()
    }

    /// The output of a command that the script has in a comment.
    fn hand_out(&self, script: &str, what: &str, token: &str) -> String {
        let mut lines = script.lines().skip_while(|line| !line.starts_with(&format!("# {what}")));
        let command = lines.nth(1).and_then(|line| line.strip_prefix("#   ")).unwrap_or_else(|| panic!("no {what}"));
        let single_use = command.ends_with("/secret-id");
        if let Some(known) = self.printed.borrow().get(command).filter(|_| !single_use) {
            return known.clone();
        }
        let printed = self.sh(command, token).trim().to_owned();
        self.printed.borrow_mut().insert(command.to_owned(), printed.clone());
        printed
    }

    /// A job with a fresh identity, handed out as the script says.
    fn job(&self, method: &str, script: &str, line: &str) -> Run {
        let root = &self.operator.token;
        let run = self.site.command(line).env("VAULT_NAMESPACE", &self.namespace).env("CI_PROJECT_ID", "365");
        let with_role_id = |run: Run| run.env("VAULT_ROLE_ID", &self.hand_out(script, "The role ID", root));
        match method {
            "id-token" => {
                let run = run.env("VAULT_ID_TOKEN", &id_token().sign()).env("VAULT_AUTH_PATH", "gitlab");
                run.env("VAULT_AUTH_ROLE", method)
            }
            "secret-id" => with_role_id(run).env("VAULT_SECRET_ID", &self.hand_out(script, "A secret ID", root)),
            "wrapping-token" => {
                let token = self.hand_out(script, "The token of whoever", root);
                with_role_id(run).env("VAULT_WRAPPING_TOKEN", &self.hand_out(script, "With that token", &token))
            }
            "generator-token" => {
                let run = run.env("VAULT_TOKEN", &self.hand_out(script, "The generator token, for", root));
                with_role_id(run).env("VAULT_APPROLE_ROLE", method)
            }
            "token" | "child-token" => {
                let run = if method == "token" { run } else { run.arg("--child-token") };
                run.env("VAULT_TOKEN", &self.hand_out(script, "The token, for", root))
            }
            other => panic!("no way to log in is called {other}"),
        }
    }

    /// Which uses of the rights work for a job.
    fn uses(&self, method: &str, script: &str) -> Vec<&'static str> {
        let uses: [Use<'_>; 4] = [
            ("exec", Self::runs_a_command),
            ("job", Self::runs_a_job),
            ("whoami", Self::is_known),
            ("capabilities", Self::knows_its_rights),
        ];
        uses.into_iter().filter(|(_, works)| works(self, method, script)).map(|(name, _)| name).collect()
    }

    /// Fetches, renews the login, and revokes: without a word.
    fn runs_a_command(&self, method: &str, script: &str) -> bool {
        let leash = if method == "token" { "off" } else { "30s" };
        let mut run = self.job(method, script, &format!("exec {WANTED} --leash {leash} --strict-revoke"));
        run.arguments.extend(["--", "true"].map(str::to_owned));
        let ran = run.run();
        // Shown when the test fails.
        println!("exec {method}: {ran:?}");
        ran.code == 0 && ran.stderr.is_empty()
    }

    /// Fetches for a job that is longer than the lease, and revokes at its end.
    fn runs_a_job(&self, method: &str, script: &str) -> bool {
        // What another job left is not this one's.
        let folder = tempfile::Builder::new().prefix("job.").tempdir_in(self.site.folder()).expect("a folder");
        let [checkout, beside] = ["checkout", "checkout.tmp"].map(|name| folder.path().join(name));
        fs::create_dir_all(&checkout).expect("a checkout");
        fs::create_dir_all(&beside).expect("the runner's folder");
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o777)).expect("its mode");
        let run = self.job(method, script, WANTED).env("CI_JOB_ID", "1");
        let run = run.env("CI_PROJECT_DIR", &checkout.display().to_string());
        let run = run.env("HOME", &folder.path().display().to_string());
        let started = Timestamp::now().checked_sub(SignedDuration::from_secs(5)).expect("a time");
        let run = run.env("CI_JOB_STARTED_AT", &started.to_string()).env("CI_JOB_TIMEOUT", "900");
        let ran = run.run();
        println!("job {method}: {} {}", ran.code, ran.stderr);
        if ran.code != 0 || ran.stderr.contains("warning") {
            return false;
        }
        assert!(exports(&ran.stdout).contains_key("AWS_ACCESS_KEY_ID"), "{ran:?}");
        let mut after = run;
        after.arguments =
            if method == "child-token" { vec!["revoke".into(), "--child-token".into()] } else { vec!["revoke".into()] };
        let ran = after.run();
        println!("revoke {method}: {ran:?}");
        ran.code == 0 && ran.stdout == format!("revoked: {LEASE}\n")
    }

    fn is_known(&self, method: &str, script: &str) -> bool {
        let ran = self.job(method, script, "whoami").run();
        let kind = if self.cli() == "bao" { "OpenBao" } else { "Vault" };
        assert!(ran.code != 0 || ran.stdout.contains(&format!("server    {kind} ")), "{ran:?}");
        let knows_policy = ran.stdout.contains(&format!("policies  {method}\n"));
        ran.code == 0 && (knows_policy || ["secret-id", "wrapping-token"].contains(&method))
    }

    fn knows_its_rights(&self, method: &str, _: &str) -> bool {
        let body = json!({ "policies": [method], "no_default_policy": true, "ttl": "1m" });
        let token = crate::support::text(&self.operator.write("auth/token/create", &body)["auth"]["client_token"]);
        let job = Operator { token, ..self.operator.clone() };
        job.send("POST", "sys/capabilities-self", &[], &json!({ "paths": ["cloud/creds/365dev"] })).0 == 200
    }
}

const ALL: [&str; 4] = ["exec", "job", "whoami", "capabilities"];

/// The policy in the text, a block each.
fn blocks(hcl: &str) -> Vec<String> {
    hcl.split("\n\n").filter(|block| block.contains("path \"")).map(str::to_owned).collect()
}

#[test]
fn a_policy_is_all_that_a_run_needs_and_each_of_its_lines_is_needed() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let Some(operator) = super::namespace::make(server, "policed") else { return };
    let desk = Desk::new(server, database, &operator);
    for method in METHODS {
        let script = desk.print(method, "commands");
        desk.sh(&script, &operator.token);
        assert_eq!(desk.uses(method, &script), ALL, "{method}");
        let kept = operator.read(&format!("sys/policies/acl/{method}"));
        let printed = blocks(&desk.print(method, "hcl"));
        let kept = blocks(&crate::support::text(&kept["data"]["policy"]));
        assert_eq!(
            kept.iter().map(|block| block.trim()).collect::<Vec<_>>(),
            printed.iter().map(|block| block.trim()).collect::<Vec<_>>(),
            "{method}"
        );
        if !["id-token", "token", "child-token"].contains(&method) {
            continue;
        }
        for left_out in &printed {
            let rest: Vec<_> = printed.iter().filter(|block| *block != left_out).cloned().collect();
            operator.write(&format!("sys/policies/acl/{method}"), &json!({ "policy": rest.join("\n\n") }));
            let path = left_out.split('"').nth(1).expect("a path");
            let broken = match (path, method) {
                ("auth/token/create", _) => &["exec", "job", "whoami"][..],
                ("cloud/creds/365dev", _) => &["exec", "job"],
                ("auth/token/renew-self", "child-token") => &["exec", "job"],
                ("auth/token/renew-self", _) => &["exec"],
                ("sys/leases/renew", _) => &["job"],
                ("auth/token/revoke-self", _) => &["exec", "job", "whoami"],
                ("sys/leases/revoke", "token") => &["exec", "job"],
                ("sys/leases/revoke", _) => &["job"],
                ("auth/token/lookup-self", _) => &["whoami"],
                ("sys/capabilities-self", _) => &["capabilities"],
                (other, _) => panic!("{other} is in no feature"),
            };
            let expected: Vec<_> = ALL.into_iter().filter(|name| !broken.contains(name)).collect();
            assert_eq!(desk.uses(method, &script), expected, "{method} without {path}");
        }
    }
}

#[test]
fn terraforms_resources_make_what_the_commands_make() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let Some(operator) = super::namespace::make(server, "terraformed") else { return };
    let desk = Desk::new(server, database, &operator);
    for method in METHODS {
        let text = desk.print(method, "terraform");
        for (path, body) in crate::example::terraform_writes(&text, &[]) {
            operator.write(&path, &body);
        }
        let role = match method {
            "id-token" => format!("auth/gitlab/role/{method}"),
            "token" | "child-token" => continue,
            _ => format!("auth/approle/role/{method}"),
        };
        let by_terraform = (operator.read(&role)["data"].clone(), operator.read(&format!("sys/policies/acl/{method}")));
        operator.send("DELETE", &role, &[], &json!(null));
        desk.sh(&desk.print(method, "commands"), &operator.token);
        let by_script = (operator.read(&role)["data"].clone(), operator.read(&format!("sys/policies/acl/{method}")));
        assert_eq!(by_terraform.0, by_script.0, "{method}");
        assert_eq!(by_terraform.1["data"]["policy"], by_script.1["data"]["policy"], "{method}");
    }
}

#[test]
fn a_wrapper_cannot_see_the_secret_id_that_it_hands_out() {
    let (Some(server), Some(database)) = (Server::shared(), Database::shared()) else { return };
    let Some(operator) = super::namespace::make(server, "wrapped") else { return };
    let desk = Desk::new(server, database, &operator);
    desk.sh(&desk.print("wrapping-token", "commands"), &operator.token);
    let body = json!({ "policies": ["wrapping-token-wrapper"], "no_default_policy": true, "ttl": "1m" });
    let token = crate::support::text(&operator.write("auth/token/create", &body)["auth"]["client_token"]);
    let wrapper = Operator { token, ..operator.clone() };
    let (status, answer) = wrapper.send("POST", "auth/approle/role/wrapping-token/secret-id", &[], &json!({}));
    assert_eq!(status, 403, "{answer}");
    wrapper.wrap("auth/approle/role/wrapping-token/secret-id", &json!({}));
}
