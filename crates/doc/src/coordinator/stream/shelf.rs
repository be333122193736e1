//! The streams of a document that are open.

use std::collections::BTreeMap;

use ggml_agent_core::lease::Token;

use super::{OnExit, StreamError, StreamId};
use crate::coordinator::Holder;
use crate::history::Update;
use crate::limits::{STREAMS_MAX, STREAMS_PER_HOLDER_MAX};
use crate::section::SectionId;
use crate::sheet::OutlineChange;
use crate::text::{Change, Side};

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    open: BTreeMap<StreamId, Stream>,
    /// Of an earlier life of the document: only to be ended.
    left: BTreeMap<StreamId, KeptStream>,
    /// The number of the newest.
    last: u64,
}

/// What of a stream survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStream {
    /// Whose it is.
    pub(crate) holder: Holder,
    /// What becomes of its words.
    pub(crate) on_exit: OnExit,
}

/// Where the next piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Behind all words, wherever that is then.
    End,
    At(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Stream {
    kept: KeptStream,
    pub(super) section: SectionId,
    pub(super) token: Option<Token>,
    pub(super) spot: Spot,
    /// Bytes right before the place that the stream has written.
    tail: usize,
    /// What could not be written yet.
    pub(super) waiting: String,
}

impl Streams {
    pub(super) fn has_room(&self, holder: &Holder) -> bool {
        let own = self.open.values().filter(|stream| stream.kept.holder == *holder).count();
        self.open.len() < STREAMS_MAX && own < STREAMS_PER_HOLDER_MAX
    }

    pub(super) fn open(
        &mut self,
        kept: KeptStream,
        section: SectionId,
        spot: Spot,
        token: Option<Token>,
    ) -> StreamId {
        self.last += 1;
        let waiting = String::new();
        let stream = Stream { kept, section, token, spot, tail: 0, waiting };
        self.open.insert(StreamId(self.last), stream);
        StreamId(self.last)
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.open.get(&id)
    }

    /// The stream, if it is of this holder.
    pub(super) fn own(&self, holder: &Holder, id: StreamId) -> Result<&Stream, StreamError> {
        let stream = self.open.get(&id).ok_or(StreamError::Unknown { stream: id })?;
        if stream.kept.holder == *holder {
            Ok(stream)
        } else {
            Err(StreamError::NotYours { stream: id, holder: stream.kept.holder.clone() })
        }
    }

    /// A text could not be written yet.
    pub(super) fn wait(&mut self, id: StreamId, text: String) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.waiting = text;
        }
    }

    /// A stream has written `len` bytes at `at`, and nothing waits any more.
    pub(super) fn wrote(&mut self, id: StreamId, at: usize, len: usize) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.spot = Spot::At(at + len);
            stream.tail += len;
            stream.waiting.clear();
        }
    }

    pub(super) fn close(&mut self, id: StreamId) -> bool {
        self.open.remove(&id).is_some() | self.left.remove(&id).is_some()
    }

    /// The streams of lives that are over.
    pub(super) fn of_lives(
        &self,
        is_over: impl Fn(&Holder) -> bool,
    ) -> Vec<(StreamId, KeptStream)> {
        let open = self.open.iter().map(|(id, stream)| (*id, stream.kept.clone()));
        open.filter(|(_, kept)| is_over(&kept.holder)).collect()
    }

    /// Those of an earlier life of the document.
    pub(super) fn left(&self) -> Vec<(StreamId, KeptStream)> {
        self.left.iter().map(|(id, kept)| (*id, kept.clone())).collect()
    }

    /// All of them, by number.
    pub(crate) fn kept(&self) -> BTreeMap<StreamId, KeptStream> {
        let open = self.open.iter().map(|(id, stream)| (*id, stream.kept.clone()));
        open.chain(self.left.iter().map(|(id, kept)| (*id, kept.clone()))).collect()
    }

    /// The number of the newest.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Those of an earlier life of the document.
    pub(crate) fn restore(left: BTreeMap<StreamId, KeptStream>, last: u64) -> Self {
        Self { open: BTreeMap::new(), left, last }
    }

    /// Moves all places over an update.
    pub(crate) fn follow(&mut self, update: &Update) {
        if self.open.is_empty() {
            return;
        }
        let moves = update.moves();
        for stream in self.open.values_mut() {
            let Spot::At(at) = stream.spot else {
                stream.section = section_after(stream.section, update);
                continue;
            };
            // At the cut the place stays with what is before.
            let goes = moves.iter().find(|step| {
                step.from == stream.section && (step.range.start == 0 || at > step.range.start)
            });
            if let Some(step) = goes {
                stream.section = step.to;
                stream.spot = Spot::At(at - step.range.start + step.at);
                stream.tail = stream.tail.min(at - step.range.start);
            } else if let Some(edit) = update.edit(stream.section) {
                let changes = edit.changes();
                stream.tail = changes
                    .as_slice()
                    .iter()
                    .fold(stream.tail, |tail, change| tail_after(tail, at, change));
                let side = if stream.tail > 0 { Side::Before } else { Side::After };
                stream.spot = Spot::At(changes.map(at, side));
            }
        }
    }
}

/// Where the end of a section is after `update`.
fn section_after(section: SectionId, update: &Update) -> SectionId {
    let merged = update.outline.iter().find_map(|change| match change {
        OutlineChange::Merged { section: gone, into, .. } if *gone == section => Some(*into),
        _ => None,
    });
    merged.unwrap_or(section)
}

/// How much of the `tail` before `at` is still in one piece after `change`.
fn tail_after(tail: usize, at: usize, change: &Change) -> usize {
    let is_inside = change.at < at && change.end() > at - tail;
    if is_inside { at.saturating_sub(change.end()).min(tail) } else { tail }
}

impl Stream {
    /// Where the next piece goes, unless that is the end.
    pub(super) fn place(&self) -> usize {
        match self.spot {
            Spot::At(at) => at,
            Spot::End => 0,
        }
    }
}
