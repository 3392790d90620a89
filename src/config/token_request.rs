//! What a run has to request before it begins: the ID token of its job, where the CI system gives one by request only.
//!
//! Nothing is requested here. The answer comes back with the flags, because roles can have its claims in them.

use std::path::PathBuf;
use std::time::Duration;

use super::aws_endpoint::{SIGNED_REQUEST, authority, resolve_endpoint};
use super::connection::{resolve_connection, resolve_deadlines, resolve_retries};
use super::iam;
use super::id_token::{Offer, OfferWay, find_audience, find_id_token_for, find_offer, find_system, setup};
use super::method::wants_offer;
use super::proxy::resolve_general_proxy;
use super::source::Layers;
use super::trust::check_origin;
use super::web_role;
use crate::aws::sts;
use crate::ci::{CiSystem, TokenEndpoint, TokenProgram, TokenSource};
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Address, Server, parse_server};
use crate::http::transport::Connection;
use crate::identity::{AwsKeys, AwsSource};
use crate::origin::{Origin, WithOrigin};
use crate::provider::cloud::parse_place;
use crate::secret::Secret;
use crate::variables as var;

/// A token to request before the run begins.
#[derive(Debug)]
pub(crate) struct TokenRequest {
    pub system: CiSystem,
    pub target: TokenTarget,
    /// What the token must be for. `None`: the system signs one audience only.
    pub audience: Option<String>,
    /// What proves that the request is the job's.
    pub key: Option<Secret>,
    /// The deadline of the whole run.
    pub timeout: Duration,
    /// Whether a request may be sent again.
    pub repeats: bool,
    /// What the job needs to be given a token, as a hint.
    pub setup: String,
}

/// Who is asked for it.
#[derive(Debug)]
pub(crate) enum TokenTarget {
    /// An endpoint, and what is behind its address: nothing, or `?` and the query.
    Http { endpoint: TokenEndpoint, connection: Box<Connection>, query: String, token: Secret },
    /// A program.
    Program { path: PathBuf, arguments: Vec<String> },
    /// STS of AWS.
    Sts(Box<StsTarget>),
}

/// STS in a region, and who asks it.
#[derive(Debug)]
pub(crate) struct StsTarget {
    pub connection: Connection,
    /// The `Host` header, which is signed.
    pub authority: String,
    /// The region that the signature is for.
    pub region: String,
    /// Where the runner's own credentials come from.
    pub source: AwsSource,
    /// Those of the environment; blank until they are fetched.
    pub keys: AwsKeys,
    /// Where they come from, for messages.
    pub origin: Origin,
}

/// Decides what has to be requested before anything else is decided. `None` in every job whose token is in a variable or
/// a file, at the cost of a few variables.
///
/// # Errors
/// As [`super::resolve_fetch`].
pub(crate) fn resolve_token_request(
    cli::AccessFlags { login, connection }: &cli::AccessFlags,
    wanted: Option<&cli::CredentialFlags>,
    layers: &Layers<'_>,
) -> Result<Option<TokenRequest>> {
    let said = login.id_token_from.is_some() || layers.variable(var::CI_CREDS_ID_TOKEN_FROM)?.is_some();
    let here = find_system(layers)?.and_then(|system| system.facts().request);
    // A file is heard only where no variable tells of the system.
    let in_a_file = || layers.files.find(|file| file.id_token_from.as_deref().and_then(CiSystem::parse));
    if !said && here.is_none() && in_a_file().is_none_or(|system| system.value.facts().sign.is_some()) {
        return Ok(None);
    }
    if let Some(audience) = wanted.map(|wanted| web_role::find_audience(wanted, layers)).transpose()?.flatten() {
        let Some(Offer { system, way: OfferWay::Request, .. }) = find_unless_given(&audience, login, layers)? else {
            return Ok(None);
        };
        if system == CiSystem::Aws {
            let error = "AWS takes no ID token of its own for a role: GetWebIdentityToken signs for other servers";
            return Err(Error::new(Kind::Usage, error)
                .hint("drop --via web-identity to read the credential from Vault, or use another ID token"));
        }
        let audience = find_audience(login, layers)?.map_or(audience, |named| named.value);
        let timeout = resolve_deadlines(connection, false, layers)?.run;
        let job = JobSide { system, audience, timeout, repeats: resolve_retries(connection, layers)? > 0 };
        return job.request(login, layers);
    }
    let Some(system) = wants_offer(login, layers)? else { return Ok(None) };
    let vault = resolve_connection(connection, false, layers)?;
    check_origin(&vault, &layers.files)?;
    let audience = match find_audience(login, layers)? {
        Some(audience) => audience.value,
        None => match &vault.address {
            Address::Tcp(server) => origin_of(server),
            Address::Unix(_) => {
                let error =
                    "the audience of the ID token is not set, and a socket as Vault's address does not name one";
                return Err(Error::new(Kind::Config, error).hint("--id-token-audience https://vault.example.com"));
            }
        },
    };
    JobSide { system, audience, timeout: vault.timeout, repeats: vault.retries > 0 }.request(login, layers)
}

