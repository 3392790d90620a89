//! AWS without Vault: which role takes the job's ID token, at which endpoint of STS, and for how long.

use std::borrow::Cow;
use std::path::PathBuf;

use url::Url;

use super::aws_endpoint::{ID_TOKEN, authority, resolve_endpoint};
use super::connection::{Deadlines, resolve_deadlines, resolve_retries};
use super::id_token::{find_audience as find_named_audience, find_system};
use super::identity::resolve_id_token;
use super::name::resolve_placeholders;
use super::plan::{Access, CredentialPlan, StsPlan};
use super::proxy::resolve_general_proxy;
use super::source::Layers;
use super::web_role::{audience_of, partition, resolve_role};
use crate::aws::assume::{ASSUME_ROLE, FormFields, WITH_WEB_IDENTITY};
use crate::aws::sts;
use crate::ci::{CiFacts, CiSystem};
use crate::claims::Claims;
use crate::cli;
use crate::error::{Error, Kind, Result, sanitized};
use crate::http::transport::Connection;
use crate::identity::Login;
use crate::mint::Mint;
use crate::origin::{Origin, WithOrigin};
use crate::provider::aws::web_identity::{check_session_name, parse_policy, render_session_name};
use crate::provider::cloud::{Setting, parse_place};
use crate::provider::role::{SecondRole, WebIdentityRequest};
use crate::variables as var;

/// What is decided about a credential that needs no Vault.
pub(super) struct WebIdentityPlan {
    pub(super) sts: StsPlan,
    /// How STS is reached, and who the job is.
    pub(super) access: Access,
    pub(super) wanted: CredentialPlan,
}

/// Decides about it.
///
/// # Errors
/// [`Kind::Usage`] for what STS does not take; [`Kind::Config`] where the ID token is not for AWS, or the endpoint is not
/// STS; [`Kind::Input`] where there is no ID token.
pub(super) fn resolve(
    request: WebIdentityRequest,
    (flags, cli::AccessFlags { login, connection }): (&cli::CredentialFlags, &cli::AccessFlags),
    process: bool,
    layers: &Layers<'_>,
) -> Result<WebIdentityPlan> {
    for (flag, said) in [("--role", &flags.engine.role), ("--mount", &flags.engine.mount)] {
        if said.is_some() {
            return Err(Error::new(Kind::Usage, format!("{flag} is for Vault, and --via web-identity asks none"))
                .hint(format!("drop {flag}; --role-arn names the role of AWS")));
        }
    }
    let role = resolve_role(request.role, layers)?;
    let partition = partition(&role.value);
    let region = resolve_region(request.region, partition, layers)?;
    let region = region.as_ref();
    let (connection, sts_region) = resolve_endpoint(region, partition, request.fips, (ID_TOKEN, layers), |address| {
        let Deadlines { connect, request, run } = resolve_deadlines(connection, process, layers)?;
        let retries = resolve_retries(connection, layers)?;
        let proxy = resolve_general_proxy(&address, layers)?;
        let reached = Connection::to_service(address, String::new(), run);
        Ok(Connection { proxy, connect_timeout: connect, request_timeout: request, retries, ..reached })
    })?;
    let any_audience = login.any_audience;
    let named = find_named_audience(login, layers)?;
    let login = resolve_id_token(audience_of(partition), login, layers)?;
    let claims = login.identity.claims().cloned().unwrap_or_default();
    check_token(&login)?;
    if !any_audience {
        check_audience(&claims, audience_of(partition), named.as_ref(), &login.origin)?;
    }
    let name = match request.session_name {
        Some(name) => check_session_name(resolve_placeholders(name, Some(&claims), layers)?)?,
        None => default_session_name(&claims),
    };
    let seconds = request.ttl.as_ref().map(|ttl| ttl.value.as_secs().to_string());
    let mut first: FormFields = vec![("RoleArn", role.value.clone()), ("RoleSessionName", name.clone())];
    // The first of two sessions lives for as long as STS takes to give the second one.
    let shortest = request.second.as_ref().map(|_| "900".to_owned());
    first.extend(shortest.or_else(|| seconds.clone()).map(|seconds| ("DurationSeconds", seconds)));
    if let Some(file) = request.policy_file {
        first.push(("Policy", read_policy(file, layers)?));
    }
    first.extend(POLICIES.into_iter().zip(request.policy_arns));
    let second = request.second.map(|second| second_fields(second, &name, seconds));
    let authority = authority(&connection);
    let wanted = describe(flags, &role, request.companions, (&first, second.as_ref()))?;
    let remedy = describe_remedy(second.is_some(), &login.origin, layers)?;
    let sts = StsPlan { authority, region: sts_region, first, second, remedy };
    Ok(WebIdentityPlan { sts, access: Access { connection, login }, wanted })
}

