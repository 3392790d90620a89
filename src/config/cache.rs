//! Whether a run looks into the cache, and where that may lie.

use std::path::PathBuf;

use super::demand::Demand;
use super::source::Layers;
use crate::error::Result;
use crate::host::Host;
use crate::render::format::Format;
use crate::variables as var;

/// Where credentials are cached between calls.
#[derive(Clone, Debug)]
pub(crate) struct CachePlace {
    /// The folders to choose from, the best first.
    pub folders: Vec<PathBuf>,
    /// The job, where the CI system names it.
    pub job: Option<String>,
}

/// Decides by the flags; without any, `credential_process` has a cache: SDKs run it once per request in the last
/// minutes of a lease, and sixteen times at once for sixteen processes.
pub(super) fn resolve_cache(demand: &Demand<'_>, format: Format, layers: &Layers<'_>) -> Result<Option<CachePlace>> {
    let output = demand.output;
    if output.no_cache || !(output.cache || format == Format::Process) {
        return Ok(None);
    }
    resolve_place(layers).map(Some)
}

/// Security: not in the checkout, from where artifacts and caches of the CI system are made.
pub(super) fn resolve_place(layers: &Layers<'_>) -> Result<CachePlace> {
    let mut folders = layers.host.cache_folders()?;
    if let Some(checkout) = layers.job().checkout()? {
        let all = folders.len();
        folders.retain(|folder| !real_path_of_new(layers.host, folder).starts_with(&checkout));
        if folders.len() < all && folders.is_empty() {
            layers.host.warn(
                "the cache folder is in the checkout, where artifacts could include it: set XDG_RUNTIME_DIR or \
                XDG_CACHE_HOME to a folder outside",
            );
        }
    }
    Ok(CachePlace { folders, job: resolve_job(layers)? })
}

/// The real path of a folder that may not exist yet.
fn real_path_of_new(host: &Host, folder: &std::path::Path) -> PathBuf {
    let existing = folder.ancestors().find(|path| host.is_folder(path));
    existing.map_or_else(|| folder.to_owned(), |path| host.real_path(path))
}

fn resolve_job(layers: &Layers<'_>) -> Result<Option<String>> {
    for name in [var::CI_JOB_ID, var::GITHUB_RUN_ID, var::BUILD_TAG] {
        if let Some(job) = layers.variable(name)? {
            return Ok(Some(format!("{name}={}", job.value)));
        }
    }
    Ok(None)
}
