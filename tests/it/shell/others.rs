use std::collections::BTreeMap;

use super::{AWS, EXOSCALE, exoscale_key, failures, gone, stage};
use crate::support::expect::without_receipt;
use crate::support::shell::{self, LastAnswer};
use crate::support::{ROLE, Run, World};

#[test]
fn fish_takes_the_credential_in_each_of_its_own_spellings() {
    let world = World::start();
    let Some(fish) = shell::named("fish") else { return };
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let fresh = stage(&world, &[]).env("CI", "true");
    let stage = stage(&world, &EXOSCALE).env("CI", "true");
    let call = format!("ci-creds exoscale --role {ROLE}");
    for line in [
        format!("eval ({call} --format fish)"),
        format!("eval \"$({call} --format fish)\""),
        format!("{call} --format fish | source"),
        format!("{call} --format fish >\"$OUT/f\"\nand source \"$OUT/f\""),
        format!("set -l text ({call} --format fish)\neval $text"),
    ] {
        let script = format!("env -0 >\"$OUT/before\"\n{line}\nor exit 9\nenv -0 >\"$OUT/after\"\n");
        let played = stage.play(&fish, &script);
        assert_eq!((played.ran.code, without_receipt(&played.ran.stderr).as_str()), (0, ""), "{line}");
        played.assert_changed(&line, &exoscale_key(&answer));
        // Erasing what is not set fails in fish: it must not be what the eval ends in.
        let played = fresh.play(&fish, &script);
        assert_eq!((played.ran.code, without_receipt(&played.ran.stderr).as_str()), (0, ""), "{line}");
        assert_eq!(played.dump("after")["EXOSCALE_API_SECRET"], answer.field("api_secret"), "{line}");
    }
}

// check: 2
#[test]
fn fish_sees_every_failure() {
    let world = World::start();
    let Some(fish) = shell::named("fish") else { return };
    for failure in failures(&world) {
        for (open, close) in [("eval (", ")"), ("eval \"$(", ")\""), ("", " | source")] {
            let what = format!("{}: {open}…{close}", failure.name);
            let script = format!(
                "env -0 >\"$OUT/before\"\n{open}ci-creds {} --format fish{close}\nor echo caught\nenv -0 >\"$OUT/after\"\n",
                failure.line
            );
            let played = failure.stage.play(&fish, &script);
            assert_eq!(played.ran.stdout, "caught\n", "{what}: {:?}", played.ran);
            played.assert_changed(&what, &gone(&EXOSCALE));
        }
    }
}

/// What PowerShell would do with a text of ours: the variables set and removed, and what is thrown. Strict: a
/// statement a line, ASCII, three forms of statement, and nothing in a quoted text that could end it.
fn interpret_powershell(text: &str) -> (BTreeMap<String, Option<String>>, Option<String>) {
    let (mut variables, mut thrown) = (BTreeMap::new(), None);
    assert!(text.is_ascii() && text.ends_with(";\n") && !text.contains('\r'), "{text:?}");
    let name = |text: &str| {
        let sound = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(!text.is_empty() && text.chars().all(sound), "not a name: {text:?}");
        text.to_owned()
    };
    let literal = |text: &str| {
        let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).expect("a literal");
        assert!(inner.chars().all(|c| matches!(c, ' '..='~') && c != '\''), "not a literal: {text:?}");
        inner.to_owned()
    };
    for line in text.lines() {
        assert!(thrown.is_none(), "behind a throw: {line:?}");
        let statement = line.strip_suffix(';').expect("a statement");
        if let Some(rest) = statement.strip_prefix("$env:") {
            let (variable, value) = rest.split_once(" = ").expect("an assignment");
            variables.insert(name(variable), Some(literal(value)));
        } else if let Some(rest) = statement.strip_prefix("Remove-Item Env:") {
            let removed = rest.strip_suffix(" -ErrorAction SilentlyContinue").expect("a missing variable is no error");
            variables.insert(name(removed), None);
        } else {
            thrown = Some(literal(statement.strip_prefix("throw ").expect("a known statement")));
        }
    }
    (variables, thrown)
}

fn owned(expected: &BTreeMap<&str, Option<String>>) -> BTreeMap<String, Option<String>> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn powershell(run: &Run, code: i32) -> (BTreeMap<String, Option<String>>, Option<String>) {
    let ran = run.run();
    assert_eq!(ran.code, code, "{ran:?}");
    interpret_powershell(&ran.stdout)
}

#[test]
fn powershell_gets_assignments_that_its_grammar_reads_as_we_mean_them() {
    let world = World::start();
    let answer = LastAnswer::watch(&world, &format!("/exoscale/apikey/{ROLE}"));
    let line = format!("exoscale --role {ROLE} --format powershell");
    let read = powershell(&world.command_as("token", &line), 0);
    assert_eq!(read, (owned(&exoscale_key(&answer)), None));
    let answer = LastAnswer::watch(&world, "/aws/creds/user");
    let mut expected = gone(&AWS);
    let (variables, thrown) =
        powershell(&world.command_as("token", "aws --role user --via creds --format powershell"), 0);
    expected.insert("AWS_ACCESS_KEY_ID", Some(answer.field("access_key")));
    expected.insert("AWS_SECRET_ACCESS_KEY", Some(answer.field("secret_key")));
    assert_eq!((variables, thrown), (owned(&expected), None));
}

#[test]
fn powershell_is_stopped_by_every_failure() {
    let world = World::start();
    for failure in failures(&world) {
        let run = failure.line.split_whitespace().fold(failure.stage.run(), Run::arg).arg("--format").arg("powershell");
        let (variables, thrown) = powershell(&run, failure.code);
        assert_eq!(variables, owned(&gone(&EXOSCALE)), "{}", failure.name);
        let thrown = thrown.unwrap_or_else(|| panic!("{}: nothing is thrown", failure.name));
        assert!(thrown.contains("ci-creds failed") && thrown.contains(&failure.code.to_string()), "{thrown}");
    }
}
