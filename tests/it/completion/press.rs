//! Tab is pressed in real shells: bash and zsh at a terminal of their own, fish by its `complete -C`.
//!
//! Elvish's and PowerShell's scripts are generated and not run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ci_creds::cli::{Cli, Shell};
use clap::{Arg, CommandFactory, ValueHint};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::script;
use crate::support::tool;

/// A home with profiles, and a working folder with a file, a folder and nothing else.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn set_up() -> Self {
        let folder = tempfile::Builder::new().prefix("tab.").tempdir().expect("a folder");
        let desk = Self { folder };
        for folder in ["home/.aws", "home/.config/exoscale", "work/certificates"] {
            std::fs::create_dir_all(desk.path(folder)).expect("a folder");
        }
        for (name, text) in [
            (
                "home/.aws/credentials",
                "[default]\naws_secret_access_key = Sw0rdfish\n[deploy]\n[$(touch${IFS}pwned)]\n",
            ),
            ("home/.aws/config", "[profile test]\nregion = eu-central-1\n"),
            ("home/.config/exoscale/exoscale.toml", "[[accounts]]\nname = \"ops\"\nsecret = \"Sw0rdfish\"\n"),
            ("home/other", "[elsewhere]\n"),
            ("work/certificate.pem", ""),
            ("zsh.functions/_ci-creds", &script::of(Shell::Zsh).1),
            ("script.bash", &script::of(Shell::Bash).1),
            ("script.fish", &script::of(Shell::Fish).1),
        ] {
            std::fs::create_dir_all(desk.path(name).parent().expect("a folder")).expect("a folder");
            std::fs::write(desk.path(name), text).expect("a file");
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_ci-creds")).parent().expect("its folder").display();
        let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command.env_clear().env("PATH", path).env("HOME", self.path("home")).env("TERM", "dumb");
        command.env("DESK", self.folder.path()).env("LC_ALL", "C.UTF-8").current_dir(self.path("work"));
        command
    }
}

/// What a shell offers at the end of each line.
type Offers = Vec<BTreeSet<String>>;

/// Presses Tab at the end of each line; `None` where the shell is not installed.
type Press = fn(&Desk, &[&str]) -> Option<Offers>;

/// An interactive shell at a terminal that nobody looks at.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
}

/// A shell that starts beside other tests needs some seconds; one that hangs is to fail the test.
const PATIENCE: Duration = Duration::from_secs(60);

