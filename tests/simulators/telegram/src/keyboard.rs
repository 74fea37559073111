//! `reply_markup`: what the platform checks of the four kinds, and what of it a message shows.

use serde_json::{Value, json};

use crate::{reply::ApiError, text::utf16_len};

/// Most buttons of an inline keyboard; reported in the server's issue tracker.
pub const MAX_INLINE_BUTTONS: usize = 100;
/// Most buttons of a reply keyboard; generally accepted, not confirmed.
pub const MAX_REPLY_BUTTONS: usize = 300;
/// Longest callback_data in bytes of UTF-8; the method reference.
pub const MAX_CALLBACK_DATA: usize = 64;
/// Longest input field placeholder in characters; the method reference.
pub const MAX_PLACEHOLDER: usize = 64;
/// The fields that make a button do something; an inline button has exactly one of them.
const ACTIONS: [&str; 10] = [
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
];

/// Longest text that a button copies, in UTF-16 units; the method reference.
pub const MAX_COPY_TEXT: usize = 256;
/// The colours of a button; the method reference.
const STYLES: [&str; 3] = ["danger", "success", "primary"];

/// What a message brings beside its content.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Markup {
    /// Nothing.
    #[default]
    None,
    /// Buttons under the message itself.
    Inline(Value),
    /// A keyboard in the place of the customer's own, or a wish for an answer.
    Below(Value),
    /// The customer's own keyboard comes back.
    Remove,
}

impl Markup {
    /// The inline keyboard, the only kind that a message carries.
    pub fn inline(self) -> Option<Value> {
        match self {
            Self::Inline(keyboard) => Some(keyboard),
            Self::None | Self::Below(_) | Self::Remove => None,
        }
    }
}

/// Checks the parameter of an edit, which takes inline keyboards only.
pub fn check_inline(markup: &str) -> Result<Option<Value>, ApiError> {
    match check(markup, true)? {
        Markup::Below(_) | Markup::Remove => Err(ApiError::bad("inline keyboard expected")),
        markup => Ok(markup.inline()),
    }
}

/// Checks the parameter.
pub fn check(markup: &str, private: bool) -> Result<Markup, ApiError> {
    if markup.is_empty() {
        return Ok(Markup::None);
    }
    let value: Value =
        serde_json::from_str(markup).map_err(|_| ApiError::bad("can't parse reply keyboard markup JSON object"))?;
    let object = value.as_object().ok_or_else(|| ApiError::bad("object expected as reply markup"))?;
    if let Some(rows) = object.get("inline_keyboard") {
        return Ok(inline(rows)?.map_or(Markup::None, Markup::Inline));
    }
    if let Some(rows) = object.get("keyboard") {
        reply(rows, private)?;
    }
    let says = |name: &str| object.get(name).and_then(Value::as_bool) == Some(true);
    if let Some(placeholder) = object.get("input_field_placeholder").and_then(Value::as_str)
        && utf16_len(placeholder) > MAX_PLACEHOLDER
    {
        return Err(ApiError::bad("input field placeholder is too long"));
    }
    Ok(match says("remove_keyboard") {
        true => Markup::Remove,
        false if object.contains_key("keyboard") || says("force_reply") => Markup::Below(value),
        false => Markup::None,
    })
}

fn rows(value: &Value) -> Result<Vec<&Vec<Value>>, ApiError> {
    let wrong = || ApiError::bad("field \"keyboard\" must be of type Array of Arrays");
    value.as_array().ok_or_else(wrong)?.iter().map(|row| row.as_array().ok_or_else(wrong)).collect()
}

fn inline(value: &Value) -> Result<Option<Value>, ApiError> {
    let rows = rows(value)?;
    let wrong = |why: &str| ApiError::bad(format!("can't parse inline keyboard button: {why}"));
    for button in rows.iter().copied().flatten() {
        let text = button.get("text").and_then(Value::as_str).ok_or_else(|| wrong("Can't find field \"text\""))?;
        if text.trim().is_empty() {
            return Err(wrong("Button text must be non-empty"));
        }
        let actions: Vec<_> = ACTIONS.into_iter().filter(|action| button.get(action).is_some()).collect();
        let [action] = actions[..] else {
            return Err(match actions.is_empty() {
                true => wrong("Text buttons are unallowed in the inline keyboard"),
                false => wrong("Exactly one of the optional fields must be used"),
            });
        };
        style(button).map_err(wrong)?;
        match (action, button[action].as_str()) {
            ("callback_data", Some(data)) if !(1..=MAX_CALLBACK_DATA).contains(&data.len()) => {
                return Err(ApiError::bad("BUTTON_DATA_INVALID"));
            }
            ("url", Some(url)) if !url.contains('.') && !url.contains("://") => {
                return Err(ApiError::bad(format!("inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")));
            }
            ("copy_text", _)
                if !(1..=MAX_COPY_TEXT).contains(&button[action]["text"].as_str().map_or(0, utf16_len)) =>
            {
                return Err(ApiError::bad("BUTTON_COPY_TEXT_INVALID"));
            }
            ("callback_data" | "url", None) => {
                return Err(wrong(&format!("Field \"{action}\" must be of type String")));
            }
            _ => {}
        }
    }
    if rows.iter().map(|row| row.len()).sum::<usize>() > MAX_INLINE_BUTTONS {
        return Err(ApiError::bad("reply markup is too long"));
    }
    let shown: Vec<_> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    Ok((!shown.is_empty()).then(|| json!({ "inline_keyboard": shown })))
}

