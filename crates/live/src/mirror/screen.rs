//! What may come near the CRDT at all: updates of plain texts in known sections, well-formed to the last byte.
//!
//! Reading an update here, before yrs does, buys four things. yrs never sees a number that overflows its 32-bit
//! clocks, a count that makes it reserve memory, or a gap that it would fill by index arithmetic. Content that
//! plain texts do not have (formats, embedded and nested types, subdocuments, new roots, which can never be
//! removed) is turned away before it is in the history. Nobody writes under the server's id. And what builds
//! on something the mirror lacks is cut off, because what yrs keeps for later would be integrated in the name of
//! whoever brings the missing part.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::boot::{ClientId, ROOT_PREFIX};
use crate::{
    limits::CLOCK_MAX,
    wire::{Reader, WireError, put_number},
};
use thiserror::Error;

/// What is wrong with the bytes of an editor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// They end in the middle, or hold a number or a text that cannot be.
    #[error("damaged bytes")]
    Damaged,
    /// Bytes follow the end.
    #[error("bytes after the end")]
    Trailing,
    /// A clock is not below [`CLOCK_MAX`], or a length is 0.
    #[error("a clock or a length out of range")]
    Clock,
    /// Something other than plain text is written.
    #[error("content of kind {kind}, where only plain text can be")]
    NotText {
        /// The kind, as Yjs numbers them.
        kind: u8,
    },
    /// Something other than a section is written to.
    #[error("a write to something that is no section")]
    NotASection,
    /// Something is written under the server's id.
    #[error("a write under the server's own id")]
    Forged,
}

impl From<WireError> for Malformed {
    fn from(_: WireError) -> Self {
        Self::Damaged
    }
}

/// What the mirror knows, for judging an update.
pub(super) trait Known {
    /// Items of `client` that are there: all below this clock.
    fn clock(&self, client: u64) -> u64;
    fn has_section(&self, id: &str) -> bool;
    fn own(&self) -> u64;
}

/// An update that may be applied.
#[derive(Debug, Default)]
pub(super) struct Screened {
    /// The update without what cannot be integrated yet.
    pub(super) update: Vec<u8>,
    /// Something was cut off.
    pub(super) cut: bool,
    /// Clients of whom it brings something new.
    pub(super) authors: Vec<ClientId>,
}

const KIND: u8 = 0b1_1111;
const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_PARENT_SUB: u8 = 0x20;

/// Yjs' kinds of structs that plain texts are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Removed and forgotten.
    Gone,
    /// A hole: what was here is not in this update.
    Skip,
    /// Removed text.
    Deleted,
    Text,
}

impl Kind {
    fn of(info: u8) -> Result<Self, Malformed> {
        match info & KIND {
            0 => Ok(Self::Gone),
            1 => Ok(Self::Deleted),
            4 => Ok(Self::Text),
            10 => Ok(Self::Skip),
            kind => Err(Malformed::NotText { kind }),
        }
    }
}

/// Checks `update` to its last byte.
pub(super) fn screen(update: &[u8], known: &impl Known) -> Result<Screened, Malformed> {
    let mut reader = Reader::new(update);
    let mut screened = Screened::default();
    let clients = reader.number()?;
    let mut lists = Vec::new();
    let mut kept = 0u64;
    for _ in 0..clients {
        if list(&mut reader, known, &mut screened, &mut lists)? {
            kept = kept.saturating_add(1);
        }
    }
    put_number(&mut screened.update, kept);
    screened.update.append(&mut lists);
    let start = reader.clone();
    delete_set(&mut reader)?;
    screened.update.extend_from_slice(reader.since(&start));
    if reader.is_empty() { Ok(screened) } else { Err(Malformed::Trailing) }
}

/// Reads the structs of one client and appends those that follow on what is known; `false` if none does.
fn list(
    reader: &mut Reader<'_>,
    known: &impl Known,
    screened: &mut Screened,
    out: &mut Vec<u8>,
) -> Result<bool, Malformed> {
    let (count, client, first) = (reader.number()?, reader.number()?, reader.number()?);
    let have = known.clock(client);
    let (mut clock, mut kept) = (first, 0u64);
    // A list that begins beyond what is known cannot be joined to it.
    let mut open = first <= have;
    let start = reader.clone();
    let mut end = start.clone();
    let mut new = false;
    for _ in 0..count {
        let (kind, len) = item(reader, known)?;
        clock = advance(clock, len)?;
        open &= kind != Kind::Skip;
        if open {
            kept = kept.saturating_add(1);
            end = reader.clone();
            new |= clock > have;
        } else {
            screened.cut = true;
        }
    }
    if client == known.own() && clock > have {
        return Err(Malformed::Forged);
    }
    if kept == 0 {
        return Ok(false);
    }
    if new {
        screened.authors.extend(ClientId::new(client));
    }
    put_number(out, kept);
    put_number(out, client);
    put_number(out, first);
    out.extend_from_slice(end.since(&start));
    Ok(true)
}

/// Reads one struct: its kind and its length in UTF-16 units.
fn item(reader: &mut Reader<'_>, known: &impl Known) -> Result<(Kind, u64), Malformed> {
    let info = reader.byte()?;
    let kind = Kind::of(info)?;
    if matches!(kind, Kind::Gone | Kind::Skip) {
        return Ok((kind, reader.number()?));
    }
    for flag in [HAS_ORIGIN, HAS_RIGHT_ORIGIN] {
        if info & flag != 0 {
            let (_client, clock) = (reader.number()?, reader.number()?);
            advance(clock, 1)?;
        }
    }
    if info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
        parent(reader, known)?;
        // A text has no entries.
        if info & HAS_PARENT_SUB != 0 {
            return Err(Malformed::NotASection);
        }
    }
    match kind {
        Kind::Text => Ok((kind, reader.text()?.encode_utf16().count() as u64)),
        Kind::Deleted | Kind::Gone | Kind::Skip => Ok((kind, reader.number()?)),
    }
}

fn parent(reader: &mut Reader<'_>, known: &impl Known) -> Result<(), Malformed> {
    // 0: an item, which would hold a nested type; there are none.
    if reader.number()? != 1 {
        return Err(Malformed::NotASection);
    }
    let id = reader.text()?.strip_prefix(ROOT_PREFIX);
    if id.is_some_and(|id| known.has_section(id)) { Ok(()) } else { Err(Malformed::NotASection) }
}

fn delete_set(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    for _ in 0..reader.number()? {
        let _client = reader.number()?;
        for _ in 0..reader.number()? {
            let (clock, len) = (reader.number()?, reader.number()?);
            advance(clock, len)?;
        }
    }
    Ok(())
}

/// The clock after `len` units.
fn advance(clock: u64, len: u64) -> Result<u64, Malformed> {
    let end = clock.checked_add(len).filter(|end| len > 0 && *end < CLOCK_MAX);
    end.ok_or(Malformed::Clock)
}

/// Checks the bytes of a state vector.
pub(crate) fn state_vector(bytes: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.number()? {
        let (_client, clock) = (reader.number()?, reader.number()?);
        if clock >= CLOCK_MAX {
            return Err(Malformed::Clock);
        }
    }
    if reader.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
}
