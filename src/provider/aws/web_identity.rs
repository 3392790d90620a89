//! A role of AWS that the job assumes with its own ID token: what a user may say of it, within the limits of STS.
//!
//! Source of the limits: STS's API reference, as botocore has it. AWS would refuse what is outside, after it has seen the
//! token.

use std::time::Duration;

use super::setting;
use crate::error::{Error, Kind, Result};
use crate::origin::{Origin, WithOrigin};
use crate::provider::cloud::{Choices, parse_place};
use crate::provider::role::{SecondRole, WebIdentityRequest};
use crate::time::parse_duration;

/// The shortest session, and the longest that any role allows.
const SHORTEST: Duration = Duration::from_secs(900);
const LONGEST: Duration = Duration::from_secs(43_200);
/// AWS refuses a longer session of a role that was assumed with another role's session.
const LONGEST_CHAINED: Duration = Duration::from_secs(3600);
/// The characters of a session's name, beside letters and digits.
const NAME: &str = "_+=,.@-";

/// What was said, where it is `--via web-identity`.
///
/// # Errors
/// [`Kind::Usage`] for what STS does not take.
pub(super) fn request(said: &Choices<'_>) -> Result<Option<WebIdentityRequest>> {
    let is_asked = (said.text)(&setting::VIA)?.is_some_and(|via| via.value == setting::WEB_IDENTITY);
    if !is_asked {
        return Ok(None);
    }
    if (said.is_on)(&setting::WAIT_READY) {
        return Err(Error::new(Kind::Usage, "--wait-ready is for an IAM user, and --via web-identity makes none")
            .hint("drop --wait-ready: STS credentials work at once"));
    }
    let region = (said.text)(&setting::REGION)?;
    let mut companions = Vec::new();
    if let Some(region) = &region {
        let region = parse_place(region, "region")?;
        companions.extend(setting::REGIONS.map(|name| (name, region.clone())));
    }
    let second = resolve_second(said)?;
    let ttl = (said.text)(&setting::TTL)?;
    let ttl = ttl.map(|text| parse_life(&text, second.is_some())).transpose()?;
    let policies = (said.text)(&setting::POLICY_ARN)?;
    Ok(Some(WebIdentityRequest {
        role: (said.text)(&setting::ROLE_ARN)?.map(|arn| parse_role(arn, setting::ROLE_ARN.flag)).transpose()?,
        session_name: (said.text)(&setting::SESSION_NAME)?,
        ttl,
        policy_file: (said.text)(&setting::POLICY_FILE)?,
        policy_arns: policies.map(|list| parse_policies(&list)).transpose()?.unwrap_or_default(),
        region,
        fips: (said.is_on)(&setting::FIPS),
        companions,
        second,
    }))
}

/// Refuses a setting that only `--via web-identity` has, where that is not asked for: a policy that limits nothing would be
/// a surprise.
///
/// # Errors
/// [`Kind::Usage`].
pub(super) fn refuse_strays(said: &Choices<'_>) -> Result<()> {
    for setting in [
        &setting::POLICY_FILE,
        &setting::POLICY_ARN,
        &setting::ASSUME,
        &setting::EXTERNAL_ID,
        &setting::SOURCE_IDENTITY,
    ] {
        if let Some(text) = (said.text)(setting)?
            && matches!(text.origin, Origin::Flag(_))
        {
            return Err(stray(setting.flag));
        }
    }
    if (said.is_on)(&setting::FIPS) {
        return Err(stray(setting::FIPS.flag));
    }
    Ok(())
}

fn stray(flag: &str) -> Error {
    Error::new(Kind::Usage, format!("{flag} is for --via web-identity, and this credential comes from Vault"))
        .hint(format!("add --via web-identity, or drop {flag}"))
}

fn resolve_second(said: &Choices<'_>) -> Result<Option<SecondRole>> {
    let external_id = (said.text)(&setting::EXTERNAL_ID)?
        .map(|id| parse_text(id, "_+=,.@:/-", (2, 1224), "external ID"))
        .transpose()?;
    let source_identity = (said.text)(&setting::SOURCE_IDENTITY)?
        .map(|name| parse_text(name, NAME, (2, 256), "source identity"))
        .transpose()?;
    let Some(arn) = (said.text)(&setting::ASSUME)? else {
        return match (external_id, source_identity) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(alone("--external-id")),
            (None, Some(_)) => Err(alone("--source-identity")),
        };
    };
    Ok(Some(SecondRole { arn: parse_role(arn, setting::ASSUME.flag)?, external_id, source_identity }))
}

