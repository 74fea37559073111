//! Files from the bot: sendPhoto and sendDocument, their limits, and what happens to half an upload.

use reqwest::{
    StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use telegram_simulator::{image, text::sha256_hex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::platform::{DEADLINE, OLGA, Platform, TOKEN};

fn form(field: &'static str, bytes: Vec<u8>, caption: &str) -> Form {
    let part = Part::bytes(bytes).file_name("плохой \"act\".pdf").mime_str("application/pdf").expect("a type");
    let form = Form::new().text("chat_id", OLGA.to_string()).part(field, part);
    if caption.is_empty() { form } else { form.text("caption", caption.to_owned()) }
}

async fn upload(platform: &Platform, method: &str, form: Form) -> (StatusCode, Value) {
    let request = platform.client.post(platform.url(method)).multipart(form).timeout(DEADLINE);
    let response = request.send().await.expect("an HTTP answer");
    (response.status(), response.json().await.expect("a JSON body"))
}

async fn started() -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    platform
}

async fn from_bot(platform: &Platform) -> Vec<Value> {
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    let messages = conversation["messages"].as_array().expect("a list").clone();
    messages.into_iter().filter(|message| message["from"] == "bot").collect()
}

#[tokio::test]
async fn a_document_is_uploaded_shown_and_told() {
    let platform = started().await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| n.wrapping_mul(n) as u8).collect();
    let (status, body) = upload(&platform, "sendDocument", form("document", bytes.clone(), "see [[f-1]]")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let sent = &body["result"];
    assert_eq!((&sent["caption"], &sent["document"]["file_size"]), (&json!("see [[f-1]]"), &json!(300_000)));
    assert_eq!(sent["document"]["file_name"], "плохой \"act\".pdf");
    let call = &platform.log("call")[0];
    let file = json!({
        "field": "document", "name": "плохой \"act\".pdf", "bytes": 300_000, "sha256": sha256_hex(&bytes),
    });
    assert_eq!((&call["file"], &call["tag"]), (&file, &json!("f-1")));
    assert_eq!((&call["chat"], &call["hash"]), (&json!(OLGA.to_string()), &json!(sha256_hex(b"see [[f-1]]"))));
    assert!(call["t_first"].as_u64() <= call["t_last"].as_u64() && call["applied"] == true);
    let shown = from_bot(&platform).await;
    assert_eq!(shown[0]["file"]["sha256"], sha256_hex(&bytes));
    let file_id = shown[0]["file"]["file_id"].as_str().expect("an identifier");
    let media = format!("{}/control/media?acct=support&file_id={file_id}", platform.base);
    let media = platform.client.get(media).send().await.expect("answered");
    assert_eq!(media.headers()["content-type"], "application/octet-stream", "a browser must not open it");
    assert_eq!(media.bytes().await.expect("bytes"), bytes);
}

#[tokio::test]
async fn a_file_is_sent_again_by_its_identifier_as_the_same_kind() {
    let platform = started().await;
    let picture = image::made_up(800, 600, "sent");
    let (_, body) = upload(&platform, "sendPhoto", form("photo", picture.clone(), "")).await;
    let file_id = body["result"]["photo"].as_array().and_then(|sizes| sizes.last()).expect("sizes")["file_id"].clone();
    let again = platform.ok("sendPhoto", json!({ "chat_id": OLGA, "photo": file_id })).await;
    assert_eq!(again["photo"].as_array().and_then(|sizes| sizes.last()).expect("sizes")["width"], 800);
    assert_eq!(platform.log("call")[1]["file"]["sha256"], sha256_hex(&picture));
    let as_document = platform.refused("sendDocument", json!({ "chat_id": OLGA, "document": file_id })).await;
    assert_eq!(as_document, (400, "Bad Request: can't use file of type Photo as Document".into()));
    let wrong = platform.refused("sendPhoto", json!({ "chat_id": OLGA, "photo": "nonsense" })).await;
    assert_eq!(wrong.1, "Bad Request: wrong file identifier/HTTP URL specified");
    let url = platform.refused("sendPhoto", json!({ "chat_id": OLGA, "photo": "https://example.org/a.png" })).await;
    assert_eq!(url.1, "Bad Request: failed to get HTTP URL content");
    let none = platform.refused("sendPhoto", json!({ "chat_id": OLGA })).await;
    assert_eq!(none.1, "Bad Request: there is no photo in the request");
    let attached = form("any_name", picture, "").text("photo", "attach://any_name");
    assert_eq!(upload(&platform, "sendPhoto", attached).await.0, StatusCode::OK);
}

#[tokio::test]
async fn photos_have_limits_of_their_own() {
    let platform = started().await;
    let refused = async |bytes: Vec<u8>| {
        let (status, body) = upload(&platform, "sendPhoto", form("photo", bytes, "")).await;
        (status.as_u16(), body["description"].as_str().unwrap_or_default().to_owned())
    };
    let dimensions = (400, "Bad Request: PHOTO_INVALID_DIMENSIONS".to_owned());
    assert_eq!(refused(b"%PDF-1.7".to_vec()).await, dimensions);
    assert_eq!(refused(image::made_up(9000, 1001, "")).await, dimensions);
    assert_eq!(refused(image::made_up(2001, 100, "")).await, dimensions);
    assert_eq!(refused(image::made_up(9000, 1000, "")).await.0, 200);
    assert_eq!(refused(image::made_up(2000, 100, "")).await.0, 200);
    assert_eq!(refused(Vec::new()).await, (400, "Bad Request: file must be non-empty".into()));
    let mut large = image::made_up(800, 600, "");
    large.resize(10 << 20, 0);
    assert_eq!(refused(large.clone()).await.0, 200);
    large.push(0);
    let (status, why) = refused(large).await;
    assert_eq!((status, why.contains("is too big for a photo")), (400, true), "{why}");
    assert_eq!(from_bot(&platform).await.len(), 3);
}

#[tokio::test]
async fn captions_are_shorter_than_texts() {
    let platform = started().await;
    let (status, _) = upload(&platform, "sendDocument", form("document", vec![1], &"👋".repeat(512))).await;
    assert_eq!(status, StatusCode::OK, "1024 UTF-16 units fit");
    let (status, body) = upload(&platform, "sendDocument", form("document", vec![1], &"a".repeat(1025))).await;
    assert_eq!((status.as_u16(), &body["description"]), (400, &json!("Bad Request: message caption is too long")));
    let html = form("document", vec![1], "<b>x</b>").text("parse_mode", "HTML");
    let (_, body) = upload(&platform, "sendDocument", html).await;
    assert_eq!(body["result"]["caption_entities"], json!([{ "type": "bold", "offset": 0, "length": 1 }]));
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let platform = started().await;
    let (status, _) = upload(&platform, "sendDocument", form("document", vec![1; 50 << 20], "")).await;
    assert_eq!(status, StatusCode::OK, "50 MB are a document");
    for bytes in [(50 << 20) + 1, 53 << 20] {
        let (status, body) = upload(&platform, "sendDocument", form("document", vec![1; bytes], "")).await;
        assert_eq!((status.as_u16(), &body["description"]), (413, &json!("Request Entity Too Large")), "{bytes}");
    }
    assert_eq!(from_bot(&platform).await.len(), 1);
}

#[tokio::test]
async fn half_an_upload_is_nothing() {
    let platform = started().await;
    let address = platform.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /bot{TOKEN}/sendDocument HTTP/1.1\r\nhost: {address}\r\ncontent-length: 100000\r\n\
         content-type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\
         \r\n{OLGA}\r\n--x\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a\"\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    stream.write_all(&[7; 50_000]).await.expect("written");
    stream.shutdown().await.expect("the other half never comes");
    let mut answer = Vec::new();
    // Whatever the server still says to somebody who has gone.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    assert!(platform.log("call_open").is_empty() && platform.log("call").is_empty());
    assert!(from_bot(&platform).await.is_empty());
    let torn =
        "--x\r\nContent-Disposition: form-data; name=\"document\"; filename=\"a\"\r\n\r\nbytes without their end";
    let request = platform.client.post(platform.url(&format!("sendDocument?chat_id={OLGA}")));
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(torn);
    assert_eq!(request.send().await.expect("answered").status(), StatusCode::BAD_REQUEST);
    assert!(from_bot(&platform).await.is_empty());
}

#[tokio::test]
async fn faults_strike_uploads_as_they_do_texts() {
    for (mode, effect, word) in
        [("drop_after", 1, "drop"), ("drop_before", 0, "drop"), ("500_after", 1, "500"), ("500_before", 0, "500")]
    {
        let platform = started().await;
        platform.order("fault", json!({ "method": "sendDocument", "mode": mode, "chat": OLGA })).await;
        let request = platform.client.post(platform.url("sendDocument"));
        let answer = request.multipart(form("document", vec![1; 1000], "[[f-2]]")).send().await;
        assert_eq!(answer.is_ok(), word == "500", "{mode}");
        let call = &platform.log("call")[0];
        assert_eq!((&call["reply"], &call["applied"]), (&json!(word), &json!(effect == 1)), "{mode}");
        assert_eq!((&call["tag"], &call["file"]["bytes"]), (&json!("f-2"), &json!(1000)));
        assert_eq!(from_bot(&platform).await.len(), effect, "{mode}");
    }
}

#[tokio::test]
async fn uploads_spend_the_chats_allowance() {
    let platform = started().await;
    platform.order("limits", json!({ "enforce": true, "private": { "count": 1, "window_ms": 60_000 } })).await;
    assert_eq!(upload(&platform, "sendDocument", form("document", vec![1], "")).await.0, StatusCode::OK);
    let (status, body) = upload(&platform, "sendPhoto", form("photo", image::made_up(9, 9, ""), "")).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{body}");
}
