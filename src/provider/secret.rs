//! A secret of any other engine: which field of the answer goes into which variable is said by a section of the
//! configuration file, or by flags. Pure.
//!
//! Nothing is read that is not named: whoever writes a secret must not choose the name of a variable.

use std::borrow::Cow;

use super::shape::{Characters, CloudObject, Field, Mapping, Shape};
use crate::mint::Mint;

/// One request, and where the fields of its answer go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSection {
    /// Its name in the configuration file. Empty where flags say all of it.
    pub name: String,
    /// The path that is read, placeholders in it.
    pub path: String,
    /// Variables, each with the field that it holds.
    pub variables: Vec<(String, String)>,
    /// Variables, each with the field that a private file holds, whose path is in the variable.
    pub files: Vec<(String, String)>,
    /// The JSON object of a write.
    pub body: Option<String>,
    /// The version of the KV engine.
    pub kv: Option<u8>,
    /// The version of the secret in KV 2.
    pub version: Option<u64>,
    /// Variables that are unset.
    pub unset: Vec<String>,
    /// The field that says when it expires.
    pub expires: Option<String>,
}

/// Names of variables that change what programs do, at their end or as a whole. Whoever may write the secret could run
/// commands in the job by the value of one.
const DANGEROUS: [&str; 34] = [
    "PATH",
    "ENV",
    "IFS",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "CDPATH",
    "FPATH",
    "ZDOTDIR",
    "GLOBIGNORE",
    "HOME",
    "SHELL",
    "TMPDIR",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "NODE_OPTIONS",
    "NODE_PATH",
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "GCONV_PATH",
    "PERL5DB",
    "RUSTC_WRAPPER",
    "MAKEFLAGS",
];

/// How such names begin. `VAULT_`, `BAO_` and `CI_CREDS_` are what the next call reads.
const DANGEROUS_STARTS: [&str; 11] =
    ["LD_", "DYLD_", "BASH_FUNC_", "GIT_", "PYTHON", "PERL5", "RUBY", "VAULT_", "BAO_", "CI_CREDS_", "__"];

/// Why a variable of that name is not set or unset; none where it may be.
#[must_use]
pub fn find_problem(variable: &str) -> Option<&'static str> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if variable.is_empty()
        || variable.len() > 128
        || !variable.bytes().all(sound)
        || variable.starts_with(|c: char| c.is_ascii_digit())
    {
        return Some("is not the name of a variable");
    }
    let name = variable.to_ascii_uppercase();
    let dangerous =
        DANGEROUS.contains(&name.as_str()) || DANGEROUS_STARTS.into_iter().any(|start| name.starts_with(start));
    dangerous.then_some("changes how the programs of the job run, or what ci-creds reads")
}

impl SecretSection {
    /// The secret, as messages call it.
    #[must_use]
    pub fn title(&self) -> String {
        match self.name.as_str() {
            "" => "secret".to_owned(),
            name => format!("secret {name}"),
        }
    }

    /// What it consists of.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let fields = self.variables.iter().map(|pair| (pair, false)).chain(self.files.iter().map(|pair| (pair, true)));
        let fields = fields.map(|((variable, key), file)| Field {
            name: Cow::Owned(variable.clone()),
            key: Cow::Owned(key.clone()),
            older_key: None,
            variable: Some(Cow::Owned(variable.clone())),
            process: None,
            in_file: None,
            characters: ANY,
            required: true,
            public: false,
            file,
        });
        let command = match self.name.as_str() {
            "" => "secret --path PATH --env VAR=FIELD".to_owned(),
            name => format!("secret {name}"),
        };
        let mapping = Mapping { kv: self.kv, expires: self.expires.clone(), unset: self.unset.clone() };
        Shape {
            name: Cow::Borrowed("secret"),
            command: Cow::Owned(command),
            title: Cow::Owned(self.title()),
            fields: Cow::Owned(fields.collect()),
            aliases: &[],
            sources: &[],
            irrevocable: None,
            expiration: None,
            emptied: &[],
            profiles: &[],
            mapping: Some(mapping),
            stored: None,
            file: None,
            made: CloudObject { what: "a credential", list: "" },
        }
    }

    /// The request, at this path.
    #[must_use]
    pub fn mint(&self, path: String) -> Mint {
        let version = self.version.map(|version| ("version", version.to_string()));
        Mint {
            path,
            roles: String::new(),
            parameters: version.into_iter().collect(),
            writable: false,
            body: self.body.clone(),
            stored: self.kv.is_some(),
            temporary: false,
        }
    }
}

/// What the table of a cloud says of its values does not hold here: `mapping` checks them.
const ANY: Characters = Characters { prefix: "", others: "", lower: true, least: 1, most: usize::MAX };

/// The shape of several secrets together, for what is decided before any of them is read.
#[must_use]
pub fn join(shapes: &[Shape]) -> Option<Shape> {
    let (first, others) = shapes.split_first()?;
    let mut joined = first.clone();
    for other in others {
        joined.fields.to_mut().extend(other.fields.iter().cloned());
        joined.command.to_mut().push_str(other.command.strip_prefix("secret").unwrap_or_default());
        joined.title.to_mut().push_str(&format!(" and {}", other.title));
        if let (Some(mapping), Some(more)) = (&mut joined.mapping, &other.mapping) {
            mapping.unset.extend(more.unset.iter().cloned());
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_steers_programs_is_no_variable_of_a_secret() {
        for name in ["PGPASSWORD", "TLS_KEY", "_x", "npm_config_token", "SSH_KEY"] {
            assert_eq!(find_problem(name), None, "{name}");
        }
        for name in [
            "PATH",
            "LD_PRELOAD",
            "path",
            "BASH_ENV",
            "GIT_SSH_COMMAND",
            "PYTHONPATH",
            "VAULT_TOKEN",
            "BAO_ADDR",
            "IFS",
        ] {
            assert!(find_problem(name).is_some_and(|problem| problem.contains("changes")), "{name}");
        }
        for name in ["", "1A", "A-B", "A B", "A=B", "\u{e9}"] {
            assert_eq!(find_problem(name), Some("is not the name of a variable"), "{name}");
        }
    }
}
