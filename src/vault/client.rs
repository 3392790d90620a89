//! A Vault for one run. Sends, classifies, and sends again where the rules of `retry` and the run's budget allow
//! it. The requests themselves are in `request`.

mod budget;
pub(crate) mod reading;

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::answer::classify;
use super::deadline::Deadline;
use super::echo::Secrets;
use super::failure::NAMESPACES;
use super::outcome::{Outcome, Patience};
use super::refusal::{explain, find};
use super::retry::{self, Tries};
use super::step::Step;
use super::wire::{Auth, Envelope};
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::transport::Connection;
use crate::http::{Client, Method, Reply, Request, TransportError};
use crate::mint::Datum;
use crate::secret::Secret;
use crate::time::render_duration;

/// After so long somebody who waits for us to end is told why we do not.
const SILENCE: Duration = Duration::from_secs(1);
/// A Vault, for one run.
pub(crate) struct Vault<'a> {
    http: Client,
    host: &'a Host,
    /// The namespace that every request names.
    namespace: Option<String>,
    /// What a user changes to change it.
    namespace_setting: String,
    deadline: Cell<Deadline>,
    connect_timeout: Duration,
    request_timeout: Option<Duration>,
    retries: u32,
    /// What no message may repeat: what was sent, and what came.
    secrets: Secrets,
    /// What Vault warned of, each with its path.
    warnings: RefCell<Vec<String>>,
    /// Whether a wait is not told, or not any more.
    silent: Cell<bool>,
    /// Whether each request is told.
    verbose: Cell<bool>,
    /// Whether the read that makes a credential is under way.
    minting: Cell<bool>,
    /// Wakes who waits for its answer, when a signal came.
    interrupt: Notify,
    /// Whether the run logged in with what is not had again: a lost read would cost it.
    single_use: Cell<bool>,
}

/// One exchange, before it is sent.
pub(super) struct Call<'a> {
    pub(super) step: Step,
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'static str, String)],
    pub(super) token: Option<&'a Secret>,
    pub(super) body: Option<Secret>,
    /// What stands in the body and must not come back in an error.
    pub(super) secrets: &'a [&'a str],
    /// Whether no redirect is followed, not even one to a server that may see the secrets.
    pub(super) stays: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(step: Step, method: Method, path: &'a str) -> Self {
        Self { step, method, path, query: &[], token: None, body: None, secrets: &[], stays: false }
    }
}

/// An answer and when it was asked for, which is what lifetimes are counted from.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The wall clock before the request was sent.
    pub sent: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// Whether an answer said that Vault had not acted on a read that makes a credential: the last answer, or the one
    /// after which the read was sent again.
    pub declined: bool,
    /// Whether it was sent again although an earlier attempt may have been acted on: a refusal can be our own doing.
    pub doubted: bool,
}

impl<'a> Vault<'a> {
    /// A client for this connection; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the TLS settings or the proxy cannot be used.
    pub(crate) fn new(connection: &Connection, host: &'a Host) -> Result<Self> {
        Ok(Self {
            http: Client::new(connection)?,
            host,
            namespace: connection.namespace.clone(),
            namespace_setting: connection.namespace_setting.clone(),
            deadline: Cell::new(Deadline::new(connection.timeout)),
            connect_timeout: connection.connect_timeout,
            request_timeout: connection.request_timeout,
            retries: connection.retries,
            secrets: Secrets::default(),
            warnings: RefCell::default(),
            silent: Cell::new(false),
            verbose: Cell::new(false),
            minting: Cell::new(false),
            interrupt: Notify::new(),
            single_use: Cell::new(false),
        })
    }

    /// The namespace that every request names, if any.
    #[must_use]
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// What a user changes to change the namespace, or sets where there is none.
    #[must_use]
    pub(crate) fn namespace_setting(&self) -> &str {
        &self.namespace_setting
    }