/// What to change where a command outlives the job's ID token and the session that it got last.
fn describe_remedy(has_second: bool, origin: &Origin, layers: &Layers<'_>) -> Result<String> {
    let system = find_system(layers)?;
    if let Some(facts) = system.map(CiSystem::facts).filter(|facts| facts.request.is_some()) {
        let name = facts.name;
        return Ok(format!(
            "pass --id-token-from {name} in place of {origin}: it requests a new ID token for each session"
        ));
    }
    let longer = match system {
        Some(CiSystem::Gitlab) => "raise `timeout:` of the job, for which GitLab's ID tokens live",
        _ => "give the job an ID token that lives longer",
    };
    // AWS limits the session of a second role to an hour.
    Ok(if has_second {
        longer.to_owned()
    } else {
        format!("{longer}, or raise --ttl, up to MaxSessionDuration of the role")
    })
}

/// What the run calls the credential, and what tells it from another one in the cache.
fn describe(
    flags: &cli::CredentialFlags,
    role: &WithOrigin<String>,
    companions: Vec<(&'static str, String)>,
    (first, second): (&FormFields, Option<&FormFields>),
) -> Result<CredentialPlan> {
    let is_said = |setting: &'static Setting| flags.said(setting).is_some();
    let shape = flags.cloud.shape(is_said).ok_or_else(|| Error::new(Kind::Internal, "a cloud has no shape"))?;
    let last = second.and_then(|fields| fields.iter().find(|(name, _)| *name == "RoleArn"));
    let action = if second.is_some() { ASSUME_ROLE } else { WITH_WEB_IDENTITY };
    // The second role's fields have the names of the first one's, and stand behind them.
    let parameters = first.iter().chain(second.into_iter().flatten()).cloned().collect();
    Ok(CredentialPlan {
        shape: Cow::Borrowed(shape),
        role: last.map_or_else(|| role.value.clone(), |(_, arn)| arn.clone()),
        role_origin: if second.is_some() { Origin::Flag("--assume") } else { role.origin.clone() },
        mint: Mint {
            path: format!("sts:{action}"),
            roles: String::new(),
            parameters,
            body: None,
            stored: false,
            writable: false,
            temporary: true,
        },
        companions,
        readiness: None,
        keep_profile: flags.cloud.keep_profile.is_some_and(is_said),
    })
}

/// The region of STS: that of the job's tools, as long as the role is in the same partition.
fn resolve_region(
    said: Option<WithOrigin<String>>,
    partition: &str,
    layers: &Layers<'_>,
) -> Result<Option<WithOrigin<String>>> {
    let region = match said {
        Some(region) => Some(region),
        None => layers.first_variable(&[var::AWS_REGION, var::AWS_DEFAULT_REGION])?,
    };
    let Some(region) = region else { return Ok(None) };
    let name = parse_place(&region, "region")?;
    let of_region = sts::partition_of(&name);
    if of_region != partition {
        return Err(Error::new(
            Kind::Usage,
            format!(
                "the role is in the partition {partition}, and the region {name} (from {}) in {of_region}",
                region.origin
            ),
        )
        .hint("--region must name a region of the role's partition"));
    }
    Ok(Some(WithOrigin { value: name, origin: region.origin }))
}

/// STS takes 4 to 20,000 characters.
fn check_token(login: &Login) -> Result<()> {
    let length = login.identity.id_token().map_or(0, |token| token.expose().len());
    if (4..=20_000).contains(&length) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Input,
        format!("the ID token (from {}) has {length} characters, and AWS takes 20000 at most", login.origin),
    )
    .hint("have a token signed with fewer claims"))
}

/// Holds the audience against AWS's. A token that is for another server would be shown to AWS, and AWS would refuse it.
///
/// The audience that the user names is good as well, unless it is the URL of another host than the issuer: such a one names
/// a Vault. An audience that is the issuer itself is what many providers in IAM are made with.
fn check_audience(claims: &Claims, of_aws: &str, named: Option<&WithOrigin<String>>, origin: &Origin) -> Result<()> {
    let issuer = claims.text("iss").and_then(|issuer| host_in(&issuer));
    let audiences = claims.audiences();
    let is_good = |audience: &String| match host_in(audience) {
        Some(host) => issuer.as_ref() == Some(&host),
        None => audience == of_aws || named.is_some_and(|named| named.value == *audience),
    };
    if audiences.iter().any(is_good) {
        return Ok(());
    }
    let told = if audiences.is_empty() { "nobody".to_owned() } else { sanitized(&audiences.join(", ")) };
    Err(Error::new(
        Kind::Config,
        format!("the ID token (from {origin}) is for {told} and not for AWS: it was not sent"),
    )
    .hint(format!(
        "have a token signed for {of_aws}: {}; --any-audience sends this one",
        set_audience(claims, of_aws, origin)
    )))
}

