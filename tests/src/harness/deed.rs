//! What customers do, and what the platform is told to do wrong: the simulator's control interface.

use serde_json::{Value, json};

/// The account all scenarios use.
pub const ACCOUNT: &str = "support";

/// A running simulator's control.
#[derive(Clone, Debug)]
pub struct Simulator {
    client: reqwest::Client,
    base: String,
}

impl Simulator {
    /// The simulator at `port`.
    pub fn new(port: u16) -> Self {
        Self { client: reqwest::Client::new(), base: format!("http://127.0.0.1:{port}") }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Any order; the account is added.
    ///
    /// # Panics
    ///
    /// When it is refused: the scenario is wrong then.
    pub async fn order(&self, what: &str, mut body: Value) -> Value {
        if body["acct"].is_null() && what != "clock" {
            body["acct"] = ACCOUNT.into();
        }
        let answer = self.client.post(format!("{}/control/{what}", self.base)).json(&body).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("the simulator does not answer: {error}"));
        let status = answer.status();
        let text = answer.text().await.expect("an answer");
        assert!(status.is_success(), "{what} {body}: {status} {text}");
        serde_json::from_str(&text).expect("an answer is JSON")
    }

    /// A customer writes.
    pub async fn message(&self, chat: i64, text: &str) -> Value {
        self.order("message", json!({"chat": chat, "text": text, "first_name": format!("Customer {chat}")})).await
    }

    /// The next `count` calls of `sendMessage` go wrong.
    pub async fn fault(&self, mode: &str, count: u32) {
        self.order("fault", json!({"method": "sendMessage", "mode": mode, "count": count})).await;
    }

    /// What the simulator knows of the account.
    pub async fn state(&self) -> Value {
        let url = format!("{}/control/state?acct={ACCOUNT}", self.base);
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// A conversation, both ways.
    pub async fn chat(&self, chat: i64) -> Value {
        let url = format!("{}/control/chat?acct={ACCOUNT}&chat={chat}", self.base);
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }
}
