//! How long to wait before a request is sent again.

use std::time::Duration;

use jiff::Timestamp;

/// The first pause at most, and every pause at most: full jitter below it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// A server that names a pause gets at least that one.
pub(super) fn pause(attempt: u32, retry_after: Option<&str>, now: Timestamp) -> Duration {
    let jitter = jitter(attempt);
    let asked = retry_after.and_then(|text| parse_retry_after(text, now));
    asked.map_or(jitter, |asked| asked.saturating_add(jitter))
}

/// Full jitter below a bound that doubles: a hundred jobs that failed together come back apart.
fn jitter(attempt: u32) -> Duration {
    let bound = FIRST_PAUSE.saturating_mul(1 << attempt.min(8)).min(LONGEST_PAUSE);
    bound.mul_f64(fastrand::f64())
}

/// `Retry-After`: seconds, or an HTTP date. What cannot be read is no wish; the past is now.
#[must_use]
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is as good as for ever, and beyond every budget.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_pauses_lie_apart_below_a_bound_that_doubles() {
        for (attempt, bound) in [(0, 500), (1, 1000), (2, 2000), (3, 4000), (9, 4000), (99, 4000)] {
            let pauses: Vec<_> = (0..100).map(|_| jitter(attempt).as_millis()).collect();
            assert!(pauses.iter().all(|pause| *pause < bound), "{pauses:?}");
            // All in one half of the range: once in 2^99 runs.
            assert!(pauses.iter().any(|pause| *pause < bound / 2), "{pauses:?}");
            assert!(pauses.iter().any(|pause| *pause >= bound / 2), "{pauses:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let cases = [
            ("0", Some(0)),
            ("30", Some(30)),
            (" 30 ", Some(30)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Fri, 20 Nov 2026 12:00:30 GMT", Some(30)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_retry_after(text, now).map(|pause| pause.as_secs()), seconds, "{text:?}");
        }
    }

    #[test]
    fn a_pause_that_the_server_names_is_the_least_and_jitter_comes_on_top() {
        for (text, least) in [(Some("3"), 3000), (Some("soon"), 0), (None, 0)] {
            let pauses: Vec<_> = (0..100).map(|_| pause(0, text, Timestamp::UNIX_EPOCH).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (least..least + 500).contains(pause)), "{text:?}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{text:?}: {pauses:?}");
        }
    }
}
