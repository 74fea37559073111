//! Reading the claimed rows' items; what cannot be read is put aside.

use super::super::items::{ContentItem, CustomerItem, FileEndItem, FileItem, OutcomeItem};
use super::take::{Batch, Row};
use crate::model::{AccountId, FileState, ItemKind, PartState};

/// A claimed row, understood.
pub(super) struct Item {
    /// Index of its row in the batch.
    pub(super) row: usize,
    pub(super) what: What,
}

/// What a row says.
pub(super) enum What {
    Message { author: CustomerItem, files: Vec<FileItem>, content: Vec<ContentItem> },
    Edited { author: CustomerItem, of_key: String },
    Membership { author: CustomerItem, left: bool },
    File(FileEndItem),
    Outcome(OutcomeItem),
}

impl What {
    /// The customer who did it.
    pub(super) fn author(&self) -> Option<&CustomerItem> {
        match self {
            Self::Message { author, .. } | Self::Edited { author, .. } | Self::Membership { author, .. } => {
                Some(author)
            }
            Self::File(_) | Self::Outcome(_) => None,
        }
    }
}

/// A row that this version cannot read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) account: AccountId,
    pub(super) key: String,
    pub(super) reason: String,
    /// The whole row as JSON.
    pub(super) raw: Vec<u8>,
}

/// Reads all rows of a batch.
pub(super) fn items(batch: &Batch) -> (Vec<Item>, Vec<Unreadable>) {
    let mut items = Vec::with_capacity(batch.rows.len());
    let mut unreadable = Vec::new();
    for (index, row) in batch.rows.iter().enumerate() {
        match parse(row.kind, row.item.as_deref()) {
            Ok(what) => items.push(Item { row: index, what }),
            Err(reason) => unreadable.push(put_aside(row, reason)),
        }
    }
    (items, unreadable)
}

/// Reads one item. The reason never holds what the customer wrote.
pub(super) fn parse(kind: i16, item: Option<&str>) -> Result<What, String> {
    let json = item.ok_or("the item is missing")?;
    let customer = || serde_json::from_str::<CustomerItem>(json).map_err(|error| unreadable(&error));
    match ItemKind::from_column(kind) {
        Some(ItemKind::Message) => {
            let mut author = customer()?;
            let (files, content) = (std::mem::take(&mut author.files), std::mem::take(&mut author.content));
            Ok(What::Message { author, files, content })
        }
        Some(ItemKind::Edit) => {
            let mut author = customer()?;
            let of_key = author.of_key.take().ok_or("the edit does not say of what")?;
            Ok(What::Edited { author, of_key })
        }
        Some(ItemKind::Membership) => {
            let author = customer()?;
            let left = author.left.ok_or("the membership does not say which")?;
            Ok(What::Membership { author, left })
        }
        Some(ItemKind::File) => {
            let end: FileEndItem = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
            match [FileState::Ready, FileState::Failed].iter().any(|state| state.as_str() == end.state) {
                true => Ok(What::File(end)),
                false => Err("the file has a state that this version does not know".to_owned()),
            }
        }
        Some(ItemKind::Outcome) => {
            let outcome: OutcomeItem = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
            let known = [PartState::Sent, PartState::Failed, PartState::Unconfirmed];
            match known.iter().any(|state| state.as_str() == outcome.state) {
                true => Ok(What::Outcome(outcome)),
                false => Err("the outcome has a state that this version does not know".to_owned()),
            }
        }
        Some(ItemKind::Ignored) | None => Err(format!("this version knows no pending item of kind {kind}")),
    }
}

// serde_json's own words may quote the value; its kind and place do not.
fn unreadable(error: &serde_json::Error) -> String {
    format!("the item cannot be read ({:?} error at column {})", error.classify(), error.column())
}

/// Keeps the row as it was.
pub(super) fn put_aside(row: &Row, reason: String) -> Unreadable {
    let item = row.item.as_deref().map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap_or(json.into()));
    let raw = serde_json::json!({
        "chat_key": row.chat_key, "kind": row.kind, "dedupe_key": row.key, "body": row.body, "item": item
    });
    // `p:` tells a pending row from a platform's update: `Database::requeue_pending` takes it back.
    Unreadable { account: row.account, key: format!("p:{}", row.key), reason, raw: raw.to_string().into_bytes() }
}
