//! MarkdownV2: one pass over the text with a stack of open entities.
//!
//! Every ASCII character of 1 to 126 may be escaped with a backslash; `_*[]()~`>#+-=|{}.!` must be, unless they mark
//! something. Offsets in complaints are of bytes, as the platform's are.

use super::{Draft, Entity, Formatted};

const RESERVED: &str = "_*[]()~`>#+-=|{}.!";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Code,
    Pre,
    Link,
    Emoji,
    Quote { expandable: bool },
}

struct Open {
    kind: Kind,
    byte: usize,
    offset: usize,
    language: Option<String>,
}

/// Parses MarkdownV2.
pub fn parse(source: &str) -> Result<Formatted, String> {
    let mut parser = Parser { source, at: 0, draft: Draft::default(), open: Vec::new() };
    while parser.at < source.len() {
        parser.step()?;
    }
    while let Some(top) = parser.open.pop() {
        match top.kind {
            Kind::Quote { .. } => parser.close_quote(top),
            _ => return Err(unclosed(&top)),
        }
    }
    Ok(parser.draft.finish())
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    draft: Draft,
    open: Vec<Open>,
}

impl Parser<'_> {
    fn step(&mut self) -> Result<(), String> {
        let rest = &self.source[self.at..];
        let mut chars = rest.chars();
        let c = chars.next().expect("the loop ends with the text");
        let top = self.open.last().map(|open| open.kind);
        if let ('\\', Some(next)) = (c, chars.next().filter(|next| matches!(next, '\u{1}'..='\u{7e}'))) {
            self.draft.push(next);
            self.at += 2;
            return Ok(());
        }
        if let Some(kind) = top
            && let Some(taken) = ending(kind, rest)
        {
            self.at += taken;
            return self.close();
        }
        if matches!(top, Some(Kind::Code | Kind::Pre)) {
            self.take(c);
            return Ok(());
        }
        if c == '\n' {
            return self.new_line(rest);
        }
        let line_start = self.at == 0 || self.source[..self.at].ends_with('\n');
        let quoting = self.open.iter().any(|open| matches!(open.kind, Kind::Quote { .. }));
        if line_start && !quoting && (rest.starts_with("**>") || c == '>') {
            let expandable = c == '*';
            self.begin(Kind::Quote { expandable }, if expandable { 3 } else { 1 }, None);
            return Ok(());
        }
        if quoting && rest.starts_with("||") && matches!(rest.as_bytes().get(2), None | Some(b'\n')) {
            // The mark at the end of a quotation that makes it fold.
            for open in &mut self.open {
                if let Kind::Quote { expandable } = &mut open.kind {
                    *expandable = true;
                }
            }
            self.at += 2;
            return Ok(());
        }
        if !RESERVED.contains(c) {
            self.take(c);
            return Ok(());
        }
        self.start(c, rest)
    }

    /// A mark that begins something, or a reserved character out of place.
    fn start(&mut self, c: char, rest: &str) -> Result<(), String> {
        let (kind, taken) = match c {
            '_' if rest.starts_with("__") => (Kind::Underline, 2),
            '_' => (Kind::Italic, 1),
            '*' => (Kind::Bold, 1),
            '~' => (Kind::Strikethrough, 1),
            '|' if rest.starts_with("||") => (Kind::Spoiler, 2),
            '[' => (Kind::Link, 1),
            '!' if rest.starts_with("![") => (Kind::Emoji, 2),
            '`' if rest.starts_with("```") => {
                let word = rest[3..].split(|c: char| c.is_whitespace() || c == '`').next().unwrap_or_default();
                let is_language = !word.is_empty() && rest[3 + word.len()..].starts_with('\n');
                let taken = 3 + if is_language { word.len() } else { 0 };
                let taken = taken + usize::from(rest[taken..].starts_with('\n'));
                let language = is_language.then(|| word.to_owned());
                self.begin(Kind::Pre, taken, language);
                return Ok(());
            }
            '`' => (Kind::Code, 1),
            _ => return Err(format!("Character '{c}' is reserved and must be escaped with the preceding '\\'")),
        };
        self.begin(kind, taken, None);
        Ok(())
    }

    /// A line break ends a quotation unless the next line goes on quoting.
    fn new_line(&mut self, rest: &str) -> Result<(), String> {
        let quoting = self.open.iter().any(|open| matches!(open.kind, Kind::Quote { .. }));
        if quoting && rest[1..].starts_with('>') {
            self.draft.push('\n');
            self.at += 2;
            return Ok(());
        }
        if quoting {
            let top = self.open.pop().expect("a quotation is open");
            match top.kind {
                Kind::Quote { .. } => self.close_quote(top),
                _ => return Err(unclosed(&top)),
            }
        }
        self.take('\n');
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let top = self.open.pop().expect("an entity is open");
        let name = match top.kind {
            Kind::Bold => "bold",
            Kind::Italic => "italic",
            Kind::Underline => "underline",
            Kind::Strikethrough => "strikethrough",
            Kind::Spoiler => "spoiler",
            Kind::Code => "code",
            Kind::Pre => "pre",
            Kind::Link | Kind::Emoji => return self.close_link(top),
            Kind::Quote { .. } => unreachable!("a quotation has no closing mark"),
        };
        let entity = Entity { language: top.language, ..Entity::plain(name, 0, 0) };
        self.draft.close(entity, top.offset);
        Ok(())
    }

    fn close_quote(&mut self, top: Open) {
        let name = if top.kind == (Kind::Quote { expandable: true }) { "expandable_blockquote" } else { "blockquote" };
        self.draft.close(Entity::plain(name, 0, 0), top.offset);
    }

    /// After the `]`: an address in round brackets, with its own escapes.
    fn close_link(&mut self, top: Open) -> Result<(), String> {
        let from = self.at;
        let mut url = String::new();
        if self.source[from..].starts_with('(') {
            let mut chars = self.source[from + 1..].char_indices();
            loop {
                match chars.next() {
                    None if top.kind == Kind::Emoji => {
                        return Err(format!("Can't find end of a custom emoji URL at byte offset {from}"));
                    }
                    None => return Err(format!("Can't find end of a URL at byte offset {from}")),
                    Some((end, ')')) => {
                        self.at = from + 1 + end + 1;
                        break;
                    }
                    Some((_, '\\')) => url.extend(chars.next().map(|(_, c)| c)),
                    Some((_, c)) => url.push(c),
                }
            }
        }
        if top.kind == Kind::Emoji {
            let id = url.strip_prefix("tg://emoji?id=").filter(|id| !id.is_empty());
            let id = id.ok_or("Custom emoji entity must contain a tg://emoji URL")?.to_owned();
            let entity = Entity { custom_emoji_id: Some(id), ..Entity::plain("custom_emoji", 0, 0) };
            self.draft.close(entity, top.offset);
        } else if url.contains("://") || url.contains('.') {
            self.draft.close(Entity { url: Some(url), ..Entity::plain("text_link", 0, 0) }, top.offset);
        }
        Ok(())
    }

    fn begin(&mut self, kind: Kind, taken: usize, language: Option<String>) {
        self.open.push(Open { kind, byte: self.at, offset: self.draft.units, language });
        self.at += taken;
    }

    fn take(&mut self, c: char) {
        self.draft.push(c);
        self.at += c.len_utf8();
    }
}

