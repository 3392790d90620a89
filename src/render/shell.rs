//! POSIX shells: sh, dash, bash from 3.2, busybox, zsh, ksh and mksh, by `eval $(…)`, `eval "$(…)"` and `. file`.
//!
//! Unquoted, the shell splits our text at blanks and joins it with single ones: a statement without its `;` or a
//! comment would swallow what follows, in most shells without a word and with status 0.

use std::path::Path;

use crate::credential::Credential;
use crate::error::Kind;
use crate::provider::shape::CredentialsFile;
use crate::secret::Secret;

pub(super) fn exports(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    text.push_str(&unset(&credential.stale_variables()));
    for (name, value) in credential.variables() {
        text.push_str("export ");
        text.push_str(name);
        text.push_str("='");
        text.push_str(value);
        text.push_str("';\n");
    }
    Secret::new(text)
}

/// A path that is [plain](super::is_plain) and a profile's name stand between quotes as they are.
pub(super) fn pointers(credential: &Credential, file: &CredentialsFile, path: &Path, profile: &str) -> String {
    let path = path.display().to_string();
    // The file says itself when the credential ends.
    let companions = credential.companions.iter().filter(|(name, _)| Some(*name) != credential.shape.expiration);
    let companions = companions.map(|(name, value)| (*name, value.as_str()));
    let set: Vec<_> =
        [(file.path_variable, path.as_str()), (file.profile_variable, profile)].into_iter().chain(companions).collect();
    let stale: Vec<_> =
        credential.shape.owned_variables(false).filter(|name| set.iter().all(|(set, _)| set != name)).collect();
    let exports: String = set.iter().map(|(name, value)| format!("export {name}='{value}';\n")).collect();
    format!("{}{exports}", unset(&stale))
}

/// The last statement carries our code, so that GitLab's `retry:exit_codes` can act on it; its `;` keeps
/// `eval $(ci-creds … || echo false)` from becoming a syntax error.
pub(super) fn failure(stale: &[&str], kind: Kind) -> String {
    format!("{}(exit {});\n", unset(stale), kind.code())
}

pub(super) fn source_line(path: &Path) -> String {
    format!(". '{}';\n", path.display())
}

/// `set -v` prints each line as it is read, so it must be off a line before the first export.
pub(super) fn untraced(path: &Path, exports: &Secret) -> Secret {
    let folder = path.parent().unwrap_or(path);
    Secret::new(format!(
        "rm -f '{}'\nrmdir '{}' 2>/dev/null || :\n\
         {{ _cc_x=$-; set +xv; }} 2>/dev/null\n\
         {}\
         case $_cc_x in *v*) set -v;; esac\n\
         case $_cc_x in *x*) unset _cc_x; set -x;; *) unset _cc_x;; esac\n",
        path.display(),
        folder.display(),
        exports.expose()
    ))
}

/// `unset` of names that are not set returns 0 in every shell, also under `set -eu`.
fn unset(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!("unset {};\n", names.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale, file};
    use super::*;

    #[test]
    fn exoscale_is_two_exports_after_one_unset_of_its_aliases() {
        assert_eq!(
            exports(&exoscale()).expose(),
            "unset EXOSCALE_KEY EXOSCALE_SECRET EXOSCALE_SECRET_KEY CLOUDSTACK_KEY CLOUDSTACK_API_KEY \
             CLOUDSTACK_SECRET CLOUDSTACK_SECRET_KEY;\n\
             export EXOSCALE_API_KEY='EXO1216fe31ae170c1d03';\n\
             export EXOSCALE_API_SECRET='sjEjWthov-naql9vmlDT_apg';\n"
        );
    }

    #[test]
    fn an_iam_user_has_no_session_token_so_a_stale_one_is_unset() {
        assert_eq!(
            exports(&aws(false)).expose(),
            "unset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_CREDENTIAL_EXPIRATION AWS_PROFILE AWS_DEFAULT_PROFILE;\n\
             export AWS_ACCESS_KEY_ID='ASIARZKVVYOZ7ODGRLVU';\n\
             export AWS_SECRET_ACCESS_KEY='8+8UdWu4/nv0';\n"
        );
    }

    #[test]
    fn a_kept_profile_is_not_unset() {
        let kept = Credential { keep_profile: true, ..aws(true) };
        assert!(!exports(&kept).expose().contains("PROFILE"));
    }

    #[test]
    fn what_points_to_a_file_unsets_the_keys_that_would_hide_it() {
        let mut credential = aws(true);
        credential.companions =
            vec![("AWS_REGION", "eu-1".into()), ("AWS_CREDENTIAL_EXPIRATION", "2026-11-20T13:18:17Z".into())];
        assert_eq!(
            pointers(&credential, &file(&credential.shape), Path::new("/tmp/x/credentials"), "ci"),
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN \
             AWS_CREDENTIAL_EXPIRATION AWS_DEFAULT_PROFILE;\n\
             export AWS_SHARED_CREDENTIALS_FILE='/tmp/x/credentials';\n\
             export AWS_PROFILE='ci';\nexport AWS_REGION='eu-1';\n"
        );
    }

    #[test]
    fn a_failure_ends_in_our_exit_code() {
        assert_eq!(failure(&["A", "B"], Kind::Denied), "unset A B;\n(exit 77);\n");
        assert_eq!(failure(&[], Kind::Usage), "(exit 64);\n");
    }
}
