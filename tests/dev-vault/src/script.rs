//! The faults that wait for a request or a connection: which of them meets the request at hand, and when they are spent.

use std::sync::Arc;

use crate::fault::{Fault, On, Target};

/// The faults of a server.
#[derive(Debug, Default)]
pub(crate) struct Script {
    traps: Vec<Trap>,
}

#[derive(Debug)]
struct Trap {
    on: On,
    fault: Arc<Fault>,
    matches: usize,
}

impl Script {
    pub(crate) fn arm(&mut self, on: On, fault: Fault) {
        self.traps.push(Trap { on, fault: Arc::new(fault), matches: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.traps.clear();
    }

    pub(crate) fn on_connection(&mut self) -> Option<Arc<Fault>> {
        self.next(|target| matches!(target, Target::Connection))
    }

    pub(crate) fn on_request(&mut self, method: &str, path: &str) -> Option<Arc<Fault>> {
        self.next(|target| match target {
            Target::Connection => false,
            Target::Request { methods, suffix } => {
                (methods.is_empty() || methods.iter().any(|wanted| wanted == method)) && path.ends_with(suffix.as_str())
            }
        })
    }

    /// Counts the match in every traps fault; the oldest one whose turn it is acts. Spent faults are forgotten.
    fn next(&mut self, hits: impl Fn(&Target) -> bool) -> Option<Arc<Fault>> {
        let mut found = None;
        for traps in self.traps.iter_mut().filter(|traps| hits(&traps.on.target)) {
            // A fault that waits behind another one is not used up by it.
            let is_due = traps.matches + 1 >= traps.on.first;
            if is_due && found.is_some() {
                continue;
            }
            traps.matches += 1;
            if is_due {
                found = Some(traps.fault.clone());
            }
        }
        self.traps.retain(|traps| traps.matches < traps.on.first.saturating_sub(1).saturating_add(traps.on.count));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(script: &mut Script, method: &str, path: &str, times: usize) -> Vec<Option<&'static str>> {
        (0..times).map(|_| script.on_request(method, path).map(|fault| fault.name)).collect()
    }

    #[test]
    fn a_fault_expires_after_its_count() {
        let mut script = Script::default();
        script.arm(On::write("/login").nth(2), Fault::hang_before());
        assert_eq!(names(&mut script, "GET", "/v1/auth/x/login", 1), [None]);
        assert_eq!(names(&mut script, "PUT", "/v1/auth/x/login", 3), [None, Some("hang_before"), None]);
        assert!(script.traps.is_empty());
    }

    #[test]
    fn faults_on_the_same_request_take_turns_in_order() {
        let mut script = Script::default();
        script.arm(On::any(), Fault::drop_request());
        script.arm(On::any().times(2), Fault::hang_after());
        let expected = [Some("drop_request"), Some("hang_after"), Some("hang_after"), None];
        assert_eq!(names(&mut script, "GET", "/", 4), expected);
    }

    #[test]
    fn every_never_expires() {
        let mut script = Script::default();
        script.arm(On::get("x").every(), Fault::drop_request());
        assert_eq!(names(&mut script, "GET", "/x", 50), [Some("drop_request"); 50]);
    }
}
