//! Texts that come piece by piece, each piece behind the one before whatever others do. Holds D21.
//!
//! A stream has a place that moves with the text. It stands right behind the stream's own words: what others
//! insert there comes after them, so two streams at one place never get between each other's words.
//!
//! A piece that would make the next heading a part of this section (an open fence does) waits in the stream for
//! what comes after it.

mod shelf;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ggml_agent_core::lease::Token;

pub use self::shelf::KeptStream;
pub(crate) use self::shelf::Streams;
use self::shelf::{Spot, Stream};
use super::revert::{RevertError, Reverted, Scope, of_stream};
use super::{Coordinator, EditError, Holder, Out, Step};
use crate::history::Cause;
use crate::limits::{STREAM_BYTES_MAX, STREAMS_MAX, STREAMS_PER_HOLDER_MAX};
use crate::record::Entry;
use crate::section::SectionId;
use crate::sheet::{Draft, Slot};
use crate::text::{Change, Side};

/// The number of a stream in its document; no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u64);

impl StreamId {
    /// The stream with this number.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// Where the text of a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPlace {
    /// Behind all words of the section, as a paragraph of its own.
    End,
    /// At a byte of the text that the section had at a version.
    At {
        /// Which byte.
        at: usize,
        /// Which version.
        base: u64,
    },
}

/// What becomes of the words of a stream whose holder ends, or whose document is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExit {
    /// They stay.
    #[default]
    Keep,
    /// They are taken out again, if the section may be written to then.
    Abort,
}

/// A wish to write piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOpen {
    /// Into which section.
    pub section: SectionId,
    /// Where.
    pub place: StreamPlace,
    /// The token of the section's lock, if it is locked; it is looked at with each piece.
    pub token: Option<Token>,
    /// What becomes of the words if the holder ends.
    pub on_exit: OnExit,
}

/// A piece was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// The number of the update that has it; `None` if it waits for the next piece.
    pub seq: Option<u64>,
    /// Bytes that wait.
    pub n_waiting: usize,
}

/// Why a piece was not taken, or a stream not opened or ended; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// What also an edit is refused for.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is none of this number, it has ended, or the document was restarted.
    #[error("there is no {stream}, or it has ended; open a new one")]
    Unknown {
        /// Which.
        stream: StreamId,
    },
    /// It is of somebody else.
    #[error("{stream} is of {holder}; open one of your own")]
    NotYours {
        /// Which.
        stream: StreamId,
        /// Whose it is.
        holder: Holder,
    },
    /// More would wait than [`STREAM_BYTES_MAX`].
    #[error(
        "{n_waiting} bytes would wait in the stream, at most {STREAM_BYTES_MAX} are allowed; \
         close the fence that is open, or wait for what was sent before"
    )]
    Full {
        /// Bytes that would wait.
        n_waiting: usize,
    },
    /// The document has [`STREAMS_MAX`] streams, or the holder [`STREAMS_PER_HOLDER_MAX`].
    #[error(
        "at most {STREAMS_MAX} streams of a document and {STREAMS_PER_HOLDER_MAX} of a holder are open; \
         end one first"
    )]
    TooMany,
    /// The updates of the stream could not be taken back.
    #[error(transparent)]
    Revert(#[from] RevertError),
}

impl StreamError {
    /// Whether the same command may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Edit(error) | Self::Revert(RevertError::Edit(error)) => error.is_retryable(),
            Self::TooMany | Self::Full { .. } => true,
            _ => false,
        }
    }
}

impl Coordinator {
    /// Opens a stream; nothing is written yet.
    ///
    /// # Errors
    /// In the answer: [`StreamError`].
    pub fn stream_open(
        &mut self,
        holder: &Holder,
        open: StreamOpen,
        now: Duration,
    ) -> Step<Result<StreamId, StreamError>> {
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(StreamError::from).and_then(|()| {
            let StreamOpen { section, place, token, on_exit } = open;
            let slot = self.may_write(holder, section, token, None, now)?;
            if !self.streams.has_room(holder) {
                return Err(StreamError::TooMany);
            }
            let spot = match place {
                StreamPlace::End => Spot::End,
                StreamPlace::At { at, base } => Spot::At(self.place_now(section, slot, at, base)?),
            };
            let kept = KeptStream { holder: holder.clone(), on_exit };
            let id = self.streams.open(kept.clone(), section, spot, token);
            self.note_entry(Entry::StreamOpened { stream: id, kept });
            Ok(id)
        });
        Step { answer, outs }
    }

