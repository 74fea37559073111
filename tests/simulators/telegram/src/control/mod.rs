//! The control API: JSON for tests and for the phone page. README.md has the table.

mod deeds;
mod groups;
mod hooks;
mod kinds;
mod media;
mod reads;
mod settings;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Query},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;

use crate::{bot::Bot, server::Simulator};

/// Largest control request in bytes: a test may hand over a hundred thousand messages at once.
const MAX_BODY: usize = 256 << 20;

/// A control request that cannot be done, with the reason.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    /// 400.
    pub fn because(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.into() }
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self::because(why)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.why }))).into_response()
    }
}

/// A JSON body whose errors are told in the control API's shape.
#[derive(Debug, FromRequest)]
#[from_request(via(Json), rejection(Refused))]
pub struct Body<T>(pub T);

impl From<axum::extract::rejection::JsonRejection> for Refused {
    fn from(rejection: axum::extract::rejection::JsonRejection) -> Self {
        Self { status: rejection.status(), why: rejection.body_text() }
    }
}

/// A query that names an account.
#[derive(Debug, Deserialize)]
pub struct OfAccount {
    acct: String,
}

/// What every handler answers.
type Answer<T = serde_json::Value> = Result<Json<T>, Refused>;

fn bot<'a>(simulator: &'a Arc<Simulator>, acct: &str) -> Result<&'a Arc<Bot>, Refused> {
    simulator
        .bot(acct)
        .ok_or_else(|| Refused { status: StatusCode::NOT_FOUND, why: format!("there is no account {acct}") })
}

/// All routes of the control API, and `/livez`.
pub fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/control/message", post(deeds::message))
        .route("/control/messages", post(deeds::messages))
        .route("/control/group", post(groups::group))
        .route("/control/customer", post(deeds::customer))
        .route("/control/edit", post(deeds::edit))
        .route("/control/start", post(deeds::start))
        .route("/control/block", post(deeds::block))
        .route("/control/unblock", post(deeds::unblock))
        .route("/control/deactivate", post(deeds::deactivate))
        .route("/control/kick", post(groups::kick))
        .route("/control/migrate", post(groups::migrate))
        .route("/control/invite", post(groups::invite))
        .route("/control/promote", post(groups::promote))
        .route("/control/service", post(groups::service))
        .route("/control/privacy", post(groups::privacy))
        .route("/control/location", post(kinds::location))
        .route("/control/move", post(kinds::moved))
        .route("/control/poll", post(kinds::poll))
        .route("/control/key", post(kinds::key))
        .route("/control/reaction", post(kinds::reaction))
        .route("/control/take_back", post(kinds::take_back))
        .route("/control/face", post(kinds::face))
        .route("/control/callback", post(deeds::callback))
        .route("/control/contact", post(deeds::contact))
        .route("/control/photo", post(media::photo))
        .route("/control/file", post(media::file))
        .route("/control/links", post(media::links))
        .route("/control/media", get(media::media))
        .route("/control/update", post(deeds::update))
        .route("/control/webhook", post(hooks::behave))
        .route("/control/set_webhook", post(hooks::set))
        .route("/control/replay", post(hooks::replay))
        .route("/control/forge", post(hooks::forge))
        .route("/control/token", post(hooks::token))
        .route("/control/fault", post(settings::add_fault))
        .route("/control/faults", get(settings::faults).delete(settings::clear_faults))
        .route("/control/clock", post(settings::clock))
        .route("/control/limits", post(settings::limits))
        .route("/control/reset_update_ids", post(settings::reset_update_ids))
        .route("/control/state", get(reads::state))
        .route("/control/chat", get(reads::chat))
        .route("/control/chats", get(reads::chats))
        .route("/control/events", get(reads::events))
        .route("/livez", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

/// A query in the control API's shape.
type OfQuery<T> = Query<T>;
