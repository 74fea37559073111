//! What goes out, byte by byte, and what becomes of a call whose fence passes on the way.
#![allow(clippy::unwrap_used)]

use futures_util::future::pending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::*;

/// When a fence passes on the way.
const SOON: Duration = Duration::from_secs(2);
/// Nothing in these tests takes longer.
const LONG: Duration = Duration::from_secs(20);

/// A platform that reads whatever comes, and answers a request that is whole.
struct Stub {
    url: String,
    /// What has been read so far, each time something was.
    read: mpsc::Receiver<Vec<u8>>,
}

impl Stub {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/bot/sendPhoto", listener.local_addr().unwrap());
        let (told, read) = mpsc::channel(1000);
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            serve(socket, told).await;
        });
        Self { url, read }
    }

    /// Keeps the fence ahead until `begin` was read: on a busy machine the first bytes take long to come out.
    async fn begun(&mut self, fence: &Fence) {
        let mut again = tokio::time::interval(SOON / 20);
        loop {
            tokio::select! {
                read = self.read.recv() => if read.unwrap().ends_with(b"begin") {
                    return;
                },
                _ = again.tick() => fence.extend(Moment::now() + SOON),
            }
        }
    }

    /// Everything that was read until the connection was closed or the request answered.
    async fn all(mut self) -> Vec<u8> {
        let mut last = Vec::new();
        while let Some(read) = tokio::time::timeout(LONG, self.read.recv()).await.unwrap() {
            last = read;
        }
        last
    }
}

async fn serve(mut socket: TcpStream, told: mpsc::Sender<Vec<u8>>) {
    let (mut request, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let Ok(count @ 1..) = socket.read(&mut buffer).await else { return };
        request.extend_from_slice(&buffer[..count]);
        told.send(request.clone()).await.unwrap();
        if length_of(&request).is_some_and(|length| request.len() >= length) {
            socket.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            return;
        }
    }
}

/// The length of a request, by its head.
fn length_of(request: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(request);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let said = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some(head.len() + 4 + said.parse::<usize>().unwrap())
}

fn upload(size_bytes: u64) -> Upload {
    Upload { field: "photo", name: "a \"b\"\r\n\u{7}ü.png".to_owned(), mime: "image/png".to_owned(), size_bytes }
}

fn chunks(chunks: &[&'static [u8]]) -> FileBody {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
    FileBody::new(stream::iter(chunks))
}

/// Of a claim: the fence is before the end of the wait.
fn deadline(write_by: Duration) -> Deadline {
    Deadline { write_by: Fence::at(Moment::now() + write_by), answer_by: Moment::now() + LONG }
}

/// Made before a fence runs: it reads the machine's certificates, which takes long on a busy one.
fn http() -> Http {
    Http::new().unwrap()
}

async fn post(http: &Http, url: &str, size: u64, body: FileBody, deadline: &Deadline) -> Result<HttpAnswer, HttpError> {
    let fields = [("chat_id".to_owned(), "7".to_owned()), ("caption".to_owned(), "hé".to_owned())];
    http.post_multipart(url, &[("x-of", "us".to_owned())], &fields, &upload(size), body, deadline).await
}

#[tokio::test]
async fn fields_and_file_go_out_as_a_form() {
    let http = http();
    let stub = Stub::listen().await;
    let body = chunks(&[b"\x89PNG", b"\r\n--", b"\0\xff"]);
    let answer = post(&http, &stub.url, 10, body, &deadline(LONG / 2)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_ref()), (200, b"ok".as_slice()));
    let request = stub.all().await;
    let cut = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let (head, body) = (String::from_utf8(request[..cut].to_vec()).unwrap(), &request[cut + 4..]);
    assert!(head.starts_with("POST /bot/sendPhoto HTTP/1.1\r\n") && head.contains("x-of: us"), "{head}");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    let boundary = head.split("boundary=").nth(1).unwrap().lines().next().unwrap();
    let mut want = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"caption\"\r\n\r\nhé\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a %22b%22%0D%0Aü.png\"\r\n\
         Content-Type: image/png\r\n\r\n"
    )
    .into_bytes();
    want.extend_from_slice(b"\x89PNG\r\n--\0\xff");
    want.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(body, want);
}

