use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ci_creds::cli::Format;
use ci_creds::credential::{Credential, Lease};
use ci_creds::provider::{Characters, Field, Provider, aws::AWS, exoscale::EXOSCALE};
use ci_creds::render::render;
use ci_creds::secret::Secret;
use dev_vault::{Fault, On};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::support::shell::{self, Shell, Stage};
use crate::support::{ROLE, Ran, World, moto, tool};

/// As many as fit into a second in the slowest shell; each run draws others.
const BATCH: usize = 120;

/// Any value inside the set. Most are short, so that first and last characters are often the odd ones.
fn value(characters: &'static Characters) -> impl Strategy<Value = String> {
    let inside: Vec<char> = (' '..='~').filter(|c| is_inside(characters, *c)).collect();
    let longest = characters.most;
    let size = prop_oneof![8 => characters.least..=(characters.least + 40).min(longest), 1 => longest..=longest];
    size.prop_flat_map(move |size| proptest::collection::vec(proptest::sample::select(inside.clone()), size))
        .prop_map(|rest| format!("{}{}", characters.prefix, rest.into_iter().collect::<String>()))
}

/// Asked of the set itself: when it grows by a character that some reader acts on, these tests meet it.
fn is_inside(characters: &Characters, c: char) -> bool {
    let text = format!("{}{}", characters.prefix, c.to_string().repeat(characters.least.max(1)));
    characters.check(&text).is_none()
}

/// A credential of this cloud: every required field, and the optional ones now and then.
fn credential(provider: &'static Provider) -> impl Strategy<Value = Credential> {
    let fields: Vec<_> = provider
        .fields
        .iter()
        .map(|field| {
            let filled = value(&field.characters).prop_map(Some);
            let value = if field.required { filled.boxed() } else { prop_oneof![3 => filled, 1 => Just(None)].boxed() };
            value.prop_map(move |value| (field, value))
        })
        .collect();
    (fields, proptest::option::of("[a-z0-9-]{1,20}")).prop_map(move |(fields, place)| {
        let name = if provider.name == "aws" { "AWS_REGION" } else { "EXOSCALE_ZONE" };
        Credential {
            provider,
            role: "ci".into(),
            path: format!("{}/x/ci", provider.name),
            values: fields.into_iter().filter_map(with_value).collect(),
            companions: place.into_iter().map(|place| (name, place)).collect(),
            lease: Lease {
                id: Some("x/y".into()),
                renewable: true,
                expires_at: "2099-12-31T23:59:59Z".parse().ok(),
                revocable: true,
            },
            keep_profile: false,
        }
    })
}

fn with_value((field, value): (&'static Field, Option<String>)) -> Option<(&'static Field, Secret)> {
    Some((field, Secret::new(value?)))
}

fn text(format: Format, credential: &Credential) -> String {
    render(format, credential).expect("a format of this cloud").expose().to_owned()
}

fn assert_read_back(credential: &Credential) {
    let expected: Vec<_> = credential.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+/=.:@%,-".contains(c);
    for format in [Format::Shell, Format::Fish, Format::Powershell, Format::Dotenv] {
        let mut read = Vec::new();
        for line in text(format, credential).lines() {
            let (name, value) = match format {
                Format::Shell => line.strip_prefix("export ").and_then(|rest| rest.split_once('=')),
                Format::Fish => line.strip_prefix("set -gx ").and_then(|rest| rest.split_once(' ')),
                Format::Powershell => line.strip_prefix("$env:").and_then(|rest| rest.split_once(" = ")),
                _ => line.split_once('='),
            }
            .unwrap_or_default();
            if format == Format::Dotenv {
                read.push((name.to_owned(), value.to_owned()));
            } else {
                assert!(line.ends_with(';'), "no statement: {line}");
                let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix("';"));
                read.extend(inner.map(|inner| (name.to_owned(), inner.to_owned())));
            }
        }
        assert!(read.iter().all(|(_, value)| value.chars().all(plain)), "{format:?}: {read:?}");
        assert_eq!(read, expected, "{format:?}");
    }
    let object: Value = serde_json::from_str(&text(Format::Json, credential)).expect("JSON");
    for (field, value) in &credential.values {
        assert_eq!(object[field.name], value.expose(), "{}", field.name);
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_format_gives_an_exoscale_key_back_whole(credential in credential(&EXOSCALE)) {
        assert_read_back(&credential);
    }

    #[test]
    fn every_format_gives_aws_credentials_back_whole(credential in credential(&AWS)) {
        assert_read_back(&credential);
        let object: Value = serde_json::from_str(&text(Format::Process, &credential)).expect("JSON");
        for (field, value) in &credential.values {
            if let Some(name) = field.process {
                assert_eq!(object[name], value.expose());
            }
        }
        let members = object.as_object().expect("an object");
        prop_assert_eq!(&object["Version"], &json!(1));
        prop_assert!(members.values().all(|value| !value.is_null() && value != ""));
    }
}

/// A batch of credentials, drawn anew in each run.
fn draw(provider: &'static Provider) -> Vec<Credential> {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let strategy = credential(provider);
    (0..BATCH).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
}

/// Writes each credential's text to `<folder>/<number>`.
fn write_texts(world: &World, format: Format, credentials: &[Credential]) -> PathBuf {
    let folder = world.path("texts");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (index, credential) in credentials.iter().enumerate() {
        std::fs::write(folder.join(index.to_string()), text(format, credential)).expect("a text");
    }
    folder
}

/// What each credential's variables must be afterwards, a line each; `-` where one must not be set.
fn expected(credentials: &[Credential], names: &[&str]) -> Vec<String> {
    let value = |credential: &Credential, name: &str| {
        credential.variables().find(|(set, _)| *set == name).map_or("-".to_owned(), |(_, value)| value.to_owned())
    };
    credentials.iter().flat_map(|one| names.iter().map(|name| value(one, name))).collect()
}

fn names(provider: &Provider) -> Vec<&'static str> {
    provider.fields.iter().filter_map(|field| field.variable).collect()
}

