//! The runner's own AWS credentials: `auth/<mount>/login` of Vault's AWS method, type `iam`.
//!
//! The body holds a signed `sts:GetCallerIdentity`, which Vault sends to STS to learn who signed it. Security: for 15
//! minutes this request is an identity. Whoever has it logs in to any Vault that trusts the principal, unless that one
//! demands a server ID of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::session::{Session, session, settle};
use super::trial::{Sign, Trial, is_nowhere};
use crate::aws::runner;
use crate::aws::sts;
use crate::error::{Error, Kind, Result};
use crate::identity::{AwsSigner, Login};
use crate::secret::Secret;
use crate::vault::client::Vault;
use crate::vault::refusal::{CommonCause, Refusal, Row, Says, explain};

/// Logs in. The role is the principal's own name without one.
pub(super) async fn login(vault: &Vault<'_>, login: &Login, signer: &AwsSigner) -> Result<Session> {
    let host = vault.host();
    let fresh = match runner::are_usable(&signer.keys, host.now()) {
        true => None,
        false => Some(runner::fetch(&signer.source, host).await?),
    };
    let keys = fresh.as_ref().unwrap_or(&signer.keys);
    let (url, region) = sts::endpoint(signer.region.as_deref());
    let sts_host = url.trim_start_matches("https://");
    let headers = sts::login_headers(sts_host, &region, host.now(), keys, signer.server_id.as_deref());
    let signature = headers.iter().find(|(name, _)| *name == "authorization").map(|(_, value)| value.clone());
    let headers = encode_headers(&headers);
    let (url, form) = (STANDARD.encode(format!("{url}/")), STANDARD.encode(sts::BODY));
    let mut body = vec![
        ("iam_http_request_method", "POST"),
        ("iam_request_url", url.as_str()),
        ("iam_request_body", form.as_str()),
        ("iam_request_headers", headers.expose()),
    ];
    if let Some(role) = &login.role {
        body.push(("role", role));
    }
    // What STS says of a signature quotes what was signed.
    let signature =
        Zeroizing::new(signature.and_then(|text| Some(text.rsplit_once('=')?.1.to_owned())).unwrap_or_default());
    let session_token = keys.session.as_ref().map_or("", Secret::expose);
    let secrets = [headers.expose(), signature.as_str(), session_token, keys.secret.expose()];
    let exchange = vault.login_signed(&login.mount, &body, &secrets).await;
    let path = format!("auth/{}/login", login.mount);
    session(settle(exchange, |refusal| describe(&refusal, login, signer))?, &path)
}

/// The login without the signed request.
pub(super) fn trial() -> Trial<'static> {
    let role = "only the login itself tells".into();
    Trial { method: "AWS", body: Vec::new(), sign: read_sign, role, untried: None }
}

fn read_sign(refusal: &Refusal) -> Sign {
    let is_there = !is_nowhere(refusal) && refusal.reason.contains("supply required authentication values");
    if is_there { Sign::Mount } else { Sign::WrongMount }
}

