//! One JSON object with everything that is known: for scripts that need the lease, or other names.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::credential::Credential;
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::time::render_time;

pub(super) fn object(credential: &Credential) -> Result<Secret> {
    write(&Object(credential), credential.capacity())
}

/// Writes JSON into one buffer that never grows: a growing one would leave copies of the secret behind.
pub(super) fn write(value: &impl Serialize, capacity: usize) -> Result<Secret> {
    let mut bytes = Vec::with_capacity(capacity);
    // serde's own text could quote the value.
    let broken = || Error::new(Kind::Internal, "the credential cannot be written as JSON");
    serde_json::to_writer(&mut bytes, value).map_err(|_| broken())?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map(Secret::new).map_err(|_| broken())
}

struct Object<'a>(&'a Credential);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(credential) = self;
        let mut map = serializer.serialize_map(None)?;
        if credential.shape.mapping.is_some() {
            let all = || std::iter::once(*credential).chain(&credential.others);
            match credential.others.is_empty() {
                true => write_secret(&mut map, credential)?,
                false => map.serialize_entry("secrets", &all().map(OneSecret).collect::<Vec<_>>())?,
            }
            return map.end();
        }
        map.serialize_entry("provider", &credential.shape.name)?;
        match credential.shape.stored {
            None => map.serialize_entry("role", &credential.role)?,
            Some(_) => map.serialize_entry("path", &credential.path)?,
        }
        for (field, text) in credential.texts() {
            map.serialize_entry(&field.name, text)?;
        }
        write_lease(&mut map, credential)?;
        map.end()
    }
}

struct OneSecret<'a>(&'a Credential);

impl Serialize for OneSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_secret(&mut map, self.0)?;
        map.end()
    }
}

/// The variables stand in an object of their own: their names are the user's.
fn write_secret<M: SerializeMap>(map: &mut M, credential: &Credential) -> Result<(), M::Error> {
    struct Variables<'a>(&'a Credential);
    impl Serialize for Variables<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.own_variables())
        }
    }
    map.serialize_entry("provider", &credential.shape.name)?;
    if !credential.role.is_empty() {
        map.serialize_entry("name", &credential.role)?;
    }
    map.serialize_entry("path", &credential.path)?;
    map.serialize_entry("variables", &Variables(credential))?;
    write_lease(map, credential)
}

fn write_lease<M: SerializeMap>(map: &mut M, credential: &Credential) -> Result<(), M::Error> {
    if let Some(id) = &credential.lease.id {
        map.serialize_entry("lease_id", id)?;
    }
    map.serialize_entry("renewable", &credential.lease.renewable)?;
    match credential.lease.expires_at {
        Some(end) => map.serialize_entry("expiration", &render_time(end)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{aws, exoscale};
    use super::*;

    #[test]
    fn an_absent_value_has_no_member() {
        assert_eq!(
            object(&exoscale()).unwrap().expose(),
            "{\"provider\":\"exoscale\",\"role\":\"ci\",\"api_key\":\"EXO1216fe31ae170c1d03\",\
             \"api_secret\":\"sjEjWthov-naql9vmlDT_apg\",\"name\":\"vault-ci-approle-1\",\
             \"lease_id\":\"exoscale/x/ci/U6z5\",\"renewable\":true,\"expiration\":\"2026-11-20T13:18:17Z\"}\n"
        );
        assert!(!object(&aws(false)).unwrap().expose().contains("session_token"));
    }
}
