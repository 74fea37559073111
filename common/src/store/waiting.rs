//! What the parts of a chat wait for: their place in the account's order, how long, and why.
//!
//! Two round trips, and the second only when something waits. Decided parts are not looked at: every statement reads open
//! ones by their partial indexes, at most 1,000 of a lane, so a backlog of any length costs the same.

mod estimate;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join;
use tokio_postgres::Row;

use super::{Database, StoreError};
use crate::model::{AgentId, AttemptOutcome, ChatId, Lane, Limit, PartState, Scope};
use estimate::{Exchange, Line, Outlook, Part, Scene, outlooks};

/// What holds a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// Nobody serves the account.
    NoConnector,
    /// The platform refuses the account.
    AccountDown,
    /// The platform asked for a pause, for the account or the chat.
    Paused,
    /// A try certainly failed; the next one has its time.
    Retrying,
    /// An earlier part of the chat and lane is not decided yet.
    EarlierMessage,
    /// The private chat has had what the platform allows.
    ChatLimit,
    /// The group has had what the platform allows.
    GroupLimit,
    /// Others of the account go first, or the account has sent what the platform allows.
    AccountLimit,
    /// A call is under way.
    Sending,
    /// Nothing: it goes out now.
    Next,
}

impl WaitReason {
    /// The word in frames.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoConnector => "no_connector",
            Self::AccountDown => "account_down",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::EarlierMessage => "earlier_message",
            Self::ChatLimit => "chat_limit",
            Self::GroupLimit => "group_limit",
            Self::AccountLimit => "account_limit",
            Self::Sending => "sending",
            Self::Next => "next",
        }
    }
}

/// A part that is not decided yet.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingPart {
    /// Its message's seq.
    pub seq: i64,
    /// Which part of it.
    pub part: i16,
    /// Its lane.
    pub lane: Lane,
    /// Queued or sending.
    pub state: PartState,
    /// 1 + the parts of the account that go before it.
    pub position: usize,
    /// False: there are at least so many.
    pub exact: bool,
    /// Seconds until it is sent, as far as can be said; none when nobody can know.
    pub expected_s: Option<f64>,
    /// What holds it longest.
    pub reason: WaitReason,
    /// When that ends, where somebody named a time.
    pub until: Option<DateTime<Utc>>,
}

/// Open parts of a chat.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitingParts {
    /// In the order of lane, message and part.
    pub parts: Vec<WaitingPart>,
    /// Older ones were left out.
    pub more: bool,
}

/// Parts of one lane of a chat that are looked at; the newest ones, as they are what is on a screen.
const PARTS: usize = 200;

// $1 chat $2 viewer $3 seconds after which a lease that was not renewed is nobody's. That the platform
// refuses the account is what the last answered call of this tenure says; every call of such an account is repeated soon.
const FACTS: &str = "
SELECT c.account_id, c.platform_key, c.customer_id IS NULL AS in_group, a.capabilities->'limits' AS limits,
       clock_timestamp() AS now,
       coalesce(NOT l.released AND l.renewed_at > clock_timestamp() - make_interval(secs => $3), false) AS active,
       (SELECT t.outcome FROM attempt t
         WHERE t.account_id = c.account_id AND t.claimed_at > now() - interval '5 min' AND t.epoch = l.epoch
           AND t.outcome IS NOT NULL ORDER BY t.claimed_at DESC LIMIT 1) AS last_outcome,
       coalesce((SELECT extract(epoch FROM max(p.freeze_until) - clock_timestamp()) FROM (
         SELECT t.freeze_until FROM attempt t
          WHERE t.account_id = c.account_id AND t.freeze_until > now() AND t.freeze_scope = 'account'
          UNION ALL
         SELECT e.freeze_until FROM exchange e WHERE e.account_id = c.account_id AND e.freeze_until > now()) p), 0)::float8
         AS account_pause,
       coalesce((SELECT extract(epoch FROM max(t.freeze_until) - clock_timestamp()) FROM attempt t
         WHERE t.account_id = c.account_id AND t.freeze_until > now()
           AND t.freeze_scope = 'chat:' || c.platform_key), 0)::float8 AS chat_pause
  FROM chat c JOIN account a ON a.id = c.account_id LEFT JOIN account_lease l ON l.account_id = c.account_id
 WHERE c.id = $1 AND chat_visible(c, $2)";

