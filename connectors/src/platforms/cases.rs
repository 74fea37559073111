//! Every platform's `cases/`: recorded payloads and what we make of them. Adding a case adds files, not code.
//!
//! * `cases/in/NAME.json`: an update → `NAME.want.json`: the facts, or the reason why it is put aside.
//! * `cases/out/NAME.json`: a part, its file and the answers so far → the step.
//! * `cases/answers/NAME.json`: an HTTP answer, played to `send` by a stub on loopback → what it means.
//!
//! `UPDATE_CASES=1 cargo test -p switchboard-connectors` writes the wants; read the diff.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use switchboard_common::model::{
    Attachment, ChatKind, Content, FileKind, Inbound, InboundItem, RawUpdate, message_key,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::PLATFORMS;
use crate::http::Fence;
use crate::platform::{
    Answer, Call, Deadline, FileBody, Http, Outbound, OutboundFile, Platform, PlatformSpec, Settings, Step, Upload,
};

/// Written once: the tests of this file run side by side.
static TOKEN: LazyLock<PathBuf> = LazyLock::new(|| {
    let secret = std::env::temp_dir().join(format!("switchboard-case-token-{}", std::process::id()));
    std::fs::write(&secret, "42:SECRET").expect("the temporary directory can be written");
    secret
});

fn folder(spec: &PlatformSpec, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platforms").join(spec.name).join("cases").join(kind)
}

fn open(spec: &PlatformSpec, base_url: &str) -> Box<dyn Platform> {
    let mut settings = Settings::new();
    settings.insert("token".to_owned(), json!(format!("file:{}", TOKEN.display())));
    settings.insert("base_url".to_owned(), json!(base_url));
    (spec.open)(&settings, Http::new().expect("a client")).expect("the settings are right")
}

/// Compares with the want, or writes it. Returns how many cases there were.
fn check(directory: &Path, mut actual: impl FnMut(&[u8]) -> Value) -> usize {
    #[allow(clippy::disallowed_methods)] // a switch of the test itself
    let update = std::env::var("UPDATE_CASES").is_ok();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(".json") && !path.to_string_lossy().ends_with(".want.json"))
        .collect();
    cases.sort();
    for case in &cases {
        let got = actual(&std::fs::read(case).expect("readable"));
        let want_path = case.with_extension("want.json");
        if update {
            let text = format!("{}\n", serde_json::to_string_pretty(&got).expect("JSON"));
            std::fs::write(&want_path, text).expect("writable");
            continue;
        }
        let want =
            std::fs::read(&want_path).unwrap_or_else(|_| panic!("{}: run with UPDATE_CASES=1", want_path.display()));
        let want: Value = serde_json::from_slice(&want).expect("a want is JSON");
        assert_eq!(got, want, "{}", case.display());
    }
    cases.len()
}

#[test]
fn updates_become_facts() {
    for spec in PLATFORMS {
        let platform = open(spec, "http://127.0.0.1:9");
        let count = check(&folder(spec, "in"), |raw| match platform.parse(&RawUpdate(raw.trim_ascii_end().to_vec())) {
            Ok(facts) => facts.iter().map(fact).collect(),
            Err(error) => json!({ "put_aside": error.to_string() }),
        });
        assert!(count >= 12, "{} has only {count} cases of updates", spec.name);
    }
}

#[test]
fn parts_become_steps() {
    for spec in PLATFORMS {
        let platform = open(spec, "http://127.0.0.1:9");
        let count = check(&folder(spec, "out"), |raw| {
            let case: Value = serde_json::from_slice(raw).expect("a case is JSON");
            let text = match case["repeat"].as_u64() {
                Some(times) => case["text"].as_str().expect("text").repeat(times as usize),
                None => case["text"].as_str().expect("text").to_owned(),
            };
            let file = case["file"].is_object().then(|| outbound_file(&case["file"]));
            let part = Outbound { chat_key: case["chat"].as_str().expect("chat").to_owned(), text, file };
            let answers: Vec<Answer> = case["answers"].as_array().into_iter().flatten().map(answer).collect();
            step(&platform.step(&part, &answers))
        });
        assert!(count >= 6, "{} has only {count} cases of parts", spec.name);
    }
}

#[test]
fn answers_are_understood() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for spec in PLATFORMS {
        let count = check(&folder(spec, "answers"), |raw| {
            let case: Value = serde_json::from_slice(raw).expect("a case is JSON");
            let result = runtime.block_on(played(spec, &case));
            let text = format!("{result:?}");
            assert!(!text.contains("SECRET"), "a secret in {text}");
            json!(text)
        });
        assert!(count >= 15, "{} has only {count} cases of answers", spec.name);
    }
}

