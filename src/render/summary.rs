//! What a person at a terminal sees in place of the credential: who, which role, which key, until when.

use std::path::Path;

use crate::credential::{Credential, Life};
use crate::provider::shape::CredentialsFile;
use crate::time::render_time;

/// The summary, for stdout. The secret values are masked whole: not even their length shows. `edited` is the
/// credentials file that was edited, and the profile in it.
#[must_use]
pub(crate) fn summary(credential: &Credential, login: &str, edited: Option<(&CredentialsFile, &Path, &str)>) -> String {
    let mut rows = vec![
        ("provider", credential.shape.title.as_ref().to_owned()),
        ("login", login.to_owned()),
        ("path", credential.path.clone()),
    ];
    for (field, value) in &credential.values {
        let shown = if field.public { value.expose().to_owned() } else { "********".into() };
        rows.push((&field.name, shown));
    }
    let lease = &credential.lease;
    rows.push(("lease", lease.id.clone().unwrap_or_else(|| "none".into())));
    let endless = if lease.life == Life::Static { "never" } else { "when its token ends" };
    rows.push(("expires", lease.expires_at.map_or_else(|| endless.into(), render_time)));
    if lease.life == Life::Expiring {
        rows.push(("note", "STS credentials cannot be taken back: they live until they expire".into()));
    }
    if let Some((_, path, profile)) = edited {
        rows.push(("file", path.display().to_string()));
        rows.push(("profile", profile.to_owned()));
    }
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let lines: String = rows.iter().map(|(label, text)| format!("{label:width$}  {text}\n")).collect();
    if let Some((file, path, profile)) = edited {
        let (path_variable, path, profile_variable) = (file.path_variable, path.display(), file.profile_variable);
        return format!("{lines}\nTo use it: export {path_variable}={path} {profile_variable}={profile}\n");
    }
    format!("{lines}\nTo use it: eval $(ci-creds {})   To print it here: --reveal\n", credential.shape.command)
}

#[cfg(test)]
mod tests {
    use super::super::tests::aws;
    use super::*;

    #[test]
    fn the_key_id_is_shown_and_the_secrets_are_not() {
        let text = summary(&aws(true), "id token at auth/gitlab", None);
        assert!(text.contains("ASIARZKVVYOZ7ODGRLVU"));
        assert!(!text.contains("8+8U") && !text.contains("FQoG"), "{text}");
        assert!(text.contains("secret_key     ********\nsession_token  ********\n"), "{text}");
    }
}
