//! `DevVault`: starting, stopping, and the questions that a test asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::connection::{Shared, serve};
use crate::core::Core;
use crate::core::standby::Standby;
use crate::dialect::Dialect;
use crate::engine::{Options, aws};
use crate::fault::{Fault, On};
use crate::journal::Recorded;
use crate::listener::{Listener, Pool};
use crate::lock;
use crate::oracle::{LiveLease, LiveToken};
use crate::script::Script;
use crate::tls::{Certificates, ClientIdentity, Issuer, Tls};

/// How a server is to be.
#[derive(Debug, Default)]
pub struct Builder {
    dialect: Option<Dialect>,
    tls: Tls,
    issuer: Issuer,
    require_client_certificate: bool,
    unix: Option<PathBuf>,
    options: Options,
}

impl Builder {
    /// Which server to imitate; Vault 1.16 unless said otherwise.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// What to show on the TCP port.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Who has signed what is shown there.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuer = issuer;
        self
    }

    /// Accepts only clients that show the certificate of [`DevVault::client_identity`].
    #[must_use]
    pub fn require_client_certificate(mut self) -> Self {
        self.require_client_certificate = true;
        self
    }

    /// Listens on this path too, in plain HTTP.
    #[must_use]
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.unix = Some(path.into());
        self
    }

    /// Gives STS credentials without a lease, as Vault 1.13.0 did.
    #[must_use]
    pub fn leaseless_sts(mut self) -> Self {
        self.options.leaseless_sts = true;
        self
    }

    /// Refuses requests without `X-Vault-Request: true`, as Agent and Proxy can.
    #[must_use]
    pub fn require_request_header(mut self) -> Self {
        self.options.require_request_header = true;
        self
    }

    /// Leaves the leases of dead tokens in the queue until [`DevVault::run_revocations`].
    #[must_use]
    pub fn hold_revocations(mut self) -> Self {
        self.options.hold_revocations = true;
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    /// When no loopback port or certificate can be had.
    #[must_use]
    pub fn start(self) -> DevVault {
        let certificates = Certificates::new(self.tls, self.issuer, self.require_client_certificate)
            .expect("certificates can be made");
        let clock = Clock::default();
        let core = Core::new(self.dialect.unwrap_or(Dialect::Vault1_16), self.options, clock.now());
        let pool = Arc::new(Pool::default());
        let core = Arc::new(Mutex::new(core));
        let asked = Arc::clone(&core);
        let shared = Arc::new(Shared {
            service: Box::new(move |request, staged, now| Some(lock(&asked).handle(request, staged, now))),
            clock,
            journal: Arc::default(),
            script: Mutex::new(Script::default()),
            tls: certificates.as_ref().map(|certificates| Arc::clone(&certificates.config)),
            pool: Arc::clone(&pool),
        });
        let served = Arc::clone(&shared);
        let listener =
            Listener::start(pool, self.unix.as_deref(), move |socket, number| serve(&served, socket, number))
                .expect("a loopback port can be had");
        DevVault { shared, core, certificates, listener }
    }
}

/// A running server. It stops when it is dropped.
pub struct DevVault {
    pub(crate) shared: Arc<Shared>,
    core: Arc<Mutex<Core>>,
    certificates: Option<Certificates>,
    listener: Listener,
}

impl DevVault {
    /// A server to be configured.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A plain HTTP server of this dialect.
    #[must_use]
    pub fn start(dialect: Dialect) -> Self {
        Self::builder().dialect(dialect).start()
    }

