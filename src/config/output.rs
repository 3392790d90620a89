//! How the credential reaches the caller, and whether it may: what stdout is, and whether the caller traces.

use std::path::{Path, PathBuf};

use super::demand::Demand;
use super::source::Layers;
use crate::ci::job_signs;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::provider::process_switch;
use crate::provider::shape::{CredentialsFile, Syntax};
use crate::render;
use crate::render::format::{Format, Trace};
use crate::variables as var;

/// How a credential is handed over.
#[derive(Debug)]
pub(crate) struct Output {
    /// The format.
    pub format: Format,
    /// How it reaches the caller.
    pub delivery: Delivery,
    /// Whether to say where each value came from.
    pub verbose: bool,
    /// Whether to say nothing but errors.
    pub quiet: bool,
    /// Whether a job runs us, whose log gets a line about what was delivered.
    pub in_a_job: bool,
    /// Whether `AWS_PROFILE` and the like stay.
    pub keep_profile: bool,
    /// Where the private files of a secret's values are made. None for a cloud.
    pub folder: Option<PathBuf>,
}

impl Output {
    /// For a command that gets the values in its environment.
    pub(super) fn of_a_command(volume: cli::Volume, keep_profile: bool, folder: Option<PathBuf>) -> Self {
        let cli::Volume { verbose, quiet } = volume;
        let delivery = Delivery::Environment;
        Self { format: Format::Shell, delivery, verbose, quiet, in_a_job: false, keep_profile, folder }
    }
}

/// The way from us to the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The text itself on stdout.
    Stdout,
    /// The same, after the masks on stderr.
    Masked,
    /// A private file below this folder, and the line that sources it on stdout.
    SourcedFile(PathBuf),
    /// A private credentials file below this folder, and the exports that point to it on stdout.
    PrivateFile {
        /// What the cloud's tools expect of it.
        file: CredentialsFile,
        /// Where its own folder is made.
        folder: PathBuf,
        /// The profile or account in it.
        profile: String,
    },
    /// A private file with the ID token below this folder, and the exports by which SDKs find it on stdout.
    TokenFile(PathBuf),
    /// That file of the user's, edited. stdout gets the exports that point to it, or a summary at a terminal.
    EditedFile {
        /// What the cloud's tools expect of it.
        file: CredentialsFile,
        /// Its real path, without a link in it.
        path: PathBuf,
        /// The profile or account in it.
        profile: String,
        /// Whether what the tools would use in place of the credential goes from it.
        replace: bool,
        /// Whether a person is looking.
        summary: bool,
    },
    /// None: a person at a terminal gets a description of what the call would do.
    Preview,
    /// The environment of a command that this run starts.
    Environment,
}

/// Decides how the credential is handed over.
///
/// # Errors
/// [`Kind::Usage`] or [`Kind::Output`] when it could not be handed over safely.
pub(super) fn resolve_output(demand: &Demand<'_>, format: Format, layers: &Layers<'_>) -> Result<Output> {
    if format == Format::Process && !demand.shape.fits_process() {
        return Err(Error::new(
            Kind::Usage,
            format!("--format process is for AWS: the SDKs cannot take {} credentials", demand.shape.title),
        )
        .hint(match demand.shape.file {
            None => "--format shell, or --format json".to_owned(),
            Some(_) => {
                let switch = process_switch(&demand.shape).map(|flag| format!("{flag} for the object storage, "));
                format!("{}--format shell, or --format json", switch.unwrap_or_default())
            }
        }));
    }
    check_flags(demand, format)?;
    let delivery = resolve_delivery(demand, format, layers)?;
    Ok(Output {
        format,
        delivery,
        verbose: demand.volume.verbose,
        quiet: demand.volume.quiet,
        in_a_job: layers.job().is_in_a_job()?,
        keep_profile: demand.keep_profile,
        folder: resolve_folder(demand, format, layers)?,
    })
}

/// Where the values of a secret are written that no variable can hold, and those that no unquoted eval can, should there
/// be such a value.
fn resolve_folder(demand: &Demand<'_>, format: Format, layers: &Layers<'_>) -> Result<Option<PathBuf>> {
    let is_sourced = demand.shape.mapping.is_some() && render::is_sourced(format) && !demand.output.reveal;
    let has_files = demand.shape.fields.iter().any(|field| field.file);
    (is_sourced || has_files).then(|| private_folder(layers)).transpose()
}

