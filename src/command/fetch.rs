//! `ci-creds exoscale` and its like: a credential out of the cache or from its source, delivered.

use crate::cache::{Cache, Door, JobState};
use crate::chain::{self, Chain};
use crate::config::{Plan, StatePlace};
use crate::custody::Custody;
use crate::delivery;
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt, outlive_file_limit};
use crate::http::transport::{Connection, Proxy};
use crate::render::format::Format;
use crate::source::{Source, VaultSource};
use crate::time::render_time;
use crate::vault::client::Vault;

use super::{lines, start_runtime, take_warnings, write_stderr};

/// Hands a credential over: the one that is kept, or a new one.
pub(crate) fn run(mut plan: Plan, host: &Host) -> Result<()> {
    explain(&plan, host);
    outlive_limits(host)?;
    let cache = Cache::open(&plan, host);
    let kept = cache.as_ref().and_then(|cache| chain::find(cache, &plan, host));
    if let (Some(credential), true) = (&kept, plan.output.verbose) {
        let end = credential.lease.expires_at.map(render_time).unwrap_or_default();
        write_stderr(format!("ci-creds: kept: of an earlier call, until {end}; Vault is not asked\n"), host);
    }
    match kept.and_then(|credential| delivery::hand_over_at_once(&credential, &plan, host)) {
        Some(delivered) => delivered?,
        None => {
            plan.connection.read_roots(host)?;
            if let Some(readiness) = &mut plan.readiness {
                readiness.read_roots(host)?;
            }
            fetch_new(&mut plan, host, cache.as_ref())?;
        }
    }
    tell_warnings(&plan, host);
    Ok(())
}

/// Asks Vault, and delivers. A signal that comes in between ends the run with its code, after the lease was revoked.
fn fetch_new(plan: &mut Plan, host: &Host, cache: Option<&Cache>) -> Result<()> {
    let state = open_state(plan, host)?;
    let vault = Vault::new(&plan.connection, host)?;
    if plan.output.format == Format::Process && !plan.output.verbose {
        vault.keep_silent();
    }
    start_runtime(host)?.block_on(async {
        let required = plan.state.as_ref().is_some_and(|place| place.required);
        let custody = Custody::new(&vault, cache, host, Interrupt::listen()?).with_state(state.as_ref(), required);
        let source = Source::Vault(VaultSource { vault: &vault, host });
        let end = obtain_and_deliver(Chain::new(source, cache, host, custody), plan, host).await;
        if plan.output.verbose {
            vault.take_warnings().into_iter().for_each(|text| host.warn(text));
        }
        end
    })
}

/// Opens the state of the job, where one is kept.
///
/// # Errors
/// [`Kind::Create`] when it cannot be kept and the user asked for it.
fn open_state(plan: &Plan, host: &Host) -> Result<Option<JobState>> {
    let Some(StatePlace { beside, cache, required }) = &plan.state else { return Ok(None) };
    let door = Door::new(&plan.connection, &plan.login, cache.job.as_deref());
    match JobState::open((beside.as_deref(), &cache.folders), door, &plan.login.identity, host) {
        Ok(state) => Ok(Some(state)),
        Err(problem) if *required => {
            Err(Error::new(Kind::Create, format!("the state of the job is refused: {problem}"))
                .hint("--no-keep-state goes on without it"))
        }
        Err(problem) => {
            host.warn(format!("ci-creds revoke will not know this credential: {problem}"));
            Ok(None)
        }
    }
}

async fn obtain_and_deliver(chain: Chain<'_>, plan: &mut Plan, host: &Host) -> Result<()> {
    let (credential, mut custody) = chain.obtain(plan).await?;
    match custody.race(delivery::hand_over(&credential, plan, host)).await {
        Ok(Ok(())) => {
            custody.finish();
            Ok(())
        }
        Ok(Err(error)) if custody.is_empty() => {
            Err(custody.fail(error.also("the credential is kept for the next call")))
        }
        Ok(Err(error)) => Err(custody.abandon(error).await),
        Err(signal) => Err(custody.fail(signal)),
    }
}

/// Lets a limit on the size of files be an error of the write, and not our end with an empty stdout, which an eval would
/// take for success. Without a limit, a kept credential shall not cost an event queue.
fn outlive_limits(host: &Host) -> Result<()> {
    if host.limits_files() {
        let runtime = start_runtime(host)?;
        let _inside = runtime.enter();
        outlive_file_limit()?;
    }
    Ok(())
}

/// Says, when asked, where each value came from; never a value that is secret.
fn explain(plan: &Plan, host: &Host) {
    if !plan.output.verbose {
        return;
    }
    let connection = &plan.connection;
    let namespace = connection.namespace.as_deref().map_or(String::new(), |name| format!(", namespace {name}"));
    let server = |connection: &Connection| {
        let through = |proxy: &Proxy| format!(", through the proxy from {}", proxy.origin);
        let proxy = connection.proxy.as_ref().map(through).unwrap_or_default();
        (format!("{} (from {})", connection.address.host(), connection.address_origin), proxy)
    };
    let (vault, proxy) = server(connection);
    let rows = [
        format!("vault: {vault}{namespace}{proxy}"),
        format!("login: {}", plan.login.describe()),
        format!("path: {} (role from {})", plan.mint.path, plan.role_origin),
    ];
    let wait = plan.readiness.as_ref().map(|readiness| {
        let (sts, proxy) = server(&readiness.connection);
        format!("wait: until {sts} knows a new key{proxy}")
    });
    let text: String = rows.into_iter().chain(wait).map(|row| format!("ci-creds: {row}\n")).collect();
    write_stderr(text, host);
}

/// SDKs and Terraform's S3 backend show a helper's stderr: with `--format process` a success says nothing, but what
/// somebody must look after.
fn tell_warnings(plan: &Plan, host: &Host) {
    let (mut text, alarms) = (take_warnings(host), lines(&host.take_alarms()));
    if plan.output.format == Format::Process && !plan.output.verbose {
        text.clear();
    }
    write_stderr(text + &alarms, host);
}
