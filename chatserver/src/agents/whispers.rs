//! What is told in passing: from the table to the sessions that read the feed, a quarter of a second late at most while
//! doorbells are heard. Nothing here is kept for a session that is full or not there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Database, Whisper, WhisperItem, WhisperKey};

use super::frames::json;
use super::hub::Hub;
use crate::wakes::Wakes;

/// Between two looks: rings come for everything that happens.
const PACE: Duration = Duration::from_millis(250);

/// How far back each look goes. Whatever is committed later than this after it was said is lost.
const SPAN: Duration = Duration::from_secs(5);

/// Tells sessions until the shutdown.
pub(crate) async fn run(database: Database, hub: Hub, wakes: Arc<Wakes>, shutdown: Shutdown) {
    let mut told: HashSet<WhisperKey> = HashSet::new();
    loop {
        tokio::select! {
            () = wakes.whispers.notified() => {}
            () = shutdown.wait() => return,
        }
        match database.whispers(SPAN).await {
            Ok(heard) => {
                for whisper in heard.iter().filter(|whisper| !told.contains(&whisper.key)) {
                    if let Some(frame) = frame(whisper) {
                        hub.whisper(whisper.feed, frame.into()).await;
                    }
                }
                told = heard.into_iter().map(|whisper| whisper.key).collect();
            }
            Err(error) => tracing::debug!(%error, "nothing was told in passing"),
        }
        shutdown.pause(PACE).await;
    }
}

fn frame(whisper: &Whisper) -> Option<String> {
    match whisper.item {
        WhisperItem::Read { chat, seq, unread } => {
            Some(json(&ReadMarkFrame { r#type: "read_mark", chat: chat.to_string(), seq, unread }))
        }
        WhisperItem::Unknown => None,
    }
}

/// Another session of the agent, or this one, has read on.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ReadMark")]
pub(super) struct ReadMarkFrame {
    #[schemars(extend("const" = "read_mark"))]
    r#type: &'static str,
    chat: String,
    seq: i64,
    unread: i32,
}
