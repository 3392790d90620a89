//! What must hold of AWS where it stands in Vault's place: who sees the ID token, what is sent again, and what is told of a
//! session that nobody got.

use dev_vault::{AWS_SESSION, Recorded, SECOND_KEYS};

use super::errand::Errand;
use super::job::Job;
use crate::support::expect::did_not_act;
use crate::support::{Ran, leak};

/// How a run tells of a session that it did not deliver: none can be revoked.
const REMAINS: &str = "may remain: nobody can revoke it, and it expires within";

const SHOWS_THE_TOKEN: &str = "Action=AssumeRoleWithWebIdentity&";
const IS_SIGNED: &str = "Action=AssumeRole&";

/// The keys of the first role, and of the second one.
pub fn first_keys() -> [&'static str; 3] {
    [AWS_SESSION.id, AWS_SESSION.secret, AWS_SESSION.session.expect("temporary credentials")]
}

/// What no run may say of them on stderr.
pub const SECOND_SECRETS: [&str; 2] = [SECOND_KEYS[1], SECOND_KEYS[2]];

fn body(request: &Recorded) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&request.body)
}

/// Whether the client has an answer that the same request gets again. Of what was cut, it knows only that it was cut.
fn is_final(request: &Recorded) -> bool {
    let is_whole = !["cut_answer", "reset_answer"].contains(&request.fault.unwrap_or_default());
    is_whole && request.status.is_some_and(|status| status < 500 && !did_not_act(Some(status)) && status != 408)
}

/// After any run at all.
pub fn hold(job: &Job, ran: &Ran, (errand, format): (Errand, &str), told: &str) {
    let Some(sts) = &job.sts else { return };
    assert_eq!(job.world.vault.connections(), 0, "Vault was asked, or a redirect was followed: {told}");
    assert_ne!(ran.code, 80, "what expires by itself is no leak: {told}");
    let requests = sts.requests();
    for request in &requests {
        let token = body(request);
        let token = token.split_once("WebIdentityToken=").map(|(_, token)| token);
        assert_eq!(leak::find(token, &format!("{}{}", ran.stdout, ran.stderr)), None, "{told}");
        assert!(job.of_vault().all(|secret| !body(request).contains(secret)), "AWS is shown what is Vault's: {told}");
    }
    assert!(is_in_order(&requests), "sent again after an answer: {told}");
    let made = |action| requests.iter().filter(|request| request.processed && body(request).contains(action)).count();
    let (first, second) = (made(SHOWS_THE_TOKEN), made(IS_SIGNED));
    let used = usize::from(ran.code == 0);
    let lost = first + second - used * if errand == Errand::Chained { 2 } else { 1 };
    // The SDKs show what a helper says, so that one which succeeds says only what somebody must look after.
    let is_silent = format == "process" && ran.code == 0;
    assert!(lost == 0 || is_silent || ran.stderr.contains(REMAINS), "{told}\nnobody is told of {lost} sessions");
}

/// Nothing is spent, so a request is sent again where that may help; and only there.
fn is_in_order(requests: &[Recorded]) -> bool {
    requests.windows(2).filter(|pair| is_final(&pair[0])).all(|pair| {
        pair[0].status == Some(200)
            && body(&pair[0]).contains(SHOWS_THE_TOKEN)
            // Of a request that was cut the stand-in has no body.
            && (pair[1].body.is_empty() || body(&pair[1]).contains(IS_SIGNED))
    })
}

#[test]
fn a_request_that_is_sent_again_after_an_answer_is_found() {
    let request = |action: &str, status, fault| Recorded {
        body: format!("{action}RoleArn=x").into_bytes(),
        status,
        fault,
        ..Recorded::default()
    };
    let shows = |status| request(SHOWS_THE_TOKEN, status, None);
    let signed = |status| request(IS_SIGNED, status, None);
    assert!(is_in_order(&[
        shows(None),
        shows(Some(503)),
        shows(Some(429)),
        shows(Some(200)),
        signed(None),
        signed(Some(200))
    ]));
    assert!(is_in_order(&[request(SHOWS_THE_TOKEN, Some(200), Some("cut_answer")), shows(Some(200))]));
    for status in [200, 204, 302, 400, 403] {
        assert!(!is_in_order(&[shows(Some(status)), shows(Some(200))]), "{status}");
        assert!(!is_in_order(&[shows(Some(200)), signed(Some(status)), signed(Some(200))]), "{status}");
    }
    assert!(!is_in_order(&[shows(Some(403)), signed(Some(200))]));
}
