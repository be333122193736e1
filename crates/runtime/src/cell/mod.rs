//! An agent at rest and at work: one allocation that holds identity, lanes, counters and the place
//! for the life (the state of the agent with its suspended handler).
//!
//! A cell owns no tokio task. Whoever is given it by [`Dispatch`] lets it run for a turn; it comes
//! back when there is mail. Its life is one future, polled in place: it holds the agent's value and
//! the handler's future, so a handler that suspends costs nothing but its own size. A restart makes
//! the next life in the same place; address, mailbox and queued messages stay (M12).

pub(crate) mod dispatch;
pub(crate) mod header;
pub(crate) mod life;
pub(crate) mod mailbox;
pub(crate) mod queue;
mod slot;

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Poller, Poll};

use futures_task::{ArcWake, waker_ref};
use ggml_agent_core::envelope::Envelope;
use ggml_agent_core::{ExitReason, Report};

use self::dispatch::Runnable;
use self::header::{Exit, Header, Start, Turn, control};
use self::life::Ended;
use self::mailbox::{Lane, Mail, Mailbox, Overflow};
use self::queue::Refused;
use self::slot::PinnedSlot;
use crate::address::Addr;
use crate::agent::Agent;
use crate::context::Context;
use crate::dead_letter::{DeadLetter, Reason};
use crate::error::SendError;
use crate::observe::EventKind;

/// A cell whose message type is forgotten.
pub(crate) trait AnyCell: Send + Sync {
    fn header(&self) -> &Header;
    /// Lets it run for one turn.
    fn run(self: Arc<Self>, budget: u32);
    /// Asks for a turn.
    fn wake(self: Arc<Self>);
    /// Takes the cell from a turn that does not come back (M10); false if that turn is over.
    fn fence(self: Arc<Self>, turn: Turn) -> bool;
    /// Hands an envelope to the agent's codec.
    fn deliver(self: Arc<Self>, envelope: Envelope) -> Result<(), SendError<Envelope>>;
    /// The `Mailbox<M>`.
    fn mailbox_any(&self) -> &dyn Any;
    /// The `Addr<A>`, boxed.
    fn address_any(self: Arc<Self>) -> Box<dyn Any + Send>;
    /// Opens the mailbox.
    fn open(&self);
    /// Closes the mailbox.
    fn close(&self);
    /// Makes dead letters of what is queued.
    fn discard(&self, reason: Reason);
    fn queued(&self) -> usize;
    fn totals(&self) -> (u64, u64);
    fn trim(&self);
}

/// A cell whose agent takes messages of type `M`.
pub(crate) trait MsgCell<M>: AnyCell {
    fn mailbox(&self) -> &Mailbox<M>;
    fn wake_ref(&self, this: &Arc<dyn MsgCell<M>>);
}

/// See the module. `Make` makes a life of type `F`.
pub(crate) struct Cell<A: Agent, Make, F> {
    header: Header,
    mailbox: Mailbox<A::Msg>,
    make: Mutex<Make>,
    life: PinnedSlot<F>,
    /// Where a life is when a fenced one still holds the cell's own place.
    spare: Mutex<Option<Pin<Box<F>>>>,
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
    pub(crate) fn new(header: Header, mailbox: Mailbox<A::Msg>, make: Make) -> Self {
        Self {
            header,
            mailbox,
            make: Mutex::new(make),
            life: PinnedSlot::empty(),
            spare: Mutex::new(None),
        }
    }

    fn turn(self: &Arc<Self>, turn: Turn) -> TurnEnd {
        let control = self.header.control();
        if control & control::WATCH != 0 && self.header.steps() & 1 == 0 {
            self.header.wake_step_watchers();
        }
        if control & control::SPARE != 0 {
            return self.turn_in_spare(turn, control);
        }
        #[expect(unsafe_code, reason = "see SAFETY")]
        // SAFETY: a cell is only ever made inside an Arc, and never moved out of it.
        let guard = unsafe { self.life.try_lock() };
        let Some(mut guard) = guard else {
            // A fenced life holds the place.
            self.header.raise(control::SPARE);
            return self.turn_in_spare(turn, control);
        };
        let end = self.step(guard.as_pin_mut(), control);
        if !self.header.holds(turn) || matches!(end, TurnEnd::Over(_)) {
            drop_quietly(|| guard.as_pin_mut().set(None));
        }
        end
    }

