//! The term of one lease, or of the login: until when it lives, when it is renewed, and when its end is told. Pure: times
//! go in and come out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::time::{Backoff, left_until};

/// What a renewal asks for. Never nothing: without an increment, Vault shortens what an earlier one made longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To live until then.
    Until(Timestamp),
    /// To live for so long from each renewal on.
    For(Duration),
    /// The same for a login on its leash, which is renewed at every third of it.
    Leash(Duration),
}

/// Why it ends, once no renewal changes that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TermLimit {
    /// Nobody can renew it.
    Fixed,
    /// As long as it was to live.
    Reached,
    /// The server gives no more.
    Capped,
    /// Vault refused, in these words.
    Refused(String),
}

/// The term of one of them.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) goal: Goal,
    pub(super) end: Timestamp,
    /// When its last life began.
    pub(super) renewed: Timestamp,
    failures: u32,
    pub(super) fate: Option<TermLimit>,
    pub(super) due: Option<Timestamp>,
    pub(super) told: bool,
}

/// A life that is shorter than the one asked for by less is as long: Vault counts in whole seconds, and began before us.
const ROUNDING: SignedDuration = SignedDuration::from_secs(2);

/// The bounds of how long before the end it is told.
const EARLIEST: SignedDuration = SignedDuration::from_mins(15);
const LATEST: SignedDuration = SignedDuration::from_secs(60);

/// The pauses after failed renewals: each at most twice the one before.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

impl Term {
    /// One that Vault granted until `end`, at `now`. `jitter` lies between 0 and 1.
    pub(super) fn new(goal: Goal, end: Timestamp, now: Timestamp, jitter: f64) -> Self {
        let mut term = Self { goal, end, renewed: now, failures: 0, fate: None, due: None, told: false };
        term.settle(now, jitter);
        term
    }

    /// One that nobody can renew.
    pub(super) fn fixed(end: Timestamp, now: Timestamp) -> Self {
        let goal = Goal::Until(end);
        Self { goal, end, renewed: now, failures: 0, fate: Some(TermLimit::Fixed), due: None, told: false }
    }

    /// What the next renewal asks for, in whole seconds and at least one.
    pub(super) fn increment(&self, now: Timestamp) -> Duration {
        let wanted = match self.goal {
            Goal::Until(goal) => left_until(goal, now),
            Goal::For(length) | Goal::Leash(length) => length,
        };
        Duration::from_secs(wanted.as_secs() + u64::from(wanted.subsec_nanos() > 0)).max(Duration::from_secs(1))
    }

    /// Vault granted it until `end`, by a request that was sent at `sent`; `capped`: Vault says that it gives no more.
    pub(super) fn renew(&mut self, sent: Timestamp, end: Timestamp, capped: bool, jitter: f64) {
        let (moved, passed) = (end.duration_since(self.end), sent.duration_since(self.renewed));
        let at_its_max = match self.goal {
            Goal::Until(goal) => end < goal.saturating_sub(ROUNDING).unwrap_or(Timestamp::MIN),
            Goal::For(length) | Goal::Leash(length) => {
                // Of a life of seconds, one is much.
                let length = length.saturating_sub(Duration::try_from(ROUNDING).unwrap_or_default().min(length / 4));
                end < sent.checked_add(length).unwrap_or(Timestamp::MAX)
            }
        };
        // A login that a leash shortens does not move later, and ends where it shall.
        let stuck = moved * 2 < passed && at_its_max;
        (self.end, self.renewed, self.failures) = (end, sent, 0);
        if stuck || (capped && at_its_max) {
            (self.fate, self.due) = (Some(TermLimit::Capped), None);
        } else {
            self.settle(sent, jitter);
        }
    }

    /// Vault refused. It lives on until its end.
    pub(super) fn refuse(&mut self, because: String) {
        (self.fate, self.due) = (Some(TermLimit::Refused(because)), None);
    }

    /// Nobody knows what became of a renewal, or Vault was not reached.
    pub(super) fn fail(&mut self, now: Timestamp, jitter: f64) {
        let bound = PAUSE.bound(self.failures);
        self.failures += 1;
        let pause = bound.mul_f64(1.0 - jitter / 2.0);
        self.due = now.checked_add(pause).ok().filter(|due| *due < self.end);
    }

    /// When its end is to be told: a third of its life before, within bounds. `None` when it was.
    pub(super) fn warn_at(&self) -> Option<Timestamp> {
        let before = (self.end.duration_since(self.renewed) / 3).clamp(LATEST, EARLIEST);
        let is_final = self.fate.is_some() || self.failures > 0;
        (is_final && !self.told).then(|| self.end.saturating_sub(before).unwrap_or(Timestamp::MIN))
    }

    /// When a command that needs it must be told to end, so that it can still clean up with it: a sixth of its life before,
    /// and a minute at most.
    pub(super) fn stop_at(&self) -> Option<Timestamp> {
        let before = (self.end.duration_since(self.renewed) / 6).min(LATEST);
        let is_final = self.fate.is_some() || self.failures > 0;
        is_final.then(|| self.end.saturating_sub(before).unwrap_or(Timestamp::MIN))
    }

