//! A login that is tried without its proof: what is sent, and what the refusal says of mount and role. For a diagnosis.

use crate::vault::refusal::Refusal;

/// A login without its proof.
pub(crate) struct Trial<'a> {
    /// The method, as messages name it.
    pub(crate) method: &'static str,
    /// What is sent.
    pub(crate) body: Vec<(&'static str, &'a str)>,
    /// What the refusal says.
    pub(crate) sign: fn(&Refusal) -> Sign,
    /// What the role is found by, for the line that it is right.
    pub(crate) role: String,
    /// Why the login itself is not tried, if it is not.
    pub(crate) untried: Option<&'static str>,
}

/// What a refusal says of mount and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// The mount is of this method, and has the role.
    Both,
    /// The mount is of this method, and nothing is known of the role.
    Mount,
    /// The role is wrong.
    WrongRole,
    /// The mount is wrong.
    WrongMount,
}

/// Whether nothing at that path takes a login.
pub(crate) fn is_nowhere(refusal: &Refusal) -> bool {
    refusal.is_denied() || refusal.wants_a_token() || refusal.status == 404
}
