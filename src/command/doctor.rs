//! `ci-creds doctor`: walks the chain of a run, makes and spends nothing, and says where it breaks.
//!
//! Each step has its own time. A step that fails blocks only those that cannot be examined without it.

use std::cell::RefCell;
use std::time::Duration;

use crate::auth::{Session, supplied};
use crate::config::{Known, Maker, Plan, Survey};
use crate::diagnosis::text::Look;
use crate::diagnosis::token::CountedToken;
use crate::diagnosis::{
    Check, Diagnosis, Mark, Topic, configuration, engine, identity, json, login, markdown, network, secret,
    surrounding, text, token,
};
use crate::error::{Error, Kind, Result};
use crate::host::{Host, Interrupt};
use crate::secret::Secret;
use crate::variables::CI_CREDS_DOCTOR;
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;

use super::{start_runtime, take_warnings, write_message, write_stderr};

/// How the diagnosis is printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReportForm {
    /// Lines for people.
    Text,
    /// One JSON document.
    Json,
    /// Markdown for a ticket.
    Ticket {
        /// Whether it has host names and addresses in it.
        with_names: bool,
    },
}

/// What a step may take.
const STEP: Duration = Duration::from_secs(10);

/// What a whole diagnosis may take: longer than its steps would, one after the other.
const LONGEST: Duration = Duration::from_secs(120);
/// The same behind a failed run, whose job waits to end.
const BEHIND_A_FAILURE: Duration = Duration::from_secs(30);

/// The steps behind the network, in their order.
const BEHIND_HEALTH: [Topic; 3] = [Topic::AuthMount, Topic::AuthRole, Topic::Login];
/// The steps that need a token.
const WITH_A_TOKEN: [Topic; 5] = [Topic::Token, Topic::EngineMount, Topic::EngineRole, Topic::Policy, Topic::Lease];

/// Every step between the configuration and what is around the run, in their order.
const fn steps_of_a_run() -> [&'static [Topic]; 4] {
    [&network::ALL, &[Topic::Identity], &BEHIND_HEALTH, &WITH_A_TOKEN]
}

/// Examines a run, and prints what was found. Returns the exit code: that of the first step that fails, or of a
/// login of its own that is left.
///
/// # Errors
/// Why there is no diagnosis: no event queue, a stdout that is closed, a signal.
pub(crate) fn run(survey: &Survey, form: ReportForm, verbose: bool, host: &Host) -> Result<u8> {
    let diagnosis = start_runtime(host)?.block_on(diagnose(survey, verbose, LONGEST, host))?;
    let text = match form {
        ReportForm::Text => {
            text::render(&diagnosis, Look { unicode: host.reads_unicode(), colour: host.has_colour_on_stdout() })
        }
        ReportForm::Json => json::render(&diagnosis),
        ReportForm::Ticket { with_names: true } => markdown::render(&diagnosis, None),
        ReportForm::Ticket { with_names: false } => markdown::render(&diagnosis, Some(&diagnosis.private)),
    };
    host.write_stdout(&Secret::new(text))?;
    write_message(take_warnings(host), host);
    Ok(diagnosis.code())
}

/// Whether a failed run is to be followed by a diagnosis: `CI_CREDS_DOCTOR=on-failure`. Not of what no request caused.
pub(crate) fn is_wanted_behind(kind: Kind, host: &Host) -> bool {
    let is_about_the_chain = !matches!(kind, Kind::Usage | Kind::Create | Kind::Output | Kind::Os | Kind::Internal);
    let wanted = host.variable(CI_CREDS_DOCTOR).ok().flatten();
    is_about_the_chain && !kind.is_signal() && wanted.is_some_and(|text| text.trim() == ON_FAILURE)
}

/// Prints a diagnosis on stderr, behind the message of a failed run. It never fails, and takes half a minute at most.
pub(crate) fn follow_a_failure(survey: &Survey, host: &Host) {
    let diagnosis =
        start_runtime(host).and_then(|runtime| runtime.block_on(diagnose(survey, false, BEHIND_A_FAILURE, host)));
    let text = match diagnosis {
        Ok(diagnosis) => text::render(&diagnosis, Look { unicode: host.reads_unicode(), colour: host.has_colour() }),
        Err(error) => error.render(false),
    };
    // What the survey warns of, the run has warned of.
    let _ = host.take_warnings();
    write_stderr(format!("\nci-creds doctor ({CI_CREDS_DOCTOR}={ON_FAILURE}):\n{text}"), host);
}

