//! Output formats: one file each, from a checked [`Credential`] to a text. No I/O, no decisions.
//!
//! Every text is built whole, in a [`Secret`], and written once by [`crate::host`]. What a shell evaluates ends
//! every statement with `;`, holds no comment, and its last command returns 0; the measured reasons stand in each
//! file. A new format is one file here, a line in [`render`] and one in [`failure`], and a row in [`Format::facts`].

mod account;
mod container;
mod credentials_file;
mod dotenv;
mod fish;
pub mod format;
mod github;
mod json;
mod pairs;
mod powershell;
mod process;
mod profile;
mod shell;
mod summary;
mod web_identity;
mod yaml;

use std::path::Path;

use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::provider::shape::{CredentialsFile, Shape};
use crate::secret::Secret;

use format::Format;

pub use credentials_file::{PROFILE, check, document, edit, profiles};
pub(crate) use credentials_file::{find_region, find_rival, find_source, is_profile};
pub(crate) use summary::{receipt, summary};

/// The text that hands the credential over. `delimiter` is a word that nobody could know before, for the formats that
/// need one.
///
/// # Errors
/// [`Kind::Usage`] when the format has no place for this shape's credential.
pub fn render(format: Format, credential: &Credential, delimiter: &str) -> Result<Secret> {
    match format {
        Format::Shell => Ok(shell::exports(credential)),
        Format::Fish => Ok(fish::exports(credential)),
        Format::Powershell => Ok(powershell::assignments(credential)),
        Format::Json => json::object(credential),
        Format::Dotenv => match find_rough(credential) {
            Some(name) => Err(Error::new(
                Kind::Data,
                format!("{name} has a character that the readers of dotenv files read differently: it was not printed"),
            )
            .hint("use --format json or --format shell, or put the value into a private file: --file VAR=FIELD")),
            None => Ok(dotenv::lines(credential)),
        },
        Format::Process => process::object(credential),
        Format::File => match &credential.shape.file {
            Some(file) => Ok(document(credential, file, PROFILE)),
            None => Err(Error::new(Kind::Usage, "there is no credentials file for this kind of credential")),
        },
        Format::Github => Ok(github::lines(credential, delimiter)),
        Format::WebIdentity => Err(Error::new(Kind::Usage, "this format has an ID token, and no credential")),
    }
}

/// What must stand on stderr before the text of `github` is written anywhere: it holds the secrets.
#[must_use]
pub fn masks(credential: &Credential) -> Secret {
    github::masks(credential)
}

/// The mask of a secret that is not part of a credential.
#[must_use]
pub fn mask(secret: &Secret) -> Secret {
    github::mask(secret)
}

/// The document of the AWS SDKs' container credentials endpoint. The SDKs get it as it is.
///
/// # Errors
/// [`Kind::Usage`] when the SDKs cannot take this shape's credential.
pub(crate) fn container_document(credential: &Credential) -> Result<Secret> {
    container::document(credential)
}

/// What that endpoint answers in place of it: `text` is printed by the tools.
#[must_use]
pub(crate) fn container_failure(text: &str) -> String {
    container::failure(text)
}

/// The POSIX shell exports by which the cloud's tools find the profile in the file at `path`, which is
/// [plain](is_plain). They hold no secret.
#[must_use]
pub(crate) fn pointers(credential: &Credential, file: &CredentialsFile, path: &Path, profile: &str) -> String {
    shell::pointers(credential, file, path, profile)
}