/// The flags of `--format file`, and those that contradict the format: one that was passed over without a word could be
/// what should have kept the credential from the log.
fn check_flags(demand: &Demand<'_>, format: Format) -> Result<()> {
    if demand.output.via_file && format.facts().traced == Trace::Nothing {
        return Err(Error::new(Kind::Usage, "--via-file needs a format that a shell sources")
            .hint("use --format shell or --format fish, or drop --via-file"));
    }
    let replaces_a_profile = demand.shape.file.as_ref().is_some_and(|file| file.syntax == Syntax::Profiles);
    if demand.output.replace_profile && (demand.output.file.is_none() || !replaces_a_profile) {
        return Err(Error::new(Kind::Usage, "--replace-profile needs --file: it edits an AWS credentials file")
            .hint("add --file PATH, or drop --replace-profile"));
    }
    if format == Format::WebIdentity && demand.keep_profile {
        return Err(Error::new(
            Kind::Usage,
            "--keep-profile and --format web-identity exclude each other: SDKs would use the profile",
        )
        .hint("drop --keep-profile"));
    }
    if format != Format::File {
        let flag = [("--file", demand.output.file.is_some()), ("--profile", demand.output.profile.is_some())];
        return match flag.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::new(Kind::Usage, format!("{flag} needs a format that writes a file"))
                .hint(format!("use --format file, or drop {flag}"))),
            None => Ok(()),
        };
    }
    let has_profiles = demand.shape.file.as_ref().is_none_or(|file| file.profile_variable.is_some());
    if demand.output.profile.is_some() && !has_profiles {
        return Err(Error::new(Kind::Usage, format!("--profile does not fit the file of {}", demand.shape.title))
            .hint("drop --profile: the key stands outside of any profile, and the tools use it without one"));
    }
    if demand.keep_profile {
        return Err(Error::new(
            Kind::Usage,
            "--keep-profile and --format file exclude each other: the format sets the profile",
        )
        .hint("drop --keep-profile; --profile NAME chooses the profile"));
    }
    Ok(())
}

/// The name of the profile or account. botocore gives what stands under `[DEFAULT]` to all profiles.
fn resolve_profile(demand: &Demand<'_>) -> Result<String> {
    let name = demand.output.profile.as_deref().unwrap_or(render::PROFILE);
    if render::is_profile(name) {
        return Ok(name.to_owned());
    }
    Err(Error::new(Kind::Usage, "--profile: this is not a valid profile name")
        .hint("use at most 128 letters, digits and _.-:/@+%, without blanks, and not DEFAULT"))
}

/// Where the text may go. Nothing is fetched for an output that no one could use, or that everyone could read.
fn resolve_delivery(demand: &Demand<'_>, format: Format, layers: &Layers<'_>) -> Result<Delivery> {
    let stdout = layers.host.stdout();
    let call = || render::command_line(demand.words, &[]);
    let profile = resolve_profile(demand)?;
    if let Some(path) = &demand.output.file {
        let file = find_file(demand)?;
        check_config_file(&file, &profile, layers)?;
        let path = check_file(demand, &file, path, &profile, layers)?;
        let summary = stdout.terminal && !demand.output.reveal;
        let replace = demand.output.replace_profile;
        return Ok(Delivery::EditedFile { file, path, profile, replace, summary });
    }
    if stdout.terminal && !demand.output.reveal {
        return Ok(Delivery::Preview);
    }
    if stdout.null {
        return Err(Error::new(Kind::Output, "stdout is closed or /dev/null: the credential would be lost")
            .hint(format!("capture it: eval $({} || echo false)", call())));
    }
    if format == Format::Github {
        check_github(demand, layers)?;
        check_aliases(demand, layers)?;
        return Ok(Delivery::Masked);
    }
    if !demand.output.reveal && format.facts().evaluated && stdout.shared_with_stderr {
        return Err(Error::new(
            Kind::Usage,
            "stdout and stderr are the same: the credential would appear in the log, or messages would reach the eval",
        )
        .hint(format!("put {} into an eval that captures stdout alone: stderr must go elsewhere", call())));
    }
    if !demand.output.reveal && layers.job().is_in_a_job()? && layers.host.is_uncaptured(&job_signs()) {
        let lost = match format {
            Format::File | Format::WebIdentity => "nothing captures the output: no tool would find the file",
            _ => "nothing captures the output: the credential would appear in the job's log",
        };
        return Err(Error::new(Kind::Usage, lost)
            .hint(format!("put {} into an eval in the script; --reveal prints it anyway", call())));
    }
    if format == Format::File {
        let file = find_file(demand)?;
        check_config_file(&file, &profile, layers)?;
        return Ok(Delivery::PrivateFile { file, folder: private_folder(layers)?, profile });
    }
    if format == Format::WebIdentity {
        return private_folder(layers).map(Delivery::TokenFile);
    }
    let traced = traced(layers)?;
    if !demand.output.via_file && traced.is_none() {
        return Ok(Delivery::Stdout);
    }
    resolve_traced(demand, format, traced.as_deref(), layers)
}

