//! Servers that end with this process, however that ends: at its end, by a panic, or by a kill.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Waits for the end of its input, which comes when nobody holds the other end any more, and then ends the server. Until
/// then each line is an order: to kill the server, or to start it again. It ignores what a terminal sends to all who run
/// in it: it must outlive its server.
const KEEPER: &str = r#"
trap '' HUP INT QUIT TERM
signal=$1 folder=$2
shift 2
"$@" </dev/null 2>&1 &
exec >/dev/null 2>&1
while read -r order; do
    case $order in
        kill) kill -s KILL $! && wait $! ;;
        start) "$@" </dev/null & ;;
    esac
done
kill -s "$signal" $!
wait
rm -rf -- "$folder"
"#;

/// A running server and its folder. Dropped, it has ended and its folder is gone.
pub struct Daemon {
    keeper: Child,
    input: Option<ChildStdin>,
}

impl Daemon {
    /// Starts a program, and returns when it has printed `ready`. `signal` is what ends it.
    ///
    /// # Errors
    /// What it printed, when it ended before.
    pub fn start(command: &[&str], folder: TempDir, signal: &str, ready: &str) -> Result<Self, String> {
        let folder = folder.keep();
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper", signal])
            .arg(&folder)
            .args(command)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut lines = BufReader::new(keeper.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let daemon = Self { input: keeper.stdin.take(), keeper };
        let mut said = String::new();
        for line in lines.by_ref() {
            if line.contains(ready) {
                // What it goes on to say must be taken, or it would be stopped by its own full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(daemon);
            }
            said = said + &line + "\n";
        }
        Err(said)
    }

    /// Kills the server, as a machine that loses its power does.
    pub fn kill(&mut self) {
        self.order("kill\n");
    }

    /// Starts a killed server again, with what is in its folder.
    pub fn start_again(&mut self) {
        self.order("start\n");
    }

    fn order(&mut self, line: &str) {
        self.input.as_mut().expect("a keeper").write_all(line.as_bytes()).expect("a keeper");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.input = None;
        // There is nothing else to do about it.
        let _ = self.keeper.wait();
    }
}

/// Makes of this test's process one that starts a server and waits to be killed, and names the server's folder.
const VARIABLE: &str = "CI_CREDS_TEST_DAEMON";

#[test]
fn child() {
    let Some(folder) = std::env::var_os(VARIABLE) else { return };
    let folder = tempfile::Builder::new().prefix("daemon.").tempdir_in(folder).expect("a folder");
    let pid = folder.path().join("pid").display().to_string();
    let server = ["/bin/sh", "-c", "echo $$ > \"$0\"; echo ready; exec sleep 600", &pid];
    let _daemon = Daemon::start(&server, folder, "KILL", "ready").expect("a server");
    println!("started {pid}");
    // Until the test kills it.
    std::thread::park();
}

#[test]
fn a_server_and_its_folder_are_gone_soon_after_a_test_that_was_killed() {
    let place = tempfile::Builder::new().prefix("daemons.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut command = Command::new(std::env::current_exe().expect("this test's own program"));
    command.args(["--exact", "real_server::daemon::child", "--nocapture", "--test-threads", "1"]);
    let mut test = command.env(VARIABLE, place.path()).stdout(Stdio::piped()).spawn().expect("a test");
    let mut lines = BufReader::new(test.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let started = lines.find_map(|line| line.split_once("started ").map(|(_, pid)| pid.to_owned())).expect("a server");
    let pid = std::fs::read_to_string(&started).expect("its number");
    let process = format!("/proc/{}", pid.trim());
    assert!(std::path::Path::new(&process).exists());
    test.kill().expect("a test");
    test.wait().expect("its end");
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::path::Path::new(&process).exists() || std::path::Path::new(&started).exists() {
        assert!(Instant::now() < deadline, "{process} or {started} is left");
        std::thread::sleep(Duration::from_millis(10));
    }
}
