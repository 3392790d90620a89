//! docs/configuration.md: every flag, variable and key of the configuration file, from the tables of the program.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use ci_creds::cli::Cli;
use ci_creds::{config, variables};
use clap::{Arg, Command, CommandFactory};

use super::{regenerates, setting};

const HEAD: &str = "\
# Configuration

<!-- CI_CREDS_REGENERATE=1 cargo test --test it completion -->

Most settings can be a flag, an environment variable or a key of the configuration file. A flag wins over a variable, a
variable wins over the file, and the file wins over the default. If a row names more than one variable, the first one
that is set counts.

* A blank variable counts as one that is not set. Blanks and line ends around a value are ignored.
* For each `VAULT_X`, `BAO_X` is read first.
* No flag and no key takes a secret. They name a file that holds it, or the variable that does. Setting both `VAULT_TOKEN`
  and `VAULT_TOKEN_FILE` is an error.
* A duration is a number of seconds, or `90s`, `20m`, `1h30m`, `1d`.
";

const FILE: &str = "
## Configuration file

ci-creds reads the file that `--config` or `CI_CREDS_CONFIG` names, or else `~/.config/ci-creds/config.toml`. It then reads
`/etc/ci-creds/config.toml` for the keys that the first file does not have. It looks for no file in the working directory,
and ignores the user's file if the home directory is inside the checkout. It refuses a file that other users can change.

The file is TOML. Keys of one cloud go into its table:

```toml
address = \"https://vault.example.com:8200\"
auth-role = \"deploy\"

[aws]
role = \"{project_id}-{environment}\"
region = \"eu-central-1\"
```

`allow-plaintext`, `insecure-skip-verify`, `redirect-hosts` and `allowed-origins` count only in a file that root alone can
change and that no variable names: `/etc/ci-creds/config.toml`, or the file of `--config`. In any other file they are an
error. These keys have no flag:

| key | meaning |
|---|---|
";

/// Keys that no flag has.
const KEYS: [(&str, &str); 11] = [
    ("renew-generator", "Renew a generator token before each login with it, as `--renew` does."),
    (
        "allowed-origins",
        "A list of URLs. ci-creds sends secrets to these servers and to this machine, and to no other server, whatever \
         `VAULT_ADDR` says.",
    ),
    ("[secret.NAME] path", "The path that `ci-creds secret NAME` reads."),
    ("[secret.NAME] env", "Variables, each with the field that it gets."),
    ("[secret.NAME] file", "Variables with the path of a private file, each with the field that the file gets."),
    ("[secret.NAME] body", "Parameters of the engine. They make the request a write."),
    ("[secret.NAME] method", "`read`, or `write` for a write without parameters."),
    ("[secret.NAME] kv", "The version of the KV engine: 1 or 2."),
    ("[secret.NAME] version", "The version of the secret in KV 2."),
    ("[secret.NAME] unset", "Variables to unset."),
    ("[secret.NAME] expires", "The field that says when the secret expires."),
];

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")
}

/// A flag, and the commands that have it.
struct Row {
    argument: Arg,
    commands: Vec<String>,
}

/// The flags of all commands, in the order of the help.
fn rows() -> Vec<Row> {
    fn collect(command: &Command, name: &str, rows: &mut Vec<Row>) {
        let own = |argument: &&Arg| {
            argument.get_long().is_some()
                && !argument.is_hide_set()
                && !["help", "version"].contains(&argument.get_id().as_str())
        };
        for argument in command.get_arguments().filter(own) {
            // A secret's --file is another one than a cloud's.
            let is_same = |row: &&mut Row| {
                row.argument.get_long() == argument.get_long()
                    && row.argument.get_value_names() == argument.get_value_names()
                    && (argument.get_help_heading() != Some("Token"))
            };
            match rows.iter_mut().find(is_same) {
                Some(row) => row.commands.push(name.to_owned()),
                None => rows.push(Row { argument: argument.clone(), commands: vec![name.to_owned()] }),
            }
        }
        for inner in command.get_subcommands() {
            collect(inner, format!("{name} {}", inner.get_name()).trim(), rows);
        }
    }
    let mut program = Cli::command();
    program.build();
    let mut rows = Vec::new();
    collect(&program, "", &mut rows);
    rows
}

