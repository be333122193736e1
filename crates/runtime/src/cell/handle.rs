//! Counted pointers to cells, one word each: without the agent's type, and with its message's.
//!
//! A cell is one allocation that begins with its [`Body`]: header, then mailbox. So a pointer to
//! the header reaches the identity and the schedule of any cell, a pointer to a body with a known
//! message type its mailbox, both without a call through a table; everything else goes through
//! [`AnyCell`], whose table the header can find.
#![expect(unsafe_code, reason = "a thin counted pointer to cells of different types")]

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::{RawWaker, RawWakerVTable, Waker};

use ggml_agent_core::envelope::Envelope;

use super::AnyCell;
use super::dispatch::Runnable;
use super::header::Header;
use super::mailbox::{Mail, Mailbox};
use super::offer;
use super::schedule::Turn;
use super::stack::Member;
use crate::dead_letter::Reason;
use crate::error::SendError;
use crate::sync::AtomicPtr;

/// The beginning of every cell whose agent takes messages of type `M`.
#[repr(C)]
pub(crate) struct Body<M> {
    pub(crate) header: Header,
    pub(crate) mailbox: Mailbox<M>,
}

/// What makes a header the beginning of a counted cell; written by [`TypedRef::new`].
pub(crate) struct Anchor {
    refs: AtomicUsize,
    whole: unsafe fn(NonNull<Header>) -> NonNull<dyn AnyCell>,
}

impl Anchor {
    /// Of a header that is in no cell yet.
    pub(crate) fn loose() -> Self {
        unsafe fn nowhere(_: NonNull<Header>) -> NonNull<dyn AnyCell> {
            unreachable!("invariant: a header is anchored before anybody sees it")
        }
        Self { refs: AtomicUsize::new(1), whole: nowhere }
    }
}

/// A cell as a whole.
///
/// # Safety
/// The type is `repr(C)` and its first field is a `Body<Self::Message>`.
pub(crate) unsafe trait Whole: AnyCell + 'static {
    type Message: Send + 'static;
}

/// A cell whose message type is forgotten.
pub(crate) struct CellRef(NonNull<Header>);

// SAFETY: a cell is Sync and Send: messages, factory and life are Send, and each part is reached
// by one thread at a time (its lock, or the turn) or is atomic.
unsafe impl Send for CellRef {}
// SAFETY: as above.
unsafe impl Sync for CellRef {}

/// A cell whose agent takes messages of type `M`.
#[repr(transparent)]
pub(crate) struct TypedRef<M> {
    cell: CellRef,
    message: PhantomData<fn(M)>,
}

impl<M: Send + 'static> TypedRef<M> {
    /// Makes the one allocation of a cell.
    pub(crate) fn new<C: Whole<Message = M>>(cell: Box<C>) -> Self {
        unsafe fn whole<C: Whole>(header: NonNull<Header>) -> NonNull<dyn AnyCell> {
            header.cast::<C>()
        }
        let cell = NonNull::from(Box::leak(cell));
        let header = cell.cast::<Header>();
        // SAFETY: a `Whole` begins with a body, and that with the header; nobody else has it yet.
        unsafe { (*header.as_ptr()).anchor.whole = whole::<C> };
        Self { cell: CellRef(header), message: PhantomData }
    }
}

impl<M> TypedRef<M> {
    #[inline]
    fn body(&self) -> &Body<M> {
        // SAFETY: made by `new` from a cell with this message type, or checked by `CellRef::typed`.
        unsafe { self.cell.0.cast::<Body<M>>().as_ref() }
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        &self.body().header
    }

    #[inline]
    pub(crate) fn mailbox(&self) -> &Mailbox<M> {
        &self.body().mailbox
    }

    pub(crate) fn untyped(&self) -> &CellRef {
        &self.cell
    }

    /// As [`CellRef::run_here`]; it handles `mail` if nothing is queued. `mail` is empty afterwards if
    /// it was accepted.
    #[inline]
    pub(crate) fn run_here_with(&self, mail: &mut Option<Mail<M>>, budget: u32) -> bool {
        let Some(turn) = self.header().schedule.claim() else { return false };
        let run = || self.cell.any().run_claimed(&self.cell, turn, budget);
        if self.mailbox().is_at_rest() {
            offer::with(self, mail, run)
        } else {
            run()
        }
        true
    }
}

impl<M> Clone for TypedRef<M> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), message: PhantomData }
    }
}

