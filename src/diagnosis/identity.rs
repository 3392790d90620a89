//! The secret that the job logs in with: what it says of itself, and whether it has expired. Nothing is spent.

use std::time::Duration;

use jiff::Timestamp;

use super::{Check, Topic};
use crate::auth::{check_wrapping, describe_wrapping};
use crate::ci::CiSystem;
use crate::claims::Claims;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::identity::{Login, Spend};
use crate::secret::Secret;
use crate::time::{render_duration, render_time};
use crate::vault::client::Vault;
use crate::vault::outcome::Outcome;

/// Vault accepts an ID token for so long after its end.
const LEEWAY: Duration = Duration::from_secs(60);

/// Examines the secret. `vault` is where a wrapping token can be looked up.
pub(crate) async fn examine(login: &Login, vault: Option<&Vault<'_>>, host: &Host) -> Check {
    let (origin, facts) = (&login.origin, login.identity.facts());
    if let Some(claims) = login.identity.claims() {
        return id_token(claims, login, host.now());
    }
    if facts.spends == Spend::WrappingToken {
        return match vault {
            Some(vault) => wrapping_token(vault, login, facts.secret, host.now()).await,
            None => Check::skip(Topic::Identity, format!("the wrapping token (from {origin}) was not looked up")),
        };
    }
    let companion = if facts.companion.is_some() { " and a role ID" } else { "" };
    let child = if facts.child { ", of which the run makes a child" } else { "" };
    Check::good(Topic::Identity, format!("a {} (from {origin}){companion}{child}", facts.name))
}

/// Every claim of an ID token, those first that roles are bound by.
fn table(claims: &Claims, now: Timestamp) -> Vec<(String, String)> {
    const FIRST: [&str; 9] =
        ["iss", "sub", "aud", "project_path", "project_id", "ref", "ref_type", "ref_protected", "environment"];
    const TIMES: [&str; 3] = ["exp", "nbf", "iat"];
    let mut texts = claims.texts();
    texts.retain(|(name, _)| !TIMES.contains(&name.as_str()));
    texts.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let text = |name: &str, text: Option<String>| match name {
        "aud" => claims.audiences().join(", "),
        _ => text.unwrap_or_else(|| "not a text".to_owned()),
    };
    let mut rows: Vec<_> =
        texts.into_iter().map(|(name, found)| (shortened(&name), shortened(&text(&name, found)))).collect();
    for name in TIMES {
        let time = claims.seconds(name).and_then(|seconds| Timestamp::from_second(seconds).ok());
        rows.extend(time.map(|time| (name.to_owned(), describe_time(time, now))));
    }
    rows
}

/// What a job says of itself, as much of it as helps.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

fn describe_time(time: Timestamp, now: Timestamp) -> String {
    let far = |from: Timestamp, to: Timestamp| {
        render_duration(Duration::from_secs(to.duration_since(from).as_secs().unsigned_abs()))
    };
    if time > now {
        format!("{}, in {}", render_time(time), far(now, time))
    } else {
        format!("{}, {} ago", render_time(time), far(time, now))
    }
}

fn id_token(claims: &Claims, login: &Login, now: Timestamp) -> Check {
    let origin = &login.origin;
    let end = claims.seconds("exp").and_then(|seconds| Timestamp::from_second(seconds).ok());
    let details = table(claims, now);
    let from = claims.valid_from().filter(|from| from.checked_sub(LEEWAY).is_ok_and(|from| from > now));
    if let Some(from) = from {
        let text = format!("the ID token (from {origin}) is not valid before {}", describe_time(from, now));
        let issuer = claims.text("iss").unwrap_or_else(|| "its issuer".to_owned());
        let error = Error::new(Kind::Denied, text).hint(format!(
            "the clock of {issuer} is ahead of this machine's: set both by NTP; the role's clock_skew_leeway can allow more \
            than 60 s"
        ));
        return Check::failure(Topic::Identity, &error).with(details);
    }
    match end {
        Some(end) if end.checked_add(LEEWAY).is_ok_and(|end| end < now) => {
            let error =
                Error::new(Kind::Denied, format!("the ID token (from {origin}) expired at {}", render_time(end)));
            let hint = match CiSystem::of_token(origin, claims) {
                Some(system) => system.renewal(origin),
                None => "call ci-creds earlier in the job, or raise the job's timeout".to_owned(),
            };
            Check::failure(Topic::Identity, &error.hint(hint)).with(details)
        }
        Some(end) => {
            let text = format!("an ID token (from {origin}), which expires at {}", describe_time(end, now));
            Check::good(Topic::Identity, text).with(details)
        }
        None => Check::good(Topic::Identity, format!("an ID token (from {origin}) without an expiry")).with(details),
    }
}

async fn wrapping_token(vault: &Vault<'_>, login: &Login, token: &Secret, now: Timestamp) -> Check {
    let envelope = match vault.lookup_wrapping(token).await.outcome {
        Outcome::Done(envelope) => envelope,
        Outcome::Refused(refusal) => return Check::failure(Topic::Identity, &describe_wrapping(login, &refusal)),
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            return Check::failure(Topic::Identity, &error);
        }
    };
    let mut data = envelope.data.unwrap_or_default();
    let made: Option<Timestamp> = data.take_text("creation_time").and_then(|time| time.expose().parse().ok());
    let life = data.number("creation_ttl").map(Duration::from_secs);
    let creation_path = data.take_text("creation_path").map(|path| path.expose().to_owned()).unwrap_or_default();
    let path = vault.quote(&creation_path);
    let mut details = vec![("creation path".to_owned(), path.clone())];
    details.extend(made.map(|made| ("created".to_owned(), describe_time(made, now))));
    let end = made.zip(life).and_then(|(made, life)| made.checked_add(life).ok());
    details.extend(end.map(|end| ("expires".to_owned(), describe_time(end, now))));
    let text = format!("a wrapping token (from {}), unused, made by {path}", login.origin);
    match check_wrapping(vault, &creation_path, login) {
        Ok(()) => Check::good(Topic::Identity, text).with(details),
        Err(error) => Check::failure(Topic::Identity, &error).with(details),
    }
}
