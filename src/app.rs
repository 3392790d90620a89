//! The only place where the rooms meet: a command line, what it asks for, the command that does it, and how it ends.

use std::ffi::OsString;
use std::time::Duration;

use crate::cli::{self, CacheAction, Cli, Command, Intent, Stop};
use crate::command::revoke::{self, Breadth};
use crate::command::{cache, fetch, take_warnings, write_stderr};
use crate::config;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::render;
use crate::render::format::Format;
use crate::secret::Secret;

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
        Command::Fetch(flags) => fetch::run(config::resolve_fetch(&flags, host)?, host),
        Command::Revoke(flags) => {
            let place = config::resolve_state_place(host)?;
            let access = config::resolve_access(&flags.login, &flags.connection, host);
            let breadth = if flags.all_mine { Breadth::Login } else { Breadth::Job };
            revoke::run(&place, access, breadth, true, host)
        }
        Command::Cache(flags) => match flags.action {
            None => cache::show(&config::resolve_place(host)?, host),
            Some(CacheAction::Clear(flags)) => {
                let place = config::resolve_state_place(host)?;
                let access = config::resolve_access(&flags.login, &flags.connection, host);
                let breadth = if flags.all { Breadth::Everybody } else { Breadth::Job };
                revoke::run(&place, access, breadth, false, host)
            }
        },
        Command::Completions(flags) => host.write_stdout(&Secret::new(cli::completions(flags.shell).into())),
        Command::Man => host.write_stdout(&Secret::new(cli::MANUAL.into())),
    }
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