    fn settle(&mut self, now: Timestamp, jitter: f64) {
        let left = self.end.duration_since(now);
        let pause = match self.goal {
            Goal::Until(goal) if self.end >= goal.saturating_sub(ROUNDING).unwrap_or(Timestamp::MIN) => {
                (self.fate, self.due) = (Some(TermLimit::Reached), None);
                return;
            }
            Goal::Until(_) | Goal::For(_) => Duration::try_from(left).unwrap_or_default().mul_f64(2.0 / 3.0),
            Goal::Leash(length) => length / 3,
        };
        self.due = now.checked_add(pause.mul_f64(1.0 - jitter / 10.0)).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due(term: &Term) -> Option<i64> {
        term.due.map(Timestamp::as_second)
    }

    #[test]
    fn a_renewal_is_due_at_two_thirds_less_up_to_a_tenth_and_asks_for_the_same_end() {
        let term = |jitter| Term::new(Goal::Until(at(3600)), at(900), at(0), jitter);
        assert_eq!((due(&term(0.0)), due(&term(1.0))), (Some(600), Some(540)));
        let mut term = term(0.0);
        assert_eq!((term.increment(at(0)), term.increment(at(600))), (seconds(3600), seconds(3000)));
        term.renew(at(600), at(2400), false, 0.0);
        assert_eq!((due(&term), term.increment(at(1800))), (Some(1800), seconds(1800)));
        // It lives as long as it shall: nothing more is asked.
        term.renew(at(1800), at(3599), false, 0.0);
        assert_eq!((due(&term), term.fate), (None, Some(TermLimit::Reached)));
    }

    #[test]
    fn without_a_goal_each_renewal_asks_for_the_first_life_until_the_end_stands_still() {
        // A lease of 5 s that lives for 20 s at most, as Vault answers it.
        let mut term = Term::new(Goal::For(seconds(5)), at(5), at(0), 0.0);
        for (now, end, fate) in [(3, 8, None), (6, 11, None), (9, 14, None), (12, 17, None), (15, 20, None)] {
            assert_eq!((due(&term), term.increment(at(now))), (Some(now), seconds(5)));
            term.renew(at(now), at(end), false, 0.0);
            assert_eq!(term.fate, fate, "{now}");
        }
        term.renew(at(18), at(20), false, 0.0);
        assert_eq!((due(&term), &term.fate, term.warn_at()), (None, &Some(TermLimit::Capped), Some(at(-40))));
    }

    #[test]
    fn a_life_of_two_seconds_is_at_its_max_when_one_is_left() {
        let mut term = Term::new(Goal::For(seconds(2)), at(2), at(0), 0.0);
        term.renew(at(4), at(5), true, 0.0);
        assert_eq!(term.fate, Some(TermLimit::Capped));
    }

    #[test]
    fn what_vault_says_it_caps_is_not_asked_for_again() {
        let mut term = Term::new(Goal::Until(at(7200)), at(900), at(0), 0.0);
        term.renew(at(1), at(1798), true, 0.0);
        assert_eq!((due(&term), &term.fate), (None, &Some(TermLimit::Capped)));
        // A third of a life of half an hour.
        assert_eq!(term.warn_at(), Some(at(1798 - 599)));
        term.told = true;
        assert_eq!(term.warn_at(), None);
    }

    #[test]
    fn a_leash_is_renewed_at_every_third_of_it_until_it_is_cut_short() {
        let mut term = Term::new(Goal::Leash(seconds(300)), at(900), at(0), 0.0);
        term.renew(at(0), at(300), false, 0.0);
        assert_eq!((due(&term), term.increment(at(9))), (Some(100), seconds(300)));
        term.renew(at(100), at(400), false, 0.0);
        term.renew(at(200), at(450), false, 0.0);
        assert_eq!((due(&term), &term.fate), (Some(300), &None));
        term.renew(at(300), at(450), false, 0.0);
        assert_eq!((due(&term), &term.fate), (None, &Some(TermLimit::Capped)));
    }

    #[test]
    fn failures_are_told_in_time_and_pause_for_longer_each_time() {
        let mut term = Term::new(Goal::For(seconds(900)), at(900), at(0), 0.0);
        assert_eq!(term.warn_at(), None);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            term.fail(at(600), 0.0);
            pauses.push(due(&term).unwrap() - 600);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(term.warn_at(), Some(at(600)));
        // Nothing is asked when it has ended.
        term.fail(at(899), 0.0);
        assert_eq!(due(&term), None);
        term.renew(at(890), at(1790), false, 0.0);
        assert_eq!((term.warn_at(), term.failures), (None, 0));
    }

    #[test]
    fn a_command_is_to_end_a_minute_before_a_final_end_and_not_before_one_that_may_move() {
        assert_eq!(Term::new(Goal::For(seconds(900)), at(900), at(0), 0.0).stop_at(), None);
        for (end, stop) in [(12, 10), (360, 300), (36_000, 35_940)] {
            assert_eq!(Term::fixed(at(end), at(0)).stop_at(), Some(at(stop)), "{end}");
        }
    }

    #[test]
    fn the_end_is_told_a_minute_before_at_the_latest_and_a_quarter_of_an_hour_at_the_earliest() {
        for (end, told) in [(30, -30), (120, 60), (600, 400), (36_000, 35_100)] {
            assert_eq!(Term::fixed(at(end), at(0)).warn_at(), Some(at(told)), "{end}");
        }
    }
}
