//! What agents ask for, once they are in.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use switchboard_common::access::{Caller, Refused, TokenScope, TokenScopes};
use switchboard_common::faults;
use switchboard_common::model::{ChatId, FileId, Lane};
use switchboard_common::store::{
    Agent, ChatPlace, Decision, Enclosed, OpenedChat, ReadMark, Refusal, StoreError, Submission, Transfer, Whom,
};

use super::Door;
use super::frames::history;
use super::hub::{Reading, chat_feed};
use super::protocol::{Code, Failure, LaneWord, Request};
use super::replies::RepliesJson;
use super::snapshot::{ChatJson, SnapshotJson};
use super::waiting::WaitingJson;

/// Longest text of a message, in characters.
const LONGEST_TEXT: usize = 20_000;

/// Longest client key, in characters.
const LONGEST_KEY: usize = 64;

/// Longest words about how a chat ended, or why it is handed over, in characters.
const LONGEST_WORDS: usize = 200;

/// Longest name of a customer, in characters.
const LONGEST_NAME: usize = 100;

/// Entries on a page of history: at most, and when nothing is asked for.
const PAGE: (i64, i64) = (200, 50);

/// Canned replies on a page, at most and when nothing is asked for.
const REPLIES: i64 = 100;

/// What a request that did not succeed means for its session.
pub(super) enum Trouble {
    /// The client is told.
    Failure(Failure),
    /// Something is wrong here: the session ends, and the client comes back.
    Internal,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error.is_unavailable() {
            true => {
                tracing::warn!(%error, "a request failed");
                Self::Failure(Failure::new(Code::Unavailable, "the database did not answer: send it again"))
            }
            false => {
                tracing::error!(%error, "a request failed");
                Self::Internal
            }
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::NotFound => (Code::NotFound, "no such chat, message or file"),
            Refusal::AlreadyTaken(agent) => {
                return Self::Failure(Failure::new(Code::AlreadyTaken, format!("agent {agent} took this chat")));
            }
            Refusal::NotYours => (Code::NotYours, "take the chat first"),
            Refusal::Closed => (Code::Closed, "the chat is closed"),
            Refusal::Stale => (Code::Stale, "the customer wrote after what you have seen"),
            Refusal::KeyConflict => (Code::KeyConflict, "this client_key names another message"),
            Refusal::BadText => (Code::BadText, "a part of the text would be blank"),
            Refusal::Unsupported(why) => (Code::Unsupported, why),
            Refusal::TooLarge(most) => {
                let message = format!("the platform takes files of at most {most} bytes");
                return Self::Failure(Failure::new(Code::TooLarge, message));
            }
            Refusal::NotItsLane => (Code::Forbidden, BOTS_LANES),
            Refusal::BadTarget => (Code::BadTarget, "nobody of this name may be given the chat, or has it already"),
            Refusal::BadAddress(why) => (Code::BadAddress, why),
            Refusal::TooLate => (Code::TooLate, "it is too late for that"),
        };
        Self::Failure(Failure::new(code, message))
    }
}

const BOTS_LANES: &str = "a bot sends in the lanes bot and bulk";

/// The lane of a message: a session without the scope `agent` is a program's.
fn lane_of(scopes: TokenScopes, word: Option<LaneWord>) -> Result<Lane, Failure> {
    match (scopes.has(TokenScope::Agent), word) {
        (true, word) => Ok(word.map_or(Lane::Interactive, Lane::from)),
        (false, Some(LaneWord::Interactive)) => Err(Failure::new(Code::Forbidden, BOTS_LANES)),
        (false, word) => Ok(word.map_or(Lane::Bot, Lane::from)),
    }
}

/// What the session does once the answer is written, so that nothing comes before it.
pub(super) enum Then {
    Watch(Reading),
    Unwatch(ChatId),
}

