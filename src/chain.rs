//! One credential for this run: from the cache, or a new one from its source.
//!
//! It joins `source` and `cache`, and decides whose turn it is, what is cached, and when a cached credential is used for
//! want of a new one. What a failure revokes is `custody`'s; what becomes of the credential is not known here.

use std::time::Duration;

use crate::auth::Session;
use crate::aws::ready;
use crate::cache::{Cache, Hit, State, Turn};
use crate::config::Plan;
use crate::credential::Credential;
use crate::custody::{Custody, Writer};
use crate::engine::assemble;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::source::Source;

/// Whom one run asks, where it caches, and what it owes.
pub(crate) struct Chain<'a> {
    source: Source<'a>,
    cache: Option<&'a Cache>,
    host: &'a Host,
    custody: Custody<'a>,
}

/// A cached credential that is good enough without asking anybody. Touches no network.
pub(crate) fn find(cache: &Cache, plan: &Plan, host: &Host) -> Option<Credential> {
    cache.find(plan, host).filter(Hit::is_enough).map(|kept| unpack(kept, plan))
}

fn unpack(kept: Hit, plan: &Plan) -> Credential {
    let (values, lease) = kept.into_parts(&plan.shape);
    assemble(plan, values, lease)
}

impl<'a> Chain<'a> {
    pub(crate) fn new(source: Source<'a>, cache: Option<&'a Cache>, host: &'a Host, custody: Custody<'a>) -> Self {
        Self { source, cache, host, custody }
    }

    /// Gets a credential, for this run alone or for all that share the cache; in the cache, it is not owed.
    ///
    /// # Errors
    /// As the source has them; [`Kind::Temporary`] when another caller takes too long; what ends the run
    /// after a signal. Nothing is owed any more.
    pub(crate) async fn obtain(mut self, plan: &mut Plan) -> Result<(Credential, Custody<'a>)> {
        let obtained = self.find_or_make(plan).await;
        self.custody.unlock();
        match obtained {
            Ok(credential) => Ok((credential, self.custody)),
            Err(error) => Err(self.custody.fail(error)),
        }
    }

    async fn find_or_make(&mut self, plan: &mut Plan) -> Result<Credential> {
        if let Some(credential) = self.take_turn(plan).await? {
            return Ok(credential);
        }
        if self.find_old(plan).is_some() {
            self.source.hurry();
        }
        let issued = self.host.now();
        let (credential, session) = match self.make(plan).await {
            Ok(made) => made,
            Err(error) => return self.fall_back(plan, error),
        };
        let keep =
            |Writer { cache, lock }: Writer<'_>| cache.keep(lock, &credential, session.as_ref(), issued, self.host);
        if self.custody.writer().is_some_and(keep) {
            self.custody.release();
        }
        Ok(credential)
    }

    /// Waits for our turn, or for what another call makes for us. Without a cache it does not wait.
    async fn take_turn(&mut self, plan: &Plan) -> Result<Option<Credential>> {
        let Some(cache) = self.cache else { return Ok(None) };
        match self.custody.race(cache.take_turn(plan, self.host)).await?? {
            Turn::Hit(kept) => Ok(Some(unpack(*kept, plan))),
            Turn::Untried(lock, kept) => {
                let credential = unpack(*kept, plan);
                let known = wait_until_known(&credential, plan, plan.connection.timeout, self.host);
                self.custody.race(known).await?.map_err(|error| {
                    error.also("it is in the cache, from an earlier call: ci-creds cache clear revokes it")
                })?;
                cache.note_known(&lock, plan, self.host);
                Ok(Some(credential))
            }
            Turn::Ours(lock) => {
                self.custody.lock(lock);
                Ok(None)
            }
            Turn::Nobody => Ok(None),
        }
    }

    /// The cached credential, as long as it lives, where no new one is to be had; also where nothing can be written any
    /// more. What may be left behind must be told.
    fn fall_back(&self, plan: &Plan, error: Error) -> Result<Credential> {
        let Some(old) = self.find_old(plan).filter(|_| error.kind() != Kind::Leak && self.custody.signal().is_none())
        else {
            return Err(error);
        };
        self.host.warn(format!("using the cached credential, because there is no new one: {}", error.message()));
        if let Some(Writer { cache, lock }) = self.custody.writer() {
            cache.pause(lock, &old, self.host);
        }
        Ok(unpack(old, plan))
    }

    /// The cached credential, as long as it lives.
    fn find_old(&self, plan: &Plan) -> Option<Hit> {
        self.cache.and_then(|cache| cache.find(plan, self.host)).filter(|kept| kept.state != State::Ended)
    }

    /// Makes a credential, and waits until it works where somebody asked for that; and what is to be handed over with it.
    async fn make(&mut self, plan: &mut Plan) -> Result<(Credential, Option<Session>)> {
        let (mut first, mut session) = self.source.obtain(plan, &mut self.custody).await?;
        revoke_unless_known(&first, plan, &mut self.custody, self.host).await?;
        for wanted in std::mem::take(&mut plan.others) {
            plan.go_on_to(wanted);
            let (next, renewed) = self.source.obtain_more(session, plan, &mut self.custody).await?;
            session = Some(renewed);
            first.others.push(next);
        }
        Ok((first, session))
    }
}

/// [`wait_until_known`], within the time of the run. What the custody holds is revoked when that fails.
pub(crate) async fn revoke_unless_known(
    credential: &Credential,
    plan: &Plan,
    custody: &mut Custody<'_>,
    host: &Host,
) -> Result<()> {
    match custody.race(wait_until_known(credential, plan, plan.connection.timeout, host)).await? {
        Ok(()) => Ok(()),
        Err(error) => Err(custody.clean_up(error).await),
    }
}

/// Where somebody asked for that, and until the run is `deadline` old. What becomes of a credential that is not known in
/// time is the caller's business.
pub(crate) async fn wait_until_known(
    credential: &Credential,
    plan: &Plan,
    deadline: Duration,
    host: &Host,
) -> Result<()> {
    let Some(readiness) = &plan.readiness else { return Ok(()) };
    let done = ready::wait(readiness, credential, deadline, host).await?;
    if plan.output.verbose {
        host.write_stderr(&format!("ci-creds: ready: {done}\n"));
    }
    Ok(())
}
