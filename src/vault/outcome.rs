//! What an exchange came to, and what may be done about it: the one place where that is decided.
//!
//! Four outcomes: *not processed* (Vault certainly did not act), *ambiguous* (it may have), *processed* (it did,
//! or it refused), *final* (the same request can only fail the same way). And one table: which step may be sent
//! again after which outcome.

use crate::error::{Error, Kind};
use crate::http::{Broken, Reply, Stage};

use super::echo::{Secrets, WITHHELD};
use super::wire::{self, Envelope, Failure};

/// What an exchange came to.
#[derive(Debug)]
pub enum Outcome {
    /// Vault did not act on the request: it can be sent again.
    NotProcessed {
        /// What to say when it is not.
        error: Error,
        /// How long the server wants us to wait, in its own spelling.
        retry_after: Option<String>,
    },
    /// Vault may have acted on it.
    Ambiguous {
        /// What to say.
        error: Error,
        /// Whether the same request could go better: not when a whole answer came that is not Vault's.
        transient: bool,
        /// Whether Vault may have been cut off in the middle of its work. It cancels a request whose client is gone, or
        /// that takes too long, and then registers no lease for what its engine has made in the cloud.
        cut_off: bool,
    },
    /// Vault acted on it, and this is its answer.
    Done(Box<Envelope>),
    /// Vault refused, and did nothing.
    Refused(Refusal),
    /// The same request can only fail the same way.
    Final(Error),
}

/// How Vault begins the error of a backend, or of the policy of a valid token.
const ONE_ERROR: &str = "1 error occurred";

/// A refusal: status and reason.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Vault's first error, sanitized; may be empty.
    pub reason: String,
}

impl Refusal {
    /// Whether the policy of a valid token refuses, or the token itself is not valid: both are "permission denied".
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.status == 403
    }

    /// Vault counts the errors when the policy of a valid token refuses: "1 error occurred: permission denied", and in
    /// Enterprise with the Sentinel policy that did.
    #[must_use]
    pub fn is_denied_by_policy(&self) -> bool {
        let counted = self.reason.starts_with(ONE_ERROR) || self.reason.contains(" errors occurred: ");
        self.is_denied() && counted && !self.is_token_gone()
    }

    /// The token is unknown, expired or revoked: a bare "permission denied", and from Vault 1.17 on "2 errors occurred:
    /// permission denied invalid token". Any other text says nothing of the token: what it made may live.
    #[must_use]
    pub fn is_token_gone(&self) -> bool {
        self.is_denied() && (self.reason == "permission denied" || self.reason.ends_with(" invalid token"))
    }

    /// Vault up to 1.9 asks for a token where none should be needed: there is no login at that path.
    #[must_use]
    pub fn wants_a_token(&self) -> bool {
        self.status == 400 && self.reason == "missing client token"
    }

    /// The one text that Vault has for a wrapping token that is spent, expired or was never valid.
    #[must_use]
    pub fn is_wrapping_token_invalid(&self) -> bool {
        self.status == 400 && self.reason.contains("wrapping token is not valid or does not exist")
    }

    /// The reason in brackets, for the end of a message.
    #[must_use]
    pub fn because(&self) -> String {
        let reason = self.reason.strip_prefix(ONE_ERROR).unwrap_or(&self.reason).trim_start_matches(": ");
        if reason.is_empty() { format!("status {}", self.status) } else { format!("{}: {reason}", self.status) }
    }
}

/// The requests that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `sys/wrapping/lookup`: reads, spends nothing.
    LookupWrapping,
    /// `sys/wrapping/unwrap`: spends the wrapping token before it answers.
    Unwrap,
    /// `auth/<mount>/role/<role>/secret-id`: makes a one-time secret id, useless without the role id.
    CreateSecretId,
    /// `auth/<mount>/login` with a secret id, which may be for one use.
    LoginAppRole,
    /// `auth/<mount>/login` with an ID token, which is good until it expires.
    LoginIdToken,
    /// `auth/token/create`: a child of a token that is not ours, which ends with it.
    CreateChild,
    /// `auth/token/renew-self`, with the increment that the token shall live for.
    RenewSelf,
    /// The read that makes a credential.
    Mint,
    /// `auth/token/lookup-self`: reads. It is good to know, and not worth a second request.
    LookupSelf,
    /// `auth/token/revoke-self`.
    RevokeSelf,
    /// `sys/leases/revoke`.
    RevokeLease,
}

