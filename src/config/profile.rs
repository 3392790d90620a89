//! Which profiles there are, for the completion of `--profile`. Names are all that leaves a credentials file here.

use std::path::{Path, PathBuf};

use super::source::Layers;
use crate::host::Host;
use crate::provider::shape::{CredentialsFile, Syntax};
use crate::render;
use crate::variables as var;

/// The names of the profiles or accounts, a line each: of the file that `--file` names, or else of the one in which the
/// cloud's tools look, and of AWS's config file. What cannot be read has no names: nobody waits for an error at a Tab.
#[must_use]
pub fn find_profiles(file: &CredentialsFile, named: Option<&Path>, host: &Host) -> String {
    let layers = Layers::bare(host);
    let variable = |name| layers.variable(name).ok().flatten().map(|found| PathBuf::from(found.value));
    let home = variable(var::HOME);
    let below_home = |rest: &Path| home.as_ref().map(|home| home.join(rest));
    let keys = match named {
        // The shell has not expanded the word yet.
        Some(path) => path.strip_prefix("~").map_or_else(|_| Some(path.to_owned()), below_home),
        None => below_home(file.below_home.as_ref()),
    };
    let config = match file.syntax {
        Syntax::Profiles => variable(var::AWS_CONFIG_FILE).or_else(|| below_home(".aws/config".as_ref())),
        Syntax::Accounts | Syntax::Yaml => None,
    };
    let mut names = Vec::new();
    for path in keys.into_iter().chain(config) {
        if let Ok(Some(document)) = host.read_document(&path) {
            names.extend(render::profiles(file.syntax, &document.text));
        }
    }
    names.sort();
    names.dedup();
    names.iter().map(|name| format!("{name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Fake;
    use crate::provider::aws::AWS;
    use crate::provider::exoscale::EXOSCALE;

    fn names(file: &CredentialsFile, named: Option<&str>) -> String {
        let fake = Fake::default()
            .with_variables([("HOME", "/home/me")])
            .with_file(
                "/home/me/.aws/credentials",
                "[default]\naws_secret_access_key = hvs.x\n[deploy]\n[a b]\n[$(id)]\n",
            )
            .with_file("/home/me/.aws/config", "[default]\n[profile deploy]\n[profile \"test\"]\n[sso-session corp]\n")
            .with_file("/home/me/other", "[DEFAULT]\n[other]\n")
            .with_file("/home/me/broken", "[one]\n[one]\n")
            .with_file(
                "/home/me/.config/exoscale/exoscale.toml",
                "defaultAccount = 'ops'\n[[accounts]]\nname = 'ops'\nsecret = 'x'\n[[accounts]]\nNAME = 'dev'\n",
            );
        find_profiles(file, named.map(Path::new), &Host::fake(fake))
    }

    #[test]
    fn the_names_are_those_that_the_flag_takes_and_nothing_else_of_the_files() {
        let (aws, exoscale) = (AWS.file.as_ref().unwrap(), EXOSCALE.file.as_ref().unwrap());
        for (file, named, expected) in [
            (aws, None, "default\ndeploy\ntest\n"),
            (aws, Some("~/other"), "default\ndeploy\nother\ntest\n"),
            (aws, Some("/home/me/other"), "default\ndeploy\nother\ntest\n"),
            (aws, Some("/home/me/broken"), "default\ndeploy\ntest\n"),
            (aws, Some("/nowhere"), "default\ndeploy\ntest\n"),
            (exoscale, None, "dev\nops\n"),
            (exoscale, Some("~/other"), ""),
        ] {
            assert_eq!(names(file, named), expected, "{named:?}");
        }
    }
}
