//! A server's own words, unless they repeat a secret of this run.
//!
//! Security: a server echoes what it is sent, Vault's own race for the last use of a secret ID among it, and stderr is
//! the job's log. A text is withheld when any eight characters in a row of a secret stand in it: as they are, in base64,
//! in hexadecimal, percent-encoded or escaped, and with anything between them that is neither a letter nor a digit.
//!
//! Only keyed hashes of the secrets are kept, because a single-use secret is overwritten before the read.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use crate::error::sanitized;

/// So many characters in a row. Fewer stand in many sentences by chance, and are of no use to anybody.
const WINDOW: usize = 8;
/// What is said in place of a text that repeats a secret.
pub(super) const WITHHELD: &str = "the reason repeats a secret and is withheld";
/// So many characters of a text are looked at. [`sanitized`] leaves 200 of them.
const LONGEST: usize = 4096;

/// The secrets of one run, as far as a text can be held against them.
#[derive(Default)]
pub(super) struct Secrets {
    key: RandomState,
    /// Of whole secrets: a token is sent with request after request.
    whole: RefCell<Vec<u64>>,
    windows: RefCell<Vec<u64>>,
}

impl Secrets {
    /// Notes a secret. One that is shorter than eight characters is never found.
    pub(super) fn note(&self, secret: &str) {
        let whole = self.key.hash_one(secret);
        if self.whole.borrow().contains(&whole) {
            return;
        }
        self.whole.borrow_mut().push(whole);
        let mut windows = self.windows.borrow_mut();
        for text in [secret.as_bytes(), &alphanumeric(secret.as_bytes())] {
            windows.extend(self.hashes(text));
        }
    }

    /// The text for a message, or that it is withheld.
    pub(super) fn quote(&self, text: &str) -> String {
        let head = text.char_indices().nth(LONGEST).map_or(text, |(end, _)| &text[..end]);
        if self.stand_in(head) { WITHHELD.into() } else { sanitized(head) }
    }

    /// Whether any part of a secret stands in the text.
    pub(super) fn stand_in(&self, text: &str) -> bool {
        // No encoding is shorter than what it encodes.
        if text.len() < WINDOW {
            return false;
        }
        let mut windows = self.windows.borrow_mut();
        windows.sort_unstable();
        let found = |reading: &Vec<u8>| self.hashes(reading).any(|hash| windows.binary_search(&hash).is_ok());
        readings(text).iter().any(found)
    }

    fn hashes(&self, text: &[u8]) -> impl Iterator<Item = u64> {
        let windows = text.windows(WINDOW).filter_map(<[u8]>::first_chunk);
        windows.map(|window| self.key.hash_one(u64::from_le_bytes(*window)))
    }
}

/// The text in every way in which somebody could read it, each once: the plain ways are mostly one, and what follows
/// multiplies them. What is none of the encodings becomes noise.
fn readings(text: &str) -> Vec<Vec<u8>> {
    // What is printed has blanks where the text has other characters.
    let mut plain = vec![text.as_bytes().to_vec(), sanitized(text).into_bytes()];
    // A backslash can be before any character, and before one that it gives another meaning.
    let bare = text.replace('\\', "").into_bytes();
    let unescaped = unescape(text.as_bytes());
    // A URL in a JSON text in a JSON text.
    plain.extend([unescape(&bare), unescape(&unescaped), bare, unescaped]);
    let plain = distinct(plain);
    let once = distinct(plain.iter().flat_map(|reading| decode(reading)).collect());
    // base64 of a URL, or of what is base64 already: a header of basic authentication.
    let unescaped: Vec<_> = once.iter().map(|reading| unescape(reading)).collect();
    let twice: Vec<_> = once.iter().flat_map(|reading| decode(reading)).collect();
    let decoded = plain.into_iter().chain(once).chain(unescaped).chain(twice);
    distinct(decoded.flat_map(|reading| [printable(&reading), alphanumeric(&reading)]).collect())
}

fn distinct(mut readings: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    readings.retain(|reading| reading.len() >= WINDOW);
    readings.sort_unstable();
    readings.dedup();
    readings
}

