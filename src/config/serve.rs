//! What `exec --serve` needs beside the credential: nothing in the command's environment or files may beat the endpoint.
//!
//! Measured: keys or a `credential_process` in one of AWS's files are used in place of it, without a word.

use std::path::{Path, PathBuf};

use super::source::Layers;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::provider::aws;
use crate::render;
use crate::variables as var;

/// How the AWS credential is served.
#[derive(Debug)]
pub(crate) struct Serve {
    /// Whether the command's SDKs read AWS's own files, and the profile that the caller names.
    pub(crate) keep_config: bool,
    /// The region for both variables: what one of them says, or else what those files would have said.
    pub(crate) region: Option<String>,
}

/// `None` without the flag. With it, AWS's credential becomes the last one.
///
/// # Errors
/// [`Kind::Usage`] when no credential of AWS is asked for, or for a profile without its file.
pub(super) fn resolve_serve(flags: &mut cli::ExecFlags, layers: &Layers<'_>) -> Result<Option<Serve>> {
    if !flags.serve {
        return Ok(None);
    }
    let Some(index) = flags.wanted.iter().position(|one| one.cloud.command == aws::CLOUD.command) else {
        return Err(Error::new(Kind::Usage, "--serve is for AWS, and no credential of AWS is asked for")
            .hint("ci-creds exec aws --serve …, or drop --serve"));
    };
    let wanted = flags.wanted.remove(index);
    let keep_config = flags.keep_aws_config;
    if !keep_config && aws::CLOUD.keep_profile.is_some_and(|setting| wanted.said(setting).is_some()) {
        let text =
            "--keep-profile and --serve exclude each other: the SDKs do not read the file that the profile is in";
        return Err(Error::new(Kind::Usage, text).hint("--keep-aws-config leaves the files and the profile"));
    }
    flags.wanted.push(wanted);
    let profile = layers.variable(var::AWS_PROFILE)?.or(layers.variable(var::AWS_DEFAULT_PROFILE)?);
    let profile = profile.map_or_else(|| "default".to_owned(), |profile| profile.value);
    let config = read(var::AWS_CONFIG_FILE, "config", layers)?;
    if keep_config {
        let credentials = read(var::AWS_SHARED_CREDENTIALS_FILE, "credentials", layers)?;
        for (path, text) in config.iter().chain(&credentials) {
            if let Some(source) = render::find_source(text, &profile) {
                layers.host.warn(format!(
                    "the command does not use the credential of ci-creds: SDKs prefer {source} of {} (profile {profile}); \
                     remove it, or drop --keep-aws-config",
                    path.display()
                ));
            }
        }
        return Ok(Some(Serve { keep_config, region: None }));
    }
    // The SDKs for JavaScript and Go read the first variable alone, boto3 the second: without the files they would have
    // no region.
    let region = match (layers.variable(var::AWS_REGION)?, layers.variable(var::AWS_DEFAULT_REGION)?) {
        (Some(_), Some(_)) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.value),
        (None, None) => config.and_then(|(_, text)| render::find_region(&text, &profile)),
    };
    Ok(Some(Serve { keep_config, region }))
}

/// One of AWS's two files, where the SDKs look for it. One that cannot be read has no say here.
fn read(variable: &'static str, name: &str, layers: &Layers<'_>) -> Result<Option<(PathBuf, String)>> {
    let home = layers.variable(var::HOME)?.map(|home| Path::new(&home.value).join(".aws").join(name));
    let Some(path) = layers.variable(variable)?.map(|path| PathBuf::from(path.value)).or(home) else { return Ok(None) };
    let document = layers.host.read_document(&path).ok().flatten();
    Ok(document.map(|document| (path, document.text.to_string())))
}
