//! The AWS secrets engine: `<mount>/creds/:role` and `<mount>/sts/:role`. Configuration and roles are in `aws_role`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::aws_role::{CredentialType, Role};
use super::{Backend, Call, Ledger, is_role_name};
use crate::clock::unix;
use crate::core::lease::Lease;
use crate::core::request::{Operation, Upstream};
use crate::core::response::{Failure, Outcome, Renewal, Response, Secret};
use crate::dialect::Dialect;
use crate::random;

/// How the access keys of sessions begin.
const SESSION_KEY: &str = "ASIA";
/// STS refuses shorter sessions.
const STS_MINIMUM: Duration = Duration::from_secs(900);
const STS_DEFAULT: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(crate) struct Aws {
    access_key: String,
    region: String,
    /// `config/lease`; it rules over IAM users only.
    lease: Option<(Duration, Duration)>,
    roles: BTreeMap<String, Role>,
}

impl Backend for Aws {
    fn handle(&mut self, call: &mut Call<'_>) -> Outcome {
        let (head, name) = call.path.split_once('/').unwrap_or((call.path, ""));
        match (head, name) {
            ("config", "root") => self.config_root(call),
            ("config", "lease") => self.config_lease(call),
            ("roles", "") if call.operation() == Operation::List => Ok(Response::keys(self.roles.keys().cloned())),
            ("roles", name) if is_role_name(name, "@") => self.role(call, name),
            ("creds" | "sts", name) if is_role_name(name, "@") => match call.operation() {
                Operation::Read | Operation::Create | Operation::Update => self.credentials(call, name),
                _ => Err(Failure::unsupported_operation()),
            },
            _ => Err(Failure::unsupported_path()),
        }
    }

    /// AWS cannot take a session back: its keys work until they expire, whatever becomes of the lease.
    fn revoke(&mut self, lease: &Lease, ledger: &mut Ledger, upstream: Option<&Upstream>) -> Result<(), String> {
        if let Some(Upstream::Fails(reason)) = upstream {
            return Err(reason.clone());
        }
        if !ends_by_itself(&lease.access_key) {
            ledger.live_keys.remove(&lease.access_key);
        }
        Ok(())
    }
}

/// Whether it is the key of a session, which expires whatever becomes of its lease.
pub(crate) fn ends_by_itself(access_key: &str) -> bool {
    access_key.starts_with(SESSION_KEY)
}

impl Aws {
    fn config_root(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                for field in ["iam_endpoint", "sts_endpoint", "max_retries", "username_template"] {
                    call.data().value(field);
                }
                self.access_key = call.data().text("access_key")?;
                self.region = call.data().text("region")?;
                let secret_key = call.data().text("secret_key")?;
                call.ledger.secret(secret_key);
                Ok(None)
            }
            Operation::Read => {
                Ok(Some(Response::data(json!({ "access_key": self.access_key, "region": self.region }))))
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn config_lease(&mut self, call: &mut Call<'_>) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let required = |name: &str| {
                    call.data()
                        .duration(name)?
                        .ok_or_else(|| Failure::bad_request(format!("'{name}' is a required parameter")))
                };
                self.lease = Some((required("lease")?, required("lease_max")?));
                Ok(None)
            }
            Operation::Read => Ok(self.lease.map(|(lease, maximum)| {
                Response::data(
                    json!({ "lease": format!("{}s", lease.as_secs()), "lease_max": format!("{}s", maximum.as_secs()) }),
                )
            })),
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn role(&mut self, call: &mut Call<'_>, name: &str) -> Outcome {
        match call.operation() {
            Operation::Create | Operation::Update => {
                let role = Role::updated(self.roles.get(name).cloned(), call)?;
                self.roles.insert(name.to_owned(), role);
                Ok(None)
            }
            Operation::Read => Ok(self.roles.get(name).map(Role::describe)),
            Operation::Delete => {
                self.roles.remove(name);
                Ok(None)
            }
            _ => Err(Failure::unsupported_operation()),
        }
    }

