//! Files of messages: fetched with the token, shown, saved, and what is said while they cannot be.

use serde_json::{Value, json};

use crate::fake::{Fake, SOON, bob, chat, customer, entry, picture, said, system};
use crate::{gone, no_complaints, shows, text, there};

fn file(id: &str, kind: &str, name: Option<&str>, mime: Option<&str>, size: Option<u64>) -> Value {
    json!({"file": id, "kind": kind, "name": name, "mime": mime, "size_bytes": size})
}

fn with_files(seq: u64, words: &str, files: Value) -> Value {
    entry("18", seq, "message", customer("Olga P."), json!({"text": words, "files": files}))
}

fn end(seq: u64, id: &str, of: Value, state: &str, mime: Option<&str>, reason: Option<&str>) -> Value {
    let more = json!({"file": id, "of": of, "state": state, "size_bytes": 1200, "mime": mime, "sha256": null, "reason": reason});
    entry("18", seq, "file", system(), more)
}

#[tokio::test]
async fn files_are_shown_once_they_are_there_and_saved_with_the_token() {
    let mut fake = Fake::start().await;
    let last = with_files(5, "", json!([file("picture", "photo", None, Some("image/jpeg"), Some(1200))]));
    let chats = json!([chat("18", "Olga P.", Some("bob"), 5, 1, last.clone())]);
    let (_browser, page, mut socket) = fake.desk(600, chats).await;
    shows(&page, "#chats [data-chat='18'] .last", "[photo]").await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    let hostile = "<img src=x onerror=\"window.hacked = true\">.html";
    let log = json!([
        with_files(
            1,
            "two",
            json!([
                file("page", "document", Some(hostile), Some("text/html"), Some(5_300_000)),
                file("lost", "video_note", None, Some("video/mp4"), None),
            ])
        ),
        end(2, "page", json!(1), "ready", Some("text/html"), None),
        end(3, "lost", json!(1), "failed", None, Some("it is too large")),
        end(4, "older", Value::Null, "failed", None, Some("it is gone")),
        last,
    ]);
    socket.history("18", log, Value::Null).await;

    // Still with the platform, refused, and of a message that the log no longer has.
    let photo = "#log [data-seq='5'] [data-file=picture]";
    shows(&page, photo, "photo, 1.2 kB is being fetched").await;
    assert_eq!(page.eval(&format!("document.querySelector(\"{photo}\").dataset.state")).await.unwrap(), "pending");
    let lost = "#log [data-seq='1'] [data-file=lost]";
    shows(&page, lost, "could not be fetched: it is too large").await;
    gone(&page, &format!("{lost} [data-action=save]")).await;
    shows(&page, "#log [data-seq='4']", "A file could not be fetched: it is gone").await;
    gone(&page, "#log [data-seq='2']").await;
    shows(&page, "#log [data-seq='1'] [data-file=page]", hostile).await;
    shows(&page, "#log [data-seq='1'] [data-file=page] .about", "document, 1.2 kB").await;
    gone(&page, "#log img").await;

    // There: the picture is shown, from memory; what is no picture never is.
    socket.entry("agent:12", 11, end(6, "picture", json!(5), "ready", Some("image/png"), None)).await;
    there(&page, &format!("{photo}[data-picture=shown] img")).await;
    let drawn = format!(
        "(() => {{ const img = document.querySelector(\"{photo} img\"); return img.complete && img.naturalWidth === 1 && img.src.startsWith('blob:'); }})()"
    );
    page.wait_for(&drawn, SOON).await.unwrap();
    there(&page, "#chats [data-chat='18'][data-unread='0']").await;
    socket.entry("agent:12", 12, with_files(7, "see", json!([file("page", "photo", None, None, None)]))).await;
    socket.entry("agent:12", 13, end(8, "page", json!(7), "ready", Some("image/png"), None)).await;
    shows(&page, "#log [data-seq='7'] [data-file=page]", "The picture cannot be shown: it is no picture").await;

    // Saved under its name; what is not there is said.
    page.eval("HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.protocol]; }")
        .await
        .unwrap();
    page.click("#log [data-seq='1'] [data-file=page] [data-action=save]").await.unwrap();
    page.wait_for("window.saved", SOON).await.unwrap();
    assert_eq!(page.eval("window.saved").await.unwrap(), json!([hostile, "blob:"]));
    let own = entry(
        "18",
        9,
        "message",
        bob(),
        json!({"text": "", "client_key": "k", "parts": 1,
        "files": [file("absent", "document", Some("act.pdf"), Some("application/pdf"), Some(20_480))]}),
    );
    socket.entry("agent:12", 14, own).await;
    page.click("#log [data-seq='9'] [data-file=absent] [data-action=save]").await.unwrap();
    shows(&page, "#alert-text", "act.pdf: there is no such file").await;
    assert_eq!(page.eval("typeof window.hacked").await.unwrap(), "undefined");
    picture(&page, "files-600.png").await;
}

#[tokio::test]
async fn a_link_alone_leads_no_token_to_another_file_server() {
    let mut fake = Fake::start().await;
    let chats = json!([chat("18", "Olga P.", Some("bob"), 1, 0, said("18", 1, "Olga P.", "hi"))]);
    let (_browser, page, _socket) = fake.desk(600, chats).await;
    let kept = "Object.keys(sessionStorage).map((key) => JSON.parse(sessionStorage.getItem(key))).map(({token, files}) => [token, files])";
    assert_eq!(page.eval(kept).await.unwrap(), json!([["secret-token", null]]));
    page.eval("location.hash = '#files=http://evil.example'").await.unwrap();
    let mut again = fake.accept().await;
    again.welcome(false).await;
    assert_eq!(page.eval(kept).await.unwrap(), json!([["secret-token", null]]));
    page.eval("location.hash = '#token=other&files=https://files.example'").await.unwrap();
    let mut third = fake.accept().await;
    assert_eq!(third.welcome(false).await["token"], "other");
    assert_eq!(page.eval(kept).await.unwrap(), json!([["other", "https://files.example"]]));
    assert!(text(&page, "#status").await.contains("chatserver-1"));
    no_complaints(&page);
}
