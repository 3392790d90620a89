//! What a status other than 2xx means: Vault's own, and that of a proxy in front of it.

use super::echo::Secrets;
use super::outcome::{Outcome, Patience};
use super::refusal::Refusal;
use super::step::Step;
use super::wire::{self, Envelope, ErrorResponse};
use crate::error::{Error, Kind};
use crate::http::Reply;
use crate::mint::{Data, Datum};

/// What a Vault says with 503 that does not serve, and what to do. 1.8 puts "error performing token check: " before the
/// first, and a locked namespace is named behind the last.
///
/// The last one is Vault's own: nobody who stands before it knows the namespace's lock.
const NOT_SERVING: [(&str, &str, Patience); 5] = [
    ("Vault is sealed", ACTIVE_NODE, Patience::Run),
    ("node is not active", ACTIVE_NODE, Patience::Run),
    ("no active Vault instance found", ACTIVE_NODE, Patience::Run),
    ("namespace is sealed", "an operator must unseal the namespace", Patience::Run),
    (
        "API access to this namespace has been locked by an administrator",
        "an administrator must unlock the namespace",
        Patience::Certain,
    ),
];

const ACTIVE_NODE: &str = "unseal Vault, or point VAULT_ADDR to the active node";

/// What to do about a Vault that does not serve, and how long to go on asking. More text can follow what it says, but no
/// other sentence.
fn is_not_serving(raw: &str) -> Option<(&'static str, Patience)> {
    let fits =
        |text: &str| raw.split_once(text).is_some_and(|(_, rest)| rest.trim().is_empty() || rest.starts_with(" - "));
    NOT_SERVING.iter().find(|(text, ..)| fits(text)).map(|(_, change, patience)| (*change, *patience))
}

/// What a standby answers with 500 while its cluster chooses a leader.
const LEADERLESS: &str = "local node not active but active cluster node not found";

/// What Vault refuses with 500 although it did nothing: a login without a role ID, or one whose user has no name.
const REFUSED: [&str; 3] =
    ["missing role_id", "failed to determine alias name from login request", "missing name in alias"];

/// Whether Vault looked at the request and did nothing. Vault 1.8 refuses a field so that it cannot read. An engine without a configuration says so before anything else;
/// what failed on the way would stand before a colon.
fn is_refused(raw: &str) -> bool {
    let text = raw.strip_prefix("1 error occurred:").unwrap_or(raw);
    let line = text.trim_start_matches([' ', '\n', '\t', '*']).lines().next().unwrap_or_default();
    REFUSED.contains(&line)
        || (line.ends_with(" not configured") && !line.contains(':'))
        || (line.starts_with("error converting input ") && line.contains(" for field "))
}

/// Vault's quota for a path is used up for less than its interval. A quota for leases lasts until others expire.
fn patience_with_a_quota(raw: &str, path: &str) -> Patience {
    if raw.contains("lease count quota exceeded") {
        Patience::Counted
    } else if raw.ends_with(&format!("{path}\": rate limit quota exceeded")) {
        Patience::Certain
    } else {
        Patience::Run
    }
}

/// What Vault says when its own time for a request is over, or its client gone, and a Vault Agent that lost the answer.
const CUT_OFF: [&str; 3] = ["context deadline exceeded", "context canceled", "failed to get the response: "];

/// What stands in the answer when a lease could not be registered, and in that of some other failures.
const NO_LEASE: &str = "1 error occurred:\n\t* internal error\n\n";

