//! `--id-token-from aws`: STS signs an ID token for the runner's own AWS identity, and Vault's JWT method takes it.

use std::process::Command;

use dev_vault::{
    AWS_ISSUER, AWS_REGION, AWS_SESSION, AWS_TAG, AWS_USER, AwsPrincipal, DevVault, Fault, GitlabToken, Machine, On,
    Reply, Sts,
};
use serde_json::{Value, json};
use yaml_rust2::{Yaml, YamlLoader};

use crate::doctor::{marks, text_of};
use crate::real_server::server::Server;
use crate::real_server::site::{KEY, Site};
use crate::support::{Ran, Run, World, exports, leak, moto};

/// Bound by the subject, the account and a tag of the role.
const ACCOUNT: &str = "/https:~1~1sts.amazonaws.com~1/aws_account";
const TAG: &str = "/https:~1~1sts.amazonaws.com~1/principal_tags/project";
const SUBJECT: &str = "arn:aws:iam::123456789012:role/ci-runner";

fn mount_config() -> Value {
    json!({ "jwt_validation_pubkeys": [GitlabToken::public_key_pem()], "bound_issuer": AWS_ISSUER })
}

fn role(audience: &str, account: &str, policy: &str) -> Value {
    json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": [audience], "bound_subject": SUBJECT,
        "bound_claims": { ACCOUNT: account, TAG: AWS_TAG }, "token_policies": [policy], "token_ttl": "15m",
    })
}

/// Mounts `of-aws`, which takes the account's tokens.
pub fn believe(vault: &DevVault) {
    vault.write("sys/auth/of-aws", json!({ "type": "jwt" }));
    vault.write("auth/of-aws/config", mount_config());
    vault.write("auth/of-aws/role/ci", role(&vault.address(), "123456789012", "job"));
}

fn start(first: Vec<Reply>) -> (World, Sts) {
    let world = World::start();
    believe(&world.vault);
    (world, Sts::start("", "", first))
}

fn with_keys(run: Run, principal: AwsPrincipal) -> Run {
    let run = run.env("AWS_ACCESS_KEY_ID", principal.id).env("AWS_SECRET_ACCESS_KEY", principal.secret);
    principal.session.map_or(run.clone(), |token| run.env("AWS_SESSION_TOKEN", token))
}

/// With STS, and without credentials to ask it.
fn at(run: Run, sts: &Sts) -> Run {
    let run = run.env("AWS_ENDPOINT_URL_STS", &sts.address()).env("AWS_REGION", AWS_REGION);
    run.env("CI_CREDS_ID_TOKEN_FROM", "aws").env("VAULT_AUTH_PATH", "of-aws").env("VAULT_AUTH_ROLE", "ci")
}

/// A job of the runner that has the role.
pub fn job(world: &World, sts: &Sts, line: &str) -> Run {
    with_keys(at(world.command(line), sts), AWS_SESSION)
}

const LINE: &str = "exoscale --role gitlab-ci-runner --no-keep-state";

fn assert_silent(text: &str) {
    let secrets = [AWS_SESSION.secret, AWS_SESSION.session.unwrap_or_default(), AWS_USER.secret];
    assert_eq!(leak::find(secrets, text), None, "{text}");
    assert!(!text.contains("AWS4-HMAC") && !text.contains("Signature="), "{text}");
}