fn reply(value: &Value, private: bool) -> Result<(), ApiError> {
    let rows = rows(value)?;
    for button in rows.iter().copied().flatten() {
        let text = button.as_str().or_else(|| button.get("text").and_then(Value::as_str));
        if text.is_none_or(|text| text.trim().is_empty()) {
            return Err(ApiError::bad("can't parse keyboard button: Keyboard button text must be non-empty"));
        }
        let asks = |what: &str| button.get(what).and_then(Value::as_bool) == Some(true);
        if !private && asks("request_contact") {
            return Err(ApiError::bad("phone number can be requested in private chats only"));
        }
        if !private && asks("request_location") {
            return Err(ApiError::bad("location can be requested in private chats only"));
        }
    }
    if rows.iter().map(|row| row.len()).sum::<usize>() > MAX_REPLY_BUTTONS {
        return Err(ApiError::bad("reply markup is too long"));
    }
    Ok(())
}

fn style(button: &Value) -> Result<(), &'static str> {
    let known = button.get("style").is_none_or(|style| STYLES.iter().any(|known| style == known));
    known.then_some(()).ok_or("Invalid button style specified")
}

/// The button of a reply keyboard that shows this text.
pub fn key<'a>(below: &'a Value, text: &str) -> Option<&'a Value> {
    let rows = below["keyboard"].as_array().into_iter().flatten().filter_map(Value::as_array);
    rows.flatten().find(|key| key.as_str().or_else(|| key["text"].as_str()) == Some(text))
}

/// Whether a shown keyboard has a button with this callback data.
pub fn has_callback(markup: Option<&Value>, data: &str) -> bool {
    markup
        .and_then(|markup| markup["inline_keyboard"].as_array())
        .into_iter()
        .flatten()
        .filter_map(Value::as_array)
        .flatten()
        .any(|button| button["callback_data"] == data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with_data(data: &str) -> String {
        json!({"inline_keyboard": [[{"text": "Yes", "callback_data": data}]]}).to_string()
    }

    #[test]
    fn callback_data_is_measured_in_bytes() {
        assert!(check(&with_data(&"я".repeat(32)), true).unwrap().inline().is_some());
        assert_eq!(check(&with_data(&"я".repeat(33)), true), Err(ApiError::bad("BUTTON_DATA_INVALID")));
        assert_eq!(check(&with_data(""), true), Err(ApiError::bad("BUTTON_DATA_INVALID")));
    }

    #[test]
    fn a_hundred_buttons_fit() {
        let rows = |count: usize| {
            let row: Vec<_> = (0..count).map(|n| json!({"text": "b", "callback_data": n.to_string()})).collect();
            json!({ "inline_keyboard": [row] }).to_string()
        };
        assert!(check(&rows(100), true).is_ok());
        assert_eq!(check(&rows(101), true), Err(ApiError::bad("reply markup is too long")));
    }

    #[test]
    fn buttons_do_exactly_one_thing() {
        for button in [json!({"text": "x"}), json!({"text": "x", "url": "https://a.b", "callback_data": "1"})] {
            let markup = json!({ "inline_keyboard": [[button]] }).to_string();
            assert!(check(&markup, true).unwrap_err().description.contains("can't parse inline keyboard button"));
        }
        assert!(check("[]", true).unwrap_err().description.contains("object expected"));
        assert!(check("{", true).is_err());
    }

    #[test]
    fn contacts_are_asked_for_in_private_chats_only() {
        let markup = r#"{"keyboard":[[{"text":"Phone","request_contact":true}]]}"#;
        let Ok(Markup::Below(shown)) = check(markup, true) else { panic!("a keyboard is shown") };
        assert_eq!(key(&shown, "Phone").unwrap()["request_contact"], true);
        assert_eq!(key(&shown, "phone"), None);
        assert!(check(markup, false).is_err());
        assert_eq!(check(r#"{"remove_keyboard":true}"#, true), Ok(Markup::Remove));
        assert!(matches!(check(r#"{"force_reply":true}"#, true), Ok(Markup::Below(_))));
    }

    #[test]
    fn edits_take_inline_keyboards_only() {
        assert_eq!(check_inline(""), Ok(None));
        assert!(check_inline(&with_data("y")).unwrap().is_some());
        let refused = Err(ApiError::bad("inline keyboard expected"));
        assert_eq!(check_inline(r#"{"keyboard":[["Yes"]]}"#), refused);
        assert_eq!(check_inline(r#"{"remove_keyboard":true}"#), refused);
    }

    #[test]
    fn buttons_copy_texts_and_have_colours() {
        let with = |more: Value| {
            let mut button = json!({ "text": "x" });
            button.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            check(&json!({ "inline_keyboard": [[button]] }).to_string(), true)
        };
        assert!(with(json!({ "copy_text": { "text": "x".repeat(256) } })).is_ok());
        assert!(with(json!({ "copy_text": { "text": "x".repeat(257) } })).is_err());
        assert!(with(json!({ "callback_data": "y", "style": "danger" })).is_ok());
        assert!(with(json!({ "callback_data": "y", "style": "loud" })).is_err());
    }
}
