//! The clouds: one file each, holding a table of what the engine answers and which variables its tools read.
//!
//! Pure: a provider gets values and returns values. It knows no HTTP, no environment and no output format. A new
//! cloud is one file here and one line in [`Provider::ALL`]. Beside the tables stands what is asked of AWS itself,
//! [`caller_identity`], and how that is signed.

pub mod aws;
pub mod caller_identity;
pub mod exoscale;
pub mod signature;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// A cloud, as far as it is data.
#[derive(Debug)]
pub struct Provider {
    /// The engine's default mount, and the name in `--format json`.
    pub name: &'static str,
    /// What asks for it on the command line, behind `ci-creds`.
    pub command: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// What the engine answers, in the order in which it is printed.
    pub fields: &'static [Field],
    /// Other names by which the cloud's tools find a credential. A stale one may win over ours, so each is unset.
    pub aliases: &'static [&'static str],
    /// The field that only a credential has which nobody can take back: it lives until it expires.
    pub irrevocable: Option<&'static str>,
    /// The variable that tells the cloud's tools when such a credential ends.
    pub expiration: Option<&'static str>,
    /// Those of its variables that its tools take for unset when they are empty, beside those that are set; for where
    /// nothing can be unset.
    pub emptied: &'static [&'static str],
    /// Variables that name a stored profile instead of a key; left alone by `--keep-profile`.
    pub profiles: &'static [&'static str],
    /// Where its tools find a credential that is not in variables.
    pub file: CredentialsFile,
    /// What its engine makes in the cloud.
    pub made: Made,
}

/// What an engine makes in the cloud, and how to find it there when no lease tells of it.
#[derive(Debug)]
pub struct Made {
    /// What it is, with its article.
    pub what: &'static str,
    /// The command of the cloud that lists them. Both engines name theirs `vault-…`, with the role in it.
    pub list: &'static str,
}

/// The file in which a cloud's tools look for credentials.
#[derive(Debug)]
pub struct CredentialsFile {
    /// What it is usually called.
    pub name: &'static str,
    /// How it is written.
    pub syntax: Syntax,
    /// The variable that names it.
    pub path_variable: &'static str,
    /// The variable that names one of the credentials in it.
    pub profile_variable: &'static str,
}

/// How a credentials file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Sections of `key = value`: the AWS SDKs' shared credentials file.
    Profiles,
    /// TOML with `[[accounts]]`: `exoscale.toml`.
    Accounts,
}

/// One value of a credential.
#[derive(Debug)]
pub struct Field {
    /// The name in `--format json` and in messages: Vault's own.
    pub name: &'static str,
    /// The keys of Vault's `data` that can hold it; the first that is there and not null or empty counts.
    pub keys: &'static [&'static str],
    /// The variable that it is exported as.
    pub variable: Option<&'static str>,
    /// Its name in the JSON of `credential_process`.
    pub process: Option<&'static str>,
    /// Its key in the cloud's credentials file.
    pub key: Option<&'static str>,
    /// Which texts it can be. Anything else is refused, never escaped.
    pub characters: Characters,
    /// Whether a credential without it is none.
    pub required: bool,
    /// Whether it may be shown to people: a key's id, a name.
    pub public: bool,
}

/// A set of texts: a prefix, the characters behind it, and how many there may be of those.
#[derive(Debug)]
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

/// One value of Vault's `data`, read but not yet believed.
#[derive(Debug)]
pub enum Datum {
    /// A text.
    Text(Secret),
    /// A whole number that is not negative.
    Number(u64),
    /// `null`.
    Null,
    /// Anything else: a list, an object, a fraction, a truth value.
    Other,
}

/// The request that makes a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// The path without `/v1/`: `aws/sts/deploy`.
    pub path: String,
    /// Where the engine lists its roles: `aws/roles`.
    pub roles: String,
    /// The parameters, as query of a read or as body of a write.
    pub parameters: Vec<(&'static str, String)>,
    /// Whether the engine takes a write as well as a read, so that a policy may grant only one of them.
    pub writable: bool,
    /// Whether what it makes is temporary, and expires without a lease too.
    pub temporary: bool,
}

