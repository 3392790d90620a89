use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ci_creds::aws::sts;
use dev_vault::{Fault, On, Proxy, Recorded, Reply, Sink, Tls};
use serde_json::{Value, json};

use crate::consumer::job;
use crate::support::expect::stopped;
use crate::support::parallel::each;
use crate::support::{Ran, Run, World, moto};

/// The pause is a sixtieth of the wait, which ends with the run: a sixth of a second for what succeeds, and a
/// thirtieth for what never does.
const WAIT: &str = "aws --via creds --role user --wait-ready --timeout 10s";
const IN_VAIN: &str = "aws --via creds --role user --wait-ready --timeout 2s";

fn known() -> Reply {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                <Arn>arn:aws:iam::123123123123:user/ci</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>";
    Reply::status(200).header("Content-Type", "text/xml").body(body)
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>'; touch pwned</Message></Error></ErrorResponse>"
    );
    Reply::status(status).header("Content-Type", "text/xml").body(body)
}

fn unknown() -> Reply {
    error(403, "InvalidClientTokenId")
}

fn sts(replies: Vec<Reply>) -> Sink {
    Sink::answering(Tls::Off, replies)
}

/// A job whose login is its own, so that what it was given can be taken back.
fn command(world: &World, sts: &Sink, line: &str) -> Run {
    world.command_as("id-token", line).env("AWS_ENDPOINT_URL_STS", &sts.address())
}

/// A run that ends with this code, and revokes its key.
fn given_back(world: &World, run: &Run, (code, kind): (i32, &str), words: &[&str], hint: &[&str]) -> Ran {
    let ran = run.run().refused(world, code, kind, words, hint);
    assert_eq!(world.vault.minted().len(), 1, "{ran:?}");
    world.assert_nothing_left(&ran);
    ran
}

#[test]
fn a_key_that_aws_never_knows_does_not_let_a_job_run_again_with_a_wrapping_token_that_is_spent() {
    for line in [IN_VAIN.to_owned(), format!("{IN_VAIN} --cache")] {
        let world = World::start();
        let sts = sts(vec![unknown()]);
        let run = world.command_as("wrapping-token", &line).env("AWS_ENDPOINT_URL_STS", &sts.address());
        let ran = run.run().failed(79, "spent");
        assert!(ran.stderr.contains("; the wrapping token is spent: a new run needs a new one"), "{ran:?}");
        world.assert_nothing_left(&ran);
        // Nobody stole it.
        let next = run.run().failed(79, "spent");
        assert_eq!(
            next.stderr.contains("an earlier call of this job used it at"),
            line.contains("--cache"),
            "{next:?}"
        );
    }
}

#[test]
fn a_key_is_handed_over_when_five_answers_in_a_row_knew_it() {
    let world = World::start();
    let replies = [vec![unknown(); 3], vec![known(); 4], vec![unknown()], vec![known()]].concat();
    let sts = sts(replies);
    let before = world.vault.secrets();
    let stdout = command(&world, &sts, WAIT).run().ok();
    let minted = world.minted_since(&after_login(&world, &before));
    assert!(stdout.contains(&minted.key) && stdout.contains(&minted.secret));
    // Four in a row, spoilt by one, count for nothing.
    assert_eq!(sts.requests().len(), 3 + 4 + 1 + 5);
    assert_eq!(sts.connections(), sts.requests().len(), "a kept connection would ask one server again and again");
    assert_eq!(world.vault.live_leases().len(), 1);
    for request in sts.requests() {
        assert_eq!((request.line().as_str(), &request.query), ("POST /", &None));
        let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort();
        let expected = [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-amz-date",
        ];
        assert_eq!(names, expected, "what is Vault's went to AWS");
    }
    assert_nothing_secret_was_sent(&world, &sts, &minted.key);
}

/// The secrets from before the read: the token of the login was made by the run itself.
fn after_login(world: &World, before: &BTreeSet<String>) -> BTreeSet<String> {
    let logins = world.vault.live_tokens().into_iter().map(|token| token.id);
    before.iter().cloned().chain(logins).collect()
}

fn assert_nothing_secret_was_sent(world: &World, sts: &Sink, key: &str) {
    let text = format!("{:?}", sts.requests());
    assert!(text.contains(key), "the key's id is what STS is asked about");
    for secret in world.vault.secrets() {
        assert!(secret == key || secret.len() < 8 || !text.contains(&secret), "a secret was sent: {text}");
    }
}

