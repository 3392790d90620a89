//! Key-value engines: version 1, version 2, and the cubbyhole's storage, which is version 1 per token.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{Backend, Call, Ledger};
use crate::clock::rfc3339;
use crate::core::fields::{Object, parse_duration};
use crate::core::request::Operation;
use crate::core::response::{Failure, LeaseInfo, Outcome, Response};
use crate::dialect::Dialect;

fn wrong_path(dialect: Dialect) -> String {
    let (product, command) = match dialect {
        Dialect::OpenBao => ("OpenBao", "bao"),
        _ => ("Vault", "vault"),
    };
    format!(
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If \
        using the {product} CLI, use '{command} kv get' for this operation."
    )
}

/// Plain storage of objects by path.
#[derive(Debug, Default)]
pub(crate) struct Storage(BTreeMap<String, Object>);

impl Storage {
    pub(crate) fn handle(&mut self, operation: Operation, path: &str, data: &Object) -> Outcome {
        match operation {
            Operation::Read => Ok(self.0.get(path).map(|data| Response::data(Value::Object(data.clone())))),
            Operation::Create | Operation::Update if data.is_empty() => {
                Err(Failure::bad_request("missing data fields"))
            }
            Operation::Create | Operation::Update => {
                self.put(path, data.clone());
                Ok(None)
            }
            Operation::Delete => {
                self.0.remove(path);
                Ok(None)
            }
            Operation::List => Ok(Response::keys(children(self.0.keys(), path))),
            Operation::Scan => {
                Ok(Response::keys(self.0.keys().filter_map(|key| Some(key.strip_prefix(path)?.to_owned()))))
            }
            Operation::Patch => Err(Failure::unsupported_operation()),
        }
    }

    pub(crate) fn put(&mut self, path: &str, data: Object) {
        self.0.insert(path.to_owned(), data);
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Object> {
        self.0.get(path)
    }
}

#[derive(Debug, Default)]
pub(crate) struct KvV1(Storage);

impl Backend for KvV1 {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let data = call.request.data.all();
        if call.operation().is_write() {
            remember(call.ledger, data);
        }
        let outcome = self.0.handle(call.operation(), call.path, data)?;
        if call.operation() != Operation::Read {
            return Ok(outcome);
        }
        Ok(outcome.map(|mut response| {
            let lent = |name| match response.data.as_ref()?.get(name)? {
                Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
                Value::String(text) => parse_duration(text).ok(),
                _ => None,
            };
            let duration = lent("ttl").or_else(|| lent("lease")).unwrap_or(call.default_ttl);
            response.lease = LeaseInfo { id: String::new(), renewable: false, duration };
            response
        }))
    }

    fn exists(&self, path: &str) -> Option<bool> {
        Some(self.0.get(path).is_some())
    }
}

#[derive(Debug)]
struct Version {
    data: Object,
    created: SystemTime,
    deleted: Option<SystemTime>,
    destroyed: bool,
}

impl Version {
    fn metadata(&self, number: usize, dialect: Dialect) -> Value {
        let mut metadata = json!({
            "version": number,
            "created_time": rfc3339(self.created),
            "deletion_time": self.deleted.map(rfc3339).unwrap_or_default(),
            "destroyed": self.destroyed,
        });
        if dialect.is_modern() {
            metadata["custom_metadata"] = Value::Null;
        }
        metadata
    }
}

#[derive(Debug, Default)]
pub(crate) struct KvV2 {
    versions: BTreeMap<String, Vec<Version>>,
}