/// Reads the answer of a failed request. `secrets` are those of the run, which no message repeats.
pub(super) fn classify(step: Step, reply: &Reply, host: &str, path: &str, secrets: &Secrets) -> Outcome {
    let unavailable = |text: String| Error::new(Kind::Unavailable, text);
    let Some(errors) =
        reply.json.then(|| wire::parse::<ErrorResponse>(&reply.body)).flatten().map(|failure| failure.errors)
    else {
        return classify_foreign(step, reply, host, path, secrets);
    };
    let raw = errors.first().map_or("", String::as_str);
    let reason = secrets.quote(raw);
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let not_processed = |error, patience| Outcome::not_processed(error, reply.retry_after.clone(), patience);
    let cut_off = CUT_OFF.iter().any(|words| raw.contains(words));
    if let (503, Some((change, patience))) = (reply.status, is_not_serving(raw)) {
        let error = unavailable(format!("{host} does not serve (503){said}")).hint(change);
        return not_processed(error, patience);
    }
    match reply.status {
        412 => not_processed(behind(host, reply.status), Patience::Run),
        // A standby of OpenBao's that is behind the index that it was sent. A quota has a text.
        429 if errors.is_empty() => not_processed(behind(host, reply.status), Patience::Run),
        429 => not_processed(
            Error::new(Kind::Temporary, format!("{host} limits the rate of requests to {path} (429){said}")).hint(
                "re-run the job later, or raise the quota for this path: vault read sys/quotas/rate-limit/…"
                    .replace('…', "NAME"),
            ),
            patience_with_a_quota(raw, path),
        ),
        472 | 473 => not_processed(
            unavailable(format!("{host} is a standby ({})", reply.status)).hint("point VAULT_ADDR to the active node"),
            Patience::Run,
        ),
        500 if raw == LEADERLESS => not_processed(
            unavailable(format!("{host} is a standby, and knows no leader (500){said}"))
                .hint("re-run the job when the cluster has a leader: vault status"),
            Patience::Run,
        ),
        500 if is_refused(raw) => Outcome::Refused(Refusal { status: reply.status, reason }),
        501 => Outcome::Final(unavailable(format!("{host} is not initialised (501)")).hint("vault operator init")),
        502 => failed(
            unavailable(format!("{host} got no answer from what is behind it (502){said}"))
                .hint("the cloud may be throttling Vault: re-run the job later"),
            cut_off,
        ),
        500 if step == Step::Mint && raw == NO_LEASE => failed(
            unavailable(format!("{host} failed on {path} (500){said}"))
                .also("if it is a standby of OpenBao, it cannot register a lease: point VAULT_ADDR to the active node")
                .hint("Vault's own log says more"),
            cut_off,
        ),
        500..=599 => failed(
            unavailable(format!("{host} failed on {path} ({}){said}", reply.status)).hint("Vault's own log says more"),
            cut_off,
        ),
        _ => Outcome::Refused(Refusal { status: reply.status, reason }),
    }
}

fn behind(host: &str, status: u16) -> Error {
    Error::new(Kind::Temporary, format!("{host} does not have the newest state yet ({status})")).hint("re-run the job")
}

/// A failure whose text is not Vault's: a proxy or load balancer speaks.
fn classify_foreign(step: Step, reply: &Reply, host: &str, path: &str, secrets: &Secrets) -> Outcome {
    match reply.status {
        404 if reply.json && is_of_a_secret(step) && describe_absence(reply).is_some() => {
            let reason = describe_absence(reply).map(|text| secrets.quote(&text)).unwrap_or_default();
            Outcome::Refused(Refusal { status: reply.status, reason })
        }
        // ServeMux and Vault itself answer some 404 and 405 without the list, as anybody can.
        404 | 405 if reply.json && step == Step::Mint => Outcome::unusable(
            Error::new(Kind::Config, format!("there is no {path} (status {})", reply.status))
                .hint("check --role and --mount; is a proxy in between?"),
        ),
        404 | 405 if reply.json => Outcome::Refused(Refusal { status: reply.status, reason: String::new() }),
        429 => Outcome::not_processed(
            Error::new(Kind::Temporary, format!("a proxy before {host} limits the rate of requests (429)"))
                .hint("re-run the job later"),
            reply.retry_after.clone(),
            Patience::Run,
        ),
        // One that waits no longer for Vault closes its connection to it.
        500..=599 => failed(
            Error::new(
                Kind::Unavailable,
                format!("a proxy or load balancer before {host} answers {}, not Vault", reply.status),
            )
            .hint("is Vault running behind it?"),
            true,
        ),
        // Whoever answers so has read no request, of whichever kind.
        _ if wants_tls(reply) => Outcome::Final(not_vault(reply, host, secrets)),
        _ => Outcome::foreign(step, not_vault(reply, host, secrets)),
    }
}

