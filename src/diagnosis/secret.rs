//! The path of a secret of any engine: which engine is mounted there, whether the path and the request have its form,
//! whether a KV engine has the secret, and what the policies allow. The secret itself is never read.

use super::engine::{COUNTED, Rights, grants};
use super::token::CountedToken;
use super::{Check, Topic};
use crate::config::{CredentialPlan, Plan};
use crate::error::{Error, Kind, sanitized};
use crate::mint::Mint;
use crate::origin::Origin;
use crate::provider::shape::Shape;
use crate::vault::client::Vault;
use crate::vault::client::reading::{MountInfo, Reading, SecretVersions};

/// One request of a run, and where the user described it.
pub(crate) struct SecretRead<'a> {
    shape: &'a Shape,
    mint: &'a Mint,
    /// The name of the section. Empty where flags describe the request.
    section: &'a str,
    origin: &'a Origin,
}

impl<'a> SecretRead<'a> {
    /// All that a run reads, in order.
    pub(crate) fn all_of(plan: &'a Plan) -> Vec<Self> {
        let first = Self { shape: &plan.shape, mint: &plan.mint, section: &plan.role, origin: &plan.role_origin };
        let read = |one: &'a CredentialPlan| Self {
            shape: &one.shape,
            mint: &one.mint,
            section: &one.role,
            origin: &one.role_origin,
        };
        std::iter::once(first).chain(plan.others.iter().map(read)).collect()
    }

    fn path(&self) -> &'a str {
        &self.mint.path
    }

    fn kv(&self) -> Option<u8> {
        self.shape.mapping.as_ref().and_then(|mapping| mapping.kv)
    }

    fn capability(&self) -> &'static str {
        if self.mint.body.is_some() { "update" } else { "read" }
    }

    fn place(&self) -> String {
        match self.section {
            "" => self.origin.to_string(),
            name => format!("[secret.{name}] of {}", self.origin),
        }
    }

    /// How the user gives another value: `--kv 2`, or `kv = 2` in its section.
    fn change(&self, key: &str, value: &str) -> String {
        match self.section {
            "" => format!("--{key} {value}"),
            name if key == "path" => format!("write path = \"{value}\" in [secret.{name}]"),
            name => format!("write {key} = {value} in [secret.{name}]"),
        }
    }

    /// What to change where a write must be a read.
    fn drop_body(&self) -> String {
        match (self.section, self.mint.body.as_deref()) {
            ("", Some("{}")) => "drop --write".into(),
            ("", _) => "drop --set".into(),
            (name, _) => format!("drop `body` and `method` of [secret.{name}]"),
        }
    }

    fn policy_line(&self) -> String {
        format!("add to the policy: path \"{}\" {{ capabilities = [\"{}\"] }}", self.path(), self.capability())
    }
}

/// Examines one path, in the order of a run.
pub(crate) async fn examine(
    vault: &Vault<'_>,
    counted: &mut CountedToken,
    read: &SecretRead<'_>,
    rights: &Rights,
) -> [Check; 3] {
    // This question takes no use of a token.
    let (mount, found) = match vault.read_mount(read.path(), &counted.session.token).await {
        Reading::Answer(found) => (describe_mount(&found, read, rights), Some(found)),
        Reading::Refusal(refusal) if matches!(refusal.status, 403 | 404) => (describe_no_mount(read, rights), None),
        Reading::Refusal(refusal) => {
            let text = format!("the server does not tell what is mounted for {} ({})", read.path(), refusal.because());
            (Check::skip(Topic::EngineMount, text), None)
        }
        Reading::Error(error) => (Check::failure(Topic::EngineMount, &error), None),
    };
    if mount.kind.is_some() {
        let blocked = |topic| Check::blocked(topic, Topic::EngineMount);
        return [mount, blocked(Topic::EngineRole), blocked(Topic::Policy)];
    }
    let there = examine_existence(vault, counted, read, found.as_ref()).await;
    [mount, there, describe_policy(read, rights)]
}

/// What is wrong with a path or a request for this engine.
fn describe_mount(found: &MountInfo, read: &SecretRead<'_>, rights: &Rights) -> Check {
    let (mount, path) = (sanitized(&found.path), read.path());
    let kind = match found.kv_version() {
        Some(version) => format!("a KV engine of version {version}"),
        None => format!("an engine of the type {}", sanitized(&found.kind)),
    };
    match find_mistake(found, &kind, read) {
        Some(error) => {
            // Vault looks at the policy before it looks at the path.
            let denied = rights.known().is_some_and(|known| !grants(known, path, &[read.capability()]));
            let error = if denied { error.with_kind(Kind::Denied) } else { error };
            Check::failure(Topic::EngineMount, &error)
        }
        None => Check::good(Topic::EngineMount, format!("{mount} is {kind}, for {path}")),
    }
}

