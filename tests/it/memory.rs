mod process;

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{DevVault, Fault, On, Reply, Sink, Tls};

use crate::support::{METHODS, ROLE, Run, World, requests_of, tool};
use process::{Held, Memory, PATIENCE, environment_of, kill};

const READ: &str = "exoscale/apikey/gitlab-ci-runner";
const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

/// The variables that hold a secret; each has a twin that names a file.
const SECRETS: [&str; 4] = ["VAULT_WRAPPING_TOKEN", "VAULT_SECRET_ID", "VAULT_ID_TOKEN", "VAULT_TOKEN"];

/// A job whose one secret is in a file, so that its environment holds none; and that secret.
fn job(world: &World, method: &str, line: &str) -> (Run, String) {
    let run = world.command_as(method, line);
    let name = SECRETS.into_iter().find(|name| run.variables().contains_key(*name)).expect("a secret");
    let secret = run.variables()[name].clone();
    let path = world.file(name, &secret).display().to_string();
    (run.without(name).env(&format!("{name}_FILE"), &path), secret)
}

/// The run in the middle of its read, which no answer comes to.
pub(crate) fn start_reading(world: &World, method: &str, mut command: Command) -> Child {
    world.vault.inject(On::path(READ), Fault::hang_before());
    let count = world.requests().len() + requests_of(method).len() + 1;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program");
    assert!(world.vault.wait_for_requests(count, PATIENCE), "the read never came");
    child
}

pub(crate) fn end(mut child: Child) {
    child.kill().expect("a child");
    child.wait().expect("its end");
}

// check: 19
#[test]
fn when_the_output_is_written_no_secret_is_in_memory() {
    for method in METHODS {
        for line in [EXOSCALE, "aws --role 365-dev"] {
            let world = World::start();
            assert_clean_at_exit(&world, &job(&world, method, line).0);
        }
        // Once to keep it, once to find it.
        let world = World::start();
        let (run, _) = job(&world, method, "aws --role 365-dev --format process");
        assert_clean_at_exit(&world, &run);
        assert_clean_at_exit(&world, &run);
    }
    let world = World::with(DevVault::builder().tls(Tls::Valid));
    assert_clean_at_exit(&world, &job(&world, "id-token", EXOSCALE).0.env("VAULT_CACERT_BYTES", world.vault.ca_pem()));
    let world = World::start();
    assert_clean_at_exit(&world, &job(&world, "secret-id", &format!("{EXOSCALE} --via-file")).0);
}

#[test]
fn a_key_that_aws_was_asked_about_is_not_in_memory_either() {
    let world = World::start();
    let sts = Sink::answering(Tls::Off, vec![Reply::status(200).body("<GetCallerIdentityResponse/>")]);
    let (run, _) = job(&world, "id-token", "aws --via creds --role user --wait-ready --timeout 10s");
    if assert_clean_at_exit(&world, &run.env("AWS_ENDPOINT_URL", &sts.address())) {
        assert_eq!(sts.requests().len(), 5);
    }
}

/// Whether it could be looked at.
fn assert_clean_at_exit(world: &World, run: &Run) -> bool {
    let Some(held) = Held::at_exit(run, &world.path("strace")) else { return false };
    let Some(memory) = Memory::of(held.pid) else { return false };
    // What stands there for sure is found: a search that finds nothing would else prove nothing.
    assert!(!memory.find(&world.vault.address()).is_empty());
    assert_eq!(world.vault.minted().len(), 1, "{}", held.stdout);
    for secret in world.vault.secrets() {
        assert!(secret.len() >= 20, "too short to search for");
        let hits = memory.find(&secret);
        assert!(hits.is_empty(), "{:?}: a secret of {} characters: {hits:x?}", run.arguments, secret.len());
    }
    true
}

// check: 19
#[test]
fn after_the_login_a_single_use_secret_is_not_in_memory_and_a_reusable_one_once() {
    for method in METHODS {
        let world = World::start();
        let (run, secret) = job(&world, method, EXOSCALE);
        let before = world.vault.secrets();
        let child = start_reading(&world, method, run.to_command());
        let Some(memory) = Memory::of(child.id()) else { return end(child) };
        let count = |secret: &str| memory.find(secret).len();
        match method {
            "wrapping-token" | "secret-id" => assert_eq!(count(&secret), 0, "{method}"),
            // Kept for the one login that may follow after an answer that was lost.
            "generator-token" | "id-token" => assert_eq!(count(&secret), 1, "{method}"),
            _ => assert!(count(&secret) > 0, "the token is what the read is made with"),
        }
        // What came on the way: the token is in use, a secret ID is not any more.
        let after = world.vault.secrets();
        let new: Vec<_> = after.difference(&before).filter(|new| **new != secret).collect();
        for secret in &new {
            assert_eq!(count(secret) > 0, secret.starts_with("hvs."), "{method}: {:x?}", memory.find(secret));
        }
        assert_eq!(new.is_empty(), method == "token");
        end(child);
    }
}

