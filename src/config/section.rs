//! The sections of a configuration file that map secrets to variables: `[secret.NAME]`. Pure.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::provider::secret::{SecretSection, find_problem};
use crate::typo::{is_repeatable, nearest, quoted};

/// The keys of a section, in the order of the documentation.
pub(super) const KEYS: [&str; 9] = ["path", "env", "file", "body", "method", "kv", "version", "unset", "expires"];

/// What is wrong in a section, and at which byte.
pub(super) struct SectionMistake {
    pub(super) place: usize,
    pub(super) words: String,
    pub(super) hint: Option<String>,
}

impl SectionMistake {
    fn new(place: usize, words: impl Into<String>) -> Self {
        Self { place, words: words.into(), hint: None }
    }

    fn of_type(value: &Spanned<DeValue<'_>>, expected: &str) -> Self {
        Self::new(value.span().start, format!("a value of the wrong type, expected {expected}"))
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

type SectionResult<T> = Result<T, SectionMistake>;

/// Reads the table `secret`.
///
/// # Errors
/// What is wrong, and where. It repeats no value.
pub(super) fn parse_sections(table: &Spanned<DeValue<'_>>) -> SectionResult<Vec<SecretSection>> {
    let entries = as_table(table, "a table for each secret, such as [secret.db]")?;
    let mut sections = Vec::new();
    for (name, value) in entries {
        let text = name.get_ref().as_ref();
        if KEYS.contains(&text) && value.get_ref().as_table().is_none() {
            return Err(SectionMistake::new(name.span().start, format!("{text} stands in no section"))
                .hint("give the secret a name: [secret.db]"));
        }
        if !is_section_name(text) {
            return Err(SectionMistake::new(name.span().start, "this is not a name for a secret")
                .hint("use letters, digits, _ and -, such as [secret.db]"));
        }
        sections.push(parse_section(text, name.span().start, value)?);
    }
    Ok(sections)
}

/// Whether a section may have that name.
pub(super) fn is_section_name(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(sound) && !name.starts_with('-')
}

fn parse_section(name: &str, place: usize, value: &Spanned<DeValue<'_>>) -> SectionResult<SecretSection> {
    let mut section = SecretSection { name: name.to_owned(), ..SecretSection::default() };
    let mut writes = None;
    for (key, value) in as_table(value, "a table")? {
        match key.get_ref().as_ref() {
            "path" => section.path = as_text(value)?,
            "env" => section.variables = parse_pairs(value)?,
            "file" => section.files = parse_pairs(value)?,
            "expires" => section.expires = Some(as_text(value)?),
            "body" => section.body = Some(parse_body(value)?),
            "unset" => section.unset = parse_names(value)?,
            "kv" => {
                let number = as_number(value)?;
                let version = u8::try_from(number).ok().filter(|version| [1, 2].contains(version));
                section.kv = Some(version.ok_or_else(|| SectionMistake::of_type(value, "1 or 2"))?);
            }
            "version" => section.version = Some(as_number(value)?),
            "method" => match value.get_ref().as_str() {
                Some("read") => writes = Some((false, value.span().start)),
                Some("write") => writes = Some((true, value.span().start)),
                _ => return Err(SectionMistake::of_type(value, "\"read\" or \"write\"")),
            },
            other => return Err(unknown(other, key.span().start)),
        }
    }
    match writes {
        Some((true, _)) if section.body.is_none() => section.body = Some("{}".to_owned()),
        Some((false, place)) if section.body.is_some() => {
            return Err(SectionMistake::new(place, "a read has no body").hint("drop `body`, or method = \"read\""));
        }
        _ => {}
    }
    let problem = if section.path.is_empty() {
        Some(("the secret has no path", "path = \"database/creds/NAME\""))
    } else if section.variables.is_empty() && section.files.is_empty() {
        Some((
            "the secret sets no variable",
            "env = { PGUSER = \"username\" }: the variable on the left, the field on the right",
        ))
    } else if section.version.is_some() && section.kv != Some(2) {
        Some(("`version` is for kv = 2", "add kv = 2, or drop `version`"))
    } else if section.kv.is_some() && section.body.is_some() {
        Some(("a secret of a KV engine is read, not written", "drop `kv`, or `body` and `method`"))
    } else {
        None
    };
    match problem {
        Some((words, hint)) => Err(SectionMistake::new(place, words).hint(hint)),
        None => Ok(section),
    }
}

fn unknown(name: &str, place: usize) -> SectionMistake {
    let words = match is_repeatable(name) {
        true => format!("there is no key \"{name}\" of a secret"),
        false => "there is no such key of a secret".to_owned(),
    };
    let hint = match nearest(name, KEYS) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("a secret takes {}", KEYS.join(", ")),
    };
    SectionMistake::new(place, words).hint(hint)
}

fn as_table<'a>(value: &'a Spanned<DeValue<'a>>, expected: &str) -> SectionResult<&'a DeTable<'a>> {
    value.get_ref().as_table().ok_or_else(|| SectionMistake::of_type(value, expected))
}

