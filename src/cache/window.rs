//! When a kept credential is handed out again, and when a new one is made: arithmetic only.
//!
//! The SDKs ask for a new one before the old one ends, each at its own time: botocore from 15 minutes on at every
//! request, and from 10 minutes on it insists; SDK v3 for JavaScript from 5 minutes on; Java 15 s before, Rust 10 s
//! before; Go at the end. An answer inside such a window is taken, and the helper is run again at the next request.

use jiff::{SignedDuration, Timestamp};

/// botocore's window, and a minute for what lies between our answer and its look at the clock: who gets a credential
/// with more left than this does not come back before it has spent that.
const LARGEST: SignedDuration = SignedDuration::from_mins(16);

/// A credential with less left is of no use: Java's SDK would not take it, Rust's not for long, and botocore might
/// read it when it has expired.
const LEAST: SignedDuration = SignedDuration::from_secs(15);

/// A clock that was set back makes what was kept look as if it came from the future.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// What a kept credential is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has long enough: hand it out.
    Fresh,
    /// It works, and a new one is due: hand it out only if none can be had.
    Old,
    /// It has ended, or so nearly that it is of no use.
    Ended,
}

/// The state at `now` of a credential that was asked for at `issued` and ends at `expires`.
///
/// A new one is due when less is left than botocore's window, or, for shorter lives, than a third: a lease of 15
/// minutes, whose whole life lies inside of that window, is used for 10 minutes, and JavaScript's window is not
/// entered. A third is also the time in which an outage of Vault is not noticed.
#[must_use]
pub(crate) fn state(issued: Timestamp, expires: Timestamp, now: Timestamp) -> State {
    let left = expires.duration_since(now);
    let due = LARGEST.min(expires.duration_since(issued) / 3);
    if left < LEAST || issued.duration_since(now) > SKEW {
        State::Ended
    } else if left < due {
        State::Old
    } else {
        State::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;

    /// The first second of its life at which a lease is not fresh any more, and the first at which it has ended.
    fn turns(life: i64) -> (i64, i64) {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let first = |state_wanted: State| {
            (0..=life).find(|second| state(at(0), at(life), at(*second)) == state_wanted).unwrap()
        };
        (first(State::Old), first(State::Ended))
    }

    #[test]
    fn a_new_one_is_due_outside_of_botocores_window_or_in_the_last_third() {
        for (life, old) in [
            (12 * HOUR, 12 * HOUR - 16 * MINUTE),
            (HOUR, 44 * MINUTE),
            (48 * MINUTE, 32 * MINUTE),
            (30 * MINUTE, 20 * MINUTE),
            (15 * MINUTE, 10 * MINUTE),
            (801, 534),
            (60, 40),
        ] {
            let (due, ended) = turns(life);
            assert_eq!(due, old + 1, "due, of {life} s");
            assert_eq!(ended, life - 14, "ended, of {life} s");
        }
    }

    #[test]
    fn what_has_ended_or_comes_from_the_future_is_not_handed_out() {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        assert_eq!(state(at(0), at(900), at(900)), State::Ended);
        assert_eq!(state(at(0), at(900), at(90_000)), State::Ended);
        assert_eq!(state(at(60), at(960), at(0)), State::Fresh);
        assert_eq!(state(at(61), at(961), at(0)), State::Ended);
        assert_eq!(state(at(0), Timestamp::MAX, at(5)), State::Fresh);
        assert_eq!(state(Timestamp::MIN, Timestamp::MAX, at(5)), State::Fresh);
    }
}