/// How many bytes of `rest` close an open entity, if they do.
fn ending(kind: Kind, rest: &str) -> Option<usize> {
    let mark = match kind {
        // Two underscores are always the longer mark.
        Kind::Italic => return (rest.starts_with('_') && !rest.starts_with("__")).then_some(1),
        Kind::Bold => "*",
        Kind::Underline => "__",
        Kind::Strikethrough => "~",
        Kind::Spoiler => "||",
        Kind::Code => "`",
        Kind::Pre => "```",
        Kind::Link | Kind::Emoji => "]",
        Kind::Quote { .. } => return None,
    };
    rest.starts_with(mark).then_some(mark.len())
}

fn unclosed(open: &Open) -> String {
    let name = match open.kind {
        Kind::Bold => "Bold",
        Kind::Italic => "Italic",
        Kind::Underline => "Underline",
        Kind::Strikethrough => "Strikethrough",
        Kind::Spoiler => "Spoiler",
        Kind::Code => "Code",
        Kind::Pre => "Pre",
        Kind::Link => "TextUrl",
        Kind::Emoji => "CustomEmoji",
        Kind::Quote { .. } => "BlockQuote",
    };
    format!("Can't find end of {name} entity at byte offset {}", open.byte)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn good(source: &str, text: &str, want: &[(&str, usize, usize)]) {
        let got = parse(source).unwrap_or_else(|why| panic!("{source}: {why}"));
        let entities: Vec<_> = got.entities.iter().map(|e| (e.r#type.as_str(), e.offset, e.length)).collect();
        assert_eq!((got.text.as_str(), entities.as_slice()), (text, want), "{source}");
    }

    #[test]
    fn marks_become_entities() {
        good("👋 *bold _both_* plain", "👋 bold both plain", &[("bold", 3, 9), ("italic", 8, 4)]);
        good(
            "__under__ ~gone~ ||hid||",
            "under gone hid",
            &[("underline", 0, 5), ("strikethrough", 6, 4), ("spoiler", 11, 3)],
        );
        good("`a*b` ```rust\nx\\`y```", "a*b x`y", &[("code", 0, 3), ("pre", 4, 3)]);
        good("[a\\.b](https://example.org/\\))", "a.b", &[("text_link", 0, 3)]);
        good("![👍](tg://emoji?id=5)", "👍", &[("custom_emoji", 0, 2)]);
        good(">one\n>two\nthree", "one\ntwo\nthree", &[("blockquote", 0, 7)]);
        good(">one||", "one", &[("expandable_blockquote", 0, 3)]);
        good("\\_\\*\\.", "_*.", &[]);
        good("**", "", &[]);
    }

    #[test]
    fn complaints_are_the_platforms() {
        for c in "]()>#+-=|{}.!".chars().filter(|c| *c != '>') {
            let want = format!("Character '{c}' is reserved and must be escaped with the preceding '\\'");
            assert_eq!(parse(&format!("a{c}")).unwrap_err(), want);
        }
        assert_eq!(parse("🏟 🏟_abacaba").unwrap_err(), "Can't find end of Italic entity at byte offset 9");
        assert_eq!(parse("🏟 🏟_abac * asd ").unwrap_err(), "Can't find end of Bold entity at byte offset 15");
        assert_eq!(parse("🏟 🏟```").unwrap_err(), "Can't find end of Pre entity at byte offset 9");
        assert_eq!(parse("[a](b").unwrap_err(), "Can't find end of a URL at byte offset 3");
    }
}
