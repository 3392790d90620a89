//! Cases that mostly wait, side by side: a run that times out costs its second once and not once per case.

use std::sync::Mutex;

/// How much of a matrix a run takes: `CI_CREDS_TEST_ROUNDS`, or else so much that the suite stays short.
pub fn rounds_or(short: usize) -> usize {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// More than the cores, because the cases wait; few enough that a deadline of one second is kept on two cores.
const AT_ONCE: usize = 8;

/// Runs every case; a case that panics fails the test.
pub fn each<T: Send>(cases: Vec<T>, test: impl Fn(T) + Sync) {
    each_at_once(AT_ONCE, cases, test);
}

/// As [`each`], with so many side by side.
pub fn each_at_once<T: Send>(at_once: usize, cases: Vec<T>, test: impl Fn(T) + Sync) {
    let waiting = Mutex::new(cases);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let next = waiting.lock().map(|mut waiting| waiting.pop()).ok().flatten();
                        let Some(case) = next else { return };
                        test(case);
                    }
                })
            })
            .collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
