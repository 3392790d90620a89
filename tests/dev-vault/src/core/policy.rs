//! Policies: HCL or JSON in, capabilities out.
//!
//! What the parser does not know it refuses; a rule that is silently dropped would allow what Vault denies.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::core::fields::parse_duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Capability {
    Create,
    Delete,
    Deny,
    List,
    Patch,
    Read,
    Scan,
    Sudo,
    Update,
}

impl Capability {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Deny => "deny",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Read => "read",
            Self::Scan => "scan",
            Self::Sudo => "sudo",
            Self::Update => "update",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::Create,
            Self::Delete,
            Self::Deny,
            Self::List,
            Self::Patch,
            Self::Read,
            Self::Scan,
            Self::Sudo,
            Self::Update,
        ]
        .into_iter()
        .find(|capability| capability.name() == name)
    }
}

/// One `path` block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) min_wrapping_ttl: Option<Duration>,
    pub(crate) max_wrapping_ttl: Option<Duration>,
}

/// A named set of rules.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) text: String,
    pub(crate) rules: Vec<Rule>,
}

impl Policy {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let document = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            super::hcl::parse(text)?
        };
        let mut rules = Vec::new();
        for (key, value) in document.as_object().ok_or("not an object")? {
            match key.as_str() {
                "name" => {}
                "path" => {
                    for (pattern, block) in value.as_object().ok_or("\"path\" is not a block")? {
                        rules.push(Rule::parse(pattern, block)?);
                    }
                }
                other => return Err(format!("invalid key \"{other}\"")),
            }
        }
        Ok(Self { text: text.to_owned(), rules })
    }
}

impl Rule {
    fn parse(pattern: &str, block: &Value) -> Result<Self, String> {
        let at = |reason: String| format!("path \"{pattern}\": {reason}");
        if pattern.contains("{{") {
            return Err(at("templates are not part of this double".to_owned()));
        }
        let mut rule = Self { pattern: pattern.trim_start_matches('/').to_owned(), ..Self::default() };
        for (key, value) in block.as_object().ok_or_else(|| at("not a block".to_owned()))? {
            match key.as_str() {
                "capabilities" => {
                    for name in value.as_array().ok_or_else(|| at("capabilities is not a list".to_owned()))? {
                        let name = name.as_str().unwrap_or_default();
                        let capability =
                            Capability::parse(name).ok_or_else(|| at(format!("invalid capability \"{name}\"")))?;
                        rule.capabilities.insert(capability);
                    }
                }
                "policy" => rule.capabilities.extend(legacy(value).ok_or_else(|| at("invalid policy".to_owned()))?),
                "min_wrapping_ttl" => rule.min_wrapping_ttl = Some(wrapping_ttl(value).map_err(at)?),
                "max_wrapping_ttl" => rule.max_wrapping_ttl = Some(wrapping_ttl(value).map_err(at)?),
                other => return Err(at(format!("invalid key \"{other}\""))),
            }
        }
        Ok(rule)
    }

    fn matches(&self, path: &str) -> bool {
        let (pattern, glob) =
            self.pattern.strip_suffix('*').map_or((self.pattern.as_str(), false), |stem| (stem, true));
        if !pattern.contains('+') {
            return if glob { path.starts_with(pattern) } else { path == pattern };
        }
        let wanted: Vec<&str> = pattern.split('/').collect();
        let given: Vec<&str> = path.split('/').collect();
        if given.len() < wanted.len() || (!glob && given.len() != wanted.len()) {
            return false;
        }
        let last = wanted.len() - 1;
        wanted.iter().zip(&given).enumerate().all(|(index, (want, have))| match *want {
            "+" => true,
            want if glob && index == last => have.starts_with(want),
            want => want == *have,
        })
    }

