//! POSIX shells: sh, dash, bash from 3.2, busybox, zsh, ksh and mksh, by `eval $(…)`, `eval "$(…)"` and `. file`.
//!
//! Unquoted, the shell splits our text at blanks and joins it with single ones: a statement without its `;` or a
//! comment would swallow what follows, in most shells without a word and with status 0. It splits at whatever the
//! caller's `IFS` says, and each character of it becomes a blank, so no value is set before [`whole`] has passed.

use std::path::Path;

use crate::credential::Credential;
use crate::error::Kind;
use crate::provider::shape::CredentialsFile;
use crate::secret::Secret;

pub(super) fn exports(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    text.push_str(&unset(credential.owned_variables()));
    text.push_str(&whole());
    for (name, value) in credential.variables() {
        for part in [" &&\nexport ", name, "='"] {
            text.push_str(part);
        }
        push_escaped(&mut text, value, |c| if c == '\'' { "'\\'" } else { "" });
        text.push('\'');
    }
    text.push_str(";\n");
    Secret::new(text)
}

/// Writes a value between quotes that are there, each of its characters behind what must stand before it.
pub(super) fn push_escaped(text: &mut String, value: &str, before: impl Fn(char) -> &'static str) {
    for c in value.chars() {
        text.push_str(before(c));
        text.push(c);
    }
}

/// A path that is [plain](super::is_plain) and a profile's name stand between quotes as they are.
pub(super) fn pointers(credential: &Credential, file: &CredentialsFile, path: &Path, profile: &str) -> String {
    let path = path.display().to_string();
    // The file says itself when the credential ends.
    let companions = credential.companions.iter().filter(|(name, _)| Some(*name) != credential.shape.expiration);
    let companions = companions.map(|(name, value)| (*name, value.as_str()));
    let profile = file.profile_variable.map(|name| (name, profile));
    let set: Vec<_> = [(file.path_variable, path.as_str())].into_iter().chain(profile).chain(companions).collect();
    // A variable would win over the file.
    let hiding = credential.variables().map(|(name, _)| name).filter(|name| credential.shape.is_setting(name));
    assignments(credential.shape.owned_variables_and_file().chain(hiding), set.into_iter())
}

/// Values that stand between quotes as they are, after every stale variable is unset.
pub(super) fn assignments<'a>(
    stale: impl Iterator<Item = &'a str>,
    set: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let exports: String = set.map(|(name, value)| format!(" &&\nexport {name}='{value}'")).collect();
    format!("{}{}{exports};\n", unset(stale), whole())
}

/// Every character that a value, a path or a profile's name can have, and the quote around them. A shell that splits at
/// one of them sees more than one word; `_` is at both ends because a character at an end would only be dropped.
const EVERY_CHARACTER: &str = "_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ=+/_.:@%,-''abcdefghijklmnopqrstuvwxyz_";

/// A command that fails, and says why, in a shell that splits this text inside a value.
///
/// Measured in sh, dash, bash, busybox, zsh, ksh93 and mksh with each character as `IFS`. `test` with more than one word
/// is an error in all of them. Whatever a letter in `IFS` makes of the words, in backticks it is an error of the
/// substitution, for which bash prints no line with a secret; and the text keeps free of `(`, `[`, `?`, `*` and `|`, which
/// act in an unquoted eval under some setting or as `IFS`.
fn whole() -> String {
    format!(
        "`if ! test {EVERY_CHARACTER};\n\
         then echo 'ci-creds: error: IFS would split the credential, and no variable was set: unset IFS before the eval, \
         or put double quotes around the substitution' >&2;\n\
         exit {};\n\
         fi`",
        Kind::Usage.code()
    )
}

/// The last statement carries our code, so that GitLab's `retry:exit_codes` can act on it; its `;` keeps
/// `eval $(ci-creds … || echo false)` from becoming a syntax error.
pub(super) fn failure(stale: &[&str], kind: Kind) -> String {
    format!("{}(exit {});\n", unset(stale.iter().copied()), kind.code())
}

pub(super) fn source_line(path: &Path) -> String {
    // Split at a character of `IFS` it names no file, which is an error already.
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

/// Whatever is set afterwards too: where [`whole`] fails, no older value may stay. `unset` of names that are not set
/// returns 0 in every shell, also under `set -eu`.
fn unset<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: String = names.map(|name| format!(" {name}")).collect();
    if names.is_empty() { names } else { format!("unset{names};\n") }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale, file};
    use super::*;

    #[test]
    fn exoscale_is_two_exports_after_one_unset_of_its_aliases() {
        assert_eq!(
            exports(&exoscale()).expose(),
            "unset EXOSCALE_API_KEY EXOSCALE_API_SECRET EXOSCALE_KEY EXOSCALE_SECRET EXOSCALE_SECRET_KEY \
             CLOUDSTACK_KEY CLOUDSTACK_API_KEY CLOUDSTACK_SECRET CLOUDSTACK_SECRET_KEY;\n"
                .to_owned()
                + &whole()
                + " &&\nexport EXOSCALE_API_KEY='EXO1216fe31ae170c1d03' &&\n\
                   export EXOSCALE_API_SECRET='sjEjWthov-naql9vmlDT_apg';\n"
        );
    }

    #[test]
    fn an_iam_user_has_no_session_token_so_a_stale_one_is_unset() {
        assert_eq!(
            exports(&aws(false)).expose(),
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN \
             AWS_CREDENTIAL_EXPIRATION AWS_PROFILE AWS_DEFAULT_PROFILE;\n"
                .to_owned()
                + &whole()
                + " &&\nexport AWS_ACCESS_KEY_ID='ASIARZKVVYOZ7ODGRLVU' &&\n\
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
             AWS_CREDENTIAL_EXPIRATION AWS_DEFAULT_PROFILE AWS_SHARED_CREDENTIALS_FILE AWS_PROFILE;\n"
                .to_owned()
                + &whole()
                + " &&\nexport AWS_SHARED_CREDENTIALS_FILE='/tmp/x/credentials' &&\n\
                   export AWS_PROFILE='ci' &&\nexport AWS_REGION='eu-1';\n"
        );
    }

    #[test]
    fn every_character_of_a_value_a_path_or_a_profile_is_in_the_word_that_finds_a_split() {
        let inside = |c: char| {
            let text = c.to_string();
            let of_a_value = crate::provider::shapes().flat_map(|shape| shape.fields.iter()).any(|field| {
                let filled = format!("{}{}", field.characters.prefix, text.repeat(field.characters.least.max(1)));
                field.characters.check(&filled).is_none()
            });
            of_a_value || super::super::is_plain(&text) || super::super::is_profile(&text)
        };
        for c in (' '..='~').filter(|c| inside(*c)) {
            assert!(EVERY_CHARACTER[1..EVERY_CHARACTER.len() - 1].contains(c), "{c}");
        }
    }

    #[test]
    fn a_failure_ends_in_our_exit_code() {
        assert_eq!(failure(&["A", "B"], Kind::Denied), "unset A B;\n(exit 77);\n");
        assert_eq!(failure(&[], Kind::Usage), "(exit 64);\n");
    }
}
