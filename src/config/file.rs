//! The configuration file: TOML, with the flags' names for keys.
//!
//! Never looked for in the current folder: a cloned repository must not choose where a token is sent.

use std::path::{Path, PathBuf};

use super::job::{Job, trimmed_path};
use super::settings::{FileProblem, Settings, parse_settings};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::variables::CI_CREDS_CONFIG;

/// The administrator's file. What it says of downgrades counts when root alone can have written it.
pub(super) const SYSTEM: &str = "/etc/ci-creds/config.toml";

/// The files that count, the first one first.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<File>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    settings: Settings,
    /// Root alone can have written it, and no variable chose it.
    of_root: bool,
}

impl Files {
    /// The first file that answers.
    pub(super) fn find<T>(&self, ask: impl Fn(&Settings) -> Option<T>) -> Option<WithOrigin<T>> {
        self.0
            .iter()
            .find_map(|file| Some(WithOrigin { value: ask(&file.settings)?, origin: Origin::File(file.path.clone()) }))
    }

    /// The first file of root's that answers: what no variable has said, nor has a file that one chose.
    pub(super) fn find_of_root<T>(&self, ask: impl Fn(&Settings) -> Option<T>) -> Option<WithOrigin<T>> {
        let mut of_root = self.0.iter().filter(|file| file.of_root);
        of_root
            .find_map(|file| Some(WithOrigin { value: ask(&file.settings)?, origin: Origin::File(file.path.clone()) }))
    }

    /// The files that were read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|file| file.path.as_path())
    }

    /// Whether a flag or a file of root's said so, and no variable.
    pub(super) fn vouch_for(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Flag(_) => true,
            Origin::File(path) => self.0.iter().any(|file| file.path == *path && file.of_root),
            Origin::Variable(_) | Origin::Service(_) | Origin::Default => false,
        }
    }

    /// What every file says.
    pub(super) fn all<'a, T: 'a>(&'a self, ask: impl Fn(&'a Settings) -> T + 'a) -> impl Iterator<Item = T> + 'a {
        self.0.iter().map(move |file| ask(&file.settings))
    }
}

/// What a run opens at once before it asks Vault, and a call that finds its credential in the cache: few files, but
/// without them, every message would name a file that is not to blame.
const OPEN_FILES: usize = 4;

/// Reads the files: the one that the flag or the variable names, or else the user's; then the administrator's.
///
/// # Errors
/// [`Kind::Config`] when a named file does not exist, a file is not what it should be, or one asks for a
/// downgrade that only the flag or root may ask for; [`Kind::Os`] when no file can be opened.
pub(super) fn read_files(host: &Host, flag: Option<&Path>) -> Result<Files> {
    let named = match flag {
        Some(path) => Some((trimmed_path(path), Origin::Flag("--config"))),
        None => host
            .variable(CI_CREDS_CONFIG)?
            .map(|text| trimmed_path(text.as_ref()))
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| (path, Origin::Variable(CI_CREDS_CONFIG.into()))),
    };
    host.expect_descriptors(OPEN_FILES)?;
    let mut files = Vec::new();
    match named {
        Some((path, origin)) => {
            let by_flag = matches!(origin, Origin::Flag(_));
            let missing = || {
                Error::new(
                    Kind::Config,
                    format!("the configuration file {} (from {origin}) does not exist", path.display()),
                )
                .hint(match origin {
                    Origin::Flag(_) => "correct the path, or drop --config".to_owned(),
                    _ => format!("correct the path, or unset {origin}"),
                })
            };
            files.push(read_file(host, &path, by_flag)?.ok_or_else(missing)?);
        }
        None => {
            let path = host.config_folder().map(|folder| folder.join("config.toml"));
            if let Some(path) = path.filter(|path| host.is_there(path)) {
                files.extend(read_users_file(host, &path)?);
            }
        }
    }
    files.extend(read_file(host, Path::new(SYSTEM), true)?);
    Ok(Files(files))
}

/// Security: some jobs have their home in the checkout, and who pushes to the repository must not choose a proxy, or a CA.
fn read_users_file(host: &Host, path: &Path) -> Result<Option<File>> {
    if (Job { host }).is_in_checkout(path)? {
        let place = path.display();
        host.warn(format!(
            "the configuration file {place} is ignored, because it is in the checkout; to use it, pass it with --config"
        ));
        return Ok(None);
    }
    read_file(host, path, false)
}

