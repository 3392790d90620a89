//! Where a value comes from: flag, environment, file or default, in this order. The origin stays with the value, for
//! messages.

use std::path::{Path, PathBuf};

use super::file::{Files, read_files};
use super::input::{InputMistake, find_mistake};
use super::job::{Job, trimmed, trimmed_path};
use crate::ci::JobToken;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::identity::Input;
use crate::origin::{Origin, WithOrigin};
use crate::secret::Secret;

/// The layers below the flags.
pub(crate) struct Layers<'a> {
    pub(super) host: &'a Host,
    pub(super) files: Files,
    /// The ID token that was requested for this run.
    pub(crate) job_token: Option<JobToken>,
}

impl<'a> Layers<'a> {
    /// The environment alone.
    pub(crate) fn bare(host: &'a Host) -> Self {
        Self { host, files: Files::default(), job_token: None }
    }

    /// The environment, and the configuration files: one that the flags name, or the user's, and the administrator's.
    ///
    /// # Errors
    /// [`Kind::Config`] for a file that is missing, wrong, or not to be believed; [`Kind::Os`] when no file can be opened.
    pub(crate) fn read(connection: &cli::ConnectionFlags, host: &'a Host) -> Result<Self> {
        Ok(Self { files: read_files(host, connection.config.as_deref())?, ..Self::bare(host) })
    }
}

impl Layers<'_> {
    /// See [`Job::variable`].
    pub(super) fn variable(&self, name: &str) -> Result<Option<WithOrigin<String>>> {
        self.job().variable(name)
    }

    /// What surrounds the run.
    pub(super) fn job(&self) -> Job<'_> {
        Job { host: self.host }
    }

    /// The first of: the flag, the variables in order, the files in order.
    pub(super) fn text(
        &self,
        flag: (&'static str, Option<&str>),
        variables: &[&str],
        in_file: impl Fn(&super::settings::Settings) -> Option<&str>,
    ) -> Result<Option<WithOrigin<String>>> {
        if let (name, Some(value)) = flag {
            return Ok(Some(WithOrigin { value: trimmed(value).to_owned(), origin: Origin::Flag(name) }));
        }
        if let Some(found) = self.first_variable(variables)? {
            return Ok(Some(found));
        }
        Ok(self.files.find(|settings| in_file(settings).map(|text| trimmed(text).to_owned())))
    }

    /// The first of these variables that is set.
    pub(super) fn first_variable(&self, names: &[&str]) -> Result<Option<WithOrigin<String>>> {
        for name in names {
            if let Some(found) = self.variable(name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// As [`Layers::text`], for a switch: off if nobody says anything.
    ///
    /// # Errors
    /// [`Kind::Config`] for a variable that says neither yes nor no.
    pub(super) fn switch(
        &self,
        flag: bool,
        variables: &[&str],
        in_file: impl Fn(&super::settings::Settings) -> Option<bool>,
    ) -> Result<bool> {
        if flag {
            return Ok(true);
        }
        for name in variables {
            let Some(found) = self.variable(name)? else { continue };
            return match found.value.to_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Ok(true),
                "0" | "false" | "no" | "off" => Ok(false),
                _ => Err(Error::new(Kind::Config, format!("{} is neither true nor false", found.origin))
                    .hint(format!("set {}=true, or unset it", found.origin))),
            };
        }
        Ok(self.files.find(in_file).is_some_and(|found| found.value))
    }

    /// As [`Layers::text`], for a path.
    pub(super) fn path(
        &self,
        flag: (&'static str, Option<&Path>),
        variables: &[&str],
        in_file: impl Fn(&super::settings::Settings) -> Option<&Path>,
    ) -> Result<Option<WithOrigin<PathBuf>>> {
        if let (name, Some(value)) = flag {
            return Ok(Some(WithOrigin { value: trimmed_path(value), origin: Origin::Flag(name) }));
        }
        if let Some(found) = self.first_variable(variables)? {
            return Ok(Some(found.map(PathBuf::from)));
        }
        Ok(self.files.find(|settings| in_file(settings).map(trimmed_path)))
    }

    /// Where a secret would come from: a file named by the flag, the variable, or the file that its `_FILE` twin
    /// names. Nothing is read yet, so that a method can be chosen before any secret is touched.
    ///
    /// # Errors
    /// [`Kind::Config`] when variable and twin are both set: which of them counts must not be a guess.
    pub(super) fn find_secret(
        &self,
        flag: (&'static str, Option<&Path>),
        variable: &str,
        in_file: impl Fn(&super::settings::Settings) -> Option<&Path>,
    ) -> Result<Option<SecretSource>> {
        if let (name, Some(path)) = flag {
            let path = WithOrigin { value: trimmed_path(path), origin: Origin::Flag(name) };
            return Ok(Some(SecretSource::File(path)));
        }
        let in_files = || self.files.find(|settings| in_file(settings).map(trimmed_path)).map(SecretSource::File);
        Ok(self.secret_variable(variable)?.or_else(in_files))
    }

    /// As [`Layers::find_secret`], for a variable and its twin alone.
    ///
    /// # Errors
    /// As [`Layers::find_secret`].
    pub(super) fn secret_variable(&self, variable: &str) -> Result<Option<SecretSource>> {
        let twin = format!("{variable}_FILE");
        match (self.variable(variable)?, self.variable(&twin)?) {
            (Some(_), Some(_)) => Err(Error::new(Kind::Config, format!("{variable} and {twin} are both set"))
                .hint(format!("keep one of them: unset {variable} or unset {twin}"))),
            (Some(text), None) => Ok(Some(SecretSource::Variable(text.map(Secret::new)))),
            (None, Some(path)) => Ok(Some(SecretSource::File(path.map(PathBuf::from)))),
            (None, None) => Ok(None),
        }
    }
}

/// Where a secret was found.
pub(super) enum SecretSource {
    Variable(WithOrigin<Secret>),
    File(WithOrigin<PathBuf>),
}

/// Longer than any token; an ID token with many groups stays well below.
const LONGEST_SECRET: usize = 64 * 1024;

/// What a text is that cannot be the secret in question.
type FindMistake<'a> = &'a dyn Fn(&str) -> Option<InputMistake>;

impl SecretSource {
    /// The variable that holds it, if one does.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(WithOrigin { origin: Origin::Variable(name), .. }) => Some(name),
            _ => None,
        }
    }

    /// The file that holds it, if one does.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(&path.value),
            Self::Variable(_) => None,
        }
    }

    /// Reads it and checks that it is one line of printable ASCII, and nothing that is often put in its place.
    ///
    /// # Errors
    /// [`Kind::Input`], never with any part of the text.
    pub(super) fn read(self, host: &Host, input: Input, job_files: Option<&str>) -> Result<WithOrigin<Secret>> {
        self.read_as(host, (input.name(), &|text| find_mistake(input, text)), job_files)
    }

    /// As [`SecretSource::read`], for a secret that is not Vault's: what messages call it, and what else it may be.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub(super) fn read_as(
        self,
        host: &Host,
        (what, mistake): (&str, FindMistake<'_>),
        job_files: Option<&str>,
    ) -> Result<WithOrigin<Secret>> {
        let checked = |text: &str, place: &str| checked(text, (what, mistake), place);
        let secret = match self {
            Self::Variable(secret) => {
                WithOrigin { value: checked(secret.value.expose(), &secret.origin.to_string())?, origin: secret.origin }
            }
            Self::File(path) => {
                let place = shown(&path, host);
                let unreadable = |problem: &str| {
                    Error::new(Kind::Input, format!("the {what} file {place} {problem}")).hint(match &path.origin {
                        Origin::Service(_) => {
                            format!("{} names the {what} of another place", Input::ServiceAccountToken.facts().flag)
                        }
                        origin => {
                            format!(
                                "{origin} must name a file that holds the {what} alone, and that this user can read"
                            )
                        }
                    })
                };
                let document = host
                    .read_document(&path.value)
                    .map_err(|problem| unreadable(&format!("cannot be used: {problem}")))?
                    .ok_or_else(|| unreadable("does not exist"))?;
                check_trust(host, &document, &path.value, what, job_files)?;
                WithOrigin { value: checked(&document.text, &place)?, origin: path.origin }
            }
        };
        Ok(secret)
    }
}

