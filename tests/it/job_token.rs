use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dev_vault::{GitlabToken, Reply, Sink, Tls, TokenIssuer, TokenWire};
use serde_json::{Value, json};

use crate::github::take_masks;
use crate::real_server::operator::Operator;
use crate::real_server::server::Server;
use crate::real_server::site::{KEY, Site};
use crate::support::{AUDIENCE, ROLE, Ran, Run, World, exports, leak, tool};

/// What a job shows to have an ID token signed: a secret too.
const PROOF: &str = "proof-of-this-one-job-0123456789";

/// The CI systems that are asked by HTTP, with what tells a job of theirs.
const BY_HTTP: [(&str, TokenWire, &str, &str, &str); 4] = [
    ("github", TokenWire::Github, "GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    (
        "forgejo",
        TokenWire::Forgejo,
        "FORGEJO_ACTIONS",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    ),
    ("azure", TokenWire::Azure, "TF_BUILD", "SYSTEM_OIDCREQUESTURI", "SYSTEM_ACCESSTOKEN"),
    ("codefresh", TokenWire::Codefresh, "CF_BUILD_ID", "CF_OIDC_REQUEST_URL", "CF_OIDC_REQUEST_TOKEN"),
];

/// An issuer whose tokens fit the world's JWT role, if they are asked for with its audience.
fn issuer(world: &World, wire: TokenWire, first: Vec<Reply>) -> TokenIssuer {
    let token = world.id_token();
    let sign = move |audience: &str| {
        let audience = if audience.is_empty() { AUDIENCE } else { audience };
        token.clone().audience(audience).sign()
    };
    TokenIssuer::start(wire, PROOF, first, sign)
}

/// A job of that system, without any other identity.
fn job_at(world: &World, name: &str, url: &str, line: &str) -> Run {
    let (_, _, sign, url_variable, token_variable) =
        BY_HTTP.into_iter().find(|(known, ..)| *known == name).expect("a system");
    let run = world.command(line).env("CI", "true").env(sign, "true").env("VAULT_AUTH_PATH", "gitlab");
    let run = if name == "forgejo" { run.env("GITHUB_ACTIONS", "true").env("GITEA_ACTIONS", "true") } else { run };
    run.env(url_variable, url).env(token_variable, PROOF)
}

fn assert_silent(world: &World, text: &str) {
    world.assert_no_secret_in(text);
    assert_eq!(leak::find([PROOF, &world.id_token().sign()[..40]], text), None, "{text}");
}

fn exoscale() -> String {
    format!("exoscale --role {ROLE} --no-keep-state")
}

#[test]
fn a_job_of_each_system_that_signs_by_request_logs_in_with_what_it_signed_and_is_asked_again_while_it_is_busy() {
    let world = World::start();
    for (name, wire, ..) in BY_HTTP {
        let busy = [503, 502, 504, 429].map(|status| Reply::status(status).header("Retry-After", "0")).to_vec();
        let issuer = issuer(&world, wire, busy);
        let line = format!("{} --id-token-audience {AUDIENCE} -v", exoscale());
        let ran = job_at(&world, name, &issuer.url(), &line).run();
        assert_silent(&world, &ran.stderr);
        assert!(ran.stderr.contains("ID token at auth/gitlab (from "), "{name}: {ran:?}");
        let set = exports(&ran.ok());
        assert!(set["EXOSCALE_API_KEY"].starts_with("EXO"), "{name}");
        assert_eq!(issuer.requests().len(), 5, "{name}");
    }
}

#[test]
fn the_audience_is_the_origin_of_vault_unless_one_is_named_in_either_of_three_places() {
    let world = World::start();
    let issuer = issuer(&world, TokenWire::Github, Vec::new());
    let run = || job_at(&world, "github", &issuer.url(), &exoscale());
    // The role of this world wants another one: Vault says so.
    let ran = run().run().failed(77, "denied");
    assert!(ran.stderr.contains(&format!("the token's aud is {}", world.vault.address())), "{ran:?}");
    let file = world.file("c.toml", &format!("id-token-audience = \"{AUDIENCE}\"\n"));
    run().env("CI_CREDS_ID_TOKEN_AUDIENCE", AUDIENCE).run().ok();
    run().arg("--config").arg(&file.display().to_string()).run().ok();
    let seen: Vec<_> = issuer.requests().into_iter().filter_map(|request| request.query).collect();
    let address = world.vault.address().replace(':', "%3A").replace('/', "%2F");
    let named = "api-version=2.0&audience=https%3A%2F%2Fvault.example.com".to_owned();
    assert_eq!(seen, [format!("api-version=2.0&audience={address}"), named.clone(), named]);
}

