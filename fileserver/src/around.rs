//! What surrounds every answer: it is counted, and pages of allowed origins may read it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::linger;
use crate::server::FileServer;

pub(crate) async fn around(State(server): State<FileServer>, request: Request, next: Next) -> Response {
    let origin = allowed(&server, request.headers());
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, preflight) {
        (Some(_), true) => permitted(),
        _ => next.run(linger::behind(request)).await,
    };
    server.count_request(outcome(response.status()));
    let headers = response.headers_mut();
    if !server.origins().is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Retry-After";
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
    response
}

/// The request's origin, when its pages may. A token is never sent by a browser on its own, so no credentials are allowed.
fn allowed(server: &FileServer, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    server.origins().iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// The answer to a browser that asks first.
fn permitted() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-None-Match, If-Range, Range"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 | 201 | 204 => "ok",
        206 => "part",
        304 => "not_modified",
        401 | 403 => "denied",
        404 => "not_found",
        408 => "silent",
        409 => "conflict",
        410 => "failed",
        413 => "too_large",
        416 => "bad_range",
        503 => "unavailable",
        500.. => "error",
        _ => "bad_request",
    }
}
