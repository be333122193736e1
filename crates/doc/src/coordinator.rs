//! The rule of who may change what, and who hears of it: a pure state machine.
//!
//! Every call takes a command and a time, and gives an answer for the caller and [`Out`]s for others.
//! The agent around it sends them and holds no rule of its own.
//!
//! An edit replaces the text of one section. It needs the section's lock (its token), or, when nobody
//! holds the section, the version that it was made from: then it is accepted if that is still the
//! current one. It must leave its neighbours alone: see [`EditError::HeadingMissing`],
//! [`EditError::JoinsPrevious`] and [`EditError::SwallowsNext`].

mod author;
mod blame;
mod command;
mod error;
mod hold;
mod import;
mod keep;
mod lives;
#[cfg(test)]
mod model;
mod op;
mod outline;
mod past;
mod query;
mod revert;
mod stream;
mod suggest;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Event, Limits, Locks, Token};

use crate::change::between;
use crate::history::{History, SectionEdit};
use crate::limits::SUBSCRIBERS_MAX;
use crate::record::Entry;
use crate::section::{Document, SectionId};
use crate::sheet::{About, Draft, Drafted, Mode, Sheet, Slot};
use crate::subscribers::Subscribers;
use crate::text::{Change, Changes};
pub use author::{Holder, Kind, OpId, ParseOpIdError};
pub(crate) use blame::Blame;
pub use blame::BlameRun;
pub use command::{
    Accepted, Delivery, Edit, Lock, Note, Out, SectionView, Snapshot, Splices, Step,
};
pub use error::{EditError, Gone, LockError, SubscribeError};
pub use hold::{GRACE, LockRow, ReserveRefused};
pub use import::{BaseText, ConflictReason, FileConflict, FilePart, ImportError, Imported};
pub(crate) use lives::Lives;
pub(crate) use op::Seen;
pub use op::{APPLIED_MAX, Applied, Command, Done, OnStale, Op, OpError, Proposal};
pub use outline::{
    Cut, OutlineError, OutlineItem, OutlineView, Restructure, Restructured, Structure,
};
pub(crate) use past::Past;
pub(crate) use query::Source;
pub use query::{Outline, Query, QueryError, SectionText, TextSince, View};
pub use revert::{Conflict, PastError, Revert, RevertError, Reverted, Selection};
use stream::Streams;
pub use stream::{KeptStream, OnExit, Pushed, StreamError, StreamId, StreamOpen, StreamPlace};
pub use suggest::{Answer, DiffSpan, StaleReason, Suggest, SuggestError, Suggestion, SuggestionId};
pub(crate) use suggest::{Made, Suggestions};

/// A document, its locks, its subscribers and its history. Holds D1 to D8 and M13 for documents.
///
/// An incarnation of an agent that has ended, or that a later one has replaced, can do nothing any
/// more: a message of it that arrives late is refused, so it cannot leave a lock behind.
#[derive(Debug, Clone)]
pub struct Coordinator {
    sheet: Sheet,
    locks: Locks<SectionId, Holder>,
    history: History,
    /// What goes along with the texts.
    past: Past,
    streams: Streams,
    subscribers: Subscribers,
    lives: Lives,
    seen: Seen,
    /// What changed since it was taken last, if anybody keeps it.
    entries: Option<Vec<Entry>>,
}

