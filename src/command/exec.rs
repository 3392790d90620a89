//! `ci-creds exec`: a command that runs with credentials, which are renewed while it runs and revoked when it has ended.

use crate::auth::Session;
use crate::chain;
use crate::config::{Exec, Serve, Task, removed_variables};
use crate::credential::Credential;
use crate::custody::Custody;
use crate::delivery::ValueFiles;
use crate::error::{Error, Kind, Result, printable};
use crate::host::{Ending, Environment, Foreground, Host, Interrupt, Program, StartFailure};
use crate::renewal::Renewal;
use crate::revocation::{self, Revocation};
use crate::rotation::Holdings;
use crate::secret::Secret;
use crate::source::{Source, VaultSource};
use crate::variables as var;
use crate::vault::client::Vault;

use super::serving::Serving;
use super::{fetch, start_runtime, take_warnings, write_message};

/// What a policy needs, for a credential that was not revoked.
const MAY_REVOKE: &str = "a job's policy needs: path \"sys/leases/revoke\" { capabilities = [\"update\"] }; until then, \
                          an operator can end it with vault lease revoke";

/// Runs the command. Returns how it ended, which is how this process shall end too.
///
/// # Errors
/// Why it was not started, and the exit code of that.
pub(crate) fn run(mut exec: Exec, host: &Host) -> Result<Ending, StartFailure> {
    // Nothing is made for a command that cannot run.
    let program = host.find_program(&exec.command)?;
    prepare(&mut exec, host).map_err(StartFailure::before)?;
    let vault = Vault::new(exec.task.connection(), host).map_err(StartFailure::before)?;
    start_runtime(host).map_err(StartFailure::before)?.block_on(run_with(exec, &program, &vault, host))
}

/// Says, when asked, where each value came from, and reads the certificates to believe.
fn prepare(exec: &mut Exec, host: &Host) -> Result<()> {
    if let Task::Read(plan, others) = &mut exec.task {
        fetch::explain(plan, host);
        let readiness = plan.readiness.iter_mut().chain(others.iter_mut().filter_map(|one| one.readiness.as_mut()));
        for readiness in readiness {
            readiness.read_roots(host)?;
        }
    }
    exec.task.connection_mut().read_roots(host)
}

async fn run_with(mut exec: Exec, program: &Program, vault: &Vault<'_>, host: &Host) -> Result<Ending, StartFailure> {
    let signals = Interrupt::listen_unless_ignored().map_err(StartFailure::before)?;
    let mut custody = Custody::new(vault, None, host, signals);
    let (mut session, mut credentials) = match obtain(&mut exec, vault, &mut custody, host).await {
        Ok(made) => made,
        Err(error) => return Err(StartFailure::before(custody.fail(error))),
    };
    let mut renewal = Renewal::new(vault, &session, &credentials, exec.want.as_ref(), exec.verbose, host);
    match custody.race(renewal.begin(&session, exec.leash)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(StartFailure::before(custody.abandon(error).await)),
        Err(signal) => return Err(StartFailure::before(custody.fail(signal))),
    }
    let serving = match open(exec.serve.take(), &mut credentials, host).await {
        Ok(serving) => serving,
        Err(error) => return Err(StartFailure::before(custody.abandon(error).await)),
    };
    let files = match write_files(&exec.task, &mut credentials, host) {
        Ok(files) => files,
        Err(error) => return Err(StartFailure::before(custody.abandon(error).await)),
    };
    let environment = environment(&exec, &session, &credentials, serving.as_ref());
    // The values are in the environment now, and of no more use here.
    credentials.iter_mut().for_each(|one| one.values.clear());
    let signals = match custody.hand_on().await {
        Ok(signals) => signals,
        Err(error) => {
            files.iter().for_each(|files| files.remove(host));
            return Err(StartFailure::before(error));
        }
    };
    write_message(take_warnings(host), host);
    vault.keep_silent();
    let ended = match Foreground::start(program, environment, signals, host) {
        Ok(mut command) => match (&serving, &exec.task) {
            (Some(serving), Task::Read(plan, _)) => {
                let holdings = Holdings { session: &mut session, credentials: &mut credentials };
                Ok(serving.run(command.wait(), (vault, plan, exec.leash), &mut renewal, holdings).await)
            }
            _ => tokio::select! {
                biased;
                ended = command.wait() => Ok(ended),
                never = keep(&mut renewal) => match never {},
            },
        },
        Err(error) => Err(error),
    };
    files.iter().for_each(|files| files.remove(host));
    renewal.note_ends(&mut session, &mut credentials);
    let returned = revocation::revoke_all(vault, &session, &credentials).await;
    let leaks = tell(&returned, &exec, host);
    match ended {
        Ok(_) if leaks && exec.strict_revoke => Ok(Ending::Code(Kind::Leak.code())),
        ended => ended,
    }
}

