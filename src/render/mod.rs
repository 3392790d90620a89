//! Output formats: one file each, from a checked [`Credential`] to a text. No I/O, no decisions.
//!
//! Every text is built whole, in a [`Secret`], and written once by [`crate::host`]. What a shell evaluates ends
//! every statement with `;`, holds no comment, and its last command returns 0; the measured reasons stand in each
//! file. A new format is one file here and one line in each table below.

mod dotenv;
mod fish;
mod json;
mod powershell;
mod process;
mod shell;
mod summary;

use std::path::Path;

use crate::cli::Format;
use crate::credential::Credential;
use crate::error::{Kind, Result};
use crate::provider::Provider;
use crate::secret::Secret;

pub use summary::summary;

/// The text that hands the credential over.
///
/// # Errors
/// [`Kind::Usage`] when the format has no place for this provider's credential.
pub fn render(format: Format, credential: &Credential) -> Result<Secret> {
    match format {
        Format::Shell => Ok(shell::exports(credential)),
        Format::Fish => Ok(fish::exports(credential)),
        Format::Powershell => Ok(powershell::assignments(credential)),
        Format::Json => json::object(credential),
        Format::Dotenv => Ok(dotenv::lines(credential)),
        Format::Process => process::object(credential),
    }
}

/// What makes the caller's `eval` fail: the variables gone, the last command's status our exit code.
///
/// An empty output would make `eval` return 0 in every shell, and `set -e` would go on without a credential, or
/// with an old one. Empty for the formats that no shell evaluates.
#[must_use]
pub fn failure(format: Format, provider: Option<&Provider>, keep_profile: bool, kind: Kind) -> String {
    let stale: Vec<_> = provider.map(|provider| provider.owned_variables(keep_profile).collect()).unwrap_or_default();
    match format {
        Format::Shell => shell::failure(&stale, kind),
        Format::Fish => fish::failure(&stale),
        Format::Powershell => powershell::failure(&stale, kind),
        Format::Json | Format::Dotenv | Format::Process => String::new(),
    }
}

/// For a caller that traces its commands: the line for stdout that sources the private file at `path`; `None`
/// when the format knows no such way.
#[must_use]
pub fn source_line(format: Format, path: &Path) -> Option<String> {
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
pub fn untraced(format: Format, path: &Path, exports: &Secret) -> Secret {
    match format {
        Format::Fish => fish::untraced(path, exports),
        _ => shell::untraced(path, exports),
    }
}

/// Whether a shell evaluates the format.
#[must_use]
pub fn is_evaluated(format: Format) -> bool {
    matches!(format, Format::Shell | Format::Fish | Format::Powershell)
}

/// Characters that no shell acts on, quoted or not: what a path must be made of to stand in an unquoted eval.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+/=.:@%,-".contains(&byte))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::credential::Lease;
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

    fn credential(provider: &'static Provider, values: &[(&str, &str)]) -> Credential {
        let field = |name: &str| provider.fields.iter().find(|field| field.name == name).unwrap();
        Credential {
            provider,
            role: "ci".into(),
            path: format!("{}/x/ci", provider.name),
            values: values.iter().map(|(name, value)| (field(name), Secret::new((*value).into()))).collect(),
            companions: Vec::new(),
            lease: Lease {
                id: Some("exoscale/x/ci/U6z5".into()),
                renewable: true,
                expires_at: Some("2026-11-20T13:18:17Z".parse().unwrap()),
                revocable: true,
            },
            keep_profile: false,
        }
    }

    #[test]
    fn a_failure_prints_something_in_every_format_that_a_shell_evaluates_and_nothing_in_the_others() {
        for format in [Format::Shell, Format::Fish, Format::Powershell, Format::Json, Format::Dotenv, Format::Process] {
            for provider in [Some(&EXOSCALE), Some(&AWS), None] {
                let text = failure(format, provider, false, Kind::Denied);
                assert_eq!(text.is_empty(), !is_evaluated(format));
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
