//! Threads that meet.

use loom::sync::Arc;
use loom::thread;

use super::{Lease, THREAD};

#[test]
fn loom_of_two_that_take_it_at_once_one_has_it() {
    loom::model(|| {
        let lease = Arc::new(Lease::new());
        let take = |lease: &Lease, me: u32| {
            lease.change(0, 7_u32 << 8 | me);
            lease.word() & THREAD
        };
        let other = lease.clone();
        let taker = thread::spawn(move || take(&other, 1));
        let seen = take(&lease, 2);
        assert_eq!(taker.join().unwrap(), seen, "it runs, and nobody has taken it away");
        assert!(seen == 1 || seen == 2);
    });
}
