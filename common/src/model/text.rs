//! Text that survives the way to Postgres and to a platform unharmed.

use std::fmt::Write;

use unicode_segmentation::UnicodeSegmentation;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads lower-case hexadecimal: there is one spelling of the same bytes.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

/// Splits `text` into pieces of at most `max_utf16` UTF-16 code units, the unit in which platforms
/// count. Joined again the pieces are the text, character for character.
///
/// Prefers to end a piece after a paragraph, a line, a sentence's or a word's end in the last half of the piece; never
/// splits a grapheme (an emoji with its joiners and skin tones, a letter with its marks) unless the
/// grapheme alone is longer than a piece.
pub fn split_utf16(text: &str, max_utf16: usize) -> Vec<&str> {
    let max = max_utf16.max(2);
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(cut) = first_cut(rest, max) {
        let (piece, tail) = rest.split_at(cut);
        pieces.push(piece);
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Where to cut, as a byte index, or `None` when all of `text` fits.
fn first_cut(text: &str, max: usize) -> Option<usize> {
    let hard = fitting_prefix(text, max);
    if hard == text.len() {
        return None;
    }
    let head = &text[..hard];
    let floor = fitting_prefix(text, max / 2);
    let after = |pattern: &str| head.rfind(pattern).map(|at| at + pattern.len()).filter(|cut| *cut > floor);
    let soft = after("\n\n").or_else(|| after("\n")).or_else(|| after(". ")).or_else(|| after(" "));
    Some(soft.unwrap_or(hard))
}

/// The longest prefix, in bytes, that fits `max` UTF-16 units and ends at a grapheme's end; falls
/// back to a character's end when the first grapheme alone does not fit.
fn fitting_prefix(text: &str, max: usize) -> usize {
    let longest = |pieces: &mut dyn Iterator<Item = (usize, &str)>| {
        let mut units = 0;
        let mut end = 0;
        for (at, piece) in pieces {
            units += piece.encode_utf16().count();
            if units > max {
                break;
            }
            end = at + piece.len();
        }
        end
    };
    // Only a prefix can fit, so only a prefix needs segmenting: `max` units are at most 3 * `max` bytes.
    let mut window = text.len().min(3 * max + 256);
    while !text.is_char_boundary(window) {
        window += 1;
    }
    match longest(&mut text[..window].grapheme_indices(true)) {
        0 => longest(&mut text.char_indices().map(|(at, c)| (at, &text[at..at + c.len_utf8()]))),
        end => end,
    }
}

/// Replaces what Postgres' `text` and `jsonb` refuse (U+0000) by U+FFFD. The raw bytes are kept
/// elsewhere; without this one message would stop an account for ever.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A declared media type when it looks like one.
pub fn media_type(declared: &str) -> Option<String> {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let (kind, rest) = declared.split(';').next()?.trim().split_once('/')?;
    (declared.len() <= 127 && token(kind) && token(rest)).then(|| format!("{kind}/{rest}").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_text_is_one_piece() {
        assert_eq!(split_utf16("hello", 4096), ["hello"]);
        assert_eq!(split_utf16("", 4096), Vec::<&str>::new());
    }

    #[test]
    fn counts_utf16_units_and_keeps_pairs_whole() {
        let text = "😀".repeat(5);
        assert_eq!(split_utf16(&text, 4), ["😀😀", "😀😀", "😀"]);
        assert_eq!(split_utf16(&text, 5), ["😀😀", "😀😀", "😀"]);
    }

    #[test]
    fn keeps_a_family_together() {
        let family = "👩‍👩‍👧‍👦";
        let text = format!("abcdefgh{family}");
        assert_eq!(split_utf16(&text, 12), ["abcdefgh", family]);
    }

    #[test]
    fn prefers_ends_of_lines_and_words() {
        assert_eq!(split_utf16("one two three", 9), ["one two ", "three"]);
        assert_eq!(split_utf16("aaaa\nbb cc dd", 9), ["aaaa\n", "bb cc dd"]);
    }

    #[test]
    fn hexadecimal_has_one_spelling() {
        assert_eq!(unhex(&hex(&[0, 0x7f, 0xa0, 0xff])), Some(vec![0, 0x7f, 0xa0, 0xff]));
        for wrong in ["a", "0A", "0g", "+1", " 1", "é"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_media_type_is_kept_when_it_looks_like_one() {
        assert_eq!(media_type("Image/JPEG"), Some("image/jpeg".to_owned()));
        assert_eq!(media_type("audio/ogg; codecs=opus"), Some("audio/ogg".to_owned()));
        for wrong in ["", "image", "image/", "/png", "text/html\r\nX: y", "a b/c", &"x/y".repeat(60)] {
            assert_eq!(media_type(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn loses_nothing_and_fits(text in "\\PC{0,200}|[a-z \\n👍🏽é]{0,300}", max in 2usize..40) {
            let pieces = split_utf16(&text, max);
            prop_assert_eq!(pieces.concat(), text.as_str());
            for piece in pieces {
                prop_assert!(!piece.is_empty());
                prop_assert!(piece.encode_utf16().count() <= max);
            }
        }
    }
}
