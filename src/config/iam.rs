//! The runner's own AWS credentials, for `--auth aws` and `--id-token-from aws`: where they are, and by which STS they are checked. Nothing is
//! asked here.
//!
//! The order is that of AWS's SDKs, without their files: a profile is a person's.

use std::path::PathBuf;

use super::source::{Layers, shown};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Server, is_bare, parse_server};
use crate::identity::{AwsKeys, AwsSigner, AwsSource};
use crate::origin::{Origin, WithOrigin};
use crate::provider::cloud::parse_place;
use crate::secret::Secret;
use crate::variables as var;

/// What signs, and where its credentials come from.
pub(super) struct Found {
    pub(super) signer: AwsSigner,
    pub(super) origin: Origin,
}

/// The address of the credentials of an ECS task.
const TASK: &str = "http://169.254.170.2";
/// The addresses beside this machine's that may be asked over http: ECS's, and EKS Pod Identity's.
const CONTAINER: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// The instance metadata service.
const INSTANCE: &str = "http://169.254.169.254";
/// Likewise, where the instance has IPv6 alone.
const INSTANCE_V6: &str = "http://[fd00:ec2::254]";

/// Decides what signs the login.
///
/// # Errors
/// [`Kind::Input`] for half a key, and where there is nothing to ask; [`Kind::Config`] for an endpoint that is not AWS's.
pub(super) fn resolve_signer(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Found> {
    let flag = ("--iam-server-id", flags.iam_server_id.as_deref());
    let server_id = layers.text(flag, var::of_flag(flag.0), |file| file.iam_server_id.as_deref())?;
    if let Some(id) = server_id.as_ref().filter(|id| !is_bare(&id.value)) {
        return Err(Error::new(Kind::Config, format!("the server ID (from {}) cannot be sent in a header", id.origin))
            .hint("it is iam_server_id_header_value of auth/aws/config/client, such as vault.example.com"));
    }
    let region = resolve_region(flags, layers)?.map(|region| region.value);
    let (source, keys, origin) = find_keys(layers)?;
    Ok(Found { signer: AwsSigner { source, keys, server_id: server_id.map(|id| id.value), region }, origin })
}

/// The region of STS that the user names.
pub(super) fn resolve_region(flags: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<WithOrigin<String>>> {
    let flag = ("--sts-region", flags.sts_region.as_deref());
    let Some(region) = layers.text(flag, var::of_flag(flag.0), |file| file.sts_region.as_deref())? else {
        return Ok(None);
    };
    Ok(Some(WithOrigin { value: parse_place(&region, "region of STS")?, origin: region.origin }))
}

/// Where the credentials are, and those of the environment.
pub(super) fn find_keys(layers: &Layers<'_>) -> Result<(AwsSource, AwsKeys, Origin)> {
    let [id, secret, session] =
        [var::AWS_ACCESS_KEY_ID, var::AWS_SECRET_ACCESS_KEY, var::AWS_SESSION_TOKEN].map(|name| layers.variable(name));
    let (id, secret, session) = (id?, secret?.map(|text| text.map(Secret::new)), session?);
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let session = session.map(|text| Secret::new(text.value.trim().to_owned()));
            let keys = AwsKeys {
                id: id.value.trim().to_owned(),
                secret: Secret::new(secret.value.expose().trim().to_owned()),
                session,
                expires_at: None,
            };
            check_keys(&keys)?;
            return Ok((AwsSource::Environment, keys, id.origin));
        }
        (None, None) => {}
        (Some(_), None) => return Err(half(var::AWS_ACCESS_KEY_ID, var::AWS_SECRET_ACCESS_KEY)),
        (None, Some(_)) => return Err(half(var::AWS_SECRET_ACCESS_KEY, var::AWS_ACCESS_KEY_ID)),
    }
    if let Some(url) = container_url(layers)? {
        let authorization = container_authorization(layers)?;
        return Ok((AwsSource::Container { url: url.value, authorization }, AwsKeys::blank(), url.origin));
    }
    let url = instance_url(layers)?;
    Ok((AwsSource::Instance { url: url.value }, AwsKeys::blank(), url.origin))
}

