//! The HTML mode: a short list of tags, strictly nested, and four named character references.

use super::{Draft, Entity, Formatted};

struct Open {
    tag: String,
    entity: Option<Entity>,
    offset: usize,
}

/// Parses the HTML mode.
pub fn parse(source: &str) -> Result<Formatted, String> {
    let mut draft = Draft::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        if c == '&'
            && let Some((decoded, taken)) = reference(rest)
        {
            draft.push(decoded);
            at += taken;
        } else if let Some(inside) = rest.strip_prefix("</") {
            let end = inside.find('>').ok_or_else(|| format!("Unclosed end tag at byte offset {at}"))?;
            end_tag(inside[..end].trim(), at, &mut open, &mut draft)?;
            at += 2 + end + 1;
        } else if c == '<' {
            let end = tag_end(rest).ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
            let (tag, entity) = start_tag(&rest[1..end], at)?;
            open.push(Open { tag, entity, offset: draft.units });
            at += end + 1;
        } else {
            draft.push_str(c.encode_utf8(&mut [0; 4]));
            at += c.len_utf8();
        }
    }
    match open.pop() {
        Some(top) => Err(format!("Can't find end tag corresponding to start tag \"{}\"", top.tag)),
        None => Ok(draft.finish()),
    }
}

/// The byte of the `>` that ends a start tag; one inside quotation marks does not.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some(mark), c) if mark == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => return Some(at),
            _ => {}
        }
    }
    None
}

fn start_tag(inside: &str, at: usize) -> Result<(String, Option<Entity>), String> {
    let name_end = inside.find(|c: char| c.is_ascii_whitespace()).unwrap_or(inside.len());
    let tag = inside[..name_end].to_ascii_lowercase();
    let attribute = |name: &str| attribute(&inside[name_end..], name);
    let entity = match tag.as_str() {
        "b" | "strong" => Some(Entity::plain("bold", 0, 0)),
        "i" | "em" => Some(Entity::plain("italic", 0, 0)),
        "u" | "ins" => Some(Entity::plain("underline", 0, 0)),
        "s" | "strike" | "del" => Some(Entity::plain("strikethrough", 0, 0)),
        "tg-spoiler" => Some(Entity::plain("spoiler", 0, 0)),
        "span" if attribute("class").as_deref() == Some("tg-spoiler") => Some(Entity::plain("spoiler", 0, 0)),
        "span" => return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}")),
        "code" => Some(Entity {
            language: attribute("class").and_then(|class| class.strip_prefix("language-").map(str::to_owned)),
            ..Entity::plain("code", 0, 0)
        }),
        "pre" => Some(Entity::plain("pre", 0, 0)),
        "blockquote" if inside[name_end..].contains("expandable") => Some(Entity::plain("expandable_blockquote", 0, 0)),
        "blockquote" => Some(Entity::plain("blockquote", 0, 0)),
        "a" => attribute("href")
            .filter(|url| url.contains("://") || url.contains('.'))
            .map(|url| Entity { url: Some(url), ..Entity::plain("text_link", 0, 0) }),
        "tg-emoji" => Some(Entity { custom_emoji_id: attribute("emoji-id"), ..Entity::plain("custom_emoji", 0, 0) }),
        _ => return Err(format!("Unsupported start tag \"{tag}\" at byte offset {at}")),
    };
    Ok((tag, entity))
}

fn end_tag(name: &str, at: usize, open: &mut Vec<Open>, draft: &mut Draft) -> Result<(), String> {
    let top = open.pop().ok_or_else(|| format!("Unexpected end tag at byte offset {at}"))?;
    if !name.is_empty() && !name.eq_ignore_ascii_case(&top.tag) {
        return Err(format!("Unmatched end tag at byte offset {at}, expected \"</{}>\", found \"</{name}>\"", top.tag));
    }
    let Some(mut entity) = top.entity else { return Ok(()) };
    if top.tag == "code" {
        // A language is told by <pre><code class="language-…">: it belongs to the pre.
        let language = entity.language.take();
        if let Some(outer) = open.last_mut().filter(|outer| outer.tag == "pre" && outer.offset == top.offset)
            && let (Some(pre), Some(_)) = (outer.entity.as_mut(), language.as_ref())
        {
            pre.language = language;
            return Ok(());
        }
    }
    draft.close(entity, top.offset);
    Ok(())
}

fn attribute(inside: &str, name: &str) -> Option<String> {
    let mut rest = inside.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.split_ascii_whitespace().last()?;
        let after = after.trim_start();
        let (value, next) = match after.chars().next()? {
            quote @ ('"' | '\'') => after[1..].split_once(quote)?,
            _ => after.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(decode(value));
        }
        rest = next.trim_start();
    }
    None
}

fn decode(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, taken) = reference(rest).unwrap_or((c, c.len_utf8()));
        decoded.push(c);
        rest = &rest[taken..];
    }
    decoded
}

/// A character reference at the start of `rest`, and its bytes. One that is not known stays as it is written.
fn reference(rest: &str) -> Option<(char, usize)> {
    let body = rest.strip_prefix('&')?;
    if let Some(number) = body.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix('x') {
            Some(hex) => (hex, 16),
            None => (number, 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let c = u32::from_str_radix(&digits[..end], radix).ok().filter(|n| *n != 0).and_then(char::from_u32)?;
        let taken = rest.len() - digits.len() + end;
        return Some((c, taken + usize::from(rest[taken..].starts_with(';'))));
    }
    [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')].into_iter().find_map(|(name, c)| {
        let after = body.strip_prefix(name)?;
        Some((c, 1 + name.len() + usize::from(after.starts_with(';'))))
    })
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
    fn tags_become_entities() {
        good("👋 <b>bold <i>both</i></b>", "👋 bold both", &[("bold", 3, 9), ("italic", 8, 4)]);
        good("<a href=\"https://example.org/?a=1&amp;b=>\">x</a>", "x", &[("text_link", 0, 1)]);
        good("&lt;b&gt; &amp;amp; &#1071;&#x44f; &nbsp;", "<b> &amp; Яя &nbsp;", &[]);
        good("<span class='tg-spoiler'>s</span>", "s", &[("spoiler", 0, 1)]);
        let pre = parse("<pre><code class=\"language-rust\">x</code></pre>").unwrap();
        assert_eq!(pre.entities, [Entity { language: Some("rust".into()), ..Entity::plain("pre", 0, 1) }]);
    }

    #[test]
    fn complaints_are_the_platforms() {
        let refused = |source: &str| parse(source).unwrap_err();
        assert_eq!(refused("a <br>"), "Unsupported start tag \"br\" at byte offset 2");
        assert_eq!(refused("<b>x"), "Can't find end tag corresponding to start tag \"b\"");
        assert_eq!(refused("x</b>"), "Unexpected end tag at byte offset 1");
        assert_eq!(refused("<b>x</i>"), "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"");
        assert_eq!(refused("1 < 2"), "Unclosed start tag at byte offset 2");
    }
}
