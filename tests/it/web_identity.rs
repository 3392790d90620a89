use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dev_vault::{
    AWS_SESSION, EXTERNAL_ID, FIRST_ROLE, Fault, GitlabToken, On, Reply, SECOND_KEYS, SECOND_ROLE, Sts, TokenIssuer,
    TokenWire,
};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::shell::{self, EVALS, Stage};
use crate::support::{ISSUER, Ran, Run, World, exports, leak, moto, tool};

/// What AWS's own actions ask for.
const AWS: &str = "sts.amazonaws.com";

fn token(world: &World) -> GitlabToken {
    world.id_token().audience(AWS)
}

fn start(first: Vec<Reply>) -> (World, Sts) {
    (World::start(), Sts::start(ISSUER, AWS, first))
}

/// A job with an ID token and no Vault.
fn job(world: &World, endpoint: &str, line: &str) -> Run {
    let run = world.command(&format!("aws --via web-identity {line}")).without("VAULT_ADDR");
    run.env("AWS_ENDPOINT_URL_STS", endpoint)
        .env("AWS_ID_TOKEN", &token(world).sign())
        .arg("--id-token-env")
        .arg("AWS_ID_TOKEN")
}

fn ci(world: &World, sts: &Sts, line: &str) -> Run {
    job(world, &sts.address(), &format!("--role-arn {FIRST_ROLE} {line}"))
}

/// What is told of a session that nobody got.
fn rest_of(role: &str, life: &str) -> String {
    format!("a session of {role} may remain: nobody can revoke it, and it expires within {life}")
}

fn assert_silent(world: &World, ran: &Ran) {
    let token = token(world).sign();
    let secrets =
        [&token[..60], AWS_SESSION.secret, AWS_SESSION.session.expect("a session"), SECOND_KEYS[1], SECOND_KEYS[2]];
    assert_eq!(leak::find(secrets, &ran.stderr), None, "{}", ran.stderr);
}

