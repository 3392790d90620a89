//! What went wrong below HTTP, in words for the user, and whether a byte of the request can have left.
//!
//! Foreign errors are looked into here and nowhere else. None of their texts gets out: they can hold URLs, and
//! with them what somebody put there.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use rustls::{AlertDescription, Error as TlsError};

use super::certificate;
use super::peer::Peer;
use crate::error::{Error, Kind};

/// A request without a whole answer.
#[derive(Debug)]
pub(crate) struct TransportError {
    pub(crate) stage: Stage,
    pub(crate) error: Error,
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No byte of it left, or not all of them: there was no connection.
    NotSent,
    /// The same, for the node that a redirect named: a standby that does not know yet that its leader is gone.
    Leaderless,
    /// Some or all of it left; whether Vault acted on it is unknown.
    Sent,
    /// The same request can only fail the same way: a certificate, our own settings. Nobody acted on it.
    Last,
    /// As before, for an answer that leads elsewhere; whoever gave it may have acted first.
    Astray,
    /// As before, for a proxy that does not let us through.
    Barred,
}

/// What a request stumbled over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The host has no address.
    Name,
    /// There is no connection.
    Connection,
    /// The proxy does not let us through.
    Proxy,
    /// TLS, on a connection that stands.
    Tls,
    /// No answer that can be used.
    Answer,
}

/// How far a request came that failed.
pub(super) fn reach(error: &reqwest::Error) -> Reach {
    let causes = causes(error);
    let has_words = |words: &str| error.is_connect() && causes.iter().any(|cause| cause.to_string().ends_with(words));
    let tls = causes.iter().find_map(|cause| cause.downcast_ref::<TlsError>());
    if tls.is_some_and(|tls| error.is_connect() || refuses_certificate(tls)) {
        Reach::Tls
    } else if has_words("proxy authorization required") || has_words("unsuccessful") {
        Reach::Proxy
    } else if causes.iter().any(|cause| cause.downcast_ref::<ResolveError>().is_some()) {
        Reach::Name
    } else if error.is_connect() {
        Reach::Connection
    } else {
        Reach::Answer
    }
}

impl TransportError {
    pub(super) fn last(error: Error) -> Self {
        Self { stage: Stage::Last, error }
    }

    /// It left for the node that a redirect named.
    pub(super) fn behind_a_redirect(self) -> Self {
        let stage = if self.stage == Stage::NotSent { Stage::Leaderless } else { self.stage };
        Self { stage, ..self }
    }

    pub(super) fn astray(error: Error) -> Self {
        Self { stage: Stage::Astray, error }
    }
}

/// A host that cannot be called, for want of an address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// No name service knows this host, or it leads away from this machine where it must not.
    NoAddress(String),
    /// The system has no thread left to ask on.
    NoThread,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no address")
    }
}

impl StdError for ResolveError {}

/// Reads a reqwest error.
pub(super) fn describe(error: &reqwest::Error, peer: &Peer, timeout: Duration) -> TransportError {
    let host = peer.host.as_str();
    let causes = causes(error);
    let tls = causes.iter().find_map(|cause| cause.downcast_ref::<TlsError>());
    // With TLS 1.3 a server looks at our certificate after our request has left, and then leaves the request alone.
    // What else spoils TLS behind the handshake has lost us an answer.
    if let Some(tls) = tls.filter(|tls| error.is_connect() || refuses_certificate(tls)) {
        return TransportError::last(describe_tls(tls, peer));
    }
    // What the proxy said to CONNECT: hyper-util's type for it has no name out here.
    let said = |words: &str| error.is_connect() && causes.iter().any(|cause| cause.to_string().ends_with(words));
    if said("proxy authorization required") {
        let origin = peer.proxy.as_deref().unwrap_or_default();
        let error = Error::new(Kind::Protocol, format!("the proxy from {origin} requires a login (407)"));
        let error = error.hint("http://USER:PASSWORD@proxy.example.com:3128, or a proxy that knows this runner");
        return TransportError { stage: Stage::Barred, error };
    }
    // reqwest calls a request's own deadline no connect error even when it passed while connecting: rather ambiguous.
    let stage = if error.is_connect() || is_unsent(error) { Stage::NotSent } else { Stage::Sent };
    let unavailable = |text: String| Error::new(Kind::Unavailable, text);
    let io = causes.iter().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    let error = if let Some(problem) = causes.iter().find_map(|cause| cause.downcast_ref::<ResolveError>()) {
        describe_unresolved(problem, peer)
    } else if stage == Stage::NotSent {
        describe_connect(error, io, said("unsuccessful"), peer)
    } else if error.is_timeout() {
        return too_late(peer, timeout);
    } else {
        unavailable(format!("the connection to {host} was lost before the answer was complete")).hint(peer.reach_hint(
            "a proxy or load balancer before Vault, or a Vault that is restarting; if the server speaks TLS, the \
            address begins with https://",
        ))
    };
    TransportError { stage, error }
}

