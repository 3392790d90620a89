//! What a Vault token that somebody made for the job is: how long it lives, and whether it can be renewed.
//!
//! Such a token lies in a variable of the CI system. If it has a period, every renewal sets it to the whole period again;
//! any other one ends some day, and somebody must replace it.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::mint::Data;
use crate::secret::Secret;
use crate::time::{end_of, render_duration, render_time};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::{Refusal, Row, Says, explain};

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
    /// What each renewal sets its life to.
    pub period: Period,
    /// When it ends if nobody renews it; `None` is never.
    pub expires_at: Option<Timestamp>,
    renewable: bool,
    creation_ttl: Duration,
    /// The end that no renewal moves.
    last_end: Option<Timestamp>,
}

/// What a renewal sets the life of a token to, whatever it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// It has none: a renewal sets what it asks for.
    Absent,
    /// A token role made the token, and Vault does not tell what the role says. A renewal shows it.
    Untold,
    /// So long.
    Of(Duration),
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
            period: match (number("period"), data.text("role")) {
                (0, "") => Period::Absent,
                (0, _) => Period::Untold,
                (seconds, _) => Period::Of(Duration::from_secs(seconds)),
            },
            expires_at: end_of(sent, number("ttl")),
            renewable: data.flag("renewable"),
            creation_ttl: Duration::from_secs(number("creation_ttl")),
            last_end: created.and_then(|created| end_of(created, number("explicit_max_ttl"))),
        }
    }

    /// The life that it was made with, or that a renewal gives it.
    pub(crate) fn life(&self) -> Duration {
        match self.period {
            Period::Of(period) => period,
            Period::Absent | Period::Untold => self.creation_ttl,
        }
    }

    /// Whether a renewal can change its end.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renewable && !self.batch && self.expires_at.is_some()
    }

    /// When it ends, in words.
    pub(crate) fn render_end(&self) -> String {
        match (self.expires_at, self.is_renewable() && self.period != Period::Absent) {
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
        let is_absent = self.period == Period::Absent;
        let last = if is_absent { self.expires_at } else { self.last_end };
        let soon = SignedDuration::try_from(SOON).unwrap_or(SignedDuration::MAX);
        if let Some(end) = last.filter(|end| end.duration_since(now) < soon) {
            let why = if is_absent { "it has no period" } else { "explicit_max_ttl ends it then" };
            let end = render_time(end);
            found.push(format!("the token (from {}) expires at {end} for good, because {why}: {REPLACE}", origin));
        }
        if !self.orphan && !self.policies.iter().any(|policy| policy == "root") {
            found.push(format!(
                "the token (from {}) is a child of another token and ends with it: {REPLACE_BY_HAND}",
                origin
            ));
        }
        found
    }
}

/// `ci-creds token rotate` replaces no child: its parent may end it at any time.
const REPLACE_BY_HAND: &str = "replace it by hand with an orphan token: vault token create -role=NAME, by a token role with \
                               orphan=true";

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
    // A second less shows whether there is a period: it counts, whatever is asked for.
    let wish = match before.period {
        Period::Untold => before.life().saturating_sub(Duration::from_secs(1)),
        Period::Absent | Period::Of(_) => before.life(),
    };
    set_life(vault, origin, token, before, wish).await
}

/// Sets the life of a token to so long, as far as its own rules allow, and learns whether it has a period.
///
/// # Errors
/// As [`renew`].
pub(crate) async fn set_life(
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
            let period = match (before.period, seconds.cmp(&life.as_secs())) {
                (Period::Untold, Ordering::Greater) => Period::Of(Duration::from_secs(seconds)),
                (Period::Untold, Ordering::Equal) => Period::Absent,
                (known, _) => known,
            };
            Ok(Standing { expires_at: end_of(exchange.sent, seconds), period, ..before })
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
pub(super) const LOOKUP_REFUSALS: [Row; 2] = [
    Row {
        id: "stored-token-gone",
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) is not valid ({because})",
        change: "the token has expired, was revoked, or is of another namespace: store a new one",
    },
    Row {
        id: "stored-token-lookup",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the token (from {origin}) may not look itself up ({because})",
        change: "its policy needs: path \"auth/token/lookup-self\" { capabilities = [\"read\"] }, which the default policy has",
    },
];

/// Of `auth/token/renew-self`.
pub(super) const RENEWAL_REFUSALS: [Row; 3] = [
    Row {
        id: "renewal-token-gone",
        says: Says::TokenGone,
        kind: Kind::Denied,
        cause: "the token (from {origin}) was not renewed: it is not valid ({because})",
        change: "the token has expired, was revoked, or is of another namespace: store a new one",
    },
    Row {
        id: "renewal-without",
        says: Says::Text(&["cannot be renewed", "not renewable", "invalid lease ID"]),
        kind: Kind::Config,
        cause: "the token (from {origin}) cannot be renewed ({because})",
        change: MAKE_PERIODIC,
    },
    Row {
        id: "renewal-policy",
        says: Says::Anything,
        kind: Kind::Denied,
        cause: "the token (from {origin}) was not renewed ({because})",
        change: "its policy needs: path \"auth/token/renew-self\" { capabilities = [\"update\"] }, which the default policy has",
    },
];
