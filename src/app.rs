//! The only place where the stages meet: one short function per command.

use std::cell::RefCell;
use std::ffi::OsString;

use crate::auth::{self, Session};
use crate::cli::{self, Cli, Command, Intent, Stop};
use crate::config::{self, Delivery, Plan};
use crate::credential::Credential;
use crate::engine::{self, Failed, Leftover};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::provider::Provider;
use crate::render;
use crate::secret::Secret;
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
    let provider = Provider::ALL.into_iter().find(|provider| Some(provider.name) == intent.provider);
    render::failure(intent.format, provider, intent.keep_profile, kind)
}

fn execute(arguments: &[OsString], host: &Host) -> Result<()> {
    let cli = match cli::parse_arguments(arguments) {
        Ok(cli) => cli,
        Err(Stop::Text(text)) => return host.write_stdout(&Secret::new(text)),
        Err(Stop::Mistake(error)) => return Err(error),
    };
    let Cli { command } = cli;
    match command {
        Command::Exoscale(flags) => deliver_credential(config::resolve_exoscale(&flags, host)?, host),
        Command::Aws(flags) => deliver_credential(config::resolve_aws(&flags, host)?, host),
        Command::Completions { shell } => host.write_stdout(&Secret::new(cli::completions(shell).into())),
        Command::Man => host.write_stdout(&Secret::new(cli::MANUAL.into())),
    }
}

/// Fetches a credential and hands it over; a signal that comes in between ends the run with its code, after the
/// lease was given back.
fn deliver_credential(mut plan: Plan, host: &Host) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Os, "the system gives no event queue").cause(cause))?;
    explain(&plan, host);
    let vault = Vault::new(&plan.connection, host)?;
    // What a signal must take back: the session, from its login to the delivery.
    let held = RefCell::new(None);
    runtime.block_on(async {
        let interrupted = wait_for_signal()?;
        let outcome = tokio::select! {
            biased;
            result = fetch_and_deliver(&vault, &mut plan, host, &held) => result,
            kind = interrupted => Err(Error::new(kind, "the run was ended by a signal; nothing was delivered")),
        };
        match outcome {
            Err(error) if matches!(error.kind(), Kind::Interrupted | Kind::Terminated) => {
                let session = held.borrow_mut().take();
                match session {
                    Some(session) => Err(clean_up(&vault, &session, &Leftover::Unknown, &plan, error).await),
                    None => Err(error),
                }
            }
            outcome => outcome,
        }
    })?;
    tell_warnings(&plan, host);
    Ok(())
}

async fn fetch_and_deliver(
    vault: &Vault<'_>,
    plan: &mut Plan,
    host: &Host,
    held: &RefCell<Option<Session>>,
) -> Result<()> {
    let credential = fetch(vault, plan, host, held).await?;
    if let Err(error) = hand_over(&credential, plan, host) {
        let lease = Leftover::Lease { id: credential.lease.id.clone(), revocable: credential.lease.revocable };
        let session = held.borrow_mut().take();
        return Err(match session {
            Some(session) => clean_up(vault, &session, &lease, plan, error).await,
            None => error,
        });
    }
    Ok(())
}

/// Logs in and asks the engine. After an unclear answer, what it may have made is taken back, and one more login
/// and read follow where the identity is good for it.
async fn fetch(vault: &Vault<'_>, plan: &mut Plan, host: &Host, held: &RefCell<Option<Session>>) -> Result<Credential> {
    let mut again = plan.login.is_repeatable();
    loop {
        let session = auth::login(vault, &plan.login).await?;
        if !again {
            plan.login.forget();
        }
        held.replace(Some(session.duplicate()));
        let Failed { error, leftover, transient } = match engine::obtain(vault, &session, plan, host).await {
            Ok(credential) => return Ok(credential),
            Err(failed) => failed,
        };
        let cleaned = engine::give_back(vault, &session, &leftover, &plan.mint.path).await;
        held.replace(None);
        match cleaned {
            Ok(()) if transient && again => again = false,
            Ok(()) => return Err(auth::after_spending(error, session.spent)),
            Err(leak) => return Err(leaked(&error, leak)),
        }
    }
}

