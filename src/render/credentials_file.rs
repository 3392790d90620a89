//! The files in which the clouds' tools look for credentials: a new one, an old one with another credential in it, and what
//! can be read of one. Their syntax is in a file each.

use super::pairs::Pairs;
use super::{account, profile, yaml};
use crate::credential::Credential;
use crate::provider::shape::{CredentialsFile, Shape, Syntax};
use crate::secret::Secret;
use crate::time::render_time;

/// The default profile or account of a file: no tool takes it for its own default.
pub const PROFILE: &str = "ci-creds";

/// Whether every reader of credentials files takes this for a name, and for the same one. The set is that of the SDK for
/// Rust, the strictest: it passes over a profile with a blank in its name.
#[must_use]
pub(crate) fn is_profile(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:/@+%".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(sound) && name != "DEFAULT"
}

/// A new credentials file: this one profile or account and nothing else.
#[must_use]
pub fn document(credential: &Credential, file: &CredentialsFile, profile: &str) -> Secret {
    let end = credential.lease.expires_at.map(render_time);
    let pairs = pairs(credential, file.syntax, end.as_deref());
    let mut text = String::with_capacity(credential.capacity());
    match file.syntax {
        Syntax::Profiles => profile::write(&mut text, profile, &pairs, "\n"),
        Syntax::Accounts => account::write(&mut text, profile, &pairs, "\n"),
        Syntax::Yaml => yaml::write(&mut text, &pairs),
    }
    Secret::new(text)
}

/// The credentials file `text` with this credential in it: the profile's or account's own values replaced where they
/// stand, or a new one at the end. Every other byte is as it was. With `replace`, what an SDK would use in place of these
/// values goes; without, it is an error.
///
/// # Errors
/// A text, to be put behind the file's path: why the cloud's tools could not read it, and in which line. It repeats
/// nothing of the file.
pub fn edit(
    text: &str,
    file: &CredentialsFile,
    profile: &str,
    replace: bool,
    credential: &Credential,
) -> Result<Secret, String> {
    let end = credential.lease.expires_at.map(render_time);
    let pairs = pairs(credential, file.syntax, end.as_deref());
    let new = String::with_capacity(text.len() + credential.capacity());
    edit_pairs(file.syntax, new, text, profile, replace, &pairs)
}

/// Whether [`edit`] will succeed, before there is a credential, and whatever that will have.
///
/// # Errors
/// As [`edit`].
pub fn check(shape: &Shape, file: &CredentialsFile, text: &str, profile: &str, replace: bool) -> Result<(), String> {
    let optional = match file.syntax {
        Syntax::Profiles => Some(profile::EXPIRES),
        Syntax::Accounts => Some(account::ZONE.1),
        Syntax::Yaml => None,
    };
    let keys = shape.fields.iter().filter_map(|field| field.in_file).chain(optional);
    let pairs: Vec<_> = keys.map(|key| (key, "x")).collect();
    edit_pairs(file.syntax, String::new(), text, profile, replace, &pairs).map(drop)
}

/// The profiles or accounts in a credentials file, or in AWS's config file, as far as `--profile` takes their names. None
/// where the file cannot be parsed.
#[must_use]
pub fn profiles(syntax: Syntax, text: &str) -> Vec<String> {
    let mut names = match syntax {
        Syntax::Profiles => profile::names(text),
        Syntax::Accounts => account::names(text),
        Syntax::Yaml => Vec::new(),
    };
    names.retain(|name| is_profile(name));
    names
}

/// What in an AWS config file makes the SDKs pass over the keys of this profile, and in which line.
#[must_use]
pub(crate) fn find_rival(config: &str, profile: &str) -> Option<String> {
    profile::find_rival(config, profile)
}

/// What in one of AWS's two files gives the SDKs another credential than a container's endpoint when they use this
/// profile, and in which line.
#[must_use]
pub(crate) fn find_source(text: &str, profile: &str) -> Option<String> {
    profile::find_source(text, profile)
}

/// The region of this profile in an AWS config file.
#[must_use]
pub(crate) fn find_region(config: &str, profile: &str) -> Option<String> {
    profile::find_region(config, profile)
}

