//! The runner's own AWS credentials, where they are not in the environment: the endpoint of a container, or the instance
//! metadata service, version 2.
//!
//! Sources: the ECS and EKS Pod Identity guides, the IMDSv2 guide, and botocore, whose limits these are.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::http::address::{Address, Server, parse_server};
use crate::http::service::{ServiceClient, ServiceReply, ServiceRequest, Verb};
use crate::http::transport::Connection;
use crate::http::{ServiceHints, Stage};
use crate::identity::{AwsKeys, AwsSource};
use crate::secret::Secret;

/// How often a busy service is asked, as botocore asks the endpoint of a container.
const TRIES: u32 = 3;
/// The pause before each further try at most, with full jitter: jobs that start together must not ask together, and what
/// limits them are the requests of one second.
const PAUSE: Duration = Duration::from_millis(500);
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// A service of the machine, and what is said of it.
struct ServiceFacts {
    /// The deadline of a request.
    timeout: Duration,
    /// Whether it is asked again where it does not answer.
    repeats_silence: bool,
    /// Why it is asked, for messages.
    purpose: &'static str,
    hints: ServiceHints,
}

const TRUST_HINT: &str = "the endpoint is checked against the system's roots: add its CA to them";
const CONTAINER: ServiceFacts = ServiceFacts {
    timeout: Duration::from_secs(2),
    repeats_silence: true,
    purpose: "it is asked for the AWS credentials of this container",
    hints: ServiceHints {
        reach: "AWS_CONTAINER_CREDENTIALS_FULL_URI or AWS_CONTAINER_CREDENTIALS_RELATIVE_URI names it: unset that outside \
                of the task or pod that it belongs to, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        trust: TRUST_HINT,
    },
};
/// It answers at once, or never: its answer to a container stops at the first hop.
const INSTANCE: ServiceFacts = ServiceFacts {
    timeout: Duration::from_secs(1),
    repeats_silence: false,
    purpose: "it is the instance metadata service, asked for AWS credentials",
    hints: ServiceHints {
        reach: "a container gets no answer if the hop limit of the instance is 1: aws ec2 modify-instance-metadata-options \
                --http-put-response-hop-limit 2; outside of AWS, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        trust: TRUST_HINT,
    },
};
/// A login begins with credentials that last longer than it.
const ENOUGH: Duration = Duration::from_secs(60);

/// Whether a login can be signed with them.
#[must_use]
pub(crate) fn are_usable(keys: &AwsKeys, now: Timestamp) -> bool {
    let lasts = |end: Timestamp| now.checked_add(ENOUGH).is_ok_and(|soon| soon < end);
    !keys.id.is_empty() && keys.expires_at.is_none_or(lasts)
}

/// Asks the service for the credentials.
///
/// # Errors
/// [`Kind::Input`] where it has none for this runner, or the environment's have expired; [`Kind::Unavailable`] where it
/// does not answer, or is too busy to.
pub(crate) async fn fetch(source: &AwsSource, host: &Host) -> Result<AwsKeys> {
    match source {
        AwsSource::Environment => Err(Error::new(Kind::Input, "the AWS credentials in the environment have expired")),
        AwsSource::Container { url, authorization } => fetch_of_container(url, authorization.as_ref(), host).await,
        AwsSource::Instance { url } => fetch_of_instance(url, host).await,
    }
}

async fn fetch_of_container(url: &str, authorization: Option<&Secret>, host: &Host) -> Result<AwsKeys> {
    let end = url.find("://").map_or(0, |place| place + 3);
    let path = url[end..].find(['/', '?']).map_or(url.len(), |place| end + place);
    let service = MachineService::connect(&url[..path], CONTAINER, host)?;
    let path = if url[path..].starts_with('/') { url[path..].to_owned() } else { format!("/{}", &url[path..]) };
    let reply = service.ask(Verb::Get, &path, authorization.map(|token| ("authorization", token)), &[]).await?;
    let name = service.name();
    if reply.status != 200 {
        let text = format!("{name} has no AWS credentials for this container: it answers {}", reply.status);
        return Err(Error::new(Kind::Input, text)
            .hint("check that the task has a role, and that the authorization token belongs to this container"));
    }
    parse_keys(&reply, name)
}

