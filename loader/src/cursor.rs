//! Where the next page begins, in words that only loaders can make.
//!
//! A cursor is a place in a list and no permission: what may be seen is decided anew for every page. It is signed so that
//! one that was cut, guessed or taken from another list is refused instead of silently giving another page.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use switchboard_common::model::text::{hex, unhex};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::Database;
use tokio::sync::OnceCell;

/// Bytes of the place, of the list's hash and of the signature.
const PLACE: usize = 8;
const LIST: usize = 8;
const SIGNATURE: usize = 16;

/// Makes and reads cursors.
pub(crate) struct Cursors {
    database: Database,
    /// All loaders of a fleet have the same: a page may come from another one than the page before.
    key: OnceCell<[u8; 16]>,
}

impl Cursors {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, key: OnceCell::new() }
    }

    /// A cursor for the page after `place` in the list that `list` describes: the route and its filter.
    pub(crate) async fn make(&self, list: &str, place: i64) -> Result<String, Problem> {
        let key = self.key().await?;
        let mut bytes = place.to_be_bytes().to_vec();
        bytes.extend_from_slice(&hash(list));
        let signature = signer(key, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&signature[..SIGNATURE]);
        Ok(hex(&bytes))
    }

    /// Reads a cursor of the list that `list` describes.
    pub(crate) async fn read(&self, list: &str, cursor: &str) -> Result<i64, Problem> {
        let key = self.key().await?;
        place(key, list, cursor).ok_or_else(|| {
            Problem::bad_request("the cursor is not one of this list: send it as you got it, with the same filter")
        })
    }

    async fn key(&self) -> Result<&[u8; 16], Problem> {
        let read = async || Ok::<_, Problem>(self.database.cursor_key().await?.into_bytes());
        self.key.get_or_try_init(read).await
    }
}

fn place(key: &[u8; 16], list: &str, cursor: &str) -> Option<i64> {
    let bytes = unhex(cursor)?;
    let (said, signature) = bytes.split_at_checked(PLACE + LIST)?;
    if signature.len() != SIGNATURE {
        return None;
    }
    // In constant time.
    signer(key, said).verify_truncated_left(signature).ok()?;
    let (place, of) = said.split_at(PLACE);
    (of == hash(list)).then(|| place.try_into().map(i64::from_be_bytes).ok())?
}

fn signer(key: &[u8; 16], bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(b"cursor 1");
    mac.update(bytes);
    mac
}

fn hash(list: &str) -> [u8; LIST] {
    let digest = Sha256::digest(list.as_bytes());
    std::array::from_fn(|at| digest[at])
}
