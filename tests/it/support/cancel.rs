//! How CI systems end a job that is cancelled: who gets which signal, and that its container then goes with all in it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// One system's way.
pub struct Cancel {
    pub by: &'static str,
    /// Sends to a section's processes: its shell, which leads their group, and all below it.
    send: fn(&[Pid]),
    /// Whether the runner then waits until they have ended. It does not where what it signalled is gone at once.
    waits: bool,
}

/// So long a runner waits before it kills. GitLab's docker executor leaves about 20 s, GitHub 10.
const GRACE: Duration = Duration::from_secs(20);

/// Those of whom the source or the manual says what they send.
pub const CANCELS: [Cancel; 7] = [
    Cancel {
        by: "GitLab's shell executor, Buildkite: SIGTERM to the group",
        send: |all| kill_process_group(all[0], Signal::TERM).expect("sent"),
        waits: true,
    },
    Cancel {
        by: "GitLab's docker executor: SIGTERM to each process, the youngest first, and it waits for each",
        send: |all| {
            let mut youngest_first = all.to_vec();
            youngest_first.sort_by_key(|pid| std::cmp::Reverse(pid.as_raw_nonzero()));
            for pid in youngest_first {
                let _ = kill_process(pid, Signal::TERM);
                wait_until(Duration::from_secs(1), || !is_running(pid));
            }
        },
        waits: true,
    },
    Cancel {
        by: "GitLab's Kubernetes executor: SIGTERM to the children of the shell",
        send: |all| children(all[0]).into_iter().for_each(|pid| kill_process(pid, Signal::TERM).expect("sent")),
        waits: true,
    },
    Cancel {
        by: "Jenkins, systemd: SIGTERM to each process at once",
        send: |all| {
            for pid in all {
                let _ = kill_process(*pid, Signal::TERM);
            }
        },
        waits: true,
    },
    Cancel {
        by: "GitHub, Azure: SIGINT to the shell alone, then SIGTERM to it",
        send: |all| {
            kill_process(all[0], Signal::INT).expect("sent");
            // 7.5 s there; a shell that waits for a command does nothing at SIGINT.
            std::thread::sleep(Duration::from_millis(200));
            let _ = kill_process(all[0], Signal::TERM);
        },
        waits: false,
    },
    Cancel {
        by: "docker stop, a pod's end: SIGTERM to the first process alone",
        send: |all| kill_process(all[0], Signal::TERM).expect("sent"),
        waits: false,
    },
    Cancel { by: "a lost runner: SIGKILL at once", send: |_| {}, waits: false },
];

impl Cancel {
    /// Ends the section that [`begin`] began: as this system does, and then, with its container, whatever is left of it.
    pub fn end(&self, section: &mut Child) {
        let shell = Pid::from_child(section);
        let all = below(shell);
        (self.send)(&all);
        if self.waits {
            wait_until(GRACE, || {
                let _ = section.try_wait();
                !all.iter().any(|pid| is_running(*pid))
            });
        }
        let _ = kill_process_group(shell, Signal::KILL);
        section.wait().expect("its end");
        wait_until(GRACE, || !all.iter().any(|pid| is_running(*pid)));
        assert!(!all.iter().any(|pid| is_running(*pid)), "{}: a process lives on", self.by);
    }
}

/// Starts a section of a job in a process group of its own, as a runner does.
pub fn begin(command: &mut Command) -> Child {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a section")
}

/// The process and all below it.
fn below(first: Pid) -> Vec<Pid> {
    let mut all = vec![first];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children(pid));
        next += 1;
    }
    all
}

fn children(pid: Pid) -> Vec<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Whether the process is there, and no zombie.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn wait_until(at_most: Duration, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() && begun.elapsed() < at_most {
        std::thread::sleep(Duration::from_millis(5));
    }
}
