//! Scaleway, by a KV engine: neither Vault nor OpenBao has an engine that makes its keys, so that one is stored.
//!
//! The secret has `access_key` and `secret_key`; the rest is optional. Scaleway's own tools print a value that has a
//! wrong shape, so each is checked before they get it. Shapes and names: scaleway-sdk-go, `validation` and `scw/env.go`.

use std::borrow::Cow;

use super::aws;
use super::cloud::{Choices, Cloud, EngineRequest, Heading, Location, Setting, Value};
use super::shape::{Characters, CloudObject, CredentialsFile, Field, Shape, StoredKey, Syntax, ToolNames};
use crate::error::{Error, Kind, Result};
use crate::mint::Mint;
use crate::origin::{Origin, WithOrigin};
use crate::variables as var;

/// The cloud.
pub static CLOUD: Cloud = Cloud {
    command: "scaleway",
    about: "Fetch a Scaleway API key and print it for the shell",
    examples: [
        "eval $(ci-creds scaleway --path secret/data/scw/ci || echo false)",
        "eval $(ci-creds scaleway --path secret/data/scw/ci --s3 || echo false)",
    ],
    location: Location::Path(&PATH),
    settings: &[&PATH, &PROJECT, &ORGANIZATION, &REGION, &ZONE, &STORAGE],
    shapes: &[(Some(&STORAGE), &S3), (None, &SCALEWAY)],
    keep_profile: None,
    request,
    without_vault: None,
};

const fn text(flag: &'static str, name: &'static str, help: &'static str) -> Setting {
    let (value, heading) = (Value::Text(name), Heading::Credential);
    Setting { flag, value, help, heading, common: true, variables: &[], in_file: true }
}

static PATH: Setting = Setting {
    variables: &[var::CI_CREDS_SCALEWAY_PATH],
    ..text("--path", "PATH", "The path of the stored key: secret/data/scw/ci, or with {project_name}")
};
static PROJECT: Setting = text("--project-id", "UUID", "The project, if it is not that of the secret");
static ORGANIZATION: Setting =
    Setting { common: false, ..text("--organization-id", "UUID", "The organization, if it is not that of the secret") };
static REGION: Setting = text("--region", "REGION", "The region, if it is not that of the secret: fr-par");
static ZONE: Setting = text("--zone", "ZONE", "The zone, if it is not that of the secret: fr-par-1");
static STORAGE: Setting = Setting {
    value: Value::Switch,
    in_file: false,
    ..text("--s3", "", "For the object storage: export the key for AWS tools")
};

const PROJECT_ID: &str = "SCW_DEFAULT_PROJECT_ID";
const ORGANIZATION_ID: &str = "SCW_DEFAULT_ORGANIZATION_ID";
const DEFAULT_REGION: &str = "SCW_DEFAULT_REGION";
const DEFAULT_ZONE: &str = "SCW_DEFAULT_ZONE";
const AWS_REGION: &str = "AWS_REGION";

fn request(said: &Choices<'_>) -> Result<EngineRequest> {
    let settings = [
        (&PROJECT, "project_id", PROJECT_ID),
        (&ORGANIZATION, "organization_id", ORGANIZATION_ID),
        (&REGION, "region", DEFAULT_REGION),
        (&ZONE, "zone", DEFAULT_ZONE),
    ];
    let is_for_storage = (said.is_on)(&STORAGE);
    let mut companions = Vec::new();
    for (setting, field, variable) in settings {
        let Some(value) = (said.text)(setting)? else { continue };
        check_setting(field, &value)?;
        match (is_for_storage, field) {
            (false, _) => companions.push((variable, value.value)),
            (true, "region") => companions.push((AWS_REGION, value.value)),
            // A configuration file is for the calls without --s3 too.
            (true, _) if matches!(value.origin, Origin::Flag(_)) => {
                let flag = setting.flag;
                return Err(Error::new(Kind::Usage, format!("{flag} has no effect with --s3, which takes a region"))
                    .hint(format!("drop {flag}")));
            }
            (true, _) => {}
        }
    }
    let mint = Mint {
        path: said.path.to_owned(),
        roles: String::new(),
        parameters: Vec::new(),
        writable: false,
        body: None,
        stored: true,
        temporary: false,
    };
    Ok(EngineRequest { mint, companions, wait: None })
}

fn check_setting(field: &str, value: &WithOrigin<String>) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let misfit = match value.value.bytes().all(is_plain) {
        true => find_misfit(field, &value.value),
        false => Some("has a character that it cannot have"),
    };
    match misfit {
        Some(misfit) => {
            Err(Error::new(Kind::Usage, format!("the {field} (from {}) {misfit}", value.origin)).hint(FORMS))
        }
        None => Ok(()),
    }
}

/// Its key.
pub static SCALEWAY: Shape = Shape {
    name: Cow::Borrowed("scaleway"),
    command: Cow::Borrowed("scaleway"),
    title: Cow::Borrowed("Scaleway"),
    fields: Cow::Borrowed(&FIELDS),
    // Its tools take an empty variable for one that is set, and fail; and SCALEWAY_ACCESS_KEY for a secret key.
    aliases: &[
        "SCW_PROFILE",
        "SCW_TOKEN",
        "SCW_ORGANIZATION",
        "SCW_REGION",
        "SCALEWAY_ACCESS_KEY",
        "SCALEWAY_TOKEN",
        "SCALEWAY_ORGANIZATION",
        "SCALEWAY_REGION",
    ],
    sources: &[],
    irrevocable: None,
    expiration: None,
    emptied: &[],
    profiles: &[],
    mapping: None,
    stored: Some(StoredKey {
        expires: EXPIRES,
        settings: &[PROJECT_ID, ORGANIZATION_ID, DEFAULT_REGION, DEFAULT_ZONE],
        needed: &[],
        find_misfit,
        forms: FORMS,
        place: |_| Vec::new(),
    }),
    file: Some(CredentialsFile {
        name: "config.yaml",
        below_home: ".config/scw/config.yaml",
        syntax: Syntax::Yaml,
        path_variable: "SCW_CONFIG_PATH",
        profile_variable: None,
    }),
    made: MADE,
};

