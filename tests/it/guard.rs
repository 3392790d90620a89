//! How people call the tool in a job: what would print into the log is refused, what captures the output works,
//! whichever way the runner starts the job.

/// Jobs of other users, and where `/proc` tells nothing.
mod unseen;

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::consumer;
use crate::support::expect::without_receipt;
use crate::support::parallel::each;
use crate::support::shell::{self, Shell, Stage};
use crate::support::{ROLE, World, assert_plays_the_runner, moto, tool};

/// A runner: this very process, which reads the job's log. It is no shell, and has none of the job's variables.
#[derive(Clone, Copy, Debug)]
struct Runner {
    /// stdout and stderr are one pipe, or two.
    one_pipe: bool,
    /// The job's shell leads a process group of its own.
    leader: bool,
    /// The job's own script exports `CI`, as with GitLab's shell executor; or its shell is started with it.
    script_exports: bool,
}

const RUNNERS: [Runner; 5] = [
    Runner { one_pipe: false, leader: true, script_exports: false },
    Runner { one_pipe: true, leader: false, script_exports: true },
    Runner { one_pipe: false, leader: false, script_exports: false },
    Runner { one_pipe: true, leader: true, script_exports: false },
    Runner { one_pipe: false, leader: true, script_exports: true },
];

impl Runner {
    /// Runs a job's shell; its exit code and its log.
    fn run(self, stage: &Stage, mut command: Command) -> (i32, String) {
        assert_plays_the_runner();
        let (mut out, stdout) = std::io::pipe().unwrap();
        let (mut err, stderr) = match self.one_pipe {
            true => (std::io::pipe().unwrap().0, stdout.try_clone().unwrap()),
            false => std::io::pipe().unwrap(),
        };
        command.env_clear().envs(stage.variables()).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        if !self.script_exports {
            command.env("CI", "true");
        }
        if self.leader {
            command.process_group(0);
        }
        let mut child = command.spawn().unwrap();
        // Our own copies of the writing ends.
        drop(command);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map(|_| text)
        });
        let mut log = String::new();
        out.read_to_string(&mut log).unwrap();
        log.push_str(&reader.join().unwrap().unwrap());
        (child.wait().unwrap().code().unwrap(), log)
    }
}

/// One way to call the tool.
struct Form {
    script: String,
    /// What the script ends with when the tool ends with 64.
    code: i32,
    /// The shells that have it; all, when empty.
    shells: &'static [&'static str],
}

fn form(script: String) -> Form {
    let shells = if script.contains("set -m") { JOB_CONTROL } else { &[] };
    Form { script, code: 64, shells }
}

/// The shells that have `>(…)`.
const PROCESS_SUBSTITUTION: &[&str] = &["bash", "zsh", "ksh93"];

/// The shells that have job control without a terminal.
const JOB_CONTROL: &[&str] = &["bash", "dash", "busybox sh", "ksh93", "mksh"];

