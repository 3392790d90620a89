use super::edit::{edit, folder, written};
use crate::support::expect::stopped;
use crate::support::shell::LastAnswer;
use crate::support::{World, moto};

/// Ways to other credentials, and what botocore calls each when it prefers it to keys in the same profile.
const RIVALS: [(&str, Option<&str>); 9] = [
    ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = other", Some("assume-role")),
    ("sso_start_url = https://x\nsso_region = x\nsso_account_id = 1\nsso_role_name = x", Some("sso")),
    ("web_identity_token_file = /x\nrole_arn = arn:aws:iam::1:role/x", Some("assume-role-with-web-identity")),
    ("role_arn = arn:aws:iam::1:role/x\ncredential_source = Environment", Some("error")),
    ("sso_session = x\nsso_account_id = 1\nsso_role_name = x", Some("error")),
    ("source_profile = other", None),
    ("credential_source = Environment", None),
    ("credential_process = /bin/x", None),
    ("login_session = arn:aws:sts::1:x", None),
];

const OTHER: &str = "[other]\naws_access_key_id = other\naws_secret_access_key = other\n";

/// By which way botocore gets the credentials of the profile ci, and which key; a line for each pair of files, which it
/// reads in a session of its own.
const METHOD: &str = "
import os, sys
from botocore.session import Session
for number in range(int(sys.argv[1])):
    os.environ['AWS_SHARED_CREDENTIALS_FILE'] = sys.argv[2] + 'credentials.%d' % number
    os.environ['AWS_CONFIG_FILE'] = sys.argv[2] + 'config.%d' % number
    try:
        found = Session(profile='ci').get_credentials()
        print(found.method, getattr(found, 'access_key', '') if found.method == 'shared-credentials-file' else '')
    except Exception as error: print('error', str(error).split('\\n')[0])
";

/// What it says of each pair of files: the credentials, the configuration.
fn methods(world: &World, files: &[(String, String)]) -> Option<Vec<String>> {
    let python = moto::python()?;
    for (number, (credentials, config)) in files.iter().enumerate() {
        world.file(&format!("credentials.{number}"), credentials);
        world.file(&format!("config.{number}"), config);
    }
    let run = world.command("").env("AWS_EC2_METADATA_DISABLED", "true");
    let folder = world.path("").display().to_string();
    let said = super::play(&run, &python, &["-c", METHOD, &files.len().to_string(), &folder]).ok();
    let said: Vec<_> = said.lines().map(str::to_owned).collect();
    assert_eq!(said.len(), files.len(), "{said:?}");
    Some(said)
}

#[test]
fn botocore_prefers_these_keys_to_a_key_in_the_same_profile_in_either_file() {
    let world = World::start();
    let keys = "aws_access_key_id = ours\naws_secret_access_key = s\n";
    let both = RIVALS.map(|(rival, _)| (format!("[ci]\n{keys}{rival}\n{OTHER}"), String::new()));
    let apart = RIVALS.map(|(rival, _)| (format!("[ci]\n{keys}{OTHER}"), format!("[profile ci]\n{rival}\n")));
    let Some(said) = methods(&world, &[both, apart].concat()) else { return };
    for ((rival, expected), said) in RIVALS.iter().chain(&RIVALS).zip(said) {
        assert!(said.starts_with(expected.unwrap_or("shared-credentials-file ours")), "{rival}: {said}");
    }
}

// check: 9
#[test]
fn a_profile_with_another_way_to_credentials_is_refused_before_any_request_or_replaced() {
    let (mut replaced, mut keys) = (Vec::new(), Vec::new());
    for (rival, _) in RIVALS {
        let world = World::start();
        let path = folder(&world).join("credentials");
        let old = format!("{OTHER}[ci]\nregion = eu-1\n{rival}\n");
        written(&path, &old, 0o600);
        let key = rival.split(' ').next().expect("a key");
        let words = [path.to_str().expect("UTF-8"), &format!("has {key} in line 6"), "--replace-profile removes it"];
        stopped(edit(&world, &path, "--profile ci"), &world, (73, "create"), &words);
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), old);
        let answer = LastAnswer::watch(&world, "/aws/sts/365-dev");
        edit(&world, &path, "--profile ci --replace-profile").ok();
        let new = std::fs::read_to_string(&path).expect("the file");
        assert!(
            new.starts_with(&format!("{OTHER}[ci]\naws_access_key_id = ")) && new.ends_with("region = eu-1\n"),
            "{new}"
        );
        assert!(!new.contains(key), "{new}");
        replaced.push((new, String::new()));
        keys.push(format!("shared-credentials-file {}", answer.field("access_key")));
    }
    if let Some(said) = methods(&World::start(), &replaced) {
        assert_eq!(said, keys);
    }
}

#[test]
fn another_way_to_credentials_in_the_config_file_is_refused_before_any_request() {
    let world = World::start();
    let path = folder(&world).join("credentials");
    let config = world.file("config", "[default]\nregion = x\n[profile ci]\nrole_arn = x\n");
    std::fs::create_dir(world.home().join(".aws")).expect("a folder");
    for line in [
        format!("--profile ci --file {}", path.display()),
        format!("--profile ci --replace-profile --file {}", path.display()),
        "--profile ci --format file".to_owned(),
    ] {
        let run = world.command_as("token", &format!("aws --role 365-dev {line}"));
        let named = run.clone().env("AWS_CONFIG_FILE", &config.display().to_string());
        let words = ["has role_arn in line 4", "the profile ci", "--profile", "config"];
        stopped(named.run(), &world, (73, "create"), &words);
        std::fs::copy(&config, world.home().join(".aws/config")).expect("a copy");
        stopped(run.run(), &world, (73, "create"), &words);
        std::fs::remove_file(world.home().join(".aws/config")).expect("it is ours");
    }
    assert!(!path.exists());
    // Another profile's, or another format's.
    let line = format!("aws --role 365-dev --profile cid --file {}", path.display());
    for line in [line.as_str(), "aws --role 365-dev"] {
        world.command_as("token", line).env("AWS_CONFIG_FILE", &config.display().to_string()).run().ok();
    }
    for line in ["aws --replace-profile", "exoscale --replace-profile --file x"] {
        world.command_as("token", line).run().failed(64, "usage");
    }
}
