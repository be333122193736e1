//! What stands between a durable agent and its store: a small one, and one by the rules of the core.

mod minimal;
mod ruled;

use ggml_agent_core::store::{Position, StoreError, StoreRef};

use super::clerk::Clerk;

pub use self::minimal::{Bug, Minimal};
pub use self::ruled::Ruled;

/// Drives one incarnation of a [`Clerk`] on a store: reads its mailbox, lets it handle, commits, sends what
/// it sends. Under test is its order of things: a schedule may stop it between any two turns.
pub trait Driver: Sized {
    /// What it is told beside its clerk, such as a bug that is planted in it.
    type Options: Clone;

    /// Begins an incarnation of `clerk`, whose state is restored from the store. `in_hand` is what the one
    /// before had in hand, if that is known. All that chance decides follows from `seed`.
    fn begin(
        clerk: Clerk,
        store: &StoreRef,
        in_hand: Option<Vec<Position>>,
        options: &Self::Options,
        seed: u64,
    ) -> Self;

    /// Takes one small step, without waiting.
    fn turn(&mut self) -> Turn;
}

/// What a turn came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It did something, or heard an answer.
    Worked,
    /// It waits for an answer.
    Waits,
    /// There is nothing to do: the mailbox and the outbox are empty, and everything is committed.
    Rests,
    /// The incarnation is over.
    Ended(Ending),
}

/// Why an incarnation is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The agent's handler failed, with this in hand.
    Crashed(Vec<Position>),
    /// A later incarnation is the agent now.
    Fenced,
    /// The store is of no use any more.
    Store(StoreError),
}
