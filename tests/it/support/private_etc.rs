//! A run with its own files in `/etc`, and a name service of the test's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Run, World, tool};

/// Files of the test's in the place of the system's, for one process and its children.
pub struct PrivateEtc {
    unshare: PathBuf,
    /// What stands where.
    files: Vec<(PathBuf, &'static str)>,
}

impl PrivateEtc {
    /// Names come from `hosts`, which knows this machine alone, and then from the name server. `None`, which is told, where
    /// this user may not have such files.
    pub fn new(world: &World, name_server: Ipv4Addr, options: &str) -> Option<Self> {
        let unshare = tool::find("unshare")?;
        let permitted = Command::new(&unshare).args(["-m", "true"]).output();
        if !permitted.is_ok_and(|output| output.status.success()) {
            tool::miss("unshare", "may not make a folder /etc of the test's own");
            return None;
        }
        let files = [
            ("hosts", "127.0.0.1 localhost\n".to_owned()),
            ("nsswitch.conf", "hosts: files dns\n".to_owned()),
            ("resolv.conf", format!("nameserver {name_server}\n{options}")),
        ];
        let files = files.map(|(name, text)| (world.file(name, &text), name));
        Some(Self { unshare, files: files.into() })
    }

    /// Another text in the place of one of the files.
    pub fn with(self, world: &World, name: &str, text: &str) -> Self {
        world.file(name, text);
        self
    }

    /// The command with these files. The process that it starts is the program itself.
    pub fn command(&self, run: &Run) -> Command {
        let inner = run.to_command();
        let mut command = Command::new(&self.unshare);
        let script =
            "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"/etc/$2\" || exit 99; shift 2; done; shift; exec \"$@\"";
        command.args(["-m", "/bin/sh", "-c", script, "sh"]);
        for (path, name) in &self.files {
            command.arg(path).arg(name);
        }
        command.arg("--").arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(run.variables()).stdin(Stdio::null());
        command
    }
}

/// A name server that knows a few names, and remembers what it was asked.
pub struct NameServer {
    /// Where it listens.
    pub address: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// `None`, which is told, where this user may not have the port.
    pub fn start(names: &[(&str, Ipv4Addr)]) -> Option<Self> {
        let (address, socket) = bind()?;
        let names: BTreeMap<_, _> = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Some(question) = Question::of(&buffer[..length]) else { return };
                let answer = question.answer(names.get(&question.name).copied());
                heard.lock().unwrap().push(question.name);
                let _ = socket.send_to(&answer, from);
            }
        });
        Some(Self { address, asked, thread: Some(thread) })
    }

    /// The names that somebody asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // No question: it ends.
        let told = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(&[], (self.address, 53)));
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// The port of the name service, which is for root, at a loopback address that nobody else listens at.
pub fn bind() -> Option<(Ipv4Addr, UdpSocket)> {
    if !tool::is_root("port 53 is for root") {
        return None;
    }
    let [.., high, low] = std::process::id().to_be_bytes();
    let mut addresses = (1..=254).map(|number| Ipv4Addr::new(127, number, high, low | 1));
    let bound = addresses.find_map(|address| Some((address, UdpSocket::bind((IpAddr::from(address), 53)).ok()?)));
    Some(bound.expect("a loopback address whose port 53 is free"))
}

/// RFC 1035: one question behind a header of twelve bytes.
struct Question {
    header: [u8; 4],
    text: Vec<u8>,
    name: String,
    kind: [u8; 2],
}

impl Question {
    fn of(message: &[u8]) -> Option<Self> {
        let mut labels = Vec::new();
        let mut at = 12;
        while let length @ 1.. = usize::from(*message.get(at)?) {
            labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + length)?).to_ascii_lowercase());
            at += 1 + length;
        }
        Some(Self {
            header: message.get(..4)?.try_into().ok()?,
            text: message.get(12..at + 5)?.to_vec(),
            name: labels.join("."),
            kind: message.get(at + 1..at + 3)?.try_into().ok()?,
        })
    }

    /// The address; no answer of another kind than `A`; or that there is no such name.
    fn answer(&self, address: Option<Ipv4Addr>) -> Vec<u8> {
        let found = address.filter(|_| self.kind == [0, 1]);
        let code = if address.is_some() { 0x80 } else { 0x83 };
        let head = [self.header[0], self.header[1], 0x81, code, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0];
        let record = found.map(|address| [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &address.octets()].concat());
        [&head[..], &self.text, &record.unwrap_or_default()].concat()
    }
}

/// The programs that a test attacks: this build's, and one that was built before, which `CI_CREDS_TEST_BINARY` names: the
/// static release.
pub fn programs() -> Vec<PathBuf> {
    let other = std::env::var_os("CI_CREDS_TEST_BINARY").map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    if other.is_none() {
        eprintln!("skipped: the static program, which CI_CREDS_TEST_BINARY names");
    }
    std::iter::once(env!("CARGO_BIN_EXE_ci-creds").into()).chain(other).collect()
}
