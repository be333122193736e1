//! The bytes of a record and of its entries: CBOR (RFC 8949), which names its fields.
//!
//! An entry begins with one byte, the version of the form; a snapshot's stands beside it in the store. Within a
//! version bytes never change their meaning: the files in `tests/golden/document` are decoded for ever.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod past;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ggml_agent_core::AgentId;
use ggml_agent_core::lease::{DEPTH_MAX, Kept, OPS_MAX, Op, OpId, RESERVATIONS_MAX, Rank, Token};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::past::{WireAnswer, WireBlame, WireStream, WireStreams, WireSuggestion, WireSuggestions};
use super::{Entry, Record, damaged, v1};
use crate::change::Splice;
use crate::coordinator::{Holder, Kind, Lives, Past, StreamId, SuggestionId};
use crate::history::{Cause, History, OpMark, SectionEdit, Update};
use crate::limits::{DEAD_MAX, HISTORY_BYTES_MAX, HISTORY_LEN_MAX, SECTIONS_MAX};
use crate::rope::Text;
use crate::section::SectionId;
use crate::sheet::{Mode, OutlineChange, Shape, Sheet, Slot};

/// Version of the form that is written.
pub const FORMAT: u32 = 2;

/// The same, as the first byte of an entry.
const ENTRY_FORMAT: u8 = 2;

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
    /// Numbers of those that are part of the text.
    order: Vec<u32>,
    seq: u64,
    outline_version: u64,
    /// Oldest first; the last one is `seq`.
    history: Vec<WireUpdate<'a>>,
    last_token: u64,
    leases: Vec<WireLease<'a>>,
    lives: Vec<(Cow<'a, str>, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reservations: Vec<WireReservation<'a>>,
    blame: WireBlame<'a>,
    suggestions: WireSuggestions<'a>,
    streams: WireStreams<'a>,
}

#[derive(Serialize, Deserialize)]
struct WireSlot<'a> {
    version: u64,
    text: Cow<'a, str>,
    heading: usize,
    mode: WireMode,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum WireMode {
    Locked,
    Optimistic,
    Open,
    SuggestOnly,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireHolder<'a>(Cow<'a, str>, u64, WireKind);

#[derive(Serialize, Deserialize, Clone, Copy)]
enum WireKind {
    Agent,
    Person,
    File,
}

#[derive(Serialize, Deserialize)]
struct WireUpdate<'a> {
    seq: u64,
    author: WireHolder<'a>,
    at: Duration,
    cause: WireCause<'a>,
    op: Option<Cow<'a, str>>,
    /// What the command said, and whether its base had moved. Missing in what older releases wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<(u64, bool)>,
    outline: Vec<WireOutlineChange<'a>>,
    edits: Vec<WireEdit<'a>>,
}

#[derive(Serialize, Deserialize)]
enum WireCause<'a> {
    Edit,
    /// Numbers of updates, from and to.
    Revert(Vec<(u64, u64)>),
    Suggestion(WireHolder<'a>),
    File,
    Stream(u64),
}

#[derive(Serialize, Deserialize)]
struct WireEdit<'a>(u32, u64, Vec<WireSplice<'a>>);

#[derive(Serialize, Deserialize)]
struct WireSplice<'a>(usize, Cow<'a, str>, Cow<'a, str>);

#[derive(Serialize, Deserialize)]
enum WireOutlineChange<'a> {
    Added { section: u32, after: Option<u32>, from: Option<(u32, usize)> },
    Moved { section: u32, after: Option<u32> },
    Archived(u32),
    Merged { section: u32, into: u32, at: usize },
    Restored { section: u32, after: Option<u32> },
    Mode(u32, WireMode),
    Front(Cow<'a, str>, Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
struct WireLease<'a> {
    section: u32,
    holder: WireHolder<'a>,
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
struct WireReservation<'a>(u32, WireHolder<'a>, Duration);

