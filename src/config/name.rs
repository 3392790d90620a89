//! Names that go into a Vault path: roles with their placeholders, mounts, namespaces, variables; and durations.
//!
//! Everything is checked before the first request: what Vault's router would decode, clean or split never leaves.

use super::source::Layers;
use crate::claims::{CLAIM, Claims, PLACEHOLDERS, may_be_a_variable};
use crate::error::{Error, Kind, Result};
use crate::origin::Origin;
use crate::origin::WithOrigin;
use crate::typo::{is_repeatable, nearest, quoted};

/// Longer than any name in use, and short enough for a message.
const LONGEST: usize = 256;

/// Whether Vault can have a role of that name: its `\w(([\w-.]+)?\w)?`, with `@` inside for AWS, and no `..`.
#[must_use]
pub fn is_role(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inside = |byte: u8| word(byte) || b"-.@".contains(&byte);
    !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(inside)
        && name.bytes().next().is_some_and(word)
        && name.bytes().next_back().is_some_and(word)
        && !name.contains("..")
}

/// What to set in the place of a path.
fn last_part(role: &WithOrigin<String>) -> String {
    let last = role.value.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let place = match &role.origin {
        Origin::Flag(name) => format!("{name} {last}"),
        Origin::Variable(name) => format!("{name}={last}"),
        _ => "the last part alone".into(),
    };
    let text = if is_role(last) { format!("pass {place}") } else { "pass the last part alone".into() };
    format!("{text}; --mount is the path of the engine, --auth-mount that of the login")
}

/// Checks a role.
///
/// # Errors
/// [`Kind::Usage`], without a name that could hold anything.
pub(super) fn check_role(role: &WithOrigin<String>, what: &str) -> Result<()> {
    if is_role(&role.value) {
        return Ok(());
    }
    if role.value.is_empty() {
        return Err(Error::new(Kind::Usage, format!("the {what} (from {}) is empty", role.origin))
            .hint(format!("set {} to the name of the role", role.origin)));
    }
    if role.value.contains('/') {
        return Err(Error::new(
            Kind::Usage,
            format!("the {what} (from {}) has a slash in it: a role is one name and not a path", role.origin),
        )
        .hint(last_part(role)));
    }
    Err(Error::new(Kind::Usage, format!("the {what} (from {}) is not a valid name in Vault", role.origin))
        .hint("use letters, digits and _, with - . @ inside; no slash, no .., no percent sign, 256 characters at most"))
}

/// The mount or namespace in a text: segments of such names, joined by single slashes. Slashes around it are dropped,
/// as Vault's CLI does.
#[must_use]
pub fn path_in(text: &str) -> Option<&str> {
    let trimmed = text.trim_matches('/');
    let segment = |text: &str| {
        !text.is_empty()
            && text != "."
            && text != ".."
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@+~=:".contains(&byte))
    };
    (trimmed.len() <= LONGEST && !trimmed.is_empty() && trimmed.split('/').all(segment)).then_some(trimmed)
}

/// Checks a mount or namespace, and drops the slashes around it.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn parse_path(path: WithOrigin<String>, what: &str) -> Result<WithOrigin<String>> {
    if let Some(found) = path_in(&path.value) {
        let value = found.to_owned();
        return Ok(WithOrigin { value, origin: path.origin });
    }
    Err(Error::new(Kind::Usage, format!("the {what} (from {}) is not a valid path in Vault", path.origin)).hint(
        "use segments of letters, digits and _ - . @ + ~ = : joined by single slashes; no .. and no percent sign",
    ))
}

