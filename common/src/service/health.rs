//! What `/livez` and `/readyz` answer.
//!
//! Live: the event loop turns. Ready: the process can do its work now. Each part of a process reports
//! its own check; readiness is all of them, and the body names each with its words.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Shared by all parts of a process.
#[derive(Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    checks: BTreeMap<&'static str, Check>,
    facts: BTreeMap<&'static str, String>,
    draining: bool,
}

struct Check {
    good: bool,
    note: String,
}

impl Health {
    /// Announces checks that must become good before the process is ready.
    pub fn expect(&self, names: &[&'static str]) {
        for name in names {
            self.set(name, false, "starting");
        }
    }

    /// Reports a check.
    pub fn set(&self, name: &'static str, good: bool, note: impl Into<String>) {
        self.lock().checks.insert(name, Check { good, note: note.into() });
    }

    /// Reports a fact that does not decide readiness: `role`, `epoch`.
    pub fn fact(&self, name: &'static str, value: impl Into<String>) {
        self.lock().facts.insert(name, value.into());
    }

    /// From now on not ready: the process finishes what it has and stops.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// Ready or not, and the body of the answer.
    pub fn report(&self) -> (bool, serde_json::Value) {
        let state = self.lock();
        let ready = !state.draining && state.checks.values().all(|check| check.good);
        let checks: serde_json::Map<String, serde_json::Value> = state
            .checks
            .iter()
            .map(|(name, check)| ((*name).to_owned(), serde_json::json!({"good": check.good, "note": check.note})))
            .collect();
        let mut body = serde_json::json!({
            "ready": ready, "draining": state.draining, "version": env!("CARGO_PKG_VERSION"), "checks": checks,
        });
        for (name, value) in &state.facts {
            body[*name] = serde_json::Value::String(value.clone());
        }
        (ready, body)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
