//! The double's own clock: real time plus what a test has advanced it by.
//!
//! Nothing else in the crate may read the system's clock for a decision; otherwise `advance` would lie.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Real time plus an offset that only grows.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_nanos: AtomicU64,
    /// What stands in the place of real time.
    held: OnceLock<SystemTime>,
}

impl Clock {
    pub(crate) fn now(&self) -> SystemTime {
        let real = self.held.get().copied().unwrap_or_else(SystemTime::now);
        real + Duration::from_nanos(self.offset_nanos.load(Ordering::SeqCst))
    }

    /// From now on, only `advance` lets time pass.
    pub(crate) fn hold(&self) {
        self.held.get_or_init(SystemTime::now);
    }

    pub(crate) fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.offset_nanos.fetch_add(nanos, Ordering::SeqCst);
    }
}

/// Seconds since the epoch.
pub(crate) fn unix(time: SystemTime) -> i64 {
    i64::try_from(since_epoch(time).as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn unix_nanos(time: SystemTime) -> u128 {
    since_epoch(time).as_nanos()
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Go's RFC3339Nano in UTC: nanoseconds without trailing zeros.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let elapsed = since_epoch(time);
    let (year, month, day) = civil(elapsed.as_secs() / 86_400);
    let (hour, minute, second) = time_of_day(elapsed.as_secs());
    let fraction = match elapsed.subsec_nanos() {
        0 => String::new(),
        nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The `Date` header.
pub(crate) fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = since_epoch(time).as_secs();
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    let (hour, minute, second) = time_of_day(seconds);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a number of days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// A duration as Vault's warnings print it: `768h`, `9m58s`, `10m`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3_600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_like_go_writes_them() {
        let time = UNIX_EPOCH + Duration::new(1_795_178_505, 92_980_120);
        assert_eq!(rfc3339(time), "2026-11-20T12:41:45.09298012Z");
        assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(http_date(time), "Fri, 20 Nov 2026 12:41:45 GMT");
        assert_eq!(go_duration(Duration::from_secs(768 * 3_600)), "768h");
        assert_eq!(go_duration(Duration::from_secs(598)), "9m58s");
    }

    #[test]
    fn the_clock_runs_ahead_by_what_it_was_advanced() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(Duration::from_secs(3_600));
        assert!(clock.now() >= before + Duration::from_secs(3_600));
    }
}
