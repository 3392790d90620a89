use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{Fault, On, Reply};

use crate::support::parallel::each;
use crate::support::{ROLE, Ran, World, assert_plays_the_runner, requests_of};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";
const READ: &str = "apikey/gitlab-ci-runner";

/// The double answers at once; whoever waits longer waits for something that will not come.
const PATIENCE: Duration = Duration::from_secs(20);

// check: 11, 23
#[test]
fn a_full_disk_behind_stdout_is_an_error_and_the_key_is_revoked() {
    for (method, leases) in [("secret-id", 0), ("id-token", 0), ("token", 1)] {
        let world = World::start();
        let mut command = world.command_as(method, EXOSCALE).to_command();
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let ran = Ran::of(command);
        // With somebody else's token only the lease could be revoked, which the usual policy does not allow.
        let (code, kind) = if leases == 0 { (74, "output") } else { (80, "leak") };
        let ran = ran.failed(code, kind);
        assert!(ran.stderr.contains("cannot write to stdout: no space left"), "{ran:?}");
        assert_eq!((world.vault.minted().len(), world.vault.live_leases().len()), (1, leases), "{method}");
        world.assert_no_secret_in(&ran.stderr);
    }
}

// check: 5
#[test]
fn a_key_counts_as_revoked_only_if_vault_says_so_and_not_if_a_proxy_refuses() {
    let sentinel =
        "2 errors occurred:\n\t* egp standard policy \"root/hours\" resulted in denial.\n\n\t* permission denied\n\n";
    for (text, code, kind) in [
        ("permission denied", 74, "output"),
        ("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", 74, "output"),
        (sentinel, 80, "leak"),
        ("blocked by the gateway", 80, "leak"),
        ("", 80, "leak"),
    ] {
        let world = World::start();
        world.vault.inject(On::path("revoke-self").every(), Fault::answer(Reply::error(403, text)));
        let mut command = world.command_as("id-token", EXOSCALE).to_command();
        command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
        let ran = Ran::of(command);
        assert_eq!(ran.code, code, "{text:?}: {ran:?}");
        ran.failed(code, kind);
    }
}

#[test]
fn a_lease_of_somebody_elses_token_is_revoked_where_its_policy_allows() {
    let world = World::start();
    let policy = format!(
        "path \"exoscale/apikey/{ROLE}\" {{ capabilities = [\"read\"] }}\npath \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
    );
    world.vault.write("sys/policies/acl/job", serde_json::json!({ "policy": policy }));
    let run = world.command_as("token", EXOSCALE);
    let mut command = run.to_command();
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    Ran::of(command).failed(74, "output");
    assert_eq!(world.vault.live_leases(), []);
    let token = &run.variables()["VAULT_TOKEN"];
    assert!(world.vault.live_tokens().iter().any(|live| live.id == *token), "the user's own token was revoked");
}

#[test]
fn a_credential_that_cannot_be_revoked_gets_no_revocation() {
    let world = World::start();
    let mut command = world.command_as("token", "aws --role 365-dev").to_command();
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    Ran::of(command).failed(74, "output");
    assert_eq!((world.vault.minted().len(), world.requests()), (1, vec!["GET aws/sts/365-dev".to_owned()]));
}

// check: 11
#[test]
fn a_stdout_that_is_closed_or_null_is_refused_before_anything_is_asked() {
    let world = World::start();
    let script = format!("exec {} {EXOSCALE} >&-", env!("CARGO_BIN_EXE_ci-creds"));
    for redirect in [script.clone(), script.replace(">&-", ">/dev/null")] {
        let run = world.command_as("token", "");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &redirect]).env_clear().envs(run.variables()).stdin(Stdio::null());
        let ran = Ran::of(command).failed(74, "output");
        assert!(ran.stderr.contains("closed or /dev/null") && ran.stderr.contains("hint: "), "{ran:?}");
        // The call as it was, ready to be copied.
        assert!(ran.stderr.contains(&format!("eval $(ci-creds {EXOSCALE} || echo false)")), "{ran:?}");
    }
    assert_eq!(world.vault.requests().len(), 0);
}

