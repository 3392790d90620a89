//! `ci-creds exoscale`, `aws` and `scaleway`: deliver a credential from the cache or from its source.

use std::path::Path;

use jiff::Timestamp;

use crate::cache::{Cache, Door, JobState};
use crate::chain::{self, Chain};
use crate::claims::Claims;
use crate::config::{Delivery, Maker, Plan, StatePlace, StsPlan};
use crate::credential::Credential;
use crate::custody::Custody;
use crate::delivery;
use crate::error::{Error, Kind, Result, printable, sanitized};
use crate::host::{Host, Interrupt, outlive_file_limit};
use crate::http::transport::{Connection, Proxy};
use crate::identity::Login;
use crate::lease;
use crate::origin::Origin;
use crate::provider::shape::Shape;
use crate::provider::token;
use crate::render;
use crate::render::format::Format;
use crate::secret::Secret;
use crate::source::{Source, StsSource, VaultSource};
use crate::time::{render_clock, render_time};
use crate::vault::client::Vault;

use super::{complete_login, start_runtime, take_alarms, take_warnings, write_stderr};

/// Hands a credential over: the one that is kept, or a new one. `words` are the call, without the program, for who only
/// looks.
pub(crate) fn run(mut plan: Plan, words: &[String], host: &Host) -> Result<()> {
    if plan.output.delivery == Delivery::Preview {
        return host.write_stdout(&Secret::new(preview(&plan, words)));
    }
    explain(&plan, host);
    outlive_limits(host)?;
    if let (Delivery::Masked, Some(token)) = (&plan.output.delivery, plan.login.identity.requested_token()) {
        // It was requested for this run, so nobody has masked it.
        host.write_masks(&render::mask(token))?;
    }
    complete_login(&mut plan.login, host)?;
    if let (Delivery::TokenFile(folder), Maker::Sts(sts)) = (&plan.output.delivery, &plan.maker) {
        return hand_over_token(&plan, sts, folder, host);
    }
    let cache = Cache::open(&plan, host);
    let kept = cache.as_ref().and_then(|cache| chain::find(cache, &plan, host));
    if let (Some(credential), true) = (&kept, plan.output.verbose) {
        let end = credential.lease.expires_at.map(render_time).unwrap_or_default();
        let maker = maker(&plan);
        write_stderr(format!("ci-creds: cached: from an earlier call, until {end}; {maker} is not asked\n"), host);
    }
    let at_once = kept.as_ref().and_then(|credential| delivery::hand_over_at_once(credential, &plan, host));
    let receipt = match (at_once, kept) {
        (Some(delivered), Some(credential)) => delivered.map(|()| receipt(&credential, &plan, host))?,
        _ => {
            plan.connection.read_roots(host)?;
            if let Some(readiness) = &mut plan.readiness {
                readiness.read_roots(host)?;
            }
            match plan.maker {
                Maker::Vault => fetch_new(&mut plan, host, cache.as_ref())?,
                Maker::Sts(_) => fetch_of_sts(&mut plan, host, cache.as_ref())?,
            }
        }
    };
    tell_warnings(&plan, host);
    write_stderr(receipt, host);
    Ok(())
}

/// Hands over the ID token itself. Nobody is asked.
fn hand_over_token(plan: &Plan, sts: &StsPlan, folder: &Path, host: &Host) -> Result<()> {
    let (Some(token), [role, session]) =
        (plan.login.identity.id_token(), ["RoleArn", "RoleSessionName"].map(|name| sts.field(name)))
    else {
        return Err(Error::new(Kind::Internal, "there is no ID token to hand over"));
    };
    delivery::hand_over_token(token, (role, session), folder, plan, host)?;
    tell_warnings(plan, host);
    if plan.output.in_a_job && !plan.output.quiet && !host.stdout().shared_with_stderr {
        let end = plan.login.identity.claims().and_then(|claims| claims.seconds("exp"));
        let end = end.and_then(|end| Timestamp::from_second(end).ok());
        let end = end.map(|end| format!(", expires {}", render_clock(end, host.now()))).unwrap_or_default();
        write_stderr(printable(&format!("ci-creds: ID token for role {role}{end}")) + "\n", host);
    }
    Ok(())
}

