//! What clap found wrong, in our words.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::command::rows;
use crate::error::{Error, Kind};

/// clap's finding in our form. clap's own text repeats what was typed; ours names flags and choices only.
pub(super) fn describe(error: &clap::Error, arguments: &[OsString]) -> Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) if text.starts_with('-') => {
            let name = text.split([' ', '=']).next().unwrap_or_default();
            Some(name.to_owned())
        }
        _ => None,
    };
    let strings = |kind| match error.get(kind) {
        Some(ContextValue::Strings(list)) => list.join(", "),
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let subject = flag.clone().unwrap_or_else(|| "an argument".into());
    match error.kind() {
        ErrorKind::InvalidSubcommand | ErrorKind::MissingSubcommand => {
            let names: Vec<_> = rows().map(|row| row.name).collect();
            let (last, others) =
                names.split_last().map_or(("", String::new()), |(last, rest)| (*last, rest.join(", ")));
            Error::new(Kind::Usage, "no such command").hint(format!("ci-creds {others} or {last}"))
        }
        ErrorKind::UnknownArgument => {
            let message = match flag {
                Some(flag) => format!("there is no flag {flag}"),
                None => "an argument stands where none is taken".into(),
            };
            let suggestion = strings(ContextKind::SuggestedArg);
            let hint = if suggestion.is_empty() { "ci-creds --help lists the flags".into() } else { suggestion };
            Error::new(Kind::Usage, message).hint(hint)
        }
        // clap's word for an empty path, and for a flag at the end of the line, or before another flag.
        ErrorKind::InvalidValue if strings(ContextKind::InvalidValue).is_empty() && is_empty(&subject, arguments) => {
            empty(&subject)
        }
        ErrorKind::InvalidValue if strings(ContextKind::InvalidValue).is_empty() => {
            Error::new(Kind::Usage, format!("{subject} needs a value"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let choices = strings(ContextKind::ValidValue);
            let error = Error::new(Kind::Usage, format!("{subject} does not take that value"));
            if choices.is_empty() { error } else { error.hint(format!("one of {choices}")) }
        }
        ErrorKind::ArgumentConflict => {
            Error::new(Kind::Usage, format!("{subject} is given twice, or beside a flag that excludes it"))
        }
        ErrorKind::MissingRequiredArgument => {
            Error::new(Kind::Usage, format!("an argument is missing: {}", strings(ContextKind::InvalidArg)))
        }
        ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            Error::new(Kind::Usage, format!("{subject} needs a value"))
        }
        ErrorKind::InvalidUtf8 => Error::new(Kind::Usage, "an argument is not valid UTF-8"),
        _ => Error::new(Kind::Usage, "the arguments do not fit").hint("ci-creds --help"),
    }
}

/// A flag whose value is empty: what a shell makes of a variable that is not set.
pub(super) fn empty(flag: &str) -> Error {
    Error::new(Kind::Usage, format!("{flag} is empty"))
        .hint(format!("pass a value with {flag}, or leave it out; is the variable that it was given set?"))
}

/// Whether the line has an empty value for the flag, rather than none.
fn is_empty(flag: &str, arguments: &[OsString]) -> bool {
    let is_apart = |pair: &[OsString]| pair[0].to_str() == Some(flag) && pair[1].is_empty();
    let joined = format!("{flag}=");
    arguments.windows(2).any(is_apart) || arguments.iter().any(|argument| argument.to_str() == Some(joined.as_str()))
}
