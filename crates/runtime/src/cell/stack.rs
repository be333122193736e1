//! A list that many push to and whose whole content one takes, in the order of the pushes. The links
//! stand in the members: a push is one exchange and no allocation.
#![expect(unsafe_code, reason = "members are linked by pointers while the list owns them")]

#[cfg(all(test, loom))]
mod loom_tests;

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering};

/// What can be a member: something that a pointer owns.
///
/// # Safety
/// `into_raw` and `from_raw` undo each other; in between the pointer stays valid, whatever others do.
/// `link` is used by nobody else.
pub(crate) unsafe trait Member: Sized {
    type Node;
    fn into_raw(self) -> NonNull<Self::Node>;
    /// # Safety
    /// `node` comes from `into_raw`, and is used once.
    unsafe fn from_raw(node: NonNull<Self::Node>) -> Self;
    fn link(node: &Self::Node) -> &AtomicPtr<Self::Node>;
}

/// See the module.
pub(crate) struct Stack<M: Member> {
    /// The latest.
    head: AtomicPtr<M::Node>,
    members: PhantomData<M>,
}

// SAFETY: it owns its members and hands each to one taker.
unsafe impl<M: Member + Send> Send for Stack<M> {}
// SAFETY: as above.
unsafe impl<M: Member + Send> Sync for Stack<M> {}

impl<M: Member> Stack<M> {
    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), members: PhantomData }
    }

    /// Adds a member. Sequentially consistent: whoever pushes and then looks whether the taker
    /// sleeps, and a taker that falls asleep and then looks whether something was pushed, do not both
    /// miss the other.
    #[inline]
    pub(crate) fn push(&self, member: M) {
        let node = M::into_raw(member);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: ours until the exchange succeeds.
            M::link(unsafe { node.as_ref() }).store(head, Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::SeqCst,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // The model checker takes SeqCst for AcqRel: it gets the fence that it knows.
                    #[cfg(loom)]
                    loom::sync::atomic::fence(Ordering::SeqCst);
                    return;
                }
                Err(found) => head = found,
            }
        }
    }

    /// Sequentially consistent: see [`Stack::push`].
    pub(crate) fn is_empty(&self) -> bool {
        #[cfg(loom)]
        loom::sync::atomic::fence(Ordering::SeqCst);
        self.head.load(Ordering::SeqCst).is_null()
    }

    /// Takes all, the oldest first.
    pub(crate) fn take(&self) -> Taken<M> {
        // Acquire: the links, and what was done to the members before they were pushed.
        let mut latest = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest = ptr::null_mut();
        while let Some(node) = NonNull::new(latest) {
            // SAFETY: it was in the list, which was taken whole, so it is ours.
            let link = M::link(unsafe { node.as_ref() });
            latest = link.load(Ordering::Relaxed);
            link.store(oldest, Ordering::Relaxed);
            oldest = node.as_ptr();
        }
        Taken { next: oldest, members: PhantomData }
    }
}

impl<M: Member> Drop for Stack<M> {
    fn drop(&mut self) {
        self.take().for_each(drop);
    }
}

/// Members on their way out.
pub(crate) struct Taken<M: Member> {
    next: *mut M::Node,
    members: PhantomData<M>,
}

impl<M: Member> Iterator for Taken<M> {
    type Item = M;

    fn next(&mut self) -> Option<M> {
        let node = NonNull::new(self.next)?;
        // SAFETY: ours since the list was taken; it goes to the caller, once.
        unsafe {
            self.next = M::link(node.as_ref()).load(Ordering::Relaxed);
            Some(M::from_raw(node))
        }
    }
}

impl<M: Member> Drop for Taken<M> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
    }
}