    /// Where byte `at` of version `base` is now.
    fn place_now(
        &self,
        section: SectionId,
        slot: &Slot,
        at: usize,
        base: u64,
    ) -> Result<usize, EditError> {
        let current = slot.version;
        let text = self.history.text_at(section, base, (current, &slot.text));
        let text = text.ok_or(EditError::Outdated { section, base, current })?;
        if !text.is_char_boundary(at) {
            return Err(EditError::NoSuchPlace { section, at });
        }
        let edits = self.history.iter().filter_map(|update| update.edit(section));
        let later = edits.filter(|edit| edit.version > base);
        Ok(later.fold(at, |at, edit| edit.changes().map(at, Side::After)))
    }

    /// Writes the next piece, with the right that an edit needs now. Holds D21.
    ///
    /// # Errors
    /// In the answer: [`StreamError`]; the piece was not taken.
    pub fn stream_push(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        text: &str,
        now: Duration,
    ) -> Step<Result<Pushed, StreamError>> {
        let found = match self.streams.own(holder, stream) {
            Ok(found) => found,
            Err(error) => return Step { answer: Err(error), outs: Vec::new() },
        };
        let n_waiting = found.waiting.len() + text.len();
        if n_waiting > STREAM_BYTES_MAX {
            return Step { answer: Err(StreamError::Full { n_waiting }), outs: Vec::new() };
        }
        let text = [&found.waiting, text].concat();
        let step = self.stream_write(holder, stream, &text, now);
        let answer = match step.answer {
            Err(error) if waits(&error) => {
                self.streams.wait(stream, text);
                Ok(Pushed { seq: None, n_waiting })
            }
            answer => answer.map_err(StreamError::from),
        };
        Step { answer, outs: step.outs }
    }

    /// Writes all of `text`.
    fn stream_write(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        text: &str,
        now: Duration,
    ) -> Step<Result<Pushed, EditError>> {
        if text.is_empty() {
            return Step { answer: Ok(Pushed::default()), outs: Vec::new() };
        }
        let mut place = (0, 0);
        let found = self.streams.get(stream).cloned();
        let step = self.write(holder, now, |document| {
            // A holder whose life ended meanwhile has no streams.
            let found =
                found.ok_or_else(|| EditError::from(super::Gone { holder: holder.clone() }))?;
            let section = found.section;
            let slot = document.may_write(holder, section, found.token, None, now)?;
            let is_last = document.sheet.order.last() == Some(&section);
            let piece = piece(slot, &found, text, is_last);
            place = (piece.at, piece.before.len() + text.len());
            let insert = [&piece.before, text, &piece.behind].concat();
            let change = Change { at: piece.at, del: 0, insert };
            let draft = Draft::edit(section, [change]);
            Ok((section, Draft { cause: Cause::Stream { stream }, ..draft }))
        });
        let answer = step.answer.map(|accepted| {
            self.streams.wrote(stream, place.0, place.1);
            Pushed { seq: Some(accepted.seq), n_waiting: 0 }
        });
        Step { answer, outs: step.outs }
    }

    /// Whether a stream is open and of this holder.
    ///
    /// # Errors
    /// [`StreamError::Unknown`] and [`StreamError::NotYours`].
    pub fn stream_is_of(&self, holder: &Holder, stream: StreamId) -> Result<(), StreamError> {
        self.streams.own(holder, stream).map(drop)
    }

    /// Ends a stream whose text is complete. Holds D21.
    ///
    /// # Errors
    /// In the answer: [`StreamError`]; what waits could not be written, and the stream is still open.
    pub fn stream_commit(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        now: Duration,
    ) -> Step<Result<Pushed, StreamError>> {
        let text = match self.streams.own(holder, stream) {
            Ok(found) => found.waiting.clone(),
            Err(error) => return Step { answer: Err(error), outs: Vec::new() },
        };
        let step = self.stream_write(holder, stream, &text, now);
        if step.answer.is_ok() {
            self.stream_closed(stream);
        }
        Step { answer: step.answer.map_err(StreamError::from), outs: step.outs }
    }

