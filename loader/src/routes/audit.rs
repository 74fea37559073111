//! `GET /v1/audit`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use switchboard_common::access::rules;
use switchboard_common::service::problem::Problem;
use utoipa::IntoParams;

use crate::wire::AuditPage;
use crate::{Loader, params};

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only of the account, agent or queue of this name.
    subject: Option<String>,
    /// Changes of a page at most, from 1 to 200; 50 when nothing is said.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What operators changed, the newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "readAudit",
    tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "A page.", body = AuditPage),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn page(
    State(loader): State<Arc<Loader>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<AuditPage>, Problem> {
    loader.gate.admit(&headers, &rules::AUDIT).await?;
    let query: AuditQuery = params::query(&uri)?;
    let subject = params::name("subject", query.subject)?;
    let limit = params::limit(query.limit.as_deref())?;
    let list = format!("audit {subject:?}");
    let before = match query.cursor {
        Some(cursor) => loader.cursors.read(&list, &cursor).await?,
        None => i64::MAX,
    };
    // One more than the page, which shows that there is a next one.
    let mut rows = loader.database.audit_page(subject.as_deref(), before, limit as i64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = match rows.last() {
        Some(last) if more => Some(loader.cursors.make(&list, last.id).await?),
        _ => None,
    };
    Ok(Json(AuditPage { items: rows.into_iter().map(Into::into).collect(), next_cursor }))
}
