//! `ci-creds exec`: a command that runs with credentials, which are renewed while it runs and revoked when it has ended.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::auth::Session;
use crate::cache::{self, JobState};
use crate::chain;
use crate::ci::job_signs;
use crate::config::{Exec, Maker, Plan, Serve, Task, removed_variables};
use crate::credential::{Credential, Life};
use crate::custody::Custody;
use crate::delivery::ValueFiles;
use crate::error::{Error, Kind, Result, printable};
use crate::host::{Ending, Environment, Foreground, Host, Interrupt, Program, StartFailure};
use crate::lease::{self, RevocationObstacle, TokenLife};
use crate::origin::WithOrigin;
use crate::renewal::{FixedEnd, Renewal};
use crate::revocation::{self, Revocation};
use crate::rotation::{Holdings, OnlyToken, Rotation, replace_sessions};
use crate::secret::Secret;
use crate::source::{Source, StsSource, VaultSource};
use crate::time::{earlier, render_duration, render_time};
use crate::variables as var;
use crate::vault::client::Vault;

use super::fetch::open_state;
use super::serving::Serving;
use super::{fetch, start_runtime, take_alarms, take_warnings, write_message};

/// What ends a credential, or a token, that was not revoked.
const LEASE_BY_HAND: &str = "an operator can end it with vault lease revoke";
const TOKEN_BY_HAND: &str =
    "an operator can end the token, and all that it made, by its accessor: vault token revoke -accessor";

