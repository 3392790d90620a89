//! AWS, by Vault's `aws` engine or OpenBao's plugin: `<mount>/sts/<role>` and `<mount>/creds/<role>`.
//!
//! Both paths do the same for roles of today. Which fields come depends on the version: STS answers have
//! `security_token` (to 1.15, OpenBao), `session_token` (from 1.16) or both; an IAM user's are null or absent;
//! Vault 1.13.0 answers STS without a lease and with `data.ttl`.

mod setting;
pub(crate) mod web_identity;

use std::borrow::Cow;

use super::cloud::{Choices, Cloud, EngineRequest, Location, Wait, parse_place};
use super::shape::{Characters, CloudObject, CredentialsFile, Field, Shape, StoredKey, Syntax, ToolNames};
use crate::error::{Error, Kind, Result};
use crate::mint::Mint;
use crate::origin::WithOrigin;
use crate::time::parse_duration;
use crate::variables as var;

pub(crate) use setting::REGIONS;
use setting::*;

/// The cloud.
pub static CLOUD: Cloud = Cloud {
    command: "aws",
    about: "Fetch AWS credentials and print them for the shell",
    examples: [
        "eval $(ci-creds aws --role deploy --ttl 1h || echo false)",
        "credential_process = ci-creds aws --role deploy --format process",
    ],
    location: Location::Role { role_variable: var::CI_CREDS_AWS_ROLE, mount_variable: var::CI_CREDS_AWS_MOUNT },
    settings: &[
        &VIA,
        &TTL,
        &ROLE_ARN,
        &SESSION_NAME,
        &POLICY_FILE,
        &POLICY_ARN,
        &ASSUME,
        &EXTERNAL_ID,
        &SOURCE_IDENTITY,
        &REGION,
        &FIPS,
        &WAIT_READY,
        &KEEP_PROFILE,
    ],
    shapes: &[(None, &AWS)],
    keep_profile: Some(&KEEP_PROFILE),
    request,
    without_vault: Some(web_identity::request),
};

fn request(said: &Choices<'_>) -> Result<EngineRequest> {
    web_identity::refuse_strays(said)?;
    let segment = parse_via((said.text)(&VIA)?)?;
    let region = (said.text)(&REGION)?;
    let mut companions = Vec::new();
    if let Some(region) = &region {
        let region = parse_place(region, "region")?;
        companions.extend(REGIONS.map(|name| (name, region.clone())));
    }
    let ttl = (said.text)(&TTL)?.map(|text| parse_duration(&text)).transpose()?;
    // AWS: an ARN is up to 2048 characters of this set; a session name 2 to 64 of [\w+=,.@-].
    let role_arn = (said.text)(&ROLE_ARN)?.map(|text| parse_name(text, ":/+=,.@_-", 2048, "role ARN")).transpose()?;
    let session_name =
        (said.text)(&SESSION_NAME)?.map(|text| parse_name(text, "+=,.@_-", 64, "session name")).transpose()?;
    let parameters = [
        ("ttl", ttl.map(|ttl| format!("{}s", ttl.as_secs()))),
        ("role_arn", role_arn),
        ("role_session_name", session_name),
    ];
    let mint = Mint {
        path: format!("{}/{segment}/{}", said.mount, said.role),
        roles: format!("{}/roles", said.mount),
        parameters: parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        writable: true,
        body: None,
        stored: false,
        temporary: segment == "sts",
    };
    let wait = (said.is_on)(&WAIT_READY).then_some(Wait { region });
    Ok(EngineRequest { mint, companions, wait })
}

/// Which of the engine's two paths is read.
fn parse_via(via: Option<WithOrigin<String>>) -> Result<&'static str> {
    match via {
        None => Ok("sts"),
        Some(text) if text.value == "sts" => Ok("sts"),
        Some(text) if text.value == "creds" => Ok("creds"),
        Some(text) if text.value == WEB_IDENTITY => {
            Err(Error::new(Kind::Usage, format!("{} names a way without Vault, and this is about Vault", text.origin))
                .hint("--via sts, or --via creds"))
        }
        Some(text) => {
            Err(Error::new(Kind::Config, format!("`via` in {} is none of sts, creds and web-identity", text.origin)))
        }
    }
}

fn parse_name(text: WithOrigin<String>, others: &str, longest: usize, what: &str) -> Result<String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    if !text.value.is_empty() && text.value.len() <= longest && text.value.chars().all(sound) {
        return Ok(text.value);
    }
    Err(Error::new(
        Kind::Usage,
        format!("the {what} (from {}) has a length or a character that AWS refuses", text.origin),
    ))
}