fn half(set: &str, missing: &str) -> Error {
    Error::new(Kind::Input, format!("{set} is set, but {missing} is not")).hint(format!("set both, or unset {set}"))
}

/// What stands in a header must be fit for one.
fn check_keys(keys: &AwsKeys) -> Result<()> {
    let texts = [
        (var::AWS_ACCESS_KEY_ID, keys.id.as_str()),
        (var::AWS_SECRET_ACCESS_KEY, keys.secret.expose()),
        (var::AWS_SESSION_TOKEN, keys.session.as_ref().map_or("", Secret::expose)),
    ];
    match texts.into_iter().find(|(_, text)| !is_bare(text)) {
        Some((name, _)) => Err(Error::new(Kind::Input, format!("{name} has a character that no AWS credential has"))
            .hint("it must be the bare value: one line, no blanks, no quotes")),
        None => Ok(()),
    }
}

/// Security: whoever sets the variable would get the container's token, and say who we are. So only the addresses that
/// AWS's SDKs ask are asked.
fn container_url(layers: &Layers<'_>) -> Result<Option<WithOrigin<String>>> {
    if let Some(path) = layers.variable(var::AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)? {
        if !path.value.starts_with('/') || !is_bare(&path.value) {
            return Err(Error::new(Kind::Config, format!("{} is not a path that begins with a slash", path.origin))
                .hint("ECS sets it; unset it to use other credentials"));
        }
        return Ok(Some(path.map(|path| format!("{TASK}{path}"))));
    }
    let Some(url) = layers.variable(var::AWS_CONTAINER_CREDENTIALS_FULL_URI)? else { return Ok(None) };
    let url = url.map(|url| url.trim().to_owned());
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("{} {problem}", url.origin)).hint(
            "it must be https://, or http:// to this machine, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]; unset it to \
            use other credentials",
        )
    };
    let server = parse_server(server_of(&url.value)).map_err(|problem| wrong(&problem))?;
    if !is_bare(&url.value) {
        return Err(wrong("has a character that no URL has"));
    }
    if !server.tls && !is_containers(&server) {
        return Err(wrong(&format!("is http:// to {}, which is not an address of AWS's", server.authority())));
    }
    Ok(Some(url))
}

fn is_containers(server: &Server) -> bool {
    server.is_loopback() || CONTAINER.contains(&server.host.as_str())
}

/// Scheme, host and port of a URL.
fn server_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |place| place + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |place| authority + place);
    &url[..end]
}

fn container_authorization(layers: &Layers<'_>) -> Result<Option<Secret>> {
    if let Some(path) = layers.variable(var::AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE)? {
        return read_authorization(&path, layers).map(Some);
    }
    let token = layers.variable(var::AWS_CONTAINER_AUTHORIZATION_TOKEN)?;
    token.map(|token| check_authorization(Secret::new(token.value), &token.origin.to_string())).transpose()
}

fn read_authorization(path: &WithOrigin<String>, layers: &Layers<'_>) -> Result<Secret> {
    let wrong = |problem: &str| {
        let place = shown(&WithOrigin { value: PathBuf::from(&path.value), origin: path.origin.clone() }, layers.host);
        Error::new(Kind::Input, format!("the authorization token file {place} {problem}"))
            .hint("EKS and ECS write it: this user must be able to read it, and no other user to write it")
    };
    let document = layers.host.read_document(path.value.as_ref()).map_err(|problem| wrong(&problem))?;
    let document = document.ok_or_else(|| wrong("does not exist"))?;
    if document.trust.foreign || document.trust.writable_by_others {
        return Err(wrong("can be written by other users"));
    }
    check_authorization(Secret::new(document.text.trim_end().to_owned()), &path.value)
}

/// A blank is between the scheme and the token; a line end would begin another header.
fn check_authorization(token: Secret, origin: &str) -> Result<Secret> {
    let is_fit = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if token.expose().bytes().all(is_fit) && !token.expose().is_empty() {
        return Ok(token);
    }
    let text = format!("the authorization token in {origin} is empty, or has a character that no header has");
    Err(Error::new(Kind::Input, text).hint("it must be one line"))
}

