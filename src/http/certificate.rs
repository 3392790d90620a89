//! What is wrong with a server's certificate, in words for the user: each reason by its own name, with the exact change.

use std::error::Error as StdError;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, OtherError};

use super::peer::Peer;
use super::verifier::CertificateFlaw;
use crate::error::{Error, Kind, sanitized};

/// Says why, and what to change.
pub(super) fn describe(problem: &CertificateError, peer: &Peer) -> Error {
    let wrong = |text: String| Error::new(Kind::Protocol, format!("the certificate of {} {text}", peer.host));
    match problem {
        CertificateError::UnknownIssuer => {
            let hint = peer.trust_hint("set the CA with --ca-file PATH or VAULT_CACERT");
            wrong("is signed by an unknown CA".into()).hint(hint)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            wrong(format!("has expired{}", dates(problem))).hint("renew it, or set the clock of this runner")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            wrong(format!("is not valid yet{}", dates(problem))).hint("is the clock of this runner right?")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            describe_names(expected, presented, peer, &wrong)
        }
        // A CA that was made anew under its old name: the name is found, and its key does not fit.
        CertificateError::BadSignature => {
            wrong("is signed by a different CA of the same name".into()).hint(peer.trust_hint(
                "set the current CA with --ca-file PATH or VAULT_CACERT; an RSA key of a CA needs 2048 bits or more",
            ))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            wrong("is not for servers: its extended key usage lacks serverAuth".into()).hint(SERVER_AUTH)
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: id, .. }
            if SHA_1.iter().any(|sha_1| id.windows(sha_1.len()).any(|window| window == *sha_1)) =>
        {
            wrong("is signed with SHA-1, or another one in its chain is".into()).hint(KEYS)
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            wrong("has a signature of an unsupported kind, or another one in its chain has".into()).hint(KEYS)
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            wrong("has a key of an unsupported kind, or another one in its chain has".into()).hint(KEYS)
        }
        CertificateError::BadEncoding => wrong("is not valid X.509".into()).hint("have it issued again"),
        CertificateError::Revoked => wrong("is revoked".into()).hint("have a new one issued"),
        CertificateError::Other(OtherError(cause)) => describe_refusal(cause.as_ref(), peer, &wrong),
        _ => wrong("is not valid".into()).cause(anyhow::anyhow!("{}", sanitized(&problem.to_string()))),
    }
}

const SERVER_AUTH: &str = "have it issued with extendedKeyUsage=serverAuth";
/// What [`super::p521`] and `ring` know.
const KEYS: &str = "have it issued with SHA-256 or longer, for an RSA key of 2048 to 8192 bits, an ECDSA key on P-256, P-384 or P-521, or an Ed25519 key";
/// `sha1WithRSAEncryption` and `ecdsa-with-SHA1`, the bytes of their object identifiers.
const SHA_1: [&[u8]; 2] = [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]];

/// A name that does not fit, beside the one that was asked for.
fn describe_names(
    expected: &ServerName<'_>,
    presented: &[String],
    peer: &Peer,
    wrong: &dyn Fn(String) -> Error,
) -> Error {
    let (kind, expected) = match expected {
        ServerName::IpAddress(address) => ("IP", std::net::IpAddr::from(*address).to_string()),
        name => ("DNS", name.to_str().into_owned()),
    };
    if presented.is_empty() {
        return wrong(format!("has no subject alternative name, and does not cover {expected}"))
            .hint(format!("have it issued with subjectAltName={kind}:{expected}; a common name does not count"));
    }
    let names = sanitized(&presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", "));
    let first = sanitized(presented.first().map(|name| bare(name)).as_deref().unwrap_or_default());
    let change = if first.contains(' ') {
        format!("use such a name in {}, or set VAULT_TLS_SERVER_NAME to one", peer.address)
    } else {
        format!("use that name in {}, or set VAULT_TLS_SERVER_NAME={first}", peer.address)
    };
    wrong(format!("is for another name: it is for {names}, not for {expected}")).hint(peer.reach_hint(&change))
}

/// webpki spells them `DnsName("vault.corp")` and `IpAddress(10.0.0.1)`. A star would not survive [`sanitized`].
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest).trim_matches(['"', ')']);
    inner.strip_prefix("*.").map_or_else(|| inner.to_owned(), |domain| format!("any name below {domain}"))
}

