//! The manual pages: one for the program, one for each command. Flags, variables and exit codes are the program's own
//! tables; files, examples and descriptions stand here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::Output;

use ci_creds::cli::{self, Cli, Stop};
use ci_creds::error::Kind;
use ci_creds::identity::Input;
use ci_creds::variables;
use clap::{Arg, Command, CommandFactory};

use super::folder;
use super::setting::{self, Others};
use crate::support::tool;

/// A page.
pub struct Page {
    /// The command; `None` for the program's own page.
    pub command: Option<String>,
    /// The page in roff.
    pub text: String,
}

impl Page {
    /// Its file in completions/.
    pub fn file(&self) -> String {
        match &self.command {
            Some(command) => format!("ci-creds-{command}.1"),
            None => "ci-creds.1".into(),
        }
    }
}

/// Every page, the program's first.
pub fn all() -> Vec<Page> {
    let mut program = Cli::command();
    program.build();
    let own = Page { command: None, text: of_program(&program) };
    let others = commands(&program)
        .map(|command| Page { command: Some(command.get_name().to_owned()), text: of_command(&program, command) });
    std::iter::once(own).chain(others).collect()
}

fn commands(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set())
}

/// What a command does, in more words than its line in the help.
const DESCRIPTIONS: &[(&str, &str)] = &[
    (
        "",
        "ci-creds logs in to HashiCorp Vault or OpenBao with what a CI job has, reads one short-lived credential of \
         Exoscale, AWS or Scaleway, and hands it to the shell, to a file or to the tools of the cloud. If it cannot, the job fails.\n\
         It uses the first authentication method whose inputs are set. Flags win over environment variables, and variables \
         win over the configuration file. No flag takes a secret: a flag names a variable or a file.",
    ),
    (
        "exoscale",
        "ci-creds exoscale reads exoscale/apikey/ROLE and prints the API key for the shell. With --sos, it prints the same key \
         for the tools of AWS, which reach Exoscale's object storage with it.",
    ),
    (
        "aws",
        "ci-creds aws reads aws/sts/ROLE, or aws/creds/ROLE with --via creds, and prints the credentials for the shell.",
    ),
    (
        "scaleway",
        "ci-creds scaleway reads a key that a KV engine stores, version 1 or 2, and prints it for the shell. With --s3, it prints \
         the same key for the tools of AWS, which reach Scaleway's object storage with it.\n\
         The secret has the fields access_key and secret_key, and may have project_id, organization_id, region, zone and \
         expires_at. Nothing revokes a stored key.",
    ),
    (
        "cache",
        "The cache holds the credentials of --cache and of --format process, encrypted with a key that is made of the secret \
         of the login. ci-creds cache lists the entries. ci-creds cache clear revokes their leases and removes them: call it \
         with the variables and flags of the calls that made them.",
    ),
    (
        "whoami",
        "ci-creds whoami prints who the job is to Vault: address, namespace, server, login, policies, and when the token \
         expires. It logs in only if that spends nothing, and revokes that login. It looks a wrapping token up, and does not \
         unwrap it. It does not send a secret ID, which may be good for one login.",
    ),
    (
        "policy",
        "ci-creds policy prints what an operator sets up for a run: the least policy of the job's token, and the role that \
         the job logs in by. It takes the flags and variables of the run, but for those of its output. It sends no request \
         and needs no secret. If an ID token is set, its claims bind the role. What is not known is a name in capitals, \
         such as AUDIENCE, which the first lines explain.\n\
         The policy has one right for each request that the run sends, and the role leaves the default policy out. The \
         script writes the policies and the role. It does not mount the engine or the login. The commands that print a \
         secret stand in it as comments.",
    ),
    (
        "explain",
        "ci-creds explain prints the page of an exit code, of a kind of error, or of an error that was printed: what it means, \
         the usual causes, and the change for each. TEXT can be an error line of ci-creds, several lines of a log, or what \
         Vault itself prints. It reads no configuration and asks no server.",
    ),
    ("completions", "ci-creds completions prints a script that completes commands, flags, values, files and profiles."),
    ("man", "ci-creds man prints a manual page in roff. Without a command, it prints the page of the program."),
    (
        "exec",
        "ci-creds exec logs in once, reads one credential for each PROVIDER, and runs COMMAND with them in its environment. The \
         provider vault hands over the Vault token itself. ci-creds renews the leases while the command runs, and revokes \
         them and its own login when the command ends.\n\
         The command keeps the terminal and the process group of ci-creds, and gets each signal once. It gets no secret and no \
         setting of ci-creds.",
    ),
    (
        "secret",
        "ci-creds secret reads a path of any engine, and puts fields of the answer into variables, or into private files whose \
         paths are in variables. Each NAME is a section [secret.NAME] of the configuration file; --path, --env and --file say \
         the same without a section. Several names are one login: if one fails, the others are revoked.\n\
         A field is a key of the answer, or a JSON pointer, which begins with a slash.",
    ),
    (
        "doctor",
        "ci-creds doctor examines each step of a run with these flags and variables, and prints what it found: the values and \
         where they come from, the server, the identity, the login, the token, the engine and the policy. Under a step that fails \
         it prints what to change. It creates no credential, uses no single-use secret, and revokes what it logs in with. The \
         exit code is that of the first step that fails, or 0.",
    ),
    (
        "revoke",
        "ci-creds revoke revokes every credential and every login that the calls of this job noted or cached: in after_script, in \
         another shell or another container. It never revokes a Vault token that you supply. It prints nothing if there is \
         nothing to do.",
    ),
    (
        "token",
        "ci-creds token alone makes a child of the login's Vault token, and prints it as VAULT_TOKEN beside VAULT_ADDR. \
         ci-creds token renew renews the Vault token that the job logs in with, and prints when it expires. ci-creds token rotate \
         makes a new token with a token role, checks it, and stores it in a CI/CD variable of GitLab in place of the old \
         one. At every moment the variable holds a token that works.\n\
         Exit code 80 says that a token may be left, or that it is not known which one is stored. The message names the \
         accessors.",
    ),
];

