//! Files from customers: their shapes, getFile, links and downloads.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use telegram_simulator::{image, text::sha256_hex};

use crate::platform::{DEADLINE, Platform, TOKEN};

/// Olga sends a document; its identifier.
async fn document(platform: &Platform, bytes: &[u8]) -> String {
    platform.file(&[("kind", "document"), ("name", "act 1.pdf"), ("mime", "application/pdf")], bytes).await;
    let updates = platform.ok("getUpdates", json!({ "offset": -1 })).await;
    updates[0]["message"]["document"]["file_id"].as_str().expect("an identifier").to_owned()
}

/// Its link.
async fn link(platform: &Platform, file_id: &str) -> String {
    let told = platform.ok("getFile", json!({ "file_id": file_id })).await;
    format!("{}/file/bot{TOKEN}/{}", platform.base, told["file_path"].as_str().expect("a path"))
}

async fn get(platform: &Platform, url: &str) -> (StatusCode, reqwest::Result<Vec<u8>>) {
    let response = platform.client.get(url).timeout(DEADLINE).send().await.expect("an answer begins");
    (response.status(), response.bytes().await.map(|bytes| bytes.to_vec()))
}

#[tokio::test]
async fn a_file_is_told_found_and_downloaded() {
    let platform = Platform::start().await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
    let caption =
        [("caption", "the act [[c-1]]"), ("kind", "document"), ("name", "act.pdf"), ("mime", "application/pdf")];
    let deed = platform.file(&caption, &bytes).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    let message = &updates[0]["message"];
    assert_eq!((&message["caption"], &message["text"]), (&json!("the act [[c-1]]"), &Value::Null));
    let document = &message["document"];
    assert_eq!(document["file_name"], "act.pdf");
    assert_eq!((&document["mime_type"], &document["file_size"]), (&json!("application/pdf"), &json!(200_000)));
    let told = platform.ok("getFile", json!({ "file_id": document["file_id"] })).await;
    assert_eq!((&told["file_unique_id"], &told["file_size"]), (&document["file_unique_id"], &json!(200_000)));
    assert!(told.get("file_name").is_none(), "getFile forgets the name");
    let path = told["file_path"].as_str().expect("a path");
    let (status, body) = get(&platform, &format!("{}/file/bot{TOKEN}/{path}", platform.base)).await;
    assert_eq!((status, body.expect("all of it")), (StatusCode::OK, bytes.clone()));
    for token in ["42:WRONG", "43:OTHER", "x"] {
        let (status, _) = get(&platform, &format!("{}/file/bot{token}/{path}", platform.base)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{token}");
    }
    let typed = &platform.log("typed")[0];
    let want = json!({ "field": "document", "name": "act.pdf", "bytes": 200_000, "sha256": sha256_hex(&bytes) });
    assert_eq!((&typed["file"], &typed["tag"], &typed["key"]), (&want, &json!("c-1"), &deed["key"]));
    assert_eq!(typed["hash"], sha256_hex(b"the act [[c-1]]"), "the caption's hash, as it is of a text");
    let downloads = platform.log("download");
    assert_eq!((&downloads[0]["reply"], &downloads[0]["file"]), (&json!("200"), &want));
    assert_eq!(downloads.len(), 2, "a foreign bot's is logged as that bot's own miss: {downloads:?}");
}

#[tokio::test]
async fn a_photo_comes_in_sizes_whose_bytes_differ() {
    let platform = Platform::start().await;
    let bytes = image::made_up(1280, 853, "whole");
    platform.file(&[("kind", "photo")], &bytes).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    let sizes = updates[0]["message"]["photo"].as_array().expect("sizes").clone();
    let sides: Vec<_> = sizes.iter().map(|size| (size["width"].clone(), size["height"].clone())).collect();
    assert_eq!(sides, [(json!(90), json!(59)), (json!(320), json!(213)), (json!(1280), json!(853))]);
    for (n, size) in sizes.iter().enumerate() {
        let url = link(&platform, size["file_id"].as_str().expect("an identifier")).await;
        let (_, body) = get(&platform, &url).await;
        assert_eq!(body.expect("all of it") == bytes, n == 2, "only the largest is the whole picture");
    }
    let unique: std::collections::BTreeSet<_> = sizes.iter().map(|size| size["file_unique_id"].to_string()).collect();
    assert_eq!(unique.len(), 3);
    let refused = platform.try_file(&[("kind", "photo")], b"%PDF").await;
    assert_eq!(refused.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_album_is_several_messages_with_one_group() {
    let platform = Platform::start().await;
    let picture = image::made_up(640, 480, "one");
    platform.file(&[("kind", "photo"), ("album", "777"), ("caption", "both")], &picture).await;
    platform.file(&[("kind", "photo"), ("album", "777")], &picture).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    let groups: Vec<_> = (0..2).map(|n| updates[n]["message"]["media_group_id"].clone()).collect();
    assert_eq!(groups, ["777", "777"]);
    assert_ne!(updates[0]["message"]["message_id"], updates[1]["message"]["message_id"]);
    assert_eq!(updates[1]["message"].get("caption"), None);
}

#[tokio::test]
async fn identifiers_belong_to_their_bot() {
    let platform = Platform::start().await;
    let file_id = document(&platform, b"mine").await;
    let unavailable = (400, "Bad Request: wrong file_id or the file is temporarily unavailable".to_owned());
    assert_eq!(platform.refused("getFile", json!({ "file_id": "nonsense" })).await, unavailable);
    let other = platform.client.post(format!("{}/bot43:OTHER/getFile", platform.base));
    let answer = other.json(&json!({ "file_id": file_id })).send().await.expect("answered");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_too_big_has_no_link() {
    let platform = Platform::start().await;
    let claim = |bytes: i64| [("kind", "document".to_owned()), ("claims_bytes", bytes.to_string())];
    for (bytes, fits) in [(20 << 20, true), ((20 << 20) + 1, false)] {
        let claim = claim(bytes);
        platform.file(&[("kind", &claim[0].1), ("claims_bytes", &claim[1].1)], b"little").await;
        let updates = platform.ok("getUpdates", json!({ "offset": -1 })).await;
        let document = &updates[0]["message"]["document"];
        assert_eq!(document["file_size"], bytes);
        let asked = json!({ "file_id": document["file_id"] });
        match fits {
            true => drop(platform.ok("getFile", asked).await),
            false => assert_eq!(platform.refused("getFile", asked).await, (400, "Bad Request: file is too big".into())),
        }
    }
}

#[tokio::test]
async fn links_expire_and_are_given_anew() {
    let platform = Platform::start().await;
    let file_id = document(&platform, b"hello").await;
    let url = link(&platform, &file_id).await;
    let path = url.split(TOKEN).nth(1).expect("a path").to_owned();
    platform.order("clock", json!({ "advance_s": 3600 })).await;
    assert_eq!(get(&platform, &url).await.0, StatusCode::OK);
    platform.order("clock", json!({ "advance_s": 2 })).await;
    assert_eq!(get(&platform, &url).await.0, StatusCode::NOT_FOUND);
    assert!(link(&platform, &file_id).await.ends_with(&path), "getFile makes the link good again");
    assert_eq!(get(&platform, &url).await.0, StatusCode::OK);
    platform.order("links", json!({ "good_s": 7200 })).await;
    link(&platform, &file_id).await;
    platform.order("clock", json!({ "advance_s": 7199 })).await;
    assert_eq!(get(&platform, &url).await.0, StatusCode::OK);
    let short = json!({ "acct": "support", "good_s": 60 });
    assert_eq!(platform.try_order("links", short).await.0, StatusCode::BAD_REQUEST);
    let other = platform.client.get(url.replace("documents/", "photos/")).send().await.expect("answered");
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn get_file_spends_the_bots_allowance_and_can_fail_for_a_while() {
    let platform = Platform::start().await;
    let file_id = document(&platform, b"hello").await;
    let words = "Bad Request: wrong file_id or the file is temporarily unavailable";
    let fault = json!({ "method": "getFile", "mode": "error_before", "description": words, "count": 2 });
    platform.order("fault", fault).await;
    for _ in 0..2 {
        let refused = platform.refused("getFile", json!({ "file_id": file_id })).await;
        assert_eq!(refused, (400, words.to_owned()));
    }
    platform.ok("getFile", json!({ "file_id": file_id })).await;
    platform.order("limits", json!({ "enforce": true, "bot": { "count": 2, "window_ms": 60_000 } })).await;
    platform.ok("getFile", json!({ "file_id": file_id })).await;
    platform.ok("getMe", json!({})).await;
    assert_eq!(platform.refused("getFile", json!({ "file_id": file_id })).await.0, 429);
    let calls = platform.log("call");
    assert_eq!(calls.iter().filter(|call| call["method"] == "getFile").count(), 5);
}

#[tokio::test]
async fn downloads_go_wrong_on_command() {
    let platform = Platform::start().await;
    let bytes = vec![7; 100_000];
    let file_id = document(&platform, &bytes).await;
    let url = link(&platform, &file_id).await;
    let fault = async |fault: Value| {
        let mut order = json!({ "method": "download" });
        order.as_object_mut().expect("an object").extend(fault.as_object().expect("an object").clone());
        platform.order("fault", order).await;
    };
    fault(json!({ "mode": "500_before" })).await;
    assert_eq!(get(&platform, &url).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    fault(json!({ "mode": "error_before", "error_code": 404, "description": "Not Found" })).await;
    assert_eq!(get(&platform, &url).await.0, StatusCode::NOT_FOUND);
    fault(json!({ "mode": "half_after" })).await;
    let (status, body) = get(&platform, &url).await;
    assert!(status.is_success() && body.is_err(), "half of it, and the connection ended");
    fault(json!({ "mode": "drop_before" })).await;
    assert!(platform.client.get(&url).send().await.is_err());
    fault(json!({ "mode": "slow", "delay_ms": 200 })).await;
    let began = Instant::now();
    assert_eq!(get(&platform, &url).await.1.expect("all of it"), bytes);
    assert!(began.elapsed() >= Duration::from_millis(200));
    fault(json!({ "mode": "trickle", "delay_ms": 10 })).await;
    let began = Instant::now();
    assert_eq!(get(&platform, &url).await.1.expect("all of it"), bytes);
    assert!(began.elapsed() >= Duration::from_millis(160));
    fault(json!({ "mode": "endless" })).await;
    let mut response = platform.client.get(&url).send().await.expect("an answer begins");
    assert_eq!(response.content_length(), None);
    let mut seen = 0;
    while seen < 3 << 20 {
        seen += response.chunk().await.expect("it goes on").expect("and on").len();
    }
    drop(response);
    let words: Vec<_> = platform.log("download").iter().map(|line| line["reply"].clone()).collect();
    assert_eq!(words, ["500", "404", "half", "drop", "200", "trickle", "endless"]);
    assert_eq!(get(&platform, &url).await.1.expect("all of it"), bytes, "the orders are spent");
    let strange = json!({ "acct": "support", "method": "sendMessage", "mode": "endless" });
    assert_eq!(platform.try_order("fault", strange).await.0, StatusCode::BAD_REQUEST);
}
