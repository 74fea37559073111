//! Headers of a file's bytes. A browser shows inside a page only what cannot run there, and takes our word for what it is.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use switchboard_common::model::FileKind;
use switchboard_common::model::text::hex;
use switchboard_common::store::FileRow;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Types that bytes showed, what they are served as, their usual extension, and whether a browser may show them.
const KNOWN: &[(&str, &str, &str, bool)] = &[
    ("image/jpeg", "image/jpeg", "jpg", true),
    ("image/png", "image/png", "png", true),
    ("image/gif", "image/gif", "gif", true),
    ("image/webp", "image/webp", "webp", true),
    ("video/mp4", "video/mp4", "mp4", true),
    ("audio/ogg", "audio/ogg", "ogg", true),
    ("audio/opus", "audio/ogg", "ogg", true),
    ("audio/mpeg", "audio/mpeg", "mp3", true),
    ("application/pdf", "application/pdf", "pdf", false),
];

/// What everything else is served as, whatever it calls itself.
const UNKNOWN: (&str, &str, &str, bool) = ("", "application/octet-stream", "bin", false);

/// The strong validator: the hash of the bytes.
pub(crate) fn etag(row: &FileRow) -> String {
    format!("\"{}\"", row.sha256.as_deref().map(hex).unwrap_or_default())
}

/// The headers of every answer that carries bytes of the file, or stands for them.
pub(crate) fn describe(row: &FileRow) -> HeaderMap {
    let known = KNOWN.iter().find(|(sniffed, ..)| row.sniffed.as_deref() == Some(*sniffed)).unwrap_or(&UNKNOWN);
    let (_, mime, extension, inline) = *known;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, mime),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "private, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-site"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    let name = row.name.clone().unwrap_or_else(|| format!("{}.{extension}", unnamed(row.kind)));
    for (header, value) in [(header::ETAG, etag(row)), (header::CONTENT_DISPOSITION, disposition(inline, &name))] {
        // Both are visible ASCII by their making.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
    headers
}

fn unnamed(kind: FileKind) -> &'static str {
    if kind == FileKind::Document { "file" } else { kind.as_str() }
}

/// `Content-Disposition` by RFC 6266: a plain name for those who know no other, and the whole one by RFC 5987.
pub(crate) fn disposition(inline: bool, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%' | '/') { c } else { '_' })
        .collect();
    let mut value = format!("{}; filename=\"{plain}\"", if inline { "inline" } else { "attachment" });
    if plain != name {
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => value.push(char::from(byte)),
                _ => _ = write!(value, "%{byte:02X}"),
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_its_header() {
        for (name, want) in [
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            (
                "Grüße \"1\".txt",
                "attachment; filename=\"Gr__e _1_.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.txt",
            ),
            (
                "x\"; filename=evil.exe",
                "attachment; filename=\"x_; filename=evil.exe\"; filename*=UTF-8''x%22%3B%20filename%3Devil.exe",
            ),
            ("%2e%2e\\x", "attachment; filename=\"_2e_2e_x\"; filename*=UTF-8''%252e%252e%5Cx"),
            ("a\r\nb: c", "attachment; filename=\"a__b: c\"; filename*=UTF-8''a%0D%0Ab%3A%20c"),
        ] {
            assert_eq!(disposition(false, name), want);
            assert!(HeaderValue::try_from(disposition(true, name)).is_ok());
        }
    }
}
