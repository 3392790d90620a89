//! A CI/CD variable of GitLab that holds the pipeline's Vault token: read it, and write it.
//!
//! The API is `/projects/:id/variables/:key` and its twin of groups. What an answer means is decided here; what follows
//! from it for the two tokens is [`crate::command`]'s to decide. A server's text never leaves this module.

use std::time::Duration;

use serde::Deserialize;

use crate::config::{Owner, VariablePlan};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb};
use crate::http::{ServiceHints, Stage, TransportError};
use crate::secret::Secret;

/// The deadline of one request. GitLab answers within a second.
const REQUEST: Duration = Duration::from_secs(20);
/// How often a read is sent that was lost or that GitLab could not answer, and the pause between two.
const READS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

const HINTS: ServiceHints = ServiceHints {
    reach: "check the address of GitLab's API (from CI_API_V4_URL), and that this runner can reach it (network, \
            HTTPS_PROXY, NO_PROXY, firewall)",
    trust: "GitLab is checked against CI_SERVER_TLS_CA_FILE, or else the system's roots: add its CA there",
};

/// The variable, and the GitLab that stores it.
pub(crate) struct VariableStore<'a> {
    http: ServiceClient,
    plan: &'a VariablePlan,
    host: &'a Host,
    verbose: bool,
}

/// The variable as GitLab shows it.
#[derive(Deserialize)]
pub(crate) struct CiVariable {
    /// Its value; `None` if it is hidden.
    pub value: Option<Secret>,
    /// Whether nobody is shown its value.
    #[serde(default)]
    pub hidden: bool,
    /// Whether logs mask it.
    #[serde(default)]
    pub masked: bool,
    /// The environments that it is for; `*` is all.
    #[serde(default)]
    pub environment_scope: String,
}

/// What a write came to.
pub(crate) enum WriteOutcome {
    /// GitLab says that it has the new value.
    Written,
    /// It was not written: GitLab refused, or never got the request.
    Refused(Error),
    /// Nobody knows. `pending`: GitLab may still be at it.
    Unclear {
        /// What to say.
        error: Error,
        /// Whether the request may be carried out later.
        pending: bool,
    },
}

impl<'a> VariableStore<'a> {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the roots or the proxy cannot be used.
    pub(crate) fn new(plan: &'a VariablePlan, verbose: bool, host: &'a Host) -> Result<Self> {
        Ok(Self { http: ServiceClient::new(&plan.connection, HINTS)?, plan, host, verbose })
    }

    /// The variable in words: `VAULT_TOKEN of project 365`.
    pub(crate) fn name(&self) -> String {
        match &self.plan.owner {
            Owner::Project(id) => format!("{} of project {id}", self.plan.key),
            Owner::Group(group) => format!("{} of group {group}", self.plan.key),
        }
    }