// check: 11
#[test]
fn a_reader_that_is_gone_is_an_error_and_the_key_is_revoked() {
    let world = World::start();
    let mut command = world.command_as("secret-id", EXOSCALE).to_command();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).stderr(Stdio::piped());
    let ran = Ran::of(command).failed(74, "output");
    assert!(ran.stderr.contains("broken pipe"), "{ran:?}");
    assert_eq!(world.vault.minted().len(), 1);
    world.assert_nothing_left(&ran);
}

/// A pipe with a reader that reads nothing, and no room for a page more.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

// check: 11
#[test]
fn a_reader_that_reads_nothing_is_not_waited_for_beyond_the_deadline_or_a_signal() {
    each(vec![("--timeout 5", None, 74), ("", Some("TERM"), 143)], |(flags, signal, code)| {
        let world = World::start();
        let mut command = world.command_as("secret-id", &format!("{EXOSCALE} {flags}")).to_command();
        let (_reader, writer) = full_pipe();
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
        if let Some(signal) = signal {
            kill(signal, child.id());
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        world.assert_nothing_left(&output);
    });
    // One that comes late gets all of it.
    let world = World::start();
    let mut command = world.command_as("secret-id", EXOSCALE).to_command();
    let (mut reader, writer) = full_pipe();
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(text.trim_start_matches('x').ends_with("';\n"), "{text}");
}

#[test]
fn a_reader_that_is_only_slow_gets_what_makes_his_eval_fail() {
    let world = World::start();
    let mut command = world.command_as("secret-id", "exoscale --role ../admin").to_command();
    let (mut reader, writer) = full_pipe();
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    // It asks nobody, so it sleeps only because of the pipe.
    let stat = format!("/proc/{}/stat", child.id());
    let state = || std::fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().chars().next();
    while !matches!(state(), Some('S' | 'Z')) {
        std::thread::yield_now();
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(64));
    assert!(text.trim_start_matches('x').ends_with("(exit 64);\n"), "{text}");
}

/// Sends the signal when the read has come.
fn interrupt_the_read(world: &World, method: &str, line: &str, signal: &str) -> Ran {
    let mut command = world.command_as(method, line).to_command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(world.vault.wait_for_requests(requests_of(method).len() + 1, PATIENCE), "the read never came");
    kill(signal, child.id());
    Ran::from(child.wait_with_output().unwrap())
}

// check: 5
#[test]
fn a_signal_during_the_read_waits_for_the_key_revokes_it_and_ends_with_its_code() {
    let signals = [("TERM", 143, "terminated"), ("HUP", 129, "ended"), ("INT", 130, "interrupted")];
    let lines = [(EXOSCALE, READ), ("aws --role user --via creds", "aws/creds/user")];
    // Long enough for the signal to come in between, and for who waits to be told once.
    let clouds = [(Duration::from_millis(400), false), (Duration::from_secs(3), true)];
    let cases = signals
        .into_iter()
        .flat_map(|signal| lines.into_iter().flat_map(move |line| clouds.map(|cloud| (signal, line, cloud))));
    each(cases.collect(), |((signal, code, kind), (line, path), (time, told))| {
        for method in ["secret-id", "id-token"] {
            let world = World::start();
            world.vault.inject(On::path(path), Fault::slow_cloud(time));
            let ran = interrupt_the_read(&world, method, line, signal).failed(code, kind);
            ran.assert_marker(code);
            world.assert_no_secret_in(&ran.stderr);
            assert_eq!(ran.stderr.contains("ci-creds: waiting up to 7 s more for the answer to"), told, "{ran:?}");
            assert_eq!((world.vault.minted().len(), world.count(path)), (1, 1), "{ran:?}");
            world.assert_nothing_left(&ran);
        }
    });
}

// check: 5
#[test]
fn every_signal_that_ends_a_process_revokes_what_was_made() {
    let signals = [("QUIT", 131), ("USR1", 138), ("USR2", 140), ("ALRM", 142), ("XCPU", 152), ("VTALRM", 154)];
    each(signals.to_vec(), |(signal, code)| {
        let world = World::start();
        world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_millis(400)));
        let ran = interrupt_the_read(&world, "secret-id", EXOSCALE, signal).failed(code, "ended");
        ran.assert_marker(code);
        assert_eq!(world.vault.minted().len(), 1, "{signal}: {ran:?}");
        world.assert_nothing_left(&ran);
    });
}

