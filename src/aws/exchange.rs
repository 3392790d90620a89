//! Exchanges the job's ID token for a session of a role, by STS, and that one for a session of a second role.
//!
//! Nothing is used up by a request, and nothing of what it makes can be revoked: it is sent again where that may help, until
//! its deadline. What it may have made and nobody got is told.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;

use super::assume::{self, ASSUME_ROLE, FormFields, RoleSession, WITH_WEB_IDENTITY, describe_rest};
use super::refusal::{ASSUME, Repeat, WEB_IDENTITY, repeat};
use super::sts;
use crate::config::StsPlan;
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb};
use crate::http::transport::Connection;
use crate::http::{ServiceHints, Stage, TransportError};
use crate::identity::{AwsKeys, Login};
use crate::secret::Secret;
use crate::time::Backoff;
use crate::vault::refusal::{Refusal, explain};

/// The first pause at most, and every pause at most: full jitter below a bound that doubles.
const PAUSE: Backoff = Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(5) };
/// The deadline of one request: STS asks the issuer for its keys meanwhile.
const ANSWER: Duration = Duration::from_secs(20);

const HINTS: ServiceHints = ServiceHints {
    reach: "check that this runner can reach AWS (network, HTTPS_PROXY, NO_PROXY, firewall), and --region",
    trust: sts::TRUST_HINT,
};

/// STS, as one run asks it.
pub(crate) struct Sts<'a> {
    http: ServiceClient,
    plan: &'a StsPlan,
    connection: &'a Connection,
    deadline: Duration,
    verbose: bool,
    host: &'a Host,
    /// What was asked for and nobody has got: STS has made it, or may have. The second role's session is the last one.
    open: RefCell<Vec<&'a FormFields>>,
}