/// What may be done when nobody knows whether Vault acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Send it again: doing it twice does no harm, or at most leaves an idle token or secret id until its end.
    Yes,
    /// Ask whether the token is still unspent, and send it again only then.
    AfterLookup,
    /// Take back what may have been made, and only then start over.
    AfterCleanUp,
    /// Never: the secret may be spent, or the answer can be done without.
    No,
}

impl Step {
    /// Whether Vault has nothing to say when it did what it was asked.
    fn may_be_silent(self) -> bool {
        matches!(self, Self::RevokeSelf | Self::RevokeLease)
    }

    /// The table. After *not processed*, every step may be sent again, inside the run's budget.
    #[must_use]
    pub fn when_ambiguous(self) -> Again {
        match self {
            Self::LookupWrapping
            | Self::CreateSecretId
            | Self::CreateChild
            | Self::RenewSelf
            | Self::LoginIdToken
            | Self::RevokeSelf
            | Self::RevokeLease => Again::Yes,
            Self::Unwrap => Again::AfterLookup,
            Self::Mint => Again::AfterCleanUp,
            Self::LoginAppRole | Self::LookupSelf => Again::No,
        }
    }
}

/// Reads what came back, or did not. `secrets` are those of the run, which no message repeats.
#[must_use]
pub(super) fn classify(
    step: Step,
    result: Result<Reply, Broken>,
    host: &str,
    path: &str,
    secrets: &Secrets,
) -> Outcome {
    let reply = match result.map_err(|broken| withhold(broken, host, secrets)) {
        Ok(reply) => reply,
        Err(Broken { stage: Stage::NotSent, error }) => return Outcome::NotProcessed { error, retry_after: None },
        Err(Broken { stage: Stage::Sent, error }) => {
            // An answer that cannot be used is one all the same: Vault had done its work.
            let answered = error.kind() == Kind::Protocol;
            return Outcome::Ambiguous { error, transient: !answered, cut_off: !answered };
        }
        Err(Broken { stage: Stage::Astray, error }) => return foreign(step, error),
        Err(Broken { stage: Stage::Last | Stage::Barred, error }) => return Outcome::Final(error),
    };
    match reply.status {
        200..=299 => classify_success(step, &reply, host, path, secrets),
        _ => classify_failure(step, &reply, host, path, secrets),
    }
}

/// Security: a redirect and a certificate name places, and both are the server's words.
fn withhold(broken: Broken, host: &str, secrets: &Secrets) -> Broken {
    if broken.error.kind() != Kind::Protocol || !secrets.stand_in(&broken.error.render(true)) {
        return broken;
    }
    let error = Error::new(Kind::Protocol, format!("the answer of {host} cannot be used; {WITHHELD}"));
    Broken { error, ..broken }
}

/// An answer that is nobody's Vault. Whoever gave it may stand before a Vault that has done its work, which matters
/// where that makes something.
fn foreign(step: Step, error: Error) -> Outcome {
    match step {
        Step::Mint => unusable(error),
        _ => Outcome::Final(error),
    }
}

/// A whole answer that cannot be used. Vault may have acted, and the same request can only end the same way.
fn unusable(error: Error) -> Outcome {
    Outcome::Ambiguous { error, transient: false, cut_off: false }
}

