//! Two pages: a customer's phone, and the phone beside the agents' page.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::header,
    response::Html,
    routing::{MethodRouter, get},
};

use crate::server::Simulator;

const PHONE: &str = include_str!("pages/phone.html");
const PHONE_SCRIPT: &str = include_str!("pages/phone.js");
const MESSAGES_SCRIPT: &str = include_str!("pages/messages.js");
const KEYS_SCRIPT: &str = include_str!("pages/keys.js");
const BOTH: &str = include_str!("pages/both.html");
const STYLE: &str = include_str!("pages/style.css");

/// Routes of the pages and of what they load.
pub fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/", get(both))
        .route("/phone", get(phone))
        .route("/pages/phone.js", script(PHONE_SCRIPT))
        .route("/pages/messages.js", script(MESSAGES_SCRIPT))
        .route("/pages/keys.js", script(KEYS_SCRIPT))
        .route("/pages/style.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }))
}

fn script(text: &'static str) -> MethodRouter<Arc<Simulator>> {
    get(move || async move { ([(header::CONTENT_TYPE, "text/javascript")], text) })
}

async fn phone(State(simulator): State<Arc<Simulator>>) -> Html<String> {
    let accounts: String = simulator.bots.iter().map(|bot| format!("<option>{}</option>", escape(&bot.name))).collect();
    Html(PHONE.replace("<!-- accounts -->", &accounts))
}

/// The phone on the left and the desk on the right; without a desk the phone alone.
async fn both(State(simulator): State<Arc<Simulator>>) -> Html<String> {
    let desk = simulator
        .desk
        .as_deref()
        .map(|url| format!("<iframe id=\"desk\" title=\"The agents' desk\" src=\"{}\"></iframe>", escape(url)));
    Html(BOTH.replace("<!-- desk -->", &desk.unwrap_or_default()))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
