//! An agent at rest and at work: one allocation that holds identity, lanes, counters and the place
//! for the life (the state of the agent with its suspended handler).
//!
//! A cell owns no tokio task. Whoever is given it by [`Dispatch`] lets it run for a turn; it comes
//! back when there is mail. Its life is one future, polled in place: it holds the agent's value and
//! the handler's future, so a handler that suspends costs nothing but its own size. A restart makes
//! the next life in the same place; address, mailbox and queued messages stay (M12).

pub(crate) mod answer;
pub(crate) mod barrier;
pub(crate) mod dispatch;
mod ending;
pub(crate) mod handle;
mod head;
pub(crate) mod header;
mod lazy;
pub(crate) mod life;
mod line;
pub(crate) mod mailbox;
pub(crate) mod offer;
pub(crate) mod queue;
mod room;
pub(crate) mod schedule;
mod slot;
pub(crate) mod stack;

use std::any::{Any, TypeId};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as Poller, Poll};

use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::{ExitReason, Report};

use self::dispatch::Runnable;
use self::handle::{Body, CellRef, TypedRef, Whole};
use self::header::{Header, SpareLife, Start, control};
use self::life::Ended;
use self::mailbox::{Lane, Mail, Mailbox, Overflow};
use self::queue::Refused;
use self::schedule::Turn;
use self::slot::Slot;
use crate::address::Addr;
use crate::agent::Agent;
use crate::context::Context;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;
use crate::root;

/// What a cell does that depends on its agent's type. `this` is the cell itself, counted.
pub(crate) trait AnyCell: Send + Sync {
    fn message_type(&self) -> TypeId;
    fn run(&self, this: &CellRef, budget: u32);
    /// As `run`, with a turn that the caller has claimed.
    fn run_claimed(&self, this: &CellRef, turn: Turn, budget: u32);
    fn fence(&self, this: &CellRef, turn: Turn) -> bool;
    fn deliver(&self, this: &CellRef, envelope: Envelope) -> Result<(), SendError<Envelope>>;
    fn boxed_addr(&self, this: &CellRef) -> Box<dyn Any + Send>;
    fn open(&self);
    fn close(&self);
    fn discard(&self, reason: Reason);
    fn queued(&self) -> usize;
    fn totals(&self) -> (u64, u64);
    fn trim(&self);
    /// True when the caller must wake the cell.
    fn admit_waiters(&self) -> bool;
}

/// See the module. `Make` makes a life of type `F`.
#[repr(C)]
pub(crate) struct Cell<A: Agent, Make, F> {
    body: Body<A::Msg>,
    slot: Slot<Make, F>,
}

#[expect(unsafe_code, reason = "see SAFETY")]
// SAFETY: repr(C), and the body is the first field.
unsafe impl<A, Make, F> Whole for Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    type Message = A::Msg;
}

/// What a turn came to.
enum TurnEnd {
    /// Nothing to do now.
    Rest,
    /// More to do.
    Again,
    /// The life is over.
    Over(Ended),
}

