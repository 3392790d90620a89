//! When each phase of a run ends: what is asked, the read that makes a credential, and what revokes. Pure: times since the
//! run began go in, and come out.

use std::time::Duration;

/// What is kept back of the run for giving back, and what a signal leaves of it: `docker stop` kills after 10 s.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// What a read that still has no answer leaves of the clean-up's seconds, to revoke what can be: one request.
const LAST: Duration = Duration::from_secs(2);

/// What a request is for. Each phase has an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// To ask: it ends with the run.
    Run,
    /// To make a credential: it begins before the run's end, and its answer is waited for beyond that.
    Mint,
    /// To revoke: it ends some seconds after that began.
    CleanUp,
}

/// The ends of one run's phases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    run: Duration,
    /// When giving back began, if it did.
    clean_up: Option<Duration>,
    /// A signal came during the read that makes a credential: nothing begins any more but giving back.
    interrupted: bool,
}

impl Deadline {
    /// A run that ends after so long.
    pub(super) fn new(run: Duration) -> Self {
        Self { run, clean_up: None, interrupted: false }
    }

    /// The run's end.
    pub(super) fn run(&self) -> Duration {
        self.run
    }

    /// How long a run lives at most: the clean-up counts twice, because a lost answer may be waited for that long, and what
    /// it made be revoked as late.
    pub(super) fn longest_run(&self) -> Duration {
        self.run + CLEAN_UP + CLEAN_UP
    }

    /// From `now` on, what revokes has its own seconds. A signal during the read was their beginning.
    pub(super) fn begin_clean_up(&mut self, now: Duration) {
        if !self.interrupted {
            self.clean_up = Some(now);
        }
    }

    /// A signal came during the read that makes a credential.
    pub(super) fn interrupt(&mut self, now: Duration) {
        self.begin_clean_up(now);
        self.interrupted = true;
    }

    /// When the last request of this phase must have begun and, but for the read, have ended.
    pub(super) fn end(&self, phase: Phase) -> Duration {
        match phase {
            Phase::CleanUp => self.clean_up.map_or(self.run, |begun| begun.min(self.run)) + CLEAN_UP,
            Phase::Run | Phase::Mint if self.interrupted => Duration::ZERO,
            Phase::Run | Phase::Mint => self.run,
        }
    }

    /// How long a request that begins now may take, of `most`; `None` when its phase is over. The read that makes a
    /// credential has no deadline of its own: Vault alone knows when the cloud has answered, and gives it 90 s.
    pub(super) fn left(&self, phase: Phase, most: Duration, now: Duration) -> Option<Duration> {
        let left = self.end(phase).checked_sub(now).filter(|left| !left.is_zero())?;
        Some(if phase == Phase::Mint { left + CLEAN_UP } else { most.min(left) })
    }

    /// How long a request may take behind which another one of the same phase must still have its time.
    pub(super) fn leaving_room(&self, phase: Phase, now: Duration) -> Duration {
        let left = self.end(phase).saturating_sub(now);
        left.saturating_sub(LAST).max(left / 2)
    }

    /// How long the answer of a read is still waited for once giving back began.
    pub(super) fn patience(&self, now: Duration) -> Duration {
        self.end(Phase::CleanUp).saturating_sub(LAST).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A run of 30 s whose clean-up began then, and was begun by a signal or not.
    fn deadline(clean_up: Option<u64>, signal: bool) -> Deadline {
        let mut deadline = Deadline::new(seconds(30));
        match clean_up.map(seconds) {
            Some(begun) if signal => deadline.interrupt(begun),
            Some(begun) => deadline.begin_clean_up(begun),
            None => {}
        }
        deadline
    }

    #[test]
    fn each_phase_has_its_end() {
        for (clean_up, signal, run, give_back) in [
            (None, false, 30, 40),
            // A run that revokes early has no more for it.
            (Some(0), false, 30, 10),
            (Some(12), false, 30, 22),
            (Some(30), false, 30, 40),
            // One that revokes late has no more either.
            (Some(38), false, 30, 40),
            (Some(12), true, 0, 22),
        ] {
            let deadline = deadline(clean_up, signal);
            let ends = [Phase::Run, Phase::Mint, Phase::CleanUp].map(|phase| deadline.end(phase).as_secs());
            assert_eq!(ends, [run, run, give_back], "{clean_up:?} {signal}");
        }
        assert_eq!(deadline(None, false).longest_run(), seconds(50));
    }

    #[test]
    fn a_request_has_what_is_left_of_its_phase_and_the_read_the_clean_up_too() {
        for (now, run, mint, give_back) in [
            (0, Some(20), Some(40), Some(20)),
            (15, Some(15), Some(25), Some(20)),
            (29, Some(1), Some(11), Some(11)),
            (30, None, None, Some(10)),
            (39, None, None, Some(1)),
            (40, None, None, None),
        ] {
            let left = [Phase::Run, Phase::Mint, Phase::CleanUp]
                .map(|phase| deadline(None, false).left(phase, seconds(20), seconds(now)).map(|left| left.as_secs()));
            assert_eq!(left, [run, mint, give_back], "{now}");
        }
    }

    #[test]
    fn a_second_beginning_of_the_clean_up_counts_unless_a_signal_was_the_first() {
        for (signal, end) in [(false, 25), (true, 15)] {
            let mut deadline = deadline(Some(5), signal);
            deadline.begin_clean_up(seconds(15));
            assert_eq!(deadline.end(Phase::CleanUp), seconds(end), "{signal}");
        }
    }

    #[test]
    fn an_answer_is_waited_for_until_two_seconds_are_left_to_revoke_by() {
        for (now, patience) in [(5, 8), (6, 7), (13, 0), (60, 0)] {
            assert_eq!(deadline(Some(5), true).patience(seconds(now)), seconds(patience), "{now}");
        }
    }
}
