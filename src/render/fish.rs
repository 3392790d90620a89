//! fish, by `eval (ci-creds … --format fish)` or `… | source`.
//!
//! `set -e` of a name that is not set returns 4, so the text ends in `true;`; `(exit N)` is a syntax error, so a
//! failure ends in `false;`.

use std::path::Path;

use super::shell::push_escaped;
use crate::credential::Credential;
use crate::secret::Secret;

pub(super) fn exports(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    text.push_str(&erase(&credential.stale_variables()));
    for (name, value) in credential.variables() {
        text.push_str("set -gx ");
        text.push_str(name);
        text.push_str(" '");
        push_escaped(&mut text, value, |c| if matches!(c, '\'' | '\\') { "\\" } else { "" });
        text.push_str("';\n");
    }
    text.push_str("true;\n");
    Secret::new(text)
}

pub(super) fn failure(stale: &[&str]) -> String {
    format!("{}false;\n", erase(stale))
}

pub(super) fn source_line(path: &Path) -> String {
    format!("source '{}';\n", path.display())
}

/// fish traces while `fish_trace` is set, in sourced files too.
pub(super) fn untraced(path: &Path, exports: &Secret) -> Secret {
    let folder = path.parent().unwrap_or(path);
    Secret::new(format!(
        "command rm -f '{}'\ncommand rmdir '{}' 2>/dev/null\n\
         set -g _cc_x $fish_trace\nset -g fish_trace\n\
         {}\
         set -g fish_trace $_cc_x\nset -e _cc_x\ntrue\n",
        path.display(),
        folder.display(),
        exports.expose()
    ))
}

fn erase(names: &[&str]) -> String {
    names.iter().map(|name| format!("set -e {name};\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::aws;
    use super::*;

    #[test]
    fn stale_names_are_erased_and_the_last_command_succeeds() {
        assert_eq!(
            exports(&aws(true)).expose(),
            "set -e AWS_SECURITY_TOKEN;\nset -e AWS_CREDENTIAL_EXPIRATION;\nset -e AWS_PROFILE;\n\
             set -e AWS_DEFAULT_PROFILE;\n\
             set -gx AWS_ACCESS_KEY_ID 'ASIARZKVVYOZ7ODGRLVU';\nset -gx AWS_SECRET_ACCESS_KEY '8+8UdWu4/nv0';\n\
             set -gx AWS_SESSION_TOKEN 'FQoGZX/+==';\ntrue;\n"
        );
        assert_eq!(failure(&["A"]), "set -e A;\nfalse;\n");
    }
}