fn as_text(value: &Spanned<DeValue<'_>>) -> SectionResult<String> {
    let text = value.get_ref().as_str().map(str::trim).filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| SectionMistake::of_type(value, "a text"))
}

fn as_number(value: &Spanned<DeValue<'_>>) -> SectionResult<u64> {
    let number = value.get_ref().as_integer().filter(|number| number.radix() == 10);
    number.and_then(|number| number.as_str().parse().ok()).ok_or_else(|| SectionMistake::of_type(value, "a number"))
}

fn parse_pairs(value: &Spanned<DeValue<'_>>) -> SectionResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for (name, field) in as_table(value, "a table of variables and fields")? {
        check_variable(name.get_ref(), name.span().start)?;
        pairs.push((name.get_ref().to_string(), as_text(field)?));
    }
    Ok(pairs)
}

fn parse_names(value: &Spanned<DeValue<'_>>) -> SectionResult<Vec<String>> {
    let list = value.get_ref().as_array().ok_or_else(|| SectionMistake::of_type(value, "a list of variables"))?;
    let mut names = Vec::new();
    for item in list {
        let name = as_text(item)?;
        check_variable(&name, item.span().start)?;
        names.push(name);
    }
    Ok(names)
}

fn check_variable(name: &str, place: usize) -> SectionResult<()> {
    match find_problem(name) {
        Some(problem) => {
            let words = format!("{} {problem}", quoted_name(name));
            Err(SectionMistake::new(place, words)
                .hint("choose another variable; the field of the answer is on the right"))
        }
        None => Ok(()),
    }
}

/// A name for a message: a variable is in capitals, so its small letters decide whether it can be repeated.
pub(super) fn quoted_name(name: &str) -> String {
    match is_repeatable(&name.to_lowercase()) {
        true => name.to_owned(),
        false => quoted(name, "a variable"),
    }
}

fn parse_body(value: &Spanned<DeValue<'_>>) -> SectionResult<String> {
    as_table(value, "a table of parameters")?;
    json_of(value).map(|body| body.to_string())
}

fn json_of(value: &Spanned<DeValue<'_>>) -> SectionResult<Value> {
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(on) => Value::Bool(*on),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            Value::Number(parsed.map_err(|_| SectionMistake::of_type(value, "a smaller number"))?.into())
        }
        DeValue::Float(number) => {
            let parsed = number.as_str().parse().ok().and_then(Number::from_f64);
            Value::Number(parsed.ok_or_else(|| SectionMistake::of_type(value, "a number that JSON can write"))?)
        }
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(list) => Value::Array(list.iter().map(json_of).collect::<SectionResult<_>>()?),
        DeValue::Table(table) => {
            let member = |(name, value): (&Spanned<_>, &_)| Ok((name_of(name), json_of(value)?));
            Value::Object(table.iter().map(member).collect::<SectionResult<Map<_, _>>>()?)
        }
    })
}

fn name_of(name: &Spanned<impl AsRef<str>>) -> String {
    name.get_ref().as_ref().to_owned()
}
