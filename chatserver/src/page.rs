//! The small agent page, compiled in. It loads nothing from elsewhere, and only pages of its own host and of the
//! configured origins may show it in a frame. Files are fetched from its own host, or from one of those origins.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::get;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      base-uri 'none'; form-action 'none'";

/// The machine-readable descriptions of the interfaces.
pub(crate) fn descriptions(openapi: &str) -> Router {
    let asyncapi = crate::asyncapi().to_string();
    [("/asyncapi.json", asyncapi), ("/openapi.json", openapi.to_owned())]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .fold(Router::new(), |router, (path, text)| {
            router.route(path, get(move || async move { ([(CONTENT_TYPE, "application/json")], text) }))
        })
}

/// The page's files.
pub(crate) fn routes(origins: &[String]) -> Router {
    let ours = ["'self'"].into_iter().chain(origins.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    // Files may lie elsewhere, and a page that sends its token there must not be led anywhere else.
    let with =
        |origins: &str| HeaderValue::try_from(format!("{POLICY}; connect-src {origins}; frame-ancestors {origins}"));
    let policy = with(&ours).or_else(|_| with("'self'")).unwrap_or(HeaderValue::from_static(POLICY));
    let script = "text/javascript; charset=utf-8";
    [
        ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
        ("/page.js", script, include_str!("page/page.js")),
        ("/desk.js", script, include_str!("page/desk.js")),
        ("/attach.js", script, include_str!("page/attach.js")),
        ("/files.js", script, include_str!("page/files.js")),
        ("/session.js", script, include_str!("page/session.js")),
        ("/waiting.js", script, include_str!("page/waiting.js")),
        ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
        ("/page.svg", "image/svg+xml", include_str!("page/page.svg")),
    ]
    .into_iter()
    .fold(Router::new(), |router, (path, kind, text)| router.route(path, file(kind, text, policy.clone())))
}

fn file(kind: &'static str, text: &'static str, policy: HeaderValue) -> axum::routing::MethodRouter {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    get(move || async move { (headers, text) })
}
