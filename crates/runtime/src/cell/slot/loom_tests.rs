//! A fenced turn that leaves against the one who fenced it.

use loom::sync::Arc;
use loom::thread;

use super::PinnedSlot;

#[test]
#[expect(unsafe_code, reason = "the slot's contract is what is tested")]
fn loom_nobody_enters_before_a_fenced_turn_has_left_and_then_somebody_may() {
    loom::model(|| {
        let slot = Arc::new(PinnedSlot::<u32>::empty());
        let other = slot.clone();
        let fenced = thread::spawn(move || {
            // SAFETY: inside when it was fenced, and not left.
            unsafe { other.pinned() }.set(None);
            other.leave();
        });
        // The fencer notes it, and only then the next life may look for a place.
        slot.lose();
        if !slot.is_lost() {
            // SAFETY: the turn is ours, and the slot is not lost.
            unsafe { slot.pinned() }.set(Some(1));
        }
        fenced.join().unwrap();
        assert!(!slot.is_lost());
    });
}
