use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::parallel::each;
use crate::support::{METHODS, ROLE, Ran, Run, World, tool};

/// Runs it under strace with a umask of 000; its calls of these names.
pub(crate) fn trace(world: &World, run: &Run, calls: &str) -> Option<(Ran, String)> {
    // The program hides its memory from its peers, and strace then sees no path and no text.
    if !tool::is_root("the program's memory is closed to strace") {
        return None;
    }
    let strace = tool::find("strace")?;
    let log = world.path("strace");
    let mut words = vec![strace.display().to_string(), "-f".into(), "-s".into(), "9999".into(), "-e".into()];
    words.extend([format!("trace={calls}"), "-o".into(), log.display().to_string()]);
    words.push(env!("CARGO_BIN_EXE_ci-creds").into());
    words.extend(run.arguments.iter().cloned());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh"]).args(words);
    command.env_clear().envs(run.variables()).stdin(Stdio::null());
    let ran = Ran::of(command);
    let text = std::fs::read_to_string(log).unwrap_or_default();
    if ran.stderr.contains("Operation not permitted") {
        tool::miss("strace", "may not trace here");
        return None;
    }
    assert!(text.contains("write("), "strace did not trace: {ran:?}");
    Some((ran, text))
}

// check: 10
#[test]
fn no_secret_is_ever_an_argument_and_the_credential_is_one_write() {
    for method in METHODS {
        let world = World::start();
        let Some((ran, calls)) =
            trace(&world, &world.command_as(method, &format!("exoscale --role {ROLE}")), "execve,write")
        else {
            return;
        };
        ran.ok();
        for line in calls.lines().filter(|line| line.contains("execve(")) {
            world.assert_no_secret_in(line);
        }
        let writes: Vec<_> = calls.lines().filter(|line| line.contains(" write(1, ")).collect();
        assert_eq!(writes.len(), 1, "{method}: {writes:?}");
        assert!(writes[0].contains("export EXOSCALE_API_SECRET="), "{method}");
    }
}

// check: 8
#[test]
fn a_private_file_is_private_from_its_first_moment_under_any_umask() {
    let world = World::start();
    let line = format!("exoscale --role {ROLE} --via-file");
    let calls = "openat,?open,?mkdir,mkdirat,write";
    let Some((ran, calls)) = trace(&world, &world.command_as("token", &line), calls) else { return };
    let stdout = ran.ok();
    let path = stdout.strip_prefix(". '").and_then(|rest| rest.strip_suffix("';\n")).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(path.as_ref()), mode(std::path::Path::new(path).parent().unwrap())), (0o600, 0o700));
    let of_ours = |line: &&str| line.contains("\"ci-creds.") || line.contains("\"exports\"");
    let one = |word: &str| {
        let lines: Vec<_> = calls.lines().filter(of_ours).filter(|line| line.contains(word)).collect();
        assert_eq!(lines.len(), 1, "{word}: {lines:?}");
        lines[0]
    };
    assert!(one("mkdir").contains("0700"), "{calls}");
    let made = one("O_CREAT");
    for word in ["O_WRONLY", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", "0600"] {
        assert!(made.contains(word), "no {word}: {made}");
    }
    assert_eq!(calls.lines().filter(|line| line.contains(" write(1, ")).count(), 1, "{calls}");
    let others: Vec<_> = calls.lines().filter(|line| line.contains("O_CREAT") && !of_ours(line)).collect();
    assert_eq!(others, Vec::<&str>::new(), "files beside the private one");
}