impl<A, Make, F> Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    /// A cell at rest, in its one allocation.
    pub(crate) fn make(header: Header, mailbox: Mailbox<A::Msg>, make: Make) -> TypedRef<A::Msg> {
        room::make(size_of::<Self>());
        TypedRef::new(Box::new(Self { body: Body { header, mailbox }, slot: Slot::new(make) }))
    }

    fn header(&self) -> &Header {
        &self.body.header
    }

    /// Lets the life run, and ends the turn.
    fn turn(&self, this: &CellRef, turn: Turn, budget: u32) {
        let header = self.header();
        header.set_budget(budget);
        let control = header.control();
        if control & control::WATCH != 0 && header.steps() & 1 == 0 {
            header.wake_step_watchers();
        }
        if control & control::ENDING != 0 {
            return self.turn_of_ending(this, turn);
        }
        if control & control::SPARE != 0 {
            return self.turn_in_spare(this, turn, control);
        }
        if self.slot.is_lost() {
            // A fenced life holds the place.
            if control & control::START == 0 {
                self.end_turn(this, turn, false);
                return;
            }
            header.raise(control::SPARE);
            return self.turn_in_spare(this, turn, control);
        }
        let end = self.step(this, control);
        if let TurnEnd::Over(ended) = end {
            // A new epoch of our own: from here on nobody else reports this end.
            if let Some(mine) = header.schedule.fence(turn) {
                self.drop_life();
                let again = self.finish(this, ended);
                self.end_turn(this, mine, again);
                return;
            }
        } else if self.end_turn(this, turn, matches!(end, TurnEnd::Again)) {
            return;
        }
        // Fenced; whoever did it has reported the end. What is left is dropped before others enter.
        self.drop_life();
        self.slot.leave();
    }

    /// Drops the life in the cell's own place; for a turn that is inside.
    fn drop_life(&self) {
        #[expect(unsafe_code, reason = "see SAFETY")]
        // SAFETY: a cell never moves. We are inside: by our turn, or fenced and not left yet.
        drop_quietly(|| unsafe { self.slot.clear() });
    }

    fn turn_in_spare(&self, this: &CellRef, turn: Turn, control: u32) {
        let header = self.header();
        let mut place = header.if_cold(|cold| cold.spare.take()).flatten();
        let end = if control & control::START != 0 && place.is_none() {
            match self.make_life(this) {
                Some(Ok(life)) => {
                    let life: SpareLife = Box::pin(life);
                    self.poll(this, Some(place.insert(life).as_mut()), control & !control::START)
                }
                Some(Err(ended)) => TurnEnd::Over(ended),
                None => TurnEnd::Rest,
            }
        } else {
            self.poll(this, place.as_mut().map(Pin::as_mut), control)
        };
        let Some(mine) = header.schedule.fence(turn) else {
            // Fenced as well: the spare place, and the note that it is in use, are the successor's.
            drop_quietly(|| drop(place));
            return;
        };
        let again = match end {
            TurnEnd::Over(ended) => {
                header.lower(control::SPARE);
                drop_quietly(|| drop(place));
                self.finish(this, ended)
            }
            TurnEnd::Again | TurnEnd::Rest => {
                header.with_cold(|cold| cold.spare = place);
                matches!(end, TurnEnd::Again)
            }
        };
        self.end_turn(this, mine, again);
    }

    /// False if the turn was fenced.
    fn end_turn(&self, this: &CellRef, turn: Turn, again: bool) -> bool {
        let header = self.header();
        if !again && self.body.mailbox.is_used() {
            header.system.warm().note(this);
        }
        let queued = header.schedule.end(turn, again);
        if queued == Some(true) {
            header.driver().dispatch(Runnable(this.clone()));
        }
        queued.is_some()
    }

    /// Makes the life if one is due, and polls it in the cell's own place.
    #[expect(unsafe_code, reason = "see SAFETY")]
    fn step(&self, this: &CellRef, control: u32) -> TurnEnd {
        if control & control::START != 0 {
            match self.make_life(this) {
                // SAFETY: a cell never moves. We have its turn, and no fenced one is inside.
                Some(Ok(life)) => unsafe { self.slot.put(life) },
                Some(Err(ended)) => return TurnEnd::Over(ended),
                None => return TurnEnd::Rest,
            }
        }
        // SAFETY: as above.
        self.poll(this, unsafe { self.slot.life() }, control & !control::START)
    }

    /// `None` while a fenced turn is within the factory: it wakes the cell when it is back.
    fn make_life(&self, this: &CellRef) -> Option<Result<F, Ended>> {
        let header = self.header();
        let incarnation = header.incarnation();
        let made = self.slot.with_make(|make| {
            header.lower(control::START);
            let this = this.typed().expect("invariant: a cell has its own message type").clone();
            let context = Context::new(this, incarnation);
            catch_unwind(AssertUnwindSafe(|| make(context)))
                .map_err(|panic| Ended::NotStarted(ExitReason::StartFailed(panic_report(&*panic))))
        });
        if header.is_live(incarnation) {
            return made;
        }
        // Fenced meanwhile. The value goes no further, and the next start may have found the factory
        // taken.
        drop_quietly(|| drop(made));
        this.wake();
        None
    }

    fn poll<L>(&self, this: &CellRef, life: Option<Pin<&mut L>>, control: u32) -> TurnEnd
    where
        L: Future<Output = Ended> + ?Sized,
    {
        let Some(life) = life else { return TurnEnd::Rest };
        if control & control::KILL != 0 {
            return TurnEnd::Over(Ended::By(ExitReason::Killed));
        }
        let waker = this.waker();
        let polled = catch_unwind(AssertUnwindSafe(|| life.poll(&mut Poller::from_waker(&waker))));
        match polled {
            Ok(Poll::Ready(ended)) => TurnEnd::Over(ended),
            Ok(Poll::Pending) => {
                let header = self.header();
                if header.steps() & 1 == 1 {
                    header.mark_suspected();
                    // The handler may sleep for long; there may be room.
                    self.body.mailbox.admit_waiters();
                }
                if header.control() & control::AGAIN != 0 {
                    header.lower(control::AGAIN);
                    TurnEnd::Again
                } else {
                    TurnEnd::Rest
                }
            }
            Err(panic) => TurnEnd::Over(Ended::By(ExitReason::Panic(panic_report(&*panic)))),
        }
    }
}

