//! Two that make the value, and one that looks.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::Lazy;

/// A value that loom watches: a look at it before it was made, or while it is, fails the model.
struct Watched(UnsafeCell<u32>);

// SAFETY: written before it is shared, if the code under test does what it says; loom finds out.
#[expect(unsafe_code, reason = "see SAFETY")]
unsafe impl Sync for Watched {}

impl Watched {
    #[expect(unsafe_code, reason = "see SAFETY")]
    fn make(n: u32) -> Self {
        let cell = UnsafeCell::new(0);
        // SAFETY: nobody else has it yet.
        cell.with_mut(|place| unsafe { *place = n });
        Self(cell)
    }

    #[expect(unsafe_code, reason = "see SAFETY")]
    fn look(&self) -> u32 {
        // SAFETY: nobody writes any more.
        self.0.with(|place| unsafe { *place })
    }
}

#[test]
fn loom_two_that_make_it_get_the_same_and_a_third_sees_it_whole_or_not_at_all() {
    loom::model(|| {
        let lazy = Arc::new(Lazy::<Watched>::new());
        let others: Vec<_> = (1..3)
            .map(|n| {
                let other = lazy.clone();
                thread::spawn(move || other.get_or_init(|| Watched::make(n)).look())
            })
            .collect();
        let seen = lazy.get().map(Watched::look);
        let got: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!(got[0], got[1]);
        assert!(seen.is_none_or(|seen| seen == got[0]));
    });
}