#[derive(Serialize, Deserialize)]
enum WireEntry<'a> {
    Updated(WireUpdate<'a>),
    Held(WireLease<'a>),
    Free(u32),
    AliveFrom(Cow<'a, str>, u64),
    LivesOver,
    Reserved(WireReservation<'a>),
    Unreserved(u32, WireHolder<'a>),
    Suggested(WireSuggestion<'a>),
    Answered(u64, WireAnswer),
    StreamOpened(WireStream<'a>),
    StreamClosed(u64),
}

impl Record {
    /// Its bytes, in form [`FORMAT`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let lives = self.lives.iter().map(|(agent, from)| (agent.as_str().into(), from));
        let wire = WireRecord {
            front: Cow::Borrowed(&*self.sheet.front),
            sections: self.sheet.slots.iter().map(wire_slot).collect(),
            order: self.sheet.order.iter().map(|section| section.number()).collect(),
            seq: self.sheet.seq,
            outline_version: self.sheet.outline_version,
            history: self.history.iter().map(|update| update.as_ref().into()).collect(),
            last_token: self.last_token.as_u64(),
            leases: self.leases.values().map(wire_lease).collect(),
            lives: lives.collect(),
            reservations: (self.reservations.iter())
                .map(|((section, holder), length)| wire_reservation(*section, holder, *length))
                .collect(),
            blame: (&self.past.blame).into(),
            suggestions: (&self.past.suggestions).into(),
            streams: WireStreams::of(self),
        };
        write(&wire, Vec::new())
    }

    /// The record of a snapshot.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(form: u32, bytes: &[u8]) -> Result<Self, RecordError> {
        let record = match form {
            1 => v1::record(bytes)?,
            FORMAT => Self::read(bytes)?,
            _ => return Err(unknown_form(form)),
        };
        record.check()?;
        Ok(record)
    }

    fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let wire: WireRecord<'_> = read(bytes)?;
        let too_many = wire.sections.len() > SECTIONS_MAX
            || wire.history.len() > HISTORY_LEN_MAX
            || wire.lives.len() > DEAD_MAX
            || wire.reservations.len() > SECTIONS_MAX.saturating_mul(RESERVATIONS_MAX);
        if too_many {
            return Err(damaged("it has more of something than a document can have".into()));
        }
        let mut slots = Vec::with_capacity(wire.sections.len());
        for slot in wire.sections {
            if !slot.text.is_char_boundary(slot.heading) {
                return Err(damaged("a section is shorter than its heading".into()));
            }
            slots.push(Slot {
                version: slot.version,
                shape: Shape::of(&slot.text, slot.heading),
                text: Text::from(&*slot.text),
                mode: slot.mode.into(),
                place: None,
            });
        }
        let order = wire.order.into_iter().map(section_id).collect::<Result<_, _>>()?;
        let front = Arc::from(&*wire.front);
        let sheet = Sheet::restore(front, slots, Some(order), wire.seq, wire.outline_version)
            .ok_or_else(|| damaged("a section stands nowhere, or twice".into()))?;
        let history = history(&sheet, wire.history)?;
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
        let last_token = Token::from_u64(wire.last_token);
        let (streams, last_stream) = wire.streams.streams()?;
        Ok(Self {
            past: Past {
                blame: wire.blame.blame(&sheet)?,
                suggestions: wire.suggestions.suggestions(&sheet)?,
            },
            streams,
            last_stream,
            sheet,
            history,
            last_token,
            leases,
            reservations,
            lives,
        })
    }
}

/// The updates of `wire`, which must lead to the texts that are there.
fn history(sheet: &Sheet, wire: Vec<WireUpdate<'_>>) -> Result<History, RecordError> {
    let does_not_follow = || damaged("the history does not lead to the text".into());
    let updates: Vec<Update> =
        wire.into_iter().map(WireUpdate::update).collect::<Result<_, RecordError>>()?;
    let mut texts: BTreeMap<SectionId, (u64, Text)> = BTreeMap::new();
    let mut seq = sheet.seq;
    let mut bytes: usize = 0;
    for update in updates.iter().rev() {
        if update.seq != seq || seq == 0 {
            return Err(does_not_follow());
        }
        seq = seq.saturating_sub(1);
        for edit in &update.edits {
            let slot = sheet.slot(edit.section).ok_or_else(does_not_follow)?;
            let text = texts.entry(edit.section);
            let (version, text) = text.or_insert_with(|| (slot.version, slot.text.clone()));
            if edit.version != *version || edit.version == 0 || !edit.undo(text) {
                return Err(does_not_follow());
            }
            *version = version.saturating_sub(1);
            let (added, removed) = edit.n_bytes();
            bytes = bytes.saturating_add(added).saturating_add(removed);
        }
    }
    if bytes > HISTORY_BYTES_MAX {
        return Err(damaged("the history is longer than any".into()));
    }
    let mut history = History::default();
    updates.into_iter().for_each(|update| history.push(Arc::new(update), |_| ()));
    Ok(history)
}

impl Entry {
    /// Its bytes. Those of an entry of form 1 are none: it is only read.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let wire = match self {
            Self::Edited(_) => return Bytes::new(),
            Self::Updated(update) => WireEntry::Updated(update.as_ref().into()),
            Self::Held(lease) => WireEntry::Held(wire_lease(lease)),
            Self::Free { section } => WireEntry::Free(section.number()),
            Self::Reserved { section, holder, length } => {
                WireEntry::Reserved(wire_reservation(*section, holder, *length))
            }
            Self::Unreserved { section, holder } => {
                WireEntry::Unreserved(section.number(), holder.into())
            }
            Self::AliveFrom { agent, from } => WireEntry::AliveFrom(agent.as_str().into(), *from),
            Self::LivesOver => WireEntry::LivesOver,
            Self::Suggested(suggestion) => WireEntry::Suggested(suggestion.into()),
            Self::Answered { suggestion, how } => {
                WireEntry::Answered(suggestion.as_u64(), (*how).into())
            }
            Self::StreamOpened { stream, kept } => {
                WireEntry::StreamOpened(WireStream::of(*stream, kept))
            }
            Self::StreamClosed { stream } => WireEntry::StreamClosed(stream.as_u64()),
        };
        // As long as the entry of a few words is, so that the buffer does not grow under it.
        let mut bytes = Vec::with_capacity(192);
        bytes.push(ENTRY_FORMAT);
        write(&wire, bytes)
    }

    /// The entry of these bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (form, bytes) = bytes.split_first().ok_or_else(|| damaged("an empty entry".into()))?;
        match *form {
            1 => return v1::entry(bytes),
            ENTRY_FORMAT => {}
            form => return Err(unknown_form(u32::from(form))),
        }
        Ok(match read::<WireEntry<'_>>(bytes)? {
            WireEntry::Updated(update) => Self::Updated(Arc::new(update.update()?)),
            WireEntry::Held(lease) => Self::Held(lease.kept()?),
            WireEntry::Free(section) => Self::Free { section: section_id(section)? },
            WireEntry::Reserved(reservation) => {
                let (section, holder, length) = reservation.parts()?;
                Self::Reserved { section, holder, length }
            }
            WireEntry::Unreserved(section, who) => {
                Self::Unreserved { section: section_id(section)?, holder: who.holder()? }
            }
            WireEntry::AliveFrom(agent, from) => Self::AliveFrom { agent: agent_id(&agent)?, from },
            WireEntry::LivesOver => Self::LivesOver,
            WireEntry::Suggested(suggestion) => Self::Suggested(suggestion.suggestion()?),
            WireEntry::Answered(suggestion, how) => {
                Self::Answered { suggestion: SuggestionId::from_u64(suggestion), how: how.into() }
            }
            WireEntry::StreamOpened(stream) => {
                let (stream, kept) = stream.stream()?;
                Self::StreamOpened { stream, kept }
            }
            WireEntry::StreamClosed(stream) => {
                Self::StreamClosed { stream: StreamId::from_u64(stream) }
            }
        })
    }
}