    /// Vault's order of precedence between patterns; the greatest wins.
    fn precedence(&self) -> (bool, usize, bool, std::cmp::Reverse<usize>, usize, &str) {
        let wildcard = self.pattern.find('+').or_else(|| self.pattern.ends_with('*').then(|| self.pattern.len() - 1));
        let pluses = self.pattern.split('/').filter(|segment| *segment == "+").count();
        (
            wildcard.is_none(),
            wildcard.unwrap_or(usize::MAX),
            !self.pattern.ends_with('*'),
            std::cmp::Reverse(pluses),
            self.pattern.len(),
            &self.pattern,
        )
    }
}

/// The rule that decides about a path: the most specific pattern, merged over all policies.
pub(crate) fn decide<'a>(policies: impl Iterator<Item = &'a Policy>, path: &str) -> Option<Rule> {
    let mut matching: Vec<&Rule> =
        policies.flat_map(|policy| &policy.rules).filter(|rule| rule.matches(path)).collect();
    matching.sort_by(|a, b| b.precedence().cmp(&a.precedence()));
    let mut decision = (*matching.first()?).clone();
    for rule in matching.iter().filter(|rule| rule.pattern == decision.pattern) {
        decision.capabilities.extend(&rule.capabilities);
        decision.min_wrapping_ttl = decision.min_wrapping_ttl.max(rule.min_wrapping_ttl);
        decision.max_wrapping_ttl = [decision.max_wrapping_ttl, rule.max_wrapping_ttl].into_iter().flatten().min();
    }
    if decision.capabilities.contains(&Capability::Deny) {
        decision.capabilities = BTreeSet::from([Capability::Deny]);
    }
    Some(decision)
}

fn legacy(value: &Value) -> Option<Vec<Capability>> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    match value.as_str()? {
        "deny" => Some(vec![Deny]),
        "read" => Some(vec![Read, List]),
        "write" => Some(vec![Create, Read, Update, Delete, List]),
        "sudo" => Some(vec![Create, Read, Update, Delete, List, Sudo]),
        _ => None,
    }
}

fn wrapping_ttl(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => parse_duration(text),
        Value::Number(number) => Ok(Duration::from_secs(number.as_u64().unwrap_or_default())),
        _ => Err("invalid wrapping ttl".to_owned()),
    }
}

/// The text of Vault's built-in `default` policy.
pub(crate) const DEFAULT: &str = r#"
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"#;

/// What a wrapping token may do.
pub(crate) const RESPONSE_WRAPPING: &str = r#"
path "cubbyhole/response" { capabilities = ["create", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(policy: &str, path: &str) -> Vec<&'static str> {
        let policy = Policy::parse(policy).unwrap();
        let rule = decide([&policy].into_iter(), path).unwrap_or_default();
        rule.capabilities.iter().map(|capability| capability.name()).collect()
    }

    #[test]
    fn the_most_specific_pattern_decides() {
        let policy = r#"
            # the team's paths
            path "secret/*" { capabilities = ["read"] }
            path "secret/+/team" { capabilities = ["list"] }
            path "secret/data/team" { capabilities = ["update", "read"] } // exact
            path "secret/closed/*" { capabilities = ["deny", "read"] }
        "#;
        assert_eq!(capabilities(policy, "secret/x"), ["read"]);
        assert_eq!(capabilities(policy, "secret/data/team"), ["read", "update"]);
        assert_eq!(capabilities(policy, "secret/other/team"), ["list"]);
        assert_eq!(capabilities(policy, "secret/closed/x"), ["deny"]);
        assert_eq!(capabilities(policy, "elsewhere"), Vec::<&str>::new());
    }

    #[test]
    fn json_policies_are_read_too() {
        let policy = r#"{"path":{"aws/sts/+":{"capabilities":["create","update"]}}}"#;
        assert_eq!(capabilities(policy, "aws/sts/365-dev"), ["create", "update"]);
        assert_eq!(capabilities(policy, "aws/sts/a/b"), Vec::<&str>::new());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(Policy::parse(r#"path "x" { capabilities = ["fly"] }"#).is_err());
        assert!(Policy::parse(r#"path "x" { required_parameters = ["a"] }"#).is_err());
        assert!(Policy::parse(r#"path "x" { capabilities = ["read"]"#).is_err());
    }
}
