//! Form 1, in which an edit replaced the text of a section: read for ever, and never written.
//!
//! Its history, which had texts and not changes, is left behind: what was changed before an upgrade cannot be
//! taken back after it.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ggml_agent_core::lease::{Kept, Token};
use serde::Deserialize;
use smallvec::smallvec;

use super::codec::{agent_id, read, section_id};
use super::{Entry, Record, RecordError, damaged};
use crate::change::between;
use crate::coordinator::{Holder, Lives, Past};
use crate::history::{Cause, History, SectionEdit, Update};
use crate::limits::{DEAD_MAX, SECTIONS_MAX};
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::{Mode, Shape, Sheet, Slot};

/// An accepted edit, as the difference that it made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    seq: u64,
    section: SectionId,
    version: u64,
    author: Holder,
    at: Duration,
    /// FNV-1a of what it replaced.
    hash_before: u64,
    heading_len: usize,
    text: Kernel,
}

/// A text as its difference from another: what is kept at both ends, and what stands between.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Kernel(usize, usize, String);

impl Kernel {
    /// The new text; `None` if `old` is not what it was made from.
    fn apply(&self, old: &str) -> Option<String> {
        let end = old.len().checked_sub(self.1).filter(|end| *end >= self.0)?;
        let (front, back) = (old.get(..self.0)?, old.get(end..)?);
        Some([front, &self.2, back].concat())
    }
}

#[derive(Deserialize)]
struct WireRecord<'a> {
    front: Cow<'a, str>,
    sections: Vec<WireSlot<'a>>,
    seq: u64,
    last_token: u64,
    leases: Vec<WireLease<'a>>,
    lives: Vec<(Cow<'a, str>, u64)>,
}

#[derive(Deserialize)]
struct WireSlot<'a> {
    version: u64,
    text: Cow<'a, str>,
    heading: usize,
}

#[derive(Deserialize)]
struct WireLease<'a> {
    section: u32,
    holder: (Cow<'a, str>, u64),
    token: u64,
    length: Duration,
}

#[derive(Deserialize)]
enum WireEntry<'a> {
    Edited {
        seq: u64,
        section: u32,
        version: u64,
        author: (Cow<'a, str>, u64),
        at: Duration,
        hash: u64,
        heading: usize,
        text: Kernel,
    },
    Held(WireLease<'a>),
    Free(u32),
    AliveFrom(Cow<'a, str>, u64),
    LivesOver,
}

impl Edited {
    /// The update that it is, for the sheet that it was made for.
    ///
    /// # Errors
    /// [`RecordError::Damaged`]: it was made for another.
    pub(super) fn update(&self, sheet: &Sheet) -> Result<Update, RecordError> {
        let does_not_follow =
            || damaged(format!("edit {} does not follow edit {}", self.seq, sheet.seq));
        let slot = sheet.slot(self.section).ok_or_else(does_not_follow)?;
        let old = slot.text.to_string();
        let text = self.text.apply(&old).ok_or_else(does_not_follow)?;
        let follows = self.seq.checked_sub(1) == Some(sheet.seq)
            && self.version.checked_sub(1) == Some(slot.version)
            && self.hash_before == hash(&old)
            && text.is_char_boundary(self.heading_len)
            && slot.shape.is_headed() == (self.heading_len > 0);
        if !follows {
            return Err(does_not_follow());
        }
        let splice = between(&old, &text).and_then(|change| slot.text.splice_of(change));
        let (section, version) = (self.section, self.version);
        Ok(Update {
            seq: self.seq,
            author: self.author.clone(),
            at: self.at,
            cause: Cause::Edit,
            op: None,
            mark: None,
            outline: Vec::new(),
            edits: smallvec![SectionEdit {
                section,
                version,
                splices: splice.into_iter().collect()
            }],
        })
    }
}

/// FNV-1a, 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The record of a snapshot.
pub(super) fn record(bytes: &[u8]) -> Result<Record, RecordError> {
    let wire: WireRecord<'_> = read(bytes)?;
    let too_many = wire.sections.len() > SECTIONS_MAX || wire.lives.len() > DEAD_MAX;
    if too_many {
        return Err(damaged("it has more of something than a document can have".into()));
    }
    let mut slots = Vec::with_capacity(wire.sections.len());
    for (place, slot) in wire.sections.into_iter().enumerate() {
        if !slot.text.is_char_boundary(slot.heading) {
            return Err(damaged("a section is shorter than its heading".into()));
        }
        slots.push(Slot {
            version: slot.version,
            shape: Shape::of(&slot.text, slot.heading),
            text: Text::from(&*slot.text),
            mode: Mode::default(),
            place: Some(place),
        });
    }
    let sheet = Sheet::restore(Arc::from(&*wire.front), slots, None, wire.seq, 0)
        .ok_or_else(|| damaged("a section stands nowhere".into()))?;
    let mut leases = BTreeMap::new();
    for lease in wire.leases {
        let lease = lease.kept()?;
        if leases.insert(lease.section, lease).is_some() {
            return Err(damaged("a section is locked twice".into()));
        }
    }
    let mut lives = Lives::default();
    for (agent, from) in wire.lives {
        lives.end_before(&agent_id(&agent)?, from);
    }
    let history = History::default();
    Ok(Record {
        past: Past::new(&sheet),
        streams: BTreeMap::new(),
        last_stream: 0,
        sheet,
        history,
        last_token: Token::from_u64(wire.last_token),
        leases,
        reservations: BTreeMap::new(),
        lives,
    })
}

/// The entry of these bytes.
pub(super) fn entry(bytes: &[u8]) -> Result<Entry, RecordError> {
    Ok(match read::<WireEntry<'_>>(bytes)? {
        WireEntry::Edited { seq, section, version, author, at, hash, heading, text } => {
            Entry::Edited(Edited {
                seq,
                section: section_id(section)?,
                version,
                author: Holder::new(agent_id(&author.0)?, author.1),
                at,
                hash_before: hash,
                heading_len: heading,
                text,
            })
        }
        WireEntry::Held(lease) => Entry::Held(lease.kept()?),
        WireEntry::Free(section) => Entry::Free { section: section_id(section)? },
        WireEntry::AliveFrom(agent, from) => Entry::AliveFrom { agent: agent_id(&agent)?, from },
        WireEntry::LivesOver => Entry::LivesOver,
    })
}

impl WireLease<'_> {
    fn kept(self) -> Result<Kept<SectionId, Holder>, RecordError> {
        let holder = Holder::new(agent_id(&self.holder.0)?, self.holder.1);
        let (section, token) = (section_id(self.section)?, Token::from_u64(self.token));
        Ok(Kept::new(section, holder, token, self.length))
    }
}
