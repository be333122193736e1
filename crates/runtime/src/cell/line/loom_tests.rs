//! A sender that waits against the consumer, another sender, and a close.

use std::task::Waker;

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::{Lanes, Line, Progress};
use crate::cell::mailbox::Lane;
use crate::cell::queue::{Parked, Popped, Queue, Turn};

struct Mailbox {
    user: Queue<u32>,
    priority: Queue<u32>,
    line: Line<u32>,
}

impl Mailbox {
    /// Room for one message, which is there.
    fn full() -> Arc<Self> {
        let mailbox =
            Self { user: Queue::new(true), priority: Queue::new(true), line: Line::new() };
        assert!(mailbox.user.push(0, 1, Turn::Newcomer).is_ok());
        Arc::new(mailbox)
    }

    fn lanes(&self) -> Lanes<'_, u32> {
        Lanes { user: &self.user, priority: &self.priority, len_max: 1 }
    }

    /// Pops until it may sleep, admitting as a consumer does; what it popped.
    fn consume(&self) -> Vec<u32> {
        let mut popped = Vec::new();
        loop {
            match self.user.pop() {
                Popped::Message(message) => popped.push(message),
                Popped::Writing => thread::yield_now(),
                Popped::Empty => match self.user.park() {
                    Parked::Mail => thread::yield_now(),
                    Parked::Asleep { waiters: true } if self.line.admit(&self.lanes()) => {}
                    Parked::Asleep { .. } => return popped,
                },
            }
        }
    }
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

#[test]
fn loom_a_sender_that_joins_is_admitted_by_itself_or_by_the_consumer() {
    model(|| {
        let mailbox = Mailbox::full();
        let other = mailbox.clone();
        let sender = thread::spawn(move || other.line.join(&other.lanes(), Lane::User, 1).unwrap());
        let mut popped = mailbox.consume();
        let (ticket, wake) = sender.join().unwrap();
        // The sender that found the consumer asleep wakes it.
        if wake {
            popped.extend(mailbox.consume());
        }
        assert_eq!(popped, [0, 1], "a sender waits beside an empty mailbox");
        let waker = Waker::noop();
        assert_eq!(mailbox.line.poll(&mailbox.lanes(), ticket, waker), Progress::Admitted);
        assert!(!mailbox.user.has_waiters());
    });
}

#[test]
fn loom_two_senders_that_join_are_both_admitted() {
    model(|| {
        let mailbox = Mailbox::full();
        let other = mailbox.clone();
        let sender = thread::spawn(move || other.line.join(&other.lanes(), Lane::User, 1).unwrap());
        mailbox.line.join(&mailbox.lanes(), Lane::User, 2).unwrap();
        sender.join().unwrap();
        let mut popped = mailbox.consume();
        popped.sort_unstable();
        assert_eq!(popped, [0, 1, 2]);
    });
}

#[test]
fn loom_a_sender_that_leaves_against_the_consumer_keeps_its_message_or_has_sent_it() {
    model(|| {
        let mailbox = Mailbox::full();
        let (ticket, _) = mailbox.line.join(&mailbox.lanes(), Lane::User, 1).unwrap();
        let other = mailbox.clone();
        let sender = thread::spawn(move || other.line.leave(&other.lanes(), ticket).0);
        let popped = mailbox.consume();
        let kept = sender.join().unwrap();
        assert_eq!(popped.contains(&1), kept.is_none(), "{popped:?} {kept:?}");
    });
}

#[test]
fn loom_a_sender_that_waits_against_a_close_gets_its_message_back_or_has_sent_it() {
    model(|| {
        let mailbox = Mailbox::full();
        let (ticket, _) = mailbox.line.join(&mailbox.lanes(), Lane::User, 1).unwrap();
        let other = mailbox.clone();
        let closer = thread::spawn(move || {
            other.user.close();
            other.line.wake_all();
        });
        let popped = mailbox.consume_some();
        closer.join().unwrap();
        match mailbox.line.poll(&mailbox.lanes(), ticket, Waker::noop()) {
            Progress::Closed(message) => assert_eq!((message, popped), (1, vec![0])),
            Progress::Admitted => {
                let rest = mailbox.consume_some();
                assert!(popped.contains(&1) || rest == [1]);
            }
            Progress::Waiting => unreachable!("it is closed"),
        }
    });
}

impl Mailbox {
    /// Pops what is there, and admits once.
    fn consume_some(&self) -> Vec<u32> {
        let mut popped = Vec::new();
        for _ in 0..2 {
            while let Popped::Message(message) = self.user.pop() {
                popped.push(message);
            }
            self.line.admit(&self.lanes());
        }
        popped
    }
}
