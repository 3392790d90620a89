//! Roles of the AWS engine: what kind of credential, for which ARNs, for how long.

use std::time::Duration;

use serde_json::json;

use super::Call;
use crate::core::response::{Failure, Response};
use crate::dialect::Dialect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialType {
    IamUser,
    AssumedRole,
    FederationToken,
    SessionToken,
}

impl CredentialType {
    fn name(self) -> &'static str {
        match self {
            Self::IamUser => "iam_user",
            Self::AssumedRole => "assumed_role",
            Self::FederationToken => "federation_token",
            Self::SessionToken => "session_token",
        }
    }

    fn parse(name: &str, dialect: Dialect) -> Option<Self> {
        let all = [Self::IamUser, Self::AssumedRole, Self::FederationToken, Self::SessionToken];
        let known = if dialect == Dialect::Vault1_16 { &all[..] } else { &all[..3] };
        known.iter().copied().find(|kind| kind.name() == name)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) credential_type: CredentialType,
    role_arns: Vec<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) policy_document: String,
    default_sts_ttl: Duration,
    max_sts_ttl: Duration,
}

impl Role {
    pub(super) fn updated(previous: Option<Self>, call: &Call<'_>) -> Result<Self, Failure> {
        let data = call.data();
        for field in ["iam_groups", "iam_tags", "user_path", "permissions_boundary_arn", "session_tags"] {
            data.value(field);
        }
        let kind = match data.string("credential_type")? {
            None => previous
                .as_ref()
                .map(|role| role.credential_type)
                .ok_or_else(|| Failure::bad_request("did not supply credential_type"))?,
            Some(name) => CredentialType::parse(&name, call.dialect)
                .ok_or_else(|| Failure::bad_request(format!("unrecognized credential type: {name}")))?,
        };
        let mut role = previous.unwrap_or(Self {
            credential_type: kind,
            role_arns: Vec::new(),
            policy_arns: Vec::new(),
            policy_document: String::new(),
            default_sts_ttl: Duration::ZERO,
            max_sts_ttl: Duration::ZERO,
        });
        role.credential_type = kind;
        role.role_arns = data.list("role_arns")?.unwrap_or(role.role_arns);
        role.policy_arns = data.list("policy_arns")?.unwrap_or(role.policy_arns);
        role.policy_document = data.string("policy_document")?.unwrap_or(role.policy_document);
        role.default_sts_ttl = data.duration("default_sts_ttl")?.unwrap_or(role.default_sts_ttl);
        role.max_sts_ttl = data.duration("max_sts_ttl")?.unwrap_or(role.max_sts_ttl);
        role.validate()?;
        Ok(role)
    }

    fn validate(&self) -> Result<(), Failure> {
        let refuse = |text: String| Err(Failure::bad_request(format!("1 error occurred:\n\t* {text}\n\n")));
        let kind = self.credential_type.name();
        if kind == "iam_user" && !(self.default_sts_ttl.is_zero() && self.max_sts_ttl.is_zero()) {
            return refuse(format!(
                "default_sts_ttl parameter only valid for assumed_role, federation_token, and session_token credential types, not {kind}"
            ));
        }
        if !self.max_sts_ttl.is_zero() && self.default_sts_ttl > self.max_sts_ttl {
            return refuse(format!(
                "\"default_sts_ttl\" value must be less than or equal to \"max_sts_ttl\" value ({} > {})",
                self.default_sts_ttl.as_secs(),
                self.max_sts_ttl.as_secs()
            ));
        }
        if !self.role_arns.is_empty() && self.credential_type != CredentialType::AssumedRole {
            return refuse(format!("cannot supply role_arns when credential_type isn't assumed_role, but {kind}"));
        }
        Ok(())
    }

    pub(super) fn describe(&self) -> Response {
        Response::data(json!({
            "credential_type": self.credential_type.name(),
            "role_arns": self.role_arns,
            "policy_arns": self.policy_arns,
            "policy_document": self.policy_document,
            "default_sts_ttl": self.default_sts_ttl.as_secs(),
            "max_sts_ttl": self.max_sts_ttl.as_secs(),
        }))
    }

    /// The wish, or the role's default; silently capped by the role's and the mount's maximum.
    pub(super) fn sts_ttl(&self, wish: Option<Duration>, default: Duration, mount_max: Duration) -> Duration {
        let set = |ttl: Duration| Some(ttl).filter(|ttl| !ttl.is_zero());
        let ttl = wish.or(set(self.default_sts_ttl)).unwrap_or(default);
        ttl.min(set(self.max_sts_ttl).unwrap_or(mount_max))
    }

    pub(super) fn choose_arn(&self, wish: &str, name: &str) -> Result<String, Failure> {
        match (wish, self.role_arns.as_slice()) {
            ("", [only]) => Ok(only.clone()),
            ("", _) => Err(Failure::bad_request("did not supply a role_arn parameter and unable to determine one")),
            (wish, arns) if arns.iter().any(|arn| arn == wish) => Ok(wish.to_owned()),
            (wish, _) => Err(Failure::bad_request(format!(
                "role_arn \"{wish}\" not in allowed role arns for Vault role \"{name}\""
            ))),
        }
    }
}
