//! A signal for a process at a moment that a server behind a gate decides.

use std::process::Child;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal when so many requests were answered, before the process gets the last of these answers.
pub struct Trap {
    left: Mutex<usize>,
    signal: Signal,
    victim: Mutex<Option<Pid>>,
    armed: Condvar,
}

impl Trap {
    pub fn new(left: usize, signal: Signal) -> Self {
        Self { left: Mutex::new(left), signal, victim: Mutex::new(None), armed: Condvar::new() }
    }

    /// Names the process.
    pub fn arm(&self, child: &Child) {
        *self.victim.lock().unwrap() = Some(Pid::from_child(child));
        self.armed.notify_all();
    }

    /// A request was answered.
    pub fn answered(&self) {
        let mut left = self.left.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left > 0 {
            return;
        }
        *left = usize::MAX;
        let guard = self.victim.lock().unwrap();
        let is_unarmed = |victim: &mut Option<Pid>| victim.is_none();
        let (guard, _) = self.armed.wait_timeout_while(guard, Duration::from_secs(20), is_unarmed).unwrap();
        kill_process(guard.expect("a victim"), self.signal).expect("sent");
    }
}