#[test]
fn a_signal_that_the_caller_ignores_ends_nothing() {
    for signal in ["HUP", "QUIT", "USR1"] {
        let world = World::start();
        world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_millis(400)));
        let run = world.command_as("id-token", EXOSCALE);
        let mut command = Command::new("/bin/sh");
        let script = format!("trap '' {signal}; exec \"$0\" \"$@\"");
        command.args(["-c", &script]).arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments).env_clear();
        command.envs(run.variables()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
        kill(signal, child.id());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(ran.code == 0 && ran.stdout.contains("export EXOSCALE_API_KEY"), "{signal}: {ran:?}");
    }
}

// check: 5
#[test]
fn a_signal_during_the_read_of_a_plain_token_names_the_lease_that_only_its_owner_can_end() {
    let world = World::start();
    world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_millis(400)));
    let ran = interrupt_the_read(&world, "token", EXOSCALE, "TERM");
    let lease = world.vault.live_leases()[0].id.clone();
    ran.refused(&world, 80, "leak", &[&format!("the lease {lease} may be left"), "a signal"], &[&lease]);
    assert!(world.vault.keys_without_a_lease().is_empty());
}

// check: 5
#[test]
fn a_signal_whose_read_is_never_answered_says_that_a_key_may_live_that_no_lease_ends() {
    let faults: [fn() -> Fault; 3] =
        [Fault::hang_after, Fault::hang_before, || Fault::slow_cloud(Duration::from_secs(60))];
    let lines = [
        (EXOSCALE, READ, "an API key of Exoscale", "exo iam api-key list"),
        ("aws --role user --via creds", "aws/creds/user", "an IAM user of AWS", "aws iam list-users"),
    ];
    let cases = faults.into_iter().flat_map(|fault| lines.map(|line| (fault, line)));
    each(cases.collect(), |(fault, (line, path, what, list))| {
        let world = World::start();
        world.vault.inject(On::path(path), fault());
        let started = Instant::now();
        let ran = interrupt_the_read(&world, "id-token", line, "TERM");
        // Ten seconds are for waiting and revoking, and this machine runs other tests.
        assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
        let words =
            [&format!("{what} may remain that no lease revokes"), "under a name with vault- and", "by a signal"];
        let ran = ran.refused(&world, 80, "leak", &words, &[list]);
        assert_eq!((world.count(path), world.count("revoke-self")), (1, 1));
        world.assert_nothing_left(&ran);
    });
}

#[test]
fn a_signal_during_a_read_of_sts_says_that_its_credentials_expire_by_themselves() {
    let world = World::start();
    world.vault.inject(On::path("aws/sts/365-dev"), Fault::hang_before());
    let ran = interrupt_the_read(&world, "id-token", "aws --role 365-dev", "TERM").failed(143, "terminated");
    assert!(ran.stderr.contains("STS credentials expire on their own"), "{ran:?}");
}

// check: 5
#[test]
fn a_deadline_during_the_read_waits_for_the_key_and_gives_it_back() {
    let cases = ["secret-id", "id-token"]
        .into_iter()
        .flat_map(|method| ["--timeout 2", "--timeout 2 --cache"].map(|flags| (method, flags)));
    each(cases.collect(), |(method, flags)| {
        let world = World::start();
        world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_secs(4)));
        let ran = world.command_as(method, &format!("{EXOSCALE} {flags}")).run();
        let ran = ran.refused(&world, 69, "unavailable", &["came after the run's deadline of 2 s"], &["--timeout"]);
        assert_eq!((world.vault.minted().len(), world.count(READ)), (1, 1), "{ran:?}");
        world.assert_nothing_left(&ran);
    });
}

// check: 5
#[test]
fn the_deadline_of_one_request_does_not_cut_the_read() {
    let world = World::start();
    world.vault.inject(On::path(READ), Fault::slow_cloud(Duration::from_secs(3)));
    let ran = world.command_as("id-token", &format!("{EXOSCALE} --request-timeout 1s")).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!((world.count(READ), world.vault.live_leases().len()), (1, 1));
}

