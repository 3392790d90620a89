//! A Vault for one run. Sends, classifies, and sends again where the rules of `retry` and the run's budget allow
//! it. The requests themselves are in `request`.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::answer::classify;
use super::deadline::Deadline;
use super::echo::Secrets;
use super::outcome::{Outcome, Patience};
use super::retry::{self, Tries};
use super::step::Step;
use super::wire::Envelope;
use crate::error::{Error, Kind, Result, sanitized};
use crate::host::Host;
use crate::http::transport::{Connection, REQUEST, RETRIES};
use crate::http::{Broken, Client, Method, Reply, Request};
use crate::mint::Datum;
use crate::secret::Secret;

/// The deadline of a request that gives back, so that one that hangs is not the only one.
const REVOKE: Duration = Duration::from_secs(4);
/// The deadline of a revocation that waits for the engine, whose own attempts take three seconds and more. What queues it
/// instead still has its time.
const REVOKE_LEASE: Duration = Duration::from_secs(7);
/// After so long somebody who waits for us to end is told why we do not.
const SILENCE: Duration = Duration::from_secs(1);
/// And a lookup of a token this long: the credential is there, and waits for it.
const LOOKUP: Duration = Duration::from_secs(4);

/// A Vault, for one run.
pub struct Vault<'a> {
    http: Client,
    host: &'a Host,
    /// The namespace that every request names.
    namespace: Option<String>,
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
}

impl<'a> Call<'a> {
    pub(super) fn new(step: Step, method: Method, path: &'a str) -> Self {
        Self { step, method, path, query: &[], token: None, body: None, secrets: &[] }
    }
}

/// An answer and when it was asked for, which is what lifetimes are counted from.
#[derive(Debug)]
pub struct Exchange {
    /// The wall clock before the request was sent.
    pub sent: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// Whether an answer said that Vault had not acted on a read that makes a credential: the last answer, or the one
    /// after which the read was sent again.
    pub declined: bool,
}

impl<'a> Vault<'a> {
    /// A client for this connection; nothing is opened yet.
    ///
    /// # Errors
    /// [`Kind::Config`] when the TLS settings or the proxy cannot be used.
    pub fn new(connection: &Connection, host: &'a Host) -> Result<Self> {
        Ok(Self {
            http: Client::new(connection)?,
            host,
            namespace: connection.namespace.clone(),
            deadline: Cell::new(Deadline::new(connection.timeout)),
            connect_timeout: connection.connect_timeout,
            request_timeout: connection.request_timeout,
            retries: connection.retries,
            secrets: Secrets::default(),
            warnings: RefCell::default(),
            silent: Cell::new(false),
            minting: Cell::new(false),
            interrupt: Notify::new(),
            single_use: Cell::new(false),
        })
    }

