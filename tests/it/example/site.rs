//! Where the examples run: an empty Vault, a GitLab that signs ID tokens, and a machine with the tools on its PATH.
//!
//! `vault` and the clouds' tools are scripts of the tests; the program is the real one.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dev_vault::{DevVault, Dialect, GitlabKeys, GitlabToken};

use super::EXAMPLES;
use super::pipeline::{self, Job};
use crate::support::{Ran, Run, leak, tool};

pub(super) const ROOT_KEY: &str = "EXOrootrootrootroot";
pub(super) const ROOT_SECRET: &str = "8Rk2mZ0qVtC7xWb5nJd3yLg9sHf";

/// The SHA-256 of the program.
pub(crate) fn program_sum() -> &'static str {
    static SUM: OnceLock<String> = OnceLock::new();
    SUM.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_ci-creds"));
        let sum = Run::new(Path::new("sha256sum"), Path::new("/")).arg(&program.display().to_string()).run().ok();
        sum.split(' ').next().unwrap_or_default().to_owned()
    })
}

/// One such place, which is removed when it is dropped.
pub(crate) struct Site {
    pub(crate) vault: DevVault,
    pub(super) gitlab: GitlabKeys,
    folder: tempfile::TempDir,
}

impl Site {
    /// One whose Vault nobody has set up.
    pub(crate) fn empty() -> Self {
        let folder =
            tempfile::Builder::new().prefix("site.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
        for name in ["bin", "home", "work", "tmp"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        let link = |target: &Path, name: &str| symlink(target, folder.path().join("bin").join(name)).expect("a link");
        link(Path::new(env!("CARGO_BIN_EXE_ci-creds")), "ci-creds");
        link(&support.join("vault"), "vault");
        link(&support.join("wget"), "wget");
        for name in ["exo", "aws", "terraform", "scw"] {
            link(&support.join("record"), name);
        }
        Self { vault: DevVault::start(Dialect::Vault1_16), gitlab: GitlabKeys::start(), folder }
    }

    /// A site whose Vault was set up by `setup.sh`; `None` when the `vault` of the tests cannot run here.
    pub(crate) fn set_up() -> Option<Self> {
        tool::find("curl")?;
        tool::find("jq")?;
        let site = Self::empty();
        let run = Run::new(&Path::new(EXAMPLES).join("vault/setup.sh"), site.folder.path());
        let run = run.env("GITLAB_URL", &site.gitlab.issuer_url()).env("EXOSCALE_API_KEY", ROOT_KEY);
        site.as_operator(run.env("EXOSCALE_API_SECRET", ROOT_SECRET)).run().ok();
        Some(site)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn on_path(&self, run: Run) -> Run {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        run.env("PATH", &path)
            .env("HOME", &self.path("home").display().to_string())
            .env("TMPDIR", &self.path("tmp").display().to_string())
            .env("VAULT_ADDR", &self.vault.address())
    }

    fn as_operator(&self, run: Run) -> Run {
        self.on_path(run).env("VAULT_TOKEN", &self.vault.root_token())
    }

    pub(super) fn hand_out(&self, what: &str) -> String {
        let run = Run::new(&Path::new(EXAMPLES).join("vault/hand-out.sh"), self.folder.path()).arg(what);
        self.as_operator(run).run().ok().trim().to_owned()
    }

    /// What a job's shell is given: the pipeline's variables below GitLab's own and the project's.
    pub(super) fn environment(&self, job: &Job, run: Run) -> Run {
        let mut run = job.variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        let work = self.path("work").display().to_string();
        for (name, value) in
            [("CI", "true"), ("GITLAB_CI", "true"), ("CI_PROJECT_ID", "365"), ("CI_PROJECT_DIR", &work)]
        {
            run = run.env(name, value);
        }
        if let Some(name) = &job.environment {
            run = run.env("CI_ENVIRONMENT_NAME", name);
        }
        // Where the project keeps the release's static file; this file's own sum.
        let program = self.path("bin/ci-creds");
        run = run.env("CI_CREDS_URL", &format!("file://{}", program.display())).env("CI_CREDS_SHA256", program_sum());
        let environment = job.environment.clone().unwrap_or_default();
        for (variable, audience) in &job.id_tokens {
            let token = GitlabToken::new().issuer(&self.gitlab.issuer_url()).audience(audience).project_id("365");
            run = run.env(variable, &token.environment(&environment).at(self.vault.now()).sign());
        }
        self.on_path(run).env("CALLS", &self.path("calls").display().to_string())
    }

    /// Runs script lines of a job in this shell.
    pub(crate) fn run(&self, shell: &str, job: &Job, lines: &[String], outside: &[(&str, String)]) -> Ran {
        self.run_text(shell, job, &pipeline::runner_script(lines), outside)
    }

    /// Runs lines of a page as an operator of this Vault. This GitLab plays every issuer of ID tokens.
    pub(crate) fn run_as_operator(&self, lines: &str, gitlab: &str) -> Ran {
        let issuers = [
            "gitlab.example.com",
            "token.actions.githubusercontent.com",
            "issuer.example.com",
            "UUID.tokens.sts.global.api.aws",
        ];
        let lines =
            issuers.iter().fold(lines.to_owned(), |lines, issuer| lines.replace(&format!("https://{issuer}"), gitlab));
        let text = format!("set -eu\n{lines}");
        std::fs::write(self.path("script"), text).expect("a script");
        let run = Run::new(&tool::find("sh").expect("a shell"), Path::new(EXAMPLES));
        let run = run.arg(&self.path("script").display().to_string()).env("EXOSCALE_API_KEY", ROOT_KEY);
        self.as_operator(run.env("EXOSCALE_API_SECRET", ROOT_SECRET)).run()
    }

    /// The issuer of the ID tokens of this site's jobs.
    pub(crate) fn issuer_url(&self) -> String {
        self.gitlab.issuer_url()
    }

    /// Runs a text of a job in this shell as it stands.
    pub(crate) fn run_text(&self, shell: &str, job: &Job, text: &str, outside: &[(&str, String)]) -> Ran {
        std::fs::write(self.path("script"), text).expect("a script");
        let run = Run::new(&tool::find(shell).expect("a shell"), &self.path("work"));
        let run = self.environment(job, run.arg(&self.path("script").display().to_string()));
        outside.iter().fold(run, |run, (name, value)| run.env(name, value)).run()
    }

    /// The text, with this site's own paths and addresses as a job elsewhere would have them.
    pub(crate) fn without_paths(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let text = text.replace(&self.issuer_url(), "https://gitlab.example.com");
        let places = [("/work", "/builds/app"), ("/home", "/root"), ("/tmp", "/tmp")];
        places.iter().fold(text, |text, (from, to)| text.replace(&format!("{folder}{from}"), to))
    }

    /// The tools' calls since the last time, each with the variables that it saw.
    pub(crate) fn take_calls(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(self.path("calls"));
        let split = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let call = |part: &str| {
            let mut lines = part.lines();
            (lines.next().unwrap_or_default().to_owned(), lines.filter_map(split).collect())
        };
        text.split("> ").skip(1).map(call).collect()
    }

    pub(crate) fn outside(&self, needs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        needs.iter().map(|(variable, what)| (*variable, self.hand_out(what))).collect()
    }

    pub(crate) fn assert_no_secret_in(&self, text: &str) {
        let secrets = self.vault.secrets();
        assert_eq!(leak::find(secrets.iter().map(String::as_str), text), None, "a secret leaked into: {text}");
    }
}