async fn clean_up(vault: &Vault<'_>, session: &Session, leftover: &Leftover, plan: &Plan, error: Error) -> Error {
    match engine::give_back(vault, session, leftover, &plan.mint.path).await {
        Ok(()) => error,
        Err(leak) => leaked(&error, leak),
    }
}

/// A failure that could not be cleaned up: what may be left is what the user must act on.
fn leaked(error: &Error, leak: Error) -> Error {
    leak.also(format!("what failed: {}", error.message()))
}

fn hand_over(credential: &Credential, plan: &Plan, host: &Host) -> Result<()> {
    let format = plan.output.format;
    match &plan.output.delivery {
        Delivery::Stdout => host.write_stdout(&render::render(format, credential)?),
        Delivery::Summary => host.write_stdout(&Secret::new(render::summary(credential, &plan.login.describe()))),
        Delivery::SourcedFile(folder) => {
            let exports = render::render(format, credential)?;
            let path = host.create_private_file(folder, "exports", |path| render::untraced(format, path, &exports))?;
            let line = render::source_line(format, &path).unwrap_or_default();
            host.write_stdout(&Secret::new(line)).inspect_err(|_| host.remove_private_file(&path))
        }
    }
}

/// Resolves to the kind of the first SIGINT, SIGTERM or SIGHUP.
fn wait_for_signal() -> Result<impl Future<Output = Kind>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|cause| Error::new(Kind::Os, "the system lets us listen to no signal").cause(cause))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (mut terminate, mut hang_up) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Kind::Interrupted,
            _ = terminate.recv() => Kind::Terminated,
            _ = hang_up.recv() => Kind::Terminated,
        }
    })
}

/// Says, when asked, where each value came from; never a value that is secret.
fn explain(plan: &Plan, host: &Host) {
    if !plan.output.verbose {
        return;
    }
    let connection = &plan.connection;
    let namespace = connection.namespace.as_deref().map_or(String::new(), |name| format!(", namespace {name}"));
    let proxy =
        connection.proxy.as_ref().map_or(String::new(), |proxy| format!(", through the proxy from {}", proxy.origin));
    let rows = [
        format!("vault: {} (from {}){namespace}{proxy}", connection.address.host(), connection.address_origin),
        format!("login: {}", plan.login.describe()),
        format!("path: {} (role from {})", plan.mint.path, plan.role_origin),
    ];
    let text: String = rows.iter().map(|row| format!("ci-creds: {row}\n")).collect();
    host.write_stderr(&text);
}

/// SDKs and Terraform's S3 backend show a helper's stderr: with `--format process` a success says nothing.
fn tell_warnings(plan: &Plan, host: &Host) {
    let warnings = host.take_warnings();
    if plan.output.format == cli::Format::Process && !plan.output.verbose {
        return;
    }
    for warning in warnings {
        host.write_stderr(&format!("ci-creds: warning: {}\n", crate::error::printable(&warning)));
    }
}

/// Ends a failed run: what makes the caller's eval fail on stdout, the message on stderr.
fn report(error: &Error, intent: Option<&Intent>, verbose: bool, host: &Host) {
    let stdout = host.stdout();
    if let Some(intent) = intent.filter(|_| !stdout.terminal && !stdout.null) {
        let text = failure_of(intent, error.kind());
        if !text.is_empty() {
            let _ = host.write_stdout(&Secret::new(text));
        }
    }
    let mut text = String::new();
    for warning in host.take_warnings() {
        if intent.is_none_or(|intent| intent.format != cli::Format::Process) {
            text.push_str(&format!("ci-creds: warning: {}\n", crate::error::printable(&warning)));
        }
    }
    text.push_str(&error.render(verbose));
    if stdout.shared_with_stderr {
        // Security: joined with stdout, this text may be what a shell evaluates.
        text.retain(|c| !";|&$`<>\"'\\#!*?".contains(c));
    }
    host.write_stderr(&text);
}
