//! The completion scripts: what clap_complete makes of the command line, with what it lacks.

use ci_creds::cli::{Cli, Shell};
use clap::{Command, CommandFactory, ValueHint};

/// The script's file in completions/, and its text.
pub fn of(shell: Shell) -> (&'static str, String) {
    let generate = |generator| {
        let mut text = Vec::new();
        let mut command = Cli::command();
        // The flags of a command are made when it is on the line, or here.
        command.build();
        clap_complete::generate(generator, &mut with_hints(command), "ci-creds", &mut text);
        String::from_utf8(text).expect("UTF-8")
    };
    match shell {
        Shell::Bash => ("ci-creds.bash", mend_bash(&generate(clap_complete::Shell::Bash))),
        Shell::Elvish => ("ci-creds.elv", generate(clap_complete::Shell::Elvish)),
        Shell::Fish => ("ci-creds.fish", mend_fish(&generate(clap_complete::Shell::Fish))),
        Shell::Powershell => ("_ci-creds.ps1", generate(clap_complete::Shell::PowerShell)),
        Shell::Zsh => ("_ci-creds", with_profiles_in_zsh(&generate(clap_complete::Shell::Zsh))),
    }
}

/// The definition, with what clap cannot know: which paths are folders, and that a role or an address is no file.
fn with_hints(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let hint = match (argument.get_id().as_str(), argument.get_value_hint()) {
            ("ca_path", _) => ValueHint::DirPath,
            // What clap takes for a path by its type.
            (_, ValueHint::AnyPath) => ValueHint::FilePath,
            (_, ValueHint::Unknown) if argument.get_possible_values().is_empty() => ValueHint::Other,
            (_, hint) => hint,
        };
        let takes = argument.get_action().takes_values() && !argument.is_positional();
        if takes { argument.value_hint(hint) } else { argument }
    });
    command.mut_subcommands(with_hints)
}

/// Replaces a text that must be there: without it, clap_complete has changed, and so must what is made of it here.
fn replace(script: &str, old: &str, new: &str) -> String {
    assert!(script.contains(old), "clap_complete no longer writes {old:?}");
    script.replace(old, new)
}

/// What a script runs to ask for profiles, up to the words of the line.
const ASK: &str = "command ci-creds __complete profile";

/// What clap_complete writes for a path: twenty lines a flag.
const FILES: [&str; 13] = [
    "local oldifs",
    "if [ -n \"${IFS+x}\" ]; then",
    "    oldifs=\"$IFS\"",
    "fi",
    "IFS=$'\\n'",
    "COMPREPLY=($(compgen -f \"${cur}\"))",
    "if [ -n \"${oldifs+x}\" ]; then",
    "    IFS=\"$oldifs\"",
    "fi",
    "if [[ \"${BASH_VERSINFO[0]}\" -ge 4 ]]; then",
    "    compopt -o filenames",
    "fi",
    "return 0",
];

/// clap_complete writes one label and looks for another where a program has a hyphen in its name, so that nothing is
/// completed behind the command: clap-rs/clap#6421, in every version since 4.6.2. When that is mended, the assertion in
/// [`replace`] fails, and the first line goes.
///
/// bash makes a word of `=`, so `--format=js` is three words. clap_complete does not look for that.
fn mend_bash(script: &str) -> String {
    let script = replace(script, "ci__subcmd__creds", "ci__creds");
    let script = replace(
        &script,
        "    prev=\"$3\"\n",
        "    prev=\"$3\"\n    if [[ \"${prev}\" == = ]]; then\n        prev=\"${COMP_WORDS[COMP_CWORD-2]}\"\n    fi\n",
    );
    // The names are safe in the expansion that compgen makes: the program prints no other ones.
    let ask = ASK.replace("ci-creds", "\"$1\"");
    let names = format!("$({ask} \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\" 2>/dev/null)");
    let indent = "\n                    ";
    // bash's own completion of file names quotes blanks, knows `~`, and goes on behind a folder.
    let script = replace(&script, &FILES.join(indent), &["COMPREPLY=()", "return 0"].join(indent));
    let old = ["--profile)", "COMPREPLY=(\"${cur}\")", "if [["].join(indent);
    let new = ["--profile)", &format!("COMPREPLY=($(compgen -W \"{names}\" -- \"${{cur}}\"))"), "if [["].join(indent);
    let script = replace(&script, &old, &new);
    // A name is a whole word, and where there is none, no file is one.
    let (first, rest) = script.split_once(&new).expect("just written");
    let options =
        rest.split(&new).map(|part| part.replacen("compopt -o nospace", "compopt +o default +o bashdefault", 1));
    [first.to_owned()].into_iter().chain(options).collect::<Vec<_>>().join(&new)
}

/// `$words` begins with the command here.
fn with_profiles_in_zsh(script: &str) -> String {
    let is_profile = |line: &str| line.starts_with("'--profile=");
    let lines = script.lines().map(|line| match line.strip_suffix(":' \\").filter(|_| is_profile(line)) {
        Some(start) => format!("{start}:_ci-creds_profiles' \\\n"),
        None => format!("{line}\n"),
    });
    let function = format!(
        "_ci-creds_profiles() {{\n    local -a names\n    names=(${{(f)\"$({ASK} \"${{(@)words[1,CURRENT-1]}}\" 2>/dev/null)\"}})\n    \
         compadd -a names\n}}\n\n_ci-creds() {{"
    );
    let script = replace(&lines.collect::<String>(), "_ci-creds() {", &function);
    assert!(script.contains(":_ci-creds_profiles' "), "clap_complete no longer writes '--profile=…:'");
    script
}

/// clap_complete writes nothing for what stands without a flag, so that fish offers files.
fn mend_fish(script: &str) -> String {
    let is_profile = |line: &str| line.contains(" -l profile ") && line.ends_with(" -r -f");
    let lines = script.lines().map(|line| match is_profile(line) {
        true => format!("{line} -a \"({ASK} (commandline -opc)[2..] 2>/dev/null)\"\n"),
        false => format!("{line}\n"),
    });
    let mut script: String = lines.collect();
    assert!(script.contains(ASK), "clap_complete no longer writes -l profile … -r -f");
    for command in Cli::command().get_subcommands_mut() {
        command.build();
        let name = command.get_name();
        for argument in command.get_positionals().filter(|argument| !argument.get_possible_values().is_empty()) {
            let values = argument.get_possible_values();
            let values: Vec<_> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            let condition = format!("__fish_ci_creds_using_subcommand {name}");
            script += &format!("complete -c ci-creds -n \"{condition}\" -f -a \"{}\"\n", values.join(" "));
        }
    }
    script
}
