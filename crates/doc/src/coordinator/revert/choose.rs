//! Which updates are to be taken back: those that are meant, without those that are taken back already.

use std::collections::BTreeSet;

use ggml_agent_core::AgentId;

use crate::history::{Cause, History, Update};

/// The numbers of the updates that are meant, in order, without those that an update that is not meant has
/// taken back.
pub(super) fn chosen(history: &History, means: impl Fn(&Update) -> bool) -> Vec<u64> {
    let mut undone = BTreeSet::new();
    let mut chosen = Vec::new();
    // A revert names only what is before it: whether it stands itself is known when it is reached.
    for update in history.iter().rev() {
        let is_undone = undone.contains(&update.seq);
        if is_undone {
            continue;
        }
        if means(update) {
            chosen.push(update.seq);
        } else {
            undone.extend(named(update));
        }
    }
    chosen.reverse();
    chosen
}

/// The updates that are left out of the text so that those that are `chosen` are: also those that took them back
/// and those that brought them again, which come to nothing together.
pub(super) fn left_out(history: &History, chosen: &[u64]) -> BTreeSet<u64> {
    let mut left_out: BTreeSet<u64> = chosen.iter().copied().collect();
    for update in history.iter() {
        if named(update).any(|seq| left_out.contains(&seq)) {
            left_out.insert(update.seq);
        }
    }
    left_out
}

/// The newest update of an agent that is not taken back and does not take anything back itself.
pub(super) fn last_own(history: &History, agent: &AgentId) -> Vec<u64> {
    let mut undone = BTreeSet::new();
    for update in history.iter().rev() {
        if undone.contains(&update.seq) {
            continue;
        }
        let is_revert = matches!(update.cause, Cause::Revert { .. });
        if update.author.agent() == agent && !is_revert {
            return vec![update.seq];
        }
        undone.extend(named(update));
    }
    Vec::new()
}

fn named(update: &Update) -> impl Iterator<Item = u64> {
    let ranges = match &update.cause {
        Cause::Revert { of } => of.as_slice(),
        _ => &[],
    };
    ranges.iter().flat_map(|(from, to)| *from..=*to)
}

/// Numbers in order, as ranges from and to.
pub(super) fn ranges(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *number => *to = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    ranges
}