fn assert_reads(shell: &Shell, stage: &Stage, script: &str, expected: &[String]) {
    let ran = stage.play(shell, script).ran;
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!((lines.len(), ran.stderr.as_str()), (expected.len(), ""), "{}: {script}", shell.name);
    for (index, (line, expected)) in lines.iter().zip(expected).enumerate() {
        assert_eq!(line, expected, "{}: line {index} of {script}", shell.name);
    }
}

#[test]
fn every_shell_reads_every_value_as_it_is_quoted_unquoted_and_sourced() {
    for provider in Provider::ALL {
        let world = World::start();
        let credentials = draw(provider);
        let folder = write_texts(&world, Format::Shell, &credentials);
        let stage = Stage::new(&world, &world.command("")).env("IN", &folder.display().to_string());
        let names = names(provider);
        let show: String = names.iter().map(|name| format!(" \"${{{name}--}}\"")).collect();
        let expected = expected(&credentials, &names);
        for shell in shell::posix() {
            for read in ["eval $(cat \"$IN/$i\")", "eval \"$(cat \"$IN/$i\")\"", ". \"$IN/$i\""] {
                let script = format!(
                    "set -e\ni=0\nwhile [ $i -lt {BATCH} ]; do\n{read}\nprintf '%s\\n'{show}\ni=$((i+1))\ndone\n"
                );
                assert_reads(&shell, &stage, &script, &expected);
            }
        }
    }
}

#[test]
fn fish_reads_every_value_as_it_is() {
    let Some(fish) = shell::named("fish") else { return };
    for provider in Provider::ALL {
        let world = World::start();
        let credentials = draw(provider);
        let folder = write_texts(&world, Format::Fish, &credentials);
        let stage = Stage::new(&world, &world.command("")).env("IN", &folder.display().to_string());
        let names = names(provider);
        let show: String =
            names.iter().map(|name| format!("set -q {name}; and printf '%s\\n' ${name}; or echo -\n")).collect();
        for read in ["eval (cat $IN/$i)", "eval \"$(cat $IN/$i)\"", "source $IN/$i"] {
            let script = format!("for i in (seq 0 {})\n{read}\nor exit 9\n{show}end\n", BATCH - 1);
            assert_reads(&fish, &stage, &script, &expected(&credentials, &names));
        }
    }
}

#[test]
fn botocore_reads_every_value_as_it_is() {
    let Some(python) = moto::python() else { return };
    let world = World::start();
    let credentials = draw(&AWS);
    let folder = write_texts(&world, Format::Process, &credentials);
    let script = "import sys\nfrom botocore.credentials import ProcessProvider\nfor i in range(int(sys.argv[2])):\n  \
                  line = {'credential_process': 'cat %s/%d' % (sys.argv[1], i)}\n  \
                  c = ProcessProvider('p', lambda: {'profiles': {'p': line}}).load().get_frozen_credentials()\n  \
                  print(c.access_key, c.secret_key, c.token or '-', sep='\\n')";
    let mut command = std::process::Command::new(python);
    command.args(["-c", script]).arg(folder).arg(BATCH.to_string());
    let read: Vec<_> = Ran::of(command).ok().lines().map(str::to_owned).collect();
    assert_eq!(read, expected(&credentials, &names(&AWS)));
}

