//! What may live on in a cloud that no lease ends: what an engine may have made when its Vault was cut off.
//!
//! Vault registers a lease for what an engine answers. It cancels a request whose client is gone or that takes too long,
//! and an engine that is cut off in the middle has made a key that Vault knows nothing of. Only the cloud can end that.

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
    /// Whether it expires by itself all the same.
    temporary: bool,
}

impl Stray {
    /// What a read that was sent at that time may have left.
    pub(crate) fn of(plan: &Plan, sent: Timestamp) -> Self {
        let CloudObject { what, list } = &plan.shape.made;
        let (path, role, title) = (&plan.mint.path, &plan.role, &plan.shape.title);
        let temporary = plan.mint.temporary;
        let may_live = if temporary {
            format!("credentials of STS expire by themselves; {what}, where the role makes one, may live on")
        } else {
            format!("{what} of {title} may live on that no lease ends")
        };
        let time = render_time(sent);
        Self {
            text: format!(
                "the answer to {path} was lost: {may_live}, made after {time} under a name with vault- and {role} in it"
            ),
            hint: format!("{list} shows it, if it was made: delete it there"),
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
