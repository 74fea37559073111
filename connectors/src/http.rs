//! The HTTP client of a connector: one exchange a call, no hidden repeats, and a body that is not written
//! after its deadline.

mod download;
mod fence;
mod guard;
mod multipart;
mod one_thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use switchboard_common::faults::{armed, during, point};
use switchboard_common::service::clock::Moment;

pub use download::{Download, DownloadError};
pub use fence::Fence;
pub use guard::Origin;
use guard::Resolver;
pub use multipart::{FileBody, Upload};

/// Longest answer read from a platform, bytes: a page of updates is about 4 MiB.
const ANSWER_MAX: usize = 8 << 20;

/// A deadline noticed so late was slept through: the process was stopped, or its machine suspended.
const STOPPED: Duration = Duration::from_millis(100);
/// Then what was being written goes out only now, and so long its answer is waited for: it is evidence.
const GRACE: Duration = Duration::from_secs(1);

/// The process's HTTP client.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    /// For bodies that are passed on as they come, from where an operator has configured it.
    downloads: reqwest::Client,
    /// The same, from where somebody else says: to global addresses only.
    guarded: reqwest::Client,
}

/// When an exchange must end, and until when its first byte may be written.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// No byte is written after this.
    pub write_by: Fence,
    /// After this nobody waits for the answer.
    pub answer_by: Moment,
}

impl Deadline {
    /// A deadline for an exchange that no claim guards.
    pub fn of(span: Duration) -> Self {
        let end = Moment::now() + span;
        Self { write_by: Fence::at(end), answer_by: end }
    }

    /// Whether a claim guards the exchange: a poll has no fence of its own.
    fn is_of_a_claim(&self) -> bool {
        self.write_by.end() < self.answer_by
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Seconds of a `Retry-After` header.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Not one byte of the request was written: name, connection or TLS failed, or the deadline had passed.
    #[error("nothing was sent: {0}")]
    Unsent(String),
    /// The request was written at least in part, and no whole answer came back.
    #[error("no answer: {0}")]
    Unanswered(String),
}

impl Http {
    /// Makes the client. Nothing goes through a proxy: the system's variables are not used.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::through("")
    }

    /// Makes the client; every call goes through the forward proxy at `proxy`, when that is not empty.
    pub fn through(proxy: &str) -> Result<Self, reqwest::Error> {
        one_thread::begin();
        let proxied = |builder: reqwest::ClientBuilder| {
            Ok::<_, reqwest::Error>(match proxy {
                "" => builder,
                proxy => builder.proxy(reqwest::Proxy::all(proxy)?),
            })
        };
        let client = proxied(Self::builder())?.build()?;
        // What a server compressed would be counted, and named, as what it is not.
        let plain = || proxied(Self::builder().no_gzip().no_brotli().no_deflate().no_zstd());
        let downloads = plain()?.build()?;
        let guarded = plain()?.https_only(true).dns_resolver(Arc::new(Resolver::new(proxy))).build()?;
        Ok(Self { client, downloads, guarded })
    }

    fn builder() -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            // E18: a repeat that the ledger and the limiter never saw is a call too many.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            // One call a connection: a silently dead one spoils no other, and head and body leave together.
            .http1_only()
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
    }

    /// Posts JSON to `url` and reads the answer whole. The URL may hold a token: it is in no error.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        json: Vec<u8>,
        deadline: &Deadline,
    ) -> Result<HttpAnswer, HttpError> {
        let written = Arc::new(AtomicBool::new(false));
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, json.len())
            .body(guarded_body(json, deadline, written.clone()));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.answered(request, deadline, &written).await
    }

    /// Sends a request and reads its answer whole. `written`: a byte of it may have been written.
    async fn answered(
        &self,
        request: reqwest::RequestBuilder,
        deadline: &Deadline,
        written: &AtomicBool,
    ) -> Result<HttpAnswer, HttpError> {
        let claimed = deadline.is_of_a_claim();
        let exchange = async {
            // The whole request is out, the answer is not here, nothing is recorded yet.
            let response = match claimed {
                true => during("S5", request.send()).await?,
                false => request.send().await?,
            };
            let status = response.status().as_u16();
            let retry_after =
                response.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
            read_bounded(response).await.map(|body| HttpAnswer { status, retry_after, body })
        };
        let mut exchange = std::pin::pin!(one_thread::on_one_thread(exchange));
        let mut ended = tokio::time::timeout(deadline.answer_by.remaining(), &mut exchange).await;
        if ended.is_err() && deadline.answer_by.elapsed() > STOPPED && written.load(Ordering::SeqCst) {
            ended = tokio::time::timeout(GRACE, &mut exchange).await;
        }
        match ended {
            Ok(Ok(answer)) => Ok(answer),
            failed => {
                let why = match failed {
                    Ok(Err(error)) => words(error),
                    _ => "the platform did not answer in time".to_owned(),
                };
                match written.load(Ordering::SeqCst) {
                    true => Err(HttpError::Unanswered(why)),
                    false => Err(HttpError::Unsent(why)),
                }
            }
        }
    }
}

/// A body that checks the fence in the moment in which the connection asks for it. It comes in one piece, and the head of
/// the request is flushed together with it, so a refusal here means that nothing was written.
fn guarded_body(json: Vec<u8>, deadline: &Deadline, written: Arc<AtomicBool>) -> reqwest::Body {
    let json = Bytes::from(json);
    let (write_by, claimed) = (deadline.write_by.clone(), deadline.is_of_a_claim());
    // The fault tests freeze a process in the middle of a request: two pieces then.
    let pieces = match claimed && armed("S4") {
        true => vec![json.slice(..json.len() / 2), json.slice(json.len() / 2..)],
        false => vec![json],
    };
    reqwest::Body::wrap_stream(stream::iter(pieces.into_iter().enumerate()).then(move |(number, piece)| {
        let (written, write_by) = (written.clone(), write_by.clone());
        async move {
            if number > 0 {
                half_written(claimed).await;
            }
            // Said before the look at the clock: frozen in between, this goes on to write when it thaws, while whoever waits
            // is past `answer_by` and must not take the call for unsent.
            written.store(true, Ordering::SeqCst);
            if !write_by.is_ahead() {
                written.store(number > 0, Ordering::SeqCst);
                return Err(std::io::Error::other("the claim's write_by had passed"));
            }
            if number == 0 {
                connected(claimed);
            }
            Ok(piece)
        }
    }))
}

/// The request's first byte may be written from now on.
fn connected(claimed: bool) {
    if claimed {
        point("S3");
    }
}

/// A piece of a body is out, more will follow.
async fn half_written(claimed: bool) {
    tokio::task::yield_now().await; // lets the connection flush the piece before
    if claimed {
        point("S4");
    }
}

async fn read_bounded(mut response: reqwest::Response) -> Result<Bytes, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break; // cut short: it will not parse
        }
    }
    Ok(Bytes::from(body))
}

/// The error's words without the URL.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