fn classify_success(step: Step, reply: &Reply, host: &str, path: &str, secrets: &Secrets) -> Outcome {
    if reply.body.is_empty() && step.may_be_silent() && matches!(reply.status, 202 | 204) {
        return Outcome::Done(Box::default());
    }
    if !reply.json {
        return unusable(not_vault(reply, host, secrets));
    }
    let Some(envelope) = wire::parse::<Envelope>(&reply.body) else {
        let error = Error::new(Kind::Protocol, format!("the answer of {host} to {path} is not the JSON of a Vault"))
            .hint("is a proxy or a login page in between? curl the address from this runner");
        return unusable(error);
    };
    if envelope.wrap_info.is_some() {
        let error = Error::new(Kind::Data, format!("the answer of {path} is wrapped, which was not asked for"))
            .hint("does a proxy add X-Vault-Wrap-TTL? does the policy demand a wrapped answer (min_wrapping_ttl)?");
        return unusable(error);
    }
    // A lease ID begins with the path, which is ours; the rest of it is the server's, and is told.
    let drawn = envelope.lease_id.strip_prefix(path).unwrap_or(&envelope.lease_id);
    if secrets.stand_in(drawn) {
        let error = Error::new(Kind::Data, format!("the lease id in the answer of {path} repeats a secret"));
        return unusable(error);
    }
    Outcome::Done(Box::new(envelope))
}

/// How a sealed or standby Vault ends its 503; 1.8 puts "error performing token check: " before it.
const NOT_SERVING: [&str; 4] =
    ["Vault is sealed", "node is not active", "no active Vault instance found", "namespace is sealed"];

/// What Vault says when its own time for a request is over, or its client gone, and a Vault Agent that lost the answer.
const CUT_OFF: [&str; 3] = ["context deadline exceeded", "context canceled", "failed to get the response: "];

fn classify_failure(step: Step, reply: &Reply, host: &str, path: &str, secrets: &Secrets) -> Outcome {
    let unavailable = |text: String| Error::new(Kind::Unavailable, text);
    let Some(errors) = reply.json.then(|| wire::parse::<Failure>(&reply.body)).flatten().map(|failure| failure.errors)
    else {
        return classify_foreign(step, reply, host, path, secrets);
    };
    let raw = errors.first().map_or("", String::as_str);
    let reason = secrets.quote(raw);
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let retry_after = reply.retry_after.clone();
    let cut_off = CUT_OFF.iter().any(|words| raw.contains(words));
    match reply.status {
        412 => {
            let error = Error::new(Kind::Temporary, format!("{host} does not have the newest state yet (412)"))
                .hint("re-run the job");
            Outcome::NotProcessed { error, retry_after }
        }
        429 => {
            let error =
                Error::new(Kind::Temporary, format!("{host} limits the rate of requests to {path} (429){said}")).hint(
                    "re-run the job later, or raise the quota for this path: vault read sys/quotas/rate-limit/…"
                        .replace('…', "NAME"),
                );
            Outcome::NotProcessed { error, retry_after }
        }
        503 if NOT_SERVING.iter().any(|ending| raw.trim_end().ends_with(ending)) => {
            let error = unavailable(format!("{host} does not serve (503){said}"))
                .hint("unseal Vault, or point VAULT_ADDR to the active node");
            Outcome::NotProcessed { error, retry_after }
        }
        472 | 473 => Outcome::NotProcessed {
            error: unavailable(format!("{host} is a standby ({})", reply.status))
                .hint("point VAULT_ADDR to the active node"),
            retry_after,
        },
        501 => Outcome::Final(unavailable(format!("{host} is not initialised (501)")).hint("vault operator init")),
        502 => failed(
            unavailable(format!("{host} could not get an answer from behind it (502){said}"))
                .hint("the cloud may be throttling Vault: re-run the job later"),
            cut_off,
        ),
        500..=599 => failed(
            unavailable(format!("{host} failed on {path} ({}){said}", reply.status)).hint("Vault's own log says more"),
            cut_off,
        ),
        _ => Outcome::Refused(Refusal { status: reply.status, reason }),
    }
}