// check: 3
#[test]
fn an_aws_identity_logs_in_at_a_real_server_with_the_token_that_sts_signs() {
    let Some(server) = Server::shared() else { return };
    let site = Site::on(server, "of-aws", "path \"exoscale/*\" { capabilities = [\"read\"] }");
    let operator = &server.operator;
    operator.write("sys/auth/of-aws", &json!({ "type": "jwt" }));
    operator.write("auth/of-aws/config", &mount_config());
    operator.write("auth/of-aws/role/ci", &role(&server.address, "123456789012", "of-aws"));
    operator.write("auth/of-aws/role/other", &role(&server.address, "210987654321", "of-aws"));
    operator.write("exoscale/apikey/ci-runner-web", &json!({ "api_key": KEY.0, "api_secret": KEY.1 }));
    let sts = Sts::start("", "", Vec::new());
    // Of GitLab's own variables none counts beside the token's claims.
    let placeholders = format!("{{project_name}}-{{claim:{TAG}}}");
    let run = || {
        let run = at(site.command("exoscale --no-keep-state --role").arg(&placeholders), &sts);
        run.env("CI_PROJECT_NAME", "other").arg("-v")
    };
    let ran = with_keys(run(), AWS_SESSION).run();
    assert!(ran.stderr.contains("login: ID token at auth/of-aws (from AWS)"), "{ran:?}");
    assert_silent(&ran.stderr);
    assert_eq!(exports(&ran.ok())["EXOSCALE_API_KEY"], KEY.0);
    let machine = Machine::start(Some(AWS_SESSION), "Bearer container-token");
    run().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine.address()).run().ok();
    let container = run().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &machine.container_url());
    container.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer container-token").run().ok();
    assert_eq!((sts.requests().len(), machine.requests().len()), (3, 4));
    let ran = with_keys(run(), AWS_SESSION).env("VAULT_AUTH_ROLE", "other").run().failed(77, "denied");
    assert!(ran.stderr.contains(&format!("to allow it, bind \"{ACCOUNT}\": \"123456789012\"")), "{ran:?}");
    let ran = with_keys(run(), AWS_SESSION).arg("--id-token-audience").arg("https://other.example.com").run();
    let ran = ran.failed(77, "denied");
    assert!(ran.stderr.contains("set --id-token-audience to the value that"), "{ran:?}");
}

/// What STS signs, put into another answer.
fn token_reply(text: &str) -> Reply {
    let body = format!(
        "<GetWebIdentityTokenResponse><GetWebIdentityTokenResult><WebIdentityToken>{text}</WebIdentityToken>\
         </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
    );
    Reply::status(200).header("Content-Type", "text/xml").body(body)
}

// check: 3
#[test]
fn each_refusal_of_sts_names_what_to_change_is_not_repeated_and_ends_the_run_before_vault() {
    let (world, sts) = start(Vec::new());
    let fails = |run: Run, sts: &Sts, (code, kind): (i32, &str), words: &[&str], requests: usize| {
        let before = sts.requests().len();
        let ran = run.run().failed(code, kind);
        ran.assert_marker(code);
        for word in words {
            assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("told-by"), "{ran:?}");
        assert_silent(&ran.stderr);
        assert_eq!(sts.requests().len(), before + requests, "{words:?}");
    };
    let (denied, config, protocol) = ((77, "denied"), (78, "config"), (76, "protocol"));
    let wrong = AwsPrincipal { secret: "AnotherSecretKeyThatIsNotOfThisKey000000", ..AWS_SESSION };
    let stale = AwsPrincipal { session: Some("AnotherSessionTokenOfAnotherTime"), ..AWS_SESSION };
    for (principal, line, code, words) in [
        (AWS_USER, "", denied, &["(from AWS_ACCESS_KEY_ID)", "\"Action\": \"sts:GetWebIdentityToken\""][..]),
        (wrong, "", denied, &["SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY does not belong to the access key"]),
        (stale, "", denied, &["InvalidClientTokenId", "get new ones"]),
        (AWS_SESSION, "--sts-region us-west-2", denied, &["us-west-2 is not the region of the endpoint: --sts-region"]),
    ] {
        let run = at(world.command(&format!("{LINE} {line}")), &sts);
        fails(with_keys(run.without("AWS_SESSION_TOKEN"), principal), &sts, code, words, 1);
    }
    let long = format!("https://{}.example.com", "a".repeat(1000));
    fails(job(&world, &sts, LINE).env("CI_CREDS_ID_TOKEN_AUDIENCE", &long), &sts, config, &["1000 characters"], 1);
    sts.end_session_in(100);
    fails(job(&world, &sts, LINE), &sts, denied, &["SessionDurationEscalationException", "within five minutes"], 1);
    sts.disable_outbound_federation();
    let words = ["OutboundWebIdentityFederationDisabled", "aws iam enable-outbound-web-identity-federation"];
    fails(job(&world, &sts, LINE), &sts, config, &words, 1);
    // Not sent: there is no region, nobody has credentials, or AWS takes its own tokens for no role.
    fails(
        job(&world, &sts, LINE).without("AWS_REGION"),
        &sts,
        config,
        &["the region of STS is not set", "AWS_REGION"],
        0,
    );
    let bare = at(world.command(LINE), &sts).env("AWS_EC2_METADATA_DISABLED", "true");
    fails(bare, &sts, (66, "input"), &["there are no AWS credentials"], 0);
    let ran = job(&world, &sts, &format!("aws --via web-identity --role-arn {SUBJECT}")).run().failed(64, "usage");
    assert!(ran.stderr.contains("AWS takes no ID token of its own for a role"), "{ran:?}");
    let for_other = GitlabToken::new().audience("https://other.example.com").sign();
    for (reply, code, word) in [
        (Sts::refusal(400, "JWTPayloadSizeExceededException", "told-by-sts"), config, "tags of the role"),
        (Sts::refusal(403, "ExpiredTokenException", "told-by-sts"), denied, "have expired"),
        (Sts::refusal(403, "$(told-by-sts)", "told-by-sts"), denied, "AWS_ENDPOINT_URL_STS must not be set"),
        (Reply::status(307).header("Location", "http://127.0.0.1:1/told-by-sts"), protocol, "which is not followed"),
        (Reply::html(200, "<html>told-by-portal"), protocol, "does not answer as STS does"),
        (token_reply("told-by-sts"), protocol, "the ID token of AWS is not a JWT"),
        (token_reply(&for_other), protocol, "is for https://other.example.com"),
    ] {
        let other = Sts::start("", "", vec![reply]);
        fails(job(&world, &other, LINE), &other, code, &[word], 1);
    }
    // Busy for longer than the run may ask.
    for (code, answer, told) in [((69, "unavailable"), 503, ""), ((75, "temporary"), 400, "Throttling")] {
        let other = Sts::start("", "", vec![Sts::refusal(answer, told, "told-by-sts")]);
        fails(job(&world, &other, LINE).arg("--retries").arg("0"), &other, code, &["run it again later"], 1);
    }
    assert_eq!(world.vault.connections(), 0);
    // And for less.
    let busy = vec![Sts::refusal(503, "", ""), Sts::refusal(400, "Throttling", ""), Reply::status(429)];
    let other = Sts::start("", "", busy);
    other.inject(On::path("/").nth(4), Fault::drop_request());
    job(&world, &other, LINE).run().ok();
    assert_eq!(other.requests().len(), 5);
}

