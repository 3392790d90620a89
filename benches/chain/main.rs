//! What a run costs: `cargo bench`.
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
    compare_start(&programs);
    let clients = Clients::new(&programs, folder.path());
    compare_cached(&mut double, &programs, folder.path());
    compare_chain("the chain, no latency", &clients, &mut double, false);
    compare_chain("the chain, 20 ms round trip", &clients, &mut double, true);
    count_instructions(&mut double, &programs, folder.path());
    report_size(&programs);
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

/// A kept credential against `cat` of the same file: it is opened, decrypted and printed, and nobody is asked.
fn compare_cached(double: &mut Double, programs: &build::Programs, folder: &Path) {
    let home = folder.join("cached");
    std::fs::create_dir(&home).expect("a home");
    let mut call = clients::cached(programs, &home).command(double, false);
    let (_, kept) = measure(&mut call);
    assert!(kept.contains("EXOSCALE_API_SECRET='"), "nothing was kept: {kept}");
    let listing = std::fs::read_dir(home.join(".cache/ci-creds")).expect("the cache");
    let mut files: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    files.sort_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    let mut cat = std::process::Command::new("cat");
    cat.arg(files.last().expect("an entry"));
    let mut table = Table::new("a kept credential", &["cat of its file", "ci-creds exoscale --cache"]);
    for round in 0..ROUNDS + WARM_UP {
        let samples = [measure(&mut cat).0, measure(&mut call).0];
        if round >= WARM_UP {
            table.add(&samples);
        }
    }
    assert_eq!(measure(&mut call).1, kept, "another credential was made");
    table.print();
    table::aim("wall, ci-creds / cat", table.median_ratio(1, |sample| sample.wall.as_secs_f64()), 1.1, "x");
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
    if std::process::Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions: skipped, valgrind is not installed");
        return;
    }
    println!("\ninstructions (callgrind, user space)");
    let mut start = std::process::Command::new(&programs.tool);
    start.arg("--version");
    for (name, command) in [
        ("empty Rust program", std::process::Command::new(&programs.empty)),
        ("ci-creds --version", start),
        ("the chain, floor", clients::floor(programs, folder).command(double, false)),
        ("the chain, ci-creds", clients::tool(programs, folder).command(double, false)),
    ] {
        println!("  {name:<40} {:>9} k", sample::instructions(&command) / 1000);
    }
}

fn report_size(programs: &build::Programs) {
    let size = |path: &Path| std::fs::metadata(path).expect("a program").len() as f64 / f64::from(1 << 20);
    println!("\nsize (static, stripped)");
    for (name, path) in [("empty", &programs.empty), ("floor", &programs.floor), ("ci-creds", &programs.tool)] {
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