impl<'a> Sts<'a> {
    /// Opens nothing yet. `deadline` counts from the start of the process.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(
        connection: &'a Connection,
        plan: &'a StsPlan,
        deadline: Duration,
        verbose: bool,
        host: &'a Host,
    ) -> Result<Self> {
        let http = ServiceClient::new(connection, HINTS)?;
        Ok(Self { http, plan, connection, deadline, verbose, host, open: RefCell::default() })
    }

    /// Shows the ID token, and assumes the second role where there is one. Says when the last request was sent.
    ///
    /// # Errors
    /// As the tables of refusals have them, with what may remain; [`Kind::Unavailable`] when STS does not answer until the deadline;
    /// [`Kind::Protocol`] for an answer that is none of STS.
    pub(crate) async fn obtain(&self, login: &Login) -> Result<(Timestamp, RoleSession)> {
        // Not the secret of its facts: with that, a token of this run alone was requested.
        let token = login.identity.id_token();
        let token =
            token.ok_or_else(|| Error::new(Kind::Internal, "STS takes an ID token, and this login has none"))?;
        let body = assume::body(WITH_WEB_IDENTITY, &self.plan.first, Some(token));
        // Security: no other header of AWS's. STS refuses a session token beside the ID token.
        let unsigned = |_: Timestamp| vec![("content-type", sts::FORM.to_owned())];
        let describe = |refusal: &Refusal| self.describe(refusal, login);
        let first = self.ask((WITH_WEB_IDENTITY, &self.plan.first), &body, &unsigned, &describe).await?;
        let Some(fields) = &self.plan.second else { return Ok(first) };
        self.assume_second(fields, first.1).await.map_err(|error| error.also(describe_rest(&self.plan.first)))
    }

    /// The error of a run that ended while STS was asked, with the sessions that may remain.
    pub(crate) fn interrupted(&self, error: Error) -> Error {
        self.open.borrow().iter().rev().fold(error, |error, fields| error.also(describe_rest(fields)))
    }

    async fn assume_second(&self, fields: &'a FormFields, first: RoleSession) -> Result<(Timestamp, RoleSession)> {
        let body = assume::body(ASSUME_ROLE, fields, None);
        let id = first.key.expose().to_owned();
        let keys = AwsKeys { id, secret: first.secret, session: Some(first.session), expires_at: None };
        let signed =
            |time: Timestamp| sts::form_headers(&self.plan.authority, &self.plan.region, time, &keys, body.expose());
        let value = |name: &str| match name {
            "first" => role_of(&self.plan.first),
            _ => role_of(fields),
        };
        self.ask((ASSUME_ROLE, fields), &body, &signed, &|refusal| explain(&ASSUME, refusal, &value)).await
    }

    /// Posts until there is an answer that stays the same, and tells of a session that nobody got.
    async fn ask(
        &self,
        (action, fields): (&str, &'a FormFields),
        body: &Secret,
        headers: &dyn Fn(Timestamp) -> Vec<(&'static str, String)>,
        describe: &dyn Fn(&Refusal) -> Error,
    ) -> Result<(Timestamp, RoleSession)> {
        let made = self.post((action, fields), body, headers, describe).await;
        made.map_err(|error| if self.is_open(fields) { error.also(describe_rest(fields)) } else { error })
    }

    fn is_open(&self, fields: &FormFields) -> bool {
        self.open.borrow().iter().any(|known| std::ptr::eq(*known, fields))
    }

    async fn post(
        &self,
        (action, fields): (&str, &'a FormFields),
        body: &Secret,
        headers: &dyn Fn(Timestamp) -> Vec<(&'static str, String)>,
        describe: &dyn Fn(&Refusal) -> Error,
    ) -> Result<(Timestamp, RoleSession)> {
        let mut pauses = 0;
        let mut was_repeated = false;
        loop {
            let sent = self.host.now();
            let left = self.deadline.saturating_sub(self.host.elapsed());
            let request = ServiceRequest {
                verb: Verb::Post,
                path: "/",
                query: &[],
                proof: None,
                headers: &headers(sent),
                body: Some(body.expose()),
                timeout: ANSWER.min(left),
            };
            let was_lost = self.is_open(fields);
            if !was_lost {
                // A signal can end the run before there is an answer.
                self.open.borrow_mut().push(fields);
            }
            let answer = self.http.send(&request).await;
            let status = answer.as_ref().map(|answer| answer.status).ok();
            self.tell(action, &status.map_or("no answer".to_owned(), |status| status.to_string()));
            if let Ok(answer) = &answer
                && answer.status == 200
                && let Some(session) = assume::parse_session(&answer.body, action)
            {
                if was_lost {
                    self.host.warn(format!("an answer of AWS was lost: {}", describe_rest(fields)));
                }
                return Ok((sent, session));
            }
            if !was_lost && !may_have_acted(&answer) {
                self.open.borrow_mut().pop();
            }
            let (error, repeats) = match answer {
                Ok(ServiceReply { status: 200..=299, .. }) => return Err(self.no_sts("does not answer as STS does")),
                Ok(ServiceReply { status: 300..=399, .. }) => {
                    return Err(self.no_sts("redirects the request, which is not followed"));
                }
                Ok(answer) => {
                    let refusal = assume::parse_refusal(answer.status, &answer.body);
                    (describe(&refusal), repeat(&refusal))
                }
                Err(broken) => judge_silence(broken)?,
            };
            let may_repeat = match repeats {
                Repeat::Never => false,
                Repeat::Once => !std::mem::replace(&mut was_repeated, true),
                Repeat::InTime => true,
            };
            let pause = PAUSE.bound(pauses).mul_f64(fastrand::f64());
            let left = self.deadline.saturating_sub(self.host.elapsed());
            if !may_repeat || self.connection.retries == 0 || pause >= left {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pauses += 1;
        }
    }

    fn no_sts(&self, what: &str) -> Error {
        let peer = &self.http.peer.host;
        Error::new(Kind::Protocol, format!("{peer} {what}")).hint(format!(
            "check that the endpoint (from {}) is STS, and that no portal or proxy answers in its place",
            self.connection.address_origin
        ))
    }

    fn describe(&self, refusal: &Refusal, login: &Login) -> Error {
        let claims = login.identity.claims();
        let text = |name: &str| claims.and_then(|claims| claims.text(name)).map(|text| sanitized(&text));
        explain(&WEB_IDENTITY, refusal, &|name| match name {
            "origin" => login.origin.to_string(),
            "role" => role_of(&self.plan.first),
            "aud" => claims.map(|claims| sanitized(&claims.audiences().join(", "))).unwrap_or_default(),
            name => text(name).unwrap_or_else(|| format!("(the token has no {name})")),
        })
    }

    fn tell(&self, action: &str, end: &str) {
        if self.verbose {
            self.host.write_stderr(&format!("ci-creds: POST {} {action}: {end}\n", self.http.peer.host));
        }
    }
}

/// Whether a request without an answer may be sent again.
fn judge_silence(TransportError { stage, error }: TransportError) -> Result<(Error, Repeat)> {
    match (error.kind(), stage) {
        (_, Stage::Last | Stage::Barred) => Err(error),
        (Kind::Unavailable, _) => Ok((error, Repeat::InTime)),
        _ => Err(error),
    }
}

fn role_of(fields: &FormFields) -> String {
    assume::field(fields, "RoleArn").unwrap_or_default().to_owned()
}

/// Whether a request that ended so may have made a session that could not be read. AWS answers 503 if it did not act.
fn may_have_acted(answer: &Result<ServiceReply, TransportError>) -> bool {
    match answer {
        Ok(answer) => matches!(answer.status, 200..=299 | 500..=502 | 504..=599),
        Err(error) => error.stage == Stage::Sent,
    }
}