fn find_mistake(found: &MountInfo, kind: &str, read: &SecretRead<'_>) -> Option<Error> {
    let (mount, path) = (sanitized(&found.path), read.path());
    let rest = found.rest(path)?;
    let wrong = |what: String| Error::new(Kind::Config, format!("{what}; the path comes from {}", read.place()));
    match (found.kv_version(), read.kv()) {
        (Some(_), _) if read.mint.body.is_some() => {
            Some(wrong(format!("{mount} is {kind}: {path} is read, and not written")).hint(read.drop_body()))
        }
        (Some(2), _) if !rest.starts_with("data/") => {
            let rest = ["metadata/", "subkeys/"].iter().find_map(|start| rest.strip_prefix(start)).unwrap_or(rest);
            let hint = read.change("path", &format!("{mount}data/{rest}"));
            Some(wrong(format!("{mount} is {kind}, and {path} has no data/ behind the mount")).hint(hint))
        }
        (Some(2), Some(1)) if !read.takes_whole_answer() => {
            Some(wrong(format!("{mount} is {kind}, and not of version 1")).hint(read.change("kv", "2")))
        }
        (Some(1), Some(2)) => {
            let error = wrong(format!("{mount} is {kind}, and not of version 2"));
            Some(match rest.strip_prefix("data/") {
                Some(rest) => error.hint(format!(
                    "{}, and {}",
                    read.change("kv", "1"),
                    read.change("path", &format!("{mount}{rest}"))
                )),
                None => error.hint(read.change("kv", "1")),
            })
        }
        (None, Some(version)) => {
            let hint = match read.section {
                "" => "drop --kv".to_owned(),
                name => format!("drop `kv` of [secret.{name}]"),
            };
            Some(wrong(format!("{mount} is {kind}, and no KV engine of version {version}")).hint(hint))
        }
        (None, None) => match (needed_form(&found.kind, rest)?, read.mint.body.is_some()) {
            (EngineForm::Write, false) => {
                let hint = match read.section {
                    "" => "--set NAME=VALUE for a parameter, or --write without one".to_owned(),
                    name => format!("write `body`, or method = \"write\", in [secret.{name}]"),
                };
                Some(wrong(format!("{mount} is {kind}: {path} takes a write")).hint(hint))
            }
            (EngineForm::Read, true) => {
                Some(wrong(format!("{mount} is {kind}: {path} takes a read")).hint(read.drop_body()))
            }
            _ => None,
        },
        _ => None,
    }
}

impl SecretRead<'_> {
    /// Whether each field is one of KV 2's own answer, which `kv = 1` takes as it is.
    fn takes_whole_answer(&self) -> bool {
        let of_the_answer = |key: &str| {
            let first = key.trim_start_matches('/').split('/').next().unwrap_or_default();
            ["data", "metadata"].contains(&first)
        };
        self.shape.fields.iter().all(|field| of_the_answer(&field.key))
    }
}

/// What an engine's path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EngineForm {
    Read,
    Write,
}

/// What the engines take that answer 405 to the other one.
const FORMS: [(&str, &str, EngineForm); 11] = [
    ("pki", "issue/", EngineForm::Write),
    ("ssh", "sign/", EngineForm::Write),
    ("ssh", "issue/", EngineForm::Write),
    ("ssh", "creds/", EngineForm::Write),
    ("kubernetes", "creds/", EngineForm::Write),
    ("database", "creds/", EngineForm::Read),
    ("database", "static-creds/", EngineForm::Read),
    ("rabbitmq", "creds/", EngineForm::Read),
    ("consul", "creds/", EngineForm::Read),
    ("nomad", "creds/", EngineForm::Read),
    ("azure", "creds/", EngineForm::Read),
];

fn needed_form(kind: &str, rest: &str) -> Option<EngineForm> {
    FORMS.iter().find(|(engine, start, _)| *engine == kind && rest.starts_with(start)).map(|(.., form)| *form)
}

/// No mount is shown: there is none, or the policies allow nothing in it.
fn describe_no_mount(read: &SecretRead<'_>, rights: &Rights) -> Check {
    let path = read.path();
    if rights.known().is_some_and(|known| grants(known, path, &[read.capability()])) {
        let knob = match read.section {
            "" => "--path".to_owned(),
            name => format!("`path` of [secret.{name}]"),
        };
        let error =
            Error::new(Kind::Config, format!("no engine is mounted for {path}; the path comes from {}", read.place()));
        let hint = format!("set {knob} to a path of a mounted engine: vault secrets list shows the mounts");
        return Check::failure(Topic::EngineMount, &error.hint(hint));
    }
    let text = format!("not known: no engine is mounted for {path}, or the policies allow nothing in it");
    Check::skip(Topic::EngineMount, text)
}

