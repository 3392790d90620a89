//! What a kind of credential consists of: which fields an engine answers, which texts they can be, and where the
//! cloud's tools look for them. Pure: values in, values out. A shape is owned, so that one can be built of a file.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::mint::Datum;
use crate::secret::Secret;

/// A text that stands in the program, or came from a configuration file.
pub type Text = Cow<'static, str>;

/// What a kind of credential consists of: its fields, and where the cloud's tools look for them.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The engine's default mount, and the name in `--format json`.
    pub name: Text,
    /// What asks for it on the command line, behind `ci-creds`.
    pub command: Text,
    /// The name for people.
    pub title: Text,
    /// What the engine answers, in the order in which it is printed.
    pub fields: Cow<'static, [Field]>,
    /// Other names by which the cloud's tools find a credential. A stale one may win over ours, so each is unset.
    pub aliases: &'static [&'static str],
    /// Variables by which the cloud's tools find other sources of credentials: what a command has no use for that is run
    /// with one.
    pub sources: &'static [&'static str],
    /// The field that marks a credential that cannot be revoked: it lives until it expires.
    pub irrevocable: Option<&'static str>,
    /// The variable that tells the cloud's tools when such a credential ends.
    pub expiration: Option<&'static str>,
    /// Those of its variables that its tools take for unset when they are empty, beside those that are set; for where
    /// nothing can be unset.
    pub emptied: &'static [&'static str],
    /// Variables that name a stored profile instead of a key; left alone by `--keep-profile`.
    pub profiles: &'static [&'static str],
    /// How a secret's own section maps the answer to variables. Nothing for a cloud, whose table does.
    pub mapping: Option<Mapping>,
    /// What holds of a key that is stored, and not made for the run.
    pub stored: Option<StoredKey>,
    /// Where its tools find a credential that is not in variables, if they look anywhere else.
    pub file: Option<CredentialsFile>,
    /// What the engine makes in the cloud.
    pub made: CloudObject,
}

/// What the section of a secret says beside its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The version of the KV engine, where somebody says that it is one.
    pub kv: Option<u8>,
    /// The field that says when it expires.
    pub expires: Option<String>,
    /// Variables that are unset.
    pub unset: Vec<String>,
}

/// What holds of a key that a KV engine stores, beside its fields.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// The field that says when the key expires.
    pub expires: &'static str,
    /// Variables that say where work is done, and not by whom. Each stays as it is if neither the user nor the secret has
    /// a value for it.
    pub settings: &'static [&'static str],
    /// Optional fields without which no variables are set.
    pub needed: &'static [&'static str],
    /// What the value of a field lacks where its characters are right; none where it lacks nothing. It gets the field's
    /// name and the value.
    pub find_misfit: fn(&str, &str) -> Option<&'static str>,
    /// What the values look like, for a hint.
    pub forms: &'static str,
    /// The variables that follow from the field `region`.
    pub place: fn(&str) -> Vec<(&'static str, String)>,
}

/// What an engine makes in the cloud, and how to find it there when no lease tells of it.
#[derive(Clone, Debug)]
pub struct CloudObject {
    /// What it is, with its article.
    pub what: &'static str,
    /// The command of the cloud that lists them. Both engines name theirs `vault-…`, with the role in it.
    pub list: &'static str,
}

/// The file in which a cloud's tools look for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsFile {
    /// What it is usually called.
    pub name: &'static str,
    /// Where the tools look below the home directory, when no variable names another file.
    pub below_home: &'static str,
    /// How it is written.
    pub syntax: Syntax,
    /// The variable that names it.
    pub path_variable: &'static str,
    /// The variable that names one of the credentials in it, where it can hold several.
    pub profile_variable: Option<&'static str>,
}

/// How a credentials file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Sections of `key = value`: the AWS SDKs' shared credentials file.
    Profiles,
    /// TOML with `[[accounts]]`: `exoscale.toml`.
    Accounts,
    /// YAML with one key in it, outside of any profile: `config.yaml` of scw.
    Yaml,
}

/// One value of a credential.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name in `--format json` and in messages: Vault's own.
    pub name: Text,
    /// The key of Vault's `data` that holds it, unless that is not there, null or empty.
    pub key: Text,
    /// What older versions of the engine call that key.
    pub older_key: Option<Text>,
    /// The variable that it is exported as.
    pub variable: Option<Text>,
    /// Its name in the JSON of `credential_process`.
    pub process: Option<&'static str>,
    /// Its key in the cloud's credentials file.
    pub in_file: Option<&'static str>,
    /// Which texts it can be. Anything else is refused, never escaped.
    pub characters: Characters,
    /// Whether a credential without it is none.
    pub required: bool,
    /// Whether it may be shown to people: a key's id, a name.
    pub public: bool,
    /// Whether the variable holds the path of a private file with the value in it.
    pub file: bool,
}