/// A failure whose text is not Vault's: a proxy or load balancer speaks.
fn classify_foreign(step: Step, reply: &Reply, host: &str, path: &str, secrets: &Secrets) -> Outcome {
    match reply.status {
        // ServeMux and Vault itself answer some 404 and 405 without the list, as anybody can.
        404 | 405 if reply.json && step == Step::Mint => unusable(
            Error::new(Kind::Config, format!("there is no {path} (status {})", reply.status))
                .hint("check --role and --mount; is a proxy in between?"),
        ),
        404 | 405 if reply.json => Outcome::Refused(Refusal { status: reply.status, reason: String::new() }),
        429 => Outcome::NotProcessed {
            error: Error::new(Kind::Temporary, format!("a proxy before {host} limits the rate of requests (429)"))
                .hint("re-run the job later"),
            retry_after: reply.retry_after.clone(),
        },
        // One that waits no longer for Vault closes its connection to it.
        500..=599 => failed(
            Error::new(
                Kind::Unavailable,
                format!("a proxy or load balancer before {host} answers {}, not Vault", reply.status),
            )
            .hint("is Vault running behind it?"),
            true,
        ),
        _ => foreign(step, not_vault(reply, host, secrets)),
    }
}

fn failed(error: Error, cut_off: bool) -> Outcome {
    Outcome::Ambiguous { error, transient: true, cut_off }
}

