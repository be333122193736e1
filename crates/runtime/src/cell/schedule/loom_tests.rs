//! Every pair of operations of the schedule word.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::Schedule;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// A cell with a counter of mail that a turn takes, and a count of those who have the turn.
#[derive(Default)]
struct Model {
    mail: AtomicUsize,
    inside: AtomicUsize,
}

impl Model {
    /// A turn: takes all mail that it sees.
    fn turn(&self, schedule: &Schedule, begin: impl Fn() -> Option<super::Turn>) -> (usize, bool) {
        let Some(turn) = begin() else { return (0, false) };
        assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0, "two threads run one cell");
        let taken = self.mail.swap(0, Ordering::Relaxed);
        self.inside.fetch_sub(1, Ordering::Relaxed);
        (taken, schedule.end(turn, false).expect("nobody fences"))
    }
}

fn fresh() -> Arc<(Schedule, Model)> {
    Arc::new((Schedule::new(), Model::default()))
}

#[test]
fn loom_two_notes_of_a_resting_cell_queue_it_once() {
    model(|| {
        let cell = fresh();
        let other = cell.clone();
        let theirs = thread::spawn(move || other.0.notify());
        let mine = cell.0.notify();
        assert!(mine ^ theirs.join().unwrap());
    });
}

#[test]
fn loom_a_note_against_a_turn_is_seen_or_queues_it_again() {
    model(|| {
        let cell = fresh();
        assert!(cell.0.notify());
        let other = cell.clone();
        let sender = thread::spawn(move || {
            other.1.mail.fetch_add(1, Ordering::Relaxed);
            other.0.notify()
        });
        let (taken, again) = cell.1.turn(&cell.0, || cell.0.begin());
        let queued = sender.join().unwrap();
        assert!(!(again && queued), "queued twice");
        assert!(taken == 1 || again || queued, "mail of a cell that nobody runs");
    });
}

#[test]
fn loom_a_claim_against_a_note_and_its_turn_is_one_thread_at_a_time() {
    model(|| {
        let cell = fresh();
        let other = cell.clone();
        let sender = thread::spawn(move || {
            other.1.mail.fetch_add(1, Ordering::Relaxed);
            let queued = other.0.notify();
            if queued { other.1.turn(&other.0, || other.0.begin()) } else { (0, false) }
        });
        let (mine, again) = cell.1.turn(&cell.0, || cell.0.claim());
        let (theirs, again_theirs) = sender.join().unwrap();
        let rest =
            if again || again_theirs { cell.1.turn(&cell.0, || cell.0.begin()).0 } else { 0 };
        assert_eq!(mine + theirs + rest, 1);
    });
}

#[test]
fn loom_a_claim_against_the_turn_of_a_queued_cell_and_a_note_runs_it_once_and_forgets_nothing() {
    model(|| {
        let cell = fresh();
        assert!(cell.0.notify());
        let (helper, sender) = (cell.clone(), cell.clone());
        let helper = thread::spawn(move || helper.1.turn(&helper.0, || helper.0.claim()));
        let sender = thread::spawn(move || {
            sender.1.mail.fetch_add(1, Ordering::Relaxed);
            sender.0.notify()
        });
        let (mine, mine_again) = cell.1.turn(&cell.0, || cell.0.begin());
        let (theirs, theirs_again) = helper.join().unwrap();
        let n_queued = [sender.join().unwrap(), mine_again, theirs_again];
        let n_queued = n_queued.into_iter().filter(|queued| *queued).count();
        // Each time that it was queued, a runner comes to it.
        let mut taken = mine + theirs;
        let mut to_run = n_queued;
        while to_run > 0 {
            let (mail, again) = cell.1.turn(&cell.0, || cell.0.begin());
            taken += mail;
            to_run = to_run - 1 + usize::from(again);
        }
        assert_eq!(taken, 1, "mail of a cell that nobody runs");
        assert!(cell.0.notify(), "it rests");
    });
}

#[test]
fn loom_two_claims_of_a_resting_cell_give_one_turn() {
    model(|| {
        let cell = fresh();
        let other = cell.clone();
        let theirs = thread::spawn(move || other.0.claim().is_some());
        let mine = cell.0.claim().is_some();
        assert!(mine ^ theirs.join().unwrap());
    });
}

#[test]
fn loom_a_fence_against_the_end_of_its_turn_has_one_winner() {
    model(|| {
        let cell = fresh();
        assert!(cell.0.notify());
        let turn = cell.0.begin().unwrap();
        let other = cell.clone();
        let fencer = thread::spawn(move || {
            let fenced = other.0.fence(turn);
            fenced.and_then(|mine| other.0.end(mine, true))
        });
        let again = cell.0.end(turn, true) == Some(true);
        let fenced = fencer.join().unwrap();
        assert!(again != fenced.is_some(), "the turn ended and was fenced, or neither");
        assert!(fenced.is_none_or(|again| again));
        assert!(cell.0.begin().is_some(), "whoever won has queued it");
    });
}

#[test]
fn loom_a_note_against_a_fence_is_not_lost() {
    model(|| {
        let cell = fresh();
        assert!(cell.0.notify());
        let turn = cell.0.begin().unwrap();
        let other = cell.clone();
        let sender = thread::spawn(move || other.0.notify());
        let mine = cell.0.fence(turn).unwrap();
        // The fence stands for an end: whoever noted something before it is heard by the owner.
        let queued_by_end = cell.0.end(mine, true) == Some(true);
        let queued_by_note = sender.join().unwrap();
        assert!(queued_by_end && !queued_by_note);
    });
}
