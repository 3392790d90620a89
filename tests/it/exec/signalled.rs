//! Signals: each reaches the command once, whoever sends it to whom, and its death by one is ours too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{EXOSCALE, exec, shell};
use crate::support::parallel::each_at_once;
use crate::support::{World, tool};

/// Counts what it gets by the C library's own handler, one byte a signal, so that two that come at once are two. It tells
/// its counts and ends when its stdin does.
pub const COUNTER: &str = "
import os, select, signal, sys
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), lambda *_: None)
print('ready', os.getpid(), flush=True)
got = []
while True:
    readable, _, _ = select.select([reader, 0], [], [])
    if reader in readable:
        got += list(os.read(reader, 64))
        print('got', signal.Signals(got[-1]).name, flush=True)
    elif 0 in readable and not os.read(0, 64):
        break
print('counts', *sorted(signal.Signals(number).name for number in got if number != signal.SIGCHLD), flush=True)
";

/// The signals that it counts.
pub const COUNTED: [&str; 6] = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"];

/// So long a second one would have come: more than the wrapper doubts, on a busy machine.
const QUIET: Duration = Duration::from_millis(400);

/// A wrapper and the counter that it runs, in a process group of their own.
pub struct Counted {
    pub wrapper: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub command: Pid,
}

impl Counted {
    pub fn start(world: &World, python: &Path) -> Self {
        Self::start_by(world, python, None)
    }

    /// By way of a loader, if there is one.
    fn start_by(world: &World, python: &Path, loader: Option<&Path>) -> Self {
        let words: Vec<_> = [python.to_str().expect("a path"), "-c", COUNTER].into_iter().chain(COUNTED).collect();
        let mut run = exec(world, "secret-id", EXOSCALE, &words);
        if let Some(loader) = loader {
            run.arguments.insert(0, env!("CARGO_BIN_EXE_ci-creds").to_owned());
            run = run.of(loader);
        }
        let mut command = run.to_command();
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut wrapper = command.spawn().expect("a child");
        let stdin = wrapper.stdin.take();
        let mut stdout = BufReader::new(wrapper.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let pid = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}"));
        let command = Pid::from_raw(pid.parse().expect("a number")).expect("a process");
        Self { wrapper, stdin, stdout, command }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.wrapper)
    }

    /// The wrapper and all below it, the youngest first.
    pub fn processes(&self) -> Vec<Pid> {
        let mut all = vec![self.pid()];
        let mut next = 0;
        while let Some(pid) = all.get(next).copied() {
            all.extend(children(pid));
            next += 1;
        }
        all.sort_by_key(|pid| std::cmp::Reverse(pid.as_raw_nonzero()));
        all
    }

    /// Waits for the first signal, and then for as long as a second one may take. Gives all that came.
    pub fn end(mut self) -> (Vec<String>, ExitStatus) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a line");
        assert!(line.starts_with("got "), "{line:?}");
        std::thread::sleep(QUIET);
        drop(self.stdin.take());
        let counts = self.stdout.lines().map(|line| line.expect("a line")).find(|line| line.starts_with("counts"));
        let names = counts.expect("the counts").split_whitespace().skip(1).map(str::to_owned).collect();
        (names, self.wrapper.wait().expect("its end"))
    }
}