    fn credentials(&self, call: &mut Call<'_>, name: &str) -> Outcome {
        let data = call.data();
        let (ttl, role_arn) = (data.duration("ttl")?, data.text("role_arn")?);
        let session_name = data.text("role_session_name")?;
        if call.dialect == Dialect::Vault1_16 {
            data.value("mfa_code");
        }
        let Some(role) = self.roles.get(name) else {
            return Err(Failure::bad_request(match call.dialect {
                Dialect::Vault1_8 => format!("Role '{name}' not found"),
                _ => format!("Role \"{name}\" not found"),
            }));
        };
        let ttl = role.sts_ttl(ttl.filter(|ttl| !ttl.is_zero()), STS_DEFAULT, call.max_ttl);
        match role.credential_type {
            CredentialType::IamUser => self.iam_user(call),
            CredentialType::AssumedRole => {
                let arn = role.choose_arn(&role_arn, name)?;
                let session =
                    if session_name.is_empty() { generated_session_name(call, name) } else { sanitise(&session_name) };
                session_credentials(call, ttl, role.credential_type, Some(assumed_arn(&arn, &session)))
            }
            CredentialType::FederationToken if role.policy_document.is_empty() && role.policy_arns.is_empty() => {
                Err(Failure::bad_request(
                    "must specify at least one of policy_arns or policy_document with federation_token credential_type",
                ))
            }
            kind => session_credentials(call, ttl, kind, None),
        }
    }

    fn iam_user(&self, call: &mut Call<'_>) -> Outcome {
        cloud(call, "Error creating IAM user")?;
        let access_key = format!("AKIA{}", random::base32(16));
        let secret_key = call.ledger.secret(random::base64(40));
        call.ledger.mint(&call.request.path, &access_key);
        let mut data = json!({ "access_key": access_key, "secret_key": secret_key });
        let token_field = if call.dialect == Dialect::Vault1_16 { "session_token" } else { "security_token" };
        data[token_field] = Value::Null;
        let (ttl, max_ttl) = self.lease.unwrap_or_default();
        let secret = Secret { access_key, ttl, max_ttl, renewable: true, renewal: Renewal::Capped };
        Ok(Some(Response { secret: Some(secret), ..Response::data(data) }))
    }
}

/// Credentials from STS; an `arn` only when a role was assumed.
fn session_credentials(call: &mut Call<'_>, ttl: Duration, kind: CredentialType, arn: Option<String>) -> Outcome {
    let what = if kind == CredentialType::AssumedRole { "Error assuming role" } else { "Error generating STS keys" };
    cloud(call, what)?;
    if ttl < STS_MINIMUM {
        return Err(Failure::bad_request(format!(
            "{what}: ValidationError: 1 validation error detected: Value '{}' at 'durationSeconds' failed to satisfy \
             constraint: Member must have value greater than or equal to 900\n\tstatus code: 400, request id: {}",
            ttl.as_secs(),
            random::uuid()
        )));
    }
    let access_key = format!("{SESSION_KEY}{}", random::base32(16));
    let secret_key = call.ledger.secret(random::base64(40));
    let token = call.ledger.secret(format!("FQoGZXIvYXdzEBYaD{}=", random::base64(338)));
    call.ledger.mint(&call.request.path, &access_key);
    let mut data = json!({ "access_key": access_key, "secret_key": secret_key });
    if kind != CredentialType::SessionToken {
        data["security_token"] = json!(token);
    }
    if call.dialect == Dialect::Vault1_16 {
        data["session_token"] = json!(token);
    }
    if call.dialect.is_modern() {
        data["ttl"] = json!(ttl.as_secs());
    }
    if let Some(arn) = arn {
        data["arn"] = json!(arn);
    }
    let secret = Secret { access_key, ttl, max_ttl: ttl, renewable: false, renewal: Renewal::Capped };
    let secret = (!call.options.leaseless_sts).then_some(secret);
    Ok(Some(Response { secret, ..Response::data(data) }))
}

/// AWS's own refusals, when the script asks for one.
fn cloud(call: &Call<'_>, what: &str) -> Result<(), Failure> {
    match call.upstream() {
        None => Ok(()),
        Some(Upstream::Fails(reason)) => Err(Failure::bad_request(format!("{what}: {reason}"))),
        Some(Upstream::Throttled) => Err(Failure::response(
            502,
            format!("{what}: Throttling: Rate exceeded\n\tstatus code: 400, request id: {}", random::uuid()),
        )),
    }
}

fn assumed_arn(role_arn: &str, session: &str) -> String {
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
}

fn generated_session_name(call: &Call<'_>, role: &str) -> String {
    let who: String = sanitise(&format!("{}-{role}", call.display_name)).chars().take(42).collect();
    format!("vault-{who}-{}-{}", unix(call.now), random::digits(4))
}

/// STS allows few characters in a session name, and 64 of them.
fn sanitise(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    name.chars().map(|c| if allowed(c) { c } else { '_' }).take(64).collect()
}