fn alone(flag: &str) -> Error {
    Error::new(Kind::Usage, format!("{flag} belongs to a second role, and none is set"))
        .hint(format!("add --assume ARN, or drop {flag}: an ID token takes it from a claim"))
}

/// A role's ARN: `arn:aws:iam::123456789012:role/deploy`, with a path before the name where it has one.
pub(crate) fn parse_role(arn: WithOrigin<String>, flag: &str) -> Result<WithOrigin<String>> {
    let text = arn.value.as_str();
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let is_role = match parts.as_slice() {
        ["arn", partition, "iam", "", account, resource] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    };
    if is_role && (20..=2048).contains(&text.len()) && is_made_of(text, ":/+=,.@_-") {
        return Ok(arn);
    }
    Err(Error::new(Kind::Usage, format!("the role ARN (from {}) is not the ARN of a role", arn.origin))
        .hint(format!("{flag} arn:aws:iam::123456789012:role/NAME")))
}

/// The name of a session, its placeholders filled.
///
/// # Errors
/// [`Kind::Usage`].
pub(crate) fn check_session_name(name: WithOrigin<String>) -> Result<String> {
    parse_text(name, NAME, (2, 64), "session name")
}

/// The name of a session for this job: what STS does not take becomes a hyphen.
#[must_use]
pub(crate) fn render_session_name(parts: &[String]) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || NAME.contains(c) { c } else { '-' };
    let name: String = parts.join("-").chars().map(fit).take(64).collect();
    if name.len() < 2 { "ci-creds".into() } else { name }
}

/// A policy, as STS takes it. `text` is the file's.
///
/// # Errors
/// [`Kind::Usage`] for one that is too long or no JSON object.
pub(crate) fn parse_policy(text: &str, origin: &dyn std::fmt::Display) -> Result<String> {
    let wrong = |problem: &str| {
        Error::new(Kind::Usage, format!("the policy (from {origin}) {problem}"))
            .hint("write one IAM policy document, in JSON, 2048 characters at most")
    };
    let text = text.trim();
    // Another reader than AWS's could take the other one of two keys: the text itself goes out, without its layout.
    let document: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong("is not JSON"))?;
    if !document.is_object() {
        return Err(wrong("is not a JSON object"));
    }
    let compact = without_layout(text);
    match compact.chars().count() {
        1..=2048 => Ok(compact),
        length => Err(wrong(&format!("has {length} characters, and STS takes 2048"))),
    }
}

/// JSON without the blanks between its words, which count for STS.
fn without_layout(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let is_kept = |c: &char| {
        let kept = inside || !c.is_ascii_whitespace();
        inside ^= *c == '"' && !escaped;
        escaped = inside && *c == '\\' && !escaped;
        kept
    };
    json.chars().filter(is_kept).collect()
}

fn parse_life(text: &WithOrigin<String>, chained: bool) -> Result<WithOrigin<Duration>> {
    let life = parse_duration(text)?;
    let longest = if chained { LONGEST_CHAINED } else { LONGEST };
    if (SHORTEST..=longest).contains(&life) {
        return Ok(WithOrigin { value: life, origin: text.origin.clone() });
    }
    let hours = longest.as_secs() / 3600;
    let why = if chained { ", because AWS limits a role that another role assumes" } else { "" };
    Err(Error::new(Kind::Usage, format!("{}: STS credentials live for 15m to {hours}h{why}", text.origin))
        .hint("--ttl 15m, or --ttl 1h"))
}

fn parse_policies(list: &WithOrigin<String>) -> Result<Vec<String>> {
    let arns: Vec<_> = list.value.split_whitespace().map(str::to_owned).collect();
    if arns.len() > 10 {
        return Err(Error::new(
            Kind::Usage,
            format!("{}: STS takes 10 policies, and these are {}", list.origin, arns.len()),
        )
        .hint("put them into one policy: --policy-file PATH"));
    }
    let is_policy = |arn: &String| {
        (20..=2048).contains(&arn.len())
            && arn.starts_with("arn:aws")
            && arn.contains(":policy/")
            && is_made_of(arn, ":/+=,.@_-")
    };
    if !arns.iter().all(is_policy) {
        return Err(Error::new(
            Kind::Usage,
            format!("the policy ARN (from {}) is not the ARN of a policy", list.origin),
        )
        .hint("--policy-arn arn:aws:iam::aws:policy/ReadOnlyAccess"));
    }
    Ok(arns)
}