/// The text of a cell: a bar would end it.
fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|")
}

fn code(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The words of all lists, and behind those of a single command the ones that all have: they count after these.
fn merge(lists: Vec<&[String]>) -> Vec<String> {
    let (common, own): (Vec<_>, Vec<_>) =
        lists.iter().copied().flatten().partition(|word| lists.iter().all(|list| list.contains(word)));
    let mut seen = BTreeSet::new();
    own.into_iter().chain(common).filter(|word| seen.insert(*word)).cloned().collect()
}

fn write_row(page: &mut String, Row { argument, commands }: &Row, clouds: &[&str]) {
    let flag = setting::name(argument);
    let short = argument.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let takes = argument.get_action().takes_values();
    let value = if takes { format!(" {}", setting::value_name(argument)) } else { String::new() };
    let everywhere = clouds.iter().all(|cloud| commands.iter().any(|command| command == cloud));
    let only = if everywhere { String::new() } else { format!(" ({})", commands.join(", ")) };
    let (meaning, default) = setting::meaning(argument);
    let others: Vec<_> = commands.iter().map(|command| setting::others(command, &flag)).collect();
    let variables = merge(others.iter().map(|others| &others.variables[..]).collect());
    let keys = merge(others.iter().map(|others| &others.keys[..]).collect());
    let values = argument.get_possible_values();
    let values: Vec<_> =
        values.iter().filter(|value| !value.is_hide_set() && takes).map(|value| value.get_name().to_owned()).collect();
    let values = if values.is_empty() { String::new() } else { format!(" One of {}.", code(&values)) };
    let _ = writeln!(
        page,
        "| {short}`{flag}{value}`{only} | {} | {} | {} | {} |",
        code(&variables),
        code(&keys),
        cell(&default.unwrap_or_default()),
        cell(&(meaning + &values))
    );
}

fn page() -> String {
    let clouds: Vec<_> = ci_creds::provider::CLOUDS.iter().map(|cloud| cloud.command).collect();
    let rows = rows();
    let mut headings: Vec<_> = rows.iter().map(|row| row.argument.get_help_heading()).collect();
    headings.sort_by_key(Option::is_none);
    let mut seen = BTreeSet::new();
    headings.retain(|heading| seen.insert(*heading));
    let mut page = HEAD.to_owned();
    for heading in headings {
        let _ = write!(page, "\n## {}\n\n", heading.unwrap_or("Other flags"));
        page.push_str("| flag | variable | key | default | meaning |\n|---|---|---|---|---|\n");
        for row in rows.iter().filter(|row| row.argument.get_help_heading() == heading) {
            write_row(&mut page, row, &clouds);
        }
    }
    page.push_str(FILE);
    for (key, meaning) in KEYS {
        let _ = writeln!(page, "| `{key}` | {meaning} |");
    }
    page.push_str("\n## Other variables\n\nThese have no flag.\n\n| variable | meaning |\n|---|---|\n");
    let told: BTreeSet<String> = told(&page);
    for variable in variables::GROUPS.iter().flat_map(|(_, rows)| *rows).filter(|row| !told.contains(row.name)) {
        let _ = writeln!(page, "| `{}` | {} |", variable.name, cell(variable.meaning));
    }
    let _ = writeln!(page, "| `{}` | Says that fish traces its commands, if it is exported. |", variables::FISH_TRACE);
    page
}

/// What stands in backticks in a table, before its last column.
fn told(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.flat_map(|row| row.split(" | ").take(3));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_configuration_page_is_made_of_the_programs_tables_and_names_everything() {
    let page = page();
    if regenerates() {
        std::fs::write(file(), &page).expect("the page");
    }
    let told = told(&page);
    for name in variables::ALL {
        assert!(told.contains(*name), "{name} is in no row");
    }
    for (table, key) in config::keys() {
        let key = if table.is_empty() { key.to_owned() } else { format!("[{table}] {key}") };
        assert!(told.contains(&key), "{key} is in no row");
    }
    let text = std::fs::read_to_string(file()).expect("docs/configuration.md");
    assert!(
        text == page,
        "docs/configuration.md is out of date: CI_CREDS_REGENERATE=1 cargo test --test it completion"
    );
}
