//! A cell with a driver of its own: a thread for an agent that blocks, or a job on a `LocalSet`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::seat::{self, Place, Seat};
use crate::cell::dispatch::{Dispatch, Runnable, TURN_BUDGET};

/// Puts a [`SoloJob`] where it is to be polled; called again when a turn was fenced and its thread
/// is lost.
type Host = Box<dyn Fn(SoloJob) + Send + Sync>;

/// Gives one cell its turns, on whatever polls its [`SoloJob`].
pub(crate) struct Solo {
    host: Host,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queued: Option<Runnable>,
    waker: Option<Waker>,
    seat: Arc<Seat>,
    /// Only the job of the latest generation works on.
    generation: u64,
    closed: bool,
}

impl Solo {
    pub(crate) fn new(host: Host) -> Arc<Self> {
        let solo = Arc::new(Self { host, state: Mutex::default() });
        solo.spawn();
        solo
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>) {
        let (seat, generation) = {
            let state = self.lock();
            (state.seat.clone(), state.generation)
        };
        let place = Some(Box::new(Place { seat, pool: 0, local: None }));
        (self.host)(SoloJob { solo: self.clone(), place, generation });
    }

    /// The seat of the thread that runs the cell now.
    pub(crate) fn seat(&self) -> Arc<Seat> {
        self.lock().seat.clone()
    }

    /// Leaves the present job to its fate and starts another: its turn was fenced.
    pub(crate) fn replace(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            state.generation += 1;
            state.closed = false;
            state.seat = Arc::default();
        }
        self.spawn();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends the job.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Dispatch for Solo {
    fn dispatch(&self, cell: Runnable) {
        self.lock().queued = Some(cell);
        self.wake();
    }
}

impl fmt::Debug for Solo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Solo").finish_non_exhaustive()
    }
}

/// The future that runs the cell of a [`Solo`].
pub(crate) struct SoloJob {
    solo: Arc<Solo>,
    place: Option<Box<Place>>,
    generation: u64,
}

impl Future for SoloJob {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let cell = {
            let mut state = self.solo.lock();
            if state.generation != self.generation {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            match state.queued.take() {
                Some(cell) => cell,
                None if state.closed => return Poll::Ready(()),
                None => return Poll::Pending,
            }
        };
        let seat = self.place.as_ref().map(|place| place.seat.clone());
        seat::sit(&mut self.place, || {
            let _turn = seat.as_ref().and_then(|seat| seat.begin(cell.address()));
            cell.run(TURN_BUDGET);
        });
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
