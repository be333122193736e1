//! The senders that wait for room in a mailbox, first come, first served over both lanes.
//!
//! A waiting sender leaves its message here. Whoever finds room moves messages into their lanes, in
//! order, and wakes their senders, which have nothing more to do: there is one wake per message and
//! never one in vain. The consumer admits in lumps, when its lane is half empty, and at the end of
//! each turn; so a wake is paid for hundreds of messages.

#[cfg(all(test, loom))]
mod loom_tests;

use std::collections::VecDeque;
use std::task::Waker;

use ggml_agent_core::limits;

use super::mailbox::Lane;
use super::queue::{Pushed, Queue, Refused, Turn};
use crate::sync::{Mutex, lock};

/// See the module.
pub(crate) struct Line<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    waiting: VecDeque<Waiter<T>>,
    next_ticket: u64,
}

struct Waiter<T> {
    ticket: u64,
    lane: Lane,
    message: T,
    waker: Option<Waker>,
}

/// What a waiting sender finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress<T> {
    /// The message is in its lane.
    Admitted,
    /// The mailbox was closed; the message comes back.
    Closed(T),
    Waiting,
}

/// How many senders are woken at a time, outside of the lock.
const WAKES: usize = 32;

/// The lanes of a mailbox.
pub(crate) struct Lanes<'a, T> {
    pub(crate) user: &'a Queue<T>,
    pub(crate) priority: &'a Queue<T>,
    pub(crate) len_max: usize,
}

impl<T> Lanes<'_, T> {
    fn get(&self, lane: Lane) -> &Queue<T> {
        match lane {
            Lane::User => self.user,
            Lane::Priority => self.priority,
        }
    }

    fn mark_waiters(&self, waiting: bool) {
        self.user.mark_waiters(waiting);
        self.priority.mark_waiters(waiting);
    }
}

impl<T> Line<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), next_ticket: 0 }) }
    }

    /// Runs `f` while nobody else does so or changes the line.
    pub(crate) fn aligned(&self, f: impl FnOnce()) {
        let _state = lock(&self.state);
        f();
    }

    /// Takes a place at the end, and admits whom there is room for: also when the consumer made
    /// room, or fell asleep, just before it could know of us. The ticket, and whether the caller
    /// must wake the consumer. Gives the message back when too many wait.
    pub(crate) fn join(
        &self,
        lanes: &Lanes<'_, T>,
        lane: Lane,
        message: T,
    ) -> Result<(u64, bool), T> {
        let ticket = {
            let mut state = lock(&self.state);
            if state.waiting.len() >= limits::SEND_WAITERS_MAX {
                return Err(message);
            }
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            if state.waiting.is_empty() {
                lanes.mark_waiters(true);
            }
            state.waiting.push_back(Waiter { ticket, lane, message, waker: None });
            ticket
        };
        Ok((ticket, self.admit(lanes)))
    }

    /// Moves messages into their lanes while there is room; true when the consumer must be woken.
    pub(crate) fn admit(&self, lanes: &Lanes<'_, T>) -> bool {
        let mut wake = false;
        loop {
            let mut wakers: [Option<Waker>; WAKES] = [const { None }; WAKES];
            let mut n = 0;
            let more = {
                let mut state = lock(&self.state);
                while n < WAKES && state.admit_first(lanes, &mut wake, &mut wakers[n]) {
                    n += 1;
                }
                if state.waiting.is_empty() {
                    lanes.mark_waiters(false);
                }
                n == WAKES
            };
            wakers.into_iter().flatten().for_each(Waker::wake);
            if !more {
                return wake;
            }
        }
    }

    /// What became of the message with this ticket.
    pub(crate) fn poll(&self, lanes: &Lanes<'_, T>, ticket: u64, waker: &Waker) -> Progress<T> {
        let mut state = lock(&self.state);
        let Some(at) = state.position(ticket) else { return Progress::Admitted };
        if lanes.user.is_closed() {
            return state.remove(at, lanes).map_or(Progress::Admitted, Progress::Closed);
        }
        match &mut state.waiting[at].waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Progress::Waiting
    }

    /// Gives a place up; the message, unless it was admitted. Whoever stood behind it may go on:
    /// true when the consumer must be woken.
    pub(crate) fn leave(&self, lanes: &Lanes<'_, T>, ticket: u64) -> (Option<T>, bool) {
        let message = {
            let mut state = lock(&self.state);
            let at = state.position(ticket);
            at.and_then(|at| state.remove(at, lanes))
        };
        let wake = message.is_some() && self.admit(lanes);
        (message, wake)
    }

    /// Frees the memory of an empty line.
    pub(crate) fn trim(&self) {
        let mut state = lock(&self.state);
        if state.waiting.is_empty() {
            state.waiting = VecDeque::new();
        }
    }

    /// Wakes everybody: the mailbox was closed.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<_> =
            lock(&self.state).waiting.iter_mut().filter_map(|waiter| waiter.waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<T> State<T> {
    /// Moves the first message into its lane, if there is one and room for it.
    fn admit_first(
        &mut self,
        lanes: &Lanes<'_, T>,
        wake: &mut bool,
        waker: &mut Option<Waker>,
    ) -> bool {
        let Some(first) = self.waiting.pop_front() else { return false };
        let Waiter { ticket, lane, message, waker: its } = first;
        match lanes.get(lane).push(message, lanes.len_max, Turn::Waiter) {
            Ok(Pushed { wake: sleeps }) => {
                *wake |= sleeps;
                *waker = its;
                true
            }
            Err(Refused::Full(message) | Refused::Closed(message)) => {
                self.waiting.push_front(Waiter { ticket, lane, message, waker: its });
                false
            }
        }
    }

    /// Tickets ascend from front to back.
    fn position(&self, ticket: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    fn remove(&mut self, at: usize, lanes: &Lanes<'_, T>) -> Option<T> {
        let waiter = self.waiting.remove(at)?;
        if self.waiting.is_empty() {
            lanes.mark_waiters(false);
        }
        Some(waiter.message)
    }
}
