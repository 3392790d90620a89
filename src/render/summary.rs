//! The summary of a credential, without its secrets: for a person at a terminal, and for the log of a job.

use std::path::Path;

use jiff::Timestamp;

use crate::credential::{Credential, Life};
use crate::provider::shape::CredentialsFile;
use crate::time::{render_clock, render_time};

/// What a person sees whose credentials file was edited, for stdout: who, which role, which key, until when. The secret
/// values are masked whole: not even their length shows.
#[must_use]
pub(crate) fn summary(
    credential: &Credential,
    login: &str,
    file: &CredentialsFile,
    path: &Path,
    profile: &str,
) -> String {
    let mut rows = vec![
        ("provider", credential.shape.title.as_ref().to_owned()),
        ("login", login.to_owned()),
        ("path", credential.path.clone()),
    ];
    for (field, text) in credential.texts() {
        let shown = if field.public { text.to_owned() } else { "********".into() };
        rows.push((&field.name, shown));
    }
    let lease = &credential.lease;
    rows.push(("lease", lease.id.clone().unwrap_or_else(|| "none".into())));
    let endless = if lease.life == Life::Static { "never" } else { "when its token expires" };
    rows.push(("expires", lease.expires_at.map_or_else(|| endless.into(), render_time)));
    if credential.shape.stored.is_some() {
        rows.push(("note", "ci-creds cannot revoke a stored key: whoever made it deletes it".into()));
    } else if lease.life == Life::Expiring {
        rows.push(("note", "STS credentials cannot be revoked: they live until they expire".into()));
    }
    rows.push(("file", path.display().to_string()));
    if file.profile_variable.is_some() {
        rows.push(("profile", profile.to_owned()));
    }
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    let lines: String = rows.iter().map(|(label, text)| format!("{label:width$}  {text}\n")).collect();
    let (variable, path) = (file.path_variable, path.display());
    let profile = file.profile_variable.map(|name| format!(" {name}={profile}")).unwrap_or_default();
    format!("{lines}\nTo use it: export {variable}={path}{profile}\n")
}

/// One line for the log of a job about its credential: which key, of which role, until when.
///
/// Security: a key's id is no secret, but a log's masks and its readers take it for one, so only its beginning is told.
#[must_use]
pub(crate) fn receipt(credential: &Credential, now: Timestamp) -> String {
    let id = credential.values.iter().find(|(field, _)| field.public && field.required);
    let id = id.map_or(String::new(), |(_, value)| format!(" {}...", value.expose().get(..SHOWN).unwrap_or_default()));
    let lease = &credential.lease;
    let end = match (lease.expires_at, lease.life) {
        (Some(end), _) => format!("expires {}", render_clock(end, now)),
        (None, Life::Static) => "does not expire".to_owned(),
        (None, _) => "expires with its token".to_owned(),
    };
    let lease = lease.id.as_ref().map_or(String::new(), |id| format!(", lease {id}"));
    if credential.shape.stored.is_some() {
        return format!("{} key{id} of {}, {end}", credential.shape.title, credential.path);
    }
    if credential.shape.mapping.is_some() || credential.role.is_empty() {
        return format!("{} of {}, {end}{lease}", credential.shape.title, credential.path);
    }
    format!("{} key{id} for role {}, {end}{lease}", credential.shape.title, credential.role)
}

/// One letter less than what makes a secret known.
const SHOWN: usize = 7;

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale, file};
    use super::*;
    use crate::provider::aws::AWS;

    #[test]
    fn the_key_id_is_shown_and_the_secrets_are_not() {
        let text = summary(&aws(true), "ID token at auth/gitlab", &file(&AWS), Path::new("/c"), "ci");
        assert!(text.contains("ASIARZKVVYOZ7ODGRLVU"));
        assert!(!text.contains("8+8U") && !text.contains("FQoG"), "{text}");
        assert!(text.contains("secret_key     ********\nsession_token  ********\n"), "{text}");
    }

    #[test]
    fn a_receipt_names_key_role_end_and_lease_and_no_secret() {
        let now = "2026-11-20T12:18:17Z".parse().unwrap();
        assert_eq!(
            receipt(&exoscale(), now),
            "Exoscale key EXO1216... for role ci, expires 13:18 UTC, lease exoscale/x/ci/U6z5"
        );
        let mut endless = aws(false);
        (endless.lease.expires_at, endless.lease.id) = (None, None);
        assert_eq!(receipt(&endless, now), "AWS key ASIARZK... for role ci, expires with its token");
        endless.lease.life = Life::Static;
        assert_eq!(receipt(&endless, now), "AWS key ASIARZK... for role ci, does not expire");
    }
}