/// What sets the audience in the CI system that signed the token.
fn set_audience(claims: &Claims, of_aws: &str, origin: &Origin) -> String {
    match CiSystem::of_token(origin, claims).filter(|system| *system != CiSystem::Gitlab).map(CiSystem::facts) {
        Some(CiFacts { audience: Some(change), .. }) => format!("{change} to {of_aws}"),
        Some(CiFacts { title, .. }) => format!("{title} signs no other one, so let the provider in IAM take this one"),
        None => {
            format!("in GitLab `id_tokens: {{AWS_ID_TOKEN: {{aud: {of_aws}}}}}` and --id-token-env AWS_ID_TOKEN")
        }
    }
}

/// The host of a URL.
fn host_in(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(url.host_str()?.trim_end_matches('.').to_owned())
}

/// `{project_name}-{job_id}`, as far as the token says them.
fn default_session_name(claims: &Claims) -> String {
    let value = |names: &[&str]| names.iter().find_map(|name| claims.placeholder(name)).map(|(value, _)| value);
    let parts = [value(&["project_name", "project_id"]), value(&["job_id", "pipeline_id"])];
    render_session_name(&parts.into_iter().flatten().collect::<Vec<_>>())
}

fn read_policy(file: WithOrigin<String>, layers: &Layers<'_>) -> Result<String> {
    let path = PathBuf::from(&file.value);
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("the policy file {} (from {}) {problem}", path.display(), file.origin))
            .hint("--policy-file takes the path of a file with one IAM policy document")
    };
    let document = layers
        .host
        .read_document(&path)
        .map_err(|problem| wrong(&format!("cannot be read: {problem}")))?
        .ok_or_else(|| wrong("does not exist"))?;
    parse_policy(document.text.as_str(), &file.origin)
}

fn second_fields(second: SecondRole, name: &str, seconds: Option<String>) -> FormFields {
    let mut fields = vec![("RoleArn", second.arn.value), ("RoleSessionName", name.to_owned())];
    fields.extend(seconds.map(|seconds| ("DurationSeconds", seconds)));
    fields.extend(second.external_id.map(|id| ("ExternalId", id)));
    fields.extend(second.source_identity.map(|name| ("SourceIdentity", name)));
    fields
}

const POLICIES: [&str; 10] = [
    "PolicyArns.member.1.arn",
    "PolicyArns.member.2.arn",
    "PolicyArns.member.3.arn",
    "PolicyArns.member.4.arn",
    "PolicyArns.member.5.arn",
    "PolicyArns.member.6.arn",
    "PolicyArns.member.7.arn",
    "PolicyArns.member.8.arn",
    "PolicyArns.member.9.arn",
    "PolicyArns.member.10.arn",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_for_aws_is_sent_to_aws() {
        let check = |aud: &str, named: Option<&str>| {
            let claims = Claims::from_json(&format!("{{\"iss\":\"https://gitlab.corp\",\"aud\":{aud}}}")).unwrap();
            let named =
                named.map(|text| WithOrigin { value: text.to_owned(), origin: Origin::Flag("--id-token-audience") });
            check_audience(&claims, "sts.amazonaws.com", named.as_ref(), &Origin::Variable("T".into()))
        };
        for (aud, named) in [
            ("\"sts.amazonaws.com\"", None),
            ("[\"sts.amazonaws.com\"]", None),
            ("[\"x\",\"sts.amazonaws.com\"]", None),
            ("\"https://gitlab.corp\"", None),
            ("\"my-client\"", Some("my-client")),
        ] {
            assert!(check(aud, named).is_ok(), "{aud} {named:?}");
        }
        for (aud, named) in [
            ("\"https://vault.corp:8200\"", None),
            ("\"https://vault.corp:8200\"", Some("https://vault.corp:8200")),
            ("\"my-client\"", None),
            ("\"my-client\"", Some("other")),
            ("\"sts.amazonaws.com.cn\"", None),
            ("[]", None),
            ("7", None),
        ] {
            let error = check(aud, named).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{aud}");
            assert!(error.message().contains("it was not sent"), "{}", error.message());
        }
    }

    #[test]
    fn a_session_is_named_after_project_and_job_of_any_ci() {
        for (claims, name) in [
            (r#"{"namespace_path":"g","project_path":"g/web site","job_id":"17"}"#, "web-site-17"),
            (r#"{"repository_owner":"o","repository":"o/r","run_id":"5"}"#, "r-5"),
            (r#"{"sub":"x"}"#, "ci-creds"),
        ] {
            assert_eq!(default_session_name(&Claims::from_json(claims).unwrap()), name);
        }
    }
}
