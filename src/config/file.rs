//! The configuration file: TOML, with the flags' names for keys.
//!
//! Never looked for in the current folder: a cloned repository must not choose where a token is sent.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::job::{Job, trimmed_path};
use super::key::fields;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::Input;
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Value};
use crate::typo::{is_repeatable, nearest};
use crate::variables::CI_CREDS_CONFIG;

/// The administrator's file. What it says of downgrades counts when root alone can have written it.
pub(super) const SYSTEM: &str = "/etc/ci-creds/config.toml";

/// One file's settings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs)]
pub(super) struct Settings {
    pub address: Option<String>,
    pub namespace: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub ca_path: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub tls_server_name: Option<String>,
    pub proxy: Option<String>,
    pub connect_timeout: Option<String>,
    pub request_timeout: Option<String>,
    pub timeout: Option<String>,
    pub retries: Option<u32>,
    pub auth: Option<String>,
    pub auth_mount: Option<String>,
    pub auth_role: Option<String>,
    pub creation_path: Option<String>,
    pub id_token_env: Option<String>,
    /// Where the files of the secrets are.
    #[serde(skip)]
    inputs: Vec<(Input, PathBuf)>,
    /// What each cloud's own table says.
    #[serde(skip)]
    clouds: Vec<Table>,
    /// The servers that may have this runner's secrets; believed, like a downgrade, from root only.
    pub allowed_origins: Option<Vec<String>>,
    /// Downgrade: counts only where an environment variable cannot have chosen the file.
    pub redirect_hosts: Vec<String>,
    /// Downgrade.
    pub allow_plaintext: bool,
    /// Downgrade.
    pub insecure_skip_verify: bool,
}

/// A cloud's table: `[aws]`.
#[derive(Debug)]
struct Table {
    command: &'static str,
    texts: Vec<(&'static str, String)>,
    switches: Vec<(&'static str, bool)>,
}

impl Settings {
    /// The file that holds this secret.
    pub(super) fn file_of(&self, input: Input) -> Option<&Path> {
        self.inputs.iter().find(|(named, _)| *named == input).map(|(_, path)| path.as_path())
    }

    /// What the table of a cloud, named by its command, says under this key.
    pub(super) fn text_of(&self, command: &str, key: &str) -> Option<&str> {
        let table = self.clouds.iter().find(|table| table.command == command)?;
        table.texts.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str())
    }

    /// The same for a switch.
    pub(super) fn switch_of(&self, command: &str, key: &str) -> Option<bool> {
        let table = self.clouds.iter().find(|table| table.command == command)?;
        table.switches.iter().find(|(name, _)| *name == key).map(|(_, on)| *on)
    }
}

/// Reads a file's text.
///
/// # Errors
/// What is wrong, and where.
fn parse_settings(text: &str) -> Result<Settings, FileMistake> {
    let mut root = DeTable::parse(text)?;
    for key in root.get_ref().keys() {
        if !top_keys().any(|known| known == key.get_ref()) {
            return Err(FileMistake::unknown(key, None));
        }
    }
    let (mut clouds, mut inputs) = (Vec::new(), Vec::new());
    for cloud in CLOUDS {
        if let Some(table) = root.get_mut().remove(cloud.command) {
            clouds.push(parse_table(cloud, &table)?);
        }
    }
    for input in Input::ALL {
        if let Some(value) = root.get_mut().remove(input.key()) {
            inputs.push((input, parse_path(&value)?));
        }
    }
    let settings = Settings::deserialize(toml::de::Deserializer::from(root))?;
    Ok(Settings { clouds, inputs, ..settings })
}

fn parse_path(value: &Spanned<DeValue<'_>>) -> Result<PathBuf, FileMistake> {
    let text = value.get_ref().as_str().ok_or_else(|| FileMistake::at(value.span(), "path string"))?;
    Ok(PathBuf::from(text))
}

/// Every key of a configuration file: its table, which is empty above the tables, and its name.
#[must_use]
pub fn keys() -> Vec<(&'static str, &'static str)> {
    let top = fields::<Settings>().iter().copied().chain(Input::ALL.map(Input::key)).map(|key| ("", key));
    top.chain(CLOUDS.into_iter().flat_map(|cloud| keys_of(cloud).map(|key| (cloud.command, key)))).collect()
}

/// What can stand above the tables of the clouds, and the names of these.
fn top_keys() -> impl Iterator<Item = &'static str> {
    let inputs = Input::ALL.into_iter().map(Input::key);
    fields::<Settings>().iter().copied().chain(inputs).chain(CLOUDS.into_iter().map(|cloud| cloud.command))
}

