//! `KEY=VALUE` lines without quotes: docker's `--env-file`, systemd, GitLab's `$GITLAB_ENV`.
//!
//! Those readers disagree about quotes and escapes; inside our character sets none is needed.

use crate::credential::Credential;
use crate::secret::Secret;

pub(super) fn lines(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    for (name, value) in credential.variables() {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::exoscale;
    use super::*;

    #[test]
    fn a_line_each_and_no_quotes() {
        assert_eq!(
            lines(&exoscale()).expose(),
            "EXOSCALE_API_KEY=EXO1216fe31ae170c1d03\nEXOSCALE_API_SECRET=sjEjWthov-naql9vmlDT_apg\n"
        );
    }
}