#[tokio::test]
async fn a_type_that_is_no_header_is_not_repeated() {
    let odd = Upload { mime: "image/png\r\nx: y".to_owned(), ..upload(0) };
    let text = String::from_utf8(head(&[], &odd, "b")).unwrap();
    assert!(text.ends_with("Content-Type: application/octet-stream\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_fence_that_has_passed_lets_no_byte_out() {
    let http = http();
    let mut stub = Stub::listen().await;
    let late = Deadline { write_by: Fence::at(Moment::now()), ..deadline(LONG) };
    let result = post(&http, &stub.url, 4, chunks(&[b"\x89PNG"]), &late).await;
    assert!(matches!(result, Err(HttpError::Unsent(_))), "{result:?}");
    assert!(stub.read.try_recv().is_err(), "nothing was read");
    // Nor does it while the first chunk is awaited: the database may be away.
    let body = FileBody::new(stream::once(pending()));
    let result = post(&http, &stub.url, 4, body, &deadline(Duration::from_millis(50))).await;
    assert!(matches!(result, Err(HttpError::Unsent(_))), "{result:?}");
    assert!(stub.read.try_recv().is_err(), "nothing was read");
}

#[tokio::test]
async fn a_fence_that_passes_in_between_ends_the_body() {
    let http = http();
    let mut stub = Stub::listen().await;
    let deadline = deadline(SOON);
    let fence = deadline.write_by.clone();
    let (more, held) = oneshot::channel::<()>();
    let rest = stream::once(async move {
        let _ = held.await;
        Ok(Bytes::from_static(b"late"))
    });
    let body = FileBody::new(stream::iter([Ok(Bytes::from_static(b"begin"))]).chain(rest));
    let url = stub.url.clone();
    let posting = tokio::spawn(async move { post(&http, &url, 9, body, &deadline).await });
    stub.begun(&fence).await;
    let result = posting.await.unwrap();
    assert!(matches!(result, Err(HttpError::Unanswered(_))), "{result:?}");
    drop(more);
    let request = stub.all().await;
    assert!(request.is_empty(), "nothing more came: {}", String::from_utf8_lossy(&request));
}

#[tokio::test]
async fn a_fence_that_moves_ahead_lets_the_body_go_on() {
    let http = http();
    let mut stub = Stub::listen().await;
    let deadline = deadline(SOON);
    let fence = deadline.write_by.clone();
    let (more, held) = oneshot::channel::<()>();
    let rest = stream::once(async move {
        held.await.unwrap();
        Ok(Bytes::from_static(b"late"))
    });
    let body = FileBody::new(stream::iter([Ok(Bytes::from_static(b"begin"))]).chain(rest));
    let url = stub.url.clone();
    let posting = tokio::spawn(async move { post(&http, &url, 9, body, &deadline).await });
    stub.begun(&fence).await;
    let first_end = fence.end();
    fence.extend(Moment::now() + LONG / 2);
    fence.extend(first_end);
    assert!(fence.end() > first_end, "never back");
    while first_end.is_ahead() {
        tokio::time::sleep(first_end.remaining()).await;
    }
    more.send(()).unwrap();
    assert_eq!(posting.await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn a_file_of_another_size_ends_the_request() {
    let http = http();
    for (said, body) in [(9, chunks(&[b"12345"])), (9, chunks(&[b"12345", b"67890"])), (3, chunks(&[b"12345"]))] {
        let stub = Stub::listen().await;
        let result = post(&http, &stub.url, said, body, &deadline(LONG / 2)).await;
        assert!(matches!(result, Err(HttpError::Unanswered(_))), "{said}: {result:?}");
        let request = stub.all().await;
        let length = length_of(&request);
        assert!(length.is_none_or(|length| request.len() < length), "never whole: {request:?}");
    }
    let stub = Stub::listen().await;
    let result = post(&http, &stub.url, 9, chunks(&[]), &deadline(LONG / 2)).await;
    assert!(matches!(result, Err(HttpError::Unsent(_))), "{result:?}");
    drop(stub);
}

/// The platform takes nothing: the connection is full, and asks for no further piece. Then nobody looks at the fence there.
#[tokio::test]
async fn a_fence_that_passes_while_the_connection_is_full_closes_it() {
    let http = http();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let body = FileBody::new(stream::repeat_with(|| Ok(Bytes::from(vec![7; 256 * 1024]))).take(400));
    let begun = Moment::now();
    let result = post(&http, &url, 400 * 256 * 1024, body, &deadline(SOON)).await;
    assert!(matches!(result, Err(HttpError::Unanswered(_))), "{result:?}");
    assert!(begun.elapsed() < LONG / 2, "not at the end of the wait for an answer");
    let (mut socket, _) = listener.accept().await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(count @ 1..) = tokio::time::timeout(LONG, socket.read(&mut buffer)).await.unwrap() {
        read += count;
    }
    assert!(read < 400 * 256 * 1024, "{read}");
}
