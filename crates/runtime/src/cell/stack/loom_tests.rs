//! Pushes against pushes, against the taker, and against a taker that falls asleep.

use std::ptr::{self, NonNull};

use loom::sync::Arc;
use loom::thread;

use super::{Member, Stack};
use crate::sync::{AtomicBool, AtomicPtr, Ordering};

struct Node {
    link: AtomicPtr<Self>,
    n: u32,
}

struct Boxed(Box<Node>);

// SAFETY: a box is a pointer that owns.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl Member for Boxed {
    type Node = Node;

    fn into_raw(self) -> NonNull<Node> {
        NonNull::from(Box::leak(self.0))
    }

    unsafe fn from_raw(node: NonNull<Node>) -> Self {
        // SAFETY: from `into_raw`.
        Self(unsafe { Box::from_raw(node.as_ptr()) })
    }

    fn link(node: &Node) -> &AtomicPtr<Node> {
        &node.link
    }
}

fn member(n: u32) -> Boxed {
    Boxed(Box::new(Node { link: AtomicPtr::new(ptr::null_mut()), n }))
}

fn take(stack: &Stack<Boxed>) -> Vec<u32> {
    stack.take().map(|member| member.0.n).collect()
}

#[test]
fn loom_pushes_of_two_and_a_taker_lose_nothing_and_keep_their_order() {
    loom::model(|| {
        let stack = Arc::new(Stack::new());
        let other = stack.clone();
        let pusher = thread::spawn(move || {
            other.push(member(1));
            other.push(member(2));
        });
        stack.push(member(3));
        let mut taken = take(&stack);
        pusher.join().unwrap();
        taken.extend(take(&stack));
        let of_other: Vec<_> = taken.iter().copied().filter(|n| *n < 3).collect();
        assert_eq!((taken.len(), of_other), (3, vec![1, 2]));
    });
}

#[test]
fn loom_a_taker_that_falls_asleep_sees_the_push_or_is_seen_asleep() {
    loom::model(|| {
        let shared = Arc::new((Stack::new(), AtomicBool::new(false)));
        let other = shared.clone();
        let pusher = thread::spawn(move || {
            other.0.push(member(1));
            other.1.load(Ordering::SeqCst)
        });
        shared.1.swap(true, Ordering::SeqCst);
        let sees_work = !shared.0.is_empty();
        let was_seen_asleep = pusher.join().unwrap();
        assert!(sees_work || was_seen_asleep);
    });
}