/// Scripts that would print into the log.
fn bare() -> Vec<Form> {
    let call = format!("ci-creds exoscale --role {ROLE}");
    let json = format!("{call} --format json");
    let with_code = |script: String, code| Form { code, ..form(script) };
    let in_shells = |script: String, shells| Form { shells, ..form(script) };
    vec![
        form(format!("{call}; exit $?")),
        form(format!("(cd /; {json}; exit $?)")),
        form(format!("f() {{ {call}; }}; f; exit $?")),
        form(format!("eval '{call}'; exit $?")),
        form(format!("echo '{json}' >\"$OUT/s\"; . \"$OUT/s\"; exit $?")),
        form(format!("echo '{json}; exit $?' | sh; exit $?")),
        form(format!("trap '{call}; exit $?' EXIT; exit 0")),
        form(format!("{{ {json}; }} 2>/dev/null; exit $?")),
        form(format!("exec 2>/dev/null; {call}; exit $?")),
        form(format!("{call} & wait $!; exit $?")),
        form(format!("set -m; {call}; exit $?")),
        form(format!("set -m; ({json}; exit $?)")),
        form(format!("set -m; {call} & wait $!; exit $?")),
        form(format!("setsid {call}; exit $?")),
        form(format!("setsid --wait {json}; exit $?")),
        form(format!("set -m; setsid --wait {call}; exit $?")),
        form(format!("setsid sh -c '{json}; exit $?'; exit $?")),
        form(format!("timeout 60 {call}; exit $?")),
        form(format!("timeout --foreground 60 {json}; exit $?")),
        form(format!("set -m; timeout 60 {json}; exit $?")),
        form(format!("nohup env nice {call}; exit $?")),
        form(format!("sh -c '{json}; exit $?'; exit $?")),
        form(format!("sh -c 'timeout 60 {json} </dev/null 2>\"$OUT/err\"; exit $?'; exit $?")),
        form(format!("\"$OUT/bare\" {json}; exit $?")),
        form(format!("set -m; timeout 60 \"$OUT/bare\" {call}; exit $?")),
        form(format!("{json} >&2; exit $?")),
        form(format!("{call} >&2; exit $?")),
        form(format!("{json} >&2 2>/dev/null; exit $?")),
        form(format!("timeout 60 sh -c '{json} >&2; exit $?'; exit $?")),
        form(format!("exec 3>&1; x=$({json} >&3); exit $?")),
        with_code(format!("xargs {call} </dev/null; exit $?"), 123),
        with_code(format!("printf 'all:\\n\\t@{json}\\n' >\"$OUT/m\"; make -s -f \"$OUT/m\"; exit $?"), 2),
        // What has lost its parent: the job waits for it all the same.
        form(format!(
            "mkfifo \"$OUT/p\"; (setsid sh -c '{json}; echo $? >\"$OUT/p\"' &); read -r code <\"$OUT/p\"; exit $code"
        )),
        form(format!(
            "set -m; mkfifo \"$OUT/p\"; (setsid sh -c '{call}; echo $? >\"$OUT/p\"' &); read -r code <\"$OUT/p\"; exit $code"
        )),
        in_shells(format!("exec > >(tee \"$OUT/copy\"); {call}; exit $?"), PROCESS_SUBSTITUTION),
        in_shells(format!("exec > >(tee \"$OUT/copy\") 2>&1; timeout 60 {json}; exit $?"), PROCESS_SUBSTITUTION),
    ]
}

/// Scripts in which something captures the output, and writes it to `$OUT/got`.
fn captured() -> Vec<Form> {
    let call = format!("ci-creds exoscale --role {ROLE}");
    let json = format!("{call} --format json");
    let end = "set +x; printf '%s' \"$EXOSCALE_API_SECRET\" >\"$OUT/got\"";
    let make = "printf 'all:\\n\\t@%s\\n'";
    let evals = [
        format!("timeout 60 {call}"),
        format!("timeout 60 {call} || echo false"),
        format!("timeout 60 timeout 60 {call} </dev/null 2>\"$OUT/err\" || echo false"),
        format!("{call} || echo false"),
        format!("setsid --wait {call}"),
        format!("setsid sh -c '{call}; true'"),
        format!("set -m; {call}; true"),
        format!("set -m; timeout 60 {call}; true"),
        format!("nohup env nice {call}"),
        format!("sh -c '{call}; true'"),
        format!("sh -c 'timeout 60 {call}; true' </dev/null 2>\"$OUT/err\""),
        format!("\"$OUT/bare\" {call}"),
        format!("timeout 60 \"$OUT/bare\" {call} </dev/null 2>\"$OUT/err\""),
        format!("x=$(\"$OUT/bare\" {call}); echo \"$x\""),
        format!("xargs {call} </dev/null"),
        format!("{make} '{call}' >\"$OUT/m\"; make -s -f \"$OUT/m\""),
        format!("timeout 60 {call} | cat"),
        format!("exec 2>/dev/null; {call}; true"),
    ];
    let into_a_file = [
        format!("{call} >\"$OUT/f\""),
        format!("timeout 60 {call} | cat >\"$OUT/f\""),
        format!("sh -c '{call}; true' | cat >\"$OUT/f\""),
        format!("{{ {call}; true; }} | (cat >\"$OUT/f\")"),
        format!("{call} | while IFS= read -r line; do echo \"$line\" >>\"$OUT/f\"; done"),
        format!("mkfifo \"$OUT/p\"; cat \"$OUT/p\" >\"$OUT/f\" & {call} >\"$OUT/p\"; wait"),
    ];
    let mut forms: Vec<Form> = Vec::new();
    for eval in evals {
        forms.push(form(format!("eval $( {eval})\n{end}")));
    }
    for script in into_a_file {
        forms.push(form(format!("{script}\n. \"$OUT/f\"\n{end}")));
    }
    // ksh93 does not wait for what is in the background.
    let waiting = &["bash", "dash", "busybox sh", "zsh", "mksh"];
    for script in
        [format!("(sh -c '{call}; true' &)"), format!("(setsid sh -c '{call}; true' 2>/dev/null </dev/null &)")]
    {
        forms.push(Form { shells: waiting, ..form(format!("eval $( {script})\n{end}")) });
    }
    forms.push(form(format!("set -m; eval $({call})\n{end}")));
    forms.push(form(format!("set -m; eval $(timeout 60 {call} || echo false)\n{end}")));
    forms.push(form(format!("set -m; eval $(setsid --wait sh -c '{call}; true')\n{end}")));
    forms.push(form(format!("x=$({{ timeout 60 {json} >&2; }} 2>&1 >/dev/null)\nprintf '%s' \"$x\" >\"$OUT/got\"")));
    forms.push(form(format!("(eval $(timeout 60 {call}); {end}) & wait $!")));
    let in_shells = |script: String, shells| Form { shells, ..form(script) };
    forms.push(in_shells(format!(". <(timeout 60 {call})\n{end}"), PROCESS_SUBSTITUTION));
    forms.push(in_shells(
        format!("exec > >(tee \"$OUT/copy\") 2>&1\neval $({call} || echo false)\n{end}"),
        PROCESS_SUBSTITUTION,
    ));
    // It calls when it is told to: bash forgets a coprocess that has ended.
    let coprocess = format!(
        "coproc {{ read -r go; timeout 60 {call}; }}\nexec 5<&\"${{COPROC[0]}}\"\necho go >&\"${{COPROC[1]}}\"\n\
         cat <&5 >\"$OUT/f\"\n. \"$OUT/f\"\n{end}"
    );
    forms.push(in_shells(coprocess, &["bash"]));
    forms.push(in_shells(
        format!("sh -c '{call}; true' |&\ncat <&p >\"$OUT/f\"\n. \"$OUT/f\"\n{end}"),
        &["ksh93", "mksh"],
    ));
    forms
}