impl Backend for KvV2 {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (area, path) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (area, call.operation()) {
            ("data", Operation::Read) => self.read(call, path),
            ("data", Operation::Create | Operation::Update) => self.write(call, path),
            ("data", Operation::Delete) => {
                if let Some(version) = self.versions.get_mut(path).and_then(|versions| versions.last_mut()) {
                    version.deleted.get_or_insert(call.now);
                }
                Ok(None)
            }
            ("destroy", Operation::Create | Operation::Update) => self.destroy(call, path),
            ("metadata", Operation::List) => Ok(Response::keys(children(self.versions.keys(), path))),
            ("metadata", Operation::Delete) => {
                self.versions.remove(path);
                Ok(None)
            }
            ("metadata", Operation::Read) => Ok(self.versions.get(path).map(|versions| {
                let each = versions.iter().enumerate();
                let each: Object =
                    each.map(|(i, version)| ((i + 1).to_string(), version.metadata(i + 1, call.dialect))).collect();
                Response::data(json!({ "current_version": versions.len(), "versions": each }))
            })),
            ("data" | "destroy" | "metadata", _) => Err(Failure::unsupported_operation()),
            _ => Ok(Some(Response {
                status: Some(404),
                warnings: vec![wrong_path(call.dialect)],
                ..Response::default()
            })),
        }
    }

    fn exists(&self, path: &str) -> Option<bool> {
        Some(self.versions.contains_key(path.strip_prefix("data/")?))
    }
}

impl KvV2 {
    fn read(&self, call: &Call<'_>, path: &str) -> Outcome {
        let wish = call.data().integer("version")?.unwrap_or_default();
        let Some(versions) = self.versions.get(path) else { return Ok(None) };
        let number = if wish == 0 { versions.len() } else { usize::try_from(wish).unwrap_or(usize::MAX) };
        let Some(version) = number.checked_sub(1).and_then(|index| versions.get(index)) else { return Ok(None) };
        let gone = version.deleted.is_some() || version.destroyed;
        let data = if gone { Value::Null } else { Value::Object(version.data.clone()) };
        let data = json!({ "data": data, "metadata": version.metadata(number, call.dialect) });
        Ok(Some(Response { status: gone.then_some(404), ..Response::data(data) }))
    }

    fn write(&mut self, call: &mut Call<'_>, path: &str) -> Outcome {
        let Some(data) = call.data().object("data")? else { return Err(Failure::bad_request("no data provided")) };
        let versions = self.versions.entry(path.to_owned()).or_default();
        if let Some(expected) = call.data().object("options")?.and_then(|options| options.get("cas")?.as_u64())
            && usize::try_from(expected) != Ok(versions.len())
        {
            return Err(Failure::bad_request("check-and-set parameter did not match the current version"));
        }
        remember(call.ledger, &data);
        versions.push(Version { data, created: call.now, deleted: None, destroyed: false });
        let number = versions.len();
        Ok(versions.last().map(|version| Response::data(version.metadata(number, call.dialect))))
    }

    fn destroy(&mut self, call: &Call<'_>, path: &str) -> Outcome {
        let wishes = call.data().list("versions")?.unwrap_or_default();
        for number in wishes.iter().filter_map(|wish| wish.parse::<usize>().ok()) {
            let version = self.versions.get_mut(path).and_then(|versions| versions.get_mut(number.wrapping_sub(1)));
            if let Some(version) = version {
                version.destroyed = true;
                version.data = Object::new();
            }
        }
        Ok(None)
    }
}

/// The next path segments below a folder, folders with a slash.
fn children<'a>(paths: impl Iterator<Item = &'a String>, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = paths
        .filter_map(|path| path.strip_prefix(folder))
        .map(|rest| rest.find('/').map_or(rest, |end| &rest[..=end]).to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Which stored values are secrets, told by their names: a region is none, and would only blur a leak scan.
fn remember(ledger: &mut Ledger, data: &Object) {
    for (name, value) in data {
        let name = name.to_lowercase();
        if let (true, Some(text)) =
            (["key", "secret", "token", "password"].iter().any(|word| name.contains(word)), value.as_str())
        {
            ledger.secret(text.to_owned());
        }
    }
}

/// The TTL that KV v1 shows where there is no lease.
pub(crate) const SYSTEM_TTL: Duration = Duration::from_secs(768 * 3_600);
