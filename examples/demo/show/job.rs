//! A job of a CI system: variables, and the lines of its script.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is to be run.
#[derive(Default)]
pub(crate) struct Job {
    /// Name, value, and what the page says in its place.
    variables: Vec<(String, String, String)>,
    lines: Vec<String>,
}

/// What it wrote and had.
pub(crate) struct Log {
    pub(crate) text: String,
    pub(crate) code: i32,
    /// What the shell exported when its script was through; empty when the script was stopped.
    exported: BTreeMap<String, String>,
}

impl Job {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A CI variable, and what the page says in the place of its value.
    pub(crate) fn variable(mut self, name: &str, value: &str, shown: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned(), shown.to_owned()));
        self
    }

    /// The variables, each with what the page says in the place of its value.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, _, shown)| (name.as_str(), shown.as_str()))
    }

    pub(crate) fn first_line(&self) -> Option<&str> {
        self.lines.first().map(String::as_str)
    }

    /// A line of `script:`.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Runs it as a runner does: each line is printed before it is run, and the first that fails ends the job.
    /// `path` is where the tool is, `folder` the job's own.
    pub(crate) fn run(&self, path: &Path, folder: &Path, more: &[(&str, &str)]) -> Log {
        let exported = folder.join("exported");
        let mut script = "exec 2>&1\nset -e\n".to_owned();
        for line in &self.lines {
            script.push_str(&format!("printf '%s\\n' '$ {}'\n{line}\n", line.replace('\'', r"'\''")));
        }
        script.push_str(&format!("env > '{}'\n", exported.display()));
        let system = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &script])
            .env_clear()
            .env("PATH", format!("{}:{system}", path.display()))
            .env("HOME", folder)
            .env("CI", "true")
            .envs(more.iter().copied())
            .envs(self.variables.iter().map(|(name, value, _)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .expect("sh");
        let left = std::fs::read_to_string(&exported).unwrap_or_default();
        let _ = std::fs::remove_file(&exported);
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Log {
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            code: output.status.code().unwrap_or(-1),
            exported: left.lines().filter_map(pair).collect(),
        }
    }
}

impl Log {
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.exported.get(name).map(String::as_str)
    }

    /// The variables of a cloud, by name.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        let ours = |name: &&String| ["EXOSCALE_", "AWS_"].iter().any(|cloud| name.starts_with(cloud));
        self.exported.iter().filter(move |(name, _)| ours(name)).map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