    /// The server, as messages name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.http.peer.host
    }

    /// A wait for a server is not told: the caller shows what stands on stderr as a failure.
    pub fn keep_silent(&self) {
        self.silent.set(true);
    }

    /// The run logs in with something that is not had again.
    pub fn note_single_use(&self) {
        self.single_use.set(true);
    }

    /// The run goes on beside a command: what is asked from here on has so long.
    pub fn extend(&self, most: Duration) {
        self.deadline.set(Deadline::new(self.host.elapsed() + most));
    }

    /// From here on, what gives back has its own seconds. A signal during the read was their beginning.
    pub fn begin_clean_up(&self) {
        self.deadline.update(|mut deadline| {
            deadline.begin_clean_up(self.host.elapsed());
            deadline
        });
    }

    /// Ends the run after the read that makes a credential, if that is under way: its answer is waited for a little
    /// longer, and nothing is asked any more but to give back. Returns whether it is.
    pub fn interrupt(&self) -> bool {
        if self.minting.get() {
            self.deadline.update(|mut deadline| {
                deadline.interrupt(self.host.elapsed());
                deadline
            });
            self.interrupt.notify_one();
        }
        self.minting.get()
    }

    /// Sends a request, and sends it again where that is allowed.
    pub(super) async fn exchange(&self, call: Call<'_>) -> Exchange {
        let Call { step, method, path, query, token, body, secrets } = call;
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
                return Exchange { sent: self.host.now(), outcome, declined: tries.declined };
            };
            let (body, spends) = (body.as_ref().map(Secret::duplicate), step == Step::Mint && self.single_use.get());
            let request = Request { method, path, query, token, body, spends, timeout };
            let sent = self.host.now();
            let result = match step {
                Step::Mint => self.send_to_its_end(&request).await,
                _ => self.http.send(&request).await,
            };
            let answered = result.is_ok();
            let outcome = self.name_namespace(classify(step, result, self.name(), path, &self.secrets));
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
            return Exchange { sent, outcome, declined: tries.declined };
        }
    }

    /// A namespace that is not there is no wrong mount or role: it is told by its name.
    fn name_namespace(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Refused(refusal) if refusal.is_namespace_unknown() => {
                let name = self.namespace.as_deref().unwrap_or("of that name");
                let text = format!("{} has no namespace {name} ({})", self.name(), refusal.because());
                Outcome::Final(Error::new(Kind::Config, text).hint("check VAULT_NAMESPACE or --namespace"))
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
        let data = envelope.data.as_ref().filter(|_| step == Step::Mint);
        let texts = data.iter().flat_map(|data| &data.0).filter_map(|(_, datum)| match datum {
            Datum::Text(text) => Some(text),
            _ => None,
        });
        token.into_iter().chain(texts).for_each(|secret| self.secrets.note(secret.expose()));
        let warnings = envelope.warnings.iter().map(|text| self.render_warning(path, text));
        self.warnings.borrow_mut().extend(warnings);
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
    pub fn quote(&self, text: &str) -> String {
        self.secrets.quote(text)
    }

    /// Sends the read that makes a credential, and waits for its answer beyond the run's deadline and beyond a signal.
    ///
    /// Vault cancels a request whose client is gone. An engine that is cut off in the middle of its work has made a key in
    /// the cloud, and no lease is registered that would ever end it.
    async fn send_to_its_end(&self, request: &Request<'_>) -> Result<Reply, Broken> {
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
            "ci-creds: waiting up to {:.0} s more for the answer to {path}, to take back what it makes\n",
            rest.as_secs_f64()
        ));
        timeout(rest, answer).await.ok()
    }

    /// Whether an attempt that begins then has its whole time to connect. One that the deadline cuts while it connects
    /// would leave us to guess whether anything was sent.
    fn can_connect_after(&self, pause: Duration, step: Step) -> bool {
        self.host.elapsed().saturating_add(pause).saturating_add(self.connect_timeout) < self.budget(step)
    }

    /// How often a step may be sent again. Who wants no repetition does not want a lease to be left for one lost packet.
    #[must_use]
    pub fn retries(&self, step: Step) -> u32 {
        match step {
            Step::RevokeSelf | Step::RevokeLease | Step::QueueRevocation => self.retries.max(RETRIES),
            Step::LookupSelf | Step::KeepLogin | Step::RenewLease => 0,
            _ => self.retries,
        }
    }

    /// The end of the run, for this step.
    fn budget(&self, step: Step) -> Duration {
        self.deadline.get().end(step.phase())
    }

    /// How long a run lives at most.
    pub(super) fn longest_run(&self) -> Duration {
        self.deadline.get().longest_run()
    }

    /// What is left for one request; `None` when the run is over.
    fn timeout(&self, step: Step) -> Option<Duration> {
        let (deadline, now) = (self.deadline.get(), self.host.elapsed());
        let most = match step {
            Step::RevokeSelf | Step::QueueRevocation => REVOKE,
            Step::RevokeLease => REVOKE_LEASE.min(deadline.leaving_room(step.phase(), now)),
            Step::LookupSelf => self.request_timeout.unwrap_or(REQUEST).min(LOOKUP),
            _ => self.request_timeout.unwrap_or(REQUEST),
        };
        deadline.left(step.phase(), most, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::http::address::Address;
    use crate::http::transport::Roots;

    fn connection(timeout: u64, request_timeout: Option<u64>) -> Connection {
        Connection {
            address: Address::Unix("/run/vault.sock".into()),
            address_origin: "VAULT_ADDR".into(),
            namespace: None,
            roots: Roots::None,
            identity: None,
            server_name: None,
            proxy: None,
            hearsay: false,
            redirect_hosts: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            request_timeout: request_timeout.map(Duration::from_secs),
            timeout: Duration::from_secs(timeout),
            retries: 2,
        }
    }

    #[test]
    fn each_request_has_its_deadline_and_clean_up_has_seconds_behind_the_runs() {
        let host = Host::fake(Fake::default());
        let seconds = |timeout, request_timeout, step| {
            let vault = Vault::new(&connection(timeout, request_timeout), &host).unwrap();
            vault.timeout(step).map(|left| left.as_secs())
        };
        let asks = [Step::LookupWrapping, Step::Unwrap, Step::Prepare, Step::LoginOnce, Step::Login];
        let revokes = [(Step::RevokeSelf, 4), (Step::RevokeLease, 7), (Step::QueueRevocation, 4)];
        for (timeout, request_timeout, ask, mint) in [
            (90, None, Some(20), Some(100)),
            (90, Some(5), Some(5), Some(100)),
            (90, Some(80), Some(80), Some(100)),
            (8, None, Some(8), Some(18)),
            (8, Some(5), Some(5), Some(18)),
            (0, None, None, None),
        ] {
            for step in asks {
                assert_eq!(seconds(timeout, request_timeout, step), ask, "{step:?} {timeout} {request_timeout:?}");
            }
            assert_eq!(seconds(timeout, request_timeout, Step::Mint), mint, "{timeout} {request_timeout:?}");
            let lookup = ask.map(|ask| ask.min(4));
            assert_eq!(seconds(timeout, request_timeout, Step::LookupSelf), lookup, "{timeout} {request_timeout:?}");
            for (step, whole) in revokes {
                assert_eq!(
                    seconds(timeout, request_timeout, step),
                    Some(whole),
                    "{step:?} {timeout} {request_timeout:?}"
                );
            }
        }
        let vault = Vault::new(&connection(30, None), &host).unwrap();
        for step in asks.into_iter().chain([Step::Mint]) {
            assert_eq!(vault.budget(step).as_secs(), 30, "{step:?}");
        }
        for (step, _) in revokes {
            assert_eq!(vault.budget(step).as_secs(), 40, "{step:?}");
        }
        // A run that gives back early has no more for it.
        vault.begin_clean_up();
        for (step, _) in revokes {
            assert_eq!(vault.budget(step).as_secs(), 10, "{step:?}");
        }
        // A signal that came during the read lets nothing begin but giving back.
        assert!(!vault.interrupt() && vault.timeout(Step::Mint).is_some());
        vault.minting.set(true);
        assert!(vault.interrupt());
        for step in asks.into_iter().chain([Step::Mint, Step::LookupSelf]) {
            assert_eq!(vault.timeout(step), None, "{step:?}");
        }
        for (step, whole) in revokes {
            assert_eq!(vault.timeout(step).map(|left| left.as_secs()), Some(whole), "{step:?}");
        }
    }
}
