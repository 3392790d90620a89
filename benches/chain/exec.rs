//! What `ci-creds exec` adds to a command, beside the lines that people write in its place, and what it costs while the command runs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::build::Programs;
use crate::clients::{self, Client, Clients};
use crate::double::Double;
use crate::sample::{Sample, measure};
use crate::table::{self, Table};
use crate::{ROUNDS, WARM_UP};

/// What a fresh process still does when its command has begun: it starts the canary.
const SETTLING: Duration = Duration::from_secs(2);
/// Long enough that a timer of a few seconds would show.
const IDLE: Duration = Duration::from_secs(20);

/// `true`, alone and behind what gives it credentials.
pub(crate) fn compare(clients: &Clients, double: &mut Double, programs: &Programs, folder: &Path) {
    let bare = |name, arguments: &[&str]| Client::plain(name, arguments, folder);
    let exec = clients::exec(programs, folder, &["true"]);
    let own = [bare("true", &["true"]), bare("env true", &["env", "true"]), exec];
    let lines = clients::lines(folder);
    // The others print what an eval sets, and revoke nothing.
    let all: Vec<_> = own.iter().chain(&lines).chain(clients.all.iter().skip(1)).collect();
    let names: Vec<_> = all.iter().map(|client| client.name).collect();
    let mut table = Table::new("exec", &names);
    for round in 0..ROUNDS + WARM_UP {
        let samples: Vec<_> = all.iter().map(|client| measure(&mut client.command(double, false)).0).collect();
        if round >= WARM_UP {
            table.add(&samples);
        }
    }
    table.print();
    let wall = |sample: &Sample| sample.wall.as_secs_f64() * 1e3;
    let cpu = |sample: &Sample| sample.cpu.as_secs_f64() * 1e3;
    println!("  exec adds to true: {:.3} ms wall", table.median_difference(2, wall));
    println!("  exec adds to true: {:.3} ms CPU", table.median_difference(2, cpu));
    if lines.is_some() {
        table::aim("wall, exec / the lines with a trap", table.median_ratio_to(3, 2, wall), 1.0, "x");
        table::aim("CPU, exec / the lines with a trap", table.median_ratio_to(3, 2, cpu), 1.0, "x");
    }
    observe_idle(double, programs, folder);
}

/// A command that waits, and what is beside it.
fn observe_idle(double: &mut Double, programs: &Programs, folder: &Path) {
    let mut command = clients::exec(programs, folder, &["sh", "-c", "echo begun; read line"]).command(double, false);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ci-creds");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("its stdout");
    BufReader::new(stdout).read_line(&mut line).expect("a line of the command");
    assert_eq!(line, "begun\n", "the command did not begin");
    std::thread::sleep(SETTLING);
    let (before, begun) = (Process::read(child.id()), Instant::now());
    std::thread::sleep(IDLE);
    let (after, passed) = (Process::read(child.id()), begun.elapsed().as_secs_f64());
    let canary = canary_of(child.id());
    println!("\nexec, while its command waits ({passed:.0} s)");
    table::aim("peak memory", after.peak, 6.0, "MiB");
    println!("  resident: {:.2} MiB, of which {:.2} MiB is its own", after.resident, after.anonymous);
    // Nothing is due: a renewal would be a wake-up with a reason.
    let wake_ups = (after.switches - before.switches) as f64;
    table::aim("wake-ups, renewals apart", wake_ups * 3600.0 / passed, 0.0, "an hour");
    if let Some(canary) = canary {
        println!("  the canary: {:.2} MiB at most, {:.2} MiB its own", canary.peak, canary.anonymous);
    }
    drop(child.stdin.take());
    // `read` fails at the end of its input.
    child.wait().expect("its end");
}

/// What the system tells of a process: MiB, and how often it was given a processor.
struct Process {
    peak: f64,
    resident: f64,
    anonymous: f64,
    switches: u64,
}

impl Process {
    fn read(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that lives");
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a figure of Linux");
            line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).expect("a number")
        };
        let mebibytes = |name: &str| number(name) as f64 / 1024.0;
        Self {
            peak: mebibytes("VmHWM:"),
            resident: mebibytes("VmRSS:"),
            anonymous: mebibytes("RssAnon:"),
            switches: number("voluntary_ctxt_switches:") + number("nonvoluntary_ctxt_switches:"),
        }
    }
}

/// The canary, among the children of `exec`.
fn canary_of(pid: u32) -> Option<Process> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let mut children = children.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
    let is_canary =
        |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0--canary\0"));
    children.find(is_canary).map(Process::read)
}
