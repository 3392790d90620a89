//! What a run costs: `cargo bench`, or one part of it: `cargo bench -- chain`.
//!
//! The chain (a wrapping token, the AppRole login, one Exoscale key) against its floor and against the lines that
//! people write by hand, over TLS, without latency and with a round trip of 20 ms. Everything that is compared runs
//! in turn, A B C A B C, and is compared pair by pair: on a machine that does other things as well, a difference of
//! two medians is mostly weather, the median of the pairs' ratios is not.
//!
//! The double is a process of its own. The figures are printed beside their aims; none of them is a test.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

mod build;
mod clients;
mod double;
mod exec;
mod sample;
mod table;

use std::path::Path;

use clients::{Client, Clients};
use double::Double;
use sample::{Sample, measure};
use table::Table;

/// Enough pairs that the median ratio moves by less than 2 % between two runs on two shared cores.
const ROUNDS: usize = 200;
/// A round trip of 20 ms is steadier than the processor, and ten times as long.
const ROUNDS_WITH_LATENCY: usize = 30;
/// The first runs read the programs from the disk.
const WARM_UP: usize = 5;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == double::ARGUMENT) {
        return double::serve();
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("measures nothing without an optimised build: cargo bench");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let programs = build::build(folder.path());
    let mut double = Double::start(folder.path());

    println!("{}", describe_machine());
    let asked = |part: &str| {
        let mut parts = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|argument| argument == part)
    };
    let clients = Clients::new(&programs, folder.path());
    if asked("start") {
        compare_start(&programs);
    }
    if asked("cache") {
        compare_cached(&mut double, &programs, folder.path());
    }
    if asked("chain") {
        compare_chain("the chain, no latency", &clients, &mut double, false);
    }
    if asked("latency") {
        compare_chain("the chain, 20 ms round trip", &clients, &mut double, true);
    }
    if asked("exec") {
        exec::compare(&clients, &mut double, &programs, folder.path());
    }
    if asked("instructions") {
        count_instructions(&mut double, &programs, folder.path());
    }
    if asked("size") {
        report_size(&programs);
    }
    double.stop();
}

/// `--version` against a program that does nothing: what linking and starting all of it costs.
fn compare_start(programs: &build::Programs) {
    let mut commands = [
        ("empty Rust program", std::process::Command::new(&programs.empty)),
        ("ci-creds --version", std::process::Command::new(&programs.tool)),
    ];
    commands[1].1.arg("--version");
    let mut table = Table::new("start", &commands.each_ref().map(|(name, _)| *name));
    for round in 0..ROUNDS + WARM_UP {
        let samples = commands.each_mut().map(|(_, command)| measure(command.env_clear()).0);
        if round >= WARM_UP {
            table.add(&samples);
        }
    }
    table.print();
    let more = table.median_difference(1, |sample| sample.wall.as_secs_f64() * 1e3);
    table::aim("--version, more than the empty program", more, 0.3, "ms");
}

/// A cached credential against `cat` of the same file: it is opened, decrypted and printed, and nobody is asked.
fn compare_cached(double: &mut Double, programs: &build::Programs, folder: &Path) {
    let clients = [Some(clients::tool(programs, folder)), clients::older(programs, folder)];
    let mut commands = Vec::new();
    for (number, client) in clients.into_iter().flatten().enumerate() {
        let home = folder.join(format!("cached{number}"));
        std::fs::create_dir(&home).expect("a home");
        let mut call = client.cached(home.clone()).command(double, false);
        let (_, cached) = measure(&mut call);
        assert!(cached.contains("EXOSCALE_API_SECRET='"), "nothing was cached: {cached}");
        if commands.is_empty() {
            commands.push(("cat of its file", cat(&home), None));
        }
        commands.push((["ci-creds exoscale --cache", "the same, older"][number], call, Some(cached)));
    }
    let mut table = Table::new("a cached credential", &commands.iter().map(|command| command.0).collect::<Vec<_>>());
    for round in 0..ROUNDS + WARM_UP {
        let samples: Vec<_> = commands.iter_mut().map(|command| measure(&mut command.1).0).collect();
        if round >= WARM_UP {
            table.add(&samples);
        }
    }
    for (name, mut command, cached) in commands {
        assert!(cached.is_none_or(|cached| measure(&mut command).1 == cached), "{name}: another credential was made");
    }
    table.print();
    table::aim("wall, ci-creds / cat", table.median_ratio(1, |sample| sample.wall.as_secs_f64()), 1.1, "x");
}

