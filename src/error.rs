//! The one error type, its kinds, and the exit code that each kind becomes.
//!
//! Messages are part of the interface: lower case, what failed, on which path, where the value came from;
//! at most one hint with the exact flag, variable or policy line to change. Nothing here may hold a secret.

use std::fmt;

/// Why a run ended. The kind decides the exit code; no code ever looks at the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bad flags, a secret among the arguments, a role or mount that Vault cannot have.
    Usage,
    /// Vault's answer is unsafe or incomplete. The lease was revoked.
    Data,
    /// A token, secret-id or ID-token file is missing, empty or unreadable.
    Input,
    /// Vault cannot be reached, is sealed, or fails. Nothing single-use was spent, unless it
    /// was a secret ID: only Vault knows whether that is single-use.
    Unavailable,
    /// A bug of ours.
    Internal,
    /// The operating system refused: no open file, no event queue, no thread, no lock, no new start of this program.
    Os,
    /// A file or folder that we need to make is refused or cannot be made.
    Create,
    /// The credential could not be delivered. The lease was revoked.
    Output,
    /// Try again later: rate limit, replication lag, waiting for a lock, a key that AWS does not know yet.
    Temporary,
    /// Not the answer of a Vault: TLS, redirect, proxy, not JSON.
    Protocol,
    /// Login or policy refused.
    Denied,
    /// The configuration is missing something, or asks for something insecure.
    Config,
    /// A single-use secret is spent, lost or tampered with.
    Spent,
    /// A lease, a token, or a key that no lease ends may be left behind; the text says which, and until when.
    Leak,
    /// SIGINT, after cleaning up.
    Interrupted,
    /// SIGTERM, after cleaning up.
    Terminated,
    /// The signal of this number, after cleaning up: one of the others that end a process.
    Ended(u8),
}

impl Kind {
    /// Every kind but [`Kind::Ended`], in the order of the exit codes: what the table in docs/errors.md is tested against.
    pub const ALL: [Self; 16] = [
        Self::Usage,
        Self::Data,
        Self::Input,
        Self::Unavailable,
        Self::Internal,
        Self::Os,
        Self::Create,
        Self::Output,
        Self::Temporary,
        Self::Protocol,
        Self::Denied,
        Self::Config,
        Self::Spent,
        Self::Leak,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The process's exit code: sysexits where it has one, ours (79, 80) where it has not.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Data => 65,
            Self::Input => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Os => 71,
            Self::Create => 73,
            Self::Output => 74,
            Self::Temporary => 75,
            Self::Protocol => 76,
            Self::Denied => 77,
            Self::Config => 78,
            Self::Spent => 79,
            Self::Leak => 80,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Ended(signal) => 128 + signal,
        }
    }

    /// Whether a signal ended the run.
    #[must_use]
    pub const fn is_signal(self) -> bool {
        matches!(self, Self::Interrupted | Self::Terminated | Self::Ended(_))
    }

    /// The word between the brackets of `error[…]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Data => "data",
            Self::Input => "input",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::Os => "os",
            Self::Create => "create",
            Self::Output => "output",
            Self::Temporary => "temporary",
            Self::Protocol => "protocol",
            Self::Denied => "denied",
            Self::Config => "config",
            Self::Spent => "spent",
            Self::Leak => "leak",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::Ended(_) => "ended",
        }
    }

    /// What the exit code means, in sentences: for the manual page and other documentation.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Usage => "The command line is wrong, it holds a secret, or nothing captures the output.",
            Self::Data => "Vault's answer is unsafe or incomplete. The lease was revoked.",
            Self::Input => "A token, secret ID or ID token is not set, or its file is missing, empty or unreadable.",
            Self::Unavailable => {
                "Vault cannot be reached, is sealed, or fails. Run it again: no single-use secret was used, unless the \
                 message says so."
            }
            Self::Internal => "This is a bug in ci-creds. Report it.",
            Self::Os => "The system refused an open file, an event queue, a thread, a lock, or a new process.",
            Self::Create => "A private file cannot be created, or a credentials file cannot be edited.",
            Self::Output => "The credential could not be delivered. The lease was revoked, or the cache has it.",
            Self::Temporary => {
                "Vault limits the rate of requests or is behind, another run holds a lock, or the cloud does not know the \
                 new key yet. Run it again."
            }
            Self::Protocol => "TLS failed, a redirect or a proxy is in the way, or the server is not a Vault.",
            Self::Denied => "Vault refused the login, or a policy does not allow the request.",
            Self::Config => "A setting is missing, or it asks for something insecure.",
            Self::Spent => "A single-use secret is used up, lost, or was tampered with. The job needs a new one.",
            Self::Leak => "A lease, a token or a key may be left behind. The message says which one, and until when.",
            Self::Interrupted => "SIGINT ended the run. It cleaned up first.",
            Self::Terminated => "SIGTERM ended the run. It cleaned up first.",
            Self::Ended(_) => "Another signal ended the run. The code is 128 and its number. It cleaned up first.",
        }
    }
}

