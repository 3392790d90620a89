use super::{EXOSCALE, exoscale_key, stage};
use crate::support::expect::without_receipt;
use crate::support::shell::{self, LastAnswer};
use crate::support::{ROLE, World, tool};

/// Scripts in which something captures the output, each ending with the variables in `after`.
fn captured() -> Vec<(&'static str, String)> {
    let call = format!("ci-creds exoscale --role {ROLE}");
    let dump = "env -0 >\"$OUT/after\"";
    vec![
        ("an eval", format!("eval $({call})\n{dump}\n")),
        ("a quoted eval", format!("eval \"$({call})\"\n{dump}\n")),
        ("backticks", format!("eval `{call}`\n{dump}\n")),
        ("the documented form", format!("eval $({call} || echo false)\n{dump}\n")),
        ("a function", format!("f() {{ eval $({call}); }}\nf\n{dump}\n")),
        ("a function inside the substitution", format!("f() {{ {call}; }}\neval $(f)\n{dump}\n")),
        ("a subshell", format!("(eval $({call}); {dump})\n")),
        ("a subshell inside the substitution", format!("eval $( (cd /; {call}) )\n{dump}\n")),
        ("a variable", format!("c=$({call})\neval \"$c\"\nunset c\n{dump}\n")),
        ("a shell inside the substitution", format!("c=$(sh -c '{call}')\neval \"$c\"\nunset c\n{dump}\n")),
        ("two shells inside", format!("c=$(sh -c 'sh -c \"{call}; true\"; true')\neval \"$c\"\nunset c\n{dump}\n")),
        ("a pipe inside the substitution", format!("eval $({call} | cat)\n{dump}\n")),
        ("a silenced stderr", format!("eval $({call} 2>/dev/null)\n{dump}\n")),
        ("a substitution in a substitution", format!("eval $(echo \"$({call})\")\n{dump}\n")),
        ("a pipe in front", format!(": | (eval $({call}); {dump})\n")),
        ("a pipe behind", format!("(eval $({call}); {dump}) | cat\n")),
        ("a background job", format!("(eval $({call}); {dump}) &\nwait\n")),
        ("a shell below", format!("sh -c 'eval $({call}) && {dump}'\n")),
        ("a file", format!("{call} >\"$OUT/f\"\n. \"$OUT/f\"\n{dump}\n")),
        ("a here-document", format!(". /dev/stdin <<END\n$({call})\nEND\n{dump}\n")),
    ]
}

#[test]
fn in_a_ci_job_every_form_that_captures_the_output_works_in_every_shell() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let stage = stage(&world, &EXOSCALE).env("CI", "true").env("GITLAB_CI", "true");
    for shell in shell::posix() {
        for (form, script) in captured() {
            let what = format!("{}: {form}", shell.name);
            let played = stage.play(&shell, &format!("set -e\nenv -0 >\"$OUT/before\"\n{script}"));
            let silenced = form == "a silenced stderr";
            let log = if silenced { played.ran.stderr.clone() } else { without_receipt(&played.ran.stderr) };
            assert_eq!((played.ran.code, log.as_str()), (0, ""), "{what}");
            assert_eq!(played.ran.stdout, "", "{what}");
            let mut expected = exoscale_key(&answer);
            // A shell below counts itself.
            if played.dump("before").get("SHLVL") != played.dump("after").get("SHLVL") {
                expected.insert("SHLVL", played.dump("after").get("SHLVL").cloned());
            }
            for name in ["PWD", "OLDPWD"] {
                if !played.dump("before").contains_key(name) && form == "a shell below" {
                    expected.extend(played.dump("after").get(name).map(|value| (name, Some(value.clone()))));
                }
            }
            played.assert_changed(&what, &expected);
        }
    }
}

#[test]
fn a_pipe_to_a_program_is_a_capture_too() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let Some(_) = tool::find("jq") else { return };
    for shell in shell::posix() {
        let script = format!("set -e\nci-creds exoscale --role {ROLE} --format json | jq -r .api_secret\n");
        let played = stage(&world, &EXOSCALE).env("CI", "true").play(&shell, &script);
        assert_eq!(played.ran.ok(), format!("{}\n", answer.field("api_secret")), "{}", shell.name);
    }
}