/// Runs the command. Returns how it ended, which is how this process shall end too.
///
/// # Errors
/// Why it was not started, and the exit code of that.
pub(crate) fn run(mut exec: Exec, host: &Host) -> Result<Ending, StartFailure> {
    // Nothing is made for a command that cannot run.
    let program = host.find_program(&exec.command)?;
    prepare(&mut exec, host).map_err(StartFailure::before)?;
    if matches!(&exec.task, Task::Read(plan, _) if matches!(plan.maker, Maker::Sts(_))) {
        let runtime = start_runtime(host).map_err(StartFailure::before)?;
        return runtime.block_on(run_without_vault(exec, &program, host));
    }
    let place = exec.state.as_ref();
    let state = open_state(place, (exec.task.connection(), exec.task.login()), host).map_err(StartFailure::before)?;
    let vault = Vault::new(exec.task.connection(), host).map_err(StartFailure::before)?;
    start_runtime(host).map_err(StartFailure::before)?.block_on(run_with(
        exec,
        &program,
        (&vault, state.as_ref()),
        host,
    ))
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

/// The same with a credential of STS, which ends by itself.
async fn run_without_vault(mut exec: Exec, program: &Program, host: &Host) -> Result<Ending, StartFailure> {
    let signals = Interrupt::listen_unless_ignored().map_err(StartFailure::before)?;
    let mut custody = Custody::new(None, None, host, signals);
    let Task::Read(plan, _) = &mut exec.task else {
        return Err(StartFailure::before(Error::new(Kind::Internal, "nothing is asked of STS")));
    };
    let made = Source::Sts(StsSource { host }).obtain(plan, &mut custody).await;
    let mut credential = match made {
        Ok((credential, _)) => credential,
        Err(error) => return Err(StartFailure::before(custody.fail(error))),
    };
    // Later sessions need the ID token, unless another one is requested for them.
    if exec.serve.is_none() || plan.token_request.is_some() {
        plan.login.identity.forget();
    }
    let end = credential.lease.expires_at;
    if let Some(text) =
        exec.want.as_ref().and_then(|want| describe_short_life(want, plan, end, exec.serve.is_some(), host))
    {
        host.warn(text);
    }
    let serving = match open(exec.serve.take(), std::slice::from_mut(&mut credential), host).await {
        Ok(serving) => serving,
        Err(error) => return Err(StartFailure::before(custody.fail(error))),
    };
    let environment = environment(&exec, None, std::slice::from_ref(&credential), serving.as_ref());
    credential.values.clear();
    let (signals, _) = custody.hand_on().await.map_err(StartFailure::before)?;
    warn_of_a_printed_environment(&exec.command, host);
    write_message(take_warnings(host) + &take_alarms(host), host);
    let mut command = Foreground::start(program, environment, signals, host)?;
    if let (Some(serving), Task::Read(plan, _)) = (&serving, &exec.task) {
        let source = StsSource { host };
        let sessions = replace_sessions(plan, serving.current(), async || source.obtain_next(plan).await, host);
        return Ok(serving.run(command.wait(), sessions).await);
    }
    if let Some(end) = end {
        let end = FixedEnd::new(&credential.path, end, host);
        let text = tokio::select! {
            biased;
            ended = command.wait() => return Ok(ended),
            text = end.approach() => text,
        };
        write_message(format!("ci-creds: warning: {}\n", printable(&text)), host);
        if exec.ends_on_expiry {
            let what = tokio::select! {
                biased;
                ended = command.wait() => return Ok(ended),
                what = end.run_until_expiry() => what,
            };
            terminate(&mut command, &what, host);
        }
    }
    Ok(command.wait().await)
}

/// Sends SIGTERM to the command, for this reason.
fn terminate(command: &mut Foreground<'_>, what: &str, host: &Host) {
    let text = format!("{what}: sending SIGTERM to the command, as --on-expiry term says");
    write_message(format!("ci-creds: warning: {}\n", printable(&text)), host);
    command.terminate();
}

/// That the session, or the last one of those that are served, expires before the command needs it no more.
fn describe_short_life(
    want: &WithOrigin<Duration>,
    plan: &Plan,
    end: Option<Timestamp>,
    serves: bool,
    host: &Host,
) -> Option<String> {
    let wanted = host.now().checked_add(want.value).ok()?;
    let (end, why) = match serves {
        false => (end?, "and nobody renews it".to_owned()),
        true => {
            let token = OnlyToken::find(plan)?;
            (token.last_end()?, format!("because {}", token.describe("expires")))
        }
    };
    (wanted.duration_since(end) > A_MINUTE).then(|| {
        let (what, when) = (if serves { "last credential" } else { "credential" }, render_time(end));
        let (origin, life) = (&want.origin, render_duration(want.value));
        format!("the {what} expires at {when}, {why}: {origin} says that it must last for {life}")
    })
}

/// A life that is shorter by less is not told.
const A_MINUTE: SignedDuration = SignedDuration::from_secs(60);

async fn run_with(
    mut exec: Exec,
    program: &Program,
    (vault, state): (&Vault<'_>, Option<&JobState>),
    host: &Host,
) -> Result<Ending, StartFailure> {
    let signals = Interrupt::listen_unless_ignored().map_err(StartFailure::before)?;
    let required = exec.state.as_ref().is_some_and(|place| place.required);
    let mut custody = Custody::new(Some(vault), None, host, signals).with_state(state, required).while_renewed();
    let lender = match custody.race(look_up_token(&exec, vault)).await {
        Ok(Ok(lender)) => lender,
        Ok(Err(error)) | Err(error) => return Err(StartFailure::before(custody.fail(error))),
    };
    let (mut session, mut credentials) = match obtain(&mut exec, vault, &mut custody, host).await {
        Ok(made) => made,
        Err(error) => return Err(StartFailure::before(custody.fail(explain_spent(error, &exec, host)))),
    };
    if let Some(life) = lender.as_ref().filter(|_| !session.own) {
        (session.expires_at, session.uses) = (life.expires_at, life.uses);
    }
    let mut renewal = Renewal::new(vault, &session, &credentials, exec.want.as_ref(), exec.verbose, host);
    if let Some(end) = lender.and_then(|life| life.expires_at) {
        renewal.hold_lender(format!("the token (from {})", exec.task.login().origin), end);
    }
    match custody.race(renewal.begin(&session, exec.leash)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(StartFailure::before(custody.abandon(error).await)),
        Err(signal) => return Err(StartFailure::before(custody.fail(signal))),
    }
    renewal.note_ends(&mut session, &mut credentials);
    warn_of_long_lives(&session, &credentials, host);
    let serving = match open(exec.serve.take(), &mut credentials, host).await {
        Ok(serving) => serving,
        Err(error) => return Err(StartFailure::before(custody.abandon(error).await)),
    };
    let files = match write_files(&exec.task, &mut credentials, host) {
        Ok(files) => files,
        Err(error) => return Err(StartFailure::before(custody.abandon(error).await)),
    };
    let environment = environment(&exec, Some(&session), &credentials, serving.as_ref());
    // The values are in the environment now, and of no more use here.
    credentials.iter_mut().for_each(|one| one.values.clear());
    let (signals, record) = match custody.hand_on().await {
        Ok(handed) => handed,
        Err(error) => {
            files.iter().for_each(|files| files.remove(host));
            return Err(StartFailure::before(error));
        }
    };
    warn_of_a_printed_environment(&exec.command, host);
    write_message(take_warnings(host) + &take_alarms(host), host);
    vault.keep_silent();
    let ended = match Foreground::start(program, environment, signals, host) {
        Ok(mut command) => match (&serving, &exec.task) {
            (Some(serving), Task::Read(plan, _)) => {
                let holdings =
                    Holdings { session: &mut session, credentials: &mut credentials, record: record.as_ref() };
                let mut rotation = Rotation::new(vault, plan, exec.leash, serving.current(), host);
                Ok(serving.run(command.wait(), rotation.run(&mut renewal, holdings)).await)
            }
            _ => Ok(wait(&mut command, &mut renewal, exec.ends_on_expiry, host).await),
        },
        Err(error) => Err(error),
    };
    files.iter().for_each(|files| files.remove(host));
    renewal.note_ends(&mut session, &mut credentials);
    let (returned, obstacle) = revocation::revoke_all(vault, &session, &credentials).await;
    let leaks = tell(&returned, obstacle.as_ref(), &exec, host);
    // What lives on is for `ci-creds revoke` to try again.
    if let Some(record) = record.filter(|_| !leaks) {
        record.forget().await;
    }
    match ended {
        Ok(_) if leaks && exec.strict_revoke => Ok(Ending::Code(Kind::Leak.code())),
        ended => ended,
    }
}

/// A look at the environment shows the values to whoever reads the screen or the job's log.
fn warn_of_a_printed_environment(command: &[OsString], host: &Host) {
    let name = command.first().and_then(|word| Path::new(word).file_name()).and_then(OsStr::to_str);
    let prints = match name {
        Some("env") => command.len() == 1,
        Some("printenv") => true,
        _ => false,
    };
    if prints && (host.stdout().terminal || host.is_uncaptured(&job_signs())) {
        host.warn(format!(
            "{} prints the values of the credential; -- sh -c 'env | cut -d= -f1' prints the names alone",
            name.unwrap_or_default()
        ));
    }
}

/// A login that ends sooner, as one on its leash does, takes its leases with it.
fn warn_of_long_lives(session: &Session, credentials: &[Credential], host: &Host) {
    for one in credentials {
        let of_the_token = session.expires_at.filter(|_| one.lease.life == Life::Leased);
        lease::warn_of_a_long_life(&one.path, earlier(one.lease.granted_until, of_the_token), host);
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

/// Waits for the end of the command, and renews beside it. With `ends_on_expiry` the command is asked to end while it can
/// still clean up.
async fn wait(command: &mut Foreground<'_>, renewal: &mut Renewal<'_>, ends_on_expiry: bool, host: &Host) -> Ending {
    if ends_on_expiry {
        let what = tokio::select! {
            biased;
            ended = command.wait() => return ended,
            what = renewal.run_until_expiry() => what,
        };
        terminate(command, &what, host);
    }
    tokio::select! {
        biased;
        ended = command.wait() => ended,
        never = keep(renewal) => match never {},
    }
}

/// What Vault says of a token that the caller supplied. Nobody else says when it expires, and what was made with it expires
/// with it. `None` for another login, and where the token may not be looked up.
///
/// # Errors
/// [`Kind::Config`] for one that is good for too few requests: Vault revokes what the last one made.
async fn look_up_token(exec: &Exec, vault: &Vault<'_>) -> Result<Option<TokenLife>> {
    let login = exec.task.login();
    let Some(token) = login.identity.plain_token() else { return Ok(None) };
    let Some(life) = lease::look_up(vault, token).await else { return Ok(None) };
    let reads = match &exec.task {
        Task::Read(plan, _) => plan.reads,
        Task::LogIn(_) => 0,
    };
    if life.uses != 0 && life.uses <= reads {
        let text = format!(
            "the token (from {}) is good for {} more requests, and Vault revokes what it made with the last one",
            login.origin, life.uses
        );
        let hint = "give the job a token without a limit: vault token create -use-limit=0";
        return Err(Error::new(Kind::Config, text).hint(hint));
    }
    Ok(Some(TokenLife { uses: life.uses.saturating_sub(reads), ..life }))
}

/// A login that failed because an earlier call of this job used the secret. That call's login serves its other calls and is
/// theirs, so a command's credential could not be revoked with it at the end of the command.
fn explain_spent(error: Error, exec: &Exec, host: &Host) -> Error {
    let Some(place) = exec.cache.as_ref().filter(|_| matches!(error.kind(), Kind::Spent | Kind::Denied)) else {
        return error;
    };
    // Behind a login the secret is forgotten, and nothing is found with it: another failure is not explained.
    if !cache::keeps_login(place, (exec.task.connection(), exec.task.login()), host) {
        return error;
    }
    error.also("an earlier call of this job with --cache used it, and exec does not use a cached login").hint(
        "eval $(ci-creds PROVIDER --cache || echo false) uses the cached login; or read every credential with one \
             exec: ci-creds exec aws exoscale -- …",
    )
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
    let source = VaultSource { vault, host };
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
    session: Option<&Session>,
    credentials: &[Credential],
    serving: Option<&Serving<'_>>,
) -> Environment {
    let (mut removed, removed_prefixes) = removed_variables(exec.id_token_variables.iter().map(String::as_str));
    let mut set = Vec::new();
    for one in credentials {
        removed.extend(one.stale_variables().into_iter().map(str::to_owned));
        removed.extend(one.shape.sources.iter().map(|name| (*name).to_owned()));
        set.extend(one.variables().map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))));
    }
    set.extend(serving.iter().flat_map(|serving| serving.variables()));
    // What one credential sets, another one's list does not take away.
    removed.retain(|name| !set.iter().any(|(known, _)| known == name));
    if let (Some(beside), Some(session)) = (&exec.vault, session) {
        let twin = |name: &str| name.strip_prefix(var::VAULT).map(|rest| format!("{}{rest}", var::BAO));
        removed.extend(beside.iter().filter_map(|(name, _)| twin(name)));
        set.extend(beside.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(value.clone()))));
        set.push((var::VAULT_TOKEN.to_owned(), session.token.duplicate()));
    }
    Environment { removed, removed_prefixes, set }
}