/// How Go, and so Vault, and nginx answer plain http on a TLS port.
const WANTS_TLS: [&str; 2] = ["sent an HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

fn not_vault(reply: &Reply, host: &str, secrets: &Secrets) -> Error {
    let text = String::from_utf8_lossy(&reply.body);
    if reply.status == 400 && WANTS_TLS.iter().any(|words| text.contains(words)) {
        return Error::new(Kind::Protocol, format!("{host} speaks TLS, and the address begins with http://"))
            .hint("set VAULT_ADDR to the same address with https://");
    }
    let what =
        if reply.content_type.is_empty() { "no content type".into() } else { secrets.quote(&reply.content_type) };
    Error::new(Kind::Protocol, format!("the answer of {host} is not a Vault's: status {}, {what}", reply.status))
        .hint("is a proxy or a login page in between? is VAULT_ADDR the address of the API?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::sanitized;
    use zeroize::Zeroizing;

    const STEPS: [Step; 11] = [
        Step::LookupWrapping,
        Step::Unwrap,
        Step::CreateSecretId,
        Step::LoginAppRole,
        Step::LoginIdToken,
        Step::CreateChild,
        Step::RenewSelf,
        Step::Mint,
        Step::LookupSelf,
        Step::RevokeSelf,
        Step::RevokeLease,
    ];

    fn reply(status: u16, content_type: &str, body: &str) -> Outcome {
        reply_to(Step::Mint, status, content_type, body)
    }

    fn reply_to(step: Step, status: u16, content_type: &str, body: &str) -> Outcome {
        let reply = Reply {
            status,
            json: content_type == "application/json",
            content_type: content_type.into(),
            retry_after: Some("7".into()),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        };
        let secrets = Secrets::default();
        for secret in ["7f8f90f4-b2f5", "8charact", "7letter"] {
            secrets.note(secret);
        }
        classify(step, Ok(reply), "vault:8200", "aws/sts/x", &secrets)
    }

    fn name(outcome: &Outcome) -> (&'static str, Option<Kind>) {
        match outcome {
            Outcome::NotProcessed { error, .. } => ("not processed", Some(error.kind())),
            Outcome::Ambiguous { error, cut_off: true, .. } => ("cut off", Some(error.kind())),
            Outcome::Ambiguous { error, transient: true, .. } => ("ambiguous", Some(error.kind())),
            Outcome::Ambiguous { error, transient: false, .. } => ("ambiguous for good", Some(error.kind())),
            Outcome::Done(_) => ("done", None),
            Outcome::Refused(_) => ("refused", None),
            Outcome::Final(error) => ("final", Some(error.kind())),
        }
    }

    #[test]
    fn every_answer_has_its_outcome() {
        const JSON: &str = "application/json";
        let failed = |text: &str| format!("{{\"errors\":[\"{text}\"]}}");
        let cases = [
            (200, JSON, "{\"data\":{}}".to_owned(), ("done", None)),
            (204, JSON, String::new(), ("ambiguous for good", Some(Kind::Protocol))),
            (200, JSON, String::new(), ("ambiguous for good", Some(Kind::Protocol))),
            (200, JSON, "{\"data\"".into(), ("ambiguous for good", Some(Kind::Protocol))),
            (200, "text/html", "<html>".into(), ("ambiguous for good", Some(Kind::Protocol))),
            (200, JSON, "{\"wrap_info\":{\"token\":\"s.x\"}}".into(), ("ambiguous for good", Some(Kind::Data))),
            (400, JSON, failed("invalid role ID"), ("refused", None)),
            (403, JSON, failed("permission denied"), ("refused", None)),
            (404, JSON, "{\"errors\":[]}".into(), ("refused", None)),
            (404, JSON, "{\"data\":{\"data\":null}}".into(), ("ambiguous for good", Some(Kind::Config))),
            (405, JSON, String::new(), ("ambiguous for good", Some(Kind::Config))),
            (400, JSON, "{}".into(), ("ambiguous for good", Some(Kind::Protocol))),
            (404, "text/plain", "404 page not found".into(), ("ambiguous for good", Some(Kind::Protocol))),
            (407, "text/html", "<html>".into(), ("ambiguous for good", Some(Kind::Protocol))),
            (412, JSON, failed("required index state not present"), ("not processed", Some(Kind::Temporary))),
            (429, JSON, failed("rate limit quota exceeded"), ("not processed", Some(Kind::Temporary))),
            (429, "text/html", "<html>".into(), ("not processed", Some(Kind::Temporary))),
            (472, JSON, failed(""), ("not processed", Some(Kind::Unavailable))),
            (473, JSON, failed(""), ("not processed", Some(Kind::Unavailable))),
            (474, JSON, failed(""), ("refused", None)),
            (500, JSON, failed("internal error"), ("ambiguous", Some(Kind::Unavailable))),
            (500, JSON, failed("rpc error: context deadline exceeded"), ("cut off", Some(Kind::Unavailable))),
            (500, JSON, failed("context canceled"), ("cut off", Some(Kind::Unavailable))),
            (500, JSON, failed("failed to get the response: EOF"), ("cut off", Some(Kind::Unavailable))),
            (501, JSON, failed(""), ("final", Some(Kind::Unavailable))),
            (502, JSON, failed("Throttling"), ("ambiguous", Some(Kind::Unavailable))),
            (502, "text/html", "<html>".into(), ("cut off", Some(Kind::Unavailable))),
            (503, JSON, failed("Vault is sealed"), ("not processed", Some(Kind::Unavailable))),
            (
                503,
                JSON,
                failed("error performing token check: Vault is sealed"),
                ("not processed", Some(Kind::Unavailable)),
            ),
            (503, JSON, failed("node is not active"), ("not processed", Some(Kind::Unavailable))),
            (503, JSON, failed("no active Vault instance found"), ("not processed", Some(Kind::Unavailable))),
            (503, JSON, failed("namespace is sealed"), ("not processed", Some(Kind::Unavailable))),
            (503, JSON, failed("Vault is sealed off from its storage"), ("ambiguous", Some(Kind::Unavailable))),
            (503, JSON, failed("something else"), ("ambiguous", Some(Kind::Unavailable))),
            (503, "text/html", "Vault is sealed".into(), ("cut off", Some(Kind::Unavailable))),
            (504, "text/html", "<html>".into(), ("cut off", Some(Kind::Unavailable))),
        ];
        for (status, content_type, body, expected) in cases {
            assert_eq!(name(&reply(status, content_type, &body)), expected, "{status} {content_type} {body}");
        }
    }

    #[test]
    fn an_answer_that_is_nobodys_vault_ends_a_step_that_makes_nothing() {
        let outcome = |step, status, content_type, body| name(&reply_to(step, status, content_type, body));
        for step in STEPS.into_iter().filter(|step| *step != Step::Mint) {
            for status in [302, 400, 403, 404, 407] {
                assert_eq!(outcome(step, status, "text/html", "<html>"), ("final", Some(Kind::Protocol)), "{step:?}");
            }
            for status in [404, 405] {
                assert_eq!(outcome(step, status, "application/json", "{}"), ("refused", None), "{step:?}");
            }
        }
    }

    #[test]
    fn an_echoed_secret_is_withheld() {
        let body = "{\"errors\":[\"invalid secret_id \\\"7f8f90f4-b2f5\\\"\"]}";
        let Outcome::Refused(refusal) = reply(400, "application/json", body) else { panic!("not refused") };
        assert!(!refusal.because().contains("7f8f"), "{}", refusal.because());
    }

    #[test]
    fn nothing_of_an_answer_that_is_told_repeats_a_secret() {
        let told = |outcome| match outcome {
            Outcome::Final(error) | Outcome::Ambiguous { error, .. } => error.render(true),
            other => panic!("{other:?}"),
        };
        let html = told(reply(400, "text/7f8f90f4-b2f5", "<html>"));
        assert!(html.contains("withheld") && !html.contains("7f8f"), "{html}");
        let lease = told(reply(200, "application/json", "{\"lease_id\":\"aws/sts/x/7f8f90f4-b2f5\"}"));
        assert!(lease.contains("the lease id in the answer of aws/sts/x repeats a secret"), "{lease}");
        // The path is ours.
        let secrets = Secrets::default();
        secrets.note("aws/sts/x");
        secrets.note("hvs.Secret");
        let body = Zeroizing::new(b"{\"lease_id\":\"aws/sts/x/4OzJ1xW9\"}".to_vec());
        let reply = Reply { status: 200, json: true, content_type: String::new(), retry_after: None, body };
        assert!(matches!(classify(Step::Mint, Ok(reply), "vault", "aws/sts/x", &secrets), Outcome::Done(_)));

        for (kind, withheld) in [(Kind::Protocol, true), (Kind::Unavailable, false)] {
            let error = Error::new(kind, "x wants to send us to y").hint("--redirect-host h-v-s-s-e-c-r-e-t");
            let broken = Broken { stage: Stage::Last, error };
            let Outcome::Final(error) = classify(Step::Mint, Err(broken), "vault", "aws/sts/x", &secrets) else {
                panic!("not final")
            };
            assert_eq!((error.kind(), error.render(true).contains("withheld")), (kind, withheld), "{error:?}");
        }
    }

    #[test]
    fn only_a_text_that_is_too_short_for_a_secret_is_no_echo() {
        let because = |text: &str| match reply(400, "application/json", &format!("{{\"errors\":[\"{text}\"]}}")) {
            Outcome::Refused(refusal) => refusal.because(),
            other => panic!("{other:?}"),
        };
        assert_eq!(because("no 7letter role"), "400: no 7letter role");
        assert!(because("no 8charact role").contains("withheld"), "{}", because("no 8charact role"));
    }

    #[test]
    fn only_a_revocation_is_done_when_vault_says_nothing() {
        for step in STEPS {
            let silent = matches!(step, Step::RevokeSelf | Step::RevokeLease);
            let expected = if silent { "done" } else { "ambiguous for good" };
            for status in [202, 204] {
                assert_eq!(name(&reply_to(step, status, "", "")).0, expected, "{step:?} {status}");
            }
            for (status, body) in [(200, ""), (201, ""), (204, "<html>")] {
                assert_eq!(name(&reply_to(step, status, "", body)).0, "ambiguous for good", "{step:?} {status} {body}");
            }
        }
    }

    #[test]
    fn an_exchange_without_an_answer_is_told_by_what_had_left() {
        let of_step = |step, stage, kind| {
            let broken = Broken { stage, error: Error::new(kind, "x") };
            name(&classify(step, Err(broken), "vault:8200", "aws/sts/x", &Secrets::default())).0
        };
        let broken = |stage, kind| of_step(Step::Mint, stage, kind);
        assert_eq!(broken(Stage::NotSent, Kind::Unavailable), "not processed");
        assert_eq!(broken(Stage::Sent, Kind::Unavailable), "cut off");
        assert_eq!(broken(Stage::Sent, Kind::Protocol), "ambiguous for good");
        assert_eq!(broken(Stage::Last, Kind::Protocol), "final");
        assert_eq!(broken(Stage::Barred, Kind::Protocol), "final");
        assert_eq!(broken(Stage::Astray, Kind::Protocol), "ambiguous for good");
        assert_eq!(of_step(Step::LoginAppRole, Stage::Astray, Kind::Protocol), "final");
    }

    #[test]
    fn the_wait_that_a_server_asks_for_is_kept_with_what_it_did_not_do() {
        let errors = "{\"errors\":[\"Vault is sealed\"]}";
        for (status, content_type) in [
            (412, "application/json"),
            (429, "application/json"),
            (472, "application/json"),
            (503, "application/json"),
            (429, "text/html"),
        ] {
            let outcome = reply(status, content_type, errors);
            let Outcome::NotProcessed { retry_after, .. } = outcome else { panic!("{status}: {outcome:?}") };
            assert_eq!(retry_after.as_deref(), Some("7"), "{status} {content_type}");
        }
    }

    #[test]
    fn plain_http_on_a_tls_port_is_told_by_status_and_text_together() {
        let tls = |status, body: &str| match reply(status, "text/plain", body) {
            Outcome::Final(error) | Outcome::Ambiguous { error, .. } => error.render(false).contains("speaks TLS"),
            other => panic!("{other:?}"),
        };
        for words in WANTS_TLS {
            assert!(tls(400, &format!("Client {words}.")), "{words}");
            assert!(!tls(200, words) && !tls(403, words), "{words}");
        }
        assert!(!tls(400, "Bad Request"));
    }

    #[test]
    fn a_refusal_is_told_by_status_and_text_together() {
        let refusal = |status, reason: &str| Refusal { status, reason: reason.into() };
        let policy = "1 error occurred: permission denied";
        assert!(refusal(403, policy).is_denied_by_policy());
        let sentinel = "2 errors occurred: egp standard policy root/office-hours resulted in denial. permission denied";
        for reason in [policy, sentinel, "namespaces feature not enabled", "blocked", ""] {
            let by_policy = [policy, sentinel].contains(&reason);
            assert_eq!(refusal(403, reason).is_denied_by_policy(), by_policy, "{reason}");
            assert!(!refusal(403, reason).is_token_gone(), "{reason}");
        }
        for reason in ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "permission denied"] {
            let refusal = refusal(403, &sanitized(reason));
            assert!(refusal.is_token_gone() && !refusal.is_denied_by_policy(), "{reason}");
        }
        assert!(!refusal(400, policy).is_denied_by_policy());
        assert!(!refusal(403, "permission denied").is_denied_by_policy());
        assert!(refusal(403, "permission denied").is_denied() && !refusal(400, "permission denied").is_denied());
        let missing = "missing client token";
        assert!(refusal(400, missing).wants_a_token());
        assert!(!refusal(403, missing).wants_a_token() && !refusal(400, "x").wants_a_token());
        let spent = "wrapping token is not valid or does not exist";
        assert!(refusal(400, spent).is_wrapping_token_invalid());
        assert!(!refusal(403, spent).is_wrapping_token_invalid());
        assert!(!refusal(400, "invalid role ID").is_wrapping_token_invalid());
        assert_eq!(refusal(403, policy).because(), "403: permission denied");
        assert_eq!(refusal(404, "").because(), "status 404");
    }

    #[test]
    fn every_step_has_its_place_in_the_table() {
        let again = STEPS.map(Step::when_ambiguous);
        let expected = [
            Again::Yes,
            Again::AfterLookup,
            Again::Yes,
            Again::No,
            Again::Yes,
            Again::Yes,
            Again::Yes,
            Again::AfterCleanUp,
            Again::No,
            Again::Yes,
            Again::Yes,
        ];
        assert_eq!(again, expected);
    }
}
