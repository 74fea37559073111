//! Joins between logs and dump: names to numbers, and wall-clock times to the logs' clock.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::expectations::Expectations;
use super::lines::Clock;
use super::logs::Run;
use super::report::Finding;

/// Look-ups that more than one family needs.
#[derive(Debug)]
pub struct Index {
    accounts: HashMap<String, i64>,
    account_names: HashMap<i64, String>,
    /// Numbers of agents by name.
    pub agents: HashMap<String, i64>,
    /// Agents by number, only those that wrote a log themselves.
    pub observed: HashSet<i64>,
    /// Where an entry lies in `dump.history`, by chat and number.
    pub history: HashMap<(i64, i64), usize>,
    clock: Option<(i64, DateTime<Utc>)>,
    dumped_at: Option<i64>,
}

impl Index {
    /// Builds it, and complains about what cannot be joined.
    pub fn build(run: &Run, expectations: &Expectations, log: &mut Finding) -> Self {
        let agents: HashMap<String, i64> = run.dump.agents.iter().map(|row| (row.name.clone(), row.id)).collect();
        let index = Self {
            accounts: run.dump.accounts.iter().map(|row| (row.name.clone(), row.id)).collect(),
            account_names: run.dump.accounts.iter().map(|row| (row.id, row.name.clone())).collect(),
            observed: run.submits.iter().filter_map(|line| agents.get(&line.agent).copied()).collect(),
            agents,
            history: run.dump.history_places(),
            clock: run.clocks.first().map(|clock| (clock.boottime_ns, clock.wall)),
            dumped_at: run.clocks.iter().skip(1).map(|Clock { boottime_ns, .. }| *boottime_ns).next_back(),
        };
        index.complain(run, expectations, log);
        index
    }

    fn complain(&self, run: &Run, expectations: &Expectations, log: &mut Finding) {
        if self.clock.is_none() {
            log.violate(|| "nemesis.jsonl: no `clock` line, so the database's times mean nothing".to_owned());
        }
        let mut accounts: Vec<&str> = run.typed.iter().map(|line| line.acct.as_str()).collect();
        accounts.extend(run.acks.iter().map(|line| line.acct.as_str()));
        accounts.extend(run.calls.iter().map(|line| line.acct.as_str()));
        accounts.extend(expectations.accounts.iter().map(String::as_str));
        accounts.sort_unstable();
        accounts.dedup();
        for account in accounts.iter().filter(|account| self.account(account).is_none()) {
            log.violate(|| format!("account `{account}` is not in the dump"));
        }
        let mut agents: Vec<&str> = run.submits.iter().map(|line| line.agent.as_str()).collect();
        agents.extend(run.accepted.iter().map(|line| line.agent.as_str()));
        agents.sort_unstable();
        agents.dedup();
        for agent in agents.iter().filter(|agent| !self.agents.contains_key(**agent)) {
            log.violate(|| format!("agent `{agent}` is not in the dump"));
        }
        for row in run.dump.history.iter().filter(|row| row.kind_word().is_none()) {
            log.violate(|| format!("history of chat {} seq {}: unknown kind {}", row.chat_id, row.seq, row.kind));
        }
    }

    /// The number of an account, given by its name or already as its number.
    pub fn account(&self, name: &str) -> Option<i64> {
        let by_number = || name.parse().ok().filter(|id| self.account_names.contains_key(id));
        self.accounts.get(name).copied().or_else(by_number)
    }

    /// The name of an account.
    pub fn account_name(&self, id: i64) -> &str {
        self.account_names.get(&id).map_or("?", String::as_str)
    }

    /// Whether the database's times can be put on the logs' clock.
    pub fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// A time of the database on the logs' clock, in nanoseconds.
    pub fn boottime(&self, at: DateTime<Utc>) -> Option<i64> {
        let (boottime_ns, wall) = self.clock?;
        Some(boottime_ns + (at - wall).num_nanoseconds()?)
    }

    /// Whether a deadline of the database had passed by `slack_s` when the dump was taken. Without a
    /// second `clock` line the dump counts as taken after every deadline.
    pub fn overdue(&self, deadline: DateTime<Utc>, slack_s: i64) -> bool {
        match (self.boottime(deadline), self.dumped_at) {
            (Some(deadline), Some(dumped_at)) => deadline + slack_s * 1_000_000_000 < dumped_at,
            _ => true,
        }
    }
}