fn instance_url(layers: &Layers<'_>) -> Result<WithOrigin<String>> {
    if layers
        .variable(var::AWS_EC2_METADATA_DISABLED)?
        .is_some_and(|text| text.value.trim().eq_ignore_ascii_case("true"))
    {
        return Err(Error::new(
            Kind::Input,
            "there are no AWS credentials: neither AWS_ACCESS_KEY_ID nor a container's are set, and \
            AWS_EC2_METADATA_DISABLED is true",
        )
        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run the job where AWS gives it a role"));
    }
    let Some(url) = layers.variable(var::AWS_EC2_METADATA_SERVICE_ENDPOINT)? else {
        let mode = layers.variable(var::AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE)?;
        let is_v6 = mode.is_some_and(|mode| mode.value.trim().eq_ignore_ascii_case("ipv6"));
        let url = if is_v6 { INSTANCE_V6 } else { INSTANCE };
        return Ok(WithOrigin { value: url.into(), origin: Origin::Service("the instance metadata service") });
    };
    let url = url.map(|url| url.trim().trim_end_matches('/').to_owned());
    match parse_server(&url.value) {
        Ok(_) => Ok(url),
        Err(problem) => Err(Error::new(Kind::Config, format!("{} {problem}", url.origin))
            .hint("it is the URL of the instance metadata service, such as http://169.254.169.254")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Fake, Host};

    fn find(variables: &[(&str, &str)]) -> Result<(AwsSource, AwsKeys, Origin)> {
        let host = Host::fake(Fake::default().with_variables(variables.iter().copied()));
        find_keys(&Layers::bare(&host))
    }

    #[test]
    fn the_environment_wins_over_the_container_and_that_over_the_instance() {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", " s/e+c \n")];
        let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x?a=b");
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
        let (source, found, origin) = find(&[keys[0], keys[1], relative, full]).unwrap();
        assert!(matches!(source, AwsSource::Environment));
        assert_eq!((found.id.as_str(), found.secret.expose()), ("AKIDEXAMPLE", "s/e+c"));
        assert_eq!(origin.to_string(), "AWS_ACCESS_KEY_ID");
        for (variables, expected) in [
            (&[relative, full][..], "http://169.254.170.2/v2/credentials/x?a=b"),
            (&[full][..], "http://169.254.170.23/v1/credentials"),
        ] {
            let (AwsSource::Container { url, .. }, ..) = find(variables).unwrap() else { panic!("{expected}") };
            assert_eq!(url, expected);
        }
        for (variables, expected) in [
            (&[][..], "http://169.254.169.254"),
            (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")][..], "http://[fd00:ec2::254]"),
            (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/")][..], "http://127.0.0.1:1338"),
        ] {
            let (AwsSource::Instance { url }, ..) = find(variables).unwrap() else { panic!("{expected}") };
            assert_eq!(url, expected);
        }
    }

    #[test]
    fn half_a_key_and_an_endpoint_that_is_not_of_aws_are_refused() {
        const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        for (variables, kind) in [
            (&[("AWS_ACCESS_KEY_ID", "AKID")][..], Kind::Input),
            (&[("AWS_SECRET_ACCESS_KEY", "s")][..], Kind::Input),
            (&[("AWS_ACCESS_KEY_ID", "AK ID"), ("AWS_SECRET_ACCESS_KEY", "s")][..], Kind::Input),
            (&[("AWS_EC2_METADATA_DISABLED", "TRUE")][..], Kind::Input),
            (&[(FULL, "http://10.0.0.1/v1")][..], Kind::Config),
            (&[(FULL, "http://169.254.170.2.evil.tld/")][..], Kind::Config),
            (&[(FULL, "http://127.0.0.1@evil.tld/")][..], Kind::Config),
            (&[(FULL, "file:///etc/passwd")][..], Kind::Config),
            (&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.tld/")][..], Kind::Config),
            (&[(FULL, "http://localhost:1/"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\nb")][..], Kind::Input),
            (&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense")][..], Kind::Config),
        ] {
            assert_eq!(find(variables).unwrap_err().kind(), kind, "{variables:?}");
        }
        for url in
            ["https://credentials.example.com/x", "http://127.0.0.1:8/x?y=z", "http://localhost", "http://[::1]/"]
        {
            assert!(find(&[(FULL, url)]).is_ok(), "{url}");
        }
    }
}
