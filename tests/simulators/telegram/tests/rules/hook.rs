//! A webhook of the test's own.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::platform::DEADLINE;

/// What the webhook answers to its n-th request.
type Answers = dyn Fn(usize, &Value) -> Response + Send + Sync;

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub secrets: Vec<String>,
    pub body: Value,
}

/// A webhook of the test's own.
pub struct Hook {
    pub url: String,
    heard: Arc<Heard>,
    serving: tokio::task::JoinHandle<()>,
}

struct Heard {
    asked: Mutex<Vec<Asked>>,
    answers: Box<Answers>,
    /// Answers wait for this.
    open: watch::Sender<bool>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An empty answer.
pub fn status(code: u16) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    response
}

async fn hear(State(heard): State<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let secrets = headers.get_all("x-telegram-bot-api-secret-token").iter();
    let secrets = secrets.map(|secret| secret.to_str().expect("text").to_owned()).collect();
    let number = {
        let mut asked = heard.asked.lock().expect("not poisoned");
        asked.push(Asked { at: Instant::now(), secrets, body: body.clone() });
        asked.len() - 1
    };
    let _ = heard.open.subscribe().wait_for(|open| *open).await;
    (heard.answers)(number, &body)
}

impl Hook {
    pub async fn start(answers: impl Fn(usize, &Value) -> Response + Send + Sync + 'static) -> Self {
        let open = watch::Sender::new(true);
        let heard = Arc::new(Heard { asked: Mutex::default(), answers: Box::new(answers), open });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/webhooks/support", listener.local_addr().expect("it listens"));
        let router = Router::new().fallback(hear).with_state(Arc::clone(&heard));
        let serving = tokio::spawn(async { axum::serve(listener, router).await.expect("it serves") });
        Self { url, heard, serving }
    }

    /// Lets answers leave, or holds them back.
    pub fn open(&self, open: bool) {
        self.heard.open.send_replace(open);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.heard.asked.lock().expect("not poisoned").clone()
    }

    /// What the messages said.
    pub fn texts(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.body["message"]["text"].as_str().unwrap_or("-").to_owned()).collect()
    }

    /// Waits for so many requests.
    pub async fn until(&self, count: usize) -> Vec<Asked> {
        let began = Instant::now();
        while self.asked().len() < count {
            assert!(began.elapsed() < DEADLINE, "{count} requests did not come, but {:?}", self.texts());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        self.asked()
    }
}
