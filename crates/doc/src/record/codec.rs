//! The bytes of a record and of its entries: CBOR (RFC 8949), which names its fields.
//!
//! An entry begins with one byte, the version of the form; a snapshot's stands beside it in the store. Within a
//! version bytes never change their meaning: the files in `tests/golden/document/v1` are decoded
//! for ever.
//!
//! The history stands in a snapshot newest first, each text as its difference from the next newer one of its
//! section: so a snapshot has every text once, however often it was edited.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{DEPTH_MAX, Kept, OPS_MAX, Op, OpId, RESERVATIONS_MAX, Rank, Token};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Edited, Entry, Record, Slot, Splice, damaged};
use crate::coordinator::{Holder, Lives};
use crate::history::{History, Update};
use crate::limits::{
    DEAD_MAX, HISTORY_BYTES_MAX, HISTORY_LEN_MAX, SECTION_BYTES_MAX, SECTIONS_MAX,
};
use crate::section::SectionId;

/// Version of the form that is written.
pub const FORMAT: u32 = 1;

/// The same, as the first byte of an entry.
const ENTRY_FORMAT: u8 = 1;

/// Why what is kept of a document cannot be read. Nothing of it is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer release wrote it: use that one.
    #[error("what is kept of the document has form {found}, this release reads up to {FORMAT}")]
    Newer {
        /// Its form.
        found: u32,
    },
    /// It is not what any release writes: restore it from a backup.
    #[error("what is kept of the document is damaged: {why}")]
    Damaged {
        /// What is wrong.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct WireRecord<'a> {
    front: Cow<'a, str>,
    sections: Vec<WireSlot<'a>>,
    seq: u64,
    /// Newest first.
    history: Vec<WireUpdate>,
    last_token: u64,
    leases: Vec<WireLease<'a>>,
    lives: Vec<(Cow<'a, str>, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reservations: Vec<WireReservation<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WireSlot<'a> {
    version: u64,
    text: Cow<'a, str>,
    heading: usize,
}

/// Its number and version follow from its place.
#[derive(Serialize, Deserialize)]
struct WireUpdate {
    section: u32,
    author: (String, u64),
    at: Duration,
    hash: u64,
    text: WireSplice,
}

#[derive(Serialize, Deserialize)]
struct WireSplice(usize, usize, String);

#[derive(Serialize, Deserialize)]
struct WireLease<'a> {
    section: u32,
    holder: (Cow<'a, str>, u64),
    token: u64,
    length: Duration,
    // What most leases do not have stands in no bytes, and is not in those of earlier releases.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    depth: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    person: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold_max: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ops: Vec<WireOp>,
}

/// Whether it released, and its number: high half, low half.
#[derive(Serialize, Deserialize)]
struct WireOp(bool, u64, u64);

#[derive(Serialize, Deserialize)]
struct WireReservation<'a>(u32, (Cow<'a, str>, u64), Duration);

