use std::collections::BTreeMap;

use super::*;
use crate::seeded::{Rng, repeat, seed};
use crate::supervise::Backoff;

fn spec(name: u64) -> ChildSpec {
    ChildSpec::worker(format!("child-{name}").parse().unwrap())
}

#[test]
fn s30_children_are_found_by_id_whatever_came_and_went_before() {
    let mut rng = Rng(seed());
    // Also over the end of what the index keeps of a key.
    for start in [0, (1 << 32) - 1_000, (1 << 33) - 5] {
        let (mut table, mut model) = (Table::new(seed()), BTreeMap::new());
        let first = table.insert(spec(u64::MAX)).unwrap();
        table.next = ChildKey::new(start + 1);
        for step in 0..20_000 {
            // Grows, shrinks, and grows again.
            let names = if step / 5_000 % 2 == 0 { 4_000 } else { 40 };
            let (name, told) = (rng.next() % names, repeat("s30_children_are_found", seed()));
            let inserted = table.insert(spec(name));
            if let Some(key) = model.remove(&name) {
                let id = spec(name).id;
                assert_eq!(inserted, Err(SpecError::DuplicateId { id }), "{told}");
                assert!(table.remove(key).is_some(), "{told}");
            } else {
                model.insert(name, inserted.unwrap());
            }
            if step % 5_000 == 4_999 {
                for (name, key) in std::mem::take(&mut model).into_iter().skip(30) {
                    assert_eq!(table.key_of(spec(name).id.as_str()), Some(key), "{told}");
                    assert!(table.remove(key).is_some(), "{told}");
                    assert_eq!(table.key_of(spec(name).id.as_str()), None, "{told}");
                }
                let left: Vec<_> =
                    table.iter().map(|(key, child)| (key, child.id.clone())).collect();
                assert!(left.len() <= 31, "{told}");
                for (key, id) in left {
                    assert_eq!(table.key_of(id.as_str()), Some(key), "{told}");
                    let name = id.as_str().trim_start_matches("child-").parse().unwrap();
                    if key != first {
                        model.insert(name, key);
                    }
                }
            }
        }
        assert_eq!(table.counts().specs, model.len() + 1);
    }
}

#[test]
fn s30_two_ids_with_one_hash_are_two_children() {
    let (mut index, hash) = (Index::new(0), Index::new(0).hash("a"));
    for key in 1..=20 {
        index.insert(hash, key);
    }
    for key in (1..=20).rev() {
        assert_eq!(index.find(hash, |bits| (bits == key).then_some(bits)), Some(key));
        index.remove(hash, key);
        assert_eq!(index.find(hash, |bits| (bits == key).then_some(bits)), None);
    }
}

#[test]
fn s31_children_of_a_kind_share_their_rules() {
    let mut table = Table::new(0);
    let kinds = |n: u64| match n % 3 {
        0 => spec(n),
        1 => spec(n).transient(),
        _ => spec(n).backoff(Backoff::DEFAULT),
    };
    for n in 0..100 {
        let key = table.insert(kinds(n)).unwrap();
        let child = table.get(key).unwrap();
        assert_eq!(child.rules.with_id(child.id.clone()), kinds(n));
        let of_kind = table.get(ChildKey::new(n % 3)).unwrap();
        assert!(std::sync::Arc::ptr_eq(&of_kind.rules, &child.rules));
    }
}

#[test]
fn s31_a_child_takes_little_memory() {
    // On a machine with pointers of 8 bytes: with its key 64.
    assert!(size_of::<Option<Child>>() <= 56, "{}", size_of::<Option<Child>>());
}