/// What a cloud's tools call a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToolNames {
    /// The variable.
    pub(super) variable: &'static str,
    /// See [`Field::process`].
    pub(super) process: Option<&'static str>,
    /// See [`Field::in_file`].
    pub(super) in_file: &'static str,
}

impl Field {
    /// One half of a key: the public one, or the secret one.
    pub(super) const fn half(name: &'static str, public: bool, tools: ToolNames, characters: Characters) -> Self {
        Self {
            name: Cow::Borrowed(name),
            key: Cow::Borrowed(name),
            older_key: None,
            variable: Some(Cow::Borrowed(tools.variable)),
            process: tools.process,
            in_file: Some(tools.in_file),
            characters,
            required: true,
            public,
            file: false,
        }
    }

    /// The name of what was made: no tool reads it.
    pub(super) const fn label(name: &'static str, characters: Characters) -> Self {
        Self {
            name: Cow::Borrowed(name),
            key: Cow::Borrowed(name),
            older_key: None,
            variable: None,
            process: None,
            in_file: None,
            characters,
            required: false,
            public: true,
            file: false,
        }
    }
}

/// A set of texts: a prefix, the characters behind it, and how many there may be of those.
#[derive(Clone, Debug)]
pub struct Characters {
    /// What every value begins with.
    pub prefix: &'static str,
    /// The characters beside ASCII letters and digits that may follow.
    pub others: &'static str,
    /// Whether lower-case letters may follow.
    pub lower: bool,
    /// The fewest that may follow.
    pub least: usize,
    /// The most that may follow.
    pub most: usize,
}

/// Where something lies outside its set. The value itself is never part of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Outside {
    /// The prefix is missing.
    Prefix,
    /// It is too short or too long.
    Length,
    /// The byte at this place, counted from 1.
    Byte(usize),
}

impl Characters {
    /// Finds the first reason why a value is outside.
    #[must_use]
    pub fn check(&self, value: &str) -> Option<Outside> {
        let Some(rest) = value.strip_prefix(self.prefix) else { return Some(Outside::Prefix) };
        let inside = |byte: u8| match byte {
            b'0'..=b'9' | b'A'..=b'Z' => true,
            b'a'..=b'z' => self.lower,
            _ => self.others.as_bytes().contains(&byte),
        };
        if let Some(place) = rest.bytes().position(|byte| !inside(byte)) {
            return Some(Outside::Byte(self.prefix.len() + place + 1));
        }
        (rest.len() < self.least || rest.len() > self.most).then_some(Outside::Length)
    }
}

/// What the engine's answer says beside the fields.
#[derive(Debug)]
pub struct EngineData {
    /// The values, checked.
    pub values: Vec<(Field, Secret)>,
    /// The life that `data` itself names, in seconds.
    pub seconds: Option<u64>,
    /// The end that `data` itself names.
    pub end: Option<Timestamp>,
}

impl Shape {
    /// Every variable that this cloud's tools could take a credential from: ours and all their aliases.
    pub fn owned_variables(&self, keep_profile: bool) -> impl Iterator<Item = &str> {
        let own = self.fields.iter().filter_map(|field| field.variable.as_deref());
        let own = own.filter(|name| !self.is_setting(name));
        let profiles = if keep_profile { &[] } else { self.profiles };
        let unset = self.mapping.iter().flat_map(|mapping| &mapping.unset).map(String::as_str);
        own.chain(self.aliases.iter().copied()).chain(profiles.iter().copied()).chain(unset)
    }

    /// The same with the variables that point to a file: what a run that was to make one unsets when it fails.
    pub fn owned_variables_and_file(&self) -> impl Iterator<Item = &str> {
        let file = self.file.iter().flat_map(|file| [Some(file.path_variable), file.profile_variable]).flatten();
        let others = file.clone();
        self.owned_variables(false).filter(move |name| others.clone().all(|other| other != *name)).chain(file)
    }

