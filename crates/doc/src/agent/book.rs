//! Whom the document knows: who works on it, and how each is told things.
//!
//! The book belongs to the spec and not to one incarnation: the next one watches the same clients, gives back
//! the locks of those that have ended meanwhile, and tells its followers to read anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ggml_agent::{AnyAddr, Recipient};

use super::client::{Client, DocNote};
use crate::coordinator::Holder;

/// Whom a document knows; its clones are the same book.
#[derive(Clone, Default)]
pub(super) struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
pub(super) struct Pages {
    /// An incarnation of this process had the document open: who is in its record and not in here is gone.
    pub(super) was_open: bool,
    pub(super) known: BTreeMap<Holder, Known>,
}

/// A client.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) addr: AnyAddr,
    pub(super) way: Way,
    pub(super) is_follower: bool,
}

/// How a client is told things.
#[derive(Clone)]
pub(super) enum Way {
    /// It wants to be told nothing.
    None,
    Notes(Recipient<DocNote>),
    /// It came by envelope, and is answered by envelopes.
    Envelopes,
}

impl Book {
    pub(super) fn open(&self) -> MutexGuard<'_, Pages> {
        // Nothing panics between two changes of a page.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How `holder` is told things; `None` if it is gone.
    pub(super) fn way(&self, holder: &Holder) -> Option<Way> {
        self.open().known.get(holder).map(|known| known.way.clone())
    }

    /// Whether a handler of this incarnation is at work.
    pub(super) fn is_busy(&self, holder: &Holder) -> bool {
        let is_busy = |known: &Known| {
            known.addr.is_busy() && known.addr.incarnation() == holder.incarnation()
        };
        self.open().known.get(holder).is_some_and(is_busy)
    }

    /// Enters a client; true if it was not known.
    pub(super) fn enter(&self, holder: &Holder, addr: &AnyAddr, way: Way) -> bool {
        let mut pages = self.open();
        if let Some(known) = pages.known.get_mut(holder) {
            // The way of before stays, unless this one says more.
            if !matches!(way, Way::None) && !matches!(known.way, Way::Notes(_)) {
                known.way = way;
            }
            return false;
        }
        let known = Known { addr: addr.clone(), way, is_follower: false };
        pages.known.insert(holder.clone(), known);
        true
    }

    pub(super) fn forget(&self, holder: &Holder) {
        self.open().known.remove(holder);
    }

    /// Notes whether a client follows the document.
    pub(super) fn set_follower(&self, holder: &Holder, is_follower: bool) {
        if let Some(known) = self.open().known.get_mut(holder) {
            known.is_follower = is_follower;
        }
    }
}

impl Client {
    pub(super) fn way(&self) -> Way {
        self.notes.clone().map_or(Way::None, Way::Notes)
    }
}
