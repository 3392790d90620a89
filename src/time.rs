//! The arithmetic of an end, and how it is spelled. The clock itself is [`crate::host::Host::now`].

use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::origin::{Origin, WithOrigin};
use crate::typo::quoted;

/// Taken off every lifetime: a request that was started with a credential should also end with it. Larger than
/// any one API call needs, smaller than any lease that is of use.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// How long to pause before a further try: a bound that doubles from the first to the longest. The jitter below it is the
/// caller's: jobs that failed together must come back apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The bound of the first pause.
    pub first: Duration,
    /// The bound of every pause.
    pub longest: Duration,
}

impl Backoff {
    /// The bound of the pause after so many tries, the first one not counted.
    #[must_use]
    pub(crate) fn bound(&self, repeats: u32) -> Duration {
        // Eight doublings are beyond every longest pause.
        self.first.saturating_mul(1 << repeats.min(8)).min(self.longest)
    }
}

/// When something ends that was asked for at `sent` and then lives for `seconds`; zero means no end.
///
/// Security: counted from before the request was sent, by the local clock, so that neither the way nor the
/// server's clock can make it later than it is. Absurd durations end at the end of time instead of panicking.
#[must_use]
pub fn expiry(sent: Timestamp, seconds: u64) -> Option<Timestamp> {
    let life = Duration::from_secs(seconds).saturating_sub(MARGIN);
    (seconds > 0).then(|| sent.checked_add(life).unwrap_or(Timestamp::MAX))
}