/// The way of a text whose caller prints each command that it runs, as `traced` says, or that wants a file anyway.
fn resolve_traced(demand: &Demand<'_>, format: Format, traced: Option<&str>, layers: &Layers<'_>) -> Result<Delivery> {
    match format.facts().traced {
        Trace::UnlessSourced => Ok(Delivery::SourcedFile(private_folder(layers)?)),
        // A trace shows the command and not what went through the pipe.
        Trace::Nothing => Ok(Delivery::Stdout),
        Trace::Everything if demand.output.reveal => Ok(Delivery::Stdout),
        Trace::Everything => Err(Error::new(
            Kind::Usage,
            format!(
                "{} is set, so this job traces its commands: PowerShell would print the credential",
                traced.unwrap_or("--via-file")
            ),
        )
        .hint("unset it for this job, use --format process, or accept it with --reveal")),
    }
}

/// The file in which the cloud's tools look, for `--format file`.
fn find_file(demand: &Demand<'_>) -> Result<CredentialsFile> {
    demand.shape.file.clone().ok_or_else(|| {
        Error::new(
            Kind::Usage,
            format!("--format file does not fit {}: its tools read no credentials file", demand.shape.title),
        )
        .hint("--format shell, or --format json")
    })
}

/// Holds for `--format github`: its masks on stderr are the secrets themselves, so GitHub's runner must be there to
/// take them out of the log, and nobody else; and its variables are for a file.
fn check_github(demand: &Demand<'_>, layers: &Layers<'_>) -> Result<()> {
    let stdout = layers.host.stdout();
    let (problem, hint) = if layers.variable(var::GITHUB_ACTIONS)?.is_none_or(|found| found.value != "true") {
        (
            "this is not a GitHub Actions job: the masks of --format github would reveal the secrets",
            "use --format shell here; a GitHub Actions runner sets GITHUB_ACTIONS=true".to_owned(),
        )
    } else {
        let problem = if stdout.shared_with_stderr {
            "stdout and stderr are the same: the masks would mix with the variables"
        } else if !stdout.file && !demand.output.reveal {
            "stdout is not a file: the credential would appear in the job's log"
        } else if !layers.host.is_stderr_read() {
            "stderr is a file or closed: the masks would not reach the runner"
        } else {
            return Ok(());
        };
        (problem, format!("{} >> \"$GITHUB_ENV\"", render::command_line(demand.words, &[])))
    };
    Err(Error::new(Kind::Usage, problem).hint(hint))
}

/// Holds for `--format github`, which unsets nothing: where the cloud's tools take an empty variable for one that is set,
/// another name of the credential must not be there.
fn check_aliases(demand: &Demand<'_>, layers: &Layers<'_>) -> Result<()> {
    if !demand.shape.emptied.is_empty() {
        return Ok(());
    }
    let is_set = |name: &&&str| !matches!(layers.host.variable(name), Ok(None));
    match demand.shape.aliases.iter().find(is_set) {
        Some(name) => Err(Error::new(
            Kind::Usage,
            format!("{name} is set, and --format github cannot unset it: the tools of later steps would use it"),
        )
        .hint(format!("remove {name} from env: of the workflow, or use --format shell in the step"))),
        None => Ok(()),
    }
}

