//! The driver seam: who gives a cell its turns.

use super::handle::CellRef;
use super::header::Header;

/// Messages that a cell may handle in one turn before others have theirs.
///
/// 128 messages of some 100 ns are 13 µs: long enough that a switch costs nothing, short enough
/// that nobody notices it.
pub const TURN_BUDGET: u32 = 128;

/// Gives cells their turns: the runners of the shared pool, a thread, a `LocalSet`, a simulator.
///
/// Laws: every cell that is dispatched gets [`Runnable::run`] once, soon, on some thread, and in the
/// context of a tokio runtime if its agent needs one; never from within `dispatch` itself.
pub trait Dispatch: Send + Sync {
    /// Takes a cell that wants a turn.
    fn dispatch(&self, cell: Runnable);
}

/// A cell that waits for its turn.
pub struct Runnable(pub(crate) CellRef);

impl Runnable {
    /// Lets the agent handle at most `budget` messages. If it has more to do, it dispatches itself
    /// again before this returns. Panics of the agent stay inside.
    pub fn run(self, budget: u32) {
        self.give(budget);
    }

    /// The agent's name.
    #[must_use]
    pub fn id(&self) -> &ggml_agent_core::AgentId {
        &self.0.header().id
    }

    /// As [`Runnable::run`], for those who look at the cell afterwards.
    #[inline]
    pub(crate) fn give(&self, budget: u32) {
        self.0.run(budget);
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        self.0.header()
    }

    /// Tells one cell from another while both exist.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.0.address()
    }
}

impl std::fmt::Debug for Runnable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runnable").field(self.id()).finish()
    }
}
