//! Requests the job's ID token from its CI system, by HTTP or from a program of the system's own; or from STS of AWS.
//!
//! A request may be repeated: a token more costs nothing, and is good for a few minutes. Nothing of an answer, of a
//! program's words or of what proves the request is ever in a message.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::aws::assume::parse_refusal;
use crate::aws::{self, Repeat, runner, sts, web_token};
use crate::ci::{JobToken, TokenEndpoint};
use crate::claims::Claims;
use crate::config::{ANSWER, Plan, StsTarget, TokenRequest, TokenTarget};
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb, is_header_text};
use crate::http::{ServiceHints, Stage, TransportError};
use crate::identity::{AwsKeys, Login};
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::time::Backoff;
use crate::vault::retry::parse_retry_after;

/// The first pause at most, and every pause at most: full jitter below a bound that doubles.
const PAUSE: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

const HINTS: ServiceHints = ServiceHints {
    reach: "check that this runner can reach it (network, HTTPS_PROXY, NO_PROXY, firewall)",
    trust: "the CI system is checked against the system's roots: add its CA to them; what is set for Vault does not count",
};

const STS_HINTS: ServiceHints = ServiceHints {
    reach: "check that this runner can reach STS (network, HTTPS_PROXY, NO_PROXY, firewall), and --sts-region",
    trust: sts::TRUST_HINT,
};

/// Reads the roots that the CI system or STS is checked against.
///
/// # Errors
/// [`Kind::Config`] when this system has none.
pub(crate) fn read_roots(request: &mut TokenRequest, host: &Host) -> Result<()> {
    let connection = match &mut request.target {
        TokenTarget::Http { connection, .. } => connection.as_mut(),
        TokenTarget::Sts(target) => &mut target.connection,
        TokenTarget::Program { .. } => return Ok(()),
    };
    connection.read_roots(host).map_err(|error| {
        let title = request.system.facts().title;
        error.hint(format!("install ca-certificates in the image: the CA that is set for Vault does not cover {title}"))
    })
}