// check: 13
#[test]
fn a_run_connects_to_vault_and_nowhere_else_and_not_at_all_for_what_it_refuses() {
    let world = World::start();
    let run = || world.command_as("wrapping-token", &format!("exoscale --role {ROLE}"));
    let Some((ran, calls)) = trace(&world, &run(), "connect,write") else { return };
    ran.ok();
    let connects: Vec<_> = calls.lines().filter(|line| line.contains("connect(")).collect();
    let port = world.vault.socket_address().port();
    assert_eq!(connects.len(), 1, "{connects:?}");
    assert!(connects[0].contains(&format!("htons({port})")) && connects[0].contains("127.0.0.1"), "{connects:?}");
    for (name, value) in [
        ("VAULT_ADDR", "http://192.0.2.1:8200"),
        ("VAULT_ADDR", "https://user@192.0.2.1:8200"),
        ("VAULT_SKIP_VERIFY", "1"),
        ("CI_CREDS_ROLE", "../sys/raw"),
    ] {
        let line = if name == "CI_CREDS_ROLE" { "exoscale".to_owned() } else { format!("exoscale --role {ROLE}") };
        let run = world.command_as("wrapping-token", &line).env(name, value);
        let Some((ran, calls)) = trace(&world, &run, "connect,write") else { return };
        assert!(ran.code == 78 || ran.code == 64, "{ran:?}");
        assert!(!calls.contains("connect("), "{name}: {calls}");
    }
}

/// A regular file that says it is empty, and goes on for several MiB.
const LONGER_THAN_IT_SAYS: &str = "/proc/kallsyms";

#[test]
fn of_a_file_that_is_longer_than_it_says_no_more_is_read_than_a_secret_can_have() {
    let world = World::start();
    let longer = std::fs::read(LONGER_THAN_IT_SAYS).is_ok_and(|text| text.len() > 2 << 20);
    if !longer {
        eprintln!("skipped: {LONGER_THAN_IT_SAYS} cannot be read here");
        return;
    }
    let run = world.command(&format!("exoscale --role {ROLE}")).env("VAULT_TOKEN_FILE", LONGER_THAN_IT_SAYS);
    let Some((ran, calls)) = trace(&world, &run, "openat,read,close,write") else { return };
    assert!(ran.failed(66, "input").stderr.contains("is larger than 1 MiB"));
    let opened = calls.lines().position(|line| line.contains(LONGER_THAN_IT_SAYS)).expect("it is opened");
    let lines: Vec<_> = calls.lines().skip(opened).collect();
    let descriptor = lines[0].rsplit(" = ").next().expect("a descriptor");
    let close = format!("close({descriptor})");
    let reads = lines.iter().take_while(|line| !line.contains(&close));
    let reads = reads.filter(|line| line.contains(&format!("read({descriptor}, ")));
    let read: usize = reads.filter_map(|line| line.rsplit(" = ").next()?.parse::<usize>().ok()).sum();
    assert_eq!(read, (1 << 20) + 1);
}

/// What a private file is made with, and what each call may fail with on a full or broken disk.
const FAILING: [(&str, &str); 5] = [
    ("mkdir,mkdirat", "ENOSPC"),
    ("chmod,fchmodat", "EROFS"),
    ("fchmod", "EPERM"),
    ("openat", "EMFILE"),
    ("fsync", "EIO"),
];

// check: 23
#[test]
fn whichever_call_fails_a_run_ends_as_documented_and_leaves_no_file_and_no_lease() {
    let world = World::start();
    let to_file = |world: &World| world.command_as("id-token", &format!("exoscale --role {ROLE} --via-file"));
    let named: Vec<_> = FAILING.iter().flat_map(|(call, _)| call.split(',')).map(|name| format!("?{name}")).collect();
    let whole = trace(&world, &to_file(&world), &format!("write,{}", named.join(",")));
    let (Some(strace), Some((ran, calls))) = (tool::find("strace"), whole) else { return };
    ran.ok();
    // Each of them as often as a whole run makes it. One more would be a run in which nothing fails.
    let count = |call: &str| {
        let is_it = |line: &&str| call.split(',').any(|name| line.contains(&format!(" {name}(")));
        calls.lines().filter(is_it).count()
    };
    let numbers = |(call, error)| (1..=count(call)).map(move |number| ((call, error), number));
    let cases: Vec<_> = FAILING.into_iter().flat_map(numbers).collect();
    // Which of the calls kept the file from being made: all of them can.
    let failed = std::sync::Mutex::new(std::collections::BTreeSet::new());
    each(cases, |((call, error), number)| {
        let world = World::start();
        let run = to_file(&world);
        let optional: String = call.split(',').map(|name| format!("?{name}")).collect::<Vec<_>>().join(",");
        let mut command = Command::new(&strace);
        // Stopped at no other call.
        command.args(["--seccomp-bpf", "-f", "-e", &format!("trace={optional}")]);
        command.args(["-e", &format!("inject={optional}:error={error}:when={number}"), "-o"]);
        command.arg(world.path("strace")).arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
        command.env_clear().envs(run.variables()).stdin(Stdio::null());
        let ran = Ran::of(command);
        let told = format!("{call} {error} {number}: {ran:?}");
        let traced = std::fs::read_to_string(world.path("strace")).expect("what strace saw");
        assert!(traced.contains("(INJECTED)"), "nothing failed: {told}");
        let files = std::fs::read_dir(world.path("tmp")).unwrap().count();
        if ran.code == 0 {
            assert_eq!((files, world.vault.live_leases().len()), (1, 1), "{told}");
            return;
        }
        if ran.code == 73 {
            failed.lock().unwrap().insert(call);
        }
        // 127: the loader's own files could not be opened, and none of our code has run.
        assert!([66, 69, 71, 73, 74, 76, 78, 127].contains(&ran.code), "{told}");
        assert_eq!((files, world.vault.live_leases().len()), (0, 0), "{told}");
        world.assert_no_secret_in(&ran.stderr);
    });
    let failed = failed.into_inner().unwrap();
    assert_eq!(failed, FAILING.map(|(call, _)| call).into());
}

