//! Commands as agents give them: by what stands in the text, never by its offsets.
//!
//! A [`Command`] says what is to become of one section. The coordinator finds out what that means for the text
//! *now*, and does it whole or not at all; a refusal ([`OpError`]) says what to do next and has what is needed
//! for it. Several commands make one update if they are a [batch](Coordinator::batch): each sees the text as those
//! before it leave it, and one that is refused refuses all.
//!
//! A command that has an [`OpId`] is carried out once: given again by the same agent, in whichever of its lives,
//! it changes nothing and has the same answer (D14).

mod error;
mod plan;
mod print;
mod seen;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::slice;
use std::time::Duration;

use ggml_agent_core::lease::Token;

pub use self::error::OpError;
use self::plan::Plan;
use self::print::content_of;
pub(crate) use self::seen::Seen;
use super::{Coordinator, Holder, OpId, Step, tell};
use crate::history::{OpMark, Update};
use crate::limits::{BATCH_BYTES_MAX, BATCH_LEN_MAX, EACH_LEN_MAX};
use crate::section::SectionId;
use crate::sheet::Draft;
use crate::text::{Anchor, Changes, Side};

/// Most places that a [`Done`] lists.
// 64 x 24 B; who wants more reads the update.
pub const APPLIED_MAX: usize = 64;

/// What is to be done with one section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The name that its author gives it, so that it is carried out once.
    pub op_id: Option<OpId>,
    /// Which section.
    pub section: SectionId,
    /// The token of its lock, if the author holds it.
    pub token: Option<Token>,
    /// The version of the section that the author has read.
    pub base: Option<u64>,
    /// What.
    pub op: Op,
}

impl Command {
    /// A command without a name, a token and a base.
    #[must_use]
    pub fn new(section: SectionId, op: Op) -> Self {
        Self { op_id: None, section, token: None, base: None, op }
    }

    /// The same with a name.
    #[must_use]
    pub fn named(self, op_id: OpId) -> Self {
        Self { op_id: Some(op_id), ..self }
    }

    /// The same by the holder of the section's lock.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The same by somebody who has read the section at this version.
    #[must_use]
    pub fn with_base(self, base: u64) -> Self {
        Self { base: Some(base), ..self }
    }
}

/// What a command does to the text of its section.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Replaces each occurrence of a text, word for word. Needs neither token nor base.
    StrReplace {
        /// What stands there now, exactly. Not empty.
        old: String,
        /// What is to stand there.
        new: String,
        /// How often it occurs, those occurrences counted that overlap.
        expect: usize,
    },
    /// Adds to the end. Needs neither token nor base.
    Append {
        /// What.
        text: String,
    },
    /// Adds somewhere. Needs neither token nor base.
    Insert {
        /// Where.
        anchor: Anchor,
        /// On which side of it.
        side: Side,
        /// What.
        text: String,
    },
    /// Replaces the whole text. Needs a token or a base.
    Replace {
        /// The new text, heading included.
        text: String,
        /// What to do if the section has changed since the base.
        on_stale: OnStale,
    },
    /// Changes places that were counted in the text at the base; for programs. Needs a token or a base.
    Splice {
        /// The places.
        changes: Changes,
        /// If the section has changed since the base: move them over what others did. Otherwise that is refused,
        /// except in sections that are [open](crate::Mode::Open).
        rebase: bool,
    },
}

impl Op {
    /// Bytes of its texts.
    fn len(&self) -> usize {
        match self {
            Self::StrReplace { old, new, .. } => old.len() + new.len(),
            Self::Append { text } | Self::Replace { text, .. } => text.len(),
            Self::Insert { anchor: Anchor::Quote { text: quote, .. }, text, .. } => {
                quote.len() + text.len()
            }
            Self::Insert { text, .. } => text.len(),
            Self::Splice { changes, .. } => changes.bytes().1 + size_of_val(changes.as_slice()),
        }
    }
}

/// What to do with a text that was made from an older version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum OnStale {
    /// Refuse it, with what has changed since.
    #[default]
    Refuse,
    /// Put both together; refuse it only if both changed the same place.
    Merge,
    /// Change nothing: hand it back as a [`Proposal`], which can be kept as a suggestion.
    Suggest,
}

/// Changes of a section that somebody would like to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Which section.
    pub section: SectionId,
    /// The version of the section that the changes are for.
    pub base: u64,
    /// The changes.
    pub changes: Changes,
}

/// A command was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The number of its update; if it changed nothing, of the newest one.
    pub seq: u64,
    /// Each section that it was about, with the version that it has since.
    pub sections: Vec<(SectionId, u64)>,
    /// The first [`APPLIED_MAX`] places that it changed.
    pub applied: Vec<Applied>,
    /// How many places it changed.
    pub n_applied: usize,
    /// Somebody had changed a section since the base that the command names.
    pub base_moved: bool,
    /// It had been carried out before: this is the answer of then.
    pub is_repeat: bool,
}

impl Done {
    /// Whether the text is as it was before: there is no update, and nobody is told.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.n_applied == 0
    }

    fn of(update: &Update) -> Self {
        let sections = update.edits.iter().map(|edit| (edit.section, edit.version)).collect();
        let places = update.edits.iter().flat_map(|edit| {
            let mut moved = 0_usize;
            edit.splices.iter().map(move |splice| {
                let start = (splice.at).wrapping_add(moved);
                let len = splice.inserted.len();
                moved = moved.wrapping_add(len).wrapping_sub(splice.removed.len());
                Applied { section: edit.section, range: start..start + len }
            })
        });
        Self {
            seq: update.seq,
            sections,
            applied: places.take(APPLIED_MAX).collect(),
            n_applied: update.edits.iter().map(|edit| edit.splices.len()).sum(),
            base_moved: update.mark.is_some_and(|mark| mark.base_moved),
            is_repeat: false,
        }
    }
}

