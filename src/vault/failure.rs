//! What a status other than 2xx means: Vault's own, and that of a proxy in front of it.

mod row;

use super::echo::Secrets;
use super::outcome::{Outcome, Patience};
use super::refusal::{Refusal, Row, Says, word};
use super::step::Step;
use super::wire::{self, Envelope, ErrorResponse};
use crate::error::Error;
use crate::http::{Peer, Reply};
use crate::mint::{Data, Datum};
use row::{
    BAD_GATEWAY, BEHIND, FAILED, LEADERLESS, NAMESPACE_LOCKED, NAMESPACE_SEALED, NO_ACTIVE_NODE, NO_LEADER, NO_LEASE,
    NO_PATH, NOT_ACTIVE, NOT_INITIALISED, NOT_VAULT, PROXY_FAILED, PROXY_LIMIT, QUOTA, SEALED, SPEAKS_TLS, STANDBY,
    WANTS_TLS,
};

pub(crate) use row::{NAMESPACES, TABLES};

/// What a Vault says with 503 that does not serve, and how long to go on asking. 1.8 puts "error performing token check: "
/// before the first, and a locked namespace is named behind the last.
///
/// The last one is Vault's own: nobody who stands before it knows the namespace's lock.
const SILENT: [(Row, Patience); 5] = [
    (SEALED, Patience::Run),
    (NOT_ACTIVE, Patience::Run),
    (NO_ACTIVE_NODE, Patience::Run),
    (NAMESPACE_SEALED, Patience::Run),
    (NAMESPACE_LOCKED, Patience::Certain),
];

/// The row of a Vault that does not serve, and how long to go on asking. More text can follow what it says, but no other
/// sentence.
fn is_not_serving(raw: &str) -> Option<&'static (Row, Patience)> {
    let fits =
        |text: &str| raw.split_once(text).is_some_and(|(_, rest)| rest.trim().is_empty() || rest.starts_with(" - "));
    SILENT.iter().find(|(row, _)| matches!(row.says, Says::Text(texts) if texts.iter().any(|text| fits(text))))
}

/// What Vault refuses with 500 although it did nothing: a login without a role ID, or one whose user has no name.
const REFUSED: [&str; 3] =
    ["missing role_id", "failed to determine alias name from login request", "missing name in alias"];

/// How the refusal of a login begins that Vault answers with 500: of a certificate, and of the Kubernetes method, up to Vault
/// 1.8 with every claim that does not fit.
const REFUSED_LOGINS: [&str; 9] = [
    "failed to verify client's certificate: ",
    "could not load backend configuration",
    "decoding failed",
    "1 error(s) decoding",
    "claim \"aud\" is invalid",
    "claim \"iss\" is invalid",
    "service account name not authorized",
    "namespace not authorized",
    "not a compact JWS",
];

/// Whether Vault looked at the request and did nothing. Vault 1.8 refuses a field so that it cannot read. An engine without a configuration says so before anything else;
/// what failed on the way would stand before a colon.
fn is_refused(raw: &str) -> bool {
    let text = raw.strip_prefix("1 error occurred:").unwrap_or(raw);
    let line = text.trim_start_matches([' ', '\n', '\t', '*']).lines().next().unwrap_or_default();
    REFUSED.contains(&line)
        || (line.ends_with(" not configured") && !line.contains(':'))
        || (line.starts_with("error converting input ") && line.contains(" for field "))
}

