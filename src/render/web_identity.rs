//! The variables by which the AWS SDKs assume a role with an ID token in a file: they ask STS themselves, and again before a
//! session ends.
//!
//! Measured: a key in a variable wins over them without a word, and a profile that does not exist fails first.

use std::path::Path;

use super::shell;
use crate::error::Kind;
use crate::provider::shape::Shape;

const ROLE: &str = "AWS_ROLE_ARN";
const SESSION: &str = "AWS_ROLE_SESSION_NAME";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// The path is [plain](super::is_plain). A role's ARN, a session's name and a region have no character that a shell
/// interprets between quotes, and none that a split would not be noticed at.
pub(super) fn pointers(
    shape: &Shape,
    (role, session): (&str, &str),
    companions: &[(&'static str, String)],
    path: &Path,
) -> String {
    let path = path.display().to_string();
    let set = [(ROLE, role), (TOKEN_FILE, path.as_str()), (SESSION, session)];
    let companions = companions.iter().map(|(name, value)| (*name, value.as_str()));
    shell::assignments(stale(shape), set.into_iter().chain(companions))
}

/// The role stays: the next call reads it, and without the file no SDK does.
pub(super) fn failure(shape: Option<&Shape>, kind: Kind) -> String {
    let stale: Vec<_> = shape.into_iter().flat_map(stale).filter(|name| *name != ROLE).collect();
    shell::failure(&stale, kind)
}

/// Every variable by which an SDK would find another credential.
fn stale(shape: &Shape) -> impl Iterator<Item = &str> {
    shape.owned_variables(false).chain(shape.sources.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::aws::AWS;

    #[test]
    fn what_an_sdk_would_use_before_the_token_is_unset() {
        let text = pointers(&AWS, ("arn", "job"), &[("AWS_REGION", "eu-1".into())], Path::new("/tmp/x/token"));
        for name in [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        ] {
            let unset = text.lines().next().unwrap_or_default();
            assert!(unset.starts_with("unset ") && unset.contains(&format!(" {name}")), "{name}: {unset}");
        }
        assert!(text.ends_with(
            " &&\nexport AWS_ROLE_ARN='arn' &&\nexport AWS_WEB_IDENTITY_TOKEN_FILE='/tmp/x/token' &&\n\
             export AWS_ROLE_SESSION_NAME='job' &&\nexport AWS_REGION='eu-1';\n"
        ));
    }

    #[test]
    fn a_failure_leaves_the_role_for_the_next_call_and_no_token() {
        let text = failure(Some(&AWS), Kind::Config);
        assert!(text.contains(" AWS_WEB_IDENTITY_TOKEN_FILE") && text.contains(" AWS_ACCESS_KEY_ID"), "{text}");
        assert!(!text.contains("AWS_ROLE_ARN") && text.ends_with("(exit 78);\n"), "{text}");
    }
}
