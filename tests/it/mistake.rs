//! What is printed after the most likely mistakes, in one file to be read in one sitting: tests/it/snapshot/mistake.txt.
//!
//! Each is run by a shell against a double of its own. `CI_CREDS_REGENERATE=1 cargo test --test it mistake` writes the
//! file anew; in CI that is refused.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use dev_vault::{DevVault, Dialect, Fault, On, Reply, Tls};

use crate::support::parallel::each;
use crate::support::{ROLE, Ran, World};

/// A mistake: the variables of the job beside `VAULT_ADDR`, what stands behind the program's name, and the server that it
/// meets. `<token>` and its like are values of that server.
struct Mistake {
    variables: Vec<(&'static str, &'static str)>,
    line: &'static str,
    /// What is told of the server that it meets, and the server.
    server: (&'static str, fn() -> World),
}

const TOKEN: &[(&str, &str)] = &[("VAULT_TOKEN", "<token>")];
const SECRET_ID: &[(&str, &str)] = &[("VAULT_ROLE_ID", "<role ID>"), ("VAULT_SECRET_ID", "<secret ID>")];
const EXOSCALE: &str = "exoscale --role gitlab-ci-runner";

fn at(line: &'static str) -> Mistake {
    with(TOKEN, line)
}

fn with(variables: &[(&'static str, &'static str)], line: &'static str) -> Mistake {
    Mistake { variables: variables.to_vec(), line, server: ("", World::start) }
}

fn command_line() -> Vec<Mistake> {
    [
        "",
        "exosclae --role deploy",
        "gcp --role deploy",
        "exoscale deploy",
        "exoscale --region ch-gva-2",
        "aws --zone eu-central-1",
        "aws --rolle deploy",
        "aws --duration 1h --role deploy",
        "aws --bogus",
        "aws --role",
        "aws --role \"$UNSET\"",
        "aws --role deploy --role dev",
        "aws --cache --no-cache --role deploy",
        "aws --format yaml --role deploy",
        "aws --format bash --role deploy",
        "aws --auth approle --role deploy",
        "aws --ttl 1hour --role deploy",
        "aws --ttl 0 --role deploy",
        "aws --region EU --role deploy",
        "aws --token <token>",
        "aws --role <token>",
        "exoscale --role team/deploy",
        "aws --role '{projectid}'",
        "aws --role '{project_id'",
        "aws --role '{project_id}-dev'",
        "aws --role '{environment}'",
        "exoscale --format process --role deploy",
        "exoscale --sos --role deploy",
        "exoscale",
        "completions tcsh",
        "aws --config /nope.toml --role deploy",
        "exoscale --role deploy 2>&1",
        "exoscale -role=deploy",
        "secret kv/ci",
        "secret db",
        "secret --mount secret --path ci --env A=a",
        "secret --path secret/data/ci --field npm-token",
        "kv get secret/ci",
        "exec deploy -- aws s3 ls",
        "exec secret:db -- env",
        "token renew --ttl 2h",
        "token rotate",
    ]
    .map(at)
    .into()
}

fn variables() -> Vec<Mistake> {
    let address: [&[(&str, &str)]; 7] = [
        &[("VAULT_ADDR", ""), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_ADDR", "vault.example.com:8200"), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_ADDR", "\"https://vault.example.com:8200\""), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_ADDR", "https://vault.example.com:8200/v1"), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_ADDR", "http://vault.example.com:8200"), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_ADDR", "$VAULT_PROD_ADDR"), ("VAULT_TOKEN", "<token>")],
        &[("VAULT_SKIP_VERIFY", "1"), ("VAULT_TOKEN", "<token>")],
    ];
    let trust: [&[(&str, &str)]; 2] = [
        &[("VAULT_ADDR", "https://vault.example.com:8200"), ("VAULT_CACERT", "/nope.pem"), ("VAULT_TOKEN", "<token>")],
        &[
            ("VAULT_ADDR", "https://vault.example.com:8200"),
            ("VAULT_CACERT", "-----BEGIN CERTIFICATE-----"),
            ("VAULT_TOKEN", "<token>"),
        ],
    ];
    let login: [&[(&str, &str)]; 9] = [
        &[],
        &[("VAULT_ROLE_ID", "<role ID>")],
        &[("VAULT_SECRET_ID", "<secret ID>")],
        &[("VAULT_TOKEN", "<token>"), ("VAULT_TOKEN_FILE", "/run/secrets/token")],
        &[("VAULT_TOKEN_FILE", "/nope")],
        &[("VAULT_TOKEN", "null")],
        &[("VAULT_TOKEN", "[MASKED]")],
        &[("VAULT_ROLE_ID", "<role ID>"), ("VAULT_WRAPPING_TOKEN", "<secret ID>")],
        &[("VAULT_ID_TOKEN", "<token>")],
    ];
    let mut all: Vec<_> = address.into_iter().chain(trust).chain(login).map(|some| with(some, EXOSCALE)).collect();
    all.extend([
        with(&[], "exoscale --role deploy --auth id-token"),
        with(&[], "exoscale --role deploy --id-token-env GITLAB_TOKEN"),
        with(&[("VAULT_TOKEN", "<token>"), ("VAULT_ROLE_ID", "<role ID>")], "aws --role x --auth generator-token"),
        with(TOKEN, "aws --config adress.toml --role deploy"),
        with(TOKEN, "aws --config token.toml --role deploy"),
        with(TOKEN, "aws --config role.toml"),
    ]);
    all
}

fn server() -> Vec<Mistake> {
    const ID_TOKEN: &[(&str, &str)] = &[("VAULT_ID_TOKEN", "<ID token>"), ("VAULT_AUTH_PATH", "gitlab")];
    let wrapped = |variables| with(variables, EXOSCALE);
    vec![
        with(&[("VAULT_ADDR", "http://127.0.0.1:1"), ("VAULT_TOKEN", "<token>")], EXOSCALE),
        Mistake { server: OVER_TLS, ..with(&[("VAULT_ADDR", "http://<host>"), TOKEN[0]], EXOSCALE) },
        with(&[("VAULT_ADDR", "https://<host>"), TOKEN[0]], EXOSCALE),
        Mistake { server: OVER_TLS, ..at(EXOSCALE) },
        Mistake { server: NOT_VAULT, ..at(EXOSCALE) },
        Mistake { server: SEALED, ..with(TOKEN, "exoscale --role gitlab-ci-runner --retries 0") },
        Mistake { server: OPENBAO, ..with(&[("VAULT_NAMESPACE", "team"), TOKEN[0]], EXOSCALE) },
        with(&[("VAULT_TOKEN", "<generator token>"), ("VAULT_ROLE_ID", "<role ID>")], EXOSCALE),
        with(&[("VAULT_TOKEN", "<generator token>")], EXOSCALE),
        with(&[("VAULT_TOKEN", "hvs.CAESIJlWh7dRz3kQ9xTn2bVpAAAA")], EXOSCALE),
        at("exoscale --role gitlab-ci-rnner"),
        at("exoscale --role gitlab-ci-runner --mount exo"),
        at("aws --role 365-dve"),
        at("aws --role 365-dev --ttl 60"),
        at("aws --role two-arns"),
        with(&[SECRET_ID[0], ("VAULT_SECRET_ID", "11111111-2222-3333-4444-555555555555")], EXOSCALE),
        with(&[("VAULT_ROLE_ID", "11111111-2222-3333-4444-555555555555"), SECRET_ID[1]], EXOSCALE),
        with(SECRET_ID, "exoscale --role gitlab-ci-runner --auth-mount ci"),
        with(&[ID_TOKEN[0]], EXOSCALE),
        with(&[("VAULT_ID_TOKEN", "<expired ID token>"), ID_TOKEN[1]], EXOSCALE),
        with(&[("VAULT_ID_TOKEN", "<ID token for another audience>"), ID_TOKEN[1]], EXOSCALE),
        with(&[("VAULT_ID_TOKEN", "<ID token of another project>"), ID_TOKEN[1]], EXOSCALE),
        with(&[ID_TOKEN[0], ID_TOKEN[1], ("VAULT_AUTH_ROLE", "deploy")], EXOSCALE),
        wrapped(&[SECRET_ID[0], ("VAULT_WRAPPING_TOKEN", "<spent wrapping token>")]),
        wrapped(&[SECRET_ID[0], ("VAULT_WRAPPING_TOKEN", "<token>")]),
        wrapped(&[
            SECRET_ID[0],
            ("VAULT_WRAPPING_TOKEN", "<wrapping token>"),
            ("VAULT_APPROLE_ROLE", "gitlab-ci-rnner"),
        ]),
        wrapped(&[("VAULT_WRAPPING_TOKEN", "<wrapping token>")]),
        with(&[("VAULT_TOKEN", "<wrapping token>")], EXOSCALE),
    ]
}

const OVER_TLS: (&str, fn() -> World) = ("# Vault speaks TLS, and its CA is its own\n", over_tls);
const NOT_VAULT: (&str, fn() -> World) = ("# a page to sign in answers\n", not_vault);
const SEALED: (&str, fn() -> World) = ("# Vault is sealed\n", sealed);
const OPENBAO: (&str, fn() -> World) = ("# OpenBao without that namespace\n", openbao);

fn over_tls() -> World {
    World::with(DevVault::builder().dialect(Dialect::Vault1_16).tls(Tls::Valid))
}

fn openbao() -> World {
    World::with(DevVault::builder().dialect(Dialect::OpenBao))
}

fn not_vault() -> World {
    let world = World::start();
    world.vault.inject(On::any().every(), Fault::answer(Reply::html(200, "<html>Sign in</html>")));
    world
}

fn sealed() -> World {
    let world = World::start();
    world.vault.inject(On::any().every(), Fault::answer(Reply::error(503, "Vault is sealed")));
    world
}

/// The value that stands for `<name>` at this server.
fn value(world: &World, name: &str) -> String {
    match name {
        "token" => world.token("job"),
        "generator token" => world.generator_token(),
        "role ID" => world.role_id.clone(),
        "secret ID" => world.secret_id(),
        "wrapping token" => world.wrapping_token(),
        "spent wrapping token" => {
            let token = world.wrapping_token();
            assert_eq!(world.vault.request("POST", "sys/wrapping/unwrap", Some(&token), &[], None).status, 200);
            token
        }
        "ID token" => world.id_token().sign(),
        "expired ID token" => world.id_token().expires_in(-600).sign(),
        "ID token for another audience" => world.id_token().audience("https://other.example.com").sign(),
        "ID token of another project" => world.id_token().project_id("7").sign(),
        "host" => world.vault.socket_address().to_string(),
        other => panic!("no value is called <{other}>"),
    }
}

/// The text with the values of this server.
fn fill(world: &World, text: &str) -> String {
    let mut filled = text.to_owned();
    while let Some((start, end)) = filled.find('<').and_then(|start| Some((start, start + filled[start..].find('>')?)))
    {
        let value = value(world, &filled[start + 1..end]);
        filled.replace_range(start..=end, &value);
    }
    filled
}

/// The call as it was typed, what it printed, and its code.
fn play(mistake: &Mistake) -> String {
    let (note, start) = mistake.server;
    let world = start();
    for (name, text) in [
        ("adress.toml", "adress = \"https://vault.example.com\"\n"),
        ("token.toml", "# ours\ntoken = \"hvs.CAESIJlWh7dRz3kQ9xTn2bVp\"\n"),
        ("role.toml", "role = \"deploy\"\n"),
    ] {
        let path = world.file(name, text);
        std::fs::rename(path, world.path("work").join(name)).expect("a file in the job's folder");
    }
    let mut told = format!("{note}$ ");
    let mut run = world.command("").env("VAULT_ADDR", &world.vault.address());
    for (name, text) in &mistake.variables {
        let is_quoted = text.contains([' ', '$', '"', '[']) && !text.starts_with('<');
        let shown = if is_quoted { format!("'{text}'") } else { (*text).to_owned() };
        write!(told, "{name}={shown} ").unwrap();
        run = run.env(name, &fill(&world, text));
    }
    writeln!(told, "{}", format!("ci-creds {}", mistake.line).trim_end()).unwrap();
    let script = format!("'{}' {}", env!("CARGO_BIN_EXE_ci-creds"), fill(&world, mistake.line));
    let mut command = Command::new("/bin/sh");
    let folder = world.path("work");
    command.args(["-c", &script]).env_clear().envs(run.variables()).current_dir(&folder).stdin(Stdio::null());
    let ran = Ran::of(command);
    // What makes an eval fail is the same for all, and told elsewhere.
    let printed = ran.stdout.lines().filter(|line| line.starts_with("ci-creds: ") || line.starts_with("  hint: "));
    let printed: String = printed.map(|line| format!("{line}\n")).collect();
    let text = (printed + &ran.stderr).replace(&world.vault.socket_address().to_string(), "127.0.0.1:8200");
    world.assert_no_secret_in(&text);
    writeln!(told, "{text}exit {}", ran.code).unwrap();
    told
}

fn snapshot() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshot/mistake.txt")
}

