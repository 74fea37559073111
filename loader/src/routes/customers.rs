//! `GET /v1/customers`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use switchboard_common::access::rules;
use switchboard_common::service::problem::Problem;
use switchboard_common::store::LookUp;
use utoipa::IntoParams;

use crate::wire::CustomerList;
use crate::{Loader, params};

/// Which customers: by phone or by the platform's id.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CustomersQuery {
    /// A number with its country, however it is written: `+7 (495) 123-45-67`.
    phone: Option<String>,
    /// The platform's id of the person.
    platform_id: Option<String>,
    /// Only of the account of this name.
    account: Option<String>,
}

/// Customers by phone or by the platform's id, with their chats.
///
/// An agent finds only customers of whom they may see a chat.
#[utoipa::path(
    get,
    path = "/v1/customers",
    operation_id = "findCustomers",
    tag = "customers",
    params(CustomersQuery),
    responses(
        (status = 200, description = "Those found, or none.", body = CustomerList),
        (status = "4XX", description = "See the codes in the documentation.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Try again.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find(
    State(loader): State<Arc<Loader>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<CustomerList>, Problem> {
    let caller = loader.gate.admit(&headers, &rules::CUSTOMERS).await?;
    let query: CustomersQuery = params::query(&uri)?;
    let account = params::account(query.account)?;
    let look_up = match (query.phone, params::name("platform_id", query.platform_id)?) {
        (Some(phone), None) => LookUp::Phone(params::phone(&phone)?),
        (None, Some(id)) => LookUp::PlatformId(id),
        _ => return Err(Problem::bad_request("give either phone or platform_id")),
    };
    let found = loader.database.customers(caller.viewer(), &look_up, account.as_deref()).await?;
    Ok(Json(CustomerList { items: found.into_iter().map(Into::into).collect() }))
}
