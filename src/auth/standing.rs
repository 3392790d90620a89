//! What a Vault token that somebody made for the job is: how long it lives, and whether it can be renewed.
//!
//! Such a token lies in a variable of the CI system. If it has a period, every renewal sets it to the whole period again;
//! any other one ends some day, and somebody must replace it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::{end_of, render_duration, render_time};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::{Refusal, Row, Says, explain};
use crate::vault::wire::Data;

/// A token that ends sooner, and that nothing renews, is warned of: time for a person to replace it.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// So long a run waits for the renewal of its generator token before it goes on without.
const PATIENCE: Duration = Duration::from_secs(8);

/// A token by its own lookup.
#[derive(Debug)]
pub(crate) struct Standing {
    /// By it the token can be named without being shown.
    pub accessor: String,
    /// What it may do.
    pub policies: Vec<String>,
    /// Whether no other token takes it along when that one ends.
    pub orphan: bool,
    /// Whether it is a batch token, which can be neither renewed nor revoked.
    pub batch: bool,
    /// How many requests it is good for; zero is no limit.
    pub uses: u64,
    /// What each renewal sets its life to; zero if it has no period.
    pub period: Duration,
    /// When it ends if nobody renews it; `None` is never.
    pub expires_at: Option<Timestamp>,
    renewable: bool,
    creation_ttl: Duration,
    /// The end that no renewal moves.
    last_end: Option<Timestamp>,
}

impl Standing {
    fn of(data: &Data, sent: Timestamp) -> Self {
        let number = |name: &str| data.number(name).unwrap_or_default();
        let created =
            i64::try_from(number("creation_time")).ok().and_then(|second| Timestamp::from_second(second).ok());
        Self {
            accessor: data.text("accessor").to_owned(),
            policies: data.list("policies"),
            orphan: data.flag("orphan"),
            batch: data.text("type") == "batch",
            uses: number("num_uses"),
            period: Duration::from_secs(number("period")),
            expires_at: end_of(sent, number("ttl")),
            renewable: data.flag("renewable"),
            creation_ttl: Duration::from_secs(number("creation_ttl")),
            last_end: created.and_then(|created| end_of(created, number("explicit_max_ttl"))),
        }
    }

    /// Whether every renewal sets it to a whole period again, for ever.
    pub(crate) fn is_periodic(&self) -> bool {
        !self.period.is_zero()
    }

    /// Whether a renewal can change its end.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renewable && !self.batch && self.expires_at.is_some()
    }

    /// When it ends, in words.
    pub(crate) fn render_end(&self) -> String {
        match (self.expires_at, self.is_renewable() && self.is_periodic()) {
            (None, _) => "never expires".into(),
            (Some(end), true) => format!("expires at {} unless it is renewed", render_time(end)),
            (Some(end), false) => format!("expires at {}", render_time(end)),
        }
    }

    /// Why it is not renewed, and what to do.
    fn refusal(&self, origin: &str) -> Option<Error> {
        let what = match () {
            () if self.batch => "is a batch token, which Vault never renews",
            () if self.expires_at.is_none() => "never expires, so there is nothing to renew",
            () if !self.renewable => "was made with renewable=false",
            () => return None,
        };
        let end = self.expires_at.map(|end| format!("; it expires at {}", render_time(end))).unwrap_or_default();
        Some(Error::new(Kind::Config, format!("the token (from {}) {what}{end}", origin)).hint(MAKE_PERIODIC))
    }

    /// What a person should know of it who looks after the pipeline; nothing if all is well.
    pub(crate) fn concerns(&self, origin: &str, now: Timestamp) -> Vec<String> {
        let mut found = Vec::new();
        let last = if self.is_periodic() { self.last_end } else { self.expires_at };
        let soon = SignedDuration::try_from(SOON).unwrap_or(SignedDuration::MAX);
        if let Some(end) = last.filter(|end| end.duration_since(now) < soon) {
            let why = if self.is_periodic() { "explicit_max_ttl ends it then" } else { "it has no period" };
            let end = render_time(end);
            found.push(format!("the token (from {}) expires at {end} for good, because {why}: {REPLACE}", origin));
        }
        if !self.orphan && !self.policies.iter().any(|policy| policy == "root") {
            found.push(format!("the token (from {}) is a child of another token and ends with it: {REPLACE}", origin));
        }
        found
    }
}

const REPLACE: &str = "replace it with a periodic orphan token (ci-creds token rotate)";

const MAKE_PERIODIC: &str = "give the job a periodic orphan token: vault write auth/token/roles/ci-generator \
                             allowed_policies=NAME orphan=true token_period=72h, then vault token create -role=ci-generator";

