//! The Vault token itself, for what speaks to Vault by itself: Terraform's `vault` provider, vault and bao.

use std::borrow::Cow;

use super::shape::{Characters, CloudObject, Field, Shape};

/// What asks for it, and its name in `--format json`.
pub const NAME: &str = "token";

/// `OpenBao`'s tools read `BAO_ADDR` before `VAULT_ADDR`, so a stale one would win.
pub static TOKEN: Shape = Shape {
    name: Cow::Borrowed("vault"),
    command: Cow::Borrowed(NAME),
    title: Cow::Borrowed("Vault token"),
    fields: Cow::Borrowed(&FIELDS),
    aliases: &["VAULT_NAMESPACE", "BAO_TOKEN", "BAO_ADDR", "BAO_NAMESPACE"],
    sources: &[],
    irrevocable: None,
    expiration: None,
    emptied: &["VAULT_NAMESPACE", "BAO_TOKEN", "BAO_ADDR", "BAO_NAMESPACE"],
    profiles: &[],
    mapping: None,
    stored: None,
    file: None,
    made: CloudObject { what: "a token", list: "vault list auth/token/accessors" },
};

static FIELDS: [Field; 1] = [Field {
    name: Cow::Borrowed("token"),
    key: Cow::Borrowed("client_token"),
    older_key: None,
    variable: Some(Cow::Borrowed("VAULT_TOKEN")),
    process: None,
    in_file: None,
    characters: Characters { prefix: "", others: "._-", lower: true, least: 1, most: 8192 },
    required: true,
    public: false,
    file: false,
}];