/// Security: `downgrades` is false where an environment variable, or a home folder that one names, could have
/// chosen the file. In a container every file is root's, a checkout's too, so ownership alone proves nothing.
fn read_file(host: &Host, path: &Path, downgrades: bool) -> Result<Option<File>> {
    let place = path.display();
    let wrong = |problem: &str| Error::new(Kind::Config, format!("the configuration file {place} {problem}"));
    let Some(document) = host.read_believed(path).map_err(|problem| wrong(&format!("cannot be used: {problem}")))?
    else {
        return Ok(None);
    };
    if document.trust.foreign || document.trust.writable_by_others {
        return Err(wrong("can be written by other users")
            .hint(format!("chown it to root or to this user, and chmod 644 {place}")));
    }
    if let Some(exposed) = &document.exposed {
        return Err(wrong(&format!("can be replaced by other users: {exposed}")).hint(exposed.hint()));
    }
    let settings = parse_settings(&document.text).map_err(|mistake| {
        let line = document.text[..mistake.place].matches('\n').count();
        let (line, text) = (line + 1, document.text.lines().nth(line).unwrap_or_default());
        let error = match &mistake.problem {
            FileProblem::Parser(words) => wrong(&format!("is wrong in line {line}: {}", describe(words, text))),
            FileProblem::Key(words) => wrong(&format!("is wrong in line {line}: {words}")),
            FileProblem::Secret(name) => {
                wrong(&format!("has a secret in line {line}, the key {name}: no secret is read from this file"))
            }
        };
        match mistake.hint {
            Some(hint) => error.hint(hint),
            None => error.hint(format!("correct line {line} of {place}; it is TOML: key = \"value\"")),
        }
    })?;
    let asks = settings.allow_plaintext
        || settings.insecure_skip_verify
        || !settings.redirect_hosts.is_empty()
        || settings.allowed_origins.is_some();
    let of_root = downgrades && document.trust.root_only;
    if asks && !of_root {
        return Err(wrong(
            "sets allow-plaintext, insecure-skip-verify, redirect-hosts or allowed-origins, which only root may",
        )
        .hint(format!(
            "pass the flag of that name, or set it in {SYSTEM}: only root may own or write that file and the folders above it"
        )));
    }
    Ok(Some(File { path: path.to_owned(), settings, of_root }))
}

/// What is wrong, in the parser's words. Security: they quote what stands in the file, which may be a token in the wrong
/// place.
fn describe(message: &str, line: &str) -> String {
    if ["invalid type: ", "invalid value: ", "invalid length: "].iter().any(|words| message.starts_with(words)) {
        let expected = message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
        return format!("a value of the wrong type, expected {expected}");
    }
    let is_quoted = |word: &str| word.len() >= SHORTEST_SECRET && message.contains(word);
    let quotes = line.split(|c: char| !c.is_ascii_graphic() || "\"'`=,[]{}".contains(c)).any(is_quoted);
    if quotes { "this is not TOML".into() } else { message.to_owned() }
}