fn is_of_a_secret(step: Step) -> bool {
    matches!(step, Step::Mint | Step::ReadSecret)
}

/// What Vault's KV engines say with 404 and without a list of errors: that a version is deleted or destroyed, or that the
/// path is not one of theirs.
fn describe_absence(reply: &Reply) -> Option<String> {
    let envelope = wire::parse::<Envelope>(&reply.body)?;
    let metadata = envelope.data.as_ref().and_then(|data| data.0.iter().find(|(name, _)| name == "metadata"));
    let Some(members) = metadata.and_then(|(_, metadata)| metadata.members()).map(Data) else {
        return envelope.warnings.into_iter().find(|text| text.contains(NOT_OF_KV));
    };
    let version = members.number("version")?;
    let text = |name: &str| match members.0.iter().find(|(key, _)| key == name) {
        Some((_, Datum::Text(text) | Datum::Other(text))) => text.expose().to_owned(),
        _ => String::new(),
    };
    Some(match (text("destroyed").as_str(), text("deletion_time")) {
        ("true", _) => format!("{KV_VERSION}{version} is destroyed"),
        (_, time) if !time.is_empty() => format!("{KV_VERSION}{version} was deleted on {time}"),
        _ => return None,
    })
}

/// How [`describe_absence`] begins.
pub(crate) const KV_VERSION: &str = "version ";
/// What KV 2 warns of where a path has no `data/` behind the mount.
pub(crate) const NOT_OF_KV: &str = "Invalid path for a versioned K/V secrets engine";

fn failed(error: Error, cut_off: bool) -> Outcome {
    Outcome::Ambiguous { error, transient: true, cut_off }
}

/// How Go, and so Vault, and nginx answer plain http on a TLS port.
const WANTS_TLS: [&str; 2] = ["sent an HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

fn wants_tls(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(&reply.body);
    reply.status == 400 && WANTS_TLS.iter().any(|words| text.contains(words))
}

/// The error of an answer that no Vault gives.
pub(super) fn not_vault(reply: &Reply, host: &str, secrets: &Secrets) -> Error {
    if wants_tls(reply) {
        return Error::new(Kind::Protocol, format!("{host} speaks TLS, and the address begins with http://"))
            .hint("set VAULT_ADDR to the same address with https://");
    }
    let what =
        if reply.content_type.is_empty() { "no content type".into() } else { secrets.quote(&reply.content_type) };
    Error::new(Kind::Protocol, format!("the answer from {host} is not from Vault: status {}, {what}", reply.status))
        .hint("check for a proxy or a login page in between, and that VAULT_ADDR is the address of the API")
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn reply(status: u16, content_type: &str, body: &str) -> Outcome {
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
        classify(Step::Mint, &reply, "vault:8200", "aws/sts/x", &secrets)
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
            assert!(matches!(reply(400, "text/plain", words), Outcome::Final(_)), "{words}: nothing can be left");
            assert!(!tls(200, words) && !tls(403, words), "{words}");
        }
        assert!(!tls(400, "Bad Request"));
    }

    #[test]
    fn an_echoed_secret_is_withheld() {
        let body = "{\"errors\":[\"invalid secret_id \\\"7f8f90f4-b2f5\\\"\"]}";
        let Outcome::Refused(refusal) = reply(400, "application/json", body) else { panic!("not refused") };
        assert!(!refusal.because().contains("7f8f"), "{}", refusal.because());
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
}