/// The headers as Vault takes them: base64 of a JSON object of lists.
fn encode_headers(headers: &[(&'static str, String)]) -> Secret {
    let map: std::collections::BTreeMap<_, _> = headers.iter().map(|(name, value)| (*name, [value])).collect();
    let json = Zeroizing::new(serde_json::to_string(&map).unwrap_or_default());
    Secret::new(STANDARD.encode(json.as_bytes()))
}

pub(super) fn describe(refusal: &Refusal, login: &Login, signer: &AwsSigner) -> Error {
    explain(&REFUSALS, refusal, &|name| match name {
        "origin" => login.origin.to_string(),
        "mount" => login.mount.clone(),
        "region" => signer.region.clone().unwrap_or_else(|| "us-east-1".into()),
        _ => login.role.clone().unwrap_or_else(|| "NAME".into()),
    })
}

/// What Vault says, and what to change. It is 400 for all, also where Vault cannot reach STS. AWS tells what should have been
/// signed, with the session token in it: such a text is withheld.
pub(super) const REFUSALS: [Row; 14] = [
    LOGIN.refused("aws-login-mount-missing", Says::NoSuchLogin, IS_IT_MOUNTED),
    LOGIN.refused("aws-login-denied", Says::Status(&[403]), IS_IT_MOUNTED),
    LOGIN.config(
        "aws-login-at-another-method",
        Says::Text(&[
            "could not be found",
            "missing role_id",
            "missing jwt",
            "missing token",
            "no client certificate",
            "client certificate must",
        ]),
        "auth/{mount} is the mount of another method: --auth-mount must name the mount of the AWS method",
    ),
    Row {
        id: "aws-login-sts-unreachable",
        says: Says::Text(&["error making upstream request: error making request"]),
        kind: Kind::Unavailable,
        cause: LOGIN.0,
        change: "Vault could not reach STS: re-run the job later; if it happens again, Vault must reach sts_endpoint of \
            auth/{mount}/config/client through its own network",
    },
    LOGIN.config(
        "aws-login-server-id",
        Says::Text(&[
            "validating X-Vault-AWS-IAM-Server-ID header: missing",
            "validating X-Vault-AWS-IAM-Server-ID header: expected",
        ]),
        "--iam-server-id or CI_CREDS_IAM_SERVER_ID must be iam_server_id_header_value of auth/{mount}/config/client",
    ),
    LOGIN.config(
        "aws-login-changed",
        Says::Text(&["X-Vault-AWS-IAM-Server-ID"]),
        "something between this runner and Vault changed the request: is a proxy in between?",
    ),
    LOGIN.refused(
        "aws-login-principal",
        Says::Text(&["does not belong to the role"]),
        "bound_iam_principal_arn of the role {role} must have the principal in this message, without the session's name: \
        vault read auth/{mount}/role/{role}",
    ),
    LOGIN.refused(
        "aws-login-role-missing",
        Says::Text(&["entry for role"]),
        "there is no role {role} at auth/{mount}: --auth-role or CI_CREDS_AUTH_ROLE; vault list auth/{mount}/role",
    ),
    LOGIN.refused("aws-login-type", Says::Text(&["auth method iam not allowed"]), "the role {role} must have auth_type=iam"),
    LOGIN.refused(
        "aws-login-signature",
        Says::Text(&["SignatureDoesNotMatch", "repeats a secret"]),
        "AWS_SECRET_ACCESS_KEY does not belong to the access key, the clock of this runner is wrong, or Vault asks STS in \
        another region than {region}: --sts-region must be sts_region of auth/{mount}/config/client",
    ),
    LOGIN.refused(
        "aws-login-credentials",
        Says::Text(&["InvalidClientTokenId", "ExpiredToken"]),
        "AWS does not know these credentials (from {origin}), or they have expired: get new ones",
    ),
    LOGIN.refused(
        "aws-login-sts-denied",
        Says::Text(&["received error code 403 from STS"]),
        "AWS refused the signature of these credentials (from {origin}): check that they are valid, that the clock of this \
        runner is right, and that --sts-region is sts_region of auth/{mount}/config/client ({region} here)",
    ),
    LOGIN.config(
        "aws-login-form",
        Says::Text(&[
            "invalid request header",
            "iam request body is invalid",
            "supply required authentication values",
            "invalid iam_http",
        ]),
        "auth/{mount} does not take a login of type iam as ci-creds makes it: which version of Vault is it?",
    ),
    LOGIN.refused("aws-login-other", Says::Anything, "vault read auth/{mount}/role/{role} shows what the role requires"),
];

const IS_IT_MOUNTED: &str = "check that the AWS method is mounted at auth/{mount} (--auth-mount), and that \
    token_bound_cidrs of the role {role} allow this runner";

const LOGIN: CommonCause =
    CommonCause("the login with the AWS credentials (from {origin}) at auth/{mount}/login was refused ({because})");
