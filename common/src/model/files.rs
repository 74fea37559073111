//! Attachments.

use std::fmt;

/// Names a file inside its account: 128 random bits, as 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(String);

impl FileId {
    /// A new one, from the system's random numbers.
    #[allow(clippy::new_without_default)] // each is another
    pub fn new() -> Self {
        // A v4 UUID has 122 random bits: the six fixed ones are taken from a second one.
        let (first, second) = (uuid::Uuid::new_v4().as_u128(), uuid::Uuid::new_v4().as_u128());
        let fixed = (0xf << 76) | (0x3 << 62);
        Self(format!("{:032x}", (first & !fixed) | ((second << 40) & fixed)))
    }

    /// Reads one; none when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of content a file is to the platform and to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A picture shown in the chat; platforms may compress it.
    Photo,
    /// Any file, as it is.
    Document,
    /// A film.
    Video,
    /// Music.
    Audio,
    /// A voice message.
    Voice,
    /// A round film.
    VideoNote,
    /// A short film without sound.
    Animation,
    /// A sticker.
    Sticker,
}

impl FileKind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Photo, "photo"),
        (Self::Document, "document"),
        (Self::Video, "video"),
        (Self::Audio, "audio"),
        (Self::Voice, "voice"),
        (Self::VideoNote, "video_note"),
        (Self::Animation, "animation"),
        (Self::Sticker, "sticker"),
    ];

    /// The word used in tables and frames.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("document", |(_, word)| word)
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == word).map(|(kind, _)| *kind)
    }
}

/// Bytes of a file's beginning that [`sniffed`] looks at.
pub const SNIFFED_BYTES: usize = 8192;

/// The type that a file's first bytes show, whatever anybody declares; `text/plain` for text of no type that we know. None: it
/// may be anything. Nothing is decoded.
pub fn sniffed(beginning: &[u8]) -> Option<&'static str> {
    let beginning = &beginning[..beginning.len().min(SNIFFED_BYTES)];
    infer::get(beginning).map(|kind| kind.mime_type()).or_else(|| is_text(beginning).then_some("text/plain"))
}

fn is_text(beginning: &[u8]) -> bool {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() && beginning.len() == SNIFFED_BYTES => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
}

/// Whether a file's bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum FileState {
    /// Not yet: being written, or still with the platform.
    Pending = 0,
    /// Whole.
    Ready = 1,
    /// They will not come.
    Failed = 2,
}

impl FileState {
    /// Reads the column's value; `None` for one of a later version.
    pub fn from_column(value: i16) -> Option<Self> {
        [Self::Pending, Self::Ready, Self::Failed].into_iter().find(|state| *state as i16 == value)
    }

    /// The word used in frames and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A file that came with a customer's message, as its platform describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// What it is.
    pub kind: FileKind,
    /// Where the bytes are, in the platform's own words: an id, or an address that names itself. Never one that holds our
    /// credentials.
    pub platform_ref: String,
    /// As declared.
    pub name: Option<String>,
    /// As declared.
    pub mime: Option<String>,
    /// As declared.
    pub size_bytes: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_128_random_bits() {
        let mut seen = [0u128; 2];
        for _ in 0..200 {
            let id = FileId::new();
            assert_eq!(FileId::parse(id.as_str()).as_ref(), Some(&id));
            let bits = u128::from_str_radix(id.as_str(), 16).expect("hexadecimal");
            seen = [seen[0] | bits, seen[1] | !bits];
        }
        assert_eq!(seen, [u128::MAX; 2], "every bit is sometimes set and sometimes not");
        assert!(FileId::parse("../../etc/passwd").is_none() && FileId::parse("").is_none());
    }

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
            (b"plain words", Some("text/plain")),
            (b"OggS\0\x02", Some("audio/ogg")),
            (b"a\0b", None),
            (b"\xff\xfe\x00", None),
            (b"", None),
        ] {
            assert_eq!(sniffed(bytes), want, "{bytes:?}");
        }
        let cut = [&[b'a'; SNIFFED_BYTES - 1], "я".as_bytes()].concat();
        assert_eq!(sniffed(&cut), Some("text/plain"));
    }
}
