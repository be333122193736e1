//! What others see of a decision: answers, notes, events, and the text itself.

use std::sync::Arc;

use ggml_agent::{Bytes, Context, Envelope, MessageType, Reply};
use ggml_agent_core::lease::{Event, Grant, Stale, Token};

use super::book::Way;
use super::client::{DocNote, LockDenied};
use super::event::{DocEvent, DocEventKind};
use super::{DocMsg, DocumentAgent, Look, RETRY_AFTER, Waiting, wire};
use crate::coordinator::{
    Accepted, Delivery, Done, EditError, Holder, Note, OpError, Out, Snapshot, SubscribeError,
};
use crate::history::Update;
use crate::section::SectionId;

/// One thing that others see of a decision.
pub(super) enum Effect {
    Publish(Holder, DocEventKind),
    Look(Look),
    /// Readers find what this update made.
    Show(Arc<Update>),
    LockLost {
        to: Holder,
        section: SectionId,
        token: Token,
    },
    LockRevoking {
        to: Holder,
        section: SectionId,
        token: Token,
        at: std::time::Duration,
    },
    Deliver(Holder, Delivery),
    Lock {
        holder: Holder,
        answer: Waiting,
        result: Result<Vec<Grant<SectionId>>, LockDenied>,
    },
    Release(Reply<Result<(), Stale>>, Result<(), Stale>),
    Renew(Reply<Result<std::time::Duration, Stale>>, Result<std::time::Duration, Stale>),
    Edit(Reply<Result<Accepted, EditError>>, Result<Accepted, EditError>),
    Command(Reply<Result<Done, OpError>>, Result<Done, OpError>),
    Commands(Reply<Vec<Result<Done, OpError>>>, Vec<Result<Done, OpError>>),
    /// Readers find who holds this section.
    ShowHolder(SectionId, Option<Holder>),
    /// Sends the answer of what is asked seldom.
    Answer(Box<dyn FnOnce() + Send>),
    Subscribe(Reply<Result<Snapshot, SubscribeError>>, Result<Snapshot, SubscribeError>),
    Envelope {
        question: Envelope,
        kind: MessageType,
        payload: Bytes,
    },
}

impl Effect {
    pub(super) fn answer<T: Send + 'static>(reply: Reply<T>, answer: T) -> Self {
        Self::Answer(Box::new(move || reply.send(answer)))
    }
}

impl DocumentAgent {
    /// Lets an effect be seen, once everything that was decided before it is kept.
    pub(super) fn hold(&mut self, effect: Effect) {
        self.note_entries();
        self.gate.hold(effect);
    }

    pub(super) fn publish(&mut self, holder: &Holder, kind: DocEventKind) {
        self.hold(Effect::Publish(holder.clone(), kind));
    }

    /// Lets everybody see the updates up to `seq` that nobody has been told of.
    ///
    /// A command may write more than it was asked for: a new life of an agent ends the streams of the one
    /// before.
    pub(super) fn tell_until(&mut self, seq: u64) {
        while self.told < seq {
            self.told += 1;
            let Some(update) = self.coordinator.history().get(self.told).cloned() else { continue };
            let (author, seq) = (update.author.clone(), update.seq);
            if self.shown.is_some() || self.companion.is_some() {
                self.hold(Effect::Show(update.clone()));
            }
            for edit in &update.edits {
                let (section, version) = (edit.section, edit.version);
                self.publish(&author, DocEventKind::EditAccepted { section, seq, version });
            }
            if !update.outline.is_empty() {
                self.publish(&author, DocEventKind::OutlineChanged { seq });
            }
        }
    }

    /// Takes what the coordinator decided.
    pub(super) fn carry_out(&mut self, outs: Vec<Out>) {
        self.tell_until(self.coordinator.seq());
        for out in outs {
            match out {
                Out::Happened(event) => self.happened(event),
                Out::ToHolder { to, note } => self.note(to, note),
                Out::ToSubscriber { to, delivery } => self.hold(Effect::Deliver(to, delivery)),
            }
        }
    }

    fn happened(&mut self, event: Event<SectionId, Holder>) {
        match event {
            Event::Released { section, holder, token } => {
                self.publish(&holder, DocEventKind::Released { section, token });
            }
            Event::Expired { section, holder, token } => {
                self.publish(&holder, DocEventKind::Expired { section, token });
            }
            Event::Lost { section, holder, token } | Event::Revoked { section, holder, token } => {
                self.publish(&holder, DocEventKind::TakenBack { section, token });
            }
            Event::Revoking { section, holder, token, at } => {
                self.publish(&holder, DocEventKind::Revoking { section, token, at });
                self.hold(Effect::LockRevoking { to: holder, section, token, at });
            }
            // A grant is published when it is told; a waiter's end is told by its note.
            _ => {}
        }
    }

    fn note(&mut self, to: Holder, note: Note) {
        let result = match note {
            Note::LockGranted { grants } => Ok(grants),
            Note::WaitEnded { .. } => Err(LockDenied::WaitEnded),
            Note::LockLost { section, token } => {
                return self.hold(Effect::LockLost { to, section, token });
            }
        };
        if let Some(answer) = self.waiting.remove(&to) {
            self.hold(Effect::Lock { holder: to, answer, result });
        } else {
            // It preempted, and follows the lock table.
            for grant in result.iter().flatten() {
                self.publish(&to, DocEventKind::granted(grant));
            }
        }
    }