// check: 23
#[test]
fn a_private_file_whose_text_finds_no_room_is_an_error_and_not_a_kill_and_the_key_is_given_back() {
    let exoscale = format!("exoscale --role {ROLE}");
    for (line, flag) in
        [(exoscale.as_str(), "--via-file"), (&exoscale, "--format file"), ("aws --role user --via creds", "--via-file")]
    {
        let world = World::start();
        let run = world.command_as("id-token", &format!("{line} {flag}"));
        // The limit's own signal would end the run with an empty stdout, and an eval of that succeeds.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
        command.env_clear().envs(run.variables()).stdin(Stdio::null());
        let ran = Ran::of(command).refused(&world, 73, "create", &["file too large"], &["TMPDIR"]);
        assert_eq!(std::fs::read_dir(world.path("tmp")).expect("the folder").count(), 0, "{ran:?}");
        world.assert_nothing_left(&ran);
    }
}

// check: 23
#[test]
fn a_descriptor_that_the_network_does_not_get_is_a_matter_of_the_system_or_of_the_connection_and_no_bug() {
    let world = World::start();
    let run = world.command_as("token", &format!("exoscale --role {ROLE} --retries 0"));
    let (Some(strace), Some(_)) = (tool::find("strace"), trace(&world, &world.command("--version"), "write")) else {
        return;
    };
    for (call, codes) in [("socket", [69, 71]), ("epoll_create1", [71, 71]), ("eventfd2", [71, 71])] {
        for error in ["EMFILE", "ENFILE"] {
            let mut command = Command::new(&strace);
            command.args(["-f", "-e", &format!("inject={call}:error={error}"), "-o"]).arg(world.path("strace"));
            command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
            command.env_clear().envs(run.variables()).stdin(Stdio::null());
            let ran = Ran::of(command);
            assert!(codes.contains(&ran.code), "{call} {error}: {ran:?}");
            ran.assert_marker(ran.code);
        }
    }
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn a_host_that_no_thread_is_left_to_look_up_is_a_matter_of_the_system_and_no_bug() {
    let world = World::start();
    let run = world.command_as("token", &format!("exoscale --role {ROLE} --retries 0"));
    let run = run.env("VAULT_ADDR", "https://vault.invalid").env("VAULT_CACERT_BYTES", &a_ca());
    let (Some(strace), Some(_)) = (tool::find("strace"), trace(&world, &world.command("--version"), "write")) else {
        return;
    };
    let mut command = Command::new(strace);
    command.args(["-f", "-e", "inject=?clone,?clone3:error=EAGAIN", "-o"]).arg(world.path("strace"));
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
    command.env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command).refused(&world, 71, "os", &["refused a thread", "vault.invalid:443"], &["ulimit -u"]);
}

fn a_ca() -> String {
    dev_vault::DevVault::builder().tls(dev_vault::Tls::Valid).start().ca_pem().to_owned()
}
