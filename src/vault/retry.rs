//! Whether a request is sent again, and how long to wait before.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::{Outcome, Patience};
use super::step::{Again, Step};
use crate::time::{Backoff, left_until};

/// The first pause at most, and every pause at most: full jitter below it.
const PAUSE: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

/// What became of one request so far, over all the times that it was sent.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// How often it was sent again.
    pub(super) again: u32,
    /// How often of these after it was lost.
    lost: u32,
    /// Whether an answer said that Vault had not acted on a read that makes a credential.
    pub(super) declined: bool,
    /// Whether it was sent again after an answer of somebody who may not know what Vault did. A standby whose leader dies
    /// over a request names a leader, or says that there is none: the request may have been that leader's last.
    pub(super) doubted: bool,
    /// Whether the caller has something to go on with: nobody waits for a sealed Vault then.
    hurried: bool,
}

impl Tries {
    pub(super) fn new(hurried: bool) -> Self {
        Self { hurried, ..Self::default() }
    }

    /// Whether it may be sent once more, as far as its outcome decides. `allowed` is how often a lost request may be; zero
    /// is never. `answered`: somebody gave an answer.
    pub(super) fn allow(&mut self, step: Step, outcome: &Outcome, answered: bool, allowed: u32) -> bool {
        let again = self.is_allowed(step, outcome, answered, allowed);
        let patience = match outcome {
            Outcome::NotProcessed { patience, .. } => Some(*patience),
            _ => None,
        };
        // A Vault that is sealed over a login may have used up its secret before.
        self.doubted |= again && matches!(patience, Some(Patience::Run | Patience::Sealed));
        self.declined |= again && patience == Some(Patience::Run) && step == Step::Mint;
        again
    }

    fn is_allowed(&mut self, step: Step, outcome: &Outcome, answered: bool, allowed: u32) -> bool {
        match outcome {
            // Who answers may be somebody before a Vault that has acted: once more, and no third time.
            Outcome::NotProcessed { patience, .. } if step == Step::Mint && answered && !self.may_wait(*patience) => {
                !std::mem::replace(&mut self.declined, true) && allowed > 0
            }
            Outcome::NotProcessed { patience: Patience::Run | Patience::Sealed | Patience::Certain, .. } => allowed > 0,
            Outcome::NotProcessed { patience: Patience::Counted, .. } => self.count(allowed),
            Outcome::Ambiguous { transient, .. } => {
                *transient && step.when_ambiguous() == Again::Yes && self.count(allowed)
            }
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Final(_) => false,
        }
    }

    /// Whether Vault certainly did not act.
    fn may_wait(&self, patience: Patience) -> bool {
        patience == Patience::Certain || patience == Patience::Sealed && !self.hurried
    }

    fn count(&mut self, allowed: u32) -> bool {
        self.lost += 1;
        self.lost <= allowed
    }
}

/// The pause after so many others. A server that names one gets at least that.
pub(super) fn pause(attempt: u32, outcome: &Outcome, now: Timestamp) -> Duration {
    let asked = match outcome {
        Outcome::NotProcessed { retry_after: Some(text), .. } => parse_retry_after(text, now),
        _ => None,
    };
    asked.unwrap_or_default().saturating_add(jitter(attempt))
}

