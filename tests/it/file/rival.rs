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

/// By which way botocore gets the credentials of the profile ci, and which key.
const METHOD: &str = "
import sys
from botocore.session import Session
try:
    found = Session(profile='ci').get_credentials()
    print(found.method, getattr(found, 'access_key', '') if found.method == 'shared-credentials-file' else '')
except Exception as error: print('error', error)
";

fn method(world: &World, credentials: &str, config: &str) -> Option<String> {
    let python = moto::python()?;
    let run = world
        .command("")
        .env("AWS_SHARED_CREDENTIALS_FILE", &world.file("credentials", credentials).display().to_string())
        .env("AWS_CONFIG_FILE", &world.file("config", config).display().to_string())
        .env("AWS_EC2_METADATA_DISABLED", "true");
    Some(super::play(&run, &python, &["-c", METHOD]).ok())
}

#[test]
fn botocore_prefers_these_keys_to_a_key_in_the_same_profile_in_either_file() {
    let world = World::start();
    let keys = "aws_access_key_id = ours\naws_secret_access_key = s\n";
    for (rival, expected) in RIVALS {
        let both = method(&world, &format!("[ci]\n{keys}{rival}\n{OTHER}"), "");
        let config = format!("[profile ci]\n{rival}\n");
        let Some((both, apart)) = both.zip(method(&world, &format!("[ci]\n{keys}{OTHER}"), &config)) else { return };
        let start = expected.unwrap_or("shared-credentials-file ours");
        assert!(both.starts_with(start) && apart.starts_with(start), "{rival}: {both} {apart}");
    }
}

// check: 9
#[test]
fn a_profile_with_another_way_to_credentials_is_refused_before_any_request_or_replaced() {
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
        if let Some(found) = method(&world, &new, "") {
            assert_eq!(found.trim(), format!("shared-credentials-file {}", answer.field("access_key")));
        }
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
