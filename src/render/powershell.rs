//! PowerShell, by `ci-creds … --format powershell | Out-String | Invoke-Expression`.
//!
//! Written to PowerShell's grammar and to what GitLab's runner does with it, not run here.

use super::shell::push_escaped;
use crate::credential::Credential;
use crate::error::Kind;
use crate::secret::Secret;

pub(super) fn assignments(credential: &Credential) -> Secret {
    let mut text = String::with_capacity(credential.capacity());
    text.push_str(&remove(&credential.stale_variables()));
    for (name, value) in credential.variables() {
        text.push_str("$env:");
        text.push_str(name);
        text.push_str(" = '");
        // PowerShell ends a text at each of these, and takes two of them for one.
        let quote = |c| match c {
            '\'' => "'",
            '\u{2018}' => "\u{2018}",
            '\u{2019}' => "\u{2019}",
            '\u{201a}' => "\u{201a}",
            '\u{201b}' => "\u{201b}",
            _ => "",
        };
        push_escaped(&mut text, value, quote);
        text.push_str("';\n");
    }
    Secret::new(text)
}

/// `throw` ends a script; at a prompt it is only a message.
pub(super) fn failure(stale: &[&str], kind: Kind) -> String {
    format!("{}throw 'ci-creds failed with exit code {}';\n", remove(stale), kind.code())
}

fn remove(names: &[&str]) -> String {
    names.iter().map(|name| format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue;\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::exoscale;
    use super::*;

    #[test]
    fn one_statement_a_line() {
        let text = assignments(&exoscale());
        let lines: Vec<_> = text.expose().lines().collect();
        assert_eq!(lines[0], "Remove-Item Env:EXOSCALE_KEY -ErrorAction SilentlyContinue;");
        assert_eq!(lines[7], "$env:EXOSCALE_API_KEY = 'EXO1216fe31ae170c1d03';");
        assert_eq!(lines[8], "$env:EXOSCALE_API_SECRET = 'sjEjWthov-naql9vmlDT_apg';");
        assert_eq!(lines.len(), 9);
        assert_eq!(
            failure(&["A"], Kind::Denied),
            "Remove-Item Env:A -ErrorAction SilentlyContinue;\nthrow 'ci-creds failed with exit code 77';\n"
        );
    }
}
