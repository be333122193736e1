//! A child's place in its supervisor's link: all that the runtime keeps per child beside the cell.

use ggml_agent_core::supervise::ChildKey;

use crate::cell::handle::CellRef;

/// The number of a place: the key of its cell. Never used twice, but by a static child, which has
/// the same in every life of its supervisor.
pub(super) type Slot = u64;

/// Which slot the child of a key has, in one life of the supervisor.
///
/// The machine numbers the children of each life from 0, the static ones first; a report of an
/// earlier life's dynamic child, however late, must not be taken for one of this.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slots {
    n_static: u64,
    /// From the slot that a static child would have to that of a dynamic one.
    offset: u64,
}

impl Slots {
    /// The slots of a life; `last` is the largest one of all lives, this one's static children
    /// included.
    pub(super) fn new(n_static: usize, last: Slot) -> Self {
        let n_static = n_static as u64;
        Self { n_static, offset: last.saturating_sub(n_static) }
    }

    pub(super) fn of(self, key: ChildKey) -> Slot {
        let number = key.get();
        // The system's own agents have 0.
        if number < self.n_static { number + 1 } else { number + 1 + self.offset }
    }

    /// The child in a slot; `None` when it is one of an earlier life.
    pub(super) fn key(self, slot: Slot) -> Option<ChildKey> {
        let number = slot.checked_sub(1)?;
        if number < self.n_static {
            return Some(ChildKey::new(number));
        }
        let number = number.checked_sub(self.offset)?;
        (number >= self.n_static).then(|| ChildKey::new(number))
    }
}

/// See the module.
pub(super) struct Place {
    cell: CellRef,
    /// The incarnation that was begun last in this life of the supervisor, 0 for none, and two flags
    /// below it: so a place is 16 bytes, with its slot 24.
    begun: u64,
}

/// Something of the incarnation is left: its end, with all that belongs to it, is not yet reported.
/// A cell itself says earlier that it is not alive: while it still cleans up, it must be neither
/// begun again nor retired.
const RUNNING: u64 = 1;
/// It has come up.
const UP: u64 = 2;
const FLAGS: u32 = 2;

impl Place {
    pub(super) fn new(cell: CellRef) -> Self {
        Self { cell, begun: 0 }
    }

    pub(super) fn cell(&self) -> &CellRef {
        &self.cell
    }

    pub(super) fn into_cell(self) -> CellRef {
        self.cell
    }

    pub(super) fn is_running(&self) -> bool {
        self.begun & RUNNING != 0
    }

    /// Returns what it was.
    pub(super) fn set_running(&mut self, running: bool) -> bool {
        let was_running = self.is_running();
        self.begun = self.begun & !RUNNING | u64::from(running);
        was_running
    }

    /// The next incarnation of the cell is the one whose reports count.
    ///
    /// Its number is the cell's own, which goes on over restarts of the supervisor, so that a report
    /// of an earlier life is never taken for one of this.
    pub(super) fn begin(&mut self) -> CellRef {
        let incarnation = self.cell.header().incarnation() + 1;
        self.begun = incarnation << FLAGS | self.begun & RUNNING;
        self.cell.clone()
    }

    /// False when it is not this incarnation whose reports count.
    pub(super) fn come_up(&mut self, incarnation: u64) -> bool {
        let counts = self.begun >> FLAGS == incarnation;
        if counts {
            self.begun |= UP;
        }
        counts
    }

    pub(super) fn had_come_up(&self, incarnation: u64) -> Option<bool> {
        (self.begun >> FLAGS == incarnation).then_some(self.begun & UP != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s27_the_slot_of_an_earlier_lifes_dynamic_child_is_nobodys() {
        let keys = |range: std::ops::Range<u64>| range.map(ChildKey::new);
        for n_static in [0, 3] {
            let first = Slots::new(n_static, n_static as u64);
            let of_first: Vec<_> = keys(0..10).map(|key| first.of(key)).collect();
            assert_eq!(of_first, (1..=10).collect::<Vec<_>>());
            let second = Slots::new(n_static, 10);
            let of_second: Vec<_> = keys(0..10).map(|key| second.of(key)).collect();
            assert_eq!(of_second[..n_static], of_first[..n_static]);
            assert!(of_second[n_static..].iter().all(|slot| *slot > 10));
            for (slots, of) in [(first, of_first.clone()), (second, of_second)] {
                assert!(keys(0..10).eq(of.into_iter().filter_map(|slot| slots.key(slot))));
            }
            let late = of_first[n_static..].iter().filter_map(|slot| second.key(*slot));
            assert_eq!(late.count(), 0);
        }
    }

    #[test]
    fn s31_a_place_takes_little_memory() {
        assert!(size_of::<Option<Place>>() <= 16, "{}", size_of::<Option<Place>>());
    }
}
