//! What the tests share: a Vault that is set up as an operator would, and a clean command line to run against it.

#![allow(dead_code, reason = "each module uses its own part")]

pub mod cancel;
pub mod expect;
pub mod leak;
pub mod moto;
pub mod parallel;
pub mod private_etc;
pub mod shell;
pub mod steady;
pub mod tool;
pub mod trap;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dev_vault::{Builder, DevVault, Dialect, GitlabToken};
use serde_json::json;

pub use expect::{Minted, exports, shell_text};

/// The AppRole, the Exoscale role, the JWT role: one name, as in the set-ups that people publish.
pub const ROLE: &str = "gitlab-ci-runner";

/// A Vault and what a job of it holds.
pub struct World {
    pub vault: DevVault,
    pub role_id: String,
    folder: tempfile::TempDir,
}

impl World {
    /// Vault 1.16 over plain http.
    pub fn start() -> Self {
        Self::with(DevVault::builder().dialect(Dialect::Vault1_16))
    }

    /// Any Vault, set up: AppRole at `approle`, GitLab's JWT at `gitlab`, Exoscale and AWS under their own names.
    pub fn with(builder: Builder) -> Self {
        let vault = builder.start();
        set_up_policies(&vault);
        set_up_logins(&vault);
        set_up_engines(&vault);
        let role_id = text(&vault.read(&format!("auth/approle/role/{ROLE}/role-id"))["data"]["role_id"]);
        let folder = tempfile::Builder::new().prefix("it.").tempdir_in(base()).expect("a folder");
        let world = Self { vault, role_id, folder };
        std::fs::create_dir(world.home()).expect("a home");
        std::fs::create_dir(world.path("work")).expect("a working folder");
        std::fs::create_dir(world.path("tmp")).expect("a folder for temporary files");
        // Nobody else's, whatever our umask is: another one would not be used.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(world.path("tmp"), private).expect("its mode");
        world
    }

    /// A path in this world's own folder, which is removed with it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file of mode 0600 and gives its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        path
    }

    /// Writes a program that this user alone may run and gives its path.
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let source = self.file(&format!("{name}.text"), text);
        tool::install(&source, &self.path(name), "0700");
        self.path(name)
    }

    /// `ci-creds` with these arguments, split at blanks, in an empty environment but for the address, HOME, PATH
    /// and TMPDIR.
    pub fn command(&self, line: &str) -> Run {
        let mut run = Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), &self.path("work"));
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run.env("VAULT_ADDR", &self.vault.address())
            .env("HOME", &self.home().display().to_string())
            .env("TMPDIR", &self.path("tmp").display().to_string())
    }

    /// The same, where the working folder is the checkout. Our own folder is in one, this repository's: without a variable
    /// that names another, what is in HOME is the repository's.
    pub fn command_with_home(&self, line: &str) -> Run {
        self.command(line).env("WORKSPACE", &self.path("work").display().to_string())
    }

    /// A fresh secret ID.
    pub fn secret_id(&self) -> String {
        let answer = self.vault.write(&format!("auth/approle/role/{ROLE}/secret-id"), json!({}));
        text(&answer["data"]["secret_id"])
    }

    /// A wrapping token that holds a fresh secret ID.
    pub fn wrapping_token(&self) -> String {
        self.vault.write_wrapped(&format!("auth/approle/role/{ROLE}/secret-id"), json!({}), "60s")
    }

    /// A namespace of `OpenBao` with an AppRole and an engine of its own; the role ID.
    pub fn make_namespace(&self, name: &str) -> String {
        let policy = format!("path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}");
        self.vault.write(&format!("sys/namespaces/{name}"), json!({}));
        for (path, request) in [
            ("sys/auth/approle", json!({ "type": "approle" })),
            ("sys/policies/acl/job", json!({ "policy": policy })),
            (&format!("auth/approle/role/{ROLE}"), json!({ "token_policies": ["job"] })),
            ("sys/mounts/exoscale", json!({ "type": "exoscale" })),
            ("exoscale/config/root", json!({ "root_api_key": "EXOroot", "root_api_secret": "s" })),
            (&format!("exoscale/role/{ROLE}"), json!({ "iam-role": "ci", "ttl": "15m" })),
        ] {
            self.vault.write(&format!("{name}/{path}"), request);
        }
        text(&self.vault.read(&format!("{name}/auth/approle/role/{ROLE}/role-id"))["data"]["role_id"])
    }

    /// A token that may only create secret IDs.
    pub fn generator_token(&self) -> String {
        self.token("generator")
    }

    /// A token with one policy beside `default`: `exoscale`, `aws` or `generator`.
    pub fn token(&self, policy: &str) -> String {
        let answer = self.vault.write("auth/token/create", json!({ "policies": [policy], "ttl": "1h" }));
        text(&answer["auth"]["client_token"])
    }

    /// An ID token that fits the JWT roles.
    pub fn id_token(&self) -> GitlabToken {
        GitlabToken::new().issuer(ISSUER).audience(AUDIENCE).project_id("365").environment("dev").at(self.vault.now())
    }
}

