//! From an answer, or its absence, to an [`Outcome`]: the one place where that is decided.

use super::echo::{Secrets, WITHHELD};
use super::failure;
use super::outcome::{Outcome, Patience};
use super::step::Step;
use super::wire::{self, Envelope};
use crate::error::{Error, Kind};
use crate::http::{Peer, Reply, Stage, TransportError};

/// Reads what came back, or did not. `secrets` are those of the run, which no message repeats.
#[must_use]
pub(super) fn classify(
    step: Step,
    result: Result<Reply, TransportError>,
    peer: &Peer,
    path: &str,
    secrets: &Secrets,
) -> Outcome {
    let reply = match result.map_err(|broken| withhold(broken, &peer.host, secrets)) {
        Ok(reply) => reply,
        Err(TransportError { stage: Stage::NotSent, error }) => {
            return Outcome::not_processed(error, None, Patience::Counted);
        }
        Err(TransportError { stage: Stage::Leaderless, error }) => {
            return Outcome::not_processed(error, None, Patience::Run);
        }
        Err(TransportError { stage: Stage::Sent, error }) => {
            // An answer that cannot be used is one all the same: Vault had done its work.
            let answered = error.kind() == Kind::Protocol;
            return Outcome::Ambiguous { error, transient: !answered, cut_off: !answered };
        }
        Err(TransportError { stage: Stage::Astray, error }) => return Outcome::foreign(step, error),
        Err(TransportError { stage: Stage::Last | Stage::Barred, error }) => return Outcome::Final(error),
    };
    match reply.status {
        200..=299 => classify_success(step, &reply, peer, path, secrets),
        _ => failure::classify(step, &reply, peer, path, secrets),
    }
}

/// Security: a redirect and a certificate name places, and both are the server's words.
fn withhold(broken: TransportError, host: &str, secrets: &Secrets) -> TransportError {
    if broken.error.kind() != Kind::Protocol || !secrets.stand_in(&broken.error.render(true)) {
        return broken;
    }
    let error = Error::new(Kind::Protocol, format!("the answer from {host} cannot be used; {WITHHELD}"));
    TransportError { error, ..broken }
}