/// A failure: one line, perhaps a hint, and causes that are shown with `-v`.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    cause: Option<anyhow::Error>,
}

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind. `message` is lower case, without a full stop, and holds no secret.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, cause: None }
    }

    /// Says what to change: the exact flag, variable or policy line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds to the hint, or is the hint where there is none.
    #[must_use]
    pub fn hint_too(mut self, more: &str) -> Self {
        self.hint = Some(match self.hint.take() {
            Some(hint) => format!("{hint}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The same hint with other words in the place of these, for a caller to whom these do not apply.
    #[must_use]
    pub fn reword_hint(mut self, words: &str, others: &str) -> Self {
        self.hint = self.hint.map(|hint| hint.replace(words, others));
        self
    }

    /// Keeps what lies below, for `-v`. The caller answers for it being free of secrets.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same failure under another kind: what it means changed, not what happened.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds to the line what else the caller knows: "…; the token was revoked".
    #[must_use]
    pub fn also(mut self, more: impl fmt::Display) -> Self {
        self.message = format!("{}; {more}", self.message);
        self
    }

    /// The kind, which is what callers and tests decide by.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The line without its kind, to be told inside another one.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The hint, to be told inside another one.
    #[must_use]
    pub fn change(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The text for stderr: one line, at most one hint line, causes when `verbose`.
    ///
    /// Security: whatever went into it leaves as printable ASCII, so that no server, certificate or file name
    /// can move a terminal's cursor or start a second line.
    #[must_use]
    pub fn render(&self, verbose: bool) -> String {
        let mut text = format!("ci-creds: error[{}]: {}\n", self.kind.name(), printable(&self.message));
        if verbose && let Some(cause) = &self.cause {
            for cause in cause.chain() {
                text.push_str(&format!("  cause: {}\n", printable(&cause.to_string())));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  hint: {}\n", printable(hint)));
        }
        text
    }
}

/// The text as one line of printable ASCII; anything else becomes `?`.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// A server's own words, made harmless: printable, without what a shell would act on, 200 characters at most.
///
/// Security: a job may run `eval $(ci-creds … 2>&1)`; no `;`, quote, `$` or backtick of a server may get there.
#[must_use]
pub fn sanitized(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || ".,:/_-".contains(c);
    let words: String = text.chars().map(|c| if safe(c) { c } else { ' ' }).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code_and_name() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            for other in &Kind::ALL[index + 1..] {
                assert_ne!(kind.code(), other.code());
                assert_ne!(kind.name(), other.name());
            }
        }
    }

    #[test]
    fn an_error_is_one_line_and_one_hint() {
        let error = Error::new(Kind::Denied, "a\nb\u{1b}[2J").hint("c").cause(anyhow::anyhow!("deep"));
        assert_eq!(error.render(false), "ci-creds: error[denied]: a?b?[2J\n  hint: c\n");
        assert_eq!(error.render(true), "ci-creds: error[denied]: a?b?[2J\n  cause: deep\n  hint: c\n");
    }

    #[test]
    fn a_servers_words_cannot_act_in_a_shell() {
        assert_eq!(sanitized("1 error occurred:\n\t* permission denied\n\n"), "1 error occurred: permission denied");
        assert_eq!(sanitized("x; touch pwned #$(id)`id`'\""), "x touch pwned id id");
        assert_eq!(sanitized(&"a".repeat(500)).len(), 200);
    }
}