async fn fetch_of_instance(url: &str, host: &Host) -> Result<AwsKeys> {
    let service = MachineService::connect(url, INSTANCE, host)?;
    let name = service.name();
    let lifetime = [("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned())];
    let reply = service.ask(Verb::Put, "/latest/api/token", None, &lifetime).await?;
    let token = text_of(&reply).filter(|_| reply.status == 200).ok_or_else(|| {
        Error::new(Kind::Input, format!("{name} gives no token of IMDSv2: it answers {}", reply.status)).hint(
            "IMDSv1 is not used: require IMDSv2 for the instance, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    })?;
    let proof = Some(("x-aws-ec2-metadata-token", &token));
    let reply = service.ask(Verb::Get, ROLES, proof, &[]).await?;
    let role = text_of(&reply).filter(|_| reply.status == 200).ok_or_else(|| {
        Error::new(Kind::Input, format!("the instance has no role: {name} answers {}", reply.status))
            .hint("give the instance an instance profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    })?;
    let reply = service.ask(Verb::Get, &format!("{ROLES}{}", role.expose()), proof, &[]).await?;
    if reply.status != 200 {
        return Err(Error::new(Kind::Input, format!("{name} answers {} to the role of the instance", reply.status)));
    }
    parse_keys(&reply, name)
}

/// One of the two services, to be asked.
struct MachineService {
    client: ServiceClient,
    facts: ServiceFacts,
}

impl MachineService {
    /// Security: no proxy, which would get what proves who we are; and the system's roots for https.
    fn connect(url: &str, facts: ServiceFacts, host: &Host) -> Result<Self> {
        let server: Server =
            parse_server(url).map_err(|problem| Error::new(Kind::Config, format!("{url} {problem}")))?;
        let mut connection = Connection::to_service(Address::Tcp(server), "AWS".into(), facts.timeout);
        connection.read_roots(host)?;
        Ok(Self { client: ServiceClient::new(&connection, facts.hints)?, facts })
    }

    fn name(&self) -> &str {
        &self.client.peer.host
    }

    /// Its answer, whatever that says, as soon as it is not too busy to give one.
    async fn ask(
        &self,
        verb: Verb,
        path: &str,
        proof: Option<(&'static str, &Secret)>,
        headers: &[(&'static str, String)],
    ) -> Result<ServiceReply> {
        let request =
            ServiceRequest { verb, path, query: &[], proof, headers, body: None, timeout: self.facts.timeout };
        let mut tries = 1;
        loop {
            let error = match self.client.send(&request).await {
                Ok(reply) if !matches!(reply.status, 429 | 500..=599) => return Ok(reply),
                Ok(reply) => Error::new(Kind::Unavailable, format!("{} answers {}", self.name(), reply.status))
                    .hint("run it again later: the service limits how often one machine may ask, or has failed"),
                Err(broken) if broken.stage == Stage::Last || !self.facts.repeats_silence => {
                    return Err(broken.error.also(self.facts.purpose));
                }
                Err(broken) => broken.error,
            };
            if tries == TRIES {
                return Err(error.also(self.facts.purpose));
            }
            tries += 1;
            tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
        }
    }
}

/// One line of an answer, and nothing that cannot stand in a header or in a path.
fn text_of(reply: &ServiceReply) -> Option<Secret> {
    let text = std::str::from_utf8(&reply.body).ok()?.trim();
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#\\".contains(&byte));
    // The token is base64, which has slashes.
    (is_plain || is_base64(text)).then(|| Secret::new(text.to_owned()))
}

fn is_base64(text: &str) -> bool {
    text.len() > 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
}

/// The answer of both services. `Code` and `Message` are the instance's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeysAnswer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    access_key_id: Option<String>,
    #[serde(default)]
    secret_access_key: Option<Secret>,
    #[serde(default)]
    token: Option<Secret>,
    #[serde(default)]
    expiration: Option<Timestamp>,
}

fn parse_keys(reply: &ServiceReply, name: &str) -> Result<AwsKeys> {
    let unusable = |why: &str| {
        Error::new(Kind::Input, format!("the answer of {name} has no AWS credentials: {why}"))
            .hint("check that the role of this runner trusts the service; the log of the service says more")
    };
    let answer: KeysAnswer =
        serde_json::from_slice(&reply.body).map_err(|_| unusable("it does not have AWS's form"))?;
    if answer.code.as_deref().is_some_and(|code| code != "Success") {
        return Err(unusable("it reports a failure"));
    }
    let (Some(id), Some(secret)) = (answer.access_key_id, answer.secret_access_key) else {
        return Err(unusable("a key is missing"));
    };
    let session = answer.token.filter(|token| !token.expose().is_empty());
    let texts = [id.as_str(), secret.expose(), session.as_ref().map_or("x", Secret::expose)];
    if texts.iter().any(|text| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(unusable("a key has a character that no AWS credential has"));
    }
    Ok(AwsKeys { id, secret, session, expires_at: answer.expiration })
}