/// Full jitter below a bound that doubles: a hundred jobs that failed together come back apart.
fn jitter(attempt: u32) -> Duration {
    PAUSE.bound(attempt).mul_f64(fastrand::f64())
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
    Some(left_until(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};
    use crate::vault::step::STEPS;

    #[test]
    fn a_hundred_pauses_lie_apart_below_a_bound_that_doubles() {
        for (attempt, bound) in [(0, 500), (1, 1000), (2, 2000), (3, 4000), (4, 5000), (99, 5000)] {
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

    fn not_processed(retry_after: Option<&str>, patience: Patience) -> Outcome {
        let error = Error::new(Kind::Temporary, "x");
        Outcome::NotProcessed { error, retry_after: retry_after.map(str::to_owned), patience }
    }

    #[test]
    fn a_pause_that_the_server_names_is_the_least_and_jitter_comes_on_top() {
        for (text, least) in [(Some("3"), 3000), (Some("0"), 0), (Some("soon"), 0), (None, 0)] {
            let outcome = not_processed(text, Patience::Run);
            let pauses: Vec<_> = (0..100).map(|_| pause(0, &outcome, Timestamp::UNIX_EPOCH).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (least..least + 500).contains(pause)), "{text:?}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{text:?}: {pauses:?}");
        }
        let lost = Outcome::Ambiguous { error: Error::new(Kind::Temporary, "x"), transient: true, cut_off: false };
        assert!(pause(0, &lost, Timestamp::UNIX_EPOCH).as_millis() < 500);
    }

    /// How often the outcome lets a step be sent again, up to nine times.
    fn times(step: Step, outcome: &Outcome, answered: bool, allowed: u32) -> usize {
        let mut tries = Tries::default();
        (0..9).take_while(|_| tries.allow(step, outcome, answered, allowed)).count()
    }

    #[test]
    fn what_a_server_did_not_take_is_sent_until_the_deadline_and_what_was_lost_as_often_as_allowed() {
        for step in STEPS.into_iter().filter(|step| *step != Step::Mint) {
            for (patience, allowed, expected) in [
                (Patience::Counted, 2, 2),
                (Patience::Run, 2, 9),
                (Patience::Certain, 1, 9),
                (Patience::Counted, 0, 0),
                (Patience::Run, 0, 0),
                (Patience::Certain, 0, 0),
            ] {
                let outcome = not_processed(None, patience);
                assert_eq!(times(step, &outcome, true, allowed), expected, "{step:?} {patience:?} {allowed}");
            }
            let lost = |transient| {
                let error = Error::new(Kind::Unavailable, "x");
                times(step, &Outcome::Ambiguous { error, transient, cut_off: true }, false, 2)
            };
            let expected = if step.when_ambiguous() == Again::Yes { 2 } else { 0 };
            assert_eq!((lost(true), lost(false)), (expected, 0), "{step:?}");
            assert_eq!(times(step, &Outcome::Final(Error::new(Kind::Unavailable, "x")), true, 2), 0);
        }
    }

    #[test]
    fn the_read_that_makes_a_credential_is_sent_again_once_unless_vault_itself_did_not_look_at_it() {
        for (patience, answered, allowed, expected) in [
            (Patience::Run, true, 9, 1),
            (Patience::Counted, true, 9, 1),
            (Patience::Certain, true, 2, 9),
            (Patience::Sealed, true, 2, 9),
            (Patience::Sealed, true, 0, 0),
            (Patience::Certain, true, 0, 0),
            (Patience::Run, true, 0, 0),
            (Patience::Counted, false, 2, 2),
        ] {
            let times = times(Step::Mint, &not_processed(None, patience), answered, allowed);
            assert_eq!(times, expected, "{patience:?} {answered} {allowed}");
        }
    }

    #[test]
    fn whoever_has_an_old_credential_does_not_wait_for_a_sealed_vault() {
        let outcome = not_processed(None, Patience::Sealed);
        let mut tries = Tries { hurried: true, ..Tries::default() };
        assert_eq!((0..9).take_while(|_| tries.allow(Step::Mint, &outcome, true, 2)).count(), 1);
    }

    #[test]
    fn only_an_answer_of_somebody_who_may_not_know_leaves_a_doubt() {
        for (patience, doubted, declined) in [
            (Patience::Run, true, true),
            (Patience::Sealed, true, false),
            (Patience::Counted, false, false),
            (Patience::Certain, false, false),
        ] {
            for step in STEPS {
                let mut tries = Tries::default();
                assert!(tries.allow(step, &not_processed(None, patience), false, 2));
                assert_eq!((tries.doubted, tries.declined), (doubted, declined && step == Step::Mint), "{step:?}");
                let mut none = Tries::default();
                assert!(!none.allow(step, &not_processed(None, patience), false, 0) && !none.doubted);
            }
        }
    }

    #[test]
    fn a_wait_leaves_a_lost_request_its_own_repetitions() {
        let (mut tries, step) = (Tries::default(), Step::Login);
        let (busy, lost) = (not_processed(None, Patience::Run), not_processed(None, Patience::Counted));
        for outcome in [&busy, &busy, &busy, &lost, &busy, &lost] {
            assert!(tries.allow(step, outcome, true, 2));
        }
        assert!(!tries.allow(step, &lost, true, 2));
    }
}
