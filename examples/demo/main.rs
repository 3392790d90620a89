//! `cargo run --example demo`: the published pipelines, played against a Vault on this machine.
//!
//! Each job is a real `sh` that evaluates what the real binary prints. The demo checks what it says while it says it:
//! if anything goes otherwise, it ends with 1 and names the difference. It needs no network.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demo"
)]

mod show;
mod tool;

use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let played = tool::find().and_then(|tool| show::play(&tool, has_colour(), &mut |text| print!("{text}")));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("demo: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Colour at a terminal that has it, unless `NO_COLOR` says otherwise; `CLICOLOR_FORCE` asks for it in a pipe.
fn has_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || (std::io::stdout().is_terminal() && !is_dumb))
}