/// Whether a KV engine of version 2 has the secret, or another engine the role.
async fn examine_existence(
    vault: &Vault<'_>,
    counted: &mut CountedToken,
    read: &SecretRead<'_>,
    found: Option<&MountInfo>,
) -> Check {
    let skip = |text: String| Check::skip(Topic::EngineRole, text);
    let Some((found, rest)) = found.and_then(|found| Some((found, found.rest(read.path())?))) else {
        return skip(format!("only a read of {} tells whether it is there", read.path()));
    };
    let mount = sanitized(&found.path);
    let beside = match (found.kv_version(), rest.strip_prefix("data/")) {
        (Some(2), Some(name)) => format!("{mount}metadata/{name}"),
        (Some(_), _) => return skip(format!("only a read of {} tells whether it is there", read.path())),
        (None, _) => match rest.split_once('/').filter(|(verb, _)| ["creds", "issue", "sign"].contains(verb)) {
            Some((_, role)) => format!("{mount}roles/{role}"),
            None => return skip(format!("only a read of {} tells whether it is there", read.path())),
        },
    };
    if !counted.take() {
        return skip(COUNTED.to_owned());
    }
    let token = &counted.session.token;
    let known = match found.kv_version() {
        Some(_) => match vault.read_versions(&beside, token).await {
            Reading::Answer(versions) => return describe_versions(&versions, read),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        },
        None => vault.read_existence(&beside, token).await,
    };
    match known {
        Reading::Answer(()) => Check::good(Topic::EngineRole, format!("there is {beside}")),
        Reading::Refusal(refusal) if refusal.status == 404 => {
            let error = format!("there is no {beside} ({}); the path comes from {}", refusal.because(), read.place());
            let knob = match read.section {
                "" => "--path".to_owned(),
                name => format!("`path` of [secret.{name}]"),
            };
            let parent = beside.rsplit_once('/').map_or(mount.as_str(), |(parent, _)| parent);
            let hint = format!("set {knob} to one that is there: vault list {parent} shows them");
            Check::failure(Topic::EngineRole, &Error::new(Kind::Config, error).hint(hint))
        }
        Reading::Refusal(_) => skip(format!(
            "the policy does not allow {beside}: only a read of {} tells whether it is there",
            read.path()
        )),
        Reading::Error(error) => Check::failure(Topic::EngineRole, &error),
    }
}

/// Whether the version is there that the run reads.
fn describe_versions(versions: &SecretVersions, read: &SecretRead<'_>) -> Check {
    let path = read.path();
    let asked = read.mint.parameters.iter().find(|(name, _)| *name == "version").map(|(_, number)| number.clone());
    let number = asked.clone().unwrap_or_else(|| versions.current_version.to_string());
    let fails = |what: &str, hint: &str| {
        let text = format!("version {number} of {path} {what}; the path comes from {}", read.place());
        Check::failure(Topic::EngineRole, &Error::new(Kind::Config, text).hint(hint))
    };
    match versions.versions.get(&number) {
        Some(version) if version.destroyed => {
            fails("is destroyed", "write the secret again, or name an older version in `version` of the section")
        }
        Some(version) if versions.is_deleted(version) => {
            let mount = path.split_once("/data/");
            let undelete = mount.map(|(mount, name)| format!("vault write {mount}/undelete/{name} versions={number}"));
            fails("is deleted", &undelete.unwrap_or_else(|| "vault kv undelete restores it".into()))
        }
        Some(_) => {
            let text = format!("there is {path}, version {number}; its fields are not examined");
            Check::good(Topic::EngineRole, text)
        }
        None => fails("does not exist", "drop `version` of the section, which reads the newest one"),
    }
}

fn describe_policy(read: &SecretRead<'_>, rights: &Rights) -> Check {
    let (path, needed) = (read.path(), read.capability());
    let Some(known) = rights.known() else { return rights.unknown(Topic::Policy) };
    let granted: Vec<_> =
        known.get(path).into_iter().flatten().filter(|one| *one != "deny").map(|one| sanitized(one)).collect();
    let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
    if grants(known, path, &[needed]) {
        return Check::good(Topic::Policy, format!("the policies allow {granted} on {path}"));
    }
    let text = format!("the policies allow {granted} on {path}, and the run needs {needed}");
    Check::failure(Topic::Policy, &Error::new(Kind::Denied, text).hint(read.policy_line()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_takes_a_read_or_a_write_by_its_type_and_its_path() {
        for (kind, rest, form) in [
            ("pki", "issue/ci", Some(EngineForm::Write)),
            ("pki", "cert/ca", None),
            ("ssh", "creds/otp", Some(EngineForm::Write)),
            ("database", "creds/app", Some(EngineForm::Read)),
            ("kubernetes", "creds/app", Some(EngineForm::Write)),
            ("gcp", "roleset/app/token", None),
            ("exoscale", "apikey/app", None),
        ] {
            assert_eq!(needed_form(kind, rest), form, "{kind} {rest}");
        }
    }
}
