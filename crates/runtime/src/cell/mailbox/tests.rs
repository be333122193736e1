use std::sync::atomic::AtomicUsize;

use super::*;

#[test]
fn a_priority_lane_that_is_being_made_takes_mail_of_everybody() {
    const ROUNDS: usize = 20_000;
    const THREADS: usize = 2;
    let mailboxes: Vec<Mailbox<usize>> =
        (0..ROUNDS).map(|_| Mailbox::new(MailboxOptions::DEFAULT, false)).collect();
    // Counted, not asserted within: the other thread would wait for ever.
    let (n_arrived, n_refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (round, mailbox) in mailboxes.iter().enumerate() {
                    // Spins: who sleeps before each round never meets the other.
                    n_arrived.fetch_add(1, Ordering::AcqRel);
                    let mut n_spins = 0_u32;
                    while n_arrived.load(Ordering::Acquire) < THREADS * (round + 1) {
                        n_spins += 1;
                        if n_spins.is_multiple_of(1_000) {
                            std::thread::yield_now();
                        }
                        std::hint::spin_loop();
                    }
                    let pushed = mailbox.push(Lane::Priority, Mail::new(round));
                    n_refused.fetch_add(usize::from(pushed.is_err()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(n_refused.into_inner(), 0, "open mailboxes said that they were closed");
    for mailbox in &mailboxes {
        assert_eq!(mailbox.len(), THREADS);
        mailbox.close();
        let refused = mailbox.push(Lane::Priority, Mail::new(0));
        assert!(matches!(refused, Err(Refused::Closed(_))));
    }
}
