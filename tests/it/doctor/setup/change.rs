//! What a hint says to change, done to the letter. It knows the forms that hints print, and nothing of any row:
//!
//! | printed | done |
//! |---|---|
//! | `vault write PATH FIELD=VALUE …` | the operator's request; a secret ID that it brings goes to the job |
//! | `path "…" { capabilities = [...] }` | added to the job's policy |
//! | `` `id_tokens: {NAME: {aud: VALUE}}` `` | the ID token is signed again, for that audience |
//! | `"CLAIM": VALUE` | written into `bound_claims` of the login's role |
//! | `take CLAIM out of FIELD` | taken out of that map of the login's role |
//! | `FIELD=VALUE` | written to the login's role, or to the configuration of its mount |
//! | `NAME=VALUE`, `unset NAME` | a variable of the job |
//! | `--flag VALUE`, `drop --flag` | a flag of the run |
//! | `chmod MODE PATH` | that |
//! | `write KEY = VALUE in [secret.NAME]` | written into the configuration file of the run |
//! | `NAME`, `--flag` | the value that whoever owns the job knows; a `vault list` or `vault read` beside it must show it |
//!
//! A word in capitals in the place of a value is what `vault read -field=…` in the same hint shows.

use serde_json::{Value, json};

use super::bench::Bench;
use crate::support::text;

/// How much of a change was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Place and value.
    Printed,
    /// The place: the value is one that only the job's owner knows, or chooses from a list.
    Named,
    /// Neither: whom to ask, or what to do to a machine.
    Human,
}

/// Does what begins there, if it is of this form. The whole hint is beside it.
type Form = fn(&str, &str, &mut Bench<'_>) -> Option<()>;

/// Does the first thing that the hint says from this piece of it on.
pub fn apply(hint: &str, text: &str, from: &str, bench: &mut Bench<'_>) -> Result<Deed, String> {
    let start = hint.find(from).ok_or_else(|| format!("{from:?} is not in the hint {hint:?}"))?;
    let rest = &hint[start..];
    let exact: [Form; 10] =
        [policy, id_tokens, bound_claim, take_out, vault_write, section, chmod, unset, variable, flag];
    // `has FIELD=VALUE` is a condition.
    let begins = |at: usize| !is_word(rest[..at].chars().next_back()) && !rest[..at].ends_with("has ");
    let starts = rest.char_indices().filter(|(at, _)| begins(*at));
    for (at, _) in starts {
        for form in exact {
            if form(&rest[at..], hint, bench).is_some() {
                // The others that are wrong in the same place have a line each.
                if from.is_empty() {
                    hint.lines().skip(1).for_each(|other| bound_claim_in(other, bench));
                }
                return Ok(Deed::Printed);
            }
        }
    }
    named(rest, hint, bench)
        .or_else(|| named(text, hint, bench))
        .map(|()| Deed::Named)
        .ok_or_else(|| format!("nothing to do in the hint {hint:?}"))
}

fn is_word(before: Option<char>) -> bool {
    before.is_some_and(|letter| letter.is_ascii_alphanumeric() || "_-/".contains(letter))
}

/// The first word, without what ends a sentence.
fn word(text: &str) -> &str {
    let end = text.find([' ', '\n', '`']).unwrap_or(text.len());
    text[..end].trim_end_matches([',', ';', ':', '.', ')'])
}

/// What stands in the place of a value, if that is one that only somebody knows.
fn is_placeholder(value: &str) -> bool {
    value.is_empty()
        || value.starts_with("https://vault.example.com")
        || value.contains('…')
        || value.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
}

/// The value, or what the `vault read -field=…` of the hint shows in its place.
fn resolve(value: &str, hint: &str, bench: &Bench<'_>) -> Option<String> {
    if !is_placeholder(value) {
        return Some(value.to_owned());
    }
    let (_, command) = hint.split_once("vault read -field=")?;
    let (field, path) = command.split_once(' ')?;
    let (status, found) = bench.operator.send("GET", word(path), &[], &Value::Null);
    assert_eq!(status, 200, "vault read {path}: {found}");
    let value = &found["data"][field];
    Some(text(value.get(0).unwrap_or(value)))
}

fn policy(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let rule = rest.strip_prefix("path \"")?;
    let rule = &rest[..rule.find('}')? + "path \"".len() + 1];
    bench.write_policy(&format!("{}\n{rule}", bench.policy()));
    Some(())
}

fn id_tokens(rest: &str, hint: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (name, value) = rest.strip_prefix("id_tokens: {")?.split_once(": {aud: ")?;
    let value = resolve(value.split_once('}')?.0, hint, bench);
    assert_eq!(name, "VAULT_ID_TOKEN");
    // Without a value, the one that the job has in the other places.
    if let Some(audience) = value {
        bench.claim(|token| token.audience(&audience));
    }
    bench.sign_again();
    Some(())
}

fn bound_claim(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (name, value) = rest.strip_prefix('"')?.split_once('"')?;
    let value = value.strip_prefix(": ")?;
    let end = match value.strip_prefix('"') {
        Some(text) => text.find('"')? + 2,
        None => value.find([' ', ';', '\n']).unwrap_or(value.len()),
    };
    let value = serde_json::from_str(&value[..end]).ok()?;
    let mut bound = bench.operator.read(&bench.role())["data"]["bound_claims"].clone();
    bound[name] = value;
    bench.write_role(&json!({ "bound_claims": bound }));
    Some(())
}

fn take_out(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (name, field) = rest.strip_prefix("take ")?.split_once(" out of ")?;
    let field = word(field);
    let mut known = bench.operator.read(&bench.role())["data"][field].clone();
    known.as_object_mut()?.remove(name)?;
    bench.write_role(&json!({ field: known }));
    Some(())
}

fn bound_claim_in(line: &str, bench: &mut Bench<'_>) {
    line.match_indices('"').any(|(at, _)| bound_claim(&line[at..], line, bench).is_some());
}

fn vault_write(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let rest = rest.strip_prefix("vault write ")?;
    let rest = rest.strip_prefix("-f ").unwrap_or(rest);
    let (path, fields) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = word(path).replace("/NAME", &format!("/{}", bench.name));
    let path = path.as_str();
    let words = fields.split(' ').take_while(|word| word.contains('='));
    let fields =
        words.filter_map(|field| word(field).split_once('=')).map(|(name, value)| (name.to_owned(), json!(value)));
    let body: serde_json::Map<_, _> = fields.collect();
    let (status, found) = bench.operator.send("POST", path, &[], &Value::Object(body.clone()));
    assert!(status < 300, "vault write {path} {body:?}: {status} {found}");
    if let Some(secret_id) = found["data"]["secret_id"].as_str() {
        bench.set("VAULT_SECRET_ID", secret_id);
    }
    Some(())
}

fn section(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (entry, header) = rest.strip_prefix("write ")?.split_once(" in [secret.")?;
    let (key, header) = (entry.split_once(" = ")?.0, format!("[secret.{}]", header.split_once(']')?.0));
    let place = bench.run.arguments.iter().position(|word| word == "--config")?;
    let path = bench.run.arguments[place + 1].clone();
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let mut current = "";
    let mut changed = String::new();
    for line in text.lines() {
        current = if line.starts_with('[') { line } else { current };
        if current != header || !line.starts_with(&format!("{key} = ")) {
            changed.push_str(&format!("{line}\n"));
        }
        if line == header {
            changed.push_str(&format!("{entry}\n"));
        }
    }
    std::fs::write(&path, changed).expect("it is written");
    Some(())
}

fn chmod(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (mode, path) = rest.strip_prefix("chmod ")?.split_once(' ')?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    let path = bench.site.folder().join(word(path));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).expect("its mode");
    Some(())
}

