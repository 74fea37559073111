//! What an agent can ask for, and how it deals with a lost answer.

use std::fmt;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Agent, Link, Request};

/// A typed error of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of the codes of docs/protocol.md.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retry: bool,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server said no.
    Refused(Refusal),
    /// The socket broke before the answer: it may have been done.
    Lost,
    /// Nobody answered within the agent's patience: it may have been done.
    Deadline,
    /// The agent was stopped, or refused for good by the server.
    Ended,
}

impl Failure {
    /// The protocol's code, when the server said no.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.code),
            Self::Lost | Self::Deadline | Self::Ended => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused with {}: {}", refusal.code, refusal.message),
            Self::Lost => f.write_str("the socket broke before the answer"),
            Self::Deadline => f.write_str("no answer within the agent's patience"),
            Self::Ended => f.write_str("the agent has ended"),
        }
    }
}

impl std::error::Error for Failure {}

/// What a person decides about an unconfirmed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send it again.
    Resend,
    /// It arrived.
    MarkSent,
    /// Give it up.
    Drop,
}

impl Decision {
    fn word(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::MarkSent => "mark_sent",
            Self::Drop => "drop",
        }
    }
}

impl Agent {
    /// Takes a waiting chat; the seq of its `taken` entry. Asked again when the answer was lost.
    pub async fn take(&self, chat: &str) -> Result<i64, Failure> {
        let result = self.persist(json!({"type": "take", "chat": chat}), |_| {}).await?;
        Ok(result["seq"].as_i64().unwrap_or_default())
    }

    /// Closes an own chat. After a lost answer the repeat may be refused as `closed`.
    pub async fn close(&self, chat: &str) -> Result<i64, Failure> {
        let result = self.persist(json!({"type": "close", "chat": chat}), |_| {}).await?;
        Ok(result["seq"].as_i64().unwrap_or_default())
    }

    /// Sends a text; the same client key again after every lost answer, until it is accepted or
    /// refused for good. The result is the server's: `chat`, `seq`, `parts`, `repeated`.
    pub async fn send(&self, chat: &str, client_key: &str, text: &str) -> Result<Value, Failure> {
        self.send_text(chat, client_key, text, None, None, None).await
    }

    /// As [`Agent::send`], with a file uploaded before.
    pub async fn send_file(&self, chat: &str, client_key: &str, text: &str, file: &str) -> Result<Value, Failure> {
        self.send_text(chat, client_key, text, Some(file), None, None).await
    }

    /// As [`Agent::send`], in a lane: `interactive`, `bot` or `bulk`.
    pub async fn send_in(&self, lane: &str, chat: &str, client_key: &str, text: &str) -> Result<Value, Failure> {
        self.send_text(chat, client_key, text, None, Some(lane), None).await
    }

    /// As [`Agent::send`], with the newest seq the agent has on screen.
    pub async fn send_seen(
        &self,
        chat: &str,
        client_key: &str,
        text: &str,
        seen_seq: Option<i64>,
    ) -> Result<Value, Failure> {
        self.send_text(chat, client_key, text, None, None, seen_seq).await
    }

    async fn send_text(
        &self,
        chat: &str,
        client_key: &str,
        text: &str,
        file: Option<&str>,
        lane: Option<&str>,
        seen_seq: Option<i64>,
    ) -> Result<Value, Failure> {
        let mut body = json!({"type": "send", "chat": chat, "client_key": client_key, "text": text});
        if let Some(seen_seq) = seen_seq {
            body["seen_seq"] = seen_seq.into();
        }
        if let Some(file) = file {
            body["file"] = file.into();
        }
        if let Some(lane) = lane {
            body["lane"] = lane.into();
        }
        self.shared.logged.submit(client_key, chat, text, lane.unwrap_or("interactive"));
        let result = self.persist(body, |refusal| self.shared.logged.refused(client_key, refusal)).await?;
        self.shared.logged.accepted(client_key, &result);
        Ok(result)
    }

