use super::{EXOSCALE, exoscale_key, stage};
use crate::support::shell::{self, LastAnswer, Shell};
use crate::support::{ROLE, World};

/// What the runner puts in front of a job's lines, and how it wraps them: since 19.1, from 15 to 19.0 in two ways.
const SHAPES: [(&str, &str); 3] =
    [("(trap 'exit 1' TERM; eval '", "') </dev/null"), (": | (eval '", "')"), (": | eval '", "'")];

fn wrapped((open, close): (&str, &str), lines: &str) -> String {
    format!(
        "trap 'exit 1' TERM\ncase \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac\nset -o errexit\n\
         set +o noclobber\n{open}{lines}{close}\nexit 0\n"
    )
}

/// Whether the last part of a pipe keeps a code of its own: bash turns it into 1 where it is an `eval`.
fn keeps_the_code(shell: &Shell, shape: &str) -> bool {
    shape != ": | eval '" || !(shell.name.starts_with("bash") || shell.name == "sh")
}

#[test]
fn in_every_wrapper_of_gitlabs_runner_the_job_has_its_variables() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stage = stage(&world, &EXOSCALE).env("CI", "true").env("GITLAB_CI", "true");
    for shell in shell::posix() {
        for shape in SHAPES {
            let what = format!("{}: {}", shell.name, shape.0);
            let lines = format!(
                "env -0 >\"$OUT/before\"\necho \"$ eval \\$(ci-creds exoscale)\"\neval $(ci-creds exoscale --role {ROLE})\n\
                 env -0 >\"$OUT/after\"\ntouch \"$OUT/reached\"\n"
            );
            let played = stage.play(&shell, &wrapped(shape, &lines));
            assert!(played.reached && played.ran.code == 0, "{what}: {:?}", played.ran);
            assert_eq!(played.ran.stdout, "$ eval $(ci-creds exoscale)\n", "{what}");
            played.assert_changed(&what, &exoscale_key(&answer));
        }
    }
}

// check: 2
#[test]
fn in_every_wrapper_of_gitlabs_runner_a_failure_fails_the_job() {
    let world = World::start();
    let stage = stage(&world, &EXOSCALE).env("CI", "true").env("GITLAB_CI", "true").env("VAULT_TOKEN", "s.unknown");
    for shell in shell::posix() {
        for shape in SHAPES {
            // The runner's own check of each line, with FF_ENABLE_BASH_EXIT_CODE_CHECK.
            let check = "_runner_exit_code=$?; if [ $_runner_exit_code -ne 0 ]; then exit $_runner_exit_code; fi\n";
            for check in ["", check] {
                let what = format!("{}: {}: {check}", shell.name, shape.0);
                let lines =
                    format!("eval $(ci-creds exoscale --role {ROLE} || echo false)\n{check}touch \"$OUT/reached\"\n");
                let played = stage.play(&shell, &wrapped(shape, &lines));
                assert!(!played.reached, "{what}: {:?}", played.ran);
                let code = played.ran.code;
                assert!(code == 77 || (code == 1 && !keeps_the_code(&shell, shape.0)), "{what}: {:?}", played.ran);
            }
        }
    }
}

#[test]
fn in_a_wrapper_of_gitlabs_runner_a_bare_call_is_refused() {
    let world = World::start();
    let stage = stage(&world, &EXOSCALE).env("CI", "true").env("GITLAB_CI", "true");
    for shell in shell::posix() {
        for shape in SHAPES {
            let what = format!("{}: {}", shell.name, shape.0);
            let lines = format!("ci-creds exoscale --role {ROLE}\ntouch \"$OUT/reached\"\n");
            let played = stage.play(&shell, &wrapped(shape, &lines));
            // ksh93 goes on after a command that fails in an `eval` at the end of a pipe.
            let goes_on = shell.name == "ksh93" && shape.0 == ": | eval '";
            assert!(!played.reached || goes_on, "{what}: {:?}", played.ran);
            assert!(played.ran.stderr.contains("nothing captures the output"), "{what}: {:?}", played.ran);
        }
    }
    assert!(world.requests().is_empty(), "{:?}", world.requests());
}
