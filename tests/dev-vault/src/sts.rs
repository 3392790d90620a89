//! STS of AWS, as strict as its API reference: an OpenID Connect provider, a role that trusts it, and a second role that
//! trusts the first one. It also says who signed a request, as the SDKs ask, and signs an ID token for an identity of the
//! account.
//!
//! It verifies the ID token and the signature, knows every parameter and its limits, and refuses a request without a
//! signature where one must be, and one with a signature where none may be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::aside::Aside;
use crate::clock::{Clock, rfc3339, unix};
use crate::core::request::decode_strictly;
use crate::dialect::Dialect;
use crate::engine::aws_login::{AWS_SESSION, AwsPrincipal, verify_signature};
use crate::engine::jwt_keys::KeySet;
use crate::fault::{Fault, On, Reply};
use crate::gitlab::GitlabToken;
use crate::http::Answer;
use crate::journal::Recorded;
use crate::tls::Tls;
use crate::web_token::{self, Account};

/// The role that trusts the provider, and the one that trusts this role.
pub const FIRST_ROLE: &str = "arn:aws:iam::123456789012:role/ci";
/// See [`FIRST_ROLE`].
pub const SECOND_ROLE: &str = "arn:aws:iam::210987654321:role/deploy";
/// The credentials of the second role.
pub const SECOND_KEYS: [&str; 3] = [
    "ASIASECONDROLE7EXAMPLE",
    "sEc0ndR0le/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "IQoJb3JpZ2luX2VjSECOND//////////wEaCXVzLWVhc3Q=",
];
/// What the second role demands.
pub const EXTERNAL_ID: &str = "external-1";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The longest session of the first role.
const LONGEST: u64 = 7200;

/// STS on loopback, in plain HTTP.
pub struct Sts {
    server: Aside,
    standing: Arc<Standing>,
}

/// What changes while it runs.
#[derive(Default)]
struct Standing {
    reversed: AtomicBool,
    /// How many seconds sessions live; as long as they were asked for where it is zero.
    life: AtomicU64,
    clock: Clock,
    /// The ARN of the last session of the first role.
    session: Mutex<Option<String>>,
    account: Account,
}

/// A refusal: status, code, message.
type Refusal = (u16, &'static str, String);

impl Sts {
    /// Starts listening. The provider is of this issuer and has this client ID; the first requests get these answers.
    ///
    /// # Panics
    /// When no loopback port can be had.
    #[must_use]
    pub fn start(issuer: &str, client_id: &str, first: Vec<Reply>) -> Self {
        let keys = KeySet::from_config(vec![GitlabToken::public_key_pem().to_owned()], String::new(), String::new());
        let provider =
            Provider { issuer: issuer.to_owned(), client_id: client_id.to_owned(), keys: keys.expect("a key") };
        let standing = Arc::<Standing>::default();
        let shared = Arc::clone(&standing);
        let server = Aside::start(Tls::Off, move |tally, request| match first.get(tally.earlier()) {
            Some(reply) => reply.0.clone(),
            None => answer(&provider, request, &shared),
        });
        Self { server, standing }
    }

    /// For `AWS_ENDPOINT_URL_STS`.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// From now on the elements of an answer stand in the opposite order.
    pub fn reverse(&self) {
        self.standing.reversed.store(true, Ordering::SeqCst);
    }

    /// From now on sessions live for so many seconds, which no STS would grant.
    pub fn shorten(&self, seconds: u64) {
        self.standing.life.store(seconds, Ordering::SeqCst);
    }

    /// From now on the account signs no ID token for its own identities.
    pub fn disable_outbound_federation(&self) {
        self.standing.account.enabled.store(false, Ordering::SeqCst);
    }

    /// The session of the role lasts for so many seconds from the next request on.
    pub fn end_session_in(&self, seconds: u64) {
        self.standing.account.left.store(seconds, Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.standing.clock.advance(by);
    }

    /// Arms a fault.
    pub fn inject(&self, on: On, fault: Fault) {
        self.server.inject(on, fault);
    }

    /// Forgets the faults that are armed.
    pub fn clear_faults(&self) {
        self.server.clear_faults();
    }

    /// What came.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.requests()
    }

    /// The forms that came.
    #[must_use]
    pub fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.requests().iter().map(|request| form(&request.body).expect("a form")).collect()
    }

    /// How AWS answers with an error.
    #[must_use]
    pub fn refusal(status: u16, code: &str, message: &str) -> Reply {
        Reply::status(status).header("Content-Type", "text/xml").body(error(code, message))
    }
}

struct Provider {
    issuer: String,
    client_id: String,
    keys: KeySet,
}

fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{code}</Code>\n    \
         <Message>{message}</Message>\n  </Error>\n  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>\n\
         </ErrorResponse>\n"
    )
}

