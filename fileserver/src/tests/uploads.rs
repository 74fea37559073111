//! Uploads: forms, keys, limits, and what breaks off.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::AsyncWriteExt;

use super::raw::{connect, read_head};
use super::*;

const MIB: usize = 1 << 20;

/// A form with these parts: each a head and a body.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend_from_slice(format!("--limit\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    body
}

const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"../a b.jpg\"\r\nContent-Type: Image/PNG";
const NOTE: &str = "Content-Disposition: form-data; name=\"note\"";

async fn send_form(server: &Server, body: impl Into<reqwest::Body>) -> Response {
    let request = server.post("anna", "main").header("content-type", "multipart/form-data; boundary=limit");
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_form_holds_one_file() {
    let server = Server::start().await;
    let bytes = [noise(3 * MIB, 5), b"\r\n--limi\r\n--Limit\r\n\n--limit\r\n".to_vec()].concat();
    let answer = send_form(&server, form(&[(NOTE, b"hello"), (FILE, &bytes), (NOTE, b"")])).await;
    assert_eq!(answer.status(), 201);
    let said: Value = answer.json().await.unwrap();
    assert_eq!((&said["name"], &said["sha256"]), (&json!("a b.jpg"), &json!(sha256(&bytes))));
    assert_eq!(server.number("SELECT count(*) FROM file WHERE mime = 'image/png' AND sniffed IS NULL").await, 1);
    let file = said["file"].as_str().unwrap();
    let got = server.get("anna", &format!("main/{file}")).send().await.unwrap().bytes().await.unwrap();
    assert!(got == bytes);

    let whole = form(&[(FILE, b"bytes")]);
    let long_head = format!("{NOTE}\r\nX-Long: {}", "x".repeat(MIB));
    let many_heads = format!("{NOTE}{}", "\r\nX: y".repeat(10_000));
    let many: Vec<(&str, &[u8])> =
        (0..100_000).map(|_| (NOTE, b"".as_slice())).chain([(FILE, b"x".as_slice())]).collect();
    for (what, body) in [
        ("no file", form(&[(NOTE, b"hello")])),
        ("two files", form(&[(FILE, b"one"), (FILE, b"two")])),
        ("an empty file", form(&[(FILE, b"")])),
        ("no end", whole[..whole.len() - 4].to_vec()),
        ("a file that ends early", whole[..whole.len() - 16].to_vec()),
        ("nothing", Vec::new()),
        ("no form", b"just bytes".to_vec()),
        ("a long head", form(&[(&long_head, b""), (FILE, b"x")])),
        ("many heads", form(&[(&many_heads, b""), (FILE, b"x")])),
        ("many parts", form(&many)),
        ("many parts after the file", form(&[&many[100_000..], &many[..1000]].concat())),
        ("a long other part", form(&[(NOTE, &noise(MIB, 1)), (FILE, b"x")])),
        ("a head without an end", [b"--limit\r\n".as_slice(), &noise(MIB, 2)].concat()),
        ("a long start", [noise(MIB, 2).as_slice(), &whole].concat()),
    ] {
        let answer = send_form(&server, body).await;
        assert_eq!(problem(answer).await, refused(400, "bad_request"), "{what}");
    }
    let sixteen: Vec<(&str, &[u8])> =
        [(FILE, b"x".as_slice())].into_iter().chain([(NOTE, b"y".as_slice()); 15]).collect();
    assert_eq!(send_form(&server, form(&sixteen)).await.status(), 201);
    let seventeen = [&sixteen[..], &[(NOTE, b"")]].concat();
    assert_eq!(problem(send_form(&server, form(&seventeen)).await).await, refused(400, "bad_request"));
    let large = send_form(&server, form(&[(FILE, &noise(8 * MIB + 1, 1))])).await;
    assert_eq!(problem(large).await, refused(413, "too_large"));
    server.has(2, 14).await;
    server.stop().await;
}

#[tokio::test]
async fn one_key_is_one_file() {
    let server = Server::start().await;
    let (bytes, others) = (noise(MIB, 1), noise(MIB, 2));
    let put = async |who: &str, key: &str, bytes: &[u8]| {
        server.put(who, &format!("main/{key}?name=a.bin")).body(bytes.to_vec()).send().await.unwrap()
    };
    let first = put("anna", "key", &bytes).await;
    assert_eq!(first.status(), 201);
    let first: Value = first.json().await.unwrap();
    let again = put("anna", "key", &bytes).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    for wrong in [&others[..], &bytes[..MIB - 1], b"x", b""] {
        assert_eq!(problem(put("anna", "key", wrong).await).await, refused(409, "key_conflict"));
    }
    let another = put("bob", "key", &bytes).await;
    assert_eq!(another.status(), 201, "a key is one agent's");
    assert_ne!(another.json::<Value>().await.unwrap()["file"], first["file"]);
    let (longest, too_long) = ("k".repeat(64), "k".repeat(65));
    assert_eq!(put("anna", &longest, b"x").await.status(), 201);
    assert_eq!(put("anna", "%D1%8F%2F..", b"x").await.status(), 201);
    for bad in [too_long.as_str(), "a%00", "a%0a"] {
        assert_eq!(problem(put("anna", bad, b"x").await).await, refused(400, "bad_request"), "{bad}");
    }
    let as_form = server.put("anna", "main/form").header("content-type", "multipart/form-data; boundary=limit");
    assert_eq!(problem(as_form.body(form(&[(FILE, b"x")])).send().await.unwrap()).await, refused(415, "bad_request"));
    server.has(4, 10).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_of_one_key_at_once_end_in_one() {
    let server = Server::start().await;
    let (bytes, others) = (noise(MIB, 1), noise(MIB, 2));
    // Each sends half, and goes on when all have.
    let (waiting, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    let put = |bytes: &[u8]| {
        let halves: Vec<Bytes> = bytes.chunks(MIB / 2).map(Bytes::copy_from_slice).collect();
        let (waiting, go) = (waiting.clone(), go.clone());
        let body = stream::iter(halves.into_iter().enumerate()).then(move |(n, half)| {
            let (waiting, go) = (waiting.clone(), go.clone());
            async move {
                if n == 1 {
                    waiting.fetch_add(1, Ordering::SeqCst);
                    go.acquire().await.unwrap().forget();
                }
                Ok::<_, std::io::Error>(half)
            }
        });
        tokio::spawn(server.put("anna", "main/key").body(reqwest::Body::wrap_stream(body)).send())
    };
    let under_way: Vec<_> = [&bytes, &bytes, &others, &bytes, &others].map(|bytes| put(bytes)).into_iter().collect();
    server.has_rows(5).await;
    while waiting.load(Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    go.add_permits(5);
    let (mut statuses, mut files) = (Vec::new(), Vec::new());
    for answer in under_way {
        let answer = answer.await.unwrap().unwrap();
        statuses.push(answer.status().as_u16());
        let said: Value = answer.json().await.unwrap();
        files.extend(said["file"].as_str().map(str::to_owned));
    }
    statuses.sort_unstable();
    files.dedup();
    assert!(statuses == [200, 200, 201, 409, 409] || statuses == [200, 201, 409, 409, 409], "{statuses:?}");
    assert_eq!(files.len(), 1);
    server.has(1, 4).await;
    server.stop().await;
}

#[tokio::test]
async fn sizes_are_counted_and_not_believed() {
    let server = Server::start().await;
    server.limits.send(limits(MIB as u64)).unwrap();
    let post = async |body: reqwest::Body| server.post("anna", "main").body(body).send().await.unwrap();
    let streamed = |size: usize| {
        let pieces = noise(size, 9).chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
        reqwest::Body::wrap_stream(stream::iter(pieces.into_iter().map(|piece: std::io::Result<_>| piece)))
    };
    assert_eq!(post(noise(MIB, 1).into()).await.status(), 201);
    assert_eq!(post(streamed(MIB)).await.status(), 201);
    for body in [noise(MIB + 1, 1).into(), streamed(MIB + 1), noise(20 * MIB, 1).into(), streamed(20 * MIB)] {
        assert_eq!(problem(post(body).await).await, refused(413, "too_large"));
    }
    // A body without an end, by somebody who does not read.
    let head = format!(
        "POST /files/main HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        token("anna")
    );
    let mut stream = connect(&server, &head).await;
    let piece = [format!("{:x}\r\n", 64 * 1024).into_bytes(), vec![b'x'; 64 * 1024], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while tokio::time::timeout(DEADLINE, stream.write_all(&piece)).await.expect("cut, or taken").is_ok() {
        sent += 64 * 1024;
        assert!(sent < 300 * MIB, "it is cut");
    }
    // Somebody who announces too much is not asked to send it.
    let head = format!(
        "POST /files/main HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        token("anna"),
        1_000_000_000_000_000_u64
    );
    let mut stream = connect(&server, &head).await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 413 "));
    server.has(2, 8).await;
    server.limits.send(None).unwrap();
    assert_eq!(problem(post("x".into()).await).await, refused(422, "unsupported"));
    assert_eq!(problem(send_form(&server, form(&[(FILE, b"x")])).await).await, refused(422, "unsupported"));
    server.limits.send(limits(10)).unwrap();
    assert_eq!(problem(post("".into()).await).await, refused(400, "bad_request"));
    let zipped = server.post("anna", "main").header("content-encoding", "gzip").body("x").send().await.unwrap();
    assert_eq!(problem(zipped).await, refused(415, "bad_request"));
    server.has(2, 8).await;
    server.stop().await;
}

/// Of an upload that breaks off nothing stays, however it does.
#[tokio::test]
async fn what_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let head = |method: &str, more: &str| {
        let token = token("anna");
        format!("{method} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n{more}\r\n\r\n")
    };
    let chunk = [b"300000\r\n".as_slice(), &noise(3 * MIB, 1), b"\r\n"].concat();
    let part = [format!("--limit\r\n{FILE}\r\n\r\n").as_bytes(), &noise(3 * MIB, 1)].concat();
    for (head, body) in [
        (head("POST /files/main", "Content-Length: 4000000"), noise(3 * MIB, 1)),
        (head("PUT /files/main/key", "Content-Length: 4000000"), noise(3 * MIB, 1)),
        (head("PUT /files/main/key", "Transfer-Encoding: chunked"), chunk),
        (
            head("POST /files/main", "Content-Length: 4000000\r\nContent-Type: multipart/form-data; boundary=limit"),
            part,
        ),
    ] {
        let mut stream = connect(&server, &head).await;
        stream.write_all(&body).await.unwrap();
        server.has(1, 12).await;
        let id = "SELECT count(*) FROM file WHERE state = 1";
        assert_eq!(server.number(id).await, 0);
        drop(stream);
        server.has(0, 0).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_sends_nothing_is_cut() {
    let bounds = Bounds { silence: Duration::from_millis(300), ..Bounds::default() };
    let server = Server::start_with(Wishes { bounds, ..Wishes::default() }).await;
    let more = "Content-Length: 100000\r\nContent-Type: multipart/form-data; boundary=limit";
    for (more, start) in [("Content-Length: 100000", noise(50_000, 1)), (more, form(&[(NOTE, b"")])[..40].to_vec())] {
        let head = format!(
            "POST /files/main HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n{more}\r\n\r\n",
            token("anna")
        );
        let mut stream = connect(&server, &head).await;
        stream.write_all(&start).await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 408 "));
    }
    server.has(0, 0).await;
    server.stop().await;
    let bounds = Bounds { upload: Duration::from_millis(300), ..Bounds::default() };
    let server = Server::start_with(Wishes { bounds, ..Wishes::default() }).await;
    let drops = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 9000])), ()))
    });
    let body = reqwest::Body::wrap_stream(Box::pin(drops));
    let answer = server.post("anna", "main").body(body).send().await.unwrap();
    assert_eq!(problem(answer).await, refused(408, "too_slow"));
    server.has(0, 0).await;
    server.stop().await;
}