/// Without blanks, line ends and control characters: no secret has one.
fn printable(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii_graphic).collect()
}

/// Letters and digits alone, the letters small.
fn alphanumeric(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

/// Puts a byte where `%2F`, `\u002f` or `\x2f` stands, and drops every other backslash with the letter of a line end or a
/// tab behind it.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = [&b"%"[..], b"\\u00", b"\\x"].iter().find_map(|mark| {
            let (pair, after) = rest.strip_prefix(*mark)?.split_first_chunk::<2>()?;
            Some((hex_digit(pair[0])? << 4 | hex_digit(pair[1])?, after))
        });
        rest = match (escaped, first, after) {
            (Some((byte, after)), ..) => {
                plain.push(byte);
                after
            }
            (None, b'\\', [b'n' | b'r' | b't', after @ ..] | after) => after,
            (None, byte, after) => {
                plain.push(*byte);
                after
            }
        };
    }
    plain
}

/// The text as digits of base64 and of hexadecimal, wherever the first byte may begin.
fn decode(text: &[u8]) -> Vec<Vec<u8>> {
    let base64: Vec<u8> = text.iter().filter_map(|byte| base64_digit(*byte)).collect();
    let mut decoded: Vec<_> = (0..4).filter_map(|start| base64.get(start..)).map(|digits| join(digits, 6)).collect();
    // `68:76:73` and `0x68, 0x76` as well.
    let text = String::from_utf8_lossy(text).replace("0x", " ").replace("0X", " ");
    let text = alphanumeric(text.as_bytes());
    for run in text.split(|byte| hex_digit(*byte).is_none()).filter(|run| run.len() >= WINDOW * 2) {
        let digits: Vec<u8> = run.iter().filter_map(|byte| hex_digit(*byte)).collect();
        decoded.extend((0..2).filter_map(|start| digits.get(start..)).map(|digits| join(digits, 4)));
    }
    decoded
}

