//! Measures of text that the platform and the observers' logs agree on.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Longest tag that the observers follow, in characters.
const MAX_TAG: usize = 64;

/// Length in UTF-16 code units: the unit of the platform's entity offsets and text limits.
pub fn utf16_len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Lower-case hex SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The first `[[name]]` in a text, by which one text is followed through every log.
pub fn tag(text: &str) -> Option<&str> {
    let named = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    // Every `[[` counts, also one that overlaps another: the first may be a bracket too many.
    text.char_indices().filter_map(|(at, _)| text[at..].strip_prefix("[[")).find_map(|rest| {
        let length = rest.bytes().take_while(|b| named(*b)).count();
        let whole = (1..=MAX_TAG).contains(&length) && rest[length..].starts_with("]]");
        whole.then(|| &rest[..length])
    })
}

/// What the platform does to every text it takes: control characters become spaces, carriage returns and the directional
/// marks U+2028 to U+202E vanish. Also returns where something vanished, in UTF-16 units, so that entity offsets can follow.
pub fn clean(text: &str) -> (String, Vec<usize>) {
    let mut cleaned = String::with_capacity(text.len());
    let mut vanished = Vec::new();
    let mut at = 0;
    for c in text.chars() {
        match c {
            '\r' | '\u{2028}'..='\u{202E}' => vanished.push(at),
            '\n' => cleaned.push('\n'),
            c if c < ' ' => cleaned.push(' '),
            c => cleaned.push(c),
        }
        at += c.len_utf16();
    }
    (cleaned, vanished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_surrogate_pairs_twice() {
        assert_eq!(utf16_len("a👋я"), 4);
        assert_eq!(utf16_len(""), 0);
    }

    #[test]
    fn tag_is_the_first_well_formed_one() {
        assert_eq!(tag("hi [[a b]] [[m-1_X]] [[m-2]]"), Some("m-1_X"));
        assert_eq!(tag("[[[x]]"), Some("x"));
        assert_eq!(tag("[[]] [["), None);
        assert_eq!(tag(&format!("[[{}]]", "x".repeat(65))), None);
        assert_eq!(tag(&format!("[[{}]]", "x".repeat(64))).map(str::len), Some(64));
    }

    #[test]
    fn hash_is_of_the_utf8_bytes() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn cleaning_keeps_lines_and_says_what_vanished() {
        assert_eq!(clean("a\r\nb\tc\u{202E}d\0"), ("a\nb cd ".to_owned(), vec![1, 6]));
    }
}