impl<'a> From<&'a Update> for WireUpdate<'a> {
    fn from(update: &'a Update) -> Self {
        let splice = |splice: &'a Splice| {
            WireSplice(splice.at, (&*splice.removed).into(), (&*splice.inserted).into())
        };
        let edit = |edit: &'a SectionEdit| {
            let splices = edit.splices.iter().map(splice).collect();
            WireEdit(edit.section.number(), edit.version, splices)
        };
        Self {
            seq: update.seq,
            author: (&update.author).into(),
            at: update.at,
            cause: match &update.cause {
                Cause::Edit => WireCause::Edit,
                Cause::Revert { of } => WireCause::Revert(of.clone()),
                Cause::Suggestion { by } => WireCause::Suggestion(by.into()),
                Cause::File => WireCause::File,
                Cause::Stream { stream } => WireCause::Stream(stream.as_u64()),
            },
            op: update.op.as_ref().map(|op| op.as_str().into()),
            mark: update.mark.map(|mark| (mark.content, mark.base_moved)),
            outline: update.outline.iter().map(WireOutlineChange::from).collect(),
            edits: update.edits.iter().map(edit).collect(),
        }
    }
}

impl WireUpdate<'_> {
    fn update(self) -> Result<Update, RecordError> {
        let splice = |WireSplice(at, removed, inserted): WireSplice<'_>| Splice {
            at,
            removed: removed.into_owned(),
            inserted: inserted.into_owned(),
        };
        let edit = |WireEdit(section, version, splices): WireEdit<'_>| {
            let splices = splices.into_iter().map(splice).collect();
            Ok(SectionEdit { section: section_id(section)?, version, splices })
        };
        Ok(Update {
            seq: self.seq,
            author: self.author.holder()?,
            at: self.at,
            cause: match self.cause {
                WireCause::Edit => Cause::Edit,
                WireCause::Revert(of) => Cause::Revert { of: taken_back(of, self.seq)? },
                WireCause::Stream(stream) => Cause::Stream { stream: StreamId::from_u64(stream) },
                WireCause::Suggestion(by) => Cause::Suggestion { by: by.holder()? },
                WireCause::File => Cause::File,
            },
            op: self
                .op
                .map(|op| op.parse().map_err(|error| damaged(format!("{error}"))))
                .transpose()?,
            mark: self.mark.map(|(content, base_moved)| OpMark { content, base_moved }),
            outline: self
                .outline
                .into_iter()
                .map(WireOutlineChange::change)
                .collect::<Result<_, _>>()?,
            edits: self.edits.into_iter().map(edit).collect::<Result<_, RecordError>>()?,
        })
    }
}

