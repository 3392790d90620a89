//! Where a value comes from: flag, environment, file, default, in this order; and the memory of it, for messages.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::Files;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::secret::Secret;
use crate::variables::{BAO, CI_PROJECT_DIR, GITHUB_WORKSPACE, HOME, JOB, VAULT, WORKSPACE};

/// A value and where it came from.
#[derive(Debug)]
pub(super) struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by name.
    Flag(&'static str),
    /// A variable, by name.
    Variable(String),
    /// A configuration file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => formatter.write_str(name),
            Self::Variable(name) => formatter.write_str(name),
            Self::File(path) => path.display().fmt(formatter),
            Self::Default => formatter.write_str("the default"),
        }
    }
}

impl<T> Sourced<T> {
    /// A value nobody asked for.
    pub(super) fn default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// The same origin for what the value was turned into.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), origin: self.origin }
    }
}

/// The layers below the flags.
pub(super) struct Layers<'a> {
    pub(super) host: &'a Host,
    pub(super) files: &'a Files,
}

impl Layers<'_> {
    /// A variable's text. Blank means unset; a value that still reads `$NAME` is a GitLab variable that does not
    /// exist. `BAO_X` wins over `VAULT_X`.
    pub(super) fn variable(&self, name: &str) -> Result<Option<Sourced<String>>> {
        let twin = name.strip_prefix(VAULT).map(|rest| format!("{BAO}{rest}"));
        for name in twin.iter().map(String::as_str).chain([name]) {
            let Some(text) = self.host.variable(name)?.filter(|text| !text.trim().is_empty()) else { continue };
            if let Some(inner) = undefined_variable(&text) {
                return Err(Error::new(
                    Kind::Config,
                    format!("{name} reads ${inner}: GitLab knows no variable {inner} in this job"),
                )
                .hint(format!("define {inner} for this project, branch and environment, or remove {name}")));
            }
            return Ok(Some(Sourced { value: text, origin: Origin::Variable(name.to_owned()) }));
        }
        Ok(None)
    }

    /// The real path of the job's checkout, from where artifacts and caches are made: no secret is written below it.
    pub(super) fn checkout(&self) -> Result<Option<PathBuf>> {
        for name in [CI_PROJECT_DIR, GITHUB_WORKSPACE, WORKSPACE] {
            if let Some(folder) = self.variable(name)? {
                return Ok(Some(self.host.real_path(folder.value.as_ref())));
            }
        }
        Ok(None)
    }

    /// Whether the path lies in the checkout, itself or by what it leads to: what is there is the repository's.
    pub(super) fn is_in_checkout(&self, path: &Path) -> Result<bool> {
        let folder = self.host.real_path(path.parent().unwrap_or(path));
        let target = self.host.real_path(path);
        if let Some(checkout) = self.checkout()? {
            return Ok(folder.starts_with(&checkout) || target.starts_with(&checkout));
        }
        let target = target.parent().unwrap_or(&target);
        Ok(self.is_in_work_tree(&folder)? || self.is_in_work_tree(target)?)
    }

    /// Whether the folder lies in a work tree of git: what tells a checkout where no variable does. At a desk, a home can
    /// be the work tree of its owner's settings, and hold other ones. Only what is around it counts there.
    fn is_in_work_tree(&self, folder: &Path) -> Result<bool> {
        let mut around = folder.ancestors().filter(|folder| self.host.is_there(&folder.join(".git")));
        let home = self.variable(HOME)?.map(|home| self.host.real_path(home.value.as_ref()));
        let home = home.filter(|home| self.host.find_guarded_folder(home).is_ok_and(|found| found.is_some()));
        Ok(match home {
            Some(home) if !self.is_in_a_job()? => around.any(|work_tree| !work_tree.starts_with(&home)),
            _ => around.next().is_some(),
        })
    }

    /// Whether a CI system runs us.
    pub(super) fn is_in_a_job(&self) -> Result<bool> {
        for name in JOB {
            if self.variable(name)?.is_some_and(|value| value.value != "false") {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first of: the flag, the variables in order, the files in order.
    pub(super) fn text(
        &self,
        flag: (&'static str, Option<&str>),
        variables: &[&str],
        in_file: impl Fn(&super::file::Settings) -> Option<&str>,
    ) -> Result<Option<Sourced<String>>> {
        if let (name, Some(value)) = flag {
            return Ok(Some(Sourced { value: value.to_owned(), origin: Origin::Flag(name) }));
        }
        for name in variables {
            if let Some(found) = self.variable(name)? {
                return Ok(Some(found));
            }
        }
        Ok(self.files.find(|settings| in_file(settings).map(str::to_owned)))
    }

    /// As [`Layers::text`], for a path.
    pub(super) fn path(
        &self,
        flag: (&'static str, Option<&Path>),
        variables: &[&str],
        in_file: impl Fn(&super::file::Settings) -> Option<&Path>,
    ) -> Result<Option<Sourced<PathBuf>>> {
        if let (name, Some(value)) = flag {
            return Ok(Some(Sourced { value: value.to_owned(), origin: Origin::Flag(name) }));
        }
        for name in variables {
            if let Some(found) = self.variable(name)? {
                return Ok(Some(found.map(PathBuf::from)));
            }
        }
        Ok(self.files.find(|settings| in_file(settings).map(Path::to_owned)))
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
        in_file: impl Fn(&super::file::Settings) -> Option<&Path>,
    ) -> Result<Option<SecretSource>> {
        let twin = format!("{variable}_FILE");
        if let (name, Some(path)) = flag {
            let path = Sourced { value: path.to_owned(), origin: Origin::Flag(name) };
            return Ok(Some(SecretSource::File(path)));
        }
        match (self.variable(variable)?, self.variable(&twin)?) {
            (Some(_), Some(_)) => Err(Error::new(Kind::Config, format!("{variable} and {twin} are both set"))
                .hint(format!("keep one of them: unset {variable} or unset {twin}"))),
            (Some(text), None) => Ok(Some(SecretSource::Variable(text.map(Secret::new)))),
            (None, Some(path)) => Ok(Some(SecretSource::File(path.map(PathBuf::from)))),
            (None, None) => {
                Ok(self.files.find(|settings| in_file(settings).map(Path::to_owned)).map(SecretSource::File))
            }
        }
    }
}

/// `$NAME` or `${NAME}` and nothing else: what GitLab leaves of a reference to a variable that does not exist.
fn undefined_variable(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(name);
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name(name).then_some(name)
}

/// Where a secret was found.
pub(super) enum SecretSource {
    Variable(Sourced<Secret>),
    File(Sourced<PathBuf>),
}

/// Longer than any token; an ID token with many groups stays well below.
const LONGEST_SECRET: usize = 64 * 1024;

impl SecretSource {
    /// The variable that holds it, if one does.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(Sourced { origin: Origin::Variable(name), .. }) => Some(name),
            _ => None,
        }
    }

    /// Reads it and checks that it is one line of printable ASCII. `what` names it in messages.
    ///
    /// # Errors
    /// [`Kind::Input`], never with any part of the text.
    pub(super) fn read(self, host: &Host, what: &str, job_files: Option<&str>) -> Result<Sourced<Secret>> {
        let secret = match self {
            Self::Variable(secret) => Sourced {
                value: checked(secret.value.expose(), what, &secret.origin.to_string())?,
                origin: secret.origin,
            },
            Self::File(path) => {
                let place = shown(&path, host);
                let unreadable = |problem: &str| {
                    Error::new(Kind::Input, format!("the {what} file {place} {problem}")).hint(format!(
                        "{} must name a file that holds the {what} alone, and that this user can read",
                        path.origin
                    ))
                };
                let document = host
                    .read_document(&path.value)
                    .map_err(|problem| unreadable(&format!("cannot be used: {problem}")))?
                    .ok_or_else(|| unreadable("does not exist"))?;
                check_trust(host, &document, &path.value, what, job_files)?;
                Sourced { value: checked(&document.text, what, &place)?, origin: path.origin }
            }
        };
        Ok(secret)
    }
}

/// A named file, for messages. Security: what is no path, and names no file, may be the secret itself, put into the
/// variable that takes a path.
pub(super) fn shown(path: &Sourced<PathBuf>, host: &Host) -> String {
    let Sourced { value, origin } = path;
    if value.is_absolute() || host.is_there(value) {
        format!("{} (from {origin})", value.display())
    } else {
        format!("(from {origin})")
    }
}

/// One line end is the editor's; what else is not printable has no place in a token, and none in a header.
fn checked(text: &str, what: &str, place: &str) -> Result<Secret> {
    let wrong = |problem: &str| Error::new(Kind::Input, format!("the {what} in {place} {problem}"));
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong("is empty").hint("did the step that writes it fail?"));
    }
    if text.len() > LONGEST_SECRET {
        return Err(wrong("is longer than 64 KiB").hint("it must be the bare token: one line"));
    }
    if let Some(place) = text.bytes().position(|byte| !(0x21..=0x7e).contains(&byte)) {
        return Err(wrong(&format!("has a character at byte {} that is not printable ASCII", place + 1))
            .hint("it must be the bare token: one line, no blanks, no byte order mark"));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Security: whoever can write the file chooses who this job is. GitLab's own file variables are world-writable
/// under its umask of 000, in a folder of the job: those are used, with a warning.
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
    if trust.readable_by_others || trust.writable_by_others {
        host.warn(format!("the {what} file {place} is accessible to other users: chmod 600 {place}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Document, Fake, Trust};

    fn variable(value: &str) -> Result<Option<Sourced<String>>> {
        let host = Host::fake(Fake::default().with_variables([("VAULT_ADDR", value)]));
        Layers { host: &host, files: &Files::default() }.variable("VAULT_ADDR")
    }

    #[test]
    fn blank_is_unset_and_an_undefined_gitlab_variable_is_an_error() {
        for blank in ["", " ", "\t\n"] {
            assert!(variable(blank).unwrap().is_none());
        }
        for undefined in ["$VAULT_PROD_ADDR", "${VAULT_PROD_ADDR}", " $VAULT_PROD_ADDR "] {
            let error = variable(undefined).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(
                error.render(false).contains("GitLab knows no variable VAULT_PROD_ADDR"),
                "{}",
                error.render(false)
            );
        }
        assert_eq!(variable("$1,000 x").unwrap().unwrap().value, "$1,000 x");
    }

    #[test]
    fn openbaos_name_wins_over_vaults() {
        let host = Host::fake(Fake::default().with_variables([("VAULT_ADDR", "vault"), ("BAO_ADDR", "bao")]));
        let found = Layers { host: &host, files: &Files::default() }.variable("VAULT_ADDR").unwrap().unwrap();
        assert_eq!((found.value.as_str(), found.origin.to_string().as_str()), ("bao", "BAO_ADDR"));
    }

    #[test]
    fn a_secret_is_one_line_of_printable_ascii() {
        for (text, expected) in [("tok", "tok"), ("tok\n", "tok"), ("tok\r\n", "tok")] {
            assert_eq!(checked(text, "token", "X").unwrap().expose(), expected);
        }
        for text in
            ["", "\n", "a\nb", "a\rb", "a b", "tok\n\n", " tok", "\u{feff}tok", "a\0b", "tok\u{85}", "t\u{2028}"]
        {
            let error = checked(text, "token", "X").unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_at_most_64_kib() {
        assert_eq!(checked(&"x".repeat(64 * 1024), "token", "X").unwrap().expose().len(), 64 * 1024);
        let error = checked(&"x".repeat(64 * 1024 + 1), "token", "X").unwrap_err();
        assert!(error.render(false).contains("longer than 64 KiB"), "{}", error.render(false));
    }

    #[test]
    fn only_a_whole_reference_is_a_variable_that_gitlab_does_not_know() {
        for text in ["$A", "${A_1}", "$1"] {
            assert!(undefined_variable(text).is_some(), "{text}");
        }
        for text in ["$", "${}", "A", "$A-B", "$A$B", "${A", "x$A"] {
            assert_eq!(undefined_variable(text), None, "{text}");
        }
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
