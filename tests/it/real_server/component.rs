//! The CI/CD component in a job of gitlab-ci-local's, against a real server over TLS.

use super::POLICY;
use super::server::Server;
use super::site::{KEY, Site};
use crate::example::Project;
use crate::support::{AUDIENCE, ROLE};

#[test]
fn the_component_gives_a_job_its_key_from_a_real_server() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "component", POLICY);
    let checkout = site.folder().join("checkout");
    std::fs::create_dir(&checkout).expect("a folder");
    let Some(project) = Project::new(&checkout) else { return };
    let pipeline = format!(
        "include:
  - component: $CI_SERVER_FQDN/tools/ci-creds/exoscale@0.1.0
    inputs:
      vault-addr: {}
      audience: {AUDIENCE}
      auth-path: gitlab
      auth-role: component
      role: {ROLE}
      image: any
deploy:
  extends: .exoscale
  script:
    - test \"$EXOSCALE_API_KEY\" = {}
    - test \"$EXOSCALE_API_SECRET\" = {}
    - echo the key is there
",
        server.address, KEY.0, KEY.1
    );
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ci-creds")).parent().expect("its folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    // What the component must say itself.
    let run = ["VAULT_ADDR", "VAULT_AUTH_PATH", "VAULT_AUTH_ROLE"]
        .iter()
        .fold(site.job("id-token", ""), |run, name| run.without(name));
    let run = run.env("PATH", &path).env("GITLAB_CI", "true");
    let ran = project.play(&pipeline, "deploy", &run);
    assert!(ran.code == 0 && ran.stdout.contains("the key is there"), "{ran:?}");
    assert!(!ran.stderr.contains("after_script"), "after_script failed: {ran:?}");
    // Another login's role: the job ends before its script.
    let ran = project.play(&pipeline.replace("auth-role: component", "auth-role: nope"), "deploy", &run);
    assert!(ran.code != 0 && !ran.stdout.contains("the key is there"), "{ran:?}");
    assert!(ran.stderr.contains("no role nope at auth/gitlab"), "{ran:?}");
}