#[test]
fn python_reads_every_value_of_the_json() {
    let Some(python) = tool::find("python3") else { return };
    for provider in Provider::ALL {
        let world = World::start();
        let credentials = draw(provider);
        let folder = write_texts(&world, Format::Json, &credentials);
        let fields: Vec<_> = provider.fields.iter().filter(|field| field.variable.is_some()).collect();
        let script = "import json,sys\nfor i in range(int(sys.argv[2])):\n  d = json.load(open('%s/%d' % (sys.argv[1], i)))\n  \
                      for name in sys.argv[3:]: print(d.get(name, '-'))";
        let mut command = std::process::Command::new(&python);
        command.args(["-c", script]).arg(folder).arg(BATCH.to_string()).args(fields.iter().map(|field| field.name));
        let read: Vec<_> = Ran::of(command).ok().lines().map(str::to_owned).collect();
        assert_eq!(read, expected(&credentials, &names(provider)), "{}", provider.name);
    }
}

/// Puts the character whose number stands in `now` into the field of every answer.
fn spoil(world: &World, path: &str, field: &'static str, now: &Arc<AtomicU32>) {
    let now = Arc::clone(now);
    let change = move |mut answer: Value| {
        let number = now.load(Ordering::SeqCst);
        let character = char::from_u32(number).expect("a character");
        let mut value = answer["data"][field].as_str().expect("a text").to_owned();
        // First, last, and in between: a check that looks at one place only is none.
        let place = [0, value.len() / 2, value.len()][number as usize % 3];
        value.insert(place, character);
        answer["data"][field] = json!(value);
        answer
    };
    world.vault.inject(On::path(path).every(), Fault::rewrite(Box::new(change)));
}

#[test]
fn every_byte_outside_a_fields_set_is_refused_with_65_and_the_lease_is_revoked() {
    let exoscale = format!("exoscale --role {ROLE}");
    for (provider, line, path, name) in [
        (&EXOSCALE, exoscale.as_str(), format!("/exoscale/apikey/{ROLE}"), "api_secret"),
        (&AWS, "aws --role user --via creds", "/aws/creds/user".to_owned(), "secret_key"),
    ] {
        let world = World::start();
        let field = provider.fields.iter().find(|field| field.name == name).expect("a field");
        let now = Arc::new(AtomicU32::new(0));
        spoil(&world, &path, name, &now);
        let run = world.command_as("id-token", line);
        let outside: Vec<u32> = (0..=0xff)
            .filter(|number| !is_inside(&field.characters, char::from_u32(*number).expect("a character")))
            .collect();
        assert!(outside.len() > 180, "{}", outside.len());
        for number in &outside {
            now.store(*number, Ordering::SeqCst);
            let ran = run.run().failed(65, "data");
            assert!(
                ran.stdout.starts_with("unset ") && ran.stdout.ends_with(";\n(exit 65);\n"),
                "{number:#x}: {ran:?}"
            );
            assert!(ran.stderr.contains(name) && ran.stderr.contains(&path[1..]), "{number:#x}: {}", ran.stderr);
            assert!(world.vault.live_leases().is_empty(), "{number:#x}: a lease that nobody has");
            world.assert_no_secret_in(&ran.stderr);
        }
        assert_eq!(world.vault.minted().values().sum::<usize>(), outside.len(), "one read each: never asked again");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_too_and_the_lease_is_revoked() {
    let world = World::start();
    let run = world.command_as("id-token", &format!("exoscale --role {ROLE}"));
    for bytes in [&b"\x80"[..], b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\0", b"\n", b"\x1b", b"\\ud800", b"\\u12"] {
        let spoiled = move |body: Vec<u8>| {
            let place = body.windows(12).position(|part| part == b"\"api_secret\"").expect("the field") + 16;
            [&body[..place], bytes, &body[place..]].concat()
        };
        world.vault.clear_faults();
        world
            .vault
            .inject(On::path(&format!("/exoscale/apikey/{ROLE}")).every(), Fault::rewrite_bytes(Box::new(spoiled)));
        let ran = run.run();
        assert!([65, 76].contains(&ran.code), "{bytes:?}: {ran:?}");
        assert!(ran.stdout.ends_with(&format!(";\n(exit {});\n", ran.code)), "{bytes:?}: {ran:?}");
        assert!(world.vault.live_leases().is_empty(), "{bytes:?}: a lease that nobody has");
        world.assert_no_secret_in(&ran.stderr);
    }
}
