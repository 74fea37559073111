//! The first frame: who is it, and from where do they read on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use switchboard_common::access::{Caller, TokenScopes, rules};
use switchboard_common::faults::point;
use switchboard_common::model::ChatId;
use switchboard_common::store::{Agent, StoreError};
use uuid::Uuid;

use super::Door;
use super::frames::json;
use super::hub::{Joining, Reading, Source, chat_feed};
use super::outlet::{Inlet, outlet};
use super::protocol::{CloseCode, Code, Cursors, Failure, RequestId, answer};
use super::session::WATCHED;
use super::snapshot::SnapshotJson;

/// A session that may begin.
pub(super) struct Welcome {
    pub(super) session: Uuid,
    pub(super) agent: Agent,
    /// Whom the token speaks for, until when, and with which scopes.
    pub(super) caller: Caller,
    pub(super) inlet: Inlet,
    /// Chats whose logs it reads on.
    pub(super) watched: BTreeSet<ChatId>,
    /// What to write before anything from the inlet.
    pub(super) frames: Vec<String>,
}

/// A session that may not.
pub(super) struct Farewell {
    pub(super) answer: String,
    pub(super) code: CloseCode,
}

/// Answers a `hello`. Any failure closes the socket: nobody can do anything in it.
pub(super) async fn greet(
    door: &Door,
    id: &RequestId,
    token: Option<&SecretString>,
    cursors: Option<&Cursors>,
) -> Result<Welcome, Farewell> {
    let farewell = |code, failure: Failure| Farewell { answer: answer::<()>(Some(id), Err(failure)), code };
    let unauthorized = |why: &str| farewell(CloseCode::Unauthorized, Failure::new(Code::Unauthorized, why));
    let unavailable = |error: StoreError| {
        tracing::warn!(%error, "a hello failed");
        farewell(CloseCode::Internal, Failure::new(Code::Unavailable, "the database did not answer: come back"))
    };
    let token = token.ok_or_else(|| unauthorized("send a token"))?;
    let identity = door.config.verifier.verify(token.expose_secret()).map_err(|denied| {
        tracing::info!(why = %denied, "a token was refused");
        unauthorized("the token was not accepted")
    })?;
    let agent = door.database.agent(&identity.subject).await.map_err(unavailable)?;
    let caller = Caller::admit(identity, agent.as_ref().map(Agent::standing), &rules::HELLO);
    let caller = caller.map_err(|refused| unauthorized(&refused.to_string()))?;
    let agent = agent.ok_or_else(|| unauthorized("there is no agent of this name"))?;
    point("C1");

    let session = Uuid::now_v7();
    let recovered = cursors.filter(|cursors| usable(cursors, &agent));
    let watched = match recovered {
        Some(cursors) => watched(door, cursors, caller.identity.scopes).await.map_err(unavailable)?,
        None => None,
    };
    let (agent, readings, resync) = match recovered.zip(watched.as_deref()) {
        Some((cursors, watched)) => {
            let mut readings = readings(&agent, |name, _| cursors.feeds.get(name).copied());
            readings.extend(watched.iter().map(|(chat, cursor, _)| Reading::chat(*chat, *cursor)));
            (agent, readings, None)
        }
        None => {
            let snapshot = door.database.snapshot(&agent).await.map_err(unavailable)?;
            let resync = json(&SnapshotJson::of(&snapshot, Some("resync")));
            let readings = readings(&snapshot.agent, |_, head| Some(head));
            (snapshot.agent, readings, Some(resync))
        }
    };
    door.database.open_session(session, agent.id, &door.config.name).await.map_err(unavailable)?;
    let (out, inlet) = outlet(door.config.limits.queue_bytes, door.wakes.clone());
    let (key, scopes) = (caller.identity.key, agent.scopes);
    let joining = Joining { session, agent: agent.id, scopes, key, feeds: readings, outlet: out };
    match door.hub.join(joining).await {
        Some(true) => {}
        Some(false) => {
            forget(door, session).await;
            let why = Failure::new(Code::Unauthorized, "too many sessions of this agent");
            return Err(farewell(CloseCode::TooManySessions, why));
        }
        None => {
            forget(door, session).await;
            return Err(farewell(CloseCode::Draining, Failure::new(Code::Unavailable, "this chatserver stops")));
        }
    }
    let mut hello = Hello::of(door, session, &agent, caller.identity.scopes, resync.is_none());
    let watched = watched.unwrap_or_default();
    for (chat, _, head) in &watched {
        hello.feeds.insert(chat_feed(*chat), FeedJson { head: *head, recovered: true });
    }
    let frames = [answer(Some(id), Ok(hello))].into_iter().chain(resync).collect();
    let watched = watched.into_iter().map(|(chat, _, _)| chat).collect();
    Ok(Welcome { session, agent, caller, inlet, watched, frames })
}

