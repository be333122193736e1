//! Threads that run cells without being runners. An ask of an agent at rest runs its handler on the
//! asker's stack, which saves a wake and two queues; a sender that finds a mailbox full makes room by
//! handling some of its mail, which saves two wakes and keeps the messages on one core.

use std::cell::Cell;
use std::sync::{Arc, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::task;

use super::Pool;
use super::seat::{self, InnerTurn, Place, Unseated};
use crate::cell::handle::{CellRef, TypedRef};
use crate::cell::mailbox::Mail;
use crate::pool::{pace, runner};

/// Messages that a turn on the asker's stack may handle: the question, and what came in meanwhile.
const ASK_BUDGET: u32 = 16;
/// Messages that a sender who finds no room may handle in the receiver's place: so many make as much
/// room, and cost less than a wake across cores.
const SEND_BUDGET: u32 = 512;

thread_local! {
    // The seat of this thread as a guest of the pool that it helped last; the watch over blocking
    // handlers looks at it. It keeps no pool alive.
    static GUEST: Cell<Option<Guest>> = const { Cell::new(None) };
}

struct Guest {
    pool: Weak<Pool>,
    place: Option<Box<Place>>,
    /// The task that was polled here last, and runs on the pool's runtime.
    task: Option<task::Id>,
}

impl Pool {
    /// Hands a question to a cell at rest that handles it on this stack, if that is safe and worth it:
    /// without a queue, or a wake.
    #[inline]
    pub(crate) fn offer_here<M>(self: &Arc<Self>, cell: &TypedRef<M>, mail: &mut Option<Mail<M>>) {
        let run = |budget| cell.run_here_with(mail, budget);
        self.run_measured(cell.untyped(), ASK_BUDGET, run);
    }

    /// Runs a cell that has just got a question on this stack, if it rests and that is safe and worth
    /// it; else asks for a turn. Nothing changes for the cell: it has its turn, once, and what it
    /// does not finish goes to the runners.
    /// `wake`: the cell sleeps, and the caller must wake it. False when another thread has its turn.
    #[inline]
    pub(crate) fn answer_here(self: &Arc<Self>, cell: &CellRef, wake: bool) -> bool {
        let ran = self.run_measured(cell, ASK_BUDGET, |budget| cell.run_here(budget));
        if wake && !ran {
            cell.wake();
        }
        ran
    }

    /// Lets a sender that found no room handle some of the mail before its own, in the receiver's
    /// place. False if it may not, or another thread does so already.
    pub(crate) fn make_room(self: &Arc<Self>, cell: &CellRef) -> bool {
        let budget = pace::budget_of(cell.header(), SEND_BUDGET);
        self.run_measured(cell, budget, |budget| cell.run_here(budget))
    }

    /// Lets an agent start on this stack; false if it may not. It is not measured: starts are not
    /// what its handlers cost.
    pub(crate) fn start_here(self: &Arc<Self>, cell: &CellRef) -> bool {
        self.run_seated(cell, || cell.run_here(ASK_BUDGET))
    }

    #[inline]
    fn run_measured(
        self: &Arc<Self>,
        cell: &CellRef,
        budget: u32,
        run: impl FnOnce(u32) -> bool,
    ) -> bool {
        let header = cell.header();
        if !pace::is_quick(header) {
            return false;
        }
        let look = (header.steps() / 2).is_multiple_of(pace::ASKS_PER_LOOK);
        let before = look.then(runner::now);
        let ran = self.run_seated(cell, || run(budget));
        if let Some(before) = before
            && ran
        {
            pace::note(header, runner::now() - before, budget.saturating_sub(header.budget()));
        }
        ran
    }

    /// False when this thread may not run it, or another one does.
    fn run_seated(self: &Arc<Self>, cell: &CellRef, run: impl FnOnce() -> bool) -> bool {
        match InnerTurn::begin(self.address(), cell.address()) {
            Ok(Some(_turn)) => run(),
            // The thread of another driver, or too many turns on its stack.
            Ok(None) => false,
            Err(Unseated) => self.run_as_guest(cell, run),
        }
    }

    fn run_as_guest(self: &Arc<Self>, cell: &CellRef, run: impl FnOnce() -> bool) -> bool {
        let known =
            GUEST.take().filter(|guest| std::ptr::eq(guest.pool.as_ptr(), &raw const **self));
        let mut guest = known.unwrap_or_else(|| self.welcome());
        let ran = self.is_at_home(&mut guest)
            && seat::sit(&mut guest.place, || {
                let turn = InnerTurn::begin(self.address(), cell.address());
                matches!(turn, Ok(Some(_))) && run()
            });
        GUEST.set(Some(guest));
        ran
    }

    /// Whether this thread works for the pool's runtime: elsewhere timers and jobs of the handler
    /// would go to another runtime, or to none.
    ///
    /// A task stays on its runtime, and its number is nobody else's: this saves a look at the runtime,
    /// which counts a reference that all workers share.
    fn is_at_home(&self, guest: &mut Guest) -> bool {
        let task = task::try_id();
        if task.is_some() && task == guest.task {
            return true;
        }
        let is_home = Handle::try_current().is_ok_and(|handle| handle.id() == self.runtime);
        guest.task = task.filter(|_| is_home);
        is_home
    }

    #[cold]
    fn welcome(self: &Arc<Self>) -> Guest {
        let seat = Arc::default();
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|seat| seat.strong_count() != 0);
        guests.push(Arc::downgrade(&seat));
        let place = Some(Box::new(Place { seat, pool: self.address(), local: None }));
        Guest { pool: Arc::downgrade(self), place, task: None }
    }
}
