//! Files of every kind from the bot, albums, files by URL, and what is neither text nor file.

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use reqwest::{
    StatusCode,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use telegram_simulator::{image, text::sha256_hex};

use crate::platform::{DEADLINE, OLGA, Platform};

async fn started() -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    platform
}

async fn upload(platform: &Platform, method: &str, form: Form) -> (StatusCode, Value) {
    let form = form.text("chat_id", OLGA.to_string());
    let request = platform.client.post(platform.url(method)).multipart(form).timeout(DEADLINE);
    let response = request.send().await.expect("an HTTP answer");
    (response.status(), response.json().await.expect("a JSON body"))
}

/// The identifiers of files of these kinds, in their order.
async fn sent<const N: usize>(platform: &Platform, kinds: [&str; N]) -> [Value; N] {
    let mut ids = kinds.map(|_| Value::Null);
    for (id, kind) in ids.iter_mut().zip(kinds) {
        let bytes = image::made_up(640, 480, kind);
        let method = format!("send{}{}", kind[..1].to_uppercase(), &kind[1..]);
        let form = Form::new().part(kind.to_owned(), Part::bytes(bytes).file_name("a.bin"));
        let (status, body) = upload(platform, &method, form).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let file = &body["result"][kind];
        *id = file.as_array().map_or(file, |sizes| &sizes[sizes.len() - 1])["file_id"].clone();
    }
    ids
}

#[tokio::test]
async fn every_kind_is_uploaded_and_described_by_its_sender() {
    let platform = started().await;
    for (method, field, told) in [
        ("sendVideo", "video", vec![("duration", "7"), ("width", "320"), ("height", "240"), ("caption", "film")]),
        ("sendAnimation", "animation", vec![("duration", "3"), ("caption", "gif")]),
        ("sendAudio", "audio", vec![("duration", "200"), ("performer", "Band"), ("title", "Song"), ("caption", "mp3")]),
        ("sendVoice", "voice", vec![("duration", "5"), ("caption", "said")]),
        ("sendVideoNote", "video_note", vec![("duration", "9"), ("length", "240")]),
        ("sendSticker", "sticker", vec![("emoji", "👍")]),
    ] {
        let part = Part::bytes(field.as_bytes()).file_name("a.bin").mime_str("application/x-any").expect("a type");
        let form = told.iter().fold(Form::new().part(field, part), |form, (name, value)| form.text(*name, *value));
        let (status, body) = upload(&platform, method, form).await;
        assert_eq!(status, StatusCode::OK, "{method}: {body}");
        for (name, value) in told {
            let holder = if name == "caption" { &body["result"] } else { &body["result"][field] };
            let is = holder[name].as_str().map_or(holder[name].to_string(), str::to_owned);
            assert_eq!(is, value, "{method}: {name}");
        }
        let call = platform.log("call").pop().expect("it was logged");
        assert_eq!(
            (&call["file"]["field"], &call["file"]["sha256"]),
            (&json!(field), &json!(sha256_hex(field.as_bytes())))
        );
        let again = json!({ "chat_id": OLGA, field: body["result"][field]["file_id"] });
        platform.ok(method, again).await;
    }
    let url = json!({ "chat_id": OLGA, "video_note": "https://example.org/a.mp4" });
    let refused = platform.refused("sendVideoNote", url).await;
    assert_eq!(refused.1, "Bad Request: wrong file identifier/HTTP URL specified", "round films have no URL");
}

#[tokio::test]
async fn an_album_is_several_messages_in_one_call() {
    let platform = started().await;
    let part = |name: &str| Part::bytes(image::made_up(640, 480, name)).file_name(format!("{name}.jpg"));
    let media = json!([
        { "type": "photo", "media": "attach://one", "caption": "<b>both</b> [[a-1]]", "parse_mode": "HTML" },
        { "type": "photo", "media": "attach://two" },
    ]);
    let form = Form::new().text("media", media.to_string()).part("one", part("one")).part("two", part("two"));
    let markup = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let (status, body) = upload(&platform, "sendMediaGroup", form.text("reply_markup", markup.to_string())).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let sent = body["result"].as_array().expect("a list");
    assert_eq!((sent.len(), &sent[0]["media_group_id"]), (2, &sent[1]["media_group_id"]));
    assert!(sent[0]["media_group_id"].is_string() && sent[0]["message_id"] != sent[1]["message_id"]);
    assert_eq!((&sent[0]["caption"], sent[1].get("caption")), (&json!("both [[a-1]]"), None));
    assert!(sent.iter().all(|one| one.get("reply_markup").is_none()), "albums have no keyboard");
    let call = platform.log("call").remove(0);
    assert_eq!((&call["tag"], &call["pmid"], &call["pmids"]), (&json!("a-1"), &json!("2"), &json!(["2", "3"])));
    let hashes: Vec<_> = call["files"].as_array().expect("files").iter().map(|file| file["sha256"].clone()).collect();
    assert_eq!(hashes, ["one", "two"].map(|name| sha256_hex(&image::made_up(640, 480, name))));
    assert_eq!(call["strange"], json!(["reply_markup is unknown to sendMediaGroup"]));
}