#[test]
fn who_is_denied_is_known() {
    let world = World::start();
    let sts = sts(vec![error(403, "AccessDenied")]);
    command(&world, &sts, WAIT).run().ok();
    assert_eq!(sts.requests().len(), 5);
}

#[test]
fn a_key_that_aws_never_knows_is_revoked_with_75() {
    let world = World::start();
    let sts = sts(vec![unknown()]);
    let begun = Instant::now();
    let words = ["the new key of aws/creds/user was not ready after 2 s", "answers 403 InvalidClientTokenId"];
    let ran = given_back(&world, &command(&world, &sts, IN_VAIN), (75, "temporary"), &words, &["--timeout"]);
    assert!(!ran.stderr.contains("pwned"), "{ran:?}");
    assert!(sts.requests().len() > 5, "{} questions", sts.requests().len());
    // The wait ends with the run, and not after the 30 s that it may have.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let key = world.vault.secrets().into_iter().find(|secret| format!("{:?}", sts.requests()).contains(secret));
    assert_nothing_secret_was_sent(&world, &sts, &key.expect("the key's id"));
}

#[test]
fn a_key_that_aws_never_knows_has_spent_a_wrapping_token_and_a_kept_login_is_told() {
    let spent = "; the wrapping token is spent: a new run needs a new one";
    let kept = format!("{spent}; the login is cached for the job's next call\n");
    each(vec![("", format!("{spent}\n")), ("--cache", kept)], |(cache, words)| {
        let world = World::start();
        let policy = "path \"aws/creds/*\" { capabilities = [\"read\"] }\n\
                      path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
        world.vault.write("sys/policies/acl/job", serde_json::json!({ "policy": policy }));
        let sts = sts(vec![unknown()]);
        let run = world.command_as("wrapping-token", &format!("{IN_VAIN} {cache}"));
        let ran = run.env("AWS_ENDPOINT_URL", &sts.address()).run().failed(79, "spent");
        assert!(ran.stderr.contains(&words), "{ran:?}");
        assert_eq!(world.vault.live_leases(), [], "{ran:?}");
    });
}

#[test]
fn a_wait_ends_with_the_run_also_after_a_slow_read_and_the_process_format_prints_nothing() {
    let world = World::start();
    let sts = sts(vec![unknown()]);
    world.vault.inject(On::path("/aws/creds/user"), Fault::delay(Duration::from_secs(3)));
    let begun = Instant::now();
    let line = "aws --via creds --role user --wait-ready --timeout 4s --format process";
    let ran = command(&world, &sts, line).run().failed(75, "temporary");
    // The wait alone could take the four seconds that the run has, behind the three of the read.
    assert!(begun.elapsed() < Duration::from_millis(6_900), "{:?}", begun.elapsed());
    assert_eq!(ran.stdout, "");
    assert!(!sts.requests().is_empty());
    world.assert_nothing_left(&ran);
    world.assert_no_secret_in(&ran.stderr);
}

// check: 14
#[test]
fn silence_does_not_outlive_the_run() {
    let world = World::start();
    // The kernel takes the connection; nobody ever reads from it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let run = world.command_as("id-token", IN_VAIN).env("AWS_ENDPOINT_URL", &url);
    given_back(&world, &run, (75, "temporary"), &["no complete answer"], &["AWS_ENDPOINT_URL_STS"]);
    // One question alone may take five seconds.
    assert!(begun.elapsed() < Duration::from_millis(4_900), "{:?}", begun.elapsed());
}

#[test]
fn the_process_format_waits_and_says_nothing_of_it() {
    let world = World::start();
    let sts = sts(vec![unknown(), known()]);
    let ran = command(&world, &sts, &format!("{WAIT} --format process")).run();
    assert_eq!(ran.stderr, "");
    let answer: Value = serde_json::from_str(&ran.ok()).expect("JSON");
    assert!(answer["AccessKeyId"].as_str().is_some_and(|key| key.starts_with("AKIA")), "{answer}");
    assert_eq!(sts.requests().len(), 6);
}