/// `cat` of the largest file in the home's cache.
fn cat(home: &Path) -> std::process::Command {
    let listing = std::fs::read_dir(home.join(".cache/ci-creds")).expect("the cache");
    let mut files: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    files.sort_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    let mut cat = std::process::Command::new("cat");
    cat.arg(files.last().expect("an entry"));
    cat
}

fn compare_chain(title: &str, clients: &Clients, double: &mut Double, latency: bool) {
    let rounds = if latency { ROUNDS_WITH_LATENCY } else { ROUNDS };
    let mut table = Table::new(title, &clients.names());
    for round in 0..rounds + WARM_UP {
        let samples: Vec<_> = clients.all.iter().map(|client| run(client, double, latency)).collect();
        if round >= WARM_UP {
            table.add(&samples);
        }
    }
    table.print();
    let aim_of_wall = if latency { 1.02 } else { 1.2 };
    table::aim("wall, ci-creds / floor", table.median_ratio(1, |sample| sample.wall.as_secs_f64()), aim_of_wall, "x");
    if !latency {
        table::aim("CPU", table.median(1, |sample| sample.cpu.as_secs_f64() * 1e3), 4.0, "ms");
        table::aim("peak memory", table.median(1, |sample| sample.peak as f64 / f64::from(1 << 20)), 4.0, "MiB");
        let own = sample::own_peak() as f64 / f64::from(1 << 20);
        println!("  a peak below {own:.1} MiB cannot be seen: a child starts with the memory of who starts it");
    }
}

/// One run with a wrapping token of its own, which must bring a key.
fn run(client: &Client, double: &mut Double, latency: bool) -> Sample {
    let mut command = client.command(double, latency);
    let (sample, stdout) = measure(&mut command);
    assert!(stdout.contains("EXOSCALE_API_SECRET='"), "{} brought no key: {stdout}", client.name);
    sample
}

/// Instructions are nearly free of the machine's noise: the figure to compare between two commits.
fn count_instructions(double: &mut Double, programs: &build::Programs, folder: &Path) {
    let Some(valgrind) = sample::valgrind() else {
        println!("instructions: skipped, valgrind is not installed");
        return;
    };
    println!("\ninstructions (callgrind, user space)");
    let mut start = std::process::Command::new(&programs.tool);
    start.arg("--version");
    let mut commands = vec![
        ("empty Rust program", std::process::Command::new(&programs.empty)),
        ("ci-creds --version", start),
        ("the chain, floor", clients::floor(programs, folder).command(double, false)),
        ("the chain, ci-creds", clients::tool(programs, folder).command(double, false)),
    ];
    if let Some(older) = clients::older(programs, folder) {
        commands.push(("the chain, ci-creds, older", older.command(double, false)));
    }
    for (name, command) in commands {
        match sample::instructions(valgrind, &command) {
            Ok(count) => println!("  {name:<40} {:>9} k", count / 1000),
            Err(problem) => println!("  {name:<40} {problem}"),
        }
    }
}

fn report_size(programs: &build::Programs) {
    let size = |path: &Path| std::fs::metadata(path).expect("a program").len() as f64 / f64::from(1 << 20);
    println!("\nsize (static, stripped)");
    let older = programs.older.iter().map(|path| ("ci-creds, older", path));
    let named = [("empty", &programs.empty), ("floor", &programs.floor), ("ci-creds", &programs.tool)];
    for (name, path) in named.into_iter().chain(older) {
        println!("  {name:<40} {:>9.2} MiB", size(path));
    }
    table::aim("static stripped binary", size(&programs.tool), 3.5, "MiB");
}

fn describe_machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!("{cores} cores, {}, load {load}; medians of {ROUNDS} rounds", model.trim_start_matches([' ', '\t', ':']))
}
