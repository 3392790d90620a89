//! Takes the values out of an answer whose form no engine of a cloud decides: by the names that a section maps, or by the
//! fields of a key that a KV engine stores. Pure.

use jiff::Timestamp;

use super::shape::{EngineData, Field, Mapping, Shape, StoredKey};
use crate::error::{Error, Kind, Result};
use crate::mint::{Data, Datum};
use crate::secret::Secret;
use crate::typo::{is_repeatable, nearest};

/// Takes the fields that are named out of Vault's `data`. `lines`: whether a variable may have several lines.
///
/// # Errors
/// [`Kind::Data`] naming the field, never the value.
pub(crate) fn parse_data(
    shape: &Shape,
    mapping: &Mapping,
    path: &str,
    data: Vec<(String, Datum)>,
    lines: bool,
) -> Result<EngineData> {
    let data = unwrap_kv(mapping.kv, path, data)?;
    let mut values = Vec::with_capacity(shape.fields.len());
    for field in shape.fields.iter() {
        let datum = find(&data, &field.key).ok_or_else(|| missing(path, &field.key, &data))?;
        let text = match (datum, field.file) {
            (Datum::Flag(on), _) => Secret::new(on.to_string()),
            (Datum::List(_), false) => return Err(no_single_text(path, field)),
            (Datum::List(texts), true) => {
                let texts: Vec<_> = texts.iter().map(Secret::expose).collect();
                Secret::new(serde_json::to_string(&texts).unwrap_or_default())
            }
            (Datum::Null, _) => return Err(missing(path, &field.key, &data)),
            (Datum::Number(number), _) => Secret::new(number.to_string()),
            (Datum::Text(text), _) => text,
            (Datum::Other(json), false) if json.expose().starts_with(['{', '[']) => {
                return Err(no_single_text(path, field));
            }
            (Datum::Other(json), _) => json,
        };
        check_text(path, field, &text, lines)?;
        values.push((field.clone(), text));
    }
    let (seconds, end) = match &mapping.expires {
        Some(key) => parse_end(path, key, find(&data, key).ok_or_else(|| missing(path, key, &data))?)?,
        None => (None, None),
    };
    Ok(EngineData { values, seconds, end })
}

