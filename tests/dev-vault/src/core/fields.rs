//! The parameters of a request, read with Vault's weak typing.
//!
//! Every getter marks its field as known, so that the fields nobody asked for can be named in a warning.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::response::Failure;
use crate::dialect::Dialect;

pub(crate) type Object = Map<String, Value>;

/// The data of a request: its JSON body, or its query.
#[derive(Debug)]
pub(crate) struct Fields {
    data: Object,
    known: RefCell<BTreeSet<String>>,
    dialect: Dialect,
}

impl Fields {
    pub(crate) fn new(data: Object, dialect: Dialect) -> Self {
        Self { data, known: RefCell::default(), dialect }
    }

    /// The raw value; a JSON `null` counts as absent.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.known.borrow_mut().insert(name.to_owned());
        self.data.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// All fields, for the endpoints that take any.
    pub(crate) fn all(&self) -> &Object {
        self.known.borrow_mut().extend(self.data.keys().cloned());
        &self.data
    }

    /// The names that no handler asked for, sorted.
    pub(crate) fn unrecognized(&self) -> Vec<String> {
        let known = self.known.borrow();
        self.data.keys().filter(|name| !known.contains(*name)).cloned().collect()
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(if *flag { "1" } else { "0" }.to_owned())),
            Some(other) => {
                let kind = if other.is_array() { "[]interface {}" } else { "map[string]interface {}" };
                Err(self.conversion(
                    name,
                    other,
                    &format!("'' expected type 'string', got unconvertible type '{kind}'"),
                ))
            }
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, Failure> {
        Ok(self.string(name)?.unwrap_or_default())
    }

    /// Whole seconds, a numeric string, or a Go duration.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let parsed = match value {
            Value::Number(number) => number.as_u64().map(Duration::from_secs).ok_or_else(|| "negative".to_owned()),
            Value::String(text) if self.dialect == Dialect::OpenBao => {
                parse_duration(text).map_err(|_| format!("time: invalid duration \"{text}\""))
            }
            Value::String(text) => parse_duration(text),
            _ => Err("could not parse duration from input".to_owned()),
        };
        parsed.map(Some).map_err(|reason| self.conversion(name, value, &reason))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let parsed = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => number.as_i64().map(|n| n != 0),
            Value::String(text) => parse_bool(text),
            _ => None,
        };
        match parsed {
            Some(flag) => Ok(Some(flag)),
            None => {
                let shown = plain(value);
                let reason = format!("cannot parse '' as bool: strconv.ParseBool: parsing \"{shown}\": invalid syntax");
                Err(self.conversion(name, value, &reason))
            }
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let parsed = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match parsed {
            Some(number) => Ok(Some(number)),
            None => {
                let shown = plain(value);
                let reason = format!("cannot parse '' as int: strconv.ParseInt: parsing \"{shown}\": invalid syntax");
                Err(self.conversion(name, value, &reason))
            }
        }
    }

    /// A list, or a string of items between commas.
    pub(crate) fn list(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value {
            Value::Array(items) => Ok(Some(items.iter().map(plain).collect())),
            Value::String(text) => {
                Ok(Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()))
            }
            Value::Number(number) => Ok(Some(vec![number.to_string()])),
            other => Err(self.conversion(name, other, "expected a list")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Object>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.clone())),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(map) => Ok(Some(map)),
                Err(error) => Err(self.conversion(name, &Value::String(text.clone()), &error.to_string())),
            },
            Some(other) => Err(self.conversion(name, other, "expected a map")),
        }
    }

    fn conversion(&self, name: &str, value: &Value, reason: &str) -> Failure {
        let text = format!("error converting input {} for field \"{name}\": {reason}", plain(value));
        match self.dialect {
            Dialect::Vault1_8 => Failure::internal(text),
            Dialect::Vault1_16 => Failure::bad_request(format!("Field validation failed: {text}")),
            // What was sent is not repeated.
            Dialect::OpenBao => Failure::bad_request(format!(
                "Field validation failed: error converting input for field \"{name}\": {reason}"
            )),
        }
    }
}

/// A value as Go prints it with `%v`.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `15`, `15s`, `20m`, `25h`, `1h30m`, `500ms`, `2d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Duration::ZERO);
    }
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let not_a_number = || format!("strconv.ParseInt: parsing \"{text}\": invalid syntax");
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(not_a_number)?;
        let number: f64 = rest[..digits].parse().map_err(|_| not_a_number())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let scale = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(not_a_number()),
        };
        total += number * scale;
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(total).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_go_durations() {
        assert_eq!(parse_duration("900"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("1m0s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("soon"), Err("strconv.ParseInt: parsing \"soon\": invalid syntax".to_owned()));
    }
}
