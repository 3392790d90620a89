//! What `vault login` left on a desk: a token helper's token, or the one in `~/.vault-token`. Read, never written.

use std::path::PathBuf;

use super::source::{Layers, SecretSource, shown};
use crate::error::{Error, Kind, Result};
use crate::host::Document;
use crate::identity::Input;
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;
use crate::variables as var;

/// The token helper's token, or the one in `~/.vault-token`, which OpenBao shares. A helper does not get to see the
/// variable `secret`.
pub(super) fn stored_token(layers: &Layers<'_>, secret: Option<&str>) -> Result<Option<WithOrigin<Secret>>> {
    let home = layers.variable(var::HOME)?.map(|home| PathBuf::from(home.value));
    for name in [".bao", ".vault"] {
        let Some(home) = &home else { break };
        let Some(document) = layers.host.read_believed(&home.join(name)).ok().flatten() else { continue };
        let Some(path) = parse_token_helper(&document.text) else { continue };
        if layers.job().is_in_checkout(&home.join(name))? {
            layers.host.warn(format!("the token helper in ~/{name} was not run: that home is in the checkout"));
            continue;
        }
        check_token_helper(name, &path, &document)?;
        let token = layers.host.run_token_helper(&path, &format!("~/{name}"), secret)?;
        return Ok(
            token.map(|value| WithOrigin { value, origin: Origin::Variable(format!("the token helper {path}")) })
        );
    }
    let named = layers.variable(var::BAO_TOKEN_PATH)?.map(|path| path.map(PathBuf::from));
    let place = named.as_ref().map(|path| shown(path, layers.host));
    let path = named.map(|path| path.value).or_else(|| home.map(|home| home.join(".vault-token")));
    let Some(path) = path else { return Ok(None) };
    let place = place.unwrap_or_else(|| path.display().to_string());
    match layers.host.read_document(&path) {
        // Security: who pushes to the repository must not choose who the job is.
        Ok(Some(_)) if layers.job().is_in_checkout(&path)? => Err(Error::new(
            Kind::Config,
            format!(
                "the Vault token file {place} is in the checkout, where a repository could put it; it was not used"
            ),
        )
        .hint("keep it outside of the checkout (HOME, BAO_TOKEN_PATH), or name the file with --token-file")),
        Ok(Some(document)) if !document.text.trim().is_empty() => {
            let origin = Origin::File(path.clone());
            SecretSource::File(WithOrigin { value: path, origin }).read(layers.host, Input::Token, None).map(Some)
        }
        Ok(_) => Ok(None),
        Err(_) if !layers.host.is_there(&path) => Ok(None),
        Err(problem) => Err(Error::new(Kind::Input, format!("the Vault token file {place} cannot be used: {problem}"))),
    }
}

/// Security: whoever can write the file that names a helper, or put another one in its place, chooses a program to run.
fn check_token_helper(name: &str, path: &str, document: &Document) -> Result<()> {
    let wrong = |problem: String| Error::new(Kind::Config, problem);
    if document.trust.foreign || document.trust.writable_by_others {
        return Err(wrong(format!("~/{name} names a token helper, and can be written by other users"))
            .hint(format!("look at what is in it, then chmod 600 ~/{name}")));
    }
    if let Some(exposed) = &document.exposed {
        return Err(wrong(format!("~/{name} names a token helper, and can be replaced by other users: {exposed}"))
            .hint(exposed.hint()));
    }
    if !path.starts_with('/') {
        return Err(wrong(format!("the token helper in ~/{name} is not an absolute path"))
            .hint(format!("token_helper = \"/usr/local/bin/…\" in ~/{name}")));
    }
    Ok(())
}

/// The one key of Vault's CLI configuration: `token_helper = "/path"`.
fn parse_token_helper(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("token_helper"))?;
    let value = line.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?;
    value.split('"').next().filter(|path| !path.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_helper_is_read_from_vaults_own_file() {
        assert_eq!(parse_token_helper("# x\ntoken_helper = \"/opt/helper\"\n").as_deref(), Some("/opt/helper"));
        assert_eq!(parse_token_helper("token_helper=\"/opt/helper\"").as_deref(), Some("/opt/helper"));
        for text in ["", "token_helper", "token_helper = \"\"", "other = \"/x\""] {
            assert_eq!(parse_token_helper(text), None, "{text}");
        }
    }
}
