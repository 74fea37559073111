//! A request that carries a file: `multipart/form-data`, streamed.
//!
//! The body goes out in pieces: what comes before the file together with its first chunk, each further chunk, and what ends
//! the body. Each is handed to the connection only while the fence is ahead, and none after the call has ended. The first
//! chunk is read before anything is sent, so that the head of the request leaves together with the first piece.
//!
//! The connection holds some of what it was handed until the network takes it. So when the fence passes before the last
//! piece was handed over, or soon after, the connection is closed with what it holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use switchboard_common::service::clock::Moment;

use super::{Deadline, Fence, Http, HttpAnswer, HttpError, connected, half_written};

/// The bytes of a file, in order.
pub struct FileBody(BoxStream<'static, Result<Bytes, String>>);

impl FileBody {
    /// What `chunks` yields; an error ends the request.
    pub fn new(chunks: impl Stream<Item = Result<Bytes, String>> + Send + 'static) -> Self {
        Self(chunks.boxed())
    }
}

/// How a file goes into the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The field that holds it.
    pub field: &'static str,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub mime: String,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// For so long after the last piece was handed over the connection may still hold some of it: a few hundred KiB.
const FLUSH: Duration = Duration::from_secs(2);

/// What is known of a body while its request is under way.
#[derive(Default)]
struct Writing {
    /// A byte may be written.
    begun: AtomicBool,
    /// When the last piece was handed over.
    done: OnceLock<Moment>,
    /// The call has ended: no further piece.
    over: AtomicBool,
}

/// Ends the body with the call, also when that is dropped.
struct Over(Arc<Writing>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

impl Http {
    /// Posts `fields` and a file to `url` and reads the answer whole. The URL may hold a token: it is in no error.
    pub async fn post_multipart(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        fields: &[(String, String)],
        upload: &Upload,
        file: FileBody,
        deadline: &Deadline,
    ) -> Result<HttpAnswer, HttpError> {
        let boundary = format!("switchboard-{}", uuid::Uuid::new_v4().simple());
        let head = head(fields, upload, &boundary);
        let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let length = head.len() as u64 + upload.size_bytes + tail.len() as u64;
        let FileBody(mut chunks) = file;
        let first = tokio::select! {
            biased;
            first = chunks.next() => first,
            () = deadline.write_by.passed() => Some(Err("it could not be read in time".to_owned())),
        };
        let first = match first.unwrap_or_else(|| Err("its bytes are not there".to_owned())) {
            Ok(chunk) => chunk,
            Err(why) => return Err(HttpError::Unsent(format!("the file: {why}"))),
        };
        let mut begin = BytesMut::from(head.as_slice());
        begin.put_slice(&first);
        let writing = Arc::new(Writing::default());
        let pieces = whole(upload.size_bytes, first.len() as u64, chunks)
            .map(Piece::Middle)
            .chain(stream::iter([Piece::Last(tail)]));
        let pieces = stream::iter([Piece::First(begin.freeze())]).chain(pieces);
        let body = guarded(pieces, deadline, writing.clone());
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(body));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let _over = Over(writing.clone());
        tokio::select! {
            biased;
            answer = self.answered(request, deadline, &writing.begun) => answer,
            () = cut(&deadline.write_by, &writing), if deadline.is_of_a_claim() => {
                Err(HttpError::Unanswered("the claim's write_by passed before the file was written".to_owned()))
            }
        }
    }
}

enum Piece {
    First(Bytes),
    Middle(Result<Bytes, String>),
    Last(Bytes),
}

/// Looks at the fence in the moment in which the connection asks for a piece.
fn guarded(
    pieces: impl Stream<Item = Piece> + Send + 'static,
    deadline: &Deadline,
    writing: Arc<Writing>,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let (fence, claimed) = (deadline.write_by.clone(), deadline.is_of_a_claim());
    pieces.then(move |piece| {
        let (fence, writing) = (fence.clone(), writing.clone());
        async move {
            let is_first = matches!(piece, Piece::First(_));
            if !is_first {
                half_written(claimed).await;
            }
            let is_last = matches!(piece, Piece::Last(_));
            let (Piece::First(bytes) | Piece::Middle(Ok(bytes)) | Piece::Last(bytes)) = piece else {
                return Err(std::io::Error::other("the file could not be read to its end"));
            };
            // Said before the look at the clock, as in a body of one piece.
            writing.begun.store(true, Ordering::SeqCst);
            if !fence.is_ahead() || writing.over.load(Ordering::SeqCst) {
                writing.begun.store(!is_first, Ordering::SeqCst);
                return Err(std::io::Error::other("the claim's write_by had passed"));
            }
            if is_first {
                connected(claimed);
            }
            if is_last {
                let _ = writing.done.set(Moment::now());
            }
            Ok(bytes)
        }
    })
}

/// The chunks after the first, as many bytes as were promised: more or fewer would end the request in another place.
fn whole(
    size: u64,
    first: u64,
    chunks: BoxStream<'static, Result<Bytes, String>>,
) -> impl Stream<Item = Result<Bytes, String>> + Send + 'static {
    let wrong = || Err("it has another size than it was said to have".to_owned());
    stream::unfold((Some(chunks), size.checked_sub(first)), move |(chunks, left)| async move {
        let mut chunks = chunks?;
        let Some(left) = left else { return Some((wrong(), (None, None))) };
        if left == 0 {
            return None;
        }
        Some(match chunks.next().await {
            Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => (Ok(chunk), (Some(chunks), Some(left))),
                None => (wrong(), (None, None)),
            },
            Some(Err(why)) => (Err(why), (None, None)),
            None => (wrong(), (None, None)),
        })
    })
}

/// Resolves when the fence has passed while bytes of the body may still be on their way to the network. Before the first
/// piece there are none, and it will be refused.
async fn cut(fence: &Fence, writing: &Writing) {
    fence.passed().await;
    let flushed = writing.done.get().is_some_and(|done| done.elapsed() > FLUSH);
    if flushed || !writing.begun.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}

fn head(fields: &[(String, String)], upload: &Upload, boundary: &str) -> Vec<u8> {
    let mut text = String::new();
    for (name, value) in fields {
        text +=
            &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{value}\r\n", quoted(name));
    }
    // A header of its own: nothing in it may end the line.
    let plain = !upload.mime.is_empty() && upload.mime.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let mime = if plain { upload.mime.as_str() } else { "application/octet-stream" };
    text += &format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {mime}\r\n\r\n",
        upload.field,
        quoted(&upload.name)
    );
    text.into_bytes()
}

/// As browsers write a name: what would end it is percent-encoded, other control characters are left out.
fn quoted(name: &str) -> String {
    name.chars()
        .filter_map(|c| match c {
            '"' => Some("%22".to_owned()),
            '\r' => Some("%0D".to_owned()),
            '\n' => Some("%0A".to_owned()),
            c if c.is_control() => None,
            c => Some(c.to_string()),
        })
        .collect()
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