#[test]
fn what_is_no_token_ends_the_run_before_vault_is_asked_and_is_not_repeated() {
    let world = World::start();
    let jwt = |audience: &str| world.id_token().audience(audience).sign();
    let value = |text: &str| Reply::json(200, &json!({ "value": text }));
    let cases = [
        (Reply::error(401, "told-by-issuer"), 77, "denied", "permissions: id-token: write"),
        (Reply::error(403, "told-by-issuer"), 77, "denied", "permissions: id-token: write"),
        (Reply::error(500, "told-by-issuer"), 69, "unavailable", "failed to sign"),
        (Reply::error(404, "told-by-issuer"), 76, "protocol", "did not sign"),
        (Reply::status(307).header("Location", "http://127.0.0.1:1/told-by-issuer"), 76, "protocol", "redirects"),
        (Reply::json(200, &json!({ "count": 1 })), 76, "protocol", "without `value`"),
        (Reply::html(200, "<html>told-by-issuer"), 76, "protocol", "without `value`"),
        (value(""), 76, "protocol", "without `value`"),
        (value("told-by-issuer"), 76, "protocol", "is not a JWT"),
        (value("told by-issuer\n::add-mask::x"), 76, "protocol", "is not a JWT"),
        (value(&jwt("https://other.example.com")), 76, "protocol", "is for https://other.example.com"),
    ];
    for (reply, code, kind, word) in cases {
        let issuer = issuer(&world, TokenWire::Github, vec![reply]);
        let run = job_at(&world, "github", &issuer.url(), &exoscale());
        let ran = run.env("GITHUB_EVENT_NAME", "pull_request").arg("-v").run().failed(code, kind);
        assert!(ran.stderr.contains(word) && !ran.stderr.contains("told"), "{ran:?}");
        assert_eq!(
            ran.stderr.contains("a pull request from a fork"),
            kind == "denied" || code == 76 && word == "did not sign"
        );
        assert_silent(&world, &ran.stderr);
        ran.assert_marker(code);
        assert_eq!(issuer.requests().len(), 1, "{word}");
    }
    // Forgejo sets GitHub's variables too, and what holds for GitHub's forks does not hold there.
    let forgejo = issuer(&world, TokenWire::Forgejo, vec![Reply::error(403, "told-by-issuer")]);
    let run = job_at(&world, "forgejo", &forgejo.url(), &exoscale()).env("GITHUB_EVENT_NAME", "pull_request");
    let ran = run.run().failed(77, "denied");
    assert!(ran.stderr.contains("in Forgejo Actions, give the job `enable-openid-connect: true`"), "{ran:?}");
    assert!(!ran.stderr.contains("GitHub"), "{ran:?}");
    // Nobody is there; and somebody who is busy for longer than the run may last, or may not be asked twice.
    let ran = job_at(&world, "github", "http://127.0.0.1:1/idtoken", &format!("{} --timeout 1s", exoscale())).run();
    let ran = ran.failed(69, "unavailable");
    assert!(ran.stderr.contains("cannot reach 127.0.0.1:1") && !ran.stderr.contains("VAULT_ADDR"), "{ran:?}");
    // A server of the company's own, whose CA is no root of this system. What is set for Vault does not count there.
    let own = Sink::start(Tls::Valid);
    let run = job_at(&world, "github", &format!("{}/idtoken", own.address()), &exoscale());
    let ran = run.env("VAULT_CACERT_BYTES", own.ca_pem().expect("a CA")).run().failed(76, "protocol");
    assert!(ran.stderr.contains("signed by an unknown CA") && ran.stderr.contains("system's roots"), "{ran:?}");
    assert!(!ran.stderr.contains("VAULT_CACERT") && !ran.stderr.contains("--ca-file"), "{ran:?}");
    for (flags, requests) in [("--retries 0", 1), ("--timeout 1s", 2)] {
        let busy = vec![Reply::status(503); 40];
        let issuer = issuer(&world, TokenWire::Github, busy);
        let ran = job_at(&world, "github", &issuer.url(), &format!("{} {flags}", exoscale())).run();
        ran.failed(69, "unavailable");
        let seen = issuer.requests().len();
        assert!(if requests == 1 { seen == 1 } else { seen >= 2 }, "{flags}: {seen}");
    }
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn a_signal_while_the_login_is_prepared_ends_each_command_with_its_code_and_makes_the_eval_fail() {
    let world = World::start();
    // The kernel takes the connection, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/idtoken", silent.local_addr().expect("its address"));
    let container = |line: &str| {
        let keys = world.command(line).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
        keys.env("CI_CREDS_AUTH", "aws").env("CI_CREDS_AUTH_ROLE", "ci")
    };
    let connected = || Some(silent.accept().expect("a connection"));
    let folder = program(&world, "buildkite-agent", "exec sleep 60");
    let called = || {
        let begun = std::time::Instant::now();
        while !world.path("calls").exists() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(25), "it was not called");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        None
    };
    // What it waits for stays open.
    type Wait<'a> = &'a dyn Fn() -> Option<(TcpStream, SocketAddr)>;
    let rows: [(Run, Wait<'_>, &str); 5] = [
        (job_at(&world, "github", &url, &exoscale()), &connected, "an ID token"),
        (container(&exoscale()), &connected, "keys of the runner"),
        (by_program(&world, "BUILDKITE", &folder), &called, "a program"),
        (job_at(&world, "github", &url, "doctor"), &connected, "doctor"),
        (container("revoke"), &connected, "revoke"),
    ];
    for (run, waits, name) in rows {
        let mut command = run.to_command();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a child");
        let _open = waits();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
            .expect("sent");
        let ran = Ran::from(child.wait_with_output().expect("its end"));
        assert_eq!(ran.code, 143, "{name}: {ran:?}");
        assert!(
            ran.stderr.starts_with("ci-creds: error[terminated]: the run was ended by a signal"),
            "{name}: {ran:?}"
        );
        match name {
            "doctor" | "revoke" => assert_eq!(ran.stdout, "", "{name}"),
            _ => ran.assert_marker(143),
        }
    }
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn what_the_user_gives_comes_before_what_the_system_offers() {
    let world = World::start();
    let issuer = issuer(&world, TokenWire::Github, Vec::new());
    let offered = |method: &str| {
        let given = world.command_as(method, &format!("{} --id-token-audience {AUDIENCE}", exoscale()));
        let job = job_at(&world, "github", &issuer.url(), "");
        job.variables().iter().fold(given, |run, (name, value)| run.env(name, value))
    };
    for method in crate::support::METHODS {
        let run = offered(method);
        // An AppRole is at another mount.
        let run = if method == "id-token" { run } else { run.without("VAULT_AUTH_PATH") };
        run.run().ok();
        assert_eq!(issuer.requests().len(), 0, "{method}");
    }
    // By name, or where the method is named, it comes before a plain token.
    let before = world.requests().len();
    offered("token").env("CI_CREDS_ID_TOKEN_FROM", "github").run().ok();
    offered("token").arg("--auth").arg("id-token").run().ok();
    assert_eq!(issuer.requests().len(), 2);
    let logins = world.requests()[before..].iter().filter(|line| *line == "POST auth/gitlab/login").count();
    assert_eq!(logins, 2);
    // Half an AppRole is a mistake, and not another identity.
    let half = job_at(&world, "github", &issuer.url(), &exoscale()).env("VAULT_ROLE_ID", &world.role_id);
    assert!(half.run().failed(78, "config").stderr.contains("VAULT_ROLE_ID is set, but none of"));
    // A token that vault login left is a person's.
    let left = world.file("home/.vault-token", &world.token("exoscale"));
    offered_by_home(&world, &issuer, &left);
}

fn offered_by_home(world: &World, issuer: &TokenIssuer, left: &std::path::Path) {
    let before = issuer.requests().len();
    let run = job_at(world, "github", &issuer.url(), &format!("{} --id-token-audience {AUDIENCE}", exoscale()));
    run.run().ok();
    assert_eq!(issuer.requests().len(), before + 1, "{} was used", left.display());
}

#[test]
fn a_job_without_the_right_to_a_token_is_told_what_to_change_in_its_own_system() {
    let world = World::start();
    for (sign, words) in [
        ("GITHUB_ACTIONS", &["in GitHub Actions, give the job `permissions: id-token: write`"][..]),
        ("FORGEJO_ACTIONS", &["in Forgejo Actions", "enable-openid-connect: true"]),
        ("GITEA_ACTIONS", &["Gitea signs no ID token"]),
        ("TF_BUILD", &["SYSTEM_ACCESSTOKEN: $(System.AccessToken)"]),
        ("BITBUCKET_COMMIT", &["oidc: true"]),
        ("GITLAB_CI", &["in GitLab, give the job `id_tokens:"]),
    ] {
        let run = world.command(&exoscale()).env(sign, "true").env("CI", "true");
        let ran =
            run.env("SYSTEM_OIDCREQUESTURI", "https://x").env("SYSTEM_ACCESSTOKEN", "$(System.AccessToken)").run();
        let ran = ran.failed(78, "config");
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{ran:?}");
    }
    assert_eq!(world.vault.connections(), 0);
}

#[test]
fn a_token_in_a_variable_of_the_system_is_read_as_one_that_a_flag_names() {
    let world = World::start();
    let token = world.id_token().sign();
    for (sign, variable) in [
        ("BITBUCKET_COMMIT", "BITBUCKET_STEP_OIDC_TOKEN"),
        ("CIRCLECI", "CIRCLE_OIDC_TOKEN_V2"),
        ("SEMAPHORE", "SEMAPHORE_OIDC_TOKEN"),
        ("SPACELIFT_OIDC_TOKEN", "SPACELIFT_OIDC_TOKEN"),
        ("TFC_WORKLOAD_IDENTITY_TOKEN", "TFC_WORKLOAD_IDENTITY_TOKEN"),
    ] {
        let run =
            || world.command(&exoscale()).env("VAULT_AUTH_PATH", "gitlab").env(sign, "true").env(variable, &token);
        let ran = run().arg("-v").run();
        assert!(ran.stderr.contains(&format!("(from {variable})")), "{ran:?}");
        ran.ok();
        // A token for another audience than the one that the user names is not sent, whoever signed it.
        let before = world.vault.connections();
        let ran = run().arg("--id-token-audience").arg("https://other.example.com").run();
        assert_eq!(ran.code, 78, "{ran:?}");
        assert_eq!(world.vault.connections(), before, "{variable}");
        // With a Vault token it is not looked at: it may be there in every job.
        let ran = run().env(variable, "no token").env(sign, "true").env("VAULT_TOKEN", &world.token("job")).run();
        ran.ok();
    }
    let named =
        world.command(&exoscale()).env("VAULT_AUTH_PATH", "gitlab").env("TFC_WORKLOAD_IDENTITY_TOKEN_CI", &token);
    named.arg("--id-token-from").arg("env:TFC_WORKLOAD_IDENTITY_TOKEN_CI").run().ok();
}

/// A program of the CI system's on `PATH`, which writes down how it was called.
fn program(world: &World, name: &str, then: &str) -> PathBuf {
    let calls = world.path("calls");
    let folder = world.path("tools");
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = format!("#!/bin/sh\n{{ printf '%s\\n' \"$@\"; env; }} >>{}\n{then}\n", calls.display());
    tool::install(&world.file("program", &text), &folder.join(name), "0755");
    folder
}

/// The two systems whose tokens a program prints: the program, what tells a job, and the arguments.
const BY_PROGRAM: [(&str, &str, &str, &[&str]); 2] = [
    ("buildkite", "buildkite-agent", "BUILDKITE", &["oidc", "request-token", "--audience", AUDIENCE]),
    (
        "circleci",
        "circleci",
        "CIRCLECI",
        &["run", "oidc", "get", "--claims", "{\"aud\":\"https://vault.example.com\"}"],
    ),
];

fn by_program(world: &World, sign: &str, folder: &std::path::Path) -> Run {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let run = world.command(&exoscale()).env("VAULT_AUTH_PATH", "gitlab").env(sign, "true").env("PATH", &path);
    run.arg("--id-token-audience").arg(AUDIENCE).env("VAULT_WRAPPING_TOKEN", "").env("WORKSPACE", "/nowhere")
}

#[test]
fn a_program_of_the_system_prints_the_token_and_sees_no_secret_of_vaults() {
    let world = World::start();
    let token = world.id_token().sign();
    for (name, program_name, sign, arguments) in BY_PROGRAM {
        let _ = std::fs::remove_file(world.path("calls"));
        let answer = world.file("answer", &format!("{token}\n"));
        let folder = program(&world, program_name, &format!("echo noise-of-the-program >&2; cat {}", answer.display()));
        let run =
            by_program(&world, sign, &folder).env("BUILDKITE_AGENT_ACCESS_TOKEN", PROOF).env("VAULT_CLIENT_X", "y");
        // It is the job's proof of who it is, and no business of the program's what else there is.
        let ran = run.env("CI_JOB_JWT_V1", "").env("VAULT_SECRET_ID", "").arg("-v").run();
        assert!(!ran.stderr.contains("noise-of-the-program"), "{ran:?}");
        assert_silent(&world, &ran.stderr);
        ran.ok();
        let calls = std::fs::read_to_string(world.path("calls")).expect("it was called");
        let told: Vec<_> = calls.lines().take(arguments.len()).collect();
        assert_eq!(told, arguments, "{name}");
        assert_eq!(leak::find([token.as_str()], &calls), None, "{calls}");
        assert!(!calls.contains("VAULT_SECRET_ID"), "{calls}");
    }
}

#[test]
fn a_program_that_fails_or_lies_in_the_checkout_gives_no_token_and_its_words_are_not_shown() {
    let world = World::start();
    for (name, program_name, sign, _) in BY_PROGRAM {
        for (then, code, word) in [
            ("echo told-by-program; echo told-by-program >&2; exit 1", 66, "failed"),
            ("exit 0", 66, "printed nothing"),
            ("echo told-by-program", 76, "is not a JWT"),
            ("head -c 70000 /dev/zero", 66, "printed more than 64 KiB"),
        ] {
            let folder = program(&world, program_name, then);
            let ran = by_program(&world, sign, &folder).env("CI_CREDS_ID_TOKEN_FROM", name).arg("-v").run();
            assert_eq!(ran.code, code, "{name}, {then}: {ran:?}");
            assert!(ran.stderr.contains(word) && !ran.stderr.contains("told"), "{ran:?}");
        }
        let _ = std::fs::remove_file(world.path("calls"));
        let folder = program(&world, program_name, "exit 0");
        let checkout = by_program(&world, sign, &folder).env("WORKSPACE", &folder.display().to_string());
        let ran = checkout.env("CI_CREDS_ID_TOKEN_FROM", name).run().failed(78, "config");
        assert!(ran.stderr.contains("in the checkout"), "{ran:?}");
        // A folder by a relative name depends on where the job stands.
        let relative = by_program(&world, sign, &folder).env("PATH", "../tools:/usr/bin:/bin");
        let ran = relative.env("CI_CREDS_ID_TOKEN_FROM", name).run().failed(66, "input");
        assert!(ran.stderr.contains(&format!("{program_name} is not on PATH")), "{ran:?}");
        assert!(!world.path("calls").exists(), "{name} was run");
    }
    assert_eq!(world.vault.connections(), 0);
}

/// Runs it as a step of GitHub does, with stdout in a file.
fn as_a_step(world: &World, run: &Run) -> Ran {
    let path = world.file("github-env", "");
    let mut command = run.to_command();
    let child = command.stdout(File::create(&path).expect("a file")).stderr(Stdio::piped()).spawn().expect("a child");
    Ran::from(child.wait_with_output().expect("its end"))
}

// check: 22
#[test]
fn a_token_that_was_requested_is_masked_in_githubs_log_with_the_credential() {
    let world = World::start();
    let issuer = issuer(&world, TokenWire::Github, Vec::new());
    let line = format!("{} --format github --id-token-audience {AUDIENCE}", exoscale());
    let mut ran = as_a_step(&world, &job_at(&world, "github", &issuer.url(), &line));
    assert_eq!(ran.code, 0, "{ran:?}");
    let masks = take_masks(&mut ran);
    assert_eq!(masks.len(), 2, "{ran:?}");
    assert_eq!(masks[0].split('.').count(), 3, "the first is the token");
    assert_silent(&world, &ran.stderr);
    let text = std::fs::read_to_string(world.path("github-env")).expect("the file");
    assert!(!text.contains(&masks[0]) && text.contains(&masks[1]), "{text}");
}

#[test]
fn the_cache_serves_the_calls_of_one_job_although_each_has_a_token_of_its_own() {
    let world = World::start();
    let issuer = issuer(&world, TokenWire::Github, Vec::new());
    let runtime = world.path("runtime");
    std::fs::create_dir(&runtime).expect("a folder");
    std::fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its mode");
    let run = |proof: &str| {
        let line = format!("{} --cache --id-token-audience {AUDIENCE}", exoscale());
        let run = job_at(&world, "github", &issuer.url(), &line).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", proof);
        run.env("XDG_RUNTIME_DIR", &runtime.display().to_string()).run()
    };
    let (first, second) = (run(PROOF).ok(), run(PROOF).ok());
    assert_eq!(first, second);
    assert_eq!(world.vault.minted().values().sum::<usize>(), 1);
    // Another job has no token without its own proof, and with it no key to this one's entry.
    run("of-another-job-0123456789").failed(77, "denied");
}

#[test]
fn a_last_step_revokes_what_the_steps_before_it_made_although_each_has_a_token_of_its_own() {
    let world = World::start();
    let keep = |run: Run| {
        let mut run = run.arg("--id-token-audience").arg(AUDIENCE);
        run.arguments.retain(|word| word != "--no-keep-state");
        let made = run.clone().arg("--keep-state");
        run.arguments.splice(..3, ["revoke".to_owned()]);
        (made, run)
    };
    let assert_revoked = |name: &str, (made, revoke): (Run, Run)| {
        made.run().ok();
        made.run().ok();
        assert_eq!(world.vault.live_leases().len(), 2, "{name}");
        let told = revoke.run().ok();
        assert_eq!(told.matches(&format!("the credential of exoscale/apikey/{ROLE}")).count(), 1, "{name}: {told}");
        assert_eq!(world.vault.live_leases(), [], "{name}");
    };
    for (name, wire, ..) in BY_HTTP {
        let issuer = issuer(&world, wire, Vec::new());
        assert_revoked(name, keep(job_at(&world, name, &issuer.url(), &exoscale())));
        assert_eq!(issuer.requests().len(), 3, "{name}");
    }
    for (name, program_name, sign, _) in BY_PROGRAM {
        let id = |number: usize| world.id_token().claim("jti", format!("{name}-{number}")).sign();
        let tokens = world.file("answers", &[id(1), id(2), id(3)].join("\n"));
        let used = world.path("used");
        let next = format!("echo >>{0}; sed -n \"$(wc -l <{0})p\" {1}", used.display(), tokens.display());
        let folder = program(&world, program_name, &next);
        let proof = if name == "circleci" { "CIRCLE_OIDC_TOKEN_V2" } else { "BUILDKITE_AGENT_ACCESS_TOKEN" };
        let mut run = by_program(&world, sign, &folder).env(proof, PROOF).arg("--id-token-from").arg(name);
        let place = run.arguments.iter().position(|word| word == "--id-token-audience").expect("the audience");
        run.arguments.drain(place..=place + 1);
        assert_revoked(name, keep(run));
        assert_eq!(std::fs::read_to_string(&used).expect("its calls").len(), 3, "{name}");
        std::fs::remove_file(used).expect("it goes");
    }
}

#[test]
fn a_command_gets_neither_the_token_nor_what_requests_one() {
    let world = World::start();
    let issuer = issuer(&world, TokenWire::Github, Vec::new());
    let line = format!("exec exoscale --role {ROLE} --id-token-audience {AUDIENCE} -- env");
    let text = job_at(&world, "github", &issuer.url(), &line).run().ok();
    assert!(text.contains("EXOSCALE_API_KEY=") && !text.contains("ACTIONS_ID_TOKEN_REQUEST"), "{text}");
    assert_eq!(leak::find([PROOF], &text), None, "{text}");
    let token = world.id_token().sign();
    let circleci = world.command(&format!("exec exoscale --role {ROLE} -- env")).env("CIRCLECI", "true");
    let text = circleci.env("CIRCLE_OIDC_TOKEN_V2", &token).env("VAULT_AUTH_PATH", "gitlab").run().ok();
    assert!(text.contains("CIRCLECI=true") && !text.contains(&token), "{text}");
}

/// What each system writes into a token, and by what a role of Vault's is bound; then a role of the engine with placeholders,
/// and what comes of it. From the manuals.
fn systems() -> Vec<(&'static str, Value, Value, &'static str, &'static str)> {
    let github = json!({
        "iss": "https://token.actions.githubusercontent.com", "sub": "repo:octo/app:ref:refs/heads/main",
        "repository": "octo/app", "repository_id": "74", "repository_owner": "octo", "repository_owner_id": "65",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "environment": "prod", "run_id": "1",
        "job_workflow_ref": "octo/app/.github/workflows/x.yml@refs/heads/main", "runner_environment": "github-hosted",
    });
    let forgejo = json!({
        "iss": "https://codeberg.example/api/actions", "sub": "repo:octo/app:ref:refs/heads/main", "repository": "octo/app",
        "repository_owner": "octo", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "false", "run_id": "7",
    });
    let bitbucket = json!({
        "iss": "https://api.bitbucket.org/2.0/workspaces/w/pipelines-config/identity/oidc",
        "sub": "{1a2b-3c}:{9f8e-7d}", "workspaceUuid": "{aa-bb}", "repositoryUuid": "{1a2b-3c}", "pipelineUuid": "{cc-dd}",
        "stepUuid": "{9f8e-7d}", "branchName": "main", "deploymentEnvironmentUuid": "{ee-ff}",
    });
    let circleci = json!({
        "iss": "https://oidc.circleci.com/org/o-1", "sub": "org/o-1/project/p-1/user/u-1/vcs-origin/github.com/octo/app",
        "oidc.circleci.com/project-id": "p-1", "oidc.circleci.com/vcs-origin": "github.com/octo/app",
        "oidc.circleci.com/vcs-ref": "refs/heads/main", "oidc.circleci.com/context-ids": ["c-1"],
        "oidc.circleci.com/ssh-rerun": false,
    });
    let buildkite = json!({
        "iss": "https://agent.buildkite.com", "sub": "organization:octo:pipeline:app:ref:refs/heads/main:commit:f:step:s",
        "organization_slug": "octo", "pipeline_slug": "app", "build_number": 12, "build_branch": "main", "build_tag": null,
        "step_key": null, "job_id": "j-1", "agent_id": "a-1", "runner_environment": "self-hosted",
    });
    let azure = json!({
        "iss": "https://vstoken.dev.azure.com/o-1", "sub": "p://octo/web/app", "org_id": "o-1", "prj_id": "p-1",
        "def_id": "3", "rpo_id": "r-1", "rpo_ref": "refs/heads/main", "run_id": "9",
    });
    let codefresh = json!({
        "iss": "https://oidc.codefresh.io", "sub": "account:a-1:pipeline:p-1:initiator:x", "account_id": "a-1",
        "account_name": "octo", "pipeline_id": "p-1", "pipeline_name": "web/app", "workflow_id": "w-1", "scm_ref": "main",
    });
    let semaphore = json!({
        "iss": "https://octo.semaphoreci.com", "sub": "org:octo:project:p-1:repo:app:ref_type:branch:ref:refs/heads/main",
        "prj_id": "p-1", "wf_id": "w", "ppl_id": "l", "job_id": "j", "repo": "app", "repo_slug": "octo/app",
        "ref": "refs/heads/main", "ref_type": "branch",
    });
    let spacelift = json!({
        "iss": "https://octo.app.spacelift.io", "sub": "space:s-1:stack:app:run_type:TRACKED:scope:write", "spaceId": "s-1",
        "callerType": "stack", "callerId": "app", "runType": "TRACKED", "runId": "r-1", "scope": "write",
    });
    let terraform = json!({
        "iss": "https://app.terraform.io", "sub": "organization:octo:project:web:workspace:app:run_phase:apply",
        "terraform_organization_name": "octo", "terraform_project_id": "prj-1", "terraform_workspace_id": "ws-1",
        "terraform_workspace_name": "app", "terraform_run_id": "run-1", "terraform_run_phase": "apply",
    });
    let jenkins = json!({ "iss": "https://jenkins.example.com/oidc", "sub": "https://jenkins.example.com/job/app/", "build_number": 3 });
    vec![
        (
            "github",
            github,
            json!({ "repository_id": "74", "ref_protected": "true" }),
            "{project_id}-{environment}",
            "74-prod",
        ),
        ("forgejo", forgejo, json!({ "repository": "octo/app" }), "{project_path_slug}-{ref}", "octo-app-main"),
        (
            "bitbucket",
            bitbucket,
            json!({ "repositoryUuid": "{1a2b-3c}" }),
            "{project_id}-{environment}",
            "1a2b-3c-ee-ff",
        ),
        (
            "circleci",
            circleci,
            json!({ "oidc.circleci.com/project-id": "p-1", "oidc.circleci.com/ssh-rerun": false }),
            "{project_id}-{project_name}-{ref_type}",
            "p-1-app-branch",
        ),
        (
            "buildkite",
            buildkite,
            json!({ "organization_slug": "octo", "build_number": 12 }),
            "{namespace_path}-{project_name}-{pipeline_id}",
            "octo-app-12",
        ),
        ("azure", azure, json!({ "sub": "p://octo/web/app" }), "{project_id}-{ref}", "p-1-main"),
        ("codefresh", codefresh, json!({ "account_id": "a-1" }), "{namespace_path}-{project_name}", "octo-app"),
        ("semaphore", semaphore, json!({ "prj_id": "p-1" }), "{project_name}-{claim:wf_id}", "app-w"),
        ("spacelift", spacelift, json!({ "spaceId": "s-1" }), "{project_id}-{environment}", "app-write"),
        (
            "terraform",
            terraform,
            json!({ "terraform_organization_name": "octo" }),
            "{project_name}-{environment}",
            "app-apply",
        ),
        (
            "jenkins",
            jenkins,
            json!({ "sub": "https://jenkins.example.com/job/app/" }),
            "app-{claim:build_number}",
            "app-3",
        ),
    ]
}

/// The key that the role of a system leads to.
fn key_of(name: &str) -> String {
    format!("EXO{name:0>17}")
}

/// Mounts, roles, and a key for each system; its token does for its own role and for no other.
fn believe(operator: &Operator, keys: &dev_vault::GitlabKeys) {
    for (name, claims, bound, _, role) in systems() {
        operator.write(&format!("sys/auth/of-{name}"), &json!({ "type": "jwt" }));
        let config = json!({ "jwks_url": keys.jwks_url(), "bound_issuer": claims["iss"] });
        operator.write(&format!("auth/of-{name}/config"), &config);
        let jwt = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE], "bound_claims": bound,
            "token_policies": ["of-a-system"], "token_ttl": "15m",
        });
        operator.write(&format!("auth/of-{name}/role/ci"), &jwt);
        operator.write(&format!("exoscale/apikey/{role}"), &json!({ "api_key": key_of(name), "api_secret": KEY.1 }));
    }
    let policy = json!({ "policy": "path \"exoscale/apikey/*\" { capabilities = [\"read\"] }" });
    operator.write("sys/policies/acl/of-a-system", &policy);
}

