//! A world made of values: what tests of the configuration give to a [`super::Host`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::trust::Trust;

/// The parts of a fake world. No `Debug`: the variables hold secrets.
#[derive(Default)]
pub(crate) struct Fake {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// Files by path: their text and whose they are.
    pub files: BTreeMap<PathBuf, (String, Trust)>,
    /// The wall clock, standing still.
    pub now: Timestamp,
    /// Where the user's configuration file would be.
    pub config_folder: Option<PathBuf>,
}

impl Fake {
    /// Sets variables.
    #[must_use]
    pub(crate) fn with_variables<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Adds a file that belongs to the user alone.
    #[must_use]
    pub(crate) fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), (text.to_owned(), Trust::default()));
        self
    }

    /// Adds a file that only root can have written.
    #[must_use]
    pub(crate) fn with_root_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), (text.to_owned(), Trust { root_only: true, ..Trust::default() }));
        self
    }
}