#[test]
fn bare_in_a_ci_jobs_log_it_refuses_and_asks_vault_for_nothing() {
    let world = World::start();
    for shell in shell::posix() {
        for variable in ["CI", "GITLAB_CI", "GITHUB_ACTIONS", "JENKINS_URL"] {
            for script in [
                format!("ci-creds exoscale --role {ROLE}"),
                format!("set -e\nci-creds exoscale --role {ROLE}\ntouch \"$OUT/reached\"\n"),
                format!("f() {{ ci-creds exoscale --role {ROLE}; }}\nset -e\nf\ntouch \"$OUT/reached\"\n"),
                "(ci-creds aws --role 365-dev --format json; exit $?) </dev/null\nexit $?\n".to_owned(),
                "sh -c 'ci-creds aws --role 365-dev --format dotenv; exit $?'\nexit $?\n".to_owned(),
            ] {
                // ksh93 lets a script's last command take its own place, and then nothing of the job is above us.
                if shell.name == "ksh93" && !script.contains('\n') {
                    continue;
                }
                let what = format!("{}: {variable}: {script}", shell.name);
                let played = stage(&world, &EXOSCALE).env(variable, "true").play(&shell, &script);
                assert_eq!((played.ran.code, played.reached), (64, false), "{what}: {:?}", played.ran);
                let stderr = &played.ran.stderr;
                assert!(stderr.contains("error[usage]: nothing captures the output"), "{what}: {stderr}");
                assert!(stderr.contains("  hint: ") && stderr.contains("--reveal"), "{what}: {stderr}");
            }
        }
    }
    assert!(world.requests().is_empty(), "{:?}", world.requests());
}

#[test]
fn with_reveal_or_outside_a_job_the_bare_form_prints() {
    let world = World::start();
    for shell in shell::posix() {
        for (ci, flag) in [("true", " --reveal"), ("false", "")] {
            let script = format!("ci-creds exoscale --role {ROLE}{flag}; true\n");
            let stdout = stage(&world, &EXOSCALE).env("CI", ci).play(&shell, &script).ran.ok();
            assert!(stdout.contains("export EXOSCALE_API_KEY='"), "{}: {flag}: {stdout}", shell.name);
        }
    }
}

#[test]
fn a_script_of_ksh93_with_a_name_of_its_own_is_not_mistaken_for_a_bare_call() {
    let world = World::start();
    let Some(ksh) = tool::find("ksh93") else { return };
    let text =
        format!("#!{}\nset -e\neval $(ci-creds exoscale --role {ROLE})\ntouch \"$OUT/reached\"\n", ksh.display());
    let script = world.program("deploy", &text);
    let played = stage(&world, &[]).env("CI", "true").finish(std::process::Command::new(script));
    assert!(played.reached, "{:?}", played.ran);
}

/// In a namespace without its own process group (bubblewrap, `unshare`) every process belongs to group 0, and the
/// job's shell may be process 1, as it is in a container.
#[test]
fn in_a_process_namespace_the_bare_form_is_refused_and_a_captured_one_works() {
    let world = World::start();
    let Some(unshare) = tool::find("unshare") else { return };
    let arguments = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    let permitted = std::process::Command::new(&unshare).args(arguments).arg("true").output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare is not permitted here");
        return;
    }
    for shell in shell::posix() {
        let stage = stage(&world, &EXOSCALE).env("CI", "true");
        let play = |text: &str| stage.finish(shell.command_under(&unshare, &arguments, text, &[]));
        let bare = play(&format!("ci-creds exoscale --role {ROLE}; exit $?"));
        assert_eq!(bare.ran.code, 64, "{}: {:?}", shell.name, bare.ran);
        let captured = play(&format!("set -e; eval $(ci-creds exoscale --role {ROLE}); touch \"$OUT/reached\""));
        assert!(captured.reached, "{}: {:?}", shell.name, captured.ran);
        std::fs::remove_file(stage.out("reached")).expect("it was reached");
    }
}
