//! What a run of a sweep is for: a key of a cloud, secrets of any engine, a Vault token, or a session of AWS without Vault.

use std::path::Path;

use dev_vault::{EXTERNAL_ID, FIRST_ROLE, SECOND_KEYS, SECOND_ROLE};
use serde_json::json;

use super::job::{Step, key_line};
use super::sts::{SECOND_SECRETS, first_keys};
use crate::support::{ROLE, Ran, World, leak};

/// What the run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A key of Exoscale.
    Key,
    /// A value of KV 2, which is stored and not made.
    Stored,
    /// A credential of an engine of which nothing is known but its lease.
    Leased,
    /// What a write makes, and no lease ends: a certificate, its key in a private file.
    Issued,
    /// Three sections: a lease, a write whose value goes to a private file, and KV.
    Sections,
    /// The Vault token itself.
    Token,
    /// A key of Scaleway, which is stored.
    Scaleway,
    /// A session of AWS for an ID token, without Vault.
    Session,
    /// The session of a second role, which the first one assumes.
    Chained,
}

const CONFIG: &str = "[secret.db]\npath = \"database/creds/app\"\nenv = { PGUSER = \"username\", PGPASSWORD = \"password\" }\n\
    [secret.k8s]\npath = \"kubernetes/creds/app\"\nbody = { kubernetes_namespace = \"prod\" }\n\
    file = { KUBE_TOKEN_FILE = \"service_account_token\" }\n\
    [secret.npm]\npath = \"secret/data/ci\"\nkv = 2\nenv = { NPM_TOKEN = \"token\" }\n";

const STORED: &str = "npm_Wq4Zt8Vb2Kx6Rm1Ld9";

/// The stored key of Scaleway, and its secret.
const SCALEWAY: [&str; 2] = ["SCWQ7RT2ZK9XW4M1B8ND", "7c1f0a52-93be-4d68-a1f4-0e5d2b8c6f39"];

impl Errand {
    /// The requests after the login.
    pub fn steps(self) -> Vec<Step> {
        let paths: &[&str] = match self {
            Self::Key => return vec![Step::at(&format!("exoscale/apikey/{ROLE}"))],
            Self::Session => return vec![Step::sts(1)],
            Self::Chained => return vec![Step::sts(1), Step::sts(2)],
            Self::Scaleway => &["secret/data/scw"],
            Self::Stored => &["secret/data/ci"],
            Self::Leased => &["database/creds/app"],
            Self::Issued => &["pki/issue/app"],
            Self::Sections => &["database/creds/app", "kubernetes/creds/app", "secret/data/ci"],
            Self::Token => &["auth/token/create"],
        };
        paths.iter().map(|path| Step::at(path)).collect()
    }

