//! `--via web-identity --serve`: sessions of STS at the endpoint, for as long as there is an ID token to show for them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dev_vault::{AWS_SESSION, FIRST_ROLE, GitlabToken, Sts, TokenIssuer, TokenWire};

use super::{Served, variables};
use crate::support::{ISSUER, Run, World, leak, moto};

const AWS: &str = "sts.amazonaws.com";
/// What proves a job of GitHub.
const PROOF: &str = "proof-of-this-one-job-0123456789";
/// What tells the test where the endpoint is, and waits.
const WAIT: &str = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN; read end";

fn exec(world: &World, sts: &Sts, line: &str, command: &[&str]) -> Run {
    let line = format!("exec aws --via web-identity --role-arn {FIRST_ROLE} --serve {line}");
    let run = world.command(&line).without("VAULT_ADDR").env("AWS_ENDPOINT_URL_STS", &sts.address()).arg("--");
    command.iter().fold(run, |run, word| run.arg(word))
}

/// A job whose token is in a variable.
fn with_token(world: &World, sts: &Sts, token: &GitlabToken, command: &[&str]) -> Run {
    exec(world, sts, "--id-token-env AWS_ID_TOKEN", command).env("AWS_ID_TOKEN", &token.sign())
}

/// A job of GitHub, and who signs its tokens: each one is another.
fn with_request(world: &World, sts: &Sts, line: &str, command: &[&str]) -> (Run, TokenIssuer) {
    let token = world.id_token();
    let sign =
        move |audience: &str| token.clone().audience(audience).claim("jti", format!("{:?}", Instant::now())).sign();
    let issuer = TokenIssuer::start(TokenWire::Github, PROOF, Vec::new(), sign);
    let run = exec(world, sts, line, command).env("GITHUB_ACTIONS", "true");
    let run = run.env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url()).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PROOF);
    (run, issuer)
}

fn shown(sts: &Sts) -> Vec<String> {
    let forms = sts.forms();
    forms.iter().filter_map(|form| form.get("WebIdentityToken").cloned()).collect()
}

/// Waits until it holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(25), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

// check: 8
#[test]
fn the_command_has_the_endpoint_and_neither_the_token_nor_what_requests_one() {
    let (world, sts) = (World::start(), Sts::start(ISSUER, AWS, Vec::new()));
    let (run, issuer) = with_request(&world, &sts, "--region eu-central-1 --ttl 15m", &["env"]);
    let ran = run.env("AWS_ROLE_ARN", FIRST_ROLE).env("AWS_WEB_IDENTITY_TOKEN_FILE", "/t").run();
    let token = &shown(&sts)[0];
    let secrets = [token.as_str(), AWS_SESSION.secret, AWS_SESSION.session.expect("a session"), PROOF];
    assert_eq!((leak::find(secrets, &ran.stderr), leak::find(secrets, &ran.stdout)), (None, None), "{ran:?}");
    let got = variables(&ran.ok());
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    ] {
        assert_eq!(got.get(name), None, "{name}");
    }
    assert_eq!((got["AWS_REGION"].as_str(), got["AWS_CONFIG_FILE"].as_str()), ("eu-central-1", "/dev/null"));
    assert!(got["AWS_CONTAINER_CREDENTIALS_FULL_URI"].starts_with("http://127.0.0.1:"), "{got:?}");
    assert_eq!((sts.forms()[0]["DurationSeconds"].as_str(), issuer.requests().len()), ("900", 1));
    // The rules of the flag are those of a credential of Vault.
    let token = world.id_token().audience(AWS);
    let ran = with_token(&world, &sts, &token, &["true"]).env("AWS_PROFILE", "ci").run();
    assert_eq!((ran.code, ran.stderr.as_str(), sts.requests().len()), (0, "", 2), "{ran:?}");
    assert_eq!(world.vault.connections(), 0);
}

/// Asks who it is for ten seconds.
const BOTO3: &str = r"
import time
import boto3
client, calls, end = boto3.client('sts'), 0, time.time() + 10
while time.time() < end:
    arn = client.get_caller_identity()['Arn']
    calls += 1
    time.sleep(0.5)
print(arn, calls)
";

