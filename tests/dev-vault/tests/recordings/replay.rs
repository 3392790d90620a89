//! Sends recorded exchanges to the double, one by one and in order, and says what it answers otherwise.
//!
//! Secrets and ids of the recording are mapped to fresh ones as they appear. What a server draws at random or reads
//! from a clock is compared by shape; everything else must be equal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use dev_vault::{DevVault, Dialect, GitlabKeys, GitlabToken};
use serde_json::Value;

use crate::support::{Client, Response};

/// Headers that say something where they stand, and must not stand anywhere else.
const TELLING: [&str; 6] =
    ["retry-after", "x-ratelimit-limit", "location", "content-type", "x-vault-index", "x-vault-namespace"];

pub struct Replay {
    pub vault: DevVault,
    pub keys: GitlabKeys,
    client: Client,
    /// When the ID tokens were first used, in our time.
    epoch: SystemTime,
    /// The second of the recording that its ID tokens count from.
    recorded_at: i64,
    /// From a recorded secret or id to ours.
    fresh: BTreeMap<String, String>,
}

impl Replay {
    pub fn start(dialect: Dialect, recorded_at: i64) -> Self {
        let vault = DevVault::start(dialect);
        // The machine's load shall not decide what is a second later.
        vault.hold_time();
        let client = Client::new(&vault);
        let (keys, epoch, fresh) = (GitlabKeys::start(), SystemTime::UNIX_EPOCH, BTreeMap::new());
        let mut replay = Self { vault, keys, client, epoch, recorded_at, fresh };
        replay.begin_to_count();
        replay
    }

    pub fn learn(&mut self, recorded: &str, fresh: String) {
        self.fresh.insert(recorded.to_owned(), fresh);
    }

    /// Lets time pass to the start of a second, and counts from there: Vault cuts off what is less than one.
    pub fn begin_to_count(&mut self) {
        let now = self.vault.now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 1;
        self.epoch = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        self.vault.advance(self.epoch.duration_since(now).unwrap());
    }

    /// Lets time pass until so long after [`Self::begin_to_count`].
    pub fn pass_to(&self, milliseconds: u64) {
        let then = self.epoch + Duration::from_millis(milliseconds);
        self.vault.advance(then.duration_since(self.vault.now()).expect("time passes forwards"));
    }

    /// What is ours for a recorded secret or id.
    pub fn ours(&self, recorded: &str) -> &str {
        &self.fresh[recorded]
    }

    /// Plays every exchange; the differences of each that differs, by its name.
    pub fn play(&mut self, recording: &str, before: fn(&mut Self, &str)) -> BTreeMap<String, Vec<String>> {
        let document: Value = serde_json::from_str(recording).unwrap();
        let exchanges = document["exchanges"].as_array().unwrap();
        let mut names = BTreeSet::new();
        let mut differing = BTreeMap::new();
        for exchange in exchanges {
            let name = exchange["name"].as_str().unwrap();
            assert!(names.insert(name), "two exchanges have the name {name}");
            before(self, name);
            let response = self.send(&exchange["request"]);
            let differences = self.compare(&exchange["response"], &response);
            if !differences.is_empty() {
                differing.insert(name.to_owned(), differences);
            }
        }
        assert_eq!(self.vault.requests().len(), exchanges.len(), "what the operator does is not among the requests");
        differing
    }