pub fn children(pid: Pid) -> Vec<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn rounds() -> usize {
    std::env::var("CI_CREDS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Who sends, and how.
type Sender = (&'static str, fn(&Counted, Signal));

const SENDERS: [Sender; 4] = [
    ("the wrapper alone", |job, signal| kill_process(job.pid(), signal).expect("sent")),
    ("the group", |job, signal| kill_process_group(job.pid(), signal).expect("sent")),
    ("every process from the youngest on, and each is waited for", |job, signal| {
        for pid in job.processes() {
            let _ = kill_process(pid, signal);
            // As GitLab's docker executor: until it is gone, and not for ever.
            let begun = Instant::now();
            while is_running(pid) && begun.elapsed() < Duration::from_millis(300) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }),
    ("every process at once", |job, signal| {
        for pid in job.processes() {
            let _ = kill_process(pid, signal);
        }
    }),
];

/// Whether the process is there, and no zombie.
fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

const SIGNALS: [(Signal, &str); 6] = [
    (Signal::TERM, "SIGTERM"),
    (Signal::INT, "SIGINT"),
    (Signal::HUP, "SIGHUP"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
];

// check: 20
#[test]
fn a_signal_reaches_the_command_exactly_once_whoever_sends_it_to_whom() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let rounds = (0..rounds()).flat_map(|round| SENDERS.map(|sender| (round, sender)));
    let cases = rounds.flat_map(|(round, sender)| SIGNALS.map(|signal| (round, sender, signal))).collect();
    each_at_once(3, cases, |(round, (sender, send), (signal, name))| {
        let job = Counted::start(&world, &python);
        send(&job, signal);
        let (got, status) = job.end();
        assert_eq!((got, status.code()), (vec![name.to_owned()], Some(0)), "{sender}, {name}, round {round}");
    });
    world.assert_nothing_left(&"signals");
}

#[test]
fn each_of_several_signals_in_a_row_is_handed_on() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let job = Counted::start(&world, &python);
    for (signal, _) in SIGNALS {
        kill_process(job.pid(), signal).expect("sent");
    }
    let (mut got, _) = job.end();
    got.sort();
    assert_eq!(got, COUNTED);
}

/// Runs the script of a shell to its end, and how the wrapper ended.
fn end_of(world: &World, script: &str) -> ExitStatus {
    shell(world, EXOSCALE, script).to_command().stderr(Stdio::null()).status().expect("its end")
}

// check: 20
#[test]
fn a_commands_death_by_a_signal_is_our_own_and_leaves_no_core() {
    let world = World::start();
    for signal in [1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 24] {
        let status = end_of(&world, &format!("kill -{signal} $$"));
        assert_eq!((status.signal(), status.core_dumped()), (Some(signal), false), "{signal}");
        world.assert_nothing_left(&signal);
    }
}

#[test]
fn a_signal_before_the_command_ends_the_run_as_it_would_have_ended_the_command() {
    let world = World::start();
    world.vault.inject(dev_vault::On::path("auth/approle/login").every(), dev_vault::Fault::hang_before());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        world.vault.forget_requests();
        let mut child = shell(&world, EXOSCALE, "exit 0").to_command().stderr(Stdio::null()).spawn().expect("a child");
        assert!(world.vault.wait_for_requests(1, Duration::from_secs(30)));
        kill_process(Pid::from_child(&child), signal).expect("sent");
        assert_eq!(child.wait().expect("its end").signal(), Some(signal.as_raw()));
    }
}

#[test]
fn what_the_caller_ignores_stays_ignored_here_and_in_the_command() {
    let world = World::start();
    let run =
        shell(&world, EXOSCALE, "grep SigIgn /proc/$$/status; kill -HUP $PPID; kill -INT $PPID; sleep 0.3; echo alive");
    let mut caller = std::process::Command::new("sh");
    let words = "trap '' HUP INT; exec \"$@\"";
    caller.args(["-c", words, "sh", env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
    caller.env_clear().envs(run.variables());
    let text = crate::support::Ran::of(caller).ok();
    let mask = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("the mask");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a number");
    assert_eq!((mask & 0b11, text.contains("alive")), (0b11, true), "{text}");
}

#[test]
fn a_command_begins_with_no_signal_blocked_and_none_ignored_that_was_not() {
    let world = World::start();
    let read = |text: &str| -> BTreeMap<String, u64> {
        let line = |line: &str| {
            let (name, mask) = line.split_once(':')?;
            ["SigBlk", "SigIgn"].contains(&name).then(|| (name.to_owned(), u64::from_str_radix(mask.trim(), 16).ok()))
        };
        text.lines().filter_map(line).filter_map(|(name, mask)| Some((name, mask?))).collect()
    };
    let text = exec(&world, "secret-id", EXOSCALE, &["cat", "/proc/self/status"]).run().ok();
    let direct = std::process::Command::new("cat").arg("/proc/self/status").output().expect("cat");
    assert_eq!(read(&text), read(&String::from_utf8_lossy(&direct.stdout)));
}

// check: 20
#[test]
fn nothing_of_ours_outlives_the_command_or_us() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let job = Counted::start(&world, &python);
    let canaries = || -> Vec<Pid> { children(job.pid()).into_iter().filter(|pid| *pid != job.command).collect() };
    let begun = Instant::now();
    while canaries().is_empty() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let canary = canaries()[0];
    // By what Jenkins knows its processes it is known too, and it has nothing else of the job's.
    if let Ok(environment) = std::fs::read(format!("/proc/{canary}/environ")) {
        let text = String::from_utf8_lossy(&environment);
        let names: Vec<_> = text.split('\0').filter_map(|pair| pair.split('=').next()).collect();
        assert!(names.contains(&"HOME"), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("EXOSCALE_API") || *name == "VAULT_SECRET_ID"), "{names:?}");
    }
    kill_process(job.pid(), Signal::KILL).expect("sent");
    let begun = Instant::now();
    while is_running(canary) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the canary lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = kill_process(job.command, Signal::KILL);
}

#[test]
fn a_kill_of_the_group_leaves_no_command_and_no_child_of_it() {
    let world = World::start();
    let run = shell(&world, EXOSCALE, "sleep 60 & echo $!; wait");
    let mut command = run.to_command();
    let mut wrapper = command.process_group(0).stdout(Stdio::piped()).spawn().expect("a child");
    let mut line = String::new();
    BufReader::new(wrapper.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let grandchild = Pid::from_raw(line.trim().parse().expect("a number")).expect("a process");
    kill_process_group(Pid::from_child(&wrapper), Signal::KILL).expect("sent");
    assert_eq!(wrapper.wait().expect("its end").signal(), Some(9));
    let begun = Instant::now();
    while is_running(grandchild) {
        assert!(begun.elapsed() < Duration::from_secs(10), "a child of the command lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_child_that_the_command_leaves_behind_does_not_keep_the_job() {
    let world = World::start();
    let begun = Instant::now();
    let ran = shell(&world, EXOSCALE, "sleep 30 >/dev/null 2>&1 & exit 4").run();
    assert!(ran.code == 4 && begun.elapsed() < Duration::from_secs(20), "{ran:?} {:?}", begun.elapsed());
}

#[test]
fn a_storm_of_hangups_does_not_end_us_and_the_last_one_is_not_lost() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    let job = Counted::start(&world, &python);
    for _ in 0..200 {
        kill_process(job.pid(), Signal::HUP).expect("sent");
    }
    let (got, status) = job.end();
    // Signals of one kind that wait are one.
    assert!((1..=200).contains(&got.len()) && got.iter().all(|name| name == "SIGHUP"), "{got:?}");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn without_a_second_process_of_ours_a_signal_to_us_alone_reaches_the_command_too() {
    let Some(python) = tool::find("python3") else { return };
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    if !loader.exists() {
        return tool::miss("the loader", "is elsewhere on this machine");
    }
    let world = World::start();
    // Started by its loader, the program cannot be started a second time.
    let job = Counted::start_by(&world, &python, Some(loader));
    assert_eq!(job.processes().len(), 2);
    kill_process(job.pid(), Signal::TERM).expect("sent");
    let (got, status) = job.end();
    assert_eq!((got, status.code()), (vec!["SIGTERM".to_owned()], Some(0)));
}

#[test]
fn as_process_1_we_end_orphans_for_good_and_a_death_by_signal_is_128_and_more() {
    if !tool::is_root("to be process 1 of a namespace") {
        return;
    }
    let Some(unshare) = tool::find("unshare") else { return };
    let world = World::start();
    let script = "for n in 1 2 3 4 5; do (sleep 0.1 &) ; done; sleep 0.5; \
                  n=0; for f in /proc/[0-9]*/stat; do read -r a b c d < $f && [ \"$c\" = Z ] && n=$((n+1)); done; echo zombies $n; kill -TERM $$";
    let run = shell(&world, EXOSCALE, script);
    let mut caller = std::process::Command::new(unshare);
    caller.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
    caller.env_clear().envs(run.variables()).stderr(Stdio::piped());
    let ran = crate::support::Ran::of(caller);
    if ran.stderr.contains("unshare: ") {
        return tool::miss("a namespace", "cannot be made here");
    }
    assert_eq!((ran.code, ran.stdout.as_str()), (143, "zombies 0\n"), "{ran:?}");
    world.assert_nothing_left(&ran);
}
