//! The protocol with one thing left out: each must be found, or the properties say nothing.

/// What is left out or done wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A claim reads the epoch without the lease row's lock, and claims in another statement.
    FenceUnlocked,
    /// A call is written without a look at `write_by`.
    NoWriteByCheck,
    /// A new tenure opens without waiting for `write_by` of earlier ones.
    RecoveryDoesNotWait,
    /// A claim asks no epoch: its connector takes itself for the lowest candidate, and ZooKeeper lets it.
    PermissionByZookeeper,
    /// A new tenure puts back what earlier ones left in `sending`.
    RequeueOnTakeover,
    /// A settlement asks the epoch, too: the success of an earlier tenure is thrown away.
    SettleFenced,
    /// A call that was not answered in time is put back.
    ResendOnTimeout,
    /// A call that was not answered in time is shown as failed.
    FailOnTimeout,
    /// What a lost claim took is found by the number of the attempt, not by the claim's token.
    ReleaseByNumber,
    /// A call is marked as "may be written" only after the look at `write_by`, not before.
    MarkAfterCheck,
}
