//! The only place where the stages meet: one short function per command.

use std::ffi::OsString;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cache::Cache;
use crate::chain::{self, Chain, Obtained};
use crate::cli::{self, CacheAction, Cli, Command, Intent, Stop};
use crate::config::{self, Plan};
use crate::delivery;
use crate::error::{Error, Kind, Result};
use crate::host::{self, Host};
use crate::http::transport::{Connection, Proxy};
use crate::inventory::{self, Cleared, Owner};
use crate::render;
use crate::render::format::Format;
use crate::secret::Secret;
use crate::time::render_time;
use crate::vault::client::Vault;

/// Runs one command line, the program's name first, and returns the exit code. Whatever is to be said is said.
#[must_use]
pub fn run(arguments: &[OsString], host: &Host) -> u8 {
    let intent = cli::guess_intent(arguments);
    let verbose = arguments.iter().any(|argument| argument == "-v" || argument == "--verbose");
    match execute(arguments, host) {
        Ok(()) => 0,
        Err(error) => {
            report(&error, intent.as_ref(), verbose, host);
            error.kind().code()
        }
    }
}

/// What to print on stdout for a run that ends in `kind` without having printed anything: what makes the `eval`
/// around it fail. Empty when no shell evaluates the output.
#[must_use]
pub fn failure_text(arguments: &[OsString], kind: Kind) -> String {
    cli::guess_intent(arguments).map(|intent| failure_of(&intent, kind)).unwrap_or_default()
}

fn failure_of(intent: &Intent, kind: Kind) -> String {
    render::failure(intent.format, intent.shape, intent.keep_profile, kind)
}

fn execute(arguments: &[OsString], host: &Host) -> Result<()> {
    host.restart_without_name_service_variables(arguments)?;
    let cli = match cli::parse_arguments(arguments) {
        Ok(cli) => cli,
        Err(Stop::Text(text)) => return host.write_stdout(&Secret::new(text)),
        Err(Stop::Mistake(error)) => return Err(error),
    };
    let Cli { command } = cli;
    match command {
        Command::Fetch(flags) => deliver_credential(config::resolve_fetch(&flags, host)?, host),
        Command::Cache(flags) => show_or_clear_cache(flags.action.as_ref(), host),
        Command::Completions(flags) => host.write_stdout(&Secret::new(cli::completions(flags.shell).into())),
        Command::Man => host.write_stdout(&Secret::new(cli::MANUAL.into())),
    }
}

/// Hands a credential over: the one that is kept, or a new one.
fn deliver_credential(mut plan: Plan, host: &Host) -> Result<()> {
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

/// Asks Vault. A signal that comes in between ends the run with its code, after the lease was given back. It drops what
/// is under way, but not the read that makes a credential.
fn fetch_new(plan: &mut Plan, host: &Host, cache: Option<&Cache>) -> Result<()> {
    let vault = Vault::new(&plan.connection, host)?;
    let chain = Chain::new(&vault, cache, host);
    start_runtime(host)?.block_on(async {
        let interrupted = host::wait_for_ending_signal()?;
        let mut work = Box::pin(fetch_and_deliver(&chain, plan, host));
        let end = tokio::select! {
            biased;
            result = &mut work => result,
            kind = interrupted => match chain.interrupt(kind) {
                true => work.await,
                false => {
                    drop(work);
                    Err(chain.clean_up(chain::interruption(kind)).await)
                }
            },
        };
        chain.tell_of_strays(end)
    })
}

fn show_or_clear_cache(action: Option<&CacheAction>, host: &Host) -> Result<()> {
    let place = config::resolve_place(host)?;
    let Cleared { text, error } = match action {
        None => Cleared { text: inventory::list(&place, host), error: None },
        Some(CacheAction::Clear(flags)) => {
            let owner = config::resolve_access(&flags.login, &flags.connection, host).and_then(|mut access| {
                access.connection.read_roots(host)?;
                let vault = Vault::new(&access.connection, host)?;
                Ok(Owner { access, vault })
            });
            start_runtime(host)?.block_on(inventory::clear(&place, owner, flags.all, host))?
        }
    };
    host.write_stdout(&Secret::new(text))?;
    write_stderr(take_warnings(host), host);
    error.map_or(Ok(()), Err)
}

/// As many files as a run opens beside those that it was given, and some to spare.
const OPEN_FILES: usize = 13;

/// The event queue panics where its signals find no open file.
fn start_runtime(host: &Host) -> Result<tokio::runtime::Runtime> {
    host.expect_descriptors(OPEN_FILES)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Os, "the system gives no event queue").cause(cause))
}

async fn fetch_and_deliver(chain: &Chain<'_>, plan: &mut Plan, host: &Host) -> Result<()> {
    let Obtained { credential, shared } = chain.obtain(plan).await?;
    let Err(error) = delivery::hand_over(&credential, plan, host).await else { return Ok(()) };
    if shared {
        return Err(error.also("the credential is kept for the next call"));
    }
    Err(chain.clean_up(error).await)
}

/// Lets a limit on the size of files be an error of the write, and not our end with an empty stdout, which an eval would
/// take for success. Without a limit, a kept credential shall not cost an event queue.
fn outlive_limits(host: &Host) -> Result<()> {
    if host.limits_files() {
        let runtime = start_runtime(host)?;
        let _inside = runtime.enter();
        // Who listened once is not ended by the signal any more, for as long as the process lives.
        listen(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)?;
    }
    Ok(())
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|cause| Error::new(Kind::Os, "the system lets us listen to no signal").cause(cause))
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

fn take_warnings(host: &Host) -> String {
    lines(&host.take_warnings())
}

fn lines(warnings: &[String]) -> String {
    let line = |warning: &String| format!("ci-creds: warning: {}\n", crate::error::printable(warning));
    warnings.iter().map(line).collect()
}

/// A reader who is only slow must get what makes his eval fail; one who reads nothing shall not keep a failed run.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Ends a failed run: what makes the caller's eval fail on stdout, the message on stderr.
fn report(error: &Error, intent: Option<&Intent>, verbose: bool, host: &Host) {
    let stdout = host.stdout();
    if let Some(intent) = intent.filter(|_| !stdout.terminal && !stdout.null && host.has_room(LAST_PATIENCE)) {
        let text = failure_of(intent, error.kind());
        if !text.is_empty() {
            let _ = host.write_stdout(&Secret::new(text));
        }
    }
    let mut text = take_warnings(host);
    if !verbose && intent.is_some_and(|intent| intent.format == Format::Process) {
        text.clear();
    }
    text.push_str(&error.render(verbose));
    write_stderr(text, host);
}

/// Security: joined with stdout, the text may be what a shell evaluates.
fn write_stderr(mut text: String, host: &Host) {
    if host.stdout().shared_with_stderr {
        text.retain(|c| !";|&$`<>\"'\\#!*?".contains(c));
    }
    host.write_stderr(&text);
}
