//! `GET /v1/chats`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use switchboard_common::access::{Caller, rules};
use switchboard_common::model::{ChatId, ChatState};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::ChatFilter;
use utoipa::IntoParams;

use crate::wire::ChatPage;
use crate::{Loader, params};

/// Which chats.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChatsQuery {
    /// Begin of the period, which belongs to it: RFC 3339 with an offset.
    #[param(required = true, value_type = chrono::DateTime<chrono::Utc>)]
    from: Option<String>,
    /// End of the period, which does not belong to it; at most 366 days after `from`.
    #[param(required = true, value_type = chrono::DateTime<chrono::Utc>)]
    to: Option<String>,
    /// Only chats of the account of this name.
    account: Option<String>,
    /// Only chats that the agent of this name has now.
    agent: Option<String>,
    /// Only chats that wait, or waited last, in the queue of this name.
    queue: Option<String>,
    /// Only chats that stand so now: `waiting`, `taken` or `closed`.
    #[param(pattern = "^(waiting|taken|closed)$")]
    state: Option<String>,
    /// Chats of a page at most, from 1 to 200; 50 when nothing is said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What the filters of lists and exports have in common, as it was written.
pub(super) struct Filter {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) account: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) state: Option<String>,
}

impl Filter {
    pub(super) fn read(self, caller: &Caller) -> Result<ChatFilter, Problem> {
        let state = |word: String| {
            [ChatState::Waiting, ChatState::Taken, ChatState::Closed]
                .into_iter()
                .find(|state| state.as_str() == word)
                .ok_or_else(|| Problem::bad_request("state must be waiting, taken or closed"))
        };
        Ok(ChatFilter {
            span: params::span(self.from.as_deref(), self.to.as_deref())?,
            viewer: caller.viewer(),
            account: params::account(self.account)?,
            agent: params::name("agent", self.agent)?,
            queue: params::name("queue", self.queue)?,
            state: self.state.map(state).transpose()?,
        })
    }
}

/// Chats in which customers wrote in a period.
///
/// In the order of their ids, which never changes, so that pages neither repeat nor miss a chat that was there when the
/// first was read. A chat in which only agents wrote is not listed.
#[utoipa::path(
    get,
    path = "/v1/chats",
    operation_id = "listChats",
    tag = "chats",
    params(ChatsQuery),
    responses(
        (status = 200, description = "A page.", body = ChatPage),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(loader): State<Arc<Loader>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<ChatPage>, Problem> {
    let caller = loader.gate.admit(&headers, &rules::CHATS).await?;
    let ChatsQuery { from, to, account, agent, queue, state, limit, cursor } = params::query(&uri)?;
    let filter = Filter { from, to, account, agent, queue, state }.read(&caller)?;
    let limit = params::limit(limit.as_deref())?;
    let list = name_of(&filter);
    let after = match cursor {
        Some(cursor) => loader.cursors.read(&list, &cursor).await?,
        None => 0,
    };
    let page = loader.database.chats_page(&filter, ChatId(after), limit).await?;
    let next_cursor = match page.next {
        Some(next) => Some(loader.cursors.make(&list, next.0).await?),
        None => None,
    };
    Ok(Json(ChatPage { items: page.chats.into_iter().map(Into::into).collect(), next_cursor }))
}

/// Tells lists apart, in words that do not change from one version to the next.
fn name_of(filter: &ChatFilter) -> String {
    let ChatFilter { span, viewer, account, agent, queue, state } = filter;
    let (from, to) = (span.from.timestamp_micros(), span.to.timestamp_micros());
    let (viewer, state) = (viewer.map(|agent| agent.0), state.map(ChatState::as_str));
    format!("chats {:?}", (from, to, viewer, account, agent, queue, state))
}
