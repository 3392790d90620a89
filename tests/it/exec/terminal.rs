//! A command at a terminal: what is typed reaches it once, and job control works as without us.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::signalled::{COUNTED, COUNTER};
use super::{EXOSCALE, exec};
use crate::support::{Run, World, tool};

/// A terminal with a session of its own, and the program that leads it.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    shown: String,
}

impl Terminal {
    /// Runs the words under `setsid`, which makes the terminal theirs. `None` where that is not installed.
    fn run(words: &[&str], run: &Run) -> Option<Self> {
        let setsid = tool::find("setsid")?;
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let slave = || File::options().read(true).write(true).open(name.to_str().expect("a path")).expect("its slave");
        let mut command = Command::new(setsid);
        command.args(["--ctty", "--wait"]).args(words).env_clear().env("TERM", "dumb").envs(run.variables());
        let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("a child");
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone().expect("a second handle");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read) = reader.read(&mut bytes) {
                if read == 0 || sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { child, keyboard, screen, shown: String::new() })
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("pressed");
    }

    /// Waits until the text is shown, and forgets what stood before its end.
    fn expect(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(place) = self.shown.find(text) {
                return self.shown.drain(..place + text.len()).collect();
            }
            let left = Duration::from_secs(60).saturating_sub(begun.elapsed());
            let more = self.screen.recv_timeout(left);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not shown: {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// The process whose command line has this word.
    fn process(&self, word: &str) -> Pid {
        self.find(word).unwrap_or_else(|| panic!("there is no {word}"))
    }

    fn find(&self, word: &str) -> Option<Pid> {
        let mut open = vec![Pid::from_child(&self.child)];
        while let Some(pid) = open.pop() {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.split(|byte| *byte == 0).next().is_some_and(|first| first.ends_with(word.as_bytes())) {
                return Some(pid);
            }
            open.extend(super::signalled::children(pid));
        }
        None
    }

    /// Waits until the process goes on in the foreground. A shell shows the line of a job before it puts it there: a key
    /// that is pressed in between is the shell's, which ignores it.
    fn wait_for_foreground(&self, pid: Pid) {
        wait_for(|| {
            let [state, _parent, group, _session, _terminal, foreground] = stat(pid)?;
            (state != "T" && group == foreground).then_some(())
        });
    }

    /// Waits until the process's children have stopped, as it has. One that reads from the terminal takes the next key
    /// until then, and the shell waits for their parent alone.
    fn wait_for_children_to_stop(&self, pid: Pid) {
        wait_for(|| {
            let children = super::signalled::children(pid);
            children.iter().all(|child| stat(*child).is_some_and(|[state, ..]| state == "T")).then_some(())
        });
    }
}

/// The state of a process, its parent, group, session and terminal, and the group in the foreground there.
fn stat(pid: Pid) -> Option<[String; 6]> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit(") ").next()?.split(' ').take(6).map(str::to_owned).collect();
    fields.try_into().ok()
}

