//! What a transaction did, caught while it is committed.

use super::{SectionId, Splice};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use yrs::{Any, MapRef, Observable, Out, TextRef, types::Delta};

/// Collects the changes of the transactions that are made while it is armed.
#[derive(Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Changes>>);

/// What changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    armed: bool,
    /// Per section, what yrs reports; it is checked before it is believed.
    pub(super) sections: BTreeMap<SectionId, Vec<Part>>,
    pub(super) outline: bool,
}

impl Capture {
    pub(super) fn arm(&self) {
        *self.lock() = Changes { armed: true, ..Changes::default() };
    }

    pub(super) fn take(&self) -> Changes {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn watch_section(&self, id: &SectionId, root: &TextRef) {
        let (changes, id) = (Arc::clone(&self.0), id.clone());
        root.observe("mirror", move |txn, event| {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            // A report walks the section: for our own edits nobody needs it.
            if changes.armed {
                changes.sections.insert(id.clone(), parts_of(event.delta(txn)));
            }
        });
    }

    pub(super) fn watch_outline(&self, outline: &MapRef) {
        let changes = Arc::clone(&self.0);
        outline.observe("mirror", move |_txn, _event| {
            let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.outline = changes.armed;
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Changes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One part of a report of yrs, in units of UTF-16 of the text before.
#[derive(Debug)]
pub(super) enum Part {
    Keep(u32),
    Remove(u32),
    Insert(String),
}

fn parts_of(delta: &[Delta]) -> Vec<Part> {
    let part = |change: &Delta| match change {
        Delta::Retain(len, _) => Some(Part::Keep(*len)),
        Delta::Deleted(len) => Some(Part::Remove(*len)),
        Delta::Inserted(Out::Any(Any::String(text)), _) => Some(Part::Insert((**text).to_owned())),
        // Screened out. Should it come in all the same, the check of the splices notices.
        Delta::Inserted(..) => None,
    };
    delta.iter().filter_map(part).collect()
}

/// A report as splices, of which each refers to the text that the ones before it left.
///
/// `None` if it cuts a character of `before` in two.
pub(super) fn splices_of(before: &str, parts: &[Part]) -> Option<Vec<Splice>> {
    let mut splices: Vec<Splice> = Vec::new();
    let (mut at, mut rest) = (0, before);
    for part in parts {
        // A removal and an insertion side by side are one splice.
        let joined = splices.last_mut().filter(|last| last.at + last.insert.len() == at);
        match part {
            Part::Keep(units) => at += take(&mut rest, *units)?,
            Part::Remove(units) => {
                let del = take(&mut rest, *units)?;
                match joined {
                    Some(last) => last.del += del,
                    None => splices.push(Splice::delete(at, del)),
                }
            }
            Part::Insert(text) => {
                match joined {
                    Some(last) => last.insert.push_str(text),
                    None => splices.push(Splice::insert(at, &**text)),
                }
                at += text.len();
            }
        }
    }
    Some(splices)
}

/// Takes so many units of UTF-16 off the front; gives their bytes.
fn take(rest: &mut &str, units: u32) -> Option<usize> {
    let (mut bytes, mut left) = (0, units as usize);
    for c in rest.chars() {
        if left == 0 {
            break;
        }
        left = left.checked_sub(c.len_utf16())?;
        bytes += c.len_utf8();
    }
    *rest = &rest[bytes..];
    (left == 0).then_some(bytes)
}