fn classify_success(step: Step, reply: &Reply, peer: &Peer, path: &str, secrets: &Secrets) -> Outcome {
    let host = &peer.host;
    if reply.body.is_empty() && step.may_be_silent() && matches!(reply.status, 202 | 204) {
        return Outcome::Done(Box::default());
    }
    if !reply.json {
        return Outcome::unusable(failure::not_vault(reply, peer, secrets));
    }
    let Some(envelope) = wire::parse::<Envelope>(&reply.body) else {
        let error = Error::new(Kind::Protocol, format!("the answer from {host} to {path} is not JSON from Vault"))
            .hint("check for a proxy or a login page in between: curl the address from this runner");
        return Outcome::unusable(error);
    };
    if envelope.wrap_info.is_some() && step != Step::LookupNamespace {
        let error = Error::new(Kind::Data, format!("the answer to {path} is wrapped, which ci-creds did not ask for"))
            .hint("does a proxy add X-Vault-Wrap-TTL? does the policy demand a wrapped answer (min_wrapping_ttl)?");
        return Outcome::unusable(error);
    }
    // A lease ID begins with the path, which is ours, and ends with the namespace's id, which is in the token too; the
    // rest of it is the server's, and is told.
    let drawn = envelope.lease_id.strip_prefix(path).unwrap_or(&envelope.lease_id);
    let drawn = drawn.rsplit_once('.').map_or(drawn, |(drawn, _)| drawn);
    // What renews a lease names it, and the key's own name can stand in its path.
    if step != Step::RenewLease && secrets.stand_in(drawn) {
        let error = Error::new(Kind::Data, format!("the lease ID in the answer to {path} repeats a secret"));
        return Outcome::unusable(error);
    }
    Outcome::Done(Box::new(envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::failure::tests::answer;
    use crate::vault::step::STEPS;
    use zeroize::Zeroizing;

    fn reply(status: u16, content_type: &str, body: &str) -> Outcome {
        reply_to(Step::Mint, status, content_type, body)
    }

    fn reply_to(step: Step, status: u16, content_type: &str, body: &str) -> Outcome {
        let (reply, secrets) = answer(status, content_type, body);
        classify(step, Ok(reply), &Peer::named("vault:8200"), "aws/sts/x", &secrets)
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
            (429, JSON, "{\"errors\":[]}".into(), ("not processed", Some(Kind::Temporary))),
            (429, "text/html", "<html>".into(), ("not processed", Some(Kind::Temporary))),
            (472, JSON, failed(""), ("not processed", Some(Kind::Unavailable))),
            (473, JSON, failed(""), ("not processed", Some(Kind::Unavailable))),
            (474, JSON, failed(""), ("refused", None)),
            (500, JSON, failed("internal error"), ("ambiguous", Some(Kind::Unavailable))),
            (500, JSON, failed("rpc error: context deadline exceeded"), ("cut off", Some(Kind::Unavailable))),
            (500, JSON, failed("context canceled"), ("cut off", Some(Kind::Unavailable))),
            (500, JSON, failed("failed to get the response: EOF"), ("cut off", Some(Kind::Unavailable))),
            (500, JSON, failed("missing role_id"), ("refused", None)),
            (500, JSON, failed("failed to determine alias name from login request"), ("refused", None)),
            (500, JSON, failed("missing name in alias"), ("refused", None)),
            (
                500,
                JSON,
                failed("1 error occurred:\\n\\t* Exoscale secret engine not configured\\nhint: x"),
                ("refused", None),
            ),
            (
                500,
                JSON,
                failed("1 error occurred:\\n\\t* error converting input soon for field \\\"ttl\\\": x\\n\\n"),
                ("refused", None),
            ),
            (500, JSON, failed("failed to create key: zone not configured"), ("ambiguous", Some(Kind::Unavailable))),
            (500, JSON, failed("missing role_id in x"), ("ambiguous", Some(Kind::Unavailable))),
            (
                500,
                JSON,
                failed("local node not active but active cluster node not found"),
                ("not processed", Some(Kind::Unavailable)),
            ),
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
            (
                503,
                JSON,
                failed(
                    "API access to this namespace has been locked by an administrator - \\\"team/\\\" must be unlocked",
                ),
                ("not processed", Some(Kind::Unavailable)),
            ),
            (503, JSON, failed("node is not active - x"), ("not processed", Some(Kind::Unavailable))),
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
    fn nothing_of_an_answer_that_is_told_repeats_a_secret() {
        let told = |outcome| match outcome {
            Outcome::Final(error) | Outcome::Ambiguous { error, .. } => error.render(true),
            other => panic!("{other:?}"),
        };
        let html = told(reply(400, "text/7f8f90f4-b2f5", "<html>"));
        assert!(html.contains("withheld") && !html.contains("7f8f"), "{html}");
        let lease = told(reply(200, "application/json", "{\"lease_id\":\"aws/sts/x/7f8f90f4-b2f5\"}"));
        assert!(lease.contains("the lease ID in the answer to aws/sts/x repeats a secret"), "{lease}");
        // The path is ours.
        let secrets = Secrets::default();
        secrets.note("aws/sts/x");
        secrets.note("hvs.Secret");
        let body = Zeroizing::new(b"{\"lease_id\":\"aws/sts/x/4OzJ1xW9\"}".to_vec());
        let reply = Reply { status: 200, json: true, content_type: String::new(), retry_after: None, body };
        assert!(matches!(
            classify(Step::Mint, Ok(reply), &Peer::named("vault"), "aws/sts/x", &secrets),
            Outcome::Done(_)
        ));

        // In a namespace, its id stands behind a dot at the end of every token and of every lease ID.
        secrets.note("s.qPzcVJ8yTmab.NS1234");
        for (id, usable) in [("4OzJ1xW9ab.NS1234", true), ("4OzqPzcVJ8y.NS1234", false)] {
            let body = Zeroizing::new(format!("{{\"lease_id\":\"aws/sts/x/{id}\"}}").into_bytes());
            let reply = Reply { status: 200, json: true, content_type: String::new(), retry_after: None, body };
            let done = matches!(
                classify(Step::Mint, Ok(reply), &Peer::named("vault"), "aws/sts/x", &secrets),
                Outcome::Done(_)
            );
            assert_eq!(done, usable, "{id}");
        }

        for (kind, withheld) in [(Kind::Protocol, true), (Kind::Unavailable, false)] {
            let error = Error::new(kind, "x redirects to y").hint("--redirect-host h-v-s-s-e-c-r-e-t");
            let broken = TransportError { stage: Stage::Last, error };
            let Outcome::Final(error) = classify(Step::Mint, Err(broken), &Peer::named("vault"), "aws/sts/x", &secrets)
            else {
                panic!("not final")
            };
            assert_eq!((error.kind(), error.render(true).contains("withheld")), (kind, withheld), "{error:?}");
        }
    }

    #[test]
    fn only_a_revocation_is_done_when_vault_says_nothing() {
        for step in STEPS {
            let silent = matches!(step, Step::RevokeSelf | Step::RevokeLease | Step::QueueRevocation);
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
            let broken = TransportError { stage, error: Error::new(kind, "x") };
            name(&classify(step, Err(broken), &Peer::named("vault:8200"), "aws/sts/x", &Secrets::default())).0
        };
        let broken = |stage, kind| of_step(Step::Mint, stage, kind);
        for stage in [Stage::NotSent, Stage::Leaderless] {
            assert_eq!(broken(stage, Kind::Unavailable), "not processed");
        }
        assert_eq!(broken(Stage::Sent, Kind::Unavailable), "cut off");
        assert_eq!(broken(Stage::Sent, Kind::Protocol), "ambiguous for good");
        assert_eq!(broken(Stage::Last, Kind::Protocol), "final");
        assert_eq!(broken(Stage::Barred, Kind::Protocol), "final");
        assert_eq!(broken(Stage::Astray, Kind::Protocol), "ambiguous for good");
        assert_eq!(of_step(Step::LoginOnce, Stage::Astray, Kind::Protocol), "final");
    }
}