impl<A, Make, F> AnyCell for Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    fn message_type(&self) -> TypeId {
        TypeId::of::<A::Msg>()
    }

    fn run(&self, this: &CellRef, budget: u32) {
        if let Some(turn) = self.header().schedule.begin() {
            self.turn(this, turn, budget);
        }
    }

    fn run_claimed(&self, this: &CellRef, turn: Turn, budget: u32) {
        self.turn(this, turn, budget);
    }

    fn fence(&self, this: &CellRef, turn: Turn) -> bool {
        let header = self.header();
        if !header.is_alive() {
            // The life is over; the turn carries out its end, or drops mail.
            return false;
        }
        let Some(mine) = header.schedule.fence(turn) else { return false };
        if header.control() & control::SPARE == 0 {
            self.slot.lose();
        }
        self.body.mailbox.revoke_bias();
        let again = self.finish(this, Ended::By(ExitReason::Killed));
        self.end_turn(this, mine, again);
        true
    }

    fn deliver(&self, this: &CellRef, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        let lane = crate::envelope_agent::lane_of(&envelope);
        let message = A::from_envelope(envelope).map_err(SendError::NotUnderstood)?;
        #[expect(unsafe_code, reason = "see SAFETY")]
        // SAFETY: `this` is the cell itself, whose message type is its agent's.
        let this = unsafe { this.typed_unchecked::<A::Msg>() };
        match crate::address::push(this, lane, message) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.map(given_back::<A>)),
        }
    }

    fn boxed_addr(&self, this: &CellRef) -> Box<dyn Any + Send> {
        let this = this.typed().expect("invariant: a cell has its own message type");
        Box::new(Addr::<A>::from_cell(this.clone()))
    }

    fn open(&self) {
        self.body.mailbox.open();
    }

    fn close(&self) {
        self.body.mailbox.close();
    }

    fn discard(&self, reason: Reason) {
        self.discard_all(reason);
    }

    fn queued(&self) -> usize {
        self.body.mailbox.len()
    }

    fn totals(&self) -> (u64, u64) {
        self.body.mailbox.totals()
    }

    fn trim(&self) {
        self.body.mailbox.trim();
    }

    fn admit_waiters(&self) -> bool {
        self.body.mailbox.admit_waiters()
    }
}

/// The envelope of a message that was not accepted.
#[cold]
fn given_back<A: Agent>(message: A::Msg) -> Envelope {
    match A::into_envelope(message) {
        Ok(envelope) => envelope,
        Err(_) => unreachable!("invariant: made from an envelope by from_envelope"),
    }
}

/// Tells the owner of a cell that its start is over.
pub(crate) fn report_start(this: &CellRef, incarnation: u64, start: Start) {
    let header = this.header();
    match &header.owner {
        Some(owner) => owner.started(header.key, incarnation, start),
        None => root::started(this, start),
    }
}

/// Admits a message to a cell as its overflow policy says, and wakes the cell if it slept.
#[inline(always)]
pub(crate) fn send<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<(), Refused<Mail<M>>> {
    if admit(cell, lane, mail)? {
        cell.untyped().wake();
    }
    Ok(())
}

/// As [`send`]; true when the caller must wake the cell.
#[inline(always)]
pub(crate) fn admit<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<bool, Refused<Mail<M>>> {
    match cell.mailbox().push(lane, mail) {
        Ok(pushed) => Ok(pushed.wake),
        Err(Refused::Full(mail)) => overflow(cell, lane, mail),
        Err(closed) => Err(closed),
    }
}

/// Does with the message that found no room what the policy says. What it drops becomes a dead
/// letter: nothing disappears here.
#[cold]
pub(crate) fn overflow<M: Send + 'static>(
    cell: &TypedRef<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<bool, Refused<Mail<M>>> {
    let header = cell.header();
    let dead_letter = |mail: Mail<M>, reason| {
        header.note_dead(1);
        header.system.dead_letter(DeadLetter::of(&header.id, &mail.message, reason));
    };
    let mut mail = mail;
    loop {
        match cell.mailbox().options().overflow {
            Overflow::Wait(_) | Overflow::Reject => return Err(Refused::Full(mail)),
            Overflow::DropNewest => {
                header.with_cold(|cold| cold.turned_away += 1);
                dead_letter(mail, Reason::DroppedNewest);
                return Ok(false);
            }
            // Another sender may take the room that we make: then we make room again.
            Overflow::DropOldest => {
                if let Some(oldest) = cell.mailbox().evict(lane) {
                    dead_letter(oldest, Reason::DroppedOldest);
                }
            }
        }
        mail = match cell.mailbox().push(lane, mail) {
            Ok(pushed) => return Ok(pushed.wake),
            Err(Refused::Full(mail)) => mail,
            Err(closed) => return Err(closed),
        };
    }
}

/// Runs a destructor of user code; its panic ends here.
fn drop_quietly(drop: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(drop)) {
        // The panic's own payload may panic again when dropped; it is not worth a third try.
        drop_payload(panic);
    }
}

fn drop_payload(payload: Box<dyn Any + Send>) {
    drop(catch_unwind(AssertUnwindSafe(move || drop(payload))));
}

/// The text of a panic.
pub(crate) fn panic_report(payload: &(dyn Any + Send)) -> Report {
    if let Some(text) = payload.downcast_ref::<&str>() {
        Report::msg(text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Report::msg(text)
    } else {
        Report::msg("panic without a text")
    }
}
