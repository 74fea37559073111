//! What all answers have in common.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use switchboard_common::service::metrics::REST_REQUEST;
use switchboard_common::service::problem::Problem;

use crate::config::LoaderConfig;

/// No answer but an export may take longer to begin.
const DEADLINE: Duration = Duration::from_secs(30);

/// The routes with headers, origins, deadlines and figures around them, and the descriptions beside them.
pub(crate) fn around(routes: Router, config: &LoaderConfig) -> Router {
    let origins: std::sync::Arc<[String]> = config.origins.clone().into();
    let all = [("/openapi.json", &config.descriptions.openapi), ("/asyncapi.json", &config.descriptions.asyncapi)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .fold(routes, |router, (path, text)| router.route(path, description(text.clone())))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path is only read: use GET")
        });
    config.limits.addresses.limited(all).layer(middleware::from_fn_with_state(origins, answer))
}

fn description(text: String) -> axum::routing::MethodRouter {
    get(move || async move { ([(CONTENT_TYPE, "application/json")], text) })
}

async fn answer(State(origins): State<std::sync::Arc<[String]>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none".to_owned(), |path| path.as_str().to_owned());
    let page = allowed(request.headers(), &origins);
    let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(ORIGIN);
    let mut response = match preflight {
        true => StatusCode::NO_CONTENT.into_response(),
        false => match tokio::time::timeout(DEADLINE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::unavailable("the answer took too long: send it again").into_response(),
        },
    };
    metrics::histogram!(REST_REQUEST, "route" => route, "status" => response.status().as_u16().to_string())
        .record(begun.elapsed().as_secs_f64());
    share(response.headers_mut(), page, preflight);
    response
}

/// Lets pages of a configured origin read the answer; all others may not.
fn share(headers: &mut HeaderMap, page: Option<HeaderValue>, preflight: bool) {
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let Some(page) = page else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    if preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// The page's origin, when it is one of ours.
fn allowed(headers: &HeaderMap, origins: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    origins.iter().any(|one| one.eq_ignore_ascii_case(text)).then(|| origin.clone())
}