/// The bytes of digits of so many bits each.
fn join(digits: &[u8], bits: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut held, mut count) = (0_u32, 0);
    for digit in digits {
        held = held << bits | u32::from(*digit);
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count).to_le_bytes()[0]);
        }
    }
    bytes
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// In both alphabets, which differ in two digits.
fn base64_digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "k3/Z+q-x_9~W?e=Y7";
    const TOKEN: &str = "s.Ys9ttSP3qHcQJW3WcblSuBUi";

    fn secrets() -> Secrets {
        let secrets = Secrets::default();
        for secret in [SECRET, TOKEN] {
            secrets.note(secret);
        }
        secrets
    }

    fn each(text: &str, encode: impl Fn(u8) -> String) -> String {
        text.bytes().map(encode).collect()
    }

    fn base64(text: &str, last: &[u8; 2]) -> String {
        let alphabet: Vec<u8> =
            (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last.iter().copied()).collect();
        let group = |bytes: &[u8]| {
            let value = (0..3).fold(0, |value, index| value << 8 | usize::from(bytes.get(index).copied().unwrap_or(0)));
            let digits = [18, 12, 6, 0].map(|shift| char::from(alphabet[value >> shift & 63]));
            digits.into_iter().take(bytes.len() + 1).collect::<String>()
        };
        text.as_bytes().chunks(3).map(group).collect()
    }

    /// The part as each encoder would write it, by the encoder's name.
    fn encodings(part: &str) -> Vec<(&'static str, String)> {
        let letter = |byte: u8| char::from(byte).to_string();
        let mut texts = vec![
            ("plain", part.to_owned()),
            ("a line end in it", format!("{}\n{}", &part[..4], &part[4..])),
            ("an escaped line end in it", format!("{}\\n{}", &part[..4], &part[4..])),
            ("a blank between", each(part, |byte| format!("{} ", char::from(byte)))),
            ("hex", each(part, |byte| format!("{byte:02x}"))),
            ("HEX", each(part, |byte| format!("{byte:02X}"))),
            ("hex:with:colons", each(part, |byte| format!("{byte:02x}:"))),
            ("0xhex", each(part, |byte| format!("0x{byte:02x}, "))),
            ("hex in lines", each(part, |byte| format!("{byte:02x}\n"))),
            ("percent", each(part, |byte| format!("%{byte:02X}"))),
            ("percent twice", each(part, |byte| format!("%25{byte:02X}"))),
            ("every second one percent", each(part, |b| if b % 2 == 0 { format!("%{b:02x}") } else { letter(b) })),
            ("JSON", each(part, |byte| format!("\\u{byte:04x}"))),
            ("\\x", each(part, |byte| format!("\\x{byte:02x}"))),
            (
                "every second one escaped",
                each(part, |b| if b % 2 == 0 { format!("\\{}", letter(b)) } else { letter(b) }),
            ),
        ];
        for before in ["", "#", "##"] {
            for last in [b"+/", b"-_"] {
                let encoded = base64(&format!("{before}{part}!"), last);
                texts.push(("base64 in lines", format!("{}\r\n{}", &encoded[..6], &encoded[6..])));
                texts.push(("base64 twice", base64(&encoded, last)));
                texts.push(("hex of base64", each(&encoded, |byte| format!("{byte:02x}"))));
                texts.push(("base64", encoded));
            }
        }
        texts
    }

    #[test]
    fn eight_characters_in_a_row_are_found_in_every_encoding_and_seven_are_not() {
        let secrets = secrets();
        for secret in [SECRET, TOKEN] {
            for start in 0..=secret.len() - WINDOW {
                let part = &secret[start..start + WINDOW];
                for (name, encoded) in encodings(part) {
                    for around in ["", "a", "bc: "] {
                        let text = format!("error: {around}{encoded}{around} is it");
                        assert!(secrets.stand_in(&text), "{name}: {text}");
                    }
                }
                // Alone: among a hundred thousand texts, what words decode to adds the eighth character by chance.
                for (name, encoded) in encodings(&part[1..]) {
                    assert!(!secrets.stand_in(&encoded), "{name}: {encoded}");
                }
            }
        }
    }

    #[test]
    fn a_token_is_found_whatever_stands_between_its_letters() {
        let secrets = secrets();
        for between in [";", "\u{200b}", "\" + \"", "-", "\\", "<br>"] {
            let text = format!("{}{between}{}", &TOKEN[..7], &TOKEN[7..]);
            // Letters between the halves part them: then the longer one is found.
            assert!(secrets.stand_in(&text), "{text}");
        }
        for between in [";", "\u{200b}", "-", "\\", ", "] {
            assert!(secrets.stand_in(&each(TOKEN, |byte| format!("{}{between}", char::from(byte)))), "{between}");
        }
        assert!(secrets.stand_in(&TOKEN.to_uppercase()) && secrets.stand_in(&TOKEN.to_lowercase()));
    }

    #[test]
    fn what_vault_says_is_no_secret() {
        let secrets = secrets();
        secrets.note("7f8f90f4-b2f5-4b3d-9d0e-3a1f2b6c7d8e");
        secrets.note("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJwcm9qZWN0X2lkIjoiMzY1In0.c2lnbmF0dXJl");
        secrets.note("short");
        for text in [
            "",
            "permission denied",
            "1 error occurred:\n\t* permission denied\n\n",
            "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
            "wrapping token is not valid or does not exist",
            "role \"gitlab-ci-runner\" could not be found",
            "request path \"auth/approle/login\": rate limit quota exceeded",
            "source address \"10.0.0.7\" unauthorized through CIDR restrictions on the secret ID",
            "error validating claims: claim \"project_id\" does not match any associated bound claim values",
            "failed to create api key: operation error, https response error StatusCode: 400, RequestID: \
            6f1c4b7e-0b5a-4c57-9f0e-d2f3a4b5c6d7, api error",
            "this is short",
        ] {
            assert_eq!(secrets.quote(text), sanitized(text));
        }
        assert_eq!(secrets.quote(TOKEN), WITHHELD);
    }

    #[test]
    fn only_the_start_of_a_long_text_is_looked_at_and_printed() {
        let text = format!("{}é{TOKEN}", " ".repeat(LONGEST - 1));
        assert_eq!(secrets().quote(&text), "");
    }
}
