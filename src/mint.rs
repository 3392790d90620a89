//! The request that makes a credential, and the values of its answer: what [`crate::provider`] knows and
//! [`crate::vault`] carries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::secret::Secret;

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
    /// The JSON object that is written, where the engine is asked by a write and nothing else.
    pub body: Option<String>,
    /// Whether the value is stored and not made: reading it again does no harm, and leaves nothing to revoke.
    pub stored: bool,
    /// Whether what it makes is temporary, and expires without a lease too.
    pub temporary: bool,
}

impl Mint {
    /// The lifetime to ask for: the parameter `ttl`, in whole seconds.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        let (_, text) = self.parameters.iter().find(|(name, _)| *name == "ttl")?;
        text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
    }

    /// Whether a lifetime is asked for, by a parameter or by a member `ttl` of the body.
    #[must_use]
    pub fn asks_for_a_life(&self) -> bool {
        let members = |body: &String| serde_json::from_str::<BTreeMap<String, IgnoredAny>>(body).ok();
        self.ttl().is_some() || self.body.as_ref().and_then(members).is_some_and(|members| members.contains_key("ttl"))
    }
}

/// One value of Vault's `data`, read but not yet checked.
#[derive(Debug)]
pub enum Datum {
    /// A text.
    Text(Secret),
    /// A whole number that is not negative.
    Number(u64),
    /// A truth value.
    Flag(bool),
    /// A list of texts.
    List(Vec<Secret>),
    /// `null`.
    Null,
    /// Anything else, as JSON: an object, a fraction, a list of something else.
    Other(Secret),
}

impl Datum {
    /// The values of an object. None for anything else, or when a key stands twice in it.
    #[must_use]
    pub fn members(&self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Other(json) if json.expose().starts_with('{') => {
                serde_json::from_str::<Data>(json.expose()).ok().map(|data| data.0)
            }
            _ => None,
        }
    }

    /// The values of a list. None for anything else.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(texts) => Some(texts.iter().map(|text| Self::Text(text.duplicate())).collect()),
            Self::Other(json) if json.expose().starts_with('[') => {
                let list: Vec<&RawValue> = serde_json::from_str(json.expose()).ok()?;
                list.into_iter().map(Self::of).collect()
            }
            _ => None,
        }
    }

    /// None for a text that JSON allows and Unicode does not: half a character.
    fn of(json: &RawValue) -> Option<Self> {
        let text = json.get();
        match text.as_bytes().first()? {
            b'"' => serde_json::from_str(text).ok().map(Self::Text),
            b'n' => Some(Self::Null),
            b't' => Some(Self::Flag(true)),
            b'f' => Some(Self::Flag(false)),
            b'[' => Some(match serde_json::from_str::<Vec<Secret>>(text) {
                Ok(texts) => Self::List(texts),
                Err(_) => Self::Other(Secret::new(text.to_owned())),
            }),
            _ => Some(text.parse().map_or_else(|_| Self::Other(Secret::new(text.to_owned())), Self::Number)),
        }
    }
}

/// The `data` of an answer, key by key, in order; a key that stands twice is refused.
#[derive(Debug, Default)]
pub struct Data(pub Vec<(String, Datum)>);

impl Data {
    /// Takes a text out.
    pub fn take_text(&mut self, name: &str) -> Option<Secret> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        match self.0.swap_remove(index).1 {
            Datum::Text(text) if !text.expose().is_empty() => Some(text),
            _ => None,
        }
    }

    /// A text that is not secret; empty if there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, datum)| match datum {
            Datum::Text(text) => text.expose(),
            _ => "",
        })
    }

    /// A truth value; false if there is none.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(key, datum)| key == name && matches!(datum, Datum::Flag(true)))
    }

    /// A list of texts that are not secret; empty if there is none.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().find_map(|(key, datum)| match datum {
            Datum::List(texts) if key == name => Some(texts),
            _ => None,
        });
        found.into_iter().flatten().map(|text| text.expose().to_owned()).collect()
    }

    /// Takes a list of texts out; empty where there is none.
    pub fn take_texts(&mut self, name: &str) -> Vec<Secret> {
        let Some(index) = self.0.iter().position(|(key, _)| key == name) else { return Vec::new() };
        match self.0.swap_remove(index).1 {
            Datum::List(texts) => texts,
            _ => Vec::new(),
        }
    }

    /// A truth value.
    #[must_use]
    pub fn truth(&self, name: &str) -> Option<bool> {
        self.0.iter().find_map(|(key, datum)| match datum {
            Datum::Flag(truth) if key == name => Some(*truth),
            _ => None,
        })
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.iter().find_map(|(key, datum)| match datum {
            Datum::Number(number) if key == name => Some(*number),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;
        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut pairs: Vec<(String, Datum)> = Vec::new();
                // A set, because an answer of 1 MiB has room for 100,000 keys, and no deadline interrupts this loop.
                let mut known = BTreeSet::new();
                while let Some((key, json)) = map.next_entry::<String, &RawValue>()? {
                    if !known.insert(key.clone()) {
                        return Err(serde::de::Error::custom("a key stands twice"));
                    }
                    let datum = Datum::of(json).ok_or_else(|| serde::de::Error::custom("a text is not Unicode"))?;
                    pairs.push((key, datum));
                }
                Ok(Data(pairs))
            }
        }
        deserializer.deserialize_map(DataVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_asked_for_by_a_member_of_the_body_itself_and_by_no_other_text_in_it() {
        let mint = |body: Option<&str>, parameters: &[(&'static str, &str)]| Mint {
            path: "pki/issue/app".into(),
            roles: String::new(),
            parameters: parameters.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
            writable: false,
            body: body.map(str::to_owned),
            stored: false,
            temporary: false,
        };
        for (body, asks) in [
            (None, false),
            (Some("{}"), false),
            (Some("{\"ttl\":\"1h\"}"), true),
            (Some("{\"a\":{\"b\":1},\"ttl\":3600}"), true),
            (Some("{\"mode\":\"ttl\"}"), false),
            (Some("{\"a\":{\"ttl\":1}}"), false),
            (Some("{\"max_ttl\":1}"), false),
        ] {
            assert_eq!(mint(body, &[]).asks_for_a_life(), asks, "{body:?}");
        }
        assert!(mint(None, &[("ttl", "900s")]).asks_for_a_life() && !mint(None, &[("version", "2")]).asks_for_a_life());
    }
}