#[test]
fn a_role_that_trusts_the_issuer_takes_the_id_token_and_nobody_asks_vault() {
    let (world, sts) = start(Vec::new());
    let ran = ci(&world, &sts, "--region eu-central-1 -v").env("AWS_PROFILE", "stale").run();
    assert_silent(&world, &ran);
    for words in ["sts: 127.0.0.1", "nothing can revoke it", "ID token (from AWS_ID_TOKEN)", "sub project_path:"] {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    let stdout = ran.ok();
    let set = exports(&stdout);
    assert_eq!(set["AWS_ACCESS_KEY_ID"], AWS_SESSION.id);
    assert_eq!(set["AWS_SECRET_ACCESS_KEY"], AWS_SESSION.secret);
    assert_eq!(Some(set["AWS_SESSION_TOKEN"].as_str()), AWS_SESSION.session);
    assert_eq!((set["AWS_REGION"].as_str(), set["AWS_DEFAULT_REGION"].as_str()), ("eu-central-1", "eu-central-1"));
    assert!(set["AWS_CREDENTIAL_EXPIRATION"].ends_with('Z'));
    assert!(stdout.starts_with("unset AWS_ACCESS_KEY_ID") && stdout.contains(" AWS_PROFILE "), "{stdout}");
    let form = &sts.forms()[0];
    let names: Vec<_> = form.keys().map(String::as_str).collect();
    assert_eq!(names, ["Action", "RoleArn", "RoleSessionName", "Version", "WebIdentityToken"]);
    assert_eq!(form["RoleSessionName"], "someproject-302");
    assert_eq!((sts.requests().len(), world.vault.connections()), (1, 0));
}

#[test]
fn every_format_has_the_session_in_any_order_of_its_elements() {
    let (world, sts) = start(Vec::new());
    let json: Value = serde_json::from_str(&ci(&world, &sts, "--format json").run().ok()).expect("JSON");
    sts.reverse();
    let arn = "arn:aws:sts::123456789012:assumed-role/ci/someproject-302";
    assert_eq!((json["access_key"].as_str(), json["arn"].as_str()), (Some(AWS_SESSION.id), Some(arn)));
    assert_eq!((json["role"].as_str(), json["renewable"].as_bool()), (Some(FIRST_ROLE), Some(false)));
    assert!(json.get("lease_id").is_none());
    let process = ci(&world, &sts, "--format process --no-cache").run();
    assert_eq!(process.stderr, "");
    let process: Value = serde_json::from_str(&process.ok()).expect("JSON");
    assert_eq!((process["Version"].as_u64(), process["AccessKeyId"].as_str()), (Some(1), Some(AWS_SESSION.id)));
    assert!(process["Expiration"].is_string());
    for format in ["dotenv", "fish", "powershell"] {
        let stdout = ci(&world, &sts, &format!("--format {format}")).run().ok();
        assert!(stdout.contains(AWS_SESSION.secret), "{format}: {stdout}");
    }
    let pointers = exports(&ci(&world, &sts, "--format file").run().ok());
    let file = std::fs::read_to_string(&pointers["AWS_SHARED_CREDENTIALS_FILE"]).expect("the file");
    assert!(file.contains(AWS_SESSION.id) && file.contains("x_security_token_expires"));
}

#[test]
fn what_the_user_says_of_a_session_is_in_the_form_and_nothing_else() {
    let (world, sts) = start(Vec::new());
    let policy = world.file("policy.json", "{ \"Version\": \"2012-10-17\",\n \"Statement\": [] }\n");
    let arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"];
    let line = format!(
        "--session-name deploy-{{job_id}} --ttl 2h --policy-file {} --policy-arn {} --policy-arn {}",
        policy.display(),
        arns[0],
        arns[1]
    );
    ci(&world, &sts, &line).run().ok();
    let form = &sts.forms()[0];
    for (name, value) in [
        ("RoleSessionName", "deploy-302"),
        ("DurationSeconds", "7200"),
        ("Policy", "{\"Version\":\"2012-10-17\",\"Statement\":[]}"),
        ("PolicyArns.member.1.arn", arns[0]),
        ("PolicyArns.member.2.arn", arns[1]),
    ] {
        assert_eq!(form[name], value);
    }
    assert_eq!(form.len(), 9);
    // The file says it too, and the variable of the SDKs names the role.
    let text = format!(
        "[aws]\nvia = \"web-identity\"\nsession-name = \"of-the-file\"\npolicy-arn = \"{} {}\"\n",
        arns[0], arns[1]
    );
    let file = world.file("c.toml", &text);
    let run = world.command("aws").without("VAULT_ADDR").arg("--config").arg(&file.display().to_string());
    let run = run.env("AWS_ENDPOINT_URL_STS", &sts.address()).env("AWS_ROLE_ARN", FIRST_ROLE);
    run.env("VAULT_ID_TOKEN", &token(&world).sign()).run().ok();
    let form = &sts.forms()[1];
    assert_eq!((form["RoleSessionName"].as_str(), form["PolicyArns.member.2.arn"].as_str()), ("of-the-file", arns[1]));
}

// check: 3
#[test]
fn every_refusal_of_sts_is_told_by_its_cause_and_repeated_where_that_may_help() {
    let world = World::start();
    let secret = "told-by-sts-0123456789";
    let cases = [
        (
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://x",
            77,
            "denied",
            "create-open-id-connect-provider --url https://gitlab.example.com",
            1,
        ),
        (
            400,
            "InvalidIdentityToken",
            "Incorrect token audience",
            77,
            "denied",
            "sts.amazonaws.com: aws iam add-client-id",
            1,
        ),
        (400, "InvalidIdentityToken", "something else", 77, "denied", "RS256", 1),
        (400, "ExpiredTokenException", "Token expired", 77, "denied", "has expired", 1),
        (403, "IDPRejectedClaim", "no", 77, "denied", "is not valid", 1),
        (
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            77,
            "denied",
            "for sub project_path:somenamespace/someproject",
            1,
        ),
        (
            400,
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            78,
            "config",
            "lower --ttl",
            1,
        ),
        (400, "MalformedPolicyDocument", "no", 78, "config", "--policy-file", 1),
        (400, "PackedPolicyTooLarge", "no", 78, "config", "--policy-file", 1),
        (403, "RegionDisabledException", "no", 78, "config", "must enable this region", 1),
        (404, "", "no", 77, "denied", "AWS_ENDPOINT_URL_STS", 1),
    ];
    for (status, code, message, exit, kind, hint, requests) in cases {
        let sts = Sts::start(ISSUER, AWS, vec![Sts::refusal(status, code, &format!("{message} {secret}"))]);
        let ran = ci(&world, &sts, "-v").run().failed(exit, kind);
        assert!(ran.stderr.contains(hint) && ran.stderr.contains(FIRST_ROLE), "{hint}: {ran:?}");
        assert!(!ran.stderr.contains(secret), "{ran:?}");
        assert_silent(&world, &ran);
        ran.assert_marker(exit);
        assert_eq!(sts.requests().len(), requests, "{code}");
    }
    // The same request fares better later.
    for (status, code, times) in
        [(400, "IDPCommunicationError", 3), (400, "Throttling", 3), (503, "", 2), (500, "InternalFailure", 2)]
    {
        let sts = Sts::start(ISSUER, AWS, vec![Sts::refusal(status, code, "busy"); times]);
        let ran = ci(&world, &sts, "").run();
        // Whoever fails in the middle may have made one.
        assert_eq!(ran.stderr.contains(&rest_of(FIRST_ROLE, "1h")), status == 500, "{ran:?}");
        ran.ok();
        assert_eq!(sts.requests().len(), times + 1, "{code}");
        let once = Sts::start(ISSUER, AWS, vec![Sts::refusal(status, code, "busy")]);
        ci(&world, &once, "--retries 0").run().failed(
            if code == "Throttling" { 75 } else { 69 },
            if code == "Throttling" { "temporary" } else { "unavailable" },
        );
        assert_eq!(once.requests().len(), 1, "{code}");
    }
    // The keys of an issuer that could not be read may be readable now, and once more is enough.
    let keys =
        "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity";
    let sts = Sts::start(ISSUER, AWS, vec![Sts::refusal(400, "InvalidIdentityToken", keys); 5]);
    let ran = ci(&world, &sts, "").run().failed(69, "unavailable");
    assert!(ran.stderr.contains(".well-known/openid-configuration"), "{ran:?}");
    assert_eq!(sts.requests().len(), 2);
    // A repeat for another cause does not count as that one.
    let busy = Sts::refusal(503, "", "busy");
    let sts = Sts::start(ISSUER, AWS, vec![busy, Sts::refusal(400, "InvalidIdentityToken", keys)]);
    ci(&world, &sts, "").run().ok();
    assert_eq!(sts.requests().len(), 3);
    // Whoever is busy for longer than the run may last.
    let sts = Sts::start(ISSUER, AWS, vec![Sts::refusal(503, "", "busy"); 60]);
    ci(&world, &sts, "--timeout 1s").run().failed(69, "unavailable");
    assert!(sts.requests().len() >= 2);
}

// check: 5
#[test]
fn a_signal_while_sts_is_asked_tells_of_each_session_that_may_remain() {
    let second = format!("--assume {SECOND_ROLE} --external-id {EXTERNAL_ID}");
    for (line, nth) in [("", 1), (second.as_str(), 2)] {
        let (world, sts) = start(Vec::new());
        sts.inject(On::path("/").nth(nth), Fault::hang_after());
        let mut command = ci(&world, &sts, line).to_command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        let started = Instant::now();
        while sts.requests().len() < nth || !sts.requests()[nth - 1].processed {
            assert!(started.elapsed() < Duration::from_secs(30), "{:?}", sts.requests());
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
        let ran = Ran::from(child.wait_with_output().expect("its end"));
        assert_silent(&world, &ran);
        assert!(ran.stderr.contains("ended by a signal"), "{ran:?}");
        assert!(ran.stderr.contains(&rest_of(FIRST_ROLE, if nth == 1 { "1h" } else { "15m" })), "{ran:?}");
        assert_eq!(ran.stderr.contains(&rest_of(SECOND_ROLE, "1h")), nth == 2, "{ran:?}");
    }
}

#[test]
fn on_expiry_term_ends_a_command_while_its_session_of_aws_still_works() {
    let script = "trap 'date +%s; exit 9' TERM; while :; do sleep 0.1; done";
    let clean_up = || {
        let (world, sts) = start(Vec::new());
        sts.shorten(9);
        let mut run = ci(&world, &sts, "--on-expiry term");
        run.arguments.insert(0, "exec".to_owned());
        run.arguments.extend(["--", "sh", "-c", script].map(str::to_owned));
        let ran = run.run();
        assert_eq!(ran.code, 9, "{ran:?}");
        let (_, told) = ran.stderr.split_once(" expires at ").expect("the end is told");
        assert!(told.contains("and the command still runs; nobody can renew it"), "{ran:?}");
        assert_eq!(
            ran.stderr.matches(": sending SIGTERM to the command, as --on-expiry term says").count(),
            1,
            "{ran:?}"
        );
        let end: Timestamp = told.get(..20).and_then(|text| text.parse().ok()).expect("a time");
        ran.stdout.trim().parse::<i64>().expect("seconds") < end.as_second()
    };
    // A second and a half before the end can pass before a busy machine has run the trap: one run in time is enough.
    assert!((0..4).any(|_| clean_up()), "the session had expired");
}

// check: 1, 6
#[test]
fn what_is_no_answer_of_sts_is_not_believed_and_not_followed() {
    let world = World::start();
    let cases = [
        (Reply::html(200, "<html>welcome</html>"), 76, "protocol"),
        (Reply::json(200, &serde_json::json!({ "Credentials": {} })), 76, "protocol"),
        (Reply::status(204), 76, "protocol"),
        (Reply::status(307).header("Location", "http://127.0.0.1:1/"), 76, "protocol"),
    ];
    for (reply, exit, kind) in cases {
        let is_redirect = format!("{reply:?}").contains("307");
        let sts = Sts::start(ISSUER, AWS, vec![reply]);
        let ran = ci(&world, &sts, "").run().failed(exit, kind);
        assert_ne!(ran.stderr.contains(&rest_of(FIRST_ROLE, "1h")), is_redirect, "{ran:?}");
        assert!(ran.stderr.contains("AWS_ENDPOINT_URL_STS") && ran.stderr.contains("is STS"), "{ran:?}");
        assert_silent(&world, &ran);
        assert_eq!(sts.requests().len(), 1);
    }
    // A value that could end the quotes of a shell.
    let body = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAIOSFODNN7RUNNER2\
                </AccessKeyId><SecretAccessKey>a'; touch pwned; '</SecretAccessKey><SessionToken>t</SessionToken>\
                <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
                </AssumeRoleWithWebIdentityResponse>";
    let sts = Sts::start(ISSUER, AWS, vec![Reply::status(200).header("Content-Type", "text/xml").body(body)]);
    let ran = ci(&world, &sts, "").run().failed(65, "data");
    assert!(ran.stderr.contains(&rest_of(FIRST_ROLE, "1h")), "{ran:?}");
    ran.assert_marker(65);
    let ran = job(&world, "http://127.0.0.1:1", &format!("--role-arn {FIRST_ROLE} --timeout 1s")).run();
    assert!(ran.failed(69, "unavailable").stderr.contains("can reach AWS"));
}

// check: 13
#[test]
fn what_sts_would_refuse_or_must_not_see_is_not_sent() {
    let (world, sts) = start(Vec::new());
    let long = "a".repeat(65);
    let empty = world.file("empty.json", "[]");
    for (line, words) in [
        ("--role-arn deploy".to_owned(), "not the ARN of a role"),
        (format!("--role-arn {FIRST_ROLE} --session-name a"), "session name"),
        (format!("--role-arn {FIRST_ROLE} --session-name {long}"), "session name"),
        (format!("--role-arn {FIRST_ROLE} --ttl 14m"), "live for 15m to 12h"),
        (format!("--role-arn {FIRST_ROLE} --ttl 13h"), "live for 15m to 12h"),
        (format!("--role-arn {FIRST_ROLE} --policy-arn ReadOnlyAccess"), "policy ARN"),
        (format!("--role-arn {FIRST_ROLE} --policy-file {}", empty.display()), "not a JSON object"),
        (format!("--role-arn {FIRST_ROLE} --region cn-north-1"), "partition aws"),
        (format!("--role-arn {FIRST_ROLE} --role deploy"), "--role is for Vault"),
        (format!("--role-arn {FIRST_ROLE} --mount aws"), "--mount is for Vault"),
        (format!("--role-arn {FIRST_ROLE} --wait-ready"), "--wait-ready is for an IAM user"),
        (format!("--role-arn {FIRST_ROLE} --external-id x1"), "--external-id belongs to a second role"),
        (format!("--role-arn {FIRST_ROLE} --assume {SECOND_ROLE} --ttl 2h"), "15m to 1h, because"),
        (format!("--role-arn {FIRST_ROLE} --auth token"), "takes the job's ID token"),
    ] {
        let ran = job(&world, &sts.address(), &line).run().failed(64, "usage");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    let ran = job(&world, &sts.address(), "").run().failed(78, "config");
    assert!(ran.stderr.contains("AWS_ROLE_ARN"), "{ran:?}");
    // A token for a Vault, and one for nobody that is known.
    for audience in ["https://vault.example.com", "https://vault.example.com:8200", "my-client"] {
        let other = world.id_token().audience(audience).sign();
        let ran = ci(&world, &sts, "").env("AWS_ID_TOKEN", &other).run().failed(78, "config");
        assert!(ran.stderr.contains(audience) && ran.stderr.contains("it was not sent"), "{ran:?}");
    }
    // Somebody else's server, by a variable.
    for (endpoint, words) in [
        ("https://sts.evil.example", "which is not STS"),
        ("https://evil.s3.amazonaws.com", "which is not STS"),
        ("http://sts.amazonaws.com", "which is not STS"),
    ] {
        let ran = ci(&world, &sts, "").env("AWS_ENDPOINT_URL_STS", endpoint).run().failed(78, "config");
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let ran = ci(&world, &sts, "").without("AWS_ID_TOKEN").run().failed(66, "input");
    assert!(ran.stderr.contains("{AWS_ID_TOKEN: {aud: sts.amazonaws.com}}"), "{ran:?}");
    // A policy that limits nothing would be a surprise.
    let ran = world
        .command_as("token", &format!("aws --role deploy --policy-file {}", empty.display()))
        .run()
        .failed(64, "usage");
    assert!(ran.stderr.contains("--policy-file is for --via web-identity"), "{ran:?}");
    assert!(sts.requests().is_empty() && world.requests().iter().all(|request| !request.contains("aws")));
    // What the user insists on, and an audience that the user names.
    let other = world.id_token().audience("my-client").sign();
    let sts = Sts::start(ISSUER, "my-client", Vec::new());
    ci(&world, &sts, "--any-audience").env("AWS_ID_TOKEN", &other).run().ok();
    ci(&world, &sts, "--id-token-audience my-client").env("AWS_ID_TOKEN", &other).run().ok();
}

#[test]
fn a_second_role_is_assumed_with_the_session_of_the_first_one() {
    let (world, sts) = start(Vec::new());
    let line = format!("--assume {SECOND_ROLE} --external-id {EXTERNAL_ID} --source-identity ci --ttl 1h -v");
    let ran = ci(&world, &sts, &line).run();
    assert_silent(&world, &ran);
    let set = exports(&ran.ok());
    assert_eq!([&set["AWS_ACCESS_KEY_ID"], &set["AWS_SECRET_ACCESS_KEY"], &set["AWS_SESSION_TOKEN"]], SECOND_KEYS);
    let [first, second] = &sts.forms()[..] else { panic!("two requests") };
    assert_eq!((first["DurationSeconds"].as_str(), second["DurationSeconds"].as_str()), ("900", "3600"));
    assert_eq!((second["ExternalId"].as_str(), second["SourceIdentity"].as_str()), (EXTERNAL_ID, "ci"));
    assert_eq!(second["RoleSessionName"], "someproject-302");
    // It does not trust the first one without that.
    let ran = ci(&world, &sts, &format!("--assume {SECOND_ROLE}")).run().failed(77, "denied");
    assert!(ran.stderr.contains(&format!("did not let {FIRST_ROLE} assume {SECOND_ROLE}")), "{ran:?}");
    assert!(ran.stderr.contains("--external-id") && ran.stderr.contains(&rest_of(FIRST_ROLE, "15m")), "{ran:?}");
    assert_silent(&world, &ran);
}

// check: 7, 17
#[test]
fn the_cache_has_one_session_for_many_calls_of_a_job_and_asks_nobody() {
    let (world, sts) = start(Vec::new());
    let signed = token(&world).sign();
    let run = |line: &str| ci(&world, &sts, line).env("AWS_ID_TOKEN", &signed);
    let first = run("--cache").run().ok();
    let ran = run("--cache -v").run();
    assert!(ran.stderr.contains("AWS is not asked"), "{ran:?}");
    assert_eq!(exports(&ran.ok())["AWS_SESSION_TOKEN"], exports(&first)["AWS_SESSION_TOKEN"]);
    run("--format process").run().ok();
    assert_eq!(sts.requests().len(), 1);
    // Another session, and another token, are other entries.
    run("--cache --session-name other").run().ok();
    ci(&world, &sts, "--cache").env("AWS_ID_TOKEN", &token(&world).claim("job_id", "303").sign()).run().ok();
    assert_eq!(sts.requests().len(), 3);
}

#[test]
fn a_cached_session_is_listed_as_of_sts_and_revoke_says_that_it_cannot_be_revoked_and_forgets_it() {
    let (world, sts) = start(Vec::new());
    for command in ["revoke", "cache clear"] {
        let of_job = |run: Run, id: &str| run.env("CI", "true").env("CI_JOB_ID", id);
        for id in ["1", "2"] {
            of_job(ci(&world, &sts, "--cache --no-keep-state"), id).run().ok();
        }
        let list = world.command("cache").run().ok();
        assert_eq!(list.matches("ID token at AWS STS").count(), 2, "{list}");
        let told = of_job(world.command(command).without("VAULT_ADDR"), "1").run().ok();
        let words = format!("cannot be revoked: the STS session of {FIRST_ROLE}, which expires at 20");
        assert!(told.starts_with(&words) && told.lines().count() == 1, "{command}: {told}");
        let list = world.command("cache").run().ok();
        assert!(list.contains("CI_JOB_ID=2") && !list.contains("CI_JOB_ID=1"), "{command}: {list}");
        of_job(world.command(command).without("VAULT_ADDR"), "2").run().ok();
        assert_eq!(world.command("cache").run().ok(), "the cache is empty\n", "{command}");
    }
}

#[test]
fn a_command_runs_with_the_session_and_without_the_token_that_bought_it() {
    let (world, sts) = start(Vec::new());
    let line = format!("exec aws --via web-identity --role-arn {FIRST_ROLE} --ttl 1h --id-token-env AWS_ID_TOKEN -v");
    let print = "echo $AWS_ACCESS_KEY_ID ${AWS_ID_TOKEN-none} ${AWS_ROLE_ARN-none}; exit 7";
    let run = |line: &str| {
        let run = world.command(line).without("VAULT_ADDR").env("AWS_ENDPOINT_URL_STS", &sts.address());
        run.env("AWS_ID_TOKEN", &token(&world).sign()).env("AWS_ROLE_ARN", FIRST_ROLE)
    };
    let run_command = |line: &str| run(line).arg("--").arg("sh").arg("-c").arg(print);
    let ran = run_command(&line).run();
    assert_silent(&world, &ran);
    assert_eq!((ran.code, ran.stdout.as_str()), (7, format!("{} none none\n", AWS_SESSION.id).as_str()), "{ran:?}");
    assert_eq!(sts.forms()[0]["DurationSeconds"], "3600");
    // What needs a Vault beside it.
    for (line, words) in [
        (line.replace("exec aws", "exec exoscale aws"), "another credential needs one"),
        (line.replace("exec aws", "exec aws vault"), "the Vault token needs one"),
    ] {
        let ran = run_command(&line).run();
        assert!(ran.code == 125 && ran.stderr.contains(words), "{ran:?}");
    }
    let refused = Sts::start(ISSUER, "other", Vec::new());
    let ran = run_command(&line).env("AWS_ENDPOINT_URL_STS", &refused.address()).run();
    assert!(ran.code == 125 && ran.stderr.contains("error[denied]") && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!((sts.requests().len(), world.vault.connections()), (1, 0));
}

// check: 3
#[test]
fn doctor_walks_to_sts_tells_the_claims_and_shows_the_token_to_nobody() {
    let (world, sts) = start(Vec::new());
    let line = format!("doctor aws --via web-identity --role-arn {FIRST_ROLE} --id-token-env AWS_ID_TOKEN");
    let run = world.command(&line).without("VAULT_ADDR").env("AWS_ENDPOINT_URL_STS", &sts.address());
    let signed = token(&world).sign();
    let ran = run.clone().env("AWS_ID_TOKEN", &signed).run();
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in
        ["configuration", "address", "connection", "tls", "identity", "sts.amazonaws.com", "project_path:", FIRST_ROLE]
    {
        assert!(ran.stdout.contains(words), "{words}: {ran:?}");
    }
    assert!(ran.stdout.contains("a session of AWS cannot be revoked"), "{ran:?}");
    assert_eq!(leak::find([&signed[..60]], &ran.stdout), None);
    assert!(sts.requests().iter().all(|request| request.body.is_empty()));
    let other = world.id_token().sign();
    let ran = run.env("AWS_ID_TOKEN", &other).run();
    assert!(ran.code == 78 && ran.stdout.contains("not for AWS"), "{ran:?}");
}

#[test]
fn a_job_of_github_has_a_token_signed_for_aws_and_no_other_audience() {
    let (world, sts) = start(Vec::new());
    let signed = token(&world);
    let issuer =
        TokenIssuer::start(TokenWire::Github, "proof-of-this-one-job-0123456789", Vec::new(), move |audience| {
            signed.clone().audience(audience).sign()
        });
    let run =
        world.command(&format!("aws --via web-identity --role-arn {FIRST_ROLE} --no-cache")).without("VAULT_ADDR");
    let run = run.env("GITHUB_ACTIONS", "true").env("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.url());
    let run = run.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "proof-of-this-one-job-0123456789");
    run.env("AWS_ENDPOINT_URL_STS", &sts.address()).run().ok();
    let query = issuer.requests()[0].query.clone().unwrap_or_default();
    assert_eq!(query, "api-version=2.0&audience=sts.amazonaws.com");
    assert_eq!(sts.requests().len(), 1);
}

/// A moto that checks no signature: the request that shows an ID token has none.
const MOTO: &str = r#"
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"#;

// check: 24
#[test]
fn aws_cli_works_with_the_exports_of_a_session_of_moto() {
    let (Some(python), Some(aws)) = (moto::python(), tool::find("aws")) else { return };
    let world = World::start();
    let mut server = Command::new(python);
    server.arg("-c").arg(MOTO).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = server.spawn().expect("moto");
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().expect("its stdout")).read_line(&mut endpoint).expect("a line");
    let endpoint = endpoint.trim();
    for second in ["", "--assume arn:aws:iam::210987654321:role/deploy"] {
        let line = format!("--role-arn {FIRST_ROLE} --region us-east-1 {second}");
        let set = exports(&job(&world, endpoint, &line).run().ok());
        let mut command = Command::new(&aws);
        command.args(["sts", "get-caller-identity", "--output", "json", "--endpoint-url", endpoint]);
        command.env_clear().envs(&set).env("HOME", world.home()).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let told: Value = serde_json::from_str(&Ran::of(command).ok()).expect("JSON");
        let arn = told["Arn"].as_str().unwrap_or_default().to_owned();
        let role =
            if second.is_empty() { "123456789012:assumed-role/ci/" } else { "210987654321:assumed-role/deploy/" };
        assert!(arn.contains(role) && arn.ends_with("someproject-302"), "{arn}");
    }
    drop(server.stdin.take());
    server.wait().expect("its end");
}

/// The limits of STS as botocore's model has them.
const LIMITS: &str = r#"
import json, botocore.session
model = botocore.session.get_session().get_service_model("sts")
one = model.operation_model("AssumeRoleWithWebIdentity").input_shape.members
two = model.operation_model("AssumeRole").input_shape.members
limits = lambda shape: [shape.metadata.get("min"), shape.metadata.get("max")]
print(json.dumps([limits(one[name]) for name in ("RoleArn", "RoleSessionName", "DurationSeconds", "WebIdentityToken")]
    + [limits(two[name]) for name in ("ExternalId", "SourceIdentity")]))
"#;

#[test]
fn the_limits_are_those_of_botocores_model() {
    let Some(python) = moto::python() else { return };
    let mut command = Command::new(python);
    command.arg("-c").arg(LIMITS).stdin(Stdio::null());
    let limits: Vec<[u64; 2]> = serde_json::from_str(&Ran::of(command).ok()).expect("limits");
    let (world, sts) = start(Vec::new());
    assert_eq!((limits[0], limits[3]), ([20, 2048], [4, 20_000]));
    let (name, life, external, identity) = (limits[1], limits[2], limits[4], limits[5]);
    let text = |length: u64| "a".repeat(usize::try_from(length).expect("a length"));
    let second = format!("--assume {SECOND_ROLE}");
    for (line, fits) in [
        (format!("--session-name {}", text(name[0])), true),
        (format!("--session-name {}", text(name[0] - 1)), false),
        (format!("--session-name {}", text(name[1])), true),
        (format!("--session-name {}", text(name[1] + 1)), false),
        (format!("--ttl {}s", life[0]), true),
        (format!("--ttl {}s", life[0] - 1), false),
        (format!("--ttl {}s", life[1]), true),
        (format!("--ttl {}s", life[1] + 1), false),
        (format!("{second} --external-id {}", text(external[1])), true),
        (format!("{second} --external-id {}", text(external[1] + 1)), false),
        (format!("{second} --source-identity {}", text(identity[1])), true),
        (format!("{second} --source-identity {}", text(identity[1] + 1)), false),
    ] {
        // What fits gets an answer of STS, whatever that says.
        let ran = ci(&world, &sts, &line).run();
        assert_eq!(ran.code != 64, fits, "{line}: {ran:?}");
    }
}

/// A job that gets its token in a file, for the SDKs.
fn token_job(world: &World, sts: &Sts, line: &str) -> Run {
    ci(world, sts, &format!("--format web-identity {line}"))
}

// check: 2, 8
#[test]
fn in_every_shell_an_eval_points_the_sdks_to_a_private_file_with_the_id_token_and_nobody_is_asked() {
    let (world, sts) = start(Vec::new());
    let signed = token(&world).sign();
    let run = token_job(&world, &sts, "").env("AWS_ID_TOKEN", &signed);
    let stale = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ];
    let stage = stale.iter().fold(Stage::new(&world, &run), |stage, name| stage.env(name, "stale"));
    let call = format!(
        "ci-creds aws --via web-identity --role-arn {FIRST_ROLE} --id-token-env AWS_ID_TOKEN --format web-identity"
    );
    for shell in shell::posix() {
        for (open, close) in EVALS {
            let script = format!(
                "set -eu\numask 000\nenv -0 >\"$OUT/before\"\n{open}{call} --region eu-1{close}\nenv -0 >\"$OUT/after\"\n"
            );
            let played = stage.play(&shell, &script);
            assert_eq!((played.ran.code, played.ran.stderr.as_str()), (0, ""), "{}: {:?}", shell.name, played.ran);
            let path = PathBuf::from(&played.dump("after")["AWS_WEB_IDENTITY_TOKEN_FILE"]);
            let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o7777;
            assert_eq!((mode(path.parent().expect("a folder")), mode(&path)), (0o700, 0o600));
            assert_eq!(std::fs::read_to_string(&path).expect("the file"), signed);
            let mut expected: BTreeMap<&str, Option<String>> = stale.iter().map(|name| (*name, None)).collect();
            expected.insert("AWS_WEB_IDENTITY_TOKEN_FILE", Some(path.display().to_string()));
            expected.insert("AWS_ROLE_ARN", Some(FIRST_ROLE.into()));
            expected.insert("AWS_ROLE_SESSION_NAME", Some("someproject-302".into()));
            expected.extend(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name, Some("eu-1".to_owned()))));
            played.assert_changed(shell.name, &expected);
        }
        // A failure takes the keys away, and fails the eval.
        let script = format!(
            "env -0 >\"$OUT/before\"\neval $({call} --assume x) || code=$?\nenv -0 >\"$OUT/after\"\nexit $code\n"
        );
        let played = stage.play(&shell, &script);
        assert_eq!(played.ran.code, 64, "{}: {:?}", shell.name, played.ran);
        played.assert_changed(shell.name, &stale.iter().map(|name| (*name, None)).collect());
    }
    assert_eq!((sts.requests().len(), world.vault.connections()), (0, 0));
    let ran = token_job(&world, &sts, "-v").run();
    assert_silent(&world, &ran);
    assert_eq!(leak::find([&signed[..60]], &ran.stdout), None);
}

#[test]
fn what_the_sdks_would_not_know_is_refused_before_there_is_a_file() {
    let (world, sts) = start(Vec::new());
    let policy = world.file("policy.json", "{}").display().to_string();
    for (line, words, hint) in [
        (format!("--assume {SECOND_ROLE}"), "a second role (--assume)", "use --format shell"),
        ("--cache".to_owned(), "--cache has nothing to keep", "drop --cache"),
        ("--ttl 1h".to_owned(), "the lifetime (--ttl)", "use --format shell"),
        (format!("--policy-file {policy}"), "a policy (--policy-file)", "use --format shell"),
        ("--policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned(), "(--policy-arn)", "use --format shell"),
        ("--fips".to_owned(), "the FIPS endpoint (--fips)", "use --format shell"),
    ] {
        let ran = token_job(&world, &sts, &line).run().failed(78, "config");
        assert!(ran.stderr.contains(words) && ran.stderr.contains(hint), "{line}: {ran:?}");
        assert!(ran.stdout.ends_with("(exit 78);\n"), "{ran:?}");
    }
    token_job(&world, &sts, "--keep-profile").run().failed(64, "usage");
    for (life, words) in [(899, "expires in 14m"), (-5, "has expired")] {
        let short = token(&world).expires_in(life).sign();
        let ran = token_job(&world, &sts, "").env("AWS_ID_TOKEN", &short).run().failed(78, "config");
        assert!(ran.stderr.contains(words) && ran.stderr.contains("needs 15m"), "{ran:?}");
        assert!(ran.stderr.contains("use --format shell"), "{ran:?}");
    }
    let long = token(&world).expires_in(960).sign();
    token_job(&world, &sts, "").env("AWS_ID_TOKEN", &long).run().ok();
    for line in ["aws --role deploy", "exoscale --role deploy", "token", "secret --path kv/x --env A=b"] {
        let ran = world.command_as("token", &format!("{line} --format web-identity")).run().failed(78, "config");
        assert!(ran.stderr.contains("needs --via web-identity"), "{line}: {ran:?}");
    }
    let line = format!("exec aws --via web-identity --role-arn {FIRST_ROLE} --format web-identity -- true");
    let ran = world.command(&line).run();
    assert!(ran.code == 125 && ran.stderr.contains("put ci-creds aws into an eval"), "{ran:?}");
    assert_eq!((sts.requests().len(), world.vault.connections()), (0, 0));
    assert_eq!(std::fs::read_dir(world.path("tmp")).expect("the folder").count(), 1);
}

/// Two SDKs that find the file by its variable, in a job that had other credentials.
// check: 24
#[test]
fn aws_cli_and_boto3_assume_the_role_with_the_token_in_the_file_and_work_with_the_session() {
    let (Some(aws), Some(python)) = (tool::find("aws"), moto::python()) else { return };
    let (world, sts) = start(Vec::new());
    let run = token_job(&world, &sts, "");
    let programs = [("AWS", &aws), ("PYTHON", &python)];
    let stage = programs
        .iter()
        .fold(Stage::new(&world, &run), |stage, (name, path)| stage.env(name, &path.display().to_string()));
    let stage = stage.env("AWS_ACCESS_KEY_ID", "AKIASTALE").env("AWS_SECRET_ACCESS_KEY", "stale");
    let stage = stage.env("AWS_PROFILE", "missing").env("AWS_EC2_METADATA_DISABLED", "true");
    let script = format!(
        "set -eu\neval $(ci-creds aws --via web-identity --role-arn {FIRST_ROLE} --id-token-env AWS_ID_TOKEN \
         --format web-identity --region us-east-1 || echo false)\nenv -0 >\"$OUT/after\"\n\
         \"$AWS\" sts get-caller-identity --query Arn --output text\n\
         \"$PYTHON\" -c 'import boto3; print(boto3.client(\"sts\").get_caller_identity()[\"Arn\"])'\n"
    );
    let shell = shell::posix().into_iter().next().expect("a shell");
    let played = stage.play(&shell, &script);
    let arn = "arn:aws:sts::123456789012:assumed-role/ci/someproject-302\n";
    assert_eq!((played.ran.code, played.ran.stdout.as_str()), (0, arn.repeat(2).as_str()), "{:?}", played.ran);
    let path = &played.dump("after")["AWS_WEB_IDENTITY_TOKEN_FILE"];
    let file = std::fs::read_to_string(path).expect("the file");
    for [shown, asked] in sts.forms().chunks(2).map(|pair| [&pair[0], &pair[1]]) {
        assert_eq!(
            (shown["Action"].as_str(), shown["WebIdentityToken"].as_str()),
            ("AssumeRoleWithWebIdentity", &*file)
        );
        assert_eq!((shown["RoleArn"].as_str(), shown["RoleSessionName"].as_str()), (FIRST_ROLE, "someproject-302"));
        assert_eq!(asked["Action"], "GetCallerIdentity");
    }
    assert_eq!(sts.requests().len(), 4);
}
