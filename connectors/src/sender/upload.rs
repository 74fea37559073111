//! What a part with a file needs beside the call: its bytes, and a fence that moves ahead while they are written.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use switchboard_common::model::{AccountId, FileId};
use switchboard_common::service::clock::Moment;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Claim, ClaimSpans, Database, StoreError};

use super::attempt::Attempt;
use crate::platform::FileBody;

/// Chunks read at once; the connection to the database is given back before any is written.
const READ: i32 = 4;
/// When the database does not answer: tried again after this, while the fence is ahead.
const AGAIN: Duration = Duration::from_millis(200);
/// So long an upload may go on when its tenure is to end: nobody else of the account sends meanwhile.
const LAST: Duration = Duration::from_secs(15);

/// The bytes of a file, a few chunks at a time.
pub(super) fn body(files: Database, account: AccountId, id: FileId) -> FileBody {
    let reads = stream::try_unfold((files, id, 0), move |(files, id, seq)| async move {
        let chunks = read(&files, account, &id, seq).await.map_err(|error| error.to_string())?;
        let next = seq + chunks.len() as i32;
        Ok::<_, String>((!chunks.is_empty()).then(|| (stream::iter(chunks).map(Ok), (files, id, next))))
    });
    FileBody::new(reads.try_flatten())
}

/// Without an end of its own: whoever waits has the fence.
async fn read(files: &Database, account: AccountId, id: &FileId, seq: i32) -> Result<Vec<Bytes>, StoreError> {
    loop {
        match files.read_chunks(account, id, seq, READ).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(AGAIN).await,
            result => return result,
        }
    }
}

impl Attempt {
    /// Moves the fence ahead whenever less than half of its span is left: in the database under the epoch first, then here,
    /// to a moment counted from before the database was asked. The claim's `answer_by` moves along, so that a successor does
    /// not wait for as long as an upload may take. Stops when the claim is no longer ours, when nobody would wait for the
    /// answer any more, or some time after the tenure began to end; the fence passes then.
    pub(super) async fn keep_fence_ahead(&self, ending: &Shutdown) -> Infallible {
        let (span, answer_by) = (self.sender.options.write_by, self.sender.options.answer_by);
        let fence = &self.deadline.write_by;
        let claim = Claim { id: self.part.id, n: self.part.n, token: self.token };
        let mut until = self.deadline.answer_by;
        let mut is_ending = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep((fence.end() - span / 2).remaining()) => {}
                () = ending.wait(), if !is_ending => {
                    is_ending = true;
                    until = until.min(Moment::now() + LAST);
                    continue;
                }
            }
            let asked = Moment::now();
            if asked >= until || !fence.is_ahead() {
                break;
            }
            let spans = ClaimSpans { write_by: span, answer_by: answer_by.min(self.deadline.answer_by.remaining()) };
            match self.sender.database.extend(self.sender.account.id, self.epoch, &claim, spans).await {
                Ok(true) => fence.extend((asked + span).min(until)),
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, part.id = self.part.id.0, "the fence of an upload could not be moved yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
#[path = "upload_tests.rs"]
mod tests;
