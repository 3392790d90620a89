//! What the demo prints: 80 columns, and colour where the caller wants it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::SystemTime;

use dev_vault::{LiveLease, Recorded};

use super::job::{Job, Log};

/// Columns.
const WIDTH: usize = 80;

/// A style of SGR, by its number.
#[derive(Clone, Copy)]
enum Style {
    Plain = 0,
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// What was printed since it was last taken.
pub(crate) struct Page {
    colour: bool,
    text: String,
}

impl Page {
    pub(crate) fn new(colour: bool) -> Self {
        Self { colour, text: String::new() }
    }

    /// The text so far, which is forgotten.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    pub(crate) fn opening(&mut self, address: &str) {
        self.line(&[
            (Style::Plain, "Five jobs against a Vault on this machine, "),
            (Style::Plain, address),
            (Style::Plain, "."),
        ]);
    }

    pub(crate) fn closing(&mut self, requests: usize, leases: usize) {
        self.title(0, "What next");
        self.say(&format!(
            "All of it went as shown: {} to Vault, {} left. The demo checked each.",
            count(requests, "request"),
            count(leases, "lease")
        ));
        self.blank();
        for (what, how) in [
            ("Install it", "cargo install --locked --path ."),
            ("Your first pipeline, 10 min", "docs/quick-start.md"),
            ("Set Vault up", "docs/vault-setup.md"),
            ("Pipelines to copy", "examples/gitlab, examples/github"),
            ("All flags", "ci-creds exoscale --help, ci-creds aws --help"),
        ] {
            self.line(&[(Style::Plain, &format!("     {what:<29}")), (Style::Cyan, how)]);
        }
    }

    /// A title in a rule across the page. The end has no number.
    pub(crate) fn title(&mut self, number: usize, title: &str) {
        self.blank();
        let title = if number == 0 { title.to_owned() } else { format!("{number}. {title}") };
        let rule = "-".repeat(WIDTH - title.len() - 4);
        self.line(&[(Style::Dim, "-- "), (Style::Bold, &title), (Style::Dim, &format!(" {rule}"))]);
    }

    pub(crate) fn say(&mut self, text: &str) {
        for line in wrap(text, WIDTH - 3, "") {
            self.line(&[(Style::Plain, &format!("   {line}"))]);
        }
    }

    /// The variables that a job is given, by the system and by whoever writes the pipeline.
    pub(crate) fn inputs(&mut self, given: &[(&str, String)], job: &Job) {
        self.heading("You set");
        let given = given.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in given.chain(job.inputs()) {
            self.line(&[(Style::Plain, &format!("     {name:<22}")), (Style::Dim, value)]);
        }
    }

    /// The lines that people copy from one pipeline to the next.
    pub(crate) fn published(&mut self, lines: &str) {
        self.heading("In place of");
        for line in lines.lines() {
            self.line(&[(Style::Dim, &format!("     {line}"))]);
        }
    }

    /// The line that takes their place.
    pub(crate) fn ours(&mut self, job: &Job) {
        self.heading("You write");
        let line = job.first_line().unwrap_or_default();
        self.line(&[(Style::Cyan, &format!("     {line}"))]);
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.line(&[(Style::Bold, &format!("   {text}"))]);
    }

    /// The log of a job, and what its shell holds when it is through. A log has no right edge: lines are wrapped here.
    pub(crate) fn job_log(&mut self, log: &Log) {
        self.heading("The job's log");
        for line in log.text.lines() {
            let style = match line {
                _ if line.starts_with("$ ") => Style::Cyan,
                _ if line.contains(": error[") => Style::Red,
                _ if line.starts_with("  hint: ") => Style::Yellow,
                _ => Style::Plain,
            };
            let indent = if line.starts_with("  hint: ") { "        " } else { "  " };
            for part in wrap(line, WIDTH - 7, indent) {
                self.line(&[(Style::Dim, "     | "), (style, &part)]);
            }
        }
        if log.code != 0 {
            let end = format!("ERROR: Job failed: exit code {}", log.code);
            self.line(&[(Style::Dim, "     | "), (Style::Red, &end)]);
        }
        let credentials: Vec<_> = log.credentials().collect();
        if !credentials.is_empty() {
            self.heading("The job now has");
        }
        for (name, value) in credentials {
            self.line(&[(Style::Plain, &format!("     {name:<27}")), (Style::Green, &mask(name, value))]);
        }
    }

    /// What the server saw of it, and what it left there.
    pub(crate) fn vault_saw(&mut self, requests: &[Recorded], leases: &[LiveLease], now: SystemTime) {
        let connections: BTreeSet<_> = requests.iter().map(|request| request.connection).collect();
        let (requests_in_all, connections) = (count(requests.len(), "request"), count(connections.len(), "connection"));
        self.heading(&format!("Vault saw {requests_in_all} on {connections}"));
        for request in requests {
            let status = request.status.map_or("no answer".to_owned(), |status| status.to_string());
            let style = if request.status.is_some_and(|status| status < 300) { Style::Green } else { Style::Red };
            let path = request.path.trim_start_matches("/v1/");
            self.line(&[
                (style, &format!("     {status}")),
                (Style::Plain, &format!("  {:<4} {path}", request.method)),
            ]);
        }
        match leases {
            [] => self.line(&[(Style::Plain, "     no lease is left")]),
            leases => {
                for lease in leases {
                    self.line(&[(
                        Style::Plain,
                        &format!("     lease {}, expires {}", lease.path, remaining(lease, now)),
                    )]);
                }
            }
        }
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    fn line(&mut self, spans: &[(Style, &str)]) {
        for (style, text) in spans {
            match (self.colour, style) {
                (false, _) | (true, Style::Plain) => self.text.push_str(text),
                (true, style) => {
                    // Writing to a text does not fail.
                    let _ = write!(self.text, "\x1b[{}m{text}\x1b[0m", *style as u8);
                }
            }
        }
        self.text.push('\n');
    }
}

/// Breaks a text at its blanks. What follows the first line is indented.
fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line: String = text.chars().take_while(|c| *c == ' ').collect();
    for word in text.split_whitespace() {
        let is_begun = !line.trim().is_empty();
        if is_begun && line.len() + 1 + word.len() > width {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        } else if is_begun {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

fn remaining(lease: &LiveLease, now: SystemTime) -> String {
    let seconds = lease.expires.duration_since(now).map_or(0, |left| left.as_secs());
    format!("in {} minutes", seconds.div_ceil(60))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Key IDs stand in every audit log. Of what is secret, only the length is shown.
fn mask(name: &str, value: &str) -> String {
    if name.contains("SECRET") || name.contains("TOKEN") {
        return format!("******** ({} characters)", value.chars().count());
    }
    value.to_owned()
}
