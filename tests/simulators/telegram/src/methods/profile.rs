//! What the bot may know of people and chats: getUserProfilePhotos, getChat.

use serde_json::{Value, json};

use crate::{
    bot::State,
    chats::{ChatKind, Standing},
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// Most photos in one answer; the method reference.
const MAX_PHOTOS: i64 = 100;

/// The newest first; nothing of a person who hides them.
pub fn get_user_profile_photos(state: &mut State, params: &Params) -> Outcome {
    let wrong = || ApiError::bad("invalid user_id specified");
    let user = params.get("user_id").trim().parse::<i64>().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
    let person = state.chats.people.get(&user).ok_or_else(|| ApiError::bad("user not found"))?;
    let offset = params.number("offset", 0, 0, i64::from(i32::MAX));
    let limit = params.number("limit", MAX_PHOTOS, 1, MAX_PHOTOS);
    let (offset, limit) = (usize::try_from(offset).unwrap_or(0), usize::try_from(limit).unwrap_or(1));
    let photos: Vec<_> = person.photos.iter().skip(offset).take(limit).collect();
    Ok(Success::of(json!({ "total_count": person.photos.len(), "photos": photos })))
}

/// A chat that the bot has met.
pub fn get_chat(state: &mut State, params: &Params) -> Outcome {
    let chat = state.chats.find(params.get("chat_id"))?;
    let (id, standing, private) = (chat.id, chat.standing, chat.kind == ChatKind::Private);
    match standing {
        Standing::NeverStarted => return Err(ApiError::bad("chat not found")),
        Standing::Kicked => return Err(ApiError::forbidden("bot was kicked from the group chat")),
        Standing::Migrated(to) => return Err(ApiError::migrated(to)),
        Standing::Open | Standing::Blocked | Standing::Deactivated => {}
    }
    let mut full = state.chats.describe(id);
    full["accent_color_id"] = json!(0);
    full["max_reaction_count"] = json!(11);
    full["accepted_gift_types"] = json!({
        "unlimited_gifts": private, "limited_gifts": private, "unique_gifts": private, "premium_subscription": private,
        "gifts_from_channels": private,
    });
    let photo = state.chats.people.get(&id).and_then(|person| person.photos.first());
    let sizes = photo.and_then(Value::as_array);
    if let Some((small, big)) = sizes.and_then(|sizes| Some((sizes.first()?, sizes.last()?))) {
        full["photo"] = json!({
            "small_file_id": small["file_id"], "small_file_unique_id": small["file_unique_id"],
            "big_file_id": big["file_id"], "big_file_unique_id": big["file_unique_id"],
        });
    }
    Ok(Success::of(full))
}