/// Requests the token, for so long. It is a secret of this run, and is kept nowhere.
///
/// # Errors
/// [`Kind::Denied`] or [`Kind::Config`] when the CI system or AWS refuses, [`Kind::Unavailable`] when it does not answer in the time of the run,
/// [`Kind::Protocol`] for an answer without a token, [`Kind::Input`] when a program does not give one.
pub(crate) async fn request(request: &TokenRequest, patience: Duration, host: &Host) -> Result<JobToken> {
    let deadline = host.elapsed() + patience;
    let mut key = request.key.as_ref().map(Secret::duplicate);
    let token = match &request.target {
        TokenTarget::Program { path, arguments } => host.ask_tool(path, arguments, patience).await?,
        TokenTarget::Http { .. } => by_http(request, deadline, host).await?,
        TokenTarget::Sts(target) => {
            let fresh = match runner::are_usable(&target.keys, host.now()) {
                true => None,
                false => Some(runner::fetch(&target.source, host).await?),
            };
            let keys = fresh.as_ref().unwrap_or(&target.keys);
            key = Some(keys.secret.duplicate());
            by_sts(target, keys, request, deadline, host).await?
        }
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
    Ok(JobToken { token: WithOrigin { value: token, origin }, key, system: request.system })
}

/// The login with a new ID token, where the first one was requested: a command that still runs has outlived that one.
/// `None`: the job has one token.
///
/// # Errors
/// As [`request`].
pub(crate) async fn request_again(plan: &Plan, patience: Duration, host: &Host) -> Result<Option<Login>> {
    let Some(asked) = &plan.token_request else { return Ok(None) };
    let token = request(asked, patience, host).await?.token.value;
    let claims = Claims::from_token(&token).unwrap_or_default();
    Ok(Some(plan.login.with_id_token(token, claims)))
}

/// As for a token from a variable.
const LONGEST_TOKEN: usize = 64 << 10;

/// Asks until there is an answer that would stay the same.
async fn ask(
    request: &TokenRequest,
    deadline: Duration,
    host: &Host,
    send: impl AsyncFn(Duration) -> TokenAnswer,
) -> Result<Secret> {
    let mut repeats = 0;
    loop {
        let left = deadline.saturating_sub(host.elapsed());
        let (error, asked) = match send(ANSWER.min(left)).await {
            TokenAnswer::Token(token) => return Ok(token),
            TokenAnswer::Refusal(error) => return Err(error),
            TokenAnswer::Busy(error, asked) => (error, asked),
        };
        let pause = asked.unwrap_or_default().saturating_add(PAUSE.bound(repeats).mul_f64(fastrand::f64()));
        let left = deadline.saturating_sub(host.elapsed());
        if !request.repeats || pause >= left {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        repeats += 1;
    }
}

async fn by_http(request: &TokenRequest, deadline: Duration, host: &Host) -> Result<Secret> {
    let TokenTarget::Http { endpoint, connection, query, token } = &request.target else {
        return Err(Error::new(Kind::Internal, "only an endpoint has a URL"));
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
    let proof = Some(("authorization", &authorization));
    ask(request, deadline, host, async |timeout| {
        let sent = ServiceRequest { verb, path: query, query: &[], proof, headers: &headers, body: None, timeout };
        match client.send(&sent).await {
            Ok(answer) => judge(&answer, request, endpoint, &client.peer.host, host),
            Err(broken) => judge_silence(broken),
        }
    })
    .await
}

/// Security: what asks is a signature over the host, the audience and the time; the secret key stays here.
async fn by_sts(
    target: &StsTarget,
    keys: &AwsKeys,
    request: &TokenRequest,
    deadline: Duration,
    host: &Host,
) -> Result<Secret> {
    let client = ServiceClient::new(&target.connection, STS_HINTS)?;
    let audience = request.audience.as_deref().unwrap_or_default();
    ask(request, deadline, host, async |timeout| {
        let now = host.now();
        let form = web_token::form(audience, keys, now);
        let headers = sts::form_headers(&target.authority, &target.region, now, keys, form.expose());
        let body = Some(form.expose());
        let (verb, path) = (Verb::Post, "/");
        let sent = ServiceRequest { verb, path, query: &[], proof: None, headers: &headers, body, timeout };
        let answer = match client.send(&sent).await {
            Ok(answer) => answer,
            Err(broken) => return judge_silence(broken),
        };
        let no_sts = |what: &str| {
            let error = Error::new(Kind::Protocol, format!("{} {what}", client.peer.host));
            TokenAnswer::Refusal(error.hint(format!(
                "check that the endpoint (from {}) is STS, and that no portal or proxy answers in its place",
                target.connection.address_origin
            )))
        };
        match answer.status {
            200..=299 => web_token::parse_token(&answer.body)
                .map_or_else(|| no_sts("does not answer as STS does"), TokenAnswer::Token),
            300..=399 => no_sts("redirects the request for an ID token, which is not followed"),
            status => {
                let refusal = parse_refusal(status, &answer.body);
                let error = web_token::describe(&refusal, audience, &target.region, &target.origin);
                match aws::repeat(&refusal) {
                    Repeat::InTime | Repeat::Once => TokenAnswer::Busy(error, None),
                    Repeat::Never => TokenAnswer::Refusal(error),
                }
            }
        }
    })
    .await
}

/// What an answer comes to.
enum TokenAnswer {
    Token(Secret),
    /// The same request would get it again.
    Refusal(Error),
    /// The next one may fare better, after the pause that was asked for.
    Busy(Error, Option<Duration>),
}

/// No answer, or half of one.
fn judge_silence(broken: TransportError) -> TokenAnswer {
    match broken.error.kind() == Kind::Unavailable && broken.stage != Stage::Last {
        true => TokenAnswer::Busy(broken.error, None),
        false => TokenAnswer::Refusal(broken.error),
    }
}

fn judge(
    answer: &ServiceReply,
    request: &TokenRequest,
    endpoint: &TokenEndpoint,
    peer: &str,
    host: &Host,
) -> TokenAnswer {
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
            let error = error(Kind::Unavailable, "did not sign an ID token").hint("run the job again later");
            TokenAnswer::Busy(error, answer.retry_after.as_deref().and_then(|text| parse_retry_after(text, host.now())))
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
