//! Width and height of pictures, from their headers alone; and pictures made up for customers who send none of their own.

/// Width and height of a JPEG, PNG or WebP; `None` for anything else, and for a header that is torn.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => png(bytes),
        [0xff, 0xd8, 0xff, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        _ => None,
    }
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((number(bytes.get(16..20)?), number(bytes.get(20..24)?)))
}

/// The first frame header among the segments.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        match marker {
            // Padding, and the markers that stand alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            // SOF0 to SOF15, but for the tables DHT and DAC and the reserved JPG.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((number(bytes.get(at + 7..at + 9)?), number(bytes.get(at + 5..at + 7)?)));
            }
            // The scan, or the end: no frame came before it.
            0xda | 0xd9 => return None,
            _ => at += 2 + number(bytes.get(at + 2..at + 4)?) as usize,
        }
    }
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let little = |at: usize, length: usize| {
        bytes.get(at..at + length).map(|part| part.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    match bytes.get(12..16)? {
        b"VP8X" => Some((1 + little(24, 3)?, 1 + little(27, 3)?)),
        b"VP8L" => {
            let bits = little(21, 4)?;
            Some((1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)))
        }
        b"VP8 " => Some((little(26, 2)? & 0x3fff, little(28, 2)? & 0x3fff)),
        _ => None,
    }
}

fn number(big_endian: &[u8]) -> u32 {
    big_endian.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// Bytes that pass for a JPEG of this size: its headers, a comment, its end. Nobody can look at it.
pub fn made_up(width: u16, height: u16, comment: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xfe];
    bytes.extend((comment.len() as u16 + 2).to_be_bytes());
    bytes.extend(comment.bytes());
    bytes.extend([0xff, 0xc0, 0, 11, 8]);
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend([1, 1, 0x11, 0, 0xff, 0xd9]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_headers() {
        assert_eq!(dimensions(&made_up(1280, 853, "x")), Some((1280, 853)));
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x06";
        assert_eq!(dimensions(png), Some((640, 480)));
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xf0\0";
        assert_eq!(dimensions(lossy), Some((320, 240)));
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0";
        assert_eq!(dimensions(extended), Some((320, 240)));
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x3f\xc1\x3b\0";
        assert_eq!(dimensions(lossless), Some((320, 240)));
    }

    #[test]
    fn what_is_no_picture_has_no_size() {
        for bytes in
            [&b"%PDF-1.7"[..], b"", b"GIF89a\x01\0\x01\0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xd9"]
        {
            assert_eq!(dimensions(bytes), None, "{bytes:?}");
        }
    }
}