/// Its credentials. botocore believes `AWS_SECURITY_TOKEN` before `AWS_SESSION_TOKEN`, fails on a profile that does not
/// exist even when keys are set, and takes a stale `AWS_CREDENTIAL_EXPIRATION` at its word.
pub static AWS: Shape = Shape {
    name: Cow::Borrowed("aws"),
    command: Cow::Borrowed("aws"),
    title: Cow::Borrowed("AWS"),
    fields: Cow::Borrowed(&FIELDS),
    aliases: &["AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"],
    sources: &SOURCES,
    irrevocable: Some("session_token"),
    expiration: Some("AWS_CREDENTIAL_EXPIRATION"),
    emptied: &EMPTIED,
    profiles: &PROFILES,
    mapping: None,
    stored: None,
    file: Some(FILE),
    // `vault-WHO-ROLE-TIME-…`, unless the engine's username_template says otherwise.
    made: CloudObject { what: "an IAM user", list: "aws iam list-users" },
};

/// What AWS's tools call the ID of a key.
pub(super) const KEY_ID: ToolNames =
    ToolNames { variable: "AWS_ACCESS_KEY_ID", process: Some("AccessKeyId"), in_file: "aws_access_key_id" };
/// The same of its secret.
pub(super) const SECRET: ToolNames =
    ToolNames { variable: "AWS_SECRET_ACCESS_KEY", process: Some("SecretAccessKey"), in_file: "aws_secret_access_key" };

static FIELDS: [Field; 4] = [
    Field::half("access_key", true, KEY_ID, Characters { prefix: "", others: "", lower: false, least: 16, most: 128 }),
    Field::half(
        "secret_key",
        false,
        SECRET,
        Characters { prefix: "", others: "/+=_.-", lower: true, least: 1, most: 8192 },
    ),
    Field {
        name: Cow::Borrowed("session_token"),
        key: Cow::Borrowed("session_token"),
        older_key: Some(Cow::Borrowed("security_token")),
        variable: Some(Cow::Borrowed("AWS_SESSION_TOKEN")),
        process: Some("SessionToken"),
        in_file: Some("aws_session_token"),
        characters: Characters { prefix: "", others: "/+=_.-", lower: true, least: 1, most: 8192 },
        required: false,
        public: false,
        file: false,
    },
    Field::label("arn", Characters { prefix: "arn:", others: ":/+=,.@_-", lower: true, least: 1, most: 2048 }),
];

/// A key for the object storage of another cloud, under the names by which AWS's tools read one. The variables of an
/// earlier AWS credential are unset. It has the name, the command and the title of its cloud.
pub(super) const fn storage_shape(
    (name, command, title): (&'static str, &'static str, &'static str),
    fields: &'static [Field],
    stored: Option<StoredKey>,
    made: CloudObject,
) -> Shape {
    Shape {
        name: Cow::Borrowed(name),
        command: Cow::Borrowed(command),
        title: Cow::Borrowed(title),
        fields: Cow::Borrowed(fields),
        aliases: &EMPTIED,
        sources: &SOURCES,
        irrevocable: None,
        expiration: None,
        emptied: &EMPTIED,
        profiles: &PROFILES,
        mapping: None,
        stored,
        file: Some(FILE),
        made,
    }
}

/// Where the object storage of another cloud is, as AWS's tools want to be told: they speak S3 to it.
///
/// Since January 2025 the SDKs add a checksum that not every S3 but Amazon's takes; `when_required` is what they did
/// before, and right for both.
pub(super) fn storage(endpoint: String, region: &str) -> Vec<(&'static str, String)> {
    let mut variables = vec![("AWS_ENDPOINT_URL_S3", endpoint)];
    variables.extend(REGIONS.map(|name| (name, region.to_owned())));
    variables.extend(
        ["AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"]
            .map(|name| (name, "when_required".to_owned())),
    );
    variables
}

/// What the SDKs ask for credentials when there is no key: the endpoint of a container, and STS with a token of the web.
pub(super) const SOURCES: [&str; 7] = [
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
];

/// Where the SDKs find a container's endpoint, and what they must bring there.
pub(crate) const ENDPOINT: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN");

/// What the SDKs read before they ask that endpoint.
pub(crate) const FILES: [&str; 2] = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];

/// What every SDK takes for unset when it is empty.
pub(super) const EMPTIED: [&str; 3] = ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];

/// By which variables every SDK takes a profile in place of a key.
const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];

/// What every SDK reads, and by which variables it finds it.
pub(super) const FILE: CredentialsFile = CredentialsFile {
    name: "credentials",
    below_home: ".aws/credentials",
    syntax: Syntax::Profiles,
    path_variable: "AWS_SHARED_CREDENTIALS_FILE",
    profile_variable: Some("AWS_PROFILE"),
};
