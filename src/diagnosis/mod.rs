//! Where the chain breaks: each step of a run examined by itself, without making or spending anything.
//!
//! Plain data here, a file for each part of the chain, and the texts ([`text`], pure). Which step is examined when another one
//! has failed is the flow of [`crate::command`].

pub(crate) mod configuration;
pub(crate) mod engine;
pub(crate) mod identity;
pub(crate) mod json;
pub(crate) mod login;
pub(crate) mod markdown;
pub(crate) mod network;
pub(crate) mod secret;
pub(crate) mod surrounding;
pub(crate) mod text;
pub(crate) mod token;

use std::time::Duration;

use crate::error::{Error, Kind};
use crate::time::render_duration;

/// The steps, in the order of a run. Their names are part of the interface: docs/doctor.md lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The values of flags, variables and files.
    Configuration,
    /// The address of the server's host.
    Address,
    /// A connection to it.
    Connection,
    /// TLS on that connection.
    Tls,
    /// What the server says of itself.
    Health,
    /// Its clock, and ours.
    Clock,
    /// The secret that the job logs in with.
    Identity,
    /// The mount of the login.
    AuthMount,
    /// The role of the login.
    AuthRole,
    /// The login itself.
    Login,
    /// The token that the requests are made with.
    Token,
    /// The mount of the secrets engine.
    EngineMount,
    /// The engine's role.
    EngineRole,
    /// Whether the policy allows the read.
    Policy,
    /// Whether it allows renewing and revoking.
    Lease,
    /// What is around the run: variables, files, the shell.
    Surroundings,
    /// Revoking what the diagnosis logged in with.
    Logout,
}

impl Topic {
    /// Its name, which does not change.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Address => "address",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Health => "health",
            Self::Clock => "clock",
            Self::Identity => "identity",
            Self::AuthMount => "auth-mount",
            Self::AuthRole => "auth-role",
            Self::Login => "login",
            Self::Token => "token",
            Self::EngineMount => "engine-mount",
            Self::EngineRole => "engine-role",
            Self::Policy => "policy",
            Self::Lease => "lease",
            Self::Surroundings => "surroundings",
            Self::Logout => "logout",
        }
    }
}

/// How a step came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It works.
    Good,
    /// It works, and will cause trouble.
    Warning,
    /// The run fails here.
    Failure,
    /// It was not examined.
    Skip,
}

/// What was found at one step.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) topic: Topic,
    pub(crate) mark: Mark,
    /// One line: what was found, and where the value comes from.
    pub(crate) text: String,
    /// What to change.
    pub(crate) change: Option<String>,
    /// What the run would fail with.
    pub(crate) kind: Option<Kind>,
    /// The step that blocks this one.
    pub(crate) blocked_by: Option<Topic>,
    /// Whether it is one that the diagnosis had no time for.
    pub(crate) cut_off: bool,
    /// Values by name, a line each.
    pub(crate) details: Vec<(String, String)>,
    /// What else is wrong here.
    pub(crate) notes: Vec<Note>,
}

/// Something that is wrong beside the first thing.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) mark: Mark,
    pub(crate) text: String,
    pub(crate) change: Option<String>,
}