/// What the engine's answer says beside the fields.
#[derive(Debug)]
pub struct Parsed {
    /// The values, checked.
    pub values: Vec<(&'static Field, Secret)>,
    /// The life that `data` itself names, in seconds.
    pub seconds: Option<u64>,
}

impl Provider {
    /// Every cloud, and Exoscale's key in AWS's shape.
    pub const ALL: [&'static Self; 3] = [&exoscale::EXOSCALE, &exoscale::SOS, &aws::AWS];

    /// Every variable that this cloud's tools could take a credential from: ours and all their aliases.
    pub fn owned_variables(&self, keep_profile: bool) -> impl Iterator<Item = &'static str> {
        let own = self.fields.iter().filter_map(|field| field.variable);
        let profiles = if keep_profile { &[] } else { self.profiles };
        own.chain(self.aliases.iter().copied()).chain(profiles.iter().copied())
    }

    /// The same with the variables that point to a file: what a run that was to make one unsets when it fails.
    pub fn owned_variables_and_file(&self) -> impl Iterator<Item = &'static str> {
        let file = [self.file.path_variable, self.file.profile_variable];
        self.owned_variables(false).filter(move |name| !file.contains(name)).chain(file)
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
    pub fn parse_data(&'static self, path: &str, data: &mut Vec<(String, Datum)>) -> Result<Parsed> {
        let mut values = Vec::with_capacity(self.fields.len());
        for field in self.fields {
            match take_text(path, field, data)? {
                Some(value) => values.push((field, value)),
                None if field.required => {
                    return Err(Error::new(Kind::Data, format!("the answer of {path} has no {}", field.name))
                        .hint(format!("is an {} engine mounted there?", self.title)));
                }
                None => {}
            }
        }
        let seconds = data.iter().find_map(|(key, datum)| match datum {
            Datum::Number(seconds) if key == "ttl" => Some(*seconds),
            _ => None,
        });
        Ok(Parsed { values, seconds })
    }
}

/// What to look at when a value is none of the cloud's.
const NOT_THAT_ENGINE: &str =
    "is that mount the engine of this cloud? name it with --mount; vault secrets list shows the types";

fn take_text(path: &str, field: &Field, data: &mut Vec<(String, Datum)>) -> Result<Option<Secret>> {
    for key in field.keys {
        let Some(index) = data.iter().position(|(name, _)| name == key) else { continue };
        let value = match data.swap_remove(index).1 {
            Datum::Null => continue,
            Datum::Text(value) if value.expose().is_empty() => continue,
            Datum::Text(value) => value,
            Datum::Number(_) | Datum::Other if field.variable.is_none() && !field.required => return Ok(None),
            Datum::Number(_) | Datum::Other => {
                return Err(Error::new(Kind::Data, format!("{key} in the answer of {path} is not a text"))
                    .hint(NOT_THAT_ENGINE));
            }
        };
        let problem = match field.characters.check(value.expose()) {
            None => return Ok(Some(value)),
            // A name that nobody's program reads is not worth a failed job; without it nothing is lost.
            Some(_) if field.variable.is_none() && !field.required => return Ok(None),
            Some(Outside::Prefix) => format!("does not begin with {}", field.characters.prefix),
            Some(Outside::Length) => "is too short or too long".into(),
            Some(Outside::Byte(place)) => format!("has a character at byte {place} that such a value never has"),
        };
        return Err(Error::new(Kind::Data, format!("{key} in the answer of {path} {problem}: it was not used"))
            .hint(NOT_THAT_ENGINE));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Datum {
        Datum::Text(Secret::new(value.into()))
    }

    fn data(pairs: Vec<(&str, Datum)>) -> Vec<(String, Datum)> {
        pairs.into_iter().map(|(key, datum)| (key.to_owned(), datum)).collect()
    }

    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    #[test]
    fn every_byte_outside_a_set_is_found_at_its_place() {
        for provider in Provider::ALL {
            for field in provider.fields {
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
                "access_key in the answer of aws/sts/x is not a text",
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
        for provider in Provider::ALL {
            for field in provider.fields {
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
        for bad in [Datum::Number(1), Datum::Other, Datum::Null, text("a b"), text("arn:a b")] {
            assert_eq!(parse("arn", bad).unwrap(), 2);
        }
        for bad in [Datum::Number(1), Datum::Other, text("a b")] {
            assert_eq!(parse("session_token", bad).unwrap_err().kind(), Kind::Data);
        }
    }
}
