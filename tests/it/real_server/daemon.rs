//! Servers that end with this process, however that ends: at its end, by a panic, or by a kill.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

/// Waits for the end of its input, which comes when nobody holds the other end any more, and then ends the server. It
/// ignores what a terminal sends to all who run in it: it must outlive its server.
const KEEPER: &str = r#"
trap '' HUP INT QUIT TERM
signal=$1 folder=$2
shift 2
"$@" </dev/null 2>&1 &
exec >/dev/null 2>&1
read -r _
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
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.input = None;
        // There is nothing else to do about it.
        let _ = self.keeper.wait();
    }
}