/// Command lines and what each does, by command.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("", "eval $(ci-creds exoscale --role deploy || echo false)", "Get an Exoscale API key for the rest of a job."),
    ("", "eval $(ci-creds aws --role deploy || echo false)", "Get AWS credentials for the rest of a job."),
    (
        "",
        "credential_process = ci-creds aws --format process --role deploy",
        "In ~/.aws/config: every tool of AWS calls ci-creds.",
    ),
    (
        "exoscale",
        "eval $(ci-creds exoscale --role deploy || echo false)",
        "Get an API key. The job fails if there is none.",
    ),
    (
        "exoscale",
        "eval $(ci-creds exoscale --sos --zone ch-gva-2 || echo false)",
        "Get the key and the endpoint for the object storage.",
    ),
    (
        "exoscale",
        "ci-creds exoscale --file ~/.config/exoscale/exoscale.toml",
        "Write the key into an account of the exo CLI.",
    ),
    (
        "aws",
        "eval $(ci-creds aws --role deploy --region eu-west-1 || echo false)",
        "Get STS credentials, and set the region.",
    ),
    (
        "aws",
        "eval $(ci-creds aws --via creds --wait-ready || echo false)",
        "Get the key of a new IAM user, and wait until AWS knows it.",
    ),
    ("aws", "ci-creds aws --role {project_id}-{environment} --format json", "Take the role from the job's ID token."),
    ("aws", "ci-creds aws --profile deploy --file ~/.aws/credentials", "Write the credentials into a profile."),
    (
        "scaleway",
        "eval $(ci-creds scaleway --path secret/data/scw/ci || echo false)",
        "Get a stored key. The job fails if there is none.",
    ),
    ("scaleway", "ci-creds scaleway --path secret/data/scw/ci --file config.yaml", "Write the key as a file of scw."),
    ("cache", "ci-creds cache", "List the entries."),
    ("cache", "ci-creds cache clear", "In after_script: end what the job has cached."),
    ("explain", "ci-creds explain 77", "What the exit code means, and every cause that a server tells."),
    ("explain", "ci-creds explain - < job.log", "Find the errors in a log, and the change for each."),
    ("completions", "ci-creds completions bash > /etc/bash_completion.d/ci-creds", "Install the script of bash."),
    ("man", "ci-creds man aws | man -l -", "Read the page of ci-creds aws."),
    (
        "exec",
        "ci-creds exec exoscale --role deploy -- terraform apply",
        "Run a command with an API key that is revoked when it ends.",
    ),
    ("exec", "ci-creds exec vault -- vault kv get secret/app", "Run a command with the Vault token of the login."),
    (
        "secret",
        "eval $(ci-creds secret db || echo false)",
        "Set the variables of [secret.db] of the configuration file.",
    ),
    (
        "secret",
        "ci-creds secret --path ssh/creds/ci --set ip=10.0.0.1 --env OTP=key",
        "Write to an engine, and set a variable to a field.",
    ),
    ("whoami", "ci-creds whoami", "Print who the job is."),
    ("whoami", "ci-creds whoami --format json", "Print the same as one JSON object."),
    (
        "policy",
        "ci-creds policy exoscale --role deploy --auth id-token --auth-role ci",
        "Print the policy and the JWT role of a job.",
    ),
    (
        "policy",
        "ci-creds policy aws --role deploy --auth secret-id --format terraform",
        "Print the policy and the AppRole as Terraform.",
    ),
    ("policy", "ci-creds policy secret db --format hcl", "Print the policy of a secret of the configuration file."),
    ("doctor", "ci-creds doctor aws --role deploy", "Find out why ci-creds aws --role deploy fails."),
    ("doctor", "ci-creds doctor exoscale --role deploy --report", "Print the same as Markdown for a ticket."),
    ("doctor", "ci-creds doctor secret db", "Find out why ci-creds secret db fails."),
    ("revoke", "ci-creds revoke", "Revoke what the job made, in its after_script."),
    ("revoke", "ci-creds revoke --all-mine", "Revoke at a desk what your login made in any job."),
    ("token", "ci-creds token renew", "Renew the generator token of the job."),
];

