//! A cloud as a command: what a user may say of its credential, and the request that follows from it.
//!
//! Pure: which layer a value comes from is [`crate::config`]'s business, how a flag is parsed [`crate::cli`]'s. Both
//! read the same table.

use super::role::WebIdentityRequest;
use super::shape::Shape;
use crate::error::{Error, Kind, Result};
use crate::mint::Mint;
use crate::origin::WithOrigin;

/// A cloud.
pub struct Cloud {
    /// The command, behind `ci-creds`; also the name of its table in a configuration file.
    pub command: &'static str,
    /// What the command is for, in the list of commands and at the head of its own help.
    pub about: &'static str,
    /// What people use it for, in its help: a line that they can paste, each.
    pub examples: [&'static str; 2],
    /// By what a user says which credential it is.
    pub location: Location,
    /// What else a user may say, in the order of the help.
    pub settings: &'static [&'static Setting],
    /// The shapes that a credential can have, each with the switch that asks for it; the last one has none.
    pub shapes: &'static [(Option<&'static Setting>, &'static Shape)],
    /// The switch that leaves alone what [`Shape::profiles`] names.
    pub keep_profile: Option<&'static Setting>,
    /// The request, from what was said.
    pub request: fn(&Choices<'_>) -> Result<EngineRequest>,
    /// How this cloud gives a credential without Vault, where it can and that is asked for.
    pub(crate) without_vault: Option<WithoutVault>,
}

/// By what a user says which credential it is.
#[derive(Clone, Copy)]
pub enum Location {
    /// By a role of the cloud's own engine, which makes a credential.
    Role {
        /// The variable that names the role.
        role_variable: &'static str,
        /// The variable that names the mount.
        mount_variable: &'static str,
    },
    /// By the path of a KV engine, where a key is stored: the setting that names it.
    Path(&'static Setting),
}
/// What was said of a credential that needs no Vault. `None`: it comes from Vault.
pub(crate) type WithoutVault = fn(&Choices<'_>) -> Result<Option<WebIdentityRequest>>;

/// One thing that a user may say of a credential: a flag and, under the same name, a key of the configuration file.
pub struct Setting {
    /// The flag, with its dashes.
    pub flag: &'static str,
    /// What it takes.
    pub value: Value,
    /// Its line in the help.
    pub help: &'static str,
    /// Where it stands in the help.
    pub heading: Heading,
    /// Whether it is of use to most, so that the short help shows it.
    pub common: bool,
    /// Variables that say the same, the first that is set counts.
    pub variables: &'static [&'static str],
    /// Whether a configuration file may say it.
    pub in_file: bool,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Nothing: it is said or not.
    Switch,
    /// A text, by this name in the help.
    Text(&'static str),
    /// Texts, each by this name in the help; blanks lie between them where they are one text.
    List(&'static str),
    /// One of these texts, each with its line in the help; the name of the value first.
    Choice(&'static str, &'static [(&'static str, &'static str)]),
}

/// The part of the help in which a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// What the credential is.
    Credential,
    /// How it is delivered.
    Output,
}

impl Setting {
    /// Its key in a configuration file, and its name on the command line without the dashes.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.flag.trim_start_matches('-')
    }
}

/// What was said of one credential.
pub struct Choices<'a> {
    /// Where the engine is mounted.
    pub mount: &'a str,
    /// The engine's role.
    pub role: &'a str,
    /// The path, for a cloud whose keys are stored. It has neither a mount nor a role.
    pub path: &'a str,
    /// Whether the output sets variables, so that there must be a value for each.
    pub sets_variables: bool,
    /// The text of a setting, from the first layer that has one.
    pub text: &'a dyn Fn(&'static Setting) -> Result<Option<WithOrigin<String>>>,
    /// Whether a switch is on.
    pub is_on: &'a dyn Fn(&'static Setting) -> bool,
}

/// What follows for the run.
pub struct EngineRequest {
    /// The read, or write, that makes the credential.
    pub mint: Mint,
    /// Variables to export beside it.
    pub companions: Vec<(&'static str, String)>,
    /// Whether to wait until the cloud knows a new key, and in which region to ask.
    pub wait: Option<Wait>,
}

/// A wish to wait until the cloud knows a new key.
pub struct Wait {
    /// The region that a flag or a file names.
    pub region: Option<WithOrigin<String>>,
}

impl Cloud {
    /// The variables that name the engine's role and its mount, where it has an engine of its own.
    #[must_use]
    pub const fn engine_variables(&self) -> Option<(&'static str, &'static str)> {
        match self.location {
            Location::Role { role_variable, mount_variable } => Some((role_variable, mount_variable)),
            Location::Path(_) => None,
        }
    }

    /// The shape that the switches ask for.
    #[must_use]
    pub fn shape(&self, is_on: impl Fn(&'static Setting) -> bool) -> Option<&'static Shape> {
        let asked = |(switch, _): &&(Option<&'static Setting>, _)| switch.is_none_or(&is_on);
        self.shapes.iter().find(asked).map(|(_, shape)| *shape)
    }
}

/// Reads a region or zone: what may stand in a shell's text and in a host name.
///
/// # Errors
/// [`Kind::Usage`].
pub(crate) fn parse_place(place: &WithOrigin<String>, what: &str) -> Result<String> {
    let text = place.value.trim();
    if !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Ok(text.to_owned());
    }
    let example = if what == "zone" { "ch-gva-2" } else { "eu-central-1" };
    Err(Error::new(Kind::Usage, format!("the {what} (from {}) is not a {what} name", place.origin))
        .hint(format!("a {what} is lower-case letters, digits and hyphens, such as {example}")))
}
