//! Commands and questions, as the agent of a document takes them.

use ggml_agent::Context;

use super::DocumentAgent;
use super::event::DocEventKind;
use crate::coordinator::{Command, Done, Holder, OpError, Query, QueryError, Source, Step, View};

impl DocumentAgent {
    pub(super) fn command(
        &mut self,
        holder: &Holder,
        command: &Command,
        ctx: &Context<Self>,
    ) -> Result<Done, OpError> {
        let Step { answer, outs } = self.coordinator.command(holder, command, Self::now(ctx));
        self.publish_answer(holder, std::slice::from_ref(command), &answer);
        self.carry_out(outs);
        answer
    }

    pub(super) fn batch(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        ctx: &Context<Self>,
    ) -> Result<Done, OpError> {
        let Step { answer, outs } = self.coordinator.batch(holder, commands, Self::now(ctx));
        self.publish_answer(holder, commands, &answer);
        self.carry_out(outs);
        answer
    }

    pub(super) fn commands(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        ctx: &Context<Self>,
    ) -> Vec<Result<Done, OpError>> {
        let Step { answer, outs } = self.coordinator.commands(holder, commands, Self::now(ctx));
        for (command, answer) in commands.iter().zip(&answer) {
            self.publish_answer(holder, std::slice::from_ref(command), answer);
        }
        self.carry_out(outs);
        answer
    }

    /// Answers from what readers may see.
    pub(super) fn answer(&self, query: &Query, ctx: &Context<Self>) -> Result<View, QueryError> {
        if self.shown.is_none() {
            return self.coordinator.query(query, Self::now(ctx));
        }
        let holder = |section| self.shown_holders.get(&section).cloned();
        let history = self.coordinator.history();
        Source { sheet: self.sheet(), history, holder: &holder }.answer(query)
    }

    /// What was changed is an event, once; so is a refusal.
    fn publish_answer(
        &mut self,
        holder: &Holder,
        commands: &[Command],
        answer: &Result<Done, OpError>,
    ) {
        match answer {
            Ok(done) if done.is_repeat || done.is_unchanged() => {}
            Ok(done) => {
                for (section, version) in &done.sections {
                    let (section, seq, version) = (*section, done.seq, *version);
                    self.publish(holder, DocEventKind::EditAccepted { section, seq, version });
                }
            }
            Err(error) => {
                let index = if let OpError::InBatch { index, .. } = error { *index } else { 0 };
                let Some(command) = commands.get(index) else { return };
                let (section, error) = (command.section, Box::new(error.clone()));
                self.publish(holder, DocEventKind::CommandRefused { section, error });
            }
        }
    }
}