/// Looks the token up by itself.
///
/// # Errors
/// [`Kind::Denied`] when it is not valid or may not be looked up; when there is no answer.
pub(crate) async fn look_up(vault: &Vault<'_>, origin: &str, token: &Secret) -> Result<Standing> {
    let exchange = vault.lookup_self(token).await;
    match exchange.outcome {
        Outcome::Done(envelope) => {
            let data =
                envelope.data.ok_or_else(|| Error::new(Kind::Data, "the answer to auth/token/lookup-self is empty"))?;
            Ok(Standing::of(&data, exchange.sent))
        }
        Outcome::Refused(refusal) => Err(explain(&LOOKUP_REFUSALS, &refusal, &|_| origin.to_owned())),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => Err(error),
    }
}

/// Renews the token, and says how it stands after that. A token without a period gets the life that it was made with: an
/// increment of less would shorten it.
///
/// # Errors
/// [`Kind::Config`] when the token is of a kind that is not renewed, [`Kind::Denied`] when its policy does not allow it.
pub(crate) async fn renew(vault: &Vault<'_>, origin: &str, token: &Secret, before: Standing) -> Result<Standing> {
    if let Some(error) = before.refusal(origin) {
        return Err(error);
    }
    let wish = if before.is_periodic() { before.period } else { before.creation_ttl };
    shorten(vault, origin, token, before, wish).await
}

/// Sets the life of a token to so long, as far as its own rules allow.
///
/// # Errors
/// As [`renew`].
pub(crate) async fn shorten(
    vault: &Vault<'_>,
    origin: &str,
    token: &Secret,
    before: Standing,
    life: Duration,
) -> Result<Standing> {
    let exchange = vault.keep_login(token, life).await;
    match exchange.outcome {
        Outcome::Done(envelope) => {
            let seconds = envelope.auth.map(|auth| auth.lease_duration).filter(|seconds| *seconds > 0);
            let seconds = seconds
                .ok_or_else(|| Error::new(Kind::Data, "the answer to auth/token/renew-self has no lease_duration"))?;
            Ok(Standing { expires_at: end_of(exchange.sent, seconds), ..before })
        }
        Outcome::Refused(refusal) => Err(describe(&refusal, origin)),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => Err(error),
    }
}

/// Renews a generator token before a login with it. Whatever goes wrong is only a warning: the login may work all the same.
pub(super) async fn keep(vault: &Vault<'_>, origin: &str, token: &Secret) {
    let renewal = async { renew(vault, origin, token, look_up(vault, origin, token).await?).await };
    match timeout(PATIENCE, renewal).await {
        Ok(Ok(standing)) => standing.concerns(origin, vault.now()).into_iter().for_each(|text| vault.warn(text)),
        Ok(Err(error)) => vault.warn(format!("the generator token was not renewed: {}", error.message())),
        Err(_) => vault.warn(format!(
            "the generator token was not renewed: Vault did not answer in {}",
            render_duration(PATIENCE)
        )),
    }
}

/// Warns of a token that was looked up for another reason, and that a person must replace soon. One that was made to live
/// for a week at most was made for a job, and is nobody's to replace.
pub(crate) fn warn_of_its_end(vault: &Vault<'_>, data: &Data, origin: &str, sent: Timestamp) {
    let standing = Standing::of(data, sent);
    if standing.creation_ttl > SOON {
        standing.concerns(origin, sent).into_iter().for_each(|text| vault.warn(text));
    }
}

fn describe(refusal: &Refusal, origin: &str) -> Error {
    explain(&RENEWAL_REFUSALS, refusal, &|_| origin.to_owned())
}

/// Of `auth/token/lookup-self`.
const LOOKUP_REFUSALS: [Row; 2] = [
    Row {
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) is not valid ({because})",
        change: "the token has expired, was revoked, or is of another namespace: store a new one",
    },
    Row {
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the token (from {origin}) may not look itself up ({because})",
        change: "its policy needs: path \"auth/token/lookup-self\" { capabilities = [\"read\"] }, which the default policy has",
    },
];

/// Of `auth/token/renew-self`.
const RENEWAL_REFUSALS: [Row; 3] = [
    Row {
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) is not valid ({because})",
        change: "the token has expired, was revoked, or is of another namespace: store a new one",
    },
    Row {
        says: Says::Text(&["cannot be renewed", "not renewable", "invalid lease ID"]),
        kind: Kind::Config,
        cause: "the token (from {origin}) cannot be renewed ({because})",
        change: MAKE_PERIODIC,
    },
    Row {
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the token (from {origin}) was not renewed ({because})",
        change: "its policy needs: path \"auth/token/renew-self\" { capabilities = [\"update\"] }, which the default policy has",
    },
];