    /// For `VAULT_ADDR`: `http://127.0.0.1:port` or `https://…`.
    #[must_use]
    pub fn address(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.socket_address())
    }

    /// The TCP port.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.listener.address
    }

    /// The Unix socket, when there is one.
    #[must_use]
    pub fn unix_socket(&self) -> Option<&Path> {
        self.listener.unix.as_deref()
    }

    /// The CA to trust, PEM.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.certificates.as_ref().expect("the server has TLS").ca_pem
    }

    /// The certificate that the server shows.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    pub fn server_pem(&self) -> &str {
        &self.certificates.as_ref().expect("the server has TLS").server_pem
    }

    /// A client certificate that the server accepts.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    pub fn client_identity(&self) -> &ClientIdentity {
        &self.certificates.as_ref().expect("the server has TLS").client
    }

    /// The server's time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// Lets time pass for the server.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// From now on, no time passes but by [`Self::advance`].
    pub fn hold_time(&self) {
        self.shared.clock.hold();
    }

    /// Arms a fault.
    pub fn inject(&self, on: On, fault: Fault) {
        lock(&self.shared.script).arm(on, fault);
    }

    /// Disarms every fault.
    pub fn clear_faults(&self) {
        lock(&self.shared.script).clear();
    }

    /// Ends the sealed state. (`sys/seal` begins it.)
    pub fn unseal(&self) {
        self.core(Core::unseal);
    }

    /// From now on, this node is a standby that knows all that its leader knows. One of `OpenBao` makes a leased
    /// credential itself, cannot keep the lease, and takes the credential back.
    pub fn stand_by(&self) {
        self.core(|core| core.standby = Some(Standby::default()));
    }

    /// From now on, this node is a standby that gets no news: what is made from here on is known to the leader alone.
    /// Leases are made by the leader, unless [`Self::stand_by`] said otherwise.
    pub fn fall_behind(&self) {
        let now = self.now();
        self.core(|core| core.standby = Some(core.standby.unwrap_or(Standby::PERFORMANCE).behind_since(now)));
    }

    /// Takes back what is in the revocation queue.
    pub fn run_revocations(&self) {
        self.core(Core::run_revocations);
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.requests()
    }

    /// Starts the record of requests anew.
    pub fn forget_requests(&self) {
        self.shared.journal.forget_requests();
    }

    /// Waits until so many requests came in. `false`: the time was up first.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize, timeout: Duration) -> bool {
        self.shared.journal.wait_for(count, timeout)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.journal.connections()
    }

    /// How many TLS handshakes succeeded.
    #[must_use]
    pub fn handshakes(&self) -> usize {
        self.shared.journal.handshakes()
    }

    /// Why the other handshakes failed, as the server saw it.
    #[must_use]
    pub fn failed_handshakes(&self) -> Vec<String> {
        self.shared.journal.failed_handshakes()
    }

    /// The leases that are alive now.
    #[must_use]
    pub fn live_leases(&self) -> Vec<LiveLease> {
        self.core(|core| core.live_leases())
    }

    /// The tokens that are alive now.
    #[must_use]
    pub fn live_tokens(&self) -> Vec<LiveToken> {
        self.core(|core| core.live_tokens())
    }

    /// How many credentials were ever made, by request path.
    #[must_use]
    pub fn minted(&self) -> BTreeMap<String, usize> {
        self.core(|core| {
            let mut counts = BTreeMap::new();
            for (path, _) in &core.ledger.minted {
                *counts.entry(path.clone()).or_default() += 1;
            }
            counts
        })
    }

    /// The access keys that still work at the cloud. STS keys do so whatever becomes of their lease.
    #[must_use]
    pub fn live_keys(&self) -> BTreeSet<String> {
        self.core(|core| core.ledger.live_keys.clone())
    }

    /// The keys that work at the cloud and that no lease will ever end. STS keys end by themselves.
    #[must_use]
    pub fn keys_without_a_lease(&self) -> BTreeSet<String> {
        self.core(|core| {
            let leased: BTreeSet<_> = core.leases().map(|lease| lease.access_key.as_str()).collect();
            let is_left = |key: &&String| !leased.contains(key.as_str()) && !aws::ends_by_itself(key);
            core.ledger.live_keys.iter().filter(is_left).cloned().collect()
        })
    }

    /// Every secret that the server ever gave out or was entrusted with.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<String> {
        self.core(|core| core.ledger.secrets.clone())
    }

    /// A token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> String {
        self.core(|core| core.root_token().to_owned())
    }

    pub(crate) fn core<T>(&self, ask: impl FnOnce(&mut Core) -> T) -> T {
        let now = self.shared.clock.now();
        let mut core = lock(&self.core);
        core.advance_to(now);
        ask(&mut core)
    }
}