/// One place that a command changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// In which section.
    pub section: SectionId,
    /// Where the new text stands, in bytes of the text after; empty if something was only deleted.
    pub range: Range<usize>,
}

impl Coordinator {
    /// Carries out one command. Holds D2, D6, D7, D9, D14.
    ///
    /// # Errors
    /// In the answer: [`OpError`]; nothing was changed.
    pub fn command(
        &mut self,
        holder: &Holder,
        command: &Command,
        now: Duration,
    ) -> Step<Result<Done, OpError>> {
        self.carry_out(holder, slice::from_ref(command), now, |_, error| error)
    }

    /// Carries out several commands at once, as one update, or none of them. Each sees the text as those before
    /// it leave it; its base is a version from before the batch. Such a batch is one command: its name is that of
    /// its first, and the others have the same or none. Holds D6, D14, D15.
    ///
    /// # Errors
    /// In the answer: [`OpError::InBatch`] says which one was refused and why; nothing was changed.
    pub fn batch(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        now: Duration,
    ) -> Step<Result<Done, OpError>> {
        self.carry_out(holder, commands, now, |index, error| OpError::InBatch {
            index,
            error: Box::new(error),
        })
    }

    /// Carries out several commands one after the other, at most [`EACH_LEN_MAX`], each with an answer of its own.
    pub fn commands(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        now: Duration,
    ) -> Step<Vec<Result<Done, OpError>>> {
        let mut outs = Vec::new();
        let within = check_len(commands, EACH_LEN_MAX);
        let each = commands.iter().map(|command| {
            within.clone()?;
            let step = self.command(holder, command, now);
            outs.extend(step.outs);
            step.answer
        });
        let answer = each.collect();
        Step { answer, outs }
    }

    /// What a command would change in the text as it is, whoever may change it; to be kept as a suggestion.
    ///
    /// # Errors
    /// [`OpError`]: why it means nothing for this text.
    pub fn propose(&self, command: &Command) -> Result<Proposal, OpError> {
        check_len(slice::from_ref(command), 1)?;
        let mut plan = Plan::new(self, None);
        match plan.add(command) {
            Ok(()) => Ok(plan.proposal(command.section)),
            Err(OpError::AsSuggestion(proposal)) => Ok(proposal),
            Err(error) => Err(error),
        }
    }

    /// The answer that a command of this name had, if it was carried out. `content` is what it says in short; one
    /// that says something else is refused.
    pub(crate) fn recall(
        &self,
        holder: &Holder,
        op: &OpId,
        content: u64,
    ) -> Result<Option<Done>, OpError> {
        let Some(seq) = self.seen.seq_of(holder.agent(), op) else { return Ok(None) };
        let Some(update) = self.history.get(seq) else { return Ok(None) };
        if update.mark.is_some_and(|mark| mark.content != content) {
            return Err(OpError::OpIdReused { op_id: op.clone(), seq });
        }
        Ok(Some(Done { is_repeat: true, ..Done::of(update) }))
    }

    fn carry_out(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        now: Duration,
        refused: impl Fn(usize, OpError) -> OpError,
    ) -> Step<Result<Done, OpError>> {
        let mut outs = Vec::new();
        let before = self.sheet.seq;
        let entered = self.enter(holder, now, &mut outs).map_err(OpError::from);
        let answer = entered.and_then(|()| {
            tell(self.locks.expire(now), &mut outs);
            check_len(commands, BATCH_LEN_MAX)?;
            let op = name_of(commands)?.cloned();
            let content = content_of(commands);
            if let Some(op) = &op
                && let Some(done) = self.recall(holder, op, content)?
            {
                return Ok(done);
            }
            let mut plan = Plan::new(self, Some((holder, now)));
            for (index, command) in commands.iter().enumerate() {
                plan.add(command).map_err(|error| refused(index, error))?;
            }
            let unchanged = plan.unchanged(self.sheet.seq);
            let base_moved = plan.base_moved();
            let edits = plan.edits();
            if edits.is_empty() {
                return Ok(unchanged);
            }
            let mark = op.is_some().then_some(OpMark { content, base_moved });
            let draft = Draft { op, mark, edits, ..Draft::default() };
            let update = self.sheet.draft(draft, holder, now)?;
            let done = Done { base_moved, ..Done::of(&update) };
            self.commit(update);
            Ok(done)
        });
        if self.sheet.seq > before {
            self.subscribers.pump(&self.history, self.sheet.seq, &mut outs);
        }
        Step { answer, outs }
    }
}

fn check_len(commands: &[Command], max: usize) -> Result<(), OpError> {
    let bytes: usize = commands.iter().map(|command| command.op.len()).sum();
    match commands.len() {
        0 => Err(OpError::NoCommand),
        n if n > max => Err(OpError::TooMany { n, max }),
        _ if bytes > BATCH_BYTES_MAX => Err(OpError::TooLarge { bytes }),
        _ => Ok(()),
    }
}

/// The one name of these commands.
fn name_of(commands: &[Command]) -> Result<Option<&OpId>, OpError> {
    let name = commands.first().and_then(|command| command.op_id.as_ref());
    let is_other = |command: &Command| command.op_id.is_some() && command.op_id.as_ref() != name;
    match commands.iter().position(is_other) {
        Some(index) => Err(OpError::SeveralNames { index }),
        None => Ok(name),
    }
}
