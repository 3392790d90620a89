//! The commands, a flow each; and what they share: the runtime, and what is said on stderr.

pub(crate) mod cache;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod fetch;
mod inventory;
pub(crate) mod policy;
pub(crate) mod revoke;
pub(crate) mod rotate;
mod serving;
pub(crate) mod token;
pub(crate) mod whoami;

use std::pin::{Pin, pin};

use crate::aws::runner;
use crate::ci::JobToken;
use crate::config::TokenRequest;
use crate::custody::interruption;
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt};
use crate::identity::Login;
use crate::job_token;
use crate::render::format::Format;
use crate::secret::Secret;

/// As many files as a run opens beside those that it was given, and some to spare.
const OPEN_FILES: usize = 13;

/// The event queue, on this thread alone.
struct Runtime(tokio::runtime::Runtime);

/// The event queue panics where its signals find no open file.
fn start_runtime(host: &Host) -> Result<Runtime> {
    host.expect_descriptors(OPEN_FILES)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(Runtime)
        .map_err(|cause| Error::new(Kind::Os, "the system refused an event queue").cause(cause))
}

impl Runtime {
    /// Waits for the work. By a pointer to it: the queue's loop would stand in the program once for each work.
    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let work: Pin<&mut dyn Future<Output = T>> = pin!(work);
        self.0.block_on(work)
    }
}

/// Does the work, unless a signal comes first. What the caller ignores stays ignored, also in the command of `exec`. A signal
/// that comes behind the work is noted by the next wait.
///
/// # Errors
/// Those of the work, and the kind of the signal.
fn run_unless_interrupted<T>(work: impl Future<Output = Result<T>>, host: &Host) -> Result<T> {
    start_runtime(host)?.block_on(async {
        let mut interrupt = Interrupt::listen_unless_ignored()?;
        interrupt.race(work).await.unwrap_or_else(|kind| Err(interruption(kind)))
    })
}

/// Fetches what the login lacks, before the cache: what is cached is encrypted with the secret of the login.
fn complete_login(login: &mut Login, host: &Host) -> Result<()> {
    if let Some(signer) = login.identity.aws_signer_mut().filter(|signer| signer.keys.is_blank()) {
        signer.keys = run_unless_interrupted(runner::fetch(&signer.source, host), host)?;
    }
    Ok(())
}

/// Requests the ID token of the job, before anything else is decided.
pub(crate) fn request_id_token(request: &mut TokenRequest, host: &Host) -> Result<JobToken> {
    job_token::read_roots(request, host)?;
    let patience = request.timeout.saturating_sub(host.elapsed());
    run_unless_interrupted(job_token::request(request, patience, host), host)
}

pub(crate) fn take_warnings(host: &Host) -> String {
    lines(&host.take_warnings())
}

/// What must be told also where warnings are not.
pub(crate) fn take_alarms(host: &Host) -> String {
    lines(&host.take_alarms())
}

/// Ends a command that prints a text to read.
fn finish(text: String, host: &Host) -> Result<()> {
    host.write_stdout(&Secret::new(text))?;
    write_message(take_warnings(host), host);
    Ok(())
}

fn lines(warnings: &[String]) -> String {
    let line = |warning: &String| format!("ci-creds: warning: {}\n", crate::error::printable(warning));
    warnings.iter().map(line).collect()
}

/// Writes what a run says that prints for a shell. Security: joined with stdout, the text may be what that evaluates.
pub(crate) fn write_stderr(mut text: String, host: &Host) {
    if host.stdout().shared_with_stderr {
        text.retain(|c| !";|&$`<>\"'\\#!*?".contains(c));
    }
    write_message(text, host);
}

/// Writes what a run says whose output has this format. Nobody evaluates JSON: the text stays as it is.
pub(crate) fn write_beside(format: Format, text: String, host: &Host) {
    match format {
        Format::Json | Format::Process => write_message(text, host),
        _ => write_stderr(text, host),
    }
}

/// Writes what a run says whose output no shell evaluates. In a job stdout and stderr are one pipe, and a hint is to be
/// copied from there.
pub(crate) fn write_message(mut text: String, host: &Host) {
    if host.has_colour() {
        text = text.split_inclusive('\n').map(paint).collect();
    }
    host.write_stderr(&text);
}

/// A line whose first word is in colour: red for an error, yellow for a warning, cyan for a hint.
fn paint(line: &str) -> String {
    let colours = [("ci-creds: error[", "1;31"), ("ci-creds: warning", "1;33"), ("  hint", "1;36")];
    match (colours.iter().find(|(start, _)| line.starts_with(start)), line.strip_prefix("ci-creds: ").unwrap_or(line)) {
        (Some((_, colour)), rest) => {
            let (word, behind) = rest.split_once(": ").unwrap_or((rest, ""));
            let before = &line[..line.len() - rest.len()];
            format!("{before}\x1b[{colour}m{word}:\x1b[0m {behind}")
        }
        (None, _) => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_message_has_its_colour_and_no_letter_is_lost() {
        for (line, painted) in [
            ("ci-creds: error[usage]: x: y\n", "ci-creds: \x1b[1;31merror[usage]:\x1b[0m x: y\n"),
            ("ci-creds: warning: x\n", "ci-creds: \x1b[1;33mwarning:\x1b[0m x\n"),
            ("  hint: x\n", "\x1b[1;36m  hint:\x1b[0m x\n"),
            ("ci-creds: vault: x\n", "ci-creds: vault: x\n"),
        ] {
            assert_eq!(paint(line), painted);
        }
    }
}
