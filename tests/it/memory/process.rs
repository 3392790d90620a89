//! Another process, looked at from outside: what it holds in memory, and a run that is held at its very end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::support::{Run, tool};

/// A shared machine may be slow; nothing here waits so long when it works.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A part of a process's memory: what it is called in `/proc/PID/maps`, and its bytes.
struct Region {
    name: String,
    start: u64,
    bytes: Vec<u8>,
}

/// Where a secret stands.
#[derive(Debug)]
pub(super) struct Hit {
    /// The mapping: `[heap]`, `[stack]`, or nothing for an anonymous one.
    pub(super) mapping: String,
    pub(super) address: u64,
}

/// What a process can write to, as it stands: heap, stack, data. What it can only read came from files.
pub(super) struct Memory {
    regions: Vec<Region>,
    /// For each pair of bytes, every place (region and offset) where it stands. Hundreds of texts are searched for.
    places: Vec<Vec<(usize, usize)>>,
}

impl Memory {
    /// Takes a copy; `None` when this user may not, which is then said.
    pub(super) fn of(pid: u32) -> Option<Self> {
        if !tool::is_root("the program's memory is closed to us") {
            return None;
        }
        let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its map");
        let regions: Vec<_> = maps.lines().filter_map(|line| read(&memory, line)).collect();
        assert!(regions.iter().any(|region| region.name == "[heap]"), "no heap: {maps}");
        assert!(regions.iter().any(|region| region.name == "[stack]"), "no stack: {maps}");
        Some(Self::new(regions))
    }

    fn new(regions: Vec<Region>) -> Self {
        let mut places = vec![Vec::new(); 1 << 16];
        for (number, region) in regions.iter().enumerate() {
            let mut before = 0;
            for (at, byte) in region.bytes.iter().enumerate() {
                // No text has a zero byte, and most of a memory has no other.
                if before != 0 && *byte != 0 {
                    places[pair(before, *byte)].push((number, at - 1));
                }
                before = *byte;
            }
        }
        Self { regions, places }
    }

    /// Where any form of the secret stands: as it is, or in base64 at any offset.
    pub(super) fn find(&self, secret: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for form in forms(secret) {
            let piece = piece(&form);
            for (number, at) in &self.places[pair(piece[0], piece[1])] {
                let region = &self.regions[*number];
                if region.bytes[*at..].starts_with(piece) {
                    hits.push(Hit { mapping: region.name.clone(), address: region.start + *at as u64 });
                }
            }
        }
        hits
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

fn read(memory: &File, line: &str) -> Option<Region> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (address(from)?, address(to)?);
    if !words.next()?.starts_with("rw") {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(end - start).ok()?];
    memory.read_exact_at(&mut bytes, start).ok()?;
    Some(Region { name: words.nth(3).unwrap_or_default().to_owned(), start, bytes })
}

/// The last 20 bytes: a copy that lost its head to the allocator's own lists is found as well, and the start of a
/// token or JWT is the same for all of them.
fn piece(form: &[u8]) -> &[u8] {
    &form[form.len().saturating_sub(20)..]
}

/// The text itself, and what base64 makes of it behind 0, 1 and 2 other bytes, in both alphabets. The characters at
/// the ends, which depend on the neighbours, are left out.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for before in 0..3 {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        let whole = &bytes[..bytes.len() / 3 * 3];
        for alphabet in [b"+/", b"-_"] {
            let text: Vec<u8> = whole.chunks(3).flat_map(|three| encode(three, alphabet)).collect();
            forms.push(text[if before == 0 { 0 } else { 4 }..].to_vec());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn encode(three: &[u8], last: &[u8; 2]) -> [u8; 4] {
    let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
    [18, 12, 6, 0].map(|shift| {
        let six = (bits >> shift & 63) as u8;
        match six {
            0..26 => b'A' + six,
            26..52 => b'a' + six - 26,
            52..62 => b'0' + six - 52,
            _ => last[usize::from(six - 62)],
        }
    })
}

#[test]
fn base64_is_found_at_every_offset() {
    let text = "the secret of the test, long enough";
    for before in ["", "a", "ab", "abc"] {
        // What `base64` of coreutils makes of it.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "printf %s \"$0\" | base64 -w0", &format!("{before}{text}")]);
        let bytes = command.output().expect("a shell").stdout;
        let memory = Memory::new(vec![Region { name: String::new(), start: 0, bytes }]);
        assert!(!memory.find(text).is_empty(), "{before}");
    }
}

/// A run that has written its output and asked the system to end it, and is kept waiting for that.
pub(super) struct Held {
    strace: Child,
    pub(super) pid: u32,
    pub(super) stdout: String,
}

impl Held {
    /// `None` when we are not root, or strace is missing or may not trace.
    pub(super) fn at_exit(run: &Run, log: &Path) -> Option<Self> {
        if !tool::is_root("the program's memory is closed to us") {
            return None;
        }
        let strace = tool::find("strace")?;
        let ours = run.to_command();
        let mut command = Command::new(strace);
        // An hour, in microseconds: until the test lets go.
        command.args(["-f", "-e", "trace=exit_group", "-e", "inject=exit_group:delay_enter=3600000000", "-o"]);
        command.arg(log).arg(ours.get_program()).args(ours.get_args());
        command.env_clear().envs(run.variables()).stdin(Stdio::null());
        let mut strace = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("strace");
        // The program keeps its stdout open until it ends, so that there is no end of file to wait for.
        let mut stdout = String::new();
        BufReader::new(strace.stdout.take().expect("stdout")).read_line(&mut stdout).expect("a line");
        if stdout.is_empty() {
            let output = strace.wait_with_output().expect("an end");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(stderr.contains("Operation not permitted"), "nothing was printed: {stderr}");
            tool::miss("strace", "may not trace here");
            return None;
        }
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", strace.id()));
        let pid = children.expect("strace's child").trim().parse().expect("one child");
        wait_for_exit(pid);
        Some(Self { strace, pid, stdout })
    }
}

/// Until the process stands in `exit_group`. strace stops it there without a word, so the system is asked.
fn wait_for_exit(pid: u32) {
    let number = if cfg!(target_arch = "aarch64") { "94 " } else { "231 " };
    let started = Instant::now();
    while !std::fs::read_to_string(format!("/proc/{pid}/syscall")).expect("its call").starts_with(number) {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Held {
    /// The most memory that it ever had. What `wait4` tells of a child counts its parent's as well, from before the
    /// `exec`.
    pub(super) fn peak_kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

/// Where the kernel put the environment of the process: fields 50 and 51 of `/proc/PID/stat`.
pub(super) fn environment_of(pid: u32) -> Range<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
    let (_, behind_the_name) = stat.rsplit_once(')').expect("a name");
    let mut fields = behind_the_name.split_whitespace().skip(47).map(|field| field.parse().expect("an address"));
    fields.next().expect("a start")..fields.next().expect("an end")
}

pub(super) fn kill(pid: u32, signal: Signal) {
    // One that has ended is not a failure.
    let _ = rustix::process::kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), signal);
}

impl Drop for Held {
    fn drop(&mut self) {
        kill(self.pid, Signal::KILL);
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
