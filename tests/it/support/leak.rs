//! Finds a secret in what a run said: any eight characters of it in a row, as they are or as some encoder would have
//! made of them. The text is decoded in every way; the secrets stay as they are.

use std::collections::HashSet;

/// Eight characters of a random text do not stand in another one by chance, and are too few to be of use.
const WINDOW: usize = 8;

/// The first of the secrets that any part of stands in the text; shorter ones than eight characters never do.
pub fn find<'a>(secrets: impl IntoIterator<Item = &'a str>, text: &str) -> Option<&'a str> {
    let readings = read(text);
    let windows: HashSet<&[u8]> = readings.iter().flat_map(|reading| reading.windows(WINDOW)).collect();
    secrets.into_iter().find(|secret| secret.as_bytes().windows(WINDOW).any(|part| windows.contains(part)))
}

/// What a digit stands for.
type Digit = fn(u8) -> Option<u32>;

/// The text as it is, and as whatever it could be an encoding of. What is none becomes noise, which is no secret.
fn read(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut readings = vec![bytes.to_vec()];
    for mark in ["%", "\\u00", "\\x"] {
        if text.contains(mark) {
            readings.push(unescape(bytes, mark.as_bytes()));
        }
    }
    if text.contains('\\') {
        readings.push(bytes.iter().copied().filter(|byte| *byte != b'\\').collect());
    }
    let digits: [(Digit, u32); 2] = [(base64_digit, 6), (hex_digit, 4)];
    for reading in readings.clone() {
        for (digit, bits) in digits {
            // So many digits are eight bytes, wherever the encoding of the first one began.
            let least = WINDOW * 8 / bits as usize;
            let runs = reading.split(|byte| digit(*byte).is_none()).filter(|run| run.len() >= least);
            for run in runs {
                let starts = 0..if bits == 6 { 4 } else { 2 };
                readings.extend(starts.map(|start| decode(&run[start..], digit, bits)));
            }
        }
    }
    readings
}

/// Puts a byte where the mark and two hexadecimal digits stand: `%2F`, `\u002f`, `\x2f`.
fn unescape(bytes: &[u8], mark: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let pair = rest.strip_prefix(mark).and_then(|rest| rest.split_first_chunk::<2>());
        let byte = pair.and_then(|([high, low], _)| u8::try_from(hex_digit(*high)? << 4 | hex_digit(*low)?).ok());
        (rest, _) = match (byte, pair) {
            (Some(byte), Some((_, after))) => (after, plain.push(byte)),
            _ => (after, plain.push(*first)),
        };
    }
    plain
}

fn decode(digits: &[u8], digit: Digit, bits: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut held, mut count) = (0_u32, 0);
    for value in digits.iter().filter_map(|byte| digit(*byte)) {
        held = held << bits | value;
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count & 0xff) as u8);
        }
    }
    bytes
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// In both alphabets, which differ in two digits.
fn base64_digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
type Encode = fn(u8) -> String;

// check: 3
#[test]
fn eight_characters_are_found_in_every_encoding_and_seven_are_not() {
    const SECRET: &str = "k3/Z+q-x_9~W?e=Y7";
    let by = |encode: fn(u8) -> String, text: &str| -> String { text.bytes().map(encode).collect() };
    for start in 0..=SECRET.len() - WINDOW {
        let part = &SECRET[start..start + WINDOW];
        let short = &part[1..];
        let encoders: [(&str, Encode); 6] = [
            ("plain", |byte| char::from(byte).to_string()),
            ("hex", |byte| format!("{byte:02x}")),
            ("HEX", |byte| format!("{byte:02X}")),
            ("percent", |byte| format!("%{byte:02X}")),
            ("JSON", |byte| format!("\\u{byte:04x}")),
            ("every second one escaped", |byte| {
                if byte % 2 == 0 { format!("\\{}", char::from(byte)) } else { char::from(byte).into() }
            }),
        ];
        for (name, encode) in encoders {
            for around in ["", "a", "bc: "] {
                let said = |part: &str| format!("error: {around}{}{around} is it", by(encode, part));
                assert_eq!(find([SECRET], &said(part)), Some(SECRET), "{name}: {}", said(part));
                assert_eq!(find([SECRET], &said(short)), None, "{name}: {}", said(short));
            }
        }
        for before in ["", "#", "##"] {
            for url in [false, true] {
                let said = |part: &str| format!("error: {} is it", base64(&format!("{before}{part}!"), url));
                assert_eq!(find([SECRET], &said(part)), Some(SECRET), "base64: {}", said(part));
                assert_eq!(find([SECRET], &said(short)), None, "base64: {}", said(short));
            }
        }
    }
}

/// By the program of the system, which is not ours to be wrong in.
pub fn base64(text: &str, url: bool) -> String {
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "printf %s \"$0\" | base64 -w0", text]);
    let text = String::from_utf8(command.output().expect("a shell").stdout).expect("ASCII");
    if url { text.replace('+', "-").replace('/', "_") } else { text }
}
