//! The table against an ordered map, with hashes that collide, and what it weighs.

use std::collections::BTreeMap;

use super::*;

fn card(n: usize) -> Handle {
    Arc::new(Card { id: agent(&format!("worker-{n}")), letter: ' ' })
}

/// Few hashes, at both ends and in the middle of the table, or many.
fn hash_of(n: usize, n_hashes: usize) -> u64 {
    match n % n_hashes {
        0 => 0,
        1 => u64::MAX,
        other => Rng(other as u64).next(),
    }
}

#[test]
fn table_agrees_with_an_ordered_map_whatever_the_hashes() {
    let name = "table_agrees_with_an_ordered_map_whatever_the_hashes";
    let first_seed = seeded::seed();
    for seed in (0..60).map(|n| first_seed.wrapping_add(n)) {
        let mut rng = Rng(seed);
        let n_hashes = [1, 2, 7, 300][rng.below(4)];
        let n_cards = [4, 40, 400][rng.below(3)];
        let cards: Vec<_> = (0..n_cards).map(card).collect();
        let (mut table, mut model) = (Table::new(), BTreeMap::new());
        // First mostly growing, then mostly shrinking.
        for odds in [8, 2, 9, 0] {
            for _ in 0..n_cards * 3 {
                let n = rng.below(n_cards);
                let key = Key::with_hash(&cards[n].id, hash_of(n, n_hashes));
                let found = table.find(key);
                assert_eq!(found.is_some(), model.contains_key(&n), "seed {seed}");
                match found {
                    None if rng.below(10) < odds => {
                        table.insert(key, cards[n].clone());
                        model.insert(n, AgentState::Live);
                    }
                    Some(place) if rng.below(10) >= odds => {
                        assert!(Arc::ptr_eq(&table.remove(place), &cards[n]));
                        model.remove(&n);
                    }
                    Some(place) => {
                        let state = [AgentState::Live, AgentState::Restarting][rng.below(2)];
                        let before = model.insert(n, state);
                        assert_eq!(Some(table.set_state(place, state)), before);
                    }
                    None => {}
                }
                table.check();
            }
            let mut held: Vec<_> = table.iter().map(|(card, state)| (&card.id, state)).collect();
            held.sort();
            let mut expected: Vec<_> =
                model.iter().map(|(n, state)| (&cards[*n].id, *state)).collect();
            expected.sort();
            assert_eq!(held, expected, "repeat with: {}", seeded::repeat(name, seed));
        }
    }
}

#[test]
fn an_agent_takes_less_than_20_bytes_and_memory_follows_the_agents() {
    let cards: Vec<_> = (0..40_000).map(card).collect();
    let mut table = Table::new();
    for (n, card) in cards.iter().enumerate() {
        table.insert(card.id().into(), card.clone());
        let per_agent = table.bytes() / (n + 1);
        assert!(n < 100 || per_agent < 20, "{per_agent} bytes with {} agents", n + 1);
    }
    for card in &cards[100..] {
        let place = table.find(card.id().into()).unwrap();
        table.remove(place);
    }
    assert_eq!(table.len(), 100);
    assert!(table.bytes() < 100 * 4 * 20, "{} bytes", table.bytes());
}
