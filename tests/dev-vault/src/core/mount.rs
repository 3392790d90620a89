//! The mount table: which backend lives at which path, in which namespace.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::fields::Fields;
use crate::core::policy::{DEFAULT, Policy, RESPONSE_WRAPPING};
use crate::core::response::Failure;
use crate::engine::certificate::Certificate;
use crate::engine::kv::{KvV1, KvV2, SYSTEM_TTL};
use crate::engine::service_account::ServiceAccount;
use crate::engine::table::Table;
use crate::engine::{Backend, approle::AppRole, aws::Aws, aws_login::AwsLogin, exoscale::Exoscale, jwt::Jwt};
use crate::random;

/// What answers below a mount's path.
pub(crate) enum Handler {
    Backend(Box<dyn Backend>),
    Cubbyhole,
    System,
    Token,
}

pub(crate) struct Mount {
    pub(crate) handler: Handler,
    /// The type it was mounted as.
    pub(crate) kind: String,
    pub(crate) accessor: String,
    pub(crate) uuid: String,
    pub(crate) description: String,
    pub(crate) options: Option<Value>,
    pub(crate) default_ttl: Duration,
    pub(crate) max_ttl: Duration,
}

impl Mount {
    fn new(kind: &str, handler: Handler) -> Self {
        Self {
            handler,
            kind: kind.to_owned(),
            accessor: format!("{kind}_{}", random::hex(8)),
            uuid: random::uuid(),
            description: String::new(),
            options: None,
            default_ttl: SYSTEM_TTL,
            max_ttl: SYSTEM_TTL,
        }
    }

    /// A mount as `sys/mounts` and `sys/auth` ask for it.
    pub(crate) fn from_request(data: &Fields, is_auth: bool) -> Result<Self, Failure> {
        for field in ["local", "seal_wrap", "plugin_name", "external_entropy_access"] {
            data.value(field);
        }
        let kind = data.text("type")?;
        if kind.is_empty() {
            return Err(Failure::bad_request("backend type must be specified as a string"));
        }
        let options = data.object("options")?;
        let version = options.as_ref().and_then(|options| options.get("version")?.as_str());
        let handler: Box<dyn Backend> = match (is_auth, kind.as_str()) {
            (true, "approle") => Box::new(AppRole::default()),
            (true, "jwt" | "oidc") => Box::new(Jwt::default()),
            (true, "aws") => Box::new(AwsLogin::default()),
            (true, "kubernetes") => Box::new(ServiceAccount::default()),
            (true, "cert") => Box::new(Certificate::default()),
            (false, "kv-v2") => Box::new(KvV2::default()),
            (false, "kv" | "generic") if version == Some("2") => Box::new(KvV2::default()),
            (false, "kv" | "kv-v1" | "generic") => Box::new(KvV1::default()),
            (false, "aws") => Box::new(Aws::default()),
            (false, name) if name.contains("exoscale") => Box::new(Exoscale::default()),
            (false, name) if name.ends_with("aws") => Box::new(Aws::default()),
            (false, name) if Table::of(name).is_some() => Box::new(Table::of(name).expect("in the table")),
            (_, name) => return Err(Failure::bad_request(format!("plugin not found in the catalog: {name}"))),
        };
        let mut mount = Self::new(&kind, Handler::Backend(handler));
        if is_auth {
            mount.accessor = format!("auth_{}", mount.accessor);
        }
        mount.options = options.map(Value::Object);
        mount.description = data.text("description")?;
        if let Some(config) = data.object("config")? {
            mount.tune(&Fields::new(config, crate::Dialect::Vault1_16))?;
        }
        Ok(mount)
    }

    pub(crate) fn tune(&mut self, data: &Fields) -> Result<(), Failure> {
        let or_system = |ttl: Duration| if ttl.is_zero() { SYSTEM_TTL } else { ttl };
        if let Some(ttl) = data.duration("default_lease_ttl")? {
            self.default_ttl = or_system(ttl);
        }
        if let Some(ttl) = data.duration("max_lease_ttl")? {
            self.max_ttl = or_system(ttl);
        }
        self.default_ttl = self.default_ttl.min(self.max_ttl);
        Ok(())
    }

    pub(crate) fn is_kv2(&self) -> bool {
        self.kind == "kv-v2" || self.options.as_ref().is_some_and(|options| options["version"] == "2")
    }

    pub(crate) fn describe(&self) -> Value {
        json!({
            "type": self.kind,
            "accessor": self.accessor,
            "uuid": self.uuid,
            "description": self.description,
            "options": self.options,
            "local": false,
            "seal_wrap": false,
            "external_entropy_access": false,
            "config": {
                "default_lease_ttl": self.default_ttl.as_secs(),
                "max_lease_ttl": self.max_ttl.as_secs(),
                "force_no_cache": false,
            },
        })
    }
}

/// A namespace with its mounts and policies.
pub(crate) struct Namespace {
    /// `root`, or what stands behind a dot at the end of what the namespace makes.
    pub(crate) id: String,
    /// An administrator has locked its API.
    pub(crate) locked: bool,
    pub(crate) sealed: bool,
    /// Keys end in a slash; auth methods lie below `auth/`.
    pub(crate) mounts: BTreeMap<String, Mount>,
    pub(crate) policies: BTreeMap<String, Policy>,
}

impl Namespace {
    pub(crate) fn new(id: &str) -> Self {
        let mounts = [
            ("sys/", "system", Handler::System),
            ("cubbyhole/", "cubbyhole", Handler::Cubbyhole),
            ("auth/token/", "token", Handler::Token),
        ];
        let policies = [("default", DEFAULT), ("response-wrapping", RESPONSE_WRAPPING)];
        Self {
            id: id.to_owned(),
            locked: false,
            sealed: false,
            mounts: mounts.map(|(path, kind, handler)| (path.to_owned(), Mount::new(kind, handler))).into(),
            policies: policies
                .map(|(name, text)| (name.to_owned(), Policy::parse(text).expect("built-in policies parse")))
                .into(),
        }
    }

    /// The id, unless it is root's: that one is never written.
    pub(crate) fn named_id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| *id != "root")
    }

    /// What ends the ids of its tokens, leases and entities.
    pub(crate) fn suffix(&self) -> String {
        self.named_id().map(|id| format!(".{id}")).unwrap_or_default()
    }

    /// The mount that a path belongs to: the longest that fits.
    pub(crate) fn mount_of(&self, path: &str) -> Option<(&str, &Mount)> {
        let fits = |mount: &str| path.starts_with(mount) || path == mount.trim_end_matches('/');
        let (path, mount) = self.mounts.iter().filter(|(mount, _)| fits(mount)).max_by_key(|(mount, _)| mount.len())?;
        Some((path, mount))
    }

    /// Mounts a backend, unless the path is taken or overlaps.
    pub(crate) fn mount(&mut self, path: &str, mount: Mount) -> Result<(), Failure> {
        let path = format!("{}/", path.trim_matches('/'));
        let overlaps = |other: &String| other.starts_with(&path) || path.starts_with(other.as_str());
        if let Some(taken) = self.mounts.keys().find(|other| overlaps(other)) {
            return Err(Failure::bad_request(format!("path is already in use at {taken}")));
        }
        self.mounts.insert(path, mount);
        Ok(())
    }
}
