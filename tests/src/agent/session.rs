//! One socket after another: connect, hello, read and write until it breaks, come back.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::logged::Cursors;
use super::requests::Refusal;
use super::view::Link;
use super::wire::{Entry, Hello, Incoming};
use super::{Request, Shared};

/// Connecting, upgrading, writing a frame and the answer to `hello` may each take so long: the protocol
/// gives a client 5 s for its `hello`.
const STEP: Duration = Duration::from_secs(5);

/// The request id of every `hello`; later requests count from 1.
const HELLO: u64 = 0;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a session ended.
enum Ended {
    /// Come back, at once when it had been open.
    Broken { was_open: bool },
    /// 4500-4999, or `unauthorized`: do not come back.
    Final(u16),
    /// The agent was stopped.
    Stopped,
}

/// Keeps sessions open, one after another, until the agent is stopped or sent away for good.
pub async fn keep(shared: Arc<Shared>, mut requests: mpsc::Receiver<Request>) {
    let mut tries = 0;
    loop {
        let ended = Session::run(&shared, &mut requests).await;
        shared.view.send_modify(|view| {
            view.link = if let Ended::Final(code) = ended { Link::Refused(code) } else { Link::Connecting };
            view.session = None;
        });
        tries = match ended {
            Ended::Final(_) | Ended::Stopped => return,
            Ended::Broken { was_open: true } => 0,
            Ended::Broken { was_open: false } => tries + 1,
        };
        let pause = shared.jitter(|jitter| jitter.pause(tries, shared.backoff_max));
        if timeout(pause, shared.stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// One session's state in the agent's task.
struct Session<'a> {
    shared: &'a Shared,
    socket: Socket,
    /// Empty until the `hello` is answered.
    name: String,
    sent: Option<Cursors>,
    waiting: HashMap<u64, oneshot::Sender<Result<Value, Refusal>>>,
    last_id: u64,
    heard: Instant,
}

impl<'a> Session<'a> {
    async fn run(shared: &'a Shared, requests: &mut mpsc::Receiver<Request>) -> Ended {
        let connected = tokio::select! {
            connected = timeout(STEP, connect(shared)) => connected,
            () = shared.stop.cancelled() => return Ended::Stopped,
        };
        let Ok(Ok(socket)) = connected else { return Ended::Broken { was_open: false } };
        let mut session = Self {
            shared,
            socket,
            name: String::new(),
            sent: cursors_to_send(shared),
            waiting: HashMap::new(),
            last_id: HELLO,
            heard: Instant::now(),
        };
        let hello = session.hello();
        if !session.write(hello).await {
            return Ended::Broken { was_open: false };
        }
        session.exchange(requests).await
    }

    async fn exchange(&mut self, requests: &mut mpsc::Receiver<Request>) -> Ended {
        loop {
            let open = !self.name.is_empty();
            let patience = if open { self.shared.silence } else { STEP };
            tokio::select! {
                () = self.shared.stop.cancelled() => return Ended::Stopped,
                () = self.shared.cut.notified(), if open => return self.broken(None),
                () = sleep_until(self.heard + patience) => return self.broken(None),
                message = self.socket.next() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => if let Some(ended) = self.incoming(text.as_str()) {
                            return ended;
                        },
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(frame))) => return self.broken(frame.map(|frame| frame.code.into())),
                        Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                            self.shared.logged.unreadable(&self.name, "a binary frame");
                            return self.broken(None);
                        }
                        Some(Err(_)) | None => return self.broken(None),
                    }
                }
                request = requests.recv(), if open => match request {
                    Some(request) => if !self.ask(request).await {
                        return self.broken(None);
                    },
                    None => return Ended::Stopped,
                },
            }
        }
    }

    /// Nobody hears of requests without an answer but by their end: their senders go with the session.
    fn broken(&self, code: Option<u16>) -> Ended {
        if !self.name.is_empty() {
            self.shared.logged.close(&self.name, code);
        }
        match code {
            Some(code @ 4500..=4999) => Ended::Final(code),
            _ => Ended::Broken { was_open: !self.name.is_empty() },
        }
    }

    fn hello(&self) -> Value {
        let mut hello = json!({"id": HELLO, "type": "hello"});
        if !self.shared.token_in_header {
            hello["token"] = self.shared.token.as_str().into();
        }
        if let Some((epoch, feeds)) = &self.sent {
            hello["cursors"] = json!({"feed_epoch": epoch, "feeds": feeds});
        }
        hello
    }

    /// Sends one request on; a caller that has left is not asked for.
    async fn ask(&mut self, request: Request) -> bool {
        let Request { mut body, answer } = request;
        if answer.is_closed() {
            return true;
        }
        self.last_id += 1;
        body["id"] = self.last_id.into();
        self.waiting.insert(self.last_id, answer);
        self.write(body).await
    }

    async fn write(&mut self, body: Value) -> bool {
        let text = Message::Text(body.to_string().into());
        matches!(timeout(STEP, self.socket.send(text)).await, Ok(Ok(())))
    }

    fn incoming(&mut self, text: &str) -> Option<Ended> {
        match self.understand(text) {
            Ok(ended) => ended,
            Err(error) => {
                self.shared.logged.unreadable(&self.name, &format!("{error:#}"));
                Some(self.broken(None))
            }
        }
    }

    fn understand(&mut self, text: &str) -> anyhow::Result<Option<Ended>> {
        let frame: Incoming<'_> = serde_json::from_str(text)?;
        match &*frame.kind {
            "ok" | "error" => return self.answer(frame),
            "entry" => {
                let received = frame.entry.context("an entry frame without its entry")?.get();
                let (feed, seq) = frame.feed.zip(frame.seq).context("an entry frame without feed and seq")?;
                let entry: Entry = serde_json::from_str(received)?;
                let epoch = self.shared.view.borrow().feed_epoch;
                self.shared.logged.frame(&self.name, epoch, &feed, seq, &entry, received);
                self.shared.view.send_modify(|view| view.frame(&feed, seq, &entry));
            }
            "resync" => {
                let (epoch, feeds) = frame.feed_epoch.zip(frame.feeds).context("a resync without its feeds")?;
                let chats = frame.chats.context("a resync without its chats")?;
                self.shared.logged.resync(&self.name, epoch, &feeds);
                self.shared.view.send_modify(|view| view.resync(epoch, feeds, chats));
            }
            "read_mark" => {} // said in passing: nothing is decided by it
            other => anyhow::bail!("a frame of type `{other}`"),
        }
        Ok(None)
    }

    fn answer(&mut self, frame: Incoming<'_>) -> anyhow::Result<Option<Ended>> {
        let re = frame.re.context("an answer without `re`")?;
        let answer = if frame.kind == "ok" {
            Ok(frame.result.context("`ok` without its result")?)
        } else {
            let code = frame.code.context("an error without its code")?.into_owned();
            Err(Refusal { code, message: frame.message.unwrap_or_default().into_owned(), retry: frame.retry })
        };
        if re == HELLO {
            return match answer {
                Ok(result) => self.opened(&serde_json::from_str(result.get())?),
                Err(refusal) if refusal.code == "unauthorized" => Ok(Some(Ended::Final(4500))),
                Err(_) => Ok(Some(Ended::Broken { was_open: false })),
            };
        }
        let waiting = self.waiting.remove(&re).context("an answer to nothing that was asked, or a second one")?;
        let answer =
            answer.map(|result| serde_json::from_str(result.get())).map_or_else(|no| Ok(Err(no)), |yes| yes.map(Ok))?;
        drop(waiting.send(answer)); // its caller may have left
        Ok(None)
    }

    fn opened(&mut self, hello: &Hello) -> anyhow::Result<Option<Ended>> {
        anyhow::ensure!(self.name.is_empty(), "a second answer to `hello`");
        self.name.clone_from(&hello.session);
        let recovered = self.shared.logged.open(hello, self.sent.as_ref());
        self.shared.view.send_modify(|view| {
            view.link = Link::Open;
            view.sessions += 1;
            view.session = Some(hello.session.clone());
            view.server = Some(hello.server.clone());
            view.feed_epoch = hello.feed_epoch;
            if !recovered {
                view.cursors.clear();
            }
        });
        Ok(None)
    }
}

/// Cursors are worth sending once a resync or a replay gave some.
fn cursors_to_send(shared: &Shared) -> Option<Cursors> {
    let view = shared.view.borrow();
    (!view.cursors.is_empty()).then(|| (view.feed_epoch, view.cursors.clone()))
}

async fn connect(shared: &Shared) -> anyhow::Result<Socket> {
    let server = {
        let servers = shared.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = shared.jitter(|jitter| jitter.below(servers.len()));
        servers.get(place).cloned().context("no chatserver is listed")?
    };
    let mut request = server.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("switchboard.v1"));
    if shared.token_in_header {
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", shared.token))?);
    }
    let (socket, _) = connect_async(request).await?;
    Ok(socket)
}