/// Where the worlds are made: beside the build, unless another user owns or can write a folder above it (GitLab's
/// `/builds`, a checkout that is mounted into a container); what lies there would not be used.
fn base() -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ours = [0, rustix::process::geteuid().as_raw()];
    let exposed = |folder: &Path| {
        folder.metadata().is_ok_and(|found| {
            !ours.contains(&found.uid()) || (found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0)
        })
    };
    if beside.ancestors().any(exposed) { std::env::temp_dir() } else { beside.to_owned() }
}

/// The ways to log in, by the names that `--auth` takes.
pub const METHODS: [&str; 5] = ["wrapping-token", "secret-id", "generator-token", "id-token", "token"];

/// The requests of each way to log in, before the read of the credential.
pub fn requests_of(method: &str) -> Vec<String> {
    match method {
        "wrapping-token" => {
            vec!["POST sys/wrapping/lookup".into(), "POST sys/wrapping/unwrap".into(), "POST auth/approle/login".into()]
        }
        "secret-id" => vec!["POST auth/approle/login".into()],
        "generator-token" => vec![format!("POST auth/approle/role/{ROLE}/secret-id"), "POST auth/approle/login".into()],
        "id-token" => vec!["POST auth/gitlab/login".into()],
        _ => Vec::new(),
    }
}

impl World {
    /// The command with the inputs of one way to log in.
    pub fn command_as(&self, method: &str, line: &str) -> Run {
        let run = self.command(line);
        match method {
            "wrapping-token" => run
                .env("VAULT_ROLE_ID", &self.role_id)
                .env("VAULT_WRAPPING_TOKEN", &self.wrapping_token())
                .env("VAULT_APPROLE_ROLE", ROLE),
            "secret-id" => run.env("VAULT_ROLE_ID", &self.role_id).env("VAULT_SECRET_ID", &self.secret_id()),
            "generator-token" => run
                .env("VAULT_ROLE_ID", &self.role_id)
                .env("VAULT_TOKEN", &self.generator_token())
                .env("VAULT_APPROLE_ROLE", ROLE),
            "id-token" => run.env("VAULT_ID_TOKEN", &self.id_token().sign()).env("VAULT_AUTH_PATH", "gitlab"),
            "token" => run.env("VAULT_TOKEN", &self.token("job")),
            other => panic!("no way to log in is called {other}"),
        }
    }

    /// The requests so far, as `METHOD path`, without `/v1/`.
    pub fn requests(&self) -> Vec<String> {
        let path = |path: &str| path.strip_prefix("/v1/").unwrap_or(path).to_owned();
        self.vault.requests().iter().map(|request| format!("{} {}", request.method, path(&request.path))).collect()
    }

    /// Fails when eight characters of any secret that Vault ever made or was given stand in the text, in any encoding.
    pub fn assert_no_secret_in(&self, text: &str) {
        let secrets = self.vault.secrets();
        let found = leak::find(secrets.iter().map(String::as_str), text);
        assert_eq!(found, None, "a secret leaked into: {text}");
    }
}

pub const ISSUER: &str = "https://gitlab.example.com";
pub const AUDIENCE: &str = "https://vault.example.com";

fn set_up_policies(vault: &DevVault) {
    let policy = |name: &str, text: &str| vault.write(&format!("sys/policies/acl/{name}"), json!({ "policy": text }));
    policy("exoscale", &format!("path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}"));
    policy(
        "aws",
        "path \"aws/sts/*\" { capabilities = [\"read\", \"update\"] }\npath \"aws/creds/*\" { capabilities = [\"read\"] }",
    );
    policy(
        "job",
        &format!(
            "path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}\n\
             path \"aws/sts/*\" {{ capabilities = [\"read\", \"update\"] }}\npath \"aws/creds/*\" {{ capabilities = [\"read\"] }}"
        ),
    );
    policy("generator", &format!("path \"auth/approle/role/{ROLE}/secret-id\" {{ capabilities = [\"update\"] }}"));
}

