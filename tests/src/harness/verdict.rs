//! The end of a run: nothing on its way any more, and what the checker says of it.

use super::deed::ACCOUNT;
use super::{Fleet, SESSION_TIMEOUT_MS, dump, until};
use crate::agent::Agent;
use crate::checker::{self, Expectations, Report};

impl Fleet {
    /// Waits until nothing is on its way any more: everything acknowledged, drained, decided and shown.
    pub async fn rest(&self, agents: &[&Agent], seconds: u64) {
        let url = self.postgres.url();
        until("everything to be acknowledged", seconds, async || {
            (self.platform.state().await["queue"]["waiting"].as_u64()? == 0).then_some(())
        })
        .await;
        until("pending and outbox to be empty", seconds, async || {
            (dump::waiting(&url).await.ok()? == (0, 0)).then_some(())
        })
        .await;
        let heads = dump::heads(&url).await.expect("the database answers");
        for agent in agents {
            // Whoever cannot come back has seen nothing.
            let at_head = |view: &crate::agent::View| {
                let there = view.session.is_some() && !view.cursors.is_empty();
                there
                    && view
                        .cursors
                        .iter()
                        .all(|(feed, seq)| heads.iter().any(|(name, head)| name == feed && head <= seq))
            };
            let shown = agent.wait_until("its feeds' heads", std::time::Duration::from_secs(seconds), at_head).await;
            shown.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// Dumps the database, lets the checker decide and prints what it says.
    pub async fn verdict(&self, expectations: &Expectations) -> Report {
        let report = self.judge(expectations).await;
        println!("run {} in {}\n{report}", self.options.name, self.dir.display());
        report
    }

    /// Dumps the database and lets the checker decide.
    pub async fn judge(&self, expectations: &Expectations) -> Report {
        self.nemesis.write_clock();
        self.nothing_was_denied();
        dump::write(&self.postgres.url(), &self.dir).await.expect("the database can be dumped");
        checker::check(&self.dir, expectations)
    }

    /// What every run expects.
    pub fn expectations(&self) -> Expectations {
        Expectations {
            accounts: [ACCOUNT.to_owned()].into(),
            sweep_s: (self.options.sweep_ms / 1000) as i64 + 1,
            in_flight: Some(8),
            epochs_told: true,
            session_timeout_ms: Some(SESSION_TIMEOUT_MS as i64),
            ..Expectations::default()
        }
    }

    /// Looks for secrets in everything the processes and observers wrote.
    ///
    /// # Panics
    ///
    /// When one is found.
    pub fn no_secret_was_written(&self) {
        for entry in std::fs::read_dir(&self.dir).expect("readable").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|kind| kind == "log") {
                let text = std::fs::read_to_string(&path).expect("a log is text");
                assert!(!text.contains("42:SECRET"), "the account's token is in {}", path.display());
                assert!(!text.contains("[["), "text of messages is in {}", path.display());
            }
        }
    }
}