    /// Ends a stream and takes its words out again; what others wrote between them stays. Holds D21.
    ///
    /// # Errors
    /// In the answer: [`StreamError`]; the words and the stream are still there.
    pub fn stream_abort(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        now: Duration,
    ) -> Step<Result<Reverted, StreamError>> {
        let found = match self.streams.own(holder, stream) {
            Ok(found) => found.clone(),
            Err(error) => return Step { answer: Err(error), outs: Vec::new() },
        };
        let mut outs = Vec::new();
        let answer = self.enter(holder, now, &mut outs).map_err(EditError::from);
        let answer = answer.map_err(StreamError::from).and_then(|()| {
            super::tell(self.locks.expire(now), &mut outs);
            let tokens = found.token.map(|token| (found.section, token)).into_iter().collect();
            self.take_words_back(stream, holder, &tokens, now)
        });
        if answer.is_ok() {
            self.stream_closed(stream);
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }

    fn take_words_back(
        &mut self,
        stream: StreamId,
        holder: &Holder,
        tokens: &BTreeMap<SectionId, Token>,
        now: Duration,
    ) -> Result<Reverted, StreamError> {
        let chosen = of_stream(&self.history, stream);
        if chosen.is_empty() {
            return Ok(Reverted { since: self.since(), ..Reverted::default() });
        }
        Ok(self.take_back_chosen(holder, tokens, now, &chosen, Scope::Whole)?)
    }

    fn stream_closed(&mut self, stream: StreamId) {
        if self.streams.close(stream) {
            self.note_entry(Entry::StreamClosed { stream });
        }
    }

    /// Ends the streams of lives that are over, before their locks are free.
    pub(super) fn end_streams(
        &mut self,
        is_over: impl Fn(&Holder) -> bool,
        now: Duration,
        outs: &mut Vec<Out>,
    ) {
        self.end_these_streams(self.streams.of_lives(is_over), now, outs);
    }

    /// Ends the streams of the document's life before this one, whose places nobody knows. Holds D21.
    pub fn end_left_streams(&mut self, now: Duration) -> Step<()> {
        let mut outs = Vec::new();
        self.end_these_streams(self.streams.left(), now, &mut outs);
        Step { answer: (), outs }
    }

    fn end_these_streams(
        &mut self,
        streams: Vec<(StreamId, KeptStream)>,
        now: Duration,
        outs: &mut Vec<Out>,
    ) {
        let before = self.sheet.seq;
        for (stream, kept) in streams {
            if kept.on_exit == OnExit::Abort {
                let leases = self.locks.leases().filter(|lease| lease.holder == kept.holder);
                let tokens = leases.map(|lease| (lease.section, lease.token)).collect();
                // Where somebody else holds the section by now, the words stay.
                drop(self.take_words_back(stream, &kept.holder, &tokens, now));
            }
            self.stream_closed(stream);
        }
        if self.sheet.seq > before {
            self.subscribers.pump(&self.history, self.sheet.seq, outs);
        }
    }
}

/// Whether a piece that was refused for this may be right with what follows it.
fn waits(error: &EditError) -> bool {
    matches!(
        error,
        EditError::SwallowsNext | EditError::JoinsPrevious | EditError::BecomesFrontMatter
    )
}

/// What is written beside a piece, so that it is a paragraph of its own.
#[derive(Debug, Default)]
struct Piece {
    at: usize,
    before: String,
    behind: String,
}

fn piece(slot: &Slot, stream: &Stream, text: &str, is_last: bool) -> Piece {
    let Spot::End = stream.spot else {
        return Piece { at: stream.place(), ..Piece::default() };
    };
    let old = slot.text.to_string();
    let eol = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let head = slot.shape.heading_len.min(old.len());
    let at = old.trim_end_matches(['\r', '\n']).len().max(head);
    let before = match (at > head, head > 0) {
        (true, _) => eol.repeat(2),
        (false, true) => eol.repeat(2 - usize::from(old[..head].ends_with(['\r', '\n']))),
        (false, false) => String::new(),
    };
    let n_there = old[at..].matches('\n').count() + usize::from(text.ends_with('\n'));
    let behind = if is_last { String::new() } else { eol.repeat(2usize.saturating_sub(n_there)) };
    Piece { at, before, behind }
}

#[cfg(test)]
mod tests;