/// Fills the placeholders of a role: from the job's ID token first, then from GitLab's variables. What says which project
/// and which ref the job belongs to comes from the ID token alone, where there is one.
///
/// # Errors
/// [`Kind::Usage`] for a placeholder that does not exist, or one left open; [`Kind::Config`] for one without a
/// value in this job, or with a character that no role can have: `group/project` names no single role.
pub(super) fn resolve_placeholders(
    role: WithOrigin<String>,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<WithOrigin<String>> {
    if !role.value.contains(['{', '}']) {
        return Ok(role);
    }
    let text = fill(&role.value, || unmatched(&role), |name| resolve_placeholder(name, &role.origin, claims, layers))?;
    Ok(WithOrigin { value: text, origin: role.origin })
}

/// The path of a secret, its placeholders filled.
///
/// # Errors
/// As [`resolve_placeholders`] and [`parse_secret_path`].
pub(super) fn resolve_secret_path(
    path: WithOrigin<String>,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<WithOrigin<String>> {
    let path = resolve_placeholders(path, claims, layers).map_err(of_a_path)?;
    parse_secret_path(path)
}

/// Checks the path of a secret that is whole, and drops the slashes around it.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn parse_secret_path(path: WithOrigin<String>) -> Result<WithOrigin<String>> {
    let WithOrigin { value: path, origin } = parse_path(path, "path of the secret")?;
    let (mount, rest) = path.split_once('/').unwrap_or((&path, ""));
    if ["sys", "auth"].contains(&mount) || rest.is_empty() {
        let problem =
            if rest.is_empty() { "names a mount and nothing in it" } else { "is of Vault itself, and no engine" };
        return Err(Error::new(Kind::Usage, format!("the path of the secret (from {origin}) {problem}"))
            .hint("a path is the mount of an engine and what it serves there: database/creds/app"));
    }
    Ok(WithOrigin { value: path, origin })
}

/// The placeholders of a path are those of a role.
fn of_a_path(error: Error) -> Error {
    let other = Error::new(error.kind(), error.message().replacen("the role (from", "the path (from", 1));
    match error.change() {
        Some(change) => other.hint(change.replace("write the role without it", "write the path without it")),
        None => other,
    }
}

/// A brace without its partner.
pub(super) fn unmatched(role: &WithOrigin<String>) -> Error {
    let closed = role.value.rsplit_once('{').map(|(_, name)| name).filter(|name| !name.contains('}'));
    let meant = closed.and_then(|name| nearest(name, PLACEHOLDERS.map(|(claim, _)| claim)));
    Error::new(Kind::Usage, format!("the role (from {}) has an unmatched brace", role.origin))
        .hint(format!("a placeholder has a brace at both ends: {{{}}}", meant.unwrap_or("project_id")))
}

/// Puts `value(NAME)` in the place of every `{NAME}`, once: no value is looked into for another placeholder.
///
/// # Errors
/// What `value` says, or `open` for a brace without its partner, be it in the text or in a value.
pub fn fill<E>(
    text: &str,
    open: impl Fn() -> E,
    mut value: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or_else(&open)?;
        filled.push_str(before);
        filled.push_str(&value(name)?);
        rest = after;
    }
    filled.push_str(rest);
    if filled.contains(['{', '}']) { Err(open()) } else { Ok(filled) }
}

/// Whether a placeholder may have that value: the characters of a role, wherever it stands in it.
#[must_use]
pub fn is_part_of_role(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte))
}

fn resolve_placeholder(name: &str, origin: &Origin, claims: Option<&Claims>, layers: &Layers<'_>) -> Result<String> {
    if let Some(value) = find_placeholder(name, origin, claims, layers)? {
        return Ok(value);
    }
    let (is_claim, shown) = (name.starts_with(CLAIM), shown(name));
    let without_value =
        |why: &str| Error::new(Kind::Config, format!("{{{shown}}} in the role (from {origin}) has no value: {why}"));
    let variable = PLACEHOLDERS.iter().find(|(known, _)| *known == name).and_then(|(_, variable)| *variable);
    Err(match variable {
        _ if claims.is_some() && (is_claim || !may_be_a_variable(name)) => {
            without_value("the ID token has no such claim")
                .hint("write the role without it, or with a claim that the token has: {claim:NAME}")
        }
        Some(variable) => no_value(name, variable, origin),
        None => without_value("the job has no ID token").hint("log in with an ID token, or write the role without it"),
    })
}

/// A placeholder, for messages; the name of a claim may be anything.
fn shown(name: &str) -> &str {
    if name.starts_with(CLAIM) && !is_repeatable(name) { "claim:…" } else { name }
}

