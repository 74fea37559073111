//! One agent's socket: hello, then requests one at a time and in order, while frames flow.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use chrono::Utc;
use secrecy::SecretString;
use switchboard_common::access::Caller;
use switchboard_common::faults::{armed, point};
use switchboard_common::model::ChatId;
use switchboard_common::service::metrics;
use switchboard_common::store::Agent;
use uuid::Uuid;

use super::Door;
use super::hello::{self, Farewell, Welcome, greet};
use super::hub::Source;
use super::outlet::{Inlet, Next};
use super::pace::Pace;
use super::protocol::{CloseCode, Code, Failure, Request, RequestId, answer, read};
use super::requests::{Then, Trouble, handle};
use super::socket::{End, Received, Socket};

/// Requests that may wait for the one under way; then the socket is not read.
const WAITING: usize = 64;

/// Bytes of frames after which a write takes no more of them.
pub(super) const WRITTEN_AT_ONCE: usize = 8 << 10;

/// Chats that one session may watch at once.
pub(super) const WATCHED: usize = 20;

/// How long what was asked may take to be answered once the session is told to leave.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves one socket to its end.
pub(super) async fn run(door: Arc<Door>, socket: WebSocket, bearer: Option<SecretString>) {
    let mut socket = Socket::new(socket, door.config.limits.patience, door.shutdown.clone());
    // In boxes, so that an idle session does not keep the room that its beginning and its end need.
    let end = match Box::pin(begin(&door, &mut socket, bearer)).await {
        Ok(welcome) => {
            let session = welcome.session;
            tracing::info!(session.id = %session, agent.id = %welcome.agent.id, "session open");
            let end = Session::new(door.clone(), welcome).run(&mut socket).await;
            Box::pin(hello::leave(&door, session)).await;
            tracing::info!(session.id = %session, ?end, "session over");
            end
        }
        Err(end) => end,
    };
    Box::pin(socket.finish(end)).await;
}

/// Waits for the hello, answers it, and sends what the client starts from.
async fn begin(door: &Door, socket: &mut Socket, bearer: Option<SecretString>) -> Result<Welcome, End> {
    let first = tokio::select! {
        first = first_text(socket) => first?,
        () = tokio::time::sleep(door.config.limits.hello_within) => return Err(End::Close(CloseCode::Unauthorized)),
        () = door.leaving.wait() => return Err(End::Close(CloseCode::Draining)),
    };
    let (id, token, cursors) = match read(&first) {
        Ok((id, Request::Hello { token, cursors })) => (id, token.or(bearer), cursors),
        Ok((id, _)) => {
            return refuse(socket, Some(id), Failure::new(Code::BadRequest, "the first frame is hello")).await;
        }
        Err((id, failure)) => return refuse(socket, id, failure).await,
    };
    match greet(door, &id, token.as_ref(), cursors.as_ref()).await {
        Ok(mut welcome) => {
            for frame in std::mem::take(&mut welcome.frames) {
                if let Err(end) = socket.write(Message::text(frame)).await {
                    hello::leave(door, welcome.session).await;
                    return Err(end);
                }
            }
            Ok(welcome)
        }
        Err(Farewell { answer, code }) => {
            socket.write(Message::text(answer)).await?;
            Err(End::Close(code))
        }
    }
}

async fn first_text(socket: &mut Socket) -> Result<Utf8Bytes, End> {
    loop {
        if let Received::Text(text) = socket.read().await? {
            return Ok(text);
        }
    }
}

async fn refuse<T>(socket: &mut Socket, id: Option<RequestId>, failure: Failure) -> Result<T, End> {
    socket.write(Message::text(answer::<()>(id.as_ref(), Err(failure)))).await?;
    Err(End::Close(CloseCode::BadRequest))
}

type Answering = Pin<Box<dyn Future<Output = Result<(String, Option<Then>), End>> + Send>>;

struct Session {
    door: Arc<Door>,
    agent: Arc<Agent>,
    caller: Arc<Caller>,
    session: Uuid,
    inlet: Inlet,
    pace: Pace,
    /// Requests in order, each with its answer when that is known already.
    waiting: VecDeque<Result<(RequestId, Request), String>>,
    answering: Option<Answering>,
    watched: BTreeSet<ChatId>,
    next_ping: Instant,
    unanswered_pings: u32,
}

impl Session {
    fn new(door: Arc<Door>, welcome: Welcome) -> Self {
        let limits = door.config.limits;
        Self {
            door,
            agent: Arc::new(welcome.agent),
            caller: Arc::new(welcome.caller),
            session: welcome.session,
            inlet: welcome.inlet,
            pace: Pace::new(&limits),
            waiting: VecDeque::new(),
            answering: None,
            watched: welcome.watched,
            next_ping: Instant::now() + limits.ping_every,
            unanswered_pings: 0,
        }
    }

    async fn run(mut self, socket: &mut Socket) -> End {
        loop {
            if let Err(end) = self.step(socket).await {
                return end;
            }
        }
    }

