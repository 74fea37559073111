//! sendPhoto and sendDocument: a file from a multipart body, or one that the bot was told of before.

use crate::{
    bot::State,
    chats::set_caption,
    files::{Kind, NewFile, Stored},
    formatting, image,
    params::{Params, Upload},
    reply::{ApiError, Outcome},
    send::{Around, put},
};

/// Largest photo in bytes; the method reference.
const MAX_PHOTO: usize = 10 << 20;
/// Largest file of any kind in bytes; the method reference.
const MAX_FILE: usize = 50 << 20;
/// Most of a photo's width and height together; the method reference.
const MAX_SIDES: u32 = 10_000;
/// Most that one side of a photo is longer than the other; the method reference.
const MAX_RATIO: u32 = 20;

/// A photo, shown in the chat.
pub fn send_photo(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Photo)
}

/// Any file.
pub fn send_document(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Document)
}

/// Two equal calls make two messages here, too.
fn send(state: &mut State, params: &Params, kind: Kind) -> Outcome {
    let caption = formatting::read_caption(params)?;
    let file = given(state, params, kind)?;
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    let caption = formatting::finish_caption(caption)?;
    check(&file)?;
    let fields = state.files.keep(state.bot_id, file);
    Ok(put(state, around, |body| {
        fields.into_iter().for_each(|(name, value)| body[name] = value);
        set_caption(body, &caption);
    }))
}

/// The file of a request: uploaded, or by its identifier.
fn given(state: &State, params: &Params, kind: Kind) -> Result<NewFile, ApiError> {
    let field = kind.field();
    if let Some(upload) = params.upload(field) {
        let Upload { name, mime, bytes, sha256 } = upload.clone();
        return Ok(NewFile { kind, bytes, name, mime, claims_bytes: None, sha256 });
    }
    let file_id = params.given(field).ok_or_else(|| ApiError::bad(format!("there is no {field} in the request")))?;
    if file_id.starts_with("http://") || file_id.starts_with("https://") {
        return Err(ApiError::bad("failed to get HTTP URL content"));
    }
    let known = state.files.get(file_id);
    let known = known.ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))?;
    if known.kind != kind {
        let what = format!("can't use file of type {:?} as {kind:?}", known.kind);
        return Err(ApiError::bad(what));
    }
    let Stored { bytes, name, mime, size, sha256, .. } = known.clone();
    Ok(NewFile { kind, bytes, name, mime, claims_bytes: Some(size), sha256 })
}

fn check(file: &NewFile) -> Result<(), ApiError> {
    let size = file.bytes.len();
    if size == 0 {
        return Err(ApiError::bad("file must be non-empty"));
    }
    if size > MAX_FILE {
        return Err(ApiError::too_large());
    }
    if file.kind != Kind::Photo {
        return Ok(());
    }
    if size > MAX_PHOTO {
        let why = format!("file of size {size} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes");
        return Err(ApiError::bad(why));
    }
    let fits = |(width, height): (u32, u32)| {
        let (long, short) = (width.max(height), width.min(height));
        width + height <= MAX_SIDES && short > 0 && long <= short * MAX_RATIO
    };
    match image::dimensions(&file.bytes).is_some_and(fits) {
        true => Ok(()),
        false => Err(ApiError::bad("PHOTO_INVALID_DIMENSIONS")),
    }
}
