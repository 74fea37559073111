//! A part and the answers so far → the next call, pure.

use switchboard_common::model::text;
use teloxide::payloads::SendMessage;
use teloxide::types::{ChatId, Recipient};

use super::SPEC;
use crate::platform::{Answer, Call, Outbound, Refusal, Step};

pub(super) fn step(part: &Outbound, answers: &[Answer]) -> Step {
    let chat_key = match answers {
        [] => part.chat_key.as_str(),
        // A group became a supergroup: the same message to its new id, once.
        [Answer::Moved { chat_key }] => chat_key.as_str(),
        [.., Answer::Sent { platform_id }] => return Step::Done { platform_id: platform_id.clone() },
        _ => return Step::Refuse(Refusal::Unreachable),
    };
    if part.text.trim().is_empty() {
        return Step::Refuse(Refusal::Content("it is empty".to_owned()));
    }
    if text::split_utf16(&part.text, SPEC.text_max_utf16).len() > 1 {
        return Step::Refuse(Refusal::Content(format!("it is longer than {} characters", SPEC.text_max_utf16)));
    }
    let Ok(chat_id) = chat_key.parse() else { return Step::Refuse(Refusal::Unreachable) };
    let message = SendMessage::new(Recipient::Id(ChatId(chat_id)), part.text.clone());
    match serde_json::to_value(message) {
        Ok(body) => Step::Deliver(Call { method: "sendMessage", body, cost: 1, epoch: None }),
        Err(error) => Step::Refuse(Refusal::Other(error.to_string())),
    }
}