/// The value of a placeholder; `None` where this job has none.
///
/// # Errors
/// As [`resolve_placeholders`].
pub(super) fn find_placeholder(
    name: &str,
    origin: &Origin,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<Option<String>> {
    let any_claim = name.strip_prefix(CLAIM).is_some_and(|claim| !claim.is_empty());
    let variable = match PLACEHOLDERS.iter().find(|(known, _)| *known == name) {
        Some((_, variable)) => *variable,
        None if any_claim => None,
        None => return Err(no_such_placeholder(name, origin)),
    };
    let (value, place) = match (claims.and_then(|claims| claims.placeholder(name)), claims, variable) {
        (Some((value, claim)), ..) => {
            (value, if any_claim { "that claim".to_owned() } else { format!("the ID token's claim {claim}") })
        }
        (None, Some(_), _) if any_claim || !may_be_a_variable(name) => return Ok(None),
        (None, _, Some(variable)) => match layers.variable(variable)? {
            Some(found) => (found.value, variable.to_owned()),
            None => return Ok(None),
        },
        (None, _, None) => return Ok(None),
    };
    if is_part_of_role(&value) {
        return Ok(Some(value));
    }
    Err(Error::new(
        Kind::Config,
        format!(
            "{{{}}} in the role (from {origin}) has a character that a role cannot have; its value comes from {place}",
            shown(name)
        ),
    )
    .hint(
        "use a placeholder without slashes and blanks: {project_id}, {project_path_slug}, {environment_slug}, \
        {ref_slug}",
    ))
}

fn no_such_placeholder(name: &str, origin: &Origin) -> Error {
    let known = PLACEHOLDERS.map(|(claim, _)| claim);
    let hint = nearest(name, known).map_or_else(
        || format!("one of {}, or {{claim:NAME}} for any claim of the ID token", known.join(", ")),
        |meant| format!("did you mean {{{meant}}}?"),
    );
    let name = quoted(name, "a name of another kind");
    Error::new(Kind::Usage, format!("the role (from {origin}) has a placeholder that does not exist: {name}"))
        .hint(hint)
}

fn no_value(name: &str, variable: &str, origin: &Origin) -> Error {
    Error::new(Kind::Config, format!("{{{name}}} in the role (from {origin}) has no value in this job")).hint(
        match name {
            "environment" | "environment_slug" | "deployment_tier" | "environment_action" => {
                "give the job an `environment:` in .gitlab-ci.yml".to_owned()
            }
            _ => format!("GitLab sets {variable} in every job; elsewhere set it, or write the role without it"),
        },
    )
}

/// A variable's name, as `--id-token-env` takes it.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn check_variable_name(name: &WithOrigin<String>) -> Result<()> {
    let text = name.value.as_str();
    let sound = text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if sound {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("{} takes the name of a variable", name.origin))
        .hint("the name alone, without $: --id-token-env VAULT_ID_TOKEN"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Fake, Host};

    fn role(text: &str) -> WithOrigin<String> {
        WithOrigin { value: text.into(), origin: Origin::Flag("--role") }
    }

    #[test]
    fn a_role_is_one_path_segment_that_vault_can_have() {
        for name in ["ci", "a", "gitlab-ci-runner", "365-dev", "x.y_z@w"] {
            assert!(check_role(&role(name), "role").is_ok(), "{name}");
        }
        let long = "a".repeat(10_000);
        for name in [
            "",
            "..",
            "a/../b",
            "../sys/raw",
            "a/b",
            "a%2e",
            "a\0b",
            "a b",
            "-a",
            "a-",
            "a..b",
            "a?b",
            "a#b",
            "é",
            &long,
        ] {
            let error = check_role(&role(name), "role").unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{name:?}");
            assert!(error.render(false).len() < 300);
        }
    }

    #[test]
    fn a_mount_may_be_nested_and_loses_the_slashes_around_it() {
        assert_eq!(parse_path(role("/ci/exo/"), "mount").unwrap().value, "ci/exo");
        for path in ["", "/", "a//b", "a/../b", "a/./b", "a%2fb", "a b", "a?b", "a#b", "a\\b", "a\n"] {
            assert_eq!(parse_path(role(path), "mount").unwrap_err().kind(), Kind::Usage, "{path:?}");
        }
    }

    #[test]
    fn a_placeholder_is_taken_from_the_claim_and_then_from_the_variable() {
        let host = Host::fake(Fake::default().with_variables([("CI_PROJECT_ID", "1"), ("CI_ENVIRONMENT_NAME", "dev")]));
        let layers = Layers::bare(&host);
        let claims = Claims::from_json(r#"{"project_id":"365","runner_id":7}"#).unwrap();
        let fill = |text, claims| resolve_placeholders(role(text), claims, &layers).map(|role| role.value);
        assert_eq!(fill("{project_id}-{environment}", Some(&claims)).unwrap(), "365-dev");
        assert_eq!(fill("{project_id}-{environment}", None).unwrap(), "1-dev");
        assert_eq!(fill("r{runner_id}", Some(&claims)).unwrap(), "r7");
        assert_eq!(fill("{claim:runner_id}-x", Some(&claims)).unwrap(), "7-x");
        assert_eq!(fill("plain", None).unwrap(), "plain");
    }

    #[test]
    fn a_placeholder_without_a_usable_value_stops_the_run() {
        let host =
            Host::fake(Fake::default().with_variables([("CI_PROJECT_PATH", "group/project"), ("CI_PROJECT_ID", " ")]));
        let layers = Layers::bare(&host);
        let fail = |text: &str| resolve_placeholders(role(text), None, &layers).unwrap_err();
        let cases = [
            ("{project_id}", Kind::Config, "has no value in this job"),
            ("{environment}", Kind::Config, "give the job an `environment:`"),
            ("{project_path}", Kind::Config, "a character that a role cannot have"),
            ("{nope}", Kind::Usage, "does not exist: \"nope\""),
            ("{projectid}", Kind::Usage, "did you mean {project_id}?"),
            ("{enviroment}-x", Kind::Usage, "did you mean {environment}?"),
            ("{project_id", Kind::Usage, "at both ends: {project_id}"),
            ("x-{ref_slug", Kind::Usage, "at both ends: {ref_slug}"),
            ("a}", Kind::Usage, "brace"),
        ];
        for (text, kind, expected) in cases {
            let error = fail(text);
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.render(false).contains(expected), "{}", error.render(false));
        }
    }

    /// In a fork's merge request pipeline they differ.
    #[test]
    fn with_an_id_token_no_variable_says_which_project_or_ref_the_job_belongs_to() {
        let variables = PLACEHOLDERS.iter().filter_map(|(_, variable)| Some(((*variable)?, "of-the-variable")));
        let host = Host::fake(Fake::default().with_variables(variables));
        let layers = Layers::bare(&host);
        let claims = Claims::from_json(r#"{"sub":"a b","nested":{}}"#).unwrap();
        let fill = |text: &str, claims| resolve_placeholders(role(text), claims, &layers).map(|role| role.value);
        for (name, variable) in PLACEHOLDERS {
            let text = format!("{{{name}}}");
            let bound = ["project_", "namespace_", "ref"].iter().any(|start| name.starts_with(start));
            match fill(&text, Some(&claims)) {
                Ok(value) => assert!(!bound && value == "of-the-variable", "{name}"),
                Err(error) => {
                    assert!(bound && error.kind() == Kind::Config, "{name}");
                    assert!(error.render(false).contains("the ID token has no such claim"), "{}", error.render(false));
                }
            }
            assert_eq!(fill(&text, None).is_ok(), variable.is_some(), "{name}");
        }
        for (text, expected) in [
            ("{claim:nope}", "the ID token has no such claim"),
            ("{claim:nested}", "the ID token has no such claim"),
            ("{claim:sub}", "a character that a role cannot have"),
            ("{claim:}", "does not exist"),
        ] {
            let error = fill(text, Some(&claims)).unwrap_err().render(false);
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(fill("{claim:sub}", None).unwrap_err().render(false).contains("the job has no ID token"));
    }

    #[test]
    fn every_name_has_an_end_and_a_set() {
        let (longest, longer) = ("a".repeat(256), "a".repeat(257));
        assert!(check_role(&role(&longest), "role").is_ok() && check_role(&role(&longer), "role").is_err());
        assert!(parse_path(role(&longest), "mount").is_ok() && parse_path(role(&longer), "mount").is_err());
        assert!(check_variable_name(&role(&longest)).is_ok() && check_variable_name(&role(&longer)).is_err());
        for name in ["VAULT_ID_TOKEN", "_", "a1"] {
            assert!(check_variable_name(&role(name)).is_ok(), "{name}");
        }
        for name in ["", "1A", "$A", "A-B", "A B", "é"] {
            assert_eq!(check_variable_name(&role(name)).unwrap_err().kind(), Kind::Usage, "{name:?}");
        }
        for name in ["_a_", "a.b", "a@b"] {
            assert!(check_role(&role(name), "role").is_ok(), "{name}");
        }
        for name in [".a", "a.", "@a", "a@"] {
            assert!(check_role(&role(name), "role").is_err(), "{name}");
        }
        for path in ["a", "a_-.@+~=:b/c", "...", "a/.b"] {
            assert!(parse_path(role(path), "mount").is_ok(), "{path}");
        }
        for path in [".", "..", "a/.", "a/..", "é"] {
            assert!(parse_path(role(path), "mount").is_err(), "{path}");
        }
    }
}
