//! Exoscale, by the `vault-plugin-secrets-exoscale` engine: `GET <mount>/apikey/<role>`, no parameters.
//!
//! Every read makes a key. Plugin 0.1 to 0.4 answer alike: `name`, `api_key`, `api_secret`.

use super::{Characters, Field, Mint, Provider};

/// The cloud. exo prefers `EXOSCALE_API_KEY` to `EXOSCALE_KEY`, the Terraform provider the other way round: with
/// a stale alias one of them would work with another key, without a word. So all aliases are unset.
pub static EXOSCALE: Provider = Provider {
    name: "exoscale",
    title: "Exoscale",
    fields: &[
        Field {
            name: "api_key",
            keys: &["api_key"],
            variable: Some("EXOSCALE_API_KEY"),
            process: None,
            characters: Characters { prefix: "EXO", others: "", lower: true, least: 10, most: 64 },
            required: true,
            public: true,
        },
        Field {
            name: "api_secret",
            keys: &["api_secret"],
            variable: Some("EXOSCALE_API_SECRET"),
            process: None,
            characters: Characters { prefix: "", others: "_-", lower: true, least: 20, most: 128 },
            required: true,
            public: false,
        },
        Field {
            name: "name",
            keys: &["name"],
            variable: None,
            process: None,
            characters: Characters { prefix: "", others: "_.@:+=-", lower: true, least: 1, most: 512 },
            required: false,
            public: true,
        },
    ],
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
    profiles: &[],
};

/// The read that makes a key.
#[must_use]
pub fn mint(mount: &str, role: &str) -> Mint {
    Mint { path: format!("{mount}/apikey/{role}"), parameters: Vec::new(), writable: false }
}