/// A shorter word is no token.
const SHORTEST_SECRET: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;

    #[test]
    fn the_users_file_comes_before_the_administrators() {
        let mut fake = Fake::default()
            .with_file("/home/me/.config/ci-creds/config.toml", "[aws]\nrole = 'mine'\n")
            .with_root_file(SYSTEM, "address = 'https://vault'\n[aws]\nrole = 'ours'\n");
        fake.config_folder = Some("/home/me/.config/ci-creds".into());
        let files = read_files(&Host::fake(fake), None).unwrap();
        assert_eq!(files.find(|settings| settings.text_of("aws", "role").map(str::to_owned)).unwrap().value, "mine");
        assert_eq!(files.find(|settings| settings.address.clone()).unwrap().value, "https://vault");
    }

    #[test]
    fn a_downgrade_is_believed_from_root_only_and_never_by_way_of_a_variable() {
        let text = "allow-plaintext = true\n";
        let read = |fake: Fake, flag: Option<&str>| read_files(&Host::fake(fake), flag.map(Path::new)).map(|_| ());
        assert!(read(Fake::default().with_root_file(SYSTEM, text), None).is_ok());
        assert!(read(Fake::default().with_root_file("/c.toml", text), Some("/c.toml")).is_ok());
        assert_eq!(read(Fake::default().with_file(SYSTEM, text), None).unwrap_err().kind(), Kind::Config);
        let by_variable =
            Fake::default().with_root_file("/c.toml", text).with_variables([("CI_CREDS_CONFIG", "/c.toml")]);
        assert_eq!(read(by_variable, None).unwrap_err().kind(), Kind::Config);
    }

    #[test]
    fn a_mistake_is_named_by_its_line() {
        let fake = Fake::default().with_file("/c.toml", "address = 'https://vault'\n[aws]\nrolle = 'x'\n");
        let error = read_files(&Host::fake(fake), Some(Path::new("/c.toml"))).unwrap_err();
        assert!(
            error.render(false).contains("wrong in line 3: there is no key \"rolle\"\n  hint: did you mean role?"),
            "{}",
            error.render(false)
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_reported_with_its_place() {
        for (text, words) in [
            ("adress = 'x'", "line 1: there is no key \"adress\"\n  hint: did you mean address?"),
            ("colour = 'x'", "there is no key \"colour\"\n  hint: the keys are the names of the flags without --"),
            ("role = 'x'", "there is no key \"role\"\n  hint: role belongs in the table [exoscale] or [aws]"),
            ("[aws]\naddress = 'x'", "hint: address belongs above the tables, in front of [aws]"),
            ("[aws]\nzone = 'x'", "hint: zone belongs in the table [exoscale]"),
            ("[aws]\nregoin = 'x'", "line 2: there is no key \"regoin\"\n  hint: did you mean region?"),
            ("[exoscale]\ncolour = 'x'", "hint: [exoscale] takes role, mount, zone"),
            (
                "\ntoken = 'x'",
                "has a secret in line 2, the key token: no secret is read from this file\n  hint: set VAULT_TOKEN",
            ),
            ("VAULT_SECRET_ID = 'x'", "the key secret-id: no secret is read from this file"),
            ("[aws]\nwrapping_token = 'x'", "wrapping-token-file = \"/run/secrets/wrapping-token\""),
            ("address =", "hint: correct line 1 of /c.toml"),
        ] {
            let fake = Fake::default().with_file("/c.toml", text);
            let error = read_files(&Host::fake(fake), Some(Path::new("/c.toml"))).unwrap_err().render(false);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_told_without_a_value_of_the_file() {
        const TOKEN: &str = "hvs.CAESIJlWh7dRz3kQ9xTn2bVp";
        for (text, words) in [
            ("allow-plaintext = 'TOKEN'", "line 1: a value of the wrong type, expected a boolean"),
            ("retries = 'TOKEN, expected TOKEN'", "line 1: a value of the wrong type, expected u32"),
            ("retries = -7", "line 1: a value of the wrong type, expected u32"),
            ("\naws = 'TOKEN'", "line 2: a value of the wrong type, expected a table"),
            ("allowed-origins = 'TOKEN'", "line 1: a value of the wrong type, expected a sequence"),
            ("TOKEN = 'x'", "line 1: there is no key \"hvs\""),
            ("'TOKEN' = 'x'", "line 1: there is no such key"),
            ("[aws]\n'TOKEN' = 'x'", "line 2: there is no such key"),
            ("[TOKEN]", "line 1: there is no key \"hvs\""),
            ("address = TOKEN", "line 1: "),
            ("TOKEN", "line 1: "),
            ("address = 'TOKEN", "line 1: "),
            ("address = \"TOKEN\\q\"", "line 1: "),
            ("address = 'x'\naddress = 'TOKEN'", "line 2: "),
            ("a.TOKEN = 'x'\na.TOKEN = 'y'", "line 2: "),
            ("address = 1979-05-27T07:32:00TOKEN", "line 1: "),
            ("address = 0xTOKEN", "line 1: "),
        ] {
            let fake = Fake::default().with_file("/c.toml", &text.replace("TOKEN", TOKEN));
            let error = read_files(&Host::fake(fake), Some(Path::new("/c.toml"))).unwrap_err().render(true);
            assert!(error.contains(&format!("is wrong in {words}")), "{text}: {error}");
            let parts = TOKEN.as_bytes().windows(8).map(|part| std::str::from_utf8(part).unwrap());
            assert!(!parts.into_iter().any(|part| error.contains(part)), "{text}: {error}");
        }
    }
}
