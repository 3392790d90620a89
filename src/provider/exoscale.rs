//! Exoscale, by the `vault-plugin-secrets-exoscale` engine: `GET <mount>/apikey/<role>`, no parameters.
//!
//! Every read makes a key. Plugin 0.1 to 0.4 answer alike: `name`, `api_key`, `api_secret`.

use std::borrow::Cow;

use super::aws;
use super::cloud::{Choices, Cloud, EngineRequest, Heading, Location, Setting, Value, parse_place};
use super::shape::{Characters, CloudObject, CredentialsFile, Field, Shape, Syntax, ToolNames};
use crate::error::{Error, Kind, Result};
use crate::mint::Mint;
use crate::variables as var;

/// The cloud.
pub static CLOUD: Cloud = Cloud {
    command: "exoscale",
    about: "Fetch an Exoscale API key and print it for the shell",
    examples: [
        "eval $(ci-creds exoscale --role deploy || echo false)",
        "eval $(ci-creds exoscale --role deploy --sos --zone ch-gva-2 || echo false)",
    ],
    location: Location::Role {
        role_variable: var::CI_CREDS_EXOSCALE_ROLE,
        mount_variable: var::CI_CREDS_EXOSCALE_MOUNT,
    },
    settings: &[&ZONE, &STORAGE],
    shapes: &[(Some(&STORAGE), &SOS), (None, &EXOSCALE)],
    keep_profile: None,
    request,
    without_vault: None,
};

static ZONE: Setting = zone(&[]);
/// What EXOSCALE_ZONE says stays as it is, and is asked only for a place of the storage.
static STORAGE_ZONE: Setting = zone(&[var::EXOSCALE_ZONE]);

const fn zone(variables: &'static [&'static str]) -> Setting {
    Setting {
        flag: "--zone",
        value: Value::Text("ZONE"),
        help: "Also export EXOSCALE_ZONE; with --sos, the storage's zone",
        heading: Heading::Credential,
        common: true,
        variables,
        in_file: true,
    }
}

static STORAGE: Setting = Setting {
    flag: "--sos",
    value: Value::Switch,
    help: "For the object storage: export the key for AWS tools",
    heading: Heading::Credential,
    common: true,
    variables: &[],
    in_file: false,
};

fn request(said: &Choices<'_>) -> Result<EngineRequest> {
    let storage_wanted = (said.is_on)(&STORAGE);
    let zone = (said.text)(if storage_wanted { &STORAGE_ZONE } else { &ZONE })?;
    let companions = match zone.map(|zone| parse_place(&zone, "zone")).transpose()? {
        Some(zone) if storage_wanted => aws::storage(format!("https://sos-{zone}.exo.io"), &zone),
        Some(zone) => vec![("EXOSCALE_ZONE", zone)],
        None if storage_wanted && said.sets_variables => {
            return Err(Error::new(
                Kind::Config,
                "the zone of the object storage is not set (--zone, EXOSCALE_ZONE, or zone in the configuration file)",
            )
            .hint("ci-creds exoscale --sos --zone ch-gva-2, or set EXOSCALE_ZONE"));
        }
        None => Vec::new(),
    };
    Ok(EngineRequest { mint: mint(said.mount, said.role), companions, wait: None })
}

/// Its key. exo prefers `EXOSCALE_API_KEY` to `EXOSCALE_KEY`, the Terraform provider the other way round: with
/// a stale alias one of them would work with another key, without a word. So all aliases are unset.
pub static EXOSCALE: Shape = Shape {
    name: Cow::Borrowed("exoscale"),
    command: Cow::Borrowed("exoscale"),
    title: Cow::Borrowed("Exoscale"),
    fields: Cow::Borrowed(&FIELDS),
    aliases: &[
        "EXOSCALE_KEY",
        "EXOSCALE_SECRET",
        "EXOSCALE_SECRET_KEY",
        "CLOUDSTACK_KEY",
        "CLOUDSTACK_API_KEY",
        "CLOUDSTACK_SECRET",
        "CLOUDSTACK_SECRET_KEY",
    ],
    sources: &[],
    irrevocable: None,
    expiration: None,
    // Terraform's provider looks at these first, and passes over empty ones. The exo CLI, which does not, looks at them
    // only where EXOSCALE_API_KEY and EXOSCALE_API_SECRET are missing.
    emptied: &["EXOSCALE_KEY", "EXOSCALE_SECRET", "EXOSCALE_SECRET_KEY"],
    profiles: &[],
    mapping: None,
    stored: None,
    file: Some(CredentialsFile {
        name: "exoscale.toml",
        below_home: ".config/exoscale/exoscale.toml",
        syntax: Syntax::Accounts,
        path_variable: "EXOSCALE_CONFIG",
        profile_variable: Some("EXOSCALE_ACCOUNT"),
    }),
    made: MADE,
};

static FIELDS: [Field; 3] = [
    key(ToolNames { variable: "EXOSCALE_API_KEY", process: None, in_file: "key" }),
    secret(ToolNames { variable: "EXOSCALE_API_SECRET", process: None, in_file: "secret" }),
    name(),
];

/// The same key for the object storage (SOS), under the names by which AWS's tools read one: they speak S3 to it. A
/// session that an AWS credential left behind would be sent along, and a profile is AWS's too, so it always goes.
pub static SOS: Shape = aws::storage_shape(("exoscale", "exoscale --sos", "Exoscale"), &SOS_FIELDS, None, MADE);

static SOS_FIELDS: [Field; 3] = [key(aws::KEY_ID), secret(aws::SECRET), name()];

/// `vault-[PREFIX-]ROLE-WHO-TIME`, where WHO is the display name of the Vault token.
const MADE: CloudObject = CloudObject { what: "an API key", list: "exo iam api-key list" };

const fn key(tools: ToolNames) -> Field {
    let characters = Characters { prefix: "EXO", others: "", lower: true, least: 10, most: 64 };
    Field::half("api_key", true, tools, characters)
}

const fn secret(tools: ToolNames) -> Field {
    let characters = Characters { prefix: "", others: "_-", lower: true, least: 20, most: 128 };
    Field::half("api_secret", false, tools, characters)
}

const fn name() -> Field {
    Field::label("name", Characters { prefix: "", others: "_.@:+=-", lower: true, least: 1, most: 512 })
}

/// The read that makes a key.
fn mint(mount: &str, role: &str) -> Mint {
    let roles = format!("{mount}/role");
    let path = format!("{mount}/apikey/{role}");
    Mint { path, roles, parameters: Vec::new(), writable: false, body: None, stored: false, temporary: false }
}
