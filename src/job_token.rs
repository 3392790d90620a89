//! Requests the job's ID token from its CI system: by HTTP, or from a program of the system's own.
//!
//! A request may be repeated: a token more costs nothing, and is good for a few minutes. Nothing of an answer, of a
//! program's words or of what proves the request is ever in a message.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::ci::{JobToken, TokenEndpoint};
use crate::claims::Claims;
use crate::config::{ANSWER, TokenRequest, TokenTarget};
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb, is_header_text};
use crate::http::{ServiceHints, Stage};
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::vault::retry::parse_retry_after;

/// The first pause at most, and every pause at most: full jitter below a bound that doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const HINTS: ServiceHints = ServiceHints {
    reach: "check that this runner can reach it (network, HTTPS_PROXY, NO_PROXY, firewall)",
    trust: "the CI system is checked against the system's roots: add its CA to them; what is set for Vault does not count",
};

/// Reads the roots that the CI system is checked against.
///
/// # Errors
/// [`Kind::Config`] when this system has none.
pub(crate) fn read_roots(request: &mut TokenRequest, host: &Host) -> Result<()> {
    let TokenTarget::Http { connection, .. } = &mut request.target else { return Ok(()) };
    connection.read_roots(host).map_err(|error| {
        error.hint("install ca-certificates in the image: the CA that is set for Vault does not cover the CI system")
    })
}

/// Requests the token, for so long. It is a secret of this run, and is kept nowhere.
///
/// # Errors
/// [`Kind::Denied`] when the CI system refuses, [`Kind::Unavailable`] when it does not answer in the time of the run,
/// [`Kind::Protocol`] for an answer without a token, [`Kind::Input`] when a program does not give one.
pub(crate) async fn request(request: &TokenRequest, patience: Duration, host: &Host) -> Result<JobToken> {
    let token = match &request.target {
        TokenTarget::Program { path, arguments } => host.ask_tool(path, arguments)?,
        TokenTarget::Http { .. } => by_http(request, host.elapsed() + patience, host).await?,
    };
    let title = request.system.facts().title;
    let wrong = |what: &str| Error::new(Kind::Protocol, format!("the ID token of {title} {what}"));
    let is_text =
        token.expose().len() <= LONGEST_TOKEN && token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    let claims = is_text.then(|| Claims::from_token(&token)).flatten().ok_or_else(|| wrong("is not a JWT"))?;
    let audiences = claims.audiences();
    if let Some(asked) = request.audience.as_ref().filter(|asked| !audiences.contains(asked)) {
        return Err(wrong(&format!(
            "is for {}, although it was requested for {}",
            sanitized(&audiences.join(", ")),
            sanitized(asked)
        )));
    }
    let origin = Origin::Variable(title.to_owned());
    Ok(JobToken {
        token: WithOrigin { value: token, origin },
        key: request.key.as_ref().map(Secret::duplicate),
        system: request.system,
    })
}

/// As for a token from a variable.
const LONGEST_TOKEN: usize = 64 << 10;

async fn by_http(request: &TokenRequest, deadline: Duration, host: &Host) -> Result<Secret> {
    let TokenTarget::Http { endpoint, connection, query, token } = &request.target else {
        return Err(Error::new(Kind::Internal, "a program has no URL"));
    };
    let client = ServiceClient::new(connection, HINTS)?;
    let authorization = Secret::new(format!("{}{}", endpoint.scheme, token.expose()));
    if !is_header_text(authorization.expose()) {
        let text = "what the CI system gave the job to request an ID token with cannot be sent in a header";
        return Err(Error::new(Kind::Input, text));
    }
    let mut headers = vec![("accept", "application/json".to_owned())];
    let verb = if endpoint.post { Verb::Post } else { Verb::Get };
    if endpoint.post {
        // Azure's own clients send an empty JSON body, and a redirect to its login page is suppressed.
        let empty =
            [("content-type", "application/json"), ("content-length", "0"), ("x-tfs-fedauthredirect", "Suppress")];
        headers.extend(empty.map(|(name, value)| (name, value.to_owned())));
    }
    let mut bound = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_sub(host.elapsed());
        let timeout = ANSWER.min(left);
        let proof = Some(("authorization", &authorization));
        let sent = ServiceRequest { verb, path: query, query: &[], proof, headers: &headers, body: None, timeout };
        let (error, asked) = match client.send(&sent).await {
            Ok(answer) => match judge(&answer, request, endpoint, &client.peer.host) {
                TokenAnswer::Token(token) => return Ok(token),
                TokenAnswer::Refusal(error) => return Err(error),
                TokenAnswer::Busy(error) => {
                    (error, answer.retry_after.and_then(|text| parse_retry_after(&text, host.now())))
                }
            },
            Err(broken) if broken.error.kind() == Kind::Unavailable && broken.stage != Stage::Last => {
                (broken.error, None)
            }
            Err(broken) => return Err(broken.error),
        };
        let pause = asked.unwrap_or_default().saturating_add(bound.mul_f64(fastrand::f64()));
        let left = deadline.saturating_sub(host.elapsed());
        if !request.repeats || pause >= left {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        bound = (bound * 2).min(LONGEST_PAUSE);
    }
}

/// What an answer comes to.
enum TokenAnswer {
    Token(Secret),
    /// The same request would get it again.
    Refusal(Error),
    /// The next one may fare better.
    Busy(Error),
}

fn judge(answer: &ServiceReply, request: &TokenRequest, endpoint: &TokenEndpoint, peer: &str) -> TokenAnswer {
    let facts = request.system.facts();
    let status = answer.status;
    let error = |kind, what: &str| Error::new(kind, format!("{} {what} ({peer}, {status})", facts.title));
    match status {
        200 => match field(&answer.body, endpoint.field) {
            Some(token) => TokenAnswer::Token(token),
            None => TokenAnswer::Refusal(error(
                Kind::Protocol,
                &format!("answered without `{}`: there is no ID token in it", endpoint.field),
            )),
        },
        401 | 403 => TokenAnswer::Refusal(error(Kind::Denied, "refused to sign an ID token").hint(&request.setup)),
        429 | 502..=504 => {
            TokenAnswer::Busy(error(Kind::Unavailable, "did not sign an ID token").hint("run the job again later"))
        }
        300..=399 => TokenAnswer::Refusal(
            error(Kind::Protocol, "redirects the request for an ID token, which is not followed")
                .hint(format!("leave {} as {} sets it", endpoint.url, facts.title)),
        ),
        500..=599 => {
            TokenAnswer::Refusal(error(Kind::Unavailable, "failed to sign an ID token").hint("run the job again later"))
        }
        _ => TokenAnswer::Refusal(error(Kind::Protocol, "did not sign an ID token").hint(&request.setup)),
    }
}

/// The text of a field of the answer.
fn field(body: &[u8], name: &str) -> Option<Secret> {
    let Value::Object(mut fields) = serde_json::from_slice(body).ok()? else { return None };
    let Value::String(text) = fields.remove(name)? else { return None };
    let text = Zeroizing::new(text);
    (!text.trim().is_empty()).then(|| Secret::new(text.trim().to_owned()))
}
