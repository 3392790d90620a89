//! The values of flags, variables and files, and what is wrong with them.

use super::{Check, Mark, Note, Topic};
use crate::config::Survey;

/// Tells every value with its origin, and every mistake.
pub(crate) fn examine(survey: &Survey) -> Check {
    let details = survey.settings.iter().map(|setting| {
        let origin = if setting.origin.is_empty() { String::new() } else { format!(" (from {})", setting.origin) };
        (setting.name.to_owned(), format!("{}{origin}", setting.value))
    });
    let details = details.collect();
    let Some((first, others)) = survey.mistakes.split_first() else {
        return Check::good(Topic::Configuration, "every value is valid").with(details);
    };
    let note = |error: &crate::error::Error| Note {
        mark: Mark::Failure,
        text: error.message().to_owned(),
        change: error.change().map(str::to_owned),
    };
    others.iter().map(note).fold(Check::failure(Topic::Configuration, first).with(details), Check::noting)
}
