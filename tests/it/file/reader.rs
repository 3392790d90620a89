//! The real readers: Python's configparser and botocore around it, over files that nobody would write, and many do.

use std::borrow::Cow;
use std::process::{Command, Stdio};

use ci_creds::credential::{Credential, Lease};
use ci_creds::provider::aws::AWS;
use ci_creds::provider::shape::CredentialsFile;
use ci_creds::render::{check, edit};
use ci_creds::secret::Secret;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::support::{World, moto};

/// As many as Python reads in about a second; each run draws others.
const BATCH: usize = 800;

/// A section that no drawn file has: what stands under `[DEFAULT]` counts as soon as there is one.
const PROBE: &str = "zz";

/// What each file is for botocore: its sections, or nothing when it cannot parse it.
const READ: &str = "
import json, os, sys, tempfile
from botocore.configloader import raw_config_parse
from botocore.exceptions import ConfigParseError
path = os.path.join(sys.argv[1], 'drawn')
def read(text):
    with open(path, 'wb') as file: file.write(text.encode())
    try: return raw_config_parse(path)
    except ConfigParseError: return None
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
";

fn pick(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = String> {
    let header = pick(&[
        "[a]",
        "[ci]",
        "[b]",
        "[DEFAULT]",
        "[ ci ]",
        "[ci] # x",
        "[a]b]",
        "[ci]]",
        "[CI]",
        "[profile ci]",
        "[é]",
    ]);
    let key = pick(&[
        "aws_access_key_id",
        "AWS_Secret_Access_Key",
        "aws_session_token",
        "aws_security_token",
        "x_security_token_expires",
        "region",
        "k",
        "K",
        "k k",
        "s3",
        "İ",
    ]);
    let entry =
        (key, pick(&["=", " = ", ":", "\t: ", "= = "]), pick(&["", "", "v", "a = b", "v # c", "v ; c", "é", "%(x)s"]))
            .prop_map(|(key, between, value)| format!("{key}{between}{value}"));
    let blank = pick(&["", " ", "\t", "# c", ";c", "  # [a]", "#", "\u{a0}"]);
    let more = pick(&["more", "x = y", "y=", "[a]", "aws_access_key_id = deep", "é", "a\u{85}b = c", "a = b\x0bc"]);
    let rubbish =
        pick(&["rubbish", "[", "[]", "= v", ": v", "\u{feff}[a]", "\u{feff}", "\x1ck = v", "\u{2028}", "a]", "\0"]);
    let indent = pick(&["", "", "", "", " ", "  ", "\t", "    ", "\x1f", "\u{3000}"]);
    let deeper = pick(&[" ", "  ", "\t", "      "]);
    let content = prop_oneof![
        6 => (indent.clone(), header).prop_map(|(indent, header)| format!("{indent}{header}")),
        8 => (indent.clone(), entry).prop_map(|(indent, entry)| format!("{indent}{entry}")),
        4 => blank,
        4 => (deeper, more).prop_map(|(indent, more)| format!("{indent}{more}")),
        1 => (indent, rubbish).prop_map(|(indent, rubbish)| format!("{indent}{rubbish}")),
    ];
    (content, prop_oneof![20 => Just("\n"), 3 => Just("\r\n"), 1 => Just("\r")])
        .prop_map(|(content, ending)| format!("{content}{ending}"))
}

fn file() -> impl Strategy<Value = String> {
    let lines = proptest::collection::vec(line(), 0..9).prop_map(|lines| lines.concat());
    // Most begin as they should: a file whose first line is wrong says nothing about the others.
    (prop_oneof![4 => Just("[a]\n"), 4 => Just("[ci]\nregion = x\n"), 1 => Just("")], lines, any::<bool>()).prop_map(
        |(head, lines, whole)| {
            let text = format!("{head}{lines}");
            if whole { text } else { text.trim_end_matches(['\n', '\r']).to_owned() }
        },
    )
}

fn aws_file() -> &'static CredentialsFile {
    AWS.file.as_ref().expect("AWS has one")
}

fn credential(session: bool) -> Credential {
    let values = [("access_key", "AKIDNEW"), ("secret_key", "new/+="), ("session_token", "tok==")];
    let field = |name: &str| AWS.fields.iter().find(|field| field.name == name).expect("a field");
    Credential {
        shape: Cow::Borrowed(&AWS),
        role: "ci".into(),
        path: "aws/sts/ci".into(),
        values: values[..if session { 3 } else { 2 }]
            .iter()
            .map(|(name, value)| (field(name).clone(), Secret::new((*value).to_owned())))
            .collect(),
        companions: Vec::new(),
        lease: Lease { expires_at: "2030-01-02T00:47:31Z".parse().ok(), ..Lease::default() },
        keep_profile: false,
        others: Vec::new(),
    }
}

