//! `KEY=VALUE` lines without quotes: docker's `--env-file`, systemd, GitLab's `$GITLAB_ENV`.
//!
//! Those readers disagree about quotes and escapes; inside our character sets none is needed.

use super::is_plain;
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

pub(super) fn lines(credential: &Credential) -> Result<Secret> {
    let mut text = String::with_capacity(credential.capacity());
    for (name, value) in credential.variables() {
        if credential.shape.mapping.is_some() && !is_plain(value) {
            return Err(Error::new(
                Kind::Data,
                format!("{name} has a character that the readers of dotenv files read differently: it was not printed"),
            )
            .hint("use --format json or --format shell, or put the value into a private file: --file VAR=FIELD"));
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::super::tests::exoscale;
    use super::*;

    #[test]
    fn a_line_each_and_no_quotes() {
        assert_eq!(
            lines(&exoscale()).unwrap().expose(),
            "EXOSCALE_API_KEY=EXO1216fe31ae170c1d03\nEXOSCALE_API_SECRET=sjEjWthov-naql9vmlDT_apg\n"
        );
    }
}
