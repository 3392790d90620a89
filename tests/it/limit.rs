//! Limits of the process: open files and stack. Whatever is left, a run ends as documented, and its eval fails.

use std::process::{Command, Stdio};

use crate::support::parallel::each;
use crate::support::{ROLE, Ran, Run, World, tool};

/// The formats, with what makes their reader fail when a run ends in this code.
fn markers(code: i32) -> [(&'static str, String); 7] {
    [
        ("shell", format!(";\n(exit {code});\n")),
        ("file", format!(";\n(exit {code});\n")),
        ("fish", ";\nfalse;\n".into()),
        ("powershell", format!(";\nthrow 'ci-creds failed with exit code {code}';\n")),
        ("json", String::new()),
        ("dotenv", String::new()),
        ("process", String::new()),
    ]
}

/// Fails unless stdout is what makes the reader of the format fail, and nothing else.
fn assert_marked(format: &str, code: i32, ran: &Ran, told: &str) {
    let marker = markers(code).into_iter().find(|(name, _)| *name == format).expect("a format").1;
    assert!(ran.stdout.ends_with(&marker) && ran.stdout.is_empty() == marker.is_empty(), "{told}: {ran:?}");
    assert!(!ran.stdout.contains('='), "{told}: {ran:?}");
}

fn command(world: &World, format: &str) -> Run {
    let line = if format == "process" { "aws --role 365-dev --no-cache" } else { &format!("exoscale --role {ROLE}") };
    world.command_as("token", &format!("{line} --format {format}"))
}

/// Runs it with so many descriptors inherited beside the three, and so many at all.
fn with_descriptors(run: &Run, bash: &std::path::Path, inherited: u32, limit: u32) -> Ran {
    let script = "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -le 2 ] || eval \"exec $fd>&-\"; done; \
                  for ((i = 3; i < 3 + $1; i++)); do eval \"exec $i</dev/null\"; done; \
                  ulimit -n $2; shift 2; exec \"$@\"";
    let mut command = Command::new(bash);
    command.args(["-c", script, "bash", &inherited.to_string(), &limit.to_string()]);
    command.arg(env!("CARGO_BIN_EXE_ci-creds")).args(&run.arguments);
    command.env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command)
}

/// What a run needs beside what it inherits.
const NEEDED: u32 = 13;

// check: 23
#[test]
fn with_too_few_descriptors_left_a_run_ends_in_71_before_anything_is_asked_and_with_enough_it_succeeds() {
    let Some(bash) = tool::find("bash") else { return };
    let formats = markers(71).map(|(format, _)| format);
    let cases = [0, 20].into_iter().flat_map(|inherited| (8..=40).map(move |limit| (inherited, limit)));
    // The text for a shell at each limit, and in turn each of the others.
    let cases = cases.flat_map(|(inherited, limit)| {
        let other = formats[1 + limit as usize % (formats.len() - 1)];
        ["shell", other].map(|format| (inherited, limit, format))
    });
    let world = World::start();
    each(cases.collect(), |(inherited, limit, format)| {
        let told = format!("{format}: {inherited} inherited, {limit} allowed");
        let own = World::start();
        let world = if limit >= 3 + inherited + NEEDED { &world } else { &own };
        let ran = with_descriptors(&command(world, format), &bash, inherited, limit);
        if limit >= 3 + inherited + NEEDED {
            assert_eq!(ran.code, 0, "{told}: {ran:?}");
            return;
        }
        assert_eq!(world.vault.connections(), 0, "{told}: {ran:?}");
        // The loader's own files could not be opened, and none of our code has run.
        if ran.code == 127 {
            assert!(ran.stderr.contains("shared libraries"), "{told}: {ran:?}");
            return;
        }
        assert_eq!(ran.code, 71, "{told}: {ran:?}");
        assert_marked(format, 71, &ran, &told);
        let error = format!("error[os]: this process may have {limit} files open, ");
        assert!(ran.stderr.contains(&error) && ran.stderr.contains("hint: ulimit -n "), "{told}: {ran:?}");
    });
}

// check: 23
#[test]
fn a_kept_credential_needs_few_descriptors_and_with_fewer_the_run_ends_in_71() {
    let Some(bash) = tool::find("bash") else { return };
    let world = World::start();
    let run = world.command_as("token", "aws --role 365-dev --format process");
    let kept = run.run().ok();
    for limit in 20..=40 {
        let ran = with_descriptors(&run, &bash, 20, limit);
        match ran.code {
            0 => assert_eq!(ran.stdout, kept, "{limit}: {ran:?}"),
            127 => assert!(ran.stderr.contains("shared libraries"), "{limit}: {ran:?}"),
            code => assert!(code == 71 && ran.stdout.is_empty() && limit < 3 + 20 + 4, "{limit}: {ran:?}"),
        }
    }
    assert_eq!(world.count("aws/sts/365-dev"), 1);
}

// check: 23
#[test]
fn a_small_stack_is_enough_for_a_credential_and_for_every_error() {
    let world = World::start();
    for limit in ["64", "128", "1024"] {
        for (format, _) in markers(0) {
            let told = format!("{format} with {limit} KiB");
            let run = command(&world, format);
            let good = with_stack(&run, limit);
            assert_eq!((good.code, good.stderr.as_str()), (0, ""), "{told}: {good:?}");
            let bad = with_stack(&run.clone().arg("--role").arg("nope"), limit);
            assert_eq!(bad.code, 64, "{told}: {bad:?}");
            assert_marked(format, 64, &bad, &told);
            let refused = with_stack(&run.env("VAULT_TOKEN", "hvs.nobodys"), limit);
            assert_eq!(refused.code, 77, "{told}: {refused:?}");
            assert_marked(format, 77, &refused, &told);
        }
    }
}

fn with_stack(run: &Run, limit: &str) -> Ran {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -s $0; exec \"$@\"", limit, env!("CARGO_BIN_EXE_ci-creds")]).args(&run.arguments);
    command.env_clear().envs(run.variables()).stdin(Stdio::null());
    Ran::of(command)
}
