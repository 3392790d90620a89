use std::process::Command;

use ci_creds::error::Kind;
use dev_vault::{Fault, On, Reply};

use crate::support::{METHODS, ROLE, Ran, World};

const PAYLOAD: &str = "hvs.the-token-in-the-text-of-a-panic";

/// Makes of this test's process one that runs into a bug, as `main` sets it up.
const VARIABLE: &str = "CI_CREDS_TEST_PANICS";

/// What `main` is given on the command line of each case.
const LINES: [&str; 3] = ["ci-creds exoscale", "ci-creds aws --format fish", "ci-creds aws --format process"];

#[test]
fn child() {
    let Ok(line) = std::env::var(VARIABLE) else { return };
    let arguments: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
    ci_creds::host::on_panic(ci_creds::failure_text(&arguments, Kind::Internal), Kind::Internal.code());
    panic!("{PAYLOAD}");
}

fn run_child(line: &str, backtrace: &str) -> Ran {
    let mut command = Command::new(std::env::current_exe().expect("this test's own program"));
    command.args(["--exact", "panic::child", "--nocapture", "--test-threads", "1"]);
    command.env(VARIABLE, line).env("RUST_BACKTRACE", backtrace);
    Ran::of(command)
}

// check: 3
#[test]
fn a_bug_prints_one_constant_line_and_the_marker_and_never_its_own_text() {
    for line in LINES {
        let quiet = run_child(line, "0");
        assert_eq!(quiet.code, 70, "{quiet:?}");
        let [error, hint] = quiet.stderr.lines().collect::<Vec<_>>().try_into().expect("two lines");
        let place = error.strip_prefix("ci-creds: error[internal]: this is a bug in ci-creds at ").expect(error);
        let number = place.strip_prefix("tests/it/panic.rs:").expect(place);
        assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{place}");
        assert_eq!(hint, "  hint: please report it with this line and the version");
        let arguments: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
        let marker = ci_creds::failure_text(&arguments, Kind::Internal);
        // In front of it stands what the test's own harness says.
        assert!(quiet.stdout.ends_with(&marker), "{quiet:?}");
        assert_eq!(marker.is_empty(), line.contains("process"), "{marker}");
        assert!(!quiet.stdout.contains(PAYLOAD) && !quiet.stderr.contains(PAYLOAD), "{quiet:?}");
        let loud = run_child(line, "full");
        assert_eq!((loud.code, &loud.stderr), (70, &quiet.stderr));
        assert!(loud.stdout.ends_with(&marker), "{loud:?}");
    }
}

/// `-v` tells how long each request took, which differs.
fn without_times(log: &str) -> String {
    let line =
        |line: &str| line.strip_suffix(" ms").map_or(line, |rest| rest.trim_end_matches(char::is_numeric)).to_owned();
    log.lines().map(line).collect::<Vec<_>>().join("\n")
}

// check: 3
#[test]
fn no_variable_of_rusts_makes_a_failing_run_say_more() {
    for method in METHODS {
        let world = World::start();
        world.vault.inject(On::any().every(), Fault::answer(Reply::error(403, "permission denied")));
        let run = || world.command_as(method, &format!("exoscale --role {ROLE} -v"));
        let quiet = run().run();
        assert_ne!(quiet.code, 0);
        for (name, value) in [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")] {
            let loud = run().env(name, value).run();
            let (said, more) = (without_times(&quiet.stderr), without_times(&loud.stderr));
            assert_eq!((loud.code, &loud.stdout, more), (quiet.code, &quiet.stdout, said), "{name}");
            world.assert_no_secret_in(&loud.stderr);
        }
    }
}
