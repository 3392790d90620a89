//! Connects the modules: from the command line to the exit code.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use crate::cli::{
    self, AccessFlags, CacheAction, Cli, Command, DoctorFlags, DoctorFormat, ExecFlags, FetchFlags, Intent,
    Prerequisite, Question, RenewFlags, RotateFlags, SecretFlags, Stop, TokenAction, VaultTokenFlags, Volume,
    WhoamiFlags, WhoamiFormat,
};
use crate::command::doctor::ReportForm;
use crate::command::revoke::{Breadth, RevocationScope};
use crate::command::{
    self, cache, doctor, exec, explain, fetch, policy, request_id_token, rotate, take_warnings, token, whoami,
    write_beside, write_message,
};
use crate::config::{self, Layers, TokenRequest};
use crate::error::{Error, Kind, Result};
use crate::host::{BEFORE_A_COMMAND, Ending, Host, StartFailure, end_as};
use crate::render;
use crate::render::format::Format;
use crate::secret::Secret;

/// Runs one command line, the program's name first, and returns the exit code. Whatever is to be said is said. A run whose
/// command was ended by a signal ends by it too, and does not return.
#[must_use]
pub fn run(arguments: &[OsString], host: &Host) -> u8 {
    let mut intent = cli::guess_intent(arguments);
    let own = cli::own_words(arguments);
    let said = |short: &str, long: &str| own.iter().any(|argument| argument == short || argument == long);
    let (verbose, quiet) = (said("-v", "--verbose"), said("-q", "--quiet"));
    match execute(arguments, &mut intent, host) {
        Ok(ended) => end_as(ended),
        Err(RunFailure { error, code }) => {
            if quiet {
                let _ = host.take_warnings();
            }
            report(&error, intent.as_ref(), verbose, host);
            let kind = error.kind();
            let is_of_an_sdk = intent.as_ref().is_some_and(|intent| intent.format == Format::Process);
            if !quiet && !is_of_an_sdk && doctor::is_wanted_behind(kind, host) {
                diagnose(arguments, host);
            }
            match (code, cli::is_exec(arguments)) {
                // As the command would have ended.
                (_, true) if kind.is_signal() => end_as(Ending::Signal(kind.code() - 128)),
                (Some(code), _) => code,
                (None, true) => BEFORE_A_COMMAND,
                (None, false) => kind.code(),
            }
        }
    }
}

/// Examines the run of this line, which has failed.
#[inline(never)]
fn diagnose(arguments: &[OsString], host: &Host) {
    let command = cli::parse_arguments(arguments).ok().map(|cli| cli.command);
    if let Some(flags) = command.and_then(Command::into_doctor_flags) {
        let basis = find_basis(Prerequisite::Login(&flags.access, flags.wanted.as_ref()), host);
        doctor::follow_a_failure(&config::survey(&flags, basis.map(|basis| basis.layers), host), host);
    }
}

/// Why a run failed, and its exit code where that is not the kind's.
struct RunFailure {
    error: Error,
    code: Option<u8>,
}

impl From<Error> for RunFailure {
    fn from(error: Error) -> Self {
        Self { error, code: None }
    }
}

impl From<StartFailure> for RunFailure {
    fn from(StartFailure { error, code }: StartFailure) -> Self {
        Self { error, code: Some(code) }
    }
}

/// What to print on stdout for a run that ends in `kind` without having printed anything: what makes the `eval`
/// around it fail. Empty when no shell evaluates the output.
#[must_use]
pub fn failure_text(arguments: &[OsString], kind: Kind) -> String {
    cli::guess_intent(arguments).map(|intent| failure_of(&intent, kind)).unwrap_or_default()
}

fn failure_of(intent: &Intent, kind: Kind) -> String {
    render::failure(intent.format, intent.shape.as_deref(), intent.keep_profile, kind)
}