/// Takes the fields of a cloud's stored key out of a KV engine's answer. `said` is what the user says in their place.
///
/// # Errors
/// [`Kind::Data`] naming the field, never the value; [`Kind::Config`] for a field without which no variables are set.
pub(crate) fn parse_stored(
    (shape, stored): (&Shape, &StoredKey),
    path: &str,
    data: Vec<(String, Datum)>,
    said: &[(&'static str, String)],
    sets_variables: bool,
) -> Result<EngineData> {
    let mut data = unwrap_kv(None, path, data)?;
    let end = match find(&data, stored.expires) {
        None | Some(Datum::Null) => None,
        Some(Datum::Text(text)) if text.expose().trim().is_empty() => None,
        // Seconds that are left do not say since when.
        Some(datum) => match parse_end(path, stored.expires, datum) {
            Ok((None, Some(end))) => Some(end),
            _ => {
                return Err(unfit(path, stored.expires, "is not a time")
                    .hint("write it in RFC 3339, such as 2027-01-31T00:00:00Z, or in Unix seconds"));
            }
        },
    };
    let EngineData { values, .. } = shape.parse_data(path, &mut data)?;
    let is_there = |field: &Field| {
        values.iter().any(|(known, _)| known.name == field.name)
            || said.iter().any(|(name, _)| Some(*name) == field.variable.as_deref())
    };
    let is_needed = |field: &&Field| sets_variables && stored.needed.contains(&field.name.as_ref());
    if let Some(field) = shape.fields.iter().filter(is_needed).find(|field| !is_there(field)) {
        let name = &field.name;
        return Err(Error::new(Kind::Config, format!("the {name} is not set, and the answer to {path} has no {name}"))
            .hint(format!("pass --{name}, or write {name} into the secret or into the configuration file")));
    }
    Ok(EngineData { values, seconds: None, end })
}

fn no_single_text(path: &str, field: &Field) -> Error {
    unfit(path, &field.key, "is a list or an object, and a variable holds one text").hint(format!(
        "name a part of it, {}/NAME, or put it into a file: --file {}={}",
        pointer(&field.key),
        field.name,
        field.key
    ))
}

fn pointer(key: &str) -> String {
    if key.starts_with('/') { key.to_owned() } else { format!("/{key}") }
}

/// The secret itself, of a KV engine's answer. Version 2 puts it into `data`, with a number for its version beside it.
fn unwrap_kv(kv: Option<u8>, path: &str, mut data: Vec<(String, Datum)>) -> Result<Vec<(String, Datum)>> {
    let place = |name: &str| data.iter().position(|(key, _)| key == name);
    let metadata = place("metadata").and_then(|index| data[index].1.members()).map(Data);
    let inner = place("data").filter(|_| metadata.is_some_and(|members| members.number("version").is_some()));
    match (kv, inner) {
        (Some(1), _) | (None, None) => Ok(data),
        (_, Some(index)) => data.swap_remove(index).1.members().ok_or_else(|| {
            Error::new(Kind::Data, format!("the answer to {path} has no secret in it")).hint("is that version deleted?")
        }),
        (_, None) => Err(Error::new(Kind::Data, format!("the answer to {path} is not one of KV 2"))
            .hint("for a KV engine of version 1, kv = 1 or --kv 1")),
    }
}

/// The value at a key, or at a JSON pointer, which begins with a slash.
fn find(data: &[(String, Datum)], key: &str) -> Option<Datum> {
    let Some(steps) = key.strip_prefix('/') else { return first(data, key) };
    let mut steps = steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let mut found = first(data, &steps.next()?)?;
    for step in steps {
        found = match found.members() {
            Some(members) => first(&members, &step)?,
            None => found.elements()?.into_iter().nth(step.parse().ok()?)?,
        };
    }
    Some(found)
}

fn first(data: &[(String, Datum)], key: &str) -> Option<Datum> {
    data.iter().find(|(name, _)| name == key).map(|(_, datum)| match datum {
        Datum::Text(text) => Datum::Text(text.duplicate()),
        Datum::Number(number) => Datum::Number(*number),
        Datum::Flag(on) => Datum::Flag(*on),
        Datum::List(texts) => Datum::List(texts.iter().map(Secret::duplicate).collect()),
        Datum::Null => Datum::Null,
        Datum::Other(json) => Datum::Other(json.duplicate()),
    })
}

fn missing(path: &str, key: &str, data: &[(String, Datum)]) -> Error {
    let error = Error::new(Kind::Data, format!("the answer to {path} has no {key}, or it is null: nothing was used"));
    let known = data.iter().map(|(name, _)| name.as_str()).filter(|name| is_repeatable(name));
    match nearest(key, known) {
        Some(meant) if meant != key => error.hint(format!("did you mean {meant}?")),
        _ => error.hint(format!("vault read {path} shows the fields; each read makes a credential, unless it is KV")),
    }
}

fn unfit(path: &str, key: &str, problem: &str) -> Error {
    Error::new(Kind::Data, format!("{key} in the answer to {path} {problem}: nothing was used"))
}

/// A variable has one line, and a file, or JSON, several. No reader takes a NUL, and none is served by other characters
/// that steer a terminal.
fn check_text(path: &str, field: &Field, text: &Secret, lines: bool) -> Result<()> {
    let text = text.expose();
    let is_separator = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    if text.is_empty() {
        return Err(unfit(path, &field.key, "is empty").hint("write a value for it, or drop it from the mapping"));
    }
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(steers) {
        return Err(unfit(path, &field.key, "has a control character").hint("store it in base64"));
    }
    if !field.file && !lines && text.contains(|c: char| c.is_control() || is_separator(c)) {
        return Err(unfit(path, &field.key, "has several lines, and a variable takes one").hint(format!(
            "put it into a private file, whose path the variable holds: --file {0}={1}, or file = {{ {0} = \"{1}\" }}",
            field.name, field.key
        )));
    }
    Ok(())
}

/// More seconds than that are a time, and fewer a life.
const LONGEST_LIFE: u64 = 1_000_000_000;

/// When a secret expires, by one of its fields: RFC 3339, Unix seconds, or seconds left.
fn parse_end(path: &str, key: &str, datum: Datum) -> Result<(Option<u64>, Option<Timestamp>)> {
    let number = match &datum {
        Datum::Number(number) => Some(*number),
        Datum::Text(text) => text.expose().trim().parse().ok(),
        Datum::Null | Datum::Flag(_) | Datum::List(_) | Datum::Other(_) => None,
    };
    let at = match (number, &datum) {
        (Some(seconds), _) if seconds < LONGEST_LIFE => return Ok((Some(seconds), None)),
        (Some(seconds), _) => i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()),
        (None, Datum::Text(text)) => text.expose().trim().parse().ok(),
        (None, _) => None,
    };
    at.map(|at| (None, Some(at))).ok_or_else(|| {
        unfit(path, key, "is not a time").hint("`expires` names a field with RFC 3339, Unix seconds, or seconds left")
    })
}

#[cfg(test)]
mod tests {
    use super::super::secret::SecretSection;
    use super::*;

    fn data(json: &str) -> Vec<(String, Datum)> {
        serde_json::from_str::<Data>(json).unwrap().0
    }

    fn parse(section: &SecretSection, json: &str, lines: bool) -> Result<EngineData> {
        let shape = section.shape();
        let mapping = shape.mapping.clone().unwrap();
        parse_data(&shape, &mapping, "x/creds/r", data(json), lines)
    }

    fn one(key: &str, json: &str) -> Result<String> {
        let section = SecretSection { variables: vec![("A".into(), key.into())], ..SecretSection::default() };
        parse(&section, json, false).map(|parsed| parsed.values[0].1.expose().to_owned())
    }

    #[test]
    fn a_text_a_number_and_a_truth_value_are_taken_as_json_writes_them() {
        let json = r#"{"t":"a'b$c","n":18446744073709551615,"big":100000000000000000001,"f":1.50,"neg":-7,"b":true,
            "o":{"p":["x",{"q/r":"deep"}]}}"#;
        for (key, expected) in [
            ("t", "a'b$c"),
            ("n", "18446744073709551615"),
            ("big", "100000000000000000001"),
            ("f", "1.50"),
            ("neg", "-7"),
            ("b", "true"),
            ("/o/p/0", "x"),
            ("/o/p/1/q~1r", "deep"),
            ("/t", "a'b$c"),
        ] {
            assert_eq!(one(key, json).unwrap(), expected, "{key}");
        }
    }

    #[test]
    fn what_is_no_single_text_is_refused_and_not_shown() {
        let json = r#"{"o":{"a":"Sw0rdfish"},"l":["Sw0rdfish"],"z":null,"e":"","m":"Sw0rdfish\nx","c":"Sw0rdfish\u001b","u":"Sw0rdfish\u2028"}"#;
        for (key, words) in [
            ("o", "is a list or an object"),
            ("l", "is a list or an object"),
            ("z", "has no z, or it is null"),
            ("nope", "has no nope"),
            ("/o/b", "has no /o/b"),
            ("e", "is empty"),
            ("m", "has several lines"),
            ("u", "has several lines"),
            ("c", "has a control character"),
        ] {
            let error = one(key, json).unwrap_err();
            assert_eq!(error.kind(), Kind::Data);
            let text = error.render(true);
            assert!(text.contains(words) && !text.contains("Sw0rd"), "{key}: {text}");
        }
        let section = SecretSection {
            files: vec![("A".into(), "o".into()), ("B".into(), "m".into())],
            ..SecretSection::default()
        };
        let values = parse(&section, json, false).unwrap().values;
        assert_eq!((values[0].1.expose(), values[1].1.expose()), (r#"{"a":"Sw0rdfish"}"#, "Sw0rdfish\nx"));
    }

    #[test]
    fn kv_2_is_told_by_the_number_of_its_version() {
        let two = r#"{"data":{"k":"v"},"metadata":{"version":3}}"#;
        let lookalike = r#"{"data":{"k":"v"},"metadata":{"version":"3"},"k":"outer"}"#;
        assert_eq!(one("k", two).unwrap(), "v");
        assert_eq!(one("k", lookalike).unwrap(), "outer");
        let of = |kv, json| {
            let section =
                SecretSection { variables: vec![("A".into(), "k".into())], kv: Some(kv), ..SecretSection::default() };
            parse(&section, json, false).map(|parsed| parsed.values[0].1.expose().to_owned()).ok()
        };
        assert_eq!((of(2, two), of(1, two)), (Some("v".into()), None));
        assert_eq!((of(2, lookalike), of(1, lookalike)), (None, Some("outer".into())));
    }

    #[test]
    fn an_end_is_a_time_or_the_seconds_left() {
        let end = |value: &str| {
            let section = SecretSection {
                variables: vec![("A".into(), "k".into())],
                expires: Some("e".into()),
                ..SecretSection::default()
            };
            parse(&section, &format!(r#"{{"k":"v","e":{value}}}"#), false).map(|parsed| (parsed.seconds, parsed.end))
        };
        let at = |text: &str| (None, Some(text.parse().unwrap()));
        assert_eq!(end("3600").unwrap(), (Some(3600), None));
        assert_eq!(end("\"3600\"").unwrap(), (Some(3600), None));
        assert_eq!(end("1795500000").unwrap(), at("2026-11-24T06:00:00Z"));
        assert_eq!(end("\"2026-11-24T06:00:00Z\"").unwrap(), at("2026-11-24T06:00:00Z"));
        for bad in ["\"soon\"", "true", "null", "1.5"] {
            assert_eq!(end(bad).unwrap_err().kind(), Kind::Data, "{bad}");
        }
    }
}
