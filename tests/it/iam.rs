//! Logins with the runner's own AWS credentials: the signed request, its refusals, and where the credentials come from.

use std::process::Command;

use ci_creds::aws::sts;
use ci_creds::identity::AwsKeys;
use ci_creds::secret::Secret;
use dev_vault::{AWS_SESSION, AWS_USER, AwsPrincipal, Fault, Machine, On, Reply, Sink, Tls};
use serde_json::json;

use crate::support::{Ran, Run, World, exports, moto};

const LINE: &str = "exoscale --role gitlab-ci-runner --auth aws --auth-role ci";
const SERVER_ID: &str = "vault.example.com";

/// A Vault whose AWS method knows both principals, and demands a server ID.
fn world() -> World {
    let world = World::start();
    world.vault.write("sys/auth/aws", json!({ "type": "aws" }));
    world.vault.write("auth/aws/config/client", json!({ "iam_server_id_header_value": SERVER_ID }));
    let arns = ["arn:aws:iam::123456789012:role/ci-runner", AWS_USER.arn];
    role(&world, "ci", &arns);
    role(&world, "other", &["arn:aws:iam::123456789012:role/other"]);
    world
}

fn role(world: &World, name: &str, arns: &[&str]) {
    let role =
        json!({ "auth_type": "iam", "bound_iam_principal_arn": arns, "token_policies": ["job"], "token_ttl": "15m" });
    world.vault.write(&format!("auth/aws/role/{name}"), role);
}

/// With a principal's credentials in the environment.
fn with_keys(run: Run, principal: AwsPrincipal) -> Run {
    let run = run.env("AWS_ACCESS_KEY_ID", principal.id).env("AWS_SECRET_ACCESS_KEY", principal.secret);
    match principal.session {
        Some(token) => run.env("AWS_SESSION_TOKEN", token),
        None => run,
    }
}

fn job(world: &World, line: &str) -> Run {
    let run = with_keys(world.command(&format!("{LINE} {line}")), AWS_SESSION);
    if line.contains("--iam-server-id") { run } else { run.env("CI_CREDS_IAM_SERVER_ID", SERVER_ID) }
}

fn assert_no_key_in(ran: &Ran) {
    for principal in [AWS_USER, AWS_SESSION] {
        let starts = [principal.secret].into_iter().chain(principal.session).map(|secret| &secret[..8]);
        for word in starts.chain(["AWS4-HMAC", "Signature="]) {
            assert!(!ran.stderr.contains(word) && !ran.stdout.contains(word), "{ran:?}");
        }
    }
}

/// One refusal, which one request met.
fn refused(world: &World, ran: Ran, (code, kind): (i32, &str), words: &[&str]) {
    let ran = ran.failed(code, kind);
    ran.assert_marker(code);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    assert_no_key_in(&ran);
    world.assert_no_secret_in(&ran.stderr);
    world.assert_nothing_left(&ran);
}

fn logins(world: &World) -> usize {
    world.requests().iter().filter(|line| *line == "POST auth/aws/login").count()
}

// check: 3
#[test]
fn a_user_and_a_session_of_a_role_log_in_with_their_credentials() {
    let world = world();
    for principal in [AWS_USER, AWS_SESSION] {
        let run = with_keys(world.command(&format!("{LINE} -v --iam-server-id {SERVER_ID}")), principal);
        let ran = run.run();
        assert!(ran.stderr.contains("login: AWS credentials at auth/aws (from AWS_ACCESS_KEY_ID)"), "{ran:?}");
        assert_no_key_in(&ran);
        assert!(exports(&ran.ok()).contains_key("EXOSCALE_API_KEY"));
    }
    // The same by the configuration file, and in the cache.
    let file =
        world.file("iam.toml", &format!("auth = \"aws\"\nauth-role = \"ci\"\niam-server-id = \"{SERVER_ID}\"\n"));
    let line = format!("exoscale --role gitlab-ci-runner --cache --config {}", file.display());
    let run = with_keys(world.command(&line), AWS_SESSION);
    let before = logins(&world);
    assert_eq!(run.run().ok(), run.run().ok());
    assert_eq!(logins(&world), before + 1);
    // The credentials alone choose no login.
    let run = with_keys(world.command("exoscale --role gitlab-ci-runner"), AWS_USER);
    stopped_in(&world, &run, (78, "config"), &["nothing to log in with"]);
}

