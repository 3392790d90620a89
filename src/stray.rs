//! Keys that may remain in a cloud without a lease, because Vault was cut off from the engine that made them.
//!
//! Vault registers a lease for what an engine answers. It cancels a request whose client is gone or that takes too
//! long. An engine that is cut off in the middle may have made a key that Vault does not know of. Only the cloud can
//! delete that key.

use jiff::Timestamp;

use crate::config::Plan;
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::provider::shape::CloudObject;
use crate::time::render_time;

/// Something that may have been made, and is not known to Vault.
pub(crate) struct Stray {
    /// What it is and how it is named.
    text: String,
    /// How to find it.
    hint: String,
    /// Whether it expires on its own.
    temporary: bool,
}

impl Stray {
    /// What a read that was sent at that time may have left.
    pub(crate) fn of(plan: &Plan, sent: Timestamp) -> Self {
        let CloudObject { what, list } = &plan.shape.made;
        let (path, role, title) = (&plan.mint.path, &plan.role, &plan.shape.title);
        let temporary = plan.mint.temporary;
        let may_live = if temporary {
            format!("STS credentials expire on their own; {what} may remain, if the role makes one")
        } else {
            format!("{what} of {title} may remain that no lease revokes")
        };
        let time = render_time(sent);
        if plan.shape.mapping.is_some() {
            return Self {
                text: format!(
                    "the answer to {path} was lost: {what} may remain that no lease revokes, made after {time}"
                ),
                hint: "look for it where that engine makes its credentials, and delete it there".to_owned(),
                temporary,
            };
        }
        Self {
            text: format!(
                "the answer to {path} was lost: {may_live}, made after {time} under a name with vault- and {role} in it"
            ),
            hint: format!("if {list} shows it, delete it there"),
            temporary,
        }
    }

    /// Tells of it where the run succeeded: by an alarm, unless it is temporary.
    pub(crate) fn warn(self, host: &Host) {
        let Self { text, hint, temporary } = self;
        match temporary {
            true => host.warn(text),
            false => host.alarm(format!("{text}; {hint}")),
        }
    }

    /// Tells of it with the error of a run that failed: as a [`Kind::Leak`], unless it is temporary.
    pub(crate) fn join(self, error: Error) -> Error {
        let Self { text, hint, temporary } = self;
        if temporary {
            return error.also(text);
        }
        if error.kind() == Kind::Leak {
            return error.also(text).hint_too(&hint);
        }
        Error::new(Kind::Leak, text).hint(hint).also(format!("what failed: {}", error.message()))
    }
}
