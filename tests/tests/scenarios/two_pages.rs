//! What a newcomer sees: a customer's phone and an agent's page, in a real browser, on the running product.

use std::time::Duration;

use serde_json::json;
use switchboard_tests::browser::{Browser, Page};
use switchboard_tests::harness::{Fleet, FleetOptions};

const SOON: Duration = Duration::from_secs(30);

async fn shows(page: &Page, selector: &str, words: &str) {
    let script = format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(words));
    page.wait_for(&script, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_served_by_hand_through_a_kill() {
    let mut fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("two-pages") }).await;
    let browser = Browser::start().await.unwrap();
    let both = browser.open(1200, 720, &format!("{}/", fleet.platform.base())).await.unwrap();
    let phone = both.frame("/phone").await.unwrap();
    let desk_address = fleet.websockets()[0].replace("ws://", "http://").replace("v1/agent", "");
    let desk = both.frame(&desk_address).await.unwrap();
    desk.wait_for("document.querySelector('#status[data-state=connected]')", SOON).await.unwrap();

    phone.type_into("#new-name", "Olga Petrova").await.unwrap();
    phone.click("#add").await.unwrap();
    shows(&phone, "#name", "Olga Petrova").await;
    phone.type_into("#text", "Good morning! Where is my order 1042?").await.unwrap();
    phone.click("#send").await.unwrap();
    desk.wait_for("document.querySelector('#waiting > [data-chat] [data-action=take]')", SOON).await.unwrap();
    desk.click("#waiting > [data-chat] [data-action=take]").await.unwrap();
    shows(&desk, "#log", "order 1042").await;
    desk.type_into("#text", "Good morning, Olga. It left our warehouse an hour ago.").await.unwrap();
    desk.click("#send").await.unwrap();
    shows(&phone, "#log", "left our warehouse").await;
    desk.wait_for("document.querySelector('.part[data-state=sent], [data-state=sent]')", SOON).await.unwrap();

    // A reply is written while nobody can send it: the page says so, and it goes out when somebody can.
    fleet.connector(0).kill();
    phone.type_into("#text", "Thank you! And when will it be here?").await.unwrap();
    phone.click("#send").await.unwrap();
    desk.type_into("#text", "Between two and four this afternoon.").await.unwrap();
    desk.click("#send").await.unwrap();
    shows(&desk, "#log", "nobody serves this account").await;
    both.screenshot(&fleet.dir.join("nobody.png")).await.unwrap();
    fleet.start_connector(0, &[]).await;
    shows(&phone, "#log", "Between two and four").await;
    shows(&desk, "#log", "when will it be here").await;

    // The chatserver's death is seen, and survived.
    fleet.kill_chatserver(0).await;
    desk.wait_for("document.querySelector('#status[data-state=connected]')", SOON).await.unwrap();
    phone.type_into("#text", "Wonderful.").await.unwrap();
    phone.click("#send").await.unwrap();
    shows(&desk, "#log", "Wonderful.").await;
    both.screenshot(&fleet.dir.join("side-by-side.png")).await.unwrap();
    for page in [&phone, &desk] {
        // A lost socket is no error of a page, and the browser tells it to the page around it.
        let errors: Vec<String> = page.complaints().into_iter().filter(|line| !line.contains("WebSocket")).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}