fn execute(arguments: &[OsString], intent: &mut Option<Intent>, host: &Host) -> Result<Ending, RunFailure> {
    if let Some(question) = cli::parse_question(arguments) {
        answer(&question, host)?;
        return Ok(Ending::Code(0));
    }
    host.restart_without_name_service_variables(arguments, cli::is_exec(arguments))?;
    let cli = match cli::parse_arguments(arguments) {
        Ok(cli) => cli,
        Err(Stop::Text(text)) => {
            host.write_stdout(&Secret::new(text))?;
            return Ok(Ending::Code(0));
        }
        Err(Stop::Mistake(error)) => return Err(error.into()),
    };
    let Cli { volume, command } = cli;
    let basis = match find_basis(command.prerequisite(), host) {
        // Some commands do what they can without a login. A signal ends each of them.
        Err(error) if error.kind().is_signal() => return Err(error.into()),
        basis => basis,
    };
    let words = cli::words_of(arguments);
    match command {
        Command::Exec(flags) => return run_command(flags, volume, basis?, host),
        Command::Fetch(flags) => fetch_credential(&flags, volume, &words, &basis?.layers, host)?,
        Command::Secret(flags) => fetch_secret(&flags, volume, &words, &basis?.layers, intent, host)?,
        Command::VaultToken(flags) => fetch_token(*flags, volume, &words, &basis?.layers, host)?,
        Command::Doctor(flags) => return Ok(Ending::Code(examine(&flags, volume, basis, host)?)),
        Command::Revoke(flags) => {
            let breadth = if flags.all_mine { Breadth::Login } else { Breadth::Job };
            revoke(&flags.access, RevocationScope { breadth, quiet: true }, volume, basis, host)?;
        }
        Command::Cache(flags) => match flags.action {
            None => cache::show(&config::resolve_place(host)?, host)?,
            Some(CacheAction::Clear(flags)) => {
                let breadth = if flags.all { Breadth::Everybody } else { Breadth::Job };
                revoke(&flags.access, RevocationScope { breadth, quiet: false }, volume, basis, host)?;
            }
        },
        Command::Token(TokenAction::Renew(flags)) => renew_token(&flags, volume, &basis?.layers, host)?,
        Command::Token(TokenAction::Rotate(flags)) => rotate_token(&flags, volume, &basis?.layers, host)?,
        Command::Whoami(flags) => show_login(&flags, volume, &basis?.layers, host)?,
        Command::Policy(flags) => {
            policy::run(&config::resolve_policy(&flags, &basis?.layers)?, flags.format, volume.quiet, host)?;
        }
        Command::Explain(words) => explain::run(&words, host)?,
        Command::Completions(flags) => host.write_stdout(&Secret::new(cli::completions(flags.shell)))?,
        Command::Man(command) => {
            let page =
                cli::manual(command.as_deref()).ok_or_else(|| Error::new(Kind::Internal, "this page is missing"))?;
            host.write_stdout(&Secret::new(page))?;
        }
    }
    Ok(Ending::Code(0))
}

// The plans of these, inlined into one function, would be 30 kB of stack below all that a run does: seven pages, which
// the system makes one by one.

#[inline(never)]
fn run_command(flags: ExecFlags, volume: Volume, basis: Basis<'_>, host: &Host) -> Result<Ending, RunFailure> {
    let Basis { layers, token_request } = basis;
    let mut exec = config::resolve_exec(flags, volume, &layers)?;
    exec.repeat_later(token_request);
    // The job's ID token is in it, and the command may run for hours.
    drop(layers);
    Ok(exec::run(exec, host)?)
}

#[inline(never)]
fn fetch_credential(
    flags: &FetchFlags,
    volume: Volume,
    words: &[String],
    layers: &Layers<'_>,
    host: &Host,
) -> Result<()> {
    fetch::run(config::resolve_fetch(flags, volume, words, layers)?, words, host)
}

#[inline(never)]
fn fetch_secret(
    flags: &SecretFlags,
    volume: Volume,
    words: &[String],
    layers: &Layers<'_>,
    intent: &mut Option<Intent>,
    host: &Host,
) -> Result<()> {
    let plan = config::resolve_secret(flags, volume, words, layers)?;
    // From here on it is known which variables a failure unsets.
    if let (Some(intent), Some(shape)) = (intent, config::owned_shape(&plan)) {
        intent.shape = Some(Cow::Owned(shape));
    }
    fetch::run(plan, words, host)
}