// $1 chat $2 newest message to look at. The newest ones, one more than are shown.
const OPEN: &str = "
SELECT l.lane, p.id, p.chat_seq, p.part, p.state, p.retry_in
  FROM chat c CROSS JOIN unnest('{0,1,2}'::int2[]) l(lane)
 CROSS JOIN LATERAL (
   SELECT o.id, o.chat_seq, o.part, o.state, extract(epoch FROM o.retry_at - clock_timestamp())::float8 AS retry_in
     FROM outbox o
    WHERE o.account_id = c.account_id AND o.lane = l.lane AND o.chat_id = c.id AND o.open AND o.chat_seq <= $2
    ORDER BY o.chat_seq DESC, o.part DESC LIMIT 201) p
 WHERE c.id = $1 ORDER BY l.lane, p.chat_seq, p.part";

// $1 account. The front of each lane, and how densely ids are used by its newest parts.
const LINES: &str = "
SELECT l.lane, f.ids, f.chats, b.newest, b.density FROM unnest('{0,1,2}'::int2[]) l(lane)
 CROSS JOIN LATERAL (
   SELECT array_agg(x.id) AS ids, array_agg(x.chat_id) AS chats FROM (
     SELECT o.id, o.chat_id FROM outbox o WHERE o.account_id = $1 AND o.lane = l.lane AND o.open ORDER BY o.id LIMIT 1000) x) f
 CROSS JOIN LATERAL (
   SELECT max(x.id) AS newest, count(*) / (max(x.id) - min(x.id) + 1)::float8 AS density FROM (
     SELECT o.id FROM outbox o WHERE o.account_id = $1 AND o.lane = l.lane AND o.open ORDER BY o.id DESC LIMIT 100) x) b
 WHERE b.newest IS NOT NULL";

// $1 account $2 the chat's key $3 the account's longest window in seconds $4 the chat's. A call takes 15 s at most, or counts
// as ended; an exchange that is no call of a part counts for the account alone. Long windows are cut: whoever fills one of a
// day waits longer than this can say.
const PAST: &str = "
SELECT * FROM (
 (SELECT t.chat_key = $2 AS own, t.cost, extract(epoch FROM clock_timestamp() - t.claimed_at)::float8 AS claimed_ago,
         extract(epoch FROM clock_timestamp() - coalesce(t.ended_at, CASE WHEN t.answer_by < clock_timestamp() THEN t.answer_by END))::float8
           AS ended_ago
    FROM attempt t
   WHERE t.account_id = $1 AND t.claimed_at > now() - make_interval(secs => greatest($3::float8, $4::float8) + 15)
   ORDER BY t.claimed_at DESC LIMIT 2000)
  UNION ALL
 (SELECT false, e.cost, extract(epoch FROM clock_timestamp() - e.begun_at)::float8,
         extract(epoch FROM clock_timestamp() - coalesce(e.ended_at, CASE WHEN e.answer_by < clock_timestamp() THEN e.answer_by END))::float8
    FROM exchange e
   WHERE e.account_id = $1 AND e.begun_at > now() - make_interval(secs => $3::float8 + 30)
   ORDER BY e.begun_at DESC LIMIT 2000)) x
 WHERE coalesce(x.ended_ago, 0) < CASE WHEN x.own THEN greatest($3::float8, $4::float8) ELSE $3::float8 END";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[FACTS, OPEN, LINES, PAST];

impl Database {
    /// What the open parts of a chat wait for, or with `seq` those of one message. `None`: no such chat, or not the viewer's
    /// to see; without a viewer every chat is seen. A lease that has not been renewed for `lease_good_for` is nobody's.
    pub async fn waiting(
        &self,
        viewer: Option<AgentId>,
        chat: ChatId,
        seq: Option<i64>,
        lease_good_for: Duration,
    ) -> Result<Option<WaitingParts>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let facts = connection.prepare_cached(FACTS).await?;
            let open = connection.prepare_cached(OPEN).await?;
            let newest = seq.unwrap_or(i64::MAX);
            let good_for = lease_good_for.as_secs_f64();
            let viewer = viewer.map(|agent| agent.0);
            let facts_values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&chat.0, &viewer, &good_for];
            let open_values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&chat.0, &newest];
            let (facts, open) =
                try_join(connection.query_opt(&facts, &facts_values), connection.query(&open, &open_values)).await?;
            let (Some(facts), false) = (&facts, open.is_empty()) else {
                connection.done();
                return Ok(facts.map(|_| WaitingParts { parts: Vec::new(), more: false }));
            };
            let account: i32 = facts.get("account_id");
            let key: &str = facts.get("platform_key");
            let mut scene = scene(facts);
            let own = if scene.group { Scope::Group } else { Scope::Chat };
            let (account_span, own_span) = (longest(&scene.limits, Scope::Account), longest(&scene.limits, own));
            let lines = connection.prepare_cached(LINES).await?;
            let past = connection.prepare_cached(PAST).await?;
            let lines_values: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&account];
            let past_values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&account, &key, &account_span, &own_span];
            let (lines, past) =
                try_join(connection.query(&lines, &lines_values), connection.query(&past, &past_values)).await?;
            connection.done();
            for row in lines {
                let (ids, chats): (Vec<i64>, Vec<i64>) = (row.get("ids"), row.get("chats"));
                let line = Line::new(&ids, &chats, row.get("newest"), row.get("density"));
                scene.lines[lane(&row)? as usize] = line;
            }
            scene.past = past.iter().map(exchange).collect();
            scene.parts = open.iter().map(open_part).collect::<Result<_, _>>()?;
            let now: DateTime<Utc> = facts.get("now");
            let said = open.iter().zip(outlooks(&scene));
            let parts = said.map(|(row, outlook)| waiting_part(row, outlook, now)).collect::<Result<_, _>>()?;
            Ok(Some(shown(parts, seq)))
        })
        .await
    }
}

