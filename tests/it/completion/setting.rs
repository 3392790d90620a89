//! Each flag with the variables and the key that say the same, from the tables of the program.

use ci_creds::cli::Cli;
use ci_creds::identity::{AuthMethod, Input};
use ci_creds::provider::CLOUDS;
use ci_creds::{config, variables};
use clap::{Arg, CommandFactory};

use crate::support::{AUDIENCE, Run, World};

/// What says the same as a flag.
pub struct Others {
    /// The first one that is set counts.
    pub variables: Vec<String>,
    /// Each as `ttl`, or as `[aws] ttl`.
    pub keys: Vec<String>,
}

/// What says the same as this flag of a command.
pub fn others(command: &str, flag: &str) -> Others {
    let name = flag.trim_start_matches('-');
    let cloud = CLOUDS.into_iter().find(|cloud| cloud.command == command);
    let input = Input::ALL.into_iter().find(|input| input.key() == name);
    let methods = || AuthMethod::ALL.into_iter().map(AuthMethod::needs);
    let before: Vec<&str> = match (flag, cloud) {
        ("--role", Some(cloud)) => cloud.engine_variables().map(|(role, _)| role).into_iter().collect(),
        ("--mount", Some(cloud)) => cloud.engine_variables().map(|(_, mount)| mount).into_iter().collect(),
        (_, Some(cloud)) => {
            let own = cloud.settings.iter().filter(|setting| setting.flag == flag);
            own.flat_map(|setting| setting.variables).copied().collect()
        }
        _ => Vec::new(),
    };
    let after: Vec<&str> = match flag {
        "--auth-role" => methods().filter_map(|needs| needs.role).collect(),
        "--auth-mount" => methods().filter_map(|needs| needs.mount_variable).collect(),
        _ => Vec::new(),
    };
    let mut names: Vec<_> = before.into_iter().chain(variables::of_flag(flag).iter().copied()).chain(after).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let mut variables: Vec<_> = names.into_iter().map(str::to_owned).collect();
    if let Some(input) = input {
        variables.extend([input.variable().to_owned(), format!("{}_FILE", input.variable())]);
    }
    // A flag that may stand more than once is a list in the file: `redirect-hosts`.
    let is_it = |table: &str, key: &str| {
        (table.is_empty() || table == command) && (key == name || key.strip_suffix('s') == Some(name))
    };
    let keys = config::keys().into_iter().filter(|(table, key)| is_it(table, key));
    let keys = keys.map(|(table, key)| if table.is_empty() { key.to_owned() } else { format!("[{table}] {key}") });
    Others { variables, keys: keys.collect() }
}

/// A flag with its dashes, or the name of what stands without one.
pub fn name(argument: &Arg) -> String {
    argument.get_long().map_or_else(|| value_name(argument), |long| format!("--{long}"))
}

/// What a flag takes: `PATH`.
pub fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| argument.get_id().as_str().to_uppercase(), |name| name.as_str().to_owned())
}

/// The help of an argument as sentences, and the default, which the help has in brackets at the end of a paragraph.
pub fn meaning(argument: &Arg) -> (String, Option<String>) {
    // clap's own long text of these speaks of its short one.
    let long = argument.get_long_help().filter(|_| !["help", "version"].contains(&argument.get_id().as_str()));
    let help = long.or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut default = None;
    let paragraphs = help.split("\n\n").map(|paragraph| {
        let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((before, rest)) = text.split_once(" [default: ") else { return sentence(&text) };
        let (found, after) = rest.split_once(']').expect("a bracket that is closed");
        default = Some(found.to_owned());
        sentence(&format!("{before}{after}"))
    });
    (paragraphs.collect::<Vec<_>>().join(" "), default)
}

/// With a full stop at its end.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// What a variable says that GitLab does not know: reading it is an error that names both.
const UNKNOWN: &str = "$NOWHERE";

#[test]
fn each_variable_of_a_flag_is_read_and_the_flag_wins() {
    let world = World::start();
    let mut program = Cli::command();
    program.build();
    for cloud in CLOUDS {
        // Whatever else is said, the run ends before its first request, and after everything else was read.
        let line = match cloud.command {
            "aws" => "aws --ttl never",
            "exoscale" => "exoscale --zone ,",
            "scaleway" => "scaleway --zone ,",
            other => panic!("which flag of {other} is read last?"),
        };
        // A proxy and a CA are for https to another machine.
        let mut identities = ["token", "wrapping-token", "id-token"]
            .map(|method| world.command_as(method, line).env("VAULT_ADDR", AUDIENCE))
            .to_vec();
        let aws = world.command(line).env("VAULT_ADDR", AUDIENCE).env("CI_CREDS_AUTH", "aws");
        identities.push(aws.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x"));
        let command = program.find_subcommand(cloud.command).expect("the command");
        let flags = command.get_arguments().filter(|argument| argument.get_long().is_some());
        for (flag, value) in flags.map(|argument| {
            let values = argument.get_possible_values();
            (name(argument), values.first().map_or("x", |value| value.get_name()).to_owned())
        }) {
            for variable in others(cloud.command, &flag).variables {
                let reads = |run: &Run, flags: &[&str]| {
                    let run = run.clone().env(&variable, UNKNOWN);
                    let run = if variable == "VAULT_SERVER_URL" { run.without("VAULT_ADDR") } else { run };
                    let ran = flags.iter().fold(run, |run, flag| run.arg(flag)).run();
                    assert_ne!(ran.code, 0, "{ran:?}");
                    ran.stderr.contains(&UNKNOWN[1..]) && ran.stderr.contains(&variable)
                };
                let is_read = |flags: &[&str]| identities.iter().any(|run| reads(run, flags));
                assert!(is_read(&[]), "{variable} is not read in place of {flag}");
                assert!(!is_read(&[&flag, &value]), "{variable} wins over {flag}");
            }
        }
    }
    assert_eq!(world.requests(), [""; 0]);
}
