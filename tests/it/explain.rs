//! The pages of errors, offline.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use ci_creds::error::Kind;

use crate::support::{Run, World};

/// Nothing of a job: no variable, no home, no server.
fn bare(arguments: &[&str]) -> Run {
    let mut run = Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), Path::new("/"));
    run.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    run
}

/// Each different error line of a file, with the exit code of its kind.
fn error_lines(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect("the file");
    let lines: BTreeSet<_> =
        text.lines().filter(|line| line.starts_with("ci-creds: error[")).map(str::to_owned).collect();
    lines.into_iter().collect()
}

#[test]
fn each_error_line_of_the_docs_and_the_snapshot_finds_its_page() {
    let lines = [error_lines("tests/it/snapshot/mistake.txt"), error_lines("docs/errors.md")].concat();
    assert!(lines.len() > 80, "{}", lines.len());
    let mut causes = 0;
    for line in &lines {
        let name = line.split(['[', ']']).nth(1).unwrap();
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap();
        let page = bare(&["explain", line]).run().ok();
        let head = page.lines().next().unwrap_or_default();
        let is_kind = head == format!("{name}: exit code {}", kind.code());
        let is_cause = head.ends_with(&format!(": exit code {} ({name})", kind.code()));
        assert!(is_kind || is_cause, "{line}\n{page}");
        causes += usize::from(is_cause);
    }
    assert!(causes >= 20, "{causes} lines are explained by their cause");
}

#[test]
fn an_error_of_a_run_finds_its_cause_and_the_page_has_its_values() {
    let world = World::start();
    let ran = world.command_as("id-token", "exoscale --role x --auth-role nope").run();
    let page = bare(&["explain", &ran.stderr]).run().ok();
    assert!(page.starts_with("jwt-no-role: exit code 77 (denied)\n"), "{page}");
    assert!(page.contains("vault list auth/gitlab/role") && page.contains("docs/errors.md#denied"), "{page}");
    let ran = world.command_as("id-token", "exoscale --role x --mount exo").run();
    let page = bare(&["explain", &ran.stderr]).run().ok();
    assert!(page.starts_with("engine-policy: exit code 77") && page.contains("path \"exo/apikey/x\""), "{page}");
}

#[test]
fn what_vault_prints_by_itself_is_explained_from_stdin_too() {
    let audience = "Error writing data to auth/gitlab/login: Error making API request.\n\nURL: PUT https://vault/v1/auth/gitlab/login\n\
        Code: 400. Errors:\n\n* error validating token: invalid audience (aud) claim: audience claim does not match any expected \
        audience\n";
    let denied = "Error reading exoscale/apikey/x: Error making API request.\n\nCode: 403. Errors:\n\n* 1 error occurred:\n\t* \
        permission denied\n\n";
    for (text, ids) in [
        (audience, &["jwt-audience: exit code 77"][..]),
        (
            denied,
            &[
                "engine-policy: exit code 77",
                "engine-policy-of-token",
                "secret-policy",
                "A server says this for 3 causes",
            ],
        ),
        (
            "* permission denied",
            &["engine-policy: exit code 77", "secret-policy", "wrapping-", "To tell them apart: ci-creds doctor"],
        ),
        ("dial tcp 127.0.0.1:8200: connect: connection refused", &["way-refused: exit code 69"]),
        ("ci-creds: error[unavailable]: cannot reach 127.0.0.1:1: connection refused", &["way-refused: exit code 69"]),
        ("ci-creds: error[protocol]: 127.0.0.1:1 does not speak TLS", &["way-no-tls: exit code 76"]),
        ("http: server gave HTTP response to HTTPS client", &["way-no-tls: "]),
        ("x509: certificate signed by unknown authority", &["way-unknown-ca: "]),
        ("ci-creds: error[config]: nothing to log in with: looked for VAULT_TOKEN", &["way-no-login: exit code 78"]),
        ("Invalid path for a versioned K/V secrets engine", &["way-kv-path: ", "secret/data/ci"]),
        ("1", &["ci-creds never ends with 1", "is not installed"]),
        ("ERROR: Job failed: exit code 69\n", &["unavailable: exit code 69", "vault-sealed"]),
    ] {
        let mut command = bare(&["explain", "-"]).to_command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let page = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}: {page}");
        if text == "* permission denied" {
            let place = |id: &str| page.find(&format!("\n{id}: exit code")).unwrap_or_else(|| panic!("{id}: {page}"));
            assert!(
                place("engine-policy") < place("engine-token") && place("engine-token") < place("wrapping-stolen"),
                "{page}"
            );
        }
        for id in ids {
            assert!(page.contains(id), "{id}: {page}");
        }
    }
}

#[test]
fn a_text_without_a_page_ends_with_64_and_the_list_of_kinds() {
    let run =
        bare(&["explain", "what", "is", "this"]).env("CI_CREDS_CONFIG", "/nope.toml").env("VAULT_ADDR", "nonsense");
    let ran = run.run().failed(64, "usage");
    assert!(ran.stdout.is_empty() && ran.stderr.contains("usage, data, input, unavailable"), "{ran:?}");
    let page = bare(&["explain", "77"]).env("CI_CREDS_CONFIG", "/nope.toml").env("VAULT_ADDR", "nonsense").run().ok();
    assert!(page.starts_with("denied: exit code 77\n"), "{page}");
}