    async fn step(&mut self, socket: &mut Socket) -> Result<(), End> {
        if self.answering.is_none() {
            match self.waiting.pop_front() {
                Some(Ok((id, request))) => self.answering = Some(self.begin_request(id, request)),
                Some(Err(refused)) => return socket.write(Message::text(refused)).await,
                None => {}
            }
        }
        let door = self.door.clone();
        let check = tokio::time::sleep(self.until_next_check());
        tokio::select! {
            () = door.shutdown.wait() => Err(self.last_answers(socket).await),
            answer = under_way(&mut self.answering) => {
                self.answering = None;
                let (answer, then) = answer?;
                socket.write(Message::text(answer)).await?;
                self.follow(then).await;
                Ok(())
            }
            next = self.inlet.next() => match next {
                Next::Write(frame) => {
                    // What has gathered goes with it; one by one where the process is to end between two.
                    let mut bytes = frame.len();
                    let mut frames = vec![frame];
                    while bytes < WRITTEN_AT_ONCE
                        && !armed("C2")
                        && let Some(more) = self.inlet.more() {
                        bytes += more.len();
                        frames.push(more);
                    }
                    socket.write_all(frames.into_iter().map(Message::Text)).await?;
                    self.inlet.written(bytes);
                    if armed("C2") && self.inlet.has_more() {
                        point("C2");
                    }
                    Ok(())
                }
                Next::Close(CloseCode::Draining) => Err(self.last_answers(socket).await),
                Next::Close(code) => Err(End::Close(code)),
            },
            received = socket.read(), if self.waiting.len() < WAITING => {
                self.unanswered_pings = 0;
                if let Received::Text(text) = received? {
                    self.receive(&text);
                }
                Ok(())
            }
            () = check => self.check(socket).await,
        }
    }

    fn receive(&mut self, text: &str) {
        let admitted = self.pace.admits(Instant::now());
        let refused = |id: Option<RequestId>, failure| Err(answer::<()>(id.as_ref(), Err(failure)));
        let too_fast = || Failure::new(Code::TooFast, "at most 20 frames a second");
        self.waiting.push_back(match read(text) {
            Ok((id, _)) if !admitted => refused(Some(id), too_fast()),
            Ok(request) => Ok(request),
            Err((id, failure)) => refused(id, if admitted { failure } else { too_fast() }),
        });
    }

    async fn follow(&mut self, then: Option<Then>) {
        match then {
            Some(Then::Watch(reading)) => {
                if let Source::Chat(chat) = reading.source {
                    self.watched.insert(chat);
                }
                self.door.hub.watch(self.session, reading).await;
            }
            Some(Then::Unwatch(chat)) => {
                self.watched.remove(&chat);
                self.door.hub.unwatch(self.session, chat).await;
            }
            None => {}
        }
    }

    /// The request runs beside the frames; the next one begins when it is answered.
    fn begin_request(&self, id: RequestId, request: Request) -> Answering {
        let (door, agent, caller, session) = (self.door.clone(), self.agent.clone(), self.caller.clone(), self.session);
        let one_more = |chat: ChatId| self.watched.len() >= WATCHED && !self.watched.contains(&chat);
        let too_many = matches!(&request, Request::Watch { chat } if one_more(ChatId(chat.0)));
        Box::pin(async move {
            let name = request.rule().name;
            let mut then = None;
            let result = match too_many {
                true => Err(Failure::new(Code::TooMany, "at most 20 chats are watched: unwatch one first").into()),
                false => handle(&door, &agent, &caller, request, &mut then).await,
            };
            let outcome = match &result {
                Ok(_) => "ok",
                Err(Trouble::Failure(failure)) => failure.code.as_str(),
                Err(Trouble::Internal) => "internal",
            };
            ::metrics::counter!(metrics::WS_REQUESTS, "type" => name, "outcome" => outcome).increment(1);
            match result {
                Ok(result) => Ok((answer(Some(&id), Ok(result)), then)),
                Err(Trouble::Failure(failure)) => Ok((answer::<()>(Some(&id), Err(failure)), None)),
                Err(Trouble::Internal) => {
                    tracing::error!(session.id = %session, request = name, "the session ends by an internal error");
                    Err(End::Close(CloseCode::Internal))
                }
            }
        })
    }

    fn until_next_check(&self) -> Duration {
        let ping = self.next_ping.saturating_duration_since(Instant::now());
        let expiry = (self.caller.identity.until - Utc::now()).to_std().unwrap_or_default();
        ping.min(expiry)
    }

    async fn check(&mut self, socket: &mut Socket) -> Result<(), End> {
        if Utc::now() >= self.caller.identity.until {
            return Err(End::Close(CloseCode::Expired));
        }
        if Instant::now() < self.next_ping {
            return Ok(());
        }
        if self.unanswered_pings >= 2 {
            return Err(End::Close(CloseCode::NoSignOfLife));
        }
        self.unanswered_pings += 1;
        self.next_ping = Instant::now() + self.door.config.limits.ping_every;
        socket.write(Message::Ping(Default::default())).await
    }

    /// The chatserver stops: what was asked is still answered, in its order.
    async fn last_answers(&mut self, socket: &mut Socket) -> End {
        let answering = async {
            loop {
                let asked = match self.answering.take() {
                    Some(answering) => Ok(answering),
                    None => match self.waiting.pop_front() {
                        Some(Ok((id, request))) => Ok(self.begin_request(id, request)),
                        Some(Err(refused)) => Err(refused),
                        None => return End::Close(CloseCode::Draining),
                    },
                };
                let answer = match asked {
                    Ok(answering) => match answering.await {
                        Ok((answer, _)) => answer,
                        Err(end) => return end,
                    },
                    Err(refused) => refused,
                };
                socket.write_last(Message::text(answer)).await;
            }
        };
        tokio::time::timeout(LAST_ANSWERS, answering).await.unwrap_or(End::Close(CloseCode::Draining))
    }
}

async fn under_way(answering: &mut Option<Answering>) -> Result<(String, Option<Then>), End> {
    match answering {
        Some(answering) => answering.await,
        None => std::future::pending().await,
    }
}
