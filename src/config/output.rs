//! How the credential reaches the caller, and whether it may: what stdout is, and whether the caller traces.

use std::path::PathBuf;

use super::Asked;
use super::source::Layers;
use crate::cli::Format;
use crate::error::{Error, Kind, Result};
use crate::render;
use crate::variables as var;

/// How a credential is handed over.
#[derive(Debug)]
pub struct Output {
    /// The format.
    pub format: Format,
    /// How it reaches the caller.
    pub delivery: Delivery,
    /// Whether to say where each value came from.
    pub verbose: bool,
    /// Whether `AWS_PROFILE` and the like stay.
    pub keep_profile: bool,
}

/// The way from us to the caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The text itself on stdout.
    Stdout,
    /// A private file below this folder, and the line that sources it on stdout.
    SourcedFile(PathBuf),
    /// A masked summary: a person is looking.
    Summary,
}

/// Decides how the credential is handed over.
///
/// # Errors
/// [`Kind::Usage`] or [`Kind::Output`] when it could not be handed over safely.
pub(super) fn resolve_output(asked: &Asked<'_>, format: Format, layers: &Layers<'_>) -> Result<Output> {
    if format == Format::Process && !asked.provider.fits_process() {
        return Err(Error::new(
            Kind::Usage,
            format!("--format process is for AWS: the SDKs cannot take {} credentials", asked.provider.title),
        )
        .hint("--format shell, or --format json"));
    }
    let delivery = resolve_delivery(asked, format, layers)?;
    Ok(Output { format, delivery, verbose: asked.output.verbose, keep_profile: asked.keep_profile })
}

/// Where the text may go. Nothing is minted for an output that nobody could use, or that everybody could read.
fn resolve_delivery(asked: &Asked<'_>, format: Format, layers: &Layers<'_>) -> Result<Delivery> {
    let stdout = layers.host.stdout();
    let name = asked.provider.name;
    if stdout.terminal && !asked.output.reveal {
        return Ok(Delivery::Summary);
    }
    if stdout.null {
        return Err(Error::new(Kind::Output, "stdout is closed or /dev/null: the credential would be lost")
            .hint(format!("capture it: eval $(ci-creds {name})")));
    }
    if !asked.output.reveal && render::is_evaluated(format) && stdout.shared_with_stderr {
        return Err(Error::new(
            Kind::Usage,
            "stdout and stderr are the same: the credential would stand in the log, or messages in the eval",
        )
        .hint(format!("capture stdout alone: drop the redirection of stderr from the eval around ci-creds {name}")));
    }
    if !asked.output.reveal && in_a_job(layers)? && layers.host.is_uncaptured() {
        return Err(Error::new(
            Kind::Usage,
            "nothing captures the output: the credential would stand in the job's log",
        )
        .hint(format!("put it into an eval in the script, around ci-creds {name}; --reveal prints it all the same")));
    }
    let traced = traced(layers)?;
    if !asked.output.via_file && traced.is_none() {
        return Ok(Delivery::Stdout);
    }
    match format {
        Format::Shell | Format::Fish => Ok(Delivery::SourcedFile(private_folder(layers)?)),
        Format::Powershell if asked.output.reveal => Ok(Delivery::Stdout),
        Format::Powershell => Err(Error::new(
            Kind::Usage,
            format!(
                "{} says that this job traces its commands, and PowerShell would print the credential",
                traced.as_deref().unwrap_or("--via-file")
            ),
        )
        .hint("unset it for this job, use --format process, or accept it with --reveal")),
        // No shell evaluates these: a trace shows the command and not what went through the pipe.
        Format::Json | Format::Dotenv | Format::Process => Ok(Delivery::Stdout),
    }
}

fn in_a_job(layers: &Layers<'_>) -> Result<bool> {
    for name in [var::CI, var::GITLAB_CI, var::JENKINS_URL] {
        if layers.variable(name)?.is_some_and(|value| value.value != "false") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The variable by which we know that the caller prints each command that it runs. A plain `set -x` is invisible
/// to a child.
fn traced(layers: &Layers<'_>) -> Result<Option<String>> {
    let says_yes = |text: &str| matches!(text.trim().to_lowercase().as_str(), "true" | "1" | "t" | "yes");
    if layers.variable(var::CI_DEBUG_TRACE)?.is_some_and(|found| says_yes(&found.value)) {
        return Ok(Some(var::CI_DEBUG_TRACE.into()));
    }
    if layers.variable(var::SHELLOPTS)?.is_some_and(|found| found.value.split(':').any(|option| option == "xtrace")) {
        return Ok(Some(var::SHELLOPTS.into()));
    }
    for name in [var::JENKINS_URL, var::FISH_TRACE] {
        if layers.variable(name)?.is_some() {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// The folder for a private file: `TMPDIR`, or `/tmp` where that cannot stand in an unquoted eval, does not exist,
/// or lies in the checkout, from where artifacts and caches are made.
fn private_folder(layers: &Layers<'_>) -> Result<PathBuf> {
    let real = |folder: &str| layers.host.real_path(folder.as_ref());
    let checkout = layers.variable(var::CI_PROJECT_DIR)?.map(|folder| real(&folder.value));
    let usable = |folder: &str| {
        folder.starts_with('/')
            && render::is_plain(folder)
            && !checkout.as_ref().is_some_and(|checkout| real(folder).starts_with(checkout))
            && layers.host.is_folder(folder.as_ref())
    };
    let named = layers.variable(var::TMPDIR)?.map(|folder| folder.value).filter(|folder| usable(folder));
    Ok(named.unwrap_or_else(|| "/tmp".into()).into())
}