/// What can stand in the table of a cloud.
fn keys_of(cloud: &'static Cloud) -> impl Iterator<Item = &'static str> {
    let own = cloud.settings.iter().filter(|setting| setting.in_file).map(|setting| setting.key());
    COMMON.into_iter().chain(own)
}

fn parse_table(cloud: &'static Cloud, table: &Spanned<DeValue<'_>>) -> Result<Table, FileMistake> {
    let entries = table.get_ref().as_table().ok_or_else(|| FileMistake::at(table.span(), "a table"))?;
    let mut known = Table { command: cloud.command, texts: Vec::new(), switches: Vec::new() };
    for (key, value) in entries {
        let setting = cloud.settings.iter().find(|setting| setting.in_file && setting.key() == key.get_ref());
        let name = match setting {
            Some(setting) => setting.key(),
            None => match COMMON.iter().find(|name| **name == key.get_ref()) {
                Some(name) => name,
                None => return Err(FileMistake::unknown(key, Some(cloud))),
            },
        };
        match (setting.map(|setting| setting.value), value.get_ref()) {
            (Some(Value::Switch), DeValue::Boolean(on)) => known.switches.push((name, *on)),
            (Some(Value::Switch), _) => return Err(FileMistake::at(value.span(), "a boolean")),
            (_, DeValue::String(text)) => known.texts.push((name, text.clone().into_owned())),
            (_, _) => return Err(FileMistake::at(value.span(), "a string")),
        }
    }
    Ok(known)
}

/// The keys that every cloud's table may have.
pub(super) const COMMON: [&str; 2] = ["role", "mount"];

/// What is wrong in a file, at which byte, and what to change.
struct FileMistake {
    place: usize,
    problem: FileProblem,
    hint: Option<String>,
}

enum FileProblem {
    /// The parser's words, which can quote a secret.
    Parser(String),
    /// Ours.
    Key(String),
    /// A secret has no place in the file.
    Secret(&'static str),
}

impl FileMistake {
    fn at(span: Range<usize>, expected: &str) -> Self {
        let problem = FileProblem::Parser(format!("invalid type: another one, expected {expected}"));
        Self { place: span.start, problem, hint: None }
    }

    /// A key that does not exist where it stands: above the tables, or in that of a cloud.
    fn unknown(key: &Spanned<impl AsRef<str>>, cloud: Option<&'static Cloud>) -> Self {
        let (place, name) = (key.span().start, key.get_ref().as_ref());
        if let Some((name, input)) = secret_of(name) {
            let hint = format!(
                "set {} for the job, or name the file that holds it: {} = \"/run/secrets/{name}\"",
                input.variable(),
                input.key()
            );
            return Self { place, problem: FileProblem::Secret(name), hint: Some(hint) };
        }
        let table = |cloud: &'static Cloud| format!("[{}]", cloud.command);
        let elsewhere: Vec<_> = CLOUDS.into_iter().filter(|other| keys_of(other).any(|known| known == name)).collect();
        let hint = match cloud {
            None if !elsewhere.is_empty() => {
                let tables: Vec<_> = elsewhere.into_iter().map(table).collect();
                format!("{name} belongs in the table {}", tables.join(" or "))
            }
            Some(cloud) if top_keys().any(|known| known == name) => {
                format!("{name} belongs above the tables, in front of {}", table(cloud))
            }
            Some(cloud) => match (nearest(name, keys_of(cloud)), elsewhere.first()) {
                (_, Some(other)) => format!("{name} belongs in the table {}", table(other)),
                (Some(meant), None) => format!("did you mean {meant}?"),
                (None, None) => {
                    format!("{} takes {}", table(cloud), keys_of(cloud).collect::<Vec<_>>().join(", "))
                }
            },
            None => nearest(name, top_keys()).map_or_else(
                || "the keys are the flags' names without --; what is of one cloud stands in its table".to_owned(),
                |meant| format!("did you mean {meant}?"),
            ),
        };
        let problem = match is_repeatable(name) {
            true => format!("there is no key \"{name}\""),
            false => "there is no such key".to_owned(),
        };
        Self { place, problem: FileProblem::Key(problem), hint: Some(hint) }
    }
}

/// The secret that a key names, by the flag that we do not have or by its variable: `token`, `VAULT_SECRET_ID`.
fn secret_of(key: &str) -> Option<(&'static str, Input)> {
    let name = key.to_lowercase().replace('_', "-");
    let name = name.strip_prefix("vault-").unwrap_or(&name);
    let named = Input::ALL.into_iter().filter_map(|input| Some((input.key().strip_suffix("-file")?, input)));
    let others = [("jwt", Input::IdToken), ("wrapped-token", Input::WrappingToken), ("password", Input::Token)];
    named.chain(others).find(|(known, _)| *known == name)
}

impl From<toml::de::Error> for FileMistake {
    fn from(error: toml::de::Error) -> Self {
        let problem = FileProblem::Parser(error.message().replace('\n', " "));
        Self { place: error.span().map_or(0, |span| span.start), problem, hint: None }
    }
}

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

    /// Whether a flag or a file of root's said so, and no variable.
    pub(super) fn vouch_for(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Flag(_) => true,
            Origin::File(path) => self.0.iter().any(|file| file.path == *path && file.of_root),
            Origin::Variable(_) | Origin::Default => false,
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
                    Origin::Flag(_) => "correct the path, or leave --config out".to_owned(),
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
        host.warn(format!("the configuration file {place} is in the checkout, and was not read: --config names one"));
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
            "use the flag of that name, or put it into {SYSTEM}: root alone may own or write it and the folders above it"
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
    fn a_key_in_the_wrong_place_is_told_its_own() {
        for (text, words) in [
            ("adress = 'x'", "line 1: there is no key \"adress\"\n  hint: did you mean address?"),
            ("colour = 'x'", "there is no key \"colour\"\n  hint: the keys are the flags' names"),
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
