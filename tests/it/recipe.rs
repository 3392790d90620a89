//! CONTRIBUTING's recipes: the files that a new cloud, login or format touches are those that an old one is named in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ci_creds::identity::AuthMethod;
use ci_creds::provider::CLOUDS;
use ci_creds::render::format::Format;

use crate::wall;

/// Where else an old one is named, and why no new one has to be.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("aws", "src/command/exec.rs", "a message names both as an example"),
    ("exoscale", "src/command/exec.rs", "likewise"),
    ("aws", "src/cli/exec.rs", "--keep-aws-config, of the endpoint"),
    ("aws", "src/config/serve.rs", "the endpoint is the AWS SDKs' own"),
    ("aws", "src/command/serving.rs", "likewise"),
    ("aws", "src/render/container.rs", "likewise"),
    ("aws", "src/aws/", "--wait-ready asks AWS itself about a new key"),
    ("aws", "src/chain.rs", "--wait-ready"),
    ("aws", "src/provider/aws/", "its settings, and the role that takes an ID token"),
    ("aws", "src/command/doctor.rs", "--via web-identity asks AWS itself"),
    ("aws", "src/command/fetch.rs", "likewise"),
    ("aws", "src/command/explain/table.rs", "likewise"),
    ("aws", "src/config/web_", "likewise"),
    ("aws", "src/config/aws_endpoint.rs", "which server is STS"),
    ("aws", "src/config/token_request.rs", "STS signs an ID token for the runner's own credentials"),
    ("aws", "src/config/mod.rs", "likewise"),
    ("aws", "src/job_token.rs", "likewise"),
    ("aws", "src/ci.rs", "likewise"),
    ("aws", "src/claims/placeholder.rs", "what its tokens say"),
    ("aws", "src/source/sts.rs", "likewise"),
    ("aws", "src/command/cache.rs", "a session of STS that is cached"),
    ("aws", "src/command/inventory.rs", "likewise"),
    ("aws", "src/config/private.rs", "the variables of the endpoint of STS"),
    ("aws", "src/config/plan.rs", "how long its session lives"),
    ("aws", "src/config/output.rs", "a hint about the file that AWS's tools call config"),
    ("aws", "src/config/profile.rs", "AWS's config file has profiles too"),
    ("aws", "src/config/readiness.rs", "--wait-ready"),
    ("aws", "src/host/replace.rs", "a hint shows the path of a credentials file"),
    ("aws", "src/lib.rs", "the room of --wait-ready"),
    ("aws", "src/provider/exoscale.rs", "Exoscale's object storage is reached by AWS's tools"),
    ("aws", "src/provider/scaleway.rs", "Scaleway's object storage is reached by AWS's tools"),
    ("aws", "src/render/format.rs", "the format process is AWS's"),
    ("aws", "src/render/process.rs", "the format process is AWS's"),
    ("aws", "src/render/profile.rs", "the syntax of AWS's credentials file"),
    ("aws", "src/auth/aws.rs", "the login with AWS credentials"),
    ("aws", "src/auth/mod.rs", "likewise"),
    ("aws", "src/cli/access.rs", "its flags"),
    ("aws", "src/config/iam.rs", "where its credentials are"),
    ("aws", "src/config/identity.rs", "likewise"),
    ("aws", "src/identity", "its method"),
    ("aws", "src/command/mod.rs", "its credentials are fetched before the cache is looked at"),
    ("exoscale", "src/cli/help.rs", "an example in the help"),
    ("exoscale", "src/render/account.rs", "the syntax of Exoscale's credentials file"),
    ("IdToken", "src/config/identity.rs", "the token itself proves who the job is to STS, and policy assumes it"),
    ("IdToken", "src/config/method.rs", "what the CI system offers comes after all else"),
    ("Token", "src/config/method.rs", "the token that vault login left comes after all else"),
    ("Token", "src/auth/session.rs", "a token that the user supplied is not revoked"),
    ("Token", "src/config/identity.rs", "policy describes the job, and not the operator who has a token"),
    ("WebIdentity", "src/cli/secret.rs", "a cloud's tools alone read it"),
    ("SecretId", "src/diagnosis/login.rs", "it may be single-use, so it is not tried"),
    ("Json", "src/command/mod.rs", "no shell evaluates it"),
    ("Shell", "src/cli/word.rs", "the default"),
    ("Shell", "src/config/mod.rs", "the default"),
    ("Shell", "src/config/output.rs", "a command gets the variables that a shell would get"),
    ("Shell", "src/config/survey.rs", "a diagnosis prints no credential"),
    ("aws", "src/config/surrounding.rs", "the SDKs of AWS have an order of sources, and two files"),
    ("aws", "src/render/web_identity.rs", "the variables of AWS's SDKs"),
    ("aws", "src/cli/mistake.rs", "a hint about the format web-identity"),
    ("WebIdentity", "src/config/", "it has the ID token, and no credential"),
    ("File", "src/", "--file names a file of the user's"),
    ("Process", "src/", "SDKs call it, keep what it prints and show what it says"),
    ("Github", "src/config/output.rs", "the runner must be there to take the masks out of the log"),
    ("Github", "src/delivery.rs", "the masks come first"),
];

