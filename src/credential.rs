//! A credential as it came from the engine, and what Vault said of its life. No I/O, no clock.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::provider::shape::{Field, Shape};
use crate::secret::Secret;

/// One credential, checked: every value lies inside its field's character set.
#[derive(Debug)]
pub struct Credential {
    /// What it consists of.
    pub shape: Cow<'static, Shape>,
    /// The engine's role.
    pub role: String,
    /// The Vault path that it was read from, without `/v1/`.
    pub path: String,
    /// The values, in the order of the shape's fields; optional ones may be missing.
    pub values: Vec<(Field, Secret)>,
    /// Variables beside the credential that the user asked for: a region, a zone.
    pub companions: Vec<(&'static str, String)>,
    /// The lease behind it.
    pub lease: Lease,
    /// Whether `AWS_PROFILE` and the like stay as they are.
    pub keep_profile: bool,
    /// What the same run read beside it, to be handed over together.
    pub others: Vec<Self>,
}

/// What Vault said of the credential's life.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    /// Vault's name for it; `None` when there is no lease. Not a secret by itself, but who holds it and a token
    /// with the right policy can revoke it.
    pub id: Option<String>,
    /// Whether Vault would renew it.
    pub renewable: bool,
    /// When it is of no more use, by the local clock; `None` when Vault named no end.
    pub expires_at: Option<Timestamp>,
    /// When Vault revokes it if it is not renewed and the token lives on. `None` if Vault named no time, or from the cache.
    pub granted_until: Option<Timestamp>,
    /// What ends it.
    pub life: Life,
}

/// What ends a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// Its lease: Vault revokes it then, or earlier on request, or when the token that asked for it expires.
    Leased,
    /// The cloud, at a fixed time. Nothing can revoke it before, not even the end of the token: STS.
    Expiring,
    /// Nothing that Vault knows of: an answer without a lease.
    #[default]
    Static,
}

impl Credential {
    /// The variables to set, in order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.own_variables().chain(self.others.iter().flat_map(Self::own_variables))
    }

    /// The same without those of the others.
    pub fn own_variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self.texts().filter_map(|(field, text)| Some((field.variable.as_deref()?, text)));
        let is_field = |name: &str| self.shape.fields.iter().any(|field| field.variable.as_deref() == Some(name));
        let companions = self.companions.iter().filter(move |(name, _)| !is_field(name));
        values.chain(companions.map(|(name, value)| (*name, value.as_str())))
    }

    /// The fields with their values, in order. What the user says of a field wins over what was read.
    pub fn texts(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.shape.fields.iter().filter_map(|field| {
            let is_it = |name: &str| field.variable.as_deref() == Some(name);
            let said = self.companions.iter().find(|(name, _)| is_it(name)).map(|(_, text)| text.as_str());
            let read = || self.value(&field.name).map(Secret::expose);
            Some((field, said.or_else(read)?))
        })
    }

    /// Every variable that the tools could take a credential of this kind from, and of the others.
    pub fn owned_variables(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().flat_map(|one| one.shape.owned_variables(one.keep_profile));
        self.shape.owned_variables(self.keep_profile).chain(others)
    }

    /// Everything of it that is secret, and the fields that say so.
    pub fn all_values(&self) -> impl Iterator<Item = &(Field, Secret)> {
        self.values.iter().chain(self.others.iter().flat_map(|one| &one.values))
    }

    /// The variables to unset: every name of this provider's that would otherwise keep a stale value.
    #[must_use]
    pub fn stale_variables(&self) -> Vec<&str> {
        let set: Vec<_> = self.variables().map(|(name, _)| name).collect();
        self.owned_variables().filter(|name| !set.contains(name)).collect()
    }

    /// The credential itself. What stays is what can be revoked by it, without the values.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            shape: self.shape.clone(),
            role: self.role.clone(),
            path: self.path.clone(),
            values: std::mem::take(&mut self.values),
            companions: self.companions.clone(),
            lease: self.lease.clone(),
            keep_profile: self.keep_profile,
            others: self.others.iter_mut().map(Self::take).collect(),
        }
    }

    /// A second holder of the same credential, with other values in the place of some.
    ///
    /// # Errors
    /// What `replace` says.
    pub fn replace_values<E>(&self, replace: &mut impl FnMut(&Field, &Secret) -> Result<Secret, E>) -> Result<Self, E> {
        let mut values = Vec::with_capacity(self.values.len());
        for (field, value) in &self.values {
            values.push((field.clone(), replace(field, value)?));
        }
        let mut others = Vec::with_capacity(self.others.len());
        for one in &self.others {
            others.push(one.replace_values(replace)?);
        }
        Ok(Self {
            shape: self.shape.clone(),
            role: self.role.clone(),
            path: self.path.clone(),
            values,
            companions: self.companions.clone(),
            lease: self.lease.clone(),
            keep_profile: self.keep_profile,
            others,
        })
    }

    /// Room for the credential in any format: a text that outgrows its buffer would leave copies of the secret behind,
    /// and every byte of a larger one is overwritten when it is freed.
    #[must_use]
    pub fn capacity(&self) -> usize {
        // A quoted character is at most four, and one in JSON six.
        let times = if self.shape.mapping.is_some() { 6 } else { 1 };
        let values: usize = self.values.iter().map(|(_, value)| value.expose().len() * times).sum();
        let names: usize = self.owned_variables().map(|name| name.len() * 4 + 64).sum();
        let names = if self.shape.mapping.is_some() { names } else { 0 };
        let others: usize = self.others.iter().map(Self::capacity).sum();
        2048 + self.role.len()
            + self.path.len()
            + self.lease.id.as_ref().map_or(0, String::len)
            + values
            + names
            + others
    }

    /// The text of one field, by its name in `--format json`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Secret> {
        self.values.iter().find(|(field, _)| field.name == name).map(|(_, value)| value)
    }
}