#[test]
fn the_other_commands_ask_sts_as_a_fetch_does_and_a_file_may_name_it() {
    let (world, sts) = start(Vec::new());
    let ran = job(&world, &sts, "doctor exoscale --role gitlab-ci-runner").run();
    assert_eq!((ran.code, marks(&ran).iter().filter(|(_, mark)| mark == "FAIL").count()), (0, 0), "{ran:?}");
    let identity = text_of(&ran, "identity");
    for word in ["an ID token (from AWS)", SUBJECT, TAG, AWS_TAG, ACCOUNT] {
        assert!(identity.contains(word), "{word}: {identity}");
    }
    let ran = job(&world, &sts, "whoami").run();
    assert!(ran.stdout.contains(SUBJECT), "{ran:?}");
    let print = "test -n \"$EXOSCALE_API_KEY\" && echo ran";
    let exec = job(&world, &sts, "exec exoscale --role gitlab-ci-runner -- sh -c").arg(print);
    assert_eq!(exec.run().ok(), "ran\n");
    assert_eq!(sts.requests().len(), 3);
    // The calls of one job share what they cache, although each has a token of its own.
    let minted = || world.vault.minted().values().sum::<usize>();
    let before = minted();
    let cached = job(&world, &sts, "exoscale --role gitlab-ci-runner --cache");
    assert_eq!(cached.run().ok(), cached.run().ok());
    assert_eq!(minted(), before + 1);
    let other = cached.clone().env("AWS_SECRET_ACCESS_KEY", "AnotherSecretKeyThatIsNotOfThisKey000000");
    other.run().failed(77, "denied");
    // A file may name it; without a name nobody asks.
    let before = sts.requests().len();
    let file = world.file("aws.toml", "id-token-from = \"aws\"\n");
    let named = job(&world, &sts, LINE).without("CI_CREDS_ID_TOKEN_FROM");
    named.clone().arg("--config").arg(&file.display().to_string()).run().ok();
    assert_eq!(sts.requests().len(), before + 1);
    for source in ["", "auto"] {
        let ran = named.clone().env("CI_CREDS_ID_TOKEN_FROM", source).env("CODEBUILD_BUILD_ID", "x:y").run();
        assert!(ran.failed(78, "config").stderr.contains("nothing to log in with"));
    }
    assert_eq!(sts.requests().len(), before + 1);
}

