use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ci_creds::credential::{Credential, Lease, Life};
use ci_creds::provider::shape::{Characters, Field, Shape};
use ci_creds::provider::{
    aws::AWS,
    exoscale::{EXOSCALE, SOS},
    shapes,
};
use ci_creds::render::format::Format;
use ci_creds::render::render;
use ci_creds::secret::Secret;
use dev_vault::{Fault, On};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::github;
use crate::support::parallel::{each, rounds_or};
use crate::support::shell::{self, Shell, Stage};
use crate::support::{ROLE, Ran, World, moto, tool};

/// A second in the slowest shell, whose cost is a process a case. Each run draws others, so that a day's runs see
/// thousands; `CI_CREDS_TEST_CASES` asks for more at once.
fn batch() -> usize {
    std::env::var("CI_CREDS_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

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
fn credential(shape: &'static Shape) -> impl Strategy<Value = Credential> {
    let fields: Vec<_> = shape
        .fields
        .iter()
        .map(|field| {
            let filled = value(&field.characters).prop_map(Some);
            let is_always_there = field.required || field.variable.as_ref().is_some_and(|name| shape.is_setting(name));
            let value =
                if is_always_there { filled.boxed() } else { prop_oneof![3 => filled, 1 => Just(None)].boxed() };
            value.prop_map(move |value| (field.clone(), value))
        })
        .collect();
    (fields, proptest::option::of("[a-z0-9-]{1,20}")).prop_map(move |(fields, place)| {
        let name = if shape.name == "aws" { "AWS_REGION" } else { "EXOSCALE_ZONE" };
        Credential {
            shape: Cow::Borrowed(shape),
            role: "ci".into(),
            path: format!("{}/x/ci", shape.name),
            values: fields.into_iter().filter_map(with_value).collect(),
            companions: place.into_iter().map(|place| (name, place)).collect(),
            lease: Lease {
                id: Some("x/y".into()),
                renewable: true,
                expires_at: "2099-12-31T23:59:59Z".parse().ok(),
                granted_until: None,
                life: Life::Leased,
            },
            keep_profile: false,
            others: Vec::new(),
        }
    })
}

fn with_value((field, value): (Field, Option<String>)) -> Option<(Field, Secret)> {
    Some((field, Secret::new(value?)))
}

fn text(format: Format, credential: &Credential) -> String {
    render(format, credential, "delimiter").expect("a format of this cloud").expose().to_owned()
}

fn assert_read_back(credential: &Credential) {
    let expected: Vec<_> = credential.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+/=.:@%,-".contains(c);
    for format in [Format::Shell, Format::Fish, Format::Powershell, Format::Dotenv] {
        let mut read = Vec::new();
        // In a shell's text nothing is set before the check that the text is whole.
        let text = text(format, credential);
        let (_, text) = text.split_once("fi` &&\n").unwrap_or(("", &text));
        for line in text.lines() {
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
                assert!(line.ends_with(';') || line.ends_with(" &&"), "no statement: {line}");
                let value = value.strip_suffix(" &&").or_else(|| value.strip_suffix(';')).unwrap_or_default();
                let inner = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
                read.extend(inner.map(|inner| (name.to_owned(), inner.to_owned())));
            }
        }
        assert!(read.iter().all(|(_, value)| value.chars().all(plain)), "{format:?}: {read:?}");
        assert_eq!(read, expected, "{format:?}");
    }
    let mut read = github::parse_variables(&text(Format::Github, credential));
    let emptied = read.split_off(expected.len());
    assert_eq!(read, expected);
    assert!(emptied.iter().all(|(name, value)| credential.shape.emptied.contains(&name.as_str()) && value.is_empty()));
    let object: Value = serde_json::from_str(&text(Format::Json, credential)).expect("JSON");
    for (field, value) in &credential.values {
        assert_eq!(object[&*field.name], value.expose(), "{}", field.name);
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_format_gives_an_exoscale_key_back_whole(credential in credential(&EXOSCALE)) {
        assert_read_back(&credential);
    }

    #[test]
    fn every_format_gives_a_key_for_the_object_storage_back_whole(credential in credential(&SOS)) {
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
fn draw(shape: &'static Shape) -> Vec<Credential> {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let strategy = credential(shape);
    (0..batch()).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect()
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

fn names(shape: &Shape) -> Vec<&str> {
    shape.fields.iter().filter_map(|field| field.variable.as_deref()).collect()
}

fn assert_reads(shell: &Shell, stage: &Stage, script: &str, expected: &[String]) {
    let ran = stage.play(shell, script).ran;
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!((lines.len(), ran.stderr.as_str()), (expected.len(), ""), "{}: {script}", shell.name);
    for (index, (line, expected)) in lines.iter().zip(expected).enumerate() {
        assert_eq!(line, expected, "{}: line {index} of {script}", shell.name);
    }
}

// check: 24
#[test]
fn every_shell_reads_every_value_as_it_is_quoted_unquoted_and_sourced() {
    each(shapes().collect(), |shape| {
        let world = World::start();
        let credentials = draw(shape);
        let folder = write_texts(&world, Format::Shell, &credentials);
        let stage = Stage::new(&world, &world.command("")).env("IN", &folder.display().to_string());
        let names = names(shape);
        let show: String = names.iter().map(|name| format!(" \"${{{name}--}}\"")).collect();
        let expected = expected(&credentials, &names);
        for shell in shell::posix() {
            for read in ["eval $(cat \"$IN/$i\")", "eval \"$(cat \"$IN/$i\")\"", ". \"$IN/$i\""] {
                let cases = batch();
                let script = format!(
                    "set -e\ni=0\nwhile [ $i -lt {cases} ]; do\n{read}\nprintf '%s\\n'{show}\ni=$((i+1))\ndone\n"
                );
                assert_reads(&shell, &stage, &script, &expected);
            }
        }
    });
}

// check: 24
#[test]
fn fish_reads_every_value_as_it_is() {
    let Some(fish) = shell::named("fish") else { return };
    for shape in shapes() {
        let world = World::start();
        let credentials = draw(shape);
        let folder = write_texts(&world, Format::Fish, &credentials);
        let stage = Stage::new(&world, &world.command("")).env("IN", &folder.display().to_string());
        let names = names(shape);
        let show: String =
            names.iter().map(|name| format!("set -q {name}; and printf '%s\\n' ${name}; or echo -\n")).collect();
        for read in ["eval (cat $IN/$i)", "eval \"$(cat $IN/$i)\"", "source $IN/$i"] {
            let script = format!("for i in (seq 0 {})\n{read}\nor exit 9\n{show}end\n", batch() - 1);
            assert_reads(&fish, &stage, &script, &expected(&credentials, &names));
        }
    }
}

// check: 24
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
    command.args(["-c", script]).arg(folder).arg(batch().to_string());
    let read: Vec<_> = Ran::of(command).ok().lines().map(str::to_owned).collect();
    assert_eq!(read, expected(&credentials, &names(&AWS)));
}

// check: 24
#[test]
fn python_reads_every_value_of_the_json() {
    let Some(python) = tool::find("python3") else { return };
    for shape in shapes() {
        let world = World::start();
        let credentials = draw(shape);
        let folder = write_texts(&world, Format::Json, &credentials);
        let fields: Vec<_> = shape.fields.iter().filter(|field| field.variable.is_some()).collect();
        let script = "import json,sys\nfor i in range(int(sys.argv[2])):\n  d = json.load(open('%s/%d' % (sys.argv[1], i)))\n  \
                      for name in sys.argv[3:]: print(d.get(name, '-'))";
        let mut command = std::process::Command::new(&python);
        command.args(["-c", script]).arg(folder).arg(batch().to_string()).args(fields.iter().map(|field| &*field.name));
        let read: Vec<_> = Ran::of(command).ok().lines().map(str::to_owned).collect();
        assert_eq!(read, expected(&credentials, &names(shape)), "{}", shape.name);
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

/// Each field that some program reads, with each format that has a place for it.
struct Spoilt {
    line: String,
    path: String,
    field: &'static Field,
    format: &'static str,
    /// Which of the bytes beyond ASCII this case takes: for each field, the cases together take all.
    share: usize,
}

fn spoilt() -> Vec<Spoilt> {
    const FORMATS: [&str; 7] = ["shell", "fish", "powershell", "json", "dotenv", "github", "process"];
    let mut cases = Vec::new();
    for shape in shapes() {
        // A stored key has no lease; its values are spoilt in scaleway::.
        for field in shape.fields.iter().filter(|field| field.variable.is_some() && shape.stored.is_none()) {
            let (line, path) = match (&*shape.name, field.required) {
                ("exoscale", _) => (format!("{} --role {ROLE}", shape.command), format!("exoscale/apikey/{ROLE}")),
                // An IAM user has no session.
                (_, true) => ("aws --role user --via creds".to_owned(), "aws/creds/user".to_owned()),
                (_, false) => ("aws --role 365-dev".to_owned(), "aws/sts/365-dev".to_owned()),
            };
            // One key in two shapes: the second one adds nothing but its own format.
            let fits = |format: &str| match &*shape.command {
                "exoscale" => format != "process",
                "exoscale --sos" => format == "process",
                _ => true,
            };
            let formats = FORMATS.into_iter().enumerate().filter(|(_, format)| fits(format));
            let case = |(share, format)| Spoilt { line: line.clone(), path: path.clone(), field, format, share };
            cases.extend(formats.map(case));
        }
    }
    cases
}

/// Every ASCII character outside the set, and one in seven of the 128 others, which nothing tells apart.
fn outside(field: &Field, share: usize) -> Vec<u32> {
    let character = |number: u32| char::from_u32(number).expect("a character");
    let outside = (0..=0xff).filter(|number| !is_inside(&field.characters, character(*number)));
    outside.filter(|number| *number < 0x80 || *number as usize % 7 == share).collect()
}

// check: 6
#[test]
fn any_byte_outside_a_fields_set_is_refused_with_65_and_the_lease_is_revoked() {
    let cases = spoilt();
    // Two fields of an Exoscale key, three of AWS's, seven formats.
    assert_eq!(cases.len(), 2 * 7 + 3 * 7);
    each(cases, |Spoilt { line, path, field, format, share }| {
        let world = World::start();
        let now = Arc::new(AtomicU32::new(0));
        let key = &*field.key;
        spoil(&world, &path, key, &now);
        let run = world.command_as("id-token", &format!("{line} --format {format} --reveal"));
        let run = github::in_a_step(run);
        let mut outside = outside(field, share);
        assert!(outside.len() > 60, "{}", outside.len());
        // A value is refused before it has a format: each ASCII byte in one of a field's seven, of the others a third.
        let turns = |number: u32| if number < 0x80 { 7 } else { 3 };
        outside.retain(|number| (*number as usize + share) % turns(*number) < rounds_or(1));
        let mut said = Vec::new();
        for number in &outside {
            now.store(*number, Ordering::SeqCst);
            let ran = run.run().failed(65, "data");
            let told = format!("{number:#x} in {key}, {line}, {format}: {ran:?}");
            let marker = match format {
                "shell" => ran.stdout.starts_with("unset ") && ran.stdout.ends_with(";\n(exit 65);\n"),
                "fish" => ran.stdout.ends_with(";\nfalse;\n"),
                "powershell" => ran.stdout.ends_with("throw 'ci-creds failed with exit code 65';\n"),
                _ => ran.stdout.is_empty(),
            };
            assert!(marker, "{told}");
            assert!(ran.stderr.contains(key) && ran.stderr.contains(&path), "{told}");
            assert!(world.vault.live_leases().is_empty(), "a lease that nobody has: {told}");
            said.extend([ran.stdout, ran.stderr]);
        }
        world.assert_no_secret_in(&said.join("\n"));
        assert_eq!(world.vault.minted().values().sum::<usize>(), outside.len(), "one read each: never asked again");
    });
}

// check: 6
#[test]
fn a_name_with_a_byte_outside_its_set_is_left_out_and_the_credential_is_not() {
    for (line, path, name) in [
        (format!("exoscale --role {ROLE}"), format!("exoscale/apikey/{ROLE}"), "name"),
        ("aws --role 365-dev".to_owned(), "aws/sts/365-dev".to_owned(), "arn"),
    ] {
        let world = World::start();
        let now = Arc::new(AtomicU32::new(0));
        spoil(&world, &path, name, &now);
        let run = world.command_as("id-token", &format!("{line} --format json"));
        let field = shapes().flat_map(|shape| shape.fields.iter()).find(|field| field.name == name);
        for number in outside(field.expect("a field"), 0) {
            now.store(number, Ordering::SeqCst);
            let answer: Value = serde_json::from_str(&run.run().ok()).expect("JSON");
            assert_eq!(answer.get(name), None, "{number:#x}");
            assert!(answer.get("lease_id").is_some(), "{number:#x}: {answer}");
        }
    }
}

// check: 6
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
