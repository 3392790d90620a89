//! Callers as processes: their clock, and their end.

use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use super::plot::Request;
use super::promise::Ending;
use crate::support::{Ran, tool};

/// Sets the clock of a process: by what `faketime` loads into its child, for a child of our own can be sent a signal.
pub struct Clock {
    library: String,
}

impl Clock {
    pub fn find() -> Self {
        let mut command = Command::new(tool::find("faketime").expect("it was there"));
        command.args(["-f", "+0", "printenv", "LD_PRELOAD"]);
        Self { library: Ran::of(command).ok().trim().to_owned() }
    }

    pub fn set(&self, mut command: Command, ahead: u64, behind: u64) -> Command {
        let offset = i128::from(ahead) - i128::from(behind);
        command.env("LD_PRELOAD", &self.library).env("FAKETIME", format!("{offset:+}"));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }
}

pub fn interrupt(child: &Child, kill: bool) {
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    // It may have ended.
    let _ = kill_process(Pid::from_child(child), signal);
}

pub fn end(child: Child, request: &'static Request, by_lease: bool) -> Ending {
    let number = child.id();
    let output = child.wait_with_output().expect("its end");
    if output.status.code().is_none() {
        // What faketime's library leaves of a process that was killed would stop a later one of the same number.
        for name in [format!("faketime_shm_{number}"), format!("sem.faketime_sem_{number}")] {
            let _ = std::fs::remove_file(PathBuf::from("/dev/shm").join(name));
        }
    }
    Ending { request, by_lease, ran: output.into() }
}
