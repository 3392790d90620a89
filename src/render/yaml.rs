//! `config.yaml` as scw reads it: one key, outside of any profile.
//!
//! YAML of other hands is not edited. A file of our own is replaced, and it is known by its lines: nothing but these keys.

use super::pairs::Pairs;

/// Every key that such a file can have, from this program.
const KEYS: [&str; 6] =
    ["access_key", "secret_key", "default_project_id", "default_organization_id", "default_region", "default_zone"];

/// No value has a character that YAML would read otherwise inside quotes.
pub(super) fn write(text: &mut String, pairs: &Pairs<'_>) {
    for (key, value) in pairs {
        for part in [key, ": \"", value, "\"\n"] {
            text.push_str(part);
        }
    }
}

/// The file with this key in the place of the old one; all of it is appended to `new`.
///
/// # Errors
/// The file has something else in it.
pub(super) fn edit(new: &mut String, old: &str, pairs: &Pairs<'_>) -> Result<(), String> {
    let is_ours =
        |line: &str| line.trim_end().is_empty() || line.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key));
    match old.lines().position(|line| !is_ours(line)) {
        Some(index) => Err(format!("has in line {} what ci-creds did not write, and it edits no YAML", index + 1)),
        None => {
            write(new, pairs);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_our_own_is_replaced() {
        let pairs = [("access_key", "SCWNEW"), ("default_region", "fr-par")];
        let edited = |old: &str| {
            let mut new = String::new();
            edit(&mut new, old, &pairs).map(|()| new)
        };
        let text = "access_key: \"SCWNEW\"\ndefault_region: \"fr-par\"\n";
        for old in ["", "\n", text, "access_key: SCWOLD\r\nsecret_key: x\r\n"] {
            assert_eq!(edited(old).unwrap(), text, "{old:?}");
        }
        for old in ["# mine\n", "profiles:\n", "access_key: x\n  access_key: y\n", "send_telemetry: true\n", "---\n"] {
            let problem = edited(old).unwrap_err();
            assert!(problem.contains("did not write"), "{problem}");
        }
    }
}
