//! What was said of a cloud's credential, from the first layer that says it.

use super::settings::Settings;
use super::source::Layers;
use crate::cli;
use crate::error::Result;
use crate::provider::cloud::Choices;

/// Where in Vault the credential comes from. Each is empty where the cloud has none of it, and all of them for a credential
/// that needs no Vault.
#[derive(Clone, Copy, Default)]
pub(super) struct EnginePlace<'a> {
    pub(super) mount: &'a str,
    pub(super) role: &'a str,
    pub(super) path: &'a str,
}

/// What `decide` makes of the settings that were said. `sets_variables` is that of [`Choices`].
pub(super) fn choose<T>(
    flags: &cli::CredentialFlags,
    EnginePlace { mount, role, path }: EnginePlace<'_>,
    sets_variables: bool,
    layers: &Layers<'_>,
    decide: fn(&Choices<'_>) -> Result<T>,
) -> Result<T> {
    let cloud = flags.cloud;
    decide(&Choices {
        mount,
        role,
        path,
        sets_variables,
        text: &|setting| {
            layers.text((setting.flag, flags.said(setting)), setting.variables, |file| {
                file.text_of(cloud.command, setting.key())
            })
        },
        is_on: &|setting| {
            let in_file = |file: &Settings| file.switch_of(cloud.command, setting.key());
            flags.said(setting).is_some() || layers.files.find(in_file).is_some_and(|found| found.value)
        },
    })
}