    /// Whether the variable says where work is done, so that it stays as it is where nobody says another value.
    #[must_use]
    pub fn is_setting(&self, variable: &str) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.settings.contains(&variable))
    }

    /// Whether the user names a path of Vault, and not the role of an engine.
    #[must_use]
    pub fn is_found_by_path(&self) -> bool {
        self.mapping.is_some() || self.stored.is_some()
    }

    /// Whether the AWS SDKs can take these credentials by `credential_process`.
    #[must_use]
    pub fn fits_process(&self) -> bool {
        self.fields.iter().any(|field| field.process.is_some())
    }

    /// Takes the fields out of Vault's `data` and checks each against its set.
    ///
    /// # Errors
    /// [`Kind::Data`] naming the field and the place, never the value.
    pub fn parse_data(&self, path: &str, data: &mut Vec<(String, Datum)>) -> Result<EngineData> {
        let mut values = Vec::with_capacity(self.fields.len());
        for field in self.fields.iter() {
            match self.take_text(path, field, data)? {
                Some(value) => values.push((field.clone(), value)),
                None if field.required => {
                    return Err(Error::new(Kind::Data, format!("the answer to {path} has no {}", field.name))
                        .hint(self.hint_of_a_missing_field()));
                }
                None => {}
            }
        }
        let seconds = data.iter().find_map(|(key, datum)| match datum {
            Datum::Number(seconds) if key == "ttl" => Some(*seconds),
            _ => None,
        });
        Ok(EngineData { values, seconds, end: None })
    }

    fn hint_of_a_missing_field(&self) -> String {
        if self.stored.is_none() {
            return format!("is an {} engine mounted there?", self.title);
        }
        let required = self.fields.iter().filter(|field| field.required).map(|field| field.name.as_ref());
        format!("the secret must have {}", required.collect::<Vec<_>>().join(" and "))
    }

    fn hint_of_a_wrong_value(&self) -> &'static str {
        self.stored.as_ref().map_or(NOT_THAT_ENGINE, |stored| stored.forms)
    }

    fn take_text(&self, path: &str, field: &Field, data: &mut Vec<(String, Datum)>) -> Result<Option<Secret>> {
        for key in std::iter::once(&field.key).chain(&field.older_key) {
            let Some(index) = data.iter().position(|(name, _)| name == key.as_ref()) else { continue };
            let value = match data.swap_remove(index).1 {
                Datum::Null => continue,
                Datum::Text(value) if value.expose().is_empty() => continue,
                Datum::Text(value) => value,
                Datum::Number(_) | Datum::Flag(_) | Datum::List(_) | Datum::Other(_)
                    if field.variable.is_none() && !field.required =>
                {
                    return Ok(None);
                }
                Datum::Number(_) | Datum::Flag(_) | Datum::List(_) | Datum::Other(_) => {
                    return Err(Error::new(Kind::Data, format!("{key} in the answer to {path} is not a string"))
                        .hint(self.hint_of_a_wrong_value()));
                }
            };
            let problem = match field.characters.check(value.expose()) {
                None => match self.stored.as_ref().and_then(|stored| (stored.find_misfit)(&field.name, value.expose()))
                {
                    None => return Ok(Some(value)),
                    Some(misfit) => misfit.to_owned(),
                },
                // A name that nobody's program reads is not worth a failed job; without it nothing is lost.
                Some(_) if field.variable.is_none() && !field.required => return Ok(None),
                Some(Outside::Prefix) => format!("does not begin with {}", field.characters.prefix),
                Some(Outside::Length) => "is too short or too long".into(),
                Some(Outside::Byte(place)) => format!("has an invalid character at byte {place}"),
            };
            return Err(Error::new(Kind::Data, format!("{key} in the answer to {path} {problem}: it was not used"))
                .hint(self.hint_of_a_wrong_value()));
        }
        Ok(None)
    }
}