/// The files that are read or written, and when.
pub const FILES: [(&str, &str); 9] = [
    (
        "~/.config/ci-creds/config.toml",
        "The user's configuration file. The flag --config or CI_CREDS_CONFIG names another one.",
    ),
    ("/etc/ci-creds/config.toml", "The administrator's configuration file. It is read after the user's."),
    (
        "$XDG_RUNTIME_DIR/ci-creds, ~/.cache/ci-creds",
        "The cache. The second one is used if XDG_RUNTIME_DIR is not set.",
    ),
    (
        "$TMPDIR/ci-creds.*, /tmp/ci-creds.*",
        "Private files of --format file, of --via-file, and of jobs that trace their commands.",
    ),
    (
        "~/.vault-token, ~/.vault, ~/.bao",
        "The token of vault login, and the files that name a token helper. They are read if no other input of a login is set.",
    ),
    (
        "~/.aws/credentials, ~/.aws/config",
        "The profiles of AWS. Only the file that --file names is edited, and the config file never is.",
    ),
    ("~/.config/exoscale/exoscale.toml", "The accounts of the exo CLI. It is edited if --file names it."),
    (
        "~/.config/scw/config.yaml",
        "The key of scw. It is written if --file names it, and replaced if ci-creds wrote it.",
    ),
    ("FILE.lock", "The lock beside a file that --file names."),
];

/// Text as roff takes it: no line is a request, and no hyphen is made another sign.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A paragraph: a sentence a line, as roff wants it.
fn paragraph(text: &str) -> String {
    escape(text.trim()).replace(". ", ".\n").replace("\n'", "\n\\&'").replace("\n.", "\n\\&.") + "\n"
}

fn section(page: &mut String, title: &str) {
    let _ = writeln!(page, ".SH {}", quoted(title));
}

fn quoted(title: &str) -> String {
    if title.contains(' ') { format!("\"{}\"", escape(title)) } else { escape(title) }
}

