use std::process::Stdio;
use std::time::Duration;

use dev_vault::{Fault, On};

use crate::support::{ROLE, Ran, World, tool};

const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

/// Runs it on a terminal of its own; what the terminal shows, and the code.
pub(crate) fn on_a_terminal(world: &World, line: &str) -> Option<(i32, String)> {
    let line = format!("{} {line}", env!("CARGO_BIN_EXE_ci-creds"));
    play(world, &line, &[]).map(|(code, text)| (code, text.replace('\r', "")))
}

/// The same of a shell's line and with variables. Nothing of what the terminal got is left out.
fn play(world: &World, line: &str, variables: &[(&str, &str)]) -> Option<(i32, String)> {
    let script = tool::find("script")?;
    let run = variables.iter().fold(world.command_as("token", ""), |run, (name, value)| run.env(name, value));
    let mut command = std::process::Command::new(script);
    command
        .args(["-qec", line, "/dev/null"])
        .env_clear()
        .envs(run.variables())
        .env("SHELL", "/bin/sh")
        .env("CI_CREDS", env!("CARGO_BIN_EXE_ci-creds"))
        .stdin(Stdio::null());
    let ran = Ran::of(command);
    Some((ran.code, ran.stdout))
}

// check: 22
#[test]
fn somebody_at_a_terminal_sees_what_a_call_would_do_and_nothing_is_fetched() {
    let world = World::start();
    let Some((code, text)) = on_a_terminal(&world, EXOSCALE) else { return };
    assert_eq!(code, 0, "{text}");
    for expected in [
        "Nothing was fetched",
        "Exoscale",
        "(from VAULT_ADDR)\n",
        "  login  token (from VAULT_TOKEN)\n",
        "  path   exoscale/apikey/gitlab-ci-runner (role from --role)\n",
        "To use it:   eval $(ci-creds exoscale --role gitlab-ci-runner)\n",
        "To see it:   ci-creds exoscale --role gitlab-ci-runner --reveal\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in: {text}");
    }
    world.assert_no_secret_in(&text);
    assert_eq!(world.requests(), [""; 0]);

    let (code, text) = on_a_terminal(&world, &format!("{EXOSCALE} --reveal")).unwrap();
    assert!(code == 0 && text.contains("export EXOSCALE_API_SECRET='"), "{text}");
    // A person needs no marker for a shell.
    let (code, text) = on_a_terminal(&world, "exoscale --reveal --role nope").unwrap();
    assert!(code == 77 && !text.contains("(exit"), "{text}");
}

// check: 22
#[test]
fn nothing_is_fetched_to_be_looked_at_whatever_the_format() {
    let world = World::start();
    for (format, usage) in [
        ("shell", "eval $(CALL)"),
        ("fish", "eval (CALL)"),
        ("powershell", "CALL | Out-String | Invoke-Expression"),
        ("json", "credential=$(CALL)"),
        ("dotenv", "CALL > .env"),
        ("process", "credential_process = CALL"),
        ("github", "CALL >> \"$GITHUB_ENV\""),
        ("file", "eval $(CALL)"),
    ] {
        let line = format!("aws --role 365-dev --ttl 1h --format {format}");
        let Some((code, text)) = on_a_terminal(&world, &line) else { return };
        let usage = format!("To use it:   {}\n", usage.replace("CALL", &format!("ci-creds {line}")));
        assert!(code == 0 && text.contains(&usage), "{format}: {code} {text}");
    }
    assert_eq!(world.requests(), [""; 0]);
}

#[test]
fn the_call_is_shown_as_a_shell_reads_it() {
    let world = World::start();
    let line = "'$CI_CREDS' -q --role '{project_id}-dev' aws --session-name=a,b --profile 'it' --format file";
    let line = line.replace("'$CI_CREDS'", "\"$CI_CREDS\"");
    let Some((code, text)) = play(&world, &line, &[("CI_PROJECT_ID", "365")]) else { return };
    let call = "ci-creds aws -q --role '{project_id}-dev' --session-name=a,b --profile it --format file";
    assert!(code == 0 && text.contains(&format!("eval $({call})")), "{code} {text}");
    assert!(text.contains("path   aws/sts/365-dev (role from --role)"), "{text}");
}

const RED: &str = "\x1b[1;31m";

#[test]
fn a_message_is_in_colour_on_a_terminal_that_has_it_and_where_variables_say_so() {
    let world = World::start();
    let term = ("TERM", "xterm-256color");
    for (variables, expected) in [
        (&[term][..], true),
        (&[("TERM", "dumb")], false),
        (&[], false),
        (&[term, ("NO_COLOR", "1")], false),
        (&[term, ("CLICOLOR", "0")], false),
        (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true),
    ] {
        let Some((code, text)) = play(&world, "\"$CI_CREDS\" exoscale --bogus", variables) else { return };
        assert_eq!((code, text.contains(RED)), (64, expected), "{variables:?}: {text:?}");
        assert!(text.replace("\x1b[0m", "").contains("there is no flag --bogus"), "{text:?}");
    }
    for (variables, expected) in [(&[term][..], false), (&[("CLICOLOR_FORCE", "1")], true)] {
        let run = variables.iter().fold(world.command("exoscale --bogus"), |run, (name, value)| run.env(name, value));
        assert_eq!(run.run().stderr.contains(RED), expected, "{variables:?}");
    }
    // What a shell evaluates has none, whatever a variable says.
    let run = world.command("exoscale --bogus").env("CLICOLOR_FORCE", "1");
    let mut command = std::process::Command::new("/bin/sh");
    let line = format!("{} exoscale --bogus 2>&1", env!("CARGO_BIN_EXE_ci-creds"));
    command.args(["-c", &line]).env_clear().envs(run.variables()).stdin(Stdio::null());
    let ran = Ran::of(command);
    assert!(ran.stdout.contains("no flag --bogus") && !ran.stdout.contains('\x1b'), "{ran:?}");
}

/// Longer than what a step may take without being shown.
const SLOW: Duration = Duration::from_millis(900);

#[test]
fn a_step_that_takes_long_is_shown_by_its_name_on_a_terminal_only() {
    let world = World::start();
    let eval = format!("eval $(\"$CI_CREDS\" {EXOSCALE} FLAGS); echo got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}");
    let term = ("TERM", "xterm");
    for (flags, variables, shown) in [
        ("", &[term][..], true),
        ("", &[("TERM", "dumb")], false),
        ("-q", &[term], false),
        ("", &[term, ("CI", "true")], false),
    ] {
        world.vault.inject(On::path(&format!("exoscale/apikey/{ROLE}")), Fault::delay(SLOW));
        let Some((code, text)) = play(&world, &eval.replace("FLAGS", flags), variables) else { return };
        assert_eq!((code, text.contains("read the credential")), (0, shown), "{flags} {variables:?}: {text:?}");
        assert!(text.ends_with("got EXO\r\n"), "{text:?}");
        // The line is gone before anything else stands there.
        let drawn = text.matches("read the credential").count();
        assert_eq!(text.matches("\r\x1b[K").count(), drawn, "{text:?}");
    }
    // One that does not is not.
    let (code, text) = play(&world, &eval.replace("FLAGS", ""), &[term]).unwrap();
    assert_eq!((code, text.as_str()), (0, "got EXO\r\n"));
    world.vault.inject(On::path(&format!("exoscale/apikey/{ROLE}")), Fault::delay(SLOW));
    let ran = world.command_as("token", EXOSCALE).env("TERM", "xterm").run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