#[test]
fn the_example_for_codebuild_deploys_with_a_key_and_leaves_none() {
    let (world, sts) = start(Vec::new());
    let spec = std::fs::read_to_string("examples/aws/buildspec.yml").expect("the example");
    let spec = YamlLoader::load_from_str(&spec).expect("YAML").remove(0);
    let variables = spec["env"]["variables"].as_hash().expect("variables");
    let variable = |name: &str| variables[&Yaml::String(name.to_owned())].as_str().expect("a text");
    let (mount, name) = (variable("VAULT_AUTH_PATH"), variable("VAULT_AUTH_ROLE"));
    assert_eq!(variable("VAULT_ADDR"), "https://vault.example.com:8200");
    world.vault.write(&format!("sys/auth/{mount}"), json!({ "type": "jwt" }));
    world.vault.write(&format!("auth/{mount}/config"), mount_config());
    world.vault.write(&format!("auth/{mount}/role/{name}"), role(&world.vault.address(), "123456789012", "deploys"));
    let policy = "path \"exoscale/apikey/deploy\" { capabilities = [\"read\"] }";
    world.vault.write("sys/policies/acl/deploys", json!({ "policy": policy }));
    world.vault.write("exoscale/role/deploy", json!({ "iam-role": "ci", "ttl": "15m", "max_ttl": "30m" }));
    let commands = spec["phases"]["build"]["commands"].as_vec().expect("commands");
    let [Yaml::String(line)] = &commands[..] else { panic!("one command: {commands:?}") };
    let line = line.strip_prefix("ci-creds ").and_then(|line| line.strip_suffix(" ./deploy.sh")).expect("exec");
    let run = with_keys(world.command(line), AWS_SESSION).arg("sh").arg("-c").arg("echo ${EXOSCALE_API_KEY:+a key}");
    let run = run.env("AWS_ENDPOINT_URL_STS", &sts.address()).env("AWS_REGION", AWS_REGION);
    let names = ["VAULT_AUTH_PATH", "VAULT_AUTH_ROLE", "CI_CREDS_ID_TOKEN_FROM"];
    let run = names.iter().fold(run, |run, name| run.env(name, variable(name)));
    assert_eq!(run.run().ok(), "a key\n");
    assert!(world.vault.live_keys().is_empty());
}

/// The same call by botocore, at the moment in its last argument; it prints the token.
const CLIENT: &str = r#"
import sys, datetime, botocore.auth, botocore.session
endpoint, region, key, secret, token, audience, time = sys.argv[1:]
now = datetime.datetime.strptime(time, "%Y%m%dT%H%M%SZ")
if hasattr(botocore.auth, "get_current_datetime"):
    botocore.auth.get_current_datetime = lambda *a, **k: now
else:
    class Then(datetime.datetime):
        @classmethod
        def utcnow(cls): return now
    botocore.auth.datetime = type("M", (), {"datetime": Then})
client = botocore.session.Session().create_client("sts", region_name=region, endpoint_url=endpoint,
    aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)
answer = client.get_web_identity_token(Audience=[audience], DurationSeconds=300, SigningAlgorithm="RS256")
assert answer["Expiration"] > datetime.datetime.now(datetime.timezone.utc)
print(answer["WebIdentityToken"])
"#;

#[test]
fn botocore_sends_the_same_bytes_and_is_answered_by_the_same_stand_in() {
    let Some(python) = moto::python() else { return };
    let (world, sts) = start(Vec::new());
    job(&world, &sts, LINE).run().ok();
    let header = |index: usize, name: &str| sts.requests()[index].headers.get(name).map(str::to_owned);
    let mut command = Command::new(python);
    command.args(["-c", CLIENT, &sts.address(), AWS_REGION, AWS_SESSION.id, AWS_SESSION.secret]);
    command.args([AWS_SESSION.session.unwrap_or_default(), &world.vault.address()]);
    let token = Ran::of({
        command.arg(header(0, "x-amz-date").expect("a time"));
        command
    });
    assert_eq!(token.ok().trim().split('.').count(), 3);
    let requests = sts.requests();
    let text = |index: usize| String::from_utf8_lossy(&requests[index].body).into_owned();
    assert_eq!((requests.len(), text(0)), (2, text(1)));
    for name in ["host", "content-type", "content-length", "x-amz-date", "x-amz-security-token", "authorization"] {
        assert_eq!(header(0, name), header(1, name), "{name}");
    }
}