/// The same key for the object storage, under the names by which AWS's tools read one. What holds for Exoscale's storage
/// holds here: what an AWS credential left behind goes.
pub static S3: Shape = aws::storage_shape(
    ("scaleway", "scaleway --s3", "Scaleway"),
    &S3_FIELDS,
    Some(StoredKey {
        expires: EXPIRES,
        settings: &[AWS_REGION],
        needed: &["region"],
        find_misfit,
        forms: FORMS,
        place: |region| aws::storage(format!("https://s3.{region}.scw.cloud"), region),
    }),
    MADE,
);

/// The field that says when the key expires, as Scaleway's API calls it.
const EXPIRES: &str = "expires_at";

const MADE: CloudObject = CloudObject { what: "an API key", list: "scw iam api-key list" };

static FIELDS: [Field; 6] = [
    key(ToolNames { variable: "SCW_ACCESS_KEY", process: None, in_file: "access_key" }),
    secret(ToolNames { variable: "SCW_SECRET_KEY", process: None, in_file: "secret_key" }),
    uuid("project_id", "default_project_id", PROJECT_ID),
    uuid("organization_id", "default_organization_id", ORGANIZATION_ID),
    place("region", "default_region", DEFAULT_REGION, Some("default_region")),
    place("zone", "default_zone", DEFAULT_ZONE, Some("default_zone")),
];

static S3_FIELDS: [Field; 3] =
    [key(aws::KEY_ID), secret(aws::SECRET), place("region", "default_region", AWS_REGION, None)];

/// What each value looks like, for a hint.
const FORMS: &str = "access_key is SCW and 17 capital letters or digits; secret_key, project_id and organization_id are UUIDs; \
                     a region is such as fr-par, and a zone such as fr-par-1";

const UUID: Characters = Characters { prefix: "", others: "-", lower: true, least: 36, most: 36 };

const fn key(tools: ToolNames) -> Field {
    let characters = Characters { prefix: "SCW", others: "", lower: false, least: 17, most: 17 };
    Field::half("access_key", true, tools, characters)
}

const fn secret(tools: ToolNames) -> Field {
    Field::half("secret_key", false, tools, UUID)
}

const fn uuid(name: &'static str, in_file: &'static str, variable: &'static str) -> Field {
    let mut field = place(name, in_file, variable, Some(in_file));
    field.characters = UUID;
    field
}

/// `other`: its name in Scaleway's own file, by which the secret may have it too.
const fn place(
    name: &'static str,
    other: &'static str,
    variable: &'static str,
    in_file: Option<&'static str>,
) -> Field {
    Field {
        name: Cow::Borrowed(name),
        key: Cow::Borrowed(name),
        older_key: Some(Cow::Borrowed(other)),
        variable: Some(Cow::Borrowed(variable)),
        process: None,
        in_file,
        characters: Characters { prefix: "", others: "-", lower: true, least: 5, most: 16 },
        required: false,
        public: true,
        file: false,
    }
}

/// What a value lacks whose characters are right.
fn find_misfit(field: &str, text: &str) -> Option<&'static str> {
    match field {
        "secret_key" | "project_id" | "organization_id" => (!is_uuid(text)).then_some("is not a UUID"),
        "region" => (!is_region(text)).then_some("is not the name of a region"),
        "zone" => (!is_zone(text)).then_some("is not the name of a zone"),
        _ => None,
    }
}

/// Five groups of hexadecimal digits: 8, 4, 4, 4 and 12.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// `^[a-z]{2}-[a-z]{3,7}$`
fn is_region(text: &str) -> bool {
    let is_lower = |part: &str| part.bytes().all(|byte| byte.is_ascii_lowercase());
    text.split_once('-').is_some_and(|(country, city)| {
        country.len() == 2 && (3..=7).contains(&city.len()) && is_lower(country) && is_lower(city)
    })
}

/// A region and a digit.
fn is_zone(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(region, number)| {
        is_region(region) && number.len() == 1 && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_its_shape_or_none() {
        for (field, good) in [
            ("secret_key", "01234567-89ab-cdef-0123-456789ABCDEF"),
            ("region", "fr-par"),
            ("region", "nl-ams"),
            ("zone", "pl-waw-3"),
        ] {
            assert_eq!(find_misfit(field, good), None, "{good}");
        }
        for (field, bad) in [
            ("secret_key", "0123456789ab-cdef-0123-456789ABCDEF-"),
            ("secret_key", "01234567-89ab-cdef-0123-456789ABCDEg"),
            ("project_id", "01234567-89ab-cdef-0123-456789abcde"),
            ("organization_id", "-1234567-89ab-cdef-0123-456789abcdef"),
            ("region", "fr-par-1"),
            ("region", "FR-PAR"),
            ("region", "fr-p"),
            ("zone", "fr-par"),
            ("zone", "fr-par-12"),
            ("zone", "fr-par-x"),
        ] {
            assert!(find_misfit(field, bad).is_some(), "{bad}");
        }
    }
}
