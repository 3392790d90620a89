//! Who walks the chain: the tool, its floor, and the lines that people write.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::Programs;
use crate::double::{Double, ROLE};

/// Names a real `vault` (or `bao`) binary; without it, its lines are not measured.
const VAULT: &str = "CI_CREDS_TEST_VAULT";

/// As people write it where there is no `vault` binary: one `curl` and one `jq` for each request.
const CURL: &str = r#"
set -e
api() { curl -sS --fail --cacert "$VAULT_CACERT" -H 'X-Vault-Request: true' "$@"; }
PATH_OF_TOKEN=$(api --data "{\"token\":\"$VAULT_WRAPPING_TOKEN\"}" "$VAULT_ADDR/v1/sys/wrapping/lookup" | jq -r .data.creation_path)
test "$PATH_OF_TOKEN" = "auth/approle/role/$VAULT_APPROLE_ROLE/secret-id"
VAULT_SECRET_ID=$(api -X POST -H "X-Vault-Token: $VAULT_WRAPPING_TOKEN" "$VAULT_ADDR/v1/sys/wrapping/unwrap" | jq -r .data.secret_id)
VAULT_TOKEN=$(api --data "{\"role_id\":\"$VAULT_ROLE_ID\",\"secret_id\":\"$VAULT_SECRET_ID\"}" "$VAULT_ADDR/v1/auth/approle/login" | jq -r .auth.client_token)
credentials=$(api -H "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/exoscale/apikey/$VAULT_APPROLE_ROLE")
echo "export EXOSCALE_API_KEY='$(echo "$credentials" | jq -r .data.api_key)';"
echo "export EXOSCALE_API_SECRET='$(echo "$credentials" | jq -r .data.api_secret)';"
"#;

/// The same around a command, with the token revoked behind it: what a careful author writes in place of `exec`.
const AROUND: &str = r#"
trap 'api -X POST -H "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/auth/token/revoke-self"' EXIT
export EXOSCALE_API_KEY="$(echo "$credentials" | jq -r .data.api_key)"
export EXOSCALE_API_SECRET="$(echo "$credentials" | jq -r .data.api_secret)"
true
"#;

/// The published pipeline, with a wrapping token in place of the generator token and the same lookup before it.
const PUBLISHED: &str = r#"
set -e
PATH_OF_TOKEN=$("$VAULT" write -field=creation_path sys/wrapping/lookup token="$VAULT_WRAPPING_TOKEN")
test "$PATH_OF_TOKEN" = "auth/approle/role/$VAULT_APPROLE_ROLE/secret-id"
VAULT_SECRET_ID=$(VAULT_TOKEN=$VAULT_WRAPPING_TOKEN "$VAULT" unwrap -field=secret_id)
export VAULT_TOKEN=$("$VAULT" write -field=token auth/approle/login role_id="$VAULT_ROLE_ID" secret_id="$VAULT_SECRET_ID")
credentials=$("$VAULT" read -format=json "exoscale/apikey/$VAULT_APPROLE_ROLE")
echo "export EXOSCALE_API_KEY='$(echo "$credentials" | jq -r .data.api_key)';"
echo "export EXOSCALE_API_SECRET='$(echo "$credentials" | jq -r .data.api_secret)';"
"#;

/// One way to walk the chain.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    home: PathBuf,
}

/// All of them, the floor first, the tool second.
pub(crate) struct Clients {
    pub(crate) all: Vec<Client>,
}

impl Clients {
    pub(crate) fn new(programs: &Programs, home: &Path) -> Self {
        let mut all = vec![floor(programs, home), tool(programs, home)];
        all.extend(older(programs, home));
        match missing() {
            None => all.push(script("curl | jq, 4 requests", CURL, home)),
            Some(missing) => println!("curl | jq: skipped, {missing} is not installed"),
        }
        match std::env::var_os(VAULT) {
            Some(_) => all.push(script("vault | jq, as published", PUBLISHED, home)),
            None => println!("vault | jq: skipped, {VAULT} names no binary"),
        }
        Self { all }
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|client| client.name).collect()
    }
}

pub(crate) fn floor(programs: &Programs, home: &Path) -> Client {
    let (name, program) = ("floor: rustls, one connection", programs.floor.clone());
    Client { name, program, arguments: Vec::new(), home: home.to_owned() }
}

pub(crate) fn tool(programs: &Programs, home: &Path) -> Client {
    let arguments = ["exoscale", "--role", ROLE].map(str::to_owned).to_vec();
    Client { name: "ci-creds exoscale", program: programs.tool.clone(), arguments, home: home.to_owned() }
}

/// The tool around a command.
pub(crate) fn exec(programs: &Programs, home: &Path, command: &[&str]) -> Client {
    let words = ["exec", "exoscale", "--role", ROLE, "--"];
    let arguments = words.iter().chain(command).map(ToString::to_string).collect();
    Client { name: "ci-creds exec exoscale -- true", program: programs.tool.clone(), arguments, home: home.to_owned() }
}

/// The lines around a command; `None` where what they call is not installed.
pub(crate) fn lines(home: &Path) -> Option<Client> {
    missing().is_none().then(|| {
        // Behind the read, the one prints the credential and the other runs the command.
        let chain = CURL.lines().filter(|line| !line.starts_with("echo ")).collect::<Vec<_>>().join("\n");
        script("curl | jq, trap revoke-self", &format!("{chain}{AROUND}"), home)
    })
}

/// What the lines call, and this machine does not have.
fn missing() -> Option<&'static str> {
    ["curl", "jq"].into_iter().find(|name| Command::new(name).arg("--version").output().is_err())
}

fn script(name: &'static str, text: &str, home: &Path) -> Client {
    Client { name, program: "/bin/sh".into(), arguments: vec!["-c".into(), text.into()], home: home.to_owned() }
}

/// The older build, if one was named.
pub(crate) fn older(programs: &Programs, home: &Path) -> Option<Client> {
    let program = programs.older.clone()?;
    Some(Client { name: "ci-creds exoscale, older", program, ..tool(programs, home) })
}

impl Client {
    /// A program of the system, which knows nothing of Vault.
    pub(crate) fn plain(name: &'static str, words: &[&str], home: &Path) -> Self {
        let arguments = words[1..].iter().map(ToString::to_string).collect();
        Self { name, program: words[0].into(), arguments, home: home.to_owned() }
    }

    /// The same where it caches what it gets, with a home of its own.
    pub(crate) fn cached(mut self, home: PathBuf) -> Self {
        self.arguments.push("--cache".to_owned());
        self.home = home;
        self
    }
}

impl Client {
    /// The command with a fresh wrapping token.
    pub(crate) fn command(&self, double: &mut Double, latency: bool) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("VAULT", std::env::var_os(VAULT).unwrap_or_default())
            .env("HOME", &self.home)
            .env("VAULT_ADDR", if latency { &double.far } else { &double.near })
            .env("VAULT_CACERT", &double.ca)
            .env("VAULT_ROLE_ID", &double.role_id)
            .env("VAULT_APPROLE_ROLE", ROLE)
            .env("VAULT_WRAPPING_TOKEN", double.wrapping_token());
        command
    }
}
