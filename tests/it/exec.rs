//! `exec`: what the command gets, how it ends, and what is left of its credentials.

mod fault;
mod kept;
mod returned;
mod signalled;
mod terminal;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use dev_vault::{Dialect, Fault, On, Reply};
use serde_json::json;

use crate::support::{METHODS, ROLE, Ran, Run, World, requests_of};

const EXOSCALE: &str = "exec exoscale --role gitlab-ci-runner";
const BOTH: &str = "exec aws exoscale -v";

/// The line, and the command behind it.
fn exec(world: &World, method: &str, line: &str, command: &[&str]) -> Run {
    let run = world.command_as(method, line).arg("--");
    command.iter().fold(run, |run, word| run.arg(word))
}

fn shell(world: &World, line: &str, script: &str) -> Run {
    exec(world, "secret-id", line, &["sh", "-c", script])
}

/// What `env` prints.
fn variables(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

#[test]
fn a_command_gets_each_provider_by_one_login_and_one_read_a_provider() {
    for dialect in Dialect::ALL {
        for method in METHODS {
            let world = World::with(dev_vault::DevVault::builder().dialect(dialect));
            let run = exec(&world, method, BOTH, &["env"]);
            let run = run.env("CI_CREDS_AWS_ROLE", "365-dev").env("CI_CREDS_EXOSCALE_ROLE", ROLE);
            let got = variables(&run.run().ok());
            assert!(got["AWS_ACCESS_KEY_ID"].starts_with("ASIA") && got.contains_key("AWS_SESSION_TOKEN"), "{method}");
            assert!(got["EXOSCALE_API_KEY"].starts_with("EXO") && got.contains_key("EXOSCALE_API_SECRET"), "{method}");
            let mut expected = requests_of(method);
            if method == "token" {
                expected.push("GET auth/token/lookup-self".into());
            }
            expected.extend(["GET aws/sts/365-dev".into(), format!("GET exoscale/apikey/{ROLE}")]);
            assert_eq!(world.requests()[..expected.len()], expected, "{dialect} {method}");
        }
    }
}

// check: 8, 20
#[test]
fn the_environment_of_a_command_is_ours_with_the_credential_and_without_what_is_ours_alone() {
    let world = World::start();
    let stale = [
        ("AWS_PROFILE", "old"),
        ("AWS_SECURITY_TOKEN", "old"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("CI_CREDS_TIMEOUT", "60"),
        ("CI_CREDS_AWS_ROLE", "365-dev"),
        ("MY_ID_TOKEN", "x"),
        ("BAO_SECRET_ID_FILE", "/none"),
    ];
    let kept = [("AWS_REGION", "eu-central-1"), ("BUILD_ID", "42"), ("VAULT_NAMESPACE_NOTE", "x"), ("_JENKINS", "c")];
    let run = stale.iter().chain(&kept).fold(exec(&world, "id-token", "exec aws", &["env"]), |run, (name, value)| {
        if *name == "BAO_SECRET_ID_FILE" { run } else { run.env(name, value) }
    });
    let token = world.id_token().sign();
    let run = run.without("VAULT_ID_TOKEN").env("MY_ID_TOKEN", &token).arg_before("--id-token-env=MY_ID_TOKEN");
    let mut expected: BTreeMap<String, String> = run.variables().clone();
    for (name, _) in stale {
        expected.remove(name);
    }
    let mut got = variables(&run.run().ok());
    let made: Vec<_> = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"]
        .map(|name| got.remove(name).is_some())
        .into();
    assert_eq!(made, [true; 4]);
    assert_eq!(got, expected);
}

#[test]
fn each_variable_is_there_once_and_an_iam_user_has_no_session() {
    let world = World::start();
    let run = exec(&world, "secret-id", "exec aws --role user --via creds", &["env"]);
    let run = run.env("AWS_SESSION_TOKEN", "old").env("AWS_ACCESS_KEY_ID", "old");
    let text = run.run().ok();
    assert_eq!(text.lines().filter(|line| line.starts_with("AWS_ACCESS_KEY_ID=AKIA")).count(), 1, "{text}");
    assert!(!text.contains("AWS_SESSION_TOKEN") && !text.contains("=old"), "{text}");
}

#[test]
fn the_vault_token_itself_is_handed_over_with_its_address_and_revoked_at_the_end() {
    let world = World::start();
    let script = "echo $VAULT_TOKEN $VAULT_ADDR ${BAO_TOKEN-none} ${VAULT_SECRET_ID-none}";
    let run = shell(&world, "exec vault", script).env("BAO_ADDR", &world.vault.address()).without("VAULT_ADDR");
    let text = run.run().ok();
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(words[1..], [world.vault.address().as_str(), "none", "none"]);
    assert!(words[0].starts_with("hvs."), "{text}");
    assert_eq!(world.requests(), ["POST auth/approle/login", "POST auth/token/revoke-self"]);
    world.assert_nothing_left(&text);
}

#[test]
fn a_command_ends_with_its_own_code() {
    let world = World::start();
    for code in [0, 1, 42, 125, 126, 127, 137, 143, 255] {
        let ran = shell(&world, EXOSCALE, &format!("exit {code}")).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{code}");
        world.assert_nothing_left(&code);
    }
}

#[test]
fn a_command_that_cannot_run_is_126_or_127_and_nothing_is_asked_for_it() {
    let world = World::start();
    let text = world.file("text", "not a program");
    for (word, code, why) in [
        ("no-such-command", 127, "no-such-command was not found"),
        ("/no/such/command", 127, "was not found"),
        (text.to_str().expect("a path"), 126, "cannot be run"),
        ("/", 126, "cannot be run"),
    ] {
        let ran = exec(&world, "secret-id", EXOSCALE, &[word]).run().failed(code, "usage");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    assert_eq!(world.requests(), [""; 0]);
}

// check: 20
#[test]
fn what_goes_wrong_before_the_start_is_125_and_leaves_nothing() {
    let world = World::start();
    let marker = world.path("marker");
    let touch = format!("touch {}", marker.display());
    for (line, kind) in [
        ("exec exoscale --role gitlab-ci-runner --bogus", "usage"),
        ("exec exoscale --role gitlab-ci-runner --via sts", "usage"),
        ("exec nobody", "usage"),
        ("exec exoscale --role gitlab-ci-runner --leash 5s", "usage"),
        ("exec exoscale --role other", "denied"),
        ("exec aws exoscale --role gitlab-ci-runner --mount x", "usage"),
    ] {
        let ran = shell(&world, line, &touch).run().failed(125, kind);
        assert_eq!(ran.stdout, "", "{ran:?}");
    }
    let ran = exec(&world, "secret-id", EXOSCALE, &[]).run().failed(125, "usage");
    assert!(ran.stderr.contains("COMMAND"), "{ran:?}");
    let ran = world.command("exec").run().failed(125, "usage");
    assert!(ran.stderr.contains("an argument is missing"), "{ran:?}");
    world.vault.inject(On::path("auth/approle/login").every(), Fault::answer(Reply::error(500, "broken")));
    shell(&world, &format!("{EXOSCALE} --retries 0"), &touch).run().failed(125, "spent");
    assert!(!marker.exists(), "the command ran");
    world.assert_nothing_left(&"125");
}

// check: 20
#[test]
fn a_second_read_that_fails_gives_the_first_credential_back() {
    for method in ["secret-id", "token"] {
        let world = World::start();
        let policy = "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }\npath \"aws/*\" { capabilities = [\"read\"] }\n\
                      path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
        let run = exec(&world, method, "exec aws exoscale --via creds", &["true"]);
        let run = run.env("CI_CREDS_AWS_ROLE", "user").env("CI_CREDS_EXOSCALE_ROLE", "nope");
        run.run().failed(125, "config");
        assert_eq!(world.vault.live_leases(), [], "{method}");
    }
}

#[test]
fn the_words_behind_the_dashes_are_the_commands_and_not_ours() {
    let world = World::start();
    let text =
        exec(&world, "secret-id", EXOSCALE, &["printf", "%s|", "", "hvs.CAESIJ", "--format", "-v", "--", "--token=x"]);
    let ran = text.run();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("|hvs.CAESIJ|--format|-v|--|--token=x|", ""));
}

#[test]
fn a_script_without_an_interpreter_is_run_by_sh_as_env_does() {
    let world = World::start();
    let script = world.program("script", "echo $0 $1; exit 7");
    let ran = exec(&world, "secret-id", EXOSCALE, &[script.to_str().expect("a path"), "x"]).run();
    assert_eq!((ran.code, ran.stdout), (7, format!("{} x\n", script.display())));
}

#[test]
fn a_command_has_our_streams_and_its_own_name() {
    let world = World::start();
    let run = shell(&world, EXOSCALE, "cat; echo err >&2; echo $0");
    let mut child = run.to_command();
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("a child");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"in\n").expect("written");
    let ran = Ran::from(child.wait_with_output().expect("its end"));
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "in\nsh\n", "err\n"));
}