#[test]
fn a_key_that_was_kept_untried_is_tried_for_the_first_who_asks() {
    let world = World::start();
    let sts = sts([vec![unknown(); 2], vec![known()]].concat());
    let job = command(&world, &sts, "");
    let call = |line: &str| {
        let mut run = job.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run
    };
    let key = |stdout: &str| stdout.split('\'').nth(1).map(str::to_owned);
    let untried = "aws --via creds --role user --cache";
    let first = key(&call(untried).run().ok());
    assert_eq!(sts.requests().len(), 0);
    let asking = format!("{WAIT} --cache");
    assert_eq!(key(&call(&asking).run().ok()), first, "the key that is kept is the one that is tried");
    assert_eq!(sts.requests().len(), 2 + 5);
    for line in [untried, &asking] {
        assert_eq!(key(&call(line).run().ok()), first);
    }
    assert_eq!(sts.requests().len(), 2 + 5, "it is tried once");
    // What was tried before it was kept need not be tried again; STS's own need not be tried at all.
    let other = format!("{asking} --mount aws --ttl 20m");
    for line in [other.as_str(), &other, "aws --role 365-dev --cache", "aws --role 365-dev --cache --wait-ready"] {
        call(line).run().ok();
    }
    assert_eq!(sts.requests().len(), 2 + 5 + 5);
    assert_eq!(world.vault.minted()["aws/creds/user"], 2);
}

#[test]
fn a_kept_key_that_aws_does_not_know_is_not_handed_over_and_not_taken_from_the_others() {
    let world = World::start();
    let sts = sts(vec![unknown()]);
    let job = command(&world, &sts, "");
    let call = |line: &str| {
        let mut run = job.clone();
        run.arguments = line.split_whitespace().map(str::to_owned).collect();
        run
    };
    let untried = "aws --via creds --role user --format process";
    let first = call(untried).run().ok();
    let ran = call(&format!("{untried} --wait-ready --timeout 2s")).run().failed(75, "temporary");
    assert!(
        ran.stderr.contains("it is in the cache, from an earlier call: ci-creds cache clear revokes it"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout, "");
    assert_eq!(call(untried).run().ok(), first);
    assert_eq!((world.vault.minted()["aws/creds/user"], world.vault.live_leases().len()), (1, 1));
}

#[test]
fn credentials_of_sts_are_not_asked_about() {
    let world = World::start();
    let sts = sts(vec![unknown()]);
    for verbose in ["", "-v"] {
        let ran = command(&world, &sts, &format!("aws --role 365-dev --wait-ready {verbose}")).run();
        assert_eq!(ran.stderr.contains("STS credentials work at once"), verbose == "-v", "{ran:?}");
        ran.ok();
    }
    // An IAM user that came by the other path is one all the same.
    command(&world, &sts, "aws --role user --wait-ready --timeout 1s").run().failed(75, "temporary");
    assert!(!sts.requests().is_empty());
}

#[test]
fn nothing_is_asked_unless_it_was_asked_for() {
    let world = World::start();
    let sts = sts(vec![unknown()]);
    let line = "aws --via creds --role user";
    command(&world, &sts, line).run().ok();
    command(&world, &sts, line).env("AWS_ENDPOINT_URL_STS", "nonsense").env("AWS_REGION", "Nonsense").run().ok();
    let off = world.file("off.toml", "[aws]\nwait-ready = false\n").display().to_string();
    command(&world, &sts, line).arg("--config").arg(&off).run().ok();
    assert_eq!(sts.connections(), 0);
    let on = world.file("on.toml", "timeout = \"10s\"\n[aws]\nwait-ready = true\n").display().to_string();
    let known = Sink::answering(Tls::Off, vec![known()]);
    let ran = command(&world, &known, &format!("{line} -v")).arg("--config").arg(&on).run();
    let port = known.address().replace("http://", "");
    assert!(
        ran.stderr.contains(&format!("wait: until {port} (from AWS_ENDPOINT_URL_STS) knows a new key\n")),
        "{ran:?}"
    );
    assert!(ran.stderr.contains(&format!("ready: {port} knows the key, after 5 requests\n")), "{ran:?}");
    ran.ok();
    assert_eq!(known.requests().len(), 5);
}

#[test]
fn the_endpoint_of_sts_wins_over_the_general_one_and_blank_is_none() {
    let world = World::start();
    let (first, second) = (sts(vec![known()]), sts(vec![known()]));
    let run = command(&world, &first, WAIT).env("AWS_ENDPOINT_URL", &second.address());
    run.run().ok();
    assert_eq!((first.requests().len(), second.requests().len()), (5, 0));
    run.env("AWS_ENDPOINT_URL_STS", " ").run().ok();
    assert_eq!((first.requests().len(), second.requests().len()), (5, 5));
}

// check: 13
#[test]
fn an_invalid_endpoint_or_region_ends_the_run_before_any_request() {
    for (url, word) in [
        ("http://sts.amazonaws.com", "anyone on the network path"),
        ("http://127.0.0.1.evil.tld", "anyone on the network path"),
        ("http://0.0.0.0:4566", "anyone on the network path"),
        ("https://sts.amazonaws.com/path", "has a path"),
        ("https://user:Sw0rdfish@sts.amazonaws.com", "has a user name"),
        ("https://sts.amazonaws.com?x=Sw0rdfish", "has a query"),
        ("unix:///run/sts.sock", "does not begin with https://"),
        ("sts.amazonaws.com", "is not a URL"),
        ("$STS", "GitLab has no variable STS"),
    ] {
        for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"] {
            let world = World::start();
            // What lowers the guard for Vault speaks of Vault.
            let ran = world.command_as("id-token", &format!("{IN_VAIN} --allow-plaintext")).env(name, url).run();
            assert!(!ran.stderr.contains("Sw0rdfish"), "{ran:?}");
            stopped(ran, &world, (78, "config"), &[name, word, "hint: "]);
        }
    }
    for region in ["evil.example.com/", "EU-CENTRAL-1", "a b", "x:1", "x@y"] {
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            let world = World::start();
            let ran = world.command_as("id-token", IN_VAIN).env(name, region).run();
            stopped(ran, &world, (64, "usage"), &[name, "region"]);
        }
    }
}