impl Coordinator {
    /// Starts with every section of `document` at version 0, nothing locked.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        Self::with_limits(document, Limits::DEFAULT)
    }

    /// Like [`Self::new`], with other bounds for the locks.
    #[must_use]
    pub fn with_limits(document: &Document, limits: Limits) -> Self {
        let sheet = Sheet::new(document);
        Self {
            past: Past::new(&sheet),
            streams: Streams::default(),
            sheet,
            locks: Locks::new(limits),
            history: History::default(),
            subscribers: Subscribers::default(),
            lives: Lives::default(),
            seen: Seen::default(),
            entries: None,
        }
    }

    /// Replaces the text of one section, whole or not at all. Holds D2, D6, D7.
    ///
    /// # Errors
    /// In the answer: [`EditError`] says why nothing was changed, and what to do.
    pub fn edit(
        &mut self,
        holder: &Holder,
        edit: Edit,
        now: Duration,
    ) -> Step<Result<Accepted, EditError>> {
        let Edit { section, token, base, text } = edit;
        self.write(holder, now, |document| {
            let slot = document.may_write(holder, section, token, base, now)?;
            if token.is_none() && base.is_none() {
                return Err(EditError::NoTokenAndNoBase);
            }
            let change = between(&slot.text.to_string(), &text);
            Ok((section, Draft::edit(section, change)))
        })
    }

    /// Changes places of one section, all or none. Holds D2, D6, D7.
    ///
    /// # Errors
    /// In the answer: [`EditError`] says why nothing was changed, and what to do.
    pub fn splice(
        &mut self,
        holder: &Holder,
        splices: Splices,
        now: Duration,
    ) -> Step<Result<Accepted, EditError>> {
        let Splices { section, token, base, changes } = splices;
        self.write(holder, now, |document| {
            document.may_write(holder, section, token, base, now)?;
            // Positions mean nothing without the text that they were counted in.
            if token.is_none() && base.is_none() {
                return Err(EditError::NoTokenAndNoBase);
            }
            Ok((section, Draft::splices(section, changes)))
        })
    }

    /// Whether `holder` may type in `section`: it is part of the document, nobody else holds it, and its mode
    /// lets this kind of author write without asking.
    #[must_use]
    pub fn may_type(&self, holder: &Holder, section: SectionId, now: Duration) -> bool {
        let Some(slot) = self.sheet.slot(section).filter(|slot| slot.place.is_some()) else {
            return false;
        };
        match self.locks.lease(&section, now) {
            Some(lease) => lease.holder == *holder,
            None => match slot.mode {
                Mode::Locked => false,
                Mode::SuggestOnly => holder.kind() != Kind::Agent,
                Mode::Optimistic | Mode::Open => true,
            },
        }
    }

    /// Takes what an editor has made of some sections already, each of which it [may type](Self::may_type) in.
    /// Answers the number of the update; `None` if nothing changed, or the changes do not fit.
    ///
    /// While somebody types a text is often half done: a fence is open before it is closed, and a heading is gone
    /// before the new one is there. So sections keep their borders here whatever a parser would say.
    pub fn typed(
        &mut self,
        holder: &Holder,
        edits: Vec<(SectionId, Changes)>,
        now: Duration,
    ) -> Step<Option<u64>> {
        let mut outs = Vec::new();
        tell(self.locks.expire(now), &mut outs);
        let mut draft = Draft { is_typed: true, ..Draft::default() };
        for (section, changes) in edits {
            if !changes.as_slice().is_empty() {
                draft.edits.push((section, changes.as_slice().iter().cloned().collect()));
            }
        }
        let sections: Vec<SectionId> = draft.edits.iter().map(|(section, _)| *section).collect();
        let update =
            if draft.edits.is_empty() { None } else { self.sheet.draft(draft, holder, now).ok() };
        let answer = update.map(|update| self.commit(update));
        for section in sections {
            self.end_last_line(holder, section, now);
        }
        if answer.is_some() {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// Whoever deletes the last line break of a section would make the next heading part of its last line, in the
    /// file: it is put back.
    fn end_last_line(&mut self, holder: &Holder, section: SectionId, now: Duration) {
        let Some(slot) = self.sheet.slot(section) else { return };
        let is_last = slot.place.is_none_or(|place| place + 1 >= self.sheet.order.len());
        if is_last || slot.shape.ends_line {
            return;
        }
        let end = Change { at: slot.text.len(), del: 0, insert: "\n".into() };
        let draft = Draft { is_typed: true, ..Draft::edit(section, [end]) };
        // A document that is full has no room for it.
        if let Ok(update) = self.sheet.draft(draft, holder, now) {
            self.commit(update);
        }
    }

    /// Carries out what `plan` makes of the document, if that may be.
    fn write(
        &mut self,
        holder: &Holder,
        now: Duration,
        plan: impl FnOnce(&Self) -> Result<(SectionId, Draft), EditError>,
    ) -> Step<Result<Accepted, EditError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from).and_then(|()| {
            tell(self.locks.expire(now), &mut outs);
            let (section, draft) = plan(self)?;
            let update = self.sheet.draft(draft, holder, now)?;
            let version = update.edit(section).map_or(0, |edit: &SectionEdit| edit.version);
            Ok(Accepted { seq: self.commit(update), version })
        });
        if answer.is_ok() {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// Whether `holder` may write to `section`, and what stands there.
    fn may_write(
        &self,
        holder: &Holder,
        section: SectionId,
        token: Option<Token>,
        base: Option<u64>,
        now: Duration,
    ) -> Result<&Slot, EditError> {
        let slot = self.sheet.slot(section).ok_or(EditError::UnknownSection { section })?;
        if slot.place.is_none() {
            return Err(EditError::Archived { section });
        }
        if let Some(token) = token {
            self.locks.check_holder(&section, holder, token, now)?;
        } else if let Some(lease) = self.locks.lease(&section, now) {
            let (holder, until) = (lease.holder.clone(), lease.deadline);
            return Err(EditError::Locked { section, holder, until });
        } else if slot.mode == Mode::Locked {
            return Err(EditError::NeedsLock { section });
        }
        if slot.mode == Mode::SuggestOnly && holder.kind() == Kind::Agent {
            return Err(EditError::SuggestOnly { section });
        }
        if let Some(base) = base.filter(|base| *base != slot.version) {
            return Err(EditError::Outdated { section, base, current: slot.version });
        }
        Ok(slot)
    }

    /// Carries out a draft whatever the locks say.
    #[cfg(test)]
    pub(crate) fn draft(
        &mut self,
        author: &Holder,
        draft: Draft,
        now: Duration,
    ) -> Result<u64, EditError> {
        let update = self.sheet.draft(draft, author, now)?;
        Ok(self.commit(update))
    }

    /// Makes an update, which was drafted for the sheet as it is, a part of the document.
    fn commit(&mut self, drafted: Drafted) -> u64 {
        let update = self.sheet.carry_out(drafted);
        self.past.follow(&update);
        self.streams.follow(&update);
        let seq = update.seq;
        if let Some(entries) = &mut self.entries {
            // Leases that ended before it was judged come first.
            keep::take_leases(&mut self.locks, entries);
            entries.push(Entry::Updated(Arc::clone(&update)));
        }
        self.seen.add(&update);
        self.history.push(update, |oldest| self.seen.forget(oldest));
        seq
    }

    /// Follows the document from now on: answers it as it is; every later edit comes as an update, in
    /// order, or is covered by a [`Delivery::Resync`]. Subscribing again starts over. Holds D8.
    ///
    /// # Errors
    /// In the answer: [`SubscribeError`].
    pub fn subscribe(
        &mut self,
        holder: &Holder,
        now: Duration,
    ) -> Step<Result<Snapshot, SubscribeError>> {
        let mut outs = Vec::new();
        let answer =
            self.enter(holder, now, &mut outs).map_err(SubscribeError::from).and_then(|()| {
                if self.subscribers.len() >= SUBSCRIBERS_MAX && !self.subscribers.contains(holder) {
                    return Err(SubscribeError::TooMany);
                }
                self.subscribers.insert(holder.clone(), self.sheet.seq);
                Ok(self.snapshot())
            });
        Step { answer, outs }
    }

    /// Ends a subscription; answers whether there was one.
    pub fn unsubscribe(&mut self, holder: &Holder) -> bool {
        self.subscribers.remove(holder)
    }

    /// A subscriber has handled everything up to `seq`: more may be on its way. Holds D8.
    pub fn confirm(&mut self, holder: &Holder, seq: u64) -> Step<()> {
        let mut outs = Vec::new();
        self.subscribers.confirm(holder, seq, &self.history, self.sheet.seq, &mut outs);
        Step { answer: (), outs }
    }

    /// One section as it is now, also one that is archived.
    #[must_use]
    pub fn read(&self, section: SectionId) -> Option<SectionView> {
        self.sheet.read(section)
    }

    /// What there is to know about one section beside its text.
    #[must_use]
    pub fn about_section(&self, section: SectionId) -> Option<About> {
        self.sheet.about(section)
    }

    /// How many sections there ever were, the archived ones counted.
    #[must_use]
    pub fn n_sections(&self) -> usize {
        self.sheet.slots.len()
    }

    /// What there is to know about every section that ever was, beside its text, in the order in which they came.
    pub fn about(&self) -> impl Iterator<Item = About> {
        (0..self.sheet.slots.len()).filter_map(|n| self.sheet.about(SectionId::nth(n)))
    }

    /// The whole document as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.sheet.snapshot()
    }

    pub(crate) fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// The document as Markdown; without edits, the bytes that it was loaded from.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.snapshot().to_markdown()
    }

    /// The number of the newest edit; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.sheet.seq
    }

    /// The accepted edits.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Lets `holder` act unless its life is over; a new incarnation ends those before it.
    fn enter(&mut self, holder: &Holder, now: Duration, outs: &mut Vec<Out>) -> Result<(), Gone> {
        match self.lives.alive_from(holder.agent()) {
            Some(from) if holder.incarnation() < from => Err(Gone { holder: holder.clone() }),
            Some(from) if holder.incarnation() == from => Ok(()),
            _ => {
                self.fence(holder.agent(), holder.incarnation(), now, outs);
                Ok(())
            }
        }
    }

    /// Ends every incarnation of `agent` before `from`.
    fn fence(&mut self, agent: &AgentId, from: u64, now: Duration, outs: &mut Vec<Out>) {
        if self.lives.end_before(agent, from)
            && let Some(entries) = &mut self.entries
        {
            keep::take_leases(&mut self.locks, entries);
            entries.push(Entry::AliveFrom { agent: agent.clone(), from });
        }
        let is_over = |holder: &&Holder| holder.agent() == agent && holder.incarnation() < from;
        self.end_streams(|holder| is_over(&holder), now, outs);
        let over: Vec<Holder> = self.locks.holders().into_iter().filter(is_over).cloned().collect();
        for holder in over {
            tell(self.locks.drop_holder(&holder, now), outs);
        }
        let over: Vec<Holder> = self.subscribers.iter().filter(is_over).cloned().collect();
        for holder in over {
            self.subscribers.remove(&holder);
        }
    }
}

impl<T> Step<T> {
    fn of(answer: T, events: Vec<Event<SectionId, Holder>>) -> Self {
        let mut outs = Vec::new();
        tell(events, &mut outs);
        Self { answer, outs }
    }
}

/// Each event as it happened, then what its holder has to know.
fn tell(events: Vec<Event<SectionId, Holder>>, outs: &mut Vec<Out>) {
    for event in events {
        let note = match &event {
            Event::Granted { holder, grants } => {
                Some((holder.clone(), Note::LockGranted { grants: grants.clone() }))
            }
            Event::Expired { section, holder, token }
            | Event::Revoked { section, holder, token } => {
                Some((holder.clone(), Note::LockLost { section: *section, token: *token }))
            }
            Event::WaitTimedOut { holder, sections } => {
                Some((holder.clone(), Note::WaitEnded { sections: sections.clone() }))
            }
            // Who released or withdrew knows it, and the dead are not written to.
            _ => None,
        };
        outs.push(Out::Happened(event));
        outs.extend(note.map(|(to, note)| Out::ToHolder { to, note }));
    }
}
