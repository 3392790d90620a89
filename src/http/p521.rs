//! ECDSA on the curve P-521, for certificates and handshakes. `ring` has neither this curve nor plans for it.
//!
//! The curve's arithmetic is RustCrypto's, the hashes are `ring`'s. Signatures are checked, and none is made.

use std::sync::LazyLock;

use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{DerSignature, VerifyingKey};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring as provider};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

/// `ring`, and signatures on P-521.
pub(super) fn crypto_provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: *ALGORITHMS, ..provider::default_provider() }
}

type Verifier = &'static dyn SignatureVerificationAlgorithm;

/// One of the three hashes that a CA uses: OpenSSL takes SHA-256 whatever the curve, Go the longest.
#[derive(Debug)]
struct P521 {
    signature: AlgorithmIdentifier,
    hash: &'static Algorithm,
}

const WITH_SHA256: Verifier = &P521 { signature: alg_id::ECDSA_SHA256, hash: &SHA256 };
const WITH_SHA384: Verifier = &P521 { signature: alg_id::ECDSA_SHA384, hash: &SHA384 };
const WITH_SHA512: Verifier = &P521 { signature: alg_id::ECDSA_SHA512, hash: &SHA512 };

/// rustls wants both lists for as long as the process lives: they are made once and never freed.
static ALGORITHMS: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let rings = provider::default_provider().signature_verification_algorithms;
    let own = (SignatureScheme::ECDSA_NISTP521_SHA512, [WITH_SHA512].to_vec());
    let others = rings.mapping.iter().map(|(scheme, verifiers)| {
        // TLS 1.2 names the hash alone, and any curve goes with it. TLS 1.3 looks at the first verifier only.
        let more = match *scheme {
            SignatureScheme::ECDSA_NISTP384_SHA384 => Some(WITH_SHA384),
            SignatureScheme::ECDSA_NISTP256_SHA256 => Some(WITH_SHA256),
            _ => None,
        };
        (*scheme, verifiers.iter().copied().chain(more).collect())
    });
    let mapping: Vec<_> =
        others.chain([own]).map(|(scheme, verifiers): (_, Vec<_>)| (scheme, &*verifiers.leak())).collect();
    let all: Vec<_> = rings.all.iter().copied().chain([WITH_SHA256, WITH_SHA384, WITH_SHA512]).collect();
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.leak() }
});

/// As long as a number of the curve: 521 bits.
const LENGTH: usize = 66;

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = DerSignature::try_from(signature).map_err(|_| InvalidSignature)?;
        // FIPS 186-5 takes a hash that is shorter than the curve's numbers as the number that it is. The library refuses
        // SHA-256, as shorter than half of them, unless the zeros in front are written out.
        let hash = digest(self.hash, message);
        let mut number = [0; LENGTH];
        number[LENGTH - hash.as_ref().len()..].copy_from_slice(hash.as_ref());
        key.verify_prehash(&number, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenSSL's, of the key in `tests/dev-vault/data/certificates/p521-server-key.pem`.
    const KEY: &str = "0400d46008ce9f3ef794226fae766df0d209cf30b8742c4632f2069c91adc0575abf2e78136c0efaf73e46bcb9535343f572\
        648a0a16bfc38dec2388d076ab0a2e96df0187097a750cbf2585431ce6fccfc64af6d5a70c7b6838748ef80d64734c12dc5c\
        a7947d4937a4680a2b6bb1597c30a3b2a08b22c3a6704226ddf9a43c56679e722b";
    const MESSAGE: &[u8] = b"sample";
    const SIGNATURES: [(Verifier, &str); 3] = [
        (
            WITH_SHA256,
            "308188024201c85c5d184c7d3cac949748efcd991f1b007a68e9ebfc240f0b7cf42eb8fbb1e99e6e90ab41a0fd07d04f361e\
        fb34c8e317339caffc15eaf5a06381cb190223559c024200e21e3ce04dd8fe5a90a6046af45119e9379cb87847c836cb385e\
        492a3683512831d9ad26c4d5205bcb78ccb95de575585a9d4fa29d8f2fd933f1b0b6a69120ad88",
        ),
        (
            WITH_SHA384,
            "308188024200e9116f564bc1a5eb91b4c1a01179114726241e3cc93412f33853c3085c0c3ae7538740e8fd4ca59de1cedac9\
        3365907271d2d0b58217e63556b34fa514565ec8dd02420186ce0d2eb0144699342f59c8f2e71a9a8c850f4eac92e08e7ad3\
        72b5d08650101c2f97cb97576d6eb46d357b0f19967be20e9e85f548550cfb5842588b8f0a1a9a",
        ),
        (
            WITH_SHA512,
            "308187024201a9b1d99292dc64d0dbfb669976658d5dd6c4736f5e9e110409c1f02470658d275739d79977bb8f7df80f3ce2\
        f653d0acc3cdb96c4c099cf6c8a0ef6006d0ed88b70241500f257f4b76b49c80ba09d472ea5428a5ba6fc3985e5f24bb8dab\
        cb98d84709ceb43d53d6187c38d32617f605bce827c809dafc0a8ef9ab08e4593e0e74542be6",
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn openssls_signatures_fit_their_own_hash_key_and_message_and_no_other() {
        let key = bytes(KEY);
        for (verifier, signature) in SIGNATURES {
            let signature = bytes(signature);
            assert!(verifier.verify_signature(&key, MESSAGE, &signature).is_ok(), "{verifier:?}");
            assert!(verifier.verify_signature(&key, b"Sample", &signature).is_err(), "{verifier:?}");
            for at in [0, 5, 40, signature.len() - 1] {
                let mut touched = signature.clone();
                touched[at] ^= 1;
                assert!(verifier.verify_signature(&key, MESSAGE, &touched).is_err(), "{verifier:?} {at}");
            }
            for (other, _) in
                SIGNATURES.iter().filter(|(other, _)| other.signature_alg_id() != verifier.signature_alg_id())
            {
                assert!(other.verify_signature(&key, MESSAGE, &signature).is_err(), "{verifier:?} {other:?}");
            }
            let mut touched = key.clone();
            touched[60] ^= 1;
            assert!(verifier.verify_signature(&touched, MESSAGE, &signature).is_err(), "not on the curve");
            assert!(verifier.verify_signature(&[], MESSAGE, &signature).is_err(), "no key");
            assert!(verifier.verify_signature(&[0], MESSAGE, &signature).is_err(), "the point at infinity");
        }
    }

    #[test]
    fn rings_own_algorithms_keep_their_order_and_tls_1_3_its_curves() {
        let (rings, ours) = (provider::default_provider().signature_verification_algorithms, *ALGORITHMS);
        assert!(ours.all.len() == rings.all.len() + 3 && ours.mapping.len() == rings.mapping.len() + 1);
        for ((scheme, verifiers), (ring_scheme, ring_verifiers)) in ours.mapping.iter().zip(rings.mapping) {
            assert_eq!(scheme, ring_scheme);
            assert_eq!(verifiers[0].public_key_alg_id(), ring_verifiers[0].public_key_alg_id());
            assert!(verifiers.len() - ring_verifiers.len() <= 1);
        }
    }
}
