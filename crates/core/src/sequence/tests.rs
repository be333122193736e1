use std::collections::BTreeMap;

use super::Sequence;
use crate::seeded::{Rng, repeat, seed};

#[test]
fn s07_a_sequence_agrees_with_a_tree_over_many_random_steps() {
    for round in 0..50 {
        let seed = seed().wrapping_mul(1_000).wrapping_add(round);
        let mut rng = Rng(seed);
        let (mut sequence, mut tree, mut next) = (Sequence::new(), BTreeMap::new(), rng.next() % 9);
        // Rounds differ in how fast entries go, so that there are dense and sparse ones.
        let share = rng.next() % 100;
        for step in 0..2_000_u64 {
            let some = rng.next() % (next + 2);
            if rng.next() % 100 < share {
                assert_eq!(sequence.remove(some), tree.remove(&some), "step {step}");
            } else {
                sequence.push(next, step);
                tree.insert(next, step);
                next += 1 + rng.next() % 3 / 2;
            }
            let at = rng.next() % (next + 2);
            let told = [sequence.first_from(at), sequence.last_before(at), sequence.last()];
            let first = tree.range(at..).next();
            let before = tree.range(..at).next_back();
            let expected = [first, before, tree.last_key_value()].map(|e| e.map(|(k, v)| (*k, v)));
            let name = "s07_a_sequence_agrees";
            assert_eq!(told, expected, "repeat with: {}", repeat(name, crate::seeded::seed()));
            assert_eq!(sequence.get(at), tree.get(&at));
            assert_eq!(sequence.get_mut(at), tree.get_mut(&at));
            assert_eq!((sequence.len(), sequence.is_empty()), (tree.len(), tree.is_empty()));
        }
        assert!(sequence.iter().eq(tree.iter().map(|(key, value)| (*key, value))));
    }
}

#[test]
fn s07_entries_that_come_and_go_behind_one_that_stays_leave_no_memory() {
    let mut sequence = Sequence::new();
    sequence.push(0, ());
    for key in 1..100_000 {
        sequence.push(key, ());
        if let Some(earlier) = key.checked_sub(10).filter(|earlier| *earlier > 0) {
            assert_eq!(sequence.remove(earlier), Some(()));
        }
        assert!(sequence.entries.capacity() <= 64, "{}", sequence.entries.capacity());
    }
    assert_eq!(sequence.len(), 11);
    for key in 0..100_000 {
        sequence.remove(key);
    }
    assert!(sequence.entries.capacity() <= 4);
}
