//! `GET /v1/chats/export`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use switchboard_common::access::rules;
use switchboard_common::service::problem::Problem;
use utoipa::IntoParams;

use super::chats::Filter;
use crate::export::{self, Format};
use crate::{Loader, params};

/// When to come back once an export has ended.
const COME_BACK_S: u32 = 10;

/// Which chats, and how they are written.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// Begin of the period, which belongs to it: RFC 3339 with an offset.
    #[param(required = true, value_type = chrono::DateTime<chrono::Utc>)]
    from: Option<String>,
    /// End of the period, which does not belong to it; at most 366 days after `from`.
    #[param(required = true, value_type = chrono::DateTime<chrono::Utc>)]
    to: Option<String>,
    /// `csv` or `ndjson`.
    #[param(required = true, value_type = String, pattern = "^(csv|ndjson)$")]
    format: Option<String>,
    /// Only chats of the account of this name.
    account: Option<String>,
    /// Only chats that the agent of this name has now.
    agent: Option<String>,
    /// Only chats that wait, or waited last, in the queue of this name.
    queue: Option<String>,
    /// Only chats that stand so now: `waiting`, `taken` or `closed`.
    #[param(pattern = "^(waiting|taken|closed)$")]
    state: Option<String>,
}

/// Everything said in a period in the chats in which customers wrote then.
///
/// One row per entry, by chat and seq, streamed. An answer that ends without its last chunk is not whole: export it again.
#[utoipa::path(
    get,
    path = "/v1/chats/export",
    operation_id = "exportChats",
    tag = "chats",
    params(ExportQuery),
    responses(
        (status = 200, description = "Rows.", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 429, description = "As many exports as are allowed are under way.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(loader): State<Arc<Loader>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let caller = loader.gate.admit(&headers, &rules::CHATS_EXPORT).await?;
    let ExportQuery { from, to, format, account, agent, queue, state } = params::query(&uri)?;
    let format = match format.as_deref() {
        Some("csv") => Format::Csv,
        Some("ndjson") => Format::NdJson,
        _ => return Err(Problem::bad_request("format must be csv or ndjson")),
    };
    let filter = Filter { from, to, account, agent, queue, state }.read(&caller)?;
    let permit = loader.exports.clone().try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_exports", "other exports are under way: try again later")
            .retry_after(COME_BACK_S)
    })?;
    let (kind, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "chats.csv"),
        Format::NdJson => ("application/x-ndjson", "chats.ndjson"),
    };
    let headers = [(CONTENT_TYPE, kind.to_owned()), (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))];
    Ok((headers, export::stream(&loader, filter, format, permit)).into_response())
}
