//! Taking an update of an editor: integrate, see what it did, undo what may not be.

use super::{
    Mirror, ReceiveError, Received, SectionId, Splice, State, Verdict, YrsMirror, committed,
    observe::{Changes, Part, splices_of},
    screen::{self, Screened},
    splice, write,
};
use crate::{limits, mirror::Refused};
use bytes::Bytes;
use yrs::{GetString, ReadTxn, Transact, Update, WriteTxn, updates::decoder::Decode};

/// What an update did to one section.
struct Change {
    section: SectionId,
    splices: Vec<Splice>,
    after: String,
}

impl YrsMirror {
    pub(super) fn screen(&self, update: &[u8]) -> Result<Screened, ReceiveError> {
        let (len, max) = (update.len(), limits::FRAME_LEN_MAX);
        if len > max {
            return Err(ReceiveError::TooLong { len, max });
        }
        let clocks = self.doc.transact().state_vector();
        Ok(screen::screen(update, &State { mirror: self, clocks })?)
    }

    pub(super) fn integrate(
        &mut self,
        screened: &Screened,
        judge: &mut dyn FnMut(&SectionId) -> Verdict,
    ) -> Result<Received, ReceiveError> {
        let update = Update::decode_v1(&screened.update).map_err(|_| ReceiveError::Crdt)?;
        self.capture.arm();
        let mut txn = self.doc.transact_mut();
        // An error leaves a part integrated: it is judged like a whole.
        let integrated = txn.apply_update(update);
        let missing = txn.prune_pending().is_some() || screened.cut;
        txn.commit();
        let update = committed(txn);
        let changes = self.capture.take();
        if integrated.is_err() && update.is_none() {
            return Err(ReceiveError::Crdt);
        }

        let mut received = Received { update, missing, ..Received::default() };
        let outline = changes.outline;
        let mut undo = Vec::new();
        for change in self.changed(changes) {
            if judge(&change.section) == Verdict::Accept && self.fits(&change) {
                self.accept(change, &mut received);
            } else {
                undo.extend(self.undo(&change));
                let inserted = change.splices.iter().map(|splice| splice.insert.as_str()).collect();
                received.refused.push(Refused { section: change.section, inserted });
            }
        }
        if outline {
            undo.extend(self.restore_outline());
        }
        received.undo = (!undo.is_empty()).then(|| Self::merge(&undo));
        Ok(received)
    }

    /// What really changed in the texts.
    fn changed(&self, changes: Changes) -> Vec<Change> {
        let txn = self.doc.transact();
        let change = |(section, parts): (SectionId, Vec<Part>)| {
            let part = self.sections.get(&section)?;
            let after = part.root.get_string(&txn);
            // Where an editor cuts a surrogate pair in two, text changes that yrs reports as kept.
            let right =
                |splices: &Vec<Splice>| splice::applied(&part.text, splices).as_ref() == Ok(&after);
            let splices = splices_of(&part.text, &parts).filter(right);
            let splices = splices
                .unwrap_or_else(|| Splice::between(&part.text, &after).into_iter().collect());
            // Inserted and removed again: the history grew, the text did not.
            (after != part.text).then_some(Change { section, splices, after })
        };
        changes.sections.into_iter().filter_map(change).collect()
    }

    /// Whether the section and the document stay within their limits, or at least do not grow.
    fn fits(&self, change: &Change) -> bool {
        let (before, after) = (self.sections[&change.section].text.len(), change.after.len());
        after <= before
            || after <= limits::SECTION_LEN_MAX
                && self.len - before + after <= limits::DOCUMENT_LEN_MAX
    }

    fn accept(&mut self, change: Change, received: &mut Received) {
        let Change { section, splices, after } = change;
        if let Some(part) = self.sections.get_mut(&section) {
            self.len = self.len - part.text.len() + after.len();
            part.text = after;
        }
        received.changes.push((section, splices));
    }

    /// Makes the section say again what it said.
    fn undo(&mut self, change: &Change) -> Option<Bytes> {
        let part = self.sections.get(&change.section)?;
        let back = match splice::inverse(&part.text, &change.splices) {
            Ok(back) if back.len() <= limits::SPLICES_PER_EDIT_MAX => back,
            _ => Splice::between(&change.after, &part.text).into_iter().collect(),
        };
        let mut txn = self.doc.transact_mut();
        write(&part.root, &mut txn, &change.after, &back);
        committed(txn)
    }
}
