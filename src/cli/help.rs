//! The text below the flags in each help: examples, and the variables that matter.

use std::fmt::Write;

use crate::provider::cloud::{Cloud, Location};

pub(super) const ALL: &str = "\
Examples:
  eval $(ci-creds exoscale --role deploy || echo false)    # in a CI job
  ci-creds help exoscale

VAULT_ADDR is Vault's address. What the job logs in with is another variable:
VAULT_ID_TOKEN, VAULT_TOKEN, or VAULT_ROLE_ID with VAULT_SECRET_ID or
VAULT_WRAPPING_TOKEN. Flags may stand before the command or behind it.";

pub(super) const EXEC: &str = "\
Examples:
  ci-creds exec exoscale --role deploy -- terraform apply
  ci-creds exec vault -- vault kv get secret/app

VAULT_ADDR is Vault's address. The login has the variables of ci-creds(1).";

pub(super) const SECRET: &str = "\
Examples:
  eval $(ci-creds secret db || echo false)
  ci-creds secret --path secret/data/ci --env NPM_TOKEN=token --format json

A name is a section of the configuration file: [secret.db] with path and env.
VAULT_ADDR is Vault's address. The login has the variables of ci-creds(1).";

pub(super) const DOCTOR: &str = "\
Examples:
  ci-creds doctor exoscale --role deploy
  ci-creds doctor secret db --format json

Pass the flags and set the variables of the run that fails. doctor creates no
credential, uses no single-use secret, and revokes what it logs in with. It
exits with the code of the first step that fails, or with 0.";

pub(super) const REVOKE: &str = "\
Examples:
  ci-creds revoke    # in after_script
  ci-creds revoke --all-mine

VAULT_ADDR and the variables of the login must be those of the calls that made
the credentials.";

pub(super) const CACHE: &str = "\
Examples:
  ci-creds cache
  ci-creds cache clear

XDG_RUNTIME_DIR is where the cache lies, or else XDG_CACHE_HOME.";

pub(super) const CLEAR: &str = "\
Examples:
  ci-creds cache clear
  ci-creds cache clear --all

VAULT_ADDR and the variables of the login must be those of the calls that
filled the cache: only the same secret opens an entry.";

pub(super) const TOKEN: &str = "\
Examples:
  eval $(ci-creds token --ttl 15m || echo false)
  ci-creds token renew

The login has the variables of every other command. renew and rotate take the
token in VAULT_TOKEN.";

pub(super) const TOKEN_RENEW: &str = "\
Examples:
  ci-creds token renew
  ci-creds token renew --token-file /run/secrets/vault-token

VAULT_ADDR is Vault's address, and VAULT_TOKEN the token.";

pub(super) const TOKEN_ROTATE: &str = "\
Examples:
  ci-creds token rotate --token-role ci-generator --gitlab-variable VAULT_TOKEN \\
      --gitlab-token-env ROTATION_TOKEN
  ci-creds token rotate --token-role ci-generator --gitlab-variable VAULT_TOKEN \\
      --gitlab-token-file /run/secrets/gitlab-token --grace 30m

CI_API_V4_URL and CI_PROJECT_ID, which GitLab sets in a job, name the variable.";
pub(super) const WHOAMI: &str = "\
Examples:
  ci-creds whoami
  ci-creds whoami --format json

VAULT_ADDR is Vault's address. The login has the variables of ci-creds(1).";

pub(super) const POLICY: &str = "\
Examples:
  ci-creds policy exoscale --role deploy --auth id-token
  ci-creds policy secret db --auth secret-id --format terraform

It sends no request. The variables of ci-creds(1) count as in the run itself.";

pub(super) const EXPLAIN: &str = "\
Examples:
  ci-creds explain 77
  ci-creds explain denied

A whole error line of ci-creds or of Vault finds its cause, and the change.
It needs no configuration, no login and no network.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  source <(ci-creds completions bash)
  ci-creds completions fish > ~/.config/fish/completions/ci-creds.fish";

pub(super) const MAN: &str = "\
Examples:
  ci-creds man | man -l -
  ci-creds man > /usr/local/share/man/man1/ci-creds.1";

pub(super) const HELP: &str = "\
Examples:
  ci-creds help cache
  ci-creds help cache clear";

pub(super) const VERSION: &str = "\
Examples:
  ci-creds version
  ci-creds -V    # the number alone";

/// Below the flags of a cloud's command.
pub(super) fn of_cloud(cloud: &Cloud) -> String {
    let mut text = String::from("Examples:\n");
    for example in cloud.examples {
        // Into memory that is there.
        let _ = writeln!(text, "  {example}");
    }
    let rows = [
        ("VAULT_ADDR", "Vault's address"),
        ("VAULT_ID_TOKEN", "the job's ID token, with VAULT_AUTH_ROLE"),
        ("VAULT_ROLE_ID", "with VAULT_SECRET_ID or VAULT_WRAPPING_TOKEN"),
        ("VAULT_TOKEN", "a Vault token"),
        match cloud.location {
            Location::Role { role_variable, .. } => (role_variable, "the role, where --role is not given"),
            Location::Path(setting) => {
                (setting.variables.first().copied().unwrap_or_default(), "the path, where --path is not given")
            }
        },
    ];
    text.push_str("\nVariables:");
    for (name, meaning) in rows {
        let _ = write!(text, "\n  {name:23} {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::super::command::rows;
    use super::super::{Cli, Stop, parse_arguments};

    fn help(line: &str) -> String {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        match parse_arguments(&arguments) {
            Err(Stop::Text(text)) => text,
            _ => panic!("{line} is no help"),
        }
    }

    fn commands() -> Vec<String> {
        let inner = ["".to_owned(), "cache clear".to_owned()];
        rows().map(|row| row.name.to_owned()).chain(inner).collect()
    }

    #[test]
    fn the_short_help_of_each_command_fits_on_a_screen() {
        for command in commands() {
            let text = help(&format!("ci-creds {command} -h"));
            // The list of commands is the longest.
            assert!(text.lines().count() <= 36, "{command}: {} lines:\n{text}", text.lines().count());
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{command}: {line}");
            }
            let examples = text.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{command} has no example"));
            let examples = examples.lines().take_while(|line| !line.is_empty());
            assert_eq!(examples.filter(|line| line.contains("ci-creds ")).count(), 2, "{command}: {text}");
        }
    }

    #[test]
    fn the_long_help_of_each_command_is_whole_and_80_columns_wide() {
        let mut program = Cli::command();
        program.build();
        for command in commands() {
            let text = help(&format!("ci-creds {command} --help"));
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{command}: {line}");
            }
            let words = command.split_whitespace();
            let found = words.fold(&program, |found, word| found.find_subcommand(word).unwrap());
            for flag in found.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(text.contains(&format!("--{flag}")), "{command}: no --{flag} in:\n{text}");
            }
        }
    }

    #[test]
    fn the_examples_are_lines_that_the_program_takes() {
        for command in commands() {
            let text = help(&format!("ci-creds {command} -h"));
            let examples = text.split("Examples:\n").nth(1).unwrap_or_default().lines().take(2);
            for line in examples.map(|line| line.split_once("ci-creds ").map_or("", |(_, rest)| rest)) {
                let words = line.split([' ', ')']).take_while(|word| !["||", "|", ">", "#", ""].contains(word));
                let arguments: Vec<_> = ["ci-creds"].into_iter().chain(words).map(OsString::from).collect();
                assert!(!matches!(parse_arguments(&arguments), Err(Stop::Mistake(_))), "{line}");
            }
        }
    }
}