/// Writes the private files of secrets, and puts their paths in the place of the values.
fn write_files(task: &Task, credentials: &mut [Credential], host: &Host) -> Result<Vec<ValueFiles>> {
    let Task::Read(plan, _) = task else { return Ok(Vec::new()) };
    let mut written: Vec<ValueFiles> = Vec::new();
    for one in credentials.iter_mut() {
        match ValueFiles::write(one, plan.output.folder.as_deref(), host) {
            Ok(mut files) => {
                if let Some(shown) = files.credential.take() {
                    *one = shown;
                }
                written.push(files);
            }
            Err(error) => {
                written.iter().for_each(|files| files.remove(host));
                return Err(error);
            }
        }
    }
    Ok(written)
}

/// Opens the endpoint of the credential that was read last, if one is asked for.
async fn open<'a>(serve: Option<Serve>, credentials: &mut [Credential], host: &'a Host) -> Result<Option<Serving<'a>>> {
    match (serve, credentials.last_mut()) {
        (Some(serve), Some(credential)) => Serving::open(serve, credential, host).await.map(Some),
        _ => Ok(None),
    }
}

/// Renews for as long as the command runs.
async fn keep(renewal: &mut Renewal<'_>) -> std::convert::Infallible {
    renewal.run().await;
    std::future::pending().await
}

/// One login, and one read a credential. All of it is owed.
async fn obtain(
    exec: &mut Exec,
    vault: &Vault<'_>,
    custody: &mut Custody<'_>,
    host: &Host,
) -> Result<(Session, Vec<Credential>)> {
    let source = Source::Vault(VaultSource { vault, host });
    let serves = exec.serve.is_some();
    match &mut exec.task {
        Task::LogIn(access) => Ok((source.log_in(&access.login, custody).await?, Vec::new())),
        Task::Read(plan, others) => {
            let (first, mut session) = source.obtain(plan, custody).await?;
            chain::revoke_unless_known(&first, plan, custody, host).await?;
            let mut credentials = vec![first];
            for wanted in std::mem::take(others) {
                plan.go_on_to(wanted);
                let (next, renewed) = source.obtain_more(session, plan, custody).await?;
                chain::revoke_unless_known(&next, plan, custody, host).await?;
                session = renewed;
                credentials.push(next);
            }
            // Only what is served may need another login.
            if !serves || !plan.login.identity.facts().repeatable {
                plan.login.identity.forget();
            }
            Ok((session, credentials))
        }
    }
}

/// What the command gets beside what we have: the credentials. And what it does not get: whatever its tools would use in
/// their place, and everything that is ours alone.
fn environment(
    exec: &Exec,
    session: &Session,
    credentials: &[Credential],
    serving: Option<&Serving<'_>>,
) -> Environment {
    let (mut removed, removed_prefixes) = removed_variables(exec.id_token_variable.as_deref());
    let mut set = Vec::new();
    for one in credentials {
        removed.extend(one.stale_variables().into_iter().map(str::to_owned));
        removed.extend(one.shape.sources.iter().map(|name| (*name).to_owned()));
        set.extend(one.variables().map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))));
    }
    set.extend(serving.iter().flat_map(|serving| serving.variables()));
    // What one credential sets, another one's list does not take away.
    removed.retain(|name| !set.iter().any(|(known, _)| known == name));
    if let Some(beside) = &exec.vault {
        let twin = |name: &str| name.strip_prefix(var::VAULT).map(|rest| format!("{}{rest}", var::BAO));
        removed.extend(beside.iter().filter_map(|(name, _)| twin(name)));
        set.extend(beside.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(value.clone()))));
        set.push((var::VAULT_TOKEN.to_owned(), session.token.duplicate()));
    }
    Environment { removed, removed_prefixes, set }
}

/// Tells what became of everything, as far as somebody asked or must act. Returns whether something lives on that could
/// have been revoked.
fn tell(returned: &[Revocation], exec: &Exec, host: &Host) -> bool {
    for one in returned {
        let text = printable(&one.render());
        if one.is_leak() && exec.strict_revoke {
            let error = Error::new(Kind::Leak, text).hint(MAY_REVOKE);
            host.write_stderr(&error.render(exec.verbose));
        } else if one.is_leak() {
            host.write_stderr(&format!("ci-creds: warning: {text}\n"));
        } else if exec.verbose {
            host.write_stderr(&format!("ci-creds: {text}\n"));
        }
    }
    returned.iter().any(Revocation::is_leak)
}
