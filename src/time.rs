//! The arithmetic of an end, and how it is spelled. The clock itself is [`crate::host::Host::now`].

use std::time::Duration;

use jiff::Timestamp;

/// Taken off every lifetime: a request that was started with a credential should also end with it. Larger than
/// any one API call needs, smaller than any lease that is of use.
pub const MARGIN: Duration = Duration::from_secs(5);

/// When something ends that was asked for at `sent` and then lives for `seconds`; zero means no end.
///
/// Security: counted from before the request was sent, by the local clock, so that neither the way nor the
/// server's clock can make it later than it is. Absurd durations end at the end of time instead of panicking.
#[must_use]
pub fn expiry(sent: Timestamp, seconds: u64) -> Option<Timestamp> {
    let life = Duration::from_secs(seconds).saturating_sub(MARGIN);
    (seconds > 0).then(|| sent.checked_add(life).unwrap_or(Timestamp::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_earlier_end_counts_and_none_is_no_end() {
        let (early, late) = (at("2026-11-20T12:00:00Z"), at("2026-11-20T13:00:00Z"));
        assert_eq!(earlier(Some(late), Some(early)), Some(early));
        assert_eq!(earlier(None, Some(early)), Some(early));
        assert_eq!(earlier(Some(early), None), Some(early));
        assert_eq!(earlier(None, None), None);
    }
}
