//! The JSON of the AWS SDKs' `credential_process`.
//!
//! The SDKs disagree about anything unusual, and Terraform prints the whole text into the log when it cannot read
//! it. So: `Version` is the number 1, `Expiration` has exactly one spelling, and what is absent has no member.
//! `AccountId` would change endpoints; it is never printed.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::json;
use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::render_time;

pub(super) fn object(credential: &Credential) -> Result<Secret> {
    if !credential.shape.fits_process() {
        let title = &credential.shape.title;
        return Err(Error::new(
            Kind::Usage,
            format!("the AWS SDKs cannot take {title} credentials by --format process"),
        )
        .hint("--format shell, or --format json"));
    }
    json::write(&ProcessCredential(credential), credential.capacity())
}

struct ProcessCredential<'a>(&'a Credential);

impl Serialize for ProcessCredential<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("Version", &1)?;
        for (field, value) in &self.0.values {
            if let Some(name) = field.process {
                map.serialize_entry(name, value.expose())?;
            }
        }
        if let Some(end) = self.0.lease.expires_at {
            map.serialize_entry("Expiration", &render_time(end))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale};
    use super::*;

    #[test]
    fn absent_members_are_left_out() {
        assert_eq!(
            object(&aws(true)).unwrap().expose(),
            "{\"Version\":1,\"AccessKeyId\":\"ASIARZKVVYOZ7ODGRLVU\",\"SecretAccessKey\":\"8+8UdWu4/nv0\",\
             \"SessionToken\":\"FQoGZX/+==\",\"Expiration\":\"2026-11-20T13:18:17Z\"}\n"
        );
        let mut endless = aws(false);
        endless.lease.expires_at = None;
        assert_eq!(
            object(&endless).unwrap().expose(),
            "{\"Version\":1,\"AccessKeyId\":\"ASIARZKVVYOZ7ODGRLVU\",\"SecretAccessKey\":\"8+8UdWu4/nv0\"}\n"
        );
    }

    #[test]
    fn another_clouds_credential_is_refused() {
        assert_eq!(object(&exoscale()).unwrap_err().kind(), Kind::Usage);
    }
}