/// Nobody tells of a process that stops or goes on but its parent.
fn wait_for(done: impl Fn() -> Option<()>) {
    let begun = Instant::now();
    while done().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Hangs up: the kernel ends what still runs at the terminal.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of a run, the program's path first.
fn words(run: &Run) -> Vec<&str> {
    std::iter::once(env!("CARGO_BIN_EXE_ci-creds")).chain(run.arguments.iter().map(String::as_str)).collect()
}

fn counter(world: &World, python: &Path) -> Run {
    let words: Vec<_> = [python.to_str().expect("a path"), "-c", COUNTER].into_iter().chain(COUNTED).collect();
    exec(world, "secret-id", EXOSCALE, &words)
}

#[test]
fn what_a_terminal_sends_reaches_the_command_once_and_what_is_sent_to_us_alone_too() {
    let Some(python) = tool::find("python3") else { return };
    let world = World::start();
    for (keys, name) in [("\x03", "SIGINT"), ("\x1c", "SIGQUIT"), ("", "SIGTERM")] {
        let run = counter(&world, &python);
        let Some(mut terminal) = Terminal::run(&words(&run), &run) else { return };
        terminal.expect("ready");
        match keys {
            "" => kill_process(terminal.process("ci-creds"), Signal::TERM).expect("sent"),
            keys => terminal.press(keys),
        }
        terminal.expect(&format!("got {name}"));
        std::thread::sleep(Duration::from_millis(400));
        terminal.press("\x04");
        terminal.expect("counts ");
        assert_eq!(terminal.expect("\r\n").trim_end(), name);
        assert_eq!(terminal.child.wait().expect("its end").code(), Some(0));
    }
    world.assert_nothing_left(&"terminal");
}

#[test]
fn a_script_stops_at_a_command_that_ctrl_c_ended() {
    let Some(bash) = tool::find("bash") else { return };
    let world = World::start();
    let run = exec(&world, "secret-id", EXOSCALE, &["sh", "-c", "echo begun; exec sleep 60"]);
    let mut line = vec![bash.to_str().expect("a path"), "-c", "\"$@\"; echo CONTINUED", "bash"];
    line.extend(words(&run));
    let Some(mut terminal) = Terminal::run(&line, &run) else { return };
    terminal.expect("begun");
    terminal.press("\x03");
    let status = terminal.child.wait().expect("its end");
    // setsid tells the signal as a shell does.
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status:?}");
    while let Ok(more) = terminal.screen.recv_timeout(Duration::from_millis(100)) {
        terminal.shown.push_str(&String::from_utf8_lossy(&more));
    }
    assert!(!terminal.shown.contains("CONTINUED"), "{}", terminal.shown);
    world.assert_nothing_left(&"ctrl-c");
}

/// An interactive bash of the caller's, at its prompt.
fn interactive(bash: &Path, run: &Run) -> Option<Terminal> {
    let mut terminal = Terminal::run(&[bash.to_str().expect("a path"), "--norc", "--noprofile", "-i"], run)?;
    // At Ctrl+Z the kernel signals first and then drops what stands in the terminal's buffer: it could be what the shell
    // says of the stopped job.
    terminal.press("PS1='caller> '; bind 'set enable-bracketed-paste off' 2>/dev/null; stty -echo noflsh\n");
    terminal.expect("caller> ");
    terminal.press("echo at the $((1+1))nd prompt\n");
    terminal.expect("at the 2nd prompt");
    Some(terminal)
}

/// The run as one line for a shell.
fn typed(run: &Run) -> String {
    let quoted: Vec<_> = words(run).iter().map(|word| format!("'{word}'")).collect();
    quoted.join(" ") + "\n"
}

#[test]
fn ctrl_z_stops_us_with_the_command_and_fg_goes_on_with_both() {
    let Some(bash) = tool::find("bash") else { return };
    let world = World::start();
    let run = exec(&world, "secret-id", EXOSCALE, &["sh", "-c", "echo begun; read word; echo got $word"]);
    let Some(mut terminal) = interactive(&bash, &run) else { return };
    terminal.press(&typed(&run));
    terminal.expect("begun");
    for _ in 0..2 {
        let ours = terminal.process("ci-creds");
        terminal.wait_for_foreground(ours);
        terminal.press("\x1a");
        terminal.expect("Stopped");
        terminal.expect("caller> ");
        terminal.wait_for_children_to_stop(ours);
        terminal.press("fg\n");
        // The shell tells the line that goes on.
        terminal.expect("got $word'");
    }
    terminal.press("hello\n");
    terminal.expect("got hello");
    terminal.press("exit\n");
    terminal.child.wait().expect("its end");
    world.assert_nothing_left(&"ctrl-z");
}

