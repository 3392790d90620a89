//! GitHub Actions: `ci-creds … --format github >> "$GITHUB_ENV"`, for the later steps of a job.
//!
//! The runner reads `NAME<<DELIMITER`, the value, `DELIMITER`. Who can guess the delimiter can end a value early and
//! set what he likes behind it, so it is drawn anew for each run.
//!
//! That file unsets nothing, and a later step would still see what an older credential left. So what this one lacks
//! is set to the empty text, as far as all tools take that for unset: a session token, an expiration, the older names
//! of Exoscale's keys. An empty `AWS_PROFILE` is a profile that does not exist, and is not touched.

use crate::credential::Credential;
use crate::secret::Secret;

pub(super) fn lines(credential: &Credential, delimiter: &str) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    let empty = credential.shape.emptied;
    let stale = credential.stale_variables().into_iter().filter(|name| empty.contains(name));
    for (name, value) in credential.variables().chain(stale.map(|name| (name, ""))) {
        for part in [name, "<<", delimiter, "\n", value, "\n", delimiter, "\n"] {
            text.push_str(part);
        }
    }
    Secret::new(text)
}

/// A shorter text stands in many a line of a log that has nothing to do with it.
const SHORTEST: usize = 8;

/// Commands by which the runner learns what to blank out of every later line of its log, for stderr, where it looks
/// for them too. No value of a cloud needs an escape; that of another secret may.
pub(super) fn masks(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    let secret = credential.all_values().filter(|(field, _)| !field.public);
    // Of several lines, the runner looks for each alone.
    for line in secret.flat_map(|(_, value)| value.expose().split(['\n', '\r'])) {
        if line.len() >= SHORTEST {
            text.push_str("::add-mask::");
            push_command(&mut text, line);
            text.push('\n');
        }
    }
    Secret::new(text)
}

/// The same command for one secret.
pub(super) fn mask(secret: &Secret) -> Secret {
    let mut text = String::from("::add-mask::");
    push_command(&mut text, secret.expose());
    text.push('\n');
    Secret::new(text)
}

/// The runner takes `%25` for a percent sign.
fn push_command(text: &mut String, line: &str) {
    for part in line.split_inclusive('%') {
        text.push_str(part);
        if part.ends_with('%') {
            text.push_str("25");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale};
    use super::*;
    use crate::provider::aws::AWS;

    #[test]
    fn a_value_stands_between_two_delimiters_and_what_is_absent_is_emptied() {
        assert_eq!(
            lines(&aws(false), "E").expose(),
            "AWS_ACCESS_KEY_ID<<E\nASIARZKVVYOZ7ODGRLVU\nE\nAWS_SECRET_ACCESS_KEY<<E\n8+8UdWu4/nv0\nE\n\
             AWS_SESSION_TOKEN<<E\n\nE\nAWS_SECURITY_TOKEN<<E\n\nE\nAWS_CREDENTIAL_EXPIRATION<<E\n\nE\n"
        );
        assert_eq!(
            lines(&exoscale(), "E").expose(),
            "EXOSCALE_API_KEY<<E\nEXO1216fe31ae170c1d03\nE\nEXOSCALE_API_SECRET<<E\nsjEjWthov-naql9vmlDT_apg\nE\n\
             EXOSCALE_KEY<<E\n\nE\nEXOSCALE_SECRET<<E\n\nE\nEXOSCALE_SECRET_KEY<<E\n\nE\n"
        );
    }

    #[test]
    fn what_is_secret_and_long_enough_is_masked_and_nothing_else() {
        assert_eq!(masks(&aws(true)).expose(), "::add-mask::8+8UdWu4/nv0\n::add-mask::FQoGZX/+==\n");
        let mut short = aws(false);
        let secret = AWS.fields.iter().find(|field| field.name == "secret_key").unwrap();
        for (value, expected) in [("1234567", ""), ("12345678", "::add-mask::12345678\n")] {
            short.values = vec![(secret.clone(), Secret::new(value.into()))];
            assert_eq!(masks(&short).expose(), expected);
        }
    }
}
