//! A file for the next message: uploaded first, named once it is whole.

use serde_json::{Value, json};

use crate::fake::{Fake, chat, said};
use crate::{gone, shows, there};

/// What somebody does who copied a file and pastes it into the words.
fn paste(name: &str, bytes: usize) -> String {
    format!(
        "{{ const data = new DataTransfer();
            data.items.add(new File([new Uint8Array({bytes})], {}, {{ type: 'image/png' }}));
            const paste = new ClipboardEvent('paste', {{ clipboardData: data, bubbles: true, cancelable: true }});
            document.querySelector('#text').dispatchEvent(paste); }}",
        json!(name)
    )
}

#[tokio::test]
async fn a_file_is_uploaded_and_goes_with_the_next_words() {
    let mut fake = Fake::start().await;
    let last = said("18", 2, "Olga P.", "Where is my bill?");
    let chats = json!([chat("18", "Olga P.", Some("bob"), 2, 0, last.clone())]);
    let (_browser, page, mut socket) = fake.desk(900, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([last]), Value::Null).await;
    there(&page, "#log [data-seq='2']").await;

    // Too large: said in words, and nothing can be sent with it.
    page.eval(&paste("film.png", 2000)).await.unwrap();
    shows(&page, "#draft [data-state=failed]", "film.png").await;
    shows(&page, "#draft [data-state=failed]", "at most 1,000 bytes").await;
    there(&page, "#send[disabled]").await;
    page.click("#draft [data-action=attach-remove]").await.unwrap();
    gone(&page, "#draft > *").await;

    // Another one, whose name is odd: it takes the place of the one before, and words go with it.
    page.eval(&paste("first.png", 3)).await.unwrap();
    page.eval(&paste("<b>bill</b> №1 & co.png", 5)).await.unwrap();
    shows(&page, "#draft [data-state=ready]", "<b>bill</b> №1 & co.png").await;
    page.type_into("#text", "Here it is.").await.unwrap();
    page.press_enter().await.unwrap();
    let send = socket.asked("send").await;
    assert_eq!((&send["text"], &send["file"]), (&json!("Here it is."), &json!("<b>bill</b> №1 & co.png/5")));
    gone(&page, "#draft > *").await;
    shows(&page, "#log [data-key][data-state=asking]", "[<b>bill</b> №1 & co.png]").await;

    // Refused: both come back to be changed, and a file goes without words, too.
    socket.error(&send, "too_large", "the platform takes files of at most 4 bytes", false).await;
    shows(&page, "#log [data-key][data-state=refused]", "at most 4 bytes").await;
    page.click("#log [data-key] [data-action=edit]").await.unwrap();
    there(&page, "#draft [data-state=ready]").await;
    page.eval("document.querySelector('#text').value = ''").await.unwrap();
    page.click("#send").await.unwrap();
    let bare = socket.asked("send").await;
    assert_eq!((&bare["text"], &bare["file"]), (&json!(""), &send["file"]));
    assert_ne!(bare["client_key"], send["client_key"]);

    // Without either there is nothing to send.
    socket.ok(&bare, json!({"chat": "18", "seq": 3, "parts": 1, "state": "queued", "repeated": false})).await;
    page.click("#send").await.unwrap();
    socket.is_asked_nothing_for(std::time::Duration::from_millis(200)).await;
    let complaints = page.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains("413 (Payload Too Large)"), "{complaints:?}");
}
