//! `GET /file/bot<token>/<path>`: the bytes behind a link of getFile, and the ways in which they may come badly.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::{Stream, stream};

use crate::{
    answer::{Answer, torn},
    bot::Bot,
    connection::Connection,
    exchange::refusal,
    faults::{Fault, Mode},
    files::Seen,
    log::Event,
    reply::ApiError,
    server::Simulator,
};

/// The name of downloads among the methods that faults strike.
pub const NAME: &str = "download";
/// In how many pieces a trickling file comes.
const PIECES: usize = 16;
/// How much of a file without end comes at a time.
static FILLER: [u8; 64 << 10] = [0; 64 << 10];

/// Answers a path below `/file/bot`: a file, or 404 for a wrong token, a wrong path and a link that has expired.
pub async fn handle(simulator: &Simulator, path: &str, connection: &Connection) -> Response {
    let not_found = || Answer::of(&Err(ApiError::not_found()));
    let path = path.replace("%3A", ":").replace("%3a", ":");
    let Some((token, path)) = path.split_once('/') else { return not_found().send(connection).await };
    let Some(bot) = simulator.bot_by_token(token) else { return not_found().send(connection).await };
    let found = {
        let mut state = bot.lock();
        state.files.downloads += 1;
        let now = state.now();
        state.files.linked(path, now).map(|file| (file.bytes.clone(), file.seen()))
    };
    let Some((bytes, seen)) = found else {
        tell(&bot, "404", None);
        return not_found().send(connection).await;
    };
    let fault = bot.lock().faults.take(NAME, None);
    let (answer, response) = match &fault {
        None => ("200".to_owned(), Ok(whole(bytes))),
        Some(fault) => {
            tokio::time::sleep(Duration::from_millis(fault.first_delay_ms())).await;
            spoil(bytes, fault)
        }
    };
    tell(&bot, &answer, Some(&seen));
    match response {
        Ok(response) => response,
        Err(answer) => answer.send(connection).await,
    }
}

fn tell(bot: &Arc<Bot>, reply: &str, file: Option<&Seen>) {
    let state = bot.lock();
    state.log.write(Event::Download { acct: &bot.name, file, reply });
}

/// What a fault makes of a file, and its word for the log.
fn spoil(bytes: Bytes, fault: &Fault) -> (String, Result<Response, Answer>) {
    let word = |word: &str| word.to_owned();
    match fault.mode {
        Mode::Slow => (word("200"), Ok(whole(bytes))),
        Mode::Trickle => {
            let length = bytes.len();
            (word("trickle"), Ok(response(trickling(bytes, fault.delay_ms), Some(length))))
        }
        Mode::Endless => (word("endless"), Ok(response(endless(bytes), None))),
        Mode::HalfAfter => {
            let (length, half) = (bytes.len(), bytes.slice(..bytes.len() / 2));
            (word("half"), Ok(response(torn(half), Some(length))))
        }
        mode => {
            let answer = Answer::of(&Err(refusal(fault))).spoiled(mode);
            (answer.word(), Err(answer))
        }
    }
}

fn whole(bytes: Bytes) -> Response {
    let length = bytes.len();
    response(stream::iter([Ok(bytes)]), Some(length))
}

fn response(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: Option<usize>) -> Response {
    let mut response = Response::new(Body::from_stream(pieces));
    // The platform says nothing better, whatever the file is.
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

/// A piece, a pause, a piece …
fn trickling(bytes: Bytes, pause_ms: u64) -> impl Stream<Item = io::Result<Bytes>> {
    let size = bytes.len().div_ceil(PIECES).max(1);
    stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok(piece), rest))
    })
}

/// The file, and then zeros for as long as somebody takes them.
fn endless(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(bytes, |next| async move { Some((Ok(next), Bytes::from_static(&FILLER))) })
}
