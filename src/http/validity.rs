//! What a certificate says of itself: until when it is valid, who signed it, for which names. For a diagnosis; nothing is
//! verified here.
//!
//! A reader of the few bytes of DER that are wanted (RFC 5280, 4.1): webpki verifies dates, and lends no reader for them.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use crate::error::sanitized;

/// What is told of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// The names that it is for.
    pub(crate) names: Vec<String>,
    /// The common name of who signed it, or else the organization.
    pub(crate) issuer: Option<String>,
    /// When it begins to be valid.
    pub(crate) begins: Option<Timestamp>,
    /// When it expires.
    pub(crate) expires: Option<Timestamp>,
}

/// Reads a certificate. What cannot be read is not told.
pub(super) fn read(der: &[u8]) -> CertificateFacts {
    let certificate = CertificateDer::from(der);
    let parsed = webpki::EndEntityCert::try_from(&certificate).ok();
    let names = parsed.iter().flat_map(|parsed| parsed.valid_dns_names()).map(|name| match name.strip_prefix("*.") {
        Some(domain) => format!("*.{}", sanitized(domain)),
        None => sanitized(name),
    });
    let issuer = parsed.as_ref().and_then(|parsed| name_in(parsed.issuer()));
    let (begins, expires) = dates(der).unwrap_or_default();
    CertificateFacts { names: names.collect(), issuer, begins, expires }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;

/// One element: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `notBefore` and `notAfter`: the elements behind the version, the serial number, the signature's kind and the issuer.
fn dates(certificate: &[u8]) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    let (SEQUENCE, signed, _) = element(certificate)? else { return None };
    let (SEQUENCE, mut rest, _) = element(signed)? else { return None };
    if let Some((VERSION, _, behind)) = element(rest) {
        rest = behind;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, both, _) = element(rest)? else { return None };
    let (first_tag, first, behind) = element(both)?;
    let (second_tag, second, _) = element(behind)?;
    Some((time(first_tag, first), time(second_tag, second)))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`. Two digits from 50 on are of the last century (RFC 5280, 4.1.2.5.1).
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) =
        ([part(0, 4)?, part(4, 6)?, part(6, 8)?].join("-"), [part(8, 10)?, part(10, 12)?, part(12, 14)?].join(":"));
    format!("{date}T{clock}Z").parse().ok()
}

/// `commonName` and `organizationName`, as whole object identifiers.
const NAMES: [&[u8]; 2] = [&[6, 3, 0x55, 4, 3], &[6, 3, 0x55, 4, 10]];

fn name_in(name: &[u8]) -> Option<String> {
    NAMES.into_iter().find_map(|object| {
        let place = name.windows(object.len()).position(|window| window == object)?;
        let (_, text, _) = element(name.get(place + object.len()..)?)?;
        Some(sanitized(std::str::from_utf8(text).ok()?)).filter(|text| !text.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_two_or_four_digits_for_its_year() {
        for (tag, text, date) in [
            (UTC_TIME, "270115080000Z", Some("2027-01-15T08:00:00Z")),
            (UTC_TIME, "991231235959Z", Some("1999-12-31T23:59:59Z")),
            (0x18, "20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (UTC_TIME, "27", None),
            (UTC_TIME, "", None),
            (0x18, "20501301000000Z", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()).map(|time| time.to_string()).as_deref(), date, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_tells_nothing() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x82, 0xff], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x00]] {
            let nothing = CertificateFacts { names: Vec::new(), issuer: None, begins: None, expires: None };
            assert_eq!(read(bytes), nothing, "{bytes:?}");
        }
    }
}