    /// Decides about an unconfirmed part. Asked once: after a lost answer nobody knows whether it took.
    pub async fn decide(&self, decision: Decision, chat: &str, seq: i64, part: i64) -> Result<(), Failure> {
        let body = json!({"type": decision.word(), "chat": chat, "seq": seq, "part": part});
        let answer = self.once(body).await;
        let code = answer.as_ref().err().and_then(Failure::code);
        self.shared.logged.decision(decision.word(), chat, seq, Some(part), answer.is_ok(), code);
        answer.map(drop)
    }

    /// Takes back what still waits; the parts that were.
    pub async fn cancel(&self, chat: &str, seq: i64) -> Result<Vec<i64>, Failure> {
        let answer = self.once(json!({"type": "cancel", "chat": chat, "seq": seq})).await;
        let code = answer.as_ref().err().and_then(Failure::code);
        self.shared.logged.decision("cancel", chat, seq, None, answer.is_ok(), code);
        Ok(answer?["cancelled"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect())
    }

    /// A page of a chat's log, oldest first; `before` is exclusive.
    pub async fn history(&self, chat: &str, before: Option<i64>, limit: u32) -> Result<Value, Failure> {
        let mut body = json!({"type": "history", "chat": chat, "limit": limit});
        if let Some(before) = before {
            body["before"] = before.into();
        }
        self.persist(body, |_| {}).await
    }

    /// The undecided parts of a chat, or of one of its messages, each as the server says it: what they wait for.
    pub async fn waiting(&self, chat: &str, seq: Option<i64>) -> Result<Vec<Value>, Failure> {
        let mut body = json!({"type": "waiting", "chat": chat});
        if let Some(seq) = seq {
            body["seq"] = seq.into();
        }
        let mut result = self.persist(body, |_| {}).await?;
        Ok(result["parts"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Any request, once and as it is, but for its `id`. What it does is not logged.
    pub async fn raw(&self, body: Value) -> Result<Value, Failure> {
        self.once(body).await
    }

    /// Asks again after a lost answer and after refusals that may pass, for as long as the agent's
    /// patience lasts; `refused` hears of every refusal.
    async fn persist(&self, body: Value, refused: impl Fn(&Refusal)) -> Result<Value, Failure> {
        let deadline = Instant::now() + self.shared.patience;
        for n in 0_u32.. {
            match self.ask(body.clone(), deadline).await {
                Err(Failure::Refused(refusal)) => {
                    refused(&refusal);
                    if !refusal.retry {
                        return Err(Failure::Refused(refusal));
                    }
                    let pause = self.shared.jitter(|jitter| jitter.pause(n, self.shared.backoff_max));
                    let stopped =
                        timeout_at((Instant::now() + pause).min(deadline), self.shared.stop.cancelled()).await;
                    if stopped.is_ok() {
                        return Err(Failure::Ended);
                    }
                }
                Err(Failure::Lost) => {}
                answer => return answer,
            }
        }
        Err(Failure::Deadline)
    }

    async fn once(&self, body: Value) -> Result<Value, Failure> {
        self.ask(body, Instant::now() + self.shared.patience).await
    }

    /// One question to the present session, or to the next when there is none.
    async fn ask(&self, body: Value, deadline: Instant) -> Result<Value, Failure> {
        let (answer, answered) = oneshot::channel();
        let mut view = self.shared.view.subscribe();
        let exchange = async {
            let link = view.wait_for(|view| view.link != Link::Connecting).await.map(|view| view.link);
            if !matches!(link, Ok(Link::Open)) {
                return Err(Failure::Ended);
            }
            self.requests.send(Request { body, answer }).await.map_err(|_| Failure::Ended)?;
            answered.await.map_err(|_| Failure::Lost)?.map_err(Failure::Refused)
        };
        tokio::select! {
            answer = exchange => answer,
            () = self.shared.stop.cancelled() => Err(Failure::Ended),
            () = tokio::time::sleep_until(deadline) => Err(Failure::Deadline),
        }
    }
}
