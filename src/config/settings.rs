//! What a configuration file may say, and what is wrong in one that says something else. Pure.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::fields;
use super::section::{KEYS as SECRET_KEYS, SectionMistake, parse_sections};
use crate::identity::Input;
use crate::provider::CLOUDS;
use crate::provider::cloud::{Cloud, Location, Value};
use crate::provider::secret::SecretSection;
use crate::typo::{is_repeatable, nearest};

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
    pub id_token_from: Option<String>,
    pub id_token_audience: Option<String>,
    pub renew_generator: Option<bool>,
    pub iam_server_id: Option<String>,
    pub sts_region: Option<String>,
    /// Where the files of the secrets are.
    #[serde(skip)]
    inputs: Vec<(Input, PathBuf)>,
    /// What each cloud's own table says.
    #[serde(skip)]
    clouds: Vec<Table>,
    /// The secrets of other engines, and the variables that they are mapped to.
    #[serde(skip)]
    secrets: Vec<SecretSection>,
    /// The servers that may have this runner's secrets; like a downgrade, it is read from root's files only.
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
pub(super) struct Table {
    command: &'static str,
    texts: Vec<(&'static str, String)>,
    switches: Vec<(&'static str, bool)>,
}

impl Settings {
    /// The file that holds this secret.
    pub(super) fn file_of(&self, input: Input) -> Option<&Path> {
        self.inputs.iter().find(|(named, _)| *named == input).map(|(_, path)| path.as_path())
    }

    /// The section of a secret.
    pub(super) fn secret(&self, name: &str) -> Option<&SecretSection> {
        self.secrets.iter().find(|section| section.name == name)
    }

    /// The names of all of them.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|section| section.name.as_str())
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
pub(super) fn parse_settings(text: &str) -> Result<Settings, FileMistake> {
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
    let secrets = match root.get_mut().remove(SECRET) {
        Some(table) => parse_sections(&table)?,
        None => Vec::new(),
    };
    for input in Input::ALL {
        if let Some(value) = root.get_mut().remove(input.key()) {
            inputs.push((input, parse_path(&value)?));
        }
    }
    let settings = Settings::deserialize(toml::de::Deserializer::from(root))?;
    Ok(Settings { clouds, inputs, secrets, ..settings })
}

fn parse_path(value: &Spanned<DeValue<'_>>) -> Result<PathBuf, FileMistake> {
    let text = value.get_ref().as_str().ok_or_else(|| FileMistake::at(value.span(), "path string"))?;
    Ok(PathBuf::from(text))
}

/// Every key of a configuration file: its table, which is empty above the tables, and its name.
#[must_use]
pub fn keys() -> Vec<(&'static str, &'static str)> {
    let top = fields::<Settings>().iter().copied().chain(Input::ALL.map(Input::key)).map(|key| ("", key));
    let clouds = CLOUDS.into_iter().flat_map(|cloud| keys_of(cloud).map(|key| (cloud.command, key)));
    top.chain(clouds).chain(SECRET_KEYS.map(|key| ("secret.NAME", key))).collect()
}

/// What can stand above the tables of the clouds, and the names of these.
fn top_keys() -> impl Iterator<Item = &'static str> {
    let inputs = Input::ALL.into_iter().map(Input::key);
    let tables = CLOUDS.into_iter().map(|cloud| cloud.command).chain([SECRET]);
    fields::<Settings>().iter().copied().chain(inputs).chain(tables)
}

/// What can stand in the table of a cloud.
fn keys_of(cloud: &'static Cloud) -> impl Iterator<Item = &'static str> {
    let own = cloud.settings.iter().filter(|setting| setting.in_file).map(|setting| setting.key());
    common_keys(cloud).iter().copied().chain(own)
}

fn parse_table(cloud: &'static Cloud, table: &Spanned<DeValue<'_>>) -> Result<Table, FileMistake> {
    let entries = table.get_ref().as_table().ok_or_else(|| FileMistake::at(table.span(), "a table"))?;
    let mut known = Table { command: cloud.command, texts: Vec::new(), switches: Vec::new() };
    for (key, value) in entries {
        let setting = cloud.settings.iter().find(|setting| setting.in_file && setting.key() == key.get_ref());
        let name = match setting {
            Some(setting) => setting.key(),
            None => match common_keys(cloud).iter().find(|name| **name == key.get_ref()) {
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

/// The keys that the table of every cloud with an engine of its own may have.
pub(super) const COMMON: [&str; 2] = ["role", "mount"];

fn common_keys(cloud: &Cloud) -> &'static [&'static str] {
    match cloud.location {
        Location::Role { .. } => &COMMON,
        Location::Path(_) => &[],
    }
}

/// The table of the secrets of other engines, a table each.
const SECRET: &str = "secret";

/// What is wrong in a file, at which byte, and what to change.
pub(super) struct FileMistake {
    pub(super) place: usize,
    pub(super) problem: FileProblem,
    pub(super) hint: Option<String>,
}

pub(super) enum FileProblem {
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
                || {
                    "the keys are the names of the flags without --; settings of one cloud belong in its table"
                        .to_owned()
                },
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

impl From<SectionMistake> for FileMistake {
    fn from(SectionMistake { place, words, hint }: SectionMistake) -> Self {
        Self { place, problem: FileProblem::Key(words), hint }
    }
}

impl From<toml::de::Error> for FileMistake {
    fn from(error: toml::de::Error) -> Self {
        let problem = FileProblem::Parser(error.message().replace('\n', " "));
        Self { place: error.span().map_or(0, |span| span.start), problem, hint: None }
    }
}