/// Everything that could refuse the file or its edit later, while nothing is minted yet. Gives its real path.
fn check_file(
    demand: &Demand<'_>,
    file: &CredentialsFile,
    path: &Path,
    profile: &str,
    layers: &Layers<'_>,
) -> Result<PathBuf> {
    let place = layers.host.find_target(path)?;
    let shown = place.path.to_str().filter(|path| render::is_plain(path)).ok_or_else(|| {
        Error::new(Kind::Usage, "the path of --file has a character that a shell interprets in an eval")
            .hint("use only letters, digits and _+/=.:@%,-; if it is a link, its target counts")
    })?;
    if layers.job().checkout()?.is_some_and(|checkout| place.path.starts_with(checkout)) {
        return Err(Error::new(
            Kind::Create,
            format!("{shown} (from --file) is in the checkout: artifacts and caches could include it"),
        )
        .hint("choose a file below $HOME, or drop --file: --format file makes a private one"));
    }
    let standing = layers.host.read_target(&place)?;
    render::check(&demand.shape, file, &standing.text, profile, demand.output.replace_profile)
        .map_err(|problem| unusable(&place.path, &problem))?;
    // Whether it can be locked at all; who has it now does not matter yet.
    layers.host.try_lock(&place)?;
    if standing.readable_by_others {
        layers.host.warn(format!("other users can read {shown}: chmod 600 {shown}"));
    }
    if file.syntax == Syntax::Profiles && standing.text.lines().any(|line| line.trim_start().starts_with("[profile ")) {
        layers.host.warn(format!(
            "{shown} looks like an AWS config file: the tools look for keys in ~/.aws/credentials, and here only \
            while AWS_SHARED_CREDENTIALS_FILE says so"
        ));
    }
    Ok(place.path)
}

/// Holds for AWS's profiles: the SDKs join the one in the credentials file with the one of that name in the config file,
/// where a role or a single sign-on wins over keys. That file is not edited: it is shared, and no lock of ours is beside
/// it. One that cannot be read has no say here.
fn check_config_file(file: &CredentialsFile, profile: &str, layers: &Layers<'_>) -> Result<()> {
    if file.syntax != Syntax::Profiles {
        return Ok(());
    }
    let home = layers.variable(var::HOME)?.map(|home| home.map(|home| Path::new(&home).join(".aws/config")));
    let path = layers.variable(var::AWS_CONFIG_FILE)?.map(|path| path.map(PathBuf::from)).or(home);
    let Some(path) = path else { return Ok(()) };
    let Ok(Some(document)) = layers.host.read_document(&path.value) else { return Ok(()) };
    match render::find_rival(&document.text, profile) {
        Some(rival) => Err(Error::new(
            Kind::Create,
            format!(
                "{} (from {}) has {rival}, which SDKs use in place of the keys of the profile {profile}",
                path.value.display(),
                path.origin
            ),
        )
        .hint("remove it from that file, or choose another name with --profile")),
        None => Ok(()),
    }
}

/// A credentials file that cannot be edited as it is.
pub(crate) fn unusable(path: &Path, problem: &str) -> Error {
    Error::new(Kind::Create, format!("{} (from --file) {problem}: nothing was changed", path.display()))
        .hint("fix the file, or choose another one")
}

/// The variable by which we know that the caller prints each command that it runs. A plain `set -x` is invisible
/// to a child.
pub(super) fn traced(layers: &Layers<'_>) -> Result<Option<String>> {
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

/// The folder for a private file: `TMPDIR`, or `/tmp` where that cannot stand in an unquoted eval, does not exist, lets
/// another user put another folder in the place of ours, or of one above it, with commands for the caller's shell in it,
/// or lies in the checkout, from where artifacts and caches are made. `/tmp` too must be guarded.
pub(super) fn private_folder(layers: &Layers<'_>) -> Result<PathBuf> {
    let checkout = layers.job().checkout()?;
    let usable = |folder: &PathBuf| {
        folder.to_str().is_some_and(render::is_plain)
            && !checkout.as_ref().is_some_and(|checkout| folder.starts_with(checkout))
    };
    let named = layers.variable(var::TMPDIR)?.filter(|folder| folder.value.starts_with('/'));
    let guarded = match named {
        Some(folder) => layers.host.find_guarded_folder(folder.value.as_ref())?,
        None => None,
    };
    let folder = guarded.filter(usable).unwrap_or_else(|| "/tmp".into());
    layers.host.expect_private_file(&folder).map(|()| folder)
}