// check: 14
#[test]
fn a_run_whose_revocation_hangs_ends_with_the_seconds_of_the_clean_up() {
    let hangs: [fn() -> Fault; 2] = [Fault::hang_before, || Fault::slow_cloud(Duration::from_secs(4))];
    let cases = hangs.into_iter().flat_map(|fault| ["secret-id", "token"].map(|method| (fault, method)));
    each(cases.collect(), |(fault, method)| {
        let world = World::start();
        world.vault.inject(On::path(READ), fault());
        for path in ["revoke-self", "leases/revoke"] {
            world.vault.inject(On::path(path).every(), Fault::hang_before());
        }
        let started = Instant::now();
        let ran = world.command_as(method, &format!("{EXOSCALE} --timeout 2 --retries 9")).run();
        // Two seconds and ten; the rest is for a machine that runs other tests.
        assert!(started.elapsed() < Duration::from_secs(14), "{:?} {ran:?}", started.elapsed());
        ran.failed(80, "leak");
    });
}

// check: 5
#[test]
fn a_read_whose_answer_was_lost_is_told_also_where_the_next_one_succeeds() {
    for format in ["shell", "json", "process --sos --zone ch-gva-2"] {
        let world = World::start();
        world.vault.inject(On::path(READ), Fault::cut_answer(0));
        let ran = world.command_as("id-token", &format!("{EXOSCALE} --format {format}")).run();
        assert_eq!((ran.code, ran.stderr.lines().count()), (0, 1), "{ran:?}");
        for words in
            ["ci-creds: warning: the answer to exoscale/apikey/", "that no lease revokes", "exo iam api-key list"]
        {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
        assert_eq!(world.vault.live_leases().len(), 1);
    }
    // Vault says itself that it failed: it was not cut off.
    let world = World::start();
    world.vault.inject(On::path(READ), Fault::answer_after(Reply::error(500, "internal error")));
    let ran = world.command_as("id-token", EXOSCALE).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

// check: 5
#[test]
fn a_read_whose_answer_was_lost_is_told_also_where_the_next_one_is_refused() {
    let world = World::start();
    world.vault.inject(On::path(READ), Fault::cut_answer(0));
    let denied = Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
    world.vault.inject(On::path(READ), Fault::answer(denied));
    let ran = world.command_as("id-token", EXOSCALE).run();
    let words = ["the answer to exoscale/apikey/", "that no lease revokes", "what failed: the policy of the ID token"];
    let ran = ran.refused(&world, 80, "leak", &words, &["exo iam api-key list"]);
    assert_eq!((world.count(READ), world.vault.live_leases().len()), (2, 0), "{ran:?}");
}

// check: 5
#[test]
fn a_signal_while_the_key_is_revoked_does_not_leave_it() {
    let world = World::start();
    world.vault.inject(On::path("revoke-self"), Fault::hang_before());
    let mut command = world.command_as("secret-id", EXOSCALE).to_command();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    assert!(world.vault.wait_for_requests(3, PATIENCE), "nothing was revoked");
    kill("TERM", child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!((world.vault.minted().len(), world.count("revoke-self")), (1, 2));
    world.assert_nothing_left(&output);
}

// check: 5
#[test]
fn a_signal_ends_the_run_soon_when_vault_answers_nothing_at_all() {
    let world = World::start();
    for path in [READ, "revoke-self", "leases/revoke"] {
        world.vault.inject(On::path(path).every(), Fault::hang_after());
    }
    let mut command = world.command_as("secret-id", EXOSCALE).to_command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(world.vault.wait_for_requests(2, PATIENCE), "the read never came");
    let started = Instant::now();
    kill("TERM", child.id());
    let output = child.wait_with_output().unwrap();
    // Eight seconds for the answer and two for giving back; the rest is for a machine that runs other tests.
    assert!(started.elapsed() < Duration::from_secs(13), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(80), "{output:?}");
    assert_eq!(world.count("revoke-self"), 1, "{:?}", world.requests());
}

#[test]
fn a_signal_before_the_login_is_answered_spends_nothing_more() {
    let world = World::start();
    world.vault.inject(On::path("sys/wrapping/lookup"), Fault::hang_before());
    let mut command = world.command_as("wrapping-token", EXOSCALE).to_command();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(world.vault.wait_for_requests(1, PATIENCE), "the lookup never came");
    let started = Instant::now();
    kill("TERM", child.id());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    // The lookup itself would be waited for 20 s.
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(world.requests(), ["POST sys/wrapping/lookup"]);
}

fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

// check: 22
#[test]
fn stdout_and_stderr_in_one_pipe_are_refused_in_words_that_no_shell_acts_on() {
    let world = World::start();
    let mut command = world.command_as("token", EXOSCALE).to_command();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    drop(command);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(64), "{text}");
    assert!(text.contains("error[usage]: stdout and stderr are the same"), "{text}");
    assert!(text.contains("(exit 64);"), "{text}");
    let message = text.split("(exit 64);").nth(1).unwrap();
    assert!(!message.contains([';', '$', '`', '&', '|', '<', '>', '"', '\'', '\\', '#']), "{text}");
    assert_eq!(world.vault.requests().len(), 0);
}

/// A shell that writes into our pipe, in a process group of its own, as a runner starts a job's.
pub(crate) fn in_a_job(world: &World, script: &str) -> Ran {
    assert_plays_the_runner();
    let run = world.command_as("token", "").env("CI", "true").env("CI_CREDS", env!("CARGO_BIN_EXE_ci-creds"));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env_clear().envs(run.variables()).stdin(Stdio::null()).process_group(0);
    Ran::of(command)
}

// check: 22
#[test]
fn a_bare_call_in_a_job_is_refused_and_a_captured_one_is_not() {
    let world = World::start();
    // Something follows, so that no shell replaces itself by the command.
    let ran = in_a_job(&world, &format!("$CI_CREDS {EXOSCALE}; exit $?"));
    let ran = ran.refused(&world, 64, "usage", &["nothing captures the output", "log"], &["eval", "--reveal"]);
    assert_eq!(world.vault.requests().len(), 0, "{ran:?}");

    let ran =
        in_a_job(&world, &format!("x=$($CI_CREDS {EXOSCALE}); eval \"$x\"; echo got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}"));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "got EXO\n"), "{ran:?}");
    let ran = in_a_job(
        &world,
        &format!("eval $($CI_CREDS {EXOSCALE} || echo false); echo got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}"),
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "got EXO\n"), "{ran:?}");
    let ran = in_a_job(
        &world,
        &format!("$CI_CREDS {EXOSCALE} > \"$TMPDIR\"/x; . \"$TMPDIR\"/x; echo got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}"),
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "got EXO\n"), "{ran:?}");
    let ran = in_a_job(&world, &format!("$CI_CREDS {EXOSCALE} --reveal; exit $?"));
    assert!(ran.stdout.contains("export EXOSCALE_API_KEY='EXO"), "{ran:?}");
}

