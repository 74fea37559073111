//! What an account's platform can do, as data.

use serde_json::{Value, json};

use super::Limit;

/// What the chatserver must know of a platform before it queues a message, and what a desktop may show. Written to
/// `account.capabilities` from the platform's spec and the account's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Longest text of one part, in UTF-16 code units; a longer text is split.
    pub text_max_utf16: usize,
    /// The limits in force.
    pub limits: Vec<Limit>,
    /// What may be attached; none: nothing.
    pub files: Option<FileLimits>,
    /// By what an agent may open a chat with somebody who has not written; none: customers write first.
    pub address: Option<AddressKind>,
}

/// What names a customer on a platform, so that a chat with them may be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// The customer's number, which is the key of the private chat with them, too.
    Number,
}

impl AddressKind {
    /// The word in capabilities.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
        }
    }

    /// Reads the word; none: of a later version.
    pub fn from_word(word: &str) -> Option<Self> {
        (word == Self::Number.as_str()).then_some(Self::Number)
    }

    /// The address as the platform writes it; the error says what is wanted.
    pub fn read(self, address: &str) -> Result<String, &'static str> {
        match self {
            Self::Number => match address.parse::<i64>() {
                Ok(number) if number > 0 && address.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number.to_string()),
                _ => Err("the address is a customer's number: digits only"),
            },
        }
    }
}

/// What may be attached to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Largest photo, bytes.
    pub photo_max_bytes: u64,
    /// Largest file of any other kind, bytes.
    pub file_max_bytes: u64,
    /// Longest text that goes with a file, UTF-16 code units; a longer one follows as messages of its own.
    pub caption_max_utf16: usize,
}

impl Capabilities {
    /// As `account.capabilities` holds it.
    pub fn to_json(&self) -> Value {
        let limits: Vec<Value> = self.limits.iter().map(|limit| limit.to_json()).collect();
        let mut json = json!({ "text_max_utf16": self.text_max_utf16, "limits": limits });
        if let Some(files) = self.files {
            json["files"] = json!({
                "photo_max_bytes": files.photo_max_bytes,
                "file_max_bytes": files.file_max_bytes,
                "caption_max_utf16": files.caption_max_utf16,
            });
        }
        if let Some(address) = self.address {
            json["address"] = address.as_str().into();
        }
        json
    }
}

impl FileLimits {
    /// Reads the `files` of `account.capabilities`.
    pub fn from_json(json: &Value) -> Option<Self> {
        Some(Self {
            photo_max_bytes: json["photo_max_bytes"].as_u64()?,
            file_max_bytes: json["file_max_bytes"].as_u64()?,
            caption_max_utf16: json["caption_max_utf16"].as_u64()?.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_one_spelling() {
        let kind = AddressKind::from_word("number").expect("a word of ours");
        assert_eq!(kind.read("700100000").as_deref(), Ok("700100000"));
        assert_eq!(kind.read("0007").as_deref(), Ok("7"), "the key of a chat has one spelling");
        for bad in ["", "0", "-5", "+5", " 5", "5 ", "5.0", "٥", "five", "99999999999999999999", "1e3"] {
            assert!(kind.read(bad).is_err(), "{bad}");
        }
        assert_eq!(AddressKind::from_word("scent"), None);
    }
}
