//! An observer of attachments: uploads and downloads as an agent's desktop does, and writes down what it saw.
//!
//! `file.jsonl` is what FI-1 and FI-2 are decided from; tests/README.md has its fields.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::{Client, RequestBuilder, header};
use serde_json::{Value, json};

use crate::observer::{SharedLog, sha256_hex};

/// What an upload or download became.
#[derive(Clone, Debug)]
pub struct Answered {
    /// HTTP status; 0 when no answer came, or not all of it.
    pub status: u16,
    /// The answer's body: of a download the file.
    pub body: Vec<u8>,
    /// An upload's answer as JSON; of a download, null.
    pub told: Value,
}

impl Answered {
    /// The id of an uploaded file.
    ///
    /// # Panics
    ///
    /// When it was not taken.
    pub fn file(&self) -> String {
        let id = self.told["file"].as_str().filter(|_| self.status == 201);
        id.unwrap_or_else(|| panic!("the upload was answered {}: {}", self.status, self.told)).to_owned()
    }
}

/// One agent's way to the files of an account.
#[derive(Debug)]
pub struct FileClient {
    client: Client,
    agent: String,
    token: String,
    account: String,
    log: SharedLog,
    /// What each file should hold, where that is known.
    known: Mutex<HashMap<String, Vec<u8>>>,
}

impl FileClient {
    /// A client with an agent's token.
    pub fn new(agent: &str, token: &str, account: &str, log: SharedLog) -> Self {
        let known = Mutex::default();
        let (agent, token, account) = (agent.to_owned(), token.to_owned(), account.to_owned());
        Self { client: Client::new(), agent, token, account, log, known }
    }

    /// Uploads under a key of the agent's own, at the server with this address. The same key again is the same file.
    pub async fn put(&self, server: &str, client_key: &str, name: &str, mime: &str, bytes: &[u8]) -> Answered {
        let url = format!("{server}/files/{}/{client_key}", self.account);
        let request = self.client.put(url).query(&[("name", name)]).header(header::CONTENT_TYPE, mime);
        let answered = self.ask(request.body(bytes.to_vec())).await;
        let told: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        if let Some(file) = told["file"].as_str() {
            self.expect(file, bytes);
        }
        self.log.write(
            "put",
            json!({
                "agent": self.agent, "acct": self.account, "server": server, "client_key": client_key,
                "file": told["file"], "sha256": sha256_hex(bytes), "bytes": bytes.len(), "status": answered.status,
            }),
        );
        Answered { told, ..answered }
    }

    /// From now on this file is known to hold these bytes: ranges of it can be judged.
    pub fn expect(&self, file: &str, bytes: &[u8]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned(), bytes.to_vec());
    }

    /// Downloads the whole file.
    pub async fn get(&self, server: &str, file: &str) -> Answered {
        self.fetch(server, file, None).await
    }

    /// Downloads the bytes from `first` to `last`, both included.
    pub async fn get_range(&self, server: &str, file: &str, first: usize, last: usize) -> Answered {
        self.fetch(server, file, Some((first, last))).await
    }

    async fn fetch(&self, server: &str, file: &str, range: Option<(usize, usize)>) -> Answered {
        let mut request = self.client.get(format!("{server}/files/{}/{file}", self.account));
        if let Some((first, last)) = range {
            request = request.header(header::RANGE, format!("bytes={first}-{last}"));
        }
        let answered = self.ask(request).await;
        let (known, whole) = (self.known.lock().unwrap_or_else(PoisonError::into_inner), answered.status == 200);
        let want = known.get(file).and_then(|bytes| match range {
            Some((first, last)) if !whole => bytes.get(first..bytes.len().min(last + 1)),
            _ => Some(bytes.as_slice()),
        });
        let got = matches!(answered.status, 200 | 206);
        self.log.write(
            "get",
            json!({
                "agent": self.agent, "acct": self.account, "server": server, "file": file,
                "sha256": got.then(|| sha256_hex(&answered.body)), "bytes": answered.body.len(), "status": answered.status,
                "range": range.map(|(first, last)| format!("{first}-{last}")), "want": want.map(sha256_hex),
            }),
        );
        answered
    }

    /// Sends a request with the token. A torn answer counts as none.
    async fn ask(&self, request: RequestBuilder) -> Answered {
        let nothing = Answered { status: 0, body: Vec::new(), told: Value::Null };
        let Ok(answer) = request.bearer_auth(&self.token).send().await else { return nothing };
        let status = answer.status().as_u16();
        match answer.bytes().await {
            Ok(body) => Answered { status, body: body.to_vec(), told: Value::Null },
            Err(_) => nothing,
        }
    }
}