/// The files of a recipe, and whether each is new.
fn recipe(name: &str) -> Vec<(String, bool)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md");
    let text = fs::read_to_string(page).expect("CONTRIBUTING.md");
    let start = format!("<!-- recipe: {name} -->\n");
    let list = text.split(&start).nth(1).and_then(|rest| rest.split("<!-- end -->").next()).expect("the recipe");
    let items = list.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let file = |item: &str| {
        let (path, rest) = item.split_once('`').and_then(|(_, rest)| rest.split_once('`')).expect("a file");
        (path.to_owned(), rest.starts_with(", new"))
    };
    items.map(file).collect()
}

/// The source, by path, without comments and unit tests.
fn source() -> BTreeMap<String, String> {
    fn read(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => read(&path, found),
                false => {
                    let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a file of ours");
                    found.insert(name.display().to_string(), wall::code_of(&path));
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// Fails unless each old one is named in the files of the recipe, in the place of NAME, and nowhere else.
fn assert_is_true(kind: &str, old: &[(String, String)], names: impl Fn(&str, &str) -> bool) {
    let files = recipe(kind);
    assert_eq!(files.iter().filter(|(_, is_new)| *is_new).count(), 1, "one new file: {files:?}");
    let code = source();
    for (name, file) in old {
        let listed: Vec<_> = files.iter().map(|(path, _)| path.replace("NAME", file)).collect();
        for path in &listed {
            let text = code.get(path).unwrap_or_else(|| panic!("{name}: there is no {path}"));
            // The new file and the facts of an old one need not repeat its name; where the arms of a match stand, they do.
            assert!(!path.ends_with("mod.rs") || names(text, name), "{path} does not name {name}");
        }
        for (path, text) in &code {
            let excused = |(what, place, _): &(&str, &str, &str)| what == name && path.starts_with(place);
            let is_named = names(text, name) && !EXCEPTIONS.iter().any(excused);
            assert!(
                !is_named || listed.contains(path),
                "{path} names {name}, and the recipe of a {kind} does not know"
            );
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
}

#[test]
fn a_new_cloud_touches_the_files_of_its_recipe() {
    let old: Vec<_> = CLOUDS.iter().map(|cloud| (cloud.command.to_owned(), cloud.command.to_owned())).collect();
    assert_is_true("cloud", &old, |text, name| text.to_ascii_lowercase().contains(name));
}

#[test]
fn a_new_login_touches_the_files_of_its_recipe() {
    // Three of them are AppRole in the end, and share its file.
    let file = |method| match method {
        AuthMethod::WrappingToken => "wrapping",
        AuthMethod::SecretId | AuthMethod::GeneratorToken => "approle",
        AuthMethod::IdToken => "id_token",
        AuthMethod::Token => "token",
        AuthMethod::Kubernetes => "kubernetes",
        AuthMethod::Certificate => "certificate",
        AuthMethod::Aws => "aws",
    };
    let old: Vec<_> = AuthMethod::ALL.iter().map(|method| (format!("{method:?}"), file(*method).to_owned())).collect();
    assert_is_true("login", &old, |text, name| {
        let is_named = |word: &str| ["Identity", "AuthMethod"].iter().any(|kind| word == format!("{kind}::{name}"));
        words(text).any(is_named)
    });
}

#[test]
fn a_new_source_of_a_proof_touches_the_files_of_its_recipe() {
    let listed: Vec<_> = recipe("proof").into_iter().map(|(path, _)| path).collect();
    let code = source();
    let sources = AuthMethod::ALL.map(|method| method.needs().proof);
    let mut own = sources.into_iter().filter(|source| source.input().is_none()).peekable();
    assert!(own.peek().is_some(), "no login has another proof than a secret");
    for name in own.map(|source| format!("ProofSource::{source:?}")) {
        let naming: Vec<_> = code.iter().filter(|(_, text)| words(text).any(|word| word == name)).collect();
        assert_eq!(
            naming.into_iter().map(|(path, _)| path).collect::<Vec<_>>(),
            listed.iter().collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn a_new_format_touches_the_files_of_its_recipe() {
    let file = |format: &Format| match format {
        // A credentials file has a syntax for each kind of tool.
        Format::File => "profile".to_owned(),
        format => format.facts().name.replace('-', "_"),
    };
    let old: Vec<_> = Format::ALL.iter().map(|format| (format!("{format:?}"), file(format))).collect();
    assert_is_true("format", &old, |text, name| words(text).any(|word| word == format!("Format::{name}")));
}

#[test]
fn every_exception_is_needed() {
    let code = source();
    for (name, place, _) in EXCEPTIONS {
        let named = |text: &str| match name.starts_with(|c: char| c.is_ascii_uppercase()) {
            true => words(text).any(|word| word.ends_with(&format!("::{name}"))),
            false => text.to_ascii_lowercase().contains(name),
        };
        assert!(code.iter().any(|(path, text)| path.starts_with(place) && named(text)), "{place} does not name {name}");
    }
}