#[test]
fn variables_that_steer_the_name_service_reach_the_command_all_the_same() {
    let world = World::start();
    let run =
        exec(&world, "secret-id", EXOSCALE, &["env"]).env("RES_OPTIONS", "ndots:3").env("LOCALDOMAIN", "x.example");
    let got = variables(&run.run().ok());
    assert_eq!((got["RES_OPTIONS"].as_str(), got["LOCALDOMAIN"].as_str()), ("ndots:3", "x.example"));
    assert!(!got.keys().any(|name| name.starts_with("CI_CREDS")), "{got:?}");
}

// check: 20
#[test]
fn the_limits_of_a_command_are_the_callers() {
    let world = World::start();
    let run = shell(&world, EXOSCALE, "ulimit -c; ulimit -Hc");
    let words = format!("ulimit -Sc 7 && exec {} \"$@\"", env!("CARGO_BIN_EXE_ci-creds"));
    let mut caller = Command::new("sh");
    caller.args(["-c", &words, "sh"]).args(&run.arguments).env_clear().envs(run.variables());
    let text = Ran::of(caller).ok();
    assert_eq!(text.lines().next(), Some("7"), "{text}");
}

#[test]
fn a_token_for_too_few_requests_reads_nothing() {
    let world = World::start();
    world.vault.write(&format!("auth/approle/role/{ROLE}"), json!({ "token_num_uses": 2 }));
    let run = exec(&world, "secret-id", "exec aws exoscale", &["true"]);
    let run = run.env("CI_CREDS_AWS_ROLE", "365-dev").env("CI_CREDS_EXOSCALE_ROLE", ROLE);
    let ran = run.run().failed(125, "config");
    assert!(ran.stderr.contains("limited to 2 requests") && ran.stderr.contains("4 and more"), "{ran:?}");
    assert_eq!(world.vault.minted().values().sum::<usize>(), 0);
}