/// What the CI system offers where the user gives no token for a server of this audience.
fn find_unless_given(audience: &str, login: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<Offer>> {
    if find_id_token_for(audience, login, layers)?.is_some() { Ok(None) } else { find_offer(login, layers) }
}

/// A URL's origin (RFC 6454): no port that is the scheme's own.
fn origin_of(server: &Server) -> String {
    let scheme = if server.tls { "https" } else { "http" };
    format!("{scheme}://{}", server.host_header())
}

/// What both ways of a request have in common.
struct JobSide {
    system: CiSystem,
    audience: String,
    timeout: Duration,
    repeats: bool,
}

impl JobSide {
    fn request(self, login: &cli::LoginFlags, layers: &Layers<'_>) -> Result<Option<TokenRequest>> {
        match self.system.facts().request {
            Some(TokenSource::Http(endpoint)) => self.by_http(endpoint, layers).map(Some),
            Some(TokenSource::Program(program)) => self.by_program(program, layers).map(Some),
            Some(TokenSource::Sts) => self.by_sts(login, layers).map(Some),
            None => Ok(None),
        }
    }

    /// Security: the job's request token goes to the host that the CI system names, over https, and nowhere else.
    fn by_http(self, endpoint: TokenEndpoint, layers: &Layers<'_>) -> Result<TokenRequest> {
        let needed = |name: &str| {
            layers.variable(name)?.ok_or_else(|| Error::new(Kind::Input, format!("{name} is not set in this job")))
        };
        let (url, token) = (needed(endpoint.url)?, needed(endpoint.token)?);
        let wrong = |problem: &str| {
            Error::new(Kind::Config, format!("the URL in {} {problem}", url.origin))
                .hint(format!("{} sets it in the job: leave it as it is", self.system.facts().title))
        };
        let (place, query) =
            url.value.split_once('?').map_or((url.value.as_str(), None), |(place, query)| (place, Some(query)));
        let server = parse_server(place).map_err(|problem| wrong(&problem))?;
        if !server.tls && !server.is_loopback() {
            return Err(wrong(&format!(
                "is http:// to {}: anyone on the network path could read the token",
                server.authority()
            )));
        }
        if query.is_some_and(|query| query.contains('#') || !query.bytes().all(|byte| (0x21..=0x7e).contains(&byte))) {
            return Err(wrong("has a query with a fragment or a blank in it"));
        }
        let connection = self.connect(Address::Tcp(server), url.origin.to_string(), layers)?;
        let audience = endpoint.takes_audience.then_some(self.audience);
        let more = endpoint.parameter.into_iter().chain(audience.as_deref().map(|audience| ("audience", audience)));
        let mut text = String::new();
        let mut joint = '?';
        for piece in
            query.map(str::to_owned).into_iter().chain(more.map(|(name, value)| format!("{name}={}", encode(value))))
        {
            text.push(joint);
            text.push_str(&piece);
            joint = '&';
        }
        let key = Secret::new(token.value);
        let target =
            TokenTarget::Http { endpoint, connection: Box::new(connection), query: text, token: key.duplicate() };
        Ok(TokenRequest {
            system: self.system,
            target,
            audience,
            key: Some(key),
            timeout: self.timeout,
            repeats: self.repeats,
            setup: setup(self.system, layers),
        })
    }

    fn connect(&self, address: Address, address_origin: String, layers: &Layers<'_>) -> Result<Connection> {
        let proxy = resolve_general_proxy(&address, layers)?;
        let reached = Connection::to_service(address, address_origin, self.timeout);
        Ok(Connection { proxy, connect_timeout: ANSWER / 2, ..reached })
    }

    /// Without a region, AWS's tools ask the global endpoint, which does not have this action.
    fn by_sts(self, login: &cli::LoginFlags, layers: &Layers<'_>) -> Result<TokenRequest> {
        let (source, keys, origin) = iam::find_keys(layers)?;
        let region = match iam::resolve_region(login, layers)? {
            Some(region) => Some(region),
            None => layers.first_variable(&[var::AWS_REGION, var::AWS_DEFAULT_REGION])?,
        };
        let region = region.ok_or_else(|| {
            Error::new(Kind::Config, "the region of STS is not set, and the global endpoint signs no ID token")
                .hint("set AWS_REGION, or pass --sts-region eu-central-1")
        })?;
        let region = WithOrigin { value: parse_place(&region, "region of STS")?, origin: region.origin };
        let partition = sts::partition_of(&region.value);
        let sent = (SIGNED_REQUEST, layers);
        let (connection, signed_for) = resolve_endpoint(Some(&region), partition, false, sent, |address| {
            self.connect(address, String::new(), layers)
        })?;
        let authority = authority(&connection);
        if authority == GLOBAL {
            let place = &connection.address_origin;
            let error = format!("the endpoint of STS (from {place}) is the global one, which signs no ID token");
            return Err(
                Error::new(Kind::Config, error).hint(format!("unset {place}, or set it to a regional endpoint"))
            );
        }
        let target = StsTarget { connection, authority, region: signed_for, source, keys, origin };
        Ok(TokenRequest {
            system: self.system,
            target: TokenTarget::Sts(Box::new(target)),
            audience: Some(self.audience),
            key: None,
            timeout: self.timeout,
            repeats: self.repeats,
            setup: setup(self.system, layers),
        })
    }

    /// Security: who pushes to the repository must not choose the program.
    fn by_program(self, program: TokenProgram, layers: &Layers<'_>) -> Result<TokenRequest> {
        let name = program.name;
        let path = layers.host.find_tool(name).ok_or_else(|| {
            Error::new(Kind::Input, format!("{name} is not on PATH, and signs the ID token"))
                .hint(setup(self.system, layers))
        })?;
        if layers.job().is_in_checkout(&path)? {
            let text = format!(
                "PATH leads to {} in the checkout, where a repository could have put it; it was not run",
                path.display()
            );
            return Err(Error::new(Kind::Config, text).hint(format!("put the folder of {name} before it on PATH")));
        }
        let json = serde_json::Value::from(self.audience.as_str()).to_string();
        let fill = |text: &&str| text.replace("{aud}", &self.audience).replace("{json}", &json);
        let arguments = program.arguments.iter().map(fill).collect();
        let key = layers.variable(program.token)?.map(|token| Secret::new(token.value));
        Ok(TokenRequest {
            system: self.system,
            target: TokenTarget::Program { path, arguments },
            audience: Some(self.audience),
            key,
            timeout: self.timeout,
            repeats: self.repeats,
            setup: setup(self.system, layers),
        })
    }
}

/// The endpoint of STS without a region.
const GLOBAL: &str = "sts.amazonaws.com";

/// The deadline of one request for a token. `@actions/core` waits as long for all of its own.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// As `encodeURIComponent` does for what an audience is made of.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(byte as char);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Fake, Host};

    const ACTIONS: [(&str, &str); 4] = [
        ("VAULT_ADDR", "https://vault.corp:8200"),
        ("VAULT_CACERT_BYTES", "x"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://issuer.corp/a/idtoken?api-version=2.0"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job"),
    ];

    fn request(variables: &[(&str, &str)]) -> Result<Option<String>> {
        let fake = Fake::default().with_variables(ACTIONS).with_variables(variables.iter().copied());
        let host = Host::fake(fake);
        let access = cli::AccessFlags::default();
        let request = resolve_token_request(&access, None, &Layers::read(&access.connection, &host)?)?;
        Ok(request.map(|request| match request.target {
            TokenTarget::Http { connection, query, .. } => connection.address.base() + &query,
            TokenTarget::Program { arguments, .. } => arguments.join(" "),
            TokenTarget::Sts(target) => format!("{} {}", target.authority, target.region),
        }))
    }

    const GITHUB: (&str, &str) = ("GITHUB_ACTIONS", "true");

    #[test]
    fn the_audience_goes_behind_the_query_that_the_url_has_and_is_the_origin_of_vault() {
        let url = "https://issuer.corp:443/a/idtoken?api-version=2.0&audience=https%3A%2F%2Fvault.corp%3A8200";
        assert_eq!(request(&[GITHUB]).unwrap().as_deref(), Some(url));
        for (address, audience) in [
            ("https://vault.corp", "https%3A%2F%2Fvault.corp"),
            ("https://vault.corp:443/prefix", "https%3A%2F%2Fvault.corp"),
            ("http://127.0.0.1:8200", "http%3A%2F%2F127.0.0.1%3A8200"),
        ] {
            let url = request(&[GITHUB, ("VAULT_ADDR", address)]).unwrap().unwrap();
            assert!(url.ends_with(&format!("&audience={audience}")), "{url}");
        }
        let named = ("CI_CREDS_ID_TOKEN_AUDIENCE", "a b/c?d=e&f#g%");
        let url = request(&[GITHUB, named]).unwrap().unwrap();
        assert!(url.ends_with("&audience=a%20b%2Fc%3Fd%3De%26f%23g%25"), "{url}");
        let azure = [
            ("TF_BUILD", "True"),
            ("SYSTEM_OIDCREQUESTURI", "https://dev.corp/o/_apis/oidctoken"),
            ("SYSTEM_ACCESSTOKEN", "x"),
        ];
        let url = request(&azure).unwrap().unwrap();
        assert_eq!(url, "https://dev.corp:443/o/_apis/oidctoken?api-version=7.1");
        let socket = ("VAULT_ADDR", "unix:///run/agent.sock");
        assert_eq!(request(&[GITHUB, socket]).unwrap_err().kind(), Kind::Config);
    }

    #[test]
    fn no_request_is_made_where_the_user_gives_an_identity_or_the_system_offers_none() {
        for variables in [
            &[][..],
            &[("GITLAB_CI", "true"), GITHUB],
            &[("GITEA_ACTIONS", "true"), GITHUB],
            &[GITHUB, ("VAULT_ID_TOKEN", "x")],
            &[GITHUB, ("VAULT_TOKEN", "x")],
            &[GITHUB, ("VAULT_ROLE_ID", "x"), ("VAULT_SECRET_ID", "y")],
            // A mistake to be told.
            &[GITHUB, ("VAULT_ROLE_ID", "x")],
            &[GITHUB, ("CI_CREDS_AUTH", "token")],
            &[GITHUB, ("ACTIONS_ID_TOKEN_REQUEST_URL", "")],
            &[GITHUB, ("CI_CREDS_ID_TOKEN_FROM", "env:OTHER")],
        ] {
            assert_eq!(request(variables).unwrap(), None, "{variables:?}");
        }
        for variables in [
            &[GITHUB, ("CI_CREDS_AUTH", "id-token"), ("VAULT_TOKEN", "x")][..],
            &[GITHUB, ("CI_CREDS_ID_TOKEN_FROM", "auto")],
            // By name, in the order of the methods.
            &[("CI_CREDS_ID_TOKEN_FROM", "github"), ("VAULT_TOKEN", "x")],
            &[("FORGEJO_ACTIONS", "true"), ("GITEA_ACTIONS", "true"), GITHUB],
        ] {
            assert!(request(variables).unwrap().is_some(), "{variables:?}");
        }
    }

    #[test]
    fn the_jobs_request_token_goes_to_the_host_in_the_variable_and_over_https_alone() {
        for url in [
            "http://issuer.corp/idtoken",
            "ftp://issuer.corp/idtoken",
            "issuer.corp",
            "https://user@issuer.corp/idtoken",
            "https://issuer.corp/idtoken#x",
            "https://issuer.corp/idtoken?a=b#x",
            "https://issuer.corp\\@evil/idtoken",
        ] {
            let error = request(&[GITHUB, ("ACTIONS_ID_TOKEN_REQUEST_URL", url)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{url}");
            assert!(!error.render(true).contains("of-the-job"), "{url}");
        }
        let here = ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/idtoken");
        assert!(request(&[GITHUB, here]).unwrap().unwrap().starts_with("http://127.0.0.1:1/idtoken?audience="));
    }

    #[test]
    fn sts_is_asked_in_a_region_and_only_by_name() {
        const KEYS: [(&str, &str); 2] =
            [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "of-the-runner")];
        let named = ("CI_CREDS_ID_TOKEN_FROM", "aws");
        let region = ("AWS_REGION", "eu-central-1");
        let ask = |more: &[(&'static str, &'static str)]| request(&[&KEYS[..], more].concat());
        for (more, endpoint) in [
            (&[named, region][..], Some("sts.eu-central-1.amazonaws.com eu-central-1")),
            (&[named, ("AWS_DEFAULT_REGION", "cn-north-1")], Some("sts.cn-north-1.amazonaws.com.cn cn-north-1")),
            (&[named, region, ("CI_CREDS_STS_REGION", "us-east-1")], Some("sts.us-east-1.amazonaws.com us-east-1")),
            (
                &[named, region, ("AWS_ENDPOINT_URL_STS", "https://sts-fips.us-east-1.amazonaws.com")],
                Some("sts-fips.us-east-1.amazonaws.com us-east-1"),
            ),
            (&[named, region, ("GITLAB_CI", "true")], Some("sts.eu-central-1.amazonaws.com eu-central-1")),
            // Not by itself, whatever AWS sets in a job.
            (&[region, ("CODEBUILD_BUILD_ID", "x:y")], None),
            (&[region, ("CI_CREDS_ID_TOKEN_FROM", "auto")], None),
            (&[named, region, ("VAULT_ID_TOKEN", "x")], None),
        ] {
            assert_eq!(ask(more).unwrap().as_deref(), endpoint, "{more:?}");
        }
        for (more, kind, words) in [
            (&[named][..], Kind::Config, "the region of STS is not set"),
            (&[named, ("AWS_REGION", "eu/central")], Kind::Usage, "region"),
            (
                &[named, region, ("AWS_ENDPOINT_URL_STS", "https://sts.amazonaws.com")],
                Kind::Config,
                "is the global one, which signs no ID token",
            ),
            (
                &[named, region, ("AWS_ENDPOINT_URL", "https://sts.evil.example")],
                Kind::Config,
                "the signed request was not sent there",
            ),
            (&[named, region, ("AWS_SECRET_ACCESS_KEY", "")], Kind::Input, "AWS_SECRET_ACCESS_KEY is not"),
            (
                &[
                    named,
                    region,
                    ("AWS_ACCESS_KEY_ID", ""),
                    ("AWS_SECRET_ACCESS_KEY", ""),
                    ("AWS_EC2_METADATA_DISABLED", "true"),
                ],
                Kind::Input,
                "there are no AWS credentials",
            ),
        ] {
            let error = ask(more).unwrap_err();
            assert_eq!(error.kind(), kind, "{more:?}");
            let text = error.render(true);
            assert!(text.contains(words) && !text.contains("of-the-runner"), "{text}");
        }
    }

    #[test]
    fn a_system_that_is_named_and_offers_nothing_says_what_the_job_lacks() {
        for (name, words) in [
            ("github", &["ACTIONS_ID_TOKEN_REQUEST_URL is not set", "permissions: id-token: write", "from a fork"][..]),
            ("forgejo", &["enable-openid-connect: true"]),
            ("azure", &["SYSTEM_OIDCREQUESTURI is not set", "SYSTEM_ACCESSTOKEN: $(System.AccessToken)"]),
            ("bitbucket", &["BITBUCKET_STEP_OIDC_TOKEN is not set", "oidc: true"]),
            ("buildkite", &["buildkite-agent is not on PATH"]),
            ("gitea", &["Gitea signs no ID token"]),
        ] {
            let none = ("ACTIONS_ID_TOKEN_REQUEST_URL", "");
            let event = ("GITHUB_EVENT_NAME", "pull_request");
            let error = request(&[GITHUB, none, event, ("CI_CREDS_ID_TOKEN_FROM", name)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{name}");
            let text = error.render(false);
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
        let error = request(&[("CI_CREDS_ID_TOKEN_FROM", "jenkins")]).unwrap_err();
        assert!(error.render(false).contains("auto, env:NAME, gitlab"), "{}", error.render(false));
    }
}