/// Carries out a request of `agent`, when `caller` may ask for it. Every change is one transaction; when the answer is lost, asking again is harmless.
pub(super) async fn handle(
    door: &Door,
    agent: &Agent,
    caller: &Caller,
    request: Request,
    then: &mut Option<Then>,
) -> Result<Box<RawValue>, Trouble> {
    let (database, scopes) = (&door.database, caller.identity.scopes);
    let rule = request.rule();
    if !scopes.has_any(rule.allow) {
        return Err(Failure::new(Code::Forbidden, Refused::Scope(rule.allow).to_string()).into());
    }
    match request {
        Request::Hello { .. } => Err(Failure::new(Code::BadRequest, "hello is the first frame only").into()),
        Request::Ping {} => raw(&Nothing {}),
        Request::Snapshot {} => raw(&SnapshotJson::of(&database.snapshot(agent).await?, None)),
        Request::Take { chat } => {
            let result = database.take_chat(agent, ChatId(chat.0)).await;
            changed(door);
            raw(&ChatSeq { chat: chat.0.to_string(), seq: result?? })
        }
        Request::Close { chat, outcome } => {
            let outcome = outcome.as_deref().map(|words| short_text("outcome", words)).transpose()?;
            let result = database.close_chat(agent, ChatId(chat.0), outcome).await;
            changed(door);
            raw(&ChatSeq { chat: chat.0.to_string(), seq: result?? })
        }
        Request::Release { chat } => {
            let result = database.release_chat(agent, ChatId(chat.0)).await;
            changed(door);
            raw(&ChatSeq { chat: chat.0.to_string(), seq: result?? })
        }
        Request::Transfer { chat, agent: to, queue, note } => {
            let to = one_of(to.map(ChatPlace::Agent), queue.map(ChatPlace::Queue), "agent", "queue")?;
            let note = note.as_deref().map(|note| short_text("note", note)).transpose()?;
            let supervises = scopes.has(TokenScope::Supervisor);
            let transfer = Transfer { by: agent, supervises, chat: ChatId(chat.0), to: &to, note };
            let result = database.transfer_chat(&transfer).await;
            changed(door);
            raw(&ChatSeq { chat: chat.0.to_string(), seq: result?? })
        }
        Request::Open { chat, account, address, name } => {
            let chat = chat.map(|chat| Whom::Chat(ChatId(chat.0)));
            let name = name.as_deref().map(name_text).transpose()?;
            let there = account.as_deref().zip(address.as_deref());
            let there = there.map(|(account, address)| Whom::Address { account, address, name });
            let whom = one_of(chat, there, "chat", "account and address")?;
            if matches!(whom, Whom::Chat(_)) && (account.is_some() || address.is_some() || name.is_some()) {
                return Err(Failure::new(Code::BadRequest, "a chat has its account, address and name").into());
            }
            let result = database.open_chat(agent, &whom).await;
            changed(door);
            let OpenedChat { chat, seq, repeated } = result??;
            raw(&Opened { chat: chat.to_string(), seq, repeated })
        }
        Request::Read { seq: ..=0, .. } => Err(Failure::new(Code::BadRequest, "seq is 1 or more").into()),
        Request::Read { chat, seq } => {
            let result = database.mark_read(agent, ChatId(chat.0), seq).await;
            changed(door);
            door.wakes.whispers.notify_one();
            let ReadMark { seq, unread } = result??;
            raw(&Read { chat: chat.0.to_string(), seq, unread })
        }
        Request::Send { chat, client_key, text, file, r#as, lane, seen_seq } => {
            let lane = lane_of(scopes, lane)?;
            // What cannot be a file's id is the id of no file.
            let file = file.map(|id| FileId::parse(&id).ok_or(Refusal::NotFound)).transpose()?;
            let file = file.as_ref().map(|id| Enclosed { id, wanted: r#as.map(Into::into) });
            let (chat, client_key, text) = (ChatId(chat.0), client_key.as_str(), text.as_str());
            let new = Submission { agent, chat, client_key, text, file, lane, seen_seq };
            send(door, &new).await
        }
        Request::Waiting { chat, seq } => {
            let waiting = database
                .waiting(caller.viewer(), ChatId(chat.0), seq, door.config.lease_good_for)
                .await?
                .ok_or(Refusal::NotFound)?;
            raw(&WaitingJson::of(chat.0, &waiting))
        }
        Request::History { chat, before, limit } => {
            let limit = limit.unwrap_or(PAGE.1);
            if !(1..=PAGE.0).contains(&limit) {
                return Err(Failure::new(Code::BadRequest, "limit is from 1 to 200").into());
            }
            let page =
                database.history(caller.viewer(), ChatId(chat.0), before, limit).await?.ok_or(Refusal::NotFound)?;
            Ok(history(chat.0, &page))
        }
        Request::Replies { after, limit } => {
            let limit = limit.unwrap_or(REPLIES);
            if !(1..=REPLIES).contains(&limit) {
                return Err(Failure::new(Code::BadRequest, "limit is from 1 to 100").into());
            }
            // Beyond every number there is nothing more.
            let after = after.map_or(0, |after| i32::try_from(after.0).unwrap_or(i32::MAX));
            raw(&RepliesJson::of(database.replies_of(agent.id, after, limit).await?, limit))
        }
        Request::Watch { chat } => {
            let chat = ChatId(chat.0);
            let view = database.chat_view(caller.viewer(), chat).await?.ok_or(Refusal::NotFound)?;
            *then = Some(Then::Watch(Reading::chat(chat, view.last_seq)));
            raw(&Watched { feed: chat_feed(chat), head: view.last_seq, chat: ChatJson::of(&view) })
        }
        Request::Unwatch { chat } => {
            *then = Some(Then::Unwatch(ChatId(chat.0)));
            raw(&Nothing {})
        }
        Request::Cancel { chat, seq } => {
            let cancelled = decide(door, agent, chat.0, seq, Decision::Cancel).await?;
            raw(&Cancelled { cancelled })
        }
        Request::Resend { chat, seq, part } => {
            let resend = if scopes.has(TokenScope::Agent) { Decision::Resend } else { Decision::ResendByBot };
            decide(door, agent, chat.0, seq, resend(part)).await?;
            raw(&Nothing {})
        }
        Request::MarkSent { chat, seq, part } => {
            decide(door, agent, chat.0, seq, Decision::MarkSent(part)).await?;
            raw(&Nothing {})
        }
        Request::Drop { chat, seq, part } => {
            decide(door, agent, chat.0, seq, Decision::Drop(part)).await?;
            raw(&Nothing {})
        }
    }
}

async fn send(door: &Door, new: &Submission<'_>) -> Result<Box<RawValue>, Trouble> {
    let Submission { chat, client_key, text, file, .. } = *new;
    if !(1..=LONGEST_KEY).contains(&client_key.chars().count()) || client_key.contains('\0') {
        return Err(Failure::new(Code::BadRequest, "client_key is 1 to 64 characters, without U+0000").into());
    }
    let bad = if text.contains('\0') {
        Some("the text holds U+0000")
    } else if text.trim().is_empty() && file.is_none() {
        Some("the text is empty or blank")
    } else if text.chars().count() > LONGEST_TEXT {
        Some("the text is longer than 20,000 characters")
    } else {
        None
    };
    if let Some(why) = bad {
        return Err(Failure::new(Code::BadText, why).into());
    }
    faults::point("C3");
    let result = door.database.submit(new).await;
    if matches!(result, Ok(Ok(_))) {
        faults::point("C5");
    }
    changed(door);
    let accepted = result??;
    door.doorbells.ring_account(&accepted.account);
    faults::point("C4");
    raw(&Sent {
        chat: chat.to_string(),
        seq: accepted.seq,
        parts: accepted.parts,
        state: "queued",
        repeated: accepted.repeated,
    })
}

async fn decide(door: &Door, agent: &Agent, chat: i64, seq: i64, decision: Decision) -> Result<Vec<i16>, Trouble> {
    let result = door.database.decide(agent, ChatId(chat), seq, decision).await;
    changed(door);
    let decided = result??;
    door.doorbells.ring_account(&decided.account);
    Ok(decided.parts)
}

/// A transaction that locked a chat has ended: sessions may have something to read, here and elsewhere, and a drain may
/// have passed the chat over while it was locked. Called after failures, too: a commit that was not answered may have happened.
fn changed(door: &Door) {
    door.wakes.relay.notify_one();
    door.wakes.drain.notify_one();
    door.doorbells.ring_chatservers();
}

/// Words of an agent that no customer reads.
fn short_text<'a>(field: &str, words: &'a str) -> Result<&'a str, Failure> {
    match words.contains('\0') || words.chars().count() > LONGEST_WORDS {
        true => Err(Failure::new(Code::BadText, format!("{field} is at most 200 characters, without U+0000"))),
        false => Ok(words),
    }
}

