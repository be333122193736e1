//! The rule of who may change what, and who hears of it: a pure state machine.
//!
//! Every call takes a command and a time, and gives an answer for the caller and [`Out`]s for others.
//! The agent around it sends them and holds no rule of its own.
//!
//! An edit replaces the text of one section. It needs the section's lock (its token), or, when nobody
//! holds the section, the version that it was made from: then it is accepted if that is still the
//! current one. It must leave its neighbours alone: see [`EditError::HeadingMissing`],
//! [`EditError::JoinsPrevious`] and [`EditError::SwallowsNext`].

mod boundary;
mod command;
mod keep;
mod lives;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Event, Lease, Limits, Locks, Outcome, Request, Stale, Token};

use crate::history::{History, Update, text_hash};
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX, SUBSCRIBERS_MAX};
use crate::record::{Entry, Slot};
use crate::section::{Document, SectionId};
use crate::subscribers::Subscribers;
use boundary::{Neighbours, ends_front_matter};
pub use command::{
    Accepted, Delivery, Edit, EditError, Gone, Holder, Lock, LockError, Note, Out, SectionView,
    Snapshot, Step, SubscribeError,
};
pub(crate) use lives::Lives;

/// A document, its locks, its subscribers and its history. Holds D1 to D8 and M13 for documents.
///
/// An incarnation of an agent that has ended, or that a later one has replaced, can do nothing any
/// more: a message of it that arrives late is refused, so it cannot leave a lock behind.
#[derive(Debug, Clone)]
pub struct Coordinator {
    front: Arc<str>,
    slots: Vec<Slot>,
    bytes: usize,
    seq: u64,
    locks: Locks<SectionId, Holder>,
    history: History,
    subscribers: Subscribers,
    lives: Lives,
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
        let slot = |section: &crate::Section| Slot {
            version: 0,
            text: section.shared_text(),
            heading_len: section.heading_source().len(),
        };
        let slots: Vec<Slot> = document.sections().iter().map(slot).collect();
        Self {
            front: document.front().into(),
            bytes: document.front().len() + slots.iter().map(|slot| slot.text.len()).sum::<usize>(),
            slots,
            seq: 0,
            locks: Locks::new(limits),
            history: History::default(),
            subscribers: Subscribers::default(),
            lives: Lives::default(),
            entries: None,
        }
    }

    /// Asks for the lock of sections. Holds D1, D4, D5.
    ///
    /// # Errors
    /// In the answer: [`LockError`]; nothing was locked.
    pub fn lock(
        &mut self,
        holder: &Holder,
        lock: Lock,
        now: Duration,
    ) -> Step<Result<Outcome<SectionId, Holder>, LockError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(LockError::from).and_then(|()| {
            let unknown = lock.sections.iter().find(|section| self.slot(**section).is_none());
            if let Some(section) = unknown {
                return Err(LockError::UnknownSection { section: *section });
            }
            let Lock { sections, lease, on_busy } = lock;
            let request = Request::new(holder.clone(), sections, lease, on_busy);
            let step = self.locks.request(request, now);
            tell(step.events, &mut outs);
            Ok(step.answer?)
        });
        Step { answer, outs }
    }

    /// Gives the lock of a section back. Holds D2.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one; nothing was freed.
    pub fn release(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        now: Duration,
    ) -> Step<Result<(), Stale>> {
        let step = self.locks.release(&section, holder, token, now);
        Step::of(step.answer, step.events)
    }

    /// Makes a lease last `lease` from now; answers its new deadline. Holds D3.
    ///
    /// # Errors
    /// In the answer: [`Stale`], when the token is not the current one.
    pub fn renew(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        lease: Duration,
        now: Duration,
    ) -> Step<Result<Duration, Stale>> {
        let step = self.locks.renew(&section, holder, token, lease, now);
        Step::of(step.answer, step.events)
    }

    /// Takes the request of a waiter back; answers whether there was one.
    pub fn cancel(&mut self, holder: &Holder, now: Duration) -> Step<bool> {
        let step = self.locks.cancel(holder, now);
        Step::of(step.answer, step.events)
    }

    /// Ends the leases and waits that are due; call it at [`Self::next_deadline`]. Holds D3.
    pub fn expire(&mut self, now: Duration) -> Step<()> {
        Step::of((), self.locks.expire(now))
    }

    /// When [`Self::expire`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.locks.next_deadline()
    }

    /// This incarnation, and every one before it, has ended: its locks are free at once, its request
    /// and its subscription are gone, and what still arrives from it is refused. Holds D3 and M13.
    pub fn drop_holder(&mut self, holder: &Holder, now: Duration) -> Step<()> {
        let mut outs = Vec::new();
        self.fence(holder.agent(), holder.incarnation().saturating_add(1), now, &mut outs);
        Step { answer: (), outs }
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
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from).and_then(|()| {
            tell(self.locks.expire(now), &mut outs);
            let heading_len = self.judge(holder, &edit, now)?;
            Ok(self.apply(holder, edit, heading_len, now))
        });
        if answer.is_ok() {
            self.subscribers.pump(&self.history, self.seq, &mut outs);
        }
        Step { answer, outs }
    }

    /// Whether `edit` is accepted; answers the length of its heading.
    fn judge(&self, holder: &Holder, edit: &Edit, now: Duration) -> Result<usize, EditError> {
        let section = edit.section;
        let slot = self.slot(section).ok_or(EditError::UnknownSection { section })?;
        if let Some(token) = edit.token {
            self.locks.check_holder(&section, holder, token, now)?;
        } else if let Some(lease) = self.locks.lease(&section, now) {
            let (holder, until) = (lease.holder.clone(), lease.deadline);
            return Err(EditError::Locked { section, holder, until });
        } else if edit.base.is_none() {
            return Err(EditError::NoTokenAndNoBase);
        }
        if let Some(base) = edit.base.filter(|base| *base != slot.version) {
            return Err(EditError::Outdated { section, base, current: slot.version });
        }
        if edit.text.len() > SECTION_BYTES_MAX {
            return Err(EditError::SectionTooLarge { len: edit.text.len() });
        }
        let len = self.bytes - slot.text.len() + edit.text.len();
        if len > DOCUMENT_BYTES_MAX {
            return Err(EditError::DocumentTooLarge { len });
        }
        let index = section.index();
        let ends_front_matter = if index == 0 {
            let others = self.slots.iter().skip(1).map(|slot| &*slot.text);
            ends_front_matter(&self.front, &edit.text, others)
        } else {
            ends_front_matter(&self.front, &self.slots[0].text, [&*edit.text].into_iter())
        };
        if ends_front_matter {
            return Err(EditError::BecomesFrontMatter);
        }
        let neighbours = Neighbours {
            front: (index == 0).then_some(&*self.front),
            previous: index.checked_sub(1).map(|index| &*self.slots[index].text),
            next_heading: self.slots.get(index + 1).map(|next| &next.text[..next.heading_len]),
        };
        neighbours.check(slot.heading_len > 0, &edit.text)
    }

    fn apply(
        &mut self,
        holder: &Holder,
        edit: Edit,
        heading_len: usize,
        now: Duration,
    ) -> Accepted {
        let slot = &mut self.slots[edit.section.index()];
        let text: Arc<str> = edit.text.into();
        self.seq += 1;
        let update = Update {
            seq: self.seq,
            section: edit.section,
            version: slot.version + 1,
            base: slot.version,
            author: holder.clone(),
            at: now,
            hash_before: text_hash(&slot.text),
            text: Arc::clone(&text),
        };
        self.bytes = self.bytes - slot.text.len() + text.len();
        if let Some(entries) = &mut self.entries {
            // Leases that ended before it was judged come first.
            keep::take_leases(&mut self.locks, entries);
            entries.push(keep::edited(&update, &slot.text, heading_len));
        }
        *slot = Slot { version: update.version, text, heading_len };
        let accepted = Accepted { seq: update.seq, version: update.version };
        self.history.push(Arc::new(update));
        accepted
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
                self.subscribers.insert(holder.clone(), self.seq);
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
        self.subscribers.confirm(holder, seq, &self.history, self.seq, &mut outs);
        Step { answer: (), outs }
    }

    /// One section as it is now.
    #[must_use]
    pub fn read(&self, section: SectionId) -> Option<SectionView> {
        let slot = self.slot(section)?;
        Some(SectionView { id: section, version: slot.version, text: Arc::clone(&slot.text) })
    }

    /// The whole document as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let ids = (0..self.slots.len()).map(SectionId::nth);
        let sections = ids.filter_map(|id| self.read(id)).collect();
        Snapshot { seq: self.seq, front: Arc::clone(&self.front), sections }
    }

    /// The document as Markdown; without edits, the bytes that it was loaded from.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.snapshot().to_markdown()
    }

    /// The number of the newest edit; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The accepted edits.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Who holds `section` at `now`.
    #[must_use]
    pub fn lease(&self, section: SectionId, now: Duration) -> Option<&Lease<Holder>> {
        self.locks.lease(&section, now)
    }

    fn slot(&self, section: SectionId) -> Option<&Slot> {
        self.slots.get(section.index())
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
