//! How long each step of a run may take, and how often it is sent: the run's deadline, a request's, and the seconds that
//! are left for revoking.

use std::time::Duration;

use super::Vault;
use crate::http::transport::{REQUEST, RETRIES};
use crate::vault::step::Step;

/// The deadline of a request that revokes, so that one that hangs is not the only one.
const REVOKE: Duration = Duration::from_secs(4);
/// The deadline of a revocation that waits for the engine, whose own attempts take three seconds and more. What queues it
/// instead still has its time.
const REVOKE_LEASE: Duration = Duration::from_secs(7);
/// The deadline of a lookup of a token: the credential is there, and waits for it.
const LOOKUP: Duration = Duration::from_secs(4);

impl Vault<'_> {
    /// From here on, the revocations have their own seconds. A signal during the read was their beginning.
    pub(crate) fn begin_clean_up(&self) {
        self.deadline.update(|mut deadline| {
            deadline.begin_clean_up(self.host.elapsed());
            deadline
        });
    }

    /// Ends the run after the read that makes a credential, if that is under way: its answer is waited for a little
    /// longer, and nothing is asked any more but to revoke. Returns whether it is.
    pub(crate) fn interrupt(&self) -> bool {
        if self.minting.get() {
            self.deadline.update(|mut deadline| {
                deadline.interrupt(self.host.elapsed());
                deadline
            });
            self.interrupt.notify_one();
        }
        self.minting.get()
    }

    /// Whether an attempt that begins then has its whole time to connect. One that the deadline cuts while it connects
    /// would leave us to guess whether anything was sent.
    pub(super) fn can_connect_after(&self, pause: Duration, step: Step) -> bool {
        self.host.elapsed().saturating_add(pause).saturating_add(self.connect_timeout) < self.budget(step)
    }

    /// How often a step may be sent again. Who wants no repetition does not want a lease to be left for one lost packet.
    #[must_use]
    pub(crate) fn retries(&self, step: Step) -> u32 {
        match step {
            Step::RevokeSelf | Step::RevokeLease | Step::QueueRevocation => self.retries.max(RETRIES),
            Step::LookupSelf | Step::LookupNamespace | Step::KeepLogin | Step::RenewLease => 0,
            _ => self.retries,
        }
    }

    /// The end of the run, for this step.
    pub(super) fn budget(&self, step: Step) -> Duration {
        self.deadline.get().end(step.phase())
    }

    /// How long a run lives at most.
    pub(in crate::vault) fn longest_run(&self) -> Duration {
        self.deadline.get().longest_run()
    }

    /// What is left for one request; `None` when the run is over.
    pub(super) fn timeout(&self, step: Step) -> Option<Duration> {
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
    use crate::host::{Fake, Host};
    use crate::http::address::Address;
    use crate::http::transport::{Connection, Roots};

    fn connection(timeout: u64, request_timeout: Option<u64>) -> Connection {
        Connection {
            address: Address::Unix("/run/vault.sock".into()),
            address_origin: "VAULT_ADDR".into(),
            address_setting: "VAULT_ADDR".into(),
            namespace: None,
            namespace_setting: "VAULT_NAMESPACE".into(),
            roots: Roots::None,
            identity: None,
            server_name: None,
            proxy: None,
            proxy_and_ca_from_variables: false,
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
        // A run that revokes early has no more for it.
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
