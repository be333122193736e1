//! A document as it is kept: what of a coordinator survives its process, and the entries that say how it
//! changes.
//!
//! A [`Record`] has no clock and no company: deadlines, waiters and subscribers end with the process. It is
//! made of a snapshot ([`Record::decode`]) and the entries behind it ([`Record::apply`]), and
//! [`Coordinator::resume`](crate::Coordinator::resume) makes the coordinator of it that goes on. The bytes are
//! in `codec`, and nowhere else.

mod codec;
mod splice;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Kept, Token};

pub use self::codec::{FORMAT, RecordError};
pub use self::splice::Splice;
use crate::coordinator::{Holder, Lives};
use crate::history::{History, Update, text_hash};
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX};
use crate::section::SectionId;

/// One section as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) version: u64,
    pub(crate) text: Arc<str>,
    /// Length of the heading's source at the start of `text`; 0 without a heading.
    pub(crate) heading_len: usize,
}

/// What of a coordinator survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) front: Arc<str>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) seq: u64,
    pub(crate) history: History,
    pub(crate) last_token: Token,
    pub(crate) leases: BTreeMap<SectionId, Kept<SectionId, Holder>>,
    /// How long each has to live.
    pub(crate) reservations: BTreeMap<(SectionId, Holder), Duration>,
    pub(crate) lives: Lives,
}

/// One change of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An edit was accepted.
    Edited(Edited),
    /// A section was locked, or its lease renewed.
    Held(Kept<SectionId, Holder>),
    /// A section is free: given back, run out, or taken from a holder that is gone.
    Free {
        /// Which.
        section: SectionId,
    },
    /// Somebody means to work on a section, or said so again.
    Reserved {
        /// Which.
        section: SectionId,
        /// Who.
        holder: Holder,
        /// How long that lives.
        length: Duration,
    },
    /// It does not mean to any more: taken back, run out, or it is gone.
    Unreserved {
        /// Which.
        section: SectionId,
        /// Who.
        holder: Holder,
    },
    /// Of this agent only incarnations from this one on may act.
    AliveFrom {
        /// Which agent.
        agent: AgentId,
        /// The lowest that may.
        from: u64,
    },
    /// The process of all who were known is gone, and with it the numbers of their lives.
    LivesOver,
}

/// An accepted edit, as the difference that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its number in the document.
    pub seq: u64,
    /// The section.
    pub section: SectionId,
    /// The version of the section that it made.
    pub version: u64,
    /// Who wrote it.
    pub author: Holder,
    /// When, on the clock of its process.
    pub at: Duration,
    /// [`text_hash`] of what it replaced.
    pub hash_before: u64,
    /// Length of the heading's source at the start of the new text.
    pub heading_len: usize,
    /// The new text, made of the old one.
    pub splice: Splice,
}

impl Record {
    /// Takes one entry into account, which follows all that were before.
    ///
    /// # Errors
    /// [`RecordError::Damaged`]: the entry does not follow. The record is worth nothing then.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), RecordError> {
        match entry {
            Entry::Edited(edited) => self.edit(edited)?,
            Entry::Held(lease) => {
                self.slot(lease.section)?;
                let held = self.leases.get(&lease.section);
                let is_renewal = held
                    .is_some_and(|held| (held.token, &held.holder) == (lease.token, &lease.holder));
                if !is_renewal && (held.is_some() || lease.token <= self.last_token) {
                    return Err(damaged(format!("token {} does not follow", lease.token)));
                }
                self.last_token = self.last_token.max(lease.token);
                self.leases.insert(lease.section, lease.clone());
            }
            Entry::Free { section } => {
                if self.leases.remove(section).is_none() {
                    return Err(damaged(format!("{section} is freed and was not held")));
                }
            }
            Entry::Reserved { section, holder, length } => {
                self.slot(*section)?;
                self.reservations.insert((*section, holder.clone()), *length);
            }
            Entry::Unreserved { section, holder } => {
                if self.reservations.remove(&(*section, holder.clone())).is_none() {
                    return Err(damaged(format!("{section} is given up and was not reserved")));
                }
            }
            Entry::AliveFrom { agent, from } => {
                self.lives.end_before(agent, *from);
            }
            Entry::LivesOver => self.lives = Lives::default(),
        }
        Ok(())
    }

    fn slot(&self, section: SectionId) -> Result<&Slot, RecordError> {
        let slot = self.slots.get(section.index());
        slot.ok_or_else(|| damaged(format!("there is no section {section}")))
    }

    fn edit(&mut self, edited: &Edited) -> Result<(), RecordError> {
        let slot = self.slot(edited.section)?;
        let follows = edited.seq.checked_sub(1) == Some(self.seq)
            && edited.version.checked_sub(1) == Some(slot.version)
            && edited.hash_before == text_hash(&slot.text);
        let text = edited.splice.apply(&slot.text).filter(|text| {
            let had_heading = slot.heading_len > 0;
            is_heading_len(edited.heading_len, text) && had_heading == (edited.heading_len > 0)
        });
        let Some(text) = text.filter(|text| follows && text.len() <= SECTION_BYTES_MAX) else {
            return Err(damaged(format!("edit {} does not follow edit {}", edited.seq, self.seq)));
        };
        let update = Update {
            seq: edited.seq,
            section: edited.section,
            version: edited.version,
            base: slot.version,
            author: edited.author.clone(),
            at: edited.at,
            hash_before: edited.hash_before,
            text: Arc::clone(&text),
        };
        self.seq = edited.seq;
        self.history.push(Arc::new(update));
        let slot = Slot { version: edited.version, text, heading_len: edited.heading_len };
        if let Some(place) = self.slots.get_mut(edited.section.index()) {
            *place = slot;
        }
        Ok(())
    }

    /// Bytes of Markdown.
    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.slots.iter().map(|slot| slot.text.len()).sum::<usize>()
    }

    /// Whether it fits into a document at all, which a decoder need not believe.
    fn check(&self) -> Result<(), RecordError> {
        if self.slots.is_empty() || self.len() > DOCUMENT_BYTES_MAX {
            return Err(damaged("it has no section, or is too large".into()));
        }
        for slot in &self.slots {
            if slot.text.len() > SECTION_BYTES_MAX || !is_heading_len(slot.heading_len, &slot.text)
            {
                return Err(damaged("a section is too large, or shorter than its heading".into()));
            }
        }
        self.reservations.keys().try_for_each(|(section, _)| self.slot(*section).map(drop))?;
        for lease in self.leases.values() {
            self.slot(lease.section)?;
            if lease.token > self.last_token {
                return Err(damaged(format!("token {} was never given", lease.token)));
            }
        }
        Ok(())
    }
}

fn is_heading_len(len: usize, text: &str) -> bool {
    // Beyond the end there is no boundary.
    text.is_char_boundary(len)
}

fn damaged(why: String) -> RecordError {
    RecordError::Damaged { why }
}
