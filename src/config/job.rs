//! The job around a run: its variables, its checkout, and whether a CI system runs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::ci::job_signs;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::origin::{Origin, WithOrigin};
use crate::variables::{
    BAO, CI_JOB_STARTED_AT, CI_JOB_TIMEOUT, CI_PROJECT_DIR, GITHUB_WORKSPACE, HOME, VAULT, VAULT_ID_TOKEN, WORKSPACE,
};

/// The job, or the desk, as the environment tells it.
pub(super) struct Job<'a> {
    pub(super) host: &'a Host,
}

impl Job<'_> {
    /// A variable's text, without the blanks and line ends around it. Blank means unset; a value that still reads `$NAME`
    /// is a GitLab variable that does not exist. `BAO_X` wins over `VAULT_X`.
    pub(super) fn variable(&self, name: &str) -> Result<Option<WithOrigin<String>>> {
        Ok(self.whole_variable(name)?.map(|found| found.map(|text| trimmed(&text).to_owned())))
    }

    /// As [`Job::variable`], with all that is around it: the name of a folder that the runner made may end in a blank.
    fn whole_variable(&self, name: &str) -> Result<Option<WithOrigin<String>>> {
        let twin = name.strip_prefix(VAULT).map(|rest| format!("{BAO}{rest}"));
        for name in twin.iter().map(String::as_str).chain([name]) {
            let Some(text) = self.host.variable(name)?.filter(|text| !text.trim().is_empty()) else { continue };
            if let Some(inner) = undefined_variable(&text) {
                return Err(Error::new(
                    Kind::Config,
                    format!("{name} is set to ${inner}: GitLab has no variable {inner} in this job"),
                )
                .hint(change(name, inner)));
            }
            return Ok(Some(WithOrigin { value: text, origin: Origin::Variable(name.to_owned()) }));
        }
        Ok(None)
    }

    /// The real path of the job's checkout, from where artifacts and caches are made: no secret is written below it.
    pub(super) fn checkout(&self) -> Result<Option<PathBuf>> {
        for name in [CI_PROJECT_DIR, GITHUB_WORKSPACE, WORKSPACE] {
            if let Some(folder) = self.whole_variable(name)? {
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
        let home = self.whole_variable(HOME)?.map(|home| self.host.real_path(home.value.as_ref()));
        let home = home.filter(|home| self.host.find_guarded_folder(home).is_ok_and(|found| found.is_some()));
        Ok(match home {
            Some(home) if !self.is_in_a_job()? => around.any(|work_tree| !work_tree.starts_with(&home)),
            _ => around.next().is_some(),
        })
    }

    /// What is left of a GitLab job.
    pub(super) fn left(&self) -> Result<Option<WithOrigin<Duration>>> {
        let (Some(started), Some(timeout)) = (self.variable(CI_JOB_STARTED_AT)?, self.variable(CI_JOB_TIMEOUT)?) else {
            return Ok(None);
        };
        let left = parse_left(&started.value, &timeout.value, self.host.now());
        Ok(left.map(|value| WithOrigin { value, origin: timeout.origin }))
    }

    /// Whether a CI system runs us.
    pub(super) fn is_in_a_job(&self) -> Result<bool> {
        for name in job_signs() {
            if self.variable(name)?.is_some_and(|value| value.value != "false") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is left of a job that began at `started` and may run for so many seconds. `None` when that cannot be read, or
/// when nothing is left.
fn parse_left(started: &str, timeout: &str, now: Timestamp) -> Option<Duration> {
    let started: Timestamp = started.parse().ok()?;
    let timeout = Duration::from_secs(timeout.parse().ok()?);
    let left = started.checked_add(timeout).ok()?.duration_since(now);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// A value without what surrounds it: the line ends of Windows, empty lines, blanks. All of ASCII, for what else looks
/// like a blank is part of the value, and told as wrong.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// As [`trimmed`]; a path that is not UTF-8 is nobody's typing error.
pub(super) fn trimmed_path(path: &Path) -> PathBuf {
    path.to_str().map_or_else(|| path.to_owned(), |text| trimmed(text).into())
}

/// What to do about a variable that reads `$NAME`. GitLab makes an ID token for `id_tokens:` and for nothing else.
fn change(name: &str, inner: &str) -> String {
    if [name, inner].contains(&VAULT_ID_TOKEN) {
        return format!(
            "give the job `id_tokens: {{{VAULT_ID_TOKEN}: {{aud: https://vault.example.com}}}}`, and remove {name} from `variables:`"
        );
    }
    format!("define {inner} for this project, branch and environment, or remove {name}")
}

/// `$NAME` or `${NAME}` and nothing else: what GitLab leaves of a reference to a variable that does not exist.
fn undefined_variable(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix('$')?;
    let name = name.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(name);
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ci::CiSystem;
    use crate::host::Fake;

    #[test]
    fn every_system_whose_jobs_have_an_id_token_tells_of_a_job_by_the_same_variable() {
        let in_a_job = |name: &str, value: &str| {
            let host = Host::fake(Fake::default().with_variables([(name, value)]));
            Job { host: &host }.is_in_a_job().unwrap()
        };
        for sign in CiSystem::ALL.into_iter().filter_map(|system| system.facts().sign) {
            assert!(in_a_job(sign, "true") && !in_a_job(sign, "false"), "{sign}");
        }
        assert!(in_a_job("CI", "true") && in_a_job("JENKINS_URL", "https://jenkins.example.com/"));
        assert!(!in_a_job("CI", "false") && !in_a_job("HOME", "/root"));
    }

    #[test]
    fn what_is_left_of_a_job_is_its_start_and_its_timeout_less_what_has_passed() {
        let now: Timestamp = "2026-11-20T12:10:00Z".parse().unwrap();
        let left = |started, timeout| parse_left(started, timeout, now).map(|left| left.as_secs());
        assert_eq!(left("2026-11-20T12:00:00Z", "3600"), Some(3000));
        assert_eq!(left("2026-11-20T13:00:00+01:00", "3600"), Some(3000));
        for (started, timeout) in [
            ("2026-11-20T12:00:00Z", "600"),
            ("2026-11-20T10:00:00Z", "3600"),
            ("soon", "3600"),
            ("2026-11-20T12:00:00Z", "1h"),
            ("2026-11-20T12:00:00Z", "99999999999999999999"),
        ] {
            assert_eq!(left(started, timeout), None, "{started} {timeout}");
        }
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
}