/// What botocore makes of each text.
fn read(world: &World, texts: &[String]) -> Option<Vec<Option<Value>>> {
    let python = moto::python()?;
    let input = world.file("drawn.json", &serde_json::to_string(texts).expect("JSON"));
    let mut command = Command::new(python);
    command.args(["-c", READ]).arg(world.path("tmp")).env("PYTHONUTF8", "1");
    command.stdin(std::fs::File::open(input).expect("the texts")).stderr(Stdio::piped());
    let output = command.output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("the answers"))
}

fn drawn() -> Vec<String> {
    let mut runner = TestRunner::default();
    let file = file();
    (0..BATCH).map(|_| file.new_tree(&mut runner).expect("a file").current()).collect()
}

/// With a section at the end, as an edit would append it.
fn probed(text: &str) -> String {
    let between = if text.is_empty() || text.ends_with(['\n', '\r']) { "" } else { "\n" };
    format!("{text}{between}[{PROBE}]\n")
}

#[test]
fn what_we_take_for_readable_is_what_botocore_reads_and_nothing_else() {
    let world = World::start();
    let files = drawn();
    let Some(theirs) = read(&world, &files.iter().map(|text| probed(text)).collect::<Vec<_>>()) else { return };
    for (text, theirs) in files.iter().zip(&theirs) {
        let ours = check(&AWS, aws_file(), text, PROBE, false);
        // Readable or not, a file with a session for everybody is none that we want a profile in.
        if ours.as_ref().is_err_and(|problem| problem.contains(" for every profile by [DEFAULT]")) {
            continue;
        }
        assert_eq!(ours.is_ok(), theirs.is_some(), "{text:?}: {ours:?}");
    }
    let readable = theirs.iter().flatten().count();
    assert!((BATCH / 10..BATCH * 9 / 10).contains(&readable), "{readable} of {BATCH} say nothing");
}

// check: 24
#[test]
fn after_an_edit_botocore_finds_the_new_profile_and_every_other_value_as_it_was() {
    let world = World::start();
    let managed = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_security_token",
        "x_security_token_expires",
    ];
    for session in [true, false] {
        let credential = credential(session);
        let edits: Vec<_> = drawn()
            .into_iter()
            .filter_map(|old| Some((edit(&old, aws_file(), "ci", false, &credential).ok()?.expose().to_owned(), old)))
            .collect();
        assert!(edits.len() > BATCH / 20, "{} of {BATCH} say nothing", edits.len());
        let texts: Vec<_> = edits.iter().flat_map(|(new, old)| [old.clone(), new.clone()]).collect();
        let Some(read) = read(&world, &texts) else { return };
        for ((new, old), values) in edits.iter().zip(read.chunks(2)) {
            let context = format!("{old:?} became {new:?}");
            let [Some(before), Some(after)] = values else { panic!("{context}: {values:?}") };
            let (mut before, mut after) = (before.clone(), after.clone());
            let mut ours = after["ci"].take();
            let mut theirs = before["ci"].take();
            let expected =
                [Some("AKIDNEW"), Some("new/+="), session.then_some("tok=="), None, Some("2030-01-02T00:47:31Z")];
            for (key, value) in managed.iter().zip(expected) {
                assert_eq!(ours[key].as_str(), value, "{key}: {context}");
                for section in [&mut ours, &mut theirs] {
                    section.as_object_mut().map(|section| section.remove(*key));
                }
            }
            if theirs.is_null() {
                // A new profile has what is everybody's, as every other one.
                assert!(
                    before.as_object_mut().is_some_and(|before| before.remove("ci").is_none_or(|old| old.is_null()))
                );
                assert!(new.starts_with(old.as_str()), "{context}");
                after.as_object_mut().map(|after| after.remove("ci"));
            } else {
                assert_eq!(ours, theirs, "{context}");
            }
            assert_eq!(after, before, "{context}");
            assert_eq!(comments(new), comments(old), "{context}");
            assert_eq!(edit(new, aws_file(), "ci", false, &credential).expect("it was edited before").expose(), new);
        }
    }
}

/// Every comment, with what ends it.
fn comments(text: &str) -> Vec<String> {
    let lines = text.split_inclusive(['\n', '\r']).map(|line| line.trim_end_matches(['\n', '\r']));
    lines.filter(|line| line.trim_start().starts_with(['#', ';'])).map(str::to_owned).collect()
}