impl<'a> From<&'a OutlineChange> for WireOutlineChange<'a> {
    fn from(change: &'a OutlineChange) -> Self {
        let number = |section: &Option<SectionId>| section.map(SectionId::number);
        match change {
            OutlineChange::Added { section, after, from } => Self::Added {
                section: section.number(),
                after: number(after),
                from: from.map(|(section, at)| (section.number(), at)),
            },
            OutlineChange::Moved { section, after } => {
                Self::Moved { section: section.number(), after: number(after) }
            }
            OutlineChange::Archived { section } => Self::Archived(section.number()),
            OutlineChange::Merged { section, into, at } => {
                Self::Merged { section: section.number(), into: into.number(), at: *at }
            }
            OutlineChange::Restored { section, after } => {
                Self::Restored { section: section.number(), after: number(after) }
            }
            OutlineChange::Mode { section, mode } => Self::Mode(section.number(), (*mode).into()),
            OutlineChange::Front { before, after } => {
                Self::Front((&**before).into(), (&**after).into())
            }
        }
    }
}

impl WireOutlineChange<'_> {
    fn change(self) -> Result<OutlineChange, RecordError> {
        let optional = |section: Option<u32>| section.map(section_id).transpose();
        Ok(match self {
            Self::Added { section, after, from } => OutlineChange::Added {
                section: section_id(section)?,
                after: optional(after)?,
                from: from.map(|(from, at)| Ok((section_id(from)?, at))).transpose()?,
            },
            Self::Moved { section, after } => {
                OutlineChange::Moved { section: section_id(section)?, after: optional(after)? }
            }
            Self::Archived(section) => OutlineChange::Archived { section: section_id(section)? },
            Self::Merged { section, into, at } => {
                OutlineChange::Merged { section: section_id(section)?, into: section_id(into)?, at }
            }
            Self::Restored { section, after } => {
                OutlineChange::Restored { section: section_id(section)?, after: optional(after)? }
            }
            Self::Mode(section, mode) => {
                OutlineChange::Mode { section: section_id(section)?, mode: mode.into() }
            }
            Self::Front(before, after) => {
                OutlineChange::Front { before: (&*before).into(), after: (&*after).into() }
            }
        })
    }
}

