//! `GET /v1/accounts`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use switchboard_common::access::rules;
use switchboard_common::service::problem::Problem;

use crate::wire::AccountList;
use crate::{Loader, params};

/// Takes no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// All accounts, with what their platforms can do.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    operation_id = "listAccounts",
    tag = "accounts",
    responses(
        (status = 200, description = "All of them.", body = AccountList),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(loader): State<Arc<Loader>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<AccountList>, Problem> {
    loader.gate.admit(&headers, &rules::ACCOUNTS).await?;
    let Nothing {} = params::query(&uri)?;
    let accounts = loader.database.listed_accounts().await?;
    Ok(Json(AccountList { items: accounts.into_iter().map(Into::into).collect() }))
}