/// Every form in every shell that has it, each with another runner, so that each form meets each runner.
fn cases(forms: fn() -> Vec<Form>) -> Vec<(Shell, Form, Runner)> {
    let known = ["dash", "bash", "busybox sh", "zsh", "ksh93", "mksh"];
    let mut cases = Vec::new();
    for (row, shell) in shell::posix().into_iter().filter(|shell| known.contains(&shell.name)).enumerate() {
        for (column, form) in forms().into_iter().enumerate() {
            if form.shells.is_empty() || form.shells.contains(&shell.name) {
                cases.push((shell.clone(), form, RUNNERS[(row + column) % RUNNERS.len()]));
            }
        }
    }
    cases
}

/// A job with a token, a folder of its own in `$OUT`, and there a script that calls what its arguments say.
fn job(world: &World, name: usize) -> Stage {
    let stage = Stage::in_folder(world, &world.command_as("token", ""), &format!("job-{name}"));
    let text = world.file(&format!("bare-{name}"), "#!/bin/sh\n\"$@\"\nexit $?\n");
    tool::install(&text, &stage.out("bare"), "0700");
    stage
}

fn play(shell: &Shell, stage: &Stage, runner: Runner, script: &str) -> (i32, String) {
    let exports = if runner.script_exports { "CI=true; export CI\n" } else { "" };
    let path = stage.out("script");
    std::fs::write(&path, format!("{exports}{script}\n")).unwrap();
    runner.run(stage, shell.command(&path))
}

