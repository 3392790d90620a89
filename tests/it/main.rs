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

/// Folders in which another user could put something else in the place of what the tool makes, reads or runs.
mod ancestor;
/// What is said and taken back when the read is refused, or its answer cannot be used.
mod answer;
/// README and docs/ as one book: its links, its code blocks, what it quotes.
mod book;
/// What is cached between calls, for whom and how long, and what is revoked.
mod cache;
/// Each identity and engine: what the job gets, and the exact requests.
mod chain;
/// The checks of docs/security.md, and the tests that hold them.
mod check;
/// The child of a plain token: how long it lives, and who gets none.
mod child;
/// The files in completions/ against the command line.
mod completion;
/// TLS, certificates, client certificates, plain http.
mod connection;
/// AWS's own tools, and the readers of JSON and dotenv.
mod consumer;
/// The targets of fuzz/ over what is kept of their inputs.
mod corpus;
/// How the text reaches the caller, and what happens when it does not.
mod delivery;
/// `ci-creds doctor`: which step it names, and what it leaves behind.
mod doctor;
/// README, docs/ and CHANGELOG against the program.
mod document;
/// What the engines are asked, and how long what they give lives.
mod engine;
/// Every file in examples/, parsed or run.
mod example;
/// A command with credentials: its environment, its signals, its end.
mod exec;
/// The pages of errors.
mod explain;
/// What goes wrong on the wire, at every step, with the exact code.
mod fault;
/// Credentials files: a private one for a job, or one of the user's, edited.
mod file;
/// The text of each format, with the engine's own values.
mod format;
/// The format for GitHub's runner, as the runner reads it.
mod github;
/// Calls in a job: bare ones are refused, captured ones work.
mod guard;
/// Logins with AWS credentials.
mod iam;
/// The container images, entered.
mod image;
/// What is wrong before the first request, and that none is made.
mod input;
/// The page on how to install the program.
mod install;
/// ID tokens of other CI systems than GitLab: requested, printed by a program, or in a variable.
mod job_token;
/// Connections that end while nothing is asked, or are forgotten, and what must not be spent by that.
mod keepalive;
/// Limits on open files and on the stack.
mod limit;
/// What a job's log and `-v` are told of a run.
mod log;
/// What of a secret stays in memory, and who could read it there.
mod memory;
mod mistake;
/// What `cargo package` publishes.
mod package;
/// What a bug of ours, and the variables of Rust, may print.
mod panic;
/// The demo, and the picture of it in docs/.
mod picture;
/// What an operator sets up for a run, by `ci-creds policy`.
mod policy;
/// The way through a proxy, and what never takes it.
mod proxy;
/// Waiting until AWS knows a new key.
mod readiness;
/// The same questions to a real server, when there is one, and to the double.
mod real_server;
/// The recipes of CONTRIBUTING against the source.
mod recipe;
/// The refusals of real servers, as they were recorded, and what the tool makes of each.
mod recording;
/// Where a redirect may lead: nowhere, but to the same server or an allowed one.
mod redirect;
/// What is said when a login is refused, and what to change then.
mod refusal;
/// The files of a release.
mod release;
/// The renewal of a credential that a job of GitLab is handed.
mod renewal;
/// Variables that steer the name service, and whatever else obeys one.
mod resolver;
/// What a job's calls made, revoked from another shell and another container.
mod revoke;
/// Keys of Scaleway that a KV engine stores.
mod scaleway;
/// Secrets and configuration files that are missing, open to others, or in contradiction.
mod secret;
/// Secrets of any engine, mapped to variables.
mod section;
mod serve;
/// `eval` in every shell, on success and on every failure.
mod shell;
/// Where each value comes from: flags, variables, files, the job's own token.
mod source;
/// Sealed, standby, limited: what is waited for and what is not.
mod state;
/// Random stories of callers, clocks, faults and operators, and what holds in each of them.
mod story;
/// Every fault at every request, and a cut at every byte.
mod sweep;
/// What the system is asked for: arguments, files, writes.
mod syscall;
/// What a person at a terminal sees.
mod terminal;
/// The stored Vault token: renewed, and replaced in GitLab's variable.
mod token;
/// Callers that print each command: the credential is not in the log.
mod trace;
/// Values of every kind through every format's real reader.
mod value;
/// What a build says of itself.
mod version;
mod wall;
/// Who a job is to Vault, by `ci-creds whoami`.
mod web_identity;
mod web_token;
mod whoami;
/// Wrapping tokens that are not what they should be.
mod wrapping;
