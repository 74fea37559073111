//! The sample desktop, docs/desktop: a chat with files served end to end through the public API alone, in a browser,
//! with everything behind the reverse proxy.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use switchboard_tests::browser::{Browser, Page};
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

const SOON: Duration = Duration::from_secs(30);
/// A picture that a browser can draw.
const PHOTO: &[u8] = include_bytes!("../../../docs/pictures/side-by-side.png");
const PAGE: &str = include_str!("../../../docs/desktop/index.html");
const SCRIPT: &str = include_str!("../../../docs/desktop/desktop.js");
const STYLE: &str = include_str!("../../../docs/desktop/desktop.css");

/// Serves the desktop as any web server would, on an origin of its own.
async fn web_server(port: u16) {
    let file =
        |kind: &'static str, text: &'static str| get(async move || ([(CONTENT_TYPE, kind)], text).into_response());
    let router = Router::new()
        .route("/", file("text/html", PAGE))
        .route("/desktop.js", file("text/javascript", SCRIPT))
        .route("/desktop.css", file("text/css", STYLE));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
}

async fn shows(page: &Page, selector: &str, words: &str) {
    let script = format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(words));
    page.wait_for(&script, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_of_300_lines_serves_a_chat_with_a_file() {
    let lines = PAGE.lines().count() + SCRIPT.lines().count() + STYLE.lines().count();
    assert!(lines < 300, "the sample desktop has {lines} lines");
    let fleet = Fleet::start(FleetOptions { proxy: true, loader: true, ..FleetOptions::pair("desktop") }).await;
    web_server(fleet.desk_port).await;
    let token = fleet.operate(&["token", "--agent", "anna"]);
    let url = format!("http://127.0.0.1:{}/#token={token}&api={}", fleet.desk_port, fleet.public_base());
    let browser = Browser::start().await.unwrap();
    let desk = browser.open(1000, 700, &url).await.unwrap();
    desk.wait_for("document.querySelector('#status[data-state=connected]')", SOON).await.unwrap();

    // A customer writes and sends a photo: its bytes are shown once they have been fetched.
    fleet.platform.message(customer(1), "Which of these is mine? [[q1]]").await;
    fleet.platform.photo(customer(1), PHOTO, "this one [[q2]]").await;
    desk.wait_for("document.querySelector('#waiting [data-chat]')", SOON).await.unwrap();
    desk.click("#waiting [data-chat]").await.unwrap();
    shows(&desk, "#log", "Which of these").await;
    desk.wait_for("document.querySelector('#log img')?.naturalWidth > 0", SOON).await.unwrap();

    // The agent answers with a text, and with a document.
    desk.type_into("#text", "The blue one. [[r1]]").await.unwrap();
    desk.click("#send").await.unwrap();
    desk.wait_for(
        "[...document.querySelectorAll('#log li.agent')].some((line) => line.dataset.state === 'sent')",
        SOON,
    )
    .await
    .unwrap();
    let give = "{ const chosen = new DataTransfer();
        chosen.items.add(new File(['act no. 17, signed'], 'act.txt', { type: 'text/plain' }));
        document.querySelector('#file').files = chosen.files; true }";
    desk.eval(give).await.unwrap();
    desk.type_into("#text", "and its papers [[r2]]").await.unwrap();
    desk.click("#send").await.unwrap();
    until("the document to reach the customer", 30, async || {
        let chat = fleet.platform.chat(customer(1)).await.to_string();
        (chat.contains("act.txt") && chat.contains("and its papers")).then_some(())
    })
    .await;
    desk.wait_for("document.querySelectorAll('#log li.agent[data-state=sent]').length === 2", SOON).await.unwrap();
    shows(&desk, "#today", "Customer").await;
    desk.screenshot(&fleet.dir.join("desktop.png")).await.unwrap();

    desk.click("#close").await.unwrap();
    desk.wait_for("!document.querySelector('#own [data-chat]')", SOON).await.unwrap();
    assert_eq!(desk.complaints(), Vec::<String>::new());
    fleet.no_secret_was_written();
}
