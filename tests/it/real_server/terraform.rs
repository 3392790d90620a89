//! Terraform's `vault` provider with a token of `ci-creds token`: the pipeline of
//! examples/gitlab/terraform-vault.gitlab-ci.yml, on a real server and on the double.
//!
//! The provider itself is not here. `terraform` is a script that sends what hashicorp/terraform-provider-vault 5.9 sends for
//! the blocks of examples/terraform/main.tf, by its files:
//!
//! * `internal/provider/meta.go`: `setClient` looks the token up before the first request of a Terraform command, and
//!   `createChildToken` makes a child unless `skip_child_token` is set. `getVaultVersion` asks `sys/seal-status` in no namespace.
//! * `internal/vault/secrets/ephemeral/kv_secret_v2.go`: `Open` reads `MOUNT/data/NAME`, in a plan and in an apply.
//! * `vault/resource_aws_secret_backend_role.go`: `awsSecretBackendRoleExists` and `…Read` read a role that is in the state
//!   for a plan, and `…Write` writes it and reads it again in an apply.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use dev_vault::{DevVault, Dialect};
use hcl::eval::{Context, Evaluate};
use serde_json::{Map, Value, json};

use super::operator::Operator;
use super::server::Server;
use super::site::{Site, prepare};
use crate::example::{Job, Project, parse_pipeline, program_sum, runner_script};
use crate::support::{AUDIENCE, Ran, Run, text, tool};

/// The AppRole, the JWT role and the policy.
const NAME: &str = "terraform";
/// The uses of the token in the pipeline.
const USES: u64 = 50;

