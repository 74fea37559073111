//! The ledger of tenures as the dump has it: by account, in the order of the epochs.

use std::collections::{BTreeMap, HashMap};

use super::dump::Tenure;
use super::logs::Run;

/// All tenures of a run.
#[derive(Debug, Default)]
pub struct Ledger<'a> {
    accounts: BTreeMap<i64, Vec<&'a Tenure>>,
    holders: HashMap<(i64, i64), &'a str>,
}

impl<'a> Ledger<'a> {
    /// Reads it.
    pub fn read(run: &'a Run) -> Self {
        let mut ledger = Self::default();
        for row in &run.dump.tenures {
            ledger.accounts.entry(row.account_id).or_default().push(row);
            ledger.holders.insert((row.account_id, row.epoch), &row.holder);
        }
        ledger.accounts.values_mut().for_each(|rows| rows.sort_by_key(|row| row.epoch));
        ledger
    }

    /// Accounts and their tenures.
    pub fn accounts(&self) -> impl Iterator<Item = (i64, &[&'a Tenure])> {
        self.accounts.iter().map(|(account, rows)| (*account, rows.as_slice()))
    }

    /// The tenures of one account.
    pub fn of(&self, account: i64) -> &[&'a Tenure] {
        self.accounts.get(&account).map_or(&[], Vec::as_slice)
    }

    /// Who held an epoch.
    pub fn holder(&self, account: i64, epoch: i64) -> Option<&'a str> {
        self.holders.get(&(account, epoch)).copied()
    }
}
