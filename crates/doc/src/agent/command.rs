//! Commands and questions, as the agent of a document takes them.

use ggml_agent::{Context, Reply};

use super::effect::Effect;
use super::event::DocEventKind;
use super::{DocMsg, DocumentAgent};
use crate::coordinator::{
    Command, Done, EditError, Holder, OpError, Query, QueryError, Source, Step, View,
};

/// See the calls of [`DocumentRef`](super::DocumentRef).
#[derive(Debug)]
pub enum CommandMsg {
    #[doc(hidden)]
    One { holder: Holder, command: Command, reply: Reply<Result<Done, OpError>> },
    #[doc(hidden)]
    Batch { holder: Holder, commands: Vec<Command>, reply: Reply<Result<Done, OpError>> },
    #[doc(hidden)]
    Each { holder: Holder, commands: Vec<Command>, reply: Reply<Vec<Result<Done, OpError>>> },
    #[doc(hidden)]
    Query { query: Query, reply: Reply<Result<View, QueryError>> },
}

impl From<CommandMsg> for DocMsg {
    fn from(message: CommandMsg) -> Self {
        Self::Command(message)
    }
}

impl CommandMsg {
    /// Answers at once what nothing can be decided about now. Questions are answered from what is kept.
    pub(super) fn turn_away(self) -> Option<Self> {
        let unsaved = || OpError::from(EditError::Unsaved);
        match self {
            Self::One { reply, .. } | Self::Batch { reply, .. } => reply.send(Err(unsaved())),
            Self::Each { commands, reply, .. } => {
                reply.send(commands.iter().map(|_| Err(unsaved())).collect());
            }
            question @ Self::Query { .. } => return Some(question),
        }
        None
    }
}

impl DocumentAgent {
    pub(super) fn obey_command(&mut self, message: CommandMsg, ctx: &Context<Self>) {
        match message {
            CommandMsg::One { holder, command, reply } => {
                let answer = self.command(&holder, &command, ctx);
                self.hold(Effect::Command(reply, answer));
            }
            CommandMsg::Batch { holder, commands, reply } => {
                let answer = self.batch(&holder, &commands, ctx);
                self.hold(Effect::Command(reply, answer));
            }
            CommandMsg::Each { holder, commands, reply } => {
                let answers = self.commands(&holder, &commands, ctx);
                self.hold(Effect::Commands(reply, answers));
            }
            CommandMsg::Query { query, reply } => reply.send(self.answer(&query, ctx)),
        }
    }

    fn command(
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

    fn batch(
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

    fn commands(
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
    fn answer(&self, query: &Query, ctx: &Context<Self>) -> Result<View, QueryError> {
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
        let error = match answer {
            Ok(done) => return self.tell_until(done.seq),
            Err(error) => error,
        };
        let index = if let OpError::InBatch { index, .. } = error { *index } else { 0 };
        let Some(command) = commands.get(index) else { return };
        let (section, error) = (command.section, Box::new(error.clone()));
        self.publish(holder, DocEventKind::CommandRefused { section, error });
    }
}
