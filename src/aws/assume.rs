//! `sts:AssumeRoleWithWebIdentity` and `sts:AssumeRole`: the form that is posted, and what an answer says.
//!
//! Pure. Answers are XML, in any order of their elements; JSON, which AWS gives whoever asks for it, is read as well. A
//! server's words never leave this module but for its error code and the texts that the tables of refusals know: AWS repeats
//! in its own words what it was sent.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::refusal::KNOWN;
use crate::secret::Secret;
use crate::time::render_duration;
use crate::vault::refusal::Refusal;

/// The fields of a form, beside the action, its version and the token.
pub(crate) type FormFields = Vec<(&'static str, String)>;

/// The action that shows the ID token. It is not signed.
pub(crate) const WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";
/// The action that is signed with the credentials of another role.
pub(crate) const ASSUME_ROLE: &str = "AssumeRole";

/// What STS grants where nothing is asked for, in seconds.
const AN_HOUR: u64 = 3600;

/// How long the session lives, in seconds, if AWS grants what is asked for.
#[must_use]
pub(crate) fn life(fields: &FormFields) -> u64 {
    field(fields, "DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(AN_HOUR)
}

/// What is to be told of a session that nobody gets.
#[must_use]
pub(crate) fn describe_rest(fields: &FormFields) -> String {
    format!(
        "a session of {} may remain: nobody can revoke it, and it expires within {}",
        field(fields, "RoleArn").unwrap_or_default(),
        render_duration(Duration::from_secs(life(fields)))
    )
}

/// What is asked for under this name.
#[must_use]
pub(crate) fn field<'a>(fields: &'a FormFields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// The body of the request.
#[must_use]
pub(crate) fn body(action: &str, fields: &FormFields, token: Option<&Secret>) -> Secret {
    let mut form = Serializer::new(String::with_capacity(LONGEST_BODY));
    form.append_pair("Action", action).append_pair("Version", "2011-06-15");
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    if let Some(token) = token {
        form.append_pair("WebIdentityToken", token.expose());
    }
    Secret::new(form.finish())
}

/// A token of 20,000 characters, and what else there is. A buffer that grows would leave copies of the token behind.
const LONGEST_BODY: usize = 64 << 10;

/// What STS gives.
#[derive(Debug)]
pub(crate) struct RoleSession {
    pub(crate) key: Secret,
    pub(crate) secret: Secret,
    pub(crate) session: Secret,
    /// When it ends, by AWS's clock.
    pub(crate) expiration: Timestamp,
    /// The session's ARN, where it is told.
    pub(crate) arn: Option<Secret>,
}

/// Reads the answer to an action that succeeded. `None`: it is no such answer.
#[must_use]
pub(crate) fn parse_session(body: &[u8], action: &str) -> Option<RoleSession> {
    let text = std::str::from_utf8(body).ok()?;
    if text.trim_start().starts_with('{') { parse_json(text, action) } else { parse_xml(text, action) }
}

fn parse_xml(text: &str, action: &str) -> Option<RoleSession> {
    let result = element(text, &format!("{action}Result"))?;
    let credentials = element(result, "Credentials")?;
    let secret = |name: &str| element(credentials, name).map(|text| Secret::new(text.to_owned()));
    let user = element(result, "AssumedRoleUser");
    Some(RoleSession {
        key: secret("AccessKeyId")?,
        secret: secret("SecretAccessKey")?,
        session: secret("SessionToken")?,
        expiration: element(credentials, "Expiration")?.parse().ok()?,
        arn: user.and_then(|user| element(user, "Arn")).map(|arn| Secret::new(arn.to_owned())),
    })
}

fn parse_json(text: &str, action: &str) -> Option<RoleSession> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let result = answer.get(format!("{action}Response"))?.get(format!("{action}Result"))?;
    let credentials = result.get("Credentials")?;
    let secret = |name: &str| Some(Secret::new(credentials.get(name)?.as_str()?.to_owned()));
    let expiration = match credentials.get("Expiration")? {
        Value::String(text) => text.parse().ok()?,
        // Seconds, with or without a fraction.
        Value::Number(number) => {
            let whole = number.as_i64().or_else(|| number.to_string().split('.').next()?.parse().ok())?;
            Timestamp::from_second(whole).ok()?
        }
        _ => return None,
    };
    let arn = result.get("AssumedRoleUser").and_then(|user| user.get("Arn")).and_then(Value::as_str);
    Some(RoleSession {
        key: secret("AccessKeyId")?,
        secret: secret("SecretAccessKey")?,
        session: secret("SessionToken")?,
        expiration,
        arn: arn.map(|arn| Secret::new(arn.to_owned())),
    })
}

/// What stands in the first element of this name, without blanks around it.
pub(super) fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let (_, behind) = rest.split_once('<')?;
        rest = behind;
        // With or without attributes.
        if let Some(after) = behind.strip_prefix(name)
            && after.starts_with(['>', ' ', '\n', '\t', '\r'])
        {
            let (_, inside) = after.split_once('>')?;
            return inside.split_once(&format!("</{name}>")).map(|(inside, _)| inside.trim());
        }
    }
}