    /// The server, as messages name it.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.http.peer.host
    }

    /// The process that asks.
    #[must_use]
    pub(crate) fn host(&self) -> &Host {
        self.host
    }

    /// A wait for a server is not told: the caller shows what stands on stderr as a failure.
    pub(crate) fn keep_silent(&self) {
        self.silent.set(true);
    }

    /// Warns whoever reads stderr.
    pub(crate) fn warn(&self, text: String) {
        self.host.warn(text);
    }

    /// The wall clock.
    #[must_use]
    pub(crate) fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// Each request is told: its step, path, status and time; and what a login brought. Nothing of it is secret.
    pub(crate) fn tell_requests(&self) {
        self.verbose.set(true);
    }

    /// The run logs in with something that is not had again.
    pub(crate) fn note_single_use(&self) {
        self.single_use.set(true);
    }

    /// The run goes on beside a command: what is asked from here on has so long.
    pub(crate) fn extend(&self, most: Duration) {
        self.deadline.set(Deadline::new(self.host.elapsed() + most));
    }

    /// Sends a request, and sends it again where that is allowed.
    pub(super) async fn exchange(&self, call: Call<'_>) -> Exchange {
        let Call { step, method, path, query, token, body, secrets, stays } = call;
        for secret in token.iter().map(|token| token.expose()).chain(secrets.iter().copied()) {
            self.secrets.note(secret);
        }
        let begun = self.host.elapsed();
        let mut tries = Tries::default();
        loop {
            let Some(timeout) = self.timeout(step) else {
                let error = Error::new(
                    Kind::Unavailable,
                    format!("the run's deadline of {} s passed before {path}", self.deadline.get().run().as_secs()),
                )
                .hint("--timeout allows more");
                let outcome = Outcome::not_processed(error, None, Patience::Counted);
                return Exchange { sent: self.host.now(), outcome, declined: tries.declined, doubted: tries.doubted };
            };
            let (body, lends) = (body.as_ref().map(Secret::duplicate), step == Step::Mint);
            let spends = lends && self.single_use.get();
            let wraps = step == Step::LookupNamespace;
            let request = Request { method, path, query, token, body, spends, wraps, lends, stays, timeout };
            let (sent, asked) = (self.host.now(), self.host.elapsed());
            let result = match step {
                Step::Mint => self.host.watch(step.name(), self.send_to_its_end(&request)).await,
                _ => self.host.watch(step.name(), self.http.send(&request)).await,
            };
            let answered = result.is_ok();
            self.tell(step, &request, result.as_ref().ok().map(|reply| reply.status), asked);
            let outcome = self.name_namespace(classify(step, result, &self.http.peer, path, &self.secrets));
            if let Outcome::Done(envelope) = &outcome {
                self.note(step, path, envelope);
            }
            let pause = retry::pause(tries.again, &outcome, self.host.now());
            if tries.allow(step, &outcome, answered, self.retries(step)) && self.can_connect_after(pause, step) {
                self.tell_of_the_wait(step, &outcome, self.host.elapsed().saturating_sub(begun) + pause);
                self.http.pause(pause).await;
                // A busy machine wakes us late.
                if self.can_connect_after(Duration::ZERO, step) {
                    tries.again += 1;
                    continue;
                }
            }
            let outcome = outcome.after(tries.again + 1, self.host.elapsed().saturating_sub(begun));
            return Exchange { sent, outcome, declined: tries.declined, doubted: tries.doubted };
        }
    }

    /// Tells a request, where somebody asked for that. Security: joined with stdout, the line may be what a shell
    /// evaluates; a path has been checked and has no character that acts there.
    fn tell(&self, step: Step, request: &Request<'_>, status: Option<u16>, asked: Duration) {
        if !self.verbose.get() {
            return;
        }
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
        };
        let came = status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
        let took = self.host.elapsed().saturating_sub(asked).as_millis();
        self.host.write_stderr(&format!("ci-creds: {}: {method} {}, {came}, {took} ms\n", step.name(), request.path));
    }

    /// Tells what a login brought: the policies of the token, and how long it lives.
    fn tell_login(&self, auth: &Auth) {
        let policies: Vec<_> = auth.policies.iter().map(|policy| self.quote(policy)).collect();
        let life = match auth.lease_duration {
            0 => "without an end".to_owned(),
            seconds => format!("for {}", render_duration(Duration::from_secs(seconds))),
        };
        let policies = if policies.is_empty() { "none that it names".to_owned() } else { policies.join(", ") };
        self.host.write_stderr(&format!("ci-creds: token: {life}, policies: {policies}\n"));
    }

    /// A namespace that is not there is no wrong mount or role: it is told by its name.
    fn name_namespace(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Refused(refusal) if find(&NAMESPACES, &refusal).is_some() => {
                Outcome::Final(explain(&NAMESPACES, &refusal, &|name| match name {
                    "host" => self.name().to_owned(),
                    "setting" => self.namespace_setting.clone(),
                    _ => self.namespace.clone().unwrap_or_else(|| "of that name".into()),
                }))
            }
            other => other,
        }
    }

    /// Says once why the run goes on for so long, when a server lets us wait.
    fn tell_of_the_wait(&self, step: Step, outcome: &Outcome, waited: Duration) {
        let Outcome::NotProcessed { error, patience: Patience::Run | Patience::Certain, .. } = outcome else { return };
        if waited < SILENCE || self.silent.replace(true) {
            return;
        }
        let left = self.budget(step).saturating_sub(self.host.elapsed()).as_secs();
        // Security: joined with stdout, the line may be what a shell evaluates.
        let why = sanitized(error.message());
        self.host.write_stderr(&format!("ci-creds: trying again for up to {left} s, because {why}\n"));
    }

    /// Notes what an answer brought: a later one, of a revocation, must not repeat its secrets either.
    fn note(&self, step: Step, path: &str, envelope: &Envelope) {
        let token = envelope.auth.as_ref().and_then(|auth| auth.client_token.as_ref());
        token.into_iter().for_each(|secret| self.secrets.note(secret.expose()));
        let data = envelope.data.as_ref().filter(|_| matches!(step, Step::Mint | Step::ReadSecret));
        data.iter().flat_map(|data| &data.0).for_each(|(_, datum)| self.note_texts(datum));
        if let Some(auth) = envelope.auth.as_ref().filter(|_| self.verbose.get()) {
            self.tell_login(auth);
        }
        let warnings = envelope.warnings.iter().map(|text| self.render_warning(path, text));
        self.warnings.borrow_mut().extend(warnings);
    }

    /// Notes the texts of a value, at any depth that JSON is read to.
    fn note_texts(&self, datum: &Datum) {
        match datum {
            Datum::Text(text) => self.secrets.note(text.expose()),
            Datum::List(_) | Datum::Other(_) => {
                let members = datum.members().unwrap_or_default().into_iter().map(|(_, inner)| inner);
                let inner = members.chain(datum.elements().unwrap_or_default());
                inner.for_each(|inner| self.note_texts(&inner));
            }
            Datum::Number(_) | Datum::Flag(_) | Datum::Null => {}
        }
    }

    /// One of Vault's warnings, for people.
    pub(crate) fn render_warning(&self, path: &str, text: &str) -> String {
        format!("{path}: Vault warns: {}", self.quote(text))
    }

    /// What Vault warned of since the last call, oldest first.
    pub(crate) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// A server's words for a message, or that they repeat a secret of this run and are withheld.
    #[must_use]
    pub(crate) fn quote(&self, text: &str) -> String {
        self.secrets.quote(text)
    }

    /// Sends the read that makes a credential, and waits for its answer beyond the run's deadline and beyond a signal.
    ///
    /// Vault cancels a request whose client is gone. An engine that is cut off in the middle of its work has made a key in
    /// the cloud, and no lease is registered that would ever end it.
    async fn send_to_its_end(&self, request: &Request<'_>) -> Result<Reply, TransportError> {
        let begun = self.host.elapsed();
        let left = self.deadline.get().run().saturating_sub(begun);
        let mut answer = pin!(self.http.send(request));
        self.minting.set(true);
        let result = tokio::select! {
            biased;
            result = &mut answer => Some(result),
            () = self.interrupt.notified() => None,
            () = tokio::time::sleep(left) => None,
        };
        let result = match result {
            Some(result) => result,
            None => {
                self.begin_clean_up();
                let late = self.wait_a_little_longer(request.path, answer).await;
                late.unwrap_or_else(|| Err(self.http.too_late(self.host.elapsed().saturating_sub(begun))))
            }
        };
        self.minting.set(false);
        result
    }

    /// Waits inside the clean-up's seconds; `None` when there are not enough of them left to wait on.
    async fn wait_a_little_longer<T>(&self, path: &str, mut answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        if let Ok(result) = timeout(SILENCE, &mut answer).await {
            return Some(result);
        }
        let rest = self.deadline.get().patience(self.host.elapsed());
        self.host.write_stderr(&format!(
            "ci-creds: waiting up to {:.0} s more for the answer to {path}, to revoke what it makes\n",
            rest.as_secs_f64()
        ));
        timeout(rest, answer).await.ok()
    }
}
