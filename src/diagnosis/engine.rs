//! The secrets engine: whether it is mounted where the run reads, whether it knows the role, and what the policy allows.
//! The read itself is never sent.

use super::token::CountedToken;
use super::{Check, Mark, Note, Topic};
use crate::config::Plan;
use crate::engine::refusal::{describe, mount as engine_mount};
use crate::error::{Error, Kind, sanitized};
use crate::vault::client::Vault;
use crate::vault::client::reading::{Capabilities, MountInfo, Reading};
use crate::vault::refusal::Refusal;

const RENEW: &str = "sys/leases/renew";
const REVOKE: &str = "sys/leases/revoke";
const LOG_OUT: &str = "auth/token/revoke-self";

pub(super) const COUNTED: &str = "not examined: the uses of the token are counted, and each request takes one";

/// A mount that was examined.
pub(crate) struct EngineMount {
    /// The step.
    pub(crate) check: Check,
    /// Whether a KV engine is there, which has no roles.
    kv: bool,
}

impl From<Check> for EngineMount {
    fn from(check: Check) -> Self {
        Self { check, kv: false }
    }
}

/// Asks for the help of the path, which tells a wrong mount from a missing policy; and, where that takes no use of the token,
/// what is mounted there. `refused`: the policies do not allow the path.
pub(crate) async fn examine_mount(
    vault: &Vault<'_>,
    counted: &mut CountedToken,
    plan: &Plan,
    refused: bool,
) -> EngineMount {
    if !counted.take() {
        return Check::skip(Topic::EngineMount, COUNTED).into();
    }
    let path = &plan.mint.path;
    match vault.read_help(path, &counted.session.token).await {
        Reading::Answer(help) => {
            let found = match vault.read_mount(path, &counted.session.token).await {
                Reading::Answer(found) if !found.path.is_empty() => Some(found),
                _ => None,
            };
            describe_mount(found, &help, plan, refused)
        }
        Reading::Refusal(refusal) => Check::failure(Topic::EngineMount, &describe(&refusal, plan)).into(),
        Reading::Error(error) => Check::failure(Topic::EngineMount, &error).into(),
    }
}

fn describe_mount(found: Option<MountInfo>, help: &str, plan: &Plan, refused: bool) -> EngineMount {
    let path = &plan.mint.path;
    let about = describe_help(help).map(|about| format!(": {about}")).unwrap_or_default();
    let answers = Check::good(Topic::EngineMount, format!("an engine answers at {path}{about}"));
    let Some(found) = found.filter(|_| !plan.shape.is_found_by_path()) else { return answers.into() };
    let (there, kind) = (sanitized(found.path.trim_matches('/')), sanitized(&found.kind));
    let kv = ["kv", "generic"].contains(&kind.as_str());
    let ours = engine_mount(plan);
    if there != ours {
        let (text, change) =
            (format!("{ours} is not a mount: the mount of {path} is {there}"), format!("--mount {there}"));
        // A KV engine has any path. What the policies do not allow is refused before the engine is asked.
        let check = match (refused, kv) {
            (false, true) => Check::warning(Topic::EngineMount, text, change),
            (true, _) => Check::failure(Topic::EngineMount, &Error::new(Kind::Denied, text).hint(change)),
            (false, false) => Check::failure(Topic::EngineMount, &Error::new(Kind::Config, text).hint(change)),
        };
        return EngineMount { check, kv };
    }
    if kv {
        let text = format!("{there} is a {kind} engine, not {}'s", plan.shape.title);
        let hint = format!(
            "the values are stored there: set --mount to the mount of the {} engine if it must make a key",
            plan.shape.title
        );
        return EngineMount { check: Check::warning(Topic::EngineMount, text, hint), kv };
    }
    EngineMount { check: answers, kv }
}

