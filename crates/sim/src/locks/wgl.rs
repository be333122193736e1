//! Whether a history is linearizable (Wing and Gong 1993, with Lowe's memory of what was tried).
//!
//! The object is a register that is appended to: it knows how many appends it has had and which was last. An
//! append that succeeded saw exactly the register that it appended to; one that nobody heard of may have
//! happened at any time after it began, or never.

use std::collections::BTreeSet;

/// A register, as it was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// How many appends it has had.
    pub version: u32,
    /// Which one was last; 0 for none.
    pub last: u32,
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Read the register.
    Read {
        /// What it saw.
        saw: Seen,
    },
    /// Appended to it.
    Append {
        /// Which append: more than 0 and unique.
        id: u32,
        /// What it appended to; `None` when nobody heard whether it did.
        saw: Option<Seen>,
    },
}

/// One operation of one client, from its call to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// When it began: a number of its own, in order of time.
    pub invoked: u32,
    /// When it was answered, if it was.
    pub returned: Option<u32>,
    /// What it did.
    pub what: What,
}

impl What {
    /// The register after it, if it can happen to `register`.
    fn applied_to(self, register: Seen) -> Option<Seen> {
        match self {
            Self::Read { saw } => (saw == register).then_some(register),
            Self::Append { id, saw } => saw
                .is_none_or(|saw| saw == register)
                .then_some(Seen { version: register.version + 1, last: id }),
        }
    }
}

/// Most operations of one history: one bit each.
pub const OPERATIONS_MAX: usize = 64;

/// Whether some order of `operations`, which keeps apart those that did not overlap, explains all that
/// was seen.
///
/// # Panics
/// With more than [`OPERATIONS_MAX`] operations.
#[must_use]
pub fn is_linearizable(operations: &[Operation]) -> bool {
    assert!(operations.len() <= OPERATIONS_MAX, "one bit per operation");
    let answered = |done: u64| {
        let open = operations.iter().enumerate().filter(move |(at, _)| done & 1 << at == 0);
        open.filter_map(|(_, operation)| operation.returned)
    };
    let mut tried: BTreeSet<(u64, Seen)> = BTreeSet::new();
    let mut to_try = vec![(0_u64, Seen::default())];
    while let Some((done, register)) = to_try.pop() {
        // What began after another was answered comes after it.
        let Some(first_answer) = answered(done).min() else { return true };
        for (at, operation) in operations.iter().enumerate() {
            if done & 1 << at != 0 || operation.invoked > first_answer {
                continue;
            }
            if let Some(register) = operation.what.applied_to(register) {
                let next = (done | 1 << at, register);
                if tried.insert(next) {
                    to_try.push(next);
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn read(invoked: u32, returned: u32, version: u32, last: u32) -> Operation {
        let saw = Seen { version, last };
        Operation { invoked, returned: Some(returned), what: What::Read { saw } }
    }

    fn append(invoked: u32, returned: u32, id: u32, version: u32, last: u32) -> Operation {
        let saw = Some(Seen { version, last });
        Operation { invoked, returned: Some(returned), what: What::Append { id, saw } }
    }

    fn unheard(invoked: u32, id: u32) -> Operation {
        Operation { invoked, returned: None, what: What::Append { id, saw: None } }
    }

    #[test]
    fn histories_are_judged_as_by_hand() {
        let cases: [(&[Operation], bool); 9] = [
            (&[], true),
            (&[append(1, 2, 1, 0, 0), append(3, 4, 2, 1, 1), read(5, 6, 2, 2)], true),
            // A lost update: two appended to the same.
            (&[append(1, 4, 1, 0, 0), append(2, 3, 2, 0, 0)], false),
            // Overlapping ones may happen in either order, one after the other in theirs only.
            (&[append(1, 4, 1, 1, 2), append(2, 3, 2, 0, 0)], true),
            (&[append(1, 2, 1, 1, 2), append(3, 4, 2, 0, 0)], false),
            // A stale read, and one that overlaps.
            (&[append(1, 2, 1, 0, 0), read(3, 4, 0, 0)], false),
            (&[append(1, 3, 1, 0, 0), read(2, 4, 0, 0)], true),
            // What nobody heard of may have happened, late or never, but only once.
            (&[unheard(1, 1), append(2, 3, 2, 0, 0), read(4, 5, 2, 1)], true),
            (&[unheard(1, 1), read(2, 3, 1, 1), read(4, 5, 2, 1)], false),
        ];
        for (history, expected) in cases {
            assert_eq!(is_linearizable(history), expected, "{history:?}");
        }
    }

    /// Tries every order of every subset that has all answered operations.
    fn by_force(left: &[Operation], register: Seen) -> bool {
        let Some(first) = left.iter().filter_map(|operation| operation.returned).min() else {
            return true;
        };
        let next = left.iter().enumerate().filter(|(_, operation)| operation.invoked <= first);
        next.filter_map(|(at, operation)| Some((at, operation.what.applied_to(register)?))).any(
            |(at, register)| {
                let mut rest = left.to_vec();
                rest.remove(at);
                by_force(&rest, register)
            },
        )
    }

    #[test]
    fn small_histories_are_judged_as_by_trying_every_order() {
        let mut rng = Rng::new(1);
        let mut n_linearizable = 0;
        for _ in 0..20_000 {
            let n: u32 = 1 + u32::try_from(rng.below(5)).unwrap();
            let mut moments: Vec<u32> = (0..2 * n).collect();
            for at in (1..moments.len()).rev() {
                moments.swap(at, rng.below(at + 1));
            }
            let small = |rng: &mut Rng| u32::try_from(rng.below(3)).unwrap();
            let history: Vec<Operation> = (0..n)
                .zip(moments.chunks(2))
                .map(|(at, pair)| {
                    let (invoked, end) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                    let version = small(&mut rng);
                    let last = if version == 0 { 0 } else { 1 + small(&mut rng) };
                    match rng.below(4) {
                        0 => unheard(invoked, at + 1),
                        1 => read(invoked, end, version, last),
                        _ => append(invoked, end, at + 1, version, last),
                    }
                })
                .collect();
            let expected = by_force(&history, Seen::default());
            assert_eq!(is_linearizable(&history), expected, "{history:?}");
            n_linearizable += u32::from(expected);
        }
        assert!((1_000..19_000).contains(&n_linearizable), "{n_linearizable} of 20,000");
    }
}