fn edit_pairs(
    syntax: Syntax,
    mut new: String,
    text: &str,
    profile: &str,
    replace: bool,
    pairs: &Pairs<'_>,
) -> Result<Secret, String> {
    match syntax {
        Syntax::Profiles => profile::edit(&mut new, text, profile, replace, pairs)?,
        Syntax::Accounts => account::edit(&mut new, text, profile, pairs)?,
        Syntax::Yaml => yaml::edit(&mut new, text, pairs)?,
    }
    Ok(Secret::new(new))
}

fn pairs<'a>(credential: &'a Credential, syntax: Syntax, end: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let values = credential.texts().filter_map(|(field, text)| Some((field.in_file?, text)));
    let (variable, key) = account::ZONE;
    let zone = credential.companions.iter().find(|(name, _)| *name == variable);
    match syntax {
        Syntax::Profiles => values.chain(end.map(|end| (profile::EXPIRES, end))).collect(),
        Syntax::Accounts => values.chain(zone.map(|(_, zone)| (key, zone.as_str()))).collect(),
        Syntax::Yaml => values.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale, file};
    use super::*;
    use crate::provider::{aws::AWS, exoscale::EXOSCALE};

    #[test]
    fn a_file_has_what_is_there_and_no_blank_value() {
        assert_eq!(
            document(&aws(true), &file(&AWS), "ci-creds").expose(),
            "[ci-creds]\naws_access_key_id = ASIARZKVVYOZ7ODGRLVU\naws_secret_access_key = 8+8UdWu4/nv0\n\
             aws_session_token = FQoGZX/+==\nx_security_token_expires = 2026-11-20T13:18:17Z\n"
        );
        let mut endless = aws(false);
        endless.lease.expires_at = None;
        let text = "[a]\naws_access_key_id = ASIARZKVVYOZ7ODGRLVU\naws_secret_access_key = 8+8UdWu4/nv0\n";
        assert_eq!(document(&endless, &file(&AWS), "a").expose(), text);
        let mut key = exoscale();
        let text = "defaultAccount = \"ci-creds\"\n\n[[accounts]]\nname = \"ci-creds\"\n\
                    key = \"EXO1216fe31ae170c1d03\"\nsecret = \"sjEjWthov-naql9vmlDT_apg\"\n";
        assert_eq!(document(&key, &file(&EXOSCALE), "ci-creds").expose(), text);
        key.companions.push(("EXOSCALE_ZONE", "ch-gva-2".into()));
        assert_eq!(
            document(&key, &file(&EXOSCALE), "ci-creds").expose(),
            format!("{text}defaultZone = \"ch-gva-2\"\n")
        );
    }

    #[test]
    fn a_new_file_is_an_empty_one_edited_and_an_edit_done_twice_is_done_once() {
        for credential in [aws(true), aws(false), exoscale()] {
            let text = document(&credential, &file(&credential.shape), "ci");
            assert_eq!(edit("", &file(&credential.shape), "ci", false, &credential).unwrap().expose(), text.expose());
            assert_eq!(
                edit(text.expose(), &file(&credential.shape), "ci", false, &credential).unwrap().expose(),
                text.expose()
            );
        }
    }

    #[test]
    fn a_file_that_could_not_take_every_key_is_refused_before_there_is_one() {
        let text = "defaultAccount='ci'\naccounts = [{name='ci', key='a', secret='b'}]\n";
        assert!(
            edit(text, &file(&EXOSCALE), "ci", false, &exoscale()).is_ok()
                && check(&EXOSCALE, &file(&EXOSCALE), text, "ci", false).is_err()
        );
        assert!(
            check(&EXOSCALE, &file(&EXOSCALE), &text.replace("key=", "defaultZone='z', key="), "ci", false).is_ok()
        );
        assert!(
            check(&AWS, &file(&AWS), "[a]\nk = v", "ci", false).is_ok()
                && check(&AWS, &file(&AWS), "[a]\nk", "ci", false).is_err()
        );
    }
}
