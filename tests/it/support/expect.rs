//! What every run owes: the whole contract of a failure in one assertion, and nothing left alive behind it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Ran, World};

/// A credential as the engine made it, told by what the server holds and not by what was printed.
#[derive(Debug)]
pub struct Minted {
    pub key: String,
    pub secret: String,
    pub session: Option<String>,
}

impl World {
    /// What the engine made since `before` was taken from `secrets()`.
    pub fn minted_since(&self, before: &BTreeSet<String>) -> Minted {
        let new: Vec<String> = self.vault.secrets().difference(before).cloned().collect();
        let one = |what: &str, fits: &dyn Fn(&str) -> bool| {
            let found: Vec<_> = new.iter().filter(|text| fits(text)).collect();
            assert_eq!(found.len(), 1, "one new {what}");
            found[0].clone()
        };
        let is_key = |text: &str| ["EXO", "AKIA", "ASIA"].iter().any(|prefix| text.starts_with(prefix));
        let is_session = |text: &str| text.starts_with("FQoGZXIvYXdzEBYaD");
        // No token of Vault's and no secret id is of these lengths.
        let is_secret = |text: &str| [40, 43].contains(&text.len()) && !is_session(text);
        Minted {
            key: one("access key", &is_key),
            secret: one("secret key", &is_secret),
            session: new.iter().find(|text| is_session(text)).cloned(),
        }
    }

    /// Fails when a lease, or a token that a run logged in for, is still alive.
    pub fn assert_nothing_left(&self, what: &dyn std::fmt::Debug) {
        assert_eq!(self.vault.live_leases(), [], "a lease is left: {what:?}");
        let tokens = self.vault.live_tokens();
        let left: Vec<_> = tokens.iter().filter(|token| token.path.ends_with("/login") && !token.wrapping).collect();
        assert!(left.is_empty(), "a token is left: {left:?} {what:?}");
    }

    /// How many of the requests so far had a path that ends so.
    pub fn count(&self, suffix: &str) -> usize {
        self.vault.requests().iter().filter(|request| request.path.ends_with(suffix)).count()
    }
}

impl Ran {
    /// Fails unless the run kept the contract of a failure: its code, one error line of this kind with these words,
    /// one hint with these words, the marker that makes an eval fail and nothing else on stdout, no secret
    /// anywhere, and nothing in stderr that could move a cursor.
    pub fn refused(self, world: &World, code: i32, kind: &str, words: &[&str], hint_words: &[&str]) -> Self {
        let ran = self.failed(code, kind);
        ran.assert_marker(code);
        world.assert_no_secret_in(&ran.stdout);
        world.assert_no_secret_in(&ran.stderr);
        assert!(ran.stderr.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)), "{:?}", ran.stderr);
        let line = |prefix: &str| ran.stderr.lines().find(|line| line.starts_with(prefix)).unwrap_or_default();
        let (error, hint) = (line("ci-creds: error["), line("  hint: "));
        for word in words {
            assert!(error.contains(word), "{word:?} is not in the error: {}", ran.stderr);
        }
        assert!(!hint.is_empty(), "there is no hint: {}", ran.stderr);
        for word in hint_words {
            assert!(hint.contains(word), "{word:?} is not in the hint: {}", ran.stderr);
        }
        ran
    }

    /// Fails unless stdout is one `unset` and the exit code for the shell.
    pub fn assert_marker(&self, code: i32) {
        let lines: Vec<_> = self.stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{self:?}");
        assert!(lines[0].starts_with("unset ") && lines[0].ends_with(';') && !lines[0].contains('='), "{self:?}");
        assert_eq!(lines[1], format!("(exit {code});"), "{self:?}");
    }
}

/// What stands between the `unset` and the exports: it fails where the shell splits the text inside a value.
pub const WHOLE: &str = "`if ! test _0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ=+/_.:@%,-''abcdefghijklmnopqrstuvwxyz_;
then echo 'ci-creds: error: IFS would split the credential, and no variable was set: unset IFS before the eval, or put \
                         double quotes around the substitution' >&2;
exit 64;
fi`";

/// A successful run's text for a shell.
pub fn shell_text(stale: &str, set: &[(&str, &str)]) -> String {
    let exports: String = set.iter().map(|(name, value)| format!(" &&\nexport {name}='{value}'")).collect();
    format!("unset {stale};\n{WHOLE}{exports};\n")
}

/// The variables that `export NAME='value'` lines set.
pub fn exports(stdout: &str) -> BTreeMap<String, String> {
    let pairs = stdout.lines().filter_map(|line| {
        let pair = line.strip_prefix("export ")?;
        pair.strip_suffix("' &&").or_else(|| pair.strip_suffix("';"))?.split_once("='")
    });
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What stands in a job's log beside the one line that tells it what it got. Fails unless that line is there, once.
pub fn without_receipt(log: &str) -> String {
    let is_receipt = |line: &&str| {
        let words = ["ci-creds: ", " key ", "... for role ", ", expires ", " UTC", ", lease "];
        let mut rest = *line;
        line.ends_with(|c: char| c.is_ascii_alphanumeric())
            && words.iter().all(|word| {
                rest.split_once(word).is_some_and(|(_, behind)| {
                    rest = behind;
                    true
                })
            })
    };
    assert_eq!(log.lines().filter(is_receipt).count(), 1, "one line about what the job got: {log:?}");
    log.split_inclusive('\n').filter(|line| !is_receipt(&line.trim_end())).collect()
}

/// Fails unless the run ended before anything was asked: its code, the marker, these words, and no connection.
pub fn stopped(ran: Ran, world: &World, (code, kind): (i32, &str), words: &[&str]) {
    let ran = ran.failed(code, kind);
    ran.assert_marker(code);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    world.assert_no_secret_in(&ran.stderr);
    assert!(ran.stderr.len() < 2_000, "{ran:?}");
    assert_eq!((world.vault.connections(), world.vault.requests().len()), (0, 0), "{ran:?}");
}

/// Whether Vault says by this status that it did not act.
pub fn did_not_act(status: Option<u16>) -> bool {
    matches!(status, Some(307 | 412 | 429 | 472 | 473 | 503))
}