// check: 13
#[test]
fn the_region_names_the_endpoint_and_everybodys_proxy_leads_there() {
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Variables<'_>, &str); 7] = [
        ("", &[], "sts.amazonaws.com"),
        ("--region eu-central-1", &[], "sts.eu-central-1.amazonaws.com"),
        ("--region eu-central-1", &[("AWS_REGION", "us-east-2")], "sts.eu-central-1.amazonaws.com"),
        ("", &[("AWS_REGION", "us-east-2"), ("AWS_DEFAULT_REGION", "eu-west-1")], "sts.us-east-2.amazonaws.com"),
        ("", &[("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_REGION", "")], "sts.eu-west-1.amazonaws.com"),
        ("", &[("AWS_REGION", "cn-north-1")], "sts.cn-north-1.amazonaws.com.cn"),
        ("", &[("AWS_ENDPOINT_URL_STS", "https://sts.invalid:8443")], "sts.invalid:8443"),
    ];
    for (line, variables, host) in cases {
        let world = World::start();
        // Whoever answers there has no certificate of AWS's: one handshake, and the end.
        let stranger = Sink::start(Tls::Valid);
        let port = stranger.address().rsplit(':').next().unwrap().parse().unwrap();
        let proxy = Proxy::to(([127, 0, 0, 1], port).into());
        let vaults = Proxy::refuse(Reply::html(502, "no"));
        let run = world.command_as("id-token", &format!("{IN_VAIN} {line}")).env("HTTPS_PROXY", &proxy.address());
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        // What Vault is reached with is of no use for AWS.
        let run = run.env("VAULT_PROXY_ADDR", &vaults.address()).env("VAULT_CACERT_BYTES", stranger.ca_pem().unwrap());
        given_back(&world, &run, (76, "protocol"), &[host, "signed by an unknown CA"], &["system's roots"]);
        let seen: Vec<_> = proxy.requests().iter().map(Recorded::line).collect();
        let port = if host.contains(':') { "" } else { ":443" };
        assert_eq!(seen, [format!("CONNECT {host}{port}")]);
        assert_eq!((stranger.requests().len(), vaults.connections()), (0, 0));
    }
}

