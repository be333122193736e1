//! The coordinator as an agent: who asks is watched, and whoever dies gives his locks back.
//!
//! Everything is decided by the pure [`Coordinator`]; here are mailboxes, timers and events.

mod client;
mod event;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use ggml_agent::{Agent, AnyAddr, Context, Envelope, Lane, MessageType, Reply, Report, Timer};
use ggml_agent_core::ExitReason;
use ggml_agent_core::lease::{Event, Grant, Outcome, Stale, Token};

pub use self::client::{CallError, Client, DocNote, DocumentRef, LockDenied};
pub use self::event::{DocEvent, DocEventKind};
use crate::coordinator::{
    Accepted, Coordinator, Delivery, Edit, EditError, Holder, Lock, Note, Out, SectionView,
    Snapshot, SubscribeError,
};
use crate::section::{Document, SectionId};

/// How soon a subscriber whose mailbox was full is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a document agent is sent; use [`DocumentRef`] instead of these.
#[derive(Debug)]
#[non_exhaustive]
pub enum DocMsg {
    #[doc(hidden)]
    Lock { client: Client, lock: Lock, reply: Reply<Result<Vec<Grant<SectionId>>, LockDenied>> },
    #[doc(hidden)]
    Release { client: Client, section: SectionId, token: Token, reply: Reply<Result<(), Stale>> },
    #[doc(hidden)]
    Renew {
        client: Client,
        section: SectionId,
        token: Token,
        lease: Duration,
        reply: Reply<Result<Duration, Stale>>,
    },
    #[doc(hidden)]
    Edit { holder: Holder, edit: Edit, reply: Reply<Result<Accepted, EditError>> },
    #[doc(hidden)]
    Subscribe { client: Client, reply: Reply<Result<Snapshot, SubscribeError>> },
    #[doc(hidden)]
    Unsubscribe { holder: Holder },
    #[doc(hidden)]
    Read { section: SectionId, reply: Reply<Option<SectionView>> },
    #[doc(hidden)]
    Snapshot { reply: Reply<Snapshot> },
    #[doc(hidden)]
    HolderGone(Holder),
    #[doc(hidden)]
    Due,
    #[doc(hidden)]
    RetryNotes,
    #[doc(hidden)]
    Envelope(Envelope),
}

/// The agent of one document.
///
/// Messages are delivered at most once; an edit that was acknowledged is in the document (D7).
pub struct DocumentAgent {
    coordinator: Coordinator,
    clients: BTreeMap<Holder, Peer>,
    /// Requests in a lock's queue, answered when their turn comes.
    waiting: BTreeMap<Holder, Waiting>,
    /// Subscribers whose mailbox was full, and up to where they must read anew.
    behind: BTreeMap<Holder, u64>,
    due: Option<(Duration, Timer)>,
}

/// How a holder is reached.
enum Peer {
    Typed(Client),
    /// It came by envelope, and is answered by envelopes.
    Untyped,
}

enum Waiting {
    Reply(Reply<Result<Vec<Grant<SectionId>>, LockDenied>>),
    Envelope(Envelope),
}

impl DocumentAgent {
    /// An agent for `document`.
    #[must_use]
    pub fn new(document: &Document) -> Self {
        Self {
            coordinator: Coordinator::new(document),
            clients: BTreeMap::new(),
            waiting: BTreeMap::new(),
            behind: BTreeMap::new(),
            due: None,
        }
    }

    fn now(ctx: &Context<Self>) -> Duration {
        ctx.system().clock().now()
    }

    /// Watches the incarnation behind `client`: its locks end with it (D3, M13).
    fn meet(&mut self, client: &Client, ctx: &mut Context<Self>) {
        match self.clients.get(&client.holder) {
            Some(Peer::Typed(known)) if known.notes.is_some() || client.notes.is_none() => return,
            Some(_) => {
                self.clients.insert(client.holder.clone(), Peer::Typed(client.clone()));
                return;
            }
            None => {}
        }
        self.clients.insert(client.holder.clone(), Peer::Typed(client.clone()));
        self.watch(&client.holder, &client.addr, ctx);
    }

    fn watch(&mut self, holder: &Holder, addr: &AnyAddr, ctx: &mut Context<Self>) {
        let (me, watched) = (ctx.addr(), holder.clone());
        let hooked = addr.on_exit(move |_, _, _| {
            // A document agent that is gone has no locks to give back.
            drop(me.tell_on(Lane::Priority, DocMsg::HolderGone(watched)));
        });
        if !hooked || addr.incarnation() != holder.incarnation() {
            self.holder_gone(holder, ctx);
        }
    }