fn answer(provider: &Provider, request: &Recorded, standing: &Standing) -> Answer {
    let is_json = request.headers.get("accept").is_some_and(|accept| accept.contains("application/json"));
    let mut session = standing.session.lock().unwrap_or_else(PoisonError::into_inner);
    let now = standing.clock.now();
    match look_at(provider, request, &standing.account, now) {
        Ok(Said::Token(text)) => Answer::new(200, "text/xml", text),
        Ok(Said::Made(mut made)) => {
            match standing.life.load(Ordering::SeqCst) {
                0 => {}
                seconds => made.end = now + Duration::from_secs(seconds),
            }
            if made.keys[0] == AWS_SESSION.id {
                *session = Some(made.arn());
            }
            match is_json {
                true => Answer::new(200, "application/json", made.json().to_string()),
                false => Answer::new(200, "text/xml", made.xml(standing.reversed.load(Ordering::SeqCst))),
            }
        }
        Ok(Said::Signer) => match session.as_deref() {
            Some(arn) => Answer::new(200, "text/xml", identity(arn)),
            None => {
                let text = "The security token included in the request is invalid";
                Answer::new(403, "text/xml", error("InvalidClientTokenId", text))
            }
        },
        Err((status, code, message)) => Answer::new(status, "text/xml", error(code, &message)),
    }
}

fn identity(arn: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROA:x</UserId>\
         <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
}

/// What an answer without an error says.
enum Said {
    Made(Made),
    /// That the session of the first role signed it.
    Signer,
    /// An ID token, in the whole answer.
    Token(String),
}