impl CellRef {
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: we hold a count, so the cell exists.
        unsafe { self.0.as_ref() }
    }

    fn any(&self) -> &dyn AnyCell {
        let whole = self.header().anchor.whole;
        // SAFETY: `whole` was written for the type of this very cell, which exists.
        unsafe { whole(self.0).as_ref() }
    }

    /// The cell with its message type, if it is `M`.
    pub(crate) fn typed<M: 'static>(&self) -> Option<&TypedRef<M>> {
        if self.any().message_type() != TypeId::of::<M>() {
            return None;
        }
        // SAFETY: the message type was checked.
        Some(unsafe { self.typed_unchecked() })
    }

    /// # Safety
    /// `M` is the message type of the cell.
    #[inline]
    pub(super) unsafe fn typed_unchecked<M>(&self) -> &TypedRef<M> {
        let typed: *const TypedRef<M> = std::ptr::from_ref(self).cast();
        // SAFETY: a `TypedRef` is a transparent `CellRef`, and the caller knows the message type.
        unsafe { &*typed }
    }

    /// Tells one cell from another while both exist.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Lets it run for a turn.
    #[inline]
    pub(crate) fn run(&self, budget: u32) {
        self.any().run(self, budget);
    }

    /// Lets it run on the caller's stack if it rests; false otherwise.
    pub(crate) fn run_here(&self, budget: u32) -> bool {
        let Some(turn) = self.header().schedule.claim() else { return false };
        self.any().run_claimed(self, turn, budget);
        true
    }

    /// Asks for a turn.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.header().schedule.notify() {
            self.header().driver().dispatch(Runnable(self.clone()));
        }
    }

    /// Takes the cell from a turn that does not come back (M10); false if that turn is over.
    pub(crate) fn fence(&self, turn: Turn) -> bool {
        self.any().fence(self, turn)
    }

    /// Hands an envelope to the agent's codec.
    pub(crate) fn deliver(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        self.any().deliver(self, envelope)
    }

    /// The `Addr<A>`, boxed.
    pub(crate) fn boxed_addr(&self) -> Box<dyn Any + Send> {
        self.any().boxed_addr(self)
    }

    pub(crate) fn open(&self) {
        self.any().open();
    }

    pub(crate) fn close(&self) {
        self.any().close();
    }

    /// Makes dead letters of what is queued.
    pub(crate) fn discard(&self, reason: Reason) {
        self.any().discard(reason);
    }

    pub(crate) fn queued(&self) -> usize {
        self.any().queued()
    }

    pub(crate) fn totals(&self) -> (u64, u64) {
        self.any().totals()
    }

    /// Frees the memory of empty lanes; for the holder of its turn, or when no incarnation follows.
    pub(crate) fn trim(&self) {
        self.any().trim();
    }

    /// Frees what a cell at rest owns for mail; false when it is not at rest.
    pub(crate) fn cool(&self) -> bool {
        let Some(turn) = self.header().schedule.claim_idle() else { return false };
        self.header().warm.store(false, Ordering::Relaxed);
        self.any().trim();
        // A fence takes only what lasts a second.
        if self.header().schedule.end(turn, false) == Some(true) {
            self.header().driver().dispatch(Runnable(self.clone()));
        }
        true
    }

    /// Admits senders that wait for room, if there is some.
    pub(crate) fn admit_waiters(&self) {
        if self.any().admit_waiters() {
            self.wake();
        }
    }

    /// A waker of the cell that costs no count; dropped by whoever owns the reference.
    #[inline]
    pub(crate) fn waker(&self) -> ManuallyDrop<Waker> {
        let raw = RawWaker::new(self.0.as_ptr().cast_const().cast(), &WAKER);
        // SAFETY: the table below keeps the contract of RawWaker; not dropping it keeps our count.
        ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
    }
}

static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: the waker that is cloned holds a count, or borrows one.
        let cell = ManuallyDrop::new(unsafe { borrowed(data) });
        let clone = ManuallyDrop::new(CellRef::clone(&cell));
        RawWaker::new(clone.0.as_ptr().cast_const().cast(), &WAKER)
    },
    // SAFETY: consumes the count of the waker.
    |data| unsafe { borrowed(data) }.wake(),
    // SAFETY: the waker keeps its count.
    |data| ManuallyDrop::new(unsafe { borrowed(data) }).wake(),
    // SAFETY: consumes the count of the waker.
    |data| drop(unsafe { borrowed(data) }),
);

/// # Safety
/// `data` comes from [`CellRef::waker`], and the result takes over the waker's count or is not dropped.
unsafe fn borrowed(data: *const ()) -> CellRef {
    // SAFETY: never null: it was a NonNull.
    CellRef(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

// SAFETY: the pointer carries the count; a cell is in one list at most, since it is queued once.
unsafe impl Member for Runnable {
    type Node = Header;

    fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self.0).0
    }

    unsafe fn from_raw(node: NonNull<Header>) -> Self {
        Self(CellRef(node))
    }

    fn link(node: &Header) -> &AtomicPtr<Header> {
        &node.link
    }
}

impl Clone for CellRef {
    #[inline]
    fn clone(&self) -> Self {
        // Relaxed: a new count comes from one that exists (as std's Arc). An overflow would take
        // 2^64 clones that were forgotten.
        self.header().anchor.refs.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl Drop for CellRef {
    #[inline]
    fn drop(&mut self) {
        // Release and, for the last one, Acquire: all use of the cell is over before it is freed.
        if self.header().anchor.refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        let whole = self.header().anchor.whole;
        // SAFETY: the last count; the pointer is the one of `Box::leak` with its own type.
        drop(unsafe { Box::from_raw(whole(self.0).as_ptr()) });
    }
}

impl PartialEq for CellRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for CellRef {}

impl fmt::Debug for CellRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cell").field(&self.header().id).finish()
    }
}
