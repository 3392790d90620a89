//! The tool from the outside: the real binary against the double, one module a subject.

#![allow(missing_docs, unreachable_pub, reason = "tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail, and sees the world as it is"
)]

mod support;

/// Each identity and engine: what the job gets, and the exact requests.
mod chain;
/// What the engines are asked, and how long what they give lives.
mod engine;
/// Where each value comes from: flags, variables, files, the job's own token.
mod sources;