#[tokio::test]
async fn albums_have_two_to_ten_files_that_go_together() {
    let platform = started().await;
    let [photo, video, audio, document, animation] =
        sent(&platform, ["photo", "video", "audio", "document", "animation"]).await;
    let item = |kind: &str, id: &Value| json!({ "type": kind, "media": id });
    let send = async |items: Vec<Value>| {
        let (status, body) = platform.call("sendMediaGroup", json!({ "chat_id": OLGA, "media": items })).await;
        (status.as_u16(), body["description"].as_str().unwrap_or_default().to_owned())
    };
    let bad = |words: &str| (400, format!("Bad Request: {words}"));
    assert_eq!(send(vec![item("photo", &photo), item("video", &video)]).await.0, 200);
    assert_eq!(send(vec![item("audio", &audio), item("audio", &audio)]).await.0, 200);
    assert_eq!(send(vec![item("photo", &photo); 10]).await.0, 200);
    assert_eq!(send(vec![]).await, bad("there are no messages to send"));
    assert_eq!(send(vec![item("photo", &photo)]).await, bad("too few messages to send as an album"));
    assert_eq!(send(vec![item("photo", &photo); 11]).await, bad("too many messages to send as an album"));
    let mixed = send(vec![item("photo", &photo), item("document", &document)]).await;
    assert_eq!(mixed, bad("Document can't be mixed with other media types"));
    let mixed = send(vec![item("audio", &audio), item("video", &video)]).await;
    assert_eq!(mixed, bad("Audio can't be mixed with other media types"));
    let moving = send(vec![item("photo", &photo), item("animation", &animation)]).await;
    assert_eq!(moving, bad("type \"animation\" can't be used in sendMediaGroup"));
    let absent = send(vec![item("photo", &photo), item("photo", &json!("attach://nothing"))]).await;
    assert_eq!(absent, bad("wrong file identifier/HTTP URL specified"));
    let long = json!({ "type": "photo", "media": photo, "caption": "a".repeat(1025) });
    assert_eq!(send(vec![item("photo", &photo), long]).await, bad("message caption is too long"));
    assert_eq!(send(vec![item("sticker", &photo), item("photo", &photo)]).await.0, 400);
}

/// A server that has files of this size and type, at any path.
async fn server(kind: &'static str, size: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/act.pdf", listener.local_addr().expect("it listens"));
    let router = Router::new().route("/{name}", get(move || async move { ([(CONTENT_TYPE, kind)], vec![b'x'; size]) }));
    tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
    url
}

#[tokio::test]
async fn files_are_fetched_by_url_within_limits() {
    let platform = started().await;
    let send = async |method: &str, field: &str, url: &str| {
        let (status, body) = platform.call(method, json!({ "chat_id": OLGA, field: url })).await;
        (status.as_u16(), body["description"].as_str().unwrap_or_default().to_owned(), body["result"].clone())
    };
    let pdf = server("application/pdf", 1000).await;
    let (status, _, sent) = send("sendDocument", "document", &pdf).await;
    assert_eq!(
        (status, &sent["document"]["file_name"], &sent["document"]["file_size"]),
        (200, &json!("act.pdf"), &json!(1000))
    );
    let call = platform.log("call").pop().expect("it was logged");
    assert_eq!(call["file"]["sha256"], sha256_hex(&[b'x'; 1000]), "the log tells what lay there");
    let wrong = "Bad Request: wrong type of the web page content";
    assert_eq!(send("sendDocument", "document", &server("text/html", 10).await).await.1, wrong);
    assert_eq!(send("sendVideo", "video", &pdf).await.1, wrong);
    assert_eq!(send("sendSticker", "sticker", &server("video/webm", 10).await).await.1, wrong);
    let large = server("video/mp4", (20 << 20) + 1).await;
    assert_eq!(send("sendVideo", "video", &large).await.1, "Bad Request: failed to get HTTP URL content");
    assert_eq!(send("sendVideo", "video", &server("video/mp4", 20 << 20).await).await.0, 200);
    let (status, _, sent) = send("sendVoice", "voice", &server("audio/ogg", (1 << 20) + 1).await).await;
    assert!(
        status == 200 && sent["document"].is_object() && sent.get("voice").is_none(),
        "a long one is a file: {sent}"
    );
    let nobody = send("sendDocument", "document", "http://127.0.0.1:9/a.pdf").await;
    assert_eq!(nobody.1, "Bad Request: failed to get HTTP URL content");
}

#[tokio::test]
async fn cards_and_places_are_sent() {
    let platform = started().await;
    let card = json!({ "chat_id": OLGA, "phone_number": "+15551", "first_name": "Ann", "vcard": "BEGIN:VCARD" });
    assert_eq!(platform.ok("sendContact", card.clone()).await["contact"]["vcard"], "BEGIN:VCARD");
    let with = |name: &str, value: Value| {
        let mut card = card.clone();
        card[name] = value;
        card
    };
    let words = platform.refused("sendContact", with("phone_number", json!(""))).await.1;
    assert_eq!(words, "Bad Request: parameter \"phone_number\" is required");
    assert_eq!(platform.refused("sendContact", with("vcard", json!("x".repeat(2049)))).await.0, 400);
    let place = |latitude: f64| json!({ "chat_id": OLGA, "latitude": latitude, "longitude": -0.5 });
    assert_eq!(
        platform.ok("sendLocation", place(51.5)).await["location"],
        json!({ "latitude": 51.5, "longitude": -0.5 })
    );
    assert_eq!(platform.refused("sendLocation", place(90.5)).await.1, "Bad Request: wrong location specified");
    let mut live = place(1.0);
    live["live_period"] = json!(59);
    assert_eq!(platform.refused("sendLocation", live).await.0, 400);
    let venue = json!({ "chat_id": OLGA, "latitude": 1, "longitude": 2, "title": "Office", "address": "Street 1" });
    let sent = platform.ok("sendVenue", venue).await;
    assert_eq!((&sent["venue"]["title"], &sent["venue"]["location"]), (&json!("Office"), &sent["location"]));
}
