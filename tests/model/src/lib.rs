//! The tenure protocol, small enough to look at every state it can reach: two connectors of one account, two parts, and
//! a pause or a death between any two steps.
//!
//! # What is modelled
//!
//! ```text
//!            Raise: lease released or stale,      Recover: no foreign call may write any more
//!            and no claim holds the row           (past write_by of every foreign `sending`)
//!   Standby ───────────────────────────> Recovering ─────────────────────────> Active
//!      ^                                     │  NoticeLoss: another epoch        │ BeginClaim, CommitClaim
//!      │ Release: no claim under way         v  StepDown: SIGTERM or handover    v
//!      └──────────────────────────────── Ending <────────────────────────────────┘
//!      ^
//!      └── Crash, from everywhere
//!
//!   a call    (S1) BeginClaim ── CommitClaim ──> Claimed (S2) ── CheckWriteBy ──> Checked (S3) ── WriteFirstByte ──┐
//!             ┌───────────────────────────────────────────────────────────────────────────────────────────────────┘
//!             └> Writing (S4) ── WriteLastByte ──> Applied or Refused (S5, S6) ── Answered, Throttled ──> settled (S7)
//!             Unsent ends Claimed; Broken ends Writing and later; TimedOut ends Checked and Writing at answer_by
//!
//!   a part    the diagram of docs/data.md; `closed` is an unconfirmed that nobody resends
//! ```
//!
//! | here | there |
//! |---|---|
//! | `tenure.rs` | `common/src/tenure/mod.rs`, `common/src/store/{lease,takeover}.rs`, `connectors/src/sender/recovery.rs` |
//! | `claim.rs` | `CLAIM`, `release_unsent` in `common/src/store/claim.rs`; `claim_and_start` in `connectors/src/sender.rs` |
//! | `call.rs` | `exchange` in `connectors/src/sender/attempt.rs`, `guarded_body` in `connectors/src/http.rs` |
//! | `settle.rs` | `SETTLE`, `RETRY`, `OVERDUE` in `common/src/store/sender.rs` |
//! | `world.rs` | time, and `common/src/store/decisions.rs` |
//!
//! # What is abstracted away, and why that loses nothing
//!
//! * **A pause is not a step.** It is a process that is not chosen while others are. A crash makes a standby at once: the
//!   time until a new process starts is a standby that is not chosen.
//! * **Time** is, for each attempt, before `write_by`, past it, or past `answer_by`. It may pass at any moment and in any
//!   order between attempts, so every speed is covered. The connector's own deadline is counted from before the claim was
//!   sent and so ends first; a look that refuses too early is `Unsent`, which may happen at any moment anyway.
//! * **A lease may go stale at any moment**, whoever lives: a holder may be paused for any time. So it does not matter who
//!   is first in line and how long a candidate waits: *every* wrong takeover is in here. ZooKeeper only says who tries.
//! * **A doctor that ends a dead one's tenure** is a connector that raises and releases, and claims nothing between.
//! * **A raise and the look before it** are one step: a compare-and-set whose look is outdated changes no row.
//! * **The claim's statement** is two steps, the locked check and the commit; nothing else in it can be told apart from
//!   outside. It takes one part; a batch is several claims that nothing came between.
//! * **The parts are of two messages in two chats.** In one chat the second would only wait for the first; in one message
//!   the failure of the first would only end the second while it is queued, as `Cancel` does.
//! * **The platform** does what it does when the last byte is out: a call that it applies later, or never answers, is one
//!   whose answer is not read. What the network does to bytes once they are written is not here: OUT-8 is about writing.
//! * **A conclusion and its settlement** are one step (`settle.rs`). `Throttled` stands for 429 and 401.
//! * **The body is one piece** that the socket takes whole, as our texts are. An upload has many, with a look at `write_by`
//!   before each: that only takes ways away. It moves its `write_by` ahead under the lease row's lock and the epoch, before
//!   any raise: to everybody else that is an attempt whose `write_by` passes later, and here it passes at any moment.
//! * **An attempt of several exchanges** is its last one: those before it deliver nothing.
//! * **Order within a chat, lanes, the limiter, intake and receipts** are not here; the checker of the scenarios has them.
//!
//! # The bounds
//!
//! Tenures, attempts of a part and resends are counted, else there would be no end: [`Bounds`]. Crashes and pauses are
//! not. A call that fails for certain at the last attempt is given up, as `give_up` does after hours. One call of a
//! process may go on after the one who waited for it gave up (`Connector::stray`); a second one waits for its turn. A
//! process has one call of each part from earlier tenures; the release of a second one waits.

mod call;
mod claim;
mod mutation;
mod process;
mod properties;
mod settle;
mod state;
mod steps;
mod symmetry;
mod tenure;
mod world;

use stateright::{Model, Property};

pub use mutation::Mutation;
pub use process::*;
pub use properties::*;
pub use state::*;
pub use steps::Step;

/// How far the look goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The lease is raised so often.
    pub tenures: Epoch,
    /// A part is claimed so often.
    pub attempts: Number,
    /// People decide to resend so often, over both parts.
    pub resends: u8,
    /// Claims whose answer is lost, over all: none or one.
    pub lost_claims: u8,
}

/// The protocol, whole or with a mutation.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What is left out.
    pub mutation: Option<Mutation>,
    /// How far the look goes.
    pub bounds: Bounds,
    steps: Vec<Step>,
}

impl Protocol {
    /// The protocol within `bounds`.
    pub fn new(mutation: Option<Mutation>, bounds: Bounds) -> Self {
        assert!(usize::from(bounds.attempts) <= ATTEMPTS && bounds.lost_claims <= 1);
        Self { mutation, bounds, steps: steps::all() }
    }

    fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::first()]
    }

    fn actions(&self, _: &State, steps: &mut Vec<Step>) {
        steps.extend_from_slice(&self.steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        self.after(state, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
