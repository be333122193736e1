//! A document as it is kept: what of a coordinator survives its process, and the entries that say how it
//! changes.
//!
//! A [`Record`] has no clock and no company: deadlines, waiters and subscribers end with the process. It is
//! made of a snapshot ([`Record::decode`]) and the entries behind it ([`Record::apply`]), and
//! [`Coordinator::resume`](crate::Coordinator::resume) makes the coordinator of it that goes on. The bytes are
//! in `codec`, and nowhere else.

mod codec;
#[cfg(test)]
mod tests;
mod v1;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{Kept, Token};

pub use self::codec::{FORMAT, RecordError};
pub use self::v1::Edited;
use crate::coordinator::{
    Answer, Holder, KeptStream, Lives, Past, StreamId, Suggestion, SuggestionId,
};
use crate::history::{History, Update};
use crate::limits::{DOCUMENT_BYTES_MAX, SECTION_BYTES_MAX};
use crate::section::SectionId;
use crate::sheet::{Sheet, Slot};

/// What of a coordinator survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) sheet: Sheet,
    pub(crate) history: History,
    pub(crate) past: Past,
    pub(crate) streams: BTreeMap<StreamId, KeptStream>,
    /// The number of the newest stream.
    pub(crate) last_stream: u64,
    pub(crate) last_token: Token,
    pub(crate) leases: BTreeMap<SectionId, Kept<SectionId, Holder>>,
    /// How long each has to live.
    pub(crate) reservations: BTreeMap<(SectionId, Holder), Duration>,
    pub(crate) lives: Lives,
}

/// One change of a [`Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An edit, as form 1 has it.
    Edited(Edited),
    /// Texts or the outline changed.
    Updated(Arc<Update>),
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
    /// Somebody proposed a change.
    Suggested(Suggestion),
    /// A suggestion does not wait any more.
    Answered {
        /// Which.
        suggestion: SuggestionId,
        /// How it ended.
        how: Answer,
    },
    /// Somebody writes piece by piece.
    StreamOpened {
        /// Which stream.
        stream: StreamId,
        /// What is to be known of it.
        kept: KeptStream,
    },
    /// A stream has ended.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
}

impl Record {
    /// Takes one entry into account, which follows all that were before.
    ///
    /// # Errors
    /// [`RecordError::Damaged`]: the entry does not follow. The record is worth nothing then.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), RecordError> {
        match entry {
            Entry::Edited(edited) => {
                let update = edited.update(&self.sheet)?;
                self.update(&Arc::new(update))?;
            }
            Entry::Updated(update) => self.update(update)?,
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
            Entry::Suggested(suggestion) => {
                self.slot(suggestion.section)?;
                if !self.past.suggestions.add(suggestion.clone()) {
                    return Err(damaged(format!("{} was made before", suggestion.id)));
                }
            }
            Entry::Answered { suggestion, .. } => {
                if !self.past.suggestions.remove(*suggestion) {
                    return Err(damaged(format!("{suggestion} is answered and did not wait")));
                }
            }
            Entry::StreamOpened { stream, kept } => {
                if stream.as_u64() <= self.last_stream {
                    return Err(damaged(format!("{stream} was opened before")));
                }
                self.last_stream = stream.as_u64();
                self.streams.insert(*stream, kept.clone());
            }
            Entry::StreamClosed { stream } => {
                if self.streams.remove(stream).is_none() {
                    return Err(damaged(format!("{stream} is ended and was not open")));
                }
            }
        }
        Ok(())
    }

    fn update(&mut self, update: &Arc<Update>) -> Result<(), RecordError> {
        self.sheet.apply(update).map_err(damaged)?;
        let is_too_large = |id: SectionId| {
            self.sheet.slot(id).is_some_and(|slot| slot.text.len() > SECTION_BYTES_MAX)
        };
        if update.edits.iter().any(|edit| is_too_large(edit.section)) {
            return Err(damaged("a section is larger than any".into()));
        }
        self.past.follow(update);
        self.history.push(Arc::clone(update), |_| ());
        Ok(())
    }

    fn slot(&self, section: SectionId) -> Result<&Slot, RecordError> {
        let slot = self.sheet.slot(section);
        slot.ok_or_else(|| damaged(format!("there is no section {section}")))
    }

    /// Whether it fits into a document at all, which a decoder need not believe.
    fn check(&self) -> Result<(), RecordError> {
        if self.sheet.order.is_empty() || self.sheet.bytes > DOCUMENT_BYTES_MAX {
            return Err(damaged("it has no section, or is too large".into()));
        }
        if self.sheet.slots.iter().any(|slot| slot.text.len() > SECTION_BYTES_MAX) {
            return Err(damaged("a section is too large".into()));
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

fn damaged(why: String) -> RecordError {
    RecordError::Damaged { why }
}