/// A term and what it means.
fn item(page: &mut String, term: &str, text: &str) {
    let _ = write!(page, ".TP\n{term}\n{}", paragraph(text));
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escape(text))
}

fn head(program: &Command, name: &str, about: &str) -> String {
    let version = program.get_version().expect("a version");
    let about = sentence_case(about.trim_end_matches('.'));
    format!(
        ".TH {} 1 \"\" \"ci\\-creds {}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        escape(&name.to_uppercase()),
        escape(version),
        escape(name),
        escape(&about)
    )
}

/// `Fetch AWS …` is `fetch AWS …` behind a dash.
fn sentence_case(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.as_str().starts_with(|c: char| c.is_lowercase()) => {
            format!("{}{}", first.to_lowercase(), letters.as_str())
        }
        _ => text.to_owned(),
    }
}

fn synopsis(page: &mut String, line: &str, command: &Command) {
    let _ = write!(page, "{}", bold(line));
    if command.get_arguments().any(|argument| !argument.is_positional()) {
        page.push_str(" [\\fIOPTION\\fR]...");
    }
    for argument in command.get_positionals() {
        let many = argument.get_num_args().is_some_and(|count| count.max_values() > 1);
        let separator = if argument.is_last_set() { "\\-\\- " } else { "" };
        let name = format!("{separator}{}{}", italic(&setting::value_name(argument)), if many { "..." } else { "" });
        let _ = if argument.is_required_set() { write!(page, " {name}") } else { write!(page, " [{name}]") };
    }
    page.push('\n');
}

fn description(page: &mut String, command: &str, about: &str) {
    section(page, "DESCRIPTION");
    let found = DESCRIPTIONS.iter().find(|(name, _)| *name == command);
    let text = found.map_or_else(|| setting::sentence(about), |(_, text)| (*text).to_owned());
    page.push_str(&text.split('\n').map(paragraph).collect::<Vec<_>>().join(".PP\n"));
}

/// The arguments by their headings, in the order of the help.
fn options(page: &mut String, title: &str, name: &str, command: &Command) {
    let arguments: Vec<_> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    if arguments.is_empty() {
        return;
    }
    section(page, title);
    let mut headings: Vec<_> = arguments.iter().map(|argument| argument.get_help_heading()).collect();
    headings.sort_by_key(Option::is_some);
    let mut seen = Vec::new();
    for heading in headings {
        if seen.contains(&heading) {
            continue;
        }
        seen.push(heading);
        if let Some(heading) = heading {
            let _ = writeln!(page, ".SS {}", quoted(heading));
        }
        for argument in arguments.iter().filter(|argument| argument.get_help_heading() == heading) {
            option(page, name, argument);
        }
    }
}

fn option(page: &mut String, command: &str, argument: &Arg) {
    let short = argument.get_short().map(|short| bold(&format!("-{short}")));
    let long = argument.get_long().map(|long| bold(&format!("--{long}")));
    let mut term = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if argument.is_positional() || argument.get_action().takes_values() {
        term = format!("{term} {}", italic(&setting::value_name(argument))).trim_start().to_owned();
    }
    let (mut text, default) = setting::meaning(argument);
    if let Some(default) = default {
        let _ = write!(text, " The default is {default}.");
    }
    let Others { variables, keys } = setting::others(command, &setting::name(argument));
    match variables.as_slice() {
        [] => {}
        [one] => text.push_str(&format!(" The variable is {one}.")),
        many => text.push_str(&format!(" The variables are {}.", many.join(", "))),
    }
    if let Some(key) = keys.first() {
        let _ = write!(text, " The key of the configuration file is {key}.");
    }
    let values = argument.get_possible_values();
    let shown: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    let explained = shown.iter().any(|value| value.get_help().is_some());
    if !explained && !shown.is_empty() {
        let names: Vec<_> = shown.iter().map(|value| value.get_name()).collect();
        let _ = write!(text, " One of {}.", names.join(", "));
    }
    item(page, &term, &text);
    if explained {
        page.push_str(".RS\n");
        for value in shown {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            item(page, &bold(value.get_name()), &setting::sentence(&help));
        }
        page.push_str(".RE\n");
    }
}