fn set_up_logins(vault: &DevVault) {
    vault.write("sys/auth/approle", json!({ "type": "approle" }));
    let approle =
        json!({ "token_policies": ["job"], "token_ttl": "15m", "secret_id_num_uses": 1, "secret_id_ttl": "10m" });
    vault.write(&format!("auth/approle/role/{ROLE}"), approle);
    vault.write("sys/auth/gitlab", json!({ "type": "jwt" }));
    let keys = json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": ISSUER, "default_role": ROLE });
    vault.write("auth/gitlab/config", keys);
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [AUDIENCE],
        "bound_claims": { "project_id": "365" }, "token_policies": ["job"], "token_ttl": "15m",
    });
    vault.write(&format!("auth/gitlab/role/{ROLE}"), role);
}

fn set_up_engines(vault: &DevVault) {
    vault.write("sys/mounts/exoscale", json!({ "type": "exoscale" }));
    let root = json!({ "root_api_key": "EXO0000000000000000root", "root_api_secret": "8Rk2mZ0qVtC7xWb5nJd3yLg9sHf", "zone": "ch-gva-2" });
    vault.write("exoscale/config/root", root);
    vault.write(
        &format!("exoscale/role/{ROLE}"),
        json!({ "iam-role": "ci", "ttl": "15m", "max_ttl": "30m", "renewable": true }),
    );
    vault.write("sys/mounts/aws", json!({ "type": "aws" }));
    let root = json!({ "access_key": "AKIAROOTROOTROOTROOT", "secret_key": "pQ4wX8eT1rN6uY3iK9oB5vM2zLc", "region": "us-east-1" });
    vault.write("aws/config/root", root);
    let arn = "arn:aws:iam::123123123123:role/ci";
    for (name, role) in [
        ("365-dev", json!({ "credential_type": "assumed_role", "role_arns": [arn] })),
        (
            "two-arns",
            json!({ "credential_type": "assumed_role", "role_arns": [arn, "arn:aws:iam::123123123123:role/other"] }),
        ),
        (
            "federated",
            json!({ "credential_type": "federation_token", "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"] }),
        ),
        ("session", json!({ "credential_type": "session_token" })),
        ("user", json!({ "credential_type": "iam_user", "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"] })),
    ] {
        if name != "session"
            || vault.read("sys/health")["version"].as_str().is_some_and(|version| version.starts_with("1.16"))
        {
            vault.write(&format!("aws/roles/{name}"), role);
        }
    }
}

/// Fails where a job's variable is in our own environment. The tests start jobs and read their logs, as a runner does:
/// a program that was started inside a job, and reads, captures.
pub fn assert_plays_the_runner() {
    for name in ["CI", "GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL"] {
        assert!(std::env::var_os(name).is_none(), "{name} is set: run the tests without it, as .ci/run does");
    }
}

/// A JSON text without its quotes.
pub fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// A command line, before it is run.
#[derive(Clone)]
pub struct Run {
    program: PathBuf,
    pub arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

/// What a command line did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    pub fn new(program: &Path, folder: &Path) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let variables = BTreeMap::from([("PATH".to_owned(), path)]);
        Self { program: program.to_owned(), arguments: Vec::new(), variables, folder: folder.to_owned() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Another build of the program.
    pub fn of(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// One argument as it stands.
    pub fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// One argument before those of a command that `--` begins.
    pub fn arg_before(mut self, argument: &str) -> Self {
        let place = self.arguments.iter().position(|word| word == "--").expect("a command");
        self.arguments.insert(place, argument.to_owned());
        self
    }

    /// The variables, for a shell that will run the tool itself.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The command, for tests that need their own stdout.
    pub fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(&self.variables).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    pub fn run(&self) -> Ran {
        Ran::of(self.to_command())
    }
}

impl Ran {
    pub fn of(mut command: Command) -> Self {
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
    }

    /// Fails unless it succeeded; gives stdout.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Fails unless it ended in this kind, with one error line, at most one hint, and the failure marker.
    pub fn failed(self, code: i32, kind: &str) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        let errors: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("ci-creds: error[")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        assert!(errors[0].starts_with(&format!("ci-creds: error[{kind}]: ")), "{self:?}");
        assert!(self.stderr.lines().filter(|line| line.starts_with("  hint: ")).count() <= 1, "{self:?}");
        self
    }
}
