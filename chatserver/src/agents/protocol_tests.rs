#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn requests_are_read_by_type() {
    let (id, request) = read(r#"{"id": 7, "type": "send", "chat": "17", "client_key": "k", "text": "hi"}"#).unwrap();
    assert_eq!(id, RequestId::Number(7));
    let Request::Send { chat, lane, seen_seq, .. } = request else { panic!("{request:?}") };
    assert_eq!((chat, lane, seen_seq), (Id(17), None, None));
    let (_, request) =
        read(r#"{"id": 7, "type": "send", "chat": "17", "client_key": "k", "text": "hi", "lane": "bulk"}"#).unwrap();
    assert!(matches!(request, Request::Send { lane: Some(LaneWord::Bulk), .. }), "{request:?}");
    let (_, request) = read(r#"{"id": 7, "type": "waiting", "chat": "17"}"#).unwrap();
    assert!(matches!(request, Request::Waiting { chat: Id(17), seq: None }), "{request:?}");
    let (id, request) = read(r#"{"type": "resend", "id": "x", "chat": "1", "seq": 5}"#).unwrap();
    assert_eq!(id, RequestId::Text("x".to_owned()));
    assert!(matches!(request, Request::Resend { part: 0, .. }));
}

#[test]
fn what_cannot_be_read_says_whose_it_was() {
    let failed = |frame: &str| {
        let (id, failure) = read(frame).unwrap_err();
        assert_eq!(failure.code, Code::BadRequest);
        id
    };
    let long = format!(r#"{{"id": "{}", "type": "ping"}}"#, "x".repeat(65));
    let without_id = [
        "",
        "[]",
        "7",
        "{",
        r#"{"type":"ping"}"#,
        r#"{"id":1.5,"type":"ping"}"#,
        r#"{"id":null,"type":"ping"}"#,
        &long,
    ];
    for frame in without_id {
        assert_eq!(failed(frame), None, "{frame}");
    }
    let with_id = [
        r#"{"id":1}"#,
        r#"{"id":1,"type":"fly"}"#,
        r#"{"id":1,"type":"take"}"#,
        r#"{"id":1,"type":"take","chat":17}"#,
        r#"{"id":1,"type":"send","chat":"1","client_key":"k","text":"x","lane":"urgent"}"#,
        r#"{"id":1,"type":"take","chat":""}"#,
        r#"{"id":1,"type":"take","chat":"+1"}"#,
        r#"{"id":1,"type":"take","chat":"-1"}"#,
        r#"{"id":1,"type":"take","chat":" 1"}"#,
        r#"{"id":1,"type":"take","chat":"99999999999999999999"}"#,
        r#"{"id":1,"type":"mark_sent","chat":"1","seq":1}"#,
        r#"{"id":1,"type":"ping","reply_to":4}"#,
        r#"{"id":1,"type":"send","chat":"1","client_key":"k","text":"x","reply_to":4}"#,
        r#"{"id":1,"type":"mark_sent","chat":"1","seq":1,"part":99999}"#,
    ];
    for frame in with_id {
        assert_eq!(failed(frame), Some(RequestId::Number(1)), "{frame}");
    }
    // A lone surrogate cannot be in JSON text at all.
    assert_eq!(
        failed(r#"{"id":1,"type":"send","chat":"1","client_key":"k","text":"\ud800"}"#),
        Some(RequestId::Number(1))
    );
}

#[test]
fn answers_carry_the_id_as_it_was() {
    let id = RequestId::Text("a".to_owned());
    assert_eq!(answer(Some(&id), Ok(serde_json::json!({"x": 1}))), r#"{"type":"ok","re":"a","result":{"x":1}}"#);
    let failure = Failure::new(Code::Unavailable, "later");
    assert_eq!(
        answer::<()>(None, Err(failure)),
        r#"{"type":"error","re":null,"code":"unavailable","message":"later","retry":true}"#
    );
}

#[test]
fn words_and_numbers_belong_together() {
    for code in [Code::BadRequest, Code::AlreadyTaken, Code::NotYours, Code::KeyConflict, Code::TooFast] {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
    assert_eq!(CloseCode::from_number(4008), Some(CloseCode::TooSlow));
    assert_eq!(CloseCode::from_number(0), None);
}
