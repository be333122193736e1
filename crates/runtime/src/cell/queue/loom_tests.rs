//! Every pair of operations of the queue, in all interleavings that loom finds.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p ggml-agent --lib loom_ --release`

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::{Parked, Popped, Pushed, Queue, Refused, Turn};

const NO_BOUND: usize = usize::MAX;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    // Bugs of such structures show with two or three preemptions; more takes hours.
    builder.preemption_bound = Some(3);
    builder.check(f);
}

fn push(queue: &Queue<u32>, n: u32) -> Pushed {
    queue.push(n, NO_BOUND, Turn::Newcomer).expect("unbounded and open")
}

/// Pops until `n` messages are there; a consumer that finds nothing lets others run.
fn pop_n(queue: &Queue<u32>, n: usize) -> Vec<u32> {
    let mut popped = Vec::new();
    while popped.len() < n {
        match queue.pop() {
            Popped::Message(message) => popped.push(message),
            Popped::Empty | Popped::Writing => thread::yield_now(),
        }
    }
    popped
}

fn rest(queue: &Queue<u32>) -> Vec<u32> {
    let mut popped = Vec::new();
    while let Popped::Message(message) = queue.pop() {
        popped.push(message);
    }
    popped
}

#[test]
fn loom_two_producers_lose_nothing_and_keep_their_order_across_a_block() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        let other = queue.clone();
        let producer = thread::spawn(move || {
            push(&other, 10);
            push(&other, 11);
        });
        push(&queue, 20);
        push(&queue, 21);
        producer.join().unwrap();
        let popped = rest(&queue);
        assert_eq!(popped.len(), 4);
        let of = |tens: u32| popped.iter().copied().filter(|n| n / 10 == tens).collect::<Vec<_>>();
        assert_eq!((of(1), of(2)), (vec![10, 11], vec![20, 21]));
        assert_eq!(queue.totals(), (4, 4));
    });
}

#[test]
fn loom_push_against_pop_across_a_block() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        let other = queue.clone();
        let producer = thread::spawn(move || (0..3).for_each(|n| drop(push(&other, n))));
        assert_eq!(pop_n(&queue, 3), [0, 1, 2]);
        producer.join().unwrap();
        assert_eq!(queue.pop(), Popped::Empty);
    });
}

#[test]
fn loom_push_against_park_wakes_or_is_seen() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        let other = queue.clone();
        let producer = thread::spawn(move || push(&other, 1).wake);
        let parked = queue.park() != Parked::Mail;
        let woken = producer.join().unwrap();
        // Asleep with mail and nobody to wake it: the one thing that must not be.
        assert_eq!(parked, woken, "parked {parked}, woken {woken}");
        assert_eq!(rest(&queue), [1]);
    });
}

#[test]
fn loom_push_against_a_consumer_that_parks_again_wakes_it() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        assert_eq!(queue.park(), Parked::Asleep { waiters: false });
        let other = queue.clone();
        let producer = thread::spawn(move || push(&other, 1).wake);
        // As after a message that came without the queue.
        let was_parked = queue.is_parked_open();
        let parked = queue.park();
        assert!(producer.join().unwrap(), "whatever the consumer saw");
        assert!(was_parked || parked == Parked::Mail);
        assert_eq!(rest(&queue), [1]);
    });
}

#[test]
fn loom_two_pushes_to_a_parked_consumer_wake_it_once() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        assert!(matches!(queue.park(), Parked::Asleep { .. }));
        let other = queue.clone();
        let producer = thread::spawn(move || push(&other, 1).wake);
        let mine = push(&queue, 2).wake;
        let theirs = producer.join().unwrap();
        assert!(mine ^ theirs);
    });
}

#[test]
fn loom_push_against_trim() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        push(&queue, 0);
        assert_eq!(pop_n(&queue, 1), [0]);
        let other = queue.clone();
        let producer = thread::spawn(move || (1..3).for_each(|n| drop(push(&other, n))));
        queue.trim();
        producer.join().unwrap();
        assert_eq!(rest(&queue), [1, 2]);
        assert_eq!(queue.totals(), (3, 3));
    });
}

#[test]
fn loom_the_bound_is_never_exceeded_and_room_is_found_again() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        let other = queue.clone();
        let accepted = |queue: &Queue<u32>| queue.push(1, 1, Turn::Newcomer).is_ok();
        let producer = thread::spawn(move || accepted(&other));
        let mine = accepted(&queue);
        let theirs = producer.join().unwrap();
        assert!(mine ^ theirs, "one place, one message");
        assert_eq!(queue.len(), 1);
        assert_eq!(pop_n(&queue, 1), [1]);
        assert!(accepted(&queue));
    });
}

#[test]
fn loom_push_against_close_is_accepted_or_given_back() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        let other = queue.clone();
        let producer = thread::spawn(move || other.push(1, NO_BOUND, Turn::Newcomer));
        queue.close();
        let pushed = producer.join().unwrap();
        let queued = rest(&queue);
        match pushed {
            Ok(_) => assert_eq!(queued, [1]),
            Err(refused) => assert_eq!((refused, queued), (Refused::Closed(1), Vec::new())),
        }
    });
}

#[test]
fn loom_evicting_sender_against_consumer_take_each_message_once() {
    model(|| {
        let queue = Arc::new(Queue::new(true));
        push(&queue, 1);
        push(&queue, 2);
        let other = queue.clone();
        let evictor = thread::spawn(move || one(other.evict()));
        let mine = one(queue.pop());
        let theirs = evictor.join().unwrap();
        let mut all: Vec<u32> = mine.into_iter().chain(theirs).chain(rest(&queue)).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

fn one(popped: Popped<u32>) -> Option<u32> {
    match popped {
        Popped::Message(message) => Some(message),
        Popped::Empty | Popped::Writing => None,
    }
}