/// A named file, for messages. Security: what is no path, and names no file, may be the secret itself, put into the
/// variable that takes a path.
pub(super) fn shown(path: &WithOrigin<PathBuf>, host: &Host) -> String {
    let WithOrigin { value, origin } = path;
    if value.is_absolute() || host.is_there(value) {
        format!("{} (from {origin})", value.display())
    } else {
        format!("(from {origin})")
    }
}

/// What is around it is the editor's; what else is not printable has no place in a token, and none in a header.
fn checked(text: &str, (what, mistake): (&str, FindMistake<'_>), place: &str) -> Result<Secret> {
    let wrong = |problem: &str| Error::new(Kind::Input, format!("the {what} in {place} {problem}"));
    let text = trimmed(text);
    if text.is_empty() {
        return Err(wrong("is empty").hint("did the step that writes it fail?"));
    }
    if text.len() > LONGEST_SECRET {
        return Err(wrong("is longer than 64 KiB").hint("it must be the bare token: one line"));
    }
    if let Some(InputMistake { problem, hint }) = mistake(text) {
        return Err(wrong(problem).hint(hint));
    }
    if let Some(place) = text.bytes().position(|byte| !(0x21..=0x7e).contains(&byte)) {
        return Err(wrong(&format!("has a character at byte {} that is not printable ASCII", place + 1))
            .hint("it must be the bare token: one line, no blanks, no byte order mark"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Security: whoever can write the file chooses who this job is. GitLab's own file variables are world-writable
/// under its umask of 000, in a folder of the job: those are used, with a warning. Kubernetes lets everybody in a pod read
/// the token of its service account.
fn check_trust(
    host: &Host,
    document: &crate::host::Document,
    path: &Path,
    what: &str,
    job_files: Option<&str>,
) -> Result<()> {
    let place = path.display();
    let of_the_job = job_files.is_some_and(|folder| path.starts_with(format!("{folder}.tmp")));
    let trust = document.trust;
    if trust.foreign {
        return Err(Error::new(Kind::Input, format!("the {what} file {place} belongs to another user"))
            .hint(format!("chown it to the user of this job: {place}")));
    }
    if trust.writable_by_others && !of_the_job {
        return Err(Error::new(Kind::Input, format!("the {what} file {place} can be written by other users"))
            .hint(format!("chmod 600 {place}")));
    }
    let is_told = trust.readable_by_others && what != Input::ServiceAccountToken.name();
    if is_told || trust.writable_by_others {
        host.warn(format!("the {what} file {place} is accessible to other users: chmod 600 {place}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Document, Fake, Trust};

    fn variable(value: &str) -> Result<Option<WithOrigin<String>>> {
        let host = Host::fake(Fake::default().with_variables([("VAULT_ADDR", value)]));
        Layers::bare(&host).variable("VAULT_ADDR")
    }

    #[test]
    fn blank_is_unset_and_an_undefined_gitlab_variable_is_an_error() {
        for blank in ["", " ", "\t\n"] {
            assert!(variable(blank).unwrap().is_none());
        }
        for undefined in ["$VAULT_PROD_ADDR", "${VAULT_PROD_ADDR}", " $VAULT_PROD_ADDR "] {
            let error = variable(undefined).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.render(false).contains("GitLab has no variable VAULT_PROD_ADDR"), "{}", error.render(false));
        }
        assert_eq!(variable("$1,000 x").unwrap().unwrap().value, "$1,000 x");
    }

    #[test]
    fn openbaos_name_wins_over_vaults() {
        let host = Host::fake(Fake::default().with_variables([("VAULT_ADDR", "vault"), ("BAO_ADDR", "bao")]));
        let found = Layers::bare(&host).variable("VAULT_ADDR").unwrap().unwrap();
        assert_eq!((found.value.as_str(), found.origin.to_string().as_str()), ("bao", "BAO_ADDR"));
    }

    fn checked_token(text: &str) -> Result<Secret> {
        checked(text, ("Vault token", &|text| find_mistake(Input::Token, text)), "X")
    }

    #[test]
    fn a_secret_is_one_line_of_printable_ascii() {
        for text in ["tok", "tok\n", "tok\r\n", "tok\n\n", "\r\n\r\ntok\r\n\r\n", " tok", "\ttok \n"] {
            assert_eq!(checked_token(text).unwrap().expose(), "tok");
        }
        for text in
            ["", "\n", "\r\n \t", "a\nb", "a\rb", "a b", "tok\u{a0}", "\u{feff}tok", "a\0b", "tok\u{85}", "t\u{2028}"]
        {
            let error = checked_token(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_at_most_64_kib() {
        assert_eq!(checked_token(&"x".repeat(64 * 1024)).unwrap().expose().len(), 64 * 1024);
        let error = checked_token(&"x".repeat(64 * 1024 + 1)).unwrap_err();
        assert!(error.render(false).contains("longer than 64 KiB"), "{}", error.render(false));
    }

    #[test]
    fn a_file_is_believed_by_who_can_write_it_and_gitlabs_own_with_a_warning() {
        let check = |path: &str, trust: Trust| {
            let host = Host::fake(Fake::default());
            let document = Document { text: String::new().into(), trust, exposed: None };
            let result = check_trust(&host, &document, Path::new(path), "token", Some("/builds/x"));
            (result.map_err(|error| error.kind()), host.take_warnings().len())
        };
        let own = Trust::default();
        let (foreign, written, read) = (
            Trust { foreign: true, ..own },
            Trust { writable_by_others: true, ..own },
            Trust { readable_by_others: true, ..own },
        );
        assert_eq!(check("/home/token", own), (Ok(()), 0));
        assert_eq!(check("/home/token", read), (Ok(()), 1));
        for path in ["/home/token", "/builds/x/TOKEN", "/builds/x.tmpx/TOKEN", "/builds/y.tmp/TOKEN"] {
            assert_eq!(check(path, written), (Err(Kind::Input), 0), "{path}");
        }
        assert_eq!(check("/builds/x.tmp/TOKEN", own), (Ok(()), 0));
        assert_eq!(check("/builds/x.tmp/TOKEN", written), (Ok(()), 1));
        for path in ["/home/token", "/builds/x.tmp/TOKEN"] {
            assert_eq!(check(path, foreign), (Err(Kind::Input), 0), "{path}");
        }
    }
}
