use super::*;
use crate::soup::each;

/// One entry for each byte.
fn bytes(runs: &Runs<u8>) -> Vec<(u8, u64)> {
    runs.iter().flat_map(|run| std::iter::repeat_n((run.author, run.seq), run.len)).collect()
}

fn assert_compact(runs: &Runs<u8>) {
    let all: Vec<_> = runs.iter().collect();
    assert!(all.iter().all(|run| run.len > 0), "an empty run: {all:?}");
    assert!(all.windows(2).all(|pair| !pair[0].is_of(pair[1])), "equal neighbours: {all:?}");
    assert_eq!(runs.bytes(), all.iter().map(|run| run.len).sum::<usize>());
    assert_eq!(runs.len(), all.len());
    assert_eq!(runs.is_empty(), all.is_empty());
}

#[test]
fn runs_say_of_each_byte_who_wrote_it() {
    each(500, "runs_say", |rng| {
        let (mut runs, mut naive) = (Runs::of(5, 0, 0), vec![(0, 0); 5]);
        for step in 1..60_u64 {
            let at = rng.below(naive.len() + 1);
            let del = rng.below((naive.len() - at).min(6) + 1);
            let ins = rng.below(7);
            let author = u8::try_from(rng.below(3)).unwrap();
            // Some edits share a number, so that neighbours become one.
            let seq = step / 8;
            runs.splice(at, del, ins, &author, seq).unwrap();
            naive.splice(at..at + del, std::iter::repeat_n((author, seq), ins));
            assert_eq!(bytes(&runs), naive);
            assert_compact(&runs);
            let from = rng.below(naive.len() + 2);
            let to = from + rng.below(9);
            let cut: Vec<_> = runs
                .slice(from..to)
                .flat_map(|run| std::iter::repeat_n((run.author, run.seq), run.len))
                .collect();
            let to = to.min(naive.len());
            assert_eq!(cut, naive[from.min(to)..to], "{from}..{to}");
        }
    });
}

#[test]
fn runs_follow_a_list_of_changes() {
    each(1_000, "runs_follow", |rng| {
        let text = crate::soup::soup(rng, 4);
        let changes = crate::text::change::tests::changes(rng, &text);
        let mut runs = Runs::of(text.len(), 1, 1);
        runs.apply(&changes, &2, 2).unwrap();
        let mut naive = vec![(1, 1); text.len()];
        for change in changes.as_slice().iter().rev() {
            let new = std::iter::repeat_n((2, 2), change.insert.len());
            naive.splice(change.at..change.end(), new);
        }
        assert_eq!(bytes(&runs), naive);
        assert_compact(&runs);
    });
}

#[test]
fn a_change_beyond_the_text_is_refused_and_changes_nothing() {
    let mut runs = Runs::of(4, 'a', 1);
    let before: Vec<_> = runs.iter().copied().collect();
    assert_eq!(runs.splice(3, 2, 1, &'b', 2), Err(Misfit::Beyond { at: 3, end: 5, len: 4 }));
    assert!(runs.splice(2, usize::MAX, 1, &'b', 2).is_err());
    let mut changes = Changes::one(0, 1, "x");
    changes.push_parts(3, 2, "");
    assert!(runs.apply(&changes, &'b', 2).is_err());
    assert_eq!(runs.iter().copied().collect::<Vec<_>>(), before);
}

#[test]
fn over_the_limit_neighbours_of_one_author_become_one_run_first() {
    let mut runs = Runs::new();
    for n in 0..=RUNS_MAX as u64 {
        // Two edits of each author in a row.
        runs.splice(runs.bytes(), 0, 2, &(n / 4), n).unwrap();
    }
    assert_eq!(runs.bytes(), 2 * (RUNS_MAX + 1));
    assert_eq!(runs.len(), RUNS_MAX / 4 + 1);
    let first = runs.iter().next().unwrap();
    assert_eq!((first.len, first.author, first.seq), (8, 0, 3), "with the later number");
}

#[test]
fn over_the_limit_the_longer_of_two_neighbours_names_both() {
    let mut runs = Runs::new();
    for n in 0..=RUNS_MAX as u64 {
        let len = if n % 2 == 0 { 3 } else { 1 };
        runs.splice(runs.bytes(), 0, len, &(n % 2), n).unwrap();
    }
    assert_eq!(runs.bytes(), 2 * RUNS_MAX + 3);
    assert!(runs.len() <= RUNS_MAX / 2 + 1, "{} runs", runs.len());
    assert!(runs.iter().all(|run| run.author == 0), "the author of three bytes of four");
}

#[test]
fn runs_stay_within_their_limit_whatever_is_written() {
    let mut rng = crate::soup::Rng(7);
    let mut runs = Runs::of(1, 0_u64, 0);
    for n in 1..3 * RUNS_MAX as u64 {
        runs.splice(rng.below(runs.bytes()), 0, 3, &(n % 7), n).unwrap();
        assert!(runs.len() <= RUNS_MAX);
    }
    assert_eq!(runs.bytes(), 9 * RUNS_MAX - 2);
}