fn examples(page: &mut String, command: &str) {
    let mut rows = EXAMPLES.iter().filter(|(name, ..)| *name == command).peekable();
    if rows.peek().is_none() {
        return;
    }
    section(page, "EXAMPLES");
    for (index, (_, line, text)) in rows.enumerate() {
        if index > 0 {
            page.push_str(".PP\n");
        }
        let _ = write!(page, "{}.PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", paragraph(text), escape(line));
    }
}

fn of_program(program: &Command) -> String {
    let about = program.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = head(program, "ci-creds", &about);
    section(&mut page, "SYNOPSIS");
    let _ = writeln!(page, "{} [\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIOPTION\\fR]...", bold("ci-creds"));
    description(&mut page, "", &about);
    section(&mut page, "COMMANDS");
    for command in commands(program) {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let text = format!("{} See ci-creds-{name}(1).", setting::sentence(&about));
        item(&mut page, &bold(&format!("ci-creds {name}")), &text);
    }
    options(&mut page, "OPTIONS", "", program);
    environment(&mut page);
    section(&mut page, "FILES");
    for (path, text) in FILES {
        item(&mut page, &italic(path), text);
    }
    section(&mut page, "EXIT STATUS");
    item(&mut page, &bold("0"), "The credential was delivered, or the command has printed what it is for.");
    for kind in Kind::ALL {
        item(&mut page, &format!("{} ({})", bold(&kind.code().to_string()), escape(kind.name())), kind.meaning());
    }
    item(&mut page, &format!("{} + \\fIn\\fR", bold("128")), Kind::Ended(0).meaning());
    examples(&mut page, "");
    see_also(&mut page, program, None);
    page
}

fn environment(page: &mut String) {
    section(page, "ENVIRONMENT");
    page.push_str(&paragraph("A blank variable counts as one that is not set. For each VAULT_X, BAO_X is read first."));
    let names: Vec<_> = Input::ALL.iter().map(|input| input.variable()).collect();
    page.push_str(&paragraph(&format!(
        "Each of {} has a twin that names a file, such as VAULT_TOKEN_FILE. Setting both is an error.",
        names.join(", ")
    )));
    for (group, rows) in variables::GROUPS {
        let _ = writeln!(page, ".SS {group}");
        for variable in *rows {
            item(page, &bold(variable.name), variable.meaning);
        }
        if *group == "Job" {
            item(page, &bold(variables::FISH_TRACE), "Says that fish traces its commands, if it is exported.");
        }
    }
}

fn of_command(program: &Command, command: &Command) -> String {
    let name = command.get_name();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut page = head(program, &format!("ci-creds-{name}"), &about);
    let line = format!("ci-creds {name}");
    section(&mut page, "SYNOPSIS");
    synopsis(&mut page, &line, command);
    for inner in command.get_subcommands() {
        page.push_str(".br\n");
        synopsis(&mut page, &format!("{line} {}", inner.get_name()), inner);
    }
    description(&mut page, name, &about);
    options(&mut page, "OPTIONS", name, command);
    for inner in command.get_subcommands() {
        let title = format!("OPTIONS OF {} {}", name.to_uppercase(), inner.get_name().to_uppercase());
        options(&mut page, &title, name, inner);
    }
    section(&mut page, "ENVIRONMENT");
    page.push_str(&paragraph(
        "Each option names the variables that say the same. ci-creds(1) lists all variables and files.",
    ));
    section(&mut page, "EXIT STATUS");
    page.push_str(&paragraph(if name == "exec" {
        "The exit code is that of COMMAND. If a signal ends COMMAND, it ends ci-creds too. The code is 125 if ci-creds failed \
         before COMMAND started, 126 if COMMAND cannot be run, and 127 if there is none. With --strict-revoke it is 80 if a \
         revocation failed."
    } else {
        "The exit code is 0 after a success. ci-creds(1) lists the other codes."
    }));
    examples(&mut page, name);
    see_also(&mut page, program, Some(name));
    page
}