#[derive(Serialize, Deserialize)]
enum WireEntry<'a> {
    Edited {
        seq: u64,
        section: u32,
        version: u64,
        author: (Cow<'a, str>, u64),
        at: Duration,
        hash: u64,
        heading: usize,
        text: WireSplice,
    },
    Held(WireLease<'a>),
    Free(u32),
    AliveFrom(Cow<'a, str>, u64),
    LivesOver,
    Reserved(WireReservation<'a>),
    Unreserved(u32, (Cow<'a, str>, u64)),
}

impl Record {
    /// Its bytes, in form [`FORMAT`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let lives = self.lives.iter().map(|(agent, from)| (agent.as_str().into(), from));
        let wire = WireRecord {
            front: Cow::Borrowed(&*self.front),
            sections: self.slots.iter().map(wire_slot).collect(),
            seq: self.seq,
            history: self.wire_history(),
            last_token: self.last_token.as_u64(),
            leases: self.leases.values().map(wire_lease).collect(),
            lives: lives.collect(),
            reservations: (self.reservations.iter())
                .map(|((section, holder), length)| wire_reservation(*section, holder, *length))
                .collect(),
        };
        write(&wire, Vec::new())
    }

    fn wire_history(&self) -> Vec<WireUpdate> {
        let mut newer: BTreeMap<SectionId, &str> = BTreeMap::new();
        let updates = self.history.iter().rev().map(|update| {
            let slot = self.slots.get(update.section.index()).map(|slot| &*slot.text);
            let newer = newer.insert(update.section, &update.text).or(slot).unwrap_or_default();
            WireUpdate {
                section: update.section.number(),
                author: (update.author.agent().to_string(), update.author.incarnation()),
                at: update.at,
                hash: update.hash_before,
                text: Splice::between(newer, &update.text).into(),
            }
        });
        updates.collect()
    }

    /// The record of a snapshot.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(form: u32, bytes: &[u8]) -> Result<Self, RecordError> {
        check_form(form)?;
        let wire: WireRecord<'_> = read(bytes)?;
        let too_many = wire.sections.len() > SECTIONS_MAX
            || wire.history.len() > HISTORY_LEN_MAX
            || wire.lives.len() > DEAD_MAX
            || wire.reservations.len() > SECTIONS_MAX.saturating_mul(RESERVATIONS_MAX);
        if too_many {
            return Err(damaged("it has more of something than a document can have".into()));
        }
        let slot = |slot: WireSlot<'_>| Slot {
            version: slot.version,
            text: Arc::from(&*slot.text),
            heading_len: slot.heading,
        };
        let slots: Vec<Slot> = wire.sections.into_iter().map(slot).collect();
        let history = history(&slots, wire.seq, wire.history)?;
        let mut leases = BTreeMap::new();
        for lease in wire.leases {
            let lease = lease.kept()?;
            if leases.insert(lease.section, lease).is_some() {
                return Err(damaged("a section is locked twice".into()));
            }
        }
        let mut reservations = BTreeMap::new();
        for reservation in wire.reservations {
            let (section, holder, length) = reservation.parts()?;
            if reservations.insert((section, holder), length).is_some() {
                return Err(damaged("a section is reserved twice by one holder".into()));
            }
        }
        let mut lives = Lives::default();
        for (agent, from) in wire.lives {
            lives.end_before(&agent_id(&agent)?, from);
        }
        let record = Self {
            front: Arc::from(&*wire.front),
            slots,
            seq: wire.seq,
            history,
            last_token: Token::from_u64(wire.last_token),
            leases,
            reservations,
            lives,
        };
        record.check()?;
        Ok(record)
    }
}

/// The updates of `wire`, which stand newest first, in order.
fn history(slots: &[Slot], seq: u64, wire: Vec<WireUpdate>) -> Result<History, RecordError> {
    let does_not_follow = || damaged("the history does not lead to the text".into());
    let mut newer: BTreeMap<SectionId, (u64, Arc<str>)> = BTreeMap::new();
    let mut updates = Vec::with_capacity(wire.len());
    let mut len: usize = 0;
    for (n, update) in (0..).zip(wire) {
        let section = section_id(update.section)?;
        let (version, newest) = match newer.remove(&section) {
            Some(known) => known,
            None => slots
                .get(section.index())
                .map(|slot| (slot.version, Arc::clone(&slot.text)))
                .ok_or_else(does_not_follow)?,
        };
        let text = Splice::from(update.text).apply(&newest).ok_or_else(does_not_follow)?;
        // A few bytes may stand for many texts: no more than a coordinator ever keeps.
        len = len.saturating_add(text.len());
        if len > HISTORY_BYTES_MAX.saturating_add(SECTION_BYTES_MAX) {
            return Err(damaged("the history is longer than any".into()));
        }
        let seq = seq.checked_sub(n).filter(|seq| *seq > 0).ok_or_else(does_not_follow)?;
        let base = version.checked_sub(1).ok_or_else(does_not_follow)?;
        newer.insert(section, (base, Arc::clone(&text)));
        updates.push(Update {
            seq,
            section,
            version,
            base,
            author: holder(&update.author.0, update.author.1)?,
            at: update.at,
            hash_before: update.hash,
            text,
        });
    }
    let mut history = History::default();
    updates.into_iter().rev().for_each(|update| history.push(Arc::new(update)));
    Ok(history)
}

impl Entry {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let wire = match self {
            Self::Edited(edited) => WireEntry::Edited {
                seq: edited.seq,
                section: edited.section.number(),
                version: edited.version,
                author: (edited.author.agent().as_str().into(), edited.author.incarnation()),
                at: edited.at,
                hash: edited.hash_before,
                heading: edited.heading_len,
                text: edited.splice.clone().into(),
            },
            Self::Held(lease) => WireEntry::Held(wire_lease(lease)),
            Self::Free { section } => WireEntry::Free(section.number()),
            Self::Reserved { section, holder, length } => {
                WireEntry::Reserved(wire_reservation(*section, holder, *length))
            }
            Self::Unreserved { section, holder } => {
                WireEntry::Unreserved(section.number(), wire_holder(holder))
            }
            Self::AliveFrom { agent, from } => WireEntry::AliveFrom(agent.as_str().into(), *from),
            Self::LivesOver => WireEntry::LivesOver,
        };
        write(&wire, vec![ENTRY_FORMAT])
    }

    /// The entry of these bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (form, bytes) = bytes.split_first().ok_or_else(|| damaged("an empty entry".into()))?;
        check_form(u32::from(*form))?;
        Ok(match read::<WireEntry<'_>>(bytes)? {
            WireEntry::Edited { seq, section, version, author, at, hash, heading, text } => {
                Self::Edited(Edited {
                    seq,
                    section: section_id(section)?,
                    version,
                    author: holder(&author.0, author.1)?,
                    at,
                    hash_before: hash,
                    heading_len: heading,
                    splice: text.into(),
                })
            }
            WireEntry::Held(lease) => Self::Held(lease.kept()?),
            WireEntry::Free(section) => Self::Free { section: section_id(section)? },
            WireEntry::Reserved(reservation) => {
                let (section, holder, length) = reservation.parts()?;
                Self::Reserved { section, holder, length }
            }
            WireEntry::Unreserved(section, who) => {
                Self::Unreserved { section: section_id(section)?, holder: holder(&who.0, who.1)? }
            }
            WireEntry::AliveFrom(agent, from) => Self::AliveFrom { agent: agent_id(&agent)?, from },
            WireEntry::LivesOver => Self::LivesOver,
        })
    }
}

