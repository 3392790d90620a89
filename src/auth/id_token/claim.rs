//! The claims that a refusal is about, with the values of this job.
//!
//! Vault names the claim that does not fit and never its value; the job holds its own token, so the value can be
//! told from here. Claims say who the job is, not a secret.

use serde_json::Value;

use crate::claims::Claims;
use crate::error::sanitized;

/// The claim as one text, or `nothing`.
pub(super) fn text(claims: &Claims, name: &str) -> String {
    claims.text(name).map_or_else(|| "nothing".into(), |value| sanitized(&value))
}

/// The audiences of the token, or `nothing`.
pub(super) fn audiences(claims: &Claims) -> String {
    Some(sanitized(&claims.audiences().join(", "))).filter(|text| !text.is_empty()).unwrap_or("nothing".into())
}

/// The claim that Vault's text names, with the job's own value and its type, and what is known to go wrong with it.
pub(super) fn mismatch(reason: &str, claims: &Claims) -> String {
    let Some(name) = bound_claim(reason) else { return "compare them with the job's".into() };
    let found = claims.find(name).filter(|value| !value.is_null());
    let value = found.map_or_else(|| "nothing".into(), with_type);
    let name = &claims.name_in_full(name).map_or_else(|| name.to_owned(), |name| shown(&name));
    let pair =
        found.and_then(|value| pair(name, value)).map(|pair| format!("; to allow it, bind {pair}")).unwrap_or_default();
    format!("in this job {name} is {value}{}{pair}", pitfall(name, claims))
}

/// What the role must bind for this job, as JSON: a number or a boolean has no quotes. Of a list, one item is enough.
fn pair(name: &str, value: &Value) -> Option<String> {
    let value = match value {
        Value::Array(items) => items.first()?,
        Value::Object(_) | Value::Null => return None,
        value => value,
    };
    let value = match value {
        Value::String(text) => Value::String(sanitized(text)),
        value => value.clone(),
    };
    Some(format!("\"{}\": {value}", shown(name)))
}

/// The name of a claim. A role binds a JSON pointer by its tildes.
fn shown(name: &str) -> String {
    name.split('~').map(sanitized).collect::<Vec<_>>().join("~")
}

/// The same for a claim that a diagnosis has heard of beside another one.
pub(crate) fn describe(name: &str, claims: &Claims) -> (String, Option<String>) {
    let found = claims.find(name).filter(|value| !value.is_null());
    let change = found.and_then(|value| pair(name, value)).map(|pair| format!("to allow it, bind {pair}"));
    (found.map_or_else(|| "nothing".into(), with_type), change)
}

/// The claim that a refusal is about.
pub(super) fn named(reason: &str) -> &str {
    bound_claim(reason).unwrap_or("it")
}

/// The claim that a role maps, and that is of another type.
pub(super) fn mapped(reason: &str) -> &str {
    let name = reason.split_once("error converting claim ").and_then(|(_, rest)| rest.split_whitespace().next());
    name.map_or("the claim", |name| name.trim_matches(['\'', '"']))
}

/// The claim that a role binds, by Vault's text. The quotes around it are gone.
fn bound_claim(reason: &str) -> Option<&str> {
    let (_, behind) = reason.split_once("claims: claim ")?;
    [" does not match", " is missing"].iter().find_map(|end| Some(behind.split_once(end)?.0))
}

/// A value as a role must bind it. Vault compares types too: `true` is not `"true"`.
fn with_type(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => {
            let shown = sanitized(text);
            let is_like_another = matches!(text.as_str(), "true" | "false") || text.parse::<f64>().is_ok();
            if is_like_another { format!("{shown} (the string \"{shown}\", with quotes)") } else { shown }
        }
        Value::Bool(_) => format!("{value} (the boolean {value}, without quotes)"),
        Value::Number(_) => format!("{value} (the number {value}, without quotes)"),
        Value::Array(items) => {
            let texts: Vec<_> =
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect();
            format!("{} (a list, of which one must fit)", sanitized(&texts.join(", ")))
        }
        Value::Object(_) => "an object (bind a value in it by a JSON pointer, such as /user/id)".into(),
    }
}