#[inline(never)]
fn fetch_token(
    flags: VaultTokenFlags,
    volume: Volume,
    words: &[String],
    layers: &Layers<'_>,
    host: &Host,
) -> Result<()> {
    // It always makes a child.
    fetch::run(config::resolve_token(flags, volume, words, layers)?, words, host)
        .map_err(|error| error.reword_hint("drop --child-token", "hand on the token of the job itself"))
}

#[inline(never)]
fn examine(flags: &DoctorFlags, volume: Volume, basis: Result<Basis<'_>>, host: &Host) -> Result<u8> {
    let survey = config::survey(flags, basis.map(|basis| basis.layers), host);
    let form = match (flags.report, flags.format) {
        (true, _) => ReportForm::Ticket { with_names: flags.with_names },
        (false, DoctorFormat::Text) => ReportForm::Text,
        (false, DoctorFormat::Json) => ReportForm::Json,
    };
    doctor::run(&survey, form, volume.verbose, host)
}

#[inline(never)]
fn revoke(
    access: &AccessFlags,
    scope: RevocationScope,
    volume: Volume,
    basis: Result<Basis<'_>>,
    host: &Host,
) -> Result<()> {
    let place = config::resolve_state_place(host)?;
    let access = basis.and_then(|basis| config::resolve_access(access, &basis.layers));
    command::revoke::run(&place, access, scope, volume.verbose, host)
}

#[inline(never)]
fn renew_token(flags: &RenewFlags, volume: Volume, layers: &Layers<'_>, host: &Host) -> Result<()> {
    token::run(config::resolve_access(&flags.access, layers)?, volume.verbose, host)
}

#[inline(never)]
fn rotate_token(flags: &RotateFlags, volume: Volume, layers: &Layers<'_>, host: &Host) -> Result<()> {
    rotate::run(config::resolve_rotate(flags, layers)?, volume.verbose, host)
}

#[inline(never)]
fn show_login(flags: &WhoamiFlags, volume: Volume, layers: &Layers<'_>, host: &Host) -> Result<()> {
    let access = config::resolve_access(&flags.access, layers)?;
    whoami::run(access, flags.format == Some(WhoamiFormat::Json), volume.verbose, host)
}

/// What a command is decided from, beside its flags.
struct Basis<'a> {
    layers: Layers<'a>,
    /// The request of the ID token in them, where the login needs one and the CI system gives it by request only.
    token_request: Option<TokenRequest>,
}

/// Reads the configuration files, and requests the ID token. Roles can have its claims in them, so all else is decided
/// afterwards.
fn find_basis<'a>(prerequisite: Prerequisite<'_>, host: &'a Host) -> Result<Basis<'a>> {
    let (access, wanted) = match prerequisite {
        Prerequisite::Nothing => return Ok(Basis { layers: Layers::bare(host), token_request: None }),
        Prerequisite::Files(connection) => {
            return Ok(Basis { layers: Layers::read(connection, host)?, token_request: None });
        }
        Prerequisite::Login(access, wanted) => (access, wanted),
    };
    let mut layers = Layers::read(&access.connection, host)?;
    let mut token_request = config::resolve_token_request(access, wanted, &layers)?;
    layers.job_token = token_request.as_mut().map(|request| request_id_token(request, host)).transpose()?;
    Ok(Basis { layers, token_request })
}

/// What a completion script reads. No answer is an empty one: whoever presses Tab waits for no error.
fn answer(question: &Question, host: &Host) -> Result<()> {
    let text = match question {
        Question::Profiles { file, named } => config::find_profiles(file, named.as_deref(), host),
        Question::Unknown => String::new(),
    };
    host.write_stdout(&Secret::new(text))
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
    match intent {
        Some(intent) => write_beside(intent.format, text, host),
        None => write_message(text, host),
    }
}
