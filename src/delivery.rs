//! Delivers a credential to the caller: to stdout, into a private file, or into a file of the user's.
//!
//! It joins `render` and `host`. The plan says how. If a delivery fails in part, it is removed again and reported.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, Delivery, Plan};
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::host::{EditTarget, Host, Lock};
use crate::provider::shape::Field;
use crate::render;
use crate::render::format::Format;
use crate::secret::Secret;

/// Hands the credential over; waits for who reads stdout, and where another run edits the same file.
///
/// # Errors
/// [`Kind::Output`], [`Kind::Create`], [`Kind::Temporary`]: the credential was not delivered then.
pub(crate) async fn hand_over(credential: &Credential, plan: &Plan, host: &Host) -> Result<()> {
    wait_for_reader(plan.connection.timeout, host).await?;
    match &plan.output.delivery {
        Delivery::EditedFile { file, path, profile, replace, summary } => {
            let shown = match summary {
                true => render::summary(credential, &plan.login.describe(), file, path, profile),
                false => render::pointers(credential, file, path, profile),
            };
            let edit = |old: &str| render::edit(old, file, profile, *replace, credential);
            edit_file(path, edit, shown, plan, host).await
        }
        _ => hand_over_at_once(credential, plan, host).unwrap_or_else(|| {
            // A way that waits and is not named above: nobody would have the credential, and nobody know it.
            Err(Error::new(Kind::Internal, "the credential has no way to the caller"))
        }),
    }
}

/// Delivers the credential if there is nothing to wait for; `None` if there may be.
///
/// # Errors
/// As [`hand_over`].
pub(crate) fn hand_over_at_once(credential: &Credential, plan: &Plan, host: &Host) -> Option<Result<()>> {
    if matches!(
        plan.output.delivery,
        Delivery::EditedFile { .. } | Delivery::TokenFile(_) | Delivery::Preview | Delivery::Environment
    ) {
        return None;
    }
    Some(ValueFiles::write(credential, plan.output.folder.as_deref(), host).and_then(|files| {
        print(credential, files.credential.as_ref().unwrap_or(credential), plan, host)
            .inspect_err(|_| files.remove(host))
    }))
}

/// Prints `shown`, which is `credential` with the paths of private files in the place of their contents.
fn print(credential: &Credential, shown: &Credential, plan: &Plan, host: &Host) -> Result<()> {
    let format = plan.output.format;
    let text = || {
        // Only one format needs a word that nobody can guess, and drawing one costs a cached call a tenth of its time.
        let delimiter = if format == Format::Github { host.draw_word()? } else { String::new() };
        render::render(format, shown, &delimiter)
    };
    let print = |text: Secret| host.write_stdout(&text);
    let source = |folder: &Path| {
        text().and_then(|exports| {
            let path = host.create_private_file(folder, "exports", |path| render::untraced(format, path, &exports))?;
            let line = render::source_line(format, &path).unwrap_or_default();
            print(Secret::new(line)).inspect_err(|_| host.remove_private_file(&path))
        })
    };
    match &plan.output.delivery {
        Delivery::EditedFile { .. } | Delivery::TokenFile(_) | Delivery::Preview | Delivery::Environment => {
            Err(Error::new(Kind::Internal, "the credential has no way to the caller"))
        }
        Delivery::Stdout => match &plan.output.folder {
            // An unquoted eval would split such a value, or put the names of files in its place.
            Some(folder) if render::is_sourced(format) && render::find_rough(shown).is_some() => source(folder),
            _ => text().and_then(print),
        },
        Delivery::Masked => host.write_masks(&render::masks(credential)).and_then(|()| text()).and_then(print),
        Delivery::SourcedFile(folder) => source(folder),
        Delivery::PrivateFile { file, folder, profile } => {
            let document = render::document(credential, file, profile);
            let made = host.create_private_file(folder, file.name, |_| document);
            made.and_then(|path| {
                let pointers = render::pointers(credential, file, &path, profile);
                print(Secret::new(pointers)).inspect_err(|_| host.remove_private_file(&path))
            })
        }
    }
}