/// Without the oldest of a lane that was read only to know that there are more, and with `seq` without other messages.
fn shown(mut parts: Vec<WaitingPart>, seq: Option<i64>) -> WaitingParts {
    let crowded: Vec<Lane> =
        Lane::ALL.into_iter().filter(|lane| parts.iter().filter(|part| part.lane == *lane).count() > PARTS).collect();
    let mut last = None;
    parts.retain(|part| {
        let is_oldest = last.replace(part.lane) != Some(part.lane);
        !(is_oldest && crowded.contains(&part.lane)) && seq.is_none_or(|seq| seq == part.seq)
    });
    WaitingParts { parts, more: seq.is_none() && !crowded.is_empty() }
}

fn scene(facts: &Row) -> Scene {
    let limits: Option<serde_json::Value> = facts.get("limits");
    let limits = limits.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
    Scene {
        active: facts.get("active"),
        down: facts.get::<_, Option<i16>>("last_outcome") == Some(AttemptOutcome::AccountDown as i16),
        // One that a later version wrote and this one cannot read is not foreseen.
        limits: limits.filter_map(|limit| Limit::from_json(limit).ok()).collect(),
        group: facts.get("in_group"),
        pauses: (facts.get::<_, f64>("account_pause").max(0.0), facts.get::<_, f64>("chat_pause").max(0.0)),
        ..Scene::default()
    }
}

fn longest(limits: &[Limit], scope: Scope) -> f64 {
    let spans = limits.iter().filter(|limit| limit.scope == scope).map(|limit| limit.window.as_secs_f64());
    spans.fold(0.0, f64::max)
}

fn exchange(row: &Row) -> Exchange {
    Exchange {
        own: row.get("own"),
        cost: usize::try_from(row.get::<_, i32>("cost")).unwrap_or(1),
        claimed_ago: row.get("claimed_ago"),
        ended_ago: row.get("ended_ago"),
    }
}

fn lane(row: &Row) -> Result<Lane, StoreError> {
    let lane: i16 = row.get("lane");
    Lane::from_column(lane).ok_or_else(|| StoreError::Unexpected(format!("lane {lane} of a later version")))
}

fn open_part(row: &Row) -> Result<Part, StoreError> {
    Ok(Part {
        id: row.get("id"),
        lane: lane(row)?,
        sending: row.get::<_, i16>("state") == PartState::Sending as i16,
        retry_in: row.get::<_, Option<f64>>("retry_in").unwrap_or_default(),
    })
}

fn waiting_part(row: &Row, outlook: Outlook, now: DateTime<Utc>) -> Result<WaitingPart, StoreError> {
    let state: i16 = row.get("state");
    let until = outlook.until.and_then(|seconds| TimeDelta::try_milliseconds((seconds * 1000.0) as i64));
    Ok(WaitingPart {
        seq: row.get("chat_seq"),
        part: row.get("part"),
        lane: lane(row)?,
        state: PartState::from_column(state)
            .ok_or_else(|| StoreError::Unexpected(format!("part state {state} of a later version")))?,
        position: outlook.position,
        exact: outlook.exact,
        expected_s: outlook.expected,
        reason: outlook.reason,
        until: until.and_then(|span| now.checked_add_signed(span)),
    })
}
