//! The questions of a diagnosis: each is asked once, makes nothing, and is answered by a type of its own. With a token,
//! each costs one use of it, if its uses are counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Vault;
use crate::error::{Error, Kind};
use crate::http::{Method, Request};
use crate::secret::Secret;
use crate::vault::answer::classify;
use crate::vault::outcome::Outcome;
use crate::vault::refusal::Refusal;
use crate::vault::step::Step;
use crate::vault::wire::{self, Envelope, object};

/// What a question came to.
pub(crate) enum Reading<T> {
    /// The answer.
    Answer(T),
    /// Vault refused.
    Refusal(Refusal),
    /// There was no answer, or none that can be used.
    Error(Error),
}

/// What `auth/token/lookup-self` says of a token. Its ID, which is there too, is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenInfo {
    /// What it may do.
    pub(crate) policies: Vec<String>,
    /// The seconds that are left; zero means no end.
    pub(crate) ttl: u64,
    /// The requests that are left; zero means no limit, and less that the question was the last one.
    pub(crate) num_uses: i64,
    /// `service` or `batch`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Whether its life can be made longer.
    pub(crate) renewable: Option<bool>,
}

/// What is mounted for a path, as `sys/internal/ui/mounts` tells a token that may do anything in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MountInfo {
    /// The mount, with a slash at its end.
    pub(crate) path: String,
    /// The type of the engine.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    options: Option<BTreeMap<String, String>>,
}

impl MountInfo {
    /// Of a KV engine, its version.
    #[must_use]
    pub(crate) fn kv_version(&self) -> Option<u8> {
        let version = self.options.as_ref().and_then(|options| options.get("version"));
        ["kv", "generic"]
            .contains(&self.kind.as_str())
            .then(|| if version.is_some_and(|text| text == "2") { 2 } else { 1 })
    }

    /// What of a path stands behind the mount.
    #[must_use]
    pub(crate) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.path.as_str())
    }
}

/// The versions of a secret of KV 2, without what is in them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SecretVersions {
    /// The newest one.
    pub(crate) current_version: u64,
    /// Each by its number.
    pub(crate) versions: BTreeMap<String, SecretVersion>,
    /// When the server answered, if that is known.
    #[serde(skip)]
    now: Option<Timestamp>,
}

/// One of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SecretVersion {
    /// When it was or will be deleted. Empty: never.
    deletion_time: String,
    /// Whether it is gone for good.
    pub(crate) destroyed: bool,
}

impl SecretVersions {
    /// Whether a version is deleted now: `delete_version_after` sets a time that is not there yet.
    #[must_use]
    pub(crate) fn is_deleted(&self, version: &SecretVersion) -> bool {
        let time: Option<Timestamp> = version.deletion_time.parse().ok();
        time.is_some_and(|time| self.now.is_none_or(|now| time <= now))
    }
}

#[derive(Deserialize)]
struct DataOf<T> {
    data: T,
}

/// The help of a path.
#[derive(Deserialize)]
struct HelpText {
    help: String,
}

/// The capabilities of a token, path by path.
pub(crate) type Capabilities = BTreeMap<String, Vec<String>>;

/// One question, before it is asked.
struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: &'a [(&'static str, String)],
    token: Option<&'a Secret>,
    body: Option<Secret>,
}