// check: 19
#[test]
fn a_secret_in_a_variable_stays_where_the_kernel_put_it_and_nowhere_else() {
    for method in METHODS {
        let world = World::start();
        let run = world.command_as(method, EXOSCALE);
        let secret = SECRETS.into_iter().find_map(|name| run.variables().get(name)).expect("a secret").clone();
        let Some(held) = Held::at_exit(&run, &world.path("strace")) else { return };
        let Some(memory) = Memory::of(held.pid) else { return };
        let hits = memory.find(&secret);
        assert_eq!(hits.len(), 1, "{method}: {hits:x?}");
        let environment = environment_of(held.pid);
        assert!(hits[0].mapping == "[stack]" && environment.contains(&hits[0].address), "{hits:x?} {environment:x?}");
    }
}

/// The program where anybody may run it. One that its user cannot read would be out of reach for that reason alone.
fn public_program() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    tool::install(env!("CARGO_BIN_EXE_ci-creds").as_ref(), &folder.path().join("ci-creds"), "0755");
    folder
}

/// As a user without privileges: root's tests as `nobody`, other people's as themselves.
fn unprivileged(mut command: Command) -> Command {
    const NOBODY: u32 = 65534;
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

/// Whether a process of the same user reads that: what it said.
fn read_as_peer(pid: u32, name: &str) -> Result<(), String> {
    let mut command = Command::new("cat");
    command.arg(format!("/proc/{pid}/{name}")).env("LC_ALL", "C");
    let output = unprivileged(command).output().expect("cat");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

// check: 19
#[test]
fn another_process_of_the_same_user_reads_neither_memory_nor_environment() {
    assert_hidden(|run| run);
    // One that has started itself again hides again.
    assert_hidden(|run| run.env("RES_OPTIONS", "ndots:9"));
}

fn assert_hidden(change: fn(Run) -> Run) {
    let world = World::start();
    let folder = public_program();
    let run = change(world.command_as("token", EXOSCALE).env("HOME", "/"));
    let mut command = Command::new(folder.path().join("ci-creds"));
    command.args(&run.arguments).env_clear().envs(run.variables());
    let child = start_reading(&world, "token", unprivileged(command));
    let owner = std::fs::metadata(format!("/proc/{}/cmdline", child.id())).expect("the process").uid();
    // A process that hides belongs to root; what matters is that no peer gets in.
    assert_eq!(owner, 0);
    for name in ["environ", "mem", "maps", "auxv"] {
        let refused = read_as_peer(child.id(), name).expect_err(name);
        assert!(refused.contains("Permission denied"), "{name}: {refused}");
    }
    end(child);
    let mut other = Command::new("cat");
    other.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = unprivileged(other).spawn().expect("cat");
    // Until its program is loaded a process is what it was forked from, which belongs to root; an echo comes after that.
    other.stdin.as_ref().expect("its input").write_all(b"!").expect("to write");
    other.stdout.as_mut().expect("its output").read_exact(&mut [0]).expect("an echo");
    assert_eq!(read_as_peer(other.id(), "environ"), Ok(()), "the same peer reads a program that does not hide");
    end(other);
}

/// With the largest cores that the system allows, in a folder of its own.
fn with_cores(mut words: Vec<String>, folder: &std::path::Path, run: &Run) -> Command {
    words.insert(0, "ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\"".into());
    words.insert(0, "-c".into());
    let mut command = Command::new("/bin/sh");
    command.args(words).env_clear().envs(run.variables()).current_dir(folder);
    command
}

// check: 19
#[test]
fn a_crash_leaves_no_core_whatever_the_limit_was() {
    let world = World::start();
    let run = world.command_as("token", EXOSCALE);
    let folder = world.path("cores");
    std::fs::create_dir(&folder).expect("a folder");
    let mut words = vec![env!("CARGO_BIN_EXE_ci-creds").to_owned()];
    words.extend(run.arguments.iter().cloned());
    let mut child = start_reading(&world, "token", with_cores(words, &folder, &run));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("its limits");
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit of cores");
    assert_eq!(limit.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    // Rust's own handler takes the first one for a full stack, and steps aside for the next.
    let status = loop {
        kill(child.id(), rustix::process::Signal::SEGV);
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!((status.signal(), status.core_dumped()), (Some(11), false));
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 0);
}

// check: 15
#[test]
fn whatever_a_server_answers_memory_stays_below_64_mib_and_the_end_is_near() {
    let deep = format!("{{\"data\":{}", "[".repeat(200_000));
    let keys: String = (0..60_000).map(|number| format!("\"k{number}\":\"\",")).collect();
    let json = |body: String| Fault::answer(Reply::status(200).body(body));
    let huge = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n{";
    for (name, fault) in [
        ("endless", Fault::endless(1 << 30)),
        ("deep", json(deep)),
        ("many keys", json(format!("{{\"data\":{{{keys}\"k\":1}}}}"))),
        ("a length of 10 GB", Fault::raw(huge)),
    ] {
        let world = World::start();
        world.vault.inject(On::path(READ).every(), fault);
        let run = world.command_as("token", &format!("exoscale --role {ROLE}"));
        let started = Instant::now();
        let Some(held) = Held::at_exit(&run, &world.path("strace")) else { return };
        // Nothing here waits for anything; comparing each key with each other one took a minute.
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
        assert!(held.stdout.starts_with("unset "), "{name}: {}", held.stdout);
        let peak = held.peak_kilobytes();
        assert!(peak < 64 * 1024, "{name}: {peak} kB");
    }
}
