//! Names of files are data: for a header and for people's eyes, never a path.

/// Longest name, in bytes of UTF-8: what file systems take.
const LONGEST: usize = 255;

/// So much of a long name's end is kept, when it is an extension.
const LONGEST_EXTENSION: usize = 16;

/// A declared name without what could do harm: folders, control characters, and characters that turn the direction of
/// writing (`gpj.exe` shown as `exe.jpg`). None when nothing is left.
pub fn file_name(declared: &str) -> Option<String> {
    let last = declared.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control() && !misleads(*c)).collect();
    let name = plain.trim();
    let only_dots = name.chars().all(|c| c == '.');
    (!only_dots).then(|| shorten(name))
}

/// Marks, embeddings, overrides and isolates of direction, separators of lines, and what cannot be seen.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|dot| &name[dot..]).filter(|end| end.len() <= LONGEST_EXTENSION).unwrap_or("");
    let mut end = LONGEST - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path_and_never_misleads() {
        for (declared, want) in [
            ("report.pdf", Some("report.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("..\\..\\windows\\system.ini", Some("system.ini")),
            ("C:\\fakepath\\me.png", Some("me.png")),
            ("a/b/..", None),
            ("/", None),
            ("", None),
            (" \u{200b}\t", None),
            ("...", None),
            ("%2e%2e%2fpasswd", Some("%2e%2e%2fpasswd")),
            ("a\0b\r\nSet-Cookie: x\u{85}.txt", Some("abSet-Cookie: x.txt")),
            ("photo\u{202e}gpj.exe", Some("photogpj.exe")),
            ("\u{2067}x\u{2069}\u{200f}.txt", Some("x.txt")),
            ("<img src=x onerror=alert(1)>.png", Some("<img src=x onerror=alert(1)>.png")),
            ("\"quoted\"; filename=evil.exe", Some("\"quoted\"; filename=evil.exe")),
            ("résumé 简历.docx", Some("résumé 简历.docx")),
            ("  spaced.txt  ", Some("spaced.txt")),
        ] {
            assert_eq!(file_name(declared).as_deref(), want, "{declared:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = file_name(&format!("{}.pdf", "я".repeat(32_768))).unwrap_or_default();
        assert!(long.len() <= LONGEST && long.ends_with("я.pdf"), "{} bytes", long.len());
        let dotted = file_name(&format!("a.{}", "b".repeat(70_000))).unwrap_or_default();
        assert_eq!(dotted.len(), LONGEST);
        assert_eq!(file_name(&"c".repeat(LONGEST)), Some("c".repeat(LONGEST)));
    }
}
