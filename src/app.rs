//! Connects the modules: from the command line to the exit code.

use std::borrow::Cow;
use std::ffi::OsString;
use std::time::Duration;

use crate::cli::{
    self, CacheAction, Cli, Command, ConnectionFlags, CredentialFlags, DoctorFormat, Intent, LoginFlags, Question,
    Stop, TokenAction, WhoamiFormat,
};
use crate::command::doctor::ReportForm;
use crate::command::revoke::{self, Breadth};
use crate::command::{
    cache, doctor, exec, explain, fetch, policy, request_id_token, rotate, take_warnings, token, whoami, write_message,
    write_stderr,
};
use crate::config::{self, TokenRequest};
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
fn diagnose(arguments: &[OsString], host: &Host) {
    let command = cli::parse_arguments(arguments).ok().map(|cli| cli.command);
    if let Some(mut flags) = command.and_then(Command::into_doctor_flags) {
        let refusal = find_id_token(&mut flags.login, &flags.connection, flags.wanted.as_ref(), host).err();
        doctor::follow_a_failure(&config::survey(&flags, refusal, host), host);
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
    match command {
        Command::Exec(mut flags) => {
            let request = find_id_token(&mut flags.login, &flags.connection, flags.wanted.first(), host)?;
            let mut exec = config::resolve_exec(flags, volume, host)?;
            exec.repeat_later(request);
            return Ok(exec::run(exec, host)?);
        }
        Command::Fetch(mut flags) => {
            find_id_token(&mut flags.login, &flags.connection, Some(&flags.wanted), host)?;
            let words = cli::words_of(arguments);
            fetch::run(config::resolve_fetch(&flags, volume, &words, host)?, &words, host)?;
        }
        Command::Secret(mut flags) => {
            find_id_token(&mut flags.login, &flags.connection, None, host)?;
            let words = cli::words_of(arguments);
            let plan = config::resolve_secret(&flags, volume, &words, host)?;
            // From here on it is known which variables a failure unsets.
            if let (Some(intent), Some(shape)) = (intent, config::owned_shape(&plan)) {
                intent.shape = Some(Cow::Owned(shape));
            }
            fetch::run(plan, &words, host)?;
        }
        Command::VaultToken(mut flags) => {
            find_id_token(&mut flags.login, &flags.connection, None, host)?;
            let words = cli::words_of(arguments);
            fetch::run(config::resolve_token(*flags, volume, &words, host)?, &words, host)?;
        }
        Command::Doctor(mut flags) => {
            let refusal = find_id_token(&mut flags.login, &flags.connection, flags.wanted.as_ref(), host).err();
            let survey = config::survey(&flags, refusal, host);
            let form = match (flags.report, flags.format) {
                (true, _) => ReportForm::Ticket { with_names: flags.with_names },
                (false, DoctorFormat::Text) => ReportForm::Text,
                (false, DoctorFormat::Json) => ReportForm::Json,
            };
            return Ok(Ending::Code(doctor::run(&survey, form, volume.verbose, host)?));
        }
        Command::Revoke(mut flags) => {
            let place = config::resolve_state_place(host)?;
            let access = find_id_token(&mut flags.login, &flags.connection, None, host)
                .and_then(|_| config::resolve_access(&flags.login, &flags.connection, host));
            let breadth = if flags.all_mine { Breadth::Login } else { Breadth::Job };
            revoke::run(&place, access, breadth, true, volume.verbose, host)?;
        }
        Command::Cache(flags) => match flags.action {
            None => cache::show(&config::resolve_place(host)?, host)?,
            Some(CacheAction::Clear(mut flags)) => {
                let place = config::resolve_state_place(host)?;
                let access = find_id_token(&mut flags.login, &flags.connection, None, host)
                    .and_then(|_| config::resolve_access(&flags.login, &flags.connection, host));
                let breadth = if flags.all { Breadth::Everybody } else { Breadth::Job };
                revoke::run(&place, access, breadth, false, volume.verbose, host)?;
            }
        },
        Command::Token(TokenAction::Renew(flags)) => {
            token::run(config::resolve_access(&flags.login, &flags.connection, host)?, volume.verbose, host)?;
        }
        Command::Token(TokenAction::Rotate(flags)) => {
            rotate::run(config::resolve_rotate(&flags, host)?, volume.verbose, host)?;
        }
        Command::Whoami(mut flags) => {
            find_id_token(&mut flags.login, &flags.connection, None, host)?;
            let access = config::resolve_access(&flags.login, &flags.connection, host)?;
            whoami::run(access, flags.format == Some(WhoamiFormat::Json), volume.verbose, host)?;
        }
        Command::Policy(flags) => {
            policy::run(&config::resolve_policy(&flags, host)?, flags.format, volume.quiet, host)?;
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

/// Requests the ID token of the job where the login needs one and the CI system gives it by request only. It is put with
/// the flags: a role can have its claims in it, so all else is decided afterwards.
fn find_id_token(
    login: &mut LoginFlags,
    connection: &ConnectionFlags,
    wanted: Option<&CredentialFlags>,
    host: &Host,
) -> Result<Option<TokenRequest>> {
    let mut request = config::resolve_token_request(login, connection, wanted, host)?;
    login.job_token = request.as_mut().map(|request| request_id_token(request, host)).transpose()?;
    Ok(request)
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
    let write = if intent.is_some() { write_stderr } else { write_message };
    write(text, host);
}