/// Asks Vault, and delivers. A signal that comes in between ends the run with its code, after the lease was revoked.
fn fetch_new(plan: &mut Plan, host: &Host, cache: Option<&Cache>) -> Result<String> {
    let state = open_state(plan.state.as_ref(), (&plan.connection, &plan.login), host)?;
    let vault = Vault::new(&plan.connection, host)?;
    let is_silent = plan.output.quiet || plan.output.format == Format::Process && !plan.output.verbose;
    if is_silent {
        vault.keep_silent();
    } else if !plan.output.in_a_job {
        host.show_progress();
    }
    if plan.output.verbose {
        vault.tell_requests();
    }
    start_runtime(host)?.block_on(async {
        let required = plan.state.as_ref().is_some_and(|place| place.required);
        let custody =
            Custody::new(Some(&vault), cache, host, Interrupt::listen()?).with_state(state.as_ref(), required);
        let source = Source::Vault(VaultSource { vault: &vault, host });
        let end = obtain_and_deliver(Chain::new(source, cache, host, custody), plan, host).await;
        if plan.output.verbose {
            vault.take_warnings().into_iter().for_each(|text| host.warn(text));
        }
        end
    })
}

/// Asks STS, and delivers. A signal that comes in between ends the run with its code.
fn fetch_of_sts(plan: &mut Plan, host: &Host, cache: Option<&Cache>) -> Result<String> {
    let is_silent = plan.output.quiet || plan.output.format == Format::Process && !plan.output.verbose;
    if !is_silent && !plan.output.in_a_job {
        host.show_progress();
    }
    start_runtime(host)?.block_on(async {
        let custody = Custody::new(None, cache, host, Interrupt::listen()?);
        let source = Source::Sts(StsSource { host });
        obtain_and_deliver(Chain::new(source, cache, host, custody), plan, host).await
    })
}

/// Who is asked for the credential.
fn maker(plan: &Plan) -> &'static str {
    match plan.maker {
        Maker::Vault => "Vault",
        Maker::Sts(_) => "AWS",
    }
}