/// The one value of `CI_CREDS_DOCTOR`.
const ON_FAILURE: &str = "on-failure";

/// Examines every step. What it logs in with is revoked, also after a signal.
async fn diagnose(survey: &Survey, verbose: bool, limit: Duration, host: &Host) -> Result<Diagnosis> {
    let mut interrupt = Interrupt::listen()?;
    let mut diagnosis = Diagnosis::default();
    survey.private.iter().for_each(|name| diagnosis.withhold(name));
    diagnosis.add(configuration::examine(survey));
    let Some(connection) = survey.known.connection() else {
        for topics in steps_of_a_run() {
            diagnosis.block(topics, Topic::Configuration);
        }
        diagnosis.add(surrounding::examine(&survey.surroundings));
        return Ok(diagnosis);
    };
    if let Some(plan) = survey.known.plan().filter(|plan| matches!(plan.maker, Maker::Sts(_))) {
        let walk = walk_to_sts(plan, &mut diagnosis, host);
        let ended = interrupt.race(tokio::time::timeout(limit, walk)).await;
        if matches!(ended, Ok(Err(_))) {
            diagnosis
                .cut_off(&[network::ALL[0], network::ALL[1], network::ALL[2], Topic::Identity, Topic::Login], limit);
        }
        diagnosis.add(surrounding::examine(&survey.surroundings));
        return match ended {
            Ok(_) => Ok(diagnosis),
            Err(kind) => Err(Error::new(kind, "interrupted; nothing was sent to AWS that proves who the job is")),
        };
    }
    let vault = match Vault::new(connection, host) {
        Ok(vault) => vault,
        Err(error) => {
            diagnosis.add(Check::failure(Topic::Tls, &error));
            return Ok(diagnosis);
        }
    };
    vault.keep_silent();
    if verbose {
        vault.tell_requests();
    } else {
        host.show_progress();
    }
    let owned = RefCell::new(None);
    let job_left = survey.surroundings.job_left;
    let walk = Walker { vault: &vault, known: &survey.known, job_left, owned: &owned, host };
    let ended = interrupt.race(tokio::time::timeout(limit, walk.walk(&mut diagnosis))).await;
    if matches!(ended, Ok(Err(_))) {
        steps_of_a_run().into_iter().for_each(|topics| diagnosis.cut_off(topics, limit));
    }
    diagnosis.add(surrounding::examine(&survey.surroundings));
    let session = owned.take();
    let logout = match &session {
        Some(session) => Some(revoke(&vault, session).await),
        None => None,
    };
    match ended {
        Ok(_) => {
            diagnosis.checks.extend(logout);
            Ok(diagnosis)
        }
        Err(kind) => Err(interruption(kind, logout)),
    }
}

/// What a signal comes to. A login that is left is worse.
fn interruption(kind: Kind, logout: Option<Check>) -> Error {
    let Some(logout) = logout else { return Error::new(kind, "interrupted; the diagnosis had no login of its own") };
    let error = Error::new(logout.kind.unwrap_or(kind), format!("interrupted; {}", logout.text));
    match logout.change {
        Some(change) => error.hint(change),
        None => error,
    }
}

/// The way to STS, and what the ID token says. The token is not shown to STS: that would make a session that nobody can revoke.
async fn walk_to_sts(plan: &Plan, diagnosis: &mut Diagnosis, host: &Host) {
    let blocked = network::examine_way(&plan.connection, diagnosis, host).await;
    diagnosis.add(identity::examine(&plan.login, None, host).await);
    match blocked {
        Some(by) => diagnosis.block(&[Topic::Login], by),
        None => {
            let why = "not tried: a session of AWS cannot be revoked; the trust policy of the role must allow the sub and the \
                aud above";
            diagnosis.add(Check::skip(Topic::Login, why));
        }
    }
}

/// Goes from step to step.
struct Walker<'a> {
    vault: &'a Vault<'a>,
    known: &'a Known,
    /// What is left of the job.
    job_left: Option<Duration>,
    /// The login that is to be revoked.
    owned: &'a RefCell<Option<Session>>,
    host: &'a Host,
}

