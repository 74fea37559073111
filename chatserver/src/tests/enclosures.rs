use switchboard_common::model::{FileId, FileKind, FileLimits};
use switchboard_common::store::NewFile;

use super::*;

impl Fleet {
    async fn let_files_through(&self) {
        let files = Some(FileLimits { photo_max_bytes: 8, file_max_bytes: 16, caption_max_utf16: 1024 });
        let capabilities = Capabilities { text_max_utf16: 4096, limits: Vec::new(), files, address: None };
        self.database.set_capabilities(self.account, &capabilities).await.unwrap();
    }

    /// What `agent` uploaded, as the file server leaves it; `whole`: to its last byte.
    async fn uploaded(&self, agent: &str, bytes: &'static [u8], sniffed: &str, whole: bool) -> FileId {
        let (id, agent) = (FileId::new(), self.database.agent(agent).await.unwrap().unwrap().id);
        let new = NewFile {
            account: self.account,
            id: &id,
            inbound: false,
            kind: FileKind::Document,
            name: Some("bill.png"),
            mime: Some("application/x-declared"),
            agent: Some(agent),
            client_key: Some(id.as_str()),
        };
        self.database.begin_upload(&new).await.unwrap();
        assert!(self.database.write_chunks(self.account, &id, 0, &[bytes.into()]).await.unwrap());
        if whole {
            let size = bytes.len() as i64;
            self.database.finish_upload(self.account, &id, size, &[0; 32], Some(sniffed)).await.unwrap();
        }
        id
    }
}

#[tokio::test]
async fn an_agent_sends_a_file() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let photo = fleet.uploaded("anna", b"\x89PNG", "image/png", true).await;
    let send = |key: &str, file: &str, text: &str| json!({"type": "send", "chat": "1", "client_key": key, "text": text, "file": file});
    assert_eq!(anna.refused(send("k", photo.as_str(), "x")).await, "unsupported", "the account takes no files");
    fleet.let_files_through().await;

    let accepted = anna.ok(send("k1", photo.as_str(), "the bill")).await;
    assert_eq!((&accepted["parts"], &accepted["repeated"]), (&json!(1), &json!(false)));
    let entries = anna.entries_until(|frame| frame["entry"]["client_key"] == "k1").await;
    let entry = &entries.last().unwrap()["entry"];
    let shown =
        json!([{"file": photo.as_str(), "kind": "photo", "name": "bill.png", "mime": "image/png", "size_bytes": 4}]);
    assert_eq!((&entry["text"], &entry["files"]), (&json!("the bill"), &shown));
    assert_eq!(anna.ok(send("k1", photo.as_str(), "the bill")).await["repeated"], true);
    let other = fleet.uploaded("anna", b"\x89PNG", "image/png", true).await;
    assert_eq!(anna.refused(send("k1", other.as_str(), "the bill")).await, "key_conflict");

    // Words are optional with a file, and how it is sent can be asked for.
    let mut bare = send("k2", other.as_str(), "");
    bare["as"] = json!("document");
    assert_eq!(anna.ok(bare).await["parts"], 1);
    let long = anna.ok(send("k3", other.as_str(), &"word ".repeat(300))).await;
    assert_eq!(long["parts"], 2, "more words than go with a file follow it");
    fleet.finish().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_sent_is_refused_by_name() {
    let mut fleet = Fleet::new().await;
    fleet.let_files_through().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let eves = fleet.uploaded("eve", b"\x89PNG", "image/png", true).await;
    let half = fleet.uploaded("anna", b"\x89PNG", "image/png", false).await;
    let large = fleet.uploaded("anna", b"12345678901234567", "text/plain", true).await;
    let picture = fleet.uploaded("anna", b"1234567890", "image/jpeg", true).await;
    let text = fleet.uploaded("anna", b"12345", "text/plain", true).await;
    for (file, how, code) in [
        (FileId::new().as_str(), json!(null), "not_found"),
        ("../../etc/passwd", json!(null), "not_found"),
        (eves.as_str(), json!(null), "not_found"),
        (half.as_str(), json!(null), "not_found"),
        (large.as_str(), json!(null), "too_large"),
        (picture.as_str(), json!("photo"), "too_large"),
        (text.as_str(), json!("photo"), "unsupported"),
        (text.as_str(), json!("video"), "bad_request"),
    ] {
        let send = json!({"type": "send", "chat": "1", "client_key": "k", "text": "x", "file": file, "as": how});
        assert_eq!(anna.refused(send).await, code, "{file} {how}");
    }
    assert_eq!(fleet.number("SELECT count(*) FROM outbox").await, 0);
    fleet.finish().await;
}
