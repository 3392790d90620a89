//! One verb for each request: its path, its body, and what it does on the server.

use std::time::Duration;

use super::client::{Call, Exchange, Vault};
use super::step::Step;
use super::wire::object;
use crate::http::Method;
use crate::mint::Mint;
use crate::secret::Secret;

impl Vault<'_> {
    /// `POST sys/wrapping/lookup {token}`, without a token of our own: spends nothing.
    pub(crate) async fn lookup_wrapping(&self, token: &Secret) -> Exchange {
        self.ask_about(Step::LookupWrapping, token).await
    }

    /// The same, answered inside a wrapping token: that one is made in the namespace of the request, and its end says
    /// which that is.
    pub(crate) async fn lookup_namespace(&self, token: &Secret) -> Exchange {
        self.ask_about(Step::LookupNamespace, token).await
    }

    async fn ask_about(&self, step: Step, token: &Secret) -> Exchange {
        let body = object(&[("token", token.expose())]);
        let call = Call::new(step, Method::Post, "sys/wrapping/lookup");
        self.exchange(Call { body: Some(body), secrets: &[token.expose()], ..call }).await
    }

    /// `POST sys/wrapping/unwrap` with the wrapping token in the header and no body: the only form that needs no
    /// other token.
    pub(crate) async fn unwrap(&self, token: &Secret) -> Exchange {
        self.exchange(Call { token: Some(token), ..Call::new(Step::Unwrap, Method::Post, "sys/wrapping/unwrap") }).await
    }

    /// `POST <path>`, which makes one half of what a login takes.
    pub(crate) async fn prepare(&self, path: &str, token: &Secret) -> Exchange {
        self.exchange(Call { token: Some(token), ..Call::new(Step::Prepare, Method::Post, path) }).await
    }

    /// `POST auth/token/create`: a child with the same policies, that lives as long as this run can. Without a TTL it
    /// would live for 768 hours, and a root token's child for ever.
    pub(crate) async fn create_child(&self, token: &Secret) -> Exchange {
        let call = Call::new(Step::CreateChild, Method::Post, "auth/token/create");
        let ttl = format!("{}s", self.longest_run().as_secs());
        let body = object(&[("display_name", "ci-creds"), ("ttl", &ttl)]);
        self.exchange(Call { token: Some(token), body: Some(body), ..call }).await
    }

    /// `POST auth/token/renew-self {increment}`: from now on the token lives for so long, longer or shorter than it
    /// would have. The default policy grants it.
    pub(crate) async fn renew_self(&self, token: &Secret, increment: Duration) -> Exchange {
        self.renew_token(Step::RenewSelf, token, increment).await
    }

    /// The same while a command runs.
    pub(crate) async fn keep_login(&self, token: &Secret, increment: Duration) -> Exchange {
        self.renew_token(Step::KeepLogin, token, increment).await
    }

    /// `POST auth/token/create/<role>`, with nothing asked for: the role says what the token is.
    pub(crate) async fn create_by_role(&self, role: &str, token: &Secret) -> Exchange {
        let path = format!("auth/token/create/{role}");
        let call = Call::new(Step::CreateByRole, Method::Post, &path);
        self.exchange(Call { token: Some(token), body: Some(object(&[])), ..call }).await
    }

    /// `POST sys/capabilities-self {paths}`: what the token may do at this path. The default policy grants it.
    pub(crate) async fn capabilities_self(&self, path: &str, token: &Secret) -> Exchange {
        let call = Call::new(Step::Capabilities, Method::Post, "sys/capabilities-self");
        self.exchange(Call { token: Some(token), body: Some(object(&[("paths", path)])), ..call }).await
    }

    async fn renew_token(&self, step: Step, token: &Secret, increment: Duration) -> Exchange {
        let call = Call::new(step, Method::Post, "auth/token/renew-self");
        let body = object(&[("increment", &format!("{}s", increment.as_secs()))]);
        self.exchange(Call { token: Some(token), body: Some(body), ..call }).await
    }

    /// `POST sys/leases/renew {lease_id, increment}`; the default policy grants it. The lease ends so long from now, or at
    /// its max_ttl. Never without an increment: after one with it, that would shorten the lease.
    pub(crate) async fn renew_lease(&self, lease: &str, token: &Secret, increment: Duration) -> Exchange {
        let call = Call::new(Step::RenewLease, Method::Post, "sys/leases/renew");
        let body = object(&[("lease_id", lease), ("increment", &format!("{}s", increment.as_secs()))]);
        self.exchange(Call { token: Some(token), body: Some(body), ..call }).await
    }

    /// `POST auth/<mount>/login`. No token goes with it.
    pub(crate) async fn login(&self, step: Step, mount: &str, body: &[(&str, &str)]) -> Exchange {
        let is_public = |name: &str| ["role", "name"].contains(&name);
        let secrets: Vec<_> = body.iter().filter(|(name, _)| !is_public(name)).map(|(_, value)| *value).collect();
        let path = format!("auth/{mount}/login");
        self.exchange(Call { body: Some(object(body)), secrets: &secrets, ..Call::new(step, Method::Post, &path) })
            .await
    }

    /// The same with a request that AWS's STS would answer to anybody, and that no redirect takes along. `secrets` are
    /// what proves the caller in it.
    pub(crate) async fn login_signed(&self, mount: &str, body: &[(&str, &str)], secrets: &[&str]) -> Exchange {
        let path = format!("auth/{mount}/login");
        let call = Call::new(Step::Login, Method::Post, &path);
        self.exchange(Call { body: Some(object(body)), secrets, stays: true, ..call }).await
    }

    /// The read, or the write with the same parameters, that makes a credential.
    pub(crate) async fn mint(&self, mint: &Mint, form: Form, token: &Secret) -> Exchange {
        match form {
            Form::AsRead => {
                let step = if mint.stored { Step::ReadSecret } else { Step::Mint };
                let call = Call::new(step, Method::Get, &mint.path);
                self.exchange(Call { query: &mint.parameters, token: Some(token), ..call }).await
            }
            Form::AsWrite => {
                let pairs: Vec<_> = mint.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let body = mint.body.as_ref().map_or_else(|| object(&pairs), |body| Secret::new(body.clone()));
                let call = Call::new(Step::Mint, Method::Post, &mint.path);
                self.exchange(Call { token: Some(token), body: Some(body), ..call }).await
            }
        }
    }

    /// `GET auth/token/lookup-self`; the default policy grants it.
    pub(crate) async fn lookup_self(&self, token: &Secret) -> Exchange {
        self.exchange(Call { token: Some(token), ..Call::new(Step::LookupSelf, Method::Get, "auth/token/lookup-self") })
            .await
    }

    /// `GET sys/health`, without a token, which a standby answers too.
    pub(crate) async fn health(&self) -> Exchange {
        let query = ["standbyok", "perfstandbyok"].map(|name| (name, "true".to_owned()));
        self.exchange(Call { query: &query, ..Call::new(Step::Diagnose, Method::Get, "sys/health") }).await
    }

    /// `POST auth/token/revoke-self`: takes every lease of the token with it.
    pub(crate) async fn revoke_self(&self, token: &Secret) -> Exchange {
        self.exchange(Call {
            token: Some(token),
            ..Call::new(Step::RevokeSelf, Method::Post, "auth/token/revoke-self")
        })
        .await
    }

    /// `POST sys/leases/revoke {lease_id}`; most CI policies do not grant it. Answered when the engine has revoked it.
    pub(crate) async fn revoke_lease(&self, lease: &str, token: &Secret) -> Exchange {
        self.end_lease(Step::RevokeLease, &[("lease_id", lease)], token).await
    }

    /// `POST sys/leases/revoke {lease_id, sync: false}`: answered at once, and Vault goes on trying by itself.
    pub(crate) async fn queue_revocation(&self, lease: &str, token: &Secret) -> Exchange {
        self.end_lease(Step::QueueRevocation, &[("lease_id", lease), ("sync", "false")], token).await
    }

    async fn end_lease(&self, step: Step, body: &[(&str, &str)], token: &Secret) -> Exchange {
        let call = Call::new(step, Method::Post, "sys/leases/revoke");
        self.exchange(Call { token: Some(token), body: Some(object(body)), ..call }).await
    }
}

/// How the engine is asked: some policies grant only `read`, some only `update`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `GET` with a query, as `vault read` does.
    AsRead,
    /// `POST` with a body, as `vault write` does.
    AsWrite,
}
