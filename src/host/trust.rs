//! How far a file can be believed, by who can write it.

/// Who else has a hand on a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Owned by root and writable by nobody else; by [`super::Host::read_believed`], so is every folder above it.
    pub root_only: bool,
    /// Owned by somebody who is neither us nor root.
    pub foreign: bool,
    /// Group or others can write it.
    pub writable_by_others: bool,
    /// Group or others can read it.
    pub readable_by_others: bool,
}