/// Hands over the ID token in place of a credential: the file has the token alone, without a newline, because the SDKs send
/// what it has. `session` is the role and the session's name.
///
/// # Errors
/// [`Kind::Create`], [`Kind::Output`]. No file is left behind then.
pub(crate) fn hand_over_token(
    token: &Secret,
    session: (&str, &str),
    folder: &Path,
    plan: &Plan,
    host: &Host,
) -> Result<()> {
    let path = host.create_private_file(folder, "token", |_| token.duplicate())?;
    let pointers = render::token_pointers(&plan.shape, session, &plan.companions, &path);
    host.write_stdout(&Secret::new(pointers)).inspect_err(|_| host.remove_private_file(&path))
}

/// The private files of the values that variables point to.
#[derive(Default)]
pub(crate) struct ValueFiles {
    /// The credential with their paths in the place of the values; none where it has no such value.
    pub(crate) credential: Option<Credential>,
    paths: Vec<PathBuf>,
}

impl ValueFiles {
    /// Writes one for each such value, below `folder`.
    ///
    /// # Errors
    /// [`Kind::Create`]. Nothing is left behind then.
    pub(crate) fn write(credential: &Credential, folder: Option<&Path>, host: &Host) -> Result<Self> {
        let mut files = Self::default();
        let Some(folder) = folder.filter(|_| credential.all_values().any(|(field, _)| field.file)) else {
            return Ok(files);
        };
        let mut write = |field: &Field, value: &Secret| {
            if !field.file {
                return Ok(value.duplicate());
            }
            let path = host.create_private_file(folder, &field.name, |_| value.duplicate())?;
            let text = path.display().to_string();
            files.paths.push(path);
            Ok(Secret::new(text))
        };
        let written = credential.replace_values(&mut write);
        match written {
            Ok(written) => Ok(Self { credential: Some(written), ..files }),
            Err(error) => {
                files.remove(host);
                Err(error)
            }
        }
    }

    /// Removes them.
    pub(crate) fn remove(&self, host: &Host) {
        self.paths.iter().for_each(|path| host.remove_private_file(path));
    }
}

/// A `write` into a full pipe waits for ever, whatever the deadline, and for no signal.
async fn wait_for_reader(deadline: Duration, host: &Host) -> Result<()> {
    let room = host.wait_for(deadline, || Ok(host.has_room(Duration::ZERO).then_some(()))).await?;
    room.ok_or_else(|| Error::new(Kind::Output, "cannot write to stdout: it is full, and nothing reads it"))
}

/// Edits a file of the user's. Another run may have changed it since it was looked at, so all is looked at again.
async fn edit_file(
    path: &Path,
    edit: impl FnOnce(&str) -> Result<Secret, String>,
    shown: String,
    plan: &Plan,
    host: &Host,
) -> Result<()> {
    let place = host.find_target(path)?;
    let lock = wait_for_lock(&place, plan.connection.timeout, host).await?;
    let standing = host.read_target(&place)?;
    let text = edit(&standing.text).map_err(|problem| config::unusable(path, &problem))?;
    host.replace(&place, &lock, &standing, &text, || host.write_stdout(&Secret::new(shown)))
}

/// Whoever edits a file has it for milliseconds; one that is stopped in the middle shall not stop every other job.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

async fn wait_for_lock(place: &EditTarget, deadline: Duration, host: &Host) -> Result<Lock> {
    let end = deadline.min(host.elapsed() + LOCK_PATIENCE);
    host.wait_for(end, || host.try_lock(place)).await?.ok_or_else(|| {
        let lock = place.lock_path();
        Error::new(Kind::Temporary, format!("another process keeps the lock {}", lock.display()))
            .hint(format!("find the process with fuser {}; the lock ends with it", lock.display()))
    })
}