    fn send(&mut self, request: &Value) -> Response {
        let headers: Vec<(String, String)> = request["headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), self.translate(value.as_str().unwrap())))
            .collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = match &request["body"] {
            Value::Null => None,
            Value::String(raw) => Some(raw.clone()),
            body => Some(self.translate_all(body).to_string()),
        };
        let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
        self.client.send(method, path, &headers, body.as_deref())
    }

    fn translate(&self, recorded: &str) -> String {
        if let Some(token) = recorded.strip_prefix("Bearer ") {
            return format!("Bearer {}", self.translate(token));
        }
        if let Some(signed) = sign_again(recorded, self.recorded_at, self.vault.now()) {
            return signed;
        }
        self.fresh.get(recorded).cloned().unwrap_or_else(|| recorded.to_owned())
    }

    fn translate_all(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.translate(text)),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(key, value)| (key.clone(), self.translate_all(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// What differs; learns the fresh values on the way.
    fn compare(&mut self, recorded: &Value, response: &Response) -> Vec<String> {
        let mut differences = Vec::new();
        if recorded["status"] != response.status {
            differences.push(format!("status {} instead of {}", response.status, recorded["status"]));
        }
        let headers = recorded["headers"].as_object().unwrap();
        for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
            let ours = response.header(name).unwrap_or("nothing");
            let same = match name.as_str() {
                "retry-after" | "x-ratelimit-reset" => is_a_second_less_at_most(ours, value.as_str().unwrap()),
                "x-vault-index" => ours.starts_with("eyJ"),
                // Each cluster has its own leader.
                "location" if ours.starts_with("http") => path_of(ours) == path_of(value.as_str().unwrap()),
                _ => ours == value,
            };
            if !same {
                differences.push(format!("header {name}: {ours} instead of {value}"));
            }
        }
        for name in TELLING {
            if !headers.contains_key(name) && response.header(name).is_some() {
                differences.push(format!("header {name} should not be there"));
            }
        }
        let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
        let ours = match (&recorded["body"], is_json) {
            (Value::String(_), _) | (_, false) => Value::String(response.body.clone()),
            _ => serde_json::from_str(&response.body).unwrap_or_else(|_| Value::String(response.body.clone())),
        };
        self.compare_values("", &recorded["body"], &ours, &mut differences);
        differences
    }

    fn compare_values(&mut self, at: &str, recorded: &Value, ours: &Value, differences: &mut Vec<String>) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                let keys: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
                for key in keys {
                    let path = format!("{at}/{key}");
                    match (recorded.get(key), ours.get(key)) {
                        (Some(recorded), Some(ours)) => self.compare_values(&path, recorded, ours, differences),
                        (None, _) => differences.push(format!("{path} should not be there")),
                        (_, None) => differences.push(format!("{path} is missing")),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
                // Their place says nothing: an item is compared as its list is named.
                for (recorded, ours) in recorded.iter().zip(ours) {
                    self.compare_values(at, recorded, ours, differences);
                }
            }
            (Value::String(recorded), Value::String(ours)) => {
                let key = at.rsplit('/').next().unwrap_or_default();
                match shape(key, recorded, ours) {
                    None if self.translate(recorded) != *ours => {
                        differences.push(format!("{at}: {ours:?} instead of {recorded:?}"));
                    }
                    None => {}
                    Some(false) => differences.push(format!("{at}: {ours:?} has not the shape of {recorded:?}")),
                    Some(true) => {
                        let known = self.fresh.entry(recorded.clone()).or_insert_with(|| ours.clone());
                        if known != ours {
                            differences.push(format!("{at}: {ours:?} instead of {known:?}, as before"));
                        }
                    }
                }
            }
            (Value::Number(recorded), Value::Number(ours)) => {
                let key = at.rsplit('/').next().unwrap_or_default();
                let (recorded, ours) = (recorded.as_f64().unwrap(), ours.as_f64().unwrap());
                // Seconds that run: our replay is faster than the recording was.
                let tolerance = match key {
                    "server_time_utc" | "creation_time" => f64::MAX,
                    "ttl" | "lease_duration" => 1.0,
                    _ => 0.0,
                };
                if (recorded - ours).abs() > tolerance {
                    differences.push(format!("{at}: {ours} instead of {recorded}"));
                }
            }
            (recorded, ours) if recorded == ours => {}
            (recorded, ours) => differences.push(format!("{at}: {ours} instead of {recorded}")),
        }
    }
}

/// For a value that no server gives twice: whether ours looks like the recorded one. `None`: it must be equal.
fn shape(key: &str, recorded: &str, ours: &str) -> Option<bool> {
    if recorded.is_empty() || ours.is_empty() {
        return None;
    }
    let same_length = recorded.len() == ours.len();
    let same_prefix = |length: usize| recorded.get(..length) == ours.get(..length);
    let pattern = |text: &str| -> String {
        let class = |c: char| if c.is_ascii_alphanumeric() { 'x' } else { c };
        text.chars().map(class).collect()
    };
    Some(match key {
        "request_id" | "entity_id" | "secret_id" | "secret_id_accessor" | "cluster_id" | "namespace_id" => {
            pattern(recorded) == pattern(ours)
        }
        "accessor" | "wrapped_accessor" | "mount_accessor" | "uuid" => {
            same_length && pattern(recorded) == pattern(ours)
        }
        "client_token" | "token" | "id" if recorded.starts_with("s.") => same_length && same_prefix(2),
        "client_token" | "id" if recorded.starts_with("b.") => same_prefix(7) && ours.len() > 150,
        "lease_id" | "id" => same_length && recorded.rsplit_once('/')?.0 == ours.rsplit_once('/')?.0,
        "api_key" => same_length && same_prefix(3),
        "secret_key" if recorded.ends_with("EXAMPLEKEY") => ours.len() == 40,
        "api_secret" | "secret_key" if recorded.len() >= 40 => same_length,
        "access_key" if same_length && recorded.len() == 20 && !recorded.starts_with("SCW") => {
            // The recorded federation token came from an emulator with one fixed key.
            same_prefix(4) || recorded.ends_with("EXAMPLE")
        }
        "security_token" => ours.len() > 200 && same_prefix(1) || recorded.starts_with("AQo") || ours == recorded,
        "name" => digits_apart(recorded) == digits_apart(ours),
        "arn" => digits_apart(recorded) == digits_apart(ours),
        // Each cluster has its own.
        "leader_address" | "leader_cluster_address" => same_prefix("https://".len()),
        "cluster_name" => same_length && same_prefix("vault-cluster-".len()),
        "creation_time" | "created_time" | "deletion_time" | "expire_time" | "issue_time" | "last_renewal" => {
            ours.len() >= 20 && ours.ends_with('Z') && ours.as_bytes()[10] == b'T'
        }
        _ => return None,
    })
}

/// A name with every long number reduced to its length.
fn digits_apart(name: &str) -> String {
    let parts = name.split('-').map(|part| match part.parse::<u128>() {
        Ok(_) if part.len() >= 4 => format!("<{}>", part.len()),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("-")
}

/// A time that runs: our replay began to count when the recorded server did, or a moment earlier.
fn is_a_second_less_at_most(ours: &str, recorded: &str) -> bool {
    let seconds = |text: &str| text.parse::<u64>().ok();
    let (Some(ours), Some(recorded)) = (seconds(ours), seconds(recorded)) else { return false };
    ours == recorded || ours + 1 == recorded
}

fn path_of(address: &str) -> &str {
    address.splitn(4, '/').nth(3).unwrap_or_default()
}

/// The claims of a recorded token in a token of today's date, signed with our key, or damaged as the recorded one was.
/// `None`: it is not an ID token.
fn sign_again(recorded: &str, recorded_at: i64, now: SystemTime) -> Option<String> {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let token = recorded.trim();
    let [_, payload, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let mut fresh = GitlabToken::new().at(now);
    for (name, value) in claims.as_object()? {
        fresh = match (name.as_str(), value.as_i64()) {
            ("iat", Some(time)) => fresh.issued_in(time - recorded_at),
            ("nbf", Some(time)) => fresh.not_before_in(time - recorded_at),
            ("exp", Some(time)) => fresh.expires_in(time - recorded_at),
            _ => fresh.claim(name, value.clone()),
        };
    }
    for name in ["aud", "iat", "nbf", "exp"].into_iter().filter(|name| claims.get(name).is_none()) {
        fresh = fresh.without(name);
    }
    let mut signed = fresh.sign();
    if token.ends_with("AAAAAAAA") {
        signed = format!("{}AAAAAAAA", &signed[..signed.len() - 8]);
    }
    // What stood around it stands around ours.
    Some(recorded.replace(token, &signed))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
