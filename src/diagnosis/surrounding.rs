//! What is around the run. None of it makes ci-creds fail; it makes what comes afterwards fail.

use super::{Check, Mark, Note, Topic};
use crate::config::Surroundings;

/// Tells what was found.
pub(crate) fn examine(found: &Surroundings) -> Check {
    let details = found.facts.clone();
    let Some((first, others)) = found.concerns.split_first() else {
        return Check::good(Topic::Surroundings, "no variable and no file hides the credential").with(details);
    };
    let check = Check::warning(Topic::Surroundings, &first.text, &first.change).with(details);
    let note = |concern: &crate::config::Concern| Note {
        mark: Mark::Warning,
        text: concern.text.clone(),
        change: Some(concern.change.clone()),
    };
    others.iter().map(note).fold(check, Check::noting)
}
