//! Entries as rows.

use switchboard_common::store::{Entry as Stored, ListedChat};

use super::Format;
use crate::wire::{Author, Content, Entry, EntryKind, Place, time};

/// The columns of CSV, in their order; docs/rest.md says what is in them.
pub(crate) const COLUMNS: [&str; 29] = [
    "chat",
    "account",
    "platform",
    "title",
    "customer",
    "customer_platform_id",
    "customer_name",
    "customer_phone",
    "seq",
    "at",
    "kind",
    "author_kind",
    "author",
    "author_name",
    "text",
    "content",
    "files",
    "client_key",
    "lane",
    "parts",
    "of",
    "part",
    "state",
    "reason",
    "by",
    "interaction",
    "queue",
    "agent",
    "outcome",
];

/// Rows that nobody took yet.
pub(super) enum Rows {
    Csv(Box<Csv>),
    NdJson(Vec<u8>),
}

impl Rows {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(Csv::new())),
            Format::NdJson => Self::NdJson(Vec::new()),
        }
    }

    pub(super) fn add(&mut self, chat: &ListedChat, entry: Stored) {
        match self {
            Self::Csv(csv) => csv.add(chat, entry),
            Self::NdJson(lines) => {
                serde_json::to_writer(&mut *lines, &Entry::from(entry)).expect("plain fields are JSON");
                lines.push(b'\n');
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Csv(csv) => csv.rows.get_ref().len(),
            Self::NdJson(lines) => lines.len(),
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Csv(csv) => csv.take(),
            Self::NdJson(lines) => std::mem::take(lines),
        }
    }
}

/// Comma separated values: RFC 4180, UTF-8.
pub(super) struct Csv {
    rows: csv::Writer<Vec<u8>>,
}

impl Csv {
    fn new() -> Self {
        let mut csv = Self { rows: writer() };
        csv.rows.write_record(COLUMNS).expect("memory can be written to");
        csv
    }

    fn add(&mut self, chat: &ListedChat, entry: Stored) {
        let at = time(entry.at);
        let entry = Entry::from(entry);
        let mut cells = said(entry.body);
        let (author_kind, author, author_name) = match entry.author {
            Author::System {} => ("system", None, None),
            Author::Customer { id, name } => ("customer", Some(id), name),
            Author::Agent { id, name } => ("agent", Some(id), name),
        };
        let customer = chat.customer.clone();
        cells.extend([
            ("chat", Some(entry.chat)),
            ("account", Some(entry.account)),
            ("platform", Some(chat.platform.clone())),
            ("title", chat.title.clone()),
            ("customer", customer.as_ref().map(|customer| customer.id.to_string())),
            ("customer_platform_id", customer.as_ref().map(|customer| customer.platform_id.clone())),
            ("customer_name", customer.as_ref().and_then(|customer| customer.name.clone())),
            ("customer_phone", customer.and_then(|customer| customer.phone)),
            ("seq", Some(entry.seq.to_string())),
            ("at", Some(at)),
            ("author_kind", Some(author_kind.to_owned())),
            ("author", author),
            ("author_name", author_name),
        ]);
        let cell = |column: &str| {
            let found = cells.iter().find(|(name, _)| *name == column);
            harmless(found.and_then(|(_, value)| value.as_deref()).unwrap_or_default())
        };
        self.rows.write_record(COLUMNS.map(cell)).expect("memory can be written to");
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.rows, writer()).into_inner().expect("memory can be written to")
    }
}

fn writer() -> csv::Writer<Vec<u8>> {
    // Small: what lies in the writer's buffer is not counted yet.
    csv::WriterBuilder::new().buffer_capacity(4096).terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

/// What a table would take for a formula gets an apostrophe in front, which tables do not show.
fn harmless(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// The columns that an entry's kind fills.
fn said(kind: EntryKind) -> Vec<(&'static str, Option<String>)> {
    let word = |word: &str| ("kind", Some(word.to_owned()));
    match kind {
        EntryKind::Message { text, files, content, client_key, parts, lane } => vec![
            word("message"),
            ("text", Some(text)),
            ("files", Some(files.into_iter().map(|file| file.file).collect::<Vec<_>>().join(" "))),
            ("content", Some(content.iter().map(Content::word).collect::<Vec<_>>().join(" "))),
            ("client_key", client_key),
            ("parts", parts.map(|parts| parts.to_string())),
            ("lane", lane.map(str::to_owned)),
        ],
        EntryKind::Edited { text, of } => {
            vec![word("edited"), ("text", Some(text)), ("of", of.map(|of| of.to_string()))]
        }
        EntryKind::Opened { interaction, queue, by } => {
            vec![word("opened"), ("interaction", Some(interaction)), ("queue", Some(queue)), ("by", by)]
        }
        EntryKind::Released { interaction, queue } => {
            vec![word("released"), ("interaction", Some(interaction)), ("queue", Some(queue))]
        }
        EntryKind::Transferred { interaction, from: _, to, note } => {
            let (column, name) = match to {
                Place::Agent(name) => ("agent", name),
                Place::Queue(name) => ("queue", name),
            };
            vec![word("transferred"), ("interaction", Some(interaction)), (column, Some(name)), ("reason", note)]
        }
        EntryKind::Taken { interaction, agent } => {
            vec![word("taken"), ("interaction", Some(interaction)), ("agent", Some(agent))]
        }
        EntryKind::Closed { interaction, outcome } => {
            vec![word("closed"), ("interaction", Some(interaction)), ("outcome", outcome)]
        }
        EntryKind::Outcome { of, part, parts, state, reason, by } => vec![
            word("outcome"),
            ("of", Some(of.to_string())),
            ("part", Some(part.to_string())),
            ("parts", Some(parts.to_string())),
            ("state", Some(state)),
            ("reason", reason),
            ("by", by),
        ],
        EntryKind::File { file, of, state, reason, .. } => vec![
            word("file"),
            ("files", Some(file)),
            ("of", of.map(|of| of.to_string())),
            ("state", Some(state)),
            ("reason", reason),
        ],
        EntryKind::Membership { state } => vec![word("membership"), ("state", Some(state.to_owned()))],
        EntryKind::Unknown {} => vec![word("unknown")],
    }
}
