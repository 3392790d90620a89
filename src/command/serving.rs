//! `exec --serve`: the AWS credential is not in the command's environment but at an endpoint, where a new one follows
//! before it expires.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::Serve;
use crate::credential::Credential;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::host::Host;
use crate::provider::aws;
use crate::rotation::Current;
use crate::secret::Secret;

/// So long a read that is under way has when the command has ended. What it makes is revoked then; what a read makes that
/// is cut off, no lease may end.
const SETTLE: Duration = Duration::from_secs(2);

/// An open endpoint, and what it serves.
pub(super) struct Serving<'a> {
    endpoint: Endpoint,
    token: Secret,
    serve: Serve,
    current: Current<'a>,
}

impl<'a> Serving<'a> {
    /// Takes the values out of the credential: they are at the endpoint, and nowhere else.
    ///
    /// # Errors
    /// As [`Endpoint::open`].
    pub(super) async fn open(mut serve: Serve, credential: &mut Credential, host: &'a Host) -> Result<Self> {
        let (endpoint, token) = Endpoint::open(host).await?;
        let served = credential.take();
        let of_one_credential = credential.shape.expiration;
        credential.companions.retain(|(name, _)| Some(*name) != of_one_credential);
        credential.keep_profile = serve.keep_config;
        // What is set last counts, and `--region` counts more.
        serve.region = serve.region.filter(|_| !credential.variables().any(|(name, _)| aws::REGIONS.contains(&name)));
        Ok(Self { endpoint, token, serve, current: Current::new(served, host) })
    }

    /// What the command gets in its environment to find the endpoint, and to find nothing before it.
    pub(super) fn variables(&self) -> Vec<(String, Secret)> {
        let mut variables = vec![(aws::ENDPOINT.0, self.endpoint.uri()), (aws::ENDPOINT.1, self.token.expose())];
        if !self.serve.keep_config {
            variables.extend(aws::FILES.map(|name| (name, "/dev/null")));
        }
        if let Some(region) = &self.serve.region {
            variables.extend(aws::REGIONS.map(|name| (name, region.as_str())));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned()))).collect()
    }

    /// What is served.
    pub(super) fn current(&self) -> &Current<'a> {
        &self.current
    }

    /// Serves until the command has ended. `keep` reads a successor of each credential beside that.
    pub(super) async fn run<T>(&self, ended: impl Future<Output = T>, keep: impl Future<Output = Infallible>) -> T {
        let mut keep = pin!(keep);
        let ended = tokio::select! {
            biased;
            ended = ended => ended,
            never = &mut keep => match never {},
            never = self.endpoint.serve(|| self.current.answer()) => match never {},
        };
        let settled = async {
            tokio::select! {
                biased;
                () = self.current.is_settled() => {}
                never = &mut keep => match never {},
            }
        };
        let _ = timeout(SETTLE, settled).await;
        ended
    }
}
