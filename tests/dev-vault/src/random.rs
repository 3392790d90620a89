//! Random names in Vault's alphabets. No counter and no fixed seed: a test that needs a value must read it.

use ring::rand::{SecureRandom, SystemRandom};

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    SystemRandom::new().fill(&mut buffer).expect("the system has randomness");
    buffer
}

/// Letters and digits, as in tokens, accessors and lease ids.
pub(crate) fn base62(length: usize) -> String {
    from_alphabet(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", length)
}

/// Upper-case base32, as in AWS access keys.
pub(crate) fn base32(length: usize) -> String {
    from_alphabet(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length)
}

/// Base64 with `+` and `/`, as in AWS secret keys.
pub(crate) fn base64(length: usize) -> String {
    from_alphabet(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", length)
}

/// Base64 with `-` and `_`, as in Exoscale secrets and batch tokens.
pub(crate) fn base64url(length: usize) -> String {
    from_alphabet(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", length)
}

pub(crate) fn hex(length: usize) -> String {
    from_alphabet(b"0123456789abcdef", length)
}

pub(crate) fn digits(length: usize) -> String {
    from_alphabet(b"0123456789", length)
}

/// Vault's ids have the form of a UUID and no version bits.
pub(crate) fn uuid() -> String {
    format!("{}-{}-{}-{}-{}", hex(8), hex(4), hex(4), hex(4), hex(12))
}

fn from_alphabet(alphabet: &[u8], length: usize) -> String {
    let random: Vec<u8> = (0..length.div_ceil(32)).flat_map(|_| bytes::<32>()).collect();
    random[..length].iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}