/// Whether some of the request is still here: its connection was closed before hyper began with it, or did not take all
/// of it, and what is not whole is not acted on. hyper has no other name for the second than its text.
pub(super) fn is_unsent(error: &reqwest::Error) -> bool {
    const HYPERS: [&str; 2] = ["operation was canceled", "error writing a body to connection"];
    causes(error).iter().any(|cause| HYPERS.contains(&cause.to_string().as_str()))
}

pub(super) fn describe_unresolved(problem: &ResolveError, peer: &Peer) -> Error {
    let host = &peer.host;
    match (problem, &peer.proxy) {
        (ResolveError::NoThread, _) => {
            Error::new(Kind::Os, format!("the system refused a thread to look up the address of {host}"))
                .hint("ulimit -u, or the limit of processes of this container")
        }
        // A proxy looks the server up by itself.
        (ResolveError::NoAddress(name), Some(origin)) if !host.starts_with(&format!("{name}:")) => {
            Error::new(Kind::Unavailable, format!("there is no address for the proxy (from {origin})"))
                .hint("is its host spelled right, and known to this runner's DNS?")
        }
        (ResolveError::NoAddress(_), _) => Error::new(Kind::Unavailable, format!("there is no address for {host}"))
            .hint(peer.reach_hint(&format!(
                "is the host in {} spelled right, and known to this runner's DNS?",
                peer.address
            ))),
    }
}

/// A request whose deadline has passed. When that happened while connecting nobody can say so: rather ambiguous.
pub(super) fn too_late(peer: &Peer, timeout: Duration) -> TransportError {
    let text = format!("no complete answer from {} in {:.0} s", peer.host, timeout.as_secs_f64().ceil());
    let error = Error::new(Kind::Unavailable, text)
        .hint(peer.reach_hint("--request-timeout allows more for a request, --timeout for the whole run"));
    TransportError { stage: Stage::Sent, error }
}

fn describe_connect(error: &reqwest::Error, io: Option<std::io::ErrorKind>, refused: bool, peer: &Peer) -> Error {
    use std::io::ErrorKind as Io;
    let through = peer.proxy.as_ref().map(|origin| format!(" through the proxy from {origin}")).unwrap_or_default();
    let host = format!("{}{through}", peer.host);
    let text = if error.is_timeout() {
        format!("cannot reach {host}: no connection in time")
    } else if refused {
        format!("cannot reach {host}, which refuses")
    } else {
        match io {
            Some(Io::ConnectionRefused) => format!("cannot reach {host}: connection refused"),
            Some(Io::NotFound) => format!("cannot reach {host}: there is no such socket"),
            Some(Io::PermissionDenied) => format!("cannot reach {host}: permission denied"),
            Some(Io::HostUnreachable | Io::NetworkUnreachable) => format!("cannot reach {host}: no route"),
            Some(Io::UnexpectedEof | Io::ConnectionReset | Io::BrokenPipe) => {
                format!("cannot reach {host}: the connection was closed while it was being set up")
            }
            _ => format!("cannot reach {host}: no connection"),
        }
    };
    let change = match &peer.proxy {
        Some(origin) => {
            format!("check the proxy in {origin}, and that it lets this runner reach the address in {}", peer.address)
        }
        None => format!("check {}, and that this runner can reach it (network, proxy, firewall)", peer.address),
    };
    Error::new(Kind::Unavailable, text).hint(peer.reach_hint(&change))
}

fn describe_tls(error: &TlsError, peer: &Peer) -> Error {
    let host = &peer.host;
    let protocol = |text: String| Error::new(Kind::Protocol, text);
    match error {
        TlsError::InvalidCertificate(problem) => certificate::describe(problem, peer),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity)
        | TlsError::PeerIncompatible(_) => {
            protocol(format!("{host} does not offer TLS 1.2 or later"))
                .hint(peer.reach_hint("tls_min_version of Vault's listener, or the proxy in front of it, must allow tls12 or tls13"))
        }
        _ if refuses_certificate(error) => {
            protocol(format!("{host} requires a client certificate, or refused the one that is set"))
                .hint(peer.reach_hint("set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY, or --client-cert and --client-key"))
        }
        TlsError::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::UnrecognisedName) => {
            protocol(format!("{host} refused the TLS handshake"))
                .hint(peer.reach_hint(&format!("is the host in {} the one that the server serves? VAULT_TLS_SERVER_NAME names another; its key must be RSA, P-256, P-384, P-521 or Ed25519", peer.address)))
        }
        TlsError::InvalidMessage(_) => protocol(format!("{host} does not speak TLS"))
            .hint(peer.reach_hint(&format!("is this the port of a plain http server, or of a proxy? On this machine, {} may begin with http://", peer.address))),
        _ => protocol(format!("the TLS connection to {host} failed"))
            .cause(anyhow::anyhow!("{}", crate::error::sanitized(&error.to_string()))),
    }
}

/// Whether the server wants a certificate of ours, or another one.
fn refuses_certificate(error: &TlsError) -> bool {
    use AlertDescription as Alert;
    let TlsError::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
    )
}

/// The errors below an error. An `io::Error` hides the one that it carries from `source`.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut found = vec![error];
    let mut next = error.source();
    while let Some(cause) = next {
        found.push(cause);
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => cause.source(),
        };
    }
    found
}
