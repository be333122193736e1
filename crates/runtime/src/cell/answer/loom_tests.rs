//! Every pair of operations on the three ends of an answer.

use std::task::Waker;

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Found, triple};

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// Counts wakes, without threads of its own.
struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting() -> (std::sync::Arc<Count>, Waker) {
    let count = std::sync::Arc::new(Count(AtomicUsize::new(0)));
    (count.clone(), Waker::from(count))
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn loom_an_answer_is_found_or_wakes() {
    model(|| {
        let (reply, mut asker, mail) = triple::<u32>();
        mail.begin(1, 2);
        let answerer = thread::spawn(move || reply.send(7));
        let (count, waker) = counting();
        let first = asker.poll(&waker);
        answerer.join().unwrap();
        match first {
            Found::Value(value) => assert_eq!(value, 7),
            Found::Pending => {
                assert_eq!(count.0.load(Ordering::SeqCst), 1, "it sleeps and nobody woke it");
                assert_eq!(asker.poll(&waker), Found::Value(7));
            }
            Found::Nothing(_) => unreachable!("it was answered"),
        }
    });
}

#[test]
fn loom_a_waker_that_is_replaced_is_not_lost() {
    model(|| {
        let (reply, mut asker, mail) = triple::<u32>();
        drop(mail);
        let ((_old, first), (count, second)) = (counting(), counting());
        assert_eq!(asker.poll(&first), Found::Pending);
        let answerer = thread::spawn(move || reply.send(7));
        let found = asker.poll(&second);
        answerer.join().unwrap();
        if found == Found::Pending {
            assert_eq!(count.0.load(Ordering::SeqCst), 1, "the new waker was not woken");
            assert_eq!(asker.poll(&second), Found::Value(7));
        }
    });
}

#[test]
fn loom_a_dropped_reply_says_who_took_the_question() {
    model(|| {
        let (reply, mut asker, mail) = triple::<u32>();
        let handler = thread::spawn(move || {
            mail.begin(3, 5);
            drop(reply);
        });
        let (count, waker) = counting();
        let mut found = asker.poll(&waker);
        handler.join().unwrap();
        if found == Found::Pending {
            assert_eq!(count.0.load(Ordering::SeqCst), 1);
            found = asker.poll(&waker);
        }
        assert_eq!(found, Found::Nothing(Some((3, 5))));
    });
}

#[test]
fn loom_an_asker_that_leaves_against_an_answer_drops_the_value_once() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (reply, mut asker, mail) = triple::<Counted>();
        drop(mail);
        let (_count, waker) = counting();
        let value = Counted(drops.clone());
        let answerer = thread::spawn(move || reply.send(value));
        drop(asker.poll(&waker));
        drop(asker);
        answerer.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn loom_mail_reply_and_asker_let_go_at_once_and_free_it_once() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (reply, asker, mail) = triple::<Counted>();
        let value = Counted(drops.clone());
        let answerer = thread::spawn(move || reply.send(value));
        let queue = thread::spawn(move || mail.has_left());
        drop(asker);
        answerer.join().unwrap();
        queue.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1, "leaked, or freed twice");
    });
}