    pub fn formats(self) -> &'static [&'static str] {
        match self {
            Self::Key | Self::Scaleway | Self::Session | Self::Chained => {
                &["shell", "fish", "powershell", "json", "dotenv", "github", "file", "process"]
            }
            _ => &["shell", "fish", "powershell", "json", "dotenv", "github"],
        }
    }

    /// The engines and the policy, before the run.
    pub fn set_up(self, world: &World) {
        let vault = &world.vault;
        match self {
            Self::Key | Self::Session | Self::Chained => return,
            Self::Scaleway => {
                let [key, secret] = SCALEWAY;
                let secret = json!({ "access_key": key, "secret_key": secret, "region": "fr-par",
                    "expires_at": "2098-02-03T04:05:06Z" });
                vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
                vault.write("secret/data/scw", json!({ "data": secret }));
                let policy = "path \"secret/data/scw\" { capabilities = [\"read\"] }";
                vault.write("sys/policies/acl/job", json!({ "policy": policy }));
                return;
            }
            _ => {}
        }
        for kind in ["database", "kubernetes", "pki"] {
            vault.write(&format!("sys/mounts/{kind}"), json!({ "type": kind }));
            vault.write(&format!("{kind}/roles/app"), json!({ "db_name": "x" }));
        }
        vault.write("sys/mounts/secret", json!({ "type": "kv", "options": { "version": "2" } }));
        vault.write("secret/data/ci", json!({ "data": { "token": STORED } }));
        let engines = ["database/creds/*", "kubernetes/creds/*", "pki/issue/*", "secret/data/*"];
        let paths = engines.into_iter().chain(["auth/token/create", "sys/leases/revoke"]);
        let rule = |path| format!("path \"{path}\" {{ capabilities = [\"read\", \"update\"] }}\n");
        vault.write("sys/policies/acl/job", json!({ "policy": paths.map(rule).collect::<String>() }));
    }

    pub fn line(self, world: &World, format: &str) -> String {
        match self {
            Self::Key => key_line(format),
            Self::Stored => "secret --path secret/data/ci --kv 2 --env NPM_TOKEN=token".into(),
            Self::Leased => "secret --path database/creds/app --env PGUSER=username --env PGPASSWORD=password".into(),
            Self::Issued => {
                "secret --path pki/issue/app --set common_name=job --file KEY=private_key --env SERIAL=serial_number"
                    .into()
            }
            Self::Sections => {
                format!("secret db k8s npm --config {}", world.file("sections.toml", CONFIG).display())
            }
            Self::Token => "token --ttl 10m".into(),
            // As for Exoscale: AWS's tools take the pair for the object storage.
            Self::Scaleway => {
                format!("scaleway --path secret/data/scw {}", if format == "process" { "--s3" } else { "" })
            }
            Self::Session => format!("aws --via web-identity --role-arn {FIRST_ROLE}"),
            Self::Chained => {
                format!("{} --assume {SECOND_ROLE} --external-id {EXTERNAL_ID}", Self::Session.line(world, format))
            }
        }
    }

    /// What of it is told nowhere but where it is delivered, beside what Vault made.
    pub fn secrets(self) -> Vec<&'static str> {
        match self {
            Self::Scaleway => vec![SCALEWAY[1]],
            Self::Session | Self::Chained => first_keys()[1..].iter().chain(&SECOND_SECRETS).copied().collect(),
            _ => Vec::new(),
        }
    }

    /// How many leases live after a run that succeeded.
    fn leases(self) -> usize {
        match self {
            Self::Key | Self::Leased => 1,
            Self::Sections => 2,
            _ => 0,
        }
    }

    /// How many tokens a run makes: its login's, and the one that it hands over.
    pub fn tokens(self) -> usize {
        if self == Self::Token { 2 } else { 1 }
    }

    /// A run that succeeded has handed over what it is for, and nothing else is alive.
    pub fn hold_success(self, world: &World, ran: &Ran, format: &str, told: &str) {
        let live = world.vault.live_leases();
        assert_eq!(live.len(), self.leases(), "{told}");
        let files = private_files(world);
        match self {
            Self::Key => {
                let key = &live[0].access_key;
                let has = if format == "file" { files.contains(key) } else { ran.stdout.contains(key) };
                assert!(has && (format == "file" || files.is_empty()), "{told}");
            }
            Self::Stored => assert!(ran.stdout.contains(STORED) && files.is_empty(), "{told}"),
            Self::Leased => assert!(ran.stdout.contains("-app") && files.is_empty(), "{told}"),
            Self::Issued => assert!(files.starts_with("-----BEGIN RSA PRIVATE KEY"), "{told}"),
            Self::Sections => {
                assert!(ran.stdout.contains("-app") && ran.stdout.contains(STORED), "{told}");
                let secrets = world.vault.secrets();
                assert!(leak::find(secrets.iter().map(String::as_str), &files).is_some(), "{told}");
                assert!(leak::find([files.trim()], &ran.stdout).is_none(), "it is in its file alone: {told}");
            }
            Self::Token => {
                let tokens = world.vault.live_tokens();
                let token = tokens.iter().find(|token| ran.stdout.contains(&token.id));
                assert!(token.is_some_and(|token| token.path == "auth/token/create"), "{told}");
            }
            Self::Scaleway => hold_delivery(&SCALEWAY, ran, &files, format, told),
            Self::Session => hold_delivery(&first_keys(), ran, &files, format, told),
            Self::Chained => {
                hold_delivery(&SECOND_KEYS, ran, &files, format, told);
                let has = |key: &&str| ran.stdout.contains(*key) || files.contains(*key);
                assert!(!first_keys().iter().any(has), "the first session is nobody's: {told}");
            }
        }
    }
}

/// The whole of it stands where this format has it, and nowhere else.
fn hold_delivery(keys: &[&str], ran: &Ran, files: &str, format: &str, told: &str) {
    let (here, there) = if format == "file" { (files, ran.stdout.as_str()) } else { (ran.stdout.as_str(), files) };
    assert!(keys.iter().all(|key| here.contains(key) && !there.contains(key)), "{told}");
}

/// What private files this world's job has, as one text.
pub fn private_files(world: &World) -> String {
    let entries = |path: &Path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let files = entries(&world.path("tmp")).into_iter().flat_map(|folder| entries(&folder));
    files.map(|file| std::fs::read_to_string(file).expect("its text")).collect()
}
