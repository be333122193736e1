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
    /// Per section, the splices that yrs reports; they are checked before they are believed.
    pub(super) sections: BTreeMap<SectionId, Vec<Splice>>,
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
                changes.sections.insert(id.clone(), splices_of(event.delta(txn)));
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

/// A report of yrs as splices, of which each refers to the text that the ones before it left.
fn splices_of(delta: &[Delta]) -> Vec<Splice> {
    let mut splices: Vec<Splice> = Vec::new();
    let mut at = 0usize;
    for change in delta {
        // A removal and an insertion side by side are one splice.
        let joined = splices.last_mut().filter(|last| last.at + last.insert.len() == at);
        match change {
            Delta::Retain(len, _) => at += *len as usize,
            Delta::Deleted(len) => match joined {
                Some(last) => last.del += *len as usize,
                None => splices.push(Splice::delete(at, *len as usize)),
            },
            Delta::Inserted(Out::Any(Any::String(text)), _) => {
                match joined {
                    Some(last) => last.insert.push_str(text),
                    None => splices.push(Splice::insert(at, &**text)),
                }
                at += text.len();
            }
            // Screened out. Should it come in all the same, the check of the splices notices.
            Delta::Inserted(..) => {}
        }
    }
    splices
}