/// A run that ends before Vault is asked.
fn stopped_in(world: &World, run: &Run, (code, kind): (i32, &str), words: &[&str]) {
    let before = world.requests().len();
    let ran = run.run().failed(code, kind);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    assert_eq!(world.requests().len(), before);
    assert_no_key_in(&ran);
}

// check: 3
#[test]
fn each_refusal_of_an_aws_login_names_what_to_change_and_is_sent_once() {
    let world = world();
    let (denied, config) = ((77, "denied"), (78, "config"));
    let wrong = AwsPrincipal { secret: "AnotherSecretKeyThatIsNotOfThisKey000000", ..AWS_SESSION };
    let unknown = AwsPrincipal { id: "ASIAUNKNOWN000000000", ..AWS_SESSION };
    let stale = AwsPrincipal { session: Some("AnotherSessionTokenOfAnotherTime"), ..AWS_SESSION };
    let cases = [
        (
            "--iam-server-id other.example.com",
            AWS_SESSION,
            config,
            &["expected vault.example.com but got", "--iam-server-id or"][..],
        ),
        ("", wrong, denied, &["AWS_SECRET_ACCESS_KEY does not belong", "--sts-region"]),
        (
            "",
            unknown,
            denied,
            &["InvalidClientTokenId", "AWS does not know these credentials (from AWS_ACCESS_KEY_ID)"],
        ),
        ("", stale, denied, &["InvalidClientTokenId", "get new ones"]),
        ("--sts-region eu-central-1", AWS_SESSION, denied, &["--sts-region must be sts_region"]),
        ("--auth-mount gitlab", AWS_SESSION, config, &["auth/gitlab is the mount of another method"]),
        ("--auth-mount nope", AWS_SESSION, denied, &["the AWS method is mounted at auth/nope"]),
    ];
    for (line, principal, code, words) in cases {
        let before = world.requests().len();
        let run = with_keys(job(&world, &format!("{line} --retries 5")), principal);
        let run = if line.starts_with("--iam") { run } else { run.env("CI_CREDS_IAM_SERVER_ID", SERVER_ID) };
        refused(&world, run.run(), code, words);
        assert_eq!(world.requests().len(), before + 1, "{line}");
    }
    let run = job(&world, "").without("CI_CREDS_IAM_SERVER_ID");
    refused(&world, run.run(), config, &["missing header", "iam_server_id_header_value of auth/aws/config/client"]);
    for (role, words) in [
        ("other", ["arn:aws:sts::123456789012:assumed-role", "bound_iam_principal_arn of the role other"]),
        ("nope", ["entry for role nope not found", "there is no role nope at auth/aws"]),
    ] {
        let mut run = job(&world, "");
        let place = run.arguments.iter().position(|word| word == "ci").expect("a role");
        run.arguments[place] = role.to_owned();
        refused(&world, run.run(), denied, &words);
    }
    // A 400, and no refusal: the next run may fare better.
    let unreachable = json!({ "iam_server_id_header_value": SERVER_ID, "sts_endpoint": "https://127.0.0.1:1" });
    world.vault.write("auth/aws/config/client", unreachable);
    let before = logins(&world);
    refused(&world, job(&world, "--retries 5").run(), (69, "unavailable"), &["Vault could not reach STS"]);
    assert_eq!(logins(&world), before + 1);
    // A mount of one region takes a signature for that one.
    let regional = json!({ "iam_server_id_header_value": SERVER_ID, "sts_region": "eu-central-1" });
    world.vault.write("auth/aws/config/client", regional);
    job(&world, "--sts-region eu-central-1").run().ok();
}

// check: 1
#[test]
fn a_signed_request_goes_over_no_redirect() {
    let (world, elsewhere) = (world(), Sink::start(Tls::Off));
    // The first one is followed with any other login.
    for server in [format!("http://{}", world.vault.socket_address()), elsewhere.address()] {
        let before = logins(&world);
        world.vault.inject(On::path("/auth/aws/login"), Fault::redirect(307, &format!("{server}/v1/auth/aws/login")));
        let words = ["a signed request goes to no other server", "point VAULT_ADDR to the active node"];
        refused(&world, job(&world, "--retries 5").run(), (76, "protocol"), &words);
        assert_eq!((logins(&world), elsewhere.requests().len()), (before + 1, 0));
    }
}