/// Takes back what [`greet`] did.
pub(super) async fn leave(door: &Door, session: Uuid) {
    door.hub.leave(session).await;
    forget(door, session).await;
}

/// Forgets the session's row. When that fails, housekeeping does it later.
async fn forget(door: &Door, session: Uuid) {
    if let Err(error) = door.database.close_session(session).await {
        tracing::debug!(%error, "a session's row stays until it is old");
    }
}

/// Cursors can be read on from when they are of exactly this agent's feeds, in this generation of the database, not older
/// than what is kept and not ahead of what there is. Those of watched chats are looked at by [`watched`].
fn usable(cursors: &Cursors, agent: &Agent) -> bool {
    cursors.feed_epoch == agent.feed_epoch
        && cursors.feeds.keys().filter(|name| !name.starts_with(CHAT)).count() == agent.feeds.len()
        && agent
            .feeds
            .iter()
            .all(|feed| cursors.feeds.get(&feed.name).is_some_and(|cursor| (feed.pruned..=feed.head).contains(cursor)))
}

/// How a chat's own log is called among feeds.
const CHAT: &str = "chat:";

/// The chats that a supervisor watched, each with its cursor and head. `None`: they cannot be read on from either, or are no
/// matter of this session's.
async fn watched(
    door: &Door,
    cursors: &Cursors,
    scopes: TokenScopes,
) -> Result<Option<Vec<(ChatId, i64, i64)>>, StoreError> {
    let named = |(name, cursor): (&String, &i64)| {
        let chat = ChatId(name.strip_prefix(CHAT)?.parse().ok()?);
        (chat_feed(chat) == *name).then_some((chat, *cursor))
    };
    let chats = cursors.feeds.iter().filter(|(name, _)| name.starts_with(CHAT));
    let chats: Option<Vec<(ChatId, i64)>> = chats.map(named).collect();
    let allowed = |chats: &Vec<_>| chats.is_empty() || scopes.has_any(rules::WATCH.allow) && chats.len() <= WATCHED;
    let Some(chats) = chats.filter(allowed) else { return Ok(None) };
    if chats.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let ids: Vec<ChatId> = chats.iter().map(|(chat, _)| *chat).collect();
    let heads = door.database.log_heads(&ids).await?;
    let with_head = |(chat, cursor): (ChatId, i64)| {
        let head = *heads.get(&chat)?;
        (0..=head).contains(&cursor).then_some((chat, cursor, head))
    };
    Ok(chats.into_iter().map(with_head).collect())
}

fn readings(agent: &Agent, cursor: impl Fn(&str, i64) -> Option<i64>) -> Vec<Reading> {
    let reading = |feed: &switchboard_common::store::AgentFeed| Reading {
        source: Source::Feed(feed.id),
        name: Arc::from(feed.name.as_str()),
        cursor: cursor(&feed.name, feed.head).unwrap_or(feed.head),
    };
    agent.feeds.iter().map(reading).collect()
}

/// The result of `hello`.
#[derive(JsonSchema, Serialize)]
pub(super) struct Hello<'a> {
    session: String,
    agent: AgentJson<'a>,
    scopes: Vec<&'static str>,
    server: &'a str,
    version: &'static str,
    feed_epoch: i64,
    feeds: BTreeMap<String, FeedJson>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Agent")]
struct AgentJson<'a> {
    id: String,
    name: &'a str,
    display_name: &'a str,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Feed")]
struct FeedJson {
    head: i64,
    recovered: bool,
}

impl<'a> Hello<'a> {
    fn of(door: &'a Door, session: Uuid, agent: &'a Agent, scopes: TokenScopes, recovered: bool) -> Self {
        let feed = |feed: &'a switchboard_common::store::AgentFeed| {
            (feed.name.clone(), FeedJson { head: feed.head, recovered })
        };
        Self {
            session: session.to_string(),
            agent: AgentJson { id: agent.id.to_string(), name: &agent.name, display_name: &agent.display_name },
            scopes: scopes.words().collect(),
            server: &door.config.name,
            version: env!("CARGO_PKG_VERSION"),
            feed_epoch: agent.feed_epoch,
            feeds: agent.feeds.iter().map(feed).collect(),
        }
    }
}
