//! The bytes of what is kept beside the texts: who wrote what, what is suggested, which streams are open.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Record, RecordError, WireHolder, agent_id, damaged, section_id};
use crate::coordinator::{
    Answer, Blame, Holder, KeptStream, Made, OnExit, OpId, StaleReason, StreamId, Suggestion,
    SuggestionId, Suggestions,
};
use crate::limits::{STREAMS_MAX, SUGGESTIONS_ANSWERED_MAX, SUGGESTIONS_MAX};
use crate::sheet::Sheet;
use crate::text::{Change, Changes};

#[derive(Serialize, Deserialize)]
pub(super) struct WireBlame<'a> {
    authors: Vec<WireHolder<'a>>,
    /// Of each section the runs: length, number of the update, number of the author (0 for nobody).
    sections: Vec<Vec<(usize, u64, u32)>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireSuggestions<'a> {
    waiting: Vec<WireSuggestion<'a>>,
    /// Author, name of the command, number.
    answered: Vec<(Cow<'a, str>, Cow<'a, str>, u64)>,
    last: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireSuggestion<'a> {
    id: u64,
    author: WireHolder<'a>,
    at: Duration,
    section: u32,
    /// Where, how many bytes go, what comes.
    changes: Vec<(usize, usize, Cow<'a, str>)>,
    note: Cow<'a, str>,
    op: Option<Cow<'a, str>>,
    stale: Option<WireStale>,
}

#[derive(Serialize, Deserialize)]
enum WireStale {
    Changed(u64),
    Archived(u64),
}

#[derive(Serialize, Deserialize)]
pub(super) enum WireAnswer {
    Accepted,
    Rejected,
    Withdrawn,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireStreams<'a> {
    open: Vec<WireStream<'a>>,
    last: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireStream<'a> {
    id: u64,
    holder: WireHolder<'a>,
    on_exit: WireOnExit,
}

#[derive(Serialize, Deserialize)]
enum WireOnExit {
    Keep,
    Abort,
}

impl<'a> From<&'a Blame> for WireBlame<'a> {
    fn from(blame: &'a Blame) -> Self {
        Self {
            authors: blame.authors().iter().map(WireHolder::from).collect(),
            sections: blame.numbered().collect(),
        }
    }
}

impl WireBlame<'_> {
    pub(super) fn blame(self, sheet: &Sheet) -> Result<Blame, RecordError> {
        let authors: Vec<Holder> =
            self.authors.into_iter().map(WireHolder::holder).collect::<Result<_, _>>()?;
        Blame::restore(authors, self.sections, sheet)
            .ok_or_else(|| damaged("the authors are not those of the text".into()))
    }
}

impl<'a> From<&'a Suggestions> for WireSuggestions<'a> {
    fn from(suggestions: &'a Suggestions) -> Self {
        let made = |made: &'a Made| {
            (made.author.as_str().into(), made.op.as_str().into(), made.id.as_u64())
        };
        Self {
            waiting: suggestions.iter().map(WireSuggestion::from).collect(),
            answered: suggestions.answered().map(made).collect(),
            last: suggestions.last(),
        }
    }
}

impl WireSuggestions<'_> {
    pub(super) fn suggestions(self, sheet: &Sheet) -> Result<Suggestions, RecordError> {
        if self.waiting.len() > SUGGESTIONS_MAX || self.answered.len() > SUGGESTIONS_ANSWERED_MAX {
            return Err(damaged("it has more suggestions than a document can have".into()));
        }
        let mut suggestions = Suggestions::default();
        for wire in self.waiting {
            let suggestion = wire.suggestion()?;
            let fits = sheet.slot(suggestion.section).is_some_and(|slot| {
                let mut changes = suggestion.changes.as_slice().iter();
                let fits = |change: &Change| slot.text.holds(&(change.at..change.end()));
                suggestion.stale.is_some() || changes.all(fits)
            });
            if !fits || !suggestions.add(suggestion) {
                return Err(damaged("a suggestion is for another text, or there twice".into()));
            }
        }
        for (author, op, id) in self.answered {
            let (author, op) = (agent_id(&author)?, op_id(&op)?);
            suggestions.remember(Made { author, op, id: SuggestionId::from_u64(id) });
        }
        if self.last < suggestions.last() {
            return Err(damaged("a suggestion is newer than the newest".into()));
        }
        suggestions.set_last(self.last);
        Ok(suggestions)
    }
}

