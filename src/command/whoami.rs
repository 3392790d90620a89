//! `ci-creds whoami`: who the job is to Vault. It logs in only where that spends nothing, and revokes that login.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{finish, start_runtime};
use crate::auth::Session;
use crate::config::Access;
use crate::custody::Custody;
use crate::error::{Error, Kind, Result, printable, sanitized};
use crate::host::{Host, Interrupt};
use crate::identity::{Login, Spend};
use crate::mint::Data;
use crate::revocation::{self, Fate, Revocation};
use crate::secret::Secret;
use crate::source::VaultSource;
use crate::time::{end_of, render_duration, render_time};
use crate::vault::client::{Exchange, Vault};
use crate::vault::outcome::Outcome;

/// Prints it.
///
/// # Errors
/// As the login of a run, and [`Kind::Denied`] when the token may not look itself up.
pub(crate) fn run(mut access: Access, json: bool, verbose: bool, host: &Host) -> Result<()> {
    access.connection.read_roots(host)?;
    // Only outside of every namespace does a server tell of itself.
    let namespace = access.connection.namespace.take();
    let server = Vault::new(&access.connection, host)?;
    access.connection.namespace = namespace;
    let vault = Vault::new(&access.connection, host)?;
    if verbose {
        server.tell_requests();
        vault.tell_requests();
    }
    let portrait = start_runtime(host)?.block_on(ask(&server, &vault, &access, host))?;
    let text = if json { render_json(&portrait, &access) } else { render_text(&portrait, &access, host.now()) };
    finish(text, host)?;
    match &portrait.subject {
        Subject::Token(_, Some(revocation)) if revocation.is_leak() => Err(Error::new(Kind::Leak, revocation.render())
            .hint(
                "the token's policy needs: path \"auth/token/revoke-self\" { capabilities = [\"update\"] }, which the \
                 default policy has",
            )),
        _ => Ok(()),
    }
}