/// Plays every case and shows all that fail together. `check` tells what is wrong with an exit code, a log and `$OUT`.
fn play_all(
    world: &World,
    forms: fn() -> Vec<Form>,
    check: impl Fn(&Form, i32, &str, &Stage) -> Option<String> + Sync,
) {
    let failures = Mutex::new(Vec::new());
    each(cases(forms).into_iter().enumerate().collect(), |(number, (shell, form, runner))| {
        let stage = job(world, number);
        let (code, log) = play(&shell, &stage, runner, &form.script);
        if let Some(problem) = check(&form, code, &log, &stage) {
            let what = format!("{}: {}: {runner:?}: {problem}: {code}: {log}", shell.name, form.script);
            failures.lock().unwrap().push(what);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

// check: 22
#[test]
fn a_call_that_would_print_into_the_log_is_refused_in_every_way_to_make_it() {
    let world = World::start();
    play_all(&world, bare, |form, code, log, stage| {
        let told = log.to_owned() + &std::fs::read_to_string(stage.out("err")).unwrap_or_default();
        let silent = form.script.contains("2>/dev/null");
        (code != form.code || !(silent || told.contains("error[usage]: "))).then(|| "not refused".to_owned())
    });
    assert!(world.requests().is_empty(), "{:?}", world.requests());
}

// check: 22
#[test]
fn a_call_that_is_captured_works_in_every_way_to_make_it() {
    let world = World::start();
    play_all(&world, captured, |_, code, log, stage| {
        let Ok(got) = std::fs::read_to_string(stage.out("got")) else { return Some("nothing was got".to_owned()) };
        let secrets = world.vault.secrets();
        let whole = secrets.iter().any(|secret| secret.len() == 43 && got.contains(secret));
        world.assert_no_secret_in(log);
        (code != 0 || !whole).then(|| format!("got {got:?}"))
    });
}

#[test]
fn a_program_that_captures_is_no_runner() {
    let world = World::start();
    let Some(python) = tool::find("python3") else { return };
    let stage = job(&world, 0);
    for script_exports in [false, true] {
        let runner = Runner { script_exports, ..RUNNERS[0] };
        for line in ["timeout 60 ci-creds", "sh -c \"ci-creds \\\"$@\\\"; exit $?\" sh", "setsid --wait ci-creds"] {
            let program = "import subprocess, shlex, sys\n\
                           out = subprocess.run(shlex.split(sys.argv[1]), stdout=subprocess.PIPE).stdout\n\
                           open(sys.argv[2], 'wb').write(out)\n";
            let program = world.file("capture.py", program);
            let script = format!(
                "'{}' '{}' '{line} exoscale --role {ROLE} --format json' \"$OUT/got\"",
                python.display(),
                program.display()
            );
            let (code, log) = play(&shell::named("sh").unwrap(), &stage, runner, &script);
            assert_eq!((code, without_receipt(&log).as_str()), (0, ""), "{line}");
            let got = std::fs::read_to_string(stage.out("got")).unwrap();
            assert!(got.contains("\"api_secret\""), "{line}: {got}");
        }
    }
}

/// mksh makes the pipe of `$(…)` its own stdout until it has forked. Here somebody stays in that moment.
#[test]
fn whoever_holds_both_ends_of_the_pipe_captures() {
    let world = World::start();
    let Some(python) = tool::find("python3") else { return };
    let stage = job(&world, 0);
    let program = "import os, subprocess, sys\n\
                   r, w = os.pipe()\n\
                   os.dup2(w, 1)\n\
                   code = subprocess.run(sys.argv[2:]).returncode\n\
                   open(sys.argv[1], 'wb').write(os.read(r, 65536))\n\
                   sys.exit(code)\n";
    for runner in RUNNERS.into_iter().filter(|runner| !runner.script_exports) {
        let mut command = Command::new(&python);
        command.args(["-c", program]).arg(stage.out("got")).args(["ci-creds", "exoscale", "--role", ROLE]);
        let (code, log) = runner.run(&stage, command);
        assert_eq!((code, without_receipt(&log).as_str()), (0, ""), "{runner:?}");
        assert!(std::fs::read_to_string(stage.out("got")).unwrap().contains("export EXOSCALE_API_SECRET='"));
    }
}

#[test]
fn aws_runs_a_credential_process_below_timeout_in_a_job() {
    let Some(cloud) = moto::cloud() else { return };
    let Some(aws) = tool::find("aws") else { return };
    let Some(sh) = shell::named("sh") else { return };
    let (world, run) = consumer::job(cloud, "/aws/sts/365-dev", &cloud.role);
    let line = "ci-creds aws --role 365-dev --format process";
    let lines = [format!("timeout 30 {line}"), format!("sh -c \"timeout 30 {line}; exit $?\"")];
    for (line, runner) in lines.iter().zip(RUNNERS) {
        let config = format!("[profile ci]\nregion = us-east-1\ncredential_process = {line}\n");
        let run = run
            .clone()
            .env("AWS_CONFIG_FILE", &world.file("aws-config", &config).display().to_string())
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PROFILE", "ci");
        let stage = Stage::in_folder(&world, &run, "aws");
        let script = format!(
            "'{}' sts get-caller-identity --query Arn --output text --endpoint-url '{}'",
            aws.display(),
            cloud.endpoint
        );
        let (code, log) = play(&sh, &stage, runner, &script);
        assert_eq!((code, log.trim()), (0, cloud.role.arn.as_str()), "{line}: {runner:?}");
    }
}
