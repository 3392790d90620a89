//! When a new credential is read. Pure: times go in and come out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::time::{Backoff, left_until};

/// So long before the end a new one is read, if that is later than half of the life. botocore asks for a new one when 15
/// minutes are left.
const LEAD: SignedDuration = SignedDuration::from_mins(16);

/// The pauses after failures: each at most twice the one before.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// When the credential that is served now gets its successor.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    end: Option<Timestamp>,
    due: Option<Timestamp>,
    failures: u32,
}

impl Schedule {
    /// A credential lives from `begun` until `end`, and nothing makes that longer. `None` is no end. Nothing changes when
    /// that is known.
    pub(super) fn begin(&mut self, begun: Timestamp, end: Option<Timestamp>) {
        if self.end != end {
            let lead = |end: Timestamp| LEAD.min(end.duration_since(begun) / 2);
            let due = end.map(|end| end.saturating_sub(lead(end)).unwrap_or(Timestamp::MIN));
            *self = Self { end, due, failures: 0 };
        }
    }

    /// A new one is read at the latest then, if that is still to come: what is needed for it ends soon after.
    pub(super) fn hasten(&mut self, begun: Timestamp, latest: Timestamp) {
        if begun < latest {
            self.due = self.due.map(|due| due.min(latest));
        }
    }

    /// Its renewals keep it alive, or nothing follows it.
    pub(super) fn suspend(&mut self) {
        *self = Self::default();
    }

    /// Reading a new one failed. `jitter` lies between 0 and 1.
    pub(super) fn fail(&mut self, now: Timestamp, jitter: f64) {
        let bound = PAUSE.bound(self.failures);
        self.failures += 1;
        self.due = now.checked_add(bound.mul_f64(1.0 - jitter / 2.0)).ok();
    }

    /// Whether this failure is the first since the last credential.
    pub(super) fn has_failed_once(&self) -> bool {
        self.failures == 1
    }

    /// How long until a new one is read. `None`: as it stands, never.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        self.due.map(|due| left_until(due, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn due(schedule: &Schedule) -> Option<u64> {
        schedule.pause(at(0)).map(|pause| pause.as_secs())
    }

    #[test]
    fn a_new_one_is_read_16_minutes_before_the_end_or_at_half_of_a_short_life() {
        for (life, expected) in [(43_200, 42_240), (3600, 2640), (1920, 960), (900, 450), (10, 5), (0, 0), (-5, 0)] {
            let mut schedule = Schedule::default();
            schedule.begin(at(0), Some(at(life)));
            assert_eq!(due(&schedule), Some(expected), "{life}");
        }
        let mut schedule = Schedule::default();
        schedule.begin(at(0), None);
        assert_eq!(due(&schedule), None);
    }

    #[test]
    fn a_new_one_is_read_before_what_is_needed_for_it_ends_and_once_only() {
        for (begun, latest, expected) in [(0, 600, 600), (0, 3000, 2640), (0, 0, 2640), (601, 600, 3241)] {
            let mut schedule = Schedule::default();
            schedule.begin(at(begun), Some(at(begun + 3600)));
            schedule.hasten(at(begun), at(latest));
            assert_eq!(due(&schedule), Some(expected), "{begun} {latest}");
        }
        let mut endless = Schedule::default();
        endless.hasten(at(0), at(600));
        assert_eq!(due(&endless), None);
    }

    #[test]
    fn failures_pause_for_longer_each_time_and_a_new_credential_ends_them() {
        let mut schedule = Schedule::default();
        schedule.begin(at(0), Some(at(900)));
        let mut pauses = Vec::new();
        for count in 0..7 {
            schedule.fail(at(450), 0.0);
            assert_eq!(schedule.has_failed_once(), count == 0);
            // What is known already changes nothing.
            schedule.begin(at(0), Some(at(900)));
            pauses.push(schedule.pause(at(450)).unwrap().as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        schedule.fail(at(450), 1.0);
        assert_eq!(schedule.pause(at(450)), Some(Duration::from_secs(15)));
        schedule.begin(at(460), Some(at(1360)));
        assert_eq!(due(&schedule), Some(910));
        schedule.suspend();
        assert_eq!(due(&schedule), None);
    }
}
