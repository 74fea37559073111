//! Doorbells inside one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Target;

#[derive(Default)]
pub(super) struct Bells {
    ears: Mutex<HashMap<Target, Vec<Arc<Notify>>>>,
}

impl Bells {
    pub(super) fn ring(&self, target: &Target) {
        let ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        for ear in ears.get(target).into_iter().flatten() {
            ear.notify_one();
        }
    }

    pub(super) fn listen(&self, target: Target, ear: Arc<Notify>) {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner).entry(target).or_default().push(ear);
    }
}
