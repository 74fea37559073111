//! The connection: the cursor rule, and who comes back after which close code.

use serde_json::{Value, json};

use crate::fake::{Fake, chat, picture, said};
use crate::{gone, log_seqs, no_complaints, shows, text, there};

#[tokio::test]
async fn a_gap_is_shown_and_read_again_and_close_codes_are_obeyed() {
    let mut fake = Fake::start().await;
    let chats = json!([chat("18", "Olga P.", Some("bob"), 1, 0, said("18", 1, "Olga P.", "one"))]);
    let (_browser, page, mut socket) = fake.desk(600, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([said("18", 1, "Olga P.", "one")]), Value::Null).await;
    socket.entry("agent:12", 11, said("18", 2, "Olga P.", "two")).await;
    socket.entry("agent:12", 11, said("18", 2, "Olga P.", "two again")).await; // an old one is ignored
    socket.entry("agent:12", 13, said("18", 4, "Olga P.", "four")).await; // twelve is missing
    shows(&page, "#alert-text", "Gap in the feed agent:12: after 11 came 13").await;
    there(&page, "#log [data-seq='2']").await;
    assert_eq!(log_seqs(&page).await, json!([1, 2]), "nothing is shown past a gap");
    assert!(!text(&page, "#log").await.contains("two again"));
    picture(&page, "gap-600.png").await;

    let mut socket = fake.accept().await;
    let hello = socket.welcome(true).await;
    assert_eq!(hello["cursors"]["feeds"]["agent:12"], 11);
    socket.entry("agent:12", 12, said("18", 3, "Olga P.", "three")).await;
    socket.entry("agent:12", 13, said("18", 4, "Olga P.", "four")).await;
    there(&page, "#log [data-seq='4']").await;
    assert_eq!(log_seqs(&page).await, json!([1, 2, 3, 4]));

    // draining: come back; then a resync replaces all that was shown
    socket.close(4001).await;
    let mut socket = fake.accept().await;
    socket.welcome(false).await;
    socket.resync(40, json!([chat("21", "Mehmet", Some("bob"), 1, 1, said("21", 1, "Mehmet", "Merhaba"))])).await;
    there(&page, "#chats [data-chat='21']").await;
    gone(&page, "#chats [data-chat='18']").await;
    there(&page, "#chat[hidden]").await;

    // a feed nobody subscribed is an error too
    socket.entry("queue:99", 1, said("30", 1, "Eve", "psst")).await;
    shows(&page, "#alert-text", "queue:99").await;

    // expired: a new token is asked for, and connects with the cursors
    let mut socket = fake.accept().await;
    socket.welcome(true).await;
    socket.close(4003).await;
    there(&page, "#status[data-state=stopped]").await;
    picture(&page, "token-600.png").await;
    assert!(!fake.was_called(), "after 4003 the old token is not tried again");
    page.type_into("#token", "second-token").await.unwrap();
    page.click("#token-save").await.unwrap();
    let mut socket = fake.accept().await;
    let hello = socket.welcome(true).await;
    assert_eq!((&hello["token"], &hello["cursors"]["feeds"]["queue:3"]), (&json!("second-token"), &json!(40)));

    socket.close(4504).await;
    shows(&page, "#status[data-state=stopped]", "too many sessions").await;
    page.click("#retry").await.unwrap();
    let mut socket = fake.accept().await;
    let hello = socket.asked("hello").await;
    socket.error(&hello, "unauthorized", "unknown agent", false).await;
    there(&page, "#status[data-state=stopped]").await;
    there(&page, "#token-form:not([hidden])").await;
    no_complaints(&page);
}