impl WireLease<'_> {
    fn kept(self) -> Result<Kept<SectionId, Holder>, RecordError> {
        if !(1..=DEPTH_MAX).contains(&self.depth) || self.ops.len() > OPS_MAX {
            return Err(damaged("a lock is deeper than any".into()));
        }
        Ok(Kept {
            section: section_id(self.section)?,
            holder: holder(&self.holder.0, self.holder.1)?,
            token: Token::from_u64(self.token),
            length: self.length,
            depth: self.depth,
            rank: if self.person { Rank::Person } else { Rank::Agent },
            hold_max: self.hold_max,
            ops: self.ops.into_iter().map(Op::from).collect(),
        })
    }
}

fn wire_slot(slot: &Slot) -> WireSlot<'_> {
    WireSlot { version: slot.version, text: Cow::Borrowed(&*slot.text), heading: slot.heading_len }
}

fn wire_lease(lease: &Kept<SectionId, Holder>) -> WireLease<'_> {
    WireLease {
        section: lease.section.number(),
        holder: wire_holder(&lease.holder),
        token: lease.token.as_u64(),
        length: lease.length,
        depth: lease.depth,
        person: lease.rank == Rank::Person,
        hold_max: lease.hold_max,
        ops: lease.ops.iter().copied().map(WireOp::from).collect(),
    }
}

fn wire_holder(holder: &Holder) -> (Cow<'_, str>, u64) {
    (holder.agent().as_str().into(), holder.incarnation())
}

fn wire_reservation(section: SectionId, holder: &Holder, length: Duration) -> WireReservation<'_> {
    WireReservation(section.number(), wire_holder(holder), length)
}

impl WireReservation<'_> {
    fn parts(self) -> Result<(SectionId, Holder, Duration), RecordError> {
        let Self(section, who, length) = self;
        Ok((section_id(section)?, holder(&who.0, who.1)?, length))
    }
}

impl From<Op> for WireOp {
    fn from(op: Op) -> Self {
        let (released, id) = match op {
            Op::Lock(id) => (false, id.as_u128()),
            Op::Release(id) => (true, id.as_u128()),
        };
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Self(released, half(id >> 64), half(id))
    }
}

impl From<WireOp> for Op {
    fn from(WireOp(released, high, low): WireOp) -> Self {
        let id = OpId::from_u128(u128::from(high) << 64 | u128::from(low));
        if released { Self::Release(id) } else { Self::Lock(id) }
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(depth: &u32) -> bool {
    *depth == 1
}

impl From<Splice> for WireSplice {
    fn from(splice: Splice) -> Self {
        Self(splice.front, splice.back, splice.insert)
    }
}

impl From<WireSplice> for Splice {
    fn from(WireSplice(front, back, insert): WireSplice) -> Self {
        Self { front, back, insert }
    }
}

fn section_id(number: u32) -> Result<SectionId, RecordError> {
    SectionId::from_number(number).ok_or_else(|| damaged("sections are numbered from 1".into()))
}

fn holder(agent: &str, incarnation: u64) -> Result<Holder, RecordError> {
    Ok(Holder::new(agent_id(agent)?, incarnation))
}

fn agent_id(id: &str) -> Result<AgentId, RecordError> {
    id.parse().map_err(|error| damaged(format!("{error}")))
}

fn check_form(found: u32) -> Result<(), RecordError> {
    match found {
        FORMAT => Ok(()),
        0 => Err(damaged("there is no form 0".into())),
        _ => Err(RecordError::Newer { found }),
    }
}

fn write<T: Serialize>(wire: &T, mut bytes: Vec<u8>) -> Bytes {
    ciborium::into_writer(wire, &mut bytes)
        .expect("invariant: a Vec takes all, and CBOR has a form for everything in a record");
    bytes.into()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).map_err(|error| damaged(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(damaged("more bytes follow it".into())) }
}