#[test]
fn a_shell_as_the_command_has_job_control_and_can_suspend_itself() {
    let Some(bash) = tool::find("bash") else { return };
    let world = World::start();
    let inner = [bash.to_str().expect("a path"), "--norc", "--noprofile", "-i"];
    let run = exec(&world, "secret-id", EXOSCALE, &inner);
    let Some(mut terminal) = interactive(&bash, &run) else { return };
    terminal.press(&typed(&run));
    terminal.press("PS1='inner> '\n");
    let before = terminal.expect("inner> ");
    assert!(!before.contains("no job control"), "{before}");
    terminal.press("sleep 77\n");
    wait_for(|| terminal.find("sleep").map(drop));
    let sleeping = terminal.process("sleep");
    terminal.wait_for_foreground(sleeping);
    terminal.press("\x1a");
    terminal.expect("Stopped");
    terminal.press("jobs; kill -KILL %1; echo killed $((1+1))\n");
    terminal.expect("killed 2");
    // The shell does not end while it knows of a stopped job.
    wait_for(|| stat(sleeping).is_none().then_some(()));
    terminal.press("suspend\n");
    terminal.expect("caller> ");
    terminal.press("fg\n");
    terminal.press("echo inside again: $((3+4))\n");
    terminal.expect("inside again: 7");
    terminal.press("exit 5\n");
    terminal.expect("caller> ");
    terminal.press("echo code $?\n");
    terminal.expect("code 5");
    terminal.press("exit\n");
    terminal.child.wait().expect("its end");
    world.assert_nothing_left(&"bash -i");
}

#[test]
fn a_prompt_for_a_password_works_as_without_us() {
    let world = World::start();
    let script = "stty -echo </dev/tty; printf 'Password: ' >/dev/tty; read word </dev/tty; stty echo </dev/tty; \
                  test -t 0 && test -t 1 && test -t 2 && echo got ${#word}";
    let run = exec(&world, "secret-id", EXOSCALE, &["sh", "-c", script]);
    let Some(mut terminal) = Terminal::run(&words(&run), &run) else { return };
    terminal.expect("Password: ");
    terminal.press("sesame\n");
    let shown = terminal.expect("got 6");
    assert!(!shown.contains("sesame"), "{shown}");
    assert_eq!(terminal.child.wait().expect("its end").code(), Some(0));
}

#[test]
fn a_look_at_the_environment_at_a_terminal_says_that_it_shows_the_values() {
    let world = World::start();
    for (command, told) in [(&["env"][..], true), (&["printenv", "HOME"], true), (&["env", "true"], false)] {
        let run = exec(&world, "secret-id", EXOSCALE, command).arg_before("-v");
        let Some(mut terminal) = Terminal::run(&words(&run), &run) else { return };
        let shown = terminal.expect("queued: the credential");
        assert_eq!(shown.contains(&format!("{} prints the values of the credential", command[0])), told, "{shown}");
    }
    assert!(exec(&world, "secret-id", EXOSCALE, &["env"]).run().stderr.is_empty(), "nobody reads it but a program");
}

#[test]
fn an_editor_and_a_hidden_password_work_as_without_us() {
    let world = World::start();
    if let Some(editor) = tool::find("vi") {
        let file = world.file("text", "before\n");
        let path = file.to_str().expect("a path");
        let run = exec(&world, "secret-id", EXOSCALE, &[editor.to_str().expect("a path"), "-u", "NONE", "-n", path]);
        let run = run.env("TERM", "xterm");
        let Some(mut terminal) = Terminal::run(&words(&run), &run) else { return };
        terminal.expect("before");
        terminal.press("ityped \x1b:wq\r");
        assert_eq!(terminal.child.wait().expect("its end").code(), Some(0));
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "typed before\n");
    }
    if let Some(bash) = tool::find("bash") {
        let script = "read -rsp 'Password: ' word; echo; echo got ${#word}; exit 3";
        let run = exec(&world, "secret-id", EXOSCALE, &[bash.to_str().expect("a path"), "-c", script]);
        let Some(mut terminal) = Terminal::run(&words(&run), &run) else { return };
        terminal.expect("Password: ");
        terminal.press("sesame\n");
        let shown = terminal.expect("got 6");
        assert!(!shown.contains("sesame"), "{shown}");
        assert_eq!(terminal.child.wait().expect("its end").code(), Some(3));
    }
    world.assert_nothing_left(&"editor");
}