    fn holder_gone(&mut self, holder: &Holder, ctx: &mut Context<Self>) {
        self.clients.remove(holder);
        self.waiting.remove(holder);
        self.behind.remove(holder);
        let step = self.coordinator.drop_holder(holder, Self::now(ctx));
        self.carry_out(step.outs, ctx);
    }

    fn lock(&mut self, holder: &Holder, lock: Lock, answer: Waiting, ctx: &mut Context<Self>) {
        let sections: Vec<SectionId> = lock.sections.iter().copied().collect();
        let step = self.coordinator.lock(holder, lock, Self::now(ctx));
        self.carry_out(step.outs, ctx);
        let result = match step.answer {
            Ok(Outcome::Granted(grants)) => Ok(grants),
            Ok(Outcome::Queued { position }) => {
                for section in sections {
                    let kind = DocEventKind::Queued { section, position };
                    publish(ctx, holder, kind);
                }
                self.waiting.insert(holder.clone(), answer);
                return;
            }
            Ok(Outcome::Denied { section, busy }) => {
                let (by, until) = event::parts(&busy);
                publish(ctx, holder, DocEventKind::Denied { section, by: by.clone(), until });
                Err(LockDenied::Busy { section, holder: by, until })
            }
            Err(error) => Err(LockDenied::Refused(error)),
        };
        self.answer_lock(holder, answer, result, ctx);
    }

    /// Tells a requester how its request ended. A grant for somebody who no longer waits is given
    /// back at once: a lock that its holder does not know of helps nobody.
    fn answer_lock(
        &mut self,
        holder: &Holder,
        waiting: Waiting,
        result: Result<Vec<Grant<SectionId>>, LockDenied>,
        ctx: &mut Context<Self>,
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

    fn release(
        &mut self,
        holder: &Holder,
        section: SectionId,
        token: Token,
        ctx: &mut Context<Self>,
    ) -> Result<(), Stale> {
        let step = self.coordinator.release(holder, section, token, Self::now(ctx));
        self.carry_out(step.outs, ctx);
        step.answer
    }

    fn edit(
        &mut self,
        holder: &Holder,
        edit: Edit,
        ctx: &mut Context<Self>,
    ) -> Result<Accepted, EditError> {
        let section = edit.section;
        let step = self.coordinator.edit(holder, edit, Self::now(ctx));
        let kind = match &step.answer {
            Ok(Accepted { seq, version, .. }) => {
                DocEventKind::EditAccepted { section, seq: *seq, version: *version }
            }
            Err(error) => DocEventKind::EditRefused { section, error: error.clone() },
        };
        publish(ctx, holder, kind);
        self.carry_out(step.outs, ctx);
        step.answer
    }

    /// Does what the coordinator decided.
    fn carry_out(&mut self, outs: Vec<Out>, ctx: &mut Context<Self>) {
        for out in outs {
            match out {
                Out::Happened(event) => self.happened(event, ctx),
                Out::ToHolder { to, note } => self.note(&to, note, ctx),
                Out::ToSubscriber { to, delivery } => self.deliver(&to, &delivery, ctx),
            }
        }
    }

    fn happened(&mut self, event: Event<SectionId, Holder>, ctx: &mut Context<Self>) {
        match event {
            Event::Released { section, holder, token } => {
                publish(ctx, &holder, DocEventKind::Released { section, token });
            }
            Event::Expired { section, holder, token } => {
                publish(ctx, &holder, DocEventKind::Expired { section, token });
            }
            Event::Lost { section, holder, token } => {
                publish(ctx, &holder, DocEventKind::TakenBack { section, token });
            }
            // A grant is published when it is told; a waiter's end is told by its note.
            _ => {}
        }
    }

    fn note(&mut self, to: &Holder, note: Note, ctx: &mut Context<Self>) {
        match note {
            Note::LockGranted { grants } => {
                if let Some(waiting) = self.waiting.remove(to) {
                    self.answer_lock(to, waiting, Ok(grants), ctx);
                }
            }
            Note::WaitEnded { .. } => {
                if let Some(waiting) = self.waiting.remove(to) {
                    self.answer_lock(to, waiting, Err(LockDenied::WaitEnded), ctx);
                }
            }
            Note::LockLost { section, token } => match self.clients.get(to) {
                Some(Peer::Typed(Client { notes: Some(notes), .. })) => {
                    // Full or gone: the fence refuses what the old holder does in its ignorance.
                    drop(notes.tell(DocNote::LockLost { section, token }));
                }
                Some(Peer::Untyped) => wire::lock_lost(ctx, to, section, token),
                _ => {}
            },
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
        self.carry_out(step.outs, ctx);
    }

    fn tell(&self, to: &Holder, delivery: &Delivery, ctx: &Context<Self>) -> bool {
        match self.clients.get(to) {
            Some(Peer::Typed(Client { notes: Some(notes), .. })) => {
                let note = match delivery {
                    Delivery::Update(update) => DocNote::Updated(update.clone()),
                    Delivery::Resync { seq } => DocNote::Resync { seq: *seq },
                };
                notes.tell(note).is_ok()
            }
            Some(Peer::Typed(_)) => true,
            Some(Peer::Untyped) => wire::update(ctx, to, delivery),
            None => true, // it is gone, and so is its subscription
        }
    }

    fn retry_notes(&mut self, ctx: &mut Context<Self>) {
        let seq = self.coordinator.seq();
        for (to, _) in std::mem::take(&mut self.behind) {
            if self.tell(&to, &Delivery::Resync { seq }, ctx) {
                let step = self.coordinator.confirm(&to, seq);
                self.carry_out(step.outs, ctx);
            } else {
                self.behind.insert(to, seq);
            }
        }
        if !self.behind.is_empty() {
            ctx.send_after(RETRY_AFTER, DocMsg::RetryNotes);
        }
    }

    /// Sets the timer to the next lease or wait that ends.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let next = self.coordinator.next_deadline();
        if self.due.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, timer)) = self.due.take() {
            timer.cancel();
        }
        if let Some(at) = next {
            let timer = ctx.send_after(at.saturating_sub(Self::now(ctx)), DocMsg::Due);
            self.due = Some((at, timer));
        }
    }

    fn obey(&mut self, message: DocMsg, ctx: &mut Context<Self>) {
        match message {
            DocMsg::Lock { client, lock, reply } => {
                self.meet(&client, ctx);
                self.lock(&client.holder, lock, Waiting::Reply(reply), ctx);
            }
            DocMsg::Release { client, section, token, reply } => {
                reply.send(self.release(&client.holder, section, token, ctx));
            }
            DocMsg::Renew { client, section, token, lease, reply } => {
                let now = Self::now(ctx);
                let step = self.coordinator.renew(&client.holder, section, token, lease, now);
                self.carry_out(step.outs, ctx);
                reply.send(step.answer);
            }
            DocMsg::Edit { holder, edit, reply } => reply.send(self.edit(&holder, edit, ctx)),
            DocMsg::Subscribe { client, reply } => {
                self.meet(&client, ctx);
                let step = self.coordinator.subscribe(&client.holder, Self::now(ctx));
                self.carry_out(step.outs, ctx);
                reply.send(step.answer);
            }
            DocMsg::Unsubscribe { holder } => {
                self.coordinator.unsubscribe(&holder);
                self.behind.remove(&holder);
            }
            DocMsg::Read { section, reply } => reply.send(self.coordinator.read(section)),
            DocMsg::Snapshot { reply } => reply.send(self.coordinator.snapshot()),
            DocMsg::HolderGone(holder) => self.holder_gone(&holder, ctx),
            DocMsg::Due => {
                self.due = None;
                let step = self.coordinator.expire(Self::now(ctx));
                self.carry_out(step.outs, ctx);
            }
            DocMsg::RetryNotes => self.retry_notes(ctx),
            DocMsg::Envelope(envelope) => wire::obey(self, &envelope, ctx),
        }
    }
}