impl Vault<'_> {
    /// `POST auth/<mount>/login` without the proof. A role that wants none logs in: the answer then has a token.
    pub(crate) async fn probe_login(&self, mount: &str, body: &[(&str, &str)]) -> Reading<Envelope> {
        for (_, value) in body.iter().filter(|(name, _)| *name != "role") {
            self.secrets.note(value);
        }
        let path = format!("auth/{mount}/login");
        let body = Some(object(body));
        self.ask(Ask { method: Method::Post, path: &path, query: &[], token: None, body }).await
    }

    /// `GET auth/token/lookup-self`.
    pub(crate) async fn read_token(&self, token: &Secret) -> Reading<TokenInfo> {
        let path = "auth/token/lookup-self";
        let ask = Ask { method: Method::Get, path, query: &[], token: Some(token), body: None };
        match self.ask::<DataOf<TokenInfo>>(ask).await {
            Reading::Answer(DataOf { data }) => Reading::Answer(data),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    /// `GET <path>?help=1`, which every valid token may ask: the answer tells a wrong mount from a missing policy.
    pub(crate) async fn read_help(&self, path: &str, token: &Secret) -> Reading<String> {
        let query = [("help", "1".to_owned())];
        let ask = Ask { method: Method::Get, path, query: &query, token: Some(token), body: None };
        match self.ask::<HelpText>(ask).await {
            Reading::Answer(HelpText { help }) => Reading::Answer(help),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    /// `POST sys/capabilities-self {paths}`; the default policy grants it.
    pub(crate) async fn read_capabilities(&self, paths: &[&str], token: &Secret) -> Reading<Capabilities> {
        let body = Some(object(&[("paths", &paths.join(","))]));
        let ask = Ask { method: Method::Post, path: "sys/capabilities-self", query: &[], token: Some(token), body };
        // One path alone has its list under another name too.
        match self.ask::<DataOf<Capabilities>>(ask).await {
            Reading::Answer(DataOf { data }) => Reading::Answer(data),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    /// `GET sys/internal/ui/mounts/<path>`, which checks the token itself and takes no use of it.
    pub(crate) async fn read_mount(&self, path: &str, token: &Secret) -> Reading<MountInfo> {
        let path = format!("sys/internal/ui/mounts/{path}");
        let ask = Ask { method: Method::Get, path: &path, query: &[], token: Some(token), body: None };
        match self.ask::<DataOf<MountInfo>>(ask).await {
            Reading::Answer(DataOf { data }) => Reading::Answer(data),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    /// `GET <mount>/metadata/<name>` of KV 2.
    pub(crate) async fn read_versions(&self, path: &str, token: &Secret) -> Reading<SecretVersions> {
        let ask = Ask { method: Method::Get, path, query: &[], token: Some(token), body: None };
        match self.ask::<DataOf<SecretVersions>>(ask).await {
            Reading::Answer(DataOf { data }) => Reading::Answer(SecretVersions { now: Some(self.host.now()), ..data }),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    /// `GET <path>`, of which only the existence is told.
    pub(crate) async fn read_existence(&self, path: &str, token: &Secret) -> Reading<()> {
        let ask = Ask { method: Method::Get, path, query: &[], token: Some(token), body: None };
        match self.ask::<Envelope>(ask).await {
            Reading::Answer(_) => Reading::Answer(()),
            Reading::Refusal(refusal) => Reading::Refusal(refusal),
            Reading::Error(error) => Reading::Error(error),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Reading<T> {
        let Ask { method, path, query, token, body } = ask;
        if let Some(token) = token {
            self.secrets.note(token.expose());
        }
        let Some(timeout) = self.timeout(Step::Diagnose) else {
            let text = format!("the time of this step was over before {path}");
            return Reading::Error(Error::new(Kind::Unavailable, text));
        };
        let (spends, wraps, lends, stays) = (false, false, false, false);
        let request = Request { method, path, query, token, body, spends, wraps, lends, stays, timeout };
        let asked = self.host.elapsed();
        let result = self.host.watch(Step::Diagnose.name(), self.http.send(&request)).await;
        self.tell(Step::Diagnose, &request, result.as_ref().ok().map(|reply| reply.status), asked);
        let answer = result.as_ref().ok().filter(|reply| reply.json && (200..300).contains(&reply.status));
        if let Some(answer) = answer.and_then(|reply| wire::parse(&reply.body)) {
            return Reading::Answer(answer);
        }
        match self.name_namespace(classify(Step::Diagnose, result, &self.http.peer, path, &self.secrets)) {
            Outcome::Refused(refusal) => Reading::Refusal(refusal),
            Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
                Reading::Error(error)
            }
            Outcome::Done(_) => {
                let text = format!("the answer from {} to {path} is not in the expected form", self.name());
                Reading::Error(Error::new(Kind::Protocol, text))
            }
        }
    }
}