impl Terminal {
    fn open(desk: &Desk, shell: &Path, arguments: &[&str]) -> Option<Self> {
        let setsid = tool::find("setsid")?;
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("a terminal");
        let name = ptsname(&ours, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = File::from(rustix::fs::open(&name, flags, rustix::fs::Mode::empty()).expect("its other side"));
        let end = || Stdio::from(theirs.try_clone().expect("a descriptor"));
        let mut command = desk.command(&setsid);
        command.args(["--ctty", "--wait"]).arg(shell).args(arguments).stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().expect("a shell");
        let keys = File::from(ours);
        let mut reader = keys.try_clone().expect("a descriptor");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Some(Self { child, keys, screen })
    }

    /// Types it, and waits until the shell says `READY`: it reads keys itself then, and the system no longer takes
    /// control-U for its own. No shell says so before it has run what was typed.
    fn type_until_ready(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes it");
        let mut seen = String::new();
        while !seen.contains("READY") {
            match self.screen.recv_timeout(PATIENCE) {
                Ok(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(problem) => panic!("{problem} after {keys:?}: {seen}"),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tab puts all that is offered into the line, and the line is run: by a function that notes its words.
fn in_bash(desk: &Desk, lines: &[&str]) -> Option<Offers> {
    let start = "bind 'set enable-bracketed-paste off'; bind '\"\\t\": insert-completions'; . \"$DESK/script.bash\"\n\
                 ci-creds() { printf '%s\\n' \"$@\" >\"$DESK/words\"; }; PS1='REA''DY '\n";
    let mut terminal = Terminal::open(desk, &tool::find("bash")?, &["--norc", "--noprofile", "-i"])?;
    terminal.type_until_ready(start);
    let offers = lines.iter().map(|line| {
        terminal.type_until_ready(&format!("{line}\t\n"));
        let words = std::fs::read_to_string(desk.path("words")).expect("the function was called");
        let typed = line.rsplit(' ').next().unwrap_or_default();
        let words: Vec<_> = words.lines().skip(line.split(' ').count() - 2).collect();
        // With nothing to offer the line is as it was.
        let offers = words.iter().filter(|word| **word != typed && !word.is_empty());
        offers.map(|word| word.rsplit_once('=').map_or(*word, |(_, value)| value).to_owned()).collect()
    });
    Some(offers.collect())
}

/// What completion functions add to the list of matches, they add by `compadd`; one that stands in its place notes it.
fn in_zsh(desk: &Desk, lines: &[&str]) -> Option<Offers> {
    let start = "PS1=; unsetopt zle_bracketed_paste prompt_cr prompt_sp; fpath=(\"$DESK/zsh.functions\" $fpath)\n\
                 autoload -Uz compinit; compinit -u -D; setopt no_beep list_ambiguous; LISTMAX=10000\n\
                 compadd() {\n\
                 if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd \"$@\"; return; fi\n\
                 local -a hits; builtin compadd -A hits \"$@\"; print -rl -- $hits >>\"$DESK/words\"\n\
                 builtin compadd \"$@\"\n}\n\
                 zle-line-init() { print REA''DY }; zle -N zle-line-init\n";
    let mut terminal = Terminal::open(desk, &tool::find("zsh")?, &["-f", "-i"])?;
    terminal.type_until_ready(start);
    let offers = lines.iter().map(|line| {
        std::fs::write(desk.path("words"), "").expect("a file");
        // Control-U empties the line.
        terminal.type_until_ready(&format!("{line}\t\u{15}\n"));
        let words = std::fs::read_to_string(desk.path("words")).expect("the words");
        words.lines().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    });
    Some(offers.collect())
}

/// `complete -C` prints what Tab would offer, each with a tab and its description behind it.
fn in_fish(desk: &Desk, lines: &[&str]) -> Option<Offers> {
    let text = "source $DESK/script.fish; for line in $argv; complete -C $line; echo READY; end";
    let mut command = desk.command(&tool::find("fish")?);
    let output = command.args(["--no-config", "-c", text]).args(lines).output().expect("fish");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let parts = text.split("READY\n").take(lines.len());
    let word = |offer: &str| {
        let word = offer.split('\t').next().unwrap_or_default().trim_end_matches('/');
        word.rsplit_once('=').map_or(word, |(_, value)| value).to_owned()
    };
    Some(parts.map(|part| part.lines().map(word).collect()).collect())
}

/// What must be offered at the end of a line.
#[derive(Debug)]
enum Expected {
    /// This and nothing else.
    Exactly(BTreeSet<String>),
    /// This among others: bash offers a command's flags too.
    Among(BTreeSet<String>),
}

use Expected::{Among, Exactly};

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Presses Tab behind each line in each shell that is installed.
fn assert_offered(cases: &[(String, Expected)]) {
    let desk = Desk::set_up();
    let lines: Vec<_> = cases.iter().map(|(line, _)| line.as_str()).collect();
    let shells: [(&str, Press); 3] = [("bash", in_bash), ("zsh", in_zsh), ("fish", in_fish)];
    for (shell, press) in shells {
        let Some(offers) = press(&desk, &lines) else { continue };
        assert_eq!(offers.len(), cases.len(), "{shell}");
        for ((line, expected), offered) in cases.iter().zip(offers) {
            match expected {
                Exactly(expected) => assert_eq!(&offered, expected, "{shell}: {line:?}"),
                Among(expected) => assert!(offered.is_superset(expected), "{shell}: {line:?}: {offered:?}"),
            }
            assert!(!offered.iter().any(|word| word.contains("Sw0rdfish")), "{shell}: {line:?}");
        }
        assert!(!desk.path("work/pwned").exists(), "{shell} ran a part of the line or of a file");
    }
}

fn values(argument: &Arg) -> BTreeSet<String> {
    let values = argument.get_possible_values();
    values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name().to_owned()).collect()
}

/// A case for each command, flag, value and path of a command and those below it.
fn cases_of(command: &clap::Command, line: &str, cases: &mut Vec<(String, Expected)>) {
    let long = |argument: &Arg| Some(format!("--{}", argument.get_long()?));
    cases.push((format!("{line} --"), Exactly(command.get_arguments().filter_map(long).collect())));
    let names: BTreeSet<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let positional = command.get_positionals().next().map(values).unwrap_or_default();
    cases.push((format!("{line} "), Among(names.union(&positional).cloned().collect())));
    for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
        let Some(flag) = long(argument).filter(|flag| flag != "--profile") else { continue };
        let files = match argument.get_value_hint() {
            ValueHint::AnyPath if flag == "--ca-path" => set(&["certificates"]),
            ValueHint::AnyPath => set(&["certificate.pem", "certificates"]),
            _ => BTreeSet::new(),
        };
        match values(argument) {
            values if values.is_empty() => cases.push((format!("{line} {flag} cert"), Exactly(files))),
            values => cases.push((format!("{line} {flag} "), Exactly(values))),
        }
    }
    // fish completes no more than two commands deep, and we have no more.
    for below in command.get_subcommands().filter(|_| line.split(' ').count() < 3) {
        cases_of(below, &format!("{line} {}", below.get_name()), cases);
    }
}

#[test]
fn tab_offers_every_command_flag_value_and_path_in_bash_zsh_and_fish() {
    let mut command = Cli::command();
    command.build();
    let mut cases = Vec::new();
    cases_of(&command, "ci-creds", &mut cases);
    // Two clouds with forty flags each.
    assert!(cases.len() > 80, "{}", cases.len());
    assert_offered(&cases);
}

#[test]
fn tab_completes_what_is_typed_in_part_and_behind_an_equals_sign() {
    assert_offered(
        &[
            ("ci-creds exo", set(&["exoscale"])),
            ("ci-creds aws --for", set(&["--format"])),
            ("ci-creds aws --format po", set(&["powershell"])),
            ("ci-creds aws --format=po", set(&["powershell"])),
            ("ci-creds aws --role deploy -f js", set(&["json"])),
            ("ci-creds aws --via c", set(&["creds"])),
            ("ci-creds exoscale --auth gen", set(&["generator-token"])),
            ("ci-creds exoscale --secret-id-file certificate.p", set(&["certificate.pem"])),
            ("ci-creds cache cle", set(&["clear"])),
            ("ci-creds cache clear --any", set(&["--any-audience"])),
            ("ci-creds completions z", set(&["zsh"])),
        ]
        .map(|(line, offered)| (line.to_owned(), Exactly(offered))),
    );
}

#[test]
fn tab_offers_the_profiles_of_the_file_and_runs_nothing() {
    assert_offered(
        &[
            ("ci-creds aws --profile ", set(&["default", "deploy", "test"])),
            ("ci-creds aws --profile de", set(&["default", "deploy"])),
            ("ci-creds aws --profile=dep", set(&["deploy"])),
            ("ci-creds aws --file ~/other --profile ", set(&["elsewhere", "test"])),
            ("ci-creds aws --file=../home/other --profile els", set(&["elsewhere"])),
            ("ci-creds exoscale --profile ", set(&["ops"])),
            ("ci-creds exoscale --sos --profile d", set(&["default", "deploy"])),
            ("ci-creds exoscale --file ~/nowhere --profile ", set(&[])),
            ("ci-creds aws --role '$(touch${IFS}pwned)' --profile t", set(&["test"])),
        ]
        .map(|(line, offered)| (line.to_owned(), Exactly(offered))),
    );
}

#[test]
fn a_script_that_asks_what_the_program_does_not_know_gets_nothing_and_no_error() {
    let desk = Desk::set_up();
    for line in ["__complete", "__complete profile", "__complete profile cache", "__complete role aws"] {
        let mut command = desk.command(Path::new(env!("CARGO_BIN_EXE_ci-creds")));
        let output = command.args(line.split(' ')).output().expect("the program");
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{line}: {output:?}");
    }
}