    fn turn_in_spare(self: &Arc<Self>, turn: Turn, control: u32) -> TurnEnd {
        let mut place = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let end = if control & control::START != 0 && place.is_none() {
            match self.make_life() {
                Ok(life) => {
                    place = Some(Box::pin(life));
                    self.poll(place.as_mut().map(Pin::as_mut), control & !control::START)
                }
                Err(ended) => TurnEnd::Over(ended),
            }
        } else {
            self.poll(place.as_mut().map(Pin::as_mut), control)
        };
        if !self.header.holds(turn) {
            // Fenced as well: the spare place, and the note that it is in use, are the successor's.
            drop_quietly(|| drop(place));
        } else if matches!(end, TurnEnd::Over(_)) {
            self.header.lower(control::SPARE);
            drop_quietly(|| drop(place));
        } else {
            *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = place;
        }
        end
    }

    /// Makes the life if one is due, and polls it in the cell's own place.
    fn step(self: &Arc<Self>, mut place: Pin<&mut Option<F>>, control: u32) -> TurnEnd {
        if control & control::START != 0 {
            match self.make_life() {
                Ok(life) => place.set(Some(life)),
                Err(ended) => return TurnEnd::Over(ended),
            }
        }
        self.poll(place.as_pin_mut(), control & !control::START)
    }

    fn make_life(self: &Arc<Self>) -> Result<F, Ended> {
        self.header.lower(control::START);
        let context = Context::new(self.clone(), self.header.incarnation());
        let mut make = self.make.lock().unwrap_or_else(PoisonError::into_inner);
        catch_unwind(AssertUnwindSafe(|| make(context)))
            .map_err(|panic| Ended::NotStarted(ExitReason::StartFailed(panic_report(&*panic))))
    }

    fn poll(self: &Arc<Self>, life: Option<Pin<&mut F>>, control: u32) -> TurnEnd {
        let Some(life) = life else { return TurnEnd::Rest };
        if control & control::KILL != 0 {
            return TurnEnd::Over(Ended::By(ExitReason::Killed));
        }
        let waker = waker_ref(self);
        let polled = catch_unwind(AssertUnwindSafe(|| life.poll(&mut Poller::from_waker(&waker))));
        match polled {
            Ok(Poll::Ready(ended)) => TurnEnd::Over(ended),
            Ok(Poll::Pending) => {
                if self.header.steps() & 1 == 1 {
                    self.header.mark_suspected();
                }
                if self.header.control() & control::AGAIN != 0 {
                    self.header.lower(control::AGAIN);
                    TurnEnd::Again
                } else {
                    TurnEnd::Rest
                }
            }
            Err(panic) => TurnEnd::Over(Ended::By(ExitReason::Panic(panic_report(&*panic)))),
        }
    }

    /// Releases what the incarnation held, in the order of M13, and tells the owner last.
    fn finish(self: &Arc<Self>, ended: Ended) {
        let header = &self.header;
        let incarnation = header.incarnation();
        let is_ignored = matches!(ended, Ended::Ignored);
        let (reason, started) = match ended {
            Ended::Ignored => (ExitReason::Normal, false),
            Ended::NotStarted(reason) => (reason, false),
            Ended::By(reason) => {
                let started = header.control() & control::STARTED != 0;
                match reason {
                    ExitReason::Panic(report) if !started => {
                        (ExitReason::StartFailed(report), false)
                    }
                    reason => (reason, started),
                }
            }
        };
        header.end_incarnation();
        let exit = Exit { incarnation, reason: reason.clone() };
        let step = header.steps();
        header.unprotect_all();
        let requests =
            header.lower(control::KILL | control::SHUTDOWN | control::STOP | control::DISCARD);
        let hooks = header.with_cold(|cold| {
            cold.last_exit = Some(exit.clone());
            if step & 1 == 1 {
                cold.failed_step = Some((incarnation, step));
            }
            std::mem::take(&mut cold.exit_hooks)
        });
        header.step_ends();
        let this: Arc<dyn AnyCell> = self.clone();
        header.system.pause(&this);
        for hook in hooks {
            hook(&exit);
        }
        if requests & control::DISCARD != 0 {
            self.discard(Reason::Stopped);
        }
        header.wake_step_watchers();
        if is_ignored {
            // No failure and no life: only its owner needs to know (S3).
            header.owner.started(header.key, incarnation, Start::Ignored);
            return;
        }
        header.system.emit(|| EventKind::AgentExited {
            agent: header.id.clone(),
            incarnation,
            reason: reason.clone(),
            started,
        });
        header.owner.exited(header.key, incarnation, reason);
    }

    fn dead_letter(&self, mail: Mail<A::Msg>, reason: Reason) {
        self.header.dead.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.header.system.dead_letter(DeadLetter::of(&self.header.id, &mail.message, reason));
        drop_quietly(|| drop(mail));
    }
}

