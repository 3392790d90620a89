//! Whether a run notes what it makes for `ci-creds revoke`, and where the notes lie.

use std::path::PathBuf;

use super::cache::{CachePlace, resolve_place};
use super::source::Layers;
use crate::cli;
use crate::error::Result;
use crate::variables as var;

/// Where the state of a job lies.
#[derive(Debug)]
pub(crate) struct StatePlace {
    /// The folder that GitLab's runner makes beside the checkout: in every executor it survives the job's container.
    pub beside: Option<PathBuf>,
    /// Where the cache may lie: of this, the folders serve where the runner has none.
    pub cache: CachePlace,
    /// Whether the user asked for the state, and a run fails that cannot keep it.
    pub required: bool,
}

/// Decides by the flags; without any, a job of GitLab has a state: only GitLab gives each job another ID.
pub(super) fn resolve_state(flags: cli::StateFlags, layers: &Layers<'_>) -> Result<Option<StatePlace>> {
    if flags.no_keep_state || !(flags.keep_state || layers.variable(var::CI_JOB_ID)?.is_some()) {
        return Ok(None);
    }
    resolve_state_place(layers, flags.keep_state).map(Some)
}

/// Where the state would lie, for `ci-creds revoke`.
pub(super) fn resolve_state_place(layers: &Layers<'_>, required: bool) -> Result<StatePlace> {
    let checkout = match layers.variable(var::CI_JOB_ID)? {
        Some(_) => layers.variable(var::CI_PROJECT_DIR)?,
        None => None,
    };
    // GitLab's own rule: RUNNER_TEMP_PROJECT_DIR.
    let beside = checkout.map(|folder| PathBuf::from(format!("{}.tmp", folder.value.trim_end_matches('/'))));
    Ok(StatePlace { beside, cache: resolve_place(layers)?, required })
}
