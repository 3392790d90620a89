//! The ends of children beside the command of `exec`. The system tells of each end once, to whoever waits first.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The children that one of us waits for by their numbers; of those whose end another one was told, whether they succeeded.
#[derive(Default)]
pub(super) struct ChildEnds(RefCell<BTreeMap<u32, Option<bool>>>);

impl ChildEnds {
    /// Somebody waits for this one from now on.
    pub(super) fn expect(&self, pid: u32) {
        self.0.borrow_mut().insert(pid, None);
    }

    /// Passes on the end of a child, for whoever waits for it. Keeps nothing of a child that nobody waits for.
    pub(super) fn note(&self, pid: u32, success: bool) {
        if let Some(end) = self.0.borrow_mut().get_mut(&pid) {
            end.get_or_insert(success);
        }
    }

    /// Whether it succeeded, if its end was passed on.
    pub(super) fn success(&self, pid: u32) -> Option<bool> {
        self.0.borrow().get(&pid).copied().flatten()
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&self, pid: u32) {
        self.0.borrow_mut().remove(&pid);
    }
}
