//! The real shells, in a folder full of file names that a careless `eval` would act on.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use dev_vault::{Fault, On};
use serde_json::Value;

use super::{Ran, Run, World, tool};

/// A shell as it is called.
#[derive(Clone)]
pub struct Shell {
    pub name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
}

/// Every POSIX shell that the format is for, as far as this machine has it.
pub fn posix() -> Vec<Shell> {
    let known: [(&str, &str, &[&str]); 9] = [
        ("sh", "sh", &[]),
        ("dash", "dash", &[]),
        ("bash", "bash", &[]),
        ("bash --posix", "bash", &["--posix"]),
        ("busybox sh", "busybox", &["sh"]),
        ("zsh", "zsh", &[]),
        ("zsh --emulate sh", "zsh", &["--emulate", "sh"]),
        ("ksh93", "ksh93", &[]),
        ("mksh", "mksh", &[]),
    ];
    let shell = |(name, program, arguments)| Some(Shell { name, program: tool::find(program)?, arguments });
    known.into_iter().filter_map(shell).collect()
}

/// One of them, or fish.
pub fn named(name: &'static str) -> Option<Shell> {
    Some(Shell { name, program: tool::find(name)?, arguments: &[] })
}

impl Shell {
    /// The shell with a script.
    pub fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments).arg(script);
        command
    }

    /// The shell below another program, with a text for its `-c`.
    pub fn command_under(&self, program: &Path, arguments: &[&str], text: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.program).args(self.arguments).args(flags).arg("-c").arg(text);
        command
    }
}

/// The spellings of an eval around a command.
pub const EVALS: [(&str, &str); 3] = [("eval $(", ")"), ("eval \"$(", ")\""), ("eval `", "`")];

/// Where a script runs: the tool first on `PATH`, `$OUT` to write to, a hostile working folder.
pub struct Stage {
    variables: BTreeMap<String, String>,
    folder: PathBuf,
    out: PathBuf,
}

/// What a script did.
pub struct Played {
    pub ran: Ran,
    /// It came to its `touch "$OUT/reached"`.
    pub reached: bool,
    /// Its dumps, by `env -0 >"$OUT/NAME"`.
    dumps: BTreeMap<String, BTreeMap<String, String>>,
}

impl Stage {
    /// With the variables of a command line of the tool.
    pub fn new(world: &World, run: &Run) -> Self {
        Self::at(run, hostile_folder(world), world.path("out"))
    }

    /// The same, with an `$OUT` that no other stage of this world has.
    pub fn in_folder(world: &World, run: &Run, name: &str) -> Self {
        let out = world.path(name);
        std::fs::create_dir_all(&out).expect("a folder");
        Self::at(run, out.clone(), out)
    }

    fn at(run: &Run, folder: PathBuf, out: PathBuf) -> Self {
        let stage = Self { variables: run.variables().clone(), folder, out };
        let bin = Path::new(env!("CARGO_BIN_EXE_ci-creds")).parent().expect("its folder").display().to_string();
        let path = format!("{bin}:{}", stage.variables["PATH"]);
        let out = stage.out.display().to_string();
        stage.env("PATH", &path).env("OUT", &out)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// The tool itself, called as a script of this stage would.
    pub fn run(&self) -> Run {
        let run = Run::new(Path::new(env!("CARGO_BIN_EXE_ci-creds")), &self.folder);
        self.variables.iter().fold(run, |run, (name, value)| run.env(name, value))
    }

    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Runs a script from a file, as a CI runner does: a process group of its own, stdout and stderr one log or two
    /// pipes, stdin empty.
    pub fn play(&self, shell: &Shell, script: &str) -> Played {
        let _ = std::fs::remove_dir_all(&self.out);
        std::fs::create_dir(&self.out).expect("a folder for dumps");
        std::fs::write(self.out("script"), script).expect("a script");
        self.finish(shell.command(&self.out("script")))
    }

    /// The same for a program that runs the shell itself.
    pub fn finish(&self, mut command: Command) -> Played {
        super::assert_plays_the_runner();
        std::fs::create_dir_all(&self.out).expect("a folder for dumps");
        command.env_clear().envs(&self.variables).current_dir(&self.folder).stdin(Stdio::null()).process_group(0);
        let before = names_in(&self.folder);
        let ran = Ran::of(command);
        assert_eq!(names_in(&self.folder), before, "a file name was run: {ran:?}");
        let dumps = names_in(&self.out).into_iter().map(|name| (name.clone(), read_dump(&self.out(&name)))).collect();
        Played { ran, reached: self.out("reached").exists(), dumps }
    }
}

impl Played {
    /// A dump of the environment.
    pub fn dump(&self, name: &str) -> &BTreeMap<String, String> {
        self.dumps.get(name).unwrap_or_else(|| panic!("no dump {name}: {:?}", self.ran))
    }

    /// Fails unless the environment changed from `before` to `after` in exactly these variables.
    pub fn assert_changed(&self, what: &str, expected: &BTreeMap<&str, Option<String>>) {
        let (before, after) = (self.dump("before"), self.dump("after"));
        let names = before.keys().chain(after.keys()).map(String::as_str);
        // Every shell keeps the last word of the last command in `_`, and ksh93 its idea of `echo` in the other.
        let changed: BTreeMap<_, _> = names
            .filter(|name| !["_", "_AST_FEATURES"].contains(name) && before.get(*name) != after.get(*name))
            .map(|name| (name, after.get(name).cloned()))
            .collect();
        assert_eq!(&changed, expected, "{what}: {:?}", self.ran);
    }
}

/// Names that mean something to a shell, had it read them: as words of our output, or as the output's globs.
fn hostile_folder(world: &World) -> PathBuf {
    let folder = world.path("hostile");
    std::fs::create_dir_all(&folder).expect("a folder");
    for name in [
        "A='pwned';",
        "export",
        "unset",
        "EXOSCALE_API_KEY=x",
        "EXOSCALE_API_KEY='pwned';",
        "AWS_ACCESS_KEY_ID=x",
        "*",
        "?",
        "[a-z]",
        "-n",
        "-e",
        "--",
        "a b",
        " ",
        "it's",
        "\"",
        "$(touch pwned)",
        "`touch pwned`",
        ";touch pwned;",
        "(exit",
        "0);",
        ";",
        "\\",
        "{a,b}",
        "~",
        "#",
        "!",
        "&",
        "a\nb",
        "ci-creds",
        "touch",
        "false",
    ] {
        std::fs::write(folder.join(name), "").expect("a hostile name");
    }
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a name").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

fn read_dump(path: &Path) -> BTreeMap<String, String> {
    let text = String::from_utf8(std::fs::read(path).expect("a dump")).expect("UTF-8");
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The `data` of Vault's last answer to a read that ends so, as it left the server.
pub struct LastAnswer(Arc<Mutex<Value>>);

impl LastAnswer {
    pub fn watch(world: &World, suffix: &str) -> Self {
        let last = Arc::new(Mutex::new(Value::Null));
        let seen = Arc::clone(&last);
        let keep = move |answer: Value| {
            *seen.lock().expect("no panic before") = answer["data"].clone();
            answer
        };
        world.vault.inject(On::path(suffix).every(), Fault::rewrite(Box::new(keep)));
        Self(last)
    }

    pub fn field(&self, name: &str) -> String {
        super::text(&self.0.lock().expect("no panic before")[name])
    }
}