fn see_also(page: &mut String, program: &Command, own: Option<&str>) {
    section(page, "SEE ALSO");
    let names = commands(program).map(Command::get_name).filter(|name| Some(*name) != own);
    let names = names.map(|name| format!("ci-creds-{name}"));
    let all: Vec<_> = own.map(|_| "ci-creds".to_owned()).into_iter().chain(names).collect();
    let references: Vec<_> = all.iter().map(|name| format!("{}(1)", bold(name))).collect();
    let _ = writeln!(page, "{}", references.join(",\n"));
}

/// Runs a program with a page on its stdin: another test may be writing the page's file.
fn feed(page: &Page, command: &mut std::process::Command) -> Output {
    let mut text = tempfile::tempfile().expect("a file");
    text.write_all(page.text.as_bytes()).and_then(|()| text.rewind()).expect("the page");
    command.stdin(text).output().expect("an output")
}

/// A page as a reader of 80 columns sees it. Hyphens of roff are those of ASCII, so that flags are found.
fn shown(man: &Path, page: &Page) -> String {
    let mut command = std::process::Command::new(man);
    command.args(["--warnings", "-E", "ascii", "-l", "-"]).env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
    let output = feed(page, &mut command);
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {output:?}", page.file());
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn each_page_fits_80_columns_and_has_every_flag_variable_and_exit_code() {
    let Some(man) = tool::find("man") else { return };
    let mut program = Cli::command();
    program.build();
    for page in all() {
        let text = shown(&man, &page);
        let words: BTreeSet<_> = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).collect();
        let has = |word: &str| assert!(words.contains(word), "{word} is not in {}", page.file());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", page.file());
        }
        let Some(name) = &page.command else {
            variables::ALL.iter().chain(&[variables::FISH_TRACE]).for_each(|name| has(name));
            Kind::ALL.iter().for_each(|kind| has(&kind.code().to_string()));
            for title in ["ENVIRONMENT", "FILES", "EXIT", "EXAMPLES"] {
                assert!(text.lines().any(|line| line.starts_with(title)), "no section {title}");
            }
            continue;
        };
        let command = program.find_subcommand(name).expect("the command");
        for argument in command.get_subcommands().chain([command]).flat_map(Command::get_arguments) {
            has(&setting::name(argument));
            setting::others(name, &setting::name(argument)).variables.iter().for_each(|name| has(name));
        }
    }
}

#[test]
fn mandoc_finds_nothing_wrong_with_a_page() {
    let Some(mandoc) = tool::find("mandoc") else { return };
    for page in all() {
        let mut command = std::process::Command::new(&mandoc);
        let output = feed(&page, command.args(["-T", "lint", "-W", "warning"]));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        // A page that is compared has no date of its making.
        let wrong: Vec<_> = text.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", page.file());
    }
}

#[test]
fn each_example_of_a_page_is_a_line_that_the_program_takes() {
    for (_, line, _) in EXAMPLES {
        let rest = line.split("ci-creds ").nth(1).unwrap_or_else(|| panic!("{line} does not call the program"));
        let rest = ["||", "|", ">"].iter().filter_map(|end| rest.find(end)).min().map_or(rest, |end| &rest[..end]);
        let words = std::iter::once("ci-creds").chain(rest.split_whitespace());
        let arguments: Vec<OsString> = words.map(OsString::from).collect();
        if let Err(Stop::Mistake(error)) = cli::parse_arguments(&arguments) {
            panic!("{line}: {}", error.render(false));
        }
    }
}

#[test]
fn man_prints_the_page_of_a_command() {
    let run = crate::support::Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), &folder());
    let run = |line: &str| line.split(' ').fold(run.clone(), |run, word| run.arg(word)).run();
    assert!(run("man").ok().starts_with(".TH CI\\-CREDS 1 "));
    assert!(run("man aws").ok().starts_with(".TH CI\\-CREDS\\-AWS 1 "));
    run("man nowhere").failed(64, "usage");
}