/// What STS gives.
struct Made {
    action: &'static str,
    role: String,
    session: String,
    keys: [&'static str; 3],
    /// When it ends.
    end: SystemTime,
}

impl Made {
    fn arn(&self) -> String {
        format!("{}/{}", self.role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/"), self.session)
    }

    fn xml(&self, reversed: bool) -> String {
        let [key, secret, session] = self.keys;
        // As AWS's reference prints it. botocore would send the newlines with the token.
        let around = if reversed { "\n" } else { "" };
        let mut parts = [
            format!("<AccessKeyId>{key}</AccessKeyId>"),
            format!("<SecretAccessKey>{secret}</SecretAccessKey>"),
            format!("<SessionToken>{around}{session}{around}</SessionToken>"),
            format!("<Expiration>{}</Expiration>", rfc3339(self.end)),
        ];
        let user = format!(
            "<AssumedRoleUser><Arn>{}</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>",
            self.arn()
        );
        if reversed {
            parts.reverse();
        }
        let credentials = format!("<Credentials>{}</Credentials>", parts.concat());
        let inside = if reversed { format!("{credentials}{user}") } else { format!("{user}{credentials}") };
        let action = self.action;
        format!("<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{inside}</{action}Result></{action}Response>")
    }

    fn json(&self) -> Value {
        let [key, secret, session] = self.keys;
        let result = json!({
            "AssumedRoleUser": { "Arn": self.arn() },
            "Credentials": {
                "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": session,
                "Expiration": unix(self.end),
            },
        });
        json!({ format!("{}Response", self.action): { format!("{}Result", self.action): result } })
    }
}

fn look_at(provider: &Provider, request: &Recorded, account: &Account, now: SystemTime) -> Result<Said, Refusal> {
    if (request.method.as_str(), request.path.as_str(), &request.query) != ("POST", "/", &None) {
        return Err((404, "InvalidAction", "a POST to /".into()));
    }
    let form = form(&request.body).ok_or((400, "MalformedQueryString", "not a form".to_owned()))?;
    let has = |name: &str| request.headers.get(name).is_some();
    if request.headers.get("content-type").is_none_or(|kind| !kind.starts_with("application/x-www-form-urlencoded")) {
        return Err((400, "MalformedQueryString", "not the type of a form".into()));
    }
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    if text("Version") != "2011-06-15" {
        return Err((400, "InvalidAction", "a version that is none".into()));
    }
    match text("Action") {
        "AssumeRoleWithWebIdentity" => {
            if has("authorization") || has("x-amz-security-token") || has("x-amz-date") {
                let text = "Couldn't retrieve verification key from your identity provider, please reference \
                            AssumeRoleWithWebIdentity documentation for requirements";
                return Err((400, "InvalidIdentityToken", text.into()));
            }
            check(&form, &[&COMMON[..], &WITH_TOKEN].concat())?;
            with_web_identity(provider, &form, now).map(Said::Made)
        }
        "GetCallerIdentity" => {
            let signer = find_signer(request, now)?;
            match (signer.id == AWS_SESSION.id, form.len()) {
                (true, 2) => Ok(Said::Signer),
                _ => Err((400, "ValidationError", "not a request of the session of this role".into())),
            }
        }
        "AssumeRole" => {
            let signer = find_signer(request, now)?;
            check(&form, &[&COMMON[..], &SIGNED].concat())?;
            let external = form.get("ExternalId").map(String::as_str);
            if signer.id != AWS_SESSION.id || text("RoleArn") != SECOND_ROLE || external != Some(EXTERNAL_ID) {
                let message = format!("User: {} is not authorized to perform: sts:AssumeRole", signer.arn);
                return Err((403, "AccessDenied", message));
            }
            let seconds = seconds(&form);
            if seconds > 3600 {
                let message =
                    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
                return Err((400, "ValidationError", message.into()));
            }
            let (role, session) = (text("RoleArn").to_owned(), text("RoleSessionName").to_owned());
            let end = now + Duration::from_secs(seconds);
            Ok(Said::Made(Made { action: "AssumeRole", role, session, keys: SECOND_KEYS, end }))
        }
        "GetWebIdentityToken" => web_token::answer(account, request, &form, now, NAMESPACE).map(Said::Token),
        _ => Err((400, "InvalidAction", "Could not find operation".into())),
    }
}

fn find_signer(request: &Recorded, now: SystemTime) -> Result<AwsPrincipal, Refusal> {
    let body = String::from_utf8_lossy(&request.body);
    let headers = request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let host = request.headers.get("host").unwrap_or_default();
    verify_signature(host, &headers, "us-east-1", unix(now), &body).map_err(|(code, message)| (403, code, message))
}

fn with_web_identity(provider: &Provider, form: &BTreeMap<String, String>, now: SystemTime) -> Result<Made, Refusal> {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let invalid = |message: String| (400, "InvalidIdentityToken", message);
    let (_, claims) = provider.keys.verify(text("WebIdentityToken"), Dialect::OpenBao).map_err(|_| {
        invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)".into())
    })?;
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    if issuer != provider.issuer {
        return Err(invalid(format!("No OpenIDConnect provider found in your account for {issuer}")));
    }
    let is_ours = match claims.get("aud") {
        Some(Value::String(one)) => *one == provider.client_id,
        Some(Value::Array(list)) => list.iter().any(|one| *one == provider.client_id),
        _ => false,
    };
    if !is_ours {
        return Err(invalid("Incorrect token audience".into()));
    }
    let expires = claims.get("exp").and_then(Value::as_i64).unwrap_or_default();
    if expires < unix(now) {
        return Err((400, "ExpiredTokenException", format!("Token expired: current date must be before {expires}")));
    }
    if text("RoleArn") != FIRST_ROLE {
        return Err((403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity".into()));
    }
    let seconds = seconds(form);
    if seconds > LONGEST {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err((400, "ValidationError", message.into()));
    }
    let (role, session) = (text("RoleArn").to_owned(), text("RoleSessionName").to_owned());
    let keys = [AWS_SESSION.id, AWS_SESSION.secret, AWS_SESSION.session.unwrap_or_default()];
    let end = now + Duration::from_secs(seconds);
    Ok(Made { action: "AssumeRoleWithWebIdentity", role, session, keys, end })
}

fn seconds(form: &BTreeMap<String, String>) -> u64 {
    form.get("DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600)
}

/// A parameter: its name, whether it must be there, its shortest and longest text, and other characters than letters and
/// digits; any at all where that is empty.
type Parameter = (&'static str, bool, usize, usize, &'static str);

/// From botocore's model of STS.
const COMMON: [Parameter; 6] = [
    ("Action", true, 1, 64, ""),
    ("Version", true, 1, 64, ""),
    ("RoleArn", true, 20, 2048, ""),
    ("RoleSessionName", true, 2, 64, "_+=,.@-"),
    ("DurationSeconds", false, 3, 5, ""),
    ("Policy", false, 1, 2048, ""),
];
const WITH_TOKEN: [Parameter; 1] = [("WebIdentityToken", true, 4, 20_000, "")];
const SIGNED: [Parameter; 2] =
    [("ExternalId", false, 2, 1224, "_+=,.@:/-"), ("SourceIdentity", false, 2, 256, "_+=,.@-")];

/// As AWS's message, it repeats the value.
fn check(form: &BTreeMap<String, String>, known: &[Parameter]) -> Result<(), Refusal> {
    let invalid = |text: String| (400, "ValidationError", format!("1 validation error detected: {text}"));
    for (name, required, least, most, others) in known {
        let Some(value) = form.get(*name) else {
            if *required {
                return Err(invalid(format!(
                    "Value null at '{name}' failed to satisfy constraint: Member must not be null"
                )));
            }
            continue;
        };
        let fits = others.is_empty() || value.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c));
        if !(*least..=*most).contains(&value.chars().count()) || !fits {
            return Err(invalid(format!("Value '{value}' at '{name}' failed to satisfy constraint")));
        }
    }
    let of_policies = |name: &str| name.starts_with("PolicyArns.member.") && name.ends_with(".arn");
    let policies = form.keys().filter(|name| of_policies(name)).count();
    if policies > 10 || form.keys().any(|name| !of_policies(name) && !known.iter().any(|(known, ..)| known == name)) {
        return Err(invalid("a parameter that this action does not have".into()));
    }
    match seconds(form) {
        900..=43_200 => Ok(()),
        seconds => Err(invalid(format!("Value '{seconds}' at 'durationSeconds' failed to satisfy constraint"))),
    }
}

/// A form; a name that stands twice is none.
fn form(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut form = BTreeMap::new();
    for pair in std::str::from_utf8(body).ok()?.split('&') {
        let (name, value) = pair.split_once('=')?;
        if form.insert(decode(name)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(form)
}

fn decode(text: &str) -> Option<String> {
    decode_strictly(text, |byte| Some(if byte == b'+' { b' ' } else { byte }))
}
