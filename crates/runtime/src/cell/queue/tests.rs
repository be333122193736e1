//! The queue on std threads, and against a list.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Parked, Popped, Queue, Refused, Turn};

/// As in a system that has the barrier, or without a bias where there is none.
fn biased<T>() -> Queue<T> {
    Queue::new(crate::cell::barrier::register())
}

#[derive(Debug, Clone)]
enum Op {
    Push,
    Pop,
    Evict,
    Trim,
    Park,
    Close,
    Open,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Push),
        8 => Just(Op::Pop),
        1 => Just(Op::Evict),
        2 => Just(Op::Trim),
        2 => Just(Op::Park),
        1 => Just(Op::Close),
        1 => Just(Op::Open),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_bounded_list(ops in prop::collection::vec(op(), 0..400), len_max in 1_usize..80) {
        let queue = biased();
        let (mut list, mut closed, mut parked) = (VecDeque::new(), false, false);
        let (mut next, mut pushed, mut popped) = (0_u32, 0_u64, 0_u64);
        for op in ops {
            match op {
                Op::Push => {
                    next += 1;
                    let expected = if closed {
                        Err(Refused::Closed(next))
                    } else if list.len() >= len_max {
                        Err(Refused::Full(next))
                    } else {
                        list.push_back(next);
                        pushed += 1;
                        Ok(std::mem::take(&mut parked))
                    };
                    let got = queue.push(next, len_max, Turn::Newcomer);
                    prop_assert_eq!(got.map(|pushed| pushed.wake), expected);
                }
                Op::Pop | Op::Evict => {
                    let expected = list.pop_front();
                    popped += u64::from(expected.is_some());
                    let found = if matches!(op, Op::Pop) { queue.pop() } else { queue.evict() };
                    let got = match found {
                        Popped::Message(message) => Some(message),
                        Popped::Empty => None,
                        Popped::Writing => return Err(TestCaseError::fail("nobody writes")),
                    };
                    prop_assert_eq!(got, expected);
                }
                Op::Trim => prop_assert_eq!(queue.trim() || !list.is_empty(), true),
                Op::Park => {
                    let expected = list.is_empty();
                    prop_assert_eq!(queue.park() != Parked::Mail, expected);
                    parked |= expected;
                }
                Op::Close => {
                    queue.close();
                    closed = true;
                }
                Op::Open => {
                    queue.open();
                    closed = false;
                }
            }
            prop_assert_eq!(queue.len(), list.len());
            prop_assert_eq!(queue.totals(), (pushed, popped));
        }
    }
}

#[test]
fn many_producers_lose_nothing_and_keep_their_order() {
    const PRODUCERS: u64 = 4; // the length of `next`
    const EACH: u64 = 50_000;
    let queue = Arc::new(biased());
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                for n in 0..EACH {
                    let mut message = (producer, n);
                    while let Err(Refused::Full(back)) = queue.push(message, 1_000, Turn::Newcomer)
                    {
                        message = back;
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    let mut n_popped = 0;
    while n_popped < PRODUCERS * EACH {
        match queue.pop() {
            Popped::Message((producer, n)) => {
                let expected = &mut next[usize::try_from(producer).unwrap()];
                assert_eq!(n, *expected, "producer {producer}");
                *expected += 1;
                n_popped += 1;
            }
            Popped::Empty => drop(queue.trim()),
            Popped::Writing => std::thread::yield_now(),
        }
        assert!(queue.len() <= 1_000);
    }
    for producer in producers {
        producer.join().unwrap();
    }
}

#[test]
fn dropping_a_queue_drops_its_messages() {
    let message = Arc::new(());
    let queue = biased();
    for _ in 0..100 {
        queue.push(message.clone(), usize::MAX, Turn::Newcomer).unwrap();
    }
    assert!(matches!(queue.pop(), Popped::Message(_)));
    drop(queue);
    assert_eq!(Arc::strong_count(&message), 1);
}