impl Walker<'_> {
    async fn walk(&self, diagnosis: &mut Diagnosis) {
        let Some(connection) = self.known.connection() else { return };
        let blocked = network::examine(connection, diagnosis, self.host).await;
        let Some(login) = self.known.login() else {
            diagnosis.block(&[Topic::Identity], Topic::Configuration);
            diagnosis.block(&BEHIND_HEALTH, Topic::Configuration);
            diagnosis.block(&WITH_A_TOKEN, Topic::Configuration);
            return;
        };
        self.begin_step();
        let reachable = blocked.is_none().then_some(self.vault);
        diagnosis.add(identity::examine(login, reachable, self.host).await);
        if let Some(by) = blocked {
            diagnosis.block(&BEHIND_HEALTH, by);
            diagnosis.block(&WITH_A_TOKEN, by);
            return;
        }
        self.begin_step();
        let login::LoginProbe { checks, token } = login::probe(self.vault, login).await;
        if let Some(token) = token {
            self.vault.revoke_self(&token).await;
        }
        let broken = checks.iter().find(|check| check.kind.is_some()).map(|check| check.topic);
        let proven = checks.iter().all(|check| check.mark == Mark::Good);
        checks.into_iter().for_each(|check| {
            diagnosis.add(check);
        });
        if let Some(by) = broken {
            diagnosis.block(&[Topic::Login], by);
            diagnosis.block(&WITH_A_TOKEN, by);
            return;
        }
        self.begin_step();
        let login::LogIn { check, session } = login::log_in(self.vault, login, proven).await;
        diagnosis.add(check);
        let session = session.or_else(|| supplied(login));
        let Some(session) = session else {
            diagnosis.block(&WITH_A_TOKEN, Topic::Login);
            return;
        };
        if session.own {
            self.owned.replace(Some(session.duplicate()));
        }
        self.examine_token(CountedToken::of(session), diagnosis).await;
    }

    async fn examine_token(&self, mut counted: CountedToken, diagnosis: &mut Diagnosis) {
        let Some(login) = self.known.login() else { return };
        let plan = self.known.plan();
        self.begin_step();
        let check = token::examine(self.vault, &mut counted, (login, plan), self.job_left).await;
        let fails = check.kind.is_some();
        diagnosis.add(check);
        if counted.is_spent() {
            self.owned.take();
        }
        if fails {
            diagnosis.block(&WITH_A_TOKEN[1..], Topic::Token);
            return;
        }
        self.begin_step();
        let rights = engine::ask_rights(self.vault, &mut counted, plan).await;
        let policy = engine::examine_policy(&rights, plan);
        match plan {
            Some(plan) if plan.shape.mapping.is_some() => {
                for read in secret::SecretRead::all_of(plan) {
                    self.begin_step();
                    let checks = secret::examine(self.vault, &mut counted, &read, &rights).await;
                    checks.into_iter().for_each(|check| {
                        diagnosis.add(check);
                    });
                }
            }
            Some(plan) => {
                self.begin_step();
                let refused = policy.kind == Some(Kind::Denied);
                let mount = engine::examine_mount(self.vault, &mut counted, plan, refused).await;
                if mount.check.kind.is_some() {
                    diagnosis.add(mount.check);
                    // Without the mount, a policy for it says nothing.
                    diagnosis.block(&[Topic::EngineRole, Topic::Policy], Topic::EngineMount);
                } else {
                    self.begin_step();
                    let role = engine::examine_role(self.vault, &mut counted, (plan, &mount)).await;
                    diagnosis.add(mount.check);
                    diagnosis.add(role);
                    diagnosis.add(policy);
                }
            }
            None => {
                for topic in [Topic::EngineMount, Topic::EngineRole] {
                    diagnosis.add(Check::skip(topic, "no credential is asked for: name its provider behind doctor"));
                }
                diagnosis.add(policy);
            }
        }
        diagnosis.add(engine::examine_lease(&rights, counted.session.own));
    }

    /// From here on, what is asked has so long.
    fn begin_step(&self) {
        self.vault.extend(STEP);
    }
}

async fn revoke(vault: &Vault<'_>, session: &Session) -> Check {
    if session.batch {
        let until = session.expires_at.map(crate::time::render_time).unwrap_or_default();
        let text = format!("the login brought a batch token, which nobody can revoke: it expires at {until}");
        return Check::skip(Topic::Logout, text);
    }
    vault.extend(STEP);
    match vault.revoke_self(&session.token).await.outcome {
        Outcome::Done(_) => Check::good(Topic::Logout, "the login of this diagnosis was revoked"),
        Outcome::Refused(refusal) => {
            let text = format!("the login of this diagnosis was not revoked ({})", refusal.because());
            let hint = "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }, which the default policy has";
            Check::failure(Topic::Logout, &Error::new(Kind::Leak, text).hint(hint))
        }
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            let error = error.with_kind(Kind::Leak).also("the login of this diagnosis lives until it expires");
            Check::failure(Topic::Logout, &error)
        }
    }
}
