//! What a completion script asks of the program when Tab is pressed.
//!
//! It is no command: no help, no manual page and no message names it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::provider::CLOUDS;
use crate::provider::shape::CredentialsFile;

/// The word that the scripts put in the place of a command.
const ASK: &str = "__complete";

/// What is asked.
pub enum Question {
    /// Which profiles there are.
    Profiles {
        /// The kind of file that holds them.
        file: CredentialsFile,
        /// The file that `--file` names.
        named: Option<PathBuf>,
    },
    /// Nothing that has an answer.
    Unknown,
}

/// Reads `ci-creds __complete profile WORDS…`; `None` for a line of a user's. The words are those before the cursor, as
/// they were typed: no shell has expanded them.
#[must_use]
pub fn parse_question(arguments: &[OsString]) -> Option<Question> {
    let words = arguments.get(1..).filter(|words| words.first().is_some_and(|word| word == ASK))?;
    let words: Vec<_> = words.iter().skip(1).map(|word| word.to_string_lossy()).collect();
    Some(parse_profiles(&words).unwrap_or(Question::Unknown))
}

fn parse_profiles(words: &[Cow<'_, str>]) -> Option<Question> {
    let (_, words) = words.split_first().filter(|(what, _)| *what == "profile")?;
    let cloud = words.iter().find_map(|word| CLOUDS.into_iter().find(|cloud| cloud.command == word))?;
    let shape = cloud.shape(|setting| words.iter().any(|word| word == setting.flag))?;
    let named = words.iter().enumerate().rev().find_map(|(index, word)| match word.strip_prefix("--file") {
        // bash makes a word of `=`.
        Some("") => words[index + 1..].iter().find(|next| *next != "=").map(ToString::to_string),
        Some(rest) => rest.strip_prefix('=').map(str::to_owned),
        None => None,
    });
    Some(Question::Profiles { file: shape.file.clone()?, named: named.map(PathBuf::from) })
}
