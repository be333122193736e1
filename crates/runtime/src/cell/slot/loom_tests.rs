//! A fenced turn that leaves against the one who fenced it, and two who make a life.

use loom::sync::Arc;
use loom::thread;

use super::Slot;

#[test]
#[expect(unsafe_code, reason = "the slot's contract is what is tested")]
fn loom_nobody_enters_before_a_fenced_turn_has_left_and_then_somebody_may() {
    loom::model(|| {
        let slot = Arc::new(Slot::<(), u32>::new(()));
        let other = slot.clone();
        let fenced = thread::spawn(move || {
            // SAFETY: inside when it was fenced, and not left.
            unsafe { other.clear() };
            other.leave();
        });
        // The fencer notes it, and only then the next life may look for a place.
        slot.lose();
        if !slot.is_lost() {
            // SAFETY: the turn is ours, and the slot is not lost.
            unsafe { slot.put(1) };
        }
        fenced.join().unwrap();
        assert!(!slot.is_lost());
    });
}

#[test]
fn loom_two_lives_are_not_made_at_once() {
    loom::model(|| {
        let slot = Arc::new(Slot::<u32, u32>::new(0));
        let other = slot.clone();
        let fenced = thread::spawn(move || other.with_make(|n| *n += 1).is_some());
        let mine = slot.with_make(|n| *n += 1).is_some();
        let theirs = fenced.join().unwrap();
        assert!(mine || theirs, "at least one finds it free");
        assert_eq!(slot.with_make(|n| *n), Some(u32::from(mine) + u32::from(theirs)));
    });
}