impl<A, Make, F> AnyCell for Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    fn header(&self) -> &Header {
        &self.header
    }

    fn run(self: Arc<Self>, budget: u32) {
        let Some(turn) = self.header.begin_turn(budget) else { return };
        let end = self.turn(turn);
        if !self.header.holds(turn) {
            return; // fenced: whoever fenced it has reported the end
        }
        let again = matches!(end, TurnEnd::Again);
        if let TurnEnd::Over(ended) = end {
            self.finish(ended);
        }
        if self.header.end_turn(turn, again) {
            let driver = self.header.driver.clone();
            driver.dispatch(Runnable(self));
        }
    }

    fn wake(self: Arc<Self>) {
        if self.header.notify() {
            let driver = self.header.driver.clone();
            driver.dispatch(Runnable(self));
        }
    }

    fn fence(self: Arc<Self>, turn: Turn) -> bool {
        let Some(mine) = self.header.fence(turn) else { return false };
        self.finish(Ended::By(ExitReason::Killed));
        if self.header.end_turn(mine, false) {
            let driver = self.header.driver.clone();
            driver.dispatch(Runnable(self));
        }
        true
    }

    fn deliver(self: Arc<Self>, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        let lane = crate::envelope_agent::lane_of(&envelope);
        let message = A::from_envelope(envelope).map_err(SendError::NotUnderstood)?;
        let this: Arc<dyn MsgCell<A::Msg>> = self;
        Addr::<A>::from_cell(this).tell_on(lane, message).map_err(|error| {
            error.map(|message| match A::into_envelope(message) {
                Ok(envelope) => envelope,
                Err(_) => unreachable!("invariant: made from an envelope by from_envelope"),
            })
        })
    }

    fn mailbox_any(&self) -> &dyn Any {
        &self.mailbox
    }

    fn address_any(self: Arc<Self>) -> Box<dyn Any + Send> {
        Box::new(Addr::<A>::from_cell(self))
    }

    fn open(&self) {
        self.mailbox.open();
    }

    fn close(&self) {
        self.mailbox.close();
    }

    fn discard(&self, reason: Reason) {
        use self::mailbox::Taken;
        // A message that is still being written belongs to a sender that will see it accepted; it
        // is a matter of nanoseconds.
        loop {
            match self.mailbox.take(|| true) {
                Taken::Mail(mail) => self.dead_letter(mail, reason),
                Taken::Writing => std::hint::spin_loop(),
                Taken::Empty | Taken::Fenced => return,
            }
        }
    }

    fn queued(&self) -> usize {
        self.mailbox.len()
    }

    fn totals(&self) -> (u64, u64) {
        self.mailbox.totals()
    }

    fn trim(&self) {
        self.mailbox.trim();
    }
}

impl<A, Make, F> MsgCell<A::Msg> for Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    fn mailbox(&self) -> &Mailbox<A::Msg> {
        &self.mailbox
    }

    fn wake_ref(&self, this: &Arc<dyn MsgCell<A::Msg>>) {
        if self.header.notify() {
            self.header.driver.dispatch(Runnable(this.clone()));
        }
    }
}

impl<A, Make, F> ArcWake for Cell<A, Make, F>
where
    A: Agent,
    Make: FnMut(Context<A>) -> F + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    fn wake_by_ref(this: &Arc<Self>) {
        if this.header.notify() {
            this.header.driver.dispatch(Runnable(this.clone()));
        }
    }
}

/// Admits a message to a cell as its overflow policy says, and wakes the cell if it slept.
pub(crate) fn send<M: Send + 'static>(
    cell: &Arc<dyn MsgCell<M>>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<(), Refused<Mail<M>>> {
    if admit(cell.header(), cell.mailbox(), lane, mail)? {
        cell.wake_ref(cell);
    }
    Ok(())
}

/// As [`send`]; true when the caller must wake the cell.
pub(crate) fn admit<M: Send + 'static>(
    header: &Header,
    mailbox: &Mailbox<M>,
    lane: Lane,
    mail: Mail<M>,
) -> Result<bool, Refused<Mail<M>>> {
    let pushed = mailbox.push(lane, mail, |mail, policy| {
        use std::sync::atomic::Ordering;
        let reason = match policy {
            Overflow::DropNewest => {
                header.turned_away.fetch_add(1, Ordering::Relaxed);
                Reason::DroppedNewest
            }
            _ => Reason::DroppedOldest,
        };
        header.dead.fetch_add(1, Ordering::Relaxed);
        header.system.dead_letter(DeadLetter::of(&header.id, &mail.message, reason));
    })?;
    Ok(pushed.is_some_and(|pushed| pushed.wake))
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
