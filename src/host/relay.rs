//! Which signals are handed on to the command: those that it has not had. Pure: times go in.
//!
//! A signal comes to a process group as one signal a process, so the one that we get says nothing of the others. What ended
//! the canary says it.

use std::time::Duration;

use rustix::process::Signal;

/// So long the canary may take to end by a signal that both of us got, if the kernel does not say so at once. Whoever
/// signals each process in turn has reached both of us by then.
const DOUBT: Duration = Duration::from_millis(150);

/// So long a signal to every process may be on its way to us: GitLab's docker executor waits for up to six seconds at
/// each process, the canary's before ours.
const MEMORY: Duration = Duration::from_secs(10);

/// Signals that came to us, and those that ended a canary.
#[derive(Debug, Default)]
pub(super) struct Relay {
    ours: Vec<(Signal, Duration)>,
    canarys: Vec<(Signal, Duration)>,
}

impl Relay {
    /// A signal came to us.
    pub(super) fn hear(&mut self, signal: Signal, now: Duration) {
        self.canarys.retain(|(_, when)| now.saturating_sub(*when) < MEMORY);
        match self.canarys.iter().position(|(known, _)| *known == signal) {
            Some(place) => drop(self.canarys.swap_remove(place)),
            None if self.ours.iter().any(|(known, _)| *known == signal) => {}
            None => self.ours.push((signal, now)),
        }
    }

    /// A signal ended the canary.
    pub(super) fn note(&mut self, signal: Signal, now: Duration) {
        match self.ours.iter().position(|(known, _)| *known == signal) {
            Some(place) => drop(self.ours.swap_remove(place)),
            None => self.canarys.push((signal, now)),
        }
    }

    /// The signals that were for us alone, by now. `is_ending`: whether the signal is on its way to the canary.
    pub(super) fn take_due(&mut self, now: Duration, is_ending: impl Fn(Signal) -> bool) -> Vec<Signal> {
        let is_due = |(signal, heard): &(Signal, Duration)| now.saturating_sub(*heard) >= DOUBT && !is_ending(*signal);
        let (due, rest) = self.ours.iter().copied().partition(is_due);
        self.ours = rest;
        let due: Vec<(Signal, Duration)> = due;
        due.into_iter().map(|(signal, _)| signal).collect()
    }

    /// How long until the next signal may be due.
    pub(super) fn pause(&self, now: Duration) -> Option<Duration> {
        let left = self.ours.iter().map(|(_, heard)| (*heard + DOUBT).saturating_sub(now));
        // One that is due and waits for the canary's end is looked at again soon.
        left.min().map(|left| left.max(Duration::from_millis(5)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_signal_for_us_alone_is_due_once_when_the_doubt_is_over() {
        let mut relay = Relay::default();
        relay.hear(Signal::TERM, at(0));
        assert_eq!(relay.take_due(at(149), |_| false), []);
        assert_eq!(relay.pause(at(100)), Some(at(50)));
        assert_eq!(relay.take_due(at(150), |_| false), [Signal::TERM]);
        assert_eq!((relay.take_due(at(999), |_| false), relay.pause(at(999))), (vec![], None));
    }

    #[test]
    fn a_signal_that_ended_the_canary_is_never_due_in_either_order() {
        let mut relay = Relay::default();
        relay.hear(Signal::TERM, at(0));
        relay.note(Signal::TERM, at(140));
        assert_eq!(relay.take_due(at(500), |_| false), []);
        relay.note(Signal::INT, at(600));
        relay.hear(Signal::INT, at(6600));
        assert_eq!(relay.take_due(at(9999), |_| false), []);
        // The one for us alone that follows it is another one.
        relay.hear(Signal::INT, at(7000));
        assert_eq!(relay.take_due(at(7150), |_| false), [Signal::INT]);
    }

    #[test]
    fn what_is_on_its_way_to_the_canary_waits_for_its_end() {
        let mut relay = Relay::default();
        relay.hear(Signal::QUIT, at(0));
        assert_eq!(relay.take_due(at(400), |_| true), []);
        assert_eq!(relay.pause(at(400)), Some(at(5)));
        relay.note(Signal::QUIT, at(420));
        assert_eq!((relay.take_due(at(500), |_| false), relay.pause(at(500))), (vec![], None));
    }

    #[test]
    fn a_signal_to_every_process_is_forgotten_after_ten_seconds() {
        let mut relay = Relay::default();
        relay.note(Signal::TERM, at(0));
        relay.hear(Signal::TERM, at(10_000));
        assert_eq!(relay.take_due(at(10_150), |_| false), [Signal::TERM]);
    }
}