/// What to look at when a value is none of the cloud's.
const NOT_THAT_ENGINE: &str =
    "check that the mount is an engine of this cloud (--mount): vault secrets list shows the types";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{aws, shapes};

    fn text(value: &str) -> Datum {
        Datum::Text(Secret::new(value.into()))
    }

    fn data(pairs: Vec<(&str, Datum)>) -> Vec<(String, Datum)> {
        pairs.into_iter().map(|(key, datum)| (key.to_owned(), datum)).collect()
    }

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    #[test]
    fn every_byte_outside_a_set_is_found_at_its_place() {
        for shape in shapes() {
            for field in shape.fields.iter() {
                let inside = format!("{}{}", field.characters.prefix, "A".repeat(field.characters.least.max(8)));
                assert_eq!(field.characters.check(&inside), None, "{}", field.name);
                let place = field.characters.prefix.len() + 3;
                for byte in (0..=0x20).chain(0x7f..=0xff).chain(*b"'\"`$\\*?[]{}#;&|<>()!~") {
                    let mut bytes: Vec<char> = inside.chars().collect();
                    bytes[place] = char::from(byte);
                    let value: String = bytes.into_iter().collect();
                    assert_eq!(
                        field.characters.check(&value),
                        Some(Outside::Byte(place + 1)),
                        "{byte:#x} in {}",
                        field.name
                    );
                }
            }
        }
    }

    #[test]
    fn the_newer_session_token_counts_and_null_is_none() {
        let session = |pairs: Vec<(&str, Datum)>| {
            let mut all = data(pairs);
            all.extend(data(vec![("access_key", text(KEY)), ("secret_key", text("abc/+="))]));
            let parsed = aws::AWS.parse_data("aws/sts/x", &mut all).unwrap();
            let session = parsed.values.into_iter().find(|(field, _)| field.name == "session_token");
            session.map(|(_, value)| value.expose().to_owned())
        };
        assert_eq!(session(vec![]), None);
        assert_eq!(session(vec![("security_token", Datum::Null)]), None);
        assert_eq!(session(vec![("session_token", text("")), ("security_token", text("old"))]).as_deref(), Some("old"));
        assert_eq!(
            session(vec![("session_token", text("new")), ("security_token", text("old"))]).as_deref(),
            Some("new")
        );
    }

    #[test]
    fn a_missing_or_mistyped_field_is_named_and_not_shown() {
        let cases = [
            (vec![("access_key", text(KEY))], "has no secret_key"),
            (vec![("access_key", Datum::Null), ("secret_key", text("abc"))], "has no access_key"),
            (
                vec![("access_key", Datum::Number(1)), ("secret_key", text("abc"))],
                "access_key in the answer to aws/sts/x is not a string",
            ),
            (vec![("access_key", text(KEY)), ("secret_key", text("a'b"))], "at byte 2"),
            (vec![("access_key", text("AKIA")), ("secret_key", text("abc"))], "too short"),
        ];
        for (pairs, expected) in cases {
            let error = aws::AWS.parse_data("aws/sts/x", &mut data(pairs)).unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            assert!(error.render(true).contains(expected), "{}", error.render(true));
        }
    }

    #[test]
    fn a_length_is_inside_at_both_its_ends_and_outside_one_beyond() {
        for shape in shapes() {
            for field in shape.fields.iter() {
                let Characters { prefix, least, most, .. } = field.characters;
                let of = |length| field.characters.check(&format!("{prefix}{}", "A".repeat(length)));
                assert_eq!((of(least), of(most)), (None, None), "{}", field.name);
                assert_eq!(
                    (of(least - 1), of(most + 1)),
                    (Some(Outside::Length), Some(Outside::Length)),
                    "{}",
                    field.name
                );
            }
        }
    }

    #[test]
    fn only_a_number_called_ttl_is_the_life_that_the_data_names() {
        let seconds = |more: Vec<(&str, Datum)>| {
            let mut all = data(more);
            all.extend(data(vec![("access_key", text(KEY)), ("secret_key", text("abc"))]));
            aws::AWS.parse_data("aws/sts/x", &mut all).unwrap().seconds
        };
        assert_eq!(seconds(vec![("max_ttl", Datum::Number(5)), ("ttl", Datum::Number(9))]), Some(9));
        assert_eq!(seconds(vec![("max_ttl", Datum::Number(5))]), None);
        assert_eq!(seconds(vec![("ttl", text("9"))]), None);
    }

    #[test]
    fn only_a_name_that_no_program_reads_may_be_unusable() {
        let parse = |name: &'static str, datum: Datum| {
            let mut all = data(vec![("access_key", text(KEY)), ("secret_key", text("abc")), (name, datum)]);
            aws::AWS.parse_data("aws/sts/x", &mut all).map(|parsed| parsed.values.len())
        };
        assert_eq!(parse("arn", text("arn:aws:sts::1:x")).unwrap(), 3);
        let other = || Datum::Other(Secret::new("[]".into()));
        for bad in [Datum::Number(1), other(), Datum::Null, text("a b"), text("arn:a b")] {
            assert_eq!(parse("arn", bad).unwrap(), 2);
        }
        for bad in [Datum::Number(1), other(), text("a b")] {
            assert_eq!(parse("session_token", bad).unwrap_err().kind(), Kind::Data);
        }
    }
}
