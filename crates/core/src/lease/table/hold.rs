//! One lease: made, extended, deepened and ended.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use super::{Due, Locks, Terms};
use crate::lease::{Change, Grant, Kept, Lease, Limits, OPS_MAX, Op};

/// A lease, and what only the table has to know of it.
#[derive(Debug, Clone)]
pub(super) struct Held<H> {
    pub(super) lease: Lease<H>,
    /// What the holder was told; the deadline is this unless the holder is protected.
    pub(super) promised: Duration,
    pub(super) hold_max: Option<Duration>,
    /// Oldest first.
    pub(super) ops: VecDeque<Op>,
}

impl<H> Held<H> {
    pub(super) fn restore<S>(kept: Kept<S, H>, limits: &Limits, now: Duration) -> (S, Self) {
        let Kept { section, holder, token, length, depth, rank, hold_max, ops } = kept;
        let deadline = now.saturating_add(length);
        // Never shortened, even if the limits of this life are lower.
        let hold_end = now.saturating_add(hold(limits, hold_max)).max(deadline);
        let lease = Lease {
            holder,
            token,
            deadline,
            since: now,
            length,
            hold_end,
            depth: depth.max(1),
            rank,
            revoked_at: None,
        };
        let n_forgotten = ops.len().saturating_sub(OPS_MAX);
        let ops = ops.into_iter().skip(n_forgotten).collect();
        (section, Self { lease, promised: deadline, hold_max, ops })
    }

    fn remember(&mut self, op: Op) {
        if self.ops.len() >= OPS_MAX {
            self.ops.pop_front();
        }
        self.ops.push_back(op);
    }
}

/// How long a lease may be held at all.
fn hold(limits: &Limits, hold_max: Option<Duration>) -> Duration {
    hold_max.map_or(limits.hold_max, |hold| hold.min(limits.hold_max))
}

impl<S: Ord + Clone + Debug, H: Ord + Clone> Locks<S, H> {
    pub(super) fn grant(
        &mut self,
        holder: &H,
        sections: &BTreeSet<S>,
        terms: Terms,
        now: Duration,
    ) -> Vec<Grant<S>> {
        let grant_one = |section: &S| {
            if self.held.contains_key(section) {
                self.extend(section, terms.lease, terms.op.map(Op::Lock), now)
            } else {
                self.hold(holder, section, terms, now)
            }
        };
        sections.iter().map(grant_one).collect()
    }

    /// Makes a lease of a free section.
    fn hold(&mut self, holder: &H, section: &S, terms: Terms, now: Duration) -> Grant<S> {
        self.last_token = self.last_token.next();
        let lease_now = self.lease_time(now);
        let hold_end = lease_now.saturating_add(hold(&self.limits, terms.hold_max));
        let promised = lease_now.saturating_add(terms.lease).min(hold_end);
        let deadline = if self.protected.contains(holder) { hold_end } else { promised };
        let lease = Lease {
            holder: holder.clone(),
            token: self.last_token,
            deadline,
            since: now,
            length: promised.saturating_sub(lease_now),
            hold_end,
            depth: 1,
            rank: terms.rank,
            revoked_at: None,
        };
        let ops = terms.op.map(Op::Lock).into_iter().collect();
        let held = Held { lease, promised, hold_max: terms.hold_max, ops };
        self.held.insert(section.clone(), held);
        self.held_by.entry(holder.clone()).or_default().insert(section.clone());
        self.deadlines.insert((deadline, Due::Lease(section.clone())));
        self.note_held(section);
        Grant {
            section: section.clone(),
            token: self.last_token,
            deadline: self.shown(promised, now),
        }
    }

    /// Renews a lease, and makes it deeper if `op` is one that it does not know.
    pub(super) fn extend(
        &mut self,
        section: &S,
        lease: Duration,
        op: Option<Op>,
        now: Duration,
    ) -> Grant<S> {
        let lease_now = self.lease_time(now);
        let held = self.held.get_mut(section).expect("invariant: only held sections are extended");
        let end = lease_now.saturating_add(lease).min(held.lease.hold_end);
        held.promised = held.promised.max(end);
        held.lease.length = held.promised.saturating_sub(lease_now);
        if let Some(op) = op.filter(|op| !held.ops.contains(op)) {
            held.remember(op);
            held.lease.depth += 1;
        }
        let (token, promised) = (held.lease.token, held.promised);
        // Not when protected: then it ends at the end of the hold already.
        let deadline = held.lease.deadline.max(promised);
        self.move_deadline(section, deadline);
        self.note_held(section);
        Grant { section: section.clone(), token, deadline: self.shown(promised, now) }
    }

    /// Takes one level of a lease back; answers whether it was the last.
    pub(super) fn surface(&mut self, section: &S, op: Option<Op>) -> bool {
        let held = self.held.get_mut(section).expect("invariant: only held sections are released");
        if let Some(op) = op {
            held.remember(op);
        }
        held.lease.depth -= 1;
        let last = held.lease.depth == 0;
        if !last {
            self.note_held(section);
        }
        last
    }

    pub(super) fn move_deadline(&mut self, section: &S, deadline: Duration) {
        let held =
            self.held.get_mut(section).expect("invariant: only held sections have deadlines");
        let old = std::mem::replace(&mut held.lease.deadline, deadline);
        if old != deadline {
            self.deadlines.remove(&(old, Due::Lease(section.clone())));
            self.deadlines.insert((deadline, Due::Lease(section.clone())));
        }
    }

    fn note_held(&mut self, section: &S) {
        if self.changes.is_some() {
            let kept = self.kept(section, &self.held[section]);
            self.note(Change::Held(kept));
        }
    }

    pub(super) fn kept(&self, section: &S, held: &Held<H>) -> Kept<S, H> {
        Kept {
            section: section.clone(),
            holder: held.lease.holder.clone(),
            token: held.lease.token,
            length: held.lease.length,
            depth: held.lease.depth,
            rank: held.lease.rank,
            hold_max: held.hold_max,
            ops: held.ops.iter().copied().collect(),
        }
    }

    pub(super) fn note(&mut self, change: Change<S, H>) {
        if let Some(changes) = &mut self.changes {
            changes.push(change);
        }
    }

    /// Ends one lease.
    pub(super) fn free(&mut self, section: &S) -> Lease<H> {
        let held = self.held.remove(section).expect("invariant: only held sections are freed");
        let Held { lease, ops, .. } = held;
        self.note(Change::Free { section: section.clone() });
        self.deadlines.remove(&(lease.deadline, Due::Lease(section.clone())));
        if let Some(sections) = self.held_by.get_mut(&lease.holder) {
            sections.remove(section);
            if sections.is_empty() {
                self.held_by.remove(&lease.holder);
            }
        }
        for op in ops {
            self.past.insert((section.clone(), lease.holder.clone(), op));
        }
        lease
    }
}