/// The POSIX shell exports by which the AWS SDKs assume the role, with the ID token in the file at `path`, which is
/// [plain](is_plain). They hold no secret.
#[must_use]
pub(crate) fn token_pointers(
    shape: &Shape,
    session: (&str, &str),
    companions: &[(&'static str, String)],
    path: &Path,
) -> String {
    web_identity::pointers(shape, session, companions, path)
}

/// What makes the caller's `eval` fail: the variables gone, the last command's status our exit code.
///
/// An empty output would make `eval` return 0 in every shell, and `set -e` would go on without a credential, or
/// with an old one. For `file` the variables that point to one are gone too: an earlier run may have set them. Empty
/// for the formats that no shell evaluates.
#[must_use]
pub fn failure(format: Format, shape: Option<&Shape>, keep_profile: bool, kind: Kind) -> String {
    let stale: Vec<_> = shape.map(|shape| shape.owned_variables(keep_profile).collect()).unwrap_or_default();
    match format {
        Format::File => {
            let stale: Vec<_> = shape.map(|one| one.owned_variables_and_file().collect()).unwrap_or_default();
            shell::failure(&stale, kind)
        }
        Format::WebIdentity => web_identity::failure(shape, kind),
        Format::Shell => shell::failure(&stale, kind),
        Format::Fish => fish::failure(&stale),
        Format::Powershell => powershell::failure(&stale, kind),
        Format::Json | Format::Dotenv | Format::Process | Format::Github => String::new(),
    }
}

/// Whether there is such a way for the format.
#[must_use]
pub(crate) fn is_sourced(format: Format) -> bool {
    format.facts().traced == format::Trace::UnlessSourced
}

/// For a caller that traces its commands: the line for stdout that sources the private file at `path`; `None`
/// when the format knows no such way.
#[must_use]
pub(crate) fn source_line(format: Format, path: &Path) -> Option<String> {
    match format {
        Format::Shell => Some(shell::source_line(path)),
        Format::Fish => Some(fish::source_line(path)),
        _ => None,
    }
}

/// The private file that the line sources: it removes itself, silences the trace, exports, restores the trace.
///
/// # Panics
/// Never: formats without [`source_line`] get their plain text.
#[must_use]
pub(crate) fn untraced(format: Format, path: &Path, exports: &Secret) -> Secret {
    match format {
        Format::Fish => fish::untraced(path, exports),
        _ => shell::untraced(path, exports),
    }
}

/// A variable of a secret whose value is not [plain](is_plain), so that it cannot stand in an unquoted eval. The values of
/// clouds are plain by their tables.
#[must_use]
pub(crate) fn find_rough(credential: &Credential) -> Option<&str> {
    credential.shape.mapping.as_ref()?;
    credential.variables().find(|(_, value)| !is_plain(value)).map(|(name, _)| name)
}

/// Characters that no shell acts on, quoted or not: what a path must be made of to stand in an unquoted eval.
#[must_use]
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+/=.:@%,-".contains(&byte))
}

/// A call of this program with these words, as a shell reads it back.
#[must_use]
pub(crate) fn command_line(words: &[String], more: &[&str]) -> String {
    let words = words.iter().map(String::as_str).chain(more.iter().copied());
    ["ci-creds"].into_iter().chain(words).map(quote).collect::<Vec<_>>().join(" ")
}

/// A word, as a shell reads it back.
#[must_use]
pub(crate) fn quote(word: &str) -> String {
    match is_plain(word) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::credential::{Lease, Life};
    use crate::provider::{aws::AWS, exoscale::EXOSCALE};

    /// An Exoscale key, as the tests of the formats render it.
    pub(crate) fn exoscale() -> Credential {
        credential(
            &EXOSCALE,
            &[
                ("api_key", "EXO1216fe31ae170c1d03"),
                ("api_secret", "sjEjWthov-naql9vmlDT_apg"),
                ("name", "vault-ci-approle-1"),
            ],
        )
    }

    /// AWS credentials with a session, or an IAM user's.
    pub(crate) fn aws(session: bool) -> Credential {
        let mut values = vec![("access_key", "ASIARZKVVYOZ7ODGRLVU"), ("secret_key", "8+8UdWu4/nv0")];
        if session {
            values.push(("session_token", "FQoGZX/+=="));
        }
        credential(&AWS, &values)
    }

    pub(crate) fn file(shape: &Shape) -> CredentialsFile {
        shape.file.clone().unwrap()
    }

    fn credential(shape: &'static Shape, values: &[(&str, &str)]) -> Credential {
        let field = |name: &str| shape.fields.iter().find(|field| field.name == name).unwrap();
        Credential {
            shape: Cow::Borrowed(shape),
            role: "ci".into(),
            path: format!("{}/x/ci", shape.name),
            values: values.iter().map(|(name, value)| (field(name).clone(), Secret::new((*value).into()))).collect(),
            companions: Vec::new(),
            lease: Lease {
                id: Some("exoscale/x/ci/U6z5".into()),
                renewable: true,
                expires_at: Some("2026-11-20T13:18:17Z".parse().unwrap()),
                granted_until: None,
                life: Life::Leased,
            },
            keep_profile: false,
            others: Vec::new(),
        }
    }

    #[test]
    fn a_failure_prints_something_in_every_format_that_a_shell_evaluates_and_nothing_in_the_others() {
        for format in Format::ALL {
            for shape in [Some(&EXOSCALE), Some(&AWS), None] {
                let text = failure(format, shape, false, Kind::Denied);
                assert_eq!(text.is_empty(), !format.facts().evaluated);
            }
        }
    }

    #[test]
    fn a_failure_unsets_the_target_and_its_aliases() {
        let text = failure(Format::Shell, Some(&EXOSCALE), false, Kind::Denied);
        for name in ["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET", "EXOSCALE_KEY", "CLOUDSTACK_SECRET_KEY"] {
            assert!(text.contains(&format!(" {name}")), "{name} stays");
        }
    }
}