// check: 3
#[test]
fn the_credentials_of_an_instance_and_of_a_container_log_in() {
    let world = world();
    let machine = Machine::start(Some(AWS_SESSION), "Bearer container-token");
    let without_keys = || {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        names.into_iter().fold(job(&world, "-v"), Run::without)
    };
    let instance = || without_keys().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address());
    let ran = instance().run();
    assert!(
        ran.stderr.contains("login: AWS credentials at auth/aws (from AWS_EC2_METADATA_SERVICE_ENDPOINT)"),
        "{ran:?}"
    );
    assert_no_key_in(&ran);
    ran.ok();
    let roles = "GET /latest/meta-data/iam/security-credentials/";
    assert_eq!(machine.requests(), ["PUT /latest/api/token", roles, &format!("{roles}ci-runner")]);

    let container = || instance().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &machine.container_url());
    let ran = container().env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer container-token").run();
    assert!(ran.stderr.contains("(from AWS_CONTAINER_CREDENTIALS_FULL_URI)"), "{ran:?}");
    assert!(!ran.stderr.contains("container-token"), "{ran:?}");
    ran.ok();
    let file = world.file("authorization", "Bearer container-token").display().to_string();
    container().env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file).run().ok();
    assert_eq!(machine.requests()[3..], ["GET /v1/credentials", "GET /v1/credentials"]);

    // The environment wins; half of it is an error and not another identity.
    with_keys(container(), AWS_USER).run().ok();
    assert_eq!(machine.requests().len(), 5);
    let half = container().env("AWS_ACCESS_KEY_ID", AWS_USER.id);
    stopped_in(&world, &half, (66, "input"), &["AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"]);
    let wrong = container().env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer other-token");
    stopped_in(&world, &wrong, (66, "input"), &["has no AWS credentials for this container: it answers 401"]);
    let foreign = container().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/v1/credentials");
    stopped_in(&world, &foreign, (78, "config"), &["which is not an address of AWS's", "169.254.170.23"]);

    let nobody = container().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/v1/credentials");
    let ran = nobody.run().failed(69, "unavailable");
    let hint = ran.stderr.lines().find(|line| line.contains("hint: ")).expect("a hint");
    assert!(hint.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI or") && !hint.contains("VAULT_ADDR"), "{ran:?}");

    let bare = Machine::start(None, "");
    let run = without_keys().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &bare.address());
    stopped_in(&world, &run, (66, "input"), &["the instance has no role", "instance profile"]);
    let run = without_keys().env("AWS_EC2_METADATA_DISABLED", "true");
    stopped_in(&world, &run, (66, "input"), &["there are no AWS credentials", "AWS_ACCESS_KEY_ID"]);
    // The kernel takes the connection, and nobody answers: as a container behind the first hop has it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    let begun = std::time::Instant::now();
    let run = without_keys().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    stopped_in(&world, &run, (69, "unavailable"), &["the instance metadata service", "hop limit", "AWS_ACCESS_KEY_ID"]);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[test]
fn a_service_of_the_machine_that_is_busy_is_asked_again_and_is_not_said_to_have_no_credentials() {
    let world = world();
    let machine = Machine::start(Some(AWS_SESSION), "");
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let bare = || names.into_iter().fold(job(&world, ""), Run::without);
    let container = || bare().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &machine.container_url());
    let instance = || bare().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address());
    let busy = |path: &str, status, times| {
        machine.inject(On::path(path).times(times), Fault::answer(Reply::status(status)));
    };
    // Then there is an answer: each step is repeated by itself.
    busy("/v1/credentials", 429, 1);
    container().run().ok();
    assert_eq!(machine.requests().len(), 2);
    busy("/latest/api/token", 503, 1);
    busy("/ci-runner", 429, 1);
    instance().run().ok();
    assert_eq!(machine.requests().len(), 7);
    // For longer.
    busy("/v1/credentials", 503, 3);
    stopped_in(&world, &container(), (69, "unavailable"), &["answers 503", "of this container", "run it again later"]);
    busy("/latest/api/token", 503, 3);
    stopped_in(&world, &instance(), (69, "unavailable"), &["answers 503", "metadata service", "run it again later"]);
    assert_eq!(machine.requests().len(), 13);
}

