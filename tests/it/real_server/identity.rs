//! Each identity in each format, with keys of a real engine.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use super::engine::Engine;
use crate::support::{METHODS, Ran, Run};

const FORMATS: [&str; 8] = ["shell", "fish", "powershell", "json", "dotenv", "process", "github", "file"];

#[test]
fn every_identity_gets_a_key_that_opens_the_cloud_in_every_format() {
    let Some(engine) = Engine::start("formats", true) else { return };
    for method in METHODS {
        for format in FORMATS {
            let role = format!("{}{format}", method.replace('-', ""));
            let run = engine.job(method, &role).arg("--format").arg(format).arg("--no-cache");
            let stdout =
                if format == "github" { as_a_step(&run, &engine.site.folder().join(&role)) } else { run.run().ok() };
            let file = words(&stdout).find(|word| std::path::Path::new(word).is_file());
            let printed = file.map_or(stdout.clone(), |path| std::fs::read_to_string(path).expect("it is there"));
            let prefix = format!("AKIA{}", role.to_uppercase());
            let user = words(&printed).find(|word| word.starts_with(&prefix)).expect("a key");
            let password = words(&printed).find(|word| word.len() == 40 && *word != user).expect("its secret");
            assert!(engine.lets_in(user, password), "{method} {format}");
            assert_eq!(engine.leases(&role).len(), 1, "{method} {format}");
        }
    }
}

/// As `ci-creds … >> "$GITHUB_ENV"`; what stands in the file then.
fn as_a_step(run: &Run, path: &Path) -> String {
    let mut command = run.to_command();
    let child =
        command.env("GITHUB_ACTIONS", "true").stdout(File::create(path).expect("a file")).stderr(Stdio::piped());
    let ran = Ran::from(child.spawn().expect("a child").wait_with_output().expect("its end"));
    assert!(ran.code == 0 && ran.stderr.contains("::add-mask::"), "{ran:?}");
    std::fs::read_to_string(path).expect("the file")
}

/// What stands between the quotes, blanks and signs of every format.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && !"/._-".contains(character))
}
