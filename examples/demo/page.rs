//! How it is told: plain text, and a little colour on a terminal.

use std::io::IsTerminal;
use std::time::SystemTime;

use dev_vault::{LiveLease, Recorded};

use crate::job::Log;

/// Where it is told.
pub(crate) struct Page {
    colour: bool,
}

impl Page {
    pub(crate) fn new() -> Self {
        Self { colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn dim(&self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn opening(&self, address: &str) {
        println!("ci-creds: five jobs and a Vault, all on this machine ({address}).");
    }

    pub(crate) fn closing(&self, requests: usize, leases: usize) {
        println!(
            "\nEverything went as told: {}, {} alive at its end. The Vault is gone now.",
            count(requests, "request"),
            count(leases, "lease")
        );
    }

    pub(crate) fn title(&self, number: usize, title: &str) {
        println!("\n{}", self.bold(&format!("{number}. {title}")));
    }

    pub(crate) fn say(&self, text: &str) {
        println!("   {text}");
    }

    /// The lines that people copy from one pipeline to the next.
    pub(crate) fn published(&self, lines: &str) {
        self.heading("by hand");
        for line in lines.lines() {
            println!("{}", self.dim(&format!("     {line}")));
        }
    }

    fn heading(&self, text: &str) {
        println!("\n   {}", self.dim(text));
    }

    /// The log of a job, and what its shell holds when it is through.
    pub(crate) fn job_log(&self, log: &Log) {
        self.heading("the job's log");
        for line in log.text.lines() {
            let line = if line.starts_with("$ ") { self.bold(line) } else { line.to_owned() };
            println!("   | {line}");
        }
        if log.code != 0 {
            println!("   | {}", self.bold(&format!("ERROR: Job failed: exit code {}", log.code)));
        }
        let credentials: Vec<_> = log.credentials().collect();
        if !credentials.is_empty() {
            self.heading("the job's environment");
        }
        for (name, value) in credentials {
            println!("     {name:<26} {}", mask(name, value));
        }
    }

    /// What the server saw of it, and what it left there.
    pub(crate) fn vault_saw(&self, requests: &[Recorded], leases: &[LiveLease], now: SystemTime) {
        let connections: std::collections::BTreeSet<_> = requests.iter().map(|request| request.connection).collect();
        self.heading(&format!(
            "Vault saw {} on {}",
            count(requests.len(), "request"),
            count(connections.len(), "connection")
        ));
        for request in requests {
            let status = request.status.map_or("no answer".to_owned(), |status| status.to_string());
            println!("     {status}  {:<4} {}", request.method, request.path.trim_start_matches("/v1/"));
        }
        match leases {
            [] => println!("     no lease is left"),
            leases => leases.iter().for_each(|lease| println!("     lease {}, {}", lease.path, remaining(lease, now))),
        }
    }
}

fn remaining(lease: &LiveLease, now: SystemTime) -> String {
    let seconds = lease.expires.duration_since(now).map_or(0, |left| left.as_secs());
    format!("good for {} minutes", seconds.div_ceil(60))
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Key ids stand in every audit log; of what is secret, only the length is shown.
fn mask(name: &str, value: &str) -> String {
    if name.contains("SECRET") || name.contains("TOKEN") {
        return format!("******** ({} characters)", value.chars().count());
    }
    value.to_owned()
}
