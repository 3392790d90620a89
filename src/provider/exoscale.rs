//! Exoscale, by the `vault-plugin-secrets-exoscale` engine: `GET <mount>/apikey/<role>`, no parameters.
//!
//! Every read makes a key. Plugin 0.1 to 0.4 answer alike: `name`, `api_key`, `api_secret`.

use super::{Characters, CredentialsFile, Field, Made, Mint, Provider, Syntax, aws};

/// The cloud. exo prefers `EXOSCALE_API_KEY` to `EXOSCALE_KEY`, the Terraform provider the other way round: with
/// a stale alias one of them would work with another key, without a word. So all aliases are unset.
pub static EXOSCALE: Provider = Provider {
    name: "exoscale",
    command: "exoscale",
    title: "Exoscale",
    fields: &[key("EXOSCALE_API_KEY", None, "key"), secret("EXOSCALE_API_SECRET", None, "secret"), NAME],
    aliases: &[
        "EXOSCALE_KEY",
        "EXOSCALE_SECRET",
        "EXOSCALE_SECRET_KEY",
        "CLOUDSTACK_KEY",
        "CLOUDSTACK_API_KEY",
        "CLOUDSTACK_SECRET",
        "CLOUDSTACK_SECRET_KEY",
    ],
    irrevocable: None,
    expiration: None,
    // Terraform's provider looks at these first, and passes over empty ones. The exo CLI, which does not, looks at them
    // only where EXOSCALE_API_KEY and EXOSCALE_API_SECRET are missing.
    emptied: &["EXOSCALE_KEY", "EXOSCALE_SECRET", "EXOSCALE_SECRET_KEY"],
    profiles: &[],
    file: CredentialsFile {
        name: "exoscale.toml",
        syntax: Syntax::Accounts,
        path_variable: "EXOSCALE_CONFIG",
        profile_variable: "EXOSCALE_ACCOUNT",
    },
    made: MADE,
};

/// The same key for the object storage (SOS), under the names by which AWS's tools read one: they speak S3 to it. A
/// session that an AWS credential left behind would be sent along, and a profile is AWS's too, so it always goes.
pub static SOS: Provider = Provider {
    name: "exoscale",
    command: "exoscale --sos",
    title: "Exoscale",
    fields: &[
        key("AWS_ACCESS_KEY_ID", Some("AccessKeyId"), "aws_access_key_id"),
        secret("AWS_SECRET_ACCESS_KEY", Some("SecretAccessKey"), "aws_secret_access_key"),
        NAME,
    ],
    aliases: &aws::EMPTIED,
    irrevocable: None,
    expiration: None,
    emptied: &aws::EMPTIED,
    profiles: &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"],
    file: aws::FILE,
    made: MADE,
};

/// `vault-[PREFIX-]ROLE-WHO-TIME`, where WHO is the display name of the Vault token.
const MADE: Made = Made { what: "an API key", list: "exo iam api-key list" };

const fn key(variable: &'static str, process: Option<&'static str>, in_file: &'static str) -> Field {
    Field {
        name: "api_key",
        keys: &["api_key"],
        variable: Some(variable),
        process,
        key: Some(in_file),
        characters: Characters { prefix: "EXO", others: "", lower: true, least: 10, most: 64 },
        required: true,
        public: true,
    }
}

const fn secret(variable: &'static str, process: Option<&'static str>, in_file: &'static str) -> Field {
    Field {
        name: "api_secret",
        keys: &["api_secret"],
        variable: Some(variable),
        process,
        key: Some(in_file),
        characters: Characters { prefix: "", others: "_-", lower: true, least: 20, most: 128 },
        required: true,
        public: false,
    }
}

const NAME: Field = Field {
    name: "name",
    keys: &["name"],
    variable: None,
    process: None,
    key: None,
    characters: Characters { prefix: "", others: "_.@:+=-", lower: true, least: 1, most: 512 },
    required: false,
    public: true,
};

/// Where the object storage of a zone is, as AWS's tools want to be told.
///
/// Since January 2025 the SDKs add a checksum that not every S3 but Amazon's takes; `when_required` is what they did
/// before, and right for both.
#[must_use]
pub fn storage(zone: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL_S3", format!("https://sos-{zone}.exo.io")),
        // aws-cli 1 and boto3 read the one, the other SDKs the other.
        ("AWS_REGION", zone.to_owned()),
        ("AWS_DEFAULT_REGION", zone.to_owned()),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required".to_owned()),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required".to_owned()),
    ]
}

/// The read that makes a key.
#[must_use]
pub fn mint(mount: &str, role: &str) -> Mint {
    let roles = format!("{mount}/role");
    Mint { path: format!("{mount}/apikey/{role}"), roles, parameters: Vec::new(), writable: false, temporary: false }
}