#[test]
fn the_example_token_of_every_system_logs_in_at_a_real_server_and_fills_the_role() {
    let Some(server) = Server::shared() else { return };
    let keys = dev_vault::GitlabKeys::start();
    believe(&server.operator, &keys);
    let site = Site::on(server, "of-systems", "path \"exoscale/*\" { capabilities = [\"read\"] }");
    for (name, claims, _, placeholders, role) in systems() {
        let token = |claims: &Value| GitlabToken::of(claims).audience(AUDIENCE).sign();
        let run = |claims: &Value| {
            let run = site.command("exoscale --no-keep-state --id-token-from env:OF_THIS_JOB --role").arg(placeholders);
            let run = run.env("VAULT_AUTH_PATH", &format!("of-{name}")).env("VAULT_AUTH_ROLE", "ci");
            // Of GitLab's own variables none counts beside the token's claims.
            let run =
                run.env("CI_PROJECT_ID", "999").env("CI_PROJECT_NAME", "other").env("CI_COMMIT_REF_NAME", "other");
            run.env("OF_THIS_JOB", &token(claims)).run()
        };
        let set = exports(&run(&claims).ok());
        assert_eq!(set["EXOSCALE_API_KEY"], key_of(name), "{name}: {role}");
        let mut other = claims.clone();
        other["iss"] = json!("https://issuer.example.com");
        let ran = run(&other).failed(77, "denied");
        assert!(ran.stderr.contains("issuer"), "{name}: {ran:?}");
    }
}

