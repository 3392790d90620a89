//! `exec --serve`: what the endpoint answers, whom it refuses, and when a new credential is read.

mod consumer;
mod refused;
mod rotated;
mod session;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use dev_vault::{Fault, On};
use serde_json::{Value, json};

use crate::support::{Ran, Run, World};

const AWS: &str = "exec aws --role 365-dev --serve";

/// The line, and the command behind it.
fn exec(world: &World, method: &str, line: &str, command: &[&str]) -> Run {
    let run = world.command_as(method, line).arg("--");
    command.iter().fold(run, |run, word| run.arg(word))
}

/// STS credentials of this Vault live for so many seconds, which no STS would grant.
fn shorten(world: &World, seconds: u64) {
    let change = move |mut answer: Value| {
        answer["lease_duration"] = json!(seconds);
        answer
    };
    world.vault.inject(On::path("/aws/sts/365-dev").every(), Fault::rewrite(Box::new(change)));
}

fn minted(world: &World) -> usize {
    world.vault.minted().values().sum()
}

/// A command that waits, and the endpoint that it was told of.
struct Served {
    child: Child,
    stdin: Option<ChildStdin>,
    authority: String,
    token: String,
}

/// What came of one connection.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn key(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["AccessKeyId"].as_str().expect("a key").to_owned()
    }
}

impl Served {
    fn start(world: &World, method: &str, line: &str) -> Self {
        let script = "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN; read end";
        Self::of(&exec(world, method, line, &["sh", "-c", script]))
    }

    fn of(run: &Run) -> Self {
        let mut command = run.to_command();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its stdout")).read_line(&mut line).expect("a line");
        let Some((uri, token)) = line.trim().split_once(' ') else { panic!("{:?}", child.wait_with_output()) };
        let authority = uri.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/get-credentials"));
        Self { stdin, authority: authority.expect(uri).to_owned(), token: token.to_owned(), child }
    }

    fn address(&self) -> SocketAddr {
        self.authority.parse().expect("an address")
    }

    /// The request of an SDK.
    fn request(&self) -> String {
        format!(
            "GET /get-credentials HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nAuthorization: {}\r\n\r\n",
            self.authority, self.token
        )
    }

    fn get(&self) -> Reply {
        self.send(&self.request())
    }

    fn send(&self, text: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        // An answer may come before all is written.
        let _ = stream.write_all(text.as_bytes());
        reply(stream)
    }

    /// Lets the command end.
    fn end(mut self) -> Ran {
        drop(self.stdin.take());
        Ran::from(self.child.wait_with_output().expect("its end"))
    }
}

fn reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn variables(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

// check: 8
#[test]
fn the_environment_of_the_command_has_the_endpoint_and_nothing_that_sdks_prefer() {
    let world = World::start();
    let stale = [
        ("AWS_ACCESS_KEY_ID", "AKIAOLD"),
        ("AWS_SECRET_ACCESS_KEY", "old"),
        ("AWS_SESSION_TOKEN", "old"),
        ("AWS_SECURITY_TOKEN", "old"),
        ("AWS_CREDENTIAL_EXPIRATION", "old"),
        ("AWS_PROFILE", "old"),
        ("AWS_DEFAULT_PROFILE", "old"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/old"),
        ("AWS_CONFIG_FILE", "/old"),
    ];
    let run = exec(&world, "id-token", AWS, &["env"]).env("BUILD_ID", "42");
    let run = stale.iter().fold(run, |run, (name, value)| run.env(name, value));
    let mut expected = run.variables().clone();
    for name in stale.iter().map(|(name, _)| *name).chain(["VAULT_ID_TOKEN"]) {
        expected.remove(name);
    }
    for name in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
        expected.insert(name.into(), "/dev/null".into());
    }
    let mut got = variables(&run.run().ok());
    let uri = got.remove("AWS_CONTAINER_CREDENTIALS_FULL_URI").expect("an endpoint");
    assert!(uri.starts_with("http://127.0.0.1:") && uri.ends_with("/get-credentials"), "{uri}");
    let token = got.remove("AWS_CONTAINER_AUTHORIZATION_TOKEN").expect("a token");
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    assert_eq!(got, expected);
}

#[test]
fn the_endpoint_answers_with_the_credential_in_the_words_of_the_sdks() {
    let world = World::start();
    let served = Served::start(&world, "secret-id", AWS);
    let reply = served.get();
    let document = reply.json();
    let names: Vec<_> = document.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["AccessKeyId", "Expiration", "SecretAccessKey", "Token"]);
    assert!(reply.key().starts_with("ASIA") && document["Token"].as_str().is_some_and(|token| token.len() > 40));
    let end: jiff::Timestamp = document["Expiration"].as_str().and_then(|end| end.parse().ok()).expect("a time");
    let left = end.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3500..=3600).contains(&left), "{left}");
    for line in ["content-type: application/json", "cache-control: no-store", "connection: close"] {
        assert!(reply.head.contains(line), "{reply:?}");
    }
    assert_eq!(served.get().body, reply.body);
    let ran = served.end();
    assert_eq!((ran.code, ran.stderr.as_str(), minted(&world)), (1, "", 1));
}

