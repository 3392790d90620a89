//! From the address to a server that says how it is. One request finds all of it out: `sys/health`, without a token.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Diagnosis, Topic};
use crate::error::{Error, Kind};
use crate::host::Host;
use crate::http::address::Address;
use crate::http::inspection::{CertificateFacts, Obstacle, Sight, find_addresses, look};
use crate::http::transport::{Connection, Roots};
use crate::http::{Peer, Reach};
use crate::time::{render_duration, render_time};
use crate::vault::health::{Health, HealthAnswer, read_health};

/// A certificate that expires sooner is told.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Vault grants an ID token so much before `nbf` and after `exp`.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// The deadline of the one request. Connecting has its own, which the run has too.
const LOOK: Duration = Duration::from_secs(10);

/// The steps of this file, in their order.
pub(crate) const ALL: [Topic; 5] = [Topic::Address, Topic::Connection, Topic::Tls, Topic::Health, Topic::Clock];

/// Examines the way to the server, and the server. Returns which step blocks the requests that follow, if one does.
pub(crate) async fn examine(connection: &Connection, diagnosis: &mut Diagnosis, host: &Host) -> Option<Topic> {
    let name = connection.address.host();
    let sight = match approach(connection, diagnosis).await {
        Ok(sight) => sight,
        Err(topic) => return Some(topic),
    };
    let now = host.now();
    match read_health(&sight.reply, &Peer::vault(connection)) {
        HealthAnswer::SpeaksTls(error) => {
            diagnosis.add(Check::failure(Topic::Tls, &error));
            diagnosis.block(&ALL[3..], Topic::Tls);
            Some(Topic::Tls)
        }
        HealthAnswer::Foreign(error) => {
            diagnosis.add(secured(sight.certificate.as_ref(), connection, now));
            diagnosis.add(Check::failure(Topic::Health, &error));
            diagnosis.block(&ALL[4..], Topic::Health);
            Some(Topic::Health)
        }
        HealthAnswer::None(status) => {
            diagnosis.add(secured(sight.certificate.as_ref(), connection, now));
            diagnosis.add(Check::warning(
                Topic::Health,
                format!("{name} does not answer sys/health (status {status})"),
                "a proxy before Vault may not pass it on; the requests of a run are other ones",
            ));
            diagnosis.add(clock(sight.date.as_deref(), now, "Vault"));
            None
        }
        HealthAnswer::Health(health) => {
            diagnosis.add(secured(sight.certificate.as_ref(), connection, now));
            let serves = diagnosis.add(healthy(&health, sight.reply.status, connection));
            diagnosis.add(clock(sight.date.as_deref(), now, "Vault"));
            (!serves).then_some(Topic::Health)
        }
    }
}

/// Examines the way to a server that is no Vault, and its TLS. Returns which step blocks the request that follows, if one does.
pub(crate) async fn examine_way(connection: &Connection, diagnosis: &mut Diagnosis, host: &Host) -> Option<Topic> {
    match approach(connection, diagnosis).await {
        Ok(sight) => {
            diagnosis.add(secured(sight.certificate.as_ref(), connection, host.now()));
            diagnosis.add(clock(sight.date.as_deref(), host.now(), "STS"));
            None
        }
        Err(topic) => Some(topic),
    }
}

/// Finds the server and asks it once. The step that failed is told; which one, if one did.
async fn approach(connection: &Connection, diagnosis: &mut Diagnosis) -> Result<Sight, Topic> {
    let name = connection.address.host();
    withhold(connection, &[], diagnosis);
    let origin = &connection.address_origin;
    let addresses = match find_addresses(connection, connection.connect_timeout).await {
        Ok(addresses) => addresses,
        Err(error) => {
            diagnosis.add(Check::failure(Topic::Address, &error));
            diagnosis.block(&ALL[1..], Topic::Address);
            return Err(Topic::Address);
        }
    };
    withhold(connection, addresses.as_deref().unwrap_or_default(), diagnosis);
    let found = match (&connection.address, &addresses, &connection.proxy) {
        (Address::Unix(_), ..) => format!("{name} is a socket of this machine (from {origin})"),
        (_, _, Some(proxy)) => format!("{name} (from {origin}) is reached through the proxy from {}", proxy.origin),
        (_, Some(addresses), None) => {
            let mut list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            list.dedup();
            format!("{name} (from {origin}) has the address {}", list.join(", "))
        }
        (_, None, None) => format!("{name} (from {origin}) is an IP address"),
    };
    diagnosis.add(Check::good(Topic::Address, found));
    let sight = match look(connection, LOOK).await {
        Ok(sight) => sight,
        Err(Obstacle { reach, error }) => return Err(stumble(reach, &error, connection, diagnosis)),
    };
    sight.remote.iter().for_each(|remote| diagnosis.withhold(remote.ip().to_string()));
    sight.certificate.iter().flat_map(|certificate| &certificate.names).for_each(|name| diagnosis.withhold(name));
    diagnosis.add(Check::good(Topic::Connection, connected(&sight, connection)));
    Ok(sight)
}

/// What a report does not tell: where the server is.
fn withhold(connection: &Connection, addresses: &[IpAddr], diagnosis: &mut Diagnosis) {
    diagnosis.withhold(connection.address.to_string());
    diagnosis.withhold(connection.address.host());
    if let Address::Tcp(server) = &connection.address {
        diagnosis.withhold(&server.host);
    }
    connection.server_name.iter().chain(&connection.namespace).for_each(|name| diagnosis.withhold(name));
    addresses.iter().for_each(|address| diagnosis.withhold(address.to_string()));
}