/// The first paragraph of a help that describes the path, as one line.
fn describe_help(help: &str) -> Option<String> {
    let lines =
        help.lines().map(str::trim).skip_while(|line| !is_description(line)).take_while(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then(|| sanitized(&text))
}

fn is_description(line: &str) -> bool {
    !line.is_empty() && !["Request:", "Matching Route:", "##"].iter().any(|start| line.starts_with(start))
}

/// Reads the role, where the policy lets the job do that.
pub(crate) async fn examine_role(
    vault: &Vault<'_>,
    counted: &mut CountedToken,
    (plan, mount): (&Plan, &EngineMount),
) -> Check {
    if mount.kv {
        return Check::skip(Topic::EngineRole, "a KV engine has no roles");
    }
    if plan.shape.is_found_by_path() {
        return Check::skip(Topic::EngineRole, "the key is stored: its path has no role");
    }
    let path = format!("{}/{}", plan.mint.roles, plan.role);
    if !counted.take() {
        return Check::skip(Topic::EngineRole, COUNTED);
    }
    match vault.read_existence(&path, &counted.session.token).await {
        Reading::Answer(()) => Check::good(Topic::EngineRole, format!("there is {path} (from {})", plan.role_origin)),
        Reading::Refusal(refusal) if refusal.status == 404 => {
            let text = format!("there is no {path} (from {})", plan.role_origin);
            Check { text, ..Check::failure(Topic::EngineRole, &describe(&refusal, plan)) }
        }
        Reading::Refusal(_) => Check::skip(
            Topic::EngineRole,
            format!("the policy does not allow {path}: only a read of the credential tells"),
        ),
        Reading::Error(error) => Check::failure(Topic::EngineRole, &error),
    }
}

/// What is known of what the token may do.
pub(crate) enum Rights {
    /// Each path with its capabilities.
    Known(Capabilities),
    /// The question would take a use of the token.
    Counted,
    /// Why the server does not tell.
    Refused(String),
    /// There was no answer.
    Failed(Error),
}

impl Rights {
    /// Path by path.
    pub(super) fn known(&self) -> Option<&Capabilities> {
        match self {
            Self::Known(found) => Some(found),
            Self::Counted | Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    /// Why a step that needs them was not examined.
    pub(super) fn unknown(&self, topic: Topic) -> Check {
        match self {
            Self::Known(_) | Self::Counted => Check::skip(topic, COUNTED),
            Self::Refused(why) => Check::skip(topic, why.clone()),
            Self::Failed(error) => Check::failure(topic, error),
        }
    }
}

/// Asks what the token may do.
pub(crate) async fn ask_rights(vault: &Vault<'_>, counted: &mut CountedToken, plan: Option<&Plan>) -> Rights {
    if !counted.take() {
        return Rights::Counted;
    }
    let others = plan.into_iter().flat_map(|plan| plan.others.iter().map(|one| one.mint.path.as_str()));
    let path = plan.map(|plan| plan.mint.path.as_str());
    let paths: Vec<_> = path.into_iter().chain(others).chain([RENEW, REVOKE, LOG_OUT]).collect();
    match vault.read_capabilities(&paths, &counted.session.token).await {
        Reading::Answer(found) => Rights::Known(found),
        Reading::Refusal(refusal) => {
            Rights::Refused(format!("the token may not ask what it may do ({})", refusal.because()))
        }
        Reading::Error(error) => Rights::Failed(error),
    }
}

/// Whether they allow the read.
pub(crate) fn examine_policy(rights: &Rights, plan: Option<&Plan>) -> Check {
    match (rights.known(), plan) {
        (Some(found), Some(plan)) => describe_policy(found, plan),
        (Some(_), None) => Check::skip(Topic::Policy, "no credential is asked for: name its provider behind doctor"),
        (None, _) => rights.unknown(Topic::Policy),
    }
}

/// Whether they allow renewing and revoking.
pub(crate) fn examine_lease(rights: &Rights, own: bool) -> Check {
    match rights {
        Rights::Known(found) => describe_lease(found, own),
        Rights::Failed(_) => Check::blocked(Topic::Lease, Topic::Policy),
        Rights::Counted | Rights::Refused(_) => rights.unknown(Topic::Lease),
    }
}

/// Whether one of these is granted.
pub(super) fn grants(found: &Capabilities, path: &str, wanted: &[&str]) -> bool {
    let of_path = found.get(path);
    of_path.is_some_and(|granted| granted.iter().any(|one| one == "root" || wanted.contains(&one.as_str())))
}

fn describe_policy(found: &Capabilities, plan: &Plan) -> Check {
    let path = &plan.mint.path;
    let wanted: &[&str] = if plan.mint.writable { &["read", "update", "create"] } else { &["read"] };
    let granted: Vec<_> =
        found.get(path).into_iter().flatten().filter(|one| *one != "deny").map(|one| sanitized(one)).collect();
    let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
    if grants(found, path, wanted) {
        return Check::good(Topic::Policy, format!("the policies allow {granted} on {path}"));
    }
    // What the read would be refused with.
    let refusal = Refusal { status: 403, reason: "1 error occurred: permission denied".into() };
    let error = describe(&refusal, plan);
    let text = format!(
        "the policies allow {granted} on {path}, and the run needs {}",
        wanted[..wanted.len().min(2)].join(" or ")
    );
    Check { text, kind: Some(Kind::Denied), ..Check::failure(Topic::Policy, &error) }
}

/// Nothing of this fails a run.
fn describe_lease(found: &Capabilities, own: bool) -> Check {
    let rule = |path: &str| format!("path \"{path}\" {{ capabilities = [\"update\"] }}");
    let lacking = |path: &str| !grants(found, path, &["update"]);
    if own && lacking(LOG_OUT) {
        return Check::warning(
            Topic::Lease,
            format!("the policies do not allow {LOG_OUT}: the login of a run that fails lives until it expires"),
            rule(LOG_OUT),
        );
    }
    let mut check = match (lacking(RENEW), lacking(REVOKE)) {
        (false, false) => Check::good(Topic::Lease, "the policies allow renewing and revoking leases"),
        (false, true) => {
            Check::good(Topic::Lease, "the policies allow renewing leases, and revoking the token with its leases")
        }
        (true, _) => Check::good(Topic::Lease, "the policies allow revoking the token with its leases"),
    };
    if lacking(RENEW) {
        check = check.noting(Note {
            mark: Mark::Warning,
            text: format!("they do not allow {RENEW}: exec cannot make a lease longer"),
            change: Some(rule(RENEW)),
        });
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_may_do_everything_and_deny_nothing() {
        let found: Capabilities = [("a", "root"), ("b", "deny"), ("c", "read")]
            .map(|(path, one)| (path.to_owned(), vec![one.to_owned()]))
            .into();
        assert!(grants(&found, "a", &["update"]) && grants(&found, "c", &["read"]));
        assert!(
            !grants(&found, "b", &["read"]) && !grants(&found, "c", &["update"]) && !grants(&found, "d", &["read"])
        );
    }

    #[test]
    fn a_help_is_told_by_what_it_describes() {
        let help = "Request:        apikey/x\nMatching Route: ^apikey/$\n\nIssue Exoscale API keys\n\n## PARAMETERS";
        assert_eq!(describe_help(help).as_deref(), Some("Issue Exoscale API keys"));
        let stored = "Request:        x\nMatching Route: ^.*$\n\nPass-through secret storage, allowing you to\nread and write.\n\n## X";
        let whole = "Pass-through secret storage, allowing you to read and write.";
        assert_eq!(describe_help(stored).as_deref(), Some(whole));
        assert_eq!(describe_help("Request:        x\n"), None);
    }
}
