//! A part and the answers so far → the next call, pure.

use serde_json::{Value, json};
use switchboard_common::model::{FileKind, text};
use teloxide::payloads::SendMessage;
use teloxide::types::{ChatId, Recipient};

use super::{NOT_A_PHOTO, SPEC};
use crate::platform::{Answer, Call, Outbound, OutboundFile, Refusal, Step, Upload};

pub(super) fn step(part: &Outbound, answers: &[Answer]) -> Step {
    let mut moved = None;
    let mut not_a_photo = false;
    for answer in answers {
        match answer {
            Answer::Sent { platform_id } => return Step::Done { platform_id: platform_id.clone() },
            // A group became a supergroup: the same message to its new id, once.
            Answer::Moved { chat_key } if moved.is_none() => moved = Some(chat_key.as_str()),
            Answer::Moved { .. } => return Step::Refuse(Refusal::Unreachable),
            // Whatever it is: as a document it arrives as it is.
            Answer::Said(words) if words == NOT_A_PHOTO && !not_a_photo => not_a_photo = true,
            Answer::Said(_) => return Step::Refuse(Refusal::File("it takes it neither way".to_owned())),
        }
    }
    let Ok(chat_id) = moved.unwrap_or(&part.chat_key).parse() else { return Step::Refuse(Refusal::Unreachable) };
    let call = match &part.file {
        Some(file) => upload(chat_id, &part.text, file, file.kind == FileKind::Photo && !not_a_photo),
        None => message(chat_id, &part.text),
    };
    call.map_or_else(Step::Refuse, Step::Deliver)
}

fn message(chat_id: i64, text: &str) -> Result<Call, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::Content("it is empty".to_owned()));
    }
    bounded(text, SPEC.text_max_utf16)?;
    let message = SendMessage::new(Recipient::Id(ChatId(chat_id)), text.to_owned());
    let body = serde_json::to_value(message).map_err(|error| Refusal::Other(error.to_string()))?;
    Ok(call("sendMessage", body, None))
}

fn upload(chat_id: i64, caption: &str, file: &OutboundFile, as_photo: bool) -> Result<Call, Refusal> {
    let (method, field) = if as_photo { ("sendPhoto", "photo") } else { ("sendDocument", "document") };
    let mut body = json!({ "chat_id": chat_id });
    if !caption.trim().is_empty() {
        bounded(caption, SPEC.files.map_or(0, |files| files.caption_max_utf16))?;
        body["caption"] = json!(caption);
    }
    let upload = Upload {
        field,
        name: file.name.clone().unwrap_or_else(|| field.to_owned()),
        mime: file.mime.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
        size_bytes: file.size_bytes,
    };
    Ok(call(method, body, Some(upload)))
}

fn call(method: &'static str, body: Value, upload: Option<Upload>) -> Call {
    Call { method, body, upload, cost: 1, epoch: None }
}

fn bounded(words: &str, max_utf16: usize) -> Result<(), Refusal> {
    match text::split_utf16(words, max_utf16).len() > 1 {
        true => Err(Refusal::Content(format!("it is longer than {max_utf16} characters"))),
        false => Ok(()),
    }
}
