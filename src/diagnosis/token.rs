//! The token that the requests of a run are made with: what it may do, how long it lives, how often it can be used.

use std::time::Duration;

use super::{Check, Mark, Note, Topic};
use crate::auth::Session;
use crate::config::Plan;
use crate::engine::too_few_uses;
use crate::error::{Error, Kind, sanitized};
use crate::identity::Login;
use crate::time::render_duration;
use crate::vault::client::Vault;
use crate::vault::client::reading::{Reading, TokenInfo};

/// A token, and how many more questions it is good for.
pub(crate) struct CountedToken {
    pub(crate) session: Session,
    /// `None`: as many as there are.
    questions: Option<u64>,
    spent: bool,
}

impl CountedToken {
    /// Of a login of our own, whose last use is for its revocation.
    pub(crate) fn of(session: Session) -> Self {
        let questions = (session.own && session.uses > 0).then(|| session.uses - 1);
        Self { session, questions, spent: false }
    }

    /// Older servers do not tell at the login how often its token can be used: a question does, and was one of them.
    fn learn(&mut self, left: i64) {
        let left = u64::try_from(left).unwrap_or_default();
        self.session.uses = left + 1;
        self.questions = Some(left.saturating_sub(1));
        self.spent = left == 0;
    }

    /// Whether the last question was the last use: nothing is left to revoke.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Takes one question out. `false` when there is none left.
    pub(crate) fn take(&mut self) -> bool {
        match &mut self.questions {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// Examines the token. A token with counted uses is not asked for anything more.
pub(crate) async fn examine(
    vault: &Vault<'_>,
    counted: &mut CountedToken,
    (login, plan): (&Login, Option<&Plan>),
    job_left: Option<Duration>,
) -> Check {
    let session = &counted.session;
    if let Some(plan) = plan
        && session.uses != 0
        && session.uses <= plan.reads
    {
        counted.questions = Some(0);
        return Check::failure(Topic::Token, &too_few_uses(&counted.session, plan));
    }
    if !counted.take() {
        return Check::skip(
            Topic::Token,
            "not looked up: the uses of the token are counted, and each request takes one",
        );
    }
    match vault.read_token(&counted.session.token).await {
        Reading::Answer(info) => {
            if counted.session.own && counted.session.uses == 0 && info.num_uses != 0 {
                counted.learn(info.num_uses);
                if let Some(plan) = plan
                    && counted.session.uses <= plan.reads
                {
                    counted.questions = Some(0);
                    return Check::failure(Topic::Token, &too_few_uses(&counted.session, plan));
                }
            }
            let check = describe(&info, &counted.session, plan, job_left);
            // Whoever supplied it has counted on the uses that are left.
            if !counted.session.own && info.num_uses > 0 {
                counted.questions = Some(0);
            }
            check
        }
        Reading::Refusal(refusal) if refusal.is_denied_by_policy() => Check::warning(
            Topic::Token,
            "the policies of the token do not let it look itself up",
            "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }, which the default policy has",
        ),
        Reading::Refusal(refusal) => {
            counted.questions = Some(0);
            let error =
                Error::new(Kind::Denied, format!("the {} is not valid ({})", login.describe(), refusal.because()));
            let hint = "the token has expired, was revoked, has used up its uses, is bound to other addresses, or is of another namespace";
            Check::failure(Topic::Token, &error.hint(hint))
        }
        Reading::Error(error) => {
            counted.questions = Some(0);
            Check::failure(Topic::Token, &error)
        }
    }
}

fn describe(info: &TokenInfo, session: &Session, plan: Option<&Plan>, job_left: Option<Duration>) -> Check {
    let policies: Vec<_> = info.policies.iter().map(|policy| sanitized(policy)).collect();
    let policies = if policies.is_empty() { "none".into() } else { policies.join(", ") };
    let life = match info.ttl {
        0 => "without an end".to_owned(),
        seconds => format!("for {}", render_duration(Duration::from_secs(seconds))),
    };
    let kind = sanitized(&info.kind);
    let text = format!("a {kind} token {life}, policies: {policies}");
    let mut details = vec![("policies".to_owned(), policies), ("lives".to_owned(), life), ("type".to_owned(), kind)];
    if let Some(renewable) = info.renewable {
        details.push(("renewable".to_owned(), if renewable { "yes" } else { "no" }.to_owned()));
    }
    let reads = plan.map_or(1, |plan| plan.reads);
    let uses = if session.own { session.uses } else { info.num_uses.unsigned_abs() };
    if uses > 0 {
        details.push(("uses".to_owned(), uses.to_string()));
    }
    let check = if !session.own && uses > 0 {
        let left = format!("{text}; its uses are limited: {uses} are left, and this lookup took one");
        if uses <= reads {
            let error = Error::new(Kind::Config, left);
            let hint = "give the job a token without a limit: vault token create -use-limit=0";
            Check::failure(Topic::Token, &error.hint(hint))
        } else {
            Check::warning(
                Topic::Token,
                left,
                "the steps after this one are not examined, so that the run keeps the rest of its uses",
            )
        }
    } else {
        Check::good(Topic::Token, text)
    };
    let check = check.with(details);
    match job_left {
        Some(left) if info.ttl > 0 && Duration::from_secs(info.ttl) < left => check.noting(Note {
            mark: Mark::Warning,
            text: format!(
                "the job may run for another {}: the token, and all that it leases, expires before that",
                render_duration(left)
            ),
            change: Some(format!(
                "write token_ttl={}m to the role of the login, or run the commands by ci-creds exec, which renews",
                left.as_secs() / 300 * 5 + 10
            )),
        }),
        _ => check,
    }
}