/// As [`expiry`], without the margin: when Vault itself ends it.
#[must_use]
pub fn end_of(sent: Timestamp, seconds: u64) -> Option<Timestamp> {
    (seconds > 0).then(|| sent.checked_add(Duration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
}

/// How long until then, and nothing when it has passed.
#[must_use]
pub(crate) fn left_until(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default()
}

/// The same in the whole seconds of an increment, of which none is lost, and one at least.
#[must_use]
pub(crate) fn increment_until(end: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(left_until(end, now).as_secs() + 1)
}

/// The earlier of two ends, where `None` is no end.
#[must_use]
pub fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// The spelling that every SDK reads: `YYYY-MM-DDTHH:MM:SSZ`, no fraction.
#[must_use]
pub fn render_time(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// An end as people read a clock: `15:36 UTC`, with the date where that is not within a day.
#[must_use]
pub fn render_clock(time: Timestamp, now: Timestamp) -> String {
    let text = render_time(time);
    let (date, clock) = text.split_once('T').unwrap_or_default();
    let clock = clock.get(..5).unwrap_or_default();
    match time.duration_since(now).as_hours() {
        -23..24 => format!("{clock} UTC"),
        _ => format!("{date} {clock} UTC"),
    }
}

/// A duration as people write it, in whole seconds: `48h`, `1h30m`, `59m58s`, `0s`.
#[must_use]
pub(crate) fn render_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// A duration as Vault writes it: seconds, or `90s`, `20m`, `1h30m`, `1d`.
///
/// # Errors
/// [`Kind::Usage`], with the duration that was meant where its words say so: `1hour`, `30 min`.
pub(crate) fn parse_duration(text: &WithOrigin<String>) -> Result<Duration> {
    let typed = text.value.trim();
    let problem = match parse_seconds(typed) {
        Some(seconds) if (1..=LONGEST).contains(&seconds) => return Ok(Duration::from_secs(seconds)),
        Some(_) => "is not a duration between 1 second and 365 days",
        None => "is not a duration",
    };
    let meant = reword(typed).map_or_else(String::new, |meant| match &text.origin {
        Origin::Flag(flag) => format!("did you mean {flag} {meant}? "),
        origin => format!("did you mean {meant} in {origin}? "),
    });
    let repeated = quoted(typed, "its value");
    Err(Error::new(Kind::Usage, format!("{}: {repeated} {problem}", text.origin))
        .hint(format!("{meant}90s, 20m, 1h30m and 1d are durations")))
}

/// A year, in seconds.
const LONGEST: u64 = 31_536_000;

fn parse_seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest[digits..].chars().next()? {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

/// The duration of a number and a word for its unit: `1hour` is `1h`.
fn reword(text: &str) -> Option<String> {
    let (number, word) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match word.trim().to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => 's',
        "min" | "mins" | "minute" | "minutes" => 'm',
        "hr" | "hrs" | "hour" | "hours" => 'h',
        "day" | "days" => 'd',
        _ => return None,
    };
    (1..=4).contains(&number.len()).then(|| format!("{number}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &str) -> WithOrigin<String> {
        WithOrigin { value: text.into(), origin: crate::origin::Origin::Flag("--ttl") }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_life_is_counted_from_before_the_request_less_the_margin() {
        let sent = at("2026-11-20T12:00:00.75Z");
        assert_eq!(expiry(sent, 900).map(render_time).as_deref(), Some("2026-11-20T12:14:55Z"));
        assert_eq!(expiry(sent, 3), Some(sent));
        assert_eq!(expiry(sent, 0), None);
        assert_eq!(expiry(sent, u64::MAX), Some(Timestamp::MAX));
    }

    #[test]
    fn a_clock_has_a_date_where_the_hour_alone_could_be_another_days() {
        let now = at("2026-11-20T12:00:00Z");
        for (time, text) in [
            ("2026-11-20T12:15:59Z", "12:15 UTC"),
            ("2026-11-21T11:59:00Z", "11:59 UTC"),
            ("2026-11-21T12:00:00Z", "2026-11-21 12:00 UTC"),
        ] {
            assert_eq!(render_clock(at(time), now), text);
        }
    }

    #[test]
    fn a_duration_is_written_with_the_units_that_it_needs() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3598, "59m58s"), (3600, "1h"), (5400, "1h30m"), (172_800, "48h")]
        {
            assert_eq!(render_duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_earlier_end_counts_and_none_is_no_end() {
        let (early, late) = (at("2026-11-20T12:00:00Z"), at("2026-11-20T13:00:00Z"));
        assert_eq!(earlier(Some(late), Some(early)), Some(early));
        assert_eq!(earlier(None, Some(early)), Some(early));
        assert_eq!(earlier(Some(early), None), Some(early));
        assert_eq!(earlier(None, None), None);
    }

    #[test]
    fn durations_are_vaults() {
        for (text, seconds) in [("60", 60), ("60s", 60), ("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("1d", 86_400)] {
            assert_eq!(parse_duration(&text_of(text)).unwrap().as_secs(), seconds);
        }
        for text in ["", "0", "0s", "soon", "-1", "1.5h", "1x", "h", "1h30", "99999999999999999999", "1w"] {
            assert_eq!(parse_duration(&text_of(text)).unwrap_err().kind(), Kind::Usage, "{text:?}");
        }
    }

    #[test]
    fn a_word_for_a_unit_is_understood_and_not_taken() {
        for (text, meant) in [
            ("1hour", Some("did you mean --ttl 1h?")),
            ("30min", Some("did you mean --ttl 30m?")),
            ("2 days", Some("did you mean --ttl 2d?")),
            ("90sec", Some("did you mean --ttl 90s?")),
            ("soon", None),
            ("1fortnight", None),
        ] {
            let error = parse_duration(&text_of(text)).unwrap_err().render(false);
            assert_eq!(error.contains("did you mean"), meant.is_some(), "{error}");
            assert!(error.contains(meant.unwrap_or_default()), "{error}");
        }
    }

    #[test]
    fn a_duration_is_at_most_a_year() {
        for text in ["31536000", "8760h", "1s", "1h1m1s"] {
            assert!(parse_duration(&text_of(text)).is_ok(), "{text}");
        }
        for text in ["31536001", "8761h", "18446744073709551615h", "18446744073709551615s1s"] {
            assert!(parse_duration(&text_of(text)).is_err(), "{text}");
        }
        assert_eq!(parse_duration(&text_of("1h1m1s")).unwrap().as_secs(), 3661);
    }
}