/// Reads a refusal: the code, and behind it what a table knows of the message.
#[must_use]
pub(crate) fn parse_refusal(status: u16, body: &[u8]) -> Refusal {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let (code, message) = if text.trim_start().starts_with('{') {
        let error = serde_json::from_str::<Value>(text).ok();
        let of = |name: &str| Some(error.as_ref()?.get("Error")?.get(name)?.as_str()?.to_owned());
        (of("Code"), of("Message"))
    } else {
        (element(text, "Code").map(str::to_owned), element(text, "Message").map(str::to_owned))
    };
    let is_name =
        |code: &String| (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = code.filter(is_name).unwrap_or_default();
    let message = message.unwrap_or_default();
    let known = KNOWN.iter().find(|words| message.contains(**words));
    let reason = match known {
        Some(words) if !code.is_empty() => format!("{code}: {words}"),
        _ => code,
    };
    Refusal { status, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(credentials: &str) -> String {
        format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
             <AssumeRoleWithWebIdentityResult>\n<Audience>x</Audience><AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId>\
             <Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>\n<Credentials>{credentials}</Credentials>\n\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
    }

    fn read(text: &str) -> Option<(String, String)> {
        let session = parse_session(text.as_bytes(), WITH_WEB_IDENTITY)?;
        assert_eq!((session.secret.expose(), session.session.expose()), ("s/+", "t=="));
        assert_eq!(session.arn.as_ref().map(Secret::expose), Some("arn:aws:sts::1:assumed-role/r/s"));
        Some((session.key.expose().to_owned(), session.expiration.to_string()))
    }

    #[test]
    fn an_answer_is_read_in_any_order_and_in_both_forms_of_its_time() {
        let parts = [
            "<AccessKeyId>ASIA</AccessKeyId>",
            "<SecretAccessKey> s/+ </SecretAccessKey>",
            "<SessionToken>\nt==\n</SessionToken>",
            "<Expiration>2026-11-28T16:52:41.527788Z</Expiration>",
        ];
        let mut turned = parts;
        turned.reverse();
        let read_key = |text: &str| read(text).map(|(key, _)| key);
        for order in [parts, turned] {
            assert_eq!(read_key(&xml(&order.concat())).as_deref(), Some("ASIA"));
        }
        let whole = parts.concat().replace(".527788", "");
        assert_eq!(read(&xml(&whole)).unwrap().1, "2026-11-28T16:52:41Z");
        for missing in 0..parts.len() {
            let rest: String =
                parts.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, part)| *part).collect();
            assert!(read(&xml(&rest)).is_none(), "{missing}");
        }
        for portal in ["", "<html>welcome</html>", "{}", "<Credentials>", "\u{1b}"] {
            assert!(parse_session(portal.as_bytes(), WITH_WEB_IDENTITY).is_none(), "{portal}");
        }
        // Another action's answer is none of this one's.
        assert!(parse_session(xml(&parts.concat()).as_bytes(), ASSUME_ROLE).is_none());
    }

    #[test]
    fn the_json_of_an_answer_is_read_too() {
        for expiration in ["1795971161", "1.795971161E9", "1795971161.25", "\"2026-11-28T16:52:41Z\""] {
            let text = format!(
                "{{\"AssumeRoleWithWebIdentityResponse\":{{\"AssumeRoleWithWebIdentityResult\":{{\"AssumedRoleUser\":\
                 {{\"Arn\":\"arn:aws:sts::1:assumed-role/r/s\"}},\"Credentials\":{{\"AccessKeyId\":\"ASIA\",\
                 \"SecretAccessKey\":\"s/+\",\"SessionToken\":\"t==\",\"Expiration\":{expiration}}}}}}}}}"
            );
            assert_eq!(read(&text).map(|(key, _)| key).as_deref(), Some("ASIA"), "{expiration}");
        }
    }

    #[test]
    fn of_a_refusal_the_code_is_told_and_no_word_that_no_table_has() {
        let error = |code: &str, message: &str| {
            let text = format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            );
            parse_refusal(400, text.as_bytes()).reason
        };
        assert_eq!(error("AccessDenied", "Not authorized, eyJ.secret"), "AccessDenied");
        assert_eq!(
            error("InvalidIdentityToken", "Incorrect token audience: eyJ"),
            "InvalidIdentityToken: Incorrect token audience"
        );
        assert_eq!(error("$(id)", "Incorrect token audience"), "");
        let json = b"{\"Error\":{\"Code\":\"ExpiredTokenException\",\"Message\":\"eyJ\"},\"RequestId\":\"1\"}";
        assert_eq!(parse_refusal(400, json).reason, "ExpiredTokenException");
        assert_eq!(parse_refusal(503, b"\xff").reason, "");
    }

    #[test]
    fn a_form_holds_every_field_encoded_and_the_token_last() {
        let fields = vec![("RoleArn", "arn:aws:iam::1:role/a b".to_owned()), ("Policy", "{\"a\":\"&\"}".to_owned())];
        let token = Secret::new("eyJ.a_b-c".into());
        assert_eq!(
            body(WITH_WEB_IDENTITY, &fields, Some(&token)).expose(),
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa+b\
             &Policy=%7B%22a%22%3A%22%26%22%7D&WebIdentityToken=eyJ.a_b-c"
        );
    }
}
