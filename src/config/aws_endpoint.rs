//! Which server is STS: the endpoint of a region, or the one that AWS's own variables name.

use super::source::Layers;
use crate::aws::sts;
use crate::error::{Error, Kind, Result};
use crate::http::address::{Address, parse_server};
use crate::http::transport::Connection;
use crate::origin::{Origin, WithOrigin};
use crate::variables as var;

/// What is sent to STS, and what somebody else could do with it. For messages.
#[derive(Clone, Copy)]
pub(super) struct SentToSts {
    what: &'static str,
    risk: &'static str,
}

/// The ID token of a job.
pub(super) const ID_TOKEN: SentToSts = SentToSts { what: "the ID token", risk: "use the ID token at AWS" };
/// A request that the runner's own credentials sign.
pub(super) const SIGNED_REQUEST: SentToSts =
    SentToSts { what: "the signed request", risk: "give the job an ID token of somebody else" };

/// How STS is reached, and the region that a request to it is signed for.
///
/// Security: what proves who the job is goes there, so a variable may name this machine, or a name that is STS's alone.
pub(super) fn resolve_endpoint(
    region: Option<&WithOrigin<String>>,
    partition: &str,
    fips: bool,
    (sent, layers): (SentToSts, &Layers<'_>),
    connect: impl FnOnce(Address) -> Result<Connection>,
) -> Result<(Connection, String)> {
    let (url, signed_for) = sts::endpoint_for(partition, region.map(|region| region.value.as_str()), fips);
    let origin = region.map_or(Origin::Default, |region| region.origin.clone());
    let named = layers.first_variable(&[var::AWS_ENDPOINT_URL_STS, var::AWS_ENDPOINT_URL])?;
    let endpoint = named.unwrap_or(WithOrigin { value: url, origin });
    let wrong = |problem: &str| {
        Error::new(Kind::Config, format!("the endpoint of STS (from {}) {problem}", endpoint.origin))
            .hint("https://sts.eu-central-1.amazonaws.com, or http:// for this machine only")
    };
    let server = parse_server(endpoint.value.trim()).map_err(|problem| wrong(&problem))?;
    if !server.prefix.is_empty() {
        return Err(wrong("has a path in it"));
    }
    let is_fit = server.is_loopback() || server.tls && sts::is_sts(&server.host);
    if !is_fit {
        return Err(wrong(&format!("is {}, which is not STS: {} was not sent there", server.base(), sent.what))
            .hint(format!("unset {}: whoever answers there could {}", endpoint.origin, sent.risk)));
    }
    let signed_for = sts::region_of(&server.host).map_or(signed_for, str::to_owned);
    let connection = connect(Address::Tcp(server))?;
    let place = endpoint.origin.to_string();
    Ok((Connection { address_origin: place.clone(), address_setting: place, ..connection }, signed_for))
}

/// The `Host` header of a request to it, which is signed.
pub(super) fn authority(connection: &Connection) -> String {
    match &connection.address {
        Address::Tcp(server) => server.host_header(),
        Address::Unix(_) => String::new(),
    }
}