/// What rustls passes on as it is.
fn describe_refusal(cause: &(dyn StdError + 'static), peer: &Peer, wrong: &dyn Fn(String) -> Error) -> Error {
    use webpki::Error as Pki;
    let or_trust_it = match peer.hints {
        None => ", or set this very certificate with --ca-file PATH or VAULT_CACERT",
        Some(_) => "",
    };
    match (cause.downcast_ref::<CertificateFlaw>(), cause.downcast_ref::<Pki>()) {
        (Some(CertificateFlaw::SelfSigned), _) => wrong("is self-signed and not trusted".into()).hint(peer.trust_hint(
            "get this certificate from the operator of Vault, and set it with --ca-file PATH or VAULT_CACERT",
        )),
        (Some(CertificateFlaw::Handshake), _) => {
            wrong("does not fit the key that the server signs with, or its key is too short".into()).hint(KEYS)
        }
        (_, Some(Pki::CaUsedAsEndEntity)) => wrong("is a CA certificate: its basic constraints say CA:TRUE".into())
            .hint(format!("have it issued with basicConstraints=CA:FALSE{or_trust_it}")),
        (_, Some(Pki::EndEntityUsedAsCa)) => wrong("is signed by a certificate that is not a CA".into())
            .hint(format!("the signing certificate needs basicConstraints=CA:TRUE; have it issued anew{or_trust_it}")),
        (_, Some(Pki::NameConstraintViolation)) => wrong("has a name that its CA may not sign".into())
            .hint("have it issued by a CA whose name constraints allow that name"),
        (_, Some(Pki::EmptyEkuExtension)) => {
            wrong("is not for servers: its extended key usage lacks serverAuth".into()).hint(SERVER_AUTH)
        }
        (_, Some(Pki::UnsupportedCertVersion)) => {
            wrong("is not of X.509 version 3".into()).hint("have it issued as version 3, with a subjectAltName")
        }
        (_, Some(Pki::UnsupportedCriticalExtension)) => wrong("has a critical extension that is not supported".into())
            .hint("have it issued without that extension, or with the extension not critical"),
        (_, pki) => wrong("is not valid".into())
            .cause(anyhow::anyhow!("{}", pki.map(|pki| format!("{pki:?}")).unwrap_or_default())),
    }
}

/// What the certificate says and what the local clock says, which is as often wrong.
fn dates(problem: &CertificateError) -> String {
    let show = |time: rustls::pki_types::UnixTime| {
        i64::try_from(time.as_secs())
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .map(crate::time::render_time)
            .unwrap_or_default()
    };
    match problem {
        CertificateError::ExpiredContext { time, not_after } => {
            format!(" on {}, the clock here says {}", show(*not_after), show(*time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(" before {}, the clock here says {}", show(*not_before), show(*time))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_reason_is_reported_by_name_and_with_what_to_change() {
        use CertificateError as Problem;
        let other = |cause: webpki::Error| Problem::Other(OtherError(Arc::new(cause)));
        let refused = |cause: CertificateFlaw| Problem::Other(OtherError(Arc::new(cause)));
        let signature = |id: &[u8]| Problem::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: id.to_vec(),
            supported_algorithms: Vec::new(),
        };
        let names = |expected: &str, presented: &[&str]| Problem::NotValidForNameContext {
            expected: ServerName::try_from(expected.to_owned()).unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        let key = Problem::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: Vec::new(),
            public_key_algorithm_id: Vec::new(),
        };
        let cases = [
            (Problem::UnknownIssuer, "is signed by an unknown CA", "--ca-file"),
            (Problem::BadSignature, "is signed by a different CA of the same name", "2048 bits"),
            (Problem::InvalidPurpose, "lacks serverAuth", "extendedKeyUsage=serverAuth"),
            (Problem::BadEncoding, "is not valid X.509", "issued again"),
            (Problem::Revoked, "is revoked", "new one"),
            (signature(SHA_1[0]), "is signed with SHA-1", "SHA-256"),
            (signature(SHA_1[1]), "is signed with SHA-1", "SHA-256"),
            (signature(&[1]), "a signature of an unsupported kind", "SHA-256"),
            (key, "a key of an unsupported kind", "P-521"),
            (refused(CertificateFlaw::SelfSigned), "is self-signed", "VAULT_CACERT"),
            (refused(CertificateFlaw::Handshake), "its key is too short", "2048"),
            (other(webpki::Error::CaUsedAsEndEntity), "CA:TRUE", "CA:FALSE"),
            (other(webpki::Error::EndEntityUsedAsCa), "by a certificate that is not a CA", "CA:TRUE"),
            (other(webpki::Error::NameConstraintViolation), "may not sign", "name constraints"),
            (other(webpki::Error::EmptyEkuExtension), "lacks serverAuth", "serverAuth"),
            (other(webpki::Error::UnsupportedCertVersion), "version 3", "subjectAltName"),
            (other(webpki::Error::UnsupportedCriticalExtension), "critical extension", "not critical"),
            (names("vault.corp", &[]), "does not cover vault.corp", "subjectAltName=DNS:vault.corp"),
            (names("fd00::1", &[]), "does not cover fd00::1", "subjectAltName=IP:fd00::1"),
            (
                names("vault.corp", &["DnsName(\"*.lan\")", "DnsName(\"a.b\")", "IpAddress(10.0.0.1)"]),
                "it is for any name below lan, a.b, 10.0.0.1, not for vault.corp",
                "VAULT_TLS_SERVER_NAME",
            ),
        ];
        let peer = Peer::named("vault.corp:8200");
        for (problem, words, hint) in cases {
            let text = describe(&problem, &peer).render(false);
            let (line, rest) = text.split_once("\n  hint: ").unwrap_or_default();
            assert!(line.starts_with("ci-creds: error[protocol]: the certificate of vault.corp:8200 "), "{text}");
            assert!(line.contains(words) && rest.contains(hint), "{problem:?}: {text}");
        }
    }
}