#[test]
fn what_is_cached_by_the_credentials_of_an_instance_is_found_by_them_and_revoked() {
    let world = world();
    let (machine, other) = (Machine::start(Some(AWS_SESSION), ""), Machine::start(Some(AWS_USER), ""));
    let call_on = |machine: &Machine, line: &str| {
        let run = world.command(line).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address());
        run.env("CI_CREDS_IAM_SERVER_ID", SERVER_ID).env("CI_JOB_ID", "7").run()
    };
    let call = |line: &str| call_on(&machine, line);
    let first = call(&format!("{LINE} --cache")).ok();
    assert_eq!(call(&format!("{LINE} --cache")).ok(), first);
    assert_eq!(logins(&world), 1);
    assert_ne!(call_on(&other, &format!("{LINE} --cache")).ok(), first, "what is cached is of the credentials");
    assert_eq!((logins(&world), world.vault.live_leases().len()), (2, 2));
    // The other login is this job's too, and only its own credentials revoke what it made.
    let ran = call("revoke --auth aws --auth-role ci");
    assert_eq!((ran.code, world.vault.live_leases().len()), (80, 1), "{ran:?}");
    let ran = call_on(&other, "revoke --auth aws --auth-role ci");
    assert_eq!((ran.code, world.vault.live_leases().len()), (0, 0), "{ran:?}");
    let mut run = with_keys(world.command(""), AWS_SESSION).env("CI_CREDS_IAM_SERVER_ID", SERVER_ID);
    let line = "exec exoscale --role gitlab-ci-runner --auth aws --auth-role ci -- sh -c";
    run.arguments = line.split(' ').map(str::to_owned).collect();
    assert_eq!(run.arg("test -n \"$EXOSCALE_API_KEY\" && echo ran").run().ok(), "ran\n");
    assert_eq!(world.vault.live_leases(), []);
}

/// Signs as botocore does, and prints `Authorization`.
const ORACLE: &str = r#"
import sys, datetime, botocore.auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
url, region, key, secret, token, server = sys.argv[1:]
class Then(datetime.datetime):
    @classmethod
    def utcnow(cls): return cls(2026, 11, 29, 1, 2, 3)
    @classmethod
    def now(cls, tz=None): return cls(2026, 11, 29, 1, 2, 3, tzinfo=tz)
now = Then(2026, 11, 29, 1, 2, 3)
if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda *a, **k: now
else:
    botocore.auth.datetime = type("M", (), {"datetime": Then})
body = b"Action=GetCallerIdentity&Version=2011-06-15"
headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Content-Length": str(len(body))}
if server: headers["X-Vault-AWS-IAM-Server-ID"] = server
request = AWSRequest("POST", url + "/", headers=headers, data=body)
SigV4Auth(Credentials(key, secret, token or None), "sts", region).add_auth(request)
print(request.headers["X-Amz-Date"])
print(request.headers["Authorization"])
"#;

#[test]
fn a_login_is_signed_byte_for_byte_as_botocore_signs_it() {
    let Some(python) = moto::python() else { return };
    let time = "2026-11-29T01:02:03Z".parse().expect("a time");
    for (region, principal, server) in [
        (None, AWS_USER, None),
        (None, AWS_SESSION, Some(SERVER_ID)),
        (Some("eu-central-1"), AWS_SESSION, None),
        (Some("cn-north-1"), AWS_USER, Some("vault.example.com:8200")),
    ] {
        let (url, signed_for) = sts::endpoint(region);
        let keys = AwsKeys {
            id: principal.id.into(),
            secret: Secret::new(principal.secret.into()),
            session: principal.session.map(|token| Secret::new(token.into())),
            expires_at: None,
        };
        let host = url.trim_start_matches("https://");
        let headers = sts::login_headers(host, &signed_for, time, &keys, server);
        let ours = |name: &str| headers.iter().find(|(known, _)| *known == name).expect("a header").1.clone();
        let mut command = Command::new(&python);
        command.args(["-c", ORACLE, &url, &signed_for, principal.id, principal.secret]);
        command.args([principal.session.unwrap_or_default(), server.unwrap_or_default()]);
        let said = Ran::of(command).ok();
        assert_eq!(said, format!("{}\n{}\n", ours("x-amz-date"), ours("authorization")), "{region:?}");
    }
}
