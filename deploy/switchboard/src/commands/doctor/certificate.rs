//! The one date of an X.509 certificate that matters: until when it is good.

use chrono::{DateTime, NaiveDateTime, Utc};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`: the version, absent in the oldest certificates.
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate in DER; `None` when it cannot be read.
pub(super) fn not_after(der: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    if *fields.first()? == VERSION {
        fields = element(fields)?.2;
    }
    // serial number, signature algorithm, issuer
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (tag, validity, _) = element(fields)?;
    if tag != SEQUENCE {
        return None;
    }
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        // Two digits of a year: from 50 on they mean 19xx (RFC 5280).
        UTC_TIME => format!("{}{text}", if text.get(..2)?.parse::<u8>().ok()? >= 50 { "19" } else { "20" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    Some(NaiveDateTime::parse_from_str(&full, "%Y%m%d%H%M%S").ok()?.and_utc())
}

/// The tag, the contents and what follows of the first element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short if short < 0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            if count > 4 {
                return None;
            }
            let (bytes, rest) = rest.split_at_checked(count)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of openssl, for chat.example.com.
    const CERTIFICATE: &str = "
        3082018a30820131a00302010202140125817e82d8dbd03476882370b36b8ffed4d8fe300a06082a8648ce3d040302301b31
        19301706035504030c10636861742e6578616d706c652e636f6d301e170d3236313132313137303431355a170d3336313131
        383137303431355a301b3119301706035504030c10636861742e6578616d706c652e636f6d3059301306072a8648ce3d0201
        06082a8648ce3d0301070342000410f067e9450e2ba8cd94cbf4c2b7edac001edc9828cf977a850152a133540d549f3e88aa
        aff985208f0b7d620162a26960df942d8300b1a609cf302cde77807ba3533051301d0603551d0e04160414cd94e5da815ea1
        83ddd392e1daca9cec3e281336301f0603551d23041830168014cd94e5da815ea183ddd392e1daca9cec3e281336300f0603
        551d130101ff040530030101ff300a06082a8648ce3d040302034700304402204973f79c9ae32af09c35181461e6906b416f
        a24f351648b63db54ef076922d4002206080fe7aad642172fb863bdfc065c4f7ba8eb365169749cfcf94b3ee51e1c0e4
        ";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let der = bytes(CERTIFICATE);
        let until = not_after(&der).expect("a certificate");
        assert_eq!(until.to_rfc3339(), "2036-11-18T17:04:15+00:00");
        assert_eq!(not_after(&der[..der.len() / 2]), None, "cut short");
        assert_eq!(not_after(b"no certificate"), None);
    }
}