/// What is known to go wrong with a claim.
fn pitfall(name: &str, claims: &Claims) -> String {
    if name == "sub" {
        let form = subject_form(claims);
        if !form.is_empty() {
            return form.into();
        }
    }
    match (name, claims.find(name).filter(|value| !value.is_null())) {
        (
            "environment" | "environment_protected" | "environment_slug" | "environment_action" | "deployment_tier",
            None,
        ) => "; give the job an `environment:` in .gitlab-ci.yml".into(),
        (name, None) if name.starts_with("user_") => "; a pipeline that a trigger token starts has no user".into(),
        _ => fork(name, claims),
    }
}

/// The claims of a fork's pipeline are the fork's, and those of the project where it runs begin with `job_`.
fn fork(name: &str, claims: &Claims) -> String {
    let of_the_fork = ["project_id", "project_path", "namespace_id", "namespace_path", "ref", "sub"].contains(&name);
    match (claims.text("project_path"), claims.text("job_project_path")) {
        (Some(fork), Some(project)) if of_the_fork && fork != project => format!(
            "; this is a pipeline of the fork {} in {}, whose claims begin with job_, such as job_project_path",
            sanitized(&fork),
            sanitized(&project)
        ),
        _ => String::new(),
    }
}

/// GitHub's subjects of 2026-07 hold ids behind the names, which no older pattern fits.
pub(super) fn subject_form(claims: &Claims) -> &'static str {
    let is_githubs = claims.text("iss").is_some_and(|issuer| issuer.starts_with("https://token.actions."));
    let repository = claims.text("sub").and_then(|sub| Some(sub.strip_prefix("repo:")?.split(':').next()?.to_owned()));
    match repository {
        Some(repository) if is_githubs && repository.contains('@') => {
            "; GitHub puts ids behind the names of a new repository: bind repository_id, which stays the same"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_told_with_its_value_its_type_and_what_goes_wrong_with_it() {
        const GITHUB: &str = r#""iss":"https://token.actions.githubusercontent.com""#;
        for (name, claims, expected) in [
            ("ref_protected", r#"{"ref_protected":"true"}"#, "is true (the string \"true\", with quotes)"),
            ("project_id", r#"{"project_id":"7"}"#, "is 7 (the string \"7\", with quotes)"),
            (
                "oidc.circleci.com/ssh-rerun",
                r#"{"oidc.circleci.com/ssh-rerun":false}"#,
                "is false (the boolean false, without quotes)",
            ),
            ("build_number", r#"{"build_number":12}"#, "is 12 (the number 12, without quotes)"),
            ("team", r#"{"team":"blue"}"#, "in this job team is blue"),
            ("/user/id", r#"{"user":{"id":"u-9"}}"#, "in this job /user/id is u-9"),
            ("user", r#"{"user":{"id":"u-9"}}"#, "JSON pointer"),
            ("groups", r#"{"groups":["a","b"]}"#, "is a, b (a list"),
            ("the team", r#"{"the+team":"blue"}"#, "in this job the team is blue"),
            ("environment", "{}", "is nothing; give the job an `environment:`"),
            ("environment", r#"{"environment":null}"#, "is nothing; give the job an `environment:`"),
            ("user_login", "{}", "is nothing; a pipeline that a trigger token starts has no user"),
            ("project_path", r#"{"project_path":"me/x","job_project_path":"us/x"}"#, "the fork me/x in us/x"),
            ("ref", r#"{"ref":"main","project_path":"us/x","job_project_path":"us/x"}"#, "in this job ref is main"),
        ] {
            let claims = Claims::from_json(claims).unwrap();
            let text = mismatch(&format!("error validating claims: claim {name} does not match any"), &claims);
            assert!(text.contains(expected), "{name}: {text}");
        }
        for (sub, is_new) in [("repo:o@1/r@2:ref:refs/heads/x", true), ("repo:o/r:environment:a@b", false)] {
            let claims = Claims::from_json(&format!(r#"{{{GITHUB},"sub":"{sub}"}}"#)).unwrap();
            let text = mismatch("error validating claims: claim sub does not match any", &claims);
            assert_eq!(text.contains("bind repository_id"), is_new, "{text}");
        }
        assert_eq!(mismatch("claims", &Claims::default()), "compare them with the job's");
    }
}
