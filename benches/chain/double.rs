//! The double of Vault in a process of its own, so that its work and its memory are not the clients'.
//!
//! It says on stdout where it is, then answers each line on stdin with a fresh wrapping token, and ends with stdin.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use dev_vault::{DevVault, Dialect, Relay, Tls};
use serde_json::json;

/// The argument that makes the benchmark be the double.
pub(crate) const ARGUMENT: &str = "--double";
/// The AppRole and the Exoscale role.
pub(crate) const ROLE: &str = "gitlab-ci-runner";
/// Half of the 20 ms round trip.
const DELAY: Duration = Duration::from_millis(10);

/// Is the double, until stdin ends.
pub(crate) fn serve() {
    let vault = DevVault::builder().dialect(Dialect::Vault1_16).tls(Tls::Valid).start();
    let policy = format!("path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}");
    vault.write("sys/policies/acl/job", json!({ "policy": policy }));
    vault.write("sys/auth/approle", json!({ "type": "approle" }));
    let role = json!({ "token_policies": ["job"], "token_ttl": "15m", "secret_id_num_uses": 1 });
    vault.write(&format!("auth/approle/role/{ROLE}"), role);
    vault.write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
    let root =
        json!({ "root_api_key": "EXO0000000000000000root", "root_api_secret": "root-secret", "zone": "ch-gva-2" });
    vault.write("exoscale/config/root", root);
    vault.write(&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "15m", "max_ttl": "30m" }));
    let role_id = vault.read(&format!("auth/approle/role/{ROLE}/role-id"))["data"]["role_id"].clone();

    let relay = Relay::start(vault.socket_address(), DELAY);
    let far = format!("https://{}", relay.socket_address());
    say(&json!({ "near": vault.address(), "far": far, "role_id": role_id, "ca": vault.ca_pem() }).to_string());
    for _ in std::io::stdin().lines() {
        say(&vault.write_wrapped(&format!("auth/approle/role/{ROLE}/secret-id"), json!({}), "5m"));
        // The record of requests would grow with every sample.
        vault.forget_requests();
    }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().expect("stdout");
}

/// The double, seen from the benchmark.
pub(crate) struct Double {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) near: String,
    pub(crate) far: String,
    pub(crate) role_id: String,
    pub(crate) ca: PathBuf,
}

impl Double {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("our own path"))
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the double");
        let questions = process.stdin.take().expect("its stdin");
        let mut answers = BufReader::new(process.stdout.take().expect("its stdout"));
        let place: serde_json::Value = serde_json::from_str(&read_line(&mut answers)).expect("where it is");
        let text = |name: &str| place[name].as_str().expect(name).to_owned();
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, text("ca")).expect("the CA's file");
        Self { near: text("near"), far: text("far"), role_id: text("role_id"), ca, process, questions, answers }
    }

    pub(crate) fn wrapping_token(&mut self) -> String {
        self.questions.write_all(b"\n").expect("the double's stdin");
        read_line(&mut self.answers)
    }

    pub(crate) fn stop(mut self) {
        drop(self.questions);
        assert!(self.process.wait().expect("the double").success(), "the double has failed");
    }
}

fn read_line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("an answer of the double");
    assert!(!line.is_empty(), "the double is gone");
    line.trim_end().to_owned()
}