fn read(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The policy that docs/terraform.md tells an operator to write.
fn policy() -> String {
    let page = read("docs/terraform.md");
    let (_, rest) = page.split_once("<<'HCL'\n").expect("a policy");
    rest.split("HCL\n").next().expect("its end").to_owned()
}

// check: 5, 6
#[test]
fn the_token_of_terraforms_vault_provider_ends_with_its_job_on_a_real_server() {
    let Some(server) = Server::shared() else { return };
    if server.operator.send("LIST", "sys/namespaces", &[], &Value::Null).1["errors"][0].is_string() {
        tool::miss("bao", "is a server without namespaces");
        return;
    }
    let operator = server.operator.make_namespace(NAME);
    prepare(&operator);
    hold(&Site::within(server, &operator, NAME, &policy()), &operator);
}

// check: 5, 6
#[test]
fn the_token_of_terraforms_vault_provider_ends_with_its_job_on_the_double() {
    let vault = DevVault::start(Dialect::Vault1_16);
    let operator = Operator::new(vault.socket_address(), vault.root_token());
    prepare(&operator);
    hold(&Site::at(operator.address, &operator, NAME, &policy()), &operator);
}

fn hold(site: &Site<'_>, operator: &Operator) {
    if tool::find("curl").is_none() || tool::find("jq").is_none() {
        return;
    }
    operator.write("sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }));
    let secret = json!({ "data": { "username": "app", "password": "Zk3uW8qLr5Tn" } });
    operator.write("secret/data/terraform/database", &secret);
    let mut stage = Stage::new(site, operator);
    stage.each_job_of_the_pipeline_has_a_token_of_its_own_until_it_ends();
    stage.the_provider_needs_skip_child_token_for_a_token_with_uses();
    stage.a_job_whose_policy_allows_no_child_hands_on_its_login();
    stage.an_apply_that_fails_leaves_no_token();
    stage.the_preflight_of_a_generic_secret_takes_no_use();
}

struct Stage<'a> {
    site: &'a Site<'a>,
    operator: &'a Operator,
    jobs: BTreeMap<String, Job>,
    /// Which job of GitLab's this is.
    number: u32,
}

impl<'a> Stage<'a> {
    fn new(site: &'a Site<'a>, operator: &'a Operator) -> Self {
        for name in ["bin", "work"] {
            fs::create_dir(site.folder().join(name)).expect("a folder");
        }
        let support = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
        symlink(support.join("wget"), site.folder().join("bin/wget")).expect("a link");
        let jobs = parse_pipeline(&read(PIPELINE)).into_iter().map(|job| (job.name.clone(), job)).collect();
        let stage = Self { site, operator, jobs, number: 0 };
        stage.install(&read("examples/terraform/main.tf"));
        stage
    }

    /// Puts `terraform` on the path, as it works on this code.
    fn install(&self, code: &str) {
        let path = self.site.folder().join("bin/terraform");
        fs::write(&path, stand_in(code)).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    /// What GitLab's runner gives a job.
    fn environment(&mut self, job: &Job) -> Run {
        self.number += 1;
        let folder = self.site.folder().display().to_string();
        let own = self.site.job("id-token", "").without("VAULT_AUTH_PATH").without("VAULT_AUTH_ROLE");
        let run = job.variables.iter().filter(|(name, _)| *name != "VAULT_ADDR");
        let run = run.fold(own, |run, (name, value)| run.env(name, value));
        let path = format!("{folder}/bin:{}", std::env::var("PATH").unwrap_or_default());
        let (url, id) = (format!("file://{}", env!("CARGO_BIN_EXE_ci-creds")), self.number.to_string());
        let given = [
            ("PATH", path.as_str()),
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_JOB_ID", &id),
            ("CI_PROJECT_ID", "365"),
            ("CI_PROJECT_DIR", &format!("{folder}/work")),
            ("CI_CREDS_URL", &url),
            ("CI_CREDS_SHA256", program_sum()),
            ("STAND_IN", &format!("{folder}/stand-in")),
        ];
        let run = given.iter().fold(run, |run, (name, value)| run.env(name, value));
        match self.operator.namespace.trim_end_matches('/') {
            "" => run,
            namespace => run.env("VAULT_NAMESPACE", namespace),
        }
    }

    /// Runs lines of a job as the runner does. The program is downloaded once.
    fn run(&self, environment: &Run, lines: &[String]) -> Ran {
        let there = self.site.folder().join("work.tmp/bin/ci-creds").exists();
        let again = |line: &&String| there && (line.starts_with("wget ") || line.contains("sha256sum"));
        let lines: Vec<_> = lines.iter().filter(|line| !again(line)).cloned().collect();
        let script = self.site.folder().join("script");
        fs::write(&script, runner_script(&lines)).expect("a script");
        let mut run = Run::new(&tool::find("sh").expect("a shell"), &self.site.folder().join("work"));
        run = run.arg(&script.display().to_string());
        environment.variables().iter().fold(run, |run, (name, value)| run.env(name, value)).run()
    }

    /// What Terraform was called with, and each token that it had, since the last time.
    fn take_calls(&self) -> (Vec<String>, Vec<String>) {
        let take = |name: &str| {
            let path = self.site.folder().join(format!("stand-in.{name}"));
            let text = fs::read_to_string(&path).unwrap_or_default();
            let _ = fs::remove_file(path);
            text.lines().map(str::to_owned).collect()
        };
        (take("calls"), take("tokens"))
    }

    /// What the server knows of a token; none if it is not alive.
    fn look_up(&self, token: &str) -> Option<Value> {
        let (status, answer) = self.operator.send("POST", "auth/token/lookup", &[], &json!({ "token": token }));
        assert!(status == 200 || status == 403, "{status} {answer}");
        (status == 200).then(|| answer["data"].clone())
    }

    /// Runs a job up to its end, and gives its script's run, the calls, and what was known of each token before
    /// `after_script`. Behind that, none is alive.
    fn play(&mut self, job: &Job) -> (Ran, Vec<String>, Vec<Option<Value>>) {
        let environment = self.environment(job);
        let ran = self.run(&environment, &job.script);
        let (calls, tokens) = self.take_calls();
        let known: Vec<_> = tokens.iter().map(|token| self.look_up(token)).collect();
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(tokens.iter().all(|token| !printed.contains(token.as_str())), "{}: {printed}", job.name);
        if !job.after_script.is_empty() {
            self.run(&environment, &job.after_script).ok();
        }
        for token in &tokens {
            assert_eq!(self.look_up(token), None, "{}: a token is alive behind the job", job.name);
        }
        (ran, calls, known)
    }

    fn each_job_of_the_pipeline_has_a_token_of_its_own_until_it_ends(&mut self) {
        let calls_of: [(&str, &[&str], u64); 4] = [
            ("validate", &["init -input=false -backend=false", "validate"], 0),
            // The lookup, and the secret.
            ("plan", &["init -input=false", "plan -input=false -out=plan.cache"], 2),
            // The role is written and read.
            ("apply", &["init -input=false", "apply -input=false plan.cache"], 4),
            // The role is in the state: it is read twice.
            ("plan", &["init -input=false", "plan -input=false -out=plan.cache"], 4),
        ];
        for (name, calls, uses) in calls_of {
            let job = self.jobs[name].clone();
            assert!(job.image.is_some(), "{name} has no image");
            let (ran, called, known) = self.play(&job);
            let expected: Vec<_> = calls.iter().map(|line| format!("terraform {line}")).collect();
            assert_eq!((ran.code, called), (0, expected), "{name}: {ran:?}");
            if uses == 0 {
                assert!(known.is_empty() && job.id_tokens.is_empty(), "{name}: {known:?}");
                continue;
            }
            assert_eq!(job.id_tokens, [("VAULT_ID_TOKEN".to_owned(), AUDIENCE.to_owned())], "{name}");
            let [Some(token)] = known.as_slice() else { panic!("{name}: {known:?}") };
            assert_eq!(token["num_uses"], json!(USES - uses), "{name}: {token}");
            assert_eq!(token["explicit_max_ttl"], json!(1200), "{name}: {token}");
            assert!(token["ttl"].as_u64().is_some_and(|ttl| (1100..=1200).contains(&ttl)), "{name}: {token}");
        }
        let role = self.operator.read("aws/roles/7103-dev")["data"].clone();
        assert_eq!(role["role_arns"], json!(["arn:aws:iam::123456789012:role/deploy-dev"]), "{role}");
    }

    fn the_provider_needs_skip_child_token_for_a_token_with_uses(&mut self) {
        self.install(&read("examples/terraform/main.tf").replace("skip_child_token = true", ""));
        let job = self.jobs["plan"].clone();
        let (ran, _, known) = self.play(&job);
        let refused = "restricted use token cannot generate child tokens";
        assert!(ran.code != 0 && ran.stderr.contains(refused) && known.len() == 1, "{ran:?}");
        // Without the limit, the provider's child is one more token, which ends with the job too.
        let (ran, _, known) = self.play(&without(&job, " --uses 50"));
        let [Some(parent), Some(child)] = known.as_slice() else { panic!("{known:?}: {ran:?}") };
        assert_eq!((ran.code, &parent["num_uses"], &child["num_uses"]), (0, &json!(0), &json!(0)), "{ran:?}");
        assert_eq!((&child["explicit_max_ttl"], &child["display_name"]), (&json!(1200), &json!("token-terraform")));
        self.install(&read("examples/terraform/main.tf"));
    }

    fn a_job_whose_policy_allows_no_child_hands_on_its_login(&mut self) {
        let narrow = policy().replace("\"auth/token/create\"", "\"auth/token/none\"");
        self.operator.write(&format!("sys/policies/acl/{NAME}"), &json!({ "policy": narrow }));
        let job = self.jobs["plan"].clone();
        let (ran, _, known) = self.play(&without(&job, " --uses 50"));
        let [Some(token)] = known.as_slice() else { panic!("{known:?}: {ran:?}") };
        assert_eq!((ran.code, &token["path"]), (0, &json!("auth/gitlab/login")), "{ran:?}");
        let (ran, calls, known) = self.play(&job);
        assert_eq!((ran.code, calls.len(), known.len()), (77, 1, 0), "{ran:?}");
        self.operator.write(&format!("sys/policies/acl/{NAME}"), &json!({ "policy": policy() }));
    }

    fn an_apply_that_fails_leaves_no_token(&mut self) {
        let narrow = policy().replace("aws/roles/7103-*", "aws/roles/7104-*");
        self.operator.write(&format!("sys/policies/acl/{NAME}"), &json!({ "policy": narrow }));
        let job = self.jobs["apply"].clone();
        let (ran, calls, known) = self.play(&job);
        let [Some(token)] = known.as_slice() else { panic!("{known:?}: {ran:?}") };
        assert_eq!((ran.code, calls.len()), (1, 2), "{ran:?}");
        assert_eq!(token["num_uses"], json!(USES - 3), "a refused request takes a use: {token}");
        // The whole file, checked and run by another program. One server is enough for that.
        if !self.operator.namespace.is_empty() {
            return;
        }
        let environment = self.environment(&Job { variables: BTreeMap::new(), ..job });
        let Some(project) = Project::new(&self.site.folder().join("work")) else { return };
        let ran = project.play(&read(PIPELINE), "apply", &environment);
        let (calls, tokens) = self.take_calls();
        assert!(ran.code != 0 && !ran.stderr.contains("after_script"), "{ran:?}");
        assert_eq!((calls.len(), tokens.len()), (2, 1), "{ran:?}");
        assert_eq!(self.look_up(&tokens[0]), None, "{ran:?}");
    }

    fn the_preflight_of_a_generic_secret_takes_no_use(&self) {
        let body = json!({ "policies": [NAME], "num_uses": 5, "ttl": "5m" });
        let token = text(&self.operator.write("auth/token/create", &body)["auth"]["client_token"]);
        let own = Operator { token: token.clone(), ..self.operator.clone() };
        own.read("sys/internal/ui/mounts/secret/terraform/database");
        assert_eq!(self.look_up(&token).expect("alive")["num_uses"], json!(5));
    }
}

const PIPELINE: &str = "examples/gitlab/terraform-vault.gitlab-ci.yml";

/// The job without these words in its lines.
fn without(job: &Job, words: &str) -> Job {
    let script: Vec<_> = job.script.iter().map(|line| line.replace(words, "")).collect();
    assert_ne!(script, job.script, "{words:?} is not there");
    Job { script, ..job.clone() }
}

/// The attributes of a block of these labels, evaluated.
fn block(body: &hcl::Body, kind: &str, label: &str) -> Map<String, Value> {
    let is_it = |block: &&hcl::Block| {
        block.identifier.as_str() == kind && block.labels.first().is_some_and(|known| known.as_str() == label)
    };
    let block = body.blocks().find(is_it).unwrap_or_else(|| panic!("no {kind} {label}"));
    let evaluate = |attribute: &hcl::Attribute| {
        let value = attribute.expr.evaluate(&Context::new()).unwrap_or_else(|error| panic!("{error}"));
        (attribute.key().to_owned(), serde_json::to_value(value).expect("HCL is JSON"))
    };
    block.body.attributes().map(evaluate).collect()
}

/// `terraform` for this code, with the requests of the provider.
fn stand_in(code: &str) -> String {
    let body = hcl::parse(code).unwrap_or_else(|error| panic!("{error}"));
    let skips = block(&body, "provider", "vault").get("skip_child_token") == Some(&json!(true));
    let secret = block(&body, "ephemeral", "vault_kv_secret_v2");
    let mut role = block(&body, "resource", "vault_aws_secret_backend_role");
    let mut take = |name: &str| text(&role.remove(name).expect("a name"));
    let path = format!("{}/roles/{}", take("backend"), take("name"));
    let child = json!({ "display_name": "terraform", "ttl": "1200s", "explicit_max_ttl": "1200s", "renewable": false });
    let child = format!(
        "answer=$(request POST auth/token/create '{child}')\n    token=$(printf '%s' \"$answer\" | jq -er .auth.client_token)\n    \
         echo \"$token\" >>\"$STAND_IN.tokens\""
    );
    format!(
        r#"#!/bin/sh
set -eu
echo "terraform $*" >>"$STAND_IN.calls"
request() {{
    curl --silent --show-error --fail-with-body --noproxy '*' ${{VAULT_CACERT:+--cacert "$VAULT_CACERT"}} --request "$1" \
        --header "X-Vault-Token: $token" --header 'X-Vault-Request: true' \
        ${{VAULT_NAMESPACE:+--header "X-Vault-Namespace: $VAULT_NAMESPACE"}} ${{3:+--data-binary "$3"}} "$VAULT_ADDR/v1/$2" >"$STAND_IN.answer" ||
        {{ cat "$STAND_IN.answer" >&2; exit 1; }}
    cat "$STAND_IN.answer"
}}
configure() {{
    token=$VAULT_TOKEN
    echo "$token" >>"$STAND_IN.tokens"
    request GET auth/token/lookup-self >/dev/null
    {child}
    (unset VAULT_NAMESPACE; request GET sys/seal-status >/dev/null)
    answer=$(request GET {mount}/data/{name})
    printf '%s' "$answer" | jq -er .data.data.password >/dev/null
}}
case $1 in
init | validate) ;;
plan)
    configure
    if [ -e "$STAND_IN.state" ]; then
        request GET {path} >/dev/null
        request GET {path} >/dev/null
    fi
    ;;
apply)
    configure
    request PUT {path} '{role}' >/dev/null
    request GET {path} >/dev/null
    : >"$STAND_IN.state"
    ;;
*) exit 2 ;;
esac
"#,
        child = if skips { ":" } else { &child },
        mount = text(&secret["mount"]),
        name = text(&secret["name"]),
        role = Value::Object(role.clone()),
    )
}