impl Agent for DocumentAgent {
    type Msg = DocMsg;
    type Error = Report;

    async fn handle(&mut self, message: DocMsg, ctx: &mut Context<Self>) -> Result<(), Report> {
        self.obey(message, ctx);
        self.arm(ctx);
        Ok(())
    }

    async fn on_stop(&mut self, _reason: &ExitReason, _ctx: &mut Context<Self>) {
        // Waiters learn it from their dropped replies.
        self.waiting.clear();
    }

    fn from_envelope(envelope: Envelope) -> Result<DocMsg, Envelope> {
        match envelope.kind {
            MessageType::LockRequest
            | MessageType::LockRelease
            | MessageType::DocEdit
            | MessageType::DocUpdate => Ok(DocMsg::Envelope(envelope)),
            _ => Err(envelope),
        }
    }

    fn into_envelope(message: DocMsg) -> Result<Envelope, DocMsg> {
        match message {
            DocMsg::Envelope(envelope) => Ok(envelope),
            other => Err(other),
        }
    }
}

impl std::fmt::Debug for DocumentAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentAgent")
            .field("seq", &self.coordinator.seq())
            .finish_non_exhaustive()
    }
}

fn publish(ctx: &Context<DocumentAgent>, holder: &Holder, kind: DocEventKind) {
    let (document, holder) = (ctx.id().clone(), holder.clone());
    ctx.system().publish(DocEvent { document, holder, kind });
}
