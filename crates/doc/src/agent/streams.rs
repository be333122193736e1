//! Pieces of streams that came within the same 50 ms are one update.
//!
//! A model brings some 50 pieces a second; 20 of them with 1,000 readers would be a million notes a second, and
//! are 20,000 as one update per tick of each.

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent::Context;

use super::{DocMsg, DocumentAgent};
use crate::coordinator::{Holder, Pushed, Reverted, Step, StreamError, StreamId};
use crate::limits::STREAM_BYTES_MAX;

/// How long a piece waits for others.
pub(super) const COALESCE: Duration = Duration::from_millis(50);

/// Pieces that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    of: BTreeMap<StreamId, Waiting>,
    is_armed: bool,
}

#[derive(Debug)]
struct Waiting {
    holder: Holder,
    text: String,
    /// The last try was refused.
    is_refused: bool,
}

impl DocumentAgent {
    pub(super) fn stream_push(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        text: &str,
        ctx: &mut Context<Self>,
    ) -> Result<(), StreamError> {
        self.coordinator.stream_is_of(holder, stream)?;
        let waiting = self.pieces.of.get(&stream);
        let is_next_try = waiting.is_some_and(|waiting| {
            waiting.is_refused || waiting.text.len() + text.len() > STREAM_BYTES_MAX
        });
        if is_next_try {
            self.write_pieces(stream, ctx)?;
        }
        if text.len() > STREAM_BYTES_MAX {
            return Err(StreamError::Full { n_waiting: text.len() });
        }
        let new = || Waiting { holder: holder.clone(), text: String::new(), is_refused: false };
        self.pieces.of.entry(stream).or_insert_with(new).text.push_str(text);
        self.arm_pieces(ctx);
        Ok(())
    }

    pub(super) fn stream_commit(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        ctx: &mut Context<Self>,
    ) -> Result<Pushed, StreamError> {
        self.coordinator.stream_is_of(holder, stream)?;
        let written = self.write_pieces(stream, ctx)?;
        let step = self.coordinator.stream_commit(holder, stream, Self::now(ctx));
        self.carry_out(step.outs);
        Ok(Pushed { seq: step.answer?.seq.or(written.seq), n_waiting: 0 })
    }

    pub(super) fn stream_abort(
        &mut self,
        holder: &Holder,
        stream: StreamId,
        ctx: &mut Context<Self>,
    ) -> Result<Reverted, StreamError> {
        let step = self.coordinator.stream_abort(holder, stream, Self::now(ctx));
        self.carry_out(step.outs);
        if step.answer.is_ok() {
            self.pieces.of.remove(&stream);
        }
        step.answer
    }

    /// Writes what waits of every stream; when the store has not kept up, later.
    pub(super) fn write_all_pieces(&mut self, ctx: &mut Context<Self>) {
        self.pieces.is_armed = false;
        if self.is_full() {
            self.arm_pieces(ctx);
            return;
        }
        let waits = |(stream, waiting): (&StreamId, &Waiting)| {
            (!waiting.text.is_empty() && !waiting.is_refused).then_some(*stream)
        };
        let streams: Vec<StreamId> = self.pieces.of.iter().filter_map(waits).collect();
        for stream in streams {
            // Who pushes next, or commits, is told.
            drop(self.write_pieces(stream, ctx));
        }
    }

    /// Writes what waits of the streams of a holder that has ended.
    pub(super) fn write_last_pieces(&mut self, holder: &Holder, ctx: &Context<Self>) {
        let own = self.pieces.of.iter().filter(|(_, waiting)| waiting.holder == *holder);
        let streams: Vec<StreamId> = own.map(|(stream, _)| *stream).collect();
        for stream in streams {
            drop(self.write_pieces(stream, ctx));
            self.pieces.of.remove(&stream);
        }
    }

    fn write_pieces(
        &mut self,
        stream: StreamId,
        ctx: &Context<Self>,
    ) -> Result<Pushed, StreamError> {
        let Some(Waiting { holder, text, .. }) = self.pieces.of.remove(&stream) else {
            return Ok(Pushed::default());
        };
        let now = Self::now(ctx);
        let Step { answer, outs } = self.coordinator.stream_push(&holder, stream, &text, now);
        self.carry_out(outs);
        match &answer {
            Ok(_) | Err(StreamError::Unknown { .. }) => {}
            Err(_) => {
                self.pieces.of.insert(stream, Waiting { holder, text, is_refused: true });
            }
        }
        answer
    }

    fn arm_pieces(&mut self, ctx: &mut Context<Self>) {
        if !self.pieces.is_armed {
            self.pieces.is_armed = true;
            ctx.send_after(COALESCE, DocMsg::WritePieces);
        }
    }
}