// check: 22
#[test]
fn a_bare_call_in_a_job_is_refused_whatever_the_jobs_script_is_called() {
    let world = World::start();
    // The kernel keeps the first 15 bytes of a name: here, half of the last letter.
    let script = world.program(
        "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
        &format!("#!/bin/sh\n\"$CI_CREDS\" {EXOSCALE}\nexit $?\n"),
    );
    let ran = in_a_job(&world, &format!("'{}'; exit $?", script.display()));
    ran.refused(&world, 64, "usage", &["nothing captures the output"], &["--reveal"]);
}

// check: 22
#[test]
fn a_log_that_is_a_file_or_a_socket_is_one_too() {
    use std::os::unix::net::UnixStream;
    // Jenkins has a job write into a file, and runners on Node.js have it write into a socket.
    for format in ["json", "shell", "dotenv"] {
        let world = World::start();
        let job = |script: &str| {
            let run = world.command_as("token", "").env("CI", "true").env("CI_CREDS", env!("CARGO_BIN_EXE_ci-creds"));
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]).env_clear().envs(run.variables()).stdin(Stdio::null()).process_group(0);
            command
        };
        let bare = format!("$CI_CREDS {EXOSCALE} --format {format}; exit $?");
        let log = world.path("log");
        let file = File::create(&log).unwrap();
        let status = job(&bare).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(status.code() == Some(64) && text.contains("error[usage]"), "{format}: {status} {text}");

        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let status = job(&bare).stdout(std::os::fd::OwnedFd::from(theirs)).stderr(Stdio::null()).status().unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert!(status.code() == Some(64) && !text.contains("EXOSCALE_API_KEY="), "{format}: {status} {text}");
        assert_eq!(world.vault.requests().len(), 0, "{format}");

        // Into a file of its own it goes.
        let file = File::create(&log).unwrap();
        let own =
            format!("$CI_CREDS {EXOSCALE} --format {format} > \"$TMPDIR\"/own; grep -c EXO \"$TMPDIR\"/own; exit $?");
        assert_eq!(job(&own).stdout(file).status().unwrap().code(), Some(0), "{format}");
    }
}
