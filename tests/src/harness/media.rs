//! Files that customers send and get, and what the simulator's webhook does: the rest of its control interface.

use serde_json::{Value, json};

use super::Simulator;
use super::deed::ACCOUNT;

/// A file in a conversation, as the customer's phone has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFile {
    /// `customer` or `bot`.
    pub from: String,
    /// `photo`, `document` …
    pub kind: String,
    /// As declared.
    pub name: Option<String>,
    /// The caption.
    pub text: Option<String>,
    /// How many bytes it has.
    pub bytes: u64,
    /// Of its bytes, as text.
    pub sha256: String,
    /// The platform's name of it.
    pub file_id: String,
}

impl Simulator {
    /// A customer sends a file of any kind: `told` are the order's other fields (`name`, `mime`, `album`, `claims_bytes` …).
    ///
    /// # Panics
    ///
    /// When it is refused: the scenario is wrong then.
    pub async fn file(&self, customer: i64, kind: &str, told: &[(&str, &str)], bytes: &[u8]) -> Value {
        let chat = customer.to_string();
        let name = format!("Customer {customer}");
        let who = [("acct", ACCOUNT), ("chat", &chat), ("kind", kind), ("first_name", &name)];
        let request = self.client().post(format!("{}/control/file", self.base())).query(&who).query(told);
        let answer = request.body(bytes.to_vec()).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("the simulator does not answer: {error}"));
        let status = answer.status();
        let text = answer.text().await.expect("an answer");
        assert!(status.is_success(), "{kind} {told:?}: {status} {text}");
        serde_json::from_str(&text).expect("an answer is JSON")
    }

    /// A customer sends a photo; [`picture`] makes one.
    pub async fn photo(&self, customer: i64, bytes: &[u8], caption: &str) -> Value {
        let told = [("caption", caption)];
        self.file(customer, "photo", if caption.is_empty() { &[] } else { &told }, bytes).await
    }

    /// A customer sends a document.
    pub async fn document(&self, customer: i64, name: &str, mime: &str, bytes: &[u8], caption: &str) -> Value {
        let told = [("name", name), ("mime", mime), ("caption", caption)];
        self.file(customer, "document", if caption.is_empty() { &told[..2] } else { &told }, bytes).await
    }

    /// All files of a conversation, oldest first.
    pub async fn files(&self, customer: i64) -> Vec<SeenFile> {
        let conversation = self.chat(customer).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let rows = conversation["messages"].as_array().cloned().unwrap_or_default();
        let with_file = rows.iter().filter(|row| row["file"].is_object());
        with_file
            .map(|row| {
                let file = &row["file"];
                SeenFile {
                    from: text(&row["from"]).unwrap_or_default(),
                    kind: text(&file["kind"]).unwrap_or_default(),
                    name: text(&file["name"]),
                    text: text(&row["text"]),
                    bytes: file["bytes"].as_u64().unwrap_or_default(),
                    sha256: text(&file["sha256"]).unwrap_or_default(),
                    file_id: text(&file["file_id"]).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// What the account sent to a customer.
    pub async fn files_sent(&self, customer: i64) -> Vec<SeenFile> {
        let mut files = self.files(customer).await;
        files.retain(|file| file.from == "bot");
        files
    }

    /// The bytes of a file of either side.
    pub async fn media(&self, file_id: &str) -> Vec<u8> {
        let query = [("acct", ACCOUNT), ("file_id", file_id)];
        let request = self.client().get(format!("{}/control/media", self.base())).query(&query);
        request.send().await.expect("an answer").bytes().await.expect("bytes").to_vec()
    }

    /// The next `count` downloads go wrong.
    pub async fn spoil_downloads(&self, mode: &str, count: u32, delay_ms: u64) {
        self.order("fault", json!({"method": "download", "mode": mode, "count": count, "delay_ms": delay_ms})).await;
    }

    /// The next `count` calls of getFile are told to come back later, as when the platform's storage is away.
    pub async fn files_unavailable(&self, count: u32) {
        let words = "Bad Request: wrong file_id or the file is temporarily unavailable";
        let fault = json!({"method": "getFile", "mode": "error_before", "description": words, "count": count});
        self.order("fault", fault).await;
    }

    /// How deliveries to the webhook go from now on (`copies`, `to`, `reorder`, `hold`, `timeout_ms`, `backoff_scale`).
    pub async fn deliveries(&self, order: Value) {
        self.order("webhook", order).await;
    }

    /// Sends delivered updates again as they were; the statuses answered, 0 where no answer came.
    pub async fn replay(&self, order: Value) -> Vec<u16> {
        let told = self.order("replay", order).await;
        let statuses = told["statuses"].as_array().cloned().unwrap_or_default();
        statuses.iter().map(|status| status.as_u64().unwrap_or_default() as u16).collect()
    }

    /// Sends a forged request in one of the ways of the simulator's readme; the status answered, 0 for no answer.
    pub async fn forge(&self, how: &str, customer: i64, to: Option<&str>) -> u16 {
        let told = self.order("forge", json!({"how": how, "chat": customer, "to": to})).await;
        told["status"].as_u64().unwrap_or_default() as u16
    }

    /// Somebody else who has the token sets a webhook; with an empty address removes it.
    pub async fn set_webhook(&self, url: &str) {
        self.order("set_webhook", json!({"url": url})).await;
    }

    /// The account's token is this from now on.
    pub async fn replace_token(&self, token: &str) {
        self.order("token", json!({"token": token})).await;
    }
}

/// Bytes that the platform takes for a photo of this size: a PNG's header, and then `filler` for as long as wanted. No browser
/// shows it.
pub fn picture(width: u32, height: u32, length: usize, filler: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 6, 0, 0, 0]);
    bytes.resize(length.max(bytes.len()), filler);
    bytes
}