    /// Reads the variable. A read that was lost is repeated.
    ///
    /// # Errors
    /// [`Kind::Denied`], [`Kind::Config`] with what to change; when there is no answer.
    pub(crate) async fn read(&self, scope: Option<&str>) -> Result<CiVariable> {
        let mut sent = 1;
        loop {
            let error = match self.send("read the variable", scope, None).await {
                Ok(ServiceReply { status: 200, body, .. }) => {
                    return serde_json::from_slice(&body).map_err(|_| self.not_gitlab("is not a variable"));
                }
                Ok(reply) => self.describe(&reply),
                Err(TransportError { stage: Stage::NotSent | Stage::Sent, error }) => error,
                Err(TransportError { error, .. }) => return Err(error),
            };
            let is_transient = matches!(error.kind(), Kind::Unavailable | Kind::Temporary);
            if !is_transient || sent == READS {
                return Err(error);
            }
            sent += 1;
            tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// Writes the value, once, and leaves every other attribute as it is.
    pub(crate) async fn write(&self, value: &Secret, scope: Option<&str>) -> WriteOutcome {
        // A token has no character that JSON escapes: it was checked.
        let body = Secret::new(format!("{{\"value\":\"{}\"}}", value.expose()));
        let begun = self.host.elapsed();
        match self.send("write the variable", scope, Some(&body)).await {
            Ok(reply) if reply.status == 200 => WriteOutcome::Written,
            Ok(reply) => {
                let error = self.describe(&reply);
                match reply.status {
                    300..=407 | 409..=499 => WriteOutcome::Refused(error),
                    // A proxy gave up on a GitLab that may be at it, or only took the request.
                    status => WriteOutcome::Unclear { error, pending: matches!(status, 200..=299 | 408 | 502 | 504) },
                }
            }
            Err(TransportError { stage: Stage::Sent, error }) => {
                let pending = self.host.elapsed().saturating_sub(begun) >= REQUEST;
                WriteOutcome::Unclear { error, pending }
            }
            Err(TransportError { error, .. }) => WriteOutcome::Refused(error),
        }
    }

    async fn send(
        &self,
        what: &'static str,
        scope: Option<&str>,
        body: Option<&Secret>,
    ) -> Result<ServiceReply, TransportError> {
        let path = self.path();
        let verb = if body.is_some() { Verb::Put } else { Verb::Get };
        let query: Vec<_> = scope.map(|scope| ("filter[environment_scope]", scope)).into_iter().collect();
        let headers: Vec<_> = body.map(|_| ("content-type", "application/json".to_owned())).into_iter().collect();
        let request = ServiceRequest {
            verb,
            path: &format!("/{path}"),
            query: &query,
            proof: Some(("private-token", &self.plan.token)),
            headers: &headers,
            body: body.map(Secret::expose),
            timeout: REQUEST,
        };
        let asked = self.host.elapsed();
        let result = self.host.watch(what, self.http.send(&request)).await;
        if self.verbose {
            let status = result.as_ref().map_or("no answer".to_owned(), |reply| format!("status {}", reply.status));
            let took = self.host.elapsed().saturating_sub(asked).as_millis();
            self.host.write_stderr(&format!("ci-creds: {what}: {} {path}, {status}, {took} ms\n", verb.name()));
        }
        result
    }

    /// Behind the API's own path.
    fn path(&self) -> String {
        match &self.plan.owner {
            Owner::Project(id) => format!("projects/{id}/variables/{}", self.plan.key),
            Owner::Group(group) => format!("groups/{}/variables/{}", group.replace('/', "%2F"), self.plan.key),
        }
    }

    fn not_gitlab(&self, problem: &str) -> Error {
        Error::new(Kind::Protocol, format!("the answer from {} {problem}", self.http.peer.host)).hint(format!(
            "check the address of GitLab's API (from {}), and for a proxy in between",
            self.plan.connection.address_origin
        ))
    }

    /// What a refusal means.
    fn describe(&self, reply: &ServiceReply) -> Error {
        let (name, host, token) = (self.name(), &self.http.peer.host, &self.plan.token_origin);
        let says = |text: &str| reply.body.windows(text.len()).any(|part| part == text.as_bytes());
        let error = |kind, text: String, change: String| Error::new(kind, text).hint(change);
        match reply.status {
            401 => error(
                Kind::Denied,
                format!("{host} rejected the access token (from {token}): status 401"),
                "it has expired or was revoked: make a new access token with the role Maintainer and the scope api"
                    .into(),
            ),
            403 if says("insufficient_scope") => error(
                Kind::Denied,
                format!("GitLab's token (from {token}) lacks the scope api (status 403)"),
                "make an access token with the scope api; CI_JOB_TOKEN cannot write variables".into(),
            ),
            403 => error(
                Kind::Denied,
                format!("GitLab's token (from {token}) may not change {name} (status 403)"),
                "give the access token the role Maintainer, or Owner for a variable of a group".into(),
            ),
            404 if says("Variable Not Found") => error(
                Kind::Config,
                format!("there is no variable {name} with that environment scope (status 404)"),
                "create it in GitLab first, under Settings, CI/CD, Variables; --group names a group that has it".into(),
            ),
            404 => error(
                Kind::Config,
                format!("{host} shows no {name} to GitLab's token (from {token}) (status 404)"),
                "check CI_PROJECT_ID or --group, and that the access token is of that project or group".into(),
            ),
            409 => error(
                Kind::Config,
                format!("there is more than one variable {name} (status 409)"),
                "name one of them by --environment-scope".into(),
            ),
            429 => error(
                Kind::Temporary,
                format!("{host} limits the rate of requests (status 429)"),
                "run it again later".into(),
            ),
            400..500 => error(
                Kind::Config,
                format!("{host} refused the request for {name} (status {})", reply.status),
                "check the variable in GitLab, under Settings, CI/CD, Variables".into(),
            ),
            500..600 => error(
                Kind::Unavailable,
                format!("{host} failed at the request for {name} (status {})", reply.status),
                "run it again later".into(),
            ),
            status => self.not_gitlab(&format!("has the status {status}, which GitLab's API never has")),
        }
    }
}