/// What Vault says of the job.
struct Portrait {
    /// `OpenBao 2.7.2`; `None` where the server does not say.
    server: Option<(&'static str, String)>,
    subject: Subject,
}

/// Who was asked about.
enum Subject {
    /// The token of the login. Where this run logged in for it, what became of that token.
    Token(Box<TokenFacts>, Option<Revocation>),
    /// A wrapping token, which stays wrapped.
    Wrapping { creation_path: String, expires: Option<Timestamp> },
    /// A secret ID, which may be for one login.
    SecretId,
}

/// What `auth/token/lookup-self` says.
struct TokenFacts {
    display_name: String,
    entity: String,
    policies: Vec<String>,
    kind: String,
    expires: Option<Timestamp>,
    /// Zero is no limit.
    uses: u64,
    renewable: bool,
    orphan: bool,
}

async fn ask(server: &Vault<'_>, vault: &Vault<'_>, access: &Access, host: &Host) -> Result<Portrait> {
    let login = &access.login;
    let mut custody = Custody::new(Some(vault), None, host, Interrupt::listen()?);
    let server = match custody.race(server.health()).await {
        Ok(exchange) => read_server(exchange),
        Err(signal) => return Err(custody.fail(signal)),
    };
    let subject = match login.identity.facts().spends {
        Spend::WrappingToken => {
            let lookup = crate::auth::look_up_wrapping(vault, login, login.identity.facts().secret);
            let (creation_path, expires) = custody.race(lookup).await.and_then(|found| found)?;
            Subject::Wrapping { creation_path, expires }
        }
        Spend::Nothing => {
            let source = VaultSource { vault, host };
            let session = match source.log_in(login, &mut custody).await {
                Ok(session) => session,
                Err(error) => return Err(custody.fail(error)),
            };
            let found = match custody.race(vault.lookup_self(&session.token)).await {
                Ok(exchange) => read_token(exchange, &session, login, vault.namespace_setting()),
                Err(signal) => return Err(custody.fail(signal)),
            };
            match found {
                Ok(facts) => {
                    let _signals = custody.hand_on().await?;
                    let left = revocation::revoke_all(vault, &session, &[]).await.0.pop();
                    let gone = Revocation { what: "the token of this login".into(), fate: Fate::Revoked };
                    return Ok(Portrait {
                        server,
                        subject: Subject::Token(Box::new(facts), session.own.then(|| left.unwrap_or(gone))),
                    });
                }
                Err(error) if session.own => return Err(custody.abandon(error).await),
                Err(error) => return Err(custody.fail(error)),
            }
        }
        Spend::PerhapsSecretId => Subject::SecretId,
    };
    Ok(Portrait { server, subject })
}

/// The server's kind and version. A server that does not tell is no failure of the job.
fn read_server(exchange: Exchange) -> Option<(&'static str, String)> {
    let Outcome::Done(envelope) = exchange.outcome else { return None };
    let version = sanitized(&envelope.version);
    let kind = if envelope.performance_standby.is_some() { "Vault" } else { "OpenBao" };
    (!version.is_empty()).then_some((kind, version))
}

fn read_token(exchange: Exchange, session: &Session, login: &Login, setting: &str) -> Result<TokenFacts> {
    const PATH: &str = "auth/token/lookup-self";
    let envelope = match exchange.outcome {
        Outcome::Done(envelope) => envelope,
        Outcome::Refused(refusal) if refusal.is_token_gone() => {
            let text = format!("the token (from {}) is not valid for {PATH} ({})", login.origin, refusal.because());
            return Err(Error::new(Kind::Denied, text)
                .hint(format!("it has expired, was revoked, or is of another namespace: set {setting}")));
        }
        Outcome::Refused(refusal) => {
            let whose = if session.own {
                "the token of this login".into()
            } else {
                format!("the token (from {})", login.origin)
            };
            let text = format!("{whose} may not look itself up at {PATH} ({})", refusal.because());
            return Err(Error::new(Kind::Denied, text).hint(format!(
                "its policy needs: path \"{PATH}\" {{ capabilities = [\"read\"] }}, which the default policy has"
            )));
        }
        Outcome::NotProcessed { error, .. } | Outcome::Ambiguous { error, .. } | Outcome::Final(error) => {
            return Err(error);
        }
    };
    let mut data = envelope.data.unwrap_or_default();
    let seconds = data.number("ttl").unwrap_or_default();
    let mut policies = Vec::new();
    for name in ["policies", "identity_policies", "external_namespace_policies"] {
        policies.extend(data.take_texts(name).iter().map(|policy| sanitized(policy.expose())));
    }
    Ok(TokenFacts {
        display_name: text(&mut data, "display_name"),
        entity: text(&mut data, "entity_id"),
        policies,
        kind: text(&mut data, "type"),
        // A token without an end says zero.
        expires: (seconds > 0).then(|| end_of(exchange.sent, seconds)).flatten(),
        uses: data.number("num_uses").unwrap_or_default(),
        renewable: data.truth("renewable").unwrap_or_default(),
        orphan: data.truth("orphan").unwrap_or_default(),
    })
}

fn text(data: &mut Data, name: &str) -> String {
    data.take_text(name).map_or_else(String::new, |text: Secret| sanitized(text.expose()))
}

/// The login in words, with its role.
fn describe(login: &Login) -> String {
    let role = match (login.identity.plain_token(), &login.role) {
        (Some(_), _) | (_, None) => String::new(),
        (None, Some(role)) => format!(", role {role} (from {})", login.role_origin),
    };
    format!("{}{role}", login.describe())
}

fn render_text(portrait: &Portrait, access: &Access, now: Timestamp) -> String {
    let connection = &access.connection;
    let until = |end: Option<Timestamp>| match end {
        None => "never".to_owned(),
        Some(end) => {
            let left = std::time::Duration::try_from(end.duration_since(now)).unwrap_or_default();
            format!("{} (in {})", render_time(end), render_duration(left))
        }
    };
    let mut rows = vec![
        ("address", format!("{} (from {})", connection.address.host(), connection.address_origin)),
        ("namespace", connection.namespace.clone().unwrap_or_else(|| "none".into())),
        (
            "server",
            portrait.server.as_ref().map_or_else(|| "unknown".into(), |(kind, version)| format!("{kind} {version}")),
        ),
        ("login", describe(&access.login)),
    ];
    match &portrait.subject {
        Subject::Token(facts, revocation) => {
            let yes = |truth: bool, word: &str| if truth { word.to_owned() } else { format!("not {word}") };
            let kind = if facts.kind.is_empty() { "token" } else { &facts.kind };
            rows.extend([
                ("name", or_none(&facts.display_name)),
                ("entity", or_none(&facts.entity)),
                ("policies", or_none(&facts.policies.join(", "))),
                ("expires", until(facts.expires)),
                ("uses", if facts.uses == 0 { "no limit".into() } else { format!("{} left", facts.uses) }),
                ("token", format!("{kind}, {}, {}", yes(facts.renewable, "renewable"), yes(facts.orphan, "orphan"))),
            ]);
            rows.extend(revocation.as_ref().map(|revocation| ("after", revocation.render())));
        }
        Subject::Wrapping { creation_path, expires } => {
            rows.extend([
                ("made by", creation_path.clone()),
                ("expires", until(*expires)),
                ("spent", "no: the wrapping token was looked up, and not unwrapped".to_owned()),
            ]);
        }
        Subject::SecretId => {
            let text = "no: a secret ID may be good for one login, so ci-creds did not log in";
            rows.push(("spent", text.to_owned()));
        }
    }
    rows.iter().map(|(name, text)| format!("{name:9} {}\n", printable(text))).collect()
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "none".into() } else { text.to_owned() }
}

fn render_json(portrait: &Portrait, access: &Access) -> String {
    let (connection, login) = (&access.connection, &access.login);
    let time = |end: Option<Timestamp>| end.map(render_time);
    let takes_role = login.identity.plain_token().is_none();
    let mut value = json!({
        "address": connection.address.host(),
        "namespace": connection.namespace,
        "server": portrait.server.as_ref().map(|(kind, version)| json!({ "kind": kind, "version": version })),
        "login": {
            "method": login.identity.facts().name,
            "mount": takes_role.then_some(&login.mount),
            "role": login.role.as_ref().filter(|_| takes_role),
            "origin": login.origin.to_string(),
        },
        "token": Value::Null,
        "wrapping_token": Value::Null,
        "spent": false,
        "revoked": false,
    });
    match &portrait.subject {
        Subject::Token(facts, revocation) => {
            value["revoked"] = json!(revocation.as_ref().is_some_and(|one| matches!(one.fate, Fate::Revoked)));
            value["token"] = json!({
                "display_name": facts.display_name,
                "entity_id": facts.entity,
                "policies": facts.policies,
                "expires": time(facts.expires),
                "uses": facts.uses,
                "renewable": facts.renewable,
                "type": facts.kind,
                "orphan": facts.orphan,
            });
        }
        Subject::Wrapping { creation_path, expires } => {
            value["wrapping_token"] = json!({ "creation_path": creation_path, "expires": time(*expires) });
        }
        Subject::SecretId => {}
    }
    format!("{value}\n")
}
