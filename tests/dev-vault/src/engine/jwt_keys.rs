//! Keys of a JWT mount, and the verification of a signature with `ring`: from PEM, or fetched as a JWKS.
//!
//! Fetches go to loopback over plain HTTP only; the double must not reach out of the machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::core::fields::Object;
use crate::dialect::Dialect;

#[derive(Debug)]
pub(crate) enum KeySet {
    Static(Vec<RsaKey>),
    Jwks(String),
    Discovery(String),
}

#[derive(Debug)]
pub(crate) struct RsaKey {
    id: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl KeySet {
    pub(crate) fn from_config(pems: Vec<String>, jwks: String, discovery: String) -> Result<Self, String> {
        match (pems.as_slice(), jwks.as_str(), discovery.as_str()) {
            ([_, ..], "", "") => {
                let keys: Option<Vec<RsaKey>> = pems.iter().map(|pem| RsaKey::from_pem(pem)).collect();
                keys.map(Self::Static)
                    .ok_or_else(|| "error parsing public key: data does not contain any valid public keys".to_owned())
            }
            ([], url, "") if !url.is_empty() => Ok(Self::Jwks(jwks)),
            ([], "", url) if !url.is_empty() => Ok(Self::Discovery(discovery)),
            _ => {
                Err("exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"
                    .to_owned())
            }
        }
    }

    /// The algorithm and the claims of a token that one of the keys signed.
    pub(crate) fn verify(&self, token: &str, dialect: Dialect) -> Result<(String, Object), String> {
        let parsed = Compact::parse(token, dialect);
        match self {
            Self::Static(keys) => {
                let parsed = parsed?;
                if keys.iter().any(|key| parsed.is_signed_by(key)) {
                    return Ok((parsed.algorithm, parsed.claims));
                }
                Err("no known key successfully validated the token signature".to_owned())
            }
            Self::Jwks(_) | Self::Discovery(_) => {
                let parsed = parsed.map_err(|reason| format!("oidc: malformed jwt: {reason}"))?;
                let keys = self.fetch().map_err(|reason| format!("fetching keys oidc: get keys failed{reason}"))?;
                let fits = |key: &&RsaKey| parsed.key_id.is_empty() || parsed.key_id == key.id;
                if keys.iter().filter(fits).any(|key| parsed.is_signed_by(key)) {
                    return Ok((parsed.algorithm, parsed.claims));
                }
                Err("failed to verify id token signature".to_owned())
            }
        }
    }

    pub(crate) fn fetch(&self) -> Result<Vec<RsaKey>, String> {
        let url = match self {
            Self::Static(_) => return Ok(Vec::new()),
            Self::Jwks(url) => url.clone(),
            Self::Discovery(issuer) => {
                let document = get(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))?;
                document["jwks_uri"].as_str().unwrap_or_default().to_owned()
            }
        };
        let document = get(&url)?;
        Ok(document["keys"].as_array().into_iter().flatten().filter_map(RsaKey::from_jwk).collect())
    }
}

impl RsaKey {
    fn from_jwk(jwk: &Value) -> Option<Self> {
        let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        Some(Self {
            id: jwk["kid"].as_str().unwrap_or_default().to_owned(),
            modulus: number("n")?,
            exponent: number("e")?,
        })
    }

    fn from_pem(pem: &str) -> Option<Self> {
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
        // SEQUENCE { SEQUENCE { OID, NULL }, BIT STRING { SEQUENCE { INTEGER n, INTEGER e } } }
        let (info, _) = der(0x30, &info)?;
        let (_, rest) = der(0x30, info)?;
        let (bits, _) = der(0x03, rest)?;
        let (key, _) = der(0x30, bits.strip_prefix(&[0])?)?;
        let (modulus, rest) = der(0x02, key)?;
        let (exponent, _) = der(0x02, rest)?;
        let unsigned = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
        Some(Self { id: String::new(), modulus: unsigned(modulus), exponent: unsigned(exponent) })
    }
}

/// The content of one DER element with this tag, and what follows it.
fn der(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = input.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}

/// A compact JWS, taken apart.
struct Compact<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key_id: String,
    claims: Object,
}

impl<'a> Compact<'a> {
    fn parse(token: &'a str, dialect: Dialect) -> Result<Self, String> {
        let library = if dialect.is_modern() { "go-jose/go-jose" } else { "square/go-jose" };
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(format!("{library}: compact JWS format must have three parts"));
        };
        let decode = |part: &str| {
            BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "illegal base64 data at input byte 0".to_owned())
        };
        let header: Value = serde_json::from_slice(&decode(header)?).map_err(|error| error.to_string())?;
        let claims = serde_json::from_slice(&decode(payload)?).map_err(|error| error.to_string())?;
        let text = |name: &str| header[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            signed: token.rsplit_once('.').map_or(token, |(signed, _)| signed),
            signature: decode(signature)?,
            algorithm: text("alg"),
            key_id: text("kid"),
            claims,
        })
    }

    fn is_signed_by(&self, key: &RsaKey) -> bool {
        let parameters = match self.algorithm.as_str() {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        let key = RsaPublicKeyComponents { n: &key.modulus, e: &key.exponent };
        key.verify(parameters, self.signed.as_bytes(), &self.signature).is_ok()
    }
}

fn get(url: &str) -> Result<Value, String> {
    let failed = |reason: String| format!(" Get \"{url}\": {reason}");
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => error.to_string(),
    };
    let rest = url.strip_prefix("http://").ok_or_else(|| failed("only plain http is fetched".to_owned()))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().map_err(|_| failed(format!("dial tcp: lookup {host}: no such host")))?;
    if !address.ip().is_loopback() {
        return Err(failed("only loopback is fetched".to_owned()));
    }
    let io = |error: std::io::Error| failed(error.to_string());
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))
        .map_err(|error| failed(format!("dial tcp {address}: connect: {}", told(error))))?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(io)?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").map_err(io)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(io)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| failed("EOF".to_owned()))?;
    if !head.starts_with("HTTP/1.1 200") {
        // The library tells the status and the whole page.
        return Err(format!(": {} {body}", head.lines().next().unwrap_or_default().trim_start_matches("HTTP/1.1 ")));
    }
    serde_json::from_str(body).map_err(|error| failed(error.to_string()))
}
