use std::path::PathBuf;

use super::{Command, Path, ROLE, RUNNERS, Stage, World, job, tool, without_receipt};

/// A process namespace with a `/proc` of its own, for root: what is above us in it is what we put there.
fn namespace() -> Option<Command> {
    if !tool::is_root("jobs of other users are run") {
        return None;
    }
    let mut command = Command::new(tool::find("unshare")?);
    command.args(["--mount", "--pid", "--fork", "--mount-proc"]);
    let permitted = Command::new(command.get_program()).args(command.get_args()).arg("true").output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare is not permitted here");
        return None;
    }
    Some(command)
}

/// The tool where every user may run it.
fn shared_tool(folder: &Path) -> PathBuf {
    let path = folder.join("ci-creds");
    tool::install(Path::new(env!("CARGO_BIN_EXE_ci-creds")), &path, "0755");
    path
}

const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups --";

/// A folder that others may enter, unlike a world's.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("ci-creds-it.").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn run(stage: &Stage, mut command: Command, line: &str) -> (i32, String) {
    command.args(["timeout", "60"]).args(line.split_whitespace().take_while(|word| *word != "sh"));
    let script = line.split_once("sh -c ").unwrap().1;
    command.args(["sh", "-c", script]).current_dir("/");
    RUNNERS[0].run(stage, command)
}

// check: 22
#[test]
fn below_a_runner_of_another_user_a_bare_call_is_refused() {
    let world = World::start();
    let folder = open_folder();
    let tool = shared_tool(folder.path());
    let stage = job(&world, 0).env("HOME", "/nonexistent").env("TMPDIR", "/tmp");
    for format in ["shell", "json"] {
        let Some(command) = namespace() else { return };
        let line =
            format!("timeout 60 {NOBODY} sh -c {} exoscale --role {ROLE} --format {format}; exit $?", tool.display());
        let (code, log) = run(&stage, command, &line);
        assert_eq!(code, 64, "{log}");
        assert!(log.contains("nothing captures the output"), "{log}");
    }
    assert!(world.requests().is_empty(), "{:?}", world.requests());
}

#[test]
fn where_a_shell_of_another_user_may_capture_nothing_is_refused() {
    let world = World::start();
    let folder = open_folder();
    let tool = shared_tool(folder.path());
    let stage = job(&world, 0).env("HOME", "/nonexistent").env("TMPDIR", "/tmp");
    let Some(command) = namespace() else { return };
    let line = format!(
        "sh -c eval $(timeout 60 {NOBODY} sh -c '{} exoscale --role {ROLE} || echo false'); \
         echo got ${{EXOSCALE_API_KEY%%[0-9a-f]*}}",
        tool.display()
    );
    let (code, log) = run(&stage, command, &line);
    assert_eq!((code, without_receipt(&log).as_str()), (0, "got EXO\n"));
}

#[test]
fn where_proc_tells_nothing_nothing_is_refused() {
    let world = World::start();
    let stage = job(&world, 0);
    let Some(command) = namespace() else { return };
    let line = format!("sh -c mount -t tmpfs none /proc && ci-creds exoscale --role {ROLE}; exit $?");
    let (code, log) = run(&stage, command, &line);
    assert!(code == 0 && log.contains("export EXOSCALE_API_KEY='"), "{code}: {log}");
}

#[test]
fn a_call_that_lost_its_parent_to_a_shell_that_is_process_1_is_refused_too() {
    let world = World::start();
    let stage = job(&world, 0);
    let (Some(mut command), Some(python)) = (namespace(), tool::find("python3")) else { return };
    let job = format!(
        "mkfifo \"$OUT/p\"; CI=true; export CI\n\
         (setsid sh -c 'ci-creds exoscale --role {ROLE} --format json; echo $? >\"$OUT/p\"' &)\n\
         read -r code <\"$OUT/p\"; exit $code\n"
    );
    let runner = "import subprocess, sys\n\
                  ran = subprocess.run(['sh', sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)\n\
                  print(ran.stdout.decode())\n\
                  sys.exit(ran.returncode)\n";
    let paths = [python, world.file("runner.py", runner), world.file("job.sh", &job)];
    let [python, runner, job] = paths.map(|path| path.display().to_string());
    command.args(["sh", "-c", &format!("{python} {runner} {job}; exit $?")]);
    let (code, log) = RUNNERS[1].run(&stage, command);
    assert!(code == 64 && log.contains("nothing captures the output"), "{code}: {log}");
}