#[test]
fn no_proxy_speaks_of_sts_too_and_a_proxy_that_refuses_is_told_at_the_end() {
    let world = World::start();
    let proxy = Proxy::refuse(Reply::html(502, "no"));
    let run = world.command_as("id-token", IN_VAIN).env("AWS_ENDPOINT_URL", "https://sts.invalid");
    let run = run.env("HTTPS_PROXY", &proxy.address());
    given_back(&world, &run, (75, "temporary"), &["cannot reach sts.invalid:443"], &["HTTPS_PROXY"]);
    let refused = proxy.connections();
    assert!(refused > 1, "{refused}");
    run.env("NO_PROXY", ".invalid").run().failed(75, "temporary");
    assert_eq!(proxy.connections(), refused);

    let world = World::start();
    let proxy = Proxy::refuse(Reply::html(407, "no"));
    let run = world.command_as("id-token", IN_VAIN).env("AWS_ENDPOINT_URL", "https://sts.invalid");
    let run = run.env("HTTPS_PROXY", &proxy.address());
    let words = ["the proxy from HTTPS_PROXY requires a login"];
    given_back(&world, &run, (76, "protocol"), &words, &["USER:PASSWORD@"]);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn an_answer_that_says_nothing_about_the_key_is_asked_again_and_reported_at_the_end() {
    let cases = [
        (error(400, "Throttling"), "answers 400 Throttling"),
        (Reply::status(429), "answers 429"),
        (Reply::html(503, "<html>'; touch pwned</html>"), "answers 503"),
        (error(403, "SignatureDoesNotMatch"), "answers 403 SignatureDoesNotMatch"),
    ];
    each(cases.into(), |(reply, words): (Reply, &str)| {
        let world = World::start();
        let never = sts(vec![reply.clone()]);
        given_back(&world, &command(&world, &never, IN_VAIN), (75, "temporary"), &[words], &[]);
        assert!(never.requests().len() > 5);
        let once = sts(vec![reply, known()]);
        command(&world, &once, WAIT).run().ok();
        assert_eq!(once.requests().len(), 6);
    });
    let world = World::start();
    let run = world.command_as("id-token", IN_VAIN).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    given_back(&world, &run, (75, "temporary"), &["127.0.0.1:1", "connection refused"], &["AWS_ENDPOINT_URL_STS"]);
}

#[test]
fn what_will_not_change_ends_the_wait_at_once() {
    let elsewhere = Sink::start(Tls::Off);
    let past = "Fri, 20 Nov 2015 12:00:00 GMT";
    let cases: [(Reply, &[&str], &str); 7] = [
        (error(403, "SignatureDoesNotMatch").header("Date", past), &["the clock here is", "s ahead"], "clock"),
        (error(400, "RequestExpired").header("Date", "Fri, 20 Nov 2099 12:00:00 GMT"), &["s behind"], "clock"),
        (error(403, "OptInRequired"), &["answers 403 OptInRequired"], "AWS_ENDPOINT_URL_STS"),
        (Reply::html(403, "<html>blocked</html>"), &["answers 403, which does not tell"], "AWS_ENDPOINT_URL_STS"),
        (Reply::html(200, "<html>log in first</html>"), &["answers 200, which does not tell"], "AWS_ENDPOINT_URL_STS"),
        (Reply::status(307).header("Location", &elsewhere.address()), &["answers 307"], "AWS_ENDPOINT_URL_STS"),
        (Reply::status(200).body(vec![b' '; (1 << 20) + 1]), &["larger than 1 MiB"], ""),
    ];
    for (reply, words, hint) in cases {
        let world = World::start();
        let sts = sts(vec![reply]);
        let (code, kind) = (76, "protocol");
        given_back(&world, &command(&world, &sts, WAIT), (code, kind), words, &[hint]);
        assert_eq!(sts.requests().len(), 1, "{words:?}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

// check: 5
#[test]
fn a_signal_during_the_wait_ends_the_run_with_its_code_and_revokes_the_key() {
    for (signal, code, kind) in [("TERM", 143, "terminated"), ("INT", 130, "interrupted")] {
        for method in ["id-token", "token"] {
            let world = World::start();
            let policy = "path \"aws/creds/*\" { capabilities = [\"read\"] }\npath \"sys/leases/revoke\" { capabilities = [\"update\"] }";
            world.vault.write("sys/policies/acl/job", json!({ "policy": policy }));
            let sts = sts(vec![unknown()]);
            let line = "aws --via creds --role user --wait-ready";
            let run = world.command_as(method, line).env("AWS_ENDPOINT_URL", &sts.address());
            let child = run.to_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            assert!(sts.wait_for_requests(2, Duration::from_secs(20)), "STS was never asked");
            assert_eq!(world.vault.live_leases().len(), 1);
            let kill = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
            assert!(kill.success());
            let ran = Ran::from(child.wait_with_output().unwrap()).failed(code, kind);
            ran.assert_marker(code);
            world.assert_no_secret_in(&ran.stderr);
            // A token of somebody else's stays; the one lease that was made with it does not.
            world.assert_nothing_left(&ran);
        }
    }
}

/// botocore's own signer, over what was sent: the requests on its stdin, their signatures on its stdout.
const SIGNER: &str = r#"
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for line in sys.stdin:
    key, secret, region, headers, body = json.loads(line)
    signed = {name: value for name, value in headers.items() if name in ("content-type", "host", "x-amz-date")}
    request = AWSRequest("POST", "http://%s/" % headers["host"], headers=signed, data=body.encode())
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key, secret), "sts", region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    print("AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=content-type;host;x-amz-date, Signature=%s" % (auth.scope(request), signature))
"#;

/// What a script of Python prints when this is its stdin.
fn python(script: &str, stdin: &str) -> Option<Vec<String>> {
    let mut child = Command::new(moto::python()?);
    let mut child = child.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    child.stdin.take().expect("its stdin").write_all(stdin.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect())
}

#[test]
fn botocore_signs_the_same_request_the_same_way() {
    for (variables, region) in [([("AWS_REGION", "eu-central-1")], "eu-central-1"), ([("AWS_REGION", "")], "us-east-1")]
    {
        let world = World::start();
        let sts = sts(vec![unknown(), known()]);
        let before = world.vault.secrets();
        let run = variables.iter().fold(command(&world, &sts, WAIT), |run, (name, value)| run.env(name, value));
        run.run().ok();
        let minted = world.minted_since(&after_login(&world, &before));
        let row = |request: &Recorded| {
            let headers: std::collections::BTreeMap<_, _> =
                request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
            let body = String::from_utf8(request.body.clone()).expect("a form");
            assert_eq!(body, "Action=GetCallerIdentity&Version=2011-06-15");
            json!([minted.key, minted.secret, region, headers, body]).to_string() + "\n"
        };
        let Some(signed) = python(SIGNER, &sts.requests().iter().map(row).collect::<String>()) else { return };
        let sent: Vec<_> =
            sts.requests().iter().map(|request| request.headers.get("authorization").unwrap().to_owned()).collect();
        assert_eq!((sent.len(), sent), (6, signed));
    }
}

#[test]
fn a_cloud_that_checks_signatures_knows_its_users_key_and_no_other_one() {
    let Some(cloud) = moto::cloud() else { return };
    let (_world, run) = job(cloud, "/aws/creds/user", &cloud.user);
    let words = |run: Run, line: &str| line.split(' ').fold(run, |run, word| run.arg(word));
    let ran = words(run, &format!("{WAIT} -v")).run();
    assert!(ran.stderr.contains("knows the key, after 5 requests"), "{ran:?}");
    ran.ok();
    // The double's own keys are none of this cloud's.
    let world = World::start();
    let run = world.command_as("id-token", IN_VAIN).env("AWS_ENDPOINT_URL", &cloud.endpoint);
    given_back(&world, &run, (75, "temporary"), &["answers 403 InvalidClientTokenId"], &["--timeout"]);
}

#[test]
fn sts_is_where_botocore_finds_it_in_every_region() {
    let script = "import botocore.session\ns = botocore.session.get_session()\n\
                  for p in s.get_available_partitions():\n  for r in s.get_available_regions('sts', p):\n    \
                  print(r, s.create_client('sts', region_name=r, aws_access_key_id='a', aws_secret_access_key='b').meta.endpoint_url)";
    let Some(rows) = python(script, "") else { return };
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        let (region, url) = row.split_once(' ').expect("two words");
        assert_eq!(sts::endpoint(Some(region)), (url.to_owned(), region.to_owned()));
    }
}

#[test]
fn a_command_starts_when_aws_knows_its_key_and_not_at_all_in_vain() {
    let world = World::start();
    let sts_knows = sts([vec![unknown(); 3], vec![known(); 5]].concat());
    let words = |run: Run| ["--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"].iter().fold(run, |run, word| run.arg(word));
    let key = words(command(&world, &sts_knows, &format!("exec {WAIT}"))).run().ok();
    assert!(key.starts_with("AKIA"), "{key}");
    assert_eq!(sts_knows.requests().len(), 8);
    world.assert_nothing_left(&key);
    let never = sts(vec![unknown()]);
    let ran = words(command(&world, &never, &format!("exec {IN_VAIN}"))).run().failed(125, "temporary");
    assert_eq!(ran.stdout, "", "{ran:?}");
    world.assert_nothing_left(&ran);
}
