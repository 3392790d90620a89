//! The cloud behind a real server: PostgreSQL, whose users are the keys. One for all tests of this process.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::daemon::Daemon;
use super::operator::Operator;
use crate::support::tool;

/// Who may make users, and the password.
const OPERATOR: &str = "operator";
const PASSWORD: &str = "of-the-operator";

pub struct Database {
    pub address: SocketAddr,
    programs: PathBuf,
    _daemon: Daemon,
}

impl Database {
    /// The one that all share; none where PostgreSQL is not installed.
    pub fn shared() -> Option<&'static Self> {
        static DATABASE: OnceLock<Option<Database>> = OnceLock::new();
        DATABASE.get_or_init(Self::start).as_ref()
    }

    fn start() -> Option<Self> {
        let Some(programs) = find_programs() else {
            tool::miss("postgres", "is not installed");
            return None;
        };
        let mut said = String::new();
        // As for every server whose port was free a moment ago.
        for _ in 0..3 {
            match Self::try_to_start(&programs) {
                Ok(database) => return Some(database),
                Err(last) => said = last,
            }
        }
        panic!("postgres ended before it had started: {said}");
    }

    fn try_to_start(programs: &Path) -> Result<Self, String> {
        // Not below the checkout, which another user may not be able to enter.
        let folder = tempfile::Builder::new().prefix("ci-creds-postgres.").tempdir().expect("a folder");
        let account = Account::choose(&folder);
        let data = folder.path().join("data").display().to_string();
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).expect("a file");
        let initdb = programs.join("initdb").display().to_string();
        let file = format!("--pwfile={}", password.display());
        let line = [
            &initdb,
            "-D",
            &data,
            "-U",
            OPERATOR,
            "--auth=scram-sha-256",
            &file,
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ];
        let output = run(&account.command(&line), &[]);
        assert!(output.status.success(), "{output:?}");

        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        drop(socket);
        let (server, port) = (programs.join("postgres").display().to_string(), address.port().to_string());
        let settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200"];
        let mut line = vec![server.as_str(), "-D", &data, "-p", &port];
        line.extend(settings.iter().flat_map(|setting| ["-c", setting]));
        let command = account.command(&line);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        // Without waiting for anybody who is connected.
        let daemon = Daemon::start(&command, folder, "QUIT", "ready to accept connections")?;
        Ok(Self { address, programs: programs.to_owned(), _daemon: daemon })
    }

    /// The rows of a query, one text each.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let output = self.psql(OPERATOR, PASSWORD, sql);
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).expect("a text").lines().map(str::to_owned).collect()
    }

    /// Whether somebody is let in.
    pub fn lets_in(&self, user: &str, password: &str) -> bool {
        let output = self.psql(user, password, "SELECT 'in'");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("authentication failed"), "{said}");
        output.status.success()
    }

    fn psql(&self, user: &str, password: &str, sql: &str) -> Output {
        let psql = self.programs.join("psql").display().to_string();
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let line = [&psql, "-X", "-A", "-t", "-q", "-h", &host, "-p", &port, "-U", user, "-d", "postgres", "-c", sql];
        run(&line.map(str::to_owned), &[("PGPASSWORD", password)])
    }

    /// Mounts an engine that makes users of this database, by as many connections, named `0`, `1` and so on: in one of
    /// them the engine makes one user after the other. `reached` is where the engine finds the database.
    ///
    /// A user is named as an IAM user's access key is, behind `AKIA` the role in capitals.
    pub fn mount(operator: &Operator, mount: &str, connections: usize, reached: SocketAddr) {
        operator.write(&format!("sys/mounts/{mount}"), &json!({ "type": "database" }));
        let characters = "length = 40\nrule \"charset\" {\n  charset = \"ABCDEFGHJKLMNPQRSTUVWXYZ23456789\"\n}\n";
        operator.write(&format!("sys/policies/password/{mount}"), &json!({ "policy": characters }));
        for name in 0..connections {
            let config = json!({
                "plugin_name": "postgresql-database-plugin", "allowed_roles": ["*"], "verify_connection": false,
                "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{reached}/postgres?sslmode=disable"),
                "username": OPERATOR, "password": PASSWORD, "password_policy": mount,
                "username_template": "AKIA{{ .RoleName | uppercase }}{{ random 16 | uppercase }}",
            });
            operator.write(&format!("{mount}/config/{name}"), &config);
        }
    }

    /// Whom a role makes, by which of the connections.
    pub fn role(connection: usize) -> Value {
        json!({
            "db_name": connection.to_string(), "default_ttl": "10m", "max_ttl": "20m",
            "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"],
            "revocation_statements": ["DROP ROLE IF EXISTS \"{{name}}\""],
        })
    }
}

/// Debian keeps them out of `PATH`, a folder a version.
fn find_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let elsewhere = tool::find_all("initdb").filter_map(|path| Some(path.parent()?.to_owned()));
    let is_whole = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
    folders.into_iter().rev().chain(elsewhere).find(is_whole)
}

/// Whom the server runs as: it refuses to be root.
enum Account {
    Own,
    Other { user: u32, group: u32 },
}

impl Account {
    /// Gives the folder to whom it chooses.
    fn choose(folder: &TempDir) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::Own;
        }
        let accounts = std::fs::read_to_string("/etc/passwd").expect("accounts");
        let find = |name: &str| {
            let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let mut numbers =
                fields.filter(|fields| fields[0] == name).map(|fields| (fields[2].parse(), fields[3].parse()));
            numbers.find_map(|(user, group)| Some((user.ok()?, group.ok()?)))
        };
        let (user, group) = find("postgres").or_else(|| find("nobody")).expect("an account that is not root's");
        chown(folder.path(), Some(user), Some(group)).expect("root may");
        Self::Other { user, group }
    }

    fn command(&self, line: &[&str]) -> Vec<String> {
        let mut command = Vec::new();
        if let Self::Other { user, group } = self {
            command =
                vec!["setpriv".into(), format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()];
        }
        command.extend(line.iter().map(|&word| word.to_owned()));
        command
    }
}

fn run(line: &[String], variables: &[(&str, &str)]) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).env_clear().env("PATH", path).envs(variables.iter().copied()).current_dir("/");
    command.output().unwrap_or_else(|error| panic!("{line:?}: {error}"))
}
