//! The commands, a flow each; and what they share: the runtime, and what is said on stderr.

pub(crate) mod cache;
pub(crate) mod exec;
pub(crate) mod fetch;
mod serving;

use crate::error::{Error, Kind, Result};
use crate::host::Host;

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

pub(crate) fn take_warnings(host: &Host) -> String {
    lines(&host.take_warnings())
}

fn lines(warnings: &[String]) -> String {
    let line = |warning: &String| format!("ci-creds: warning: {}\n", crate::error::printable(warning));
    warnings.iter().map(line).collect()
}

/// Security: joined with stdout, the text may be what a shell evaluates.
pub(crate) fn write_stderr(mut text: String, host: &Host) {
    if host.stdout().shared_with_stderr {
        text.retain(|c| !";|&$`<>\"'\\#!*?".contains(c));
    }
    host.write_stderr(&text);
}
