//! One OpenBao or Vault for all tests of this process: in memory, with TLS for jobs and plain HTTP for the operator.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::daemon::Daemon;
use super::operator::Operator;
use super::site::prepare;
use crate::support::tool;

const VARIABLE: &str = "CI_CREDS_TEST_VAULT";

/// The server's program; none where there is no such thing.
pub fn binary() -> Option<PathBuf> {
    let binary = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    if binary.is_none() {
        tool::miss("bao", &format!("is not there: {VARIABLE} names no bao or vault binary"));
    }
    binary.map(PathBuf::from)
}

pub struct Server {
    pub operator: Operator,
    /// Where jobs find it.
    pub address: String,
    /// The CA that it made for its certificate.
    pub ca_file: PathBuf,
    _daemon: Daemon,
}

impl Server {
    /// The one that all share, each with mounts and roles of its own; none where there is no binary.
    pub fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        let start = || {
            let server = Self::start()?;
            prepare(&server.operator);
            Some(server)
        };
        SERVER.get_or_init(start).as_ref()
    }

    /// One for a test that takes it away from everybody else.
    pub fn start() -> Option<Self> {
        let binary = binary()?;
        // A port that was free a moment ago may be taken: the server has no way to choose one and tell.
        let mut said = String::new();
        for _ in 0..3 {
            match Self::try_to_start(&binary) {
                Ok(server) => return Some(server),
                Err(last) => said = last,
            }
        }
        panic!("{} ended before it had started: {said}", binary.display());
    }

    fn try_to_start(binary: &Path) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("bao.").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (jobs, operator) = (free(), free());
        let [jobs, operator] = [jobs, operator].map(|socket| socket.local_addr().expect("its address"));
        let config = folder.path().join("config.hcl");
        let listener = format!("listener \"tcp\" {{\n  address = \"{operator}\"\n  tls_disable = true\n}}\n");
        std::fs::write(&config, listener).expect("a file");
        let token = format!("root-of-the-test-{}", std::process::id());
        let ca_file = folder.path().join("vault-ca.pem");
        let command = [
            &binary.display().to_string(),
            "server",
            "-dev",
            "-dev-tls",
            "-dev-no-store-token",
            &format!("-dev-tls-cert-dir={}", folder.path().display()),
            &format!("-dev-root-token-id={token}"),
            &format!("-dev-listen-address={jobs}"),
            &format!("-config={}", config.display()),
        ];
        // Nothing of it is worth a clean end.
        let daemon = Daemon::start(&command, folder, "KILL", "server started")?;
        let operator = Operator::new(operator, token);
        Ok(Self { operator, address: format!("https://{jobs}"), ca_file, _daemon: daemon })
    }
}