/// What to call a customer.
fn name_text(name: &str) -> Result<&str, Failure> {
    match name.contains('\0') || name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        true => Err(Failure::new(Code::BadText, "name is 1 to 100 characters, without U+0000")),
        false => Ok(name),
    }
}

/// The one of two fields that is there.
fn one_of<T>(first: Option<T>, second: Option<T>, one: &str, other: &str) -> Result<T, Failure> {
    match (first, second) {
        (Some(only), None) | (None, Some(only)) => Ok(only),
        _ => Err(Failure::new(Code::BadRequest, format!("name either {one} or {other}"))),
    }
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Trouble> {
    Ok(to_raw_value(value).expect("plain fields are JSON"))
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Nothing {}

#[derive(JsonSchema, Serialize)]
pub(super) struct ChatSeq {
    chat: String,
    seq: i64,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Watched<'a> {
    feed: String,
    head: i64,
    chat: ChatJson<'a>,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Opened {
    chat: String,
    seq: i64,
    repeated: bool,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Read {
    chat: String,
    seq: i64,
    unread: i32,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Cancelled {
    cancelled: Vec<i16>,
}

#[derive(JsonSchema, Serialize)]
pub(super) struct Sent {
    chat: String,
    seq: i64,
    parts: i16,
    state: &'static str,
    repeated: bool,
}
