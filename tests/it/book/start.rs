//! docs/quick-start.md, followed to the letter on a fresh OpenBao.

use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use super::page::Page;
use crate::real_server::daemon::Daemon;
use crate::support::{Run, tool};

/// Where the page's server listens; here it is another port.
const ADDRESS: &str = "127.0.0.1:8200";

/// The server that the page starts, on a port of its own, and its address.
fn start(line: &str, binary: &str) -> (Daemon, String) {
    let mut said = String::new();
    // A port that was free a moment ago may be taken.
    for _ in 0..3 {
        let folder = tempfile::Builder::new().prefix("bao.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let listen = format!("-dev-listen-address={address}");
        let mut command: Vec<_> = line.split_whitespace().collect();
        assert_eq!(command[0], "bao", "the page starts another program");
        command[0] = binary;
        command.extend([listen.as_str(), "-dev-no-store-token"]);
        match Daemon::start(&command, folder, "KILL", "server started") {
            Ok(daemon) => return (daemon, address),
            Err(last) => said = last,
        }
    }
    panic!("{line} ended before it had started: {said}");
}

#[test]
fn the_quick_start_leads_to_a_credential_on_a_fresh_openbao() {
    let Some(binary) = std::env::var("CI_CREDS_TEST_VAULT").ok().filter(|path| !path.is_empty()) else {
        tool::miss("bao", "is not there: CI_CREDS_TEST_VAULT names no bao or vault binary");
        return;
    };
    let blocks = Page::read("docs/quick-start.md").blocks();
    let begun = Instant::now();
    let server = blocks.iter().find(|block| block.has("server")).expect("a server");
    let (_server, address) = start(server.text.trim(), &binary);
    let desk: String = blocks.iter().filter(|block| block.has("desk")).map(|block| block.text.as_str()).collect();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, bin.join(name)).expect("a link");
    link(env!("CARGO_BIN_EXE_ci-creds"), "ci-creds");
    link(&binary, "bao");
    let script = folder.path().join("script");
    std::fs::write(&script, format!("set -eu\n{}", desk.replace(ADDRESS, &address))).expect("a script");
    let home = folder.path().display().to_string();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let run = Run::new(Path::new("/bin/sh"), folder.path()).arg(&script.display().to_string());
    let ran = run.env("HOME", &home).env("TMPDIR", &home).env("PATH", &path).run();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("deploying with EXO"), "{ran:?}");
    assert!(ran.stdout.contains("exit code 79") && ran.stderr.contains("error[spent]"), "{ran:?}");
    println!("the commands of the page took {} ms", begun.elapsed().as_millis());
}