impl<'a> From<&'a Suggestion> for WireSuggestion<'a> {
    fn from(suggestion: &'a Suggestion) -> Self {
        let change = |change: &'a Change| (change.at, change.del, (&*change.insert).into());
        Self {
            id: suggestion.id.as_u64(),
            author: (&suggestion.author).into(),
            at: suggestion.at,
            section: suggestion.section.number(),
            changes: suggestion.changes.into_iter().map(change).collect(),
            note: (&*suggestion.note).into(),
            op: suggestion.op.as_ref().map(|op| op.as_str().into()),
            stale: suggestion.stale.map(|stale| match stale {
                StaleReason::Changed { seq } => WireStale::Changed(seq),
                StaleReason::Archived { seq } => WireStale::Archived(seq),
            }),
        }
    }
}

impl WireSuggestion<'_> {
    pub(super) fn suggestion(self) -> Result<Suggestion, RecordError> {
        let change = |(at, del, insert): (usize, usize, Cow<'_, str>)| Change {
            at,
            del,
            insert: insert.into_owned(),
        };
        let changes: Vec<Change> = self.changes.into_iter().map(change).collect();
        Ok(Suggestion {
            id: SuggestionId::from_u64(self.id),
            author: self.author.holder()?,
            at: self.at,
            section: section_id(self.section)?,
            changes: Changes::try_from(changes).map_err(|error| damaged(error.to_string()))?,
            note: self.note.into_owned(),
            op: self.op.map(|op| op_id(&op)).transpose()?,
            stale: self.stale.map(|stale| match stale {
                WireStale::Changed(seq) => StaleReason::Changed { seq },
                WireStale::Archived(seq) => StaleReason::Archived { seq },
            }),
        })
    }
}

impl From<Answer> for WireAnswer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Accepted => Self::Accepted,
            Answer::Rejected => Self::Rejected,
            Answer::Withdrawn => Self::Withdrawn,
        }
    }
}

impl From<WireAnswer> for Answer {
    fn from(answer: WireAnswer) -> Self {
        match answer {
            WireAnswer::Accepted => Self::Accepted,
            WireAnswer::Rejected => Self::Rejected,
            WireAnswer::Withdrawn => Self::Withdrawn,
        }
    }
}

impl<'a> WireStreams<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let open = record.streams.iter().map(|(id, kept)| WireStream::of(*id, kept));
        Self { open: open.collect(), last: record.last_stream }
    }

    pub(super) fn streams(self) -> Result<(BTreeMap<StreamId, KeptStream>, u64), RecordError> {
        if self.open.len() > STREAMS_MAX {
            return Err(damaged("it has more streams than a document can have".into()));
        }
        let mut streams = BTreeMap::new();
        for wire in self.open {
            let (id, kept) = wire.stream()?;
            if id.as_u64() > self.last || streams.insert(id, kept).is_some() {
                return Err(damaged(format!("{id} is there twice, or newer than the newest")));
            }
        }
        Ok((streams, self.last))
    }
}

impl<'a> WireStream<'a> {
    pub(super) fn of(id: StreamId, kept: &'a KeptStream) -> Self {
        let on_exit = match kept.on_exit {
            OnExit::Keep => WireOnExit::Keep,
            OnExit::Abort => WireOnExit::Abort,
        };
        Self { id: id.as_u64(), holder: (&kept.holder).into(), on_exit }
    }

    pub(super) fn stream(self) -> Result<(StreamId, KeptStream), RecordError> {
        let on_exit = match self.on_exit {
            WireOnExit::Keep => OnExit::Keep,
            WireOnExit::Abort => OnExit::Abort,
        };
        Ok((StreamId::from_u64(self.id), KeptStream { holder: self.holder.holder()?, on_exit }))
    }
}

fn op_id(op: &str) -> Result<OpId, RecordError> {
    op.parse().map_err(|error| damaged(format!("{error}")))
}
