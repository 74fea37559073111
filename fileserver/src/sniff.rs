//! What a file's first bytes show. Nothing is decoded, and what the sender declared has no say.

/// So many bytes are looked at.
pub const HEAD_BYTES: usize = 8 * 1024;

/// The type that the bytes show; `text/plain` for what is text and nothing else we know.
pub fn sniff(start: &[u8]) -> Option<&'static str> {
    let head = &start[..start.len().min(HEAD_BYTES)];
    infer::get(head).map(|known| known.mime_type()).or_else(|| is_text(head).then_some("text/plain"))
}

fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() && head.len() == HEAD_BYTES => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_what_bytes_show() {
        for (bytes, want) in [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), Some("image/png")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0", Some("image/jpeg")),
            (b"GIF89a\x01\0\x01\0", Some("image/gif")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"%PDF-1.7\n", Some("application/pdf")),
            (b"PK\x03\x04\x14\0\0\0", Some("application/zip")),
            (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", Some("text/plain")),
            (b"<?xml version='1.0'?><svg/>", Some("text/xml")),
            (b"  <!DOCTYPE html><script>1</script>", Some("text/html")),
            ("Grüße\r\n".as_bytes(), Some("text/plain")),
            (b"a\0b", None),
            (b"\xff\xfe\x00", None),
            (b"", None),
        ] {
            assert_eq!(sniff(bytes), want, "{bytes:?}");
        }
        let cut = [&[b'a'; HEAD_BYTES - 1], "я".as_bytes()].concat();
        assert_eq!(sniff(&cut), Some("text/plain"));
    }
}
