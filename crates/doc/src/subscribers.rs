//! Who follows the document, and how far each has come.
//!
//! There is no queue per subscriber: all read the one history, each with a cursor. A subscriber gets at
//! most [`IN_FLIGHT_MAX`] updates that it has not confirmed; one that is more than [`LAG_MAX`] behind is
//! told to resynchronise instead. So a slow one costs a cursor and holds nobody up (D8).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::{Delivery, Holder, Out};
use crate::history::History;
use crate::limits::{IN_FLIGHT_MAX, LAG_MAX};

#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// Everything up to here was sent, or covered by a resynchronisation.
    sent: u64,
    /// Everything up to here has arrived.
    confirmed: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Subscribers(BTreeMap<Holder, Cursor>);

impl Subscribers {
    /// Starts `who` at `seq`, or starts it over.
    pub(crate) fn insert(&mut self, who: Holder, seq: u64) {
        self.0.insert(who, Cursor { sent: seq, confirmed: seq });
    }

    pub(crate) fn remove(&mut self, who: &Holder) -> bool {
        self.0.remove(who).is_some()
    }

    pub(crate) fn contains(&self, who: &Holder) -> bool {
        self.0.contains_key(who)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.0.keys()
    }

    /// `who` has handled everything up to `seq`: it may get more.
    pub(crate) fn confirm(
        &mut self,
        who: &Holder,
        seq: u64,
        history: &History,
        newest: u64,
        outs: &mut Vec<Out>,
    ) {
        if let Some(cursor) = self.0.get_mut(who) {
            // A confirmation of what was never sent counts for what was.
            cursor.confirmed = cursor.confirmed.max(seq.min(cursor.sent));
            pump(who, cursor, history, newest, outs);
        }
    }

    /// Sends to all what they have room for.
    pub(crate) fn pump(&mut self, history: &History, newest: u64, outs: &mut Vec<Out>) {
        for (who, cursor) in &mut self.0 {
            pump(who, cursor, history, newest, outs);
        }
    }
}

fn pump(who: &Holder, cursor: &mut Cursor, history: &History, newest: u64, outs: &mut Vec<Out>) {
    while cursor.sent < newest && cursor.sent - cursor.confirmed < IN_FLIGHT_MAX {
        let near = newest - cursor.sent <= LAG_MAX;
        let delivery = match history.get(cursor.sent + 1) {
            Some(update) if near => Delivery::Update(Arc::clone(update)),
            _ => Delivery::Resync { seq: newest },
        };
        cursor.sent = delivery.seq();
        outs.push(Out::ToSubscriber { to: who.clone(), delivery });
    }
}
