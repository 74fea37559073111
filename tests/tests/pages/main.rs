//! The agents' page in a real browser, against a chatserver that the test plays itself.

#![allow(clippy::unwrap_used, missing_docs)]

mod attach;
mod fake;
mod files;
mod moves;
mod reading;
mod sending;
mod session;
mod waiting;

use fake::SOON;
use serde_json::{Value, json};
use switchboard_tests::browser::Page;

/// The text of the first element the selector finds.
async fn text(page: &Page, selector: &str) -> String {
    let script = format!("document.querySelector({})?.textContent ?? 'no such element'", json!(selector));
    page.eval(&script).await.unwrap().as_str().unwrap().to_owned()
}

/// Waits until the element's text is, or contains, these words.
async fn shows(page: &Page, selector: &str, words: &str) {
    let script = format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(words));
    page.wait_for(&script, SOON).await.unwrap();
}

async fn there(page: &Page, selector: &str) {
    page.wait_for(&format!("document.querySelector({})", json!(selector)), SOON).await.unwrap();
}

async fn gone(page: &Page, selector: &str) {
    page.wait_for(&format!("!document.querySelector({})", json!(selector)), SOON).await.unwrap();
}

async fn log_seqs(page: &Page) -> Value {
    page.eval("[...document.querySelectorAll('#log > [data-seq]')].map((row) => Number(row.dataset.seq))")
        .await
        .unwrap()
}

fn no_complaints(page: &Page) {
    assert_eq!(page.complaints(), Vec::<String>::new());
}