#[test]
fn an_iam_user_has_an_empty_token_and_the_end_that_renewals_give_it() {
    let world = World::start();
    world.vault.write("aws/config/lease", json!({ "lease": "12s", "lease_max": "1h" }));
    let served = Served::start(&world, "secret-id", "exec aws --role user --via creds --serve");
    let end = || served.get().json()["Expiration"].as_str().expect("an end").to_owned();
    let (reply, first) = (served.get(), end());
    assert!(reply.key().starts_with("AKIA") && reply.json()["Token"] == "", "{reply:?}");
    std::thread::sleep(Duration::from_secs(13));
    assert!(end() > first && served.get().key() == reply.key());
    served.end();
    assert!(world.count("leases/renew") >= 1 && minted(&world) == 1);
    world.assert_nothing_left(&"an IAM user");
}

#[test]
fn other_credentials_are_in_the_environment_as_without_the_endpoint() {
    let world = World::start();
    let script = "echo $EXOSCALE_API_KEY ${AWS_ACCESS_KEY_ID-none} $AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let run = exec(&world, "secret-id", "exec aws exoscale --serve", &["sh", "-c", script]);
    let run = run.env("CI_CREDS_AWS_ROLE", "365-dev").env("CI_CREDS_EXOSCALE_ROLE", crate::support::ROLE);
    let text = run.run().ok();
    let words: Vec<_> = text.split_whitespace().collect();
    assert!(words[0].starts_with("EXO") && words[1] == "none" && words[2].starts_with("http://"), "{text}");
}

#[test]
fn what_does_not_go_with_it_is_told_before_anything_is_asked() {
    let world = World::start();
    for (line, hint) in [
        ("exec exoscale --role gitlab-ci-runner --serve", "exec aws --serve"),
        ("exec vault --serve", "exec aws --serve"),
        ("exec aws --role 365-dev --serve --keep-profile", "--keep-aws-config"),
        ("exec aws --role 365-dev --keep-aws-config", "--serve"),
    ] {
        let ran = exec(&world, "secret-id", line, &["true"]).run().failed(125, "usage");
        assert!(ran.stderr.contains(hint), "{ran:?}");
    }
    assert_eq!(world.requests(), [""; 0]);
    world.vault.write(&format!("auth/approle/role/{}", crate::support::ROLE), json!({ "token_num_uses": 50 }));
    let ran = exec(&world, "secret-id", AWS, &["true"]).run().failed(125, "config");
    assert!(ran.stderr.contains("--serve reads a new credential") && minted(&world) == 0, "{ran:?}");
}

#[test]
fn the_region_of_the_profile_is_handed_on_and_a_variable_beats_it_and_sets_the_other() {
    let world = World::start();
    let text = "[default]\nregion = eu-west-1\n[profile ci]\nregion = eu-west-2\naws_access_key_id = AKIAOLD\n";
    let config = world.file("aws-config", text);
    let ask_as = |line: &str, variables: &[(&str, &str)]| {
        let run = exec(&world, "secret-id", line, &["sh", "-c", "echo ${AWS_REGION-none} ${AWS_DEFAULT_REGION-none}"]);
        let run = run.env("AWS_CONFIG_FILE", &config.display().to_string());
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run().ok()
    };
    let ask = |variables: &[(&str, &str)]| ask_as(AWS, variables);
    assert_eq!(ask(&[]), "eu-west-1 eu-west-1\n");
    assert_eq!(ask(&[("AWS_PROFILE", "ci")]), "eu-west-2 eu-west-2\n");
    assert_eq!(ask(&[("AWS_PROFILE", "ci"), ("AWS_DEFAULT_REGION", "us-east-1")]), "us-east-1 us-east-1\n");
    assert_eq!(ask(&[("AWS_PROFILE", "ci"), ("AWS_REGION", "us-east-2")]), "us-east-2 us-east-2\n");
    let both = [("AWS_REGION", "us-east-2"), ("AWS_DEFAULT_REGION", "us-east-1")];
    assert_eq!(ask(&both), "us-east-2 us-east-1\n");
    let line = format!("{AWS} --region eu-north-1");
    for variables in [&[][..], &[("AWS_REGION", "us-east-2")]] {
        assert_eq!(ask_as(&line, variables), "eu-north-1 eu-north-1\n");
    }
}

#[test]
fn kept_files_that_sdks_prefer_are_told_before_the_command_starts() {
    let world = World::start();
    let keys = world.file("aws-credentials", "[ci]\naws_access_key_id = AKIAOLD\naws_secret_access_key = x\n");
    let line = format!("{AWS} --keep-aws-config");
    let run = exec(&world, "secret-id", &line, &["sh", "-c", "echo $AWS_PROFILE $AWS_SHARED_CREDENTIALS_FILE"]);
    let run = run.env("AWS_SHARED_CREDENTIALS_FILE", &keys.display().to_string()).env("AWS_CONFIG_FILE", "/dev/null");
    let ran = run.env("AWS_PROFILE", "ci").run();
    assert_eq!(ran.stdout, format!("ci {}\n", keys.display()));
    assert!(ran.stderr.contains("aws_access_key_id in line 2") && ran.stderr.lines().count() == 1, "{ran:?}");
}
