//! Entities that the platform finds by itself: links, commands, mentions. Only their clear forms; the platform finds more.

use super::Entity;
use crate::text::utf16_len;

/// Finds `http(s)://…` links, `/commands` and `@mentions`.
pub fn detect(text: &str) -> Vec<Entity> {
    let mut found = Vec::new();
    let mut units = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        if let Some(entity) = read_word(word.trim_end(), units) {
            found.push(entity);
        }
        units += utf16_len(word);
    }
    found
}

fn read_word(word: &str, offset: usize) -> Option<Entity> {
    let name = |text: &str, low: usize, high: usize| {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        (low..=high).contains(&end).then_some(end)
    };
    if word.starts_with("http://") || word.starts_with("https://") {
        let link = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'']);
        return (link.len() > "https://".len()).then(|| Entity::plain("url", offset, utf16_len(link)));
    }
    if let Some(command) = word.strip_prefix('/') {
        return name(command, 1, 64).map(|end| Entity::plain("bot_command", offset, end + 1));
    }
    let mention = word.strip_prefix('@')?;
    name(mention, 4, 32).map(|end| Entity::plain("mention", offset, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_utf16_units() {
        assert_eq!(
            detect("Hello 👋 see https://example.org, @olga_p /help"),
            [Entity::plain("url", 13, 19), Entity::plain("mention", 34, 7), Entity::plain("bot_command", 42, 5)]
        );
        assert_eq!(detect("a/b 1/2 mail@example @me"), []);
        assert_eq!(detect("/start deep-link"), [Entity::plain("bot_command", 0, 6)]);
    }
}
