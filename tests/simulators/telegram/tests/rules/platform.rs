//! A simulator of the test's own, and the calls that tests make.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use telegram_simulator::{
    limits::Rules,
    server::{Listening, Settings},
};

pub const TOKEN: &str = "42:TESTTOKEN";
pub const OLGA: i64 = 700100200;
/// Nothing here takes this long unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(15);
static FOLDERS: AtomicU32 = AtomicU32::new(0);

pub struct Platform {
    pub base: String,
    pub client: Client,
    folder: PathBuf,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
        // A failed test must not fail a second time here.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Platform {
    /// Without limits and without the brake on repeated offsets: a test of those switches them on.
    pub async fn start() -> Self {
        Self::with(Rules { enforce: false, poll_guard: false, ..Rules::default() }).await
    }

    /// As the cloud server is, and not as the self-hosted one: webhooks need HTTPS.
    pub async fn start_cloud() -> Self {
        Self::open(Rules { enforce: false, poll_guard: false, ..Rules::default() }, false).await
    }

    pub async fn with(rules: Rules) -> Self {
        Self::open(rules, true).await
    }

    async fn open(rules: Rules, local: bool) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rules-{}-{number}", std::process::id()));
        let settings = Settings {
            listen: "127.0.0.1:0".parse().expect("a constant address"),
            bots: vec![("support".into(), TOKEN.into()), ("sales".into(), "43:OTHER".into())],
            log: folder.join("mock.jsonl"),
            reply_delay: Duration::ZERO,
            seed: 1,
            rules,
            desk: None,
            local,
            mute: false,
        };
        let listening = Listening::open(settings).await.expect("a free port and a new folder");
        let base = format!("http://{}", listening.address().expect("it listens"));
        let serving = tokio::spawn(async { listening.serve().await.expect("it serves") });
        Self { base, client: Client::new(), folder, serving }
    }

    pub fn url(&self, method: &str) -> String {
        format!("{}/bot{TOKEN}/{method}", self.base)
    }

    /// Calls a method with a JSON body; the status and the whole envelope.
    pub async fn call(&self, method: &str, params: Value) -> (StatusCode, Value) {
        let request = self.client.post(self.url(method)).json(&params).timeout(DEADLINE);
        let response = request.send().await.expect("an HTTP answer");
        let status = response.status();
        (status, response.json().await.expect("a JSON body"))
    }

    /// Calls a method that must succeed; its result.
    pub async fn ok(&self, method: &str, params: Value) -> Value {
        let (status, body) = self.call(method, params.clone()).await;
        assert_eq!((status, &body["ok"]), (StatusCode::OK, &json!(true)), "{method} {params}: {body}");
        body["result"].clone()
    }

    /// Calls a method that must be refused; its code and words.
    pub async fn refused(&self, method: &str, params: Value) -> (u16, String) {
        let (status, body) = self.call(method, params.clone()).await;
        assert_eq!(body["ok"], json!(false), "{method} {params}: {body}");
        assert_eq!(body["error_code"], json!(status.as_u16()), "the status equals the code: {body}");
        (status.as_u16(), body["description"].as_str().expect("a description").to_owned())
    }

    /// Update numbers that a poll without waiting gets.
    pub async fn poll(&self, params: Value) -> Vec<i64> {
        let updates = self.ok("getUpdates", params).await;
        let number = |update: &Value| update["update_id"].as_i64().expect("a number");
        updates.as_array().expect("a list").iter().map(number).collect()
    }

    /// A poll that may fail on its way.
    pub async fn poll_raw(&self, params: Value) -> reqwest::Result<reqwest::Response> {
        self.client.post(self.url("getUpdates")).json(&params).timeout(DEADLINE).send().await
    }

    /// An order of the control API that must be carried out.
    pub async fn order(&self, path: &str, mut body: Value) -> Value {
        if path != "clock" {
            body["acct"] = json!("support");
        }
        let (status, answer) = self.try_order(path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub async fn try_order(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/control/{path}", self.base)).json(&body);
        let response = request.send().await.expect("an HTTP answer");
        let status = response.status();
        (status, response.json().await.expect("a JSON body"))
    }

    /// Olga sends a file that must be taken; what becomes of it.
    pub async fn file(&self, told: &[(&str, &str)], bytes: &[u8]) -> Value {
        let (status, answer) = self.try_file(told, bytes).await;
        assert_eq!(status, StatusCode::OK, "{told:?}: {answer}");
        answer
    }

    pub async fn try_file(&self, told: &[(&str, &str)], bytes: &[u8]) -> (StatusCode, Value) {
        let request = self.client.post(format!("{}/control/file", self.base)).query(&[("acct", "support")]);
        let request = request.query(&[("chat", OLGA)]).query(told).body(bytes.to_vec());
        let response = request.send().await.expect("an HTTP answer");
        let status = response.status();
        (status, response.json().await.expect("a JSON body"))
    }

    /// Olga shows a profile photo; without bytes she hides all.
    pub async fn face(&self, bytes: &[u8]) {
        let request = self.client.post(format!("{}/control/face", self.base)).query(&[("acct", "support")]);
        let response = request.query(&[("chat", OLGA)]).body(bytes.to_vec()).send().await.expect("an HTTP answer");
        assert_eq!(response.status(), StatusCode::OK);
    }

    pub async fn look(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}/control/{path}", self.base)).send().await.expect("an HTTP answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("a JSON body")
    }

    pub async fn state(&self) -> Value {
        self.look("state?acct=support").await
    }

    /// Olga writes; the number of the update.
    pub async fn say(&self, text: &str) -> i64 {
        let deed = self.order("message", json!({ "chat": OLGA, "text": text })).await;
        deed["update_id"].as_i64().expect("it is queued")
    }

    /// Waits until the state is as wanted.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let state = self.state().await;
            if holds(&state) {
                return state;
            }
            assert!(began.elapsed() < DEADLINE, "{what} did not come: {state}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The log's lines of one kind.
    pub fn log(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("mock.jsonl")).expect("the log is there");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
        lines.filter(|line| line["ev"] == event).collect()
    }
}
