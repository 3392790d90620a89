//! What the user asks of a cloud, as far as it is known before any layer is read.

use std::borrow::Cow;

use crate::cli;
use crate::provider::shape::Shape;

/// The parts of a command line that decide how the credential is handed over.
pub(super) struct Demand<'a> {
    pub(super) shape: Cow<'static, Shape>,
    pub(super) output: &'a cli::OutputFlags,
    pub(super) volume: cli::Volume,
    /// The call, without the program: what a hint repeats.
    pub(super) words: &'a [String],
    pub(super) keep_profile: bool,
}