#[test]
fn the_most_likely_mistakes_print_what_the_snapshot_says() {
    let mistakes: Vec<_> = [command_line(), variables(), server()].into_iter().flatten().enumerate().collect();
    assert!(mistakes.len() >= 60, "{}", mistakes.len());
    let told = Mutex::new(vec![String::new(); mistakes.len()]);
    each(mistakes, |(index, mistake)| {
        let text = play(&mistake);
        told.lock().unwrap()[index] = text;
    });
    let text = told.into_inner().unwrap().join("\n");
    if std::env::var_os("CI_CREDS_REGENERATE").is_some() {
        assert!(std::env::var_os("CI").is_none(), "CI compares, and writes nothing");
        std::fs::write(snapshot(), &text).expect("the snapshot");
        return;
    }
    let expected = std::fs::read_to_string(snapshot()).expect("the snapshot");
    for (ours, theirs) in text.split("\n\n").zip(expected.split("\n\n")) {
        assert_eq!(ours, theirs, "CI_CREDS_REGENERATE=1 cargo test --test it mistake");
    }
    assert_eq!(text, expected);
}

#[test]
fn every_message_of_the_snapshot_says_what_to_do() {
    let text = std::fs::read_to_string(snapshot()).expect("the snapshot");
    for mistake in text.split("\n\n") {
        assert!(mistake.contains("\n  hint: ") && !mistake.contains("\nexit 0"), "{mistake}");
        let errors = mistake.lines().filter(|line| line.starts_with("ci-creds: error["));
        assert!(errors.count() <= 1, "{mistake}");
        for line in mistake.lines().filter(|line| !line.starts_with(['$', '#'])) {
            assert!(line.len() <= 320, "{} characters: {line}", line.len());
        }
    }
    assert!(!text.contains(&format!("{ROLE}-")), "no name of a world");
}
