//! `GET /v1/chats/{chat}/history`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use switchboard_common::access::rules;
use switchboard_common::model::ChatId;
use switchboard_common::service::problem::Problem;
use switchboard_common::store::Turn;
use utoipa::IntoParams;

use crate::wire::Log;
use crate::{Loader, params};

/// Which part of the log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// The newest entries below this seq. Without it and without `after`: the newest of all.
    #[param(value_type = Option<u64>)]
    before: Option<String>,
    /// The oldest entries above this seq; 0: from the beginning. Not together with `before`.
    #[param(value_type = Option<u64>)]
    after: Option<String>,
    /// Entries of a page at most, from 1 to 200; 50 when nothing is said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// A page of a chat's log.
///
/// Entries look as they do at the websocket; agents' messages also say how their parts stand now.
#[utoipa::path(
    get,
    path = "/v1/chats/{chat}/history",
    operation_id = "readHistory",
    tag = "chats",
    params(("chat" = String, Path, description = "The chat's id."), HistoryQuery),
    responses(
        (status = 200, description = "A page.", body = Log),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn page(
    State(loader): State<Arc<Loader>>,
    chat: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Log>, Problem> {
    let caller = loader.gate.admit(&headers, &rules::CHAT_HISTORY).await?;
    let query: HistoryQuery = params::query(&uri)?;
    let limit = params::limit(query.limit.as_deref())?;
    let turn = match (&query.before, &query.after) {
        (Some(_), Some(_)) => return Err(Problem::bad_request("give before or after, not both")),
        (Some(before), None) => Turn::Before(params::seq("before", before)?),
        (None, Some(after)) => Turn::After(params::seq("after", after)?),
        (None, None) => Turn::Before(i64::MAX),
    };
    let absent = || Problem::not_found("there is no such chat, or it is not yours to see");
    let chat: i64 = chat.ok().and_then(|Path(chat)| chat.parse().ok()).ok_or_else(absent)?;
    let page = loader.database.log_page(caller.viewer(), ChatId(chat), turn, limit as i64).await?;
    Ok(Json(Log::of(chat, page.ok_or_else(absent)?)))
}
