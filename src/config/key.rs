//! The keys of a configuration file.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::file::{COMMON, Settings};
use crate::identity::Input;
use crate::provider::CLOUDS;

/// Every key of a configuration file: its table, which is empty above the tables, and its name.
#[must_use]
pub fn keys() -> Vec<(&'static str, &'static str)> {
    let mut fields: &[&str] = &[];
    // It ends in an error: there is no file.
    let _ = Settings::deserialize(Fields(&mut fields));
    let top = fields.iter().copied().chain(Input::ALL.map(Input::key)).map(|key| ("", key));
    let own = |cloud: &'static crate::provider::cloud::Cloud| {
        let settings = cloud.settings.iter().filter(|setting| setting.in_file).map(|setting| setting.key());
        COMMON.into_iter().chain(settings).map(|key| (cloud.command, key))
    };
    top.chain(CLOUDS.into_iter().flat_map(own)).collect()
}

/// A file that is not there. The names of the fields that are looked for in it are kept.
struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom(""))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom(""))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}
