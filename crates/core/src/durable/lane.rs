//! The two lanes of a durable mailbox, as far as they were read.

use std::collections::VecDeque;

use crate::envelope::Priority;
use crate::limits::{DURABLE_PAGE_LEN, PRIORITY_STREAK_MAX};
use crate::store::{Position, Stored, Watermarks};

#[derive(Debug)]
pub(super) struct Lanes {
    high: Lane,
    normal: Lane,
    /// Priority messages in a row.
    streak: usize,
    /// How far messages were handled.
    handled: Watermarks,
    /// How far the newest commit that was begun applies them.
    begun: Watermarks,
}

#[derive(Debug)]
struct Lane {
    /// Read and not handed out.
    ready: VecDeque<Stored>,
    /// The last position that was read.
    read: Position,
    /// There may be messages behind `read`.
    has_more: bool,
}

impl Lane {
    fn new(applied: Position) -> Self {
        Self { ready: VecDeque::new(), read: applied, has_more: true }
    }

    fn must_fetch(&self) -> bool {
        self.ready.is_empty() && self.has_more
    }
}

impl Lanes {
    pub(super) fn new(applied: Watermarks) -> Self {
        Self {
            high: Lane::new(applied.high),
            normal: Lane::new(applied.normal),
            streak: 0,
            handled: applied,
            begun: applied,
        }
    }

    fn lane(&mut self, lane: Priority) -> &mut Lane {
        match lane {
            Priority::High => &mut self.high,
            Priority::Normal => &mut self.normal,
        }
    }

    pub(super) fn arrived(&mut self, lane: Priority) {
        self.lane(lane).has_more = true;
    }

    /// The lane to read before another message can be chosen.
    pub(super) fn to_fetch(&self) -> Option<(Priority, Position)> {
        if self.high.must_fetch() {
            return Some((Priority::High, self.high.read));
        }
        let is_wanted = self.high.ready.is_empty() || self.streak >= PRIORITY_STREAK_MAX;
        (is_wanted && self.normal.must_fetch()).then_some((Priority::Normal, self.normal.read))
    }

    pub(super) fn fetched(&mut self, lane: Priority, page: Vec<Stored>) {
        let lane = self.lane(lane);
        lane.has_more = page.len() >= DURABLE_PAGE_LEN;
        if let Some(last) = page.last() {
            lane.read = last.position;
        }
        lane.ready.extend(page);
    }

    /// The next message that was read: of the priority lane, unless that had its turn for long (M3).
    pub(super) fn take(&mut self) -> Option<Stored> {
        let is_normal_next = self.high.ready.is_empty()
            || (self.streak >= PRIORITY_STREAK_MAX && !self.normal.ready.is_empty());
        if is_normal_next {
            self.streak = 0;
            return self.normal.ready.pop_front();
        }
        self.streak += 1;
        self.high.ready.pop_front()
    }

    pub(super) fn done(&mut self, lane: Priority, position: Position) {
        *self.handled.of_mut(lane) = position;
    }

    /// How far messages are applied by a commit that is begun now.
    pub(super) fn begin(&mut self) -> Watermarks {
        self.begun = self.handled;
        self.begun
    }

    /// How far they are applied by a commit that does not touch them.
    pub(super) fn begun(&self) -> Watermarks {
        self.begun
    }
}
