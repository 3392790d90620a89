//! Claims of a JWT against a role: times with their leeways, and bound claims by exact type.

use std::time::SystemTime;

use serde_json::Value;

use crate::clock::unix;
use crate::core::fields::{Fields, Object, plain};
use crate::core::response::Failure;
use crate::random;

/// The plugin's leeways, in seconds; 0 means the default, negative means none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leeway {
    expiration: i64,
    not_before: i64,
    clock_skew: i64,
}

impl Leeway {
    pub(super) fn update(&mut self, data: &Fields) -> Result<(), Failure> {
        for (slot, name) in [
            (&mut self.expiration, "expiration_leeway"),
            (&mut self.not_before, "not_before_leeway"),
            (&mut self.clock_skew, "clock_skew_leeway"),
        ] {
            if let Some(seconds) = data.value(name).and_then(Value::as_i64).filter(|seconds| *seconds < 0) {
                *slot = seconds;
            } else if let Some(leeway) = data.duration(name)? {
                *slot = i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX);
            }
        }
        Ok(())
    }
}

fn or_default(leeway: i64, default: i64) -> i64 {
    match leeway {
        0 => default,
        negative if negative < 0 => 0,
        seconds => seconds,
    }
}

/// `nbf`, `exp`, `iat`; the missing ones are derived from the others.
pub(super) fn check_times(claims: &Object, leeway: Leeway, now: SystemTime) -> Result<(), String> {
    let time = |name: &str| claims.get(name).and_then(Value::as_f64).map_or(0, |seconds| seconds as i64);
    let (issued, mut not_before, mut expires) = (time("iat"), time("nbf"), time("exp"));
    if issued == 0 && not_before == 0 && expires == 0 {
        return Err("no issued at (iat), not before (nbf), or expiration time (exp) claims in token".to_owned());
    }
    if expires == 0 {
        expires = issued.max(not_before) + or_default(leeway.expiration, 150);
    }
    if not_before == 0 {
        not_before = if issued == 0 { expires - or_default(leeway.not_before, 150) } else { issued };
    }
    let (now, skew) = (unix(now), or_default(leeway.clock_skew, 60));
    if now + skew < not_before {
        return Err("invalid not before (nbf) claim: token not yet valid".to_owned());
    }
    if now - skew > expires {
        return Err("invalid expiration time (exp) claim: token is expired".to_owned());
    }
    if now + skew < issued {
        return Err("invalid issued at (iat) claim: token issued in the future".to_owned());
    }
    Ok(())
}

/// A claim by name, or by JSON pointer when the name starts with a slash.
pub(super) fn claim<'a>(claims: &'a Object, name: &str) -> Option<&'a Value> {
    let found = match name.strip_prefix('/') {
        None => claims.get(name),
        Some(rest) => {
            let (first, tail) = rest.split_once('/').map_or((rest, None), |(first, tail)| (first, Some(tail)));
            let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
            tail.map_or(Some(value), |tail| value.pointer(&format!("/{tail}")))
        }
    };
    found.filter(|value| !value.is_null())
}

/// How a claim becomes metadata.
pub(super) fn display(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

pub(super) fn bound_claims(bound: &Object, glob: bool, claims: &Object) -> Result<(), String> {
    // Go reads a map from a random place: with several that do not fit, any of them is named.
    let [place] = random::bytes::<1>();
    let place = usize::from(place).checked_rem(bound.len()).unwrap_or_default();
    for (name, wanted) in bound.iter().skip(place).chain(bound.iter().take(place)) {
        let actual = claim(claims, name).ok_or_else(|| format!("claim \"{name}\" is missing"))?;
        let actual = as_list(actual)
            .ok_or_else(|| format!("received claim is not a string, bool, int or list: {}", plain(actual)))?;
        let wanted = as_list(wanted)
            .ok_or_else(|| format!("bound claim is not a string, bool, int or list: {}", plain(wanted)))?;
        let matches = |want: &Value, have: &Value| match (glob, want.as_str(), have.as_str()) {
            (true, Some(pattern), Some(text)) => glob_matches(pattern, text),
            _ => want == have,
        };
        if !wanted.iter().any(|want| actual.iter().any(|have| matches(want, have))) {
            return Err(format!("claim \"{name}\" does not match any associated bound claim values"));
        }
    }
    Ok(())
}

fn as_list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::String(_) | Value::Bool(_) | Value::Number(_) => Some(vec![value.clone()]),
        _ => None,
    }
}

/// `*` stands for any text, also for none.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bound(wanted: Value, glob: bool, actual: Value) -> Result<(), String> {
        let object = |value| json!({ "c": value }).as_object().cloned().unwrap();
        bound_claims(&object(wanted), glob, &object(actual))
    }

    #[test]
    fn bound_claims_compare_by_exact_type() {
        assert!(bound(json!("true"), false, json!("true")).is_ok());
        assert!(bound(json!(true), false, json!("true")).is_err());
        assert!(bound(json!(["a", "b"]), false, json!("b")).is_ok());
        assert!(bound(json!("main*"), false, json!("mainline")).is_err());
        assert!(bound(json!("a"), false, json!({})).unwrap_err().starts_with("received claim is not"));
    }

    #[test]
    fn globs_match_only_when_asked_for() {
        assert!(bound(json!("release/*"), true, json!("release/1.2")).is_ok());
        assert!(bound(json!("*/x*z"), true, json!("a/xyz")).is_ok());
        assert!(bound(json!("release/*"), true, json!("main")).is_err());
        assert!(bound(json!("a*a"), true, json!("a")).is_err());
    }
}
