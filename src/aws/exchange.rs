//! Exchanges the job's ID token for a session of a role, by STS, and that one for a session of a second role.
//!
//! Nothing is used up by a request, and nothing of what it makes can be revoked: it is sent again where that may help, until
//! its deadline.

use std::time::Duration;

use jiff::Timestamp;

use super::assume::{self, ASSUME_ROLE, FormFields, RoleSession, WITH_WEB_IDENTITY};
use super::refusal::{ASSUME, Repeat, WEB_IDENTITY, repeat};
use super::sts;
use crate::config::StsPlan;
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::cloud::CloudClient;
use crate::http::transport::Connection;
use crate::http::{Stage, TransportError};
use crate::identity::{AwsKeys, Identity, Login};
use crate::secret::Secret;
use crate::vault::refusal::{Refusal, explain};

/// The first pause at most, and every pause at most: full jitter below a bound that doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The deadline of one request: STS asks the issuer for its keys meanwhile.
const ANSWER: Duration = Duration::from_secs(20);

/// STS, as one run asks it.
pub(crate) struct Sts<'a> {
    http: CloudClient,
    plan: &'a StsPlan,
    connection: &'a Connection,
    deadline: Duration,
    verbose: bool,
    host: &'a Host,
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
        Ok(Self { http: CloudClient::new(connection)?, plan, connection, deadline, verbose, host })
    }

    /// Shows the ID token, and assumes the second role where there is one. Says when the last request was sent.
    ///
    /// # Errors
    /// As the tables of refusals have them; [`Kind::Unavailable`] when STS does not answer until the deadline;
    /// [`Kind::Protocol`] for an answer that is none of STS.
    pub(crate) async fn obtain(&self, login: &Login) -> Result<(Timestamp, RoleSession)> {
        // Not the secret of its facts: with that, a token of this run alone was requested.
        let Identity::IdToken { token, .. } = &login.identity else {
            return Err(Error::new(Kind::Internal, "STS takes an ID token, and this login has none"));
        };
        let body = assume::body(WITH_WEB_IDENTITY, &self.plan.first, Some(token));
        // Security: no other header of AWS's. STS refuses a session token beside the ID token.
        let unsigned = |_: Timestamp| vec![("content-type", sts::FORM.to_owned())];
        let describe = |refusal: &Refusal| self.describe(refusal, login);
        let first = self.ask(WITH_WEB_IDENTITY, &body, &unsigned, &describe).await?;
        let Some(fields) = &self.plan.second else { return Ok(first) };
        self.assume_second(fields, first.1).await
    }

    async fn assume_second(&self, fields: &FormFields, first: RoleSession) -> Result<(Timestamp, RoleSession)> {
        let body = assume::body(ASSUME_ROLE, fields, None);
        let id = first.key.expose().to_owned();
        let keys = AwsKeys { id, secret: first.secret, session: Some(first.session), expires_at: None };
        let signed =
            |time: Timestamp| sts::form_headers(&self.plan.authority, &self.plan.region, time, &keys, body.expose());
        let value = |name: &str| match name {
            "first" => field(&self.plan.first, "RoleArn"),
            _ => field(fields, "RoleArn"),
        };
        self.ask(ASSUME_ROLE, &body, &signed, &|refusal| explain(&ASSUME, refusal, &value)).await
    }

    /// Posts until there is an answer that stays the same.
    async fn ask(
        &self,
        action: &str,
        body: &Secret,
        headers: &dyn Fn(Timestamp) -> Vec<(&'static str, String)>,
        describe: &dyn Fn(&Refusal) -> Error,
    ) -> Result<(Timestamp, RoleSession)> {
        let mut bound = FIRST_PAUSE;
        let mut again = 0;
        loop {
            let sent = self.host.now();
            let left = self.deadline.saturating_sub(self.host.elapsed());
            let answer = self.http.post(&headers(sent), body.expose(), ANSWER.min(left)).await;
            let (error, repeats) = match answer {
                Ok(answer) => {
                    self.tell(action, &format!("{}", answer.status));
                    match answer.status {
                        200 => match assume::parse_session(&answer.body, action) {
                            Some(session) => return Ok((sent, session)),
                            None => return Err(self.no_sts("does not answer as STS does")),
                        },
                        300..=399 => return Err(self.no_sts("redirects the request, which is not followed")),
                        _ => {
                            let refusal = assume::parse_refusal(answer.status, &answer.body);
                            let again = repeat(&refusal);
                            (describe(&refusal), again)
                        }
                    }
                }
                Err(TransportError { stage, error }) => {
                    self.tell(action, "no answer");
                    self.judge_silence(stage, error)?
                }
            };
            let may_repeat = match repeats {
                Repeat::Never => false,
                Repeat::Once => again == 0,
                Repeat::InTime => true,
            };
            let pause = bound.mul_f64(fastrand::f64());
            let left = self.deadline.saturating_sub(self.host.elapsed());
            if !may_repeat || self.connection.retries == 0 || pause >= left {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            bound = (bound * 2).min(LONGEST_PAUSE);
            again += 1;
        }
    }

    /// Whether a request without an answer may be sent again.
    fn judge_silence(&self, stage: Stage, error: Error) -> Result<(Error, Repeat)> {
        match (error.kind(), stage) {
            (Kind::Unavailable, Stage::Last | Stage::Barred) | (Kind::Os, _) => Err(error),
            (Kind::Unavailable, _) => Ok((
                error.hint(
                    "check that this runner can reach AWS (network, HTTPS_PROXY, NO_PROXY, firewall), and --region",
                ),
                Repeat::InTime,
            )),
            (_, Stage::Last) => Err(error.hint(
                "AWS is checked against the system's roots: add a CA of your own to them; AWS_ENDPOINT_URL_STS names \
                another endpoint",
            )),
            _ => Err(error),
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
            "role" => field(&self.plan.first, "RoleArn"),
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

fn field(fields: &FormFields, name: &str) -> String {
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default()
}