fn parse_text(text: WithOrigin<String>, others: &str, (least, most): (usize, usize), what: &str) -> Result<String> {
    if (least..=most).contains(&text.value.len()) && is_made_of(&text.value, others) {
        return Ok(text.value);
    }
    Err(Error::new(
        Kind::Usage,
        format!("the {what} (from {}) has a length or a character that AWS refuses", text.origin),
    )
    .hint(format!("use {least} to {most} letters, digits and {others}")))
}

fn is_made_of(text: &str, others: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> WithOrigin<String> {
        WithOrigin { value: text.into(), origin: Origin::Flag("--x") }
    }

    #[test]
    fn a_role_is_an_arn_of_iam() {
        for arn in [
            "arn:aws:iam::123456789012:role/deploy",
            "arn:aws-cn:iam::123456789012:role/ci/path/deploy",
            "arn:aws-us-gov:iam::123456789012:role/x",
        ] {
            assert!(parse_role(said(arn), "--role-arn").is_ok(), "{arn}");
        }
        let long = format!("arn:aws:iam::123456789012:role/{}", "a".repeat(2048));
        for arn in [
            "",
            "deploy",
            "arn:aws:iam::123456789012:user/deploy",
            "arn:aws:iam::12345:role/deploy",
            "arn:aws:sts::123456789012:assumed-role/x/y",
            "arn:gcp:iam::123456789012:role/deploy",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            &long,
        ] {
            assert_eq!(parse_role(said(arn), "--role-arn").unwrap_err().kind(), Kind::Usage, "{arn}");
        }
    }

    #[test]
    fn a_life_is_what_sts_takes_and_an_hour_for_a_second_role() {
        let life = |text: &str, chained| parse_life(&said(text), chained).map(|life| life.value.as_secs());
        assert_eq!(
            (life("15m", false).unwrap(), life("12h", false).unwrap(), life("1h", true).unwrap()),
            (900, 43_200, 3600)
        );
        for (text, chained) in [("899", false), ("43201", false), ("14m", true), ("3601", true)] {
            assert_eq!(life(text, chained).unwrap_err().kind(), Kind::Usage, "{text}");
        }
        assert!(life("2h", true).unwrap_err().render(false).contains("15m to 1h, because"));
    }

    #[test]
    fn a_session_is_named_after_the_job_with_hyphens_and_64_characters_at_most() {
        let name =
            |parts: &[&str]| render_session_name(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(name(&["web site", "17"]), "web-site-17");
        assert_eq!(name(&["a/b:c", "é"]), "a-b-c--");
        assert_eq!(name(&[&"x".repeat(80), "17"]), "x".repeat(64));
        assert_eq!((name(&[]), name(&["x"])), ("ci-creds".to_owned(), "ci-creds".to_owned()));
    }

    #[test]
    fn names_ids_and_policies_keep_the_limits_of_sts() {
        let name = |text: &str| check_session_name(said(text));
        assert!(name("ab").is_ok() && name(&"a".repeat(64)).is_ok() && name("a+=,.@-_9").is_ok());
        for text in ["a", &"a".repeat(65), "a b", "a/b", "é1"] {
            assert_eq!(name(text).unwrap_err().kind(), Kind::Usage, "{text}");
        }
        let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess ";
        assert_eq!(parse_policies(&said(&arn.repeat(10))).unwrap().len(), 10);
        for list in [arn.repeat(11), "arn:aws:s3:::bucket-of-somebody".into(), "ReadOnlyAccess".into()] {
            assert!(parse_policies(&said(&list)).is_err(), "{list}");
        }
        let policy = |text: &str| parse_policy(text, &"--policy-file");
        assert_eq!(policy("{ \"Version\": \"2012-10-17\" }\n").unwrap(), "{\"Version\":\"2012-10-17\"}");
        let text = "{ \"a b\" : [ \"c \\\" d\", \"\\\\\" , 1 ] }";
        assert_eq!(policy(text).unwrap(), "{\"a b\":[\"c \\\" d\",\"\\\\\",1]}");
        let of = |length: usize| format!("{{\"S\":\"{}\"}}", "é".repeat(length - 8));
        assert!(policy(&of(2048)).is_ok());
        for text in ["", "[]", "{", "x", &of(2049)] {
            assert!(policy(text).is_err(), "{text}");
        }
    }
}