impl From<Mode> for WireMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Locked => Self::Locked,
            Mode::Optimistic => Self::Optimistic,
            Mode::Open => Self::Open,
            Mode::SuggestOnly => Self::SuggestOnly,
        }
    }
}

impl From<WireMode> for Mode {
    fn from(mode: WireMode) -> Self {
        match mode {
            WireMode::Locked => Self::Locked,
            WireMode::Optimistic => Self::Optimistic,
            WireMode::Open => Self::Open,
            WireMode::SuggestOnly => Self::SuggestOnly,
        }
    }
}

impl<'a> From<&'a Holder> for WireHolder<'a> {
    fn from(holder: &'a Holder) -> Self {
        let kind = match holder.kind() {
            Kind::Agent => WireKind::Agent,
            Kind::Person => WireKind::Person,
            Kind::File => WireKind::File,
        };
        Self(holder.agent().as_str().into(), holder.incarnation(), kind)
    }
}

impl WireHolder<'_> {
    pub(super) fn holder(self) -> Result<Holder, RecordError> {
        let Self(agent, incarnation, kind) = self;
        let kind = match kind {
            WireKind::Agent => Kind::Agent,
            WireKind::Person => Kind::Person,
            WireKind::File => Kind::File,
        };
        Ok(Holder::of(kind, agent_id(&agent)?, incarnation))
    }
}

impl WireLease<'_> {
    fn kept(self) -> Result<Kept<SectionId, Holder>, RecordError> {
        if !(1..=DEPTH_MAX).contains(&self.depth) || self.ops.len() > OPS_MAX {
            return Err(damaged("a lock is deeper than any".into()));
        }
        Ok(Kept {
            section: section_id(self.section)?,
            holder: self.holder.holder()?,
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
    WireSlot {
        version: slot.version,
        text: slot.text.to_string().into(),
        heading: slot.shape.heading_len,
        mode: slot.mode.into(),
    }
}

fn wire_lease(lease: &Kept<SectionId, Holder>) -> WireLease<'_> {
    WireLease {
        section: lease.section.number(),
        holder: (&lease.holder).into(),
        token: lease.token.as_u64(),
        length: lease.length,
        depth: lease.depth,
        person: lease.rank == Rank::Person,
        hold_max: lease.hold_max,
        ops: lease.ops.iter().copied().map(WireOp::from).collect(),
    }
}

fn wire_reservation(section: SectionId, holder: &Holder, length: Duration) -> WireReservation<'_> {
    WireReservation(section.number(), holder.into(), length)
}

impl WireReservation<'_> {
    fn parts(self) -> Result<(SectionId, Holder, Duration), RecordError> {
        let Self(section, who, length) = self;
        Ok((section_id(section)?, who.holder()?, length))
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

/// The updates that update `seq` takes back: before it, in order, none twice.
fn taken_back(of: Vec<(u64, u64)>, seq: u64) -> Result<Vec<(u64, u64)>, RecordError> {
    let mut free_from = 1;
    for (from, to) in &of {
        if *from < free_from || to < from || *to >= seq {
            return Err(damaged("an update takes back what is not before it".into()));
        }
        free_from = to.saturating_add(1);
    }
    Ok(of)
}

fn unknown_form(found: u32) -> RecordError {
    match found {
        0 => damaged("there is no form 0".into()),
        _ => RecordError::Newer { found },
    }
}

pub(super) fn section_id(number: u32) -> Result<SectionId, RecordError> {
    SectionId::from_number(number).ok_or_else(|| damaged("sections are numbered from 1".into()))
}

pub(super) fn agent_id(id: &str) -> Result<AgentId, RecordError> {
    id.parse().map_err(|error| damaged(format!("{error}")))
}

fn write<T: Serialize>(wire: &T, mut bytes: Vec<u8>) -> Bytes {
    ciborium::into_writer(wire, &mut bytes)
        .expect("invariant: a Vec takes all, and CBOR has a form for everything in a record");
    bytes.into()
}

pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let mut rest = bytes;
    let value = ciborium::from_reader(&mut rest).map_err(|error| damaged(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(damaged("more bytes follow it".into())) }
}