fn unset(rest: &str, _: &str, bench: &mut Bench<'_>) -> Option<()> {
    if let Some(flag) = rest.strip_prefix("drop --") {
        let flag = format!("--{}", word(flag));
        bench.run.arguments.contains(&flag).then(|| bench.drop_flag(&flag))?;
        return Some(());
    }
    let names = rest.strip_prefix("unset ")?;
    let names: Vec<_> = names.split(' ').take_while(|name| is_variable(word(name))).collect();
    for name in &names {
        bench.unset(word(name));
    }
    (!names.is_empty()).then_some(())
}

fn is_variable(name: &str) -> bool {
    name == "IFS" || (name.contains('_') && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
}

/// `NAME=VALUE` for the job, or `field=VALUE` for the role of its login.
fn variable(rest: &str, hint: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (name, value) = word(rest).split_once('=')?;
    if is_variable(name) {
        let known = bench.spare.get(name).cloned().filter(|_| is_placeholder(value));
        bench.set(name, &known.or_else(|| resolve(value, hint, bench))?);
        return Some(());
    }
    let value = resolve(value, hint, bench)?;
    if ["bound_issuer", "jwt_supported_algs", "jwks_url"].contains(&name) {
        bench.write_config(name, &json!(value));
        return Some(());
    }
    bench.operator.send("GET", &bench.role(), &[], &Value::Null).1["data"].get(name)?;
    bench.write_role(&json!({ name: value }));
    Some(())
}

fn flag(rest: &str, hint: &str, bench: &mut Bench<'_>) -> Option<()> {
    let (name, value) = rest.strip_prefix("--")?.split_once(' ')?;
    let value = word(value);
    if is_placeholder(value) || !value.contains(|letter: char| letter.is_ascii_digit() || "/:.".contains(letter)) {
        return None;
    }
    bench.flag(&format!("--{name}"), &resolve(value, hint, bench)?);
    Some(())
}

/// The first variable or flag that the hint names, with the value that belongs there.
fn named(rest: &str, hint: &str, bench: &mut Bench<'_>) -> Option<()> {
    let names = rest.split([' ', '\n', ',', ';', '(', ')', '`']).map(word);
    let (name, value) = names
        .filter(|name| name.contains('_') || name.starts_with("--"))
        .filter_map(|name| Some((name.to_owned(), bench.spare.get(name)?.clone())))
        .next()?;
    let line = hint.lines().find(|line| line.contains(&name)).unwrap_or_default();
    if let Some((_, path)) = line.split_once("vault list ") {
        let known = bench.operator.list(word(path));
        // A path ends with what is listed.
        let end = value.rsplit('/').next().filter(|_| name == "--path").unwrap_or(&value).to_owned();
        assert!(known.contains(&end), "vault list {path} shows {known:?}, and not {end}");
    }
    if name.starts_with("--") {
        bench.flag(&name, &value);
    } else if name == "VAULT_ID_TOKEN" {
        bench.sign_again();
    } else {
        bench.set(&name, &value);
    }
    Some(())
}
