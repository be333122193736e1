//! The holder of the turn against those who take the bias away.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::Head;
use crate::sync::UnsafeCell;

/// A head, and something that only whoever has access may touch.
struct Model {
    head: Head,
    guarded: UnsafeCell<usize>,
}

// SAFETY: what is guarded is touched with access alone; loom finds out if not.
#[expect(unsafe_code, reason = "shares a cell that the head guards")]
unsafe impl Sync for Model {}

impl Model {
    fn biased() -> Arc<Self> {
        Arc::new(Self { head: Head::new(true), guarded: UnsafeCell::new(0) })
    }

    /// One pop of the holder of the turn, or of somebody else.
    fn pop(&self, as_owner: bool) {
        let access = if as_owner { self.head.own() } else { self.head.share() };
        #[expect(unsafe_code, reason = "see SAFETY")]
        // SAFETY: we have access.
        self.guarded.with_mut(|guarded| unsafe {
            assert_eq!(*guarded, access.position);
            *guarded += 1;
        });
        self.head.leave(&access, access.position + 1);
    }
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    // Those who wait for the lock spin.
    builder.max_branches = 10_000;
    builder.check(f);
}

#[test]
fn loom_the_holder_of_the_turn_against_one_who_takes_the_bias_away() {
    model(|| {
        let model = Model::biased();
        let other = model.clone();
        let evictor = thread::spawn(move || other.pop(false));
        model.pop(true);
        model.pop(true);
        evictor.join().unwrap();
        assert_eq!(model.head.position(), 3);
    });
}

#[test]
fn loom_two_who_take_the_bias_away() {
    model(|| {
        let model = Model::biased();
        let other = model.clone();
        let evictor = thread::spawn(move || other.pop(false));
        model.pop(false);
        evictor.join().unwrap();
        // Whoever has the turn comes after them and finds no bias.
        model.pop(true);
        assert_eq!(model.head.position(), 3);
    });
}

#[test]
fn loom_a_fenced_holder_that_comes_back_against_its_successor() {
    model(|| {
        let model = Model::biased();
        let fenced = model.clone();
        let comes_back = thread::spawn(move || fenced.pop(true));
        // Whoever fences takes the bias away before the successor may pop, as an owner too.
        model.head.revoke();
        model.pop(true);
        comes_back.join().unwrap();
        assert_eq!(model.head.position(), 2);
    });
}
