//! The JSON of the AWS SDKs' container credentials endpoint.
//!
//! Measured: botocore and the SDK for JavaScript fail when `Token` or `Expiration` is missing or null, so both are always
//! there. `AccountId` would change endpoints; it is never printed. Of a failure, Terraform and botocore print the text.

use serde::Serialize;

use super::json;
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::render_time;

/// The end of a credential for which nobody named one. Every SDK takes it.
const ENDLESS: &str = "9999-12-31T23:59:59Z";
/// The code of a failure.
const CODE: &str = "CiCredsExpired";
/// So long the text of a failure may be: it is printed in the middle of a tool's own line.
const LONGEST_MESSAGE: usize = 300;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerDocument<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
}

#[derive(Serialize)]
struct ContainerFailure<'a> {
    code: &'a str,
    message: &'a str,
}

pub(super) fn document(credential: &Credential) -> Result<Secret> {
    let value = |wanted: &str| {
        let found = credential.values.iter().find(|(field, _)| field.process == Some(wanted));
        found.map(|(_, value)| value.expose())
    };
    let (Some(access_key_id), Some(secret_access_key)) = (value("AccessKeyId"), value("SecretAccessKey")) else {
        let text = format!("the AWS SDKs cannot take {} credentials from --serve", credential.shape.title);
        return Err(Error::new(Kind::Usage, text));
    };
    let token = value("SessionToken").unwrap_or_default();
    let end = credential.lease.expires_at.map(render_time);
    let expiration = end.as_deref().unwrap_or(ENDLESS);
    json::write(&ContainerDocument { access_key_id, secret_access_key, token, expiration }, credential.capacity())
}

pub(super) fn failure(text: &str) -> String {
    let message: String = text.chars().take(LONGEST_MESSAGE).collect();
    serde_json::to_string(&ContainerFailure { code: CODE, message: &message }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale};
    use super::*;

    #[test]
    fn token_and_expiration_are_always_there() {
        assert_eq!(
            document(&aws(true)).unwrap().expose(),
            "{\"AccessKeyId\":\"ASIARZKVVYOZ7ODGRLVU\",\"SecretAccessKey\":\"8+8UdWu4/nv0\",\
             \"Token\":\"FQoGZX/+==\",\"Expiration\":\"2026-11-20T13:18:17Z\"}\n"
        );
        let mut endless = aws(false);
        endless.lease.expires_at = None;
        assert_eq!(
            document(&endless).unwrap().expose(),
            "{\"AccessKeyId\":\"ASIARZKVVYOZ7ODGRLVU\",\"SecretAccessKey\":\"8+8UdWu4/nv0\",\"Token\":\"\",\
             \"Expiration\":\"9999-12-31T23:59:59Z\"}\n"
        );
    }

    #[test]
    fn another_clouds_credential_is_refused() {
        assert_eq!(document(&exoscale()).unwrap_err().kind(), Kind::Usage);
    }

    #[test]
    fn a_failure_is_one_line_of_json_and_not_too_long() {
        assert_eq!(failure("a \"b\""), r#"{"code":"CiCredsExpired","message":"a \"b\""}"#);
        assert_eq!(failure(&"é".repeat(400)).chars().filter(|c| *c == 'é').count(), 300);
    }
}
