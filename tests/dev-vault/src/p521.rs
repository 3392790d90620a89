//! A server's key on P-521, which `ring` does not have.

use std::sync::Arc;

use p521::ecdsa::signature::hazmat::PrehashSigner;
use p521::ecdsa::{Signature, SigningKey as Key};
use p521::pkcs8::DecodePrivateKey;
use rustls::crypto::{CryptoProvider, KeyProvider, ring as provider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

/// `ring`, with such keys.
pub(crate) fn crypto_provider() -> CryptoProvider {
    CryptoProvider { key_provider: &Keys, ..provider::default_provider() }
}

#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        match Key::from_pkcs8_der(key.secret_der()) {
            Ok(key) => Ok(Arc::new(P521(key))),
            Err(_) => provider::sign::any_supported_type(&key),
        }
    }
}

#[derive(Debug, Clone)]
struct P521(Key);

impl SigningKey for P521 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let hash = ring::digest::digest(&ring::digest::SHA512, message);
        let signature: Signature =
            self.0.sign_prehash(hash.as_ref()).map_err(|error| Error::General(error.to_string()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}