    /// Lets everything be seen that may be, in order; what that causes is seen after it.
    pub(super) fn flow(&mut self, ctx: &mut Context<Self>) {
        while let Some(effect) = self.gate.next() {
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Look(Look(look)) => look(&self.coordinator, Self::now(ctx)),
            Effect::Publish(holder, kind) => publish(ctx, &holder, kind),
            Effect::Show(update) => {
                // An update that was decided applies to the sheet that it was decided for.
                let shown = self.shown.as_mut().map(|shown| shown.apply(&update));
                debug_assert!(shown.is_none_or(|applied| applied.is_ok()), "in order, each once");
                let now = Self::now(ctx);
                if let Some(companion) = &mut self.companion {
                    companion.kept(update.seq, now);
                }
            }
            Effect::LockLost { to, section, token } => match self.book.way(&to) {
                // Full or gone: the fence refuses what the old holder does in its ignorance.
                Some(Way::Notes(notes)) => drop(notes.tell(DocNote::LockLost { section, token })),
                Some(Way::Envelopes) => wire::lock_lost(ctx, &to, section, token),
                Some(Way::None) | None => {}
            },
            Effect::LockRevoking { to, section, token, at } => {
                // Who hears nothing finds out when its lock is gone.
                if let Some(Way::Notes(notes)) = self.book.way(&to) {
                    drop(notes.tell(DocNote::LockRevoking { section, token, at }));
                }
            }
            Effect::Deliver(to, delivery) => self.deliver(&to, &delivery, ctx),
            Effect::Lock { holder, answer, result } => {
                self.answer_lock(&holder, answer, result, ctx);
            }
            Effect::Release(reply, answer) => reply.send(answer),
            Effect::Renew(reply, answer) => reply.send(answer),
            Effect::Edit(reply, answer) => reply.send(answer),
            Effect::Command(reply, answer) => reply.send(answer),
            Effect::Commands(reply, answers) => reply.send(answers),
            Effect::ShowHolder(section, holder) => match holder {
                Some(holder) => drop(self.shown_holders.insert(section, holder)),
                None => drop(self.shown_holders.remove(&section)),
            },
            Effect::Answer(send) => send(),
            Effect::Subscribe(reply, answer) => reply.send(answer),
            Effect::Envelope { question, kind, payload } => {
                // An asker that is gone is recorded by the system as a dead letter.
                drop(ctx.reply_to(&question, kind, payload));
            }
        }
    }

    /// Tells a requester how its request ended. A grant for somebody who no longer waits is given
    /// back at once: a lock that its holder does not know of helps nobody.
    fn answer_lock(
        &mut self,
        holder: &Holder,
        waiting: Waiting,
        result: Result<Vec<Grant<SectionId>>, LockDenied>,
        ctx: &Context<Self>,
    ) {
        if let Ok(grants) = &result {
            for grant in grants {
                publish(ctx, holder, DocEventKind::granted(grant));
            }
        }
        match waiting {
            Waiting::Envelope(request) => wire::answer_lock(ctx, &request, &result),
            Waiting::Reply(reply) if reply.is_abandoned() => {
                for grant in result.into_iter().flatten() {
                    self.release(holder, grant.section, grant.token, ctx).unwrap_or_default();
                }
            }
            Waiting::Reply(reply) => reply.send(result),
        }
    }

    /// Hands a subscriber the next version; one that does not take it is told later to read anew.
    fn deliver(&mut self, to: &Holder, delivery: &Delivery, ctx: &mut Context<Self>) {
        let seq = delivery.seq();
        if self.behind.contains_key(to) || !self.tell(to, delivery, ctx) {
            if self.behind.is_empty() {
                ctx.send_after(RETRY_AFTER, DocMsg::RetryNotes);
            }
            self.behind.insert(to.clone(), seq);
            return;
        }
        let step = self.coordinator.confirm(to, seq);
        self.carry_out(step.outs);
    }

    fn tell(&self, to: &Holder, delivery: &Delivery, ctx: &Context<Self>) -> bool {
        match self.book.way(to) {
            Some(Way::Notes(notes)) => {
                let note = match delivery {
                    Delivery::Update(update) => DocNote::Updated(update.clone()),
                    Delivery::Resync { seq } => DocNote::Resync { seq: *seq },
                };
                notes.tell(note).is_ok()
            }
            Some(Way::Envelopes) => wire::update(ctx, to, delivery),
            // It wants no notes, or is gone, and so is its subscription.
            Some(Way::None) | None => true,
        }
    }

    pub(super) fn retry_notes(&mut self, ctx: &mut Context<Self>) {
        // Later versions are on their way, behind the gate.
        let seq = self.sheet().seq;
        for (to, _) in std::mem::take(&mut self.behind) {
            if self.tell(&to, &Delivery::Resync { seq }, ctx) {
                let step = self.coordinator.confirm(&to, seq);
                self.carry_out(step.outs);
            } else {
                self.behind.insert(to, seq);
            }
        }
        if !self.behind.is_empty() {
            ctx.send_after(RETRY_AFTER, DocMsg::RetryNotes);
        }
    }
}

fn publish(ctx: &Context<DocumentAgent>, holder: &Holder, kind: DocEventKind) {
    let (document, holder) = (ctx.id().clone(), holder.clone());
    ctx.system().publish(DocEvent { document, holder, kind });
}