/// The step at which the one request failed, and those that it blocks.
fn stumble(reach: Reach, error: &Error, connection: &Connection, diagnosis: &mut Diagnosis) -> Topic {
    let topic = match reach {
        // The address of the server was found: this is the proxy's.
        Reach::Name | Reach::Connection | Reach::Proxy => Topic::Connection,
        Reach::Tls => Topic::Tls,
        Reach::Answer => Topic::Health,
    };
    if topic != Topic::Connection {
        diagnosis.add(Check::good(Topic::Connection, format!("{} takes connections", connection.address.host())));
    }
    if topic == Topic::Health {
        diagnosis.add(secured(None, connection, Timestamp::UNIX_EPOCH));
    }
    diagnosis.add(Check::failure(topic, error));
    let place = ALL.iter().position(|one| *one == topic).unwrap_or_default();
    diagnosis.block(&ALL[place + 1..], topic);
    topic
}

fn connected(sight: &Sight, connection: &Connection) -> String {
    match (sight.remote, &connection.proxy) {
        (Some(remote), None) => format!("{remote} takes connections"),
        (_, Some(proxy)) => format!("the connection goes through the proxy from {}", proxy.origin),
        (None, None) => format!("{} takes connections", connection.address.host()),
    }
}

fn secured(certificate: Option<&CertificateFacts>, connection: &Connection, now: Timestamp) -> Check {
    let by = match &connection.roots {
        Roots::None => {
            let why = match &connection.address {
                Address::Unix(_) => "a socket of this machine needs no TLS",
                Address::Tcp(_) => "the address begins with http://",
            };
            return Check::skip(Topic::Tls, why);
        }
        Roots::Unchecked => "is not checked (from --insecure-skip-verify)".to_owned(),
        Roots::Pem { origin, .. } => format!("is trusted by {origin}"),
        Roots::System => "is trusted by the system's roots".to_owned(),
    };
    let Some(certificate) = certificate else { return Check::good(Topic::Tls, format!("the certificate {by}")) };
    let names = if certificate.names.is_empty() { "an IP address".into() } else { certificate.names.join(", ") };
    let issuer = certificate.issuer.as_ref().map(|issuer| format!(", signed by {issuer},")).unwrap_or_default();
    let expires = certificate.expires.map(|end| format!(" and expires at {}", render_time(end))).unwrap_or_default();
    let text = format!("the certificate for {names}{issuer} {by}{expires}");
    match certificate.expires {
        Some(end) if end.duration_since(now) < SOON => {
            Check::warning(Topic::Tls, text, "the operator of Vault must renew it")
        }
        _ => Check::good(Topic::Tls, text),
    }
}

fn healthy(health: &Health, status: u16, connection: &Connection) -> Check {
    let (name, setting) = (connection.address.host(), &connection.address_setting);
    let product = health.product();
    let fails =
        |text: String, change: &str| Check::failure(Topic::Health, &Error::new(Kind::Unavailable, text).hint(change));
    if !health.initialized {
        return fails(
            format!("{name} is not initialized ({product}, status {status})"),
            &format!("check that {setting} is the address of the right cluster; a new one: vault operator init"),
        );
    }
    if health.sealed {
        let change = format!("unseal Vault, or point {setting} to the active node");
        return fails(format!("{name} is sealed ({product}, status {status})"), &change);
    }
    match status {
        472 => fails(
            format!("{name} is a secondary for disaster recovery ({product}, status 472)"),
            &format!("point {setting} to the primary cluster"),
        ),
        _ if health.standby => Check::good(
            Topic::Health,
            format!("{product}, unsealed, a standby that passes requests on (status {status})"),
        ),
        _ => Check::good(Topic::Health, format!("{product}, unsealed, active")),
    }
}

/// Compares the clocks. The header counts whole seconds.
fn clock(date: Option<&str>, now: Timestamp, server: &str) -> Check {
    let Some(theirs) = date.and_then(parse_date) else {
        return Check::skip(Topic::Clock, "the answer has no date");
    };
    let ahead = now.duration_since(theirs);
    let off = Duration::try_from(if ahead.is_negative() { -ahead } else { ahead }).unwrap_or_default();
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    if off <= Duration::from_secs(2) {
        return Check::good(Topic::Clock, format!("this machine and {server} agree on the time"));
    }
    let text = format!("the clock of this machine is {} {side} that of {server}", render_duration(off));
    match SignedDuration::try_from(off) {
        Ok(off) if off < LEEWAY => Check::good(Topic::Clock, text),
        _ => Check::warning(
            Topic::Clock,
            text,
            format!(
                "set the clock of this machine by NTP: {server} refuses an ID token that is not valid by its own clock"
            ),
        ),
    }
}

/// RFC 9110, 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn clocks_that_are_a_minute_apart_are_told() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (date, mark, words) in [
            (Some("Fri, 20 Nov 2026 12:00:00 GMT"), Mark::Good, "agree"),
            (Some("Fri, 20 Nov 2026 11:59:30 GMT"), Mark::Good, "30s ahead of that of Vault"),
            (Some("Fri, 20 Nov 2026 11:58:30 GMT"), Mark::Warning, "ahead of that of Vault"),
            (Some("Fri, 20 Nov 2026 12:10:00 GMT"), Mark::Warning, "10m behind that of Vault"),
            (Some("soon"), Mark::Skip, "no date"),
            (None, Mark::Skip, "no date"),
        ] {
            let check = clock(date, now, "Vault");
            assert_eq!(check.mark, mark, "{date:?}");
            assert!(check.text.contains(words), "{date:?}: {}", check.text);
        }
    }
}