/// The stand-in for GitHub's endpoint is what GitHub's own client takes it for.
#[test]
fn githubs_own_client_has_its_token_from_the_same_endpoint() {
    let Some(node) = tool::find("node") else { return };
    let modules = std::env::var("CI_CREDS_TEST_NODE_MODULES").unwrap_or_default();
    if !std::path::Path::new(&modules).join("@actions/core").is_dir() {
        return tool::miss("@actions/core", "is not in the folder that CI_CREDS_TEST_NODE_MODULES names");
    }
    let world = World::start();
    for wire in [TokenWire::Github, TokenWire::Forgejo] {
        let issuer = issuer(&world, wire, vec![Reply::status(503)]);
        let mut command = Command::new(&node);
        let script = "require('@actions/core').getIDToken(process.argv[1]).then(t => console.log('TOKEN ' + t))";
        command.args(["-e", script, AUDIENCE]).env_clear().env("NODE_PATH", &modules);
        command.env("ACTIONS_ID_TOKEN_REQUEST_URL", issuer.url()).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", PROOF);
        let text = Ran::of(command).ok();
        let theirs = text.lines().find_map(|line| line.strip_prefix("TOKEN ")).expect("a token");
        assert_eq!(theirs.split('.').count(), 3, "{text}");
        let own =
            job_at(&world, if wire == TokenWire::Github { "github" } else { "forgejo" }, &issuer.url(), &exoscale());
        own.arg("--id-token-audience").arg(AUDIENCE).run().ok();
        // Both sent the same: the same line, and what counts of the head.
        let seen = issuer.requests();
        let of = |index: usize| {
            let request: &dev_vault::Recorded = &seen[index];
            let header = |name| request.headers.get(name).map(str::to_owned);
            (
                request.method.clone(),
                request.path.clone(),
                request.query.clone(),
                header("authorization"),
                header("accept"),
            )
        };
        assert_eq!((seen.len(), of(1)), (3, of(2)), "{seen:?}");
    }
}
