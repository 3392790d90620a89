//! What is around a run: variables and files by which the cloud's tools find another credential, a trace, folders. For
//! `ci-creds doctor`; nothing of it stops a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache;
use super::output::traced;
use super::plan::CredentialPlan;
use super::profile::find_profiles;
use super::source::Layers;
use crate::host::Host;
use crate::provider::shape::{Shape, Syntax};
use crate::render;
use crate::time::render_duration;
use crate::variables as var;

/// What was found around a run.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// What will cause trouble, and what to change.
    pub(crate) concerns: Vec<Concern>,
    /// What is good to know, by name.
    pub(crate) facts: Vec<(String, String)>,
    /// What is left of the job, where it is known.
    pub(crate) job_left: Option<Duration>,
}

/// Something that will cause trouble.
#[derive(Debug)]
pub(crate) struct Concern {
    pub(crate) text: String,
    pub(crate) change: String,
}

/// Looks around.
pub(super) fn survey_surroundings(wanted: Option<&CredentialPlan>, host: &Host) -> Surroundings {
    let layers = Layers::bare(host);
    let mut found =
        Surroundings { job_left: layers.job().left().ok().flatten().map(|left| left.value), ..Surroundings::default() };
    if let Some(wanted) = wanted {
        look_at_variables(&wanted.shape, wanted.keep_profile, &layers, &mut found);
        look_at_profile(&wanted.shape, wanted.keep_profile, &layers, &mut found);
    }
    look_at_the_shell(&layers, &mut found);
    if let Some(folder) = cache::resolve_place(&layers).ok().and_then(|place| place.folders.into_iter().next()) {
        found.facts.push(("cache".to_owned(), folder.display().to_string()));
    }
    if let Some(left) = found.job_left {
        found.facts.push(("the job may run".to_owned(), format!("for another {}", render_duration(left))));
    }
    found
}

fn is_set(name: &str, layers: &Layers<'_>) -> bool {
    layers.host.variable(name).ok().flatten().is_some_and(|text| !text.is_empty())
}

/// Names by which the tools find another credential than the one of this run.
fn look_at_variables(shape: &Shape, keep_profile: bool, layers: &Layers<'_>, found: &mut Surroundings) {
    let stale: Vec<_> = shape
        .owned_variables(keep_profile)
        .filter(|name| !shape.profiles.contains(name) && is_set(name, layers))
        .collect();
    if !stale.is_empty() {
        let names = stale.join(", ");
        found.concerns.push(Concern {
            text: format!(
                "{names} set before the run: tools that do not evaluate the output of ci-creds use that credential"
            ),
            change: format!(
                "unset {}, or use the output of ci-creds by eval or exec, which replaces them",
                stale.join(" ")
            ),
        });
    }
    let others: Vec<_> = shape.sources.iter().copied().filter(|name| is_set(name, layers)).collect();
    if !others.is_empty() {
        found.facts.push(("other sources".to_owned(), others.join(", ")));
    }
}

/// A profile that is not there ends every SDK, also one that has its keys in variables.
fn look_at_profile(shape: &Shape, keep_profile: bool, layers: &Layers<'_>, found: &mut Surroundings) {
    let Some(credentials) = shape.file.as_ref().filter(|file| file.syntax == Syntax::Profiles) else { return };
    let named =
        layers.variable(var::AWS_PROFILE).ok().flatten().or(layers.variable(var::AWS_DEFAULT_PROFILE).ok().flatten());
    let order =
        "variables with keys, AWS_WEB_IDENTITY_TOKEN_FILE, the two files, a container's endpoint: the first one wins";
    found.facts.push(("order of SDKs".to_owned(), order.to_owned()));
    let profile = named.as_ref().map_or_else(|| "default".to_owned(), |profile| profile.value.clone());
    let known = find_profiles(credentials, None, layers.host);
    if let Some(named) = &named
        && !known.lines().any(|line| line == named.value)
    {
        let left = if keep_profile {
            "--keep-profile leaves it to the SDKs, which fail"
        } else {
            "the SDKs fail where it is not unset, as an eval of ci-creds does"
        };
        found.concerns.push(Concern {
            text: format!("{} names a profile that neither of AWS's two files has: {left}", named.origin),
            change: format!("unset {}, or correct it", named.origin),
        });
    }
    for (variable, name) in [(var::AWS_CONFIG_FILE, "config"), (var::AWS_SHARED_CREDENTIALS_FILE, "credentials")] {
        let home = layers.variable(var::HOME).ok().flatten().map(|home| Path::new(&home.value).join(".aws").join(name));
        let path = layers.variable(variable).ok().flatten().map(|path| PathBuf::from(path.value)).or(home);
        let Some(path) = path else { continue };
        let text = layers.host.read_document(&path).ok().flatten();
        if let Some(source) = text.and_then(|document| render::find_source(&document.text, &profile)) {
            let fact = format!(
                "{source} of {} (profile {profile}) wins over exec --serve, and not over variables",
                path.display()
            );
            found.facts.push(("shadowing file".to_owned(), fact));
        }
    }
}

fn look_at_the_shell(layers: &Layers<'_>, found: &mut Surroundings) {
    if let Ok(Some(variable)) = traced(layers) {
        let text = format!(
            "from {variable}: the job may trace its commands, so ci-creds prints a line that sources a private file"
        );
        found.facts.push(("trace".to_owned(), text));
    }
    if let Some(separators) = layers.host.variable("IFS").ok().flatten()
        && !separators.chars().all(char::is_whitespace)
    {
        found.concerns.push(Concern {
            text: "IFS is exported, and splits words at other characters than blanks: an unquoted eval would break the credential".to_owned(),
            change: "unset IFS before the eval".to_owned(),
        });
    }
}