/// Tells what became of everything, as far as somebody asked or must act, and once why. Returns whether something lives on
/// that could have been revoked.
fn tell(returned: &[Revocation], obstacle: Option<&RevocationObstacle>, exec: &Exec, host: &Host) -> bool {
    let last = returned.iter().rposition(Revocation::is_leak);
    for (number, one) in returned.iter().enumerate() {
        let text = printable(&one.render());
        let hint = obstacle.filter(|_| last == Some(number)).map(|obstacle| printable(&render_hint(obstacle, exec)));
        if one.is_leak() && exec.strict_revoke {
            let error = Error::new(Kind::Leak, text);
            let error = hint.into_iter().fold(error, Error::hint);
            host.write_stderr(&error.render(exec.verbose));
        } else if one.is_leak() {
            let hint = hint.map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
            write_message(format!("ci-creds: warning: {text}\n{hint}"), host);
        } else if exec.verbose {
            host.write_stderr(&format!("ci-creds: {text}\n"));
        }
    }
    last.is_some()
}

/// Why something was not revoked, and what to change.
fn render_hint(obstacle: &RevocationObstacle, exec: &Exec) -> String {
    let RevocationObstacle { path, because, .. } = obstacle;
    let by_hand = if *path == lease::REVOKE_SELF { TOKEN_BY_HAND } else { LEASE_BY_HAND };
    match (obstacle.missing, &exec.state) {
        (true, _) => format!(
            "{because}: the job's policy needs: path \"{path}\" {{ capabilities = [\"update\"] }}; until then, {by_hand}"
        ),
        (false, Some(_)) => format!("{because}; ci-creds revoke tries it again"),
        (false, None) => format!("{because}; {by_hand}"),
    }
}