fn is_refused_login(raw: &str) -> bool {
    REFUSED_LOGINS.iter().any(|start| raw.starts_with(start))
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
const UNREGISTERED: &str = "1 error occurred:\n\t* internal error\n\n";

/// Reads the answer of a failed request. `secrets` are those of the run, which no message repeats.
pub(super) fn classify(step: Step, reply: &Reply, peer: &Peer, path: &str, secrets: &Secrets) -> Outcome {
    let Some(errors) =
        reply.json.then(|| wire::parse::<ErrorResponse>(&reply.body)).flatten().map(|failure| failure.errors)
    else {
        return classify_foreign(step, reply, peer, path, secrets);
    };
    let raw = errors.first().map_or("", String::as_str);
    let reason = secrets.quote(raw);
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let error = |row: &Row| {
        word(row, &|name| match name {
            "host" => peer.host.clone(),
            "address" => peer.address.clone(),
            "path" => path.to_owned(),
            "status" => reply.status.to_string(),
            _ => said.clone(),
        })
    };
    let not_processed = |row, patience| Outcome::not_processed(error(row), reply.retry_after.clone(), patience);
    let cut_off = CUT_OFF.iter().any(|words| raw.contains(words));
    if let (503, Some((row, patience))) = (reply.status, is_not_serving(raw)) {
        return not_processed(row, *patience);
    }
    match reply.status {
        412 => not_processed(&BEHIND, Patience::Run),
        // A standby of OpenBao's that is behind the index that it was sent. A quota has a text.
        429 if errors.is_empty() => not_processed(&BEHIND, Patience::Run),
        429 => not_processed(&QUOTA, patience_with_a_quota(raw, path)),
        472 | 473 => not_processed(&STANDBY, Patience::Run),
        500 if raw == NO_LEADER => not_processed(&LEADERLESS, Patience::Run),
        500 if is_refused(raw) || step == Step::Login && is_refused_login(raw) => {
            Outcome::Refused(Refusal { status: reply.status, reason })
        }
        501 => Outcome::Final(error(&NOT_INITIALISED)),
        502 => failed(error(&BAD_GATEWAY), cut_off),
        500 if step == Step::Mint && raw == UNREGISTERED => failed(error(&NO_LEASE), cut_off),
        500..=599 => failed(error(&FAILED), cut_off),
        _ => Outcome::Refused(Refusal { status: reply.status, reason }),
    }
}

/// A failure whose text is not Vault's: a proxy or load balancer speaks.
fn classify_foreign(step: Step, reply: &Reply, peer: &Peer, path: &str, secrets: &Secrets) -> Outcome {
    let error = |row: &Row| {
        word(row, &|name| match name {
            "host" => peer.host.clone(),
            "address" => peer.address.clone(),
            "path" => path.to_owned(),
            _ => reply.status.to_string(),
        })
    };
    match reply.status {
        404 if reply.json && is_of_a_secret(step) && describe_absence(reply).is_some() => {
            let reason = describe_absence(reply).map(|text| secrets.quote(&text)).unwrap_or_default();
            Outcome::Refused(Refusal { status: reply.status, reason })
        }
        // ServeMux and Vault itself answer some 404 and 405 without the list, as anybody can.
        404 | 405 if reply.json && step == Step::Mint => Outcome::unusable(error(&NO_PATH)),
        404 | 405 if reply.json => Outcome::Refused(Refusal { status: reply.status, reason: String::new() }),
        429 => Outcome::not_processed(error(&PROXY_LIMIT), reply.retry_after.clone(), Patience::Run),
        // One that waits no longer for Vault closes its connection to it.
        500..=599 => failed(error(&PROXY_FAILED), true),
        // Whoever answers so has read no request, of whichever kind.
        _ if wants_tls(reply) => Outcome::Final(not_vault(reply, peer, secrets)),
        _ => Outcome::foreign(step, not_vault(reply, peer, secrets)),
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
        Some((_, Datum::Text(text))) => text.expose().to_owned(),
        _ => String::new(),
    };
    let destroyed = if members.flag("destroyed") { "true" } else { "" };
    Some(match (destroyed, text("deletion_time")) {
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

pub(super) fn wants_tls(reply: &Reply) -> bool {
    let text = String::from_utf8_lossy(&reply.body);
    reply.status == 400 && WANTS_TLS.iter().any(|words| text.contains(words))
}

/// The error of an answer that no Vault gives.
pub(super) fn not_vault(reply: &Reply, peer: &Peer, secrets: &Secrets) -> Error {
    let row = if wants_tls(reply) { &SPEAKS_TLS } else { &NOT_VAULT };
    word(row, &|name| match name {
        "host" => peer.host.clone(),
        "address" => peer.address.clone(),
        "status" => reply.status.to_string(),
        _ if reply.content_type.is_empty() => "no content type".into(),
        _ => secrets.quote(&reply.content_type),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// An answer of Vault's, to a request with three secrets in it.
    pub(in crate::vault) fn answer(status: u16, content_type: &str, body: &str) -> (Reply, Secrets) {
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
        (reply, secrets)
    }

    fn reply(status: u16, content_type: &str, body: &str) -> Outcome {
        let (reply, secrets) = answer(status, content_type, body);
        classify(Step::Mint, &reply, &Peer::named("vault:8200"), "aws/sts/x", &secrets)
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