/// Plays one HTTP answer to one call.
async fn played(spec: &PlatformSpec, case: &Value) -> Result<Answer, crate::platform::SendError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let script = case.clone();
    let stub = tokio::spawn(async move {
        let case = script;
        if case["refuse_connection"] == true {
            return;
        }
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let read = socket.read(&mut request).await.expect("a request");
        assert!(read > 0, "the mock answer is used");
        if case["cut"] == true {
            return;
        }
        if case["hang"] == true {
            std::future::pending::<()>().await;
        }
        let body = case["body"].as_str().map_or_else(|| case["body"].to_string(), str::to_owned);
        let extra = case["retry_after"].as_u64().map(|s| format!("Retry-After: {s}\r\n")).unwrap_or_default();
        let cut_at = case["body_cut_at"].as_u64().map_or(body.len(), |at| at as usize);
        let head = format!("HTTP/1.1 {} X\r\n{extra}Content-Length: {}\r\n\r\n", case["status"], body.len());
        socket.write_all(format!("{head}{}", &body[..cut_at]).as_bytes()).await.expect("written");
        socket.shutdown().await.expect("closed");
    });
    let platform = open(spec, &url);
    let deadline = match case["late"] == true {
        true => Deadline {
            write_by: Fence::at(switchboard_common::service::clock::Moment::now()),
            ..Deadline::of(Duration::from_secs(5))
        },
        false => Deadline::of(Duration::from_millis(if case["hang"] == true { 300 } else { 5000 })),
    };
    let call = called(case);
    let file = || call.upload.as_ref().map(|_| FileBody::new(stream::iter([Ok(Bytes::from_static(b"bytes"))])));
    let result = match case["refuse_connection"] == true {
        true => {
            stub.await.expect("the stub ends, its port closed");
            platform.send(&call, file(), &deadline).await
        }
        false => {
            let result = platform.send(&call, file(), &deadline).await;
            stub.abort();
            result
        }
    };
    result.map_err(without_addresses)
}

/// The call that a case is about: a text's, or with `upload` a photo's.
fn called(case: &Value) -> Call {
    let text =
        Call { method: "sendMessage", body: json!({"chat_id": 1, "text": "x"}), upload: None, cost: 1, epoch: None };
    if case["upload"] != true {
        return text;
    }
    let (name, mime) = ("a.png".to_owned(), "image/png".to_owned());
    let upload = Some(Upload { field: "photo", name, mime, size_bytes: 5 });
    Call { method: "sendPhoto", body: json!({"chat_id": 1, "caption": "x"}), upload, ..text }
}

fn outbound_file(value: &Value) -> OutboundFile {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    OutboundFile {
        kind: value["as"].as_str().and_then(FileKind::from_word).expect("as what it is sent"),
        name: text("name"),
        mime: text("mime"),
        size_bytes: value["size_bytes"].as_u64().expect("a size"),
    }
}

/// A connection error may name the stub's port, which differs from run to run.
fn without_addresses(error: crate::platform::SendError) -> crate::platform::SendError {
    use crate::platform::SendError::{NotSent, Unclear};
    let first = |text: String| text.split(':').take(2).collect::<Vec<_>>().join(":");
    match error {
        NotSent(text) => NotSent(first(text)),
        Unclear(text) => Unclear(first(text)),
        other => other,
    }
}

fn fact(fact: &Inbound) -> Value {
    let item = match &fact.item {
        InboundItem::Message { text, attachments, content } => {
            let stands_for = fact.dedupe_key.strip_prefix(&message_key(&fact.chat.key, ""));
            assert!(stands_for.is_some_and(|id| !id.is_empty()), "a message is found by its key: {}", fact.dedupe_key);
            let files: Vec<Value> = attachments.iter().map(attachment).collect();
            json!({"message": text, "files": files, "content": content.iter().map(carried).collect::<Vec<_>>()})
        }
        InboundItem::Edit { of_key, text } => json!({"edit": text, "of": of_key}),
        InboundItem::Membership { left } => json!({"left": left}),
        InboundItem::Ignored => json!("ignored"),
    };
    json!({
        "key": fact.dedupe_key,
        "chat": fact.chat.key,
        "group": fact.chat.kind == ChatKind::Group,
        "title": fact.chat.title,
        "author": {"id": fact.author.platform_id, "name": fact.author.name},
        "item": item,
    })
}

fn carried(content: &Content) -> Value {
    match content {
        Content::Unsupported { of } => json!({ "unsupported": of }),
    }
}

fn attachment(file: &Attachment) -> Value {
    json!({
        "kind": file.kind.as_str(),
        "ref": file.platform_ref,
        "name": file.name,
        "mime": file.mime,
        "size_bytes": file.size_bytes,
    })
}

fn step(step: &Step) -> Value {
    match step {
        Step::Deliver(call) => {
            let mut body = call.body.clone();
            // A long text is told by its length, so that a case stays readable.
            for words in ["text", "caption"] {
                if let Some(text) = body[words].as_str().filter(|text| text.len() > 200) {
                    body[words] = json!({ "utf16_units": text.encode_utf16().count() });
                }
            }
            let mut step = json!({"deliver": call.method, "body": body});
            if let Some(Upload { field, name, mime, size_bytes }) = &call.upload {
                step["upload"] = json!({"field": field, "name": name, "mime": mime, "size_bytes": size_bytes});
            }
            step
        }
        Step::Refuse(refusal) => json!({ "refuse": refusal.to_string() }),
        Step::Done { platform_id } => json!({ "done": platform_id }),
    }
}

fn answer(value: &Value) -> Answer {
    match (value["sent"].as_str(), value["moved"].as_str()) {
        (Some(id), _) => Answer::Sent { platform_id: id.to_owned() },
        (_, Some(key)) => Answer::Moved { chat_key: key.to_owned() },
        _ if !value["said"].is_null() => Answer::Said(value["said"].clone()),
        _ => panic!("an answer is {{\"sent\": id}}, {{\"moved\": key}} or {{\"said\": what the folder understands}}"),
    }
}
