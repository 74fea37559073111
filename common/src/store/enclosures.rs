//! A file that goes with an agent's message: whose it must be, and as what it is sent.

use sha2::{Digest, Sha256};

use super::append::expect;
use super::chats::{LockedChat, Refusal};
use super::items::{FileItem, PartItem};
use super::work::Work;
use super::{Agent, StoreError};
use crate::model::{FileId, FileKind, FileLimits};

/// A file to send with a message.
#[derive(Clone, Copy, Debug)]
pub struct Enclosed<'a> {
    /// Which.
    pub id: &'a FileId,
    /// As a photo or as a document; none: a picture that is small enough as a photo, everything else as a document.
    pub wanted: Option<FileKind>,
}

/// The file of a message, looked at under its row's lock.
pub(super) struct Enclosure {
    id: String,
    /// As what it is sent.
    pub(super) kind: FileKind,
    name: Option<String>,
    mime: Option<String>,
    sniffed: Option<String>,
    size_bytes: i64,
    /// Longest text that goes with it.
    caption_max_utf16: usize,
}

// The row's lock: a file that nobody named yet may be removed, but not between this look and the commit.
const FILE: &str = "
SELECT f.id, f.name, f.mime, f.sniffed, f.size_bytes FROM file f
 WHERE f.account_id = $1 AND f.id = $2 AND f.state = 1 AND file_visible(f, $3) FOR SHARE OF f";

const USE: &str = "
INSERT INTO file_use (account_id, file_id, chat_id, chat_seq) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[FILE, USE];

/// What platforms show as a photo.
const PICTURES: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// What a client key stands for: the text, and the file with what was asked for it.
pub(super) fn content_hash(text: &str, file: Option<Enclosed<'_>>) -> Vec<u8> {
    let mut hash = Sha256::new_with_prefix(text);
    if let Some(file) = file {
        // No text holds U+0000.
        hash.update([0]);
        hash.update(file.id.as_str());
        hash.update(file.wanted.map_or("", FileKind::as_str));
    }
    hash.finalize().to_vec()
}

/// Looks at the file under its row's lock: it must be there, of the chat's account, and for the agent's eyes.
pub(super) async fn enclose(
    work: &Work,
    chat: &LockedChat,
    agent: &Agent,
    file: Enclosed<'_>,
) -> Result<Result<Enclosure, Refusal>, StoreError> {
    let Some(limits) = chat.files else { return Ok(Err(Refusal::Unsupported("this account does not take files"))) };
    let look = work.client().prepare_cached(FILE).await?;
    let Some(row) = work.client().query_opt(&look, &[&chat.account.0, &file.id.as_str(), &agent.id.0]).await? else {
        return Ok(Err(Refusal::NotFound));
    };
    let sniffed: Option<String> = row.get("sniffed");
    let size_bytes: i64 = row.get::<_, Option<i64>>("size_bytes").unwrap_or_default();
    Ok(kind(&limits, file.wanted, sniffed.as_deref(), size_bytes).map(|kind| Enclosure {
        id: row.get("id"),
        kind,
        name: row.get("name"),
        mime: row.get("mime"),
        sniffed,
        size_bytes,
        caption_max_utf16: limits.caption_max_utf16,
    }))
}

/// As what a file is sent, if at all.
fn kind(
    limits: &FileLimits,
    wanted: Option<FileKind>,
    sniffed: Option<&str>,
    size_bytes: i64,
) -> Result<FileKind, Refusal> {
    let size = size_bytes.unsigned_abs();
    let picture = sniffed.is_some_and(|mime| PICTURES.contains(&mime));
    let kind = match wanted {
        _ if size == 0 => return Err(Refusal::Unsupported("the file is empty")),
        Some(FileKind::Photo) if !picture => {
            return Err(Refusal::Unsupported("only JPEG, PNG and WebP pictures can be sent as a photo"));
        }
        Some(kind @ (FileKind::Photo | FileKind::Document)) => kind,
        Some(_) => return Err(Refusal::Unsupported("a file is sent as a photo or as a document")),
        None if picture && size <= limits.photo_max_bytes => FileKind::Photo,
        None => FileKind::Document,
    };
    let most = if kind == FileKind::Photo { limits.photo_max_bytes } else { limits.file_max_bytes };
    if size > most { Err(Refusal::TooLarge(most)) } else { Ok(kind) }
}

impl Enclosure {
    /// What the chat's log says of it.
    pub(super) fn item(&self) -> FileItem {
        FileItem {
            file: self.id.clone(),
            kind: self.kind.as_str().to_owned(),
            name: self.name.clone(),
            mime: self.sniffed.clone().or_else(|| self.mime.clone()),
            size_bytes: Some(self.size_bytes),
        }
    }

    /// What the part that carries it says of it.
    pub(super) fn part_item(&self) -> PartItem {
        PartItem { file: Some(self.id.clone()), r#as: Some(self.kind.as_str().to_owned()) }
    }

    /// Whether a text goes with it, or follows as messages of its own.
    pub(super) fn takes(&self, text: &str) -> bool {
        text.encode_utf16().count() <= self.caption_max_utf16
    }

    /// Writes down that the chat shows it: who sees the chat may fetch it from now on.
    pub(super) async fn show(&self, work: &Work, chat: &LockedChat, seq: i64) -> Result<(), StoreError> {
        let show = work.client().prepare_cached(USE).await?;
        let shown = work.client().execute(&show, &[&chat.account.0, &self.id, &chat.id.0, &seq]).await?;
        if shown > 1 { expect("uses of a file", shown, 1) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_sent_as_what_it_is_best_shown() {
        let limits = FileLimits { photo_max_bytes: 10, file_max_bytes: 50, caption_max_utf16: 5 };
        let (photo, document) = (Some(FileKind::Photo), Some(FileKind::Document));
        let (png, pdf) = (Some("image/png"), Some("application/pdf"));
        for (wanted, sniffed, size, want) in [
            (None, png, 10, Ok(FileKind::Photo)),
            (None, png, 11, Ok(FileKind::Document)),
            (None, Some("image/gif"), 1, Ok(FileKind::Document)),
            (None, None, 50, Ok(FileKind::Document)),
            (None, None, 51, Err(Refusal::TooLarge(50))),
            (photo, png, 11, Err(Refusal::TooLarge(10))),
            (document, png, 1, Ok(FileKind::Document)),
            (document, pdf, 51, Err(Refusal::TooLarge(50))),
        ] {
            assert_eq!(kind(&limits, wanted, sniffed, size), want, "{wanted:?} {sniffed:?} {size}");
        }
        for (wanted, sniffed, size) in
            [(photo, pdf, 1), (photo, None, 1), (None, png, 0), (Some(FileKind::Video), pdf, 1)]
        {
            let refused = kind(&limits, wanted, sniffed, size);
            assert!(matches!(refused, Err(Refusal::Unsupported(_))), "{wanted:?} {sniffed:?} {size}: {refused:?}");
        }
    }

    #[test]
    fn the_same_words_with_another_file_are_another_message() {
        let (one, two) = (FileId::new(), FileId::new());
        let hash = |id, wanted| content_hash("hi", Some(Enclosed { id, wanted }));
        assert_eq!(content_hash("hi", None), Sha256::digest("hi").to_vec());
        assert_eq!(hash(&one, None), hash(&one, None));
        assert_ne!(hash(&one, None), content_hash("hi", None));
        assert_ne!(hash(&one, None), hash(&two, None));
        assert_ne!(hash(&one, None), hash(&one, Some(FileKind::Document)));
    }
}