impl Check {
    fn new(topic: Topic, mark: Mark, text: impl Into<String>) -> Self {
        Self {
            topic,
            mark,
            text: text.into(),
            change: None,
            kind: None,
            blocked_by: None,
            cut_off: false,
            details: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// It works.
    pub(crate) fn good(topic: Topic, text: impl Into<String>) -> Self {
        Self::new(topic, Mark::Good, text)
    }

    /// It works, and this must be known.
    pub(crate) fn warning(topic: Topic, text: impl Into<String>, change: impl Into<String>) -> Self {
        Self { change: Some(change.into()), ..Self::new(topic, Mark::Warning, text) }
    }

    /// The run fails with this error.
    pub(crate) fn failure(topic: Topic, error: &Error) -> Self {
        let change = error.change().map(str::to_owned);
        Self { change, kind: Some(error.kind()), ..Self::new(topic, Mark::Failure, error.message()) }
    }

    /// It was not examined, for a reason of its own.
    pub(crate) fn skip(topic: Topic, why: impl Into<String>) -> Self {
        Self::new(topic, Mark::Skip, why)
    }

    /// It was not examined, because another step stands before it.
    pub(crate) fn blocked(topic: Topic, by: Topic) -> Self {
        Self {
            blocked_by: Some(by),
            ..Self::new(topic, Mark::Skip, format!("not examined: {} comes first", by.name()))
        }
    }

    /// It was not examined: the diagnosis had run out of time.
    pub(crate) fn cut_off(topic: Topic, limit: Duration) -> Self {
        let text = format!("not examined: the diagnosis stopped after {}", render_duration(limit));
        Self { cut_off: true, ..Self::skip(topic, text) }
    }

    /// With these values below it.
    pub(crate) fn with(mut self, details: Vec<(String, String)>) -> Self {
        self.details = details;
        self
    }

    /// With something that is wrong beside it.
    pub(crate) fn noting(mut self, note: Note) -> Self {
        self.notes.push(note);
        self
    }

    /// Whether the steps behind it can be examined.
    pub(crate) fn is_passable(&self) -> bool {
        matches!(self.mark, Mark::Good | Mark::Warning)
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    /// The steps, in the order in which they were examined.
    pub(crate) checks: Vec<Check>,
    /// Host names and addresses in the texts, which a report withholds. The longer ones first.
    pub(crate) private: Vec<String>,
}

impl Diagnosis {
    /// Adds a step, and says whether what follows can be examined.
    pub(crate) fn add(&mut self, check: Check) -> bool {
        let passable = check.is_passable();
        self.checks.push(check);
        passable
    }

    /// Notes what a report withholds.
    pub(crate) fn withhold(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() && !self.private.contains(&text) {
            self.private.push(text);
            self.private.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    /// Adds steps that another one blocks.
    pub(crate) fn block(&mut self, topics: &[Topic], by: Topic) {
        self.checks.extend(topics.iter().map(|topic| Check::blocked(*topic, by)));
    }

    /// Adds each of these steps that was not examined in time.
    pub(crate) fn cut_off(&mut self, topics: &[Topic], limit: Duration) {
        let missing = topics.iter().filter(|topic| self.checks.iter().all(|check| check.topic != **topic));
        let missing: Vec<_> = missing.map(|topic| Check::cut_off(*topic, limit)).collect();
        self.checks.extend(missing);
    }

    /// The step at which the run fails. A run has no logout: that one is the diagnosis's own.
    pub(crate) fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.mark == Mark::Failure && check.topic != Topic::Logout)
    }

    /// Why a login of the diagnosis is left.
    fn failed_logout(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.mark == Mark::Failure && check.topic == Topic::Logout)
    }

    /// What is to be said of the diagnosis itself, behind what becomes of the run.
    pub(crate) fn remainder(&self) -> &'static str {
        if self.failed_logout().is_some() { " This diagnosis left a login behind." } else { "" }
    }

    /// What is to be said where no step fails. A step that was not reached may fail all the same.
    pub(crate) fn verdict(&self) -> String {
        let missing = self.checks.iter().filter(|check| check.blocked_by.is_some() || check.cut_off);
        let by_the_login = missing.clone().any(|check| check.blocked_by == Some(Topic::Login));
        match (missing.count(), by_the_login) {
            (0, _) => "No step fails.".to_owned(),
            (count, true) => format!(
                "No step that was examined fails; the login was not tried, and {count} steps were not examined."
            ),
            (count, false) => format!("No step fails; {count} were not examined."),
        }
    }

    /// The exit code: that of the first failure, or else that of a login that is left.
    pub(crate) fn code(&self) -> u8 {
        let check = self.first_failure().or_else(|| self.failed_logout());
        check.and_then(|check| check.kind).map_or(0, Kind::code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_the_time_did_not_reach_are_told_and_counted() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.add(Check::good(Topic::Token, "it works"));
        let half_a_minute = Duration::from_secs(30);
        diagnosis.cut_off(&[Topic::Token, Topic::EngineMount, Topic::Lease], half_a_minute);
        let text = text::render(&diagnosis, text::Look::default());
        for step in ["engine-mount", "lease"] {
            let line = text.lines().find(|line| line.contains(step)).unwrap_or_default();
            assert!(line.ends_with("not examined: the diagnosis stopped after 30s"), "{text}");
        }
        assert_eq!(diagnosis.verdict(), "No step fails; 2 were not examined.");
    }

    #[test]
    fn a_login_that_is_left_counts_where_nothing_else_fails() {
        let leak = || Check::failure(Topic::Logout, &Error::new(Kind::Leak, "not revoked"));
        let mut diagnosis = Diagnosis::default();
        diagnosis.add(leak());
        assert!(diagnosis.first_failure().is_none() && diagnosis.code() == Kind::Leak.code());
        diagnosis.checks.insert(0, Check::failure(Topic::Token, &Error::new(Kind::Denied, "no")));
        assert_eq!(diagnosis.code(), Kind::Denied.code());
        for text in [text::render(&diagnosis, text::Look::default()), markdown::render(&diagnosis, None)] {
            assert!(
                text.contains("This diagnosis left a login behind.") && !text.contains("fails at logout"),
                "{text}"
            );
        }
    }
}