/// Opens the state of the job, where one is kept.
///
/// # Errors
/// [`Kind::Create`] when it cannot be kept and the user asked for it.
pub(super) fn open_state(
    place: Option<&StatePlace>,
    (connection, login): (&Connection, &Login),
    host: &Host,
) -> Result<Option<JobState>> {
    let Some(StatePlace { beside, cache, required }) = place else { return Ok(None) };
    let door = Door::new(connection, login, cache.job.as_deref());
    match JobState::open((beside.as_deref(), &cache.folders), door, &login.identity, host) {
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

async fn obtain_and_deliver(chain: Chain<'_>, plan: &mut Plan, host: &Host) -> Result<String> {
    let (credential, mut custody) = chain.obtain(plan).await?;
    // No engine's role says how long a stored key lives.
    if credential.shape.stored.is_none() {
        lease::warn_of_a_long_life(&credential.path, credential.lease.expires_at, host);
    }
    match custody.race(delivery::hand_over(&credential, plan, host)).await {
        Ok(Ok(())) => {
            custody.finish();
            Ok(receipt(&credential, plan, host))
        }
        Ok(Err(error)) if custody.is_empty() => {
            Err(custody.fail(error.also("the cache has the credential for the next call")))
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
        let _inside = runtime.0.enter();
        outlive_file_limit()?;
    }
    Ok(())
}

/// The line in a job's log about what was delivered. None if the caller reads that log.
fn receipt(credential: &Credential, plan: &Plan, host: &Host) -> String {
    let output = &plan.output;
    let is_told = output.in_a_job && !output.quiet && output.format != Format::Process;
    if !is_told || host.stdout().shared_with_stderr {
        return String::new();
    }
    let all = std::iter::once(credential).chain(&credential.others);
    all.map(|one| format!("ci-creds: {}\n", printable(&render::receipt(one, host.now())))).collect()
}

/// Says, when asked, where each value came from.
pub(super) fn explain(plan: &Plan, host: &Host) {
    if plan.output.verbose {
        let lines = origins(plan).into_iter().map(|(name, text)| format!("ci-creds: {name}: {text}\n"));
        write_stderr(lines.collect(), host);
    }
}

/// What the run does, and where each value came from; never a value that is secret.
fn origins(plan: &Plan) -> Vec<(&'static str, String)> {
    let connection = &plan.connection;
    let namespace = connection.namespace.as_deref().map_or(String::new(), |name| format!(", namespace {name}"));
    let server = |connection: &Connection| {
        let through = |proxy: &Proxy| format!(", through the proxy from {}", proxy.origin);
        let proxy = connection.proxy.as_ref().map(through).unwrap_or_default();
        (format!("{} (from {})", connection.address.host(), connection.address_origin), proxy)
    };
    let (vault, proxy) = server(connection);
    let mut rows = match plan.maker {
        Maker::Vault => vec![
            ("vault", format!("{vault}{namespace}{proxy}")),
            ("login", plan.login.describe()),
            ("path", tell_path(&plan.shape, &plan.mint.path, &plan.role_origin)),
        ],
        Maker::Sts(_) => vec![
            ("sts", format!("{vault}{proxy}")),
            ("login", plan.login.describe()),
            ("role", format!("{} (from {})", plan.role, plan.role_origin)),
        ],
    };
    rows.extend(plan.others.iter().map(|one| ("path", tell_path(&one.shape, &one.mint.path, &one.role_origin))));
    if let Some(claims) = plan.login.identity.claims() {
        rows.insert(2, ("claims", tell(claims)));
    }
    if let Some(readiness) = &plan.readiness {
        let (sts, proxy) = server(&readiness.connection);
        rows.push(("wait", format!("until {sts} knows a new key{proxy}")));
    }
    rows
}

/// A path, and where it came from: for a cloud, its role.
fn tell_path(shape: &Shape, path: &str, origin: &Origin) -> String {
    match shape.is_found_by_path() {
        true => format!("{path} (from {origin})"),
        false if shape.command == token::NAME => path.to_owned(),
        false => format!("{path} (role from {origin})"),
    }
}

/// The claims that roles of Vault are bound by, as far as the token has them.
fn tell(claims: &Claims) -> String {
    const BOUND: [&str; 6] = ["iss", "sub", "project_path", "ref", "ref_protected", "environment"];
    let audiences = claims.audiences().join(" and ");
    let others = BOUND.into_iter().filter_map(|name| Some((name, claims.text(name)?)));
    let all = [("aud", audiences)].into_iter().chain(others).filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| format!("{name} {}", sanitized(&value))).collect::<Vec<_>>().join(", ")
}

/// What a terminal shows in place of a credential: what the call would do, and how to use it.
fn preview(plan: &Plan, words: &[String]) -> String {
    let call = |more: &[&str]| render::command_line(words, more);
    let rows = origins(plan).into_iter().map(|(name, text)| format!("  {name:6} {}\n", printable(&text)));
    format!(
        "Nothing was fetched: a terminal would show the secret.\nThis call would read {}:\n\n{}\n\
        To use it:   {}\nTo see it:   {}\n",
        match (&plan.shape.mapping, plan.others.len()) {
            (None, _) if plan.token.is_some() => "a Vault token".to_owned(),
            (None, _) if plan.shape.stored.is_some() => format!("a {} key", plan.shape.title),
            (None, _) => format!("an {} credential", plan.shape.title),
            (Some(_), 0) => "a secret".to_owned(),
            (Some(_), _) => "secrets".to_owned(),
        },
        rows.collect::<String>(),
        plan.output.format.facts().usage.replace("{}", &call(&[])),
        call(&["--reveal"]),
    )
}

/// SDKs and Terraform's S3 backend show a helper's stderr: with `--format process` a success says nothing, but what
/// somebody must look after.
fn tell_warnings(plan: &Plan, host: &Host) {
    let (mut text, alarms) = (take_warnings(host), take_alarms(host));
    if plan.output.quiet || plan.output.format == Format::Process && !plan.output.verbose {
        text.clear();
    }
    write_stderr(text + &alarms, host);
}