// check: 24
#[test]
fn boto3_works_for_longer_than_three_sessions_and_each_was_given_for_a_new_id_token() {
    let Some(python) = moto::python() else { return };
    let (world, sts) = (World::start(), Sts::start(ISSUER, AWS, Vec::new()));
    // Three of these seconds are half of them.
    sts.shorten(6);
    // The deadline of the run is over when the third session is asked for.
    let line = "--region us-east-1 --timeout 5s";
    let (run, issuer) = with_request(&world, &sts, line, &[&python.display().to_string(), "-c", BOTO3]);
    let begun = Instant::now();
    let ran = run.run();
    // One for each half of a life, which a busy machine makes longer, and the first.
    let most = usize::try_from(begun.elapsed().as_secs() / 3).expect("seconds") + 2;
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    let [arn, calls] = words[..] else { panic!("{ran:?}") };
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(arn.ends_with(":assumed-role/ci/someproject-302"), "{ran:?}");
    let (shown, calls) = (shown(&sts), calls.parse::<usize>().expect("calls"));
    println!("boto3: {calls} calls, {} sessions", shown.len());
    assert!((3..=most).contains(&shown.len()) && calls >= 3, "{} sessions: {ran:?}", shown.len());
    let tokens: BTreeSet<_> = shown.iter().collect();
    assert_eq!((tokens.len(), issuer.requests().len()), (shown.len(), shown.len()));
    assert_eq!(sts.requests().len(), shown.len() + calls);
}

#[test]
fn the_only_id_token_of_a_job_gets_one_more_session_before_it_expires_and_then_the_reason_is_told() {
    let world = World::start();
    let (quick, long) = (Sts::start(ISSUER, AWS, Vec::new()), Sts::start(ISSUER, AWS, Vec::new()));
    let token = || world.id_token().audience(AWS);
    // Of an hour, 44 minutes would pass before a second session. The token expires a minute after its last call.
    let run = with_token(&world, &long, &token().expires_in(62), &["sh", "-c", WAIT]);
    let patient = Served::of(&run);
    let first = patient.get();
    quick.shorten(4);
    let run = with_token(&world, &quick, &token().expires_in(2), &["sh", "-c", WAIT]);
    let run = run
        .env("GITLAB_CI", "true")
        .env("CI_JOB_TIMEOUT", "86400")
        .env("CI_JOB_STARTED_AT", &jiff::Timestamp::now().to_string());
    let of_gitlab = Served::of(&run);
    // GitHub would sign another one.
    let run = with_token(&world, &quick, &token().expires_in(2), &["sh", "-c", WAIT]);
    let of_github = Served::of(&run.env("GITHUB_ACTIONS", "true"));
    assert_eq!(of_gitlab.get().key(), AWS_SESSION.id);
    for (served, hint) in [
        (of_gitlab, "raise `timeout:` of the job, for which GitLab's ID tokens live, or raise --ttl"),
        (of_github, "pass --id-token-from github in place of AWS_ID_TOKEN"),
    ] {
        wait_until("the token has expired", || served.get().status == 500);
        let failure = served.get();
        let message = failure.json()["message"].as_str().expect("a message").to_owned();
        for words in [
            "no new credential of sts:AssumeRoleWithWebIdentity",
            "the ID token (from AWS_ID_TOKEN) expired at 20",
            hint,
        ] {
            assert!(message.contains(words), "{words}: {failure:?}");
        }
        let ran = served.end();
        assert_eq!(ran.stderr.matches("warning: no new credential").count(), 1, "{ran:?}");
        assert!(ran.stderr.contains(&format!("and none follows it\n  hint: {hint}")), "{ran:?}");
        // What is known of the job's end is told at the beginning.
        let early = "the last credential expires at 20";
        assert_eq!(ran.stderr.contains(early), hint.starts_with("raise"), "{ran:?}");
    }
    assert!(shown(&quick).len() <= 4, "{:?}", quick.requests().len());
    wait_until("the last call", || shown(&long).len() == 2);
    assert!(patient.get().json()["Expiration"].as_str() > first.json()["Expiration"].as_str());
    let ran = patient.end();
    assert_eq!((ran.stderr.as_str(), shown(&long).len()), ("", 2), "{ran:?}");
}
