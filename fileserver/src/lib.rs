//! Attachments in and out, by id; hosted by each account's connector, whether it is active or standby.
//!
//! Bytes pass through in chunks: a file is never whole in memory, and no connection to the database is held while a client is
//! slow. A file is read by whoever may see it *now*; that is decided in the database, for every request. Names are data, types
//! are what the bytes show, and only a few types are ever shown inside a browser.

mod around;
mod body;
mod download;
mod entitled;
mod headers;
mod linger;
mod link;
mod multipart;
mod range;
mod receive;
mod server;
mod source;
mod sweep;
mod upload;
mod writer;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

pub use server::{Bounds, FileServer, FileServerError, FileServerOptions};
pub use writer::{ChunkWriter, Counted, WriteError};

/// Everything below `/files/{account}`.
pub fn routes(server: FileServer) -> Router {
    Router::new()
        .route("/files/{account}", post(upload::post))
        .route("/files/{account}/{file}", get(download::get).head(download::head).put(upload::put))
        .route("/files/{account}/{file}/link", post(link::make))
        // Sizes are bounded by the account's limit while the bytes come in.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(server.clone(), around::around))
        .with_state(server)
}

/// What the routes take and answer.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(upload::post, upload::put, download::get, download::head, link::make), modifiers(&Bearer))]
    struct Files;
    struct Bearer;
    impl Modify for Bearer {
        fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
            let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
            let components = document.components.get_or_insert_with(Default::default);
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        }
    }
    Files::openapi()
}

#[cfg(test)]
mod tests;
