//! The routes, a file per noun, and the document that describes them.

mod accounts;
mod audit;
mod chats;
mod customers;
mod export;
mod history;

use std::sync::Arc;

use axum::Router;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Loader;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Switchboard",
        description = "Chats of messengers: lists, histories, exports, files. Ids are opaque strings, times are RFC 3339 \
                       in UTC, errors are RFC 9457 problems. Answers may gain fields.",
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

fn routes() -> OpenApiRouter<Arc<Loader>> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(chats::list))
        .routes(routes!(export::export))
        .routes(routes!(history::page))
        .routes(routes!(customers::find))
        .routes(routes!(accounts::list))
        .routes(routes!(audit::page))
}

/// The routes.
pub(crate) fn router(loader: Arc<Loader>) -> Router {
    routes().split_for_parts().0.with_state(loader)
}

/// The loader's part of the OpenAPI document, from the routes themselves.
pub fn openapi() -> Document {
    routes().split_for_parts().1
}
