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

use crate::error::{Error, Kind};

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

    /// The step at which the run fails.
    pub(crate) fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.mark == Mark::Failure)
    }

    /// What is to be said where no step fails. A step that another one blocks may fail all the same.
    pub(crate) fn verdict(&self) -> String {
        match self.checks.iter().filter(|check| check.blocked_by.is_some()).count() {
            0 => "No step fails.".to_owned(),
            blocked => format!("No step fails; {blocked} were not examined."),
        }
    }

    /// The exit code: that of the first failure.
    pub(crate) fn code(&self) -> u8 {
        self.first_failure().and_then(|check| check.kind).map_or(0, Kind::code)
    }
}
